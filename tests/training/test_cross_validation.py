"""A run for each fold and seed in one directory."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from sercli import runs
from sercli.dataset.splits import make_folds
from sercli.errors import DivergedError, MismatchError, SerError
from sercli.evaluation import pooling
from sercli.model import ensemble, inference
from sercli.training import cross_validation, experiment, fusion
from sercli.training.cross_validation import Repetition
from sercli.types import TrainConfig

CPU = torch.device("cpu")
SEEDS = (0, 1)


def ignore(cell, info):
    """Nobody is told."""


@pytest.fixture(scope="module")
def repeated(tiny_dataset):
    """Three folds, a session each, with two seeds."""
    return Repetition(tiny_dataset, make_folds(tiny_dataset.manifest, "loso"), SEEDS, "cpu", jobs=1)


@pytest.fixture(scope="module")
def made(repeated, rows, plans, tmp_path_factory):
    """Folders of two finished cross-validations, `acoustic` and `linguistic`, with who was told of what."""
    folder = tmp_path_factory.mktemp("repeated")
    everyone = cross_validation.everyone(repeated)
    told = []
    for side, preset in (("acoustic", "acoustic-log-mel"), ("linguistic", "linguistic")):
        plan = plans.small(preset, epochs=2)
        rows(everyone, plan.model.feature, plan.model.feature_config)
        cross_validation.train(
            [plan] * 3, repeated, folder / side, on_run=lambda cell, info: told.append((cell.fold, cell.seed))
        )
    return folder / "acoustic", folder / "linguistic", told


def fused(repeated, members, out, rule="average", **changed):
    config = {"rule_config": fusion.rule_configs([rule], [])[rule][0], "train_config": TrainConfig()}
    return cross_validation.fuse(members, rule, repeated, out, on_run=ignore, **{**config, **changed})


def test_each_fold_and_seed_is_an_ordinary_run(made, repeated):
    acoustic, _, told = made
    info = runs.load_finished(acoustic)
    assert (info.kind, info.name, info.modality) == ("cross-validation", "acoustic-log-mel", "acoustic")
    assert info.settings["run"]["seeds"] == [0, 1]
    assert sorted(told[:6]) == [(fold, seed) for fold in (1, 2, 3) for seed in SEEDS]
    for cell in runs.fold_runs_of(acoustic, info):
        single = runs.load_single(cell.folder)
        assert (single.settings["run"]["seed"], single.settings["split"]["fold"]) == (cell.seed, cell.fold)
        assert runs.read_split(cell.folder) == repeated.folds[cell.fold - 1]


def test_a_fold_is_what_it_is_when_trained_alone(made, repeated, tiny_dataset, rows, tmp_path, plans):
    plan = plans.small("acoustic-log-mel", epochs=2)
    experiment.train(
        tiny_dataset, plan, repeated.folds[1], tmp_path / "run", rows=rows, seed=1, device=CPU, on_epoch=lambda *_: None
    )
    for name in ("weights.safetensors", "predictions/test.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (made[0] / "fold-2" / "seed-1" / name).read_bytes()


def test_several_processes_give_the_same_bytes(made, repeated, tmp_path, plans):
    plan = plans.small("linguistic", epochs=2)
    shared = Repetition(repeated.dataset, repeated.folds, (0,), "cpu", jobs=2)
    cross_validation.train([plan] * 3, shared, tmp_path / "run", on_run=ignore)
    for fold in (1, 2, 3):
        one, other = (
            folder / f"fold-{fold}" / "seed-0" / "weights.safetensors" for folder in (made[1], tmp_path / "run")
        )
        assert one.read_bytes() == other.read_bytes()


def test_the_same_command_goes_on_with_what_is_left(made, repeated, tmp_path, monkeypatch, plans):
    out = tmp_path / "run"
    shutil.copytree(made[0], out)
    shutil.rmtree(out / "fold-3" / "seed-0")
    info = runs.load_info(out)
    runs.write_info(out, replace(info, status="training"))
    trained = []
    train = experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *args, **kw: trained.append(args[3].parent.name) or train(*args, **kw)
    )
    told = []
    plan = plans.small("acoustic-log-mel", epochs=2)
    cross_validation.train([plan] * 3, repeated, out, on_run=lambda cell, info: told.append(cell.folder.parent.name))
    assert trained == ["fold-3"]
    assert len(told) == 6
    assert runs.load_info(out).status == "finished"
    name = "fold-3/seed-0/predictions/test.csv"
    assert (out / name).read_bytes() == (made[0] / name).read_bytes()


def test_other_settings_are_refused_with_the_difference(made, repeated, plans):
    with pytest.raises(MismatchError, match=r"train\.epochs was 2, now 3"):
        cross_validation.train([plans.small("acoustic-log-mel", epochs=3)] * 3, repeated, made[0], on_run=ignore)
    fewer = Repetition(repeated.dataset, repeated.folds, (0,), "cpu", jobs=1)
    with pytest.raises(MismatchError, match=r"run\.seeds was \[0, 1\], now \[0\]"):
        cross_validation.train([plans.small("acoustic-log-mel", epochs=2)] * 3, fewer, made[0], on_run=ignore)


def test_folds_that_were_tuned_apart_keep_their_own_settings(repeated, tmp_path, plans):
    apart = [
        plans.small("linguistic", epochs=1),
        plans.small("linguistic", epochs=2),
        plans.small("linguistic", epochs=1),
    ]
    alone = Repetition(repeated.dataset, repeated.folds, (0,), "cpu", jobs=1)
    info = cross_validation.train(apart, alone, tmp_path / "run", on_run=ignore)
    assert runs.load_finished(tmp_path / "run").settings == info.settings
    assert [info.settings["by_fold"][str(fold)]["train"]["epochs"] for fold in (1, 2, 3)] == [1, 2, 1]
    cells = runs.fold_runs_of(tmp_path / "run", info)
    assert [runs.load_info(cell.folder).settings["train"]["epochs"] for cell in cells] == [1, 2, 1]


def test_an_error_says_which_fold_it_came_from(repeated, tmp_path, monkeypatch, plans):
    def diverge(*_, **__):
        raise DivergedError("The loss is not a number.")

    monkeypatch.setattr(experiment, "train", diverge)
    with pytest.raises(DivergedError, match=r"^Fold 1, seed 0: The loss"):
        cross_validation.train([plans.small("linguistic", epochs=2)] * 3, repeated, tmp_path / "run", on_run=ignore)


def test_answers_are_pooled_over_folds_seed_by_seed(made, repeated):
    info = runs.load_finished(made[0])
    collected = pooling.collect(made[0], info, "sound")
    assert len(collected.runs) == 2
    for seed, run in zip(SEEDS, collected.runs, strict=True):
        assert run.ids == tuple(name for split in repeated.folds for name in split.test)
        part = runs.read_predictions(made[0] / "fold-2" / f"seed-{seed}", "test")
        np.testing.assert_array_equal(run.probs[16:32], part.probs)
    assert [name for name, _ in pooling.by_seed(collected, SEEDS)] == ["sound, seed 0", "sound, seed 1"]


def test_the_probabilities_before_the_temperature_are_those_of_the_network(made, tiny_dataset, rows):
    folder = made[0] / "fold-1" / "seed-0"
    info = runs.load_info(folder)
    collected = pooling.collect(folder, info, "sound")
    model = inference.load(folder, CPU)
    cold = replace(model, info=replace(info, temperature=1.0))
    expected = cold.predict(tiny_dataset.select(collected.runs[0].ids), rows)
    np.testing.assert_allclose(collected.raw[0], expected.probs, atol=1e-6)
    assert not np.allclose(collected.raw[0], collected.runs[0].probs)


def test_a_fold_that_answers_everything_stands_for_itself(made, tiny_dataset, rows):
    info = runs.load_finished(made[0])

    def ask(single):
        return ensemble.load(single, CPU).predict(tiny_dataset.manifest.utterances, rows)

    collected = pooling.collect(made[0], info, "sound", ask, apart=True)
    assert [len(run.ids) for run in collected.runs] == [48] * 6


def test_two_cross_validations_become_an_ensemble_on_each_fold(made, repeated, tmp_path):
    both = cross_validation.repetition_of(made[:2], repeated.dataset, device="cpu", jobs=1)
    assert both == repeated
    info = fused(both, made[:2], tmp_path / "run")
    assert (info.kind, info.name, info.modality) == ("cross-validation", "average", "both")
    collected = pooling.collect(tmp_path / "run", info, "average")
    members = [pooling.collect(folder, runs.load_info(folder), "") for folder in made[:2]]
    for run, one, other in zip(collected.runs, members[0].runs, members[1].runs, strict=True):
        np.testing.assert_allclose(run.members["acoustic"], one.probs)
        np.testing.assert_allclose(run.members["linguistic"], other.probs)


def test_a_cross_validation_and_a_single_run_do_not_go_together(made, runs_made, repeated):
    with pytest.raises(MismatchError, match="has a run for each fold"):
        cross_validation.repetition_of((made[0], runs_made.linguistic), repeated.dataset, device="cpu", jobs=1)
    single = (runs_made.acoustic, runs_made.linguistic)
    assert cross_validation.repetition_of(single, repeated.dataset, device="cpu", jobs=1) is None


def test_other_seeds_do_not_go_together(made, repeated, tmp_path):
    shutil.copytree(made[1], tmp_path / "run")
    info = runs.load_info(tmp_path / "run")
    settings = {**info.settings, "run": {"seeds": [0]}}
    runs.write_info(tmp_path / "run", replace(info, settings=settings))
    with pytest.raises(MismatchError, match=r"other seeds: \[0, 1\] against \[0\]"):
        cross_validation.repetition_of((made[0], tmp_path / "run"), repeated.dataset, device="cpu", jobs=1)


def test_a_cross_validation_cannot_answer_by_itself(made):
    for load in (ensemble.load, inference.load):
        with pytest.raises(SerError, match=r"choose one of them, such as .*fold-1"):
            load(made[0], CPU)
