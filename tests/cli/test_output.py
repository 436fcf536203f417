"""The formats of `ser predict` and the names of its files, without a model."""

import csv
import html
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.cli.writers import FORMATS, targets
from sercli.types import Prediction, Recording, Word

LABELS = ("neutral", "anger")
STOP = Prediction(
    "talk.wav",
    3.2,
    7.95,
    "anger",
    0.8125,
    {"neutral": 0.1875, "anger": 0.8125},
    "stop it now",
    (Word("stop", 3.3, 3.6, 0.9),),
    {"acoustic": {"neutral": 0.3, "anger": 0.7}, "linguistic": {"neutral": 0.4, "anger": 0.6}},
    1.0,
)
SILENCE = Prediction("quiet.wav", 0.0, 2.0, reason="no speech")
UNSURE = Prediction("b.wav", 3_600.0, 3_601.5, "unsure", 0.55, {"neutral": 0.55, "anger": 0.45})
timed = pytest.mark.parametrize("name", ["srt", "vtt", "audacity"])


def _text(name, *answers):
    return "".join(FORMATS[name].lines(answers, LABELS))


def _said(text):
    return Prediction("a.wav", 0.0, 1.0, "anger", 0.8, {"neutral": 0.2, "anger": 0.8}, text)


def test_json_gives_back_every_field_of_every_answer():
    found = [json.loads(line) for line in _text("json", STOP, SILENCE).splitlines()]
    fields = [{key: value for key, value in asdict(one).items() if key != "row"} for one in (STOP, SILENCE)]
    assert json.loads(json.dumps(fields)) == [
        {"probabilities" if key == "probs" else key: value for key, value in one.items()} for one in found
    ]
    assert found[0]["words"] == [{"text": "stop", "start_s": 3.3, "end_s": 3.6, "probability": 0.9}]
    assert found[0]["members"]["acoustic"] == {"neutral": 0.3, "anger": 0.7}
    assert found[1]["label"] is None


@given(st.text())
def test_any_words_stay_one_line_of_json(text):
    lines = _text("json", _said(text)).splitlines()
    assert [json.loads(line)["text"] for line in lines] == [text]


def test_csv_has_the_probabilities_of_both_members_to_4_decimals_and_nothing_where_there_is_none():
    plain = {"neutral": 0.25, "anger": 0.75}
    third = replace(STOP, probabilities={"neutral": 1 / 3, "anger": 2 / 3}, unadapted=plain, asr_confidence=0.9)
    rows = list(csv.DictReader(io.StringIO(_text("csv", third, SILENCE), newline="")))
    assert list(rows[0]) == [
        *["path", "start_s", "end_s", "speaker", "label", "confidence", "neutral", "anger"],
        *["unadapted_neutral", "unadapted_anger", "audio_only_neutral", "audio_only_anger"],
        *["text_only_neutral", "text_only_anger"],
        *["asr_confidence", "text", "reason", "remarks"],
    ]
    assert next(csv.reader(io.StringIO(_text("csv")))) == list(rows[0])
    names = ("path", "neutral", "anger", "unadapted_anger")
    assert [rows[0][name] for name in names] == ["talk.wav", "0.3333", "0.6667", "0.75"]
    assert [rows[0][name] for name in ("audio_only_anger", "text_only_anger", "asr_confidence")] == [
        "0.7",
        "0.6",
        "0.9",
    ]
    assert float(next(csv.DictReader(io.StringIO(_text("csv-raw", third))))["anger"]) == 2 / 3
    assert [rows[1][name] for name in ("label", "confidence", "anger", "text")] == [""] * 4
    assert rows[1]["reason"] == "no speech"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_words_come_back_from_csv(text):
    (row,) = csv.DictReader(io.StringIO(_text("csv-raw", _said(text)), newline=""))
    assert row["text"] == text


def test_srt_numbers_its_cues():
    assert _text("srt", STOP, SILENCE, UNSURE) == (
        "1\n00:00:03,200 --> 00:00:07,950\n[anger 0.81] stop it now\n\n"
        "2\n01:00:00,000 --> 01:00:01,500\n[unsure 0.55]\n\n"
    )


def test_vtt_begins_with_its_name():
    assert _text("vtt", STOP) == "WEBVTT\n\n00:00:03.200 --> 00:00:07.950\n[anger 0.81] stop it now\n\n"
    assert _text("vtt", SILENCE) == "WEBVTT\n\n"


def test_every_format_names_the_speaker():
    by_b = replace(STOP, speaker="B")
    assert json.loads(_text("json", by_b))["speaker"] == "B"
    assert next(csv.DictReader(io.StringIO(_text("csv", by_b))))["speaker"] == "B"
    assert _text("srt", by_b).splitlines()[2] == "B: [anger 0.81] stop it now"
    assert _text("vtt", by_b).splitlines()[3] == "<v B>[anger 0.81] stop it now"
    assert _text("audacity", by_b) == "3.200\t7.950\tB: [anger 0.81] stop it now\n"
    assert _text("vtt", replace(STOP, speaker="A & <B>\n")).splitlines()[3].startswith("<v A &amp; &lt;B&gt;>[anger")


@timed
def test_captions_have_the_words_with_their_asr_confidence_as_the_table_does(name):
    assert "[anger 0.81] stop it now (ASR confidence 0.10)" in _text(name, replace(STOP, asr_confidence=0.1))
    for sure in (1.0, None):
        assert "stop it now\n" in _text(name, replace(STOP, asr_confidence=sure))


def test_audacity_has_tabs_between_start_end_and_label():
    assert _text("audacity", STOP, UNSURE) == (
        "3.200\t7.950\t[anger 0.81] stop it now\n3600.000\t3601.500\t[unsure 0.55]\n"
    )


def test_vtt_escapes_what_would_be_markup():
    words = "<b>R&B</b> --> a"
    shown = _text("vtt", _said(words)).split("\n")[3]
    assert not set(shown) & set("<>")
    assert html.unescape(shown) == f"[anger 0.80] {words}"


@timed
@given(text=st.text(st.sampled_from("->\t\n\r\x0b\x1b\x85\u2028 a")))
def test_no_words_can_break_out_of_their_cue(name, text):
    plain, odd = _text(name, _said("a")), _text(name, _said(text))
    between = "\t" if name == "audacity" else "-->"
    assert odd.count(between) == plain.count(between)
    assert len(odd.splitlines()) == len(plain.splitlines())


@timed
def test_a_cue_is_never_without_length(name):
    (start, end) = re.findall(r"(?:\d+:)*\d+[.,]\d+", _text(name, Prediction("a.wav", 1.0, 1.0, "anger", 0.5, {})))[:2]
    assert start < end


def _targets(found, paths, tmp_path, form="json"):
    recordings = [Recording(path, Path(path)) for path in found]
    files = targets(recordings, [Path(path) for path in paths], tmp_path, FORMATS[form])
    return [files[recording.name].relative_to(tmp_path).as_posix() for recording in recordings]


def test_a_recording_is_called_as_it_lies_below_the_folder_that_was_given(tmp_path):
    assert _targets(["in/a/x.wav", "in/b/x.wav"], ["in"], tmp_path) == ["a/x.wav.json", "b/x.wav.json"]


def test_a_file_that_was_given_is_called_by_its_name(tmp_path):
    assert _targets(["in/a/x.mp3"], ["in/a/x.mp3"], tmp_path) == ["x.mp3.json"]


def test_subtitles_are_called_as_players_look_for_them_where_no_other_recording_would_be(tmp_path):
    assert _targets(["in/a.b.mp3", "in/y"], ["in"], tmp_path, "srt") == ["a.b.srt", "y.srt"]
    clash = ["in/x.flac", "in/x.mp3", "in/x.flac.wav"]
    assert _targets(clash, ["in"], tmp_path, "vtt") == ["x.flac.vtt", "x.mp3.vtt", "x.flac.wav.vtt"]


def test_a_recording_of_a_pattern_is_called_from_the_patterns_fixed_part_on(tmp_path):
    assert _targets(["in/a/x.wav", "in/b/y.wav"], ["in/**/*.wav"], tmp_path) == ["a/x.wav.json", "b/y.wav.json"]


def test_recordings_of_one_name_get_the_folders_in_which_they_differ(tmp_path):
    found = ["one/a/x.wav", "two/a/x.wav", "two/a/y.wav"]
    assert _targets(found, ["one/a", "two/a"], tmp_path) == ["one/a/x.wav.json", "two/a/x.wav.json", "y.wav.json"]


def test_sounds_that_differ_by_suffix_alone_do_not_collide(tmp_path):
    assert len(set(_targets(["in/x.wav", "in/x.mp3"], ["in"], tmp_path))) == 2


def test_a_file_out_of_a_folder_above_cannot_leave_the_folder_of_answers(tmp_path):
    assert _targets(["../x.wav", "in/../../y.wav"], ["../x.wav", "in/../.."], tmp_path) == ["x.wav.json", "y.wav.json"]


def test_what_comes_on_stdin_is_called_so(tmp_path):
    files = targets([Recording("-", tmp_path / "tmp123")], [Path("-")], tmp_path, FORMATS["vtt"])
    assert list(files.values()) == [tmp_path / "stdin.vtt"]


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), min_size=1, max_size=6, unique_by=tuple))
def test_no_two_recordings_share_a_file(parts):
    found = ["/".join(["in", *folders]) + ".wav" for folders in parts]
    names = _targets(found, found, Path("/out"))
    assert len(set(names)) == len(found)


def test_the_columns_of_a_table_come_first_and_clashing_names_are_told_apart():
    listed = replace(STOP, row={"path": "../talk.wav", "label": "calm", "note": "n"})
    (row,) = csv.DictReader(io.StringIO(_text("csv", listed)))
    assert list(row)[:5] == ["path", "label", "note", "start_s", "end_s"]
    assert (row["path"], row["label"], row["predicted_label"]) == ("../talk.wav", "calm", "anger")
    (found,) = map(json.loads, _text("json", listed).splitlines())
    assert (found["label"], found["predicted_label"], found["note"]) == ("calm", "anger", "n")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_a_text_that_is_a_formula_is_text_in_a_spreadsheet(text):
    (row,) = csv.DictReader(io.StringIO(_text("csv", _said(text))))
    assert row["text"] == f"'{text}"
    (raw,) = csv.DictReader(io.StringIO(_text("csv-raw", _said(text))))
    assert raw["text"] == text


def test_a_label_with_escape_characters_does_not_reach_the_terminal():
    odd = Prediction("a.wav", 0.0, 1.0, "\x1b[2Jx", 1.0, {"\x1b[2Jx": 1.0})
    shown = "".join(FORMATS["csv"].lines([odd], ["\x1b[2Jx"]))
    assert "\x1b" not in shown
    assert shown.count(r"\x1b[2Jx") == 5
    assert "\x1b" in "".join(FORMATS["csv-raw"].lines([odd], ["\x1b[2Jx"]))


def test_words_begin_no_tag_in_subtitles():
    assert "[anger 0.80] ‹i›so (b)" in _text("srt", _said("<i>so {b}"))
