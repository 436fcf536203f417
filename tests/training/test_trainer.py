import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from sercli import plugins
from sercli._system.devices import pick_device
from sercli.errors import DivergedError, SerError
from sercli.model.batches import Examples, Normaliser, evaluation_batches
from sercli.training.trainer import Trainer
from sercli.types import TrainConfig

CPU = torch.device("cpu")
N_FEATURES, N_LABELS = 6, 3
AUGMENTED = {
    "feature_noise": 0.1,
    "time_masks": 1,
    "feature_masks": 1,
    "stretch": 0.2,
    "shift": 1,
    "mixup": 0.3,
    "label_smoothing": 0.1,
    "schedule": "cosine",
    "weight_decay": 0.01,
}
NETWORKS = {
    "lstm": {"hidden_size": 6, "n_layers": 2, "dropout": 0.3, "input_dropout": 0.1},
    "conv-attention": {"n_filters": 3, "n_blocks": 2, "n_attention": 4},
    "cnn": {"n_frames": 8, "n_blocks": 2, "n_filters": 3, "dropout": 0.2},
}


def toy(n, seed, counts=None):
    """Utterances of 4 to 9 frames in which one column in six tells the class."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(N_LABELS), counts) if counts else np.arange(n) % N_LABELS
    rows = [rng.standard_normal((rng.integers(4, 10), N_FEATURES)).astype(np.float32) for _ in y]
    for row, label in zip(rows, y, strict=True):
        row[:, label] += 3
    return Examples((rows,), (Normaliser.of(rows, "none"),), y)


def shuffled(examples, seed=0):
    """The same utterances with classes by chance: nothing to learn, much to overfit."""
    return replace(examples, y=np.random.default_rng(seed).permutation(examples.y))


def trainer(architecture="lstm", *, train=None, valid=None, seed=0, **config):
    torch.manual_seed(seed)
    plugin = plugins.load("architecture", architecture)
    module = plugin.build(plugin.Config(**NETWORKS[architecture]), N_FEATURES, N_LABELS)
    settings = TrainConfig(**{"epochs": 5, "batch_size": 8, "lr": 0.01, **config})
    return Trainer(module, train or toy(24, 1), valid or toy(12, 2), settings, seed=seed, device=CPU)


def figures(history):
    return [replace(result, seconds=0.0) for result in history]


def same_weights(first, second):
    one, other = first.module.state_dict(), second.module.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_separable_problem_is_learned(architecture):
    learner = trainer(architecture, train=toy(90, 1), valid=toy(30, 2), epochs=25, lr=0.02)
    *_, last = learner.epochs()
    assert learner.best.valid_uar > 0.9
    assert last.train_loss < 0.5 * learner.history[0].train_loss


def test_it_is_learned_under_every_augmentation_at_once():
    # Without the shift: here the column itself is the class.
    learner = trainer(train=toy(90, 1), valid=toy(30, 2), **{**AUGMENTED, "shift": 0, "epochs": 25, "lr": 0.02})
    list(learner.epochs())
    assert learner.best.valid_uar > 0.9


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_same_seed_gives_the_same_figures_and_another_seed_others(architecture):
    first, again, other = (trainer(architecture, seed=seed, **AUGMENTED) for seed in (4, 4, 5))
    histories = [figures(learner.epochs()) for learner in (first, again, other)]
    assert histories[0] == histories[1]
    assert same_weights(first, again)
    assert histories[0] != histories[2]
    assert not same_weights(first, other)


def test_randomness_does_not_hang_on_what_was_drawn_before():
    first, second = trainer(**AUGMENTED), trainer(**AUGMENTED)
    torch.manual_seed(123)
    before = figures(first.epochs())
    torch.rand(7)
    assert figures(second.epochs()) == before


def test_each_epoch_is_augmented_otherwise():
    torch.manual_seed(0)
    plugin = plugins.load("architecture", "lstm")
    module = plugin.build(plugin.Config(hidden_size=4, dropout=0), N_FEATURES, N_LABELS)
    still = TrainConfig(epochs=3, batch_size=8, lr=1e-12, feature_noise=1.0)
    history = list(Trainer(module, toy(24, 1), toy(12, 2), still, seed=0, device=CPU).epochs())
    assert len({result.train_loss for result in history}) == 3
    assert history[0].train_loss != pytest.approx(history[1].train_loss, abs=1e-4)


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_run_taken_up_ends_like_one_left_alone(architecture, killed_after, tmp_path):
    undisturbed = trainer(architecture, **AUGMENTED)
    expected = figures(undisturbed.epochs())
    killed = trainer(architecture, **AUGMENTED)
    list(islice(killed.epochs(), killed_after))
    killed.save(tmp_path / "resume.safetensors")
    again = trainer(architecture, **AUGMENTED)
    again.resume(tmp_path / "resume.safetensors")
    list(again.epochs())
    assert figures(again.history) == expected
    assert figures([again.best]) == figures([undisturbed.best])
    assert same_weights(again, undisturbed)


def with_dimensions(examples):
    """The same utterances with two more targets: the mean of a column, and nothing that is known."""
    first = [float(row[:, 3].mean()) for row in examples.inputs[0]]
    second = np.full(len(first), np.nan)
    return replace(examples, dimensions=np.stack([first, second], axis=1).astype(np.float32))


def test_a_second_target_is_learned_beside_the_classes_and_a_kill_changes_nothing(tmp_path):
    settings = {"train": with_dimensions(toy(48, 1)), "dimensions": 1.0, "mixup": 0.2, "epochs": 60, "lr": 0.02}
    undisturbed = trainer(**settings, keep="last")
    expected = figures(undisturbed.epochs())
    killed = trainer(**settings, keep="last")
    list(islice(killed.epochs(), 3))
    killed.save(tmp_path / "resume.safetensors")
    again = trainer(**settings, keep="last")
    again.resume(tmp_path / "resume.safetensors")
    assert figures([*killed.history, *again.epochs()]) == expected
    assert same_weights(again, undisturbed)
    (batch,) = evaluation_batches(undisturbed.train, 48, CPU)
    predicted = undisturbed.head(undisturbed.module.encode(*batch.inputs))[:, 0].detach().numpy()
    known = undisturbed.train.dimensions[batch.indices, 0]
    assert np.corrcoef(predicted, known)[0, 1] > 0.7
    assert undisturbed.validate()[1] > 0.9


def test_what_was_trained_before_the_kill_keeps_its_seconds(tmp_path):
    killed = trainer()
    list(islice(killed.epochs(), 2))
    killed.save(tmp_path / "resume.safetensors")
    again = trainer()
    again.resume(tmp_path / "resume.safetensors")
    assert again.history == killed.history


def test_training_stops_when_the_validation_loss_has_not_fallen_for_the_patience():
    learner = trainer(valid=shuffled(toy(12, 2)), epochs=200, patience=4, lr=0.05)
    history = list(learner.epochs())
    losses = [result.valid_loss for result in history]
    best = losses.index(min(losses)) + 1
    assert learner.best.epoch == best
    assert len(history) == best + 4 < 200


def test_a_stopped_run_that_is_taken_up_stays_stopped(tmp_path):
    learner = trainer(valid=shuffled(toy(12, 2)), epochs=200, patience=2, lr=0.05)
    for _ in learner.epochs():
        learner.save(tmp_path / "resume.safetensors")
    again = trainer(valid=shuffled(toy(12, 2)), epochs=200, patience=2, lr=0.05)
    again.resume(tmp_path / "resume.safetensors")
    assert list(again.epochs()) == []
    assert same_weights(again, learner)


def test_the_best_weights_are_kept_not_the_last():
    learner = trainer(valid=shuffled(toy(12, 2)), epochs=12, lr=0.05)
    *_, last = learner.epochs()
    assert last.valid_loss > learner.best.valid_loss
    assert learner.validate()[0] == pytest.approx(learner.best.valid_loss, rel=1e-6)
    assert not learner.module.training


def test_the_last_weights_are_kept_where_that_is_wanted_and_patience_has_no_say(tmp_path):
    settings = {"valid": shuffled(toy(12, 2)), "epochs": 12, "lr": 0.05, "patience": 1, "keep": "last"}
    learner = trainer(**settings)
    *_, last = learner.epochs()
    assert last.epoch == 12
    assert last.valid_loss > min(result.valid_loss for result in learner.history)
    assert learner.best is last
    assert learner.validate()[0] == pytest.approx(last.valid_loss, rel=1e-6)
    killed = trainer(**settings)
    list(islice(killed.epochs(), 7))
    killed.save(tmp_path / "resume.safetensors")
    again = trainer(**settings)
    again.resume(tmp_path / "resume.safetensors")
    list(again.epochs())
    assert figures(again.history) == figures(learner.history)
    assert same_weights(again, learner)


def test_a_loss_that_is_not_a_number_names_epoch_and_step_size():
    learner = trainer(lr=1e37)
    with pytest.raises(
        DivergedError, match=r"diverged in epoch 1: the loss is (nan|inf).* Lower train\.lr \(now 1e\+37\)"
    ):
        list(learner.epochs())


def test_a_later_epoch_that_diverges_is_named_and_nothing_of_it_is_kept():
    learner = trainer()
    epochs = learner.epochs()
    list(islice(epochs, 2))
    torch.nn.init.constant_(learner.module.classifier.weight, math.nan)
    with pytest.raises(DivergedError, match=r"diverged in epoch 3: the loss is nan"):
        next(epochs)
    assert len(learner.history) == 2
    assert all(t.isfinite().all() for t in learner.best_weights.values())


def test_class_weights_are_the_inverse_frequencies_with_mean_one_over_the_examples():
    learner = trainer(train=toy(0, 1, counts=[12, 8, 4]), class_weights=True)
    assert learner.class_weights.tolist() == pytest.approx([24 / 3 / 12, 24 / 3 / 8, 24 / 3 / 4])


@pytest.mark.parametrize("class_weights", [True, False])
def test_the_validation_loss_is_the_weighted_cross_entropy_of_scikit_learn(class_weights):
    valid = toy(0, 2, counts=[9, 2, 4])
    learner = trainer(train=toy(0, 1, counts=[12, 8, 4]), valid=valid, class_weights=class_weights)
    loss, _ = learner.validate()
    scores = [learner.module(torch.from_numpy(row)[None], torch.tensor([len(row)])) for row in valid.inputs[0]]
    probs = torch.softmax(torch.cat(scores).double(), dim=1).detach().numpy()
    weights = learner.class_weights.numpy()[valid.y] if class_weights else None
    assert loss == pytest.approx(log_loss(valid.y, probs, sample_weight=weights), rel=1e-5)


def test_class_weights_help_the_class_that_is_rare():
    rare, valid = toy(0, 1, counts=[40, 40, 3]), toy(30, 2)

    def recall_of_the_rare(class_weights):
        learner = trainer(train=rare, valid=valid, class_weights=class_weights, epochs=6)
        list(learner.epochs())
        rows = [row for row, label in zip(valid.inputs[0], valid.y, strict=True) if label == 2]
        found = [learner.module(torch.from_numpy(r)[None], torch.tensor([len(r)])).argmax().item() == 2 for r in rows]
        return sum(found) / len(found)

    assert recall_of_the_rare(class_weights=True) > recall_of_the_rare(class_weights=False)


def test_a_cosine_schedule_falls_from_the_step_size_towards_zero():
    learner = trainer(schedule="cosine", epochs=4, lr=0.01)
    steps = [learner.optimiser.param_groups[0]["lr"] for _ in learner.epochs()]
    assert steps == pytest.approx([0.01 * 0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(4)])


def test_the_gradient_is_clipped_to_its_bound():
    learner = trainer(clip_norm=1e-3, epochs=1, lr=1e-9)
    list(learner.epochs())
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in learner.module.parameters()))
    assert norm <= 1e-3 * 1.001


def test_weights_that_are_frozen_stay():
    torch.manual_seed(0)
    plugin = plugins.load("architecture", "lstm")
    module = plugin.build(plugin.Config(hidden_size=4), N_FEATURES, N_LABELS)
    module.layers.requires_grad_(False)
    before = {key: t.clone() for key, t in module.layers.state_dict().items()}
    list(Trainer(module, toy(24, 1), toy(12, 2), TrainConfig(epochs=2, weight_decay=0.1), seed=0, device=CPU).epochs())
    assert all(torch.equal(t, before[key]) for key, t in module.layers.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_resume_file_says_what_to_do(content, tmp_path):
    path = tmp_path / "resume.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        SerError, match=r"resume\.safetensors cannot be used .* delete it to train from the first epoch"
    ):
        trainer().resume(path)


def test_a_truncated_resume_file_says_what_to_do(tmp_path):
    path = tmp_path / "resume.safetensors"
    whole = trainer()
    list(islice(whole.epochs(), 1))
    whole.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SerError, match="delete it to train from the first epoch"):
        trainer().resume(path)


def test_a_resume_file_without_the_best_weights_is_refused(tmp_path):
    path = tmp_path / "resume.safetensors"
    learner = trainer()
    next(learner.epochs())
    learner.best_weights = {}
    learner.save(path)
    with pytest.raises(SerError, match=r"cannot be used \(the best weights are incomplete\); delete it"):
        trainer().resume(path)


def test_a_resume_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "resume.safetensors"
    other = trainer("cnn")
    list(islice(other.epochs(), 1))
    other.save(path)
    with pytest.raises(SerError, match="delete it to train from the first epoch"):
        trainer("lstm").resume(path)


def test_the_cpu_is_there_by_name():
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}


@pytest.mark.parametrize("name", ["banana", "", "hpu", "meta", "cuda:99"])
def test_a_device_that_cannot_be_used_is_refused_with_what_can(name):
    with pytest.raises(SerError, match=rf"--device {name} cannot be used here \(.+\); use --device cpu or auto\."):
        pick_device(name)


def test_sgd_learns_a_separable_problem_and_goes_on_after_a_kill(tmp_path):
    whole, killed, taken_up = (trainer(optimiser="sgd", lr=0.3, epochs=12, schedule="cosine") for _ in range(3))
    list(whole.epochs())
    assert whole.best.valid_uar > 0.9
    list(islice(killed.epochs(), 5))
    killed.save(tmp_path / "resume.safetensors")
    taken_up.resume(tmp_path / "resume.safetensors")
    list(taken_up.epochs())
    assert same_weights(whole, taken_up)


def test_a_network_with_a_loss_of_its_own_is_trained_by_it_on_smoothed_and_weighted_targets():
    learner, seen = trainer(epochs=1, label_smoothing=0.3, class_weights=True, train=toy(0, 1, [12, 6, 6])), []
    module = learner.module

    def loss(targets, x, lengths):
        seen.append(targets)
        return module(x, lengths).square().mean()

    module.loss = loss
    list(learner.epochs())
    targets = torch.cat(seen)
    assert len(targets) == 24
    smoothed = targets / learner.class_weights
    torch.testing.assert_close(smoothed.sum(dim=1), torch.ones(24))
    torch.testing.assert_close(smoothed.max(dim=1).values, torch.full((24,), 0.8))
    assert learner.class_weights.unique().numel() == 2
