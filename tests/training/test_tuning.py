import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import FixedTrial, TrialState

from sercli._system import processes
from sercli.dataset.splits import make_split
from sercli.errors import ConfigError, MismatchError, SerError
from sercli.model import feature_provider, spec
from sercli.training import experiment, studies, tuning

torch.set_num_threads(1)  # networks this small only lose by sharing


@pytest.fixture(scope="module")
def split(tiny_dataset):
    return make_split(tiny_dataset.manifest, "loso")


@pytest.fixture(scope="module")
def search(tiny_dataset, split):
    plan = spec.resolve("linguistic", None, {"train": {"epochs": 2}})
    return tuning.search_of(tiny_dataset, plan, split, seed=0, device="cpu")


@pytest.fixture(scope="module")
def rows(tiny_dataset, no_progress):
    return feature_provider.cached_features(tiny_dataset, jobs=1, progress=no_progress)


def run(search, out, rows, n_trials=3, **options):
    return tuning.tune(
        search, out, n_trials=n_trials, provider=rows, on_trial=options.pop("on_trial", lambda trial: None), **options
    )


@pytest.fixture(scope="module")
def studied(search, rows, tmp_path_factory):
    """A study of three trials: its directory and its outcome. Tests read it only."""
    out = tmp_path_factory.mktemp("study")
    return out, run(search, out, rows)


def test_a_search_holds_train_and_validation_ids_alone(search, split):
    assert (search.train_ids, search.valid_ids) == (split.train, split.valid)
    named = {f.name for f in dataclasses.fields(search)}
    assert not named & {"split", "test_ids"}
    assert not any(i in json.dumps(search.settings) for i in split.test)


def test_no_trial_opens_the_test_part(search, split, rows, tmp_path):
    opened = set()

    def watched(utterances, feature, config):
        opened.update(u.id for u in utterances)
        return rows(utterances, feature, config)

    run(search, tmp_path, watched, n_trials=1)
    assert opened == {*split.train, *split.valid}


def test_a_study_ends_with_its_trials_best_first(studied):
    out, outcome = studied
    values = [t.value for t in outcome.trials if t.state == TrialState.COMPLETE]
    assert len(outcome.trials) == 3
    assert values == sorted(values, reverse=True)
    assert outcome.best.value == values[0]
    assert all(0 <= value <= 1 for value in values)
    study = optuna.load_study(study_name="linguistic", storage=f"sqlite:///{out / 'study.db'}")
    assert study.best_value == outcome.best.value, "the sampler looks for what the table puts first"


def test_a_trials_value_is_the_validation_recall_of_its_best_epoch(studied, search, rows):
    _, outcome = studied
    plan = tuning.propose(FixedTrial(outcome.best.params), search.config)
    context = experiment.Context(search.dataset, rows, 0, torch.device("cpu"))
    trainer = experiment.make_trainer(plan, search.train_ids, search.valid_ids, context)
    list(trainer.epochs())
    assert trainer.best.valid_uar == outcome.best.value


def test_the_best_trial_is_a_file_that_train_takes(studied, search):
    out, outcome = studied
    plan = spec.resolve("linguistic", out / "best.json", {})
    assert plan == tuning.propose(FixedTrial(outcome.best.params), search.config)
    assert spec.resolve(None, out / "best.json", {}).model == plan.model
    assert plan.train.lr == outcome.best.params["train.lr"]
    assert plan.model.architecture_config.hidden_size == outcome.best.params["architecture.hidden_size"]
    assert plan.train.epochs == 2, "what was not searched stands as it was"


def test_the_search_covers_the_original_studys_parameters_and_the_step_size(studied):
    _, outcome = studied
    original = {"hidden_size", "n_layers", "bidirectional", "input_dropout", "dropout", "fc_size"}
    assert {f"architecture.{key}" for key in original} <= outcome.best.params.keys()
    assert {"train.lr", "train.weight_decay", "train.batch_size"} <= outcome.best.params.keys()


def test_a_study_taken_up_counts_what_is_done(search, rows, tmp_path):
    told = []
    run(search, tmp_path, rows, n_trials=1, on_trial=lambda trial: told.append(trial.number))
    outcome = run(search, tmp_path, rows, n_trials=3, on_trial=lambda trial: told.append(trial.number))
    assert told == [0, 1, 2]
    assert len(outcome.trials) == 3
    assert len({json.dumps(t.params, sort_keys=True) for t in outcome.trials}) == 3, "no proposal comes twice"
    assert (
        run(search, tmp_path, rows, n_trials=2, on_trial=lambda trial: told.append(trial.number)).best == outcome.best
    )
    assert told == [0, 1, 2], "nothing is left to do"


def test_a_study_taken_up_after_a_kill_does_not_propose_the_same_again(search, rows, tmp_path, monkeypatch):
    def interrupted(trial, search, rows):
        tuning.propose(trial, search.config)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_objective", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(search, tmp_path, rows, n_trials=1)
    killed, finished = sorted(run(search, tmp_path, rows, n_trials=1).trials, key=lambda trial: trial.number)
    assert (killed.state, finished.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert killed.params != finished.params


def test_other_settings_are_refused_with_the_difference(studied, tiny_dataset, split, rows):
    out, _ = studied
    plan = spec.resolve("linguistic", None, {"train": {"epochs": 3}})
    with pytest.raises(MismatchError, match=r"was started with other settings: train\.epochs was 2, now 3"):
        run(tuning.search_of(tiny_dataset, plan, split, seed=0, device="cpu"), out, rows)


def test_another_fold_is_refused_with_the_difference(studied, search, tiny_dataset, rows):
    out, _ = studied
    split = make_split(tiny_dataset.manifest, "loso", fold=2)
    with pytest.raises(MismatchError, match=r"split\.fold was 1, now 2"):
        run(tuning.search_of(tiny_dataset, search.config, split, seed=0, device="cpu"), out, rows)


def test_as_many_processes_as_trials_are_left_share_one_study(search, rows, tmp_path, monkeypatch):
    started, told, pool = [], [], processes.pool

    @contextmanager
    def watched(jobs):
        started.append(jobs)
        with pool(jobs) as executor:
            yield executor

    run(search, tmp_path, rows, n_trials=1)
    monkeypatch.setattr(processes, "pool", watched)
    run(search, tmp_path, rows, n_trials=1, jobs=4)
    assert started == [], "the study is done"
    outcome = run(search, tmp_path, rows, n_trials=3, jobs=4, on_trial=lambda trial: told.append(trial.number))
    assert started == [2]
    assert len(outcome.trials) in (3, 4), "each process ends at most the trial that it is at"
    assert sorted([0, *told]) == sorted(t.number for t in outcome.trials)
    assert {t.state for t in outcome.trials} == {TrialState.COMPLETE}
    assert len({json.dumps(t.params, sort_keys=True) for t in outcome.trials}) == len(outcome.trials)
    assert spec.resolve("linguistic", tmp_path / "best.json", {}).train.lr == outcome.best.params["train.lr"]


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_whose_process_was_killed_counts_as_failed(search, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "HEARTBEAT_S", 1)
    study = studies.open_study(studies.Place.of(tmp_path, None), search.name)
    killed = study.ask()
    study._storage.record_heartbeat(killed._trial_id)
    time.sleep(3.5)  # stale after two heartbeats were missed
    outcome = run(search, tmp_path, rows, n_trials=1)
    assert {t.number: t.state.name for t in outcome.trials} == {0: "FAIL", 1: "COMPLETE"}


def test_a_diverged_trial_is_pruned_and_the_study_goes_on(search, rows, tmp_path, monkeypatch):
    make_trainer, made = experiment.make_trainer, []

    def first_diverges(*given):
        trainer = make_trainer(*given)
        made.append(trainer)
        if len(made) == 1:
            torch.nn.init.constant_(trainer.module.classifier.weight, torch.nan)
        return trainer

    monkeypatch.setattr(experiment, "make_trainer", first_diverges)
    outcome = run(search, tmp_path, rows, n_trials=2)
    assert sorted(t.state.name for t in outcome.trials) == ["COMPLETE", "PRUNED"]
    assert outcome.best.number == 1


def test_a_study_without_a_finished_trial_says_so(search, rows, tmp_path, monkeypatch):
    def prunes(trial, search, rows):
        raise optuna.TrialPruned

    monkeypatch.setattr(tuning, "_objective", prunes)
    with pytest.raises(
        SerError, match=r"No trial finished: all failed or were pruned\. Raise --trials or train\.epochs"
    ):
        run(search, tmp_path, rows, n_trials=2)
    assert not (tmp_path / "best.json").exists()


def test_importances_are_shares_of_the_parameters(search):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: tuning.propose(trial, search.config).train.lr, n_trials=30)
    importances = tuning.summarise(study).importances
    assert max(importances, key=importances.get) == "train.lr"
    assert sum(importances.values()) == pytest.approx(1)


def test_too_few_trials_have_no_importances(studied):
    _, outcome = studied
    assert outcome.importances == {}


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/study.db", "foo://bar", "redis://host"])
def test_a_storage_that_cannot_be_opened_is_refused_by_its_url(url, search, rows, tmp_path):
    with pytest.raises(SerError, match=rf"--storage {url} cannot be opened \(.+\); give an Optuna storage URL"):
        run(search, tmp_path, rows, storage=url)


def test_several_presets_share_one_storage(search, split, tiny_dataset, rows, tmp_path):
    url = f"sqlite:///{tmp_path}/shared.db"
    run(search, tmp_path / "first", rows, n_trials=1, storage=url)
    plan = replace(search.config, name="linguistic-lstm")
    other = tuning.search_of(tiny_dataset, plan, split, seed=0, device="cpu")
    assert len(run(other, tmp_path / "second", rows, n_trials=1, storage=url).trials) == 1
    assert not (tmp_path / "first" / "study.db").exists()


def test_a_setting_that_the_search_chooses_cannot_be_given(search, split):
    given = ["train.epochs", "train.lr"]
    with pytest.raises(ConfigError, match=r"--set train\.lr does nothing in `ser tune`"):
        tuning.search_of(search.dataset, search.config, split, seed=0, device="cpu", given=given)


def test_a_second_preset_does_not_overwrite_the_files_of_the_first(search, tiny_dataset, split, rows, tmp_path):
    run(search, tmp_path, rows, n_trials=1)
    before = (tmp_path / "best.json").read_bytes()
    plan = replace(search.config, name="linguistic-lstm")
    other = tuning.search_of(tiny_dataset, plan, split, seed=0, device="cpu")
    for storage in (None, f"sqlite:///{tmp_path}/shared.db"):
        with pytest.raises(MismatchError) as refused:
            run(other, tmp_path, rows, n_trials=1, storage=storage)
        assert str(refused.value) == (
            f"{tmp_path} holds the study 'linguistic'; choose another --out for 'linguistic-lstm'."
        )
    assert (tmp_path / "best.json").read_bytes() == before


def test_a_study_that_another_process_locks_names_that_process(search, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "PATIENCE_S", 0.1)
    run(search, tmp_path, rows, n_trials=1)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(flush=True)"
    words = [sys.executable, "-c", f"{code}; sys.stdin.read()", tmp_path / "study.db"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(SerError) as refused:
            run(search, tmp_path, rows, n_trials=2)
        holder.stdin.close()
    who = f"process {holder.pid} (" if Path("/proc/locks").exists() else "another program"
    assert str(refused.value).startswith(f"{tmp_path / 'study.db'} has been locked by {who}")
    assert str(refused.value).endswith("then repeat the command, which resumes the study.")
    assert "--storage" not in str(refused.value)
    assert len(run(search, tmp_path, rows, n_trials=2).trials) == 2


@pytest.mark.parametrize("name", ["study.db", "study.db-journal", "study.db-wal"])
def test_a_study_that_is_a_link_leaves_the_foreign_file_alone(search, rows, tmp_path, name):
    foreign, out = tmp_path / "foreign.db", tmp_path / "out"
    foreign.write_bytes(b"")
    out.mkdir()
    (out / name).symlink_to(foreign)
    with pytest.raises(SerError, match=f"{name} is a link, through which ser does not write; remove it"):
        run(search, out, rows, n_trials=1)
    assert foreign.read_bytes() == b""


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("trial_params", 'distribution_json = \'{"name": "Evil", "attributes": {}}\'', "study that cannot be read"),
        ("trial_params", "distribution_json = 'nonsense'", "study that cannot be read"),
        ("trial_params", f"distribution_json = '{'[' * 100_000}'", "study that cannot be read"),
        ("trial_params", "param_name = 'evil.' || param_id", "has a parameter 'evil."),
        ("trial_params", "param_value = 99 where param_name = 'train.batch_size'", "study that cannot be read"),
        (
            "trial_params",
            "distribution_json = replace(distribution_json, '128]', '999]') where param_name = 'train.batch_size'",
            "chose 'train.batch_size' from other values",
        ),
        ("trial_params", "param_value = 9e999", "study that cannot be read"),
        ("trial_values", "value = 9e999", "has the value inf, which is no UA from 0 to 1; choose another"),
        ("trial_values", "value = 'x'", "has the value x, which is no UA from 0 to 1; choose another"),
        ("study_user_attributes", "value_json = '3'", "was started with other settings"),
        ("study_user_attributes", "value_json = 'nonsense'", "study that cannot be read"),
        ("study_directions", "direction = 'MINIMIZE'", "holds a study that does not maximise one value"),
    ],
)
def test_a_malformed_study_is_one_line(studied, search, rows, tmp_path, table, change, expected):
    out = tmp_path / "out"
    shutil.copytree(studied[0], out)
    with closing(sqlite3.connect(out / "study.db")) as database, database:
        assert database.execute(f"update {table} set {change}").rowcount
    with pytest.raises(SerError) as refused:
        run(search, out, rows, n_trials=4)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
