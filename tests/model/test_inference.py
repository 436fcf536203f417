import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from sercli import runs
from sercli.dataset.manifest import Dataset, make_manifest
from sercli.errors import SerError
from sercli.model import feature_provider
from sercli.model.batches import Normaliser
from sercli.model.loading import load_model

CPU = torch.device("cpu")


def without_words(dataset, utterance_id, folder):
    """The dataset with one utterance's transcript gone."""
    changed = [replace(u, transcripts={}) if u.id == utterance_id else u for u in dataset.manifest.utterances]
    return Dataset(folder, dataset.info, make_manifest(changed, dataset.info.labels))


def test_predictions_keep_the_order_they_were_asked_in(members, tiny_dataset, rows):
    linguistic = members[1]
    asked = list(reversed(tiny_dataset.manifest.utterances))
    together = linguistic.predict(asked, rows)
    assert together.ids == tuple(u.id for u in asked)
    assert together.truth == tuple(u.label for u in asked)
    alone = np.concatenate([linguistic.predict([u], rows).probs for u in asked])
    np.testing.assert_allclose(together.probs, alone, atol=1e-6)
    assert len({len(row) for row in rows(asked, "words", linguistic.spec.features[0][1])}) > 1


def test_each_row_is_a_distribution_with_an_embedding_beside_it(members, tiny_dataset, rows):
    for member in members:
        predictions = member.predict(tiny_dataset.manifest.utterances, rows)
        assert predictions.probs.dtype == np.float64
        np.testing.assert_allclose(predictions.probs.sum(axis=1), 1, atol=1e-12)
        assert predictions.embeddings.shape == (48, member.module.n_embedding)
        assert predictions.embeddings.dtype == np.float32


def test_an_unknown_label_leaves_predictions_without_truth(members, tiny_dataset, rows):
    known, odd = tiny_dataset.manifest.utterances[:2]
    predictions = members[0].predict([known, replace(odd, label="boredom")], rows)
    assert predictions.truth is None
    assert len(predictions.probs) == 2


def test_a_model_says_what_an_utterance_lacks(members, tiny_dataset):
    acoustic, linguistic = members
    utterance = tiny_dataset.manifest.utterances[0]
    assert (acoustic.lacks(utterance), linguistic.lacks(utterance)) == (None, None)
    mute, silent = replace(utterance, transcripts={}), replace(utterance, audio=None)
    assert (acoustic.lacks(mute), linguistic.lacks(mute)) == (None, "text")
    assert (acoustic.lacks(silent), linguistic.lacks(silent)) == ("audio", None)


def test_utterances_without_the_features_input_are_counted_and_the_first_is_named(tiny_dataset, tmp_path, no_progress):
    gone = tiny_dataset.manifest.utterances[5].id
    dataset = without_words(tiny_dataset, gone, tmp_path)
    rows = feature_provider.cached_features(dataset, jobs=1, progress=no_progress)
    with pytest.raises(SerError, match=rf"1 of 48 utterances have no text, which .*'words' needs; the first: '{gone}'"):
        rows(dataset.manifest.utterances, "words", None)


def test_a_run_moved_to_another_folder_gives_equal_probabilities(runs_made, tiny_dataset, rows, tmp_path):
    for folder in (runs_made.acoustic, runs_made.linguistic):
        before = load_model(folder, CPU).predict(tiny_dataset.manifest.utterances, rows)
        moved = tmp_path / "elsewhere" / folder.name
        shutil.copytree(folder, moved)
        after = load_model(moved, CPU).predict(tiny_dataset.manifest.utterances, rows)
        assert np.array_equal(before.probs, after.probs)
        assert np.array_equal(before.embeddings, after.embeddings)


def test_a_run_takes_its_users_word_vectors_along(train, plans, tiny_dataset, rows, split, tmp_path):
    vectors = tmp_path / "mine.txt"
    rng = np.random.default_rng(0)
    words = sorted({w for u in tiny_dataset.manifest.utterances for w in u.transcripts["human"].split()})
    vectors.write_text("".join(f"{w} {' '.join(f'{x:.4f}' for x in rng.standard_normal(4))}\n" for w in words))
    config = replace(plans.linguistic.model.features[0][1], vectors=str(vectors))
    plan = replace(plans.linguistic, model=replace(plans.linguistic.model, features=(("words", config),)))
    train(plan, tmp_path / "run")
    test_part = tiny_dataset.select(split.test)
    before = load_model(tmp_path / "run", CPU).predict(test_part, rows)
    (tmp_path / "run").rename(tmp_path / "moved")
    vectors.unlink()
    moved = load_model(tmp_path / "moved", CPU)
    assert moved.spec.features[0][1].vectors == str(tmp_path / "moved" / "vectors.npz")
    assert np.array_equal(moved.predict(test_part, rows).probs, before.probs)


def test_an_ensemble_is_no_single_model(runs_made, tmp_path):
    shutil.copytree(runs_made.acoustic, tmp_path / "run")
    runs.write_record(tmp_path / "run", replace(runs.load_info(tmp_path / "run"), kind="ensemble"))
    with pytest.raises(SerError, match="is an ensemble; give a single model"):
        load_model(tmp_path / "run", CPU)


def test_an_unfinished_run_is_refused_with_the_way_to_finish_it(runs_made, tmp_path):
    shutil.copytree(runs_made.acoustic, tmp_path / "run")
    runs.write_record(tmp_path / "run", replace(runs.load_info(tmp_path / "run"), status="training", digest=""))
    with pytest.raises(SerError, match=r"is not finished .* repeat the command that started it"):
        load_model(tmp_path / "run", CPU)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_damaged_weights_are_refused_by_the_runs_name(damage, runs_made, tmp_path):
    shutil.copytree(runs_made.acoustic, tmp_path / "run")
    weights, info = tmp_path / "run" / "weights.safetensors", runs.load_info(tmp_path / "run")
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-50])
    else:
        weights.write_bytes((runs_made.linguistic / "weights.safetensors").read_bytes())
    runs.write_record(tmp_path / "run", info)
    with pytest.raises(SerError, match=r"run: the weights cannot be read \(.+\); train the run again"):
        load_model(tmp_path / "run", CPU)


def test_a_run_that_learned_other_features_than_this_version_gives_is_refused(members, tiny_dataset, rows):
    linguistic = members[1]
    scales = (Normaliser(np.zeros(51, np.float32), np.ones(51, np.float32)),)
    older = replace(linguistic, normalisers=scales)
    with pytest.raises(SerError, match="learned 51 numbers a frame, and 'words' gives 101 in this version"):
        older.predict(tiny_dataset.manifest.utterances[:2], rows)


@pytest.mark.parametrize("name", ["run.json", "predictions/test.csv", "split.json", "weights.safetensors"])
def test_a_run_whose_files_were_changed_after_it_was_finished_is_refused(name, runs_made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs_made.acoustic, folder)
    changed = folder / name
    content = changed.read_bytes()
    changed.write_bytes(content.replace(b"anger", b"angry") if b"anger" in content else content[:-1] + b" ")
    with pytest.raises(SerError, match=f"run/{name} was changed after the run was finished. Train the run again, or"):
        runs.load_info(folder)


def test_a_run_may_be_formatted_anew_lose_its_predictions_or_be_told_where_its_dataset_is(runs_made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs_made.acoustic, folder)
    content = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps({**content, "data": "elsewhere"}))
    shutil.rmtree(folder / "predictions")
    assert load_model(folder, CPU).info.data == "elsewhere"


def test_runs_and_ensembles_of_versions_without_digests_are_read(runs_made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs_made.acoustic, folder)
    content = json.loads((folder / "run.json").read_bytes())
    content["labels"][0] = "calm"
    del content["digest"], content["files"]
    (folder / "run.json").write_text(json.dumps(content))
    assert runs.load_info(folder).labels[0] == "calm"
