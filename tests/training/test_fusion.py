import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs
from safetensors.numpy import load_file

from sercli import config, plugins, runs
from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import make_split
from sercli.ensembles import average
from sercli.errors import ConfigError, MismatchError, SerError
from sercli.model.calibration import temper
from sercli.model.loading import load_model, load_run
from sercli.training import experiment, fusion
from sercli.types import TrainConfig

CPU = torch.device("cpu")
RULES = plugins.names("ensemble")
TRAIN = TrainConfig(epochs=3, batch_size=8, lr=0.01)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def another(train, plans, tmp_path_factory):
    """A second acoustic model, with another seed."""
    folder = tmp_path_factory.mktemp("another") / "run"
    train(plans.acoustic, folder, seed=1)
    return load_model(folder, CPU)


@pytest.fixture
def fuse(members, tiny_dataset, rows):
    """fuse(rule, out) -> RunInfo, with all that a test does not change as usual."""

    def call(rule, out, *, on_epoch=lambda result, best: None, given=members, data=tiny_dataset, rows=rows, **values):
        context = experiment.Context(data, rows, 0, CPU, on_epoch)
        rule_config = config.build(plugins.load("ensemble", rule).Config, values, "ensemble")
        return fusion.fuse(given, fusion.RuleConfig(rule, rule_config, TRAIN), out, context)

    return call


def weights(folder):
    return load_file(folder / "weights.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def changed_info(member, **sections):
    """The member as if it had been trained with other settings."""
    settings = structs.replace(member.info.settings, **sections)
    return replace(member, info=replace(member.info, settings=settings))


@pytest.mark.parametrize("rule", RULES)
def test_an_ensemble_answers_what_its_run_directory_says_wherever_it_lies(
    rule, fuse, tiny_dataset, rows, split, tmp_path
):
    info = fuse(rule, tmp_path / "run")
    assert (info.kind, info.name, info.status, info.modality) == ("ensemble", rule, "finished", "both")
    (tmp_path / "far").mkdir()
    shutil.move(tmp_path / "run", tmp_path / "far" / "moved")
    system = load_run(tmp_path / "far" / "moved", CPU)
    for part in ("valid", "test"):
        written = runs.read_predictions(tmp_path / "far" / "moved", part)
        answered = system.predict(tiny_dataset.select(getattr(split, part)), rows)
        assert written.ids == answered.ids == getattr(split, part)
        assert written.truth == answered.truth
        assert np.array_equal(written.probs, answered.probs)
        np.testing.assert_allclose(answered.probs.sum(axis=1), 1, atol=1e-9)


def test_the_average_of_the_run_is_that_of_its_members(fuse, members, tiny_dataset, rows, split, tmp_path):
    fuse("average", tmp_path / "run")
    test_part = tiny_dataset.select(split.test)
    mean = average.combine([m.predict(test_part, rows) for m in members], {}, average.Config())
    expected = temper(mean, runs.load_info(tmp_path / "run").temperature)
    np.testing.assert_allclose(runs.read_predictions(tmp_path / "run", "test").probs, expected)


@pytest.mark.parametrize("rule", RULES)
def test_there_is_a_history_where_a_network_was_trained(rule, fuse, tmp_path):
    info = fuse(rule, tmp_path / "run")
    trained = rule == "feature"
    assert (tmp_path / "run" / "history.jsonl").exists() == trained
    if trained:
        history = runs.read_history(tmp_path / "run")
        assert info.best_epoch == min(history, key=lambda result: result.valid_loss).epoch
    else:
        assert info.best_epoch is None


@pytest.mark.parametrize("rule", ["weighted", "feature"])
def test_what_a_rule_learns_it_learns_before_the_test_part_is_opened(rule, fuse, rows, split, tmp_path, monkeypatch):
    opened, at_state = [], []

    def watched(utterances, feature, feature_config):
        opened.extend(u.id for u in utterances)
        return rows(utterances, feature, feature_config)

    plugin = plugins.load("ensemble", rule)
    learn = "state_of" if rule == "feature" else "fit"
    original = getattr(plugin, learn)
    monkeypatch.setattr(plugin, learn, lambda *given: at_state.append(set(opened)) or original(*given))
    fuse(rule, tmp_path / "run", rows=watched)
    expected = {*split.train, *split.valid} if rule == "feature" else {*split.valid}
    assert at_state == [expected]
    assert set(split.test) <= set(opened)


def test_frozen_encoders_stay_as_the_members_are(fuse, runs_made, tmp_path):
    fuse("feature", tmp_path / "run")
    assert not (tmp_path / "run" / "encoders").exists()
    assert same(weights(tmp_path / "run" / "members" / "acoustic"), weights(runs_made.acoustic))
    assert same(weights(tmp_path / "run" / "members" / "linguistic"), weights(runs_made.linguistic))


def test_encoders_trained_on_lie_beside_members_that_stay_as_they_were(fuse, members, runs_made, tmp_path):
    before = [{key: t.clone() for key, t in m.module.state_dict().items()} for m in members]
    fuse("feature", tmp_path / "run", train_encoders=True)
    for member, was in zip(members, before, strict=True):
        modality = member.info.modality
        original = weights(getattr(runs_made, modality))
        assert all(torch.equal(t, was[key]) for key, t in member.module.state_dict().items())
        assert same(weights(tmp_path / "run" / "members" / modality), original)
        assert not same(weights(tmp_path / "run" / "encoders" / modality), original)


def test_an_ensemble_with_encoders_of_its_own_moves_with_them(fuse, tiny_dataset, rows, split, tmp_path):
    fuse("feature", tmp_path / "run", train_encoders=True)
    (tmp_path / "run").rename(tmp_path / "moved")
    answered = load_run(tmp_path / "moved", CPU).predict(tiny_dataset.select(split.test), rows)
    assert np.array_equal(answered.probs, runs.read_predictions(tmp_path / "moved", "test").probs)
    shutil.rmtree(tmp_path / "moved" / "encoders")
    with_members = load_run(tmp_path / "moved", CPU).predict(tiny_dataset.select(split.test), rows)
    assert not np.array_equal(with_members.probs, answered.probs), "the encoders' own weights play a part"


@pytest.mark.parametrize("train_encoders", [False, True])
def test_the_same_command_after_a_kill_ends_like_one_left_alone(train_encoders, fuse, tmp_path):
    def kill(result, best):
        if result.epoch == 2:
            raise KilledError

    fuse("feature", tmp_path / "whole", train_encoders=train_encoders)
    with pytest.raises(KilledError):
        fuse("feature", tmp_path / "run", on_epoch=kill, train_encoders=train_encoders)
    with pytest.raises(SerError, match="is not finished"):
        load_run(tmp_path / "run", CPU)
    seen = []
    fuse(
        "feature",
        tmp_path / "run",
        on_epoch=lambda result, best: seen.append(result.epoch),
        train_encoders=train_encoders,
    )
    assert seen == [3]
    state, expected = (runs.read_arrays(tmp_path / name / "state.npz") for name in ("run", "whole"))
    assert same(state, expected)
    written = [(tmp_path / name / "predictions" / "test.csv").read_bytes() for name in ("run", "whole")]
    assert written[0] == written[1]
    assert not (tmp_path / "run" / "resume.safetensors").exists()


def test_a_finished_ensemble_is_returned_at_once(fuse, tmp_path):
    def never(utterances, feature, feature_config):
        raise AssertionError("a finished ensemble was made again")

    first = fuse("weighted", tmp_path / "run")
    assert fuse("weighted", tmp_path / "run", rows=never).settings == first.settings


def test_another_rule_is_refused_with_the_difference(fuse, tmp_path):
    fuse("average", tmp_path / "run")
    with pytest.raises(MismatchError, match=r'rule was "average", now "max-confidence"'):
        fuse("max-confidence", tmp_path / "run")


def test_other_members_are_refused_with_the_difference(fuse, members, tmp_path):
    fuse("average", tmp_path / "run")
    other = (changed_info(members[0], train={**members[0].info.settings.train, "lr": 0.5}), members[1])
    with pytest.raises(MismatchError, match=r"members\.acoustic\.train\.lr was 0\.01, now 0\.5"):
        fuse("average", tmp_path / "run", given=other)


def test_an_utterance_without_words_is_answered_by_sound_alone(fuse, members, tiny_dataset, rows, tmp_path):
    fuse("average", tmp_path / "run")
    system = load_run(tmp_path / "run", CPU)
    first, second = tiny_dataset.manifest.utterances[:2]
    mute = replace(first, transcripts={})
    mixed = system.predict([mute, second], rows)
    np.testing.assert_allclose(mixed.probs[0], members[0].predict([first], rows).probs[0], atol=1e-6)
    np.testing.assert_allclose(mixed.probs[1], system.predict([second], rows).probs[0], atol=1e-6)
    assert abs(mixed.probs[0] - system.predict([first], rows).probs[0]).max() > 1e-4


def test_an_utterance_without_sound_is_answered_by_its_words(fuse, members, tiny_dataset, rows, tmp_path):
    fuse("weighted", tmp_path / "run")
    utterance = tiny_dataset.manifest.utterances[0]
    answered = load_run(tmp_path / "run", CPU).predict([replace(utterance, audio=None)], rows)
    np.testing.assert_allclose(answered.probs, members[1].predict([utterance], rows).probs, atol=1e-6)


def test_each_utterance_gets_its_own_answer_whatever_its_neighbours_lack(fuse, tiny_dataset, rows, tmp_path):
    fuse("average", tmp_path / "run")
    system = load_run(tmp_path / "run", CPU)
    first, second, third, fourth, fifth = tiny_dataset.manifest.utterances[:5]
    mixed = [replace(first, transcripts={}), second, replace(third, audio=None), replace(fourth, transcripts={}), fifth]
    alone = np.concatenate([system.predict([utterance], rows).probs for utterance in mixed])
    np.testing.assert_allclose(system.predict(mixed, rows).probs, alone, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_any_number_of_members_of_any_modality_go_together(
    rule, fuse, members, another, tiny_dataset, rows, split, tmp_path
):
    info = fuse(rule, tmp_path / "run", given=(members[0], another, members[1]))
    assert list(info.settings.members) == ["acoustic-1", "acoustic-2", "linguistic"]
    assert same(weights(tmp_path / "run" / "members" / "acoustic-2"), weights(another.folder))
    system = load_run(tmp_path / "run", CPU)
    part = tiny_dataset.select(split.test)
    predicted = system.predict(part, rows)
    assert np.array_equal(predicted.probs, runs.read_predictions(tmp_path / "run", "test").probs)
    for name, member in zip(info.settings.members, (members[0], another, members[1]), strict=True):
        np.testing.assert_allclose(predicted.members[name], member.predict(part, rows).probs, atol=1e-6)
    mute = system.predict([replace(utterance, transcripts={}) for utterance in part], rows)
    assert np.isnan(mute.members["linguistic"]).all()
    np.testing.assert_allclose(mute.probs.sum(axis=1), 1, atol=1e-9)
    assert abs(mute.probs - predicted.probs).max() > 1e-4
    assert abs(mute.probs - predicted.members["acoustic-1"]).max() > 1e-4, "both acoustic members count"


def test_two_acoustic_models_are_an_acoustic_ensemble_and_adapt_each_by_itself(
    fuse, members, another, tiny_dataset, rows, tmp_path
):
    assert fuse("average", tmp_path / "run", given=(members[0], another)).modality == "acoustic"
    system = load_run(tmp_path / "run", CPU)
    predicted = system.predict(tiny_dataset.manifest.utterances[:6], rows)
    asked = {}

    def change(name, probs, expected):
        asked[name] = expected
        return np.roll(probs, len(asked), axis=1)

    changed = system.adapted(predicted, change)
    assert {name: scores.tolist() for name, scores in asked.items()} == {
        "acoustic-1": [list(row) for row in members[0].info.class_scores],
        "acoustic-2": [list(row) for row in another.info.class_scores],
    }
    mean = (np.roll(predicted.members["acoustic-1"], 1, 1) + np.roll(predicted.members["acoustic-2"], 2, 1)) / 2
    np.testing.assert_allclose(changed.probs, temper(mean, system.info.temperature), atol=1e-9)


def test_an_utterance_with_neither_is_refused_by_name(fuse, tiny_dataset, rows, tmp_path):
    fuse("average", tmp_path / "run")
    empty = replace(tiny_dataset.manifest.utterances[0], audio=None, transcripts={})
    with pytest.raises(SerError, match=f"'{empty.id}' has no audio or text: .* cannot predict it"):
        load_run(tmp_path / "run", CPU).predict([empty], rows)


def test_members_with_other_labels_are_refused(members, tiny_dataset):
    odd = replace(members[1], info=replace(members[1].info, labels=("joy", "grief")))
    with pytest.raises(MismatchError, match=r"acoustic and .*linguistic have different labels: .* against joy, grief"):
        fusion.check_members((members[0], odd), tiny_dataset)


def test_members_of_another_fold_are_refused_with_the_difference(members, tiny_dataset, train, plans, tmp_path):
    train(plans.linguistic, tmp_path / "fold2", split=make_split(tiny_dataset.manifest, "loso", fold=2))
    other = load_run(tmp_path / "fold2", CPU)
    with pytest.raises(
        MismatchError, match=r"not trained on the same split: split\.fold was 1, now 2; .*Train all with"
    ):
        fusion.check_members((members[0], other), tiny_dataset)


def test_members_of_other_data_are_refused_with_the_difference(members, tiny_dataset):
    data = structs.replace(members[1].info.settings.data, manifest_sha256="f00")
    other = changed_info(members[1], data=data)
    with pytest.raises(MismatchError, match=r"not trained on the same data: data\.manifest_sha256 was .* now \"f00\""):
        fusion.check_members((members[0], other), tiny_dataset)


def test_another_dataset_than_the_members_is_refused(members, tiny_dataset):
    fewer = make_manifest(tiny_dataset.manifest.utterances[:-1], tiny_dataset.info.labels)
    with pytest.raises(
        MismatchError, match=r"was trained on other data than .*Give the --data that the runs were trained"
    ):
        fusion.check_members(members, replace(tiny_dataset, manifest=fewer))


def test_refused_members_leave_nothing_behind(fuse, members, tmp_path):
    odd = replace(members[1], info=replace(members[1].info, labels=("joy", "grief")))
    with pytest.raises(MismatchError):
        fuse("average", tmp_path / "run", given=(members[0], odd))
    assert not (tmp_path / "run").exists()


def test_a_setting_goes_to_every_rule_that_has_it():
    configs = fusion.rule_configs(RULES, ["ensemble.steps=7", "ensemble.train_encoders=true", "train.epochs=5"])
    assert configs["weighted"].config.steps == 7
    assert configs["feature"].config.train_encoders is True
    assert configs["average"].config == average.Config()
    assert all(rule.train.epochs == 5 for rule in configs.values())


@pytest.mark.parametrize(
    ("rules", "sets", "message"),
    [
        (RULES, ["ensemble.step=7"], r"No setting called 'ensemble\.step'\. Did you mean 'ensemble\.steps'\?"),
        (["average"], ["ensemble.steps=7"], r"No setting called 'ensemble\.steps'"),
        (RULES, ["architecture.dropout=0"], r"--set architecture\.… does nothing in `ser ensemble`"),
        (["average", "weighted"], ["train.lr=1"], r"does nothing with --rule average, weighted: no network is trained"),
        (["feature"], ["train.speeds=[0.9]"], r"train\.speeds=\[0\.9\] does nothing in `ser ensemble`, which reads"),
        (["feature"], ["ensemble.dropout=2"], r"ensemble\.dropout=2"),
    ],
)
def test_a_setting_without_effect_is_refused(rules, sets, message):
    with pytest.raises(ConfigError, match=message):
        fusion.rule_configs(rules, sets)


def test_an_unknown_rule_is_refused_with_the_nearest():
    with pytest.raises(SerError, match=r"No fusion rule called 'averege'\. Did you mean 'average'\?"):
        fusion.rule_configs(["averege"], [])
