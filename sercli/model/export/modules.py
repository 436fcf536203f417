"""The networks that `ser export` writes: a head, and what `sercli.audio` does before a feature reads an utterance.

The detector of speech is another network, so there is a module before it and one behind it. All shapes depend on the
number of samples alone; the cut to the speech is a shift to the front, with silence behind it.
"""

import math

import torch
from torch import Tensor, nn

from sercli.audio import condition, isolation
from sercli.audio.silero import CONTEXT_SAMPLES, FRAME_S, FRAME_SAMPLES
from sercli.model.inference import Model
from sercli.types import SAMPLE_RATE_HZ

LONGEST_S = 15.0
"""Of an utterance; the filter's spectrum holds it with both edges."""

SHORTEST_S = 0.3
"""Of an utterance; it is longer than the edge that is mirrored."""

_N_FFT = 2**18
_EDGE = round(condition.EDGE_S * SAMPLE_RATE_HZ)
_QUIET = round(isolation.QUIET_S * SAMPLE_RATE_HZ)
_FADE = round(isolation.FADE_S * SAMPLE_RATE_HZ)
_MARGIN = round(isolation.MARGIN_S * SAMPLE_RATE_HZ)
_LEAD = (isolation.LEAD_FRAMES + 1) * FRAME_SAMPLES  # around a signal on the grid
_LEVEL_FRAME = round(condition.FRAME_S * SAMPLE_RATE_HZ)


class BeforeDetector(nn.Module):
    """(n,) samples -> (n + 8704,) without rumble on the grid, and what the detector of speech reads: (frames, 576)."""

    def __init__(self) -> None:
        super().__init__()
        self.without_rumble = _WithoutRumble()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """As the pipeline, filter twice: once the recording, and once the utterance."""
        signal = _on_grid(self.without_rumble(self.without_rumble(samples)))
        level = speech_level_dbfs(signal, torch.tensor(signal.shape[0]))
        frames = _framed(signal * _gain(level, isolation.LEVEL_DBFS), FRAME_SAMPLES)
        before = torch.cat([torch.zeros(1, CONTEXT_SAMPLES), frames[:-1, FRAME_SAMPLES - CONTEXT_SAMPLES :]])
        return signal, torch.cat([before, frames], dim=1)


class AfterDetector(nn.Module):
    """(n,) samples on the grid, (frames,) probabilities of speech -> the speech alone at its level."""

    def __init__(self, level_dbfs: float | None) -> None:
        super().__init__()
        self.level_dbfs = level_dbfs

    def forward(self, signal: Tensor, detected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (n + 6400,) samples, zero behind the speech; () their number; () share of the frames with speech."""
        power = _framed(signal, FRAME_SAMPLES).square().mean(dim=1)
        speaking = detected > isolation.SPEECH_PROBABILITY
        first, last = _widened(power, speaking)
        n_samples = signal.shape[0]
        start, n_kept = first * FRAME_SAMPLES - _MARGIN, (last - first) * FRAME_SAMPLES + 2 * _MARGIN
        place = torch.arange(n_samples + 2 * (_MARGIN + _QUIET)) - _QUIET
        inside = (place >= 0) & (place < n_kept) & (place + start >= 0) & (place + start < n_samples)
        kept = signal[(place + start).clamp(0, n_samples - 1)]
        faded = kept * _fade(place, n_kept) * _fade(n_kept - 1 - place, n_kept)
        speech = torch.where(inside, faded, 0.0)
        length = n_kept + 2 * _QUIET
        if self.level_dbfs is not None:
            level = speech_level_dbfs(speech, length)
            speech = torch.where(level < condition.NO_SPEECH_DBFS, speech, speech * _gain(level, self.level_dbfs))
        return speech, length, _speech_share(signal, power, speaking)


class Head(nn.Module):
    """(1, T, F) features as their extractor gives them -> (1, K) probabilities."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.temperature = model.module, model.info.temperature
        (normaliser,) = model.normalisers
        self.register_buffer("mean", torch.tensor(normaliser.mean))
        self.register_buffer("scale", torch.tensor(normaliser.scale))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(1, T, F), (1,) real frames, all without it -> (1, K)."""
        given = torch.full((1,), features.shape[1]) if lengths is None else lengths
        scores = self.network((features - self.mean) * self.scale, given)
        return torch.softmax(scores / self.temperature, dim=1)


class AfterDetection(nn.Module):
    """(n,) samples without rumble, (frames,) probabilities of speech -> (K,) probabilities, () share of speech."""

    def __init__(self, model: Model, feature: nn.Module, level_dbfs: float | None) -> None:
        super().__init__()
        self.speech, self.feature, self.head = AfterDetector(level_dbfs), feature, Head(model)

    def forward(self, signal: Tensor, detected: Tensor) -> tuple[Tensor, Tensor]:
        """(n,), (frames,) -> (K,), ()."""
        samples, length, share = self.speech(signal, detected)
        return self.head(*self.feature(samples, length))[0], share


def _on_grid(signal: Tensor) -> Tensor:
    """(n,) -> (n + 8704,), between silence, as `isolation.on_grid`."""
    n_samples = signal.shape[0]
    n_before = isolation.LEAD_FRAMES * FRAME_SAMPLES - signal.abs().argmax() % FRAME_SAMPLES
    place = torch.arange(n_samples + _LEAD) - n_before
    return torch.where((place >= 0) & (place < n_samples), signal[place.clamp(0, n_samples - 1)], 0.0)


class _WithoutRumble(nn.Module):
    """(n,) -> (n,) as `condition.without_rumble`."""

    passed: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passed", torch.from_numpy(condition.rumble_gain(_N_FFT, SAMPLE_RATE_HZ)).float())

    def forward(self, signal: Tensor) -> Tensor:
        """Mirror the ends, so that the filter has no step to answer."""
        n_samples = signal.shape[0]
        before = 2 * signal[0] - signal[1 : _EDGE + 1].flip(0)
        after = 2 * signal[-1] - signal[n_samples - _EDGE - 1 : n_samples - 1].flip(0)
        padded = torch.cat([before, signal, after, torch.zeros(_N_FFT)])[:_N_FFT]
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(padded) * self.passed, n=_N_FFT)
        return filtered[_EDGE : _EDGE + n_samples]


def speech_level_dbfs(signal: Tensor, length: Tensor) -> Tensor:
    """(n,), zero behind () samples -> () level of the active frames in dBFS, as `condition.speech_level_dbfs`."""
    power = _framed(signal, _LEVEL_FRAME).square().mean(dim=1)
    active = _active(power, length // _LEVEL_FRAME)
    return 10 * ((power * active).sum() / active.sum() + condition.FLOOR_POWER).log10()


def _active(power: Tensor, n_whole: Tensor) -> Tensor:
    """(T,), () whole frames -> (T,) mask of those that are active."""
    whole = torch.arange(power.shape[0]) < n_whole
    return (power >= (power * whole).max() * 10 ** (-condition.ACTIVE_DB / 10)) & whole


def _gain(level: Tensor, to_dbfs: float) -> Tensor:
    return 10 ** ((to_dbfs - level) / 20)


def _framed(signal: Tensor, n: int) -> Tensor:
    """(n_samples,) -> (T, n), the last frame filled with silence."""
    n_frames = (signal.shape[0] + n - 1) // n
    return torch.cat([signal, torch.zeros(n)])[: n_frames * n].view(n_frames, n)


def _fade(place: Tensor, n_kept: Tensor) -> Tensor:
    """Return the gain at each place from an end: up over a fiftieth of a second, or half of the speech."""
    n_fade = (n_kept // 2).clamp(1, _FADE)
    return (math.pi / 2 * ((place + 0.5) / n_fade).clamp(0, 1)).sin().square()


def _widened(power: Tensor, speaking: Tensor) -> tuple[Tensor, Tensor]:
    """(T,) power, (T,) mask -> () first frame of speech and () the one behind the last, as `isolation.widened`.

    An end moves on as long as a loud frame is near it, so it stops at the nearest loud frame without one.
    """
    n_frames = power.shape[0]
    place = torch.arange(n_frames)
    speaking = speaking | ~speaking.any()  # without speech the whole is kept: nothing is to be cut
    first, last = torch.where(speaking, place, n_frames).min(), torch.where(speaking, place, -1).max()
    loud = power > _floor(power)
    alone_before = ~_any_of_next(loud.flip(0), isolation.GAP_FRAMES).flip(0)
    alone_after = ~_any_of_next(loud, isolation.GAP_FRAMES)
    begins = (loud & (place < first) | (place == first)) & alone_before
    ends = (loud & (place > last) | (place == last)) & alone_after
    return torch.where(begins, place, 0).max(), torch.where(ends, place, n_frames).min() + 1


def _any_of_next(mask: Tensor, n: int) -> Tensor:
    """(T,) -> (T,): whether one of the n frames after each is in the mask."""
    after = torch.cat([mask, torch.zeros(n, dtype=torch.bool)])
    return torch.stack([after[step : step + mask.shape[0]] for step in range(1, n + 1)]).any(dim=0)


def _floor(power: Tensor) -> Tensor:
    """(T,) -> () power above which a frame next to speech belongs to it, as in `isolation.widened`."""
    heard = power > isolation.DIGITAL_SILENCE
    ordered = torch.where(heard, power, float("inf")).sort().values
    place = isolation.QUIETEST / 100 * (heard.sum() - 1).clamp(min=0)
    low = place.floor().long()
    high = (low + 1).clamp(max=(heard.sum() - 1).clamp(min=0))
    quiet = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    loudest, above = power.max(), 10 ** (isolation.ABOVE_NOISE_DB / 10)
    return torch.maximum(loudest * 10 ** (-isolation.LOUD_DB / 10), torch.minimum(quiet * above, loudest / above))


def _speech_share(signal: Tensor, power: Tensor, speaking: Tensor) -> Tensor:
    """() share of the frames with speech; 0 where a clip has none, as `isolation.speech_share`."""
    n_speech = speaking.sum()
    n_active = _active(power, torch.tensor(signal.shape[0] // FRAME_SAMPLES)).sum()
    level = speech_level_dbfs(signal, torch.tensor(signal.shape[0]))
    spoken = (
        (n_speech * FRAME_S >= isolation.LEAST_SPEECH_S)
        & (n_speech >= isolation.LEAST_SPEECH_SHARE * n_active)
        & (level >= condition.NO_SPEECH_DBFS)
    )
    return torch.where(spoken, n_speech / (speaking.shape[0] - isolation.LEAD_FRAMES - 1), 0.0)
