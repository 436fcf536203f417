"""Finding speech: whether a clip holds any, and the utterances of a long recording."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sercli.audio import reading
from sercli.audio.silero import FRAME_S, FRAME_SAMPLES, RATE_HZ, Listener
from sercli.types import Array

SPEECH_PROBABILITY = 0.5
"""A frame above holds speech."""

LEAST_SPEECH_S = 0.2
LEAST_SPEECH_SHARE = 0.08
"""A clip holds speech if its frames with speech last so long together, and are such a share of those with any sound.

The length keeps out beeps and clicks; the share keeps out music, of which now and then some frames are like a voice.
"""

FAINTEST_DBFS = -75.0
"""What stays below is not listened to. Speech has been recorded as faint as -61 dBFS (RAVDESS, actor 9, sad)."""

_LEVEL_DBFS = -26.0  # what the network hears is brought to this level; from -40 to -10 it answers alike
_SOUND_DB = 30.0  # frames within this range below the loudest one hold sound
_MOST_DAMPING_DB = 10.0  # a bang must not hide the voice after it
_FORGET_DB_PER_S = 1.0  # after a loud voice it takes a while until a faint one is amplified
_PIECE_SAMPLES = 64 * FRAME_SAMPLES  # 2 s: how far the level looks ahead, however the signal comes in

_END_PROBABILITY = 0.35  # speech that has begun goes on until a frame below
_LONGEST_S = 10.0
_SHORTEST_S = 1.0
_LEAST_UTTERED_S = 0.25  # of frames with speech in an utterance
_PAUSE_S = 0.5  # a pause of this length ends an utterance
_PAD_SAMPLES = RATE_HZ // 10  # on each side of an utterance

_LONGEST_FRAMES = int((_LONGEST_S * RATE_HZ - 2 * _PAD_SAMPLES) // FRAME_SAMPLES)
_SHORTEST_FRAMES = -int(-_SHORTEST_S // FRAME_S)
_LEAST_UTTERED_FRAMES = -int(-_LEAST_UTTERED_S // FRAME_S)
_PAUSE_FRAMES = -int(-_PAUSE_S // FRAME_S)


@dataclass(frozen=True)
class Segment:
    """An utterance of a recording."""

    start_s: float
    end_s: float
    signal: Array  # (n,) float32 at 16 kHz, as recorded


def has_speech(signal: Array) -> bool:
    """Whether somebody speaks in a clip.

    Args:
        signal: (n_samples,) float32 at 16 kHz, of any level.
    """
    return speech_share(signal) > 0


def speech_share(signal: Array) -> float:
    """Share of a clip's 32 ms frames that hold speech; 0 where they are too few to be any (see `LEAST_SPEECH_S`).

    Args:
        signal: (n_samples,) float32 at 16 kHz, of any level.
    """
    if not len(signal):
        return 0.0
    signal = signal - signal.mean()  # many sound cards add an offset, which is no sound
    level = reading.speech_level_dbfs(signal)
    if level < FAINTEST_DBFS:
        return 0.0
    speaking = Listener().hear(signal * _gain(level)) > SPEECH_PROBABILITY
    n_speech = int(np.count_nonzero(speaking))
    if n_speech * FRAME_S < LEAST_SPEECH_S or n_speech < LEAST_SPEECH_SHARE * _n_sounding(signal):
        return 0.0
    return n_speech / len(speaking)


def segments(blocks: Iterable[Array]) -> Iterator[Segment]:
    """Cut a recording into utterances as it comes in; memory does not grow with its length.

    Speech across pauses of less than half a second is one utterance, up to 10 s; a longer one is cut at its longest
    pause, or where speech is least probable. An utterance of less than a second has nothing near to be joined with.

    Args:
        blocks: consecutive pieces of a 16 kHz signal, (n,) float32 each; how it is cut makes no difference.

    Yields:
        utterances in order, which never overlap, with a tenth of a second around them.
    """
    hearing, cutter = _Hearing(), _Cutter()
    tape, begins = np.zeros(0, np.float32), 0  # what may yet be part of an utterance, and its place
    for piece in _pieces(blocks):
        tape = np.concatenate([tape, piece])
        for start, end in cutter.push(hearing.hear(piece)):
            yield _segment(tape, begins, start, end)
        n_done = max(0, cutter.pending - begins)
        tape, begins = tape[n_done:], begins + n_done
    for start, end in cutter.finish():
        yield _segment(tape, begins, start, end)


def _segment(tape: Array, begins: int, start: int, end: int) -> Segment:
    end = min(end, begins + len(tape))
    return Segment(start / RATE_HZ, end / RATE_HZ, tape[start - begins : end - begins].copy())


def _pieces(blocks: Iterable[Array]) -> Iterator[Array]:
    """The same signal in pieces of one size, the last one aside."""
    held: list[Array] = []
    n_held = 0
    for block in blocks:
        held.append(np.asarray(block, np.float32))
        n_held += len(block)
        if n_held >= _PIECE_SAMPLES:
            whole = np.concatenate(held)
            n_whole = n_held - n_held % _PIECE_SAMPLES
            yield from np.split(whole[:n_whole], n_whole // _PIECE_SAMPLES)
            held, n_held = [whole[n_whole:]], n_held - n_whole
    if n_held:
        yield np.concatenate(held)


class _Hearing:
    """The network's probabilities for a signal of changing level."""

    def __init__(self) -> None:
        self._listener = Listener()
        self._level_dbfs = FAINTEST_DBFS

    def hear(self, piece: Array) -> Array:
        """(n_samples,) -> (T,). The level is that of the loudest so far, forgotten slowly, and of this piece."""
        piece = piece - piece.mean()
        level = reading.speech_level_dbfs(piece)
        held = min(self._level_dbfs, _LEVEL_DBFS) - _FORGET_DB_PER_S * len(piece) / RATE_HZ
        self._level_dbfs = max(level, held, FAINTEST_DBFS)
        if level < FAINTEST_DBFS:
            self._listener.forget()
            return np.zeros(-(-len(piece) // FRAME_SAMPLES), np.float32)
        return self._listener.hear(piece * max(_gain(self._level_dbfs), np.float32(10 ** (-_MOST_DAMPING_DB / 20))))


class _Cutter:
    """Finds utterances in the frames' probabilities, one after the other. Spans are in samples, pads included."""

    def __init__(self) -> None:
        self._n_frames = 0  # seen so far
        self._speaking = False
        self._start = 0  # of the open utterance, in samples
        self._probs: list[float] = []  # of the open utterance, the pause after it included; empty: none is open
        self._spoken: list[bool] = []

    @property
    def pending(self) -> int:
        """The sample that the next utterance can begin with at the earliest."""
        return self._start if self._probs else max(0, self._n_frames * FRAME_SAMPLES - _PAD_SAMPLES)

    def push(self, probs: Array) -> Iterator[tuple[int, int]]:
        """Yield what has come to its end with these frames."""
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
            elif self._probs and not any(self._spoken[-_PAUSE_FRAMES:]):
                yield from self.finish()

    def finish(self) -> Iterator[tuple[int, int]]:
        """Yield the open utterance, without the pause after it."""
        n_pause = next((n for n, spoken in enumerate(reversed(self._spoken)) if spoken), 0)
        if sum(self._spoken) >= _LEAST_UTTERED_FRAMES:
            yield self._start, (self._n_frames - n_pause) * FRAME_SAMPLES + _PAD_SAMPLES
        self._probs, self._spoken = [], []

    def _split(self) -> Iterator[tuple[int, int]]:
        """Yield the part of the open utterance up to its best pause; the part after it stays open."""
        stop, go_on = _best_cut(self._probs, self._spoken)
        first = self._n_frames - len(self._probs)
        pad = min(_PAD_SAMPLES, (go_on - stop) * FRAME_SAMPLES // 2)
        if sum(self._spoken[:stop]) >= _LEAST_UTTERED_FRAMES:
            yield self._start, (first + stop) * FRAME_SAMPLES + pad
        self._start = (first + go_on) * FRAME_SAMPLES - pad
        self._probs, self._spoken = self._probs[go_on:], self._spoken[go_on:]


def _best_cut(probs: list[float], spoken: list[bool]) -> tuple[int, int]:
    """Where the first part ends and the second begins: around the longest pause, else where speech is least probable.

    Both parts are at least a second long; of equals the last is taken.
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


def _n_sounding(signal: Array) -> int:
    """How many frames are within 30 dB of the loudest one."""
    usable = len(signal) - len(signal) % FRAME_SAMPLES
    frames = signal[:usable].reshape(-1, FRAME_SAMPLES) if usable else signal[None]
    power = np.einsum("tn,tn->t", frames, frames, dtype=np.float64)
    return int(np.count_nonzero(power >= power.max() * 10 ** (-_SOUND_DB / 10)))


def _gain(level_dbfs: float) -> np.float32:
    """What brings sound of a level to that which the network hears best."""
    return np.float32(10 ** ((_LEVEL_DBFS - level_dbfs) / 20))
