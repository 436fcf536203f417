"""Finding the utterances in a long recording."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sercli.audio.channels import regrouped
from sercli.audio.condition import distortions, gain, speech_level_dbfs, without_rumble
from sercli.audio.isolation import LEVEL_DBFS, MARGIN_S, SPEECH_PROBABILITY, widened
from sercli.audio.silero import FRAME_S, FRAME_SAMPLES, SpeechDetector
from sercli.types import SAMPLE_RATE_HZ, Array

FAINTEST_DBFS = -75.0
"""A long recording below this level, as far as it is read, has no utterance.

The faintest speech measured is -61 dBFS (RAVDESS, actor 9, sad).
"""

PAUSE_S = 0.5
"""A pause of this length ends an utterance."""

TURN_S = 0.3
"""A pause of this length ends an utterance where speakers are told apart: the next to speak seldom waits longer."""

_MOST_DAMPING_DB = 10.0  # largest attenuation: a bang must not hide the voice after it
_DECAY_DB_PER_S = 1.0  # how fast the tracked level falls, so that a faint voice after a loud one is amplified
_PIECE_SAMPLES = 64 * FRAME_SAMPLES  # 2 s: the level is measured on this length
_LIVE_SAMPLES = 4 * FRAME_SAMPLES  # 0.13 s: what a live signal is read in

_CONTEXT_SAMPLES = SAMPLE_RATE_HZ // 4  # of the piece before, for the filter

_END_PROBABILITY = 0.35  # speech ends at the first frame below this probability
_LONGEST_S = 10.0
_SHORTEST_S = 1.0
_LEAST_UTTERED_S = 0.25  # shortest total length of the speech frames in an utterance
_PAD_SAMPLES = round(MARGIN_S * SAMPLE_RATE_HZ)  # on each side of an utterance

_LONGEST_FRAMES = int((_LONGEST_S * SAMPLE_RATE_HZ - 2 * _PAD_SAMPLES) // FRAME_SAMPLES)
_SHORTEST_FRAMES = -int(-_SHORTEST_S // FRAME_S)
_LEAST_UTTERED_FRAMES = -int(-_LEAST_UTTERED_S // FRAME_S)


@dataclass(frozen=True)
class Segment:
    """An utterance in a recording."""

    start_s: float
    end_s: float
    signal: Array  # (n,) float32 at 16 kHz, without offset and rumble
    distortions: tuple[str, ...] = ()  # remarks on the sound as it was recorded, if it is live


def segments(blocks: Iterable[Array], *, live: bool = False, pause_s: float = PAUSE_S) -> Iterator[Segment]:
    """Yield the utterances of a recording while it is read; memory does not grow with its length.

    Speech with shorter pauses than `pause_s` is one utterance, up to 10 s; a longer one is cut at its longest pause, or
    where speech is least probable. An utterance is shorter than a second only if no other is near.

    Args:
        blocks: consecutive pieces of a 16 kHz signal, (n,) float32 each, of any lengths.
        live: yield each utterance as soon as the pause after it is long enough, at a higher cost, in place of up to two
            seconds later.
        pause_s: length of a pause that ends an utterance.

    Yields:
        utterances in order, without overlap, each padded with a tenth of a second on both sides.
    """
    n_piece = _LIVE_SAMPLES if live else _PIECE_SAMPLES
    detector, cutter, tape = _LevelledDetector(_PIECE_SAMPLES - n_piece), _Cutter(pause_s), _Tape(pause_s, live=live)
    for piece in regrouped((np.asarray(block, np.float32) for block in blocks), n_piece):
        tape.append(piece)
        for start, end in cutter.push(detector.probabilities(piece)):
            yield tape.cut(start, end, cutter.pending)
        tape.drop_before(cutter.pending)
    for start, end in cutter.finish():
        yield tape.cut(start, end, cutter.pending)


class Counted:
    """An iterable that passes on blocks and counts their samples."""

    def __init__(self, blocks: Iterable[Array]) -> None:
        self.blocks, self.n_samples = blocks, 0

    def __iter__(self) -> Iterator[Array]:
        for block in self.blocks:
            self.n_samples += len(block)
            yield block


class _Tape:
    """The samples of a recording that may still belong to an utterance. Places count from the recording's start."""

    def __init__(self, pause_s: float, *, live: bool) -> None:
        self._is_live = live
        self._widest = int(pause_s / FRAME_S) - 3  # frames by which each end may move outwards: less than a pause
        self._samples = np.zeros(0, np.float32)
        self._begins = 0
        self._cut = 0  # the end of the last utterance

    def append(self, piece: Array) -> None:
        self._samples = np.concatenate([self._samples, piece])

    def drop_before(self, pending: int) -> None:
        """Forget what lies before the next utterance and what its start may be widened by."""
        n_done = max(0, pending - self._widest * FRAME_SAMPLES - self._begins)
        n_done -= n_done % FRAME_SAMPLES
        self._samples, self._begins = self._samples[n_done:], self._begins + n_done

    def cut(self, start: int, end: int, following: int) -> Segment:
        """Return an utterance, widened by the sound next to it, but not into the one before or the following one."""
        first = max(0, start + _PAD_SAMPLES - self._begins) // FRAME_SAMPLES
        last = max(first + 1, (end - _PAD_SAMPLES - self._begins) // FRAME_SAMPLES)
        wider = widened(without_rumble(self._samples), first, last, self._widest)
        start = max(self._cut, start - (first - wider[0]) * FRAME_SAMPLES, self._begins)
        end = max(end, min(end + (wider[1] - last) * FRAME_SAMPLES, following))
        end = min(end, self._begins + len(self._samples))
        self._cut = end
        recorded = self._samples[start - self._begins : end - self._begins]
        # The head of any other recording is looked at, see `isolation.distorted`.
        remarks = tuple(distortions(recorded)) if self._is_live else ()
        return Segment(start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ, without_rumble(recorded), remarks)


class _LevelledDetector:
    """A speech detector for a signal whose level changes."""

    def __init__(self, n_before: int = 0) -> None:
        """Begin a signal whose level is measured on each piece and `n_before` samples before it."""
        self._detector = SpeechDetector()
        self._level_dbfs = FAINTEST_DBFS
        self._n_before = n_before
        # These samples, and the end of what lies before them, so that the filter has no edge there.
        self._before = np.zeros(0, np.float32)

    def probabilities(self, piece: Array) -> Array:
        """Return speech probabilities (T,) for (n_samples,), scaled by the highest level so far, which slowly falls."""
        joined = np.concatenate([self._before, piece])
        self._before = joined[-_CONTEXT_SAMPLES - self._n_before :]
        clean = without_rumble(joined)
        piece = clean[len(joined) - len(piece) :]
        level = speech_level_dbfs(clean[-len(piece) - self._n_before :])
        held = min(self._level_dbfs, LEVEL_DBFS) - _DECAY_DB_PER_S * len(piece) / SAMPLE_RATE_HZ
        self._level_dbfs = max(level, held, FAINTEST_DBFS)
        if level < FAINTEST_DBFS:
            self._detector.reset()
            return np.zeros(-(-len(piece) // FRAME_SAMPLES), np.float32)
        factor = max(gain(self._level_dbfs, LEVEL_DBFS), gain(0.0, -_MOST_DAMPING_DB))
        return self._detector.probabilities(piece * factor)


class _Cutter:
    """Finds utterances in the probabilities of consecutive frames. Spans are in samples, padding included."""

    def __init__(self, pause_s: float) -> None:
        self._n_pause = -int(-pause_s // FRAME_S)  # frames
        self._n_frames = 0  # so far
        self._speaking = False
        self._start = 0  # of the open utterance, in samples
        self._probs: list[float] = []  # of the open utterance and the pause after it; empty: none is open
        self._spoken: list[bool] = []

    @property
    def pending(self) -> int:
        """The earliest sample at which the next utterance can begin."""
        return self._start if self._probs else max(0, self._n_frames * FRAME_SAMPLES - _PAD_SAMPLES)

    def push(self, probs: Array) -> Iterator[tuple[int, int]]:
        """Yield the utterances that end in these frames."""
        for prob in probs.tolist():
            self._speaking = prob >= (_END_PROBABILITY if self._speaking else SPEECH_PROBABILITY)
            if self._speaking and not self._probs:
                self._start = self.pending
            if self._speaking or self._probs:
                self._probs.append(prob)
                self._spoken.append(self._speaking)
            self._n_frames += 1
            if self._speaking and len(self._probs) > _LONGEST_FRAMES:
                yield from self._split()
            elif self._probs and not any(self._spoken[-self._n_pause :]):
                yield from self.finish()

    def finish(self) -> Iterator[tuple[int, int]]:
        """Yield the open utterance, without the pause after it."""
        n_pause = next((n for n, spoken in enumerate(reversed(self._spoken)) if spoken), 0)
        n_uttered, self._probs, self._spoken = sum(self._spoken), [], []
        if n_uttered >= _LEAST_UTTERED_FRAMES:
            yield self._start, (self._n_frames - n_pause) * FRAME_SAMPLES + _PAD_SAMPLES

    def _split(self) -> Iterator[tuple[int, int]]:
        """Yield the part of the open utterance before its best pause; the part after it stays open."""
        stop, go_on = _best_cut(self._probs, self._spoken)
        first = self._n_frames - len(self._probs)
        pad = min(_PAD_SAMPLES, (go_on - stop) * FRAME_SAMPLES // 2)
        start, n_uttered = self._start, sum(self._spoken[:stop])
        self._start = (first + go_on) * FRAME_SAMPLES - pad
        self._probs, self._spoken = self._probs[go_on:], self._spoken[go_on:]
        if n_uttered >= _LEAST_UTTERED_FRAMES:
            yield start, (first + stop) * FRAME_SAMPLES + pad


def _best_cut(probs: list[float], spoken: list[bool]) -> tuple[int, int]:
    """Return where the first part ends and the second begins: at the longest pause, else at the least probable speech.

    Both parts are at least a second long; of equal pauses the last is taken.
    """
    low, high = _SHORTEST_FRAMES, len(probs) - _SHORTEST_FRAMES
    best = (0, 0)
    begin = None
    for n in range(low, high + 1):
        if not spoken[n] and begin is None and spoken[n - 1]:
            begin = n
        if spoken[n] and begin is not None:
            best = max(best, (begin, n), key=lambda pause: (pause[1] - pause[0], pause[1]))
            begin = None
    if best != (0, 0):
        return best
    smooth = np.convolve(probs, np.ones(5) / 5, mode="same")[low : high + 1]
    at = low + len(smooth) - 1 - int(np.argmin(smooth[::-1]))
    return at, at
