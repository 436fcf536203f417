"""One recording in, one answer out: what `ser predict` asks a model or an ensemble."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sercli.dataset import audio, cache
from sercli.errors import SerError
from sercli.model.systems import System
from sercli.types import Array, Utterance

WINDOW_S = 10.0  # a recording half as long again, or longer, is answered as stretches of about this length
_SPEECH_RATE_HZ = 16_000  # at which a stretch is looked at for speech


@dataclass(frozen=True)
class Answer:
    """What is said of one recording."""

    path: str
    label: str | None  # None where there is no speech
    confidence: float | None  # probability of the label
    probs: dict[str, float]  # sums to 1; empty where there is no speech
    text: str | None
    reason: str | None = None  # why there is no label, or what the answer leaves out


def answer(system: System, path: Path, text: str | None) -> Answer:
    """Recognise the emotion of one recording.

    A long recording is cut into equal stretches of about 10 s; the answer is the mean over those with speech, and
    memory does not grow with its length.

    Raises:
        AudioError: the recording cannot be read.
        SerError: the model reads words alone, and there are none.
    """
    texts = {"human": text} if text is not None and text.strip() else {}
    whole = Utterance(str(path), "", "", audio=str(path), texts=texts)
    lacking = system.lacks(whole)
    if lacking == "words" and len(system.features) == 1:
        raise SerError(
            f"{system.folder} reads words alone, and there are none for {path}; "
            'add --text "...", or use an acoustic run.'
        )
    rows = []
    for stretch in _stretches(whole, audio.duration_s(path)):
        signals = _Signals(stretch)
        if not audio.is_silent(signals.at(_SPEECH_RATE_HZ)):
            rows.append(system.predict([stretch], signals).probs[0])
    if not rows:
        return Answer(str(path), None, None, {}, text, "no speech")
    probs = np.mean(rows, axis=0)
    named = {label: float(p) for label, p in zip(system.labels, probs, strict=True)}
    label = max(named, key=named.__getitem__)
    reason = "no words: answered from sound alone" if lacking == "words" else None
    return Answer(str(path), label, named[label], named, text, reason)


class _Signals:
    """One stretch's sound, read once at each rate that is asked for, and the features made from it."""

    def __init__(self, stretch: Utterance) -> None:
        self.stretch = stretch
        self._by_rate: dict[int, Array] = {}

    def at(self, rate_hz: int) -> Array:
        """(n_samples,) float32."""
        if rate_hz not in self._by_rate:
            where = Path(self.stretch.audio or "")
            self._by_rate[rate_hz] = audio.read(
                where, sample_rate_hz=rate_hz, start_s=self.stretch.start_s, end_s=self.stretch.end_s
            )
        return self._by_rate[rate_hz]

    def __call__(self, utterances: Sequence[Utterance], feature: str, config: Any) -> list[Array]:
        """Features of the stretch, as `Rows` gives them."""
        if cache.reads_text(feature):
            return [cache.extract(u, Path(), feature, config) for u in utterances]
        return [cache.extract_signal(self.at(config.sample_rate_hz), feature, config) for _ in utterances]


def _stretches(whole: Utterance, duration_s: float) -> Iterator[Utterance]:
    """One after the other: a header that lies about the length must not ask for memory before a read finds out."""
    if duration_s < 1.5 * WINDOW_S:
        yield whole
        return
    n_stretches = round(duration_s / WINDOW_S)
    for n in range(n_stretches):
        start_s, end_s = duration_s * n / n_stretches, duration_s * (n + 1) / n_stretches
        yield replace(whole, id=f"{whole.id}#{n}", start_s=start_s, end_s=end_s)
