import numpy as np
import pytest
import soundfile

from sercli.cli import grouping
from sercli.errors import SerError
from sercli.types import Prediction, Recording


@pytest.fixture
def recordings(tmp_path):
    found = []
    for name in ("one/a.wav", "one/b.wav", "two/c.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.zeros(160), 16_000)
        found.append(Recording(str(path), path))
    return found


def test_recordings_of_a_folder_are_a_group(recordings):
    group = grouping.Grouping("folder", "auto")
    keys = [group.key(Prediction(one.name, 0, 1)) for one in recordings]
    assert keys[0] == keys[1] != keys[2]


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
    found = grouping.with_speakers(recordings, tmp_path / name)
    assert [one.speaker for one in found] == ["Ann", None, "Bob"]
    group = grouping.Grouping("speaker", "auto")
    assert [group.key(Prediction(one.name, 0, 1, speaker=one.speaker)) for one in found] == ["Ann", None, "Bob"]


def test_speakers_of_a_table_whose_names_differ_little_are_told(recordings, tmp_path, capsys):
    (tmp_path / "s.csv").write_text("path,speaker\none/a.wav,Ann\none/b.wav,ann\ntwo/c.wav,Bob\n")
    grouping.with_speakers(recordings, tmp_path / "s.csv")
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith(
        "warning: Speakers whose names differ little ('Ann' = 'ann') count as different people; correct"
    )


def test_a_table_of_other_recordings_is_refused(recordings, tmp_path):
    (tmp_path / "s.csv").write_text("path,speaker\nother.wav,Ann\n")
    with pytest.raises(
        SerError, match=r"s\.csv names none of the 3 recordings, such as .*a\.wav; its paths are relative"
    ):
        grouping.with_speakers(recordings, tmp_path / "s.csv")


def test_a_table_without_speakers_is_refused(recordings, tmp_path):
    (tmp_path / "s.csv").write_text("path,label\none/a.wav,anger\n")
    with pytest.raises(SerError, match="names no speakers; give a table with the columns path and speaker"):
        grouping.with_speakers(recordings, tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group", "speaker"], "--group speaker needs --speakers-from"),
        (["--group", "folder", "--adapt", "none"], "--adapt none and --group exclude each other"),
        (["--speakers", "0"], "--speakers 0: give auto, none, or the number of speakers, such as 2."),
        (["--speakers", "two"], "--speakers two: give auto, none, or the number of speakers, such as 2."),
    ],
)
def test_options_that_cannot_be_used_together_are_refused(ser, recordings, options, message):
    found = ser("predict", recordings[0].name, "--no-asr", *options)
    assert found.code == 2
    assert message in found.err
