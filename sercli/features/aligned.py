"""The descriptors of `lld` by word: mean and deviation over the time of each token of `words`.

Word-aligned acoustic features are those of Gu et al. 2018, "Hybrid attention based multimodal network".
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from sercli import contracts, plugins
from sercli.contracts import Extractor
from sercli.types import Array, AudioConfig, Positive, PositiveInt, Spoken, WindowS

INPUT = "aligned"
VERSION = 1
DTYPE = "float16"


@dataclass(frozen=True)
class Config(AudioConfig):
    """Frames, and which tokens are read."""

    window_s: WindowS = 0.050  # length of a frame and of its FFT
    hop_s: Positive = 0.025  # from one frame to the next
    max_tokens: PositiveInt = 128  # tokens after this many are ignored, as by `words`

    def __post_init__(self) -> None:
        """Refuse impossible settings before any audio is read."""
        _described(self)


def _described(config: Config) -> contracts.PluginConfig:
    """Return the configuration of `lld`."""
    shared = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "max_tokens"}
    return plugins.feature("lld").Config(**shared)


def make(config: Config, device: str) -> Extractor:
    """Return the extractor, which computes one utterance after the other on the CPU."""
    lld, words = plugins.feature("lld"), plugins.feature("words")
    assert isinstance(words, contracts.HasWordPlaces)
    describe, tokens = lld.make(_described(config), device), words.Config(max_tokens=config.max_tokens)

    def extract(spoken: Sequence[Spoken]) -> list[Array]:
        described = describe([one.signal for one in spoken])
        pairs = zip(described, spoken, strict=True)
        return [by_token(frames, words.word_places(one.text, tokens), one.parts) for frames, one in pairs]

    return extract


def by_token(frames: Array, places: Array, parts: Array) -> Array:
    """Return mean and deviation of the frames (T, F) of each token: (W, 2 F) float32.

    Args:
        frames: of the whole speech.
        places: (W,) of each token's word, whose time all its tokens share; -1: none, which has all frames.
        parts: (words, 2) start and end of each word, as shares of the speech.
    """
    found = []
    for place in places:
        start, end = parts[place] if place >= 0 else (0.0, 1.0)
        first = min(int(start * len(frames)), len(frames) - 1)
        found.append(frames[first : max(first + 1, round(end * len(frames)))])
    return np.stack([np.concatenate([of.mean(axis=0), of.std(axis=0)]) for of in found])
