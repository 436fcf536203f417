"""Fixtures of the model's tests: a split of the tiny dataset, small plans, and what they train to."""

from types import SimpleNamespace

import pytest
import torch

from sercli.dataset.split import make_split
from sercli.model import experiment, inference, spec

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only lose by sharing, and sums over other threads differ in their last digit."""
    torch.set_num_threads(1)


def small(preset, **train):
    """A preset with a network that trains in no time; noise and dropout keep its randomness in play."""
    settings = {"epochs": 4, "batch_size": 8, "lr": 0.01, "feature_noise": 0.1, **train}
    network = {"hidden_size": 6, "dropout": 0.2}
    acoustic = {"model": {"feature": "log-mel", "architecture": "lstm"}} if preset == "acoustic-log-mel" else {}
    return spec.resolve(preset, None, {**acoustic, "architecture": network, "train": settings})


@pytest.fixture(scope="session")
def split(tiny_dataset):
    """Train s3, validation s2, test s1: 16 utterances each."""
    return make_split(tiny_dataset.manifest, "loso")


@pytest.fixture(scope="session")
def rows(tiny_dataset, no_progress):
    return inference.cached_rows(tiny_dataset, jobs=1, progress=no_progress)


@pytest.fixture(scope="session")
def train(tiny_dataset, split, rows):
    """`experiment.train` with all that tests rarely change: train(plan, out) -> RunInfo."""

    def call(plan, out, **changed):
        usual = {
            "dataset": tiny_dataset,
            "split": split,
            "rows": rows,
            "seed": 0,
            "on_epoch": lambda result, best: None,
        }
        given = {**usual, **changed}
        torch.set_num_threads(1)  # fixtures of the session come before those of a test
        dataset, parts = given.pop("dataset"), given.pop("split")
        return experiment.train(dataset, plan, parts, out, device=CPU, **given)

    return call


@pytest.fixture(scope="session")
def plans():
    return SimpleNamespace(acoustic=small("acoustic-log-mel"), linguistic=small("linguistic"), small=small)


@pytest.fixture(scope="session")
def runs_made(train, plans, tmp_path_factory):
    """Folders of two finished runs, `acoustic` and `linguistic`. Tests read them and never write there."""
    folder = tmp_path_factory.mktemp("runs")
    train(plans.acoustic, folder / "acoustic")
    train(plans.linguistic, folder / "linguistic")
    return SimpleNamespace(acoustic=folder / "acoustic", linguistic=folder / "linguistic")


@pytest.fixture
def members(runs_made):
    """The two runs, loaded anew."""
    return inference.load(runs_made.acoustic, CPU), inference.load(runs_made.linguistic, CPU)
