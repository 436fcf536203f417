"""What an answer may rest on: which moments and which words a network looked at, or cannot do without.

Two ways, and neither says why a network decides as it does; `sercli.model.explanation` says what each one is. An
ensemble's members are explained each by itself, as they answer alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sercli import plugins
from sercli.audio import condition, reading
from sercli.audio.segments import Segment
from sercli.dataset import extraction
from sercli.errors import SerError
from sercli.model.batches import Examples, evaluation_batches
from sercli.model.ensemble import Ensemble
from sercli.model.explanation import Explanation, Kind, Weighing
from sercli.model.feature_provider import FeatureProvider
from sercli.model.inference import Model
from sercli.model.segment_features import SegmentFeatures
from sercli.types import ASR_CONFIDENCE, HUMAN, SAMPLE_RATE_HZ, Array, AudioConfig, Prediction, Utterance, Word

BLANK_S = 0.25
"""About how long a stretch of sound is that is silenced to see what becomes of the answer: a syllable or two."""

_FADE_S = 0.005  # at both ends of such a stretch, lest it begins and ends with a click
_BATCH = 16  # variants of the utterance that go through the network together


def explain(system: Model | Ensemble, prediction: Prediction, path: Path, *, by: Kind | None = None) -> Explanation:
    """Find out what an answer may rest on.

    Args:
        system: that gave the answer.
        prediction: of a clip, or of one utterance of a recording.
        path: the recording.
        by: the way; None: attention from each network that has one, and occlusion from the others.

    Raises:
        SerError: there is no answer to explain, or attention is asked for of a network that has none.
        AudioError: the recording cannot be read any more.
    """
    if not prediction.probabilities:
        raise SerError(f"There is nothing to explain in {prediction.path} ({prediction.reason}).")
    signal = reading.read(path, sample_rate_hz=SAMPLE_RATE_HZ, start_s=prediction.start_s, end_s=prediction.end_s)
    text = (prediction.text or "").strip()
    texts = {HUMAN: text} if text else {}
    attributes = {} if prediction.asr_confidence is None else {ASR_CONFIDENCE: prediction.asr_confidence}
    utterance = Utterance("explained", "", "", audio=str(path), transcripts=texts, attributes=attributes)
    segment = Segment(prediction.start_s, prediction.end_s, signal)
    rows = SegmentFeatures(path, {utterance.id: segment}, str(system.device))
    likeliest = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    question = _Question(utterance, rows, likeliest, len(signal) / SAMPLE_RATE_HZ, by)
    members = {m.info.modality: m for m in (system.members if isinstance(system, Ensemble) else (system,))}
    edges_s, audio = _of_audio(members["acoustic"], question) if "acoustic" in members else (np.zeros(1), None)
    reads = text and "linguistic" in members
    words = question.words if reads else ()
    return Explanation(
        predicted=likeliest,
        probs=_probs(system, prediction),
        signal=signal,
        rate_hz=SAMPLE_RATE_HZ,
        start_s=prediction.start_s,
        audio=audio,
        edges_s=prediction.start_s + edges_s,
        text=_of_text(members["linguistic"], question) if reads else None,
        words=words,
        spans_s=spans(words, prediction.words),
        asr_confidence=prediction.asr_confidence,
    )


def spans(words: Sequence[str], heard: Sequence[Word]) -> tuple[tuple[float, float], ...]:
    """From when to when each word is spoken; a recogniser may have heard one in pieces, or two as one.

    Args:
        words: of a text, as blanks part them.
        heard: the same text with times.

    Returns:
        as many as words; none where it is not the same text.

    >>> spans(["well-known", "one"], [Word("well", 0, 1, 1), Word("-known", 1, 2, 1), Word("one", 2, 3, 1)])
    ((0, 2), (2, 3))
    """
    pieces = [(letters, piece) for piece in heard if (letters := "".join(piece.text.split()))]
    if not words or "".join(letters for letters, _ in pieces) != "".join(words):
        return ()
    ends = np.cumsum([len(word) for word in words])
    found: list[list[Word]] = [[] for _ in words]
    at = 0
    for letters, piece in pieces:
        first, last = np.searchsorted(ends, [at, at + len(letters) - 1], side="right")
        for place in range(first, last + 1):
            found[place].append(piece)
        at += len(letters)
    return tuple((min(piece.start_s for piece in of), max(piece.end_s for piece in of)) for of in found)


@dataclass(frozen=True)
class _Question:
    """What is asked of each member."""

    utterance: Utterance
    rows: SegmentFeatures
    predicted: str
    length_s: float
    by: Kind | None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.utterance.transcripts[HUMAN].split())


def _probs(system: Model | Ensemble, prediction: Prediction) -> dict[str, dict[str, float]]:
    """What each of those said that were asked."""
    if not isinstance(system, Ensemble):
        return {"text" if system.info.modality == "linguistic" else "audio": prediction.probabilities}
    own = {name: probs for name, probs in (("audio", prediction.audio_only), ("text", prediction.text_only)) if probs}
    return {**own, "together": prediction.probabilities} if len(own) > 1 else own


def _of_audio(member: Model, question: _Question) -> tuple[Array, Weighing]:
    """Edges in seconds from the utterance's beginning (n + 1,), and the weights between them (n,)."""
    weights = _attention(member, question)
    if weights is None:
        edges = np.linspace(0, question.length_s, max(1, round(question.length_s / BLANK_S)) + 1)
        return edges, Weighing("occlusion", _falls(member, question, _silenced(question, list(pairwise(edges)))))
    edges = _row_edges(member, question.length_s, len(weights))
    shown = edges[:-1] < question.length_s
    return np.minimum(edges[: shown.sum() + 1], question.length_s), Weighing("attention", weights[shown])


def _of_text(member: Model, question: _Question) -> Weighing:
    """(n,) a weight for each word."""
    plugin = plugins.feature(member.spec.feature)
    weights = _attention(member, question) if isinstance(plugin, plugins.HasWordPlaces) else None
    if weights is None or not isinstance(plugin, plugins.HasWordPlaces):
        return Weighing("occlusion", _falls(member, question, _left_out(question)))
    places = plugin.word_places(question.utterance.transcripts[HUMAN], member.spec.feature_config)
    read = places >= 0
    return Weighing("attention", np.bincount(places[read], weights[read], len(question.words)))


@torch.inference_mode()
def _attention(member: Model, question: _Question) -> Array | None:
    """(T,) how much each row of the feature counts; None where occlusion is to be used.

    Raises:
        SerError: attention is asked for and the network has none.
    """
    if question.by == "occlusion":
        return None
    found: torch.Tensor | None = None
    if isinstance(member.module, plugins.Attends):
        inputs = question.rows([question.utterance], *member.features[0])
        (batch,) = evaluation_batches(Examples((inputs,), (member.normaliser,)), 1, member.device)
        found = member.module.attend(*batch.inputs)[1]
    if found is not None:
        weights: Array = found[0].double().cpu().numpy()
        return weights
    if question.by == "attention":
        raise SerError(f"{member.folder} has no attention; give --explain-by occlusion, or leave it out.")
    return None


def _row_edges(member: Model, length_s: float, n_rows: int) -> Array:
    """Where the rows of a feature begin and the last one ends, in seconds (n_rows + 1,)."""
    plugin = plugins.feature(member.spec.feature)
    if isinstance(plugin, plugins.HasFrameStep):
        own = member.spec.feature_config
        assert isinstance(own, AudioConfig), "only audio has frames of a fixed length"
        edges: Array = np.arange(n_rows + 1) * (plugin.frame_step_s(own) * own.speed)
        return edges
    return np.linspace(0, length_s, n_rows + 1)


@dataclass(frozen=True)
class _Variants:
    """An utterance without one piece or another."""

    utterances: tuple[Utterance, ...]
    rows: FeatureProvider


def _falls(member: Model, question: _Question, variants: _Variants) -> Array:
    """(n,) by how much the probability of the answer falls in each variant."""
    place = member.labels.index(question.predicted)
    whole = member.predict([question.utterance], question.rows).probs[0, place]
    batches = [variants.utterances[n : n + _BATCH] for n in range(0, len(variants.utterances), _BATCH)]
    left = np.concatenate([member.predict(batch, variants.rows).probs[:, place] for batch in batches])
    falls: Array = whole - left
    return falls


def _left_out(question: _Question) -> _Variants:
    """The text without each of its words."""
    words = question.words
    texts = [" ".join((*words[:n], *words[n + 1 :])) for n in range(len(words))]
    return _Variants(tuple(replace(question.utterance, transcripts={HUMAN: text}) for text in texts), question.rows)


def _silenced(question: _Question, stretches: Sequence[tuple[float, float]]) -> _Variants:
    """The sound with silence in each of the stretches; its level is that of the whole."""
    utterances = tuple(replace(question.utterance, id=str(n)) for n in range(len(stretches)))

    def features(asked: Sequence[Utterance], feature: str, config: object) -> list[Array]:
        assert isinstance(config, AudioConfig)
        signal = question.rows.signal(question.utterance.id, config.sample_rate_hz)
        signal = condition.prepare_signal(signal, config)
        rate_hz = config.sample_rate_hz / config.speed  # so many of its samples are a second of the recording
        silenced = [_without(signal, rate_hz, *stretches[int(u.id)]) for u in asked]
        return extraction.extractor(feature, config, question.rows.device)(silenced)

    return _Variants(utterances, features)


def _without(signal: Array, rate_hz: float, start_s: float, end_s: float) -> Array:
    """Silence from start to end, faded in and out around them."""
    times = np.arange(len(signal)) / rate_hz
    gain = np.interp(times, [start_s - _FADE_S, start_s, end_s, end_s + _FADE_S], [1, 0, 0, 1])
    faded: Array = (signal * gain).astype(np.float32)
    return faded
