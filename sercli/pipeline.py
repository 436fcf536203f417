"""The Python API: a trained model and a speech recogniser that predict the emotion in recordings.

    import sercli

    pipeline = sercli.load()
    for prediction in pipeline.predict("interview.m4a"):
        print(prediction.start_s, prediction.end_s, prediction.label, prediction.text)

Memory does not grow with the length of a recording.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np

from sercli import config, groups, plugins
from sercli._system import devices
from sercli._system.progress import nothing
from sercli.audio import channels, discovery, isolation, reading, segments
from sercli.audio.condition import distortions, without_rumble
from sercli.audio.segments import Segment
from sercli.contracts import Transcribe
from sercli.dataset import audio_index, word_times
from sercli.dataset.extraction import SegmentFeatures
from sercli.errors import AudioError, SerError
from sercli.model.inference import Ensemble, Model
from sercli.model.loading import load_run
from sercli.speakers import embedding
from sercli.transcription import Transcriber
from sercli.types import NEUTRAL, SAMPLE_RATE_HZ, Array, AudioConfig, Group, Prediction, Recording, Way

T = TypeVar("T")

CLIP_S = 15.0
"""A recording of up to this length is one utterance; a longer one is cut into utterances."""

PRETRAINED = Path(__file__).parent / "pretrained"
"""The run directory of the model that ships, which is used if no other is given."""

Speakers = Literal["auto", "none"] | int

Heard = Callable[[float, Sequence[Prediction]], None]
"""Called with seconds of a recording that were predicted since the last call, and what was found, not yet adapted."""

_BATCH = 8  # utterances of a long recording that go through the network together
_CLIPS = 16  # that are opened before the first is predicted
_SMALL = 4_000_000  # bytes; a larger file may be a long recording

Recordings = str | PathLike[str] | Array | Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class Recogniser:
    """A speech recogniser: the plug-in's name and its Config."""

    name: str
    config: object


@dataclass(frozen=True)
class PipelineConfig:
    """The settings that a pipeline is built from; each worker process builds its own pipeline."""

    model: Path
    device: str = "auto"
    recogniser: Recogniser | None = None  # None: no speech is recognised
    adapt: Way = "auto"  # of long recordings, to each speaker or to the recording
    speakers: Speakers = "none"  # of long recordings: their number, "auto" to find it, "none" not to tell them apart
    neutral: tuple[Path, ...] = ()  # clips of the voice in all recordings, at rest
    group: Group = "recording"  # what is adapted to; other than recordings: by `Pipeline.regrouped`, once all are there


@dataclass(frozen=True)
class RecordingResult:
    """A recording with its predictions: one for a clip, else one for each utterance, in order of time."""

    recording: Recording
    is_clip: bool
    predictions: Iterable[Prediction]  # computed lazily
    # What is left out, guessed or cannot be known, a phrase each; complete once the predictions are read.
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Clips:
    """Clips that are opened together: once the words of one are needed, those of all are recognised."""

    transcriber: Transcriber
    spoken: list[tuple[Recording, Segment]] = field(default_factory=list)

    @cached_property
    def transcribed(self) -> list[Prediction]:
        return self.transcriber.transcribed(self.spoken)


def load(
    model: str | PathLike[str] | None = None,
    device: str = "auto",
    asr: str | None = "whisper",
    *,
    asr_settings: Mapping[str, object] | None = None,
    adapt: Way = "auto",
    speakers: Speakers = "none",
    neutral: Sequence[str | PathLike[str]] = (),
) -> "Pipeline":
    """Return a pipeline: a loaded model with its speech recogniser.

    Args:
        model: a run directory of `ser train` or `ser ensemble`; None: the model that ships.
        device: "auto", "cpu", "cuda", "cuda:1", "mps", ...
        asr: the speech recogniser for models that read text; None: predict from audio alone.
        asr_settings: its settings, such as {"beam_size": 5}.
        adapt: how predictions of a long recording are adapted to each speaker in it: "auto" carefully, "full" where the
            classes are known to be mixed, "none" not at all.
        speakers: their number in each long recording; "auto" finds it, "none" does not tell them apart.
        neutral: clips of the voice in all recordings, speaking without emotion, to adapt to first.

    Raises:
        SerError: the model or the recogniser cannot be used; the message says why and what to do.

    >>> import sercli
    >>> sercli.load(asr=None).labels
    ('neutral', 'happiness', 'sadness', 'anger')
    """
    if adapt not in get_args(Way):
        raise SerError(f"adapt={adapt}: give one of {', '.join(get_args(Way))}.")
    if asr is None and asr_settings:
        raise SerError("asr_settings are those of a recogniser; give asr, or leave them out.")
    chosen = None if asr is None else recogniser(asr, dict(asr_settings or {}))
    folder = model_folder(None if model is None else Path(model))
    clips = [neutral] if isinstance(neutral, str | PathLike) else neutral
    return Pipeline.of(PipelineConfig(folder, device, chosen, adapt, n_speakers(speakers), tuple(map(Path, clips))))


def n_speakers(given: Speakers | str) -> Speakers:
    """Return how many speakers are told apart, which may be a number in text.

    Raises:
        SerError: it is neither a number from 1 up nor auto or none.
    """
    if given in ("auto", "none"):
        return "auto" if given == "auto" else "none"
    if not str(given).isdecimal() or int(given) < 1:
        raise SerError(f"speakers={given}: give auto, none, or the number of speakers, such as 2.")
    return int(given)


def model_folder(given: Path | None) -> Path:
    """Return the given run directory, or that of the model that ships if none is given.

    Raises:
        SerError: none is given, and this copy of ser comes without a model.
    """
    if given is None and not PRETRAINED.is_dir():
        raise SerError(f"No model came with this copy of ser ({PRETRAINED} is missing); give model=... (--model).")
    return given or PRETRAINED


def recogniser(name: str, settings: Mapping[str, object]) -> Recogniser:
    """Return a speech recogniser with its settings, checked without loading its model.

    Raises:
        SerError: there is no recogniser of this name, or a setting is unknown or wrong.
    """
    return Recogniser(name, config.build(plugins.recogniser(name).Config, settings, "asr"))


class Pipeline:
    """A loaded model with its speech recogniser. Make one with `sercli.load`."""

    def __init__(
        self,
        predictor: Model | Ensemble,
        transcribe: Transcribe | None = None,
        *,
        adapt: Way = "none",
        speakers: Speakers = "none",
        resting: Sequence[Prediction] = (),
        group: Group = "recording",
    ) -> None:
        """Build a pipeline from a loaded model and, if the model reads text, a recogniser.

        Args:
            predictor: the model or ensemble.
            transcribe: B signals (n_samples,) at 16 kHz -> B transcripts; None: no speech is recognised.
            adapt: as in `load`.
            speakers: as in `load`.
            resting: predictions for clips of the voice at rest, to adapt to first.
            group: as in `PipelineConfig`.
        """
        self.predictor, self.labels = predictor, predictor.labels  # (K,) in the order of the probabilities
        self._speakers, self._group = speakers, group
        self._transcriber = Transcriber(predictor, transcribe)
        self._adapter = groups.Adapter(predictor, adapt, resting)
        # What every recording lacks
        self._remarks = ["no motion capture: predicted without it"] * ("motion" in predictor.reads)

    @classmethod
    def of(cls, config: PipelineConfig) -> "Pipeline":
        """Return the pipeline that a configuration describes, with its model loaded.

        Raises:
            SerError: the model or the recogniser cannot be used.
        """
        device = devices.pick_device(config.device)
        predictor = load_run(config.model, device)
        if any(isinstance(own, AudioConfig) and own.normalise != "none" for _, own in predictor.features):
            raise SerError(
                f"{config.model} was trained with feature.normalise: it needs the speaker of each utterance "
                "(ser evaluate --data), and cannot predict recordings; give another --model."
            )
        if "motion" in predictor.needs:
            raise SerError(
                f"{config.model} reads motion capture, which recordings do not have: score it with ser evaluate, or "
                "combine it with others (ser ensemble)."
            )
        if config.group != "recording" and not predictor.can_adapt:
            raise SerError(
                f"{config.model} cannot be adapted: it needs an acoustic member and a fusion rule over probabilities; "
                "leave out --group."
            )
        transcribe = None
        if config.recogniser and "text" in predictor.reads:
            transcribe = plugins.recogniser(config.recogniser.name).make(config.recogniser.config, str(device))
        resting = cls(predictor, transcribe).at_rest(config.neutral) if config.neutral else ()
        return cls(
            predictor, transcribe, adapt=config.adapt, speakers=config.speakers, resting=resting, group=config.group
        )

    def predict(
        self,
        source: Recordings,
        *,
        sample_rate_hz: int | None = None,
        text: str | None = None,
        min_confidence: float = 0.0,
        track: int | None = None,
    ) -> Iterator[Prediction]:
        """Return an iterator over the predictions for one or more recordings, in their order, computed lazily.

        Args:
            source: an audio or video file, a folder of them, a pattern such as "calls/*.mp3", a list of these, or an
                array: (n_samples,) or (n_samples, n_channels), floats in [-1, 1] or 16-bit integers.
            sample_rate_hz: sample rate of an array, which needs it; files have their own.
            text: the transcript of a clip, used instead of speech recognition.
            min_confidence: below this probability the label is "unsure".
            track: the sound track of films with several, from 1; None: the one flagged default, else the first with
                speech.

        Yields:
            one prediction for a recording of up to 15 s, else one for each utterance in it.

        Raises:
            AudioError: a recording cannot be found or read.
            SerError: the model reads only text and there is none, or text is given for more than a clip.

        >>> import numpy as np, sercli
        >>> silence = np.zeros(16_000, np.float32)
        >>> [(p.label, p.reason) for p in sercli.load(asr=None).predict(silence, sample_rate_hz=16_000)]
        [(None, 'no speech')]
        """
        _check_options(text, min_confidence)
        if hasattr(source, "__array__"):  # of numpy, and of other libraries
            if track is not None:
                raise SerError("track is for files; an array has none.")
            remarks: list[str] = []
            blocks = _mono([np.asanyarray(source)], sample_rate_hz, remarks)
            recording = Recording("", None, text, min_confidence)
            return iter(self._opened(recording, blocks, remarks, nothing, _Clips(self._transcriber)).predictions)
        given = list(source) if isinstance(source, Iterable) and not isinstance(source, str | PathLike) else [source]
        for one in given:
            if not isinstance(one, str | PathLike) or not str(one):
                raise SerError(f"{one!r:.40} is no path; give a recording, a list of them, or an array.")
            if Path(one).suffix.lower() in plugins.table().ENDINGS:
                raise SerError(f"{one} is a table of recordings; give a list of its paths.")
        if sample_rate_hz is not None:
            raise SerError("sample_rate_hz is for arrays, and files have their own; leave it out.")
        found = [path for one in given for path in discovery.find([Path(one)])]  # a file that is listed twice, twice
        if text is not None and len(found) > 1:
            raise SerError(f"text is for a single recording, but there are {len(found)}; give each with its own.")
        return self._every(Recording(str(path), path, text, min_confidence, track=track) for path in found)

    def stream(
        self, blocks: Iterable[Array], sample_rate_hz: int, *, min_confidence: float = 0.0
    ) -> Iterator[Prediction]:
        """Return an iterator that predicts each utterance of a stream half a second after its end.

        Where predictions are adapted, each is to the last utterances of the stream up to itself (see `groups.LIVE`).
        Speakers are not told apart.

        Args:
            blocks: consecutive pieces of the signal, each an array as in `predict`; their lengths make no
                difference.
            sample_rate_hz: sample rate of the signal.
            min_confidence: below this probability the label is "unsure".

        Raises:
            SerError: the model reads only text, and no speech is recognised; or speakers are to be told apart.
        """
        _check_options(None, min_confidence)
        if self._speakers != "none":
            raise SerError("speakers are told apart in recordings, not in a stream; load with speakers='none'.")
        recording, remarks = Recording("the stream", min_confidence=min_confidence), list(self._remarks)
        self._transcriber.check(recording)
        mono = _mono(blocks, sample_rate_hz, remarks)
        found = self._utterances(recording, mono, nothing, live=remarks)
        if self._adapter.is_of_use:
            found = self._adapter.so_far(found, min_confidence=min_confidence)
        return (replace(prediction, path="", remarks=tuple(remarks)) for prediction in found)

    @staticmethod
    def batches(recordings: Iterable[Recording]) -> Iterator[list[Recording]]:
        """Yield recordings in batches for `open`, the first ones smaller; one that may be long ends its batch."""
        return _growing(recordings, _CLIPS, _may_be_long)

    def open(self, recordings: Iterable[Recording], heard: Heard = nothing) -> list[RecordingResult | AudioError]:
        """Return for each recording, which has a path, its result, or the error of a file that cannot be read.

        Predictions are computed lazily, and the words of all clips together. Damage further into a file is raised while
        the predictions are read.

        Args:
            recordings: to predict; see `batches`.
            heard: called while the predictions are read.

        Raises:
            SerError: as `predict`.
        """
        clips, opened = _Clips(self._transcriber), list[RecordingResult | AudioError]()
        for recording in recordings:
            remarks: list[str] = []
            try:
                opened.append(self._opened(recording, reading.opened(recording, remarks), remarks, heard, clips))
            except AudioError as error:
                opened.append(error)
        return opened

    def results(
        self, recordings: Iterable[Recording], heard: Heard = nothing
    ) -> Generator[RecordingResult | AudioError, None, None]:
        """Yield the result of each recording, or its error, as `open`."""
        for batch in self.batches(recordings):
            yield from self.open(batch, heard)

    def _every(self, recordings: Iterable[Recording]) -> Iterator[Prediction]:
        for result in self.results(recordings):
            if isinstance(result, AudioError):
                raise result
            yield from result.predictions

    def _opened(
        self, recording: Recording, blocks: Iterator[Array], remarks: list[str], heard: Heard, clips: _Clips
    ) -> RecordingResult:
        name, text = recording.name, recording.text
        self._transcriber.check(recording)
        remarks += self._remarks
        if text:
            remarks += self._transcriber.remarks(text)
        head = _head(blocks, round(CLIP_S * SAMPLE_RATE_HZ) + 1)
        is_clip = len(head) <= CLIP_S * SAMPLE_RATE_HZ
        if text is not None and not is_clip:
            raise AudioError(
                f"text is for clips up to {CLIP_S:g} s; {name or 'the array'} is longer. Leave out text (--text)."
            )
        signal = without_rumble(head)  # as the features get it: what is found in it is kept for them
        speaks = bool(isolation.speech_share(signal))
        remarks += (distortions(head) if speaks else []) + isolation.noisy(signal)
        if is_clip:
            if self._speakers != "none" and recording.speaker is None:
                remarks.append(f"speakers are told apart only in recordings of more than {CLIP_S:g} s")
            start_s = recording.start_s or 0.0
            clip = Segment(start_s, start_s + len(signal) / SAMPLE_RATE_HZ, signal)
            place = None
            if speaks:
                place = len(clips.spoken)
                clips.spoken.append((recording, clip))
            found = self._clip(recording, clip, heard, clips, place)
        else:
            found = self._recording(recording, chain([head], blocks), heard)
        remarked = (replace(prediction, remarks=tuple(remarks)) for prediction in found)
        return RecordingResult(recording, is_clip, remarked, remarks)

    def _clip(
        self, recording: Recording, clip: Segment, heard: Heard, clips: _Clips, place: int | None
    ) -> Iterator[Prediction]:
        if place is None:
            found = [_no_speech(recording, clip.end_s)]
        else:
            found = self._predict(recording, [clip], [clips.transcribed[place]])
        heard(clip.end_s - clip.start_s, found)
        yield from found

    def _recording(self, recording: Recording, blocks: Iterable[Array], heard: Heard) -> Iterator[Prediction]:
        """Yield the predictions of a long recording: as it is read, or once it is read as a whole."""
        # (n, E) of each batch of utterances; None where the speaker is known, or speakers are not told apart
        voices: list[Array] | None = [] if self._speakers != "none" and recording.speaker is None else None
        adapts = self._adapter.is_of_use and self._group == "recording"
        if not adapts and voices is None:
            yield from self._utterances(recording, blocks, heard)
            return
        damage: AudioError | None = None
        found: list[Prediction] = []
        try:
            found.extend(self._utterances(recording, blocks, heard, voices))
        except AudioError as error:
            damage = error
        if voices:
            n_speakers = self._speakers if isinstance(self._speakers, int) else None
            found = groups.with_speakers(found, np.concatenate(voices), n_speakers)
        if adapts:
            several = len({one.speaker for one in found}) > 1
            group: Group = "speaker" if several else "recording"
            found = self._adapter.adapted(found, group, min_confidence=recording.min_confidence)
        yield from found
        if damage:
            raise damage

    def _utterances(
        self,
        recording: Recording,
        blocks: Iterable[Array],
        heard: Heard,
        voices: list[Array] | None = None,
        *,
        live: list[str] | None = None,
    ) -> Iterator[Prediction]:
        """Yield the predictions of a recording's utterances as it is read; a list, if given, gets the voices.

        The first batches are smaller, so that the first prediction doesn't wait; those of a live stream are single,
        and a list that it gives gets remarks on its sound.
        """
        counted = segments.Counted(blocks)
        start_s = recording.start_s or 0.0
        pause_s = segments.PAUSE_S if voices is None else segments.TURN_S
        cut = segments.segments(counted, live=live is not None, pause_s=pause_s)
        spoken = (replace(s, start_s=start_s + s.start_s, end_s=start_s + s.end_s) for s in cut)
        done_s = 0.0
        for chosen in _growing(spoken, _BATCH if live is None else 1):
            transcribed = self._transcriber.transcribed([(recording, one) for one in chosen])
            found = self._predict(recording, chosen, transcribed)
            if live is not None:
                live += [remark for remark in chosen[0].distortions if remark not in live]
            if voices is not None:
                voices.append(embedding.embed([one.signal for one in chosen], str(self.predictor.device)))
            heard(chosen[-1].end_s - start_s - done_s, found)
            yield from found
            done_s = chosen[-1].end_s - start_s
        whole_s = counted.n_samples / SAMPLE_RATE_HZ
        if whole_s > done_s:
            heard(whole_s - done_s, [])
        if not done_s:
            yield _no_speech(recording, start_s + whole_s)

    def _predict(self, recording: Recording, spoken: Sequence[Segment], found: list[Prediction]) -> list[Prediction]:
        """Return the transcribed predictions of segments with the model's part, called once for all it can predict."""
        asked = [n for n, one in enumerate(found) if not one.reason or "text" not in self.predictor.needs]
        if asked:
            utterances = [word_times.utterance(f"{recording.path}#{n}", found[n], recording.path) for n in asked]
            by_id = {utterance.id: spoken[n] for utterance, n in zip(utterances, asked, strict=True)}
            features = SegmentFeatures(recording.path, by_id, str(self.predictor.device), recording.track)
            predicted = self.predictor.predict(utterances, features)
            for row, n in enumerate(asked):
                every = {"": predicted.probs, **predicted.members}
                by_label = {
                    name: dict(zip(self.labels, probs[row].tolist(), strict=True))
                    for name, probs in every.items()
                    if not np.isnan(probs[row]).any()  # NaN: the member had no input
                }
                found[n] = replace(found[n].labelled(by_label.pop(""), recording.min_confidence), members=by_label)
        alone = replace(self._adapter, way="none")  # to the clips at rest, if there are any
        return alone.adapted(found, "recording", min_confidence=recording.min_confidence) if alone.resting else found

    def regrouped(self, predictions: Iterable[Prediction], *, min_confidence: float) -> list[Prediction]:
        """Return the predictions of all recordings, each adapted to its group.

        Args:
            predictions: in any order, which stays.
            min_confidence: below this probability the label is "unsure".
        """
        return self._adapter.adapted(predictions, self._group, min_confidence=min_confidence)

    def at_rest(self, clips: Sequence[Path]) -> list[Prediction]:
        """Return the predictions for clips of a voice that are known to be neutral, to adapt to.

        Raises:
            SerError: the model cannot be adapted, has no class neutral, or the clips hold no speech.
        """
        if not self.predictor.can_adapt or NEUTRAL not in self.labels:
            raise SerError(
                f"{self.predictor.folder} cannot be adapted to clips at rest: it needs an acoustic member, a fusion "
                f"rule over probabilities and the class {NEUTRAL}; leave out neutral (--neutral)."
            )
        found = [one for one in self._every(Recording(str(clip), clip) for clip in clips) if one.probabilities]
        if not found:
            raise SerError(f"None of the neutral clips holds speech ({', '.join(map(str, clips))}); give others.")
        return found


def _growing(items: Iterable[T], most: int, ends: Callable[[T], bool] = lambda _: False) -> Iterator[list[T]]:
    """Yield batches of up to `most` items in their order, the first ones smaller, so that nothing waits for them.

    Args:
        items: read no further than to the end of a batch.
        most: items in a batch.
        ends: whether a batch ends with an item, however small it is.

    >>> list(_growing(range(9), 4))
    [[0], [1, 2], [3, 4, 5, 6], [7, 8]]
    """
    batch, n = list[T](), 1
    for item in items:
        batch.append(item)
        if len(batch) == n or ends(item):
            yield batch
            batch, n = [], min(2 * n, most)
    if batch:
        yield batch


def _may_be_long(recording: Recording) -> bool:
    if recording.end_s is not None:
        return recording.end_s - (recording.start_s or 0.0) > CLIP_S
    return audio_index.size_and_time(str(recording.path))[0] > _SMALL


def _check_options(text: object, min_confidence: object) -> None:
    if not isinstance(text, str | None):
        raise SerError(f"text={text!r:.40}: give one text, or None.")
    if not isinstance(min_confidence, Real) or not 0 <= float(min_confidence) <= 1:
        raise SerError(f"min_confidence={min_confidence!r}: give a number from 0 to 1.")


def _mono(pieces: Iterable[Array], rate_hz: int | None, remarks: list[str]) -> Iterator[Array]:
    """Return blocks of one channel at 16 kHz, of consecutive pieces of a signal.

    Raises:
        SerError: the sample rate is missing, or is none.
    """
    if rate_hz is None or rate_hz not in reading.RATES_HZ:
        raise SerError(f"An array has no sample rate, and {rate_hz} is none; give sample_rate_hz, such as 16000.")
    return reading.resampled(channels.mixed(map(channels.of_array, pieces), rate_hz, remarks), rate_hz, SAMPLE_RATE_HZ)


def _head(blocks: Iterator[Array], n_samples: int) -> Array:
    """Return the first blocks joined: at least `n_samples` samples, or all that there are."""
    taken: list[Array] = []
    while sum(map(len, taken)) < n_samples and (block := next(blocks, None)) is not None:
        taken.append(block)
    if not any(map(len, taken)):
        raise AudioError("The array holds no samples (length 0 s); give a signal.")
    return np.concatenate(taken)


def _no_speech(recording: Recording, end_s: float) -> Prediction:
    return Prediction(
        recording.name,
        round(recording.start_s or 0.0, 3),
        round(end_s, 3),
        text=recording.text,
        speaker=recording.speaker,
        reason="no speech",
        row=recording.row,
    )
