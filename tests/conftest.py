"""Fixtures that all tests share: a tiny corpus that a network can learn, its prepared dataset, and runs on it."""

import csv
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings

from sercli.dataset import manifest, preparation
from sercli.dataset.feature_specs import feature_configs
from sercli.dataset.splits import make_split
from sercli.model import feature_provider, inference, spec
from sercli.training import experiment

# Machines differ and are busy: how long an example takes says nothing about the code. The examples are the same each
# time, so that what passed yesterday passes today; `pytest --hypothesis-profile search` tries others.
settings.register_profile("ser", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("ser")

# A shell that starts the tests in the background lets them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

CPU = torch.device("cpu")
RATE_HZ = 16_000
CLIP_S = 0.6
SPEAKERS = {"f1": 210.0, "f2": 230.0, "f3": 250.0, "m1": 105.0, "m2": 115.0, "m3": 125.0}  # name -> pitch, Hz
# label -> factor of pitch, loudness changes a second, share of noise, decay of the harmonics, words
CLASSES = {
    "neutral": (1.0, 2.0, 0.02, 1.0, "the train leaves at noon"),
    "happiness": (1.5, 9.0, 0.02, 0.3, "what a wonderful lovely day"),
    "sadness": (0.8, 1.0, 0.02, 2.5, "i miss her and i cry"),
    "anger": (1.3, 20.0, 0.5, 0.1, "stop it now i hate this"),
}


def _clip(label, pitch_hz, rng):
    """(n_samples,) harmonics of a pitch, swelling as fast as the class says, with noise over them."""
    factor, swells_hz, noise, decay, _ = CLASSES[label]
    t = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    pitch_hz = pitch_hz * factor * rng.uniform(0.97, 1.03)
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * t) * np.exp(-decay * (k - 1)) for k in range(1, 6))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * (swells_hz * t + rng.uniform()))
    return 0.1 * swell * (tone + noise * 3 * rng.standard_normal(len(t)))


def _rows(root, rng):
    """One row of the table for each of 48 clips, which are written on the way: (path, label, speaker, ...)."""
    for speaker, pitch_hz in SPEAKERS.items():
        for label, (*_, words) in CLASSES.items():
            for style in ("script", "free"):
                path = f"audio/{speaker}-{label}-{style}.wav"
                soundfile.write(root / path, _clip(label, pitch_hz, rng), RATE_HZ)
                prompt, text = ("", f"{words} {speaker[1]} times") if style == "free" else (f"{label}-script", words)
                yield path, label, speaker, f"s{speaker[1]}", prompt, text, speaker[0]


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """The folder of a `table` corpus: `corpus.csv` and 48 clips of 0.6 s below `audio/`. Read it, never change it.

    Six speakers (f1 f2 f3 m1 m2 m3) in three sessions (s1: f1 m1, ...), each with a scripted and a free clip of each of
    the four classes. The scripted clips of a class share a prompt and its words; free clips have no prompt.
    """
    root = tmp_path_factory.mktemp("tiny_corpus")
    (root / "audio").mkdir()
    with (root / "corpus.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "session", "prompt", "text", "sex"])
        writer.writerows(_rows(root, np.random.default_rng(0)))
    return root


@pytest.fixture(scope="session")
def no_progress():
    """A ProgressFactory (see types.py) that shows nothing."""
    return lambda description, total: nullcontext(lambda n, **shown: None)


@pytest.fixture(scope="session")
def tiny_dataset(tiny_corpus, tmp_path_factory, no_progress):
    """The Dataset that `ser prepare table` makes of the tiny corpus: four labels, features log-mel and words.

    Its folder is `tiny_dataset.folder`. Tests may add features to its cache and must change nothing else.
    """
    folder = tmp_path_factory.mktemp("tiny_dataset")
    wanted = feature_configs("log-mel,words", [], [])
    prepared = preparation.prepare("table", tiny_corpus, folder, label_set="four", progress=no_progress)
    preparation.finish(prepared, wanted, jobs=1, progress=no_progress)
    return manifest.load(folder)


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
    return feature_provider.cached_features(tiny_dataset, jobs=1, progress=no_progress)


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
