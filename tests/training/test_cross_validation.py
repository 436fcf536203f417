"""A run for each fold and seed in one directory."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs

from sercli import runs
from sercli.dataset.splits import make_folds
from sercli.errors import DivergedError, MismatchError, SerError
from sercli.evaluation import pooling
from sercli.model.adaptation import class_scores
from sercli.model.calibration import fit_temperature, temper
from sercli.model.loading import load_model, load_run
from sercli.training import cross_validation, experiment, fusion
from sercli.training.cross_validation import CrossValidation

CPU = torch.device("cpu")
SEEDS = (0, 1)


def ignore(fold_run, info):
    """Nobody is told."""


@pytest.fixture(scope="module")
def cv(tiny_dataset):
    """Three folds, a session each, with two seeds."""
    return CrossValidation(tiny_dataset, make_folds(tiny_dataset.manifest, "loso"), SEEDS, "cpu", jobs=1)


@pytest.fixture(scope="module")
def made(cv, rows, plans, tmp_path_factory):
    """Folders of two finished cross-validations, `acoustic` and `linguistic`, with who was told of what."""
    folder = tmp_path_factory.mktemp("cv")
    everyone = cv.utterances()
    told = []
    for side, preset in (("acoustic", "acoustic-log-mel"), ("linguistic", "linguistic")):
        plan = plans.small(preset, epochs=2)
        rows(everyone, *plan.model.features[0])
        cross_validation.train(
            [plan] * 3, cv, folder / side, on_run=lambda fold_run, info: told.append((fold_run.fold, fold_run.seed))
        )
    return folder / "acoustic", folder / "linguistic", told


def fused(cv, members, out, rule="average"):
    return cross_validation.fuse(members, fusion.rule_configs([rule], [])[rule], cv, out, on_run=ignore)


def test_each_fold_and_seed_is_an_ordinary_run(made, cv):
    acoustic, _, told = made
    info = runs.load_finished(acoustic)
    assert (info.kind, info.name, info.modality) == ("cross-validation", "custom", "acoustic")
    assert info.settings.seeds == (0, 1)
    assert sorted(told[:6]) == [(fold, seed) for fold in (1, 2, 3) for seed in SEEDS]
    for fold_run in runs.fold_runs(acoustic, info.settings):
        single = runs.load_single(fold_run.folder)
        assert (single.settings.seeds, single.settings.split.fold) == ((fold_run.seed,), fold_run.fold)
        assert runs.read_split(fold_run.folder) == cv.folds[fold_run.fold - 1]


def test_a_fold_is_what_it_is_when_trained_alone(made, cv, tiny_dataset, rows, tmp_path, plans):
    plan = plans.small("acoustic-log-mel", epochs=2)
    experiment.train(plan, cv.folds[1], tmp_path / "run", experiment.Context(tiny_dataset, rows, 1, CPU))
    for name in ("weights.safetensors", "predictions/test.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (made[0] / "fold-2" / "seed-1" / name).read_bytes()


def test_several_processes_give_the_same_bytes(made, cv, tmp_path, plans):
    plan = plans.small("linguistic", epochs=2)
    shared = CrossValidation(cv.dataset, cv.folds, (0,), "cpu", jobs=2)
    cross_validation.train([plan] * 3, shared, tmp_path / "run", on_run=ignore)
    for fold in (1, 2, 3):
        one, other = (
            folder / f"fold-{fold}" / "seed-0" / "weights.safetensors" for folder in (made[1], tmp_path / "run")
        )
        assert one.read_bytes() == other.read_bytes()


def test_the_same_command_goes_on_with_what_is_left(made, cv, tmp_path, monkeypatch, plans):
    out = tmp_path / "run"
    shutil.copytree(made[0], out)
    shutil.rmtree(out / "fold-3" / "seed-0")
    info = runs.load_info(out)
    runs.write_info(out, replace(info, status="training", digest=""))
    trained = []
    train = experiment.train
    monkeypatch.setattr(
        experiment, "train", lambda *args, **kw: trained.append(args[2].parent.name) or train(*args, **kw)
    )
    told = []
    plan = plans.small("acoustic-log-mel", epochs=2)
    cross_validation.train([plan] * 3, cv, out, on_run=lambda fold_run, info: told.append(fold_run.folder.parent.name))
    assert trained == ["fold-3"]
    assert len(told) == 6
    assert runs.load_info(out).status == "finished"
    name = "fold-3/seed-0/predictions/test.csv"
    assert (out / name).read_bytes() == (made[0] / name).read_bytes()


def test_other_settings_are_refused_with_the_difference(made, cv, plans):
    with pytest.raises(MismatchError, match=r"train\.epochs was 2, now 3"):
        cross_validation.train([plans.small("acoustic-log-mel", epochs=3)] * 3, cv, made[0], on_run=ignore)
    fewer = CrossValidation(cv.dataset, cv.folds, (0,), "cpu", jobs=1)
    with pytest.raises(MismatchError, match=r"seeds was \[0, 1\], now \[0\]"):
        cross_validation.train([plans.small("acoustic-log-mel", epochs=2)] * 3, fewer, made[0], on_run=ignore)


def test_folds_that_were_tuned_apart_keep_their_own_settings(cv, tmp_path, plans):
    apart = [
        plans.small("linguistic", epochs=1),
        plans.small("linguistic", epochs=2),
        plans.small("linguistic", epochs=1),
    ]
    alone = CrossValidation(cv.dataset, cv.folds, (0,), "cpu", jobs=1)
    info = cross_validation.train(apart, alone, tmp_path / "run", on_run=ignore)
    assert runs.load_finished(tmp_path / "run").settings == info.settings
    assert [info.settings.by_fold[str(fold)].train["epochs"] for fold in (1, 2, 3)] == [1, 2, 1]
    fold_runs = runs.fold_runs(tmp_path / "run", info.settings)
    assert [runs.load_info(fold_run.folder).settings.train["epochs"] for fold_run in fold_runs] == [1, 2, 1]


def test_an_error_says_which_fold_it_came_from(cv, tmp_path, monkeypatch, plans):
    def diverge(*_, **__):
        raise DivergedError("The loss is not a number.")

    monkeypatch.setattr(experiment, "train", diverge)
    with pytest.raises(DivergedError, match=r"^Fold 1, seed 0: The loss"):
        cross_validation.train([plans.small("linguistic", epochs=2)] * 3, cv, tmp_path / "run", on_run=ignore)


def test_answers_are_pooled_over_folds_seed_by_seed(made, cv):
    info = runs.load_finished(made[0])
    collected = pooling.collect(made[0], info, "sound")
    assert len(collected.runs) == 2
    for seed, run in zip(SEEDS, collected.runs, strict=True):
        assert run.ids == tuple(name for split in cv.folds for name in split.test)
        part = runs.read_predictions(made[0] / "fold-2" / f"seed-{seed}", "test")
        np.testing.assert_array_equal(run.probs[16:32], part.probs)
    assert [name for name, _ in pooling.by_seed(collected, SEEDS)] == ["sound, seed 0", "sound, seed 1"]


def test_the_probabilities_before_the_temperature_are_those_of_the_network(made, tiny_dataset, rows):
    folder = made[0] / "fold-1" / "seed-0"
    info = runs.load_info(folder)
    collected = pooling.collect(folder, info, "sound")
    model = load_model(folder, CPU)
    cold = replace(model, info=replace(info, temperature=1.0))
    expected = cold.predict(tiny_dataset.select(collected.runs[0].ids), rows)
    np.testing.assert_allclose(collected.raw[0], expected.probs, atol=1e-6)
    assert not np.allclose(collected.raw[0], collected.runs[0].probs)


def test_a_fold_that_answers_everything_stands_for_itself(made, tiny_dataset, rows):
    info = runs.load_finished(made[0])

    def ask(single):
        return load_run(single, CPU).predict(tiny_dataset.manifest.utterances, rows)

    collected = pooling.collect(made[0], info, "sound", ask, pool_folds=False)
    assert [len(run.ids) for run in collected.runs] == [48] * 6


def test_two_cross_validations_become_an_ensemble_on_each_fold(made, cv, tmp_path):
    both = cross_validation.common(made[:2], cv.dataset, device="cpu", jobs=1)
    assert both == cv
    info = fused(both, made[:2], tmp_path / "run")
    assert (info.kind, info.name, info.modality) == ("cross-validation", "average", "both")
    collected = pooling.collect(tmp_path / "run", info, "average")
    members = [pooling.collect(folder, runs.load_info(folder), "") for folder in made[:2]]
    for run, one, other in zip(collected.runs, members[0].runs, members[1].runs, strict=True):
        np.testing.assert_allclose(run.members["acoustic"], one.probs)
        np.testing.assert_allclose(run.members["linguistic"], other.probs)


def test_a_cross_validation_and_a_single_run_do_not_go_together(made, runs_made, cv):
    with pytest.raises(MismatchError, match="has a run for each fold"):
        cross_validation.common((made[0], runs_made.linguistic), cv.dataset, device="cpu", jobs=1)
    single = (runs_made.acoustic, runs_made.linguistic)
    assert cross_validation.common(single, cv.dataset, device="cpu", jobs=1) is None


def test_other_seeds_do_not_go_together(made, cv, tmp_path):
    shutil.copytree(made[1], tmp_path / "run")
    info = runs.load_info(tmp_path / "run")
    settings = structs.replace(info.settings, seeds=(0,))
    runs.write_info(tmp_path / "run", replace(info, settings=settings))
    with pytest.raises(MismatchError, match=r"different seeds: \[0, 1\] against \[0\]"):
        cross_validation.common((made[0], tmp_path / "run"), cv.dataset, device="cpu", jobs=1)


def test_a_cross_validation_cannot_answer_by_itself(made):
    for load in (load_run, load_model):
        with pytest.raises(SerError, match=r"choose one of them, such as .*fold-1"):
            load(made[0], CPU)


@pytest.fixture(scope="module")
def refitted(made, cv, plans, tmp_path_factory):
    """A cross-validation with one more model, trained on the utterances of all folds."""
    out = tmp_path_factory.mktemp("refit") / "run"
    shutil.copytree(made[0], out)
    told = []
    plan = plans.small("acoustic-log-mel", epochs=2)
    info = cross_validation.refit(plan, cv, out, lambda result, kept: told.append((result.epoch, result.valid_loss)))
    return out, info, told


def test_a_refit_model_learns_from_every_utterance_and_holds_none_back(refitted, cv):
    out, info, told = refitted
    split = runs.read_split(out / "refit")
    assert (set(split.train), split.valid, split.test) == ({u.id for u in cv.utterances()}, (), ())
    assert sum(info.train_counts.values()) == len(split.train)
    assert not (out / "refit" / "predictions").exists()
    assert [loss for _, loss in told] == [None] * len(told)


def test_a_refit_model_trains_as_many_epochs_as_the_folds_kept(refitted):
    out, info, told = refitted
    kept = [runs.load_info(one.folder).best_epoch for one in runs.fold_runs(out, runs.load_info(out).settings)]
    assert (info.settings.train["keep"], info.settings.train["epochs"]) == ("last", round(np.mean(kept)))
    assert info.best_epoch == len(told) == round(np.mean(kept))


def test_a_refit_model_has_the_temperature_and_class_scores_of_what_the_folds_did_not_see(refitted):
    out, info, _ = refitted
    pooled = pooling.collect(out, runs.load_info(out), "cv")
    assert info.temperature == fit_temperature(pooled.raw[0], pooled.truth)
    scores = class_scores(temper(pooled.raw[0], info.temperature), pooled.truth)
    np.testing.assert_allclose(info.class_scores, scores, atol=1e-4)


def test_a_refit_model_predicts_and_a_second_command_leaves_it_as_it_is(refitted, cv, rows, plans):
    out, info, _ = refitted
    model = load_run(out / "refit", CPU)
    assert model.predict(cv.utterances()[:3], rows).probs.shape == (3, len(info.labels))
    before = (out / "refit" / "run.json").read_bytes()
    cross_validation.refit(plans.small("acoustic-log-mel", epochs=2), cv, out, ignore)
    assert (out / "refit" / "run.json").read_bytes() == before


def test_a_refit_model_is_not_scored_on_what_it_was_trained_on(refitted, cv):
    out, info, _ = refitted
    with pytest.raises(SerError, match=r"has no test part; `ser evaluate .*/run` scores the folds"):
        pooling.collect(out / "refit", info, "refit")
    model = load_model(out / "refit", CPU)
    with pytest.raises(MismatchError, match=r"leaves none to score an ensemble on; give .*/run, or leave out --data"):
        fusion.check_members([model, model], cv.dataset)
    with pytest.raises(SerError, match=r"choose one of them, such as .*/refit, which was trained on all"):
        runs.load_single(out)
