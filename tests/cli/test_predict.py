"""`ser predict` from end to end, on synthetic speech with words."""

import csv
import errno
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from children import living

from sercli import batch_runner, pipeline
from sercli._system import processes
from sercli.asr import whisper
from sercli.cli.output import Shape
from sercli.cli.predict import TRUST
from sercli.cli.writers import FORMATS
from sercli.types import Transcript, Word

LABELS = ("neutral", "happiness", "sadness", "anger")
RATE_HZ = 16_000


@pytest.fixture
def folder(tmp_path, demo_clips):
    """Two clips, one of them in a folder below, and a broken one."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(demo_clips("m1-anger-1"), tmp_path / "in" / "a.ogg")
    shutil.copy(demo_clips("f1-sadness-1"), tmp_path / "in" / "deep" / "c.ogg")
    (tmp_path / "in" / "b.wav").write_text("not audio")
    return tmp_path / "in"


@pytest.fixture(scope="module")
def interview(tmp_path_factory, demo_clips):
    """Two utterances of anger, a long pause, two of sadness: the path, and where each begins and ends."""
    parts, times, at_s = [], [], 0.0
    for name, pause_s in (("m1-anger-1", 2), ("m1-anger-2", 2), ("m1-sadness-1", 6), ("m1-sadness-2", 2)):
        sound, rate_hz = soundfile.read(demo_clips(name), dtype="float32")
        assert rate_hz == RATE_HZ
        parts += [np.zeros(pause_s * RATE_HZ, np.float32), sound]
        times.append((at_s + pause_s, at_s + pause_s + len(sound) / RATE_HZ))
        at_s = times[-1][1]
    path = tmp_path_factory.mktemp("interview") / "interview.wav"
    soundfile.write(path, np.concatenate(parts), RATE_HZ)
    return path, times


def _lines(shown):
    return [json.loads(line) for line in shown.out.splitlines()]


def test_a_clip_has_its_emotion_and_words_on_one_screen(ser, demo_runs, demo_clips):
    shown = ser("predict", demo_clips("m1-anger-1"), "-m", demo_runs.average)
    assert (shown.code, shown.err) == (0, "")
    assert "words:" in shown.out
    for label in LABELS:
        assert label in shown.out


def test_words_are_heard_with_their_times(ser, demo_runs, demo_clips):
    (row,) = _lines(ser("predict", demo_clips("m1-anger-2"), "-m", demo_runs.average, "--json"))
    assert "touch my things" in row["text"].lower()
    assert 0 <= row["words"][0]["start_s"] < row["words"][-1]["end_s"] <= row["end_s"]
    assert 0 < row["asr_confidence"] <= 1
    assert row["reason"] is None


def test_settings_reach_the_recogniser(ser, demo_runs, demo_clips, tmp_path):
    words = ["predict", demo_clips("m1-anger-2"), "-m", demo_runs.average, "--set"]
    refused = ser(*words, f"asr.model={tmp_path / 'whisper'}")
    assert refused.code == 2
    assert f"There is no folder {tmp_path / 'whisper'}; " in refused.err


def test_json_lines_have_probabilities_that_sum_to_one(ser, demo_runs, demo_clips):
    clips = [demo_clips(name) for name in ("m2-anger-1", "f1-neutral-1")]
    rows = _lines(ser("predict", *clips, "--model", demo_runs.acoustic, "--json"))
    assert [row["path"] for row in rows] == list(map(str, clips))
    for row in rows:
        assert sum(row["probs"].values()) == pytest.approx(1.0, abs=1e-9)
        assert row["confidence"] == max(row["probs"].values()) == row["probs"][row["label"]]


def test_csv_has_one_header_over_all_recordings(ser, demo_runs, folder):
    shown = ser("predict", folder, "--model", demo_runs.acoustic, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["path"] for row in rows] == [str(folder / "a.ogg"), str(folder / "deep" / "c.ogg")]
    assert sum(float(rows[0][label]) for label in LABELS) == pytest.approx(1.0, abs=3e-4)


def test_words_change_the_answer_of_an_ensemble_and_their_absence_is_said(ser, demo_runs, demo_clips):
    words = ["predict", demo_clips("m1-anger-1"), "--model", demo_runs.average, "--json"]
    (mute,), (spoken,) = _lines(ser(*words, "--no-asr")), _lines(ser(*words, "--text", "i hate this"))
    (alone,) = _lines(ser("predict", demo_clips("m1-anger-1"), "--model", demo_runs.acoustic, "--json"))
    assert mute["probs"] == alone["probs"] != spoken["probs"]
    assert "audio alone" in mute["reason"]
    assert (spoken["text"], spoken["asr_confidence"]) == ("i hate this", 1.0)


@pytest.mark.parametrize("sound", ["silence", "noise"])
def test_what_is_not_speech_has_no_emotion(ser, demo_runs, tmp_path, sound):
    level = {"silence": 0.0, "noise": 0.1}[sound]
    noise = level * np.random.default_rng(0).standard_normal(3 * RATE_HZ)
    soundfile.write(tmp_path / "a.wav", noise, RATE_HZ)
    shown = ser("predict", tmp_path / "a.wav", "--model", demo_runs.average, "--json")
    assert shown.code == 0
    (row,) = _lines(shown)
    assert (row["label"], row["probs"], row["reason"]) == (None, {}, "no speech")


def test_a_long_recording_has_a_row_for_each_utterance_in_its_order(ser, demo_runs, interview):
    path, times = interview
    rows = _lines(ser("predict", path, "-m", demo_runs.acoustic, "--json"))
    assert [row["start_s"] for row in rows] == sorted(row["start_s"] for row in rows)
    for start_s, end_s in times:
        middle_s = (start_s + end_s) / 2
        (row,) = [row for row in rows if row["start_s"] <= middle_s <= row["end_s"]]
        assert row["label"] == ("anger" if middle_s < times[2][0] else "sadness")
    assert rows[0]["start_s"] == pytest.approx(times[0][0], abs=0.5)
    assert rows[-1]["end_s"] == pytest.approx(times[-1][1], abs=0.5)


def test_a_long_recording_is_shown_along_its_time_with_a_summary(ser, demo_runs, interview):
    shown = ser("predict", interview[0], "-m", demo_runs.acoustic)
    assert (shown.code, shown.err) == (0, "")
    assert "from" in shown.out.splitlines()[1]
    assert "of speech: " in shown.out


def test_clips_share_a_table_after_long_recordings_and_without_asr_nothing_tells_of_words(
    ser, demo_runs, demo_clips, interview
):
    paths = [demo_clips("m1-anger-1"), interview[0], demo_clips("f1-sadness-1")]
    shown = ser("predict", *paths, "-m", demo_runs.average, "--no-asr").out
    assert "words" not in shown
    assert [shown.count(head) for head in ("from ", "file ")] == [1, 1]
    assert shown.index("from ") < shown.index("file ") < shown.index("m1-anger-1")


@pytest.mark.parametrize(("form", "begin"), [("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n"), ("audacity", "")])
def test_a_long_recording_becomes_subtitles_and_labels(ser, demo_runs, interview, form, begin):
    shown = ser("predict", interview[0], "-m", demo_runs.acoustic, "--format", form)
    assert shown.out.startswith(begin)
    assert "[anger " in shown.out.partition("[sadness")[0]


def test_a_timeline_is_drawn_beside_the_answers(ser, demo_runs, interview, tmp_path):
    words = ["predict", interview[0], "-m", demo_runs.acoustic, "--json", "--plot", tmp_path / "a.png"]
    shown = ser(*words)
    assert len(_lines(shown)) >= 2
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert shown.err.endswith(f"Wrote {tmp_path / 'a.png'}.\n")
    assert "Wrote" not in ser(*words, "-q").err


def test_below_the_least_confidence_the_answer_is_unsure(ser, demo_runs, demo_clips):
    words = ["predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "--min-confidence", 1]
    (row,) = _lines(ser(*words, "--json"))
    assert row["label"] == "unsure"
    assert set(row["probs"]) == set(LABELS)
    assert ": unsure" in ser(*words).out


def test_a_broken_file_among_good_ones_is_named_and_the_rest_answered(ser, demo_runs, folder):
    shown = ser("predict", folder, "--model", demo_runs.acoustic, "--json")
    assert shown.code == 2
    assert [row["path"] for row in _lines(shown)] == [str(folder / "a.ogg"), str(folder / "deep" / "c.ogg")]
    warning, last = shown.err.splitlines()
    assert warning.startswith(f"warning: {folder / 'b.wav'} cannot be read as audio")
    assert last == f"ser: 1 of 3 recordings failed: {folder / 'b.wav'}"


def test_the_last_line_names_twenty_failures_and_counts_the_others(ser, demo_runs, folder):
    for k in range(24):
        (folder / f"broken{k:02}.wav").write_text("not audio")
    last = ser("predict", folder, "--model", demo_runs.acoustic, "--json").err.splitlines()[-1]
    assert "25 of 27 recordings failed" in last
    assert last.count(".wav") == 20
    assert last.endswith(" and 5 more")


def test_each_recording_gets_a_file_that_is_called_as_it_lies_below_the_folder(ser, demo_runs, folder, tmp_path):
    out = tmp_path / "out"
    shown = ser("predict", folder, "--model", demo_runs.acoustic, "-o", out)
    assert (shown.code, shown.out) == (2, "")
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == [".predicted", "a.ogg.json", "deep/c.ogg.json", "failures.tsv"]
    assert json.loads((out / "a.ogg.json").read_bytes())["path"] == str(folder / "a.ogg")
    assert (out / "failures.tsv").read_text().startswith(f"{folder / 'b.wav'}\t")
    assert shown.err.splitlines()[-1].endswith(f"the reasons are in {out / 'failures.tsv'}")


def test_a_run_without_failures_leaves_no_list_of_them(ser, demo_runs, folder, tmp_path):
    words = ["predict", folder, "--model", demo_runs.acoustic, "-o", tmp_path / "out", "--format", "csv"]
    assert ser(*words).code == 2
    (folder / "b.wav").unlink()
    assert ser(*words).code == 0
    assert not (tmp_path / "out" / "failures.tsv").exists()
    assert (tmp_path / "out" / "a.ogg.csv").read_text("utf-8-sig").startswith("path,start_s,")


def test_a_file_that_cannot_be_written_fails_its_recording_alone(ser, demo_runs, folder, tmp_path):
    (folder / "b.wav").unlink()
    longest = "n" * 246 + ".ogg"  # with .json as long as a name may be
    too_long = "o" * 251 + ".ogg"
    for name in (longest, too_long):
        shutil.copy(folder / "a.ogg", folder / name)
    (tmp_path / "out" / "a.ogg.json").mkdir(parents=True)
    words = ["predict", folder, "--model", demo_runs.acoustic, "-o", tmp_path / "out"]
    shown = ser(*words)
    assert shown.code == 2
    assert shown.err.splitlines()[-1].startswith(f"ser: 2 of 4 recordings failed: {folder / 'a.ogg'}, ")
    assert {path.name for path in (tmp_path / "out").rglob("*.json") if path.is_file()} == {
        f"{longest}.json",
        "c.ogg.json",
    }
    assert [line.split("\t")[1] for line in (tmp_path / "out" / "failures.tsv").read_text().splitlines()] == [
        f"{tmp_path / 'out' / 'a.ogg.json'} cannot be written: {os.strerror(errno.EISDIR)}",
        f"{tmp_path / 'out' / too_long}.json cannot be written: {os.strerror(errno.ENAMETOOLONG)}",
    ]
    assert "2 of 4 recordings have a file already: skipped." in ser(*words, "--skip-done").err


@pytest.fixture
def table(folder):
    """A table of the clips in a folder: whole, a stretch with words, a file that is missing, a stretch past the end."""
    rows = [
        "path,start_s,end_s,text,speaker,label,note",
        "a.ogg,,,,anna,calm,n",
        "a.ogg,0.2,1.0,I hate this,bo,,",
        "no.ogg,,,,,,",
        "a.ogg,50,60,,,,",
    ]
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def test_the_rows_of_a_table_are_predicted_with_their_columns_kept(ser, demo_runs, table, tmp_path):
    out = tmp_path / "answers.csv"
    shown = ser("predict", table, "-m", demo_runs.average, "--no-asr", "-o", out)
    assert (shown.code, shown.out) == (2, "")
    with out.open(newline="", encoding="utf-8-sig") as file:
        whole, part = csv.DictReader(file)
    assert (whole["path"], whole["speaker"], whole["label"], whole["note"]) == ("a.ogg", "anna", "calm", "n")
    assert whole["predicted_label"] in LABELS
    assert (part["predicted_start_s"], part["predicted_end_s"]) == ("0.2", "1.0")
    assert (part["predicted_text"], part["reason"]) == ("I hate this", "")
    assert whole["anger"] != part["anger"]
    assert [line.split("\t")[0] for line in (tmp_path / "answers.failures.tsv").read_text().splitlines()] == [
        str(table.parent / "no.ogg"),
        str(table.parent / "a.ogg"),
    ]
    assert shown.err.splitlines()[1].endswith(
        "holds no samples between 50 s and 60 s; correct start_s and end_s, which are seconds."
    )


def test_a_table_that_is_read_is_not_replaced(ser, table):
    content = table.read_bytes()
    assert (
        ser("predict", table, "-o", table).err == f"ser: --out {table} is the table that is read; give another name.\n"
    )
    assert table.read_bytes() == content


def test_a_stretch_gives_what_its_own_file_gives(ser, demo_runs, table, tmp_path):
    sound, rate_hz = soundfile.read(table.parent / "a.ogg", dtype="float32")
    soundfile.write(tmp_path / "cut.wav", sound[round(0.2 * rate_hz) : rate_hz], rate_hz, subtype="FLOAT")
    (alone,) = _lines(ser("predict", tmp_path / "cut.wav", "-m", demo_runs.acoustic, "--json"))
    listed = _lines(ser("predict", table, "-m", demo_runs.acoustic, "--json"))[1]
    assert listed["probs"] == pytest.approx(alone["probs"], abs=1e-3)


def test_a_long_stretch_has_utterances_with_the_times_of_the_file(ser, demo_runs, interview, tmp_path):
    path, times = interview
    (tmp_path / "list.jsonl").write_text(json.dumps({"path": str(path), "start_s": times[1][0] - 1, "take": [1]}))
    rows = _lines(ser("predict", tmp_path / "list.jsonl", "-m", demo_runs.acoustic, "--json"))
    assert all(row["take"] == [1] for row in rows)
    assert rows[-1]["end_s"] == pytest.approx(times[-1][1], abs=0.5)
    assert rows[0]["predicted_start_s"] == pytest.approx(times[1][0], abs=0.5)


def test_all_recordings_may_share_one_file(ser, demo_runs, folder, tmp_path):
    (folder / "b.wav").unlink()
    for name in ("answers.csv", "answers.json"):
        shown = ser("predict", folder, "-m", demo_runs.acoustic, "-o", tmp_path / name)
        assert (shown.code, shown.out, shown.err) == (0, "", f"Wrote {tmp_path / name}.\n")
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8-sig") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(folder / "a.ogg"), str(folder / "deep" / "c.ogg")]
    assert len((tmp_path / "answers.json").read_text().splitlines()) == 2


@pytest.mark.parametrize(("option", "bom"), [("--csv", b"\xef\xbb\xbf"), ("--csv-raw", b"")])
def test_a_csv_file_opens_in_a_spreadsheet_with_its_letters_and_stdout_has_no_mark(
    ser, demo_runs, folder, tmp_path, option, bom
):
    (folder / "b.wav").unlink()
    (folder / "a.ogg").rename(folder / "über.ogg")
    words = ["predict", folder, "-m", demo_runs.acoustic, option]
    assert ser(*words, "-o", tmp_path / "answers.csv").code == 0
    assert (tmp_path / "answers.csv").read_bytes() == bom + ser(*words).out.encode()
    assert "über.ogg".encode() in (tmp_path / "answers.csv").read_bytes()


def test_recordings_of_one_name_do_not_collide(ser, demo_runs, folder, tmp_path):
    (folder / "b.wav").unlink()
    shutil.copy(folder / "a.ogg", folder / "deep" / "a.ogg")
    paths = [folder / "a.ogg", folder / "deep" / "a.ogg"]
    assert ser("predict", *paths, "--model", demo_runs.acoustic, "-o", tmp_path / "out").code == 0
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")}
    assert files == {"in/a.ogg.json", "deep/a.ogg.json"}


def test_what_is_done_is_passed_over(ser, demo_runs, folder, tmp_path):
    (folder / "b.wav").unlink()
    words = ["predict", folder, "--model", demo_runs.acoustic, "-o", tmp_path / "out", "--skip-done"]
    assert ser(*words[:1], folder / "a.ogg", *words[2:]).code == 0
    (tmp_path / "out" / "a.ogg.json").write_text("done")
    shown = ser(*words)
    wrote = f"Wrote 1 file to {tmp_path / 'out'}.\n"
    assert (shown.code, shown.err) == (0, f"1 of 2 recordings have a file already: skipped.\n{wrote}")
    assert (tmp_path / "out" / "a.ogg.json").read_text() == "done"
    assert (tmp_path / "out" / "deep" / "c.ogg.json").exists()
    shown = ser(*words)
    assert (shown.code, shown.err) == (0, "2 of 2 recordings have a file already: skipped.\n")
    shown = ser(*words[:1], folder / "a.ogg", *words[2:], "--plot", tmp_path / "a.png")
    assert (shown.code, shown.err) == (0, "1 of 1 recordings have a file already: skipped.\n")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_predictions_of_another_recording_are_neither_replaced_nor_taken_for_done(
    ser, demo_runs, folder, tmp_path, form
):
    words = ["--model", demo_runs.acoustic, "-o", tmp_path / "out", "--format", form, "--summary"]
    assert ser("predict", folder / "a.ogg", *words).code == 0
    (other := tmp_path / "other").mkdir()
    shutil.copy(folder / "a.ogg", other)
    for more in ([], ["--skip-done"]):
        shown = ser("predict", other, *words, *more)
        target = tmp_path / "out" / f"a.ogg.summary.{form}"
        refusal = f"holds the predictions of {folder / 'a.ogg'}, not of {other / 'a.ogg'}; change --out.\n"
        assert (shown.code, shown.err) == (2, f"ser: {target} {refusal}")
    assert ser("predict", folder / "a.ogg", *words).code == 0


def test_what_other_settings_made_or_is_older_than_its_recording_is_not_taken_for_done(
    ser, demo_runs, folder, tmp_path
):
    (folder / "b.wav").unlink()
    out = tmp_path / "out"
    words = ["predict", folder, "-o", out, "--skip-done", "--no-asr", "--model"]
    assert ser(*words, demo_runs.acoustic).code == 0
    os.utime(folder / "a.ogg")
    again = "warning: 1 of 2 have a file older than they are, or of other settings: done again.\n"
    again += f"Wrote 1 file to {out}.\n"
    shown = ser(*words, demo_runs.acoustic)
    assert shown.err == f"1 of 2 recordings have a file already: skipped.\n{again}"
    shown = ser(*words, demo_runs.average)
    assert (shown.code, shown.err.splitlines()) == (2, [shown.err.rstrip()])
    assert shown.err.startswith(f'ser: {out} holds predictions with other settings: model was "acoustic ')
    assert shown.err.endswith("Repeat the settings to go on, choose another --out, or leave out --skip-done.\n")
    assert 'adapt was "auto", now "full"' in ser(*words, demo_runs.acoustic, "--adapt", "full").err
    words.remove("--skip-done")
    assert ser("predict", folder / "a.ogg", *words[2:], demo_runs.average).code == 0  # and that of c.ogg is left
    shown = ser(*words, demo_runs.average, "--skip-done")
    assert shown.err == f"1 of 2 recordings have a file already: skipped.\n{again}"
    refused = ser(*words, demo_runs.average, "--skip-done", "--group", "folder")
    assert (
        refused.err
        == "ser: --skip-done would leave what it skips out of its group; leave out --group, or --skip-done.\n"
    )


def test_a_recording_on_stdin_is_called_a_dash(demo_runs, demo_clips):
    words = [sys.executable, "-m", "sercli", "predict", "-", "--model", demo_runs.acoustic, "--json"]
    done = subprocess.run(words, input=demo_clips("m1-anger-1").read_bytes(), capture_output=True, check=True)
    assert json.loads(done.stdout)["path"] == "-"
    assert done.stderr == b""


@pytest.mark.parametrize("options", [[], ["--explain", "a.png"]])
def test_what_is_no_audio_on_stdin_is_refused(ser, demo_runs, monkeypatch, options):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"words")))
    refused = ser("predict", "-", "--model", demo_runs.acoustic, "--json", *options)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("ser: - cannot be read as audio")
    assert len(refused.err.splitlines()) == 1


def test_two_processes_answer_as_one_does(ser, demo_runs, folder):
    words = ["predict", folder, "--model", demo_runs.average, "--no-asr", "--json"]
    one, two = ser(*words, "--jobs", 1), ser(*words, "--jobs", 2)
    assert (two.code, two.err) == (one.code, one.err)
    assert [row["path"] for row in _lines(two)] == [str(folder / "a.ogg"), str(folder / "deep" / "c.ogg")]
    for ours, theirs in zip(_lines(two), _lines(one), strict=True):
        assert ours["probs"] == pytest.approx(theirs["probs"], abs=1e-6)


def test_a_process_that_is_killed_is_an_error_that_says_so(ser, demo_runs, folder, monkeypatch):
    def wait(futures, *limits, wait=processes.wait):
        for process in multiprocessing.active_children():
            process.kill()
        return wait(futures)

    monkeypatch.setattr(processes, "wait", wait)
    shown = ser("predict", folder, "--model", demo_runs.acoustic, "--jobs", 2, "--json")
    assert shown.code == 2
    names = f"{folder / 'a.ogg'} to {folder / 'deep' / 'c.ogg'}"
    assert f"while it processed one of the recordings from {names}; use fewer --jobs" in shown.err


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_whole_files_only(demo_runs, demo_clips, tmp_path, jobs):
    (tmp_path / "in").mkdir()
    for k in range(60):
        shutil.copy(demo_clips("m1-anger-1"), tmp_path / "in" / f"{k:02}.ogg")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "sercli", "predict", tmp_path / "in", "-m", demo_runs.average, "--no-asr"]
    process = subprocess.Popen([*words, "-o", out, "--jobs", str(jobs)], start_new_session=True, stderr=subprocess.PIPE)
    while process.poll() is None and not list(out.glob("*.json")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate()[1]
    kept = f"Finished files are kept in {out}; the same command with --skip-done goes on from there."
    assert (process.returncode, error.decode()) == (130, f"ser: interrupted. {kept}\n")
    files = [path for path in out.iterdir() if path.suffix]
    assert 0 < len(files) < 60
    assert all(json.loads(path.read_bytes())["label"] for path in files)


def test_a_reader_that_goes_away_is_no_error(demo_runs, demo_clips):
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "sercli", "predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "--json"]
    left = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (left.returncode, left.stderr) == (0, b"")


MEETING = "SER_TEST_MEETING"  # the variable that tells processes in which folder they wait for each other


def _heard_by_two(batch, **of_the_pipeline):
    """What a process does with recordings once two of them have one in hand."""
    folder = Path(os.environ[MEETING])
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < until, "no second process came to work"
        time.sleep(0.01)
    return batch_runner._whole(batch, **of_the_pipeline)


def test_what_stops_the_answers_stops_the_processes_before_the_command_ends(
    ser, demo_runs, folder, tmp_path, monkeypatch
):
    alive, meeting = [], tmp_path / "meeting"
    meeting.mkdir()
    monkeypatch.setenv(MEETING, str(meeting))
    monkeypatch.setattr(batch_runner, "_whole", _heard_by_two)

    def interrupt(*_, **__):
        alive.append(len(living()))
        raise KeyboardInterrupt

    def leave(code):
        alive.append(len(living()))
        raise SystemExit(code)

    monkeypatch.setattr("typer.echo", interrupt)
    monkeypatch.setattr(sys, "exit", leave)
    stopped = ser("predict", folder, "-m", demo_runs.acoustic, "--jobs", 2, "--json")
    assert stopped.code == 130
    assert stopped.err.startswith("ser: interrupted. Nothing is kept but what is shown; ")
    assert alive == [2, 0]
    assert len(list(meeting.iterdir())) == 2, "both were at work"


def test_a_moved_run_directory_gives_equal_probabilities(ser, demo_runs, demo_clips, tmp_path):
    words = ["predict", demo_clips("m1-anger-1"), "--text", "so happy", "--json", "--model"]
    before = ser(*words, demo_runs.average).out
    shutil.copytree(demo_runs.average, tmp_path / "moved")
    assert ser(*words, tmp_path / "moved").out == before


def test_the_model_that_comes_with_ser_answers_where_none_is_given(ser, demo_runs, demo_clips, monkeypatch):
    monkeypatch.setattr(pipeline, "PRETRAINED", demo_runs.acoustic)
    given = ser("predict", demo_clips("m1-anger-1"), "--json", "-m", demo_runs.acoustic)
    assert ser("predict", demo_clips("m1-anger-1"), "--json").out == given.out


def test_predictions_by_the_model_that_ships_end_with_how_far_to_trust_them(ser, demo_runs, demo_clips):
    words = ["predict", demo_clips("m1-anger-1"), "--no-asr"]
    assert ser(*words).err.splitlines()[-1] == TRUST
    assert TRUST.endswith("ser predict --card")
    assert ser(*words, "-m", demo_runs.acoustic).err == ""


def test_the_card_says_what_the_last_line_of_predictions_says(ser):
    shown = ser("predict", "--card")
    path, title, *_ = (line for line in shown.out.splitlines() if line)
    assert (shown.code, path) == (0, str(pipeline.PRETRAINED / "CARD.md"))
    assert title == "# The model that ships with ser"
    assert "2 labels in 3" in TRUST
    figures = [float(x) for x in re.search(r"RAVDESS (\.\d+), EMO-DB (\.\d+), nEMO (\.\d+)", shown.out).groups()]
    assert 0.6 < sum(figures) / len(figures) < 0.75


def test_doubtful_words_are_said_once_with_what_to_do(ser, demo_runs, demo_clips, monkeypatch):
    guesses = (Word("guten", 0.1, 0.2, 0.4), Word("Tag", 0.2, 0.3, 0.7))
    guess = Transcript("guten Tag", guesses, confidence=0.1, language="en")
    monkeypatch.setattr(whisper, "make", lambda config, device: lambda signals: [guess for _ in signals])
    words = ["predict", demo_clips("m1-anger-1"), demo_clips("f1-sadness-1"), "-m", demo_runs.average]
    names = ", ".join(map(str, words[1:3]))
    n = f"2 of 2 utterances ({names}) have words with an ASR confidence below 0.25"
    assert ser(*words).err == f"{n}; they may not be English: --set asr.model=base writes down other languages.\n"
    alone = ser(*words[:2]).err  # the model that ships weighs words by their confidence
    assert alone.startswith("1 of 1 utterances have words with an ASR confidence below 0.25, which count little; they")
    better = ser(*words, "--set", "asr.model=base")
    assert better.err == f"{n}; the speech may be unclear: --no-asr leaves the words out.\n"
    assert ser(*words, "--text", "guten Tag").code == 2
    assert ser(*words[:2], "-m", demo_runs.average, "--text", "guten Tag").err == ""


def test_without_any_model_the_option_is_named(ser, demo_clips, monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "PRETRAINED", tmp_path / "pretrained")
    refused = ser("predict", demo_clips("m1-anger-1"))
    assert refused.code == 2
    assert "give model=... (--model)" in refused.err


def test_predictions_from_audio_alone_load_nothing_that_recognises_words(demo_runs, demo_clips, tmp_path):
    sound, rate_hz = soundfile.read(demo_clips("m1-anger-1"), dtype="float32")
    soundfile.write(tmp_path / "a.wav", sound, rate_hz)
    heavy = ["faster_whisper", "ctranslate2", "av", "librosa", "numba", "nltk", "sklearn"]
    heavy += ["matplotlib", "optuna", "transformers", "huggingface_hub", "tokenizers", "sentence_transformers"]
    words = ["ser", "predict", str(tmp_path / "a.wav"), "-m", str(demo_runs.average), "--no-asr", "--json"]
    code = (
        f"import sys; sys.argv = {words}\n"
        "from sercli.cli import app\ntry:\n    app.main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, loaded = done.stdout.splitlines()
    assert json.loads(answer)["label"] in LABELS
    assert loaded == "[]"


def test_every_format_can_be_asked_for():
    assert set(get_args(Shape)) == {"table", "audformat", *FORMATS}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.ogg", "--json", "--csv"], "--json and --csv exclude each other"),
        (["a.ogg", "--json", "--format", "srt"], "--json and --format srt exclude each other"),
        (["a.ogg", "--format", "xml"], "'xml' is not one of"),
        (["a.ogg", "--format", "table", "-o", "out"], "--format table cannot be used with --out; give one of json"),
        (["a.ogg", "--skip-done"], "--skip-done needs a folder in --out, with a file for each recording; give one."),
        (["a.ogg", "--no-asr", "--set", "asr.model=base"], "--set is for the recogniser, which --no-asr leaves out"),
        (["a.ogg", "--min-confidence", "2"], "--min-confidence"),
        (["a.ogg", "--asr", "wisper"], "Did you mean 'whisper'?"),
        (["a.ogg", "--set", "asr.beam=3"], "Did you mean 'asr.beam_size'?"),
        (["a.ogg", "--set", "train.lr=3"], "has no effect in `ser predict`; give only asr.KEY=VALUE"),
        (["nowhere.wav"], "nowhere.wav"),
        (["*.nothing"], "*.nothing"),
        (["a.ogg", "b.ogg", "--text", "hello"], "--text is for a single recording, but there are 2"),
        (["a.ogg", "b.ogg", "--plot", "a.png"], "--plot draws a single recording, but there are 2"),
        (["a.ogg", "b.ogg", "--format", "vtt"], "give --out for a file each"),
        (["a.ogg", "b.ogg", "-o", "film.srt"], "give --out for a file each"),
        (
            ["a.ogg", "--json", "-o", "a.csv"],
            "--out a.csv is called like csv, but --json is given",
        ),
        (["a.ogg", "-o", "a.xlsx"], "--out a.xlsx is no folder's name, and one file for all ends in .csv, .json, "),
        (["a.ogg", "--speakers-from", "list.csv", "-o", "list.csv"], "--out list.csv is the table that is read; give"),
        (["a.ogg", "--skip-done", "-o", "a.csv"], "--skip-done needs a folder in --out, with a file for each"),
        (["list.csv", "a.ogg"], "list.csv is a table of recordings; give it alone."),
        (
            ["list.csv", "-o", "out"],
            "are one file; give --out FILE.csv or FILE.json, not out.",
        ),
        (["list.csv", "--text", "hello"], "give list.csv a column text."),
        (["list.csv", "--json"], "list.csv:2: end_s is 'x'; it must be a number of seconds such as 1.5."),
        (["bare.csv"], "bare.csv:1: No column called 'path'."),
        (["a.ogg", "--device", "abacus"], "abacus"),
        (["broken.wav"], "broken.wav cannot be read as audio"),
        (["broken.wav", "-o", "out"], "broken.wav cannot be read as audio"),
        (["broken.wav", "--format", "vtt"], "broken.wav cannot be read as audio"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(ser, demo_runs, demo_clips, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ogg", "b.ogg"):
        shutil.copy(demo_clips("m1-anger-1"), name)
    (tmp_path / "broken.wav").write_text("not audio")
    (tmp_path / "list.csv").write_text("path,end_s\na.ogg,x\n")
    (tmp_path / "bare.csv").write_text("note\nx\n")
    before = sorted(tmp_path.iterdir())
    shown = ser("predict", *words, "--model", demo_runs.acoustic)
    assert (shown.code, shown.out) == (2, "")
    assert expected in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_linguistic_run_needs_words_and_says_where_they_come_from(ser, demo_runs, demo_clips):
    refused = ser("predict", demo_clips("m1-anger-1"), "-m", demo_runs.linguistic, "--no-asr")
    assert refused.code == 2
    assert "leave out asr=None (--no-asr)" in refused.err


def test_a_text_for_a_run_that_reads_none_is_refused(ser, demo_runs, demo_clips):
    refused = ser("predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "--text", "hello")
    assert refused.code == 2
    assert refused.err == f"ser: --text does nothing with {demo_runs.acoustic}, which reads no text; leave it out.\n"


def test_subtitles_of_silence_say_why_they_are_empty(ser, demo_runs, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE_HZ), RATE_HZ)
    shown = ser("predict", tmp_path / "a.wav", "-m", demo_runs.acoustic, "--format", "srt")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "No utterance has a label, such as where nobody speaks: there are no subtitles.\n"


def test_a_table_may_name_its_columns_as_hugging_face_does_and_leave_cells_out(ser, demo_runs, folder):
    (folder / "metadata.csv").write_text("file_name,transcript,end\na.ogg,nan,NA\n")
    (row,) = _lines(ser("predict", folder / "metadata.csv", "-m", demo_runs.acoustic, "--json"))
    assert (row["file_name"], row["transcript"], row["path"]) == ("a.ogg", "nan", str(folder / "a.ogg"))
    assert row["label"] in LABELS


def test_a_database_in_audformat_is_written_once_and_read_as_a_corpus(ser, demo_runs, folder, tmp_path):
    words = ["predict", folder, "-m", demo_runs.acoustic, "--format", "audformat"]
    assert ser(*words).err == "ser: --format audformat needs --out, the folder for the database; add it.\n"
    written = ser(*words, "-o", tmp_path / "out")
    assert (written.code, sorted(path.name for path in (tmp_path / "out").iterdir())) == (
        2,
        ["db.emotion.csv", "db.yaml", "failures.tsv"],
    )
    again = ser(*words, "-o", tmp_path / "out")
    assert "choose a folder without db.yaml" in again.err
    prepared = ["prepare", "audformat", tmp_path / "out", "--out", tmp_path / "data", "--features", "words"]
    assert "utterances       2" in ser(*prepared, "--set", "corpus.column=emotion", "--jobs", 1).out
    refused = ser(*prepared, "--set", "corpus.colum=emotion")
    assert "No setting called 'corpus.colum'. Did you mean 'corpus.column'?" in refused.err


def test_a_neutral_clip_among_the_recordings_is_named(ser, demo_runs, demo_clips):
    clip = demo_clips("m1-neutral-1")
    shown = ser("predict", clip, "--neutral", clip, "-m", demo_runs.acoustic)
    assert "is a --neutral clip, so that its own prediction tells nothing." in " ".join(shown.err.split())
