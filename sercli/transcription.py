"""The words of utterances, given or recognised, and why a model does not read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sercli import contracts, plugins
from sercli._system import languages
from sercli.audio.segments import Segment
from sercli.errors import AudioError
from sercli.model.inference import Ensemble, Model
from sercli.types import Prediction, Recording, Transcript


@dataclass(frozen=True)
class Transcriber:
    """Finds the words of utterances for a model; `transcribe` is None where no speech is recognised."""

    model: Model | Ensemble
    transcribe: contracts.Transcribe | None

    def check(self, recording: Recording) -> None:
        """Refuse a recording whose words the model needs if it has none.

        Raises:
            AudioError: saying what to do.
        """
        if "text" in self.model.needs and self.transcribe is None and not (recording.text or "").strip():
            raise AudioError(
                f"{self.model.folder} needs text, and there is none for {recording.name or 'the array'}; "
                "give text=... (--text), leave out asr=None (--no-asr), or use an acoustic model."
            )

    def remarks(self, text: str) -> Iterator[str]:
        """Yield a remark on a given text if the model knows less than half of its words."""
        for name, own in self.model.features:
            plugin = plugins.feature(name)
            if isinstance(plugin, contracts.HasVocabulary):
                n_unknown, n = plugin.unknown(text, own)
                if 2 * n_unknown > n:
                    yield f"the model knows {n - n_unknown} of its {n} words, which may be in another language"

    def transcribed(self, spoken: Sequence[tuple[Recording, Segment]]) -> list[Prediction]:
        """Return the predictions of segments without the model's part: times, transcript and reason."""
        signals = [segment.signal for recording, segment in spoken if recording.text is None]
        heard = iter(self.transcribe(signals) if self.transcribe and signals else [None] * len(signals))
        given = (next(heard) if recording.text is None else Transcript(recording.text) for recording, _ in spoken)
        return [self._prediction(*one, words) for one, words in zip(spoken, given, strict=True)]

    def _prediction(self, recording: Recording, segment: Segment, transcript: Transcript | None) -> Prediction:
        heard = transcript if transcript and any(map(str.isalnum, transcript.text)) else None  # "..." are no words
        start_s = segment.start_s
        return Prediction(
            recording.name,
            round(start_s, 3),
            round(segment.end_s, 3),
            text=heard.text.strip() if heard else None,
            words=tuple(
                replace(word, start_s=round(start_s + word.start_s, 3), end_s=round(start_s + word.end_s, 3))
                for word in (heard.words if heard else ())
            ),
            asr_confidence=heard.confidence if heard else None,
            language=heard.language if heard else None,
            speaker=recording.speaker,
            row=recording.row,
            reason=self._reason(heard, given=recording.text is not None),
        )

    def _reason(self, heard: Transcript | None, *, given: bool) -> str | None:
        """Return why the text of an utterance is not read; None: it is read, or the model reads no text.

        Args:
            heard: its words; None: there are none.
            given: whether the caller gave the text.
        """
        if "text" not in self.model.reads:
            return None
        alone, needed = "predicted from audio alone", "text" in self.model.needs
        if heard is None:
            missing = "no words" if given or self.transcribe is None else "no words recognised"
            return missing if needed else f"{missing}: {alone}"
        known = self.model.languages
        if spoken := languages.foreign(heard.language, known):
            what = f"words in {languages.name(spoken)}"
            read = " and ".join(map(languages.name, known))
            return f"{what}, and the model reads {read}" if needed else f"{what}: {alone}"
        if not heard.confidence and needed:
            return "words hardly recognised, perhaps in another language"
        return None
