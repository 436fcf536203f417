"""The recordings and speakers that a system was trained on, and which of them another dataset contains."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sercli._system.files import write_json
from sercli.errors import SerError
from sercli.evaluation.results import Overlap
from sercli.types import Utterance

_FILE = "train_part.json"
_N_NAMED = 3  # names in a warning


@dataclass(frozen=True)
class TrainPart:
    """The content of train_part.json."""

    recordings: frozenset[str]  # digests of audio files, or of transcripts where there is no audio
    speakers: frozenset[str]  # corpus/speaker


def write_train_part(folder: Path, utterances: Sequence[Utterance]) -> None:
    """Write into a run directory which recordings and speakers it was trained on."""
    recordings = {key for u in utterances if (key := _recording(u))}
    speakers = {key for u in utterances if (key := _speaker(u))}
    write_json(folder / _FILE, {"recordings": sorted(recordings), "speakers": sorted(speakers)})


def read_train_part(folder: Path) -> TrainPart | None:
    """What the networks of a run were trained on, all together; None if one of them does not list it.

    Every network has its weights and its train_part.json in one directory: that of the run, a fold run, or a member.

    Raises:
        SerError: a train_part.json is damaged.
    """
    paths = [weights.with_name(_FILE) for weights in folder.rglob("weights.safetensors")]
    if not paths or not all(path.exists() for path in paths):
        return None
    return _union([_read(path) for path in paths])


@dataclass(frozen=True)
class SeenUtterances:
    """The utterances of another dataset whose recording or speaker is in a train part."""

    ids: frozenset[str]
    recordings: tuple[str, ...]  # of each shared recording the id of its first utterance
    speakers: tuple[str, ...]  # corpus/speaker

    def __str__(self) -> str:
        """Counts and first names, such as "2 recordings (u1, u2) and 1 speaker (ravdess/03)"; "" if there are none."""
        kinds = (("recording", self.recordings), ("speaker", self.speakers))
        return " and ".join(f"{len(names)} {what}{_named(names)}" for what, names in kinds if names)

    def overlap(self, *, dropped: bool) -> Overlap:
        """The same as `--json` has it."""
        return Overlap(len(self.recordings), self.speakers, len(self.ids) if dropped else 0)


def find_seen(utterances: Sequence[Utterance], parts: Sequence[TrainPart]) -> SeenUtterances:
    """The utterances whose recording, by its digest, or speaker is in one of the train parts."""
    trained = _union(parts)
    by_recording = [(digest, u.id) for u in utterances if (digest := _recording(u)) in trained.recordings]
    by_speaker = [(speaker, u.id) for u in utterances if (speaker := _speaker(u)) in trained.speakers]
    return SeenUtterances(
        frozenset(name for _, name in [*by_recording, *by_speaker]),
        tuple(dict(reversed(by_recording)).values())[::-1],
        tuple(sorted({str(speaker) for speaker, _ in by_speaker})),
    )


def _named(names: Sequence[str]) -> str:
    plural = "s" if len(names) > 1 else ""
    return f"{plural} ({', '.join(names[:_N_NAMED])}{', ...' if len(names) > _N_NAMED else ''})"


def _recording(utterance: Utterance) -> str | None:
    """The digest of the audio file, or of the transcript if there is no audio; None if there is neither."""
    text = utterance.text
    if utterance.audio is not None or text is None:
        return utterance.digest
    return hashlib.sha256(text.encode()).hexdigest()


def _speaker(utterance: Utterance) -> str | None:
    return f"{utterance.corpus}/{utterance.speaker}" if utterance.speaker else None


def _union(parts: Sequence[TrainPart]) -> TrainPart:
    recordings, speakers = ([part.recordings for part in parts], [part.speakers for part in parts])
    return TrainPart(frozenset().union(*recordings), frozenset().union(*speakers))


def _read(path: Path) -> TrainPart:
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainPart)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerError(f"{path} cannot be read: {error}. Train the run again, or copy it again.") from None
