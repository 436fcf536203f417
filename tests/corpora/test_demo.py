from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile

from sercli.corpora import demo
from sercli.errors import SerError
from sercli.types import FOUR, Utterance


@pytest.fixture(scope="module")
def utterances():
    return list(demo.read(demo.default_root()))


def test_there_are_eight_clips_for_each_voice_and_emotion(utterances):
    assert all(isinstance(found, Utterance) for found in utterances)
    counts = Counter((found.speaker, found.label) for found in utterances)
    assert set(counts) == {(speaker, label) for speaker in ("f1", "f2", "f3", "m1", "m2", "m3") for label in FOUR}
    assert set(counts.values()) == {8}


def test_an_utterance_has_all_that_is_known_of_it(utterances):
    first = utterances[0]
    assert (first.id, first.corpus, first.speaker, first.session) == ("f1-neutral-1", "demo", "f1", None)
    assert first.audio == "audio/f1-neutral-1.ogg"
    assert first.attributes == {"sex": "female"}
    assert first.transcripts["human"].endswith(".")


def test_ids_differ(utterances):
    assert len({found.id for found in utterances}) == 192


def test_utterances_of_one_prompt_share_their_words(utterances):
    pairs = {(found.prompt, found.transcripts["human"]) for found in utterances}
    assert len(pairs) == len({prompt for prompt, _ in pairs})


def test_no_speaker_says_a_sentence_twice(utterances):
    assert len({(found.speaker, found.prompt) for found in utterances}) == len(utterances)


def test_twelve_sentences_are_said_once_with_each_emotion_so_that_words_alone_cannot_be_perfect(utterances):
    labels = defaultdict(list)
    for found in utterances:
        labels[found.prompt].append(found.label)
    ambiguous = [said for said in labels.values() if len(set(said)) > 1]
    assert len(ambiguous) == 12
    assert all(sorted(said) == sorted(FOUR) for said in ambiguous)


def test_every_clip_is_16_khz_mono_speech_of_a_few_seconds(utterances):
    for found in utterances:
        samples, rate_hz = soundfile.read(demo.default_root() / found.audio)
        assert (rate_hz, samples.ndim) == (16_000, 1)
        assert 1.5 <= len(samples) / rate_hz <= 3.5
        assert np.sqrt(np.mean(samples**2)) > 0.008
        assert np.abs(samples).max() < 0.99


def test_the_corpus_is_small_and_says_that_it_is_synthetic():
    files = [path for path in demo.default_root().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert "synthetic speech made with espeak-ng" in (demo.default_root() / "README").read_text(encoding="utf-8")


def test_labels_are_the_four_classes():
    assert {demo.LABELS[label] for label in FOUR} == set(FOUR)


def test_the_copy_in_the_installed_package_comes_first(tmp_path, monkeypatch):
    (tmp_path / "demo.csv").touch()
    monkeypatch.setattr(demo, "_INSTALLED", tmp_path)
    assert demo.default_root() == tmp_path


def test_a_package_without_the_corpus_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_INSTALLED", tmp_path / "a")
    monkeypatch.setattr(demo, "_CHECKOUT", tmp_path / "b")
    with pytest.raises(SerError, match=r"The demo corpus is neither in .*a nor in .*b; install ser again"):
        demo.default_root()


def test_a_folder_without_the_table_is_refused(tmp_path):
    with pytest.raises(SerError, match=r"is not the demo corpus: it has no demo\.csv\. Leave out ROOT"):
        list(demo.read(tmp_path))


def test_a_missing_clip_is_named_with_its_line(tmp_path):
    table = "path,label,speaker,session,prompt,text,sex\naudio/gone.ogg,anger,f1,,p,Go!,female\n"
    (tmp_path / "demo.csv").write_text(table, encoding="utf-8")
    with pytest.raises(SerError, match=r"demo\.csv:2: path 'audio/gone\.ogg' is not a file"):
        list(demo.read(tmp_path))


def test_a_clip_of_a_name_that_no_file_can_have_is_not_there(tmp_path):
    table = f"path,label,speaker,session,prompt,text,sex\n{'a' * 5000},anger,f1,,p,Go!,female\n"
    (tmp_path / "demo.csv").write_text(table, encoding="utf-8")
    with pytest.raises(SerError, match=r"demo\.csv:2: path 'a{57}\.\.\.' is not a file"):
        list(demo.read(tmp_path))


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "demo.csv").write_text("path,label,speaker\na.ogg,anger,f1\n", encoding="utf-8")
    with pytest.raises(SerError, match=r"demo\.csv:1: No column called 'prompt'"):
        list(demo.read(tmp_path))
