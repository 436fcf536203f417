"""`ser predict --explain` from end to end."""

import json
import shutil
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import soundfile
from PIL import Image

from sercli.cli.pictures import seconds as seconds_of
from sercli.cli.predict import ExplainBy
from sercli.errors import SerError
from sercli.evaluation import plots
from sercli.model.attribution import Kind

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def talk(tmp_path_factory, demo_clips):
    """More than 15 s with an utterance from 2 s on and one from 9 s on."""
    first, second = (soundfile.read(demo_clips(name), dtype="float32")[0] for name in ("m1-anger-1", "m1-sadness-1"))
    sound = np.zeros(16 * RATE_HZ, np.float32)
    sound[2 * RATE_HZ : 2 * RATE_HZ + len(first)] = first
    sound[9 * RATE_HZ : 9 * RATE_HZ + len(second)] = second
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    soundfile.write(path, sound, RATE_HZ)
    return path


@pytest.fixture
def explained(monkeypatch):
    """The explanations that were drawn, with how they were called."""
    found, draw = [], plots.explanation_picture

    def kept(explanation, target, **said):
        found.append((explanation, said))
        draw(explanation, target, **said)

    monkeypatch.setattr(plots, "explanation_picture", kept)
    return found


def test_a_clip_is_answered_and_explained(ser, demo_runs, demo_clips, explained, tmp_path):
    words = ["predict", demo_clips("m1-anger-2"), "-m", demo_runs.average, "--json"]
    plain = ser(*words)
    shown = ser(*words, "--explain", tmp_path / "a.png")
    assert (shown.code, shown.out) == (0, plain.out)
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
    ((found, said),) = explained
    answer = json.loads(shown.out)
    assert shown.err == f"Wrote {tmp_path / 'a.png'}: m1-anger-2.ogg, {answer['label']}.\n"
    assert said == {"name": "m1-anger-2.ogg", "label": answer["label"]}
    alone = answer["members"]
    assert found.probs == {"audio": alone["acoustic"], "text": alone["linguistic"], "together": answer["probs"]}
    assert (found.audio[0].kind, found.text[0].kind) == ("attention", "attention")
    assert found.words == tuple(answer["text"].split())
    assert found.spans_s[0][0] == answer["words"][0]["start_s"]
    assert found.asr_confidence == answer["asr_confidence"]


def test_words_that_are_given_were_not_heard(ser, demo_runs, demo_clips, explained, tmp_path):
    given = ["predict", demo_clips("m1-anger-2"), "-m", demo_runs.average, "--text", "so happy"]
    assert ser(*given, "--explain", tmp_path / "a.png", "--explain-by", "occlusion").code == 0
    ((found, _),) = explained
    assert (found.words, found.spans_s, found.asr_confidence) == (("so", "happy"), (), None)
    assert (found.audio[0].kind, found.text[0].kind) == ("occlusion", "occlusion")


@pytest.mark.parametrize(("at", "start_s"), [("2.5", 2), ("0:10", 9), ("0:00:09.5", 9)])
def test_of_a_long_recording_the_utterance_is_explained_that_is_asked_for(
    ser, demo_runs, talk, explained, tmp_path, at, start_s
):
    shown = ser("predict", talk, "-m", demo_runs.acoustic, "--explain", tmp_path / "a.png", "--at", at, "--json", "-q")
    assert (shown.code, shown.err) == (0, "")
    ((found, said),) = explained
    assert found.start_s == pytest.approx(start_s, abs=0.5)
    assert said["name"].startswith(f"talk.wav, 0:0{start_s}.") or said["name"].startswith(
        f"talk.wav, 0:0{start_s - 1}.9"
    )
    starts = [json.loads(line)["start_s"] for line in shown.out.splitlines()]
    assert min(abs(found.start_s - start) for start in starts) <= 0.2  # the speech in the utterance


def test_a_start_is_asked_for_as_the_table_has_it(ser, demo_runs, talk, explained, tmp_path):
    words = ["predict", talk, "-m", demo_runs.acoustic]
    starts = [line.split()[0] for line in ser(*words).out.splitlines() if line.strip().startswith("0:")][:2]
    for start in starts:
        assert ser(*words, "--explain", tmp_path / "a.png", "--at", start).code == 0
    assert [round(found.start_s) for found, _ in explained] == [2, 9]


def test_where_nobody_speaks_the_nearest_utterance_is_explained(ser, demo_runs, talk, explained, tmp_path):
    shown = ser("predict", talk, "-m", demo_runs.acoustic, "--explain", tmp_path / "a.png", "--at", "0:07")
    assert shown.code == 0
    assert shown.err.startswith("--at 0:07.0: nobody speaks then; the nearest utterance is explained, from 0:0")
    ((found, _),) = explained
    assert found.start_s == pytest.approx(9, abs=0.5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "talk.wav holds 2 utterances, and --explain draws one; add --at m:ss, such as --at 0:0"),
        (["--at", "100"], "talk.wav, which lasts from 0:00.0 to 0:16.0; give a time in it."),
    ],
)
def test_a_wrong_time_is_told_before_anything_is_predicted(ser, demo_runs, talk, tmp_path, options, expected):
    shown = ser("predict", talk, "-m", demo_runs.acoustic, "--json", "--explain", tmp_path / "a.png", *options)
    assert (shown.code, shown.out) == (2, "")
    assert expected in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "a.png").exists()


def test_silence_has_nothing_to_explain(ser, demo_runs, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE_HZ), RATE_HZ)
    shown = ser("predict", tmp_path / "a.wav", "-m", demo_runs.acoustic, "--explain", tmp_path / "a.png")
    assert shown.code == 2
    assert "no speech" in shown.out
    assert shown.err == f"ser: {tmp_path / 'a.wav'} has no prediction to explain (no speech); give another.\n"
    assert not (tmp_path / "a.png").exists()


def test_the_same_command_draws_the_same_picture(ser, demo_runs, demo_clips, tmp_path):
    for name in ("a.png", "b.png"):
        ser("predict", demo_clips("m1-anger-1"), "-m", demo_runs.acoustic, "--explain", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["a.ogg", "b.ogg", "--explain", "a.png"],
            "--explain draws an utterance of a single recording, but there are 2",
        ),
        ([".", "--explain", "a.png"], "--explain draws an utterance of a single recording, but there are 2"),
        (["a.ogg", "--explain", "."], "'.' is a directory"),
        (["a.ogg", "--explain", "a.pdf"], "--explain a.pdf: the picture is a PNG; give a name that ends in .png."),
        (["a.ogg", "--plot", "a"], "--plot a: the picture is a PNG; give a name that ends in .png."),
        (["a.ogg", "--explain-by", "occlusion"], "--explain-by and --at need --explain, the PNG to draw"),
        (["a.ogg", "--at", "1"], "--explain-by and --at need --explain, the PNG to draw"),
        (["a.ogg", "--explain", "a.png", "--explain-by", "magic"], "'magic' is not one of"),
        (
            ["a.ogg", "--explain", "a.png", "--at", "now"],
            "--at now is not a time; give m:ss such as 1:23.5, or seconds",
        ),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2(ser, demo_runs, demo_clips, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ogg", "b.ogg"):
        shutil.copy(demo_clips("m1-anger-1"), name)
    shown = ser("predict", *words, "--model", demo_runs.acoustic)
    assert (shown.code, shown.out) == (2, "")
    assert expected in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ogg", "b.ogg"]


@pytest.mark.parametrize(("moment", "seconds"), [("83.5", 83.5), ("1:23.5", 83.5), ("1:02:03", 3723.0), ("0", 0.0)])
def test_a_moment_is_given_in_seconds_or_as_clocks_have_it(moment, seconds):
    assert seconds_of(moment) == seconds


@pytest.mark.parametrize("moment", ["", "-1", "1:-2", "nan", "inf", "1:2:3:4", "1:"])
def test_what_is_no_moment_is_refused(moment):
    with pytest.raises(SerError, match="is not a time"):
        seconds_of(moment)


def test_each_way_can_be_asked_for():
    assert get_args(ExplainBy) == get_args(Kind)


def test_answers_without_a_picture_load_nothing_that_explains(demo_runs, demo_clips):
    words = ["ser", "predict", str(demo_clips("m1-anger-1")), "-m", str(demo_runs.acoustic), "--no-asr", "--json"]
    code = (
        f"import sys; sys.argv = {words}\n"
        "from sercli.cli import app\ntry:\n    app.main()\nexcept SystemExit:\n    pass\n"
        "odd = ('attribution', 'explanation', 'matplotlib')\n"
        "print([name for name in sys.modules if any(word in name for word in odd)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"
