import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import soundfile
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from sercli.asr import whisper
from sercli.dataset import transcripts
from sercli.dataset.transcripts import WordErrors, normalised, word_errors
from sercli.errors import ConfigError, SerError
from sercli.types import Transcript, Utterance, Word

RATE_HZ = 16_000
DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture
def heard(monkeypatch):
    """Stands in for Whisper: what it hears is how many hundredths of a second it got, and what it got is noted here."""
    lengths = []

    def transcribe(audio, config):
        assert audio.dtype == np.float32
        lengths.append(len(audio))
        text = f"{len(audio) * 100 // RATE_HZ} with beam {config.beam_size}"
        return Transcript(text, (Word(text, 0.0, 0.1, 0.9),), 0.75, 0.125)

    monkeypatch.setattr(whisper, "make", lambda config, _: lambda signals: [transcribe(s, config) for s in signals])
    return lengths


@pytest.fixture
def corpus(tmp_path):
    """Four recordings of 0.1 to 0.4 s, the last in two stretches, and an utterance without sound."""
    root = tmp_path / "corpus"
    root.mkdir()
    rows = []
    for n in range(1, 5):
        soundfile.write(root / f"{n}.wav", np.full(n * RATE_HZ // 10, 0.1), RATE_HZ)
        rows.append(
            Utterance(
                str(n),
                "table",
                "anger",
                audio=f"{n}.wav",
                digest=f"d{n}",
                duration_s=n / 10,
                transcripts={"human": "x"},
            )
        )
    rows[3:] = [replace(rows[3], id="4a", end_s=0.1), replace(rows[3], id="4b", start_s=0.1)]
    rows.append(Utterance("mute", "table", "anger", transcripts={"human": "nobody heard this"}))
    return SimpleNamespace(root=root, rows=rows, folder=tmp_path / "dataset")


@pytest.fixture
def add(corpus, no_progress):
    """`transcripts.add` of the corpus by Whisper."""

    def run(rows=None, *, jobs=1, progress=no_progress, **settings):
        rows = corpus.rows if rows is None else rows
        config = whisper.Config(**settings)
        return transcripts.add(corpus.folder, corpus.root, rows, "whisper", config, jobs=jobs, progress=progress)

    return run


def lines_of(corpus):
    path = corpus.folder / "transcripts" / "whisper.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_every_utterance_with_sound_is_heard_and_written_down_in_order(corpus, add, heard):
    added = add()
    assert list(added.transcripts) == ["1", "2", "3", "4a", "4b"]
    assert (added.n_new, added.failures, added.outdated) == (5, (), ())
    assert heard == [1600, 3200, 4800, 1600, 4800]
    assert added.transcripts["4b"] == Transcript(
        "30 with beam 1", (Word("30 with beam 1", 0.0, 0.1, 0.9),), 0.75, 0.125
    )
    assert lines_of(corpus)[4] == {
        "id": "4b",
        "digest": "d4",
        "start_s": 0.1,
        "end_s": None,
        "text": "30 with beam 1",
        "confidence": 0.75,
        "no_speech": 0.125,
        "language": None,
        "language_probability": None,
        "words": [{"text": "30 with beam 1", "start_s": 0.0, "end_s": 0.1, "probability": 0.9}],
    }


def test_what_was_heard_is_not_heard_again(corpus, add, heard):
    first = add()
    heard.clear()
    second = add()
    assert heard == []
    assert second.n_new == 0
    assert second.transcripts == first.transcripts


def test_new_utterances_alone_are_heard(corpus, add, heard):
    add(corpus.rows[:2])
    heard.clear()
    assert add().n_new == 3
    assert heard == [4800, 1600, 4800]


@pytest.mark.parametrize("change", [{"digest": "other"}, {"start_s": 0.05}, {"end_s": 0.05}])
def test_words_of_another_sound_are_not_taken_for_an_utterances(corpus, add, heard, change):
    add()
    heard.clear()
    changed = [replace(corpus.rows[0], **change), *corpus.rows[1:]]
    assert set(transcripts.find(corpus.folder, "whisper", changed)) == {"2", "3", "4a", "4b"}
    assert add(changed).n_new == len(heard) == 1
    assert set(transcripts.find(corpus.folder, "whisper", changed)) == {"1", "2", "3", "4a", "4b"}


def test_a_killed_run_goes_on_where_it_was(corpus, add, heard, monkeypatch):
    monkeypatch.setattr(transcripts, "_BLOCK", 2)
    make = whisper.make

    def killed_at_the_third(config, device):
        def transcribe(signals):
            if len(heard) == 2:
                raise KeyboardInterrupt
            return make(config, device)(signals)

        return transcribe

    with monkeypatch.context() as patch:
        patch.setattr(whisper, "make", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            add()
    assert [line["id"] for line in lines_of(corpus)] == ["1", "2"]
    heard.clear()
    assert add().n_new == 3
    assert [line["id"] for line in lines_of(corpus)] == ["1", "2", "3", "4a", "4b"]


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_torn_last_line_is_heard_again(corpus, add, heard, cut):
    whole = add()
    path = corpus.folder / "transcripts" / "whisper.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    heard.clear()
    assert add().transcripts == whole.transcripts
    assert heard == [4800]
    assert path.read_bytes() == content


def test_a_damaged_line_is_heard_again_and_the_others_stay(corpus, add, heard):
    add()
    path = corpus.folder / "transcripts" / "whisper.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"id": \xff}\n', *lines[2:]]))
    heard.clear()
    assert set(add().transcripts) == {"1", "2", "3", "4a", "4b"}
    assert heard == [3200]


def test_other_settings_make_all_anew_and_say_so(corpus, add, heard):
    add()
    heard.clear()
    added = add(beam_size=5)
    assert added.outdated == ("asr.beam_size was 1, now 5",)
    assert len(heard) == len(lines_of(corpus)) == 5
    assert {t.text[-6:] for t in added.transcripts.values()} == {"beam 5"}


def test_how_many_threads_listen_makes_no_difference(corpus, add, heard):
    add()
    heard.clear()
    assert (add(threads=1).outdated, heard) == ((), [])


def test_a_newer_recogniser_makes_all_anew(corpus, add, heard, monkeypatch):
    add()
    monkeypatch.setattr(whisper, "VERSION", whisper.VERSION + 1)
    assert add().n_new == 5


@pytest.mark.parametrize("content", [None, b"", b"[]"])
def test_transcripts_whose_settings_nobody_knows_are_made_anew(corpus, add, heard, content):
    add()
    record = corpus.folder / "transcripts" / "whisper.json"
    record.unlink()
    if content is not None:
        record.write_bytes(content)
    added = add()
    assert (added.n_new, added.outdated) == (5, ("whisper.json does not give them",))


def test_a_recording_that_cannot_be_read_is_named_and_the_rest_goes_on(corpus, add, heard):
    (corpus.root / "2.wav").write_bytes(b"broken")
    added = add()
    assert list(added.transcripts) == ["1", "3", "4a", "4b"]
    assert added.n_new == 4
    assert len(added.failures) == 1
    assert str(corpus.root / "2.wav") in added.failures[0]


def test_without_any_sound_a_recogniser_is_refused(corpus, add):
    with pytest.raises(SerError) as caught:
        add(corpus.rows[-1:])
    assert str(caught.value) == (
        f"{corpus.folder}: no utterance has a recording, and --asr whisper needs some; leave --asr out."
    )
    assert not corpus.folder.exists()


def test_two_at_once_do_not_write_into_each_others_lines(corpus, add, heard):
    folder = corpus.folder / "transcripts"
    folder.mkdir(parents=True)
    holding, done = threading.Event(), threading.Event()

    def other():
        with FileLock(folder / ".whisper.lock"):
            holding.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    holding.wait(10)
    try:
        with pytest.raises(SerError, match=r"transcripts is being written to by another process; wait until it ends"):
            add()
    finally:
        done.set()
        thread.join()
    assert heard == []
    assert add().n_new == 5


def test_several_processes_hear_the_same_as_one_and_report_the_seconds_that_they_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(transcripts, "_BLOCK", 1)
    told = []

    @contextmanager
    def progress(description, total):
        told.append([description, total, 0.0])
        yield lambda seconds: told[-1].append(told[-1].pop() + seconds)

    paths = ["audio/f1-neutral-1.ogg", "audio/gone.ogg", "audio/f1-sadness-1.ogg"]
    rows = [Utterance(path, "demo", "x", audio=path, digest=path, duration_s=2.0) for path in paths]
    found = [
        transcripts.add(tmp_path / str(n), DEMO, rows, "whisper", whisper.Config(), jobs=n, progress=progress)
        for n in (1, 2)
    ]
    assert found[0] == found[1]
    assert list(found[1].transcripts) == [paths[0], paths[2]]
    assert "gone.ogg" in found[1].failures[0]
    assert told == [["Transcribing by whisper", 6.0, 4.0]] * 2


@pytest.mark.parametrize(
    ("engine", "sets", "message"),
    [
        ("whispr", [], "No recogniser called 'whispr'. Did you mean 'whisper'? Available: "),
        ("whisper", ["asr.beam=5"], "No setting called 'asr.beam'. Did you mean 'asr.beam_size'? Available: "),
        ("whisper", ["asr.beam_size=0"], "asr.beam_size=0: must be a whole number >= 1."),
        (None, ["asr.beam_size=5"], "--set asr.… does nothing without --asr; add --asr whisper, or leave it out."),
    ],
)
def test_settings_of_a_recogniser_are_checked(engine, sets, message):
    with pytest.raises(SerError) as caught:
        transcripts.engine_config(engine, sets)
    assert str(caught.value).startswith(message)


def test_settings_of_a_recogniser_are_read(heard):
    config = transcripts.engine_config("whisper", ["asr.beam_size=5", "asr.language=null", "feature.n_mels=20"])
    assert config == whisper.Config(beam_size=5)
    assert transcripts.engine_config(None, ["feature.n_mels=20"]) is None


def test_what_a_recogniser_lacks_is_known_before_any_recording_is_heard(monkeypatch):
    def lacking(config, device):
        raise ConfigError(f"no model for {device}")

    monkeypatch.setattr(whisper, "make", lacking)
    with pytest.raises(ConfigError, match="no model for cpu:0"):
        transcripts.check_engine("whisper", whisper.Config(), device="cpu:0")


def test_a_recogniser_is_loaded_once_and_for_the_device_of_the_command(corpus, no_progress, monkeypatch):
    made = []

    def make(config, device):
        made.append(device)
        return lambda signals: [Transcript("x")] * len(signals)

    monkeypatch.setattr(whisper, "make", make)
    options = {"jobs": 1, "progress": no_progress, "device": "cpu:0"}
    transcripts.add(corpus.folder, corpus.root, corpus.rows, "whisper", whisper.Config(), **options)
    assert made == ["cpu:0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  Kids ARE\ttalking,\nby the door!? ", ["kids", "are", "talking", "by", "the", "door"]),
        ("don’t DON'T 'don`t' dogs' 'tis", ["don't", "don't", "don't", "dogs", "tis"]),
        ("well-known — no…", ["well", "known", "no"]),
        ("5 isn't five, 1,000.50 at 10:30 and 3rd", ["5", "isn't", "five", "1,000.50", "at", "10:30", "and", "3rd"]),
        ("Ünder Straße; żółw", ["ünder", "strasse", "żółw"]),
        ("ﬁne e\u0301te\u0301", ["fine", "été"]),
    ],
)
def test_case_punctuation_and_spelling_of_apostrophes_do_not_count(text, words):
    assert normalised(text) == words


@given(st.text())
def test_normalised_words_stay_as_they_are(text):
    words = normalised(text)
    assert normalised(" ".join(words)) == words


def utterances(**texts):
    return [
        Utterance(name, "x", "anger", transcripts={} if text is None else {"human": text})
        for name, text in texts.items()
    ]


def test_the_word_error_rate_is_over_the_whole_corpus():
    rows = utterances(a="One two three four", b="five", c=None, d="never heard")
    errors = word_errors(rows, {"a": "one, two three four!", "b": "six seven", "c": "what nobody wrote down"})
    assert errors == WordErrors(edits=2, n_words=5)
    assert errors.rate == pytest.approx(0.4)


def test_words_left_out_put_in_and_replaced_count_one_each():
    assert word_errors(utterances(a="a b c d"), {"a": "a x c"}) == WordErrors(2, 4)
    assert word_errors(utterances(a="a b"), {"a": ""}) == WordErrors(2, 2)


def test_markers_are_no_words_that_were_said():
    rows = utterances(a="[LAUGHTER] I know [breathing heavily]", b="[SIGH]")
    assert word_errors(rows, {"a": "I know", "b": ""}) == WordErrors(0, 2)
    assert word_errors(rows, {"a": "I know", "b": "oh no"}) == WordErrors(2, 2)


def test_without_human_words_there_is_no_rate():
    assert word_errors(utterances(a=None), {"a": "x"}) is None
    assert word_errors(utterances(a="x"), {}) is None
    assert word_errors(utterances(a="..."), {"a": "x"}).rate is None
