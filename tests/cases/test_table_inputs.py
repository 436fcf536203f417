"""Tables as people have them: usual names are understood, and what is left out or guessed is said."""

import csv
import unicodedata

import numpy as np
import pytest
import soundfile

from sercli.corpora import table
from sercli.dataset import preparation
from sercli.errors import SerError
from sercli.types import Remark

LABELS = ("neutral", "happiness", "sadness", "anger")


@pytest.fixture
def make(tmp_path):
    """make(head, rows) -> a table beside long.wav, which is 12 s long."""
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 12 * 8_000), 8_000)

    def write(head, rows, name="list.csv"):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows])
        return tmp_path / name

    return write


def read(path):
    found = list(table.read(path))
    remarks = [one for one in found if isinstance(one, Remark)]
    return [one for one in found if not isinstance(one, Remark)], remarks


def stretches(scale=1):
    return [["long.wav", LABELS[n % 4], f"s{n % 3}", n * scale, (n + 1) * scale] for n in range(12)]


@pytest.mark.parametrize(
    "head",
    [
        ["file", "emotion", "speaker", "start", "end"],  # audformat
        ["file_name", "label", "speaker_id", "start_s", "end_s"],  # Hugging Face
        ["File Name", "Emotion", "Speaker-ID", "Start Time", "End"],
    ],
)
def test_usual_names_of_columns_are_understood(make, head):
    utterances, remarks = read(make(head, stretches()))
    assert [(u.audio, u.label, u.speaker, u.start_s, u.end_s) for u in utterances] == [tuple(r) for r in stretches()]
    assert remarks == []


def test_times_as_audformat_writes_them_are_seconds(make):
    row = ["long.wav", "anger", "0 days 00:00:01.500000", "0 days 00:01:02"]
    (utterance,), _ = read(make(["file", "emotion", "start", "end"], [row]))
    assert (utterance.start_s, utterance.end_s) == (1.5, 62.0)


def test_split_and_transcript_are_part_and_text(make):
    row = ["long.wav", "anger", "hello", "dev", "f"]
    (utterance,), _ = read(make(["file_name", "emotion", "transcript", "split", "gender"], [row]))
    assert (utterance.text, utterance.attributes) == ("hello", {"sex": "female", "part": "valid"})


def test_beside_a_columns_own_name_another_one_is_an_attribute(make):
    (utterance,), (remark,) = read(make(["path", "label", "emotion"], [["long.wav", "anger", "rage"]]))
    assert (utterance.label, utterance.attributes) == ("anger", {"emotion": "rage"})
    assert remark.reason == "column 'emotion' is kept as an attribute beside label"


def test_two_columns_of_one_meaning_are_refused(make):
    path = make(["file", "filename", "label"], [["long.wav", "b.wav", "anger"]])
    with pytest.raises(SerError, match="the columns 'file' and 'filename' both mean path; rename one of them"):
        read(path)


@pytest.mark.parametrize(
    ("name", "known"), [("start_ms", "start_s, in seconds"), ("speakers", "speaker"), ("spliit", "part")]
)
def test_an_unknown_column_that_resembles_one_is_named_once(make, name, known):
    _, remarks = read(make(["path", "label", name], [["long.wav", "anger", "1"]]))
    assert [one.reason for one in remarks] == [f"column '{name}' is kept as an attribute; rename it if it is {known}"]


@pytest.mark.parametrize("word", ["nan", "None", "NA", "n/a", "NULL", "<NA>"])
def test_words_for_missing_values_are_no_classes_and_no_speakers(make, word):
    rows = [["long.wav", word, "s1", 0, 1], ["long.wav", "anger", word, 1, 2], ["long.wav", "sadness", "s2", 2, word]]
    utterances, remarks = read(make(["path", "label", "speaker", "start_s", "end_s"], rows))
    assert [(u.label, u.speaker, u.end_s) for u in utterances] == [("anger", None, 2.0), ("sadness", "s2", None)]
    assert [(one.kind, one.reason) for one in remarks] == [
        ("skipped", f"its label is missing ({word})"),
        ("warning", f"its speaker is missing ({word})"),
        ("warning", f"its end_s is missing ({word})"),
    ]


@pytest.mark.parametrize(("typed", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_path_in_other_unicode_letters_is_that_of_the_file(make, tmp_path, typed, there):
    on_disk = unicodedata.normalize(there, "Müller.wav")
    (tmp_path / "long.wav").rename(tmp_path / on_disk)
    path = make(["path", "label"], [[unicodedata.normalize(typed, on_disk), "anger"]])
    assert [u.audio for u in read(path)[0]] == [on_disk]
    assert [one.path for one in table.listed(path)] == [tmp_path / on_disk]


def test_somebody_may_say_none(make):
    (utterance,), remarks = read(make(["path", "label", "text"], [["long.wav", "anger", "None"]]))
    assert (utterance.text, remarks) == ("None", [])


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("Boredom", ["boredom", "BOREDOM"]),
        ("no emotion", ["no_emotion", "No  Emotion", "no-emotion", "no\u00a0emotion"]),
        ("\u00c4rger", ["A\u0308rger"]),
        ("anger", ["an\u200bger", "\u2060anger"]),
        ("+", ["\uff0b"]),
    ],
)
def test_labels_that_look_alike_are_one_class(make, first, others):
    rows = [["long.wav", label, n, n + 1] for n, label in enumerate([first, *others, "sadness"])]
    utterances, remarks = read(make(["path", "label", "start_s", "end_s"], rows))
    assert [u.label for u in utterances] == [first] * (1 + len(others)) + ["sadness"]
    told = f"its label is '{first}' written otherwise, and taken for it"
    assert [one.reason for one in remarks] == [told] * len(others)


def test_a_label_of_the_four_is_written_as_ser_knows_it(make):
    rows = [["long.wav", label, n, n + 1] for n, label in enumerate(("hAppy", "happy", "Sad", "-", "+"))]
    utterances, _ = read(make(["path", "label", "start_s", "end_s"], rows))
    assert [u.label for u in utterances] == ["happy", "happy", "Sad", "-", "+"]


def test_speakers_that_look_alike_are_named(make, tmp_path, no_progress):
    names = ("Jos\u00e9", "Jose\u0301", "a\u200bb", "ab", "Bob")
    path = make(
        ["path", "label", "speaker", "start_s", "end_s"],
        [["long.wav", "sad", s, n, n + 1] for n, s in enumerate(names)],
    )
    found = preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)
    assert found.summary.similar_speakers == (("Jose\u0301", "Jos\u00e9"), ("ab", "a\u200bb"))


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_table_may_have_other_signs_between_its_cells(tmp_path, make, sign):
    make(["path"], [])
    (tmp_path / "t.csv").write_text(sign.join(["path", "label"]) + "\n" + sign.join(["long.wav", "anger"]))
    assert [u.label for u in read(tmp_path / "t.csv")[0]] == ["anger"]


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"path": "a.wav", "label": "anger", "label": "sad"}\n')
    with pytest.raises(SerError, match=r"t\.jsonl:1: not valid JSON \('label' is there 2 times\); write one object"):
        read(tmp_path / "t.jsonl")


@pytest.mark.parametrize(("scale", "n"), [(1000, 11), (8000, 11), (2.5, 7)])
def test_times_in_other_units_than_seconds_stop_the_preparation(make, tmp_path, no_progress, scale, n):
    path = make(["path", "label", "speaker", "start_s", "end_s"], stretches(scale))
    expected = f"in {n} of 11 rows that do not begin at 0; are these milliseconds, or samples"
    with pytest.raises(SerError, match=expected):
        preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)


def test_a_remark_on_a_recording_is_shown_by_prepare_also_the_second_time(make, tmp_path, no_progress):
    voice = np.random.default_rng(0).normal(0, 0.1, 8_000)
    soundfile.write(tmp_path / "both.wav", np.stack([voice, -voice], 1), 8_000)
    path = make(["path", "label"], [["both.wav", "anger"]])
    for _ in range(2):
        made = preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)
        (remark,) = made.summary.remarks
        assert (remark.source, remark.reason) == (
            "both.wav",
            "its channels cancel each other out; channel 1 of 2 is used there",
        )


def test_a_row_of_more_than_an_hour_is_left_out_by_its_length(make, tmp_path, monkeypatch, no_progress):
    monkeypatch.setattr(preparation.scan, "_LONGEST_S", 11.0)
    path = make(["path", "label", "start_s", "end_s"], [["long.wav", "anger", "", ""], ["long.wav", "anger", 0, 10]])
    made = preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)
    assert [u.end_s for u in made.dataset.manifest.utterances] == [10.0]
    (remark,) = made.summary.remarks
    assert remark == Remark("skipped", "long.wav", "longer than an hour; give start_s and end_s of utterances")
