"""Whose words are read, from `ser prepare --asr` to `ser evaluate --words`, as a user runs it.

Whisper is stood in for: it hears the human words of each clip, the last one excepted.
"""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sercli.asr import whisper
from sercli.audio import reading
from sercli.cli import app
from sercli.dataset import manifest
from sercli.errors import AudioError
from sercli.types import Transcript

QUICK = ["--set", "train.epochs=3", "--set", "train.lr=0.01"]


@pytest.fixture(scope="module")
def hearing(tiny_dataset):
    """What stands in for `whisper.make`."""
    texts = {}
    for u in tiny_dataset.manifest.utterances:
        sound = reading.read(Path(tiny_dataset.info.root) / u.audio, sample_rate_hz=16_000)
        texts[sound.tobytes()] = u.transcripts["human"].rpartition(" ")[0]

    def transcribe(signals):
        return [Transcript(texts.get(signal.tobytes(), ""), confidence=0.5) for signal in signals]

    return lambda config, device: transcribe


@pytest.fixture
def ser(ser, monkeypatch, hearing):
    """The shared `ser`, with what stands in for Whisper."""
    monkeypatch.setattr(whisper, "make", hearing)
    return ser


@pytest.fixture(scope="module")
def made(tiny_corpus, tmp_path_factory, hearing):
    """The tiny corpus prepared with Whisper's words, a run on sound, and one on each kind of words."""
    base = tmp_path_factory.mktemp("words")
    names = ("data", "acoustic", "human", "heard")
    folders = SimpleNamespace(root=tiny_corpus, **{name: base / name for name in names})
    train = ["train", "--data", folders.data, *QUICK, "--jobs", 1, "-q"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whisper, "make", hearing)
        for words in (
            [*prepare(folders, folders.data), "--asr", "whisper"],
            [*train, "-m", "acoustic-lld", "--out", folders.acoustic],
            [*train, "-m", "linguistic", "--out", folders.human],
            [*train, "-m", "linguistic", "--words", "whisper", "--out", folders.heard],
        ):
            patch.setattr(sys, "argv", ["ser", *map(str, words)])
            with pytest.raises(SystemExit) as exit_:
                app.main()
            assert exit_.value.code == 0, words
    return folders


def prepare(made, out):
    return ["prepare", "table", made.root, "--out", out, "--features", "words", "--jobs", 1]


def names_of(shown):
    return [system["name"] for system in json.loads(shown.out)["systems"]]


def test_prepare_tells_how_well_words_were_heard(ser, made, tmp_path):
    shown = ser(*prepare(made, tmp_path / "data"), "--asr", "whisper")
    assert shown.code == 0
    n_words = sum(len(u.transcripts["human"].split()) for u in manifest.load(made.data).manifest.utterances)
    found = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in shown.out.splitlines()}
    assert found["transcripts"] == "48 by whisper, 48 of them new"
    assert found["word error rate"] == f"{4800 / n_words:.2f} % (48 edits in {n_words} words)"
    assert found["mean confidence"] == "0.50"
    assert f"ser train -m linguistic --words whisper --data {tmp_path / 'data'}" in shown.err


def test_a_second_prepare_hears_nothing_and_leaves_the_manifest_alone(ser, made, tmp_path):
    shutil.copytree(made.data, tmp_path / "data")
    before = {p.name: p.read_bytes() for p in (tmp_path / "data" / "transcripts").iterdir()}
    assert "48 by whisper, 0 of them new" in ser(*prepare(made, tmp_path / "data"), "--asr", "whisper").out
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "transcripts").iterdir()} == before
    ser(*prepare(made, tmp_path / "mute"))
    for name in ("dataset.json", "manifest.jsonl"):
        assert (tmp_path / "data" / name).read_bytes() == (tmp_path / "mute" / name).read_bytes()


def test_transcripts_with_other_settings_are_made_anew_and_it_is_said(ser, made, tmp_path):
    shutil.copytree(made.data, tmp_path / "data")
    shown = ser(*prepare(made, tmp_path / "data"), "--asr", "whisper", "--set", "asr.beam_size=5")
    assert "48 by whisper, 48 of them new" in shown.out
    assert "with other settings (asr.beam_size was 1, now 5) were made again" in shown.err


def test_a_recording_that_cannot_be_heard_is_named_and_the_others_are_done(ser, made, tmp_path, monkeypatch):
    read = reading.read

    def broken(path, **stretch):
        if path.name == "f2-anger-free.wav":
            raise AudioError(f"{path} is broken")
        return read(path, **stretch)

    monkeypatch.setattr("sercli.audio.reading.read", broken)
    shown = ser(*prepare(made, tmp_path / "data"), "--asr", "whisper")
    assert shown.code == 2
    assert "47 by whisper, 47 of them new" in shown.out
    assert "f2-anger-free.wav is broken" in shown.err
    assert "1 of 48 recordings could not be read" in shown.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--asr", "whispr"], "No recogniser called 'whispr'. Did you mean 'whisper'?"),
        (["--set", "asr.beam_size=5"], "does nothing without --asr"),
        (["--asr", "whisper", "--set", "asr.beam=5"], "Did you mean 'asr.beam_size'?"),
        (["--asr", "whisper", "--set", "train.lr=1"], "--set train.… has no effect in `ser prepare`"),
    ],
)
def test_a_recogniser_that_cannot_be_is_refused_before_any_work(ser, made, tmp_path, words, expected):
    refused = ser(*prepare(made, tmp_path / "data"), *words)
    assert refused.code == 2
    assert expected in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_trained_on_the_words_that_are_asked_for(ser, made):
    data = {
        name: json.loads((getattr(made, name) / "run.json").read_bytes())["settings"]["data"]
        for name in ("human", "heard")
    }
    assert data["heard"]["words"] == "whisper"
    assert data["human"]["words"] == "human"
    assert data["heard"]["manifest_sha256"] == data["human"]["manifest_sha256"]
    assert (made.human / "predictions/test.csv").read_bytes() != (made.heard / "predictions/test.csv").read_bytes()


def test_a_run_goes_on_with_its_own_words_alone(ser, made):
    words = ["train", "-m", "linguistic", "--data", made.data, "--out", made.heard, *QUICK]
    assert ser(*words, "--words", "whisper").code == 0
    refused = ser(*words)
    assert refused.code == 2
    assert 'data.words was "whisper", now "human"' in refused.err


@pytest.mark.parametrize("command", ["train", "tune"])
def test_words_are_refused_where_they_do_nothing(ser, made, tmp_path, command):
    words = [command, "-m", "acoustic-lld", "--data", made.data, "--out", tmp_path / "out", "--words", "whisper"]
    refused = ser(*words)
    assert refused.code == 2
    assert "--words whisper does nothing with acoustic-lld, which reads no text; leave it out." in refused.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "tune"])
def test_words_that_nobody_heard_are_refused_with_the_way_to_hear_them(ser, tiny_dataset, tmp_path, command):
    data = tiny_dataset.folder
    words = [command, "-m", "linguistic", "--data", data, "--out", tmp_path / "out", "--words", "whisper"]
    refused = ser(*words)
    assert refused.code == 2
    assert "has no transcripts by whisper of 48 of its 48 utterances" in refused.err
    assert "with --asr whisper added" in refused.err
    assert list(tmp_path.iterdir()) == []


def test_words_can_be_searched_on(ser, made, tmp_path):
    words = ["tune", "-m", "linguistic", "--data", made.data, "--out", tmp_path / "study", "--trials", 1]
    assert ser(*words, "--words", "whisper", *QUICK[:2]).code == 0
    refused = ser(*words, *QUICK[:2])
    assert 'data.words was "whisper", now "human"' in refused.err


def test_human_and_heard_words_are_scored_side_by_side(ser, made):
    both = ["--words", "human", "--words", "whisper"]
    shown = ser("evaluate", "-a", made.acoustic, "-l", made.human, "--data", made.data, *both, "--json")
    found = json.loads(shown.out)
    assert sorted(names_of(shown)) == ["acoustic-lld", "linguistic (human words)", "linguistic (whisper words)"]
    alone = [ser("evaluate", "-l", made.human, "--data", made.data, "--words", w, "--json") for w in both[1::2]]
    by_name = {system["name"]: system["figures"] for system in found["systems"]}
    for one in alone:
        (system,) = json.loads(one.out)["systems"]
        assert by_name[system["name"]] == system["figures"]
    errors = found["word_errors"]
    n_test = found["systems"][0]["n"]
    assert errors.keys() == {"whisper"}
    assert errors["whisper"]["edits"] == n_test
    assert errors["whisper"]["rate"] == errors["whisper"]["edits"] / errors["whisper"]["n_words"]
    assert json.loads(alone[0].out)["word_errors"] == {}


def test_each_row_is_computed_on_its_own_words(ser, made, tmp_path, monkeypatch):
    shutil.copytree(made.data, tmp_path / "data")
    texts = {"neutral": "the train leaves at noon", "anger": "stop it now i hate this"}
    path = tmp_path / "data" / "transcripts" / "whisper.jsonl"
    for text in texts.values():  # whatever was said, all were heard alike: then all are answered alike
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        path.write_text("".join(json.dumps({**line, "text": text}) + "\n" for line in lines))
        words = ["-l", made.human, "--data", tmp_path / "data", "--words", "human", "--words", "whisper", "--json"]
        found = {system["name"]: system for system in json.loads(ser("evaluate", *words).out)["systems"]}
        human, heard = (found[f"linguistic ({whose} words)"] for whose in ("human", "whisper"))
        assert sorted(map(sum, zip(*heard["confusion"], strict=True))) == [0, 0, 0, heard["n"]]
        stored = json.loads(ser("evaluate", "-l", made.human, "--json").out)["systems"][0]
        assert human["figures"] == stored["figures"]
        assert human["mistakes"] == stored["mistakes"]


def test_the_word_error_rate_is_told_once(ser, made):
    runs = ["-l", made.human, "-l", made.heard]
    shown = ser("evaluate", *runs, "--data", made.data, "--words", "human", "--words", "whisper")
    assert shown.out.count("word error rate of whisper") == 1
    for name in ("linguistic (human, human words)", "linguistic (heard, whisper words)"):
        assert name in shown.out


def test_a_run_is_evaluated_on_the_words_that_it_was_trained_on(ser, made):
    for run in (made.human, made.heard):
        stored = json.loads(ser("evaluate", "-l", run, "--json").out)["systems"]
        assert json.loads(ser("evaluate", "-l", run, "--data", made.data, "--json").out)["systems"] == stored


def test_reports_on_other_words_leave_the_runs_own_alone(ser, made, tmp_path):
    shutil.copytree(made.human, tmp_path / "run")
    ser("evaluate", "-l", tmp_path / "run", "--data", made.data, "--words", "whisper", "--words", "human")
    found = {p.name: json.loads(p.read_bytes())["name"] for p in (tmp_path / "run").glob("report*.json")}
    assert found == {
        "report.json": "linguistic (human words)",
        "report-whisper.json": "linguistic (whisper words)",
    }
    assert (tmp_path / "run" / "confusion-whisper.png").exists()


def test_words_need_a_dataset_to_be_read_from(ser, made):
    refused = ser("evaluate", "-l", made.human, "--words", "whisper")
    assert refused.code == 2
    assert "--words needs --data" in refused.err


def test_an_ensemble_reads_the_words_that_its_member_was_trained_on(ser, made, tmp_path):
    words = ["ensemble", "-a", made.acoustic, "-l", made.heard, "--data", made.data, "--rule", "average"]
    refused = ser(*words, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "was trained on other words than these" in refused.err
    assert "Give --words whisper" in refused.err
    assert not (tmp_path / "out").exists()
    assert ser(*words, "--out", tmp_path / "out", "--words", "whisper").code == 0
    both = ["--words", "human", "--words", "whisper"]
    shown = ser("evaluate", "-e", tmp_path / "out", "--data", made.data, *both, "--json")
    found = {system["name"]: system for system in json.loads(shown.out)["systems"]}
    assert found.keys() == {"average (human words)", "average (whisper words)"}
    stored = json.loads(ser("evaluate", "-e", tmp_path / "out", "--json").out)["systems"][0]
    assert {**found["average (whisper words)"], "name": "average"} == stored
