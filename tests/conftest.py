"""Fixtures that all tests share: a tiny corpus that a network can learn, its prepared dataset, and runs on it."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded: as `ser` does, and workers share the cores

import csv
import shutil
import signal
from contextlib import nullcontext
from types import SimpleNamespace

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded: as `ser` does, and workers share the cores

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock
from hypothesis import settings

from sercli.dataset import manifest, preparation
from sercli.dataset.feature_specs import feature_configs
from sercli.dataset.splits import make_split
from sercli.model import feature_provider, spec
from sercli.model.loading import load_model, load_run
from sercli.training import experiment, fusion
from sercli.training.experiment import Context

# No deadline: the time of an example depends on the machine and on what else runs. The examples are the same each time,
# so that a test that passed yesterday passes today; `pytest --hypothesis-profile search` draws others.
settings.register_profile("ser", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("ser")

# A shell that starts the tests in the background makes them, and all processes that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORKER = os.environ.get("PYTEST_XDIST_WORKER")  # the name of this worker; None where one process runs all tests


def pytest_addoption(parser, pluginmanager):
    """Accept the options of pytest-xdist in pyproject.toml where `-p no:xdist` leaves it out: one process runs all."""
    if not pluginmanager.hasplugin("xdist"):
        for option in ("--numprocesses", "--maxprocesses", "--dist"):
            parser.addoption(option)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """No workers for a command that names test files, which would wait seconds for them; else what xdist says."""
    return 0 if any(".py" in arg for arg in config.args) else None


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """made_once(name, make) gives the folder that `make(folder)` fills: one worker makes it, all workers read it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if WORKER else base

    def call(name, make):
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a worker left behind that failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return call


CPU = torch.device("cpu")
RATE_HZ = 16_000
CLIP_S = 0.6
SPEAKERS = {"f1": 210.0, "f2": 230.0, "f3": 250.0, "m1": 105.0, "m2": 115.0, "m3": 125.0}  # name -> pitch, Hz
# label -> factor of pitch, loudness changes per second, share of noise, decay of the harmonics, words
CLASSES = {
    "neutral": (1.0, 2.0, 0.02, 1.0, "the train leaves at noon"),
    "happiness": (1.5, 9.0, 0.02, 0.3, "what a wonderful lovely day"),
    "sadness": (0.8, 1.0, 0.02, 2.5, "i miss her and i cry"),
    "anger": (1.3, 20.0, 0.5, 0.1, "stop it now i hate this"),
}


def _clip(label, pitch_hz, rng):
    """(n_samples,) harmonics of a pitch, whose loudness changes as the class says, plus noise."""
    factor, swells_hz, noise, decay, _ = CLASSES[label]
    t = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    pitch_hz = pitch_hz * factor * rng.uniform(0.97, 1.03)
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * t) * np.exp(-decay * (k - 1)) for k in range(1, 6))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * (swells_hz * t + rng.uniform()))
    return 0.1 * swell * (tone + noise * 3 * rng.standard_normal(len(t)))


def _rows(root, rng):
    """Write 48 clips; yield the table row of each: (path, label, speaker, session, prompt, text, sex)."""
    for speaker, pitch_hz in SPEAKERS.items():
        for label, (*_, words) in CLASSES.items():
            for style in ("script", "free"):
                path = f"audio/{speaker}-{label}-{style}.wav"
                soundfile.write(root / path, _clip(label, pitch_hz, rng), RATE_HZ)
                prompt, text = ("", f"{words} {speaker[1]} times") if style == "free" else (f"{label}-script", words)
                yield path, label, speaker, f"s{speaker[1]}", prompt, text, speaker[0]


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """The folder of a `table` corpus: `corpus.csv` and 48 clips of 0.6 s in `audio/`. Tests must not change it.

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
    """A ProgressFactory (see sercli/types.py) that shows nothing."""
    return lambda description, total: nullcontext(lambda n, **shown: None)


@pytest.fixture(scope="session")
def tiny_dataset(tiny_corpus, tmp_path_factory, no_progress):
    """The Dataset that `ser prepare table` makes of the tiny corpus: four labels, features log-mel and words.

    Tests may add features to its cache and must not change anything else in `tiny_dataset.folder`.
    """
    folder = tmp_path_factory.mktemp("tiny_dataset")
    wanted = feature_configs("log-mel,words", [], [])
    prepared = preparation.prepare("table", tiny_corpus, folder, label_set="four", progress=no_progress)
    preparation.finish(prepared, wanted, jobs=1, progress=no_progress)
    return manifest.load(folder)


@pytest.fixture(autouse=True)
def one_thread():
    """One thread for torch: small networks are slower with more, and sums differ in their last digit."""
    torch.set_num_threads(1)


def small(preset, **train):
    """The plan of a preset with a network that trains quickly; noise and dropout make it depend on the seed."""
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
    """The feature provider of the tiny dataset."""
    return feature_provider.cached_features(tiny_dataset, jobs=1, progress=no_progress)


@pytest.fixture(scope="session")
def train(tiny_dataset, split, rows):
    """train(plan, out) -> RunInfo: `experiment.train` with arguments that tests rarely change, on one thread."""

    def call(plan, out, **changed):
        torch.set_num_threads(1)  # session fixtures run before `one_thread`
        parts = changed.pop("split", split)
        usual = {"dataset": tiny_dataset, "provider": rows, "seed": 0, "device": CPU}
        return experiment.train(plan, parts, out, Context(**{**usual, **changed}))

    return call


@pytest.fixture(scope="session")
def plans():
    """Experiments that train quickly: `acoustic`, `linguistic` and `small(preset, **train)` for any other."""
    return SimpleNamespace(acoustic=small("acoustic-log-mel"), linguistic=small("linguistic"), small=small)


@pytest.fixture(scope="session")
def runs_made(train, plans, tmp_path_factory):
    """Folders of two finished runs, `acoustic` and `linguistic`. Tests must not write there."""
    folder = tmp_path_factory.mktemp("runs")
    train(plans.acoustic, folder / "acoustic")
    train(plans.linguistic, folder / "linguistic")
    return SimpleNamespace(acoustic=folder / "acoustic", linguistic=folder / "linguistic")


@pytest.fixture
def members(runs_made):
    """The two runs of `runs_made`, freshly loaded for each test."""
    return load_model(runs_made.acoustic, CPU), load_model(runs_made.linguistic, CPU)


@pytest.fixture(scope="session")
def systems(runs_made, tiny_dataset, rows, tmp_path_factory):
    """The two runs of `runs_made` and their `average`, loaded. Tests must not change them."""
    out = tmp_path_factory.mktemp("systems") / "average"
    acoustic, linguistic = (load_run(f, CPU) for f in (runs_made.acoustic, runs_made.linguistic))
    context = Context(tiny_dataset, rows, 0, CPU)
    fusion.fuse((acoustic, linguistic), fusion.rule_configs(["average"], [])["average"], out, context)
    return SimpleNamespace(acoustic=acoustic, linguistic=linguistic, average=load_run(out, CPU))
