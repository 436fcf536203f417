"""Motion capture from IEMOCAP's files to an ensemble's prediction, as a user runs it."""

import json

import numpy as np
import pytest
from iemocap_tree import PlannedTurn, motion_of, write_tree

from sercli.dataset import feature_cache, manifest
from sercli.features import motion

CODES = ("neu", "hap", "sad", "ang")
QUICK = ["--set", "train.epochs=4", "--set", "train.lr=0.003", "--set", "architecture.filters=[[4,4,8,8,8]]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, run_quietly):
    """Three sessions of two dialogs with motion capture, a run on it, one on audio, one on text, and their ensemble."""
    base = tmp_path_factory.mktemp("motion")
    dialogs = [f"Ses0{n}{name}" for n in (1, 2, 3) for name in ("F_impro01", "M_impro02")]
    write_tree(
        base / "release", [PlannedTurn(d, sex, code) for d in dialogs for code in CODES for sex in "FM"], motion=True
    )
    options = ["--out", base / "data", "--features", "lld,words,motion", "--jobs", 1]
    run_quietly("prepare", "iemocap", base / "release", *options)
    for preset, more in (("motion", QUICK), ("acoustic-lld", QUICK[:4]), ("linguistic", QUICK[:4])):
        run_quietly("train", "-m", preset, "--data", base / "data", "--out", base / preset, *more)
    members = ["-p", base / "motion", "-a", base / "acoustic-lld", "-l", base / "linguistic"]
    run_quietly("ensemble", *members, "--data", base / "data", "--rule", "weighted", "--out", base / "all")
    return base


def test_the_feature_has_the_numbers_of_the_files_with_gaps_filled(made, no_progress):
    dataset = manifest.load(made / "data")
    store = feature_cache.ensure(dataset, "motion", motion.Config(), progress=no_progress)
    found = store["Ses01F_impro01_M003"]  # anger
    assert found.shape == (200, 189)
    expected = np.concatenate([motion_of("ang", kind, n) for kind, n in (("rotated", 165), ("head", 6), ("hand", 18))])
    np.testing.assert_allclose(found, np.tile(np.nan_to_num(expected), (200, 1)), atol=1e-5)


def test_motion_is_scored_beside_the_others_and_sliced_by_who_wears_the_markers(ser, made):
    shown = ser("evaluate", "-p", made / "motion", "-a", made / "acoustic-lld", "-e", made / "all", "--json")
    assert shown.code == 0, shown.err
    scores = json.loads(shown.out)["systems"]
    assert {one["name"]: one["modality"] for one in scores} == {
        "motion": "motion",
        "acoustic-lld": "acoustic",
        "weighted": "both",
    }
    assert {s["value"] for one in scores for s in one["slices"] if s["by"] == "markers"} == {"speaker", "listener"}
    assert ser("evaluate", made / "motion", made / "all", "--report", made / "report.html").code == 0
    page = (made / "report.html").read_text()
    assert "<td>motion</td>" in page
    assert "<td>audio, text and motion</td>" in page


def test_chosen_words_name_only_those_systems_that_read_words(ser, made):
    shown = ser("evaluate", made / "motion", made / "linguistic", "--data", made / "data", "--words", "human", "--json")
    names = {system["name"] for system in json.loads(shown.out)["systems"]}
    assert names == {"motion", "linguistic (human words)"}


def test_a_recording_has_no_motion_and_is_predicted_by_the_others_which_is_said(ser, made):
    clip = made / "release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F003.wav"
    shown = ser("predict", clip, "--model", made / "all", "--text", "leave me alone", "--json")
    assert shown.code == 0, shown.err
    (answer,) = map(json.loads, shown.out.splitlines())
    assert "no motion capture: predicted without it" in answer["remarks"]
    assert set(answer["members"]) <= {"acoustic", "linguistic"}
    alone = ser("predict", clip, "--model", made / "motion")
    assert alone.code != 0
    assert "reads motion capture, which recordings do not have: score it with ser evaluate" in alone.err


def test_only_turns_whose_speaker_wears_the_markers_are_prepared_on_request(ser, made):
    prepare = ["prepare", "iemocap", made / "release", "--features", "motion", "--jobs", 1, "--out"]
    shown = ser(*prepare, made / "speakers", "--where", "markers=speaker")
    assert shown.code == 0, shown.err
    assert "not markers=speaker" in shown.out
    chosen = manifest.load(made / "speakers").manifest.utterances
    assert {u.attributes["markers"] for u in chosen} == {"speaker"}
    assert len(chosen) == len(manifest.load(made / "data").manifest.utterances) // 2
    assert "holds another dataset: where" in ser(*prepare, made / "speakers").err
    said = ser(*prepare, made / "none", "--where", "markers=nobody").err
    assert "--where markers=nobody: no utterance has it; the values of markers are: listener, speaker." in said
    said = " ".join(ser(*prepare, made / "none", "--where", "actor=1").err.split())
    assert "--where actor=1: no utterance has it; give one of " in said
    assert {"markers", "speaker", "session"} <= set(said.rstrip(".").replace(",", "").split())


def test_a_network_of_sound_words_and_motion_is_trained_and_does_without_motion(ser, made, demo_clips, tmp_path):
    run = tmp_path / "tripathi2018"
    shown = ser("train", "-m", "tripathi2018", "--data", made / "data", "--out", run, "--set", "train.epochs=1", "-q")
    assert shown.code == 0, shown.err
    shown = ser("evaluate", run, "--json")
    assert "report accuracy .710 (not checked). Protocol: tested on session 5" in " ".join(
        json.loads(shown.out)["warnings"]
    )
    members = [run, made / "linguistic", "--rule", "average", "--data", made / "data"]
    assert ser("ensemble", *members, "--out", tmp_path / "both").code == 0
    shown = ser(
        "predict",
        demo_clips("m1-anger-1"),
        "--model",
        run,
        "--text",
        "leave me",
        "--explain",
        tmp_path / "why.png",
        "--json",
    )
    assert shown.code == 0, shown.err
    assert "no motion capture: predicted without it" in json.loads(shown.out)["remarks"]
    assert (tmp_path / "why.png").stat().st_size > 0
