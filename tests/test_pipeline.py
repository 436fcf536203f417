import doctest
import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sercli
from sercli import groups, pipeline, plugins
from sercli.audio import segments
from sercli.audio.segments import Segment
from sercli.cli import app
from sercli.dataset import extraction
from sercli.errors import AudioError, SerError
from sercli.features import whisper_encoder
from sercli.model.calibration import temper
from sercli.pipeline import Pipeline
from sercli.types import ASR_CONFIDENCE, Adapted, Predictions, Recording, Transcript, Word

CPU = torch.device("cpu")
RATE_HZ = 16_000
STOP = "stop it now i hate this"


class Loudness:
    """A model that keeps the utterances it is given, and predicts how loud each is against 1."""

    device = "cpu"
    folder = "loudness"
    labels = ("soft", "loud")
    can_adapt = True

    languages = ()
    needs = frozenset()

    def __init__(self, *, rate_hz=RATE_HZ, reads_words=False, members=None):
        self.config = plugins.load("feature", "log-mel").Config(sample_rate_hz=rate_hz)
        words = [("words", plugins.load("feature", "words").Config())] if reads_words else []
        self.features = (("log-mel", self.config), *words)
        self.reads = frozenset({"audio", "text"} if reads_words else {"audio"})
        self.asked, self.members = [], members or {}
        self.lengths = []

    def predict(self, utterances, rows):
        self.asked.append(list(utterances))
        signals = [rows.speech(u.id, self.config.sample_rate_hz)[0] for u in utterances]
        self.lengths += map(len, signals)
        loud = np.array([np.abs(signal).max() for signal in signals])
        ids = tuple(u.id for u in utterances)
        members = {name: np.tile(row, (len(ids), 1)) for name, row in self.members.items()}
        return Predictions(ids, self.labels, np.stack([1 - loud, loud], axis=1), members=members)

    def adapted(self, predictions, change):
        return Predictions(predictions.ids, self.labels, change("", predictions.probs, np.eye(2) - 0.5))


@pytest.fixture(autouse=True)
def speech(monkeypatch):
    """Speech is what is not zero; an utterance ends with each block. What is real about it has tests of its own.

    It gives the pauses that utterances were asked to end with.
    """
    asked_s = []

    def segments(blocks, live, pause_s):
        asked_s.append(pause_s)
        at = 0
        for block in blocks:
            if block.any():
                yield Segment(at / RATE_HZ, (at + len(block)) / RATE_HZ, block)
            at += len(block)

    monkeypatch.setattr(pipeline.isolation, "speech_share", lambda signal: float(signal.any()))
    monkeypatch.setattr(pipeline.segments, "segments", segments)
    monkeypatch.setattr(pipeline, "without_rumble", lambda signal: signal)
    monkeypatch.setattr(extraction, "isolated", lambda signal, sample_rate_hz: (signal, 0.0))
    return asked_s


@pytest.fixture
def recording(tmp_path):
    """recording(levels, seconds) -> path of a WAV with that many seconds of noise at each of the levels."""

    def write(levels, seconds_each, *, rate_hz=RATE_HZ, suffix="wav"):
        rng = np.random.default_rng(0)
        parts = [level * rng.choice([-1.0, 1.0], round(seconds_each * rate_hz)) for level in levels]
        soundfile.write(tmp_path / f"clip.{suffix}", np.concatenate(parts), rate_hz)
        return tmp_path / f"clip.{suffix}"

    return write


@pytest.fixture
def blocks(monkeypatch):
    """blocks(levels, seconds) -> a path whose sound comes in one block for each of the levels."""

    def give(levels, seconds_each):
        def stream(path, *, start_s, end_s, track, remarks):
            for level in levels:
                given.append(level)
                yield np.full(round(seconds_each * RATE_HZ), level, np.float32)

        monkeypatch.setattr(pipeline.reading, "stream", stream)
        return "talk.wav"

    given = give.given = []
    return give


@pytest.fixture
def voices(monkeypatch):
    """Two speakers who take turns."""
    monkeypatch.setattr(pipeline.embedding, "embed", lambda signals, device: np.zeros((len(signals), 4), np.float32))
    monkeypatch.setattr(groups.clustering, "assign", lambda found, lengths_s, n_speakers: np.arange(len(found)) % 2)


@pytest.fixture(scope="session")
def clip(tiny_corpus):
    return tiny_corpus / "audio" / "f1-anger-script.wav"


def _heard(text, confidence=0.8, no_speech=0.1, language=None):
    """A recogniser that hears the same everywhere, its first word from .1 to .3 s."""
    words = (Word(text.split()[0], 0.1, 0.3, confidence),) if text.strip() else ()
    return lambda signals: [Transcript(text, words, confidence, no_speech, language)]


def _reading(system, *languages):
    """The system as if its texts had been in these languages."""
    if system.info.kind == "model":
        return replace(system, info=replace(system.info, languages=languages))
    members = {**system.members, "linguistic": _reading(system.members["linguistic"], *languages)}
    return replace(system, members=members, encoders=members)


def _opened(system, path, *, name=None, text=None, min_confidence=0.0, transcribe=None, **voice):
    recording = Recording(name or str(path), path, text, min_confidence)
    (result,) = Pipeline(system, transcribe, **voice).open([recording])
    if isinstance(result, AudioError):
        raise result
    return result


def _answers(system, path, **options):
    return list(_opened(system, path, **options).predictions)


def _answer(system, path, **options):
    (answer,) = _answers(system, path, **options)
    return answer


def test_a_recording_is_answered_as_the_dataset_would_be(systems, tiny_dataset, rows, clip):
    (utterance,) = [u for u in tiny_dataset.manifest.utterances if u.audio.endswith(clip.name)]
    expected = systems.acoustic.predict([utterance], rows).probs[0]
    given = _answer(systems.acoustic, clip)
    # The dataset keeps log-mel in float16.
    np.testing.assert_allclose(list(given.probabilities.values()), expected, atol=1e-3)
    assert list(given.probabilities) == list(tiny_dataset.info.labels)
    assert given.label == max(given.probabilities, key=given.probabilities.get)
    assert given.confidence == given.probabilities[given.label]
    assert (given.path, given.start_s, given.end_s) == (str(clip), 0.0, 0.6)


@pytest.mark.parametrize(("seconds", "is_clip"), [(15, True), (15.001, False)])
def test_a_recording_of_more_than_15_s_is_no_clip(recording, seconds, is_clip):
    result = _opened(Loudness(), recording([0.5], seconds))
    assert result.is_clip == is_clip
    assert next(answer.label for answer in result.predictions) in Loudness.labels


def test_a_long_recording_has_an_answer_for_each_utterance_with_its_times(blocks):
    path = blocks([0.1, 0.0, 0.9, 0.6], 16)
    found = [(a.start_s, a.end_s, a.label, round(a.confidence, 3)) for a in _answers(Loudness(), path)]
    assert found == [(0, 16, "soft", 0.9), (32, 48, "loud", 0.9), (48, 64, "loud", 0.6)]


def test_the_first_prediction_is_made_at_once_and_later_utterances_are_predicted_eight_at_a_time(blocks):
    system = Loudness()
    answers = _opened(system, blocks([0.5] * 20, 16)).predictions
    first = next(iter(answers))
    assert first.start_s == 0
    assert len(blocks.given) <= 2
    list(answers)
    assert list(map(len, system.asked)) == [1, 2, 4, 8, 5]


def test_a_long_recording_is_adapted_to_as_a_whole(blocks):
    given = list(_opened(Loudness(), blocks([0.6, 0.9] * 3, 16), adapt="auto").predictions)
    assert {one.adapted for one in given} == {Adapted("recording", 6, "auto")}
    assert [one.unadapted["loud"] for one in given] == pytest.approx([0.6, 0.9] * 3)
    assert all(one.probabilities["loud"] < one.unadapted["loud"] for one in given)


def test_clips_and_short_talks_are_predicted_each_by_itself(blocks):
    for seconds, n in ((2, 1), (16, 4)):
        given = list(_opened(Loudness(), blocks([0.6] * n, seconds), adapt="auto").predictions)
        assert [(one.label, one.adapted, one.unadapted) for one in given] == [("loud", None, None)] * n


def test_shorter_pauses_end_an_utterance_where_speakers_are_told_apart(blocks, voices, speech):
    for speakers in ("none", "auto"):
        list(_opened(Loudness(), blocks([0.6, 0.3], 16), speakers=speakers).predictions)
    assert speech == [segments.PAUSE_S, segments.TURN_S]


def test_speakers_are_told_apart_and_adapted_to_one_by_one(blocks, voices):
    given = list(_opened(Loudness(), blocks([0.6, 0.3] * 5, 16), adapt="full", speakers="auto").predictions)
    assert [one.speaker for one in given] == ["A", "B"] * 5
    assert {one.adapted for one in given} == {Adapted("speaker", 5, "full")}
    assert [one.confidence for one in given] == pytest.approx([0.5] * 10)


def test_that_speakers_of_a_clip_are_not_told_apart_is_a_remark(blocks, voices):
    for speakers, told in (("none", False), (2, True)):
        (one,) = _opened(Loudness(), blocks([0.6], 2), speakers=speakers).predictions
        assert ("speakers are told apart only in recordings of more than 15 s" in one.remarks) == told


def test_the_words_of_many_clips_are_recognised_together_and_each_clip_has_its_own(recording, tmp_path):
    def transcribe(signals):
        together.append(len(signals))
        return [Transcript(f"level {abs(signal).max():.2f}", (), 0.8) for signal in signals]

    def opened(recordings):
        results = Pipeline(Loudness(reads_words=True), transcribe).open(recordings)
        return [str(one) if isinstance(one, AudioError) else list(one.predictions) for one in results]

    together, paths = [], [tmp_path / f"{n:02}.wav" for n in range(24)]
    for n, path in enumerate(paths):
        recording([n / 32], 16 if n == 12 else 0.5).rename(path)
    paths[8].write_bytes(b"damaged")
    recordings = [Recording(path.name, path, "given" if path == paths[9] else None) for path in paths]
    batches = list(Pipeline.batches(recordings))
    found = [result for batch in batches for result in opened(batch)]
    assert list(map(len, batches)) == [1, 2, 4, 8, 9]
    # The first is silent, and of the fourth batch one is damaged, one has words, one is too long for a clip
    assert together == [2, 4, 5, 1, 9]
    assert found == [result for one in recordings for result in opened([one])]
    assert [found[n][0].text for n in (1, 9, 12, 23)] == ["level 0.03", "given", "level 0.38", "level 0.72"]
    assert found[8].startswith(f"{paths[8]} cannot be read as audio")


@pytest.mark.parametrize(
    ("long", "sizes"),
    [(Recording("call", Path("call.wav"), start_s=5, end_s=25), [1, 1, 1]), (Recording("word", end_s=1), [1, 2])],
)
def test_a_recording_that_may_be_long_is_the_last_of_its_batch(long, sizes):
    assert [len(batch) for batch in Pipeline.batches([long, long, long])] == sizes


def test_what_was_predicted_before_a_damage_is_given(monkeypatch):
    def stream(path, **stretch):
        for _ in range(16):
            yield np.full(16 * RATE_HZ, 0.6, np.float32)
        raise AudioError("damaged")

    monkeypatch.setattr(pipeline.reading, "stream", stream)
    predictions = iter(_opened(Loudness(), "talk.wav", adapt="auto").predictions)
    assert [next(predictions).adapted.n for _ in range(15)] == [15] * 15
    with pytest.raises(AudioError, match="damaged"):
        next(predictions)


def test_what_is_found_in_a_long_recording_is_told_before_all_is_read(blocks):
    path, told = blocks([0.6] * 10, 16), []
    (whole,) = Pipeline(Loudness(), adapt="auto").open([Recording(path, path)], lambda *heard: told.append(heard))
    assert {one.adapted.n for one in whole.predictions} == {10}
    assert [(seconds, [one.start_s for one in found]) for seconds, found in told] == [
        (16, [0]),
        (32, [16, 32]),
        (64, [48, 64, 80, 96]),
        (48, [112, 128, 144]),
    ]
    assert all(one.adapted is None for _, found in told for one in found)


def test_the_silence_at_the_end_of_a_recording_is_reported_too(recording):
    told = []
    path = recording([0.0], 40)
    (result,) = Pipeline(Loudness()).open([Recording("talk", path)], lambda *heard: told.append(heard))
    list(result.predictions)
    assert told == [(40, [])]


def test_a_recording_is_called_what_it_is_asked_by(blocks):
    result = _opened(Loudness(), blocks([0.5], 1), name="-")
    assert (result.recording.name, *[a.path for a in result.predictions]) == ("-", "-")


@pytest.mark.parametrize("seconds", [2, 40])
def test_without_speech_there_is_one_answer_over_the_whole_length_and_nobody_is_asked(recording, seconds):
    system = Loudness(reads_words=True)
    given = _answer(system, recording([0.0], seconds), transcribe=_heard("you"))
    assert (given.label, given.confidence, given.probabilities, given.text) == (None, None, {}, None)
    assert (given.start_s, given.end_s, given.reason) == (0, seconds, "no speech")
    assert system.asked == []


def test_what_is_heard_goes_to_the_system_with_how_far_it_can_be_trusted(blocks):
    system = Loudness(reads_words=True)
    given = _answer(system, blocks([0.5], 2), transcribe=_heard(" stop it ", confidence=0.7))
    (utterance,) = system.asked[0]
    assert utterance.transcripts == {"recognised": "stop it"}
    assert utterance.attributes == {ASR_CONFIDENCE: 0.7}
    assert (given.text, given.asr_confidence, given.reason) == ("stop it", 0.7, None)


def test_words_have_their_times_in_the_recording(blocks):
    answers = _answers(Loudness(reads_words=True), blocks([0.5, 0.0, 0.5], 16), transcribe=_heard("stop"))
    assert [word for a in answers for word in a.words] == [
        Word("stop", 0.1, 0.3, 0.8),
        Word("stop", 32.1, 32.3, 0.8),
    ]


def test_a_system_that_reads_no_words_has_no_remark_about_them(blocks):
    assert _answer(Loudness(), blocks([0.5], 2)).reason is None


def test_an_answer_below_the_least_confidence_is_unsure_and_keeps_its_probabilities(blocks):
    given = [_answer(Loudness(), blocks([0.6], 1), min_confidence=least) for least in (0.59, 0.61)]
    assert [a.label for a in given] == ["loud", "unsure"]
    assert given[0].probabilities == given[1].probabilities
    assert given[0].confidence == given[1].confidence == pytest.approx(0.6)


def test_an_ensemble_tells_what_sound_alone_and_words_alone_say(blocks):
    members = {"acoustic": [0.3, 0.7], "linguistic": [0.8, 0.2]}
    given = _answer(Loudness(reads_words=True, members=members), blocks([0.5], 1), transcribe=_heard("stop"))
    assert given.members == {"acoustic": {"soft": 0.3, "loud": 0.7}, "linguistic": {"soft": 0.8, "loud": 0.2}}


def test_without_words_there_is_nothing_that_words_alone_say(blocks):
    system = Loudness(reads_words=True, members={"acoustic": [0.3, 0.7], "linguistic": [np.nan, np.nan]})
    given = _answer(system, blocks([0.5], 1))
    assert given.members == {"acoustic": {"soft": 0.3, "loud": 0.7}}


def test_a_feature_of_a_lower_rate_gets_the_sound_resampled(recording):
    system = Loudness(rate_hz=8_000)
    _answer(system, recording([0.5], 2, rate_hz=48_000))
    assert system.lengths == [16_000]


def test_a_feature_of_a_higher_rate_gets_the_sound_of_its_stretch_out_of_the_recording(recording, monkeypatch):
    spoken = [Segment(1.0, 3.5, np.ones(40_000, np.float32))]
    monkeypatch.setattr(pipeline.segments, "segments", lambda blocks, live, pause_s: iter(spoken))
    system = Loudness(rate_hz=44_100)
    given = _answer(system, recording([0.1, 0.7], 10, rate_hz=44_100))
    assert system.lengths == [round(2.5 * 44_100)]
    assert given.confidence == pytest.approx(0.9, abs=1e-3)


def test_forty_seconds_go_through_a_network(systems, recording):
    answers = _answers(systems.average, recording([0.1, 0.3], 20), transcribe=_heard(STOP))
    assert answers[-1].end_s == 40
    for given in answers:
        assert given.label in systems.average.labels
        assert sum(given.probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_a_twentieth_of_a_second_is_enough(systems, recording):
    assert _answer(systems.acoustic, recording([0.3], 0.05)).label in systems.acoustic.labels


@pytest.mark.parametrize("words", [{"text": STOP}, {"transcribe": _heard(STOP)}], ids=["given", "heard"])
def test_an_ensemble_hears_and_reads(words, systems, clip):
    given = _answer(systems.average, clip, **words)
    audio, read = _answer(systems.acoustic, clip), _answer(systems.linguistic, clip, **words)
    assert given.text == STOP
    assert given.reason is None
    mean = np.array([[(audio.probabilities[label] + read.probabilities[label]) / 2 for label in given.probabilities]])
    expected = temper(mean, systems.average.info.temperature)[0]
    assert list(given.probabilities.values()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, "no words: predicted from audio alone"),
        ({"text": "  \n"}, "no words: predicted from audio alone"),
        ({"text": "?! ..."}, "no words: predicted from audio alone"),
        ({"transcribe": _heard("", no_speech=0.9)}, "no words recognised: predicted from audio alone"),
    ],
    ids=["none", "blank", "signs", "not heard"],
)
def test_an_ensemble_without_words_says_that_it_answers_from_sound_alone(words, reason, systems, clip):
    given = _answer(systems.average, clip, **words)
    assert given.reason == reason
    assert (given.words, given.asr_confidence) == ((), None)
    assert given.probabilities == pytest.approx(_answer(systems.acoustic, clip).probabilities, abs=1e-6)


def test_words_in_a_language_that_was_never_learned_are_shown_and_count_nothing(systems, clip):
    given = _answer(_reading(systems.average, "en"), clip, transcribe=_heard(STOP, language="de"))
    assert given.reason == "words in German: predicted from audio alone"
    assert (given.text, given.language, given.asr_confidence, list(given.members)) == (STOP, "de", 0.8, ["acoustic"])
    assert given.probabilities == pytest.approx(_answer(systems.acoustic, clip).probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("learned", "words"),
    [
        (["de", "en"], {"transcribe": _heard(STOP, language="en")}),
        ([], {"transcribe": _heard(STOP, language="de")}),
        (["en"], {"transcribe": _heard(STOP)}),
        (["en"], {"text": STOP}),
    ],
    ids=["one of those learned", "of a run that knows none", "not reported", "given text"],
)
def test_words_are_read_unless_their_language_is_known_to_be_another(learned, words, systems, clip):
    given = _answer(_reading(systems.average, *learned), clip, **words)
    assert given.reason is None
    assert given.probabilities == _answer(systems.average, clip, text=STOP).probabilities


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (_heard(STOP, language="de"), "words in German, and the model reads English and Polish"),
        (_heard(STOP, 0.0, language="en"), "words hardly recognised, perhaps in another language"),
    ],
    ids=["another language", "no confidence"],
)
def test_a_linguistic_run_gives_no_label_to_words_that_it_cannot_read(heard, reason, systems, clip):
    given = _answer(_reading(systems.linguistic, "en", "pl"), clip, transcribe=heard)
    assert (given.label, given.probabilities, given.text, given.reason) == (None, {}, STOP, reason)


def test_other_words_give_other_probabilities(systems, clip):
    said = [
        _answer(systems.linguistic, clip, text=text).probabilities["anger"] for text in ("stop it now", "lovely day")
    ]
    assert said[0] != said[1]


def test_a_linguistic_run_that_hears_no_words_has_no_answer_and_says_why(systems, clip):
    given = _answer(systems.linguistic, clip, transcribe=_heard(""))
    assert (given.label, given.probabilities, given.reason) == (None, {}, "no words recognised")


def test_a_linguistic_run_answers_those_utterances_in_which_it_hears_words(systems, blocks):
    said = iter([STOP, "", STOP])
    answers = _answers(
        systems.linguistic, blocks([0.5] * 3, 16), transcribe=lambda heard: [Transcript(next(said)) for _ in heard]
    )
    assert [a.label is None for a in answers] == [False, True, False]
    assert answers[0].probabilities == pytest.approx(answers[2].probabilities, abs=1e-6)


@pytest.mark.parametrize("text", [None, " "])
def test_a_linguistic_run_without_words_is_refused_with_what_to_do(text, systems, clip):
    with pytest.raises(SerError, match=r"needs text, and there is none for .*\.wav; give text=\.\.\."):
        _opened(systems.linguistic, clip, text=text)


def test_words_for_more_than_a_clip_are_refused(systems, recording):
    with pytest.raises(SerError, match=r"text is for clips up to 15 s; .*clip\.wav is longer\."):
        _opened(systems.average, recording([0.3], 16), text=STOP)
    with pytest.raises(SerError, match="the array is longer"):
        Pipeline(systems.average).predict(np.zeros(16 * 16_000, np.float32), sample_rate_hz=16_000, text=STOP)


def test_a_file_that_is_no_audio_is_refused_by_name(systems, tmp_path):
    (tmp_path / "notes.wav").write_text("these are words")
    with pytest.raises(AudioError, match=r"notes\.wav cannot be read as audio"):
        _opened(systems.acoustic, tmp_path / "notes.wav")


def test_a_header_that_does_not_tell_the_length_asks_for_no_memory(systems, recording):
    path = recording([0.3], 1, suffix="flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: the number of samples, 36 bits, becomes 0 = unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert _answer(systems.acoustic, path).end_s == 1


def test_damage_far_into_a_recording_is_an_error_after_the_answers_before_it(systems, recording):
    path = recording([0.3], 240, suffix="flac")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 5 // 6])
    answers = iter(_opened(systems.acoustic, path).predictions)
    assert next(answers).label in systems.acoustic.labels
    with pytest.raises(AudioError, match=r"clip\.flac is .*truncated"):
        list(answers)


@pytest.fixture(scope="module")
def shipped():
    """The model that ships, from audio alone."""
    return sercli.load(asr=None)


@pytest.fixture(scope="module")
def demo():
    return Path(__file__).parents[1] / "data" / "demo" / "audio"


def _rounded(predictions):
    return [(p.start_s, p.end_s, p.label, {k: round(v, 4) for k, v in p.probabilities.items()}) for p in predictions]


def test_a_folder_a_pattern_and_a_list_are_their_recordings_in_order(shipped, recording, tmp_path):
    recording([0.3], 1).rename(tmp_path / "b.wav")
    recording([0.1], 1).rename(tmp_path / "a.wav")
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    one_by_one = [p for path in paths for p in shipped.predict(path)]
    assert [p.path for p in one_by_one] == list(map(str, paths))
    for source in (tmp_path, str(tmp_path / "*.wav"), paths, [str(path) for path in paths]):
        assert list(shipped.predict(source)) == one_by_one


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_an_array_is_predicted_as_the_file_it_was_read_from(shipped, demo, dtype):
    clip = demo / "f2-anger-5.ogg"
    signal, rate_hz = soundfile.read(clip, dtype=dtype)
    stereo = np.stack([signal, signal], axis=1)
    expected = next(shipped.predict(clip))
    for array in (signal, stereo):
        (found,) = shipped.predict(array, sample_rate_hz=rate_hz)
        assert (found.path, found.label) == ("", expected.label)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)


@pytest.mark.parametrize(
    ("array", "rate_hz", "said"),
    [
        (np.zeros(100, np.float32), None, "give sample_rate_hz"),
        (np.zeros(100, np.float32), 1, "and 1 is none; give sample_rate_hz"),
        (np.zeros((2, 2, 2), np.float32), 16_000, r"shape \(2, 2, 2\)"),
        (np.zeros(100, np.int64), 16_000, "type int64"),
        (np.full(100, np.nan, np.float32), 16_000, "not numbers"),
        (np.zeros(0, np.float32), 16_000, "holds no samples"),
        (np.zeros((2, 16_000), np.float32), 16_000, r"shape \(2, 16000\).*give \(n_samples,\) or \(n_samples, n_ch"),
    ],
    ids=["rate", "1 Hz", "shape", "type", "nan", "empty", "sideways"],
)
def test_an_array_that_is_no_signal_is_refused_with_what_to_give(shipped, array, rate_hz, said):
    with pytest.raises(SerError, match=said):
        list(shipped.predict(array, sample_rate_hz=rate_hz))


def test_arrays_of_other_libraries_are_read(shipped, demo):
    signal, rate_hz = soundfile.read(demo / "f2-anger-5.ogg", dtype="float32")
    (first,), (second,) = (shipped.predict(one, sample_rate_hz=rate_hz) for one in (signal, torch.tensor(signal)))
    assert first == second


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("", {}, "'' is no path"),
        (None, {}, "None is no path; give a recording, a list of them, or an array"),
        ([0.5, 0.1], {"sample_rate_hz": 8_000}, r"0\.5 is no path"),
        ("list.csv", {}, r"list\.csv is a table of recordings; give a list of its paths"),
        ("a.wav", {"sample_rate_hz": 8_000}, "sample_rate_hz is for arrays"),
        ("a.wav", {"min_confidence": 90}, "min_confidence=90: give a number from 0 to 1"),
        ("a.wav", {"min_confidence": float("nan")}, "min_confidence=nan: give"),
        ("a.wav", {"text": ["hello"]}, r"text=\['hello'\]: give one text"),
        ([__file__, __file__], {"text": "hello"}, "text is for a single recording, but there are 2"),
        (np.ma.masked_greater(np.zeros(100, np.float32), -1), {"sample_rate_hz": 8_000}, "The array is masked"),
        (np.zeros(100, np.float32), {"sample_rate_hz": 8_000, "track": 2}, "track is for files; an array has none"),
    ],
)
def test_what_would_be_ignored_is_refused(shipped, source, options, said):
    with pytest.raises(SerError, match=said):
        list(shipped.predict(source, **options))


def test_a_file_that_is_listed_twice_is_predicted_twice(shipped, demo):
    one, other = demo / "f2-anger-5.ogg", demo / "m1-sadness-3.ogg"
    assert [Path(p.path) for p in shipped.predict([one, other, one])] == [one, other, one]


def test_samples_of_the_other_byte_order_are_read(shipped, demo):
    signal, rate_hz = soundfile.read(demo / "f2-anger-5.ogg", dtype="int16")
    (first,), (second,) = (shipped.predict(one, sample_rate_hz=rate_hz) for one in (signal, signal.astype(">i2")))
    assert first == second


def test_a_stream_has_no_speakers():
    with pytest.raises(SerError, match="speakers are told apart in recordings, not in a stream; load with"):
        Pipeline(Loudness(), speakers=2).stream(iter([]), 16_000)


def test_a_stream_gives_each_utterance_before_the_next_one_comes_in():
    given = []

    def blocks():
        for level in (0.1, 0.0, 0.9):
            given.append(level)
            yield np.full(16_000, level, np.float32)

    found = Pipeline(Loudness()).stream(blocks(), 16_000)
    first = next(found)
    assert (first.label, first.start_s, first.end_s, given) == ("soft", 0, 1, [0.1])
    assert [(p.label, p.start_s) for p in found] == [("loud", 2)]


def test_a_stream_at_another_rate_is_resampled():
    blocks = [np.full(4_800, 0.5, np.float32)] * 10
    (*_, last) = Pipeline(Loudness()).stream(iter(blocks), 48_000)
    assert last.end_s == pytest.approx(1, abs=0.01)


def test_a_model_is_named_by_its_folder(runs_made, clip):
    pipeline = sercli.load(runs_made.acoustic)
    assert pipeline.labels == ("neutral", "happiness", "sadness", "anger")
    (found,) = pipeline.predict(clip, min_confidence=1.0)
    assert (found.label, found.text) == ("unsure", None)


def test_a_model_that_does_not_exist_and_a_recogniser_that_does_not_are_refused_by_name(tmp_path):
    with pytest.raises(SerError, match="is not a run directory"):
        sercli.load(tmp_path)
    with pytest.raises(SerError, match="No recogniser called 'wisper'"):
        sercli.load(asr="wisper")
    with pytest.raises(SerError, match=r"asr\.beam_size"):
        sercli.load(asr_settings={"beam": 2})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"adapt": "Full"}, "adapt=Full: give one of none, auto, full."),
        ({"speakers": 0}, "speakers=0: give auto, none, or the number of speakers, such as 2."),
        ({"asr_settings": {"beam_size": 3}}, "asr_settings are those of a recogniser; give asr, or leave them out."),
    ],
)
def test_settings_of_load_that_are_none_are_refused(options, said):
    with pytest.raises(SerError) as caught:
        sercli.load(asr=None, **options)
    assert str(caught.value) == said


@pytest.mark.parametrize("options", [[], ["--no-asr"]], ids=["with words", "audio alone"])
def test_the_command_line_and_the_library_give_the_same(monkeypatch, demo, capsys, options):
    monkeypatch.undo()  # the real speech detector
    clips = [demo / f"{name}.ogg" for name in ("f2-anger-5", "m1-sadness-2")]
    found = list(sercli.load(asr=None if options else "whisper").predict(clips))
    monkeypatch.setattr(sys, "argv", ["ser", "predict", *map(str, clips), "--json", *options])
    with pytest.raises(SystemExit):
        app.main()
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [s["path"] for s in shown] == [p.path for p in found]
    for s, p in zip(shown, found, strict=True):
        assert (s["label"], s["text"], s["start_s"], s["end_s"]) == (p.label, p.text, p.start_s, p.end_s)
        assert s["probs"] == pytest.approx(p.probabilities, abs=1e-6)


def test_importing_sercli_imports_nothing_heavy():
    code = "import sys, sercli; print([name for name in ('torch', 'numpy', 'typer', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert "load" in dir(sercli)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        sercli.lode  # noqa: B018


def test_onnx_runtime_collects_no_data_about_its_use(tmp_path):
    code = "import numpy; from sercli.audio import silero; silero.SpeechDetector().probabilities(numpy.zeros(16_000))"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sercli", "sercli.pipeline", "sercli._system.languages"])
def test_the_examples_of_the_docstrings_run(monkeypatch, name):
    monkeypatch.undo()
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_models_device_reaches_the_extractor_of_its_features(monkeypatch):
    """`cpu:0` is the CPU under a name that nobody takes by default."""
    devices = []
    make = whisper_encoder.make_several
    monkeypatch.setattr(
        whisper_encoder, "make_several", lambda configs, device: devices.append(device) or make(configs, device)
    )
    clip = Path(__file__).parent.parent / "data" / "demo" / "audio" / "m1-anger-1.ogg"
    list(sercli.load(device="cpu:0", asr=None).predict(clip))
    assert devices == ["cpu:0"]
