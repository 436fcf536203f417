import json

import numpy as np
import pytest
import soundfile

from sercli.cli import sources, voices
from sercli.errors import SerError
from sercli.pipeline import Pipeline
from sercli.types import Recording


@pytest.fixture
def recordings(tmp_path):
    found = []
    for name in ("one/a.wav", "one/b.wav", "two/c.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.zeros(160), 16_000)
        found.append(Recording(str(path), path))
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.csv", "path,speaker\none/a.wav,Ann\ntwo/c.wav, Bob \none/b.wav,\n"),
        ("s.tsv", "Speaker\tPath\nAnn\tone/a.wav\nBob\ttwo/c.wav\n"),
        ("s.jsonl", '{"path": "one/a.wav", "speaker": "Ann"}\n{"path": "two/c.wav", "speaker": "Bob"}\n'),
    ],
)
def test_a_table_tells_the_speakers(recordings, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = sources.with_speakers(recordings, tmp_path / name)
    assert [one.speaker for one in found] == ["Ann", None, "Bob"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_is_adapted_to_after_the_voice_at_rest(ser, demo_runs, demo_clips, jobs):
    clips = [demo_clips(f"m1-{name}") for name in ("anger-1", "anger-2", "sadness-1", "happiness-1", "neutral-1")]
    words = ["predict", *clips, "--neutral", demo_clips("m1-neutral-2"), "-m", demo_runs.average, "--no-asr", "--json"]
    found = list(map(json.loads, ser(*words, "--group", "folder", "--jobs", jobs).out.splitlines()))
    assert [row["path"] for row in found] == list(map(str, clips))
    alone = list(map(json.loads, ser(*words, "--jobs", 1).out.splitlines()))
    assert [row["adapted"] for row in found] == [{"group": "folder", "n": 5, "how": "neutral, auto"}] * 5
    assert [row["adapted"] for row in alone] == [{"group": "voice", "n": 1, "how": "neutral"}] * 5
    assert [row["unadapted"] for row in found] == [row["unadapted"] for row in alone]


@pytest.mark.parametrize("asked", [["--group", "folder"], ["--adapt", "full"]])
def test_groups_that_are_too_small_to_adapt_to_are_told(ser, demo_runs, demo_clips, asked):
    clips = [demo_clips(f"m1-{name}") for name in ("anger-1", "anger-2")]
    shown = ser("predict", *clips, "-m", demo_runs.average, "--no-asr", *asked, "-q")
    said = "2 of 2 utterances are in groups of fewer than 5, too few to adapt to, and predicted each by itself."
    assert said in " ".join(shown.err.split())


def test_a_run_that_cannot_be_adapted_is_refused_before_anything_is_predicted(ser, demo_runs, recordings, monkeypatch):
    monkeypatch.setattr(Pipeline, "open", None)
    found = ser("predict", recordings[0].name, "-m", demo_runs.linguistic, "--no-asr", "--group", "folder")
    assert found.code == 2
    assert "linguistic cannot be adapted: it needs an acoustic member and a fusion rule over prob" in found.err


def test_speakers_of_a_table_whose_names_differ_little_are_told(recordings, tmp_path, capsys):
    (tmp_path / "s.csv").write_text("path,speaker\none/a.wav,Ann\none/b.wav,ann\ntwo/c.wav,Bob\n")
    sources.with_speakers(recordings, tmp_path / "s.csv")
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith(
        "warning: Speakers whose names differ little ('Ann' = 'ann') count as different people; correct"
    )


def test_a_table_of_other_recordings_is_refused(recordings, tmp_path):
    (tmp_path / "s.csv").write_text("path,speaker\nother.wav,Ann\n")
    with pytest.raises(
        SerError, match=r"s\.csv names none of the 3 recordings, such as .*a\.wav; its paths are relative"
    ):
        sources.with_speakers(recordings, tmp_path / "s.csv")


def test_a_table_without_speakers_is_refused(recordings, tmp_path):
    (tmp_path / "s.csv").write_text("path,label\none/a.wav,anger\n")
    with pytest.raises(SerError, match="names no speakers; give a table with the columns path and speaker"):
        sources.with_speakers(recordings, tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group", "speaker"], "--group speaker needs --speakers-from"),
        (["--group", "folder", "--adapt", "none"], "--adapt none and --group exclude each other"),
        (["--speakers", "0"], "speakers=0: give auto, none, or the number of speakers, such as 2."),
        (["--speakers", "two"], "speakers=two: give auto, none, or the number of speakers, such as 2."),
    ],
)
def test_options_that_cannot_be_used_together_are_refused(ser, recordings, options, message):
    found = ser("predict", recordings[0].name, "--no-asr", *options)
    assert found.code == 2
    assert message in found.err


def test_voices_that_are_clearly_not_one_are_told(demo_clips, tmp_path, capsys):
    def said(group, clips, neutral=()):
        voices.warn([Recording(clip.name, clip) for clip in clips], group, [demo_clips(one) for one in neutral])
        return " ".join(capsys.readouterr().err.split())

    def clips(who):
        return [demo_clips(f"{who}-{emotion}-{n}") for emotion in ("anger", "sadness") for n in range(1, 5)]

    changed = []
    for clip, factor in [(clip, 1.4) for clip in clips("f1")] + [(clip, 0.8) for clip in clips("m1")]:
        signal, rate_hz = soundfile.read(clip)
        changed.append(tmp_path / f"{clip.stem}.wav")
        soundfile.write(changed[-1], signal, round(rate_hz * factor))  # a child's voice, and a deep one
    mixed = f"The recordings of folder {tmp_path} seem to be of several voices or rooms (likeness 0."
    assert mixed in said("folder", changed)
    assert said("recording", changed) == said("folder", clips("m1")) == said("folder", changed[:9][1:]) == ""
    assert "The --neutral clips seem to be of another voice" in said("recording", clips("m1"), ["f1-neutral-1"])
    assert said("recording", clips("m1"), ["m1-neutral-1"]) == ""
