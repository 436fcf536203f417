"""Answers that were wrong, or could be, without a word: each is told now, or refused."""

import csv

import numpy as np
import pytest
import soundfile

from sercli.audio import reading
from sercli.cli import sources
from sercli.corpora import table
from sercli.dataset import label_sets, preparation
from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import make_split
from sercli.errors import SerError
from sercli.training.setup import make_setup
from sercli.types import Recording, Remark, Utterance

RATE_HZ = 8_000
LABELS = ("neutral", "anger")


@pytest.fixture
def write(tmp_path):
    """write(name, rows) -> a table in a folder with a.wav and b.wav, two different sounds of 2 s."""
    for seed, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(tmp_path / name, np.random.default_rng(seed).normal(0, 0.1, 2 * RATE_HZ), RATE_HZ)

    def call(name, *rows):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return tmp_path / name

    return call


def recordings(folder, **about):
    return [Recording(name, folder / name, **about) for name in ("a.wav", "b.wav")]


def test_official_parts_that_share_speakers_are_leaky():
    parts = ("train", "valid", "test") * 2
    rows = [Utterance(str(n), "x", LABELS[n // 3], "ann", attributes={"part": part}) for n, part in enumerate(parts)]
    assert make_split(make_manifest(rows, LABELS), "official").leaky
    apart = [Utterance(u.id, "x", u.label, u.attributes["part"], attributes=u.attributes) for u in rows]
    assert not make_split(make_manifest(apart, LABELS), "official").leaky


def test_a_label_called_unsure_is_refused_because_predictions_use_the_word():
    rows = [Utterance("1", "x", "unsure"), Utterance("2", "x", "anger")]
    with pytest.raises(SerError, match="which `ser predict` keeps for what is below --min-confidence; rename it, or"):
        label_sets.choose(rows, {}, "native")
    assert label_sets.choose(rows, {}, "other=unsure")[1] == ("anger", "other")


def test_a_sound_with_two_labels_is_named(write, tmp_path, no_progress):
    path = write("t.csv", ["path", "label", "id"], ["a.wav", "anger", "1"], ["a.wav", "neutral", "2"])
    made = preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)
    (remark,) = made.summary.remarks
    assert (remark.source, remark.reason) == (
        "1 = 2",
        "the same sound, or one that overlaps by more than half, has another label",
    )


def test_one_class_is_not_trained_to_a_perfect_score(write, tmp_path, no_progress):
    path = write("t.csv", ["path", "label", "speaker"], ["a.wav", "anger", "1"], ["b.wav", "anger", "2"])
    made = preparation.prepare("table", path, tmp_path / "out", label_set="four", progress=no_progress)
    preparation.finish(made, [], jobs=1, progress=no_progress)
    options = {"words": "human", "split": None, "n_folds": None, "fold": 1, "seed": 0}
    with pytest.raises(SerError, match=r"All utterances of .* are anger; train on a dataset with more classes\."):
        make_setup("acoustic-lld", None, None, tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("columns", "cells", "reason"),
    [
        (["start_s", "duration"], ["0.5", "1"], "column 'duration' is not read; give end_s in its place"),
        (["speker"], ["ann"], "column 'speker' is kept as an attribute; rename it if it is speaker"),
        (["start_s", "end_s", "duration"], ["0.5", "1", "0.5"], None),
    ],
)
def test_columns_of_a_list_that_may_be_meant_are_named(write, columns, cells, reason):
    found = list(table.listed(write("t.csv", ["path", *columns], ["a.wav", *cells], ["b.wav", *cells])))
    assert [one.reason for one in found if isinstance(one, Remark)] == ([reason] if reason else [])


def test_recordings_without_a_speaker_beside_others_are_told(write, tmp_path, capsys):
    path = write("s.csv", ["path", "speaker"], ["a.wav", "ann"], ["elsewhere.wav", "bob"])
    assert [one.speaker for one in sources.with_speakers(recordings(tmp_path), path)] == ["ann", None]
    assert "does not name the speaker of 1 recordings, such as b.wav." in " ".join(capsys.readouterr().err.split())


def test_speakers_that_contradict_each_other_are_refused(write, tmp_path):
    path = write("s.csv", ["path", "speaker"], ["a.wav", "ann"], ["a.wav", "bob"])
    with pytest.raises(SerError, match=r"several speakers; list each recording once\."):
        sources.with_speakers(recordings(tmp_path), path)
    with pytest.raises(SerError, match=r"names their speakers; leave out --speakers-from\."):
        sources.with_speakers(recordings(tmp_path, speaker="eve"), path)


@pytest.mark.parametrize(
    ("end_s", "expected"), [(2.05, []), (9.0, ["its stretch to 9 s goes beyond its end at 2.00 s"])]
)
def test_a_stretch_beyond_the_end_is_told(write, tmp_path, end_s, expected):
    write("t.csv", ["path"])
    remarks = []
    list(reading.stream(tmp_path / "a.wav", sample_rate_hz=16_000, start_s=1, end_s=end_s, remarks=remarks))
    assert remarks == expected


def test_a_rate_below_that_of_telephones_is_told(tmp_path):
    soundfile.write(tmp_path / "low.wav", np.zeros(4_000), 4_000)
    remarks = reading.inspect(tmp_path / "low.wav").remarks
    assert remarks == ("sampled at 4000 Hz, so nothing above 2000 Hz is known",)
