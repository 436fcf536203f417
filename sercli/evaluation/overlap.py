"""The recordings, speakers and sentences that a system was trained on, and which of them a test part contains."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from sercli._system.files import readable, walk, write_json
from sercli._system.text import few
from sercli.dataset import audio_index
from sercli.dataset.audio_index import IndexedAudio
from sercli.dataset.same_sounds import Print, alike, reference, sounds
from sercli.dataset.transcripts import normalised
from sercli.errors import SerError
from sercli.evaluation.results import Overlap
from sercli.runs import CROSS_VALIDATION, RunInfo, fold_runs, read_split
from sercli.types import Utterance

_FILE = "train_part.json"


@dataclass(frozen=True)
class TrainPart:
    """The content of train_part.json."""

    recordings: frozenset[str]  # digests of audio files and of their samples, or of transcripts without audio
    speakers: frozenset[str]  # corpus/speaker
    prints: frozenset[Print]  # of the recordings
    sentences: frozenset[str]  # digests; see `_sentences`


def write_train_part(
    folder: Path, utterances: Sequence[Utterance], dataset: Path, chosen_by: Sequence[Utterance] = ()
) -> None:
    """Write into a run directory which recordings, speakers and sentences of a dataset it was trained on.

    Args:
        folder: the run directory.
        utterances: of the train part.
        dataset: its folder.
        chosen_by: the validation part, whose recordings and speakers count as well: an epoch was chosen by them.

    Raises:
        SerError: the audio index of the dataset lacks some of them.
    """
    used = [*utterances, *chosen_by]
    index = audio_of(used, dataset)
    recordings = {key for u in used if (key := _recording(u))} | {one.sound.digest for one in index.values()}
    speakers = {key for u in used if (key := _speaker(u))}
    prints = {reference(one) for one in sounds(used, index).values()}
    sentences = {key for u in utterances for key in _sentences(u)}
    found = {
        "recordings": sorted(recordings),
        "speakers": sorted(speakers),
        "prints": sorted(prints, key=lambda one: (one.duration_s, one.words)),
    }
    write_json(folder / _FILE, {**found, "sentences": sorted(sentences)})


def audio_of(utterances: Sequence[Utterance], dataset: Path) -> dict[str, IndexedAudio]:
    """The audio index of utterances by path.

    Raises:
        SerError: it lacks some of them.
    """
    paths = {u.audio for u in utterances if u.audio is not None}
    index = {one.path: one for one in audio_index.load(dataset) if one.path in paths} if paths else {}
    if missing := min(paths - index.keys(), default=None):
        raise SerError(f"{dataset / audio_index.NAME} lacks {missing}; repeat the `ser prepare` that made it.")
    return index


def read_train_part(folder: Path) -> TrainPart | None:
    """What the networks of a run were trained on, all together; None if one of them does not list it.

    Every network has its weights and its train_part.json in one directory: that of the run, a fold run, or a member.

    Raises:
        SerError: a train_part.json is damaged.
    """
    paths = [Path(entry.path).with_name(_FILE) for entry in walk(folder) if entry.name == "weights.safetensors"]
    if not paths or not all(path.exists() for path in paths):
        return None
    parts = []
    for path in paths:
        with readable(path, ". Train the run again, or copy it again"):
            parts.append(msgspec.json.decode(path.read_bytes(), type=TrainPart))
    return _union(parts)


@dataclass(frozen=True)
class SeenUtterances:
    """The utterances of another dataset whose recording or speaker is in a train or validation part."""

    ids: frozenset[str]
    recordings: tuple[str, ...]  # of each shared recording the id of its first utterance
    speakers: tuple[str, ...]  # corpus/speaker
    dropped: bool = False  # they were left out
    unlisted: tuple[str, ...] = ()  # systems that do not list their train part

    def __str__(self) -> str:
        """Counts and first names, such as "2 recordings (u1, u2) and 1 speaker (ravdess/03)"; "" if there are none."""
        kinds = (("recording", self.recordings), ("speaker", self.speakers))
        return " and ".join(f"{len(n)} {what}{'s' * (len(n) > 1)} ({few(n)})" for what, n in kinds if n)

    @property
    def overlap(self) -> Overlap:
        """The same as `--json` has it."""
        return Overlap(len(self.recordings), self.speakers, len(self.ids) if self.dropped else 0)


def find_seen(
    utterances: Sequence[Utterance], parts: Sequence[TrainPart], index: Mapping[str, IndexedAudio]
) -> SeenUtterances:
    """The utterances whose recording or speaker is in one of the train parts.

    A recording is known by the digest of its bytes or samples, or by its print.

    Args:
        utterances: of another dataset.
        parts: of the runs.
        index: path -> its audio, of the dataset.
    """
    trained = _union(parts)
    names, audio = list(own := sounds(utterances, index)), list(own.values())
    trained_files = {one.path for one in index.values() if one.sound.digest in trained.recordings}
    copies = {names[number] for number, _ in alike(audio, tuple(trained.prints))}
    copies |= {u.id for u in utterances if u.audio in trained_files}
    by_recording = [(_recording(u), u.id) for u in utterances if u.id in copies or _recording(u) in trained.recordings]
    by_speaker = [(speaker, u.id) for u in utterances if (speaker := _speaker(u)) in trained.speakers]
    return SeenUtterances(
        frozenset(name for _, name in [*by_recording, *by_speaker]),
        tuple(dict(reversed(by_recording)).values())[::-1],
        tuple(sorted({str(speaker) for speaker, _ in by_speaker})),
    )


def seen_sentences(run: Path, info: RunInfo, utterances: Sequence[Utterance], *, own: bool) -> frozenset[str] | None:
    """The ids of those utterances whose prompt or words a training utterance has; None if no sentences are known.

    Args:
        run: its directory.
        info: its run.json.
        utterances: to predict, with the transcripts that the run reads.
        own: they are the run's own test part, each of them predicted by the network of one fold.
    """
    if not (own and info.kind == CROSS_VALIDATION):
        return _seen_by(run, utterances)
    tested = {one: read_split(one.folder).test for one in fold_runs(run, info.settings)[: info.settings.split.n_folds]}
    by_id = {u.id: u for u in utterances}
    seen = [_seen_by(one.folder, [by_id[i] for i in ids]) for one, ids in tested.items()]
    return None if None in seen else frozenset().union(*(ids for ids in seen if ids))


def _seen_by(folder: Path, utterances: Sequence[Utterance]) -> frozenset[str] | None:
    part = read_train_part(folder)
    if part is None or not part.sentences or not any(map(_sentences, utterances)):
        return None
    return frozenset(u.id for u in utterances if not part.sentences.isdisjoint(_sentences(u)))


def _sentences(utterance: Utterance) -> set[str]:
    """Digests of what is said: of the prompt and of the words, as far as they are known."""
    words = " ".join(normalised(utterance.text or ""))
    said = {f"{utterance.corpus}/{utterance.prompt}" if utterance.prompt else "", words} - {""}
    return {hashlib.sha256(text.encode()).hexdigest()[:16] for text in said}


def _recording(utterance: Utterance) -> str | None:
    """The digest of the audio file, or of the transcript if there is no audio; None if there is neither."""
    text = utterance.text
    if utterance.audio is not None or text is None:
        return utterance.digest
    return hashlib.sha256(text.encode()).hexdigest()


def _speaker(utterance: Utterance) -> str | None:
    return f"{utterance.corpus}/{utterance.speaker}" if utterance.speaker else None


def _union(parts: Sequence[TrainPart]) -> TrainPart:
    return TrainPart(
        **{f.name: frozenset().union(*(getattr(part, f.name) for part in parts)) for f in fields(TrainPart)}
    )
