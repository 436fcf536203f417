"""The features of utterances whose sound is at hand, as a recording is heard piece by piece."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sercli.audio import reading
from sercli.audio.segments import Segment
from sercli.dataset import feature_cache
from sercli.types import Array, Utterance

RATE_HZ = 16_000
"""Of the sound that speech is found in, that words are heard in, and that features are made from."""


class SegmentFeatures:
    """The features of some utterances of one recording, made from their signals: `FeatureProvider` of inference.py."""

    def __init__(self, path: Path | None, segments: Mapping[str, Segment]) -> None:
        self.path, self.segments = path, segments
        self._by_rate: dict[tuple[str, int], Array] = {}

    def __call__(self, utterances: Sequence[Utterance], feature: str, config: Any) -> list[Array]:
        """(T, F) for each."""
        if feature_cache.reads_text(feature):
            return [feature_cache.extract(u, Path(), feature, config) for u in utterances]
        return [
            feature_cache.extract_signal(self.signal(u.id, config.sample_rate_hz), feature, config) for u in utterances
        ]

    def signal(self, utterance_id: str, rate_hz: int) -> Array:
        """(n_samples,) at a feature's rate, made once; above 16 kHz read from the recording, if it is a file."""
        key = (utterance_id, rate_hz)
        if key not in self._by_rate:
            segment = self.segments[utterance_id]
            if rate_hz > RATE_HZ and self.path is not None:
                stretch = {"start_s": segment.start_s, "end_s": segment.end_s}
                self._by_rate[key] = reading.read(self.path, sample_rate_hz=rate_hz, **stretch)
            else:
                self._by_rate[key] = _resampled(segment.signal, rate_hz)
        return self._by_rate[key]


def _resampled(signal: Array, rate_hz: int) -> Array:
    if rate_hz == RATE_HZ:
        return signal
    import soxr

    lowered: Array = soxr.resample(signal, RATE_HZ, rate_hz, quality="HQ").astype(np.float32, copy=False)
    return lowered if len(lowered) else signal[:1]
