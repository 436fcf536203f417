"""A recording in, answers out: what `ser predict` asks a model or an ensemble, with memory flat in the length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from sercli.audio import reading, segments
from sercli.audio.segments import Segment
from sercli.dataset import feature_cache
from sercli.errors import SerError
from sercli.model.ensemble import System
from sercli.model.segment_features import RATE_HZ, SegmentFeatures
from sercli.types import ASR_CONFIDENCE, Array, Prediction, Predictions, Transcript, Utterance, Word

CLIP_S = 15.0  # a recording up to this long is one utterance; a longer one is cut into the utterances that it holds
UNSURE = "unsure"
"""The label of an answer whose probability is below the least that is asked for."""

_BATCH = 8  # utterances of a long recording that go through the network together


@dataclass(frozen=True)
class Heard:
    """A recording and its answers: one for a clip, else one for each utterance in the order of time."""

    path: str
    is_clip: bool
    answers: Iterable[Prediction]  # computed while they are asked for


@dataclass(frozen=True)
class Listener:
    """A system with all that it takes to answer a recording."""

    system: System
    transcribe: Callable[[Array], Transcript] | None = None  # None: nobody listens for words
    text: str | None = None  # what is said in the one clip that is asked about
    min_confidence: float = 0.0  # below it the answer is UNSURE

    def hear(self, path: Path, *, name: str | None = None) -> Heard:
        """Open a recording and find out whether it is a clip; the answers are computed while they are asked for.

        Args:
            path: the recording.
            name: what the answers call it; None: its path.

        Raises:
            AudioError: the recording cannot be read; from the answers too, where the damage lies further on.
            SerError: the model reads words alone and there are none, or words are given for more than a clip.
        """
        name = name or str(path)
        if not self.hears and self.transcribe is None and not (self.text or "").strip():
            raise SerError(
                f"{self.system.folder} reads words alone, and there are none for {name}; "
                'add --text "...", leave out --no-asr, or use an acoustic run.'
            )
        blocks = reading.stream(path, sample_rate_hz=RATE_HZ)
        head = _head(blocks, round(CLIP_S * RATE_HZ) + 1)
        is_clip = len(head) <= CLIP_S * RATE_HZ
        if self.text is not None and not is_clip:
            raise SerError(f"--text says what one clip holds, and {name} is longer than {CLIP_S:g} s; leave it out.")
        hearing = _Hearing(self, path, name)
        return Heard(name, is_clip, hearing.clip(head) if is_clip else hearing.utterances(chain([head], blocks)))

    @property
    def hears(self) -> bool:
        """Whether the system can answer from sound alone."""
        return not all(feature_cache.reads_text(feature) for feature, _ in self.system.features)


def reads_words(system: System) -> bool:
    """Whether words change what the system answers."""
    return any(feature_cache.reads_text(feature) for feature, _ in system.features)


@dataclass(frozen=True)
class _Said:
    """One utterance with what was heard in it."""

    segment: Segment
    transcript: Transcript | None  # None where nobody listened

    @property
    def text(self) -> str:
        return self.transcript.text.strip() if self.transcript else ""

    def utterance(self, path: Path, n: int) -> Utterance:
        """As a system is asked about it."""
        texts = {"human": self.text} if self.text else {}
        attributes = {ASR_CONFIDENCE: self.transcript.confidence} if self.text and self.transcript else {}
        return Utterance(f"{path}#{n}", "", "", audio=str(path), transcripts=texts, attributes=attributes)

    def words(self) -> tuple[Word, ...]:
        """With times in the recording, not in the utterance."""
        at_s = self.segment.start_s
        found = self.transcript.words if self.transcript else ()
        return tuple(replace(w, start_s=_ms(at_s + w.start_s), end_s=_ms(at_s + w.end_s)) for w in found)


@dataclass(frozen=True)
class _Hearing:
    """A recording while it is listened to."""

    by: Listener
    path: Path
    name: str

    def clip(self, signal: Array) -> Iterator[Prediction]:
        whole = Segment(0.0, len(signal) / RATE_HZ, signal)
        if segments.has_speech(signal):
            yield from self._answers([whole])
        else:
            yield self._speechless(whole.end_s)

    def utterances(self, blocks: Iterable[Array]) -> Iterator[Prediction]:
        length = _Length(blocks)
        found = segments.segments(length)
        n_found = 0
        while batch := list(islice(found, _BATCH)):
            n_found += len(batch)
            yield from self._answers(batch)
        if not n_found:
            yield self._speechless(length.n_samples / RATE_HZ)

    def _speechless(self, end_s: float) -> Prediction:
        return Prediction(self.name, 0.0, _ms(end_s), text=self.by.text, reason="no speech")

    def _answers(self, utterances: Sequence[Segment]) -> Iterator[Prediction]:
        """One for each; the system is asked at once about all that it can answer."""
        said = [_Said(segment, self._transcript(segment)) for segment in utterances]
        asked = {n: one.utterance(self.path, n) for n, one in enumerate(said) if one.text or self.by.hears}
        if not asked:
            yield from map(self._bare, said)
            return
        sounds = SegmentFeatures(self.path, {u.id: said[n].segment for n, u in asked.items()})
        predicted = self.by.system.predict(list(asked.values()), sounds)
        rows = iter(range(len(asked)))
        for n, one in enumerate(said):
            bare = self._bare(one)
            yield self._labelled(bare, predicted, next(rows)) if n in asked else bare

    def _transcript(self, segment: Segment) -> Transcript | None:
        if self.by.text is not None:
            return Transcript(self.by.text)
        return self.by.transcribe(segment.signal) if self.by.transcribe else None

    def _bare(self, said: _Said) -> Prediction:
        """All but what the system says of it."""
        return Prediction(
            self.name,
            _ms(said.segment.start_s),
            _ms(said.segment.end_s),
            text=said.text or self.by.text,
            words=said.words() if said.text else (),
            asr_confidence=said.transcript.confidence if said.transcript and said.text else None,
            reason=self._missing(said),
        )

    def _missing(self, said: _Said) -> str | None:
        if said.text or not reads_words(self.by.system):
            return None
        listened = said.transcript is not None and self.by.text is None
        what = "no words heard" if listened else "no words"
        return f"{what}: answered from sound alone" if self.by.hears else what

    def _labelled(self, bare: Prediction, predicted: Predictions, row: int) -> Prediction:
        probs = _named(predicted.labels, predicted.probs[row])
        assert probs is not None
        best = max(probs, key=probs.__getitem__)
        member = {name: _named(predicted.labels, rows[row]) for name, rows in predicted.members.items()}
        return replace(
            bare,
            label=best if probs[best] >= self.by.min_confidence else UNSURE,
            confidence=probs[best],
            probs=probs,
            sound=member.get("acoustic"),
            language=member.get("linguistic") if bare.text else None,
        )


class _Length:
    """Passes blocks on and counts their samples."""

    def __init__(self, blocks: Iterable[Array]) -> None:
        self.blocks, self.n_samples = blocks, 0

    def __iter__(self) -> Iterator[Array]:
        for block in self.blocks:
            self.n_samples += len(block)
            yield block


def _head(blocks: Iterator[Array], n_samples: int) -> Array:
    """The first blocks, until they hold as many samples or there are no more."""
    taken: list[Array] = []
    while sum(map(len, taken)) < n_samples and (block := next(blocks, None)) is not None:
        taken.append(block)
    return np.concatenate(taken)


def _named(labels: Sequence[str], probs: Array) -> dict[str, float] | None:
    """Probabilities by class; None for a member that was not asked."""
    if not np.isfinite(probs).all():
        return None
    return {label: float(p) for label, p in zip(labels, probs, strict=True)}


def _ms(seconds: float) -> float:
    return round(seconds, 3)
