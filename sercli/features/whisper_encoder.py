"""States of Whisper's encoder: 50 frames a second, the chosen layers concatenated.

Several encoders can be combined, such as an English one and a multilingual one.

Early and middle layers carry emotion and transfer best; late layers encode words. A clip is not padded to the 30 s that
speech recognition needs; a longer one is read in windows of at most 30 s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from sercli._system.limits import like_length
from sercli.audio import dsp
from sercli.contracts import Extractor, SeveralExtractor
from sercli.errors import ConfigError
from sercli.types import SAMPLE_RATE_HZ, Array, AudioConfig, PositiveInt

if TYPE_CHECKING:
    from torch import nn

    from sercli.features._telephone import WideBand
    from sercli.whisper.encoder import Encoder

INPUT = "audio"
VERSION = 1
DTYPE = "float16"
USES_DEVICE = True

HOP = 160  # samples from one frame of the spectrogram to the next: 100 frames a second
_WINDOW = 400  # samples in a frame
_BLOCK_SAMPLES = 48_000  # numpy's FFT is fastest with blocks smaller than the default of `dsp.blocks`
_RANGE = 8.0  # dynamic range in decades below the clip's loudest band
_STEP = 2 * HOP  # samples from one state of the encoder to the next
_SOUNDING_DB = 35.0  # frames at most this far below the loudest one count as sound
_SMOOTHED = 5  # frames in the moving average of the level: a tenth of a second
_WINDOW_FRAMES = 3000  # frames of the spectrogram that the encoder reads at once: 30 s
_BATCH_SAMPLES = _WINDOW_FRAMES * HOP  # samples in a padded batch; larger ones are no faster on a CPU

_States = dict[tuple[str | None, int], list[Array]]
"""States (T, E) of each signal, by model and layer."""


@dataclass(frozen=True)
class Config(AudioConfig):
    """Which weights, and which of their layers."""

    # null: Whisper tiny.en, which comes with ser, as do the layers 1 to 4 of `base`; 5 and 6 need the extra
    # `whisper-base`. Else a folder with other weights, or a name on the model hub. With several, `["base", "tiny.en"]`,
    # the states of each layer are side by side.
    model: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=4)] | None = None
    layers: Annotated[tuple[int, ...], Meta(min_length=1)] = (1, 2, 3, 4)  # counted from 1, the one next to the audio
    stride: PositiveInt = 1  # frames averaged into one: 4 gives 12.5 a second and makes training four times as fast
    # One frame for the whole clip: the mean of all frames and the mean of those with sound, half each. Pauses, which
    # differ between corpora, then count less; `stride` has no effect.
    pooled: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        if self.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ConfigError(f"feature.sample_rate_hz={self.sample_rate_hz}: Whisper reads 16000 Hz; leave it out.")
        if min(self.layers) < 1 or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"feature.layers={list(self.layers)}: count layers from 1, and give each once.")
        if isinstance(self.model, tuple) and len(set(self.model)) < len(self.model):
            raise ConfigError(f"feature.model={list(self.model)}: give each encoder once.")

    @property
    def models(self) -> tuple[str | None, ...]:
        """The encoders, one or several."""
        return self.model if isinstance(self.model, tuple) else (self.model,)


def identity(config: Config) -> dict[str, object]:
    """Return what the features depend on; weights by name, since their content is checked when they are loaded."""
    frames = {"pooled": True} if config.pooled else {"stride": config.stride}
    signal = {"level_dbfs": config.level_dbfs, "speed": config.speed, "variant": config.variant}
    telephone = {"telephone": 2} if _is_mapped(config) else {}  # increase it when the map changes, or what it is for
    return {"model": config.model, "layers": config.layers, **signal, **frames, **telephone}


def make(config: Config, device: str) -> Extractor:
    """Return the extractor: the encoders on a device.

    The extractor returns (T, n_layers * E) float32, T = n_samples / 320 / stride, or 1 if pooled; E is 384 for tiny,
    512 for base, and their sum for several.

    Raises:
        SerError: the weights are missing or damaged.
        ConfigError: the weights have fewer layers.
    """
    several = make_several([config], device)
    return lambda signals: several(signals)[0]


def make_several(configs: Sequence[Config], device: str) -> SeveralExtractor:
    """Return an extractor of several configurations that runs each encoder once, as far as any of them needs it.

    Raises:
        SerError: as `make`.
    """
    from sercli.whisper import encoder

    encoders = {model: encoder.placed(one, device) for model, one in _encoders(configs).items()}
    return _Extractor(configs, encoders, [_wide_band(config, encoders) for config in configs], device)


def module(config: Config) -> "nn.Module":
    """Return the feature as a torch module: (n,) levelled samples, () their number -> (1, T, F), (1,).

    Raises:
        SerError: as `make`.
    """
    from sercli.features._whisper_samples import LogMel, WhisperSamples

    encoders = _encoders([config])
    wide_band = _wide_band(config, encoders)
    placed = list(encoders.values())
    mels = [LogMel(encoder.n_mels, _WINDOW, HOP, _RANGE) for encoder in placed]
    sounding = (_SOUNDING_DB, _SMOOTHED) if config.pooled else None
    return WhisperSamples(placed, mels, config.layers, wide_band, stride=config.stride, sounding=sounding)


def _is_mapped(config: Config) -> bool:
    """Whether speech of the telephone's band is heard as if it had its whole band."""
    from sercli.whisper import weights

    return config.model == weights.BASE and max(config.layers) <= weights.BASE_LAYERS


def _wide_band(config: Config, encoders: "Mapping[str | None, Encoder]") -> "WideBand | None":
    from sercli.features import _telephone

    if not _is_mapped(config):
        return None
    return _telephone.load(config.layers, _filterbank(encoders[config.models[0]].n_mels))


def _encoders(configs: Sequence[Config]) -> "dict[str | None, Encoder]":
    """Return the encoders of configurations, by their models, with weights."""
    from sercli.whisper import encoder

    encoders = {}
    for model in dict.fromkeys(chain.from_iterable(config.models for config in configs)):
        layers = max((config.layers for config in configs if model in config.models), key=max)
        loaded = encoder.load(model, max(layers))
        if max(layers) > len(loaded.layers):
            which = model or "Whisper tiny.en"
            raise ConfigError(f"feature.layers={list(layers)}: {which} has {len(loaded.layers)} layers.")
        encoders[model] = loaded
    return encoders


@dataclass(frozen=True)
class _Extractor:
    configs: Sequence[Config]
    encoders: "Mapping[str | None, Encoder]"
    wide_bands: "Sequence[WideBand | None]"  # of each configuration
    device: str

    def __call__(self, signals: Sequence[Array]) -> list[list[Array]]:
        found: list[dict[int, Array]] = [{} for _ in self.configs]
        for places in like_length([len(signal) for signal in signals], _BATCH_SAMPLES):
            for features, computed in zip(found, self._computed([signals[place] for place in places]), strict=True):
                features.update(zip(places, computed, strict=True))
        return [[features[place] for place in range(len(signals))] for features in found]

    def _computed(self, signals: Sequence[Array]) -> Iterator[list[Array]]:
        """Yield for each configuration the features of a few signals, or of one of any length."""
        n_bands = {encoder.n_mels for encoder in self.encoders.values()}
        mels = {n: [log_mel(signal, n) for signal in signals] for n in n_bands}
        is_short = max(len(mel) for mel in mels[min(n_bands)]) <= _WINDOW_FRAMES
        states = self._run(mels, self.configs) if is_short else {}
        for config, wide_band in zip(self.configs, self.wide_bands, strict=True):
            # The states of a long signal need much memory, so that they are computed for one configuration at a time.
            frames = _side_by_side(states, config) if is_short else [self._in_windows(mels, config)]
            if wide_band:
                frames = list(map(partial(_mapped, wide_band), frames, mels[self.encoders[config.models[0]].n_mels]))
            yield [_reduced(one, signal, config) for one, signal in zip(frames, signals, strict=True)]

    def _in_windows(self, mels: dict[int, list[Array]], config: Config) -> Array:
        """(T, n_layers * E) for one spectrogram of any length, by its number of bands."""
        n_frames = len(next(iter(mels.values()))[0])
        windows = np.array_split(np.arange(n_frames), -(-n_frames // _WINDOW_FRAMES))
        n_features = len(config.layers) * sum(self.encoders[model].n_states for model in config.models)
        frames = np.empty((sum((len(window) + 1) // 2 for window in windows), n_features), np.float32)
        start = 0
        for window in windows:
            states = self._run({n: [mel[window]] for n, (mel,) in mels.items()}, [config])
            stop = start + (len(window) + 1) // 2
            (frames[start:stop],) = _side_by_side(states, config)
            start = stop
        return frames

    def _run(self, mels: dict[int, list[Array]], configs: Sequence[Config]) -> "_States":
        """Run each encoder once on B spectrograms of at most 30 s, by their number of bands, in one padded batch.

        Returns:
            for each model and layer that a configuration reads: (T, E) for each spectrogram.
        """
        import torch

        states: _States = {}
        with torch.inference_mode():
            for model, encoder in self.encoders.items():
                layers = {layer for config in configs if model in config.models for layer in config.layers}
                if not layers:
                    continue
                batch = [torch.from_numpy(mel) for mel in mels[encoder.n_mels]]
                lengths = torch.tensor([len(mel) for mel in batch])
                padded = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)  # (B, T, M)
                given = encoder(padded.to(self.device), lengths.to(self.device), max(layers))
                for layer in layers:
                    rows = given[layer - 1].cpu().numpy()  # (B, T, E)
                    states[model, layer] = [row[: (len(mel) + 1) // 2] for row, mel in zip(rows, batch, strict=True)]
        return states


def _side_by_side(states: "_States", config: Config) -> list[Array]:
    """(T, n_layers * E) for each signal: of each layer the states of each encoder."""
    chosen = [states[model, layer] for layer in config.layers for model in config.models]
    found = [np.concatenate(of_signal, axis=1) for of_signal in zip(*chosen, strict=True)]
    # Means differ in the last bit where columns are contiguous, as torch's are; those of a signal alone never were.
    return found if len(found) > 1 else [np.ascontiguousarray(found[0])]


def _mapped(wide_band: "WideBand", frames: Array, mel: Array) -> Array:
    import torch

    found: Array = wide_band(torch.from_numpy(frames), torch.from_numpy(mel), len(mel)).numpy()
    return found


def _reduced(frames: Array, signal: Array, config: Config) -> Array:
    """Return the frames of a signal (T, F), or as many fewer as the configuration says."""
    if config.pooled:
        sound = frames[sounding(signal, len(frames))]
        return ((frames.mean(axis=0) + sound.mean(axis=0)) / 2)[None]
    return dsp.means(frames, config.stride) if config.stride > 1 else frames  # the last one over those that are left


def log_mel(signal: Array, n_mels: int) -> Array:
    """Log-mel spectrogram as Whisper's own code computes it, but without padding to 30 s.

    Args:
        signal: (n_samples,) float32 at 16 kHz.
        n_mels: bands, as the weights need them: 80, or 128 for large-v3.

    Returns:
        (T, n_mels) float32, T = n_samples // 160, at least 1.
    """
    signal = dsp.pad(signal, _WINDOW)
    padded = np.pad(signal, _WINDOW // 2, mode="reflect")
    framed = dsp.frames(padded, _WINDOW, HOP)[: max(1, signal.size // HOP)]
    filterbank = _filterbank(n_mels)
    taper = dsp.hann(_WINDOW)
    bands = np.empty((len(framed), n_mels), np.float32)
    for rows in dsp.blocks(len(framed), _WINDOW, n_samples=_BLOCK_SAMPLES):
        # By numpy and not by `dsp.power`: importing scipy's transform takes longer than one clip.
        level = np.abs(np.fft.rfft(framed[rows] * taper))
        level *= level
        dsp.multiply(level, filterbank, out=bands[rows])
    np.maximum(bands, dsp.SILENCE, out=bands)
    np.log10(bands, out=bands)
    np.maximum(bands, bands.max() - _RANGE, out=bands)
    bands += 4
    bands /= 4
    return bands


def _filterbank(n_mels: int) -> Array:
    return dsp.mel_filterbank(SAMPLE_RATE_HZ, _WINDOW, n_mels, 0.0, None)


def sounding(signal: Array, n_frames: int) -> Array:
    """Return a mask of the encoder's frames that hold sound; at least one does.

    Args:
        signal: (n_samples,) float32 at 16 kHz.
        n_frames: number of frames, 50 a second.

    Returns:
        (n_frames,) bool.
    """
    power = np.zeros(n_frames * _STEP, np.float32)
    kept = signal[: power.size]
    np.square(kept, out=power[: kept.size])
    level = np.convolve(power.reshape(n_frames, _STEP).mean(axis=1), np.ones(_SMOOTHED) / _SMOOTHED)
    level = level[_SMOOTHED // 2 :][:n_frames]  # mode="same" would give at least _SMOOTHED values
    return level >= level.max() * 10 ** (-_SOUNDING_DB / 10)
