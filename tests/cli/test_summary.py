"""What a recording comes to: shares, mean probabilities and the strongest moments, in each format."""

import csv
import io
import json
from dataclasses import replace

import pytest
import soundfile
from rich.console import Console

from sercli.cli import render
from sercli.cli.render import console as streams
from sercli.cli.summaries import summaries
from sercli.cli.writers import FORMATS
from sercli.types import Prediction

LABELS = ("neutral", "anger")


def said(path, start_s, end_s, anger, **more):
    label = "anger" if anger > 0.5 else "neutral"
    probs = {"neutral": 1 - anger, "anger": anger}
    return Prediction(path, start_s, end_s, label, max(anger, 1 - anger), probs, text=f"at {start_s}", **more)


TALK = [said("a.wav", 0, 3, 0.9), said("a.wav", 4, 5, 0.1), Prediction("a.wav", 6, 7, reason="no words")]


def rows(name, predictions):
    text = "".join(FORMATS[name].summarised().lines(predictions, LABELS))
    return (
        [json.loads(line) for line in text.splitlines()] if name == "json" else list(csv.DictReader(io.StringIO(text)))
    )


def test_shares_are_of_time_and_probabilities_of_the_time_that_has_them():
    (found,) = rows("json", TALK)
    assert (found["n"], found["time_s"]) == (3, 5)
    assert found["shares"] == {"neutral": 0.2, "anger": 0.6, "unsure": 0, "none": 0.2}
    assert found["probs"] == pytest.approx({"neutral": 0.3, "anger": 0.7})


def test_the_strongest_moments_are_the_surest_that_are_neither_neutral_nor_unsure():
    strength = [said("a.wav", n, n + 1, anger) for n, anger in enumerate((0.6, 0.8, 0.01, 0.9, 0.7))]
    unsure = replace(said("a.wav", 9, 10, 0.99), label="unsure")
    (found,) = rows("json", [*strength, unsure])
    assert [(one["start_s"], one["label"], one["text"]) for one in found["moments"]] == [
        (3, "anger", "at 3"),
        (1, "anger", "at 1"),
        (4, "anger", "at 4"),
    ]


def test_csv_has_a_row_a_recording_with_the_same_numbers():
    first, second = rows("csv", [*TALK, Prediction("quiet.wav", 0, 2, reason="no speech")])
    numbers = {name: float(first[name]) for name in ("share_neutral", "share_anger", "share_none", "neutral", "anger")}
    assert numbers == pytest.approx(
        {"share_neutral": 0.2, "share_anger": 0.6, "share_none": 0.2, "neutral": 0.3, "anger": 0.7}
    )
    assert (first["strongest_label"], first["strongest_end_s"], first["strongest_text"]) == ("anger", "3", "at 0")
    assert (second["path"], second["share_none"], second["anger"], second["strongest_label"]) == (
        "quiet.wav",
        "1.0",
        "",
        "",
    )


def test_each_speaker_has_a_summary_after_that_of_the_whole():
    talk = [replace(p, speaker=speaker) for p, speaker in zip(TALK, "ABA", strict=True)]
    assert [(one["speaker"], one["time_s"]) for one in rows("json", talk)] == [(None, 5), ("A", 4), ("B", 1)]


def test_a_single_speaker_is_not_summed_up_twice():
    found = rows("json", [replace(p, speaker="A") for p in TALK])
    assert [(one["speaker"], one["n"]) for one in found] == [("A", 3)]


def test_rows_of_a_table_with_one_path_are_one_recording_that_keeps_what_they_share():
    cells = [("a.wav", "x", 0), ("b.wav", "y", 0), ("a.wav", "x", 1), ("a.wav", "x", 0)]
    predictions = [
        said(path, n, n + 1, 0.9, row={"path": path, "call": call, "start_s": start_s})
        for n, (path, call, start_s) in enumerate(cells)
    ]
    found = rows("csv", predictions)
    assert [(one["path"], one["call"], one["start_s"], one["n"]) for one in found] == [
        ("a.wav", "x", "", "3"),
        ("b.wav", "y", "0", "1"),
    ]


def test_a_recording_is_summed_up_as_soon_as_the_next_begins():
    read = []
    found = summaries(read.append(p) or p for p in [*TALK, said("b.wav", 0, 1, 0.9), said("c.wav", 0, 1, 0.9)])
    assert [next(found)[0].path, len(read)] == ["a.wav", 4]


def test_the_screen_shows_shares_probabilities_and_moments_with_their_words(monkeypatch):
    console = Console(file=io.StringIO(), width=80)
    monkeypatch.setattr(streams, "stdout", lambda: console)
    render.summary_rows(TALK)
    assert console.file.getvalue().splitlines()[:4] == [
        "a.wav",
        "0:05.0 of speech: anger 60%, neutral 20%, no emotion 20%",
        "  mean probability: anger 0.700, neutral 0.300",
        "     0:00.0  anger 0.900  at 0",
    ]


def test_summaries_have_files_of_their_own_and_no_subtitles(ser, demo_runs, demo_clips, tmp_path):
    sound, rate_hz = soundfile.read(demo_clips("m1-anger-1"))
    soundfile.write(tmp_path / "a.wav", sound, rate_hz)
    (tmp_path / "list.csv").write_text("path,call,start_s,end_s\na.wav,7,0,0.5\na.wav,7,0.5,\n")
    words = ["predict", "-m", demo_runs.acoustic, "--summary"]
    assert ser(*words, tmp_path / "a.wav", "-o", tmp_path / "out").code == 0
    (one,) = map(json.loads, (tmp_path / "out" / "a.wav.summary.json").read_text().splitlines())
    assert (one["n"], set(one["probs"])) == (1, {"neutral", "happiness", "sadness", "anger"})
    (row,) = csv.DictReader(io.StringIO(ser(*words, tmp_path / "list.csv", "--csv").out))
    assert (row["path"], row["call"], row["n"]) == ("a.wav", "7", "2")
    refused = ser(*words, tmp_path / "a.wav", "--format", "srt")
    assert (refused.code, refused.err) == (2, "ser: --summary is a table, JSON or CSV; leave out the other format.\n")
