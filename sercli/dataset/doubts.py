"""What labels and speakers look like when columns were swapped, misspelt or mean something else; each in a remark."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePath

from sercli._system import languages
from sercli.types import FOUR, LANGUAGE, Remark, Utterance

_SHORTEST_S = 0.2  # no emotion is heard in less
_FEW = 10  # so many utterances of as many speakers are no accident


def doubts(
    utterances: Sequence[Utterance], labels: Collection[str], mapping: Mapping[str, str | None]
) -> Iterator[Remark]:
    """Yield remarks on what may be a mistake in a corpus.

    Args:
        utterances: with the classes of the dataset as labels.
        labels: these classes.
        mapping: LABELS of the corpus.
    """
    spellings: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for label in labels:
        spellings[mapping.get(label), label[:3].casefold()].append(label)
    for (common, _), alike in spellings.items():
        if common and len(alike) > 1:
            yield Remark("warning", common, f"{' and '.join(alike)} are classes apart; --labels four joins them")
    for u in utterances:
        is_stretch = (u.start_s, u.end_s) != (None, None)
        if is_stretch and u.duration_s is not None and u.duration_s < _SHORTEST_S:
            yield Remark("warning", u.id, f"shorter than {_SHORTEST_S} s; are start_s and end_s seconds?")
        spoken = u.attributes.get(LANGUAGE)
        if u.corpus == "table" and spoken is not None and languages.code(spoken) is None:
            yield Remark("warning", u.id, f"its language '{spoken}' is not known; give a code such as de")
    yield from _of_speakers(utterances, mapping)


def _of_speakers(utterances: Sequence[Utterance], mapping: Mapping[str, str | None]) -> Iterator[Remark]:
    known = [u for u in utterances if u.speaker]
    sexes: dict[str, set[object]] = defaultdict(set)
    by_folder: dict[str, set[str]] = defaultdict(set)
    labels_in: dict[str, set[str | None]] = defaultdict(set)
    for u in known:
        sexes[str(u.speaker)].add(u.attributes.get("sex"))
        folder = str(PurePath(u.audio or "").parent)
        by_folder[folder].add(str(u.speaker))
        labels_in[folder].add(u.label)
    speakers = set().union(*by_folder.values())
    yield from (
        Remark("warning", name, "speaker of several sexes") for name, of in sexes.items() if len(of - {None}) > 1
    )
    if 0 < len(known) < len(utterances):
        yield from (Remark("warning", u.id, "no speaker, though others have one") for u in utterances if not u.speaker)
    if speakers and all(mapping.get(name.casefold(), name.casefold()) in FOUR for name in speakers):
        yield Remark("warning", min(speakers), "speakers have names of emotions; are label and speaker swapped?")
    if len(speakers) == len(utterances) >= _FEW:
        yield Remark("warning", min(speakers), "each utterance has a speaker of its own; are these numbers of clips?")
    if len(speakers) > 1:
        yield from _confounded(known)
    same = len(by_folder) > 1 and all(one == speakers for one in by_folder.values())
    if same and all(name.isdecimal() for name in speakers) and min(map(len, labels_in.values())) > 1:
        yield Remark(
            "warning", min(by_folder), "each folder has the same numbers of speakers; are they the same people?"
        )


def _confounded(known: Sequence[Utterance]) -> Iterator[Remark]:
    """Yield remarks on classes that a voice tells: a model may learn who speaks in place of the emotion."""
    of_class, of_speaker = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for u in known:
        of_class[str(u.label)].add(str(u.speaker))
        of_speaker[str(u.speaker)].add(str(u.label))
    if len(of_class) > 1 and len(known) >= 2 * len(of_speaker) and max(map(len, of_speaker.values())) == 1:
        yield Remark("warning", min(of_speaker), "each speaker has one class alone; a model may learn their voices")
        return
    for label in sorted(label for label, speakers in of_class.items() if len(speakers) == 1):
        yield Remark("warning", label, "one speaker alone has this class; a model may learn the voice")
