"""Features of utterances: audio is read, cut to its speech and levelled, then the extractor gets it in batches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sercli import plugins
from sercli._system import limits
from sercli._system.files import digest
from sercli._system.limits import like_length
from sercli._system.progress import nothing
from sercli.audio.condition import prepare_signal, resample
from sercli.audio.isolation import isolated
from sercli.audio.reading import read
from sercli.audio.segments import Segment
from sercli.audio.variation import varied
from sercli.contracts import Feature, MakesSeveral, PluginConfig, SeveralExtractor
from sercli.dataset import motion, word_times
from sercli.dataset.feature_specs import FeatureSpec, FeatureSpecs
from sercli.errors import SerError
from sercli.types import SAMPLE_RATE_HZ, Array, AudioConfig, Modality, Utterance

_BATCH_S = 60.0  # audio that is in memory at once, longest utterance times their number
_UNKNOWN_S = 30.0  # assumed length of an utterance whose duration nobody measured


def length_s(utterance: Utterance) -> float:
    """Return the duration of an utterance, or a guess where nobody measured it: how much work it is."""
    return utterance.duration_s or _UNKNOWN_S


def needs(feature: str) -> tuple[str, ...]:
    """Return what a feature is computed from, such as "audio"; both audio and text for the sound of each word."""
    kind = plugins.feature(feature).INPUT
    return ("audio", "text") if kind == "aligned" else (kind,)


def reads_text(feature: str) -> bool:
    """Tell whether a feature is computed from text, not from audio alone."""
    return "text" in needs(feature)


def modality(features: Iterable[str]) -> Modality:
    """Return what a model that reads these features is called."""
    modalities: dict[str, Modality] = {"audio": "acoustic", "text": "linguistic", "motion": "motion"}
    kinds = {kind for feature in features for kind in needs(feature)}
    return modalities[kinds.pop()] if len(kinds) == 1 else "both"


def check_inputs(utterances: Sequence[Utterance], *features: str) -> None:
    """Refuse utterances without the audio or text that one of the features is computed from.

    Raises:
        SerError: counts them and names the first.
    """
    for feature in features:
        if lacking := [u for u in utterances if lacks(u, feature)]:
            raise SerError(
                f"{len(lacking)} of {len(utterances)} utterances have no {lacks(lacking[0], feature)}, "
                f"which the feature '{feature}' needs; the first: '{lacking[0].id}'."
            )


def lacks(utterance: Utterance, feature: str) -> str | None:
    """Return `text`, `audio` or `motion` if the utterance lacks what a feature is computed from."""
    return next((kind for kind in needs(feature) if kind not in utterance.inputs), None)


@lru_cache(maxsize=4)
def extractor(specs: tuple[FeatureSpec, ...], device: str) -> SeveralExtractor:
    """Return what computes features of the same inputs; it is kept: loading a network takes as long as much audio."""
    limits.keep_freed()
    configs = {feature: [config for name, config in specs if name == feature] for feature, _ in specs}
    made = {feature: _several(plugins.feature(feature), own, device) for feature, own in configs.items()}

    def compute(inputs: Sequence[Any]) -> list[list[Array]]:
        found = {feature: iter(of_feature(inputs)) for feature, of_feature in made.items()}
        return [next(found[feature]) for feature, _ in specs]

    return compute


def _several(plugin: Feature, configs: Sequence[PluginConfig], device: str) -> SeveralExtractor:
    if isinstance(plugin, MakesSeveral):
        return plugin.make_several(configs, device)
    made = [plugin.make(config, device) for config in configs]
    return lambda inputs: [extract(inputs) for extract in made]


def extract(
    utterances: Sequence[Utterance],
    root: Path,
    specs: FeatureSpecs,
    *,
    device: str = "cpu",
    advance: Callable[[float], None] = nothing,
) -> list[list[Array]]:
    """Compute features of utterances: for each feature, (T, F) for each utterance, in the type that it is stored in.

    Args:
        utterances: with the features' input; computed in batches of like length, returned in this order.
        root: folder that the paths of their audio are relative to.
        specs: features that are computed together, see `feature_specs.shared`.
        device: for the networks of features that have one.
        advance: called with the seconds of audio whose features were computed since the last call.

    Raises:
        SerError: the audio of an utterance cannot be read, or was changed.
    """
    feature, config = specs[0]
    if not isinstance(config, AudioConfig):
        inputs = [u.text if reads_text(feature) else motion.read(root, u) for u in utterances]
        computed = _as_stored(extractor(tuple(specs), device)(inputs), specs)
        advance(sum(map(length_s, utterances)))
        return computed
    found: list[dict[int, Array]] = [{} for _ in specs]
    for places in like_length([length_s(u) for u in utterances], _BATCH_S):
        chosen = [utterances[place] for place in places]
        signals = [_signal(utterance, root, config) for utterance in chosen]
        computed = _as_stored(extract_signals(signals, specs, device=device, utterances=chosen), specs)
        for features, arrays in zip(found, computed, strict=True):
            features.update(zip(places, arrays, strict=True))
        advance(sum(map(length_s, chosen)))
    return [[features[place] for place in range(len(utterances))] for features in found]


def _as_stored(computed: Sequence[Sequence[Array]], specs: FeatureSpecs) -> list[list[Array]]:
    types = [plugins.feature(feature).DTYPE for feature, _ in specs]
    return [[array.astype(dtype) for array in arrays] for arrays, dtype in zip(computed, types, strict=True)]


def extract_signals(
    signals: Sequence[Array], specs: FeatureSpecs, *, device: str = "cpu", utterances: Sequence[Utterance] = ()
) -> list[list[Array]]:
    """Bring isolated signals (n_samples,) to the features' level and compute them: (T, F) float32 each.

    Args:
        signals: at the features' rate.
        specs: features that are computed together.
        device: for their networks.
        utterances: those of the signals, for features that read the sound of each word.
    """
    feature, config = specs[0]
    prepared = [prepare_signal(signal, config) for signal in signals]
    compute = extractor(tuple(specs), device)
    if plugins.feature(feature).INPUT == "aligned":
        return compute([word_times.spoken(u, signal) for u, signal in zip(utterances, prepared, strict=True)])
    return compute(prepared)


@dataclass(frozen=True)
class SegmentFeatures:
    """Computes the features of utterances that are segments of one recording in memory: a `FeatureProvider`."""

    path: Path | None  # of the recording; None: it is not a file
    segments: Mapping[str, Segment]  # by the utterance's id
    device: str
    track: int | None = None
    _speech: dict[tuple[str, int], tuple[Array, float]] = field(default_factory=dict)

    def __call__(self, utterances: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        """(T, F) for each."""
        specs = ((feature, config),)
        if not isinstance(config, AudioConfig):
            (computed,) = extractor(specs, self.device)([u.text for u in utterances])
        else:
            signals = [self.speech(u.id, config.sample_rate_hz)[0] for u in utterances]
            (computed,) = extract_signals(signals, specs, device=self.device, utterances=utterances)
        return computed

    def speech(self, utterance_id: str, rate_hz: int) -> tuple[Array, float]:
        """Return a segment's speech as `isolated`, cached; above 16 kHz it is read from the recording, if a file."""
        key = (utterance_id, rate_hz)
        if key not in self._speech:
            one = self.segments[utterance_id]
            if rate_hz > SAMPLE_RATE_HZ and self.path is not None:
                signal = read(self.path, sample_rate_hz=rate_hz, start_s=one.start_s, end_s=one.end_s, track=self.track)
            else:
                signal = resample(one.signal, SAMPLE_RATE_HZ, rate_hz)
            self._speech[key] = isolated(signal, rate_hz)
        return self._speech[key]


def _signal(utterance: Utterance, root: Path, feature_config: AudioConfig) -> Array:
    assert utterance.audio is not None, "see `check_inputs`"
    rate_hz, path = feature_config.sample_rate_hz, root / utterance.audio
    signal = read(path, sample_rate_hz=rate_hz, start_s=utterance.start_s, end_s=utterance.end_s)
    if utterance.digest not in (None, digest(path)):
        raise SerError(f"{path} was changed after `ser prepare` read it; run `ser prepare` again.")
    if feature_config.variant:
        signal = varied(signal, feature_config.variant, rate_hz)
    return isolated(signal, rate_hz)[0]
