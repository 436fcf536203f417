"""Log-mel spectrogram: the power of 64 mel bands in dB, every 10 ms."""

from sercli.audio import dsp
from sercli.contracts import Extractor

INPUT = "audio"
VERSION = 1
DTYPE = "float16"

Config = dsp.MelConfig
extract = dsp.mel_levels


def make(config: Config, _device: str) -> Extractor:
    """Return the extractor, which computes one signal after the other on the CPU."""
    return lambda signals: [extract(signal, config) for signal in signals]
