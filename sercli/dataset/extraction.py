"""Features of utterances: audio is read, cut to its speech and levelled, then the extractor gets it in batches."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from sercli import plugins
from sercli._system import limits
from sercli._system.batching import like_length
from sercli._system.progress import unseen
from sercli.audio.condition import prepare_signal
from sercli.audio.isolation import isolated
from sercli.audio.reading import read
from sercli.audio.variation import varied
from sercli.dataset import motion, word_times
from sercli.dataset.feature_specs import key
from sercli.errors import SerError
from sercli.plugins import Extractor
from sercli.types import MOTION, Array, AudioConfig, Modality, Utterance

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


def kinds(features: Iterable[str]) -> frozenset[str]:
    """Return the kinds of input, such as "audio", that features are computed from."""
    return frozenset(kind for feature in features for kind in needs(feature))


def shared_kinds(features: Iterable[str]) -> frozenset[str]:
    """Return the kind of input that all of the features are computed from, if there is one."""
    found = kinds(features)
    return found if len(found) == 1 else frozenset()


def modality(features: Iterable[str]) -> Modality:
    """Return what a model that reads these features is called."""
    modalities: dict[str, Modality] = {"audio": "acoustic", "text": "linguistic", "motion": "motion"}
    found = kinds(features)
    return modalities[next(iter(found))] if len(found) == 1 else "both"


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
    there = {"text": utterance.text, "audio": utterance.audio, "motion": utterance.attributes.get(MOTION)}
    return next((kind for kind in needs(feature) if there[kind] is None), None)


def extractor(feature: str, feature_config: object, device: str = "cpu") -> Extractor:
    """Return a feature's extractor; it is kept, since loading a network takes as long as a minute of audio."""
    return _extractor(key(feature, feature_config), feature, feature_config, device)


@lru_cache(maxsize=4)
def _extractor(_key: str, feature: str, feature_config: object, device: str) -> Extractor:
    """Kept by the key too, which changes with the content of files that a feature reads."""
    return plugins.feature(feature).make(feature_config, device)


def extract(
    utterances: Sequence[Utterance],
    root: Path,
    feature: str,
    feature_config: object,
    *,
    device: str = "cpu",
    advance: Callable[[float], None] = unseen,
) -> list[Array]:
    """Compute a feature of utterances from their audio, text or motion capture: (T, F) float32 for each.

    Args:
        utterances: computed in batches of like length, returned in this order.
        root: folder that the paths of their audio are relative to.
        feature: name of the feature.
        feature_config: its Config.
        device: for the network of a feature that has one.
        advance: called with the seconds of audio whose features were computed since the last call.

    Raises:
        SerError: an utterance has no audio or text, or its audio cannot be read.
    """
    if not isinstance(feature_config, AudioConfig):
        text = reads_text(feature)
        inputs = [_text(u, feature) if text else motion.read(root, u) for u in utterances]
        found = extractor(feature, feature_config, device)(inputs)
        advance(sum(map(length_s, utterances)))
        return found
    features: dict[int, Array] = {}
    for places in like_length([length_s(u) for u in utterances], _BATCH_S):
        signals = [_signal(utterances[place], root, feature, feature_config) for place in places]
        chosen = [utterances[place] for place in places]
        computed = extract_signals(signals, feature, feature_config, device=device, utterances=chosen)
        features |= zip(places, computed, strict=True)
        advance(sum(length_s(utterances[place]) for place in places))
    return [features[place] for place in range(len(utterances))]


def extract_signals(
    signals: Sequence[Array],
    feature: str,
    feature_config: AudioConfig,
    *,
    device: str = "cpu",
    utterances: Sequence[Utterance] = (),
) -> list[Array]:
    """Bring isolated signals (n_samples,) at the feature's rate to its level and compute it: (T, F) float32 each.

    A feature that reads the sound of each word also needs their utterances.
    """
    limits.keep_freed()
    prepared = [prepare_signal(signal, feature_config) for signal in signals]
    compute = extractor(feature, feature_config, device)
    if reads_text(feature):
        return compute([word_times.spoken(u, signal) for u, signal in zip(utterances, prepared, strict=True)])
    return compute(prepared)


def _text(utterance: Utterance, feature: str) -> str:
    if utterance.text is None:
        raise SerError(f"'{utterance.id}' has no transcript, which the feature '{feature}' reads.")
    return utterance.text


def _signal(utterance: Utterance, root: Path, feature: str, feature_config: AudioConfig) -> Array:
    if utterance.audio is None:
        raise SerError(f"'{utterance.id}' has no recording, which the feature '{feature}' needs; use its text.")
    rate_hz = feature_config.sample_rate_hz
    signal = read(root / utterance.audio, sample_rate_hz=rate_hz, start_s=utterance.start_s, end_s=utterance.end_s)
    if feature_config.variant:
        signal = varied(signal, feature_config.variant, rate_hz)
    return isolated(signal, rate_hz)[0]
