"""Speech in an utterance: whether there is any, and the speech on its own, so that nothing around it matters.

Silence before and after speech, its length and its kind differ from corpus to corpus and from microphone to microphone.
An utterance is cut to its speech, between two short stretches of digital silence, wherever it stood: in a clip or in a
long recording.
"""

from hashlib import blake2b

import numpy as np

from sercli.audio.condition import (
    NO_SPEECH_DBFS,
    distortions,
    frame_power,
    gain,
    is_active,
    resample,
    speech_level_dbfs,
    without_rumble,
)
from sercli.audio.silero import FRAME_S, FRAME_SAMPLES, SpeechDetector
from sercli.types import SAMPLE_RATE_HZ, Array

VERSION = 2
"""Changes with what `isolated` returns, so that features are computed again."""

SPEECH_PROBABILITY = 0.5
"""A frame with a higher probability holds speech."""

LEAST_SPEECH_S = 0.2
LEAST_SPEECH_SHARE = 0.08
"""A clip has speech if its speech frames last at least this long and are at least this share of its active frames.

The length rules out beeps and clicks; the share rules out music, in which a few frames may resemble a voice.
"""

LEVEL_DBFS = -26.0
"""The level of the detector's input; its output hardly differs between -40 and -10."""

MARGIN_S = 0.1
"""What is kept on each side of the first and the last frame of speech."""

LEAD_FRAMES = 16  # at most, of silence before a signal: the detector is less sure where a signal has just begun
QUIET_S = 0.1  # digital silence before and after
FADE_S = 0.02  # at both ends, so that background noise does not begin and end with a click
LOUD_DB = 30.0  # sound next to speech belongs to it if it is at most this far below the loudest frame,
ABOVE_NOISE_DB = 12.0  # and this far above the quietest tenth of the frames
QUIETEST = 10  # per cent
DIGITAL_SILENCE = 1e-11  # frames below this power do not count as background noise
GAP_FRAMES = 4  # sound within an eighth of a second of speech is next to it

NOISY = 10**0.4
"""Power of speech to that of the quietest tenth of the frames, below which a recording is noisy.

1,200 clips of RAVDESS, EmoDB and nEMO have 9 dB or more, and 2 cut to their speech less than 4. With white or pink
noise as loud as the speech they have 1 to 4 dB, and 15 to 55 % of the labels change.
"""

_MOST_KEPT = 10_000  # about 1 kB each
_kept: dict[bytes, Array] = {}  # of `speech_probabilities`, by the signal's content


def distorted(signal: Array) -> list[str]:
    """Return the remarks of `condition.distortions` on a signal (n_samples,) at 16 kHz if it holds speech."""
    found = distortions(signal)
    return found if found and speech_share(without_rumble(signal)) else []  # as the features get it, which keep it


def noisy(signal: Array) -> list[str]:
    """Return a remark if the quietest tenth of a signal (n_samples,) at 16 kHz is nearly as loud as its speech.

    Args:
        signal: without rumble; it is filtered again, as for the features, which keep what is found.
    """
    signal = on_grid(without_rumble(signal))[0]
    power = frame_power(signal, FRAME_SAMPLES)
    heard = power > DIGITAL_SILENCE
    spoken = power[heard & (speech_probabilities(signal)[: len(power)] > SPEECH_PROBABILITY)]
    if len(spoken) < max(LEAST_SPEECH_S / FRAME_S, LEAST_SPEECH_SHARE * len(power)):
        return []
    if np.median(spoken) > NOISY * np.percentile(power[heard], QUIETEST):
        return []
    return ["noise or reverberation is nearly as loud as its speech, so that its labels are less sure"]


def speech_share(signal: Array) -> float:
    """Return the share of a clip's 32 ms frames that hold speech; 0 if they are too few (see `LEAST_SPEECH_S`).

    Args:
        signal: (n_samples,) float32 at 16 kHz, of any level.
    """
    if not len(signal):
        return 0.0
    signal = without_rumble(signal)
    if speech_level_dbfs(signal) < NO_SPEECH_DBFS:
        return 0.0
    signal = on_grid(signal)[0]
    speaking = speech_probabilities(signal) > SPEECH_PROBABILITY
    n_speech = int(np.count_nonzero(speaking))
    n_active = np.count_nonzero(is_active(frame_power(signal, FRAME_SAMPLES)))
    if n_speech * FRAME_S < LEAST_SPEECH_S or n_speech < LEAST_SPEECH_SHARE * n_active:
        return 0.0
    return n_speech / (len(speaking) - LEAD_FRAMES - 1)


def isolated(signal: Array, sample_rate_hz: int = SAMPLE_RATE_HZ) -> tuple[Array, float]:
    """Return the speech of an utterance between two tenths of a second of silence, and where it begins.

    Args:
        signal: (n_samples,) float32, of any level. Without speech it loses its offset and rumble alone.
        sample_rate_hz: of the signal.

    Returns:
        (n,) float32, and the time of its first sample in the given signal in seconds, which may be below 0.
    """
    signal = without_rumble(signal, sample_rate_hz)
    usual, n_before = on_grid(resample(signal, sample_rate_hz, SAMPLE_RATE_HZ))
    speaking = np.flatnonzero(speech_probabilities(usual) > SPEECH_PROBABILITY)
    if not len(speaking):
        return signal, 0.0
    first, last = widened(usual, int(speaking[0]), int(speaking[-1]) + 1, len(usual))
    margin = round(MARGIN_S * SAMPLE_RATE_HZ)
    places = first * FRAME_SAMPLES - n_before - margin, last * FRAME_SAMPLES - n_before + margin
    start, stop = (round(place * sample_rate_hz / SAMPLE_RATE_HZ) for place in places)
    kept = np.pad(signal[max(0, start) : stop], (max(0, -start), max(0, stop - len(signal))))
    n_fade = min(round(FADE_S * sample_rate_hz), len(kept) // 2)
    fade = np.sin(np.pi / 2 * (np.arange(n_fade, dtype=np.float32) + 0.5) / max(1, n_fade)) ** 2
    kept[:n_fade] *= fade
    kept[len(kept) - n_fade :] *= fade[::-1]
    quiet = np.zeros(round(QUIET_S * sample_rate_hz), np.float32)
    return np.concatenate([quiet, kept, quiet]), start / sample_rate_hz - QUIET_S


def on_grid(signal: Array) -> tuple[Array, int]:
    """Return a signal (n,) at 16 kHz between silence, so that its peak begins a frame, and the samples before it.

    The same speech then lies alike on the frames, whatever stands before it. A frame that begins a few milliseconds
    later can move the cut to the speech, and with it what the features are computed from.
    """
    n_before = LEAD_FRAMES * FRAME_SAMPLES - int(np.abs(signal).argmax()) % FRAME_SAMPLES
    return np.pad(signal, (n_before, (LEAD_FRAMES + 1) * FRAME_SAMPLES - n_before)), n_before


def speech_probabilities(signal: Array) -> Array:
    """Return the probability of speech (T,) in each 32 ms frame of a signal (n_samples,) at 16 kHz, of any level.

    It is kept: each feature asks for the same utterances, and so does the question whether anybody speaks.
    """
    content = blake2b(signal.tobytes(), digest_size=16).digest()
    if content not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[content] = SpeechDetector().probabilities(signal * gain(speech_level_dbfs(signal), LEVEL_DBFS))
    return _kept[content]


def widened(signal: Array, first: int, last: int, n_most: int) -> tuple[int, int]:
    """Return a span of frames with the sound next to it, which a detector of speech may miss where somebody shouts.

    Args:
        signal: (n_samples,) at 16 kHz around the span.
        first: first 32 ms frame of the span in the signal.
        last: the frame after the span.
        n_most: most frames by which each end may move.
    """
    power = frame_power(np.pad(signal, (0, -len(signal) % FRAME_SAMPLES)), FRAME_SAMPLES)
    heard = power[power > DIGITAL_SILENCE]
    if not len(heard):
        return first, last
    noise = np.percentile(heard, QUIETEST) * 10 ** (ABOVE_NOISE_DB / 10)
    loudest = power.max()
    floor = max(loudest * 10 ** (-LOUD_DB / 10), min(noise, loudest * 10 ** (-ABOVE_NOISE_DB / 10)))
    loud = power > floor
    lowest, highest = max(0, first - n_most), min(len(loud), last + n_most)
    while len(near := np.flatnonzero(loud[max(lowest, first - GAP_FRAMES) : first])):
        first = max(lowest, first - GAP_FRAMES) + int(near[0])
    while len(near := np.flatnonzero(loud[last : min(highest, last + GAP_FRAMES)])):
        last += int(near[-1]) + 1
    return first, last
