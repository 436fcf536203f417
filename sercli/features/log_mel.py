"""Log-mel spectrogram: the power of 64 mel bands in dB, every 10 ms."""

from dataclasses import dataclass

from sercli.audio import dsp
from sercli.contracts import Extractor
from sercli.types import Array, AudioConfig, Bands, NonNegative, Positive, WindowS

INPUT = "audio"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames and bands."""

    window_s: WindowS = 0.025  # length of a frame and of its FFT
    hop_s: Positive = 0.010  # from one frame to the next
    n_mels: Bands = 64  # bands (F)
    fmin_hz: NonNegative = 50.0  # lower edge of the first band; below it there is hum, not speech
    fmax_hz: Positive | None = None  # upper edge of the last band; null: half the sample rate

    def __post_init__(self) -> None:
        """Compute the tables now, so that impossible settings are refused before any audio is read."""
        _mel(self)


def _mel(config: Config) -> dsp.MelFrames:
    rate, edges = config.sample_rate_hz, (config.fmin_hz, config.fmax_hz)
    return dsp.mel_frames(rate, config.window_s, config.hop_s, config.n_mels, *edges)


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]


def extract(signal: Array, config: Config) -> Array:
    """Return the power of mel bands of a signal (n_samples,) in dB, (T, n_mels) float32, as `dsp.mel_levels`."""
    return dsp.mel_levels(signal, _mel(config))
