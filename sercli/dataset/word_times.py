"""Utterances with the times of their words, for features that read the sound of each word."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sercli.types import ASR_CONFIDENCE, LANGUAGE, WORD_TIMES, Array, Prediction, Spoken, Utterance, Word


def spans(words: Sequence[str], timed: Sequence[Word]) -> tuple[tuple[float, float], ...]:
    """Start and end of each word; a recogniser may have split a word, or joined two.

    Args:
        words: of a text, split at blanks.
        timed: the recognised words of the same text, with times.

    Returns:
        as many as words; none if the text is not the same.

    >>> spans(["well-known", "one"], [Word("well", 0, 1, 1), Word("-known", 1, 2, 1), Word("one", 2, 3, 1)])
    ((0, 2), (2, 3))
    """
    pieces = [(letters, piece) for piece in timed if (letters := "".join(piece.text.split()))]
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


def utterance(name: str, prediction: Prediction, audio: Path | None) -> Utterance:
    """Return the audio and text of a prediction as the utterance that a model reads."""
    text = (prediction.text or "").strip()
    known = {ASR_CONFIDENCE: prediction.asr_confidence, LANGUAGE: prediction.language}
    attributes = {name: value for name, value in known.items() if value is not None}
    attributes |= attribute(text, prediction.words)
    transcripts = {"recognised": text} if text else {}
    return Utterance(name, "", None, audio=str(audio), transcripts=transcripts, attributes=attributes)


def attribute(text: str, timed: Sequence[Word]) -> dict[str, Any]:
    """Return the attribute of an utterance with the times of its words; none if they are not known."""
    found = spans(text.split(), timed)
    return {WORD_TIMES: [list(span) for span in found]} if found else {}


def spoken(utterance: Utterance, signal: Array) -> Spoken:
    """Return an utterance's speech with its words, each with its part of the speech.

    The speech begins with the first word and ends with the last one. Without times, a word is as long as its letters.
    """
    words = (utterance.text or "").split()
    times = utterance.attributes.get(WORD_TIMES)
    if not isinstance(times, list) or len(times) != len(words):
        ends = np.cumsum([0, *map(len, words)], dtype=float)
        times = np.stack([ends[:-1], ends[1:]], axis=1)
    edges = np.array(times, float).reshape(-1, 2)
    start, end = (edges.min(), edges.max()) if len(edges) else (0.0, 1.0)
    parts: Array = (edges - start) / max(end - start, 1e-9)
    return Spoken(signal, " ".join(words), parts)
