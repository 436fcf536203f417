"""The feature of Whisper's encoder as one torch module, for `ser export`: the numbers of `whisper_encoder`'s extractor.

All shapes depend on the number of samples alone, which may be more than the signal has: what lies behind it is masked.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sercli.audio import dsp
from sercli.features._telephone import WideBand
from sercli.types import SAMPLE_RATE_HZ
from sercli.whisper.encoder import Encoder


class LogMel(nn.Module):
    """(n,) samples, zero behind the signal -> (T, M) as `whisper_encoder.log_mel`, T = n // hop."""

    basis: Tensor
    filterbank: Tensor

    def __init__(self, n_mels: int, window: int, hop: int, decades: float) -> None:
        super().__init__()
        self.window, self.hop, self.decades = window, hop, decades
        turns = np.outer(np.arange(window), np.arange(window // 2 + 1)) % window * (2 * np.pi / window)
        basis = np.hstack([np.cos(turns), np.sin(turns)]) * dsp.hann(window)[:, None]
        filterbank = dsp.mel_filterbank(SAMPLE_RATE_HZ, window, n_mels, 0.0, None)
        self.register_buffer("basis", torch.from_numpy(basis.astype(np.float32)))
        self.register_buffer("filterbank", torch.from_numpy(filterbank.astype(np.float32)))

    def forward(self, samples: Tensor) -> Tensor:
        """(n,) -> (n // hop, M); both ends of the signal are silent, so that mirroring them adds silence."""
        n_frames = samples.shape[0] // self.hop
        edge = torch.zeros(self.window // 2)
        padded = torch.cat([edge, samples, edge, torch.zeros(self.hop)])
        # A frame is two whole hops and a half, which are joined here: torch's unfold becomes a loop in ONNX.
        hops = padded[: (n_frames + 2) * self.hop].view(n_frames + 2, self.hop)
        frames = torch.cat([hops[:-2], hops[1:-1], hops[2:]], dim=1)[:, : self.window]
        both = frames @ self.basis
        half = self.window // 2 + 1
        power = both[:, :half].square() + both[:, half:].square()
        bands = (power @ self.filterbank).clamp(min=dsp.SILENCE).log10()
        return (torch.maximum(bands, bands.max() - self.decades) + 4) / 4


class WhisperSamples(nn.Module):
    """(n,) levelled samples, () their number -> (1, T, F) features, (1,) frames."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        mels: Sequence[LogMel],
        layers: Sequence[int],
        wide_band: WideBand | None,
        *,
        stride: int,
        sounding: tuple[float, int] | None,
    ) -> None:
        """Build the module from encoders, each with its spectrogram.

        Args:
            encoders: with weights.
            mels: one for each encoder.
            layers: counted from 1.
            wide_band: what maps the states of speech of a narrow band, by the first encoder.
            stride: frames averaged into one.
            sounding: dB below the loudest frame and frames of smoothing, where all frames are pooled into one.
        """
        super().__init__()
        self.encoders, self.mels = nn.ModuleList(encoders), nn.ModuleList(mels)
        self.wide_band = wide_band
        self.layers, self.stride, self.sounding, self.hop = tuple(layers), stride, sounding, mels[0].hop

    def forward(self, samples: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """(n,), () -> (1, T, F), (1,)."""
        n_mel = (length // self.hop)[None]
        n = (n_mel + 1) // 2
        states = []  # for each encoder, for each layer (1, T, E)
        spectrograms = [mel(samples) for mel in self.mels]
        for encoder, spectrogram in zip(self.encoders, spectrograms, strict=True):
            given = encoder(spectrogram[None], n_mel, max(self.layers))
            states.append([given[layer - 1] for layer in self.layers])
        frames = torch.cat([one for layer in zip(*states, strict=True) for one in layer], dim=2)
        if self.wide_band is not None:
            frames = self.wide_band(frames[0], spectrograms[0], n_mel[0])[None]
        real = torch.arange(frames.shape[1]) < n
        frames = frames.masked_fill(~real[None, :, None], 0)
        if self.sounding:
            mean = (frames.sum(1) / n + self._sounding_mean(samples, frames[0], real)) / 2
            return mean[:, None], torch.ones_like(n)
        return self._strided(frames, n), (n + self.stride - 1) // self.stride

    def _strided(self, frames: Tensor, n: Tensor) -> Tensor:
        """(1, T, F), zero behind the n real frames -> (1, ceil(T / stride), F)."""
        n_frames, n_features = frames.shape[1:]
        n_means = (n_frames + self.stride - 1) // self.stride
        padded = torch.cat([frames, torch.zeros(1, self.stride, n_features)], dim=1)[:, : n_means * self.stride]
        counts = (n - torch.arange(n_means) * self.stride).clamp(1, self.stride)
        return padded.view(1, n_means, self.stride, n_features).sum(dim=2) / counts[None, :, None]

    def _sounding_mean(self, samples: Tensor, frames: Tensor, real: Tensor) -> Tensor:
        """(n,), (T, F), (T,) -> (1, F): the mean of the frames that `whisper_encoder.sounding` chooses."""
        assert self.sounding is not None
        below_db, smoothed = self.sounding
        n_frames, step = frames.shape[0], 2 * self.hop
        padded = torch.cat([samples, torch.zeros(step)])[: n_frames * step]
        power = padded.view(n_frames, step).square().mean(dim=1)
        level = nn.functional.avg_pool1d(power[None, None], smoothed, stride=1, padding=smoothed // 2)[0, 0]
        chosen = (level >= level.max() * 10 ** (-below_db / 10)) & real
        return (frames * chosen[:, None]).sum(dim=0, keepdim=True) / chosen.sum()
