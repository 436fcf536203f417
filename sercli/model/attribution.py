"""What a prediction may depend on: the moments and words that a network attends to, or that change its prediction.

There are two methods, described in `Weighing`; neither shows why a network decides as it does. The
members of an ensemble are explained one by one, by their own predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from sercli import contracts, plugins
from sercli.audio import condition, reading
from sercli.audio.segments import Segment
from sercli.dataset import extraction, word_times
from sercli.dataset.extraction import SegmentFeatures
from sercli.errors import SerError
from sercli.model.batches import Examples, evaluation_batches
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Ensemble, Model
from sercli.runs.settings import reads
from sercli.types import SAMPLE_RATE_HZ, Array, AudioConfig, Prediction, Utterance

BLANK_S = 0.25
"""Approximate length of the stretches that are silenced one by one: a syllable or two."""

_FADE_S = 0.005  # at both ends of such a stretch, so that it does not begin and end with a click
_BATCH = 16  # variants of the utterance that go through the network together


Kind = Literal["attention", "occlusion"]


@dataclass(frozen=True)
class Weighing:
    """The weight of each piece of one model's input.

    Attention is how a network distributes its attention: weights that sum to 1. High attention does not mean that the
    prediction depends on it (Jain and Wallace 2019, "Attention is not explanation").

    Occlusion is the effect of removing a piece: by how much the probability of the predicted class falls without it,
    below 0 where it rises. The prediction depends on these pieces one by one; occlusion does not show what several
    pieces say alike, or only together.
    """

    kind: Kind
    weights: Array  # (n,) float64
    source: str  # what the model reads: "audio" or "text", with a number where several members read it
    edges_s: Array = field(default_factory=lambda: np.zeros(0))  # (n + 1,) of audio: where its pieces begin and end


@dataclass(frozen=True)
class Explanation:
    """The prediction for one utterance, with the weight of each piece that a model read. Times are the recording's."""

    predicted: str  # the most probable class, whose probability occlusion follows
    # By each source, "together" if there are several, "adapted" if it is; the last is the prediction. Each sums to 1.
    probs: dict[str, dict[str, float]]
    signal: Array  # (n_samples,) of the utterance
    rate_hz: int
    start_s: float  # of the utterance
    audio: tuple[Weighing, ...]  # one for each model that reads audio
    text: tuple[Weighing, ...]  # one for each model that reads text, if there is some
    words: tuple[str, ...]  # (n,) the pieces of the text
    spans_s: tuple[tuple[float, float], ...]  # (n,) start and end of each word; empty where they are unknown
    asr_confidence: float | None  # in [0, 1]; None: the text was given

    @property
    def length_s(self) -> float:
        """Length of the utterance."""
        return len(self.signal) / self.rate_hz


def explain(
    system: Model | Ensemble, prediction: Prediction, path: Path, *, by: Kind | None = None, track: int | None = None
) -> Explanation:
    """The explanation of a prediction.

    Args:
        system: that made the prediction.
        prediction: of a clip, or of one utterance of a recording.
        path: the recording.
        by: the method; None: attention from each network that has it, and occlusion from the others.
        track: of the recording, as it was predicted.

    Raises:
        SerError: there is no prediction to explain, or `by` is "attention" and a network has none.
        AudioError: the recording can no longer be read.
    """
    if not prediction.probabilities:
        raise SerError(f"{prediction.path} has no prediction to explain ({prediction.reason}); give another.")
    start_s, end_s = prediction.start_s, prediction.end_s
    signal = reading.read(path, start_s=start_s, end_s=end_s, track=track)
    utterance = word_times.utterance("explained", prediction, path)
    segment = Segment(start_s, end_s, signal)
    rows = SegmentFeatures(path, {utterance.id: segment}, str(system.device), track=track)
    signal, lead_s = rows.speech(utterance.id, SAMPLE_RATE_HZ)  # what the networks read: the speech alone
    start_s += lead_s
    likeliest = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    question = _Question(utterance, rows, likeliest, len(signal) / SAMPLE_RATE_HZ, by)
    inputs = _inputs(system, utterance)
    audio = (_of_audio(one, question) for one in inputs if one.plugin.INPUT == "audio")
    text_inputs = [one for one in inputs if one.plugin.INPUT == "text"]
    words = question.words if text_inputs else ()
    return Explanation(
        predicted=likeliest,
        probs=_probs(system, prediction),
        signal=signal,
        rate_hz=SAMPLE_RATE_HZ,
        start_s=start_s,
        audio=tuple(replace(weighing, edges_s=start_s + weighing.edges_s) for weighing in audio),
        text=tuple(_of_text(one, question) for one in text_inputs),
        words=words,
        spans_s=word_times.spans(words, prediction.words),
        asr_confidence=prediction.asr_confidence,
    )


@dataclass(frozen=True)
class _Input:
    """An input of a network that is explained."""

    member: Model
    place: int  # among the inputs
    plugin: contracts.Feature
    config: contracts.PluginConfig
    source: str  # "audio" or "text", with a number where several members read it


def _inputs(system: Model | Ensemble, utterance: Utterance) -> list[_Input]:
    """Return the first input of each kind, "audio" and "text", that each network reads and the utterance has."""
    found: dict[tuple[str, str], _Input] = {}
    members = system.members if isinstance(system, Ensemble) else {system.info.modality: system}
    for name, member in members.items():
        inputs = zip(member.missing(utterance), member.features, strict=True)
        for place, (lacking, (feature, own)) in enumerate(inputs):
            if lacking is None and member.lacks(utterance) is None:
                plugin = plugins.feature(feature)
                source = f"{plugin.INPUT} {name.partition('-')[2]}".strip()
                found.setdefault((name, plugin.INPUT), _Input(member, place, plugin, own, source))
    return list(found.values())


@dataclass(frozen=True)
class _Question:
    """The prediction to explain, and how."""

    utterance: Utterance
    rows: SegmentFeatures
    predicted: str
    length_s: float
    by: Kind | None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple((self.utterance.text or "").split())


def _probs(system: Model | Ensemble, prediction: Prediction) -> dict[str, dict[str, float]]:
    """The probabilities of each member that made a prediction, of all together, and adapted to voice and room."""
    own = {reads(name): probs for name, probs in prediction.members.items()}
    if not isinstance(system, Ensemble) and system.info.modality != "both":
        own = {reads(system.info.modality): prediction.unadapted or prediction.probabilities}
    if len(own) != 1:
        own["together"] = prediction.unadapted or prediction.probabilities
    return own | ({"adapted": prediction.probabilities} if prediction.unadapted else {})


def _of_audio(read: _Input, question: _Question) -> Weighing:
    """Return the weights of pieces of audio (n,), with their edges in seconds from the utterance's start (n + 1,)."""
    weights = _attention(read, question)
    if weights is None:
        edges = np.linspace(0, question.length_s, max(1, round(question.length_s / BLANK_S)) + 1)
        falls = _falls_in_silence(read.member, question, list(pairwise(edges)))
        return Weighing("occlusion", falls, read.source, edges)
    edges = _row_edges(read, question.length_s, len(weights))
    shown = edges[:-1] < question.length_s
    return Weighing("attention", weights[shown], read.source, np.minimum(edges[: shown.sum() + 1], question.length_s))


def _of_text(read: _Input, question: _Question) -> Weighing:
    """(n,) a weight for each word: by attention, else what the prediction loses without it."""
    plugin, words = read.plugin, question.words
    if isinstance(plugin, contracts.HasWordPlaces) and (weights := _attention(read, question)) is not None:
        places = plugin.word_places(question.utterance.text or "", read.config)
        kept = places >= 0
        return Weighing("attention", np.bincount(places[kept], weights[kept], len(words)), read.source)
    texts = [" ".join((*words[:n], *words[n + 1 :])) for n in range(len(words))]
    variants = [replace(question.utterance, transcripts={"given": text}) for text in texts]
    return Weighing("occlusion", _falls(read.member, question, variants, question.rows), read.source)


@torch.inference_mode()
def _attention(read: _Input, question: _Question) -> Array | None:
    """(T,) the weight of each frame or token of an input; None where occlusion is to be used.

    Raises:
        SerError: `by` is "attention" and the network has none.
    """
    member = read.member
    if question.by != "occlusion" and isinstance(member.module, contracts.Attends):
        inputs = member.inputs([question.utterance], question.rows)
        (batch,) = evaluation_batches(Examples(inputs, member.normalisers), 1, member.device)
        weights_of = member.module.attend(*batch.inputs)[1]
        found = weights_of[read.place] if isinstance(weights_of, tuple) else weights_of
        if found is not None:
            return found[0].double().cpu().numpy()
    if question.by == "attention":
        raise SerError(f"{member.folder} has no attention; give --explain-by occlusion, or leave it out.")
    return None


def _row_edges(read: _Input, length_s: float, n_rows: int) -> Array:
    """(n_rows + 1,) seconds: the start of each frame, and the end of the last one."""
    plugin = read.plugin
    if isinstance(plugin, contracts.HasFrameStep):
        own = read.config
        assert isinstance(own, AudioConfig), "only audio has frames of a fixed length"
        return np.arange(n_rows + 1) * (plugin.frame_step_s(own) * own.speed)
    return np.linspace(0, length_s, n_rows + 1)


def _falls(member: Model, question: _Question, utterances: Sequence[Utterance], rows: FeatureProvider) -> Array:
    """(n,) by how much the probability of the predicted class falls in each variant of the utterance."""
    place = member.labels.index(question.predicted)
    whole = member.predict([question.utterance], question.rows).probs[0, place]
    batches = [utterances[n : n + _BATCH] for n in range(0, len(utterances), _BATCH)]
    return whole - np.concatenate([member.predict(batch, rows).probs[:, place] for batch in batches])


def _falls_in_silence(member: Model, question: _Question, stretches: Sequence[tuple[float, float]]) -> Array:
    """(n,) the falls when each of the stretches is silenced; the level is that of the whole utterance."""
    variants = [replace(question.utterance, id=str(n)) for n in range(len(stretches))]

    def features(chosen: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        if not isinstance(config, AudioConfig):
            return question.rows(chosen, feature, config)
        signal, _ = question.rows.speech(question.utterance.id, config.sample_rate_hz)
        signal = condition.prepare_signal(signal, config)
        rate_hz = config.sample_rate_hz / config.speed  # samples per second of the recording
        silenced = [_without(signal, rate_hz, *stretches[int(u.id)]) for u in chosen]
        return extraction.extractor(((feature, config),), question.rows.device)(silenced)[0]

    return _falls(member, question, variants, features)


def _without(signal: Array, rate_hz: float, start_s: float, end_s: float) -> Array:
    """Return the signal with silence from start to end, and short fades around it."""
    times = np.arange(len(signal)) / rate_hz
    gain = np.interp(times, [start_s - _FADE_S, start_s, end_s, end_s + _FADE_S], [1, 0, 0, 1])
    return (signal * gain).astype(np.float32)
