"""A feature provider for segments of one recording, whose audio is in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sercli.audio import reading
from sercli.audio.condition import resample
from sercli.audio.isolation import isolated
from sercli.audio.segments import Segment
from sercli.dataset import extraction
from sercli.types import SAMPLE_RATE_HZ, Array, AudioConfig, Utterance


class SegmentFeatures:
    """Computes the features of utterances from their segments' signals: a FeatureProvider."""

    def __init__(
        self, path: Path | None, segments: Mapping[str, Segment], device: str = "cpu", *, track: int | None = None
    ) -> None:
        self.path, self.segments, self.device, self.track = path, segments, device, track
        self._by_rate: dict[tuple[str, int], tuple[Array, float]] = {}

    def __call__(self, utterances: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        """(T, F) for each."""
        if not isinstance(config, AudioConfig):
            return extraction.extract(utterances, Path(), feature, config, device=self.device)
        signals = [self.signal(u.id, config.sample_rate_hz) for u in utterances]
        return extraction.extract_signals(signals, feature, config, device=self.device, utterances=utterances)

    def signal(self, utterance_id: str, rate_hz: int) -> Array:
        """Return a segment's speech (n_samples,), cached; above 16 kHz it is read from the recording, if a file."""
        return self._isolated(utterance_id, rate_hz)[0]

    def lead_s(self, utterance_id: str, rate_hz: int) -> float:
        """Return the time from the segment's start to the first sample of `signal`, in seconds; may be below 0."""
        return self._isolated(utterance_id, rate_hz)[1]

    def _isolated(self, utterance_id: str, rate_hz: int) -> tuple[Array, float]:
        key = (utterance_id, rate_hz)
        if key not in self._by_rate:
            self._by_rate[key] = isolated(self._recorded(self.segments[utterance_id], rate_hz), rate_hz)
        return self._by_rate[key]

    def _recorded(self, segment: Segment, rate_hz: int) -> Array:
        if rate_hz > SAMPLE_RATE_HZ and self.path is not None:
            start_s, end_s = segment.start_s, segment.end_s
            return reading.read(self.path, sample_rate_hz=rate_hz, start_s=start_s, end_s=end_s, track=self.track)
        return resample(segment.signal, SAMPLE_RATE_HZ, rate_hz)
