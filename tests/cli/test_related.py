"""The networks of the related works: each is trained, evaluated, joined with another, predicts and is explained."""

import json
from types import SimpleNamespace

import pytest

from sercli.model.papers import PAPERS
from sercli.runs import load_finished

TRAINED = sorted(PAPERS.keys() - {"tripathi2018"})  # which reads motion capture: see test_motion_commands.py


@pytest.fixture(scope="module")
def related(made_once, run_quietly, demo_runs):
    data = demo_runs.acoustic.parent / "data"

    def make(base):
        quick = ["--set", "train.epochs=1", "--jobs", 1, "-q"]
        run_quietly("train", "-m", "related", "--data", data, "--out", base, *quick)

    return SimpleNamespace(folder=made_once("related", make), linguistic=demo_runs.linguistic, data=data)


def test_all_are_trained_that_the_dataset_has_inputs_for_and_evaluated_side_by_side(ser, related):
    assert sorted(folder.name for folder in related.folder.iterdir()) == TRAINED
    shown = ser("evaluate", "--all", related.folder, "--json")
    assert shown.code == 0, shown.err
    systems = {system["name"]: system for system in json.loads(shown.out)["systems"]}
    assert sorted(systems) == TRAINED
    settings = systems["yoon2018-mdre"]["training"]["settings"]
    assert settings["feature.mfcc.deltas"] == "true"  # as --set knows it


@pytest.mark.parametrize("name", TRAINED)
def test_each_predicts_and_is_explained(ser, related, demo_clips, tmp_path, name):
    reads_text = load_finished(related.folder / name).modality != "acoustic"
    text = ["--text", "stop it now"] if reads_text else []
    words = [demo_clips("m1-anger-1"), *text, "--model", related.folder / name, "--adapt", "none"]
    shown = ser("predict", *words, "--json", "--explain", tmp_path / "why.png")
    assert shown.code == 0, shown.err
    assert sum(json.loads(shown.out)["probs"].values()) == pytest.approx(1, abs=1e-3)
    assert (tmp_path / "why.png").stat().st_size > 0


@pytest.mark.parametrize("name", TRAINED)
def test_each_is_joined_with_another(ser, related, demo_clips, tmp_path, name):
    members = [related.folder / name, related.linguistic]
    shown = ser("ensemble", *members, "--rule", "average", "--out", tmp_path / "both")
    assert shown.code == 0, shown.err
    shown = ser("predict", demo_clips("m1-anger-1"), "--text", "stop it", "--model", tmp_path / "both", "--json")
    assert shown.code == 0, shown.err
    assert sum(json.loads(shown.out)["probs"].values()) == pytest.approx(1, abs=1e-3)


def test_encoders_of_several_inputs_are_trained_further_in_an_ensemble(ser, related, tmp_path):
    members = [related.folder / "yoon2018-mdre", related.linguistic]
    words = ["--rule", "feature", "--set", "ensemble.train_encoders=true", "--set", "train.epochs=1"]
    shown = ser("ensemble", *members, "--data", related.data, *words, "--out", tmp_path / "both")
    assert shown.code == 0, shown.err
    assert ser("evaluate", tmp_path / "both", "--data", related.data).code == 0
