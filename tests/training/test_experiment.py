import importlib.util
import inspect
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sercli import runs
from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import make_split
from sercli.errors import DivergedError, MismatchError, SerError
from sercli.model import feature_provider, spec
from sercli.model.batches import Normaliser
from sercli.model.loading import load_model
from sercli.training import experiment
from sercli.types import ASR_CONFIDENCE


class KilledError(Exception):
    pass


def killed_after(epoch):
    def on_epoch(result, best):
        if result.epoch == epoch:
            raise KilledError

    return on_epoch


def never(result, best):
    raise AssertionError("a finished run was trained again")


def history(folder):
    return [replace(result, seconds=0.0) for result in runs.read_history(folder)]


def same_weights(first, second):
    one, other = load_file(first / "weights.safetensors"), load_file(second / "weights.safetensors")
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_a_finished_run_holds_all_that_is_promised_and_nothing_half_written(runs_made):
    found = {str(p.relative_to(runs_made.acoustic)) for p in runs_made.acoustic.rglob("*") if p.is_file()}
    assert {name for name in found if not name.startswith("tensorboard")} == {
        "run.json",
        "split.json",
        "train_part.json",
        "normaliser.npz",
        "weights.safetensors",
        "history.jsonl",
        "predictions/valid.csv",
        "predictions/test.csv",
    }


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_events_are_there_for_tensorboard(runs_made):
    assert list((runs_made.acoustic / "tensorboard").glob("events.*"))


def test_a_run_that_reads_text_knows_the_language_of_its_corpus(plans, tiny_dataset, split):
    english = replace(tiny_dataset, info=replace(tiny_dataset.info, language="en"))
    learned = [
        experiment.initial_run_info(plan, english, [split], [0]).languages
        for plan in (plans.acoustic, plans.linguistic)
    ]
    assert learned == [(), ("en",)]


def test_run_json_tells_what_the_run_is_and_what_made_it(runs_made, plans, tiny_dataset):
    acoustic, linguistic = runs.load_info(runs_made.acoustic), runs.load_info(runs_made.linguistic)
    assert (acoustic.kind, acoustic.status, acoustic.modality) == ("model", "finished", "acoustic")
    assert (linguistic.name, linguistic.modality, linguistic.n_features) == ("linguistic", "linguistic", 101)
    assert acoustic.labels == tiny_dataset.info.labels
    assert acoustic.train_counts == dict.fromkeys(tiny_dataset.info.labels, 4)
    assert acoustic.settings.train == plans.acoustic.to_dict()["train"]
    assert acoustic.settings.data.manifest_sha256 == tiny_dataset.manifest.sha256
    assert acoustic.settings.seeds == (0,)
    best = min(history(runs_made.acoustic), key=lambda result: result.valid_loss)
    assert acoustic.best_epoch == best.epoch


def test_the_written_predictions_are_those_of_the_loaded_run(runs_made, tiny_dataset, rows, split, members):
    for folder, member in zip((runs_made.acoustic, runs_made.linguistic), members, strict=True):
        for part in ("valid", "test"):
            written = runs.read_predictions(folder, part)
            ids = getattr(split, part)
            assert written.ids == ids
            assert written.truth == tuple(tiny_dataset.by_id[i].label for i in ids)
            assert np.array_equal(written.probs, member.predict(tiny_dataset.select(ids), rows).probs)


def test_the_features_are_scaled_by_the_train_part_alone(runs_made, tiny_dataset, rows, split, plans):
    config = plans.acoustic.model.features[0][1]
    expected = Normaliser.of(rows(tiny_dataset.select(split.train), "log-mel", config), "feature")
    stored = runs.read_arrays(runs_made.acoustic / "normaliser.npz")
    assert np.array_equal(stored["mean"], expected.mean)
    assert np.array_equal(stored["scale"], expected.scale)
    whole = Normaliser.of(rows(tiny_dataset.manifest.utterances, "log-mel", config), "feature")
    assert not np.array_equal(stored["mean"], whole.mean)


def test_a_finished_run_is_returned_at_once(runs_made, train, plans):
    assert train(plans.acoustic, runs_made.acoustic, on_epoch=never) == runs.load_info(runs_made.acoustic)


@pytest.mark.parametrize("killed_at", [1, 3])
def test_the_same_command_after_a_kill_ends_like_one_left_alone(killed_at, runs_made, train, plans, tmp_path):
    with pytest.raises(KilledError):
        train(plans.acoustic, tmp_path / "run", on_epoch=killed_after(killed_at))
    assert runs.load_info(tmp_path / "run").status == "training"
    seen = []
    train(plans.acoustic, tmp_path / "run", on_epoch=lambda result, best: seen.append(result.epoch))
    assert seen == list(range(killed_at + 1, 5)), "what was trained is not trained again"
    assert history(tmp_path / "run") == history(runs_made.acoustic)
    assert same_weights(tmp_path / "run", runs_made.acoustic)
    for part in ("valid", "test"):
        name = f"predictions/{part}.csv"
        assert (tmp_path / "run" / name).read_bytes() == (runs_made.acoustic / name).read_bytes()


def test_another_seed_gives_another_network(runs_made, train, plans, tmp_path):
    train(plans.linguistic, tmp_path / "run", seed=1)
    assert not same_weights(tmp_path / "run", runs_made.linguistic)


def test_the_best_epoch_so_far_is_told_as_such(train, plans, tmp_path):
    told = []
    train(plans.linguistic, tmp_path / "run", on_epoch=lambda result, best: told.append((result, best)))
    losses = [result.valid_loss for result, _ in told]
    assert [best for _, best in told] == [loss < min([*losses[:n], np.inf]) for n, loss in enumerate(losses)]


def test_other_settings_are_refused_with_the_difference(runs_made, train, plans):
    with pytest.raises(
        MismatchError, match=r"holds a run with other settings: train\.lr was 0\.01, now 0\.02\. Repeat"
    ):
        train(plans.small("acoustic-log-mel", lr=0.02), runs_made.acoustic)


def test_another_seed_is_refused_with_the_difference(runs_made, train, plans):
    with pytest.raises(MismatchError, match=r"seeds was \[0\], now \[7\]"):
        train(plans.acoustic, runs_made.acoustic, seed=7)


def test_another_fold_is_refused_with_the_difference(runs_made, train, plans, tiny_dataset):
    with pytest.raises(MismatchError, match=r"split\.fold was 1, now 2; split\.hash was"):
        train(plans.acoustic, runs_made.acoustic, split=make_split(tiny_dataset.manifest, "loso", fold=2))


def test_other_data_is_refused_with_the_difference(runs_made, train, plans, tiny_dataset, split):
    relabelled = [replace(u, prompt="other") for u in tiny_dataset.manifest.utterances]
    other = replace(tiny_dataset, manifest=make_manifest(relabelled, tiny_dataset.info.labels))
    with pytest.raises(MismatchError, match=r"data\.manifest_sha256 was"):
        train(plans.acoustic, runs_made.acoustic, dataset=other)


@pytest.fixture
def heard(tiny_dataset, tmp_path):
    """The tiny dataset as a recogniser hears it: "oh" everywhere."""
    shutil.copy(tiny_dataset.folder / "audio-index.jsonl", tmp_path)
    rows = tuple(
        replace(u, transcripts={"human": "oh"}, attributes={ASR_CONFIDENCE: 0.5})
        for u in tiny_dataset.manifest.utterances
    )
    return replace(
        tiny_dataset, folder=tmp_path, manifest=replace(tiny_dataset.manifest, utterances=rows), words="whisper"
    )


def test_a_run_remembers_whose_words_it_was_trained_on(heard, train, plans, tmp_path, no_progress):
    rows = feature_provider.cached_features(heard, jobs=1, progress=no_progress)
    info = train(plans.linguistic, tmp_path / "run", dataset=heard, provider=rows)
    assert info.settings.data.words == info.words == "whisper"
    again = train(plans.linguistic, tmp_path / "run", dataset=heard, provider=rows, on_epoch=never)
    assert again == runs.load_info(tmp_path / "run")


def test_a_run_on_human_words_says_so(runs_made):
    data = runs.load_info(runs_made.linguistic).settings.data
    assert (data.words, data.words_sha256) == ("human", "")


def test_other_words_are_refused_with_the_difference(heard, runs_made, train, plans, tmp_path, no_progress):
    with pytest.raises(MismatchError, match=r'data\.words was "human", now "whisper"'):
        train(plans.linguistic, runs_made.linguistic, dataset=heard)
    train(plans.linguistic, tmp_path / "run", dataset=heard)
    rows = tuple(replace(u, transcripts={"human": "ah"}) for u in heard.manifest.utterances)
    changed = replace(heard, manifest=replace(heard.manifest, utterances=rows))
    with pytest.raises(MismatchError, match=r"data\.words_sha256 was"):
        train(plans.linguistic, tmp_path / "run", dataset=changed)


def test_training_has_no_way_in_for_the_test_part():
    parameters = inspect.signature(experiment.make_trainer).parameters
    assert {"train_ids", "valid_ids"} <= parameters.keys()
    assert not parameters.keys() & {"test_ids", "split"}


@pytest.fixture
def make_trainer(plans, tiny_dataset, split, rows):
    def call(seed):
        context = experiment.Context(tiny_dataset, rows, seed, torch.device("cpu"))
        return experiment.make_trainer(plans.linguistic, split.train, split.valid, context)

    return call


def test_the_validation_part_is_scaled_by_the_train_part(make_trainer):
    trainer = make_trainer(seed=0)
    assert trainer.valid.normalisers == trainer.train.normalisers


def test_speeds_give_the_train_part_further_copies_and_nothing_else(plans, tiny_dataset, split, rows):
    plan = plans.small("acoustic-log-mel", speeds=(0.9, 1.1))
    context = experiment.Context(tiny_dataset, rows, 0, torch.device("cpu"))
    trainer = experiment.make_trainer(plan, split.train, split.valid, context)
    utterances, n = tiny_dataset.select(split.train), len(split.train)
    (heard,) = trainer.train.inputs
    assert len(heard) == 3 * n
    for place, (feature,) in enumerate(plan.copies):
        for row, theirs in zip(heard[place * n :], rows(utterances, *feature), strict=False):
            np.testing.assert_array_equal(row, theirs)
    assert sum(map(len, heard[n : 2 * n])) > sum(map(len, heard[:n])) > sum(map(len, heard[2 * n :]))
    np.testing.assert_array_equal(trainer.train.y, np.tile(experiment.classes(tiny_dataset, utterances), 3))
    (checked,) = trainer.valid.inputs
    asked = rows(tiny_dataset.select(split.valid), "log-mel", plan.model.features[0][1])
    assert all(map(np.array_equal, checked, asked))
    assert len(checked) == len(asked) == len(trainer.valid.y)


def test_an_ensemble_of_heads_on_two_encoders_predicts_the_same_after_loading(train, tiny_dataset, rows, tmp_path):
    small = {"architecture": {"n_hidden": 8}, "train": {"epochs": 2, "patience": 1}}
    plan = spec.resolve("acoustic-whisper", None, small)
    assert (len(plan.model.features[0][1].model), plan.model.architecture_config.n_members) == (2, 3)
    assert (len(plan.train.speeds), plan.train.keep) == (2, "last")
    info = train(plan, tmp_path / "run")
    assert (info.best_epoch, info.n_features) == (2, 4 * (512 + 384))
    told = runs.read_predictions(tmp_path / "run", "test")
    loaded = load_model(tmp_path / "run", torch.device("cpu"))
    np.testing.assert_allclose(loaded.predict(tiny_dataset.select(told.ids), rows).probs, told.probs, atol=1e-6)


def test_the_seed_decides_the_first_weights(make_trainer):
    first, again, other = (make_trainer(seed).module.classifier.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_test_part_is_opened_after_the_last_epoch(train, plans, split, rows, tmp_path):
    opened = []

    def watched(utterances, feature, config):
        opened.extend(u.id for u in utterances)
        return rows(utterances, feature, config)

    at_epochs = []
    train(plans.linguistic, tmp_path / "run", provider=watched, on_epoch=lambda r, b: at_epochs.append(set(opened)))
    assert all(seen == {*split.train, *split.valid} for seen in at_epochs)
    assert set(split.test) <= set(opened)


@pytest.mark.parametrize("speaker", ["f3", "f2", "f1"])  # of the train, the validation and the test part
def test_utterances_without_words_stop_a_linguistic_run_before_it_begins(speaker, train, plans, tiny_dataset, tmp_path):
    changed = [replace(u, transcripts={}) if u.speaker == speaker else u for u in tiny_dataset.manifest.utterances]
    dataset = replace(tiny_dataset, manifest=make_manifest(changed, tiny_dataset.info.labels))
    with pytest.raises(SerError, match="8 of 48 utterances have no text, which the feature 'words' needs"):
        train(plans.linguistic, tmp_path / "run", dataset=dataset)
    assert not (tmp_path / "run").exists()


def test_a_diverged_run_keeps_its_last_good_epoch_and_is_not_finished(train, plans, tmp_path):
    with pytest.raises(DivergedError, match="diverged in epoch 1"):
        train(plans.small("linguistic", lr=1e37), tmp_path / "run")
    assert runs.load_info(tmp_path / "run").status == "training"
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_damaged_resume_file_names_itself(train, plans, tmp_path):
    with pytest.raises(KilledError):
        train(plans.linguistic, tmp_path / "run", on_epoch=killed_after(1))
    (tmp_path / "run" / "resume.safetensors").write_bytes(b"cut off")
    with pytest.raises(SerError, match=r"run/resume\.safetensors cannot be used .* delete it"):
        train(plans.linguistic, tmp_path / "run")
