"""What adaptation to a voice gives: groups of one speaker's clips, adapted and not, by the same model.

    python benchmarks/adaptation.py --data work/joined RUN ...

RUN is the model of `ser train --refit` on all corpora but one (see join_corpora.py), which is tested on that one; with
several seeds of a corpus the figures are means. First single clips: UA, least recall of a class and calibration error,
as they are and adapted by speaker in groups of about 20. Then groups: for each size and mix of classes 100 of one
speaker's clips are drawn (with repetition where a speaker has too few), the same for each way. Change against the plain
predictions: UA of an even mix; WA of mixes of which 80 % is one class, and of groups of one class alone. In brackets
the worst corpus and mix.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from sercli import runs
from sercli._system.progress import no_progress
from sercli.dataset import manifest
from sercli.evaluation.metrics import class_numbers
from sercli.evaluation.reliability import calibration
from sercli.model import adaptation
from sercli.model.feature_provider import cached_features
from sercli.model.loading import load_model
from sercli.types import Array

SIZES = (5, 10, 20, 50)
GROUPS = 100
Ways = dict[str, Callable[[Array, Array, Array], Array]]


class Corpus:
    """The predictions of one run on the corpus that was left out."""

    def __init__(self, folder: Path, dataset: manifest.Dataset) -> None:
        model, trained = load_model(folder, torch.device("cpu")), set(runs.read_split(folder).train)
        tested = [u for u in dataset.manifest.utterances if u.id not in trained]
        provider = cached_features(dataset, jobs=1, device="cpu", progress=no_progress)
        self.name = "+".join(sorted({u.session or "" for u in tested}))
        self.probs = model.predict(tested, provider).probs
        self.expected = np.array(model.info.class_scores)
        self.labels = model.info.labels
        self.y = class_numbers([u.true_label for u in tested], self.labels)
        self.speakers = np.array([u.speaker for u in tested])

    def single(self) -> tuple[float, float, float, float]:
        """Return UA, the least recall, the calibration error, and that of clips adapted in groups of about 20."""
        adapted, rng = self.probs.copy(), np.random.default_rng(0)
        for speaker in np.unique(self.speakers):
            own = rng.permutation(np.flatnonzero(self.speakers == speaker))
            for group in np.array_split(own, max(1, len(own) // 20)):
                adapted[group] = adaptation.by_group(self.probs[group], self.expected, way="auto")
        recalls = [(self.probs[self.y == k].argmax(axis=1) == k).mean() for k in range(len(self.labels))]
        errors = (calibration(probs, self.y).ece for probs in (self.probs, adapted))
        return float(np.mean(recalls)), float(min(recalls)), *errors

    def drawn(self, rng: np.random.Generator, shares: Array, size: int) -> tuple[Array, str]:
        """Return the places (size,) of clips of one speaker, and the speaker."""
        speaker = rng.choice(np.unique(self.speakers))
        counts = np.floor(shares * size).astype(int)
        counts[rng.permutation(len(shares))[: size - counts.sum()]] += 1
        places = []
        for k, n in enumerate(counts):
            (own,) = np.nonzero((self.speakers == speaker) & (self.y == k))
            places.append(rng.choice(own, n, replace=n > len(own)))
        return np.concatenate(places), speaker

    def resting(self, rng: np.random.Generator, speaker: str, n: int) -> Array:
        """Return the probabilities (n, K) of neutral clips of a speaker."""
        (own,) = np.nonzero((self.speakers == speaker) & (self.y == self.labels.index("neutral")))
        found: Array = self.probs[rng.choice(own, n, replace=n > len(own))]
        return found


def ways(neutral: int) -> Ways:
    return {
        "auto": lambda probs, expected, _: adaptation.by_group(probs, expected, way="auto"),
        "full": lambda probs, expected, _: adaptation.by_group(probs, expected, way="full"),
        **{f"neutral, {n}": partial(_at_rest, neutral=neutral, n=n) for n in (3, 5)},
        **{f"neutral, {n}, and auto": partial(_at_rest_and_auto, neutral=neutral, n=n) for n in (3, 5)},
    }


def _at_rest(probs: Array, expected: Array, clips: Array, *, neutral: int, n: int) -> Array:
    return adaptation.at_rest(probs, expected, resting=clips[:n], neutral=neutral)


def _at_rest_and_auto(probs: Array, expected: Array, clips: Array, *, neutral: int, n: int) -> Array:
    return adaptation.by_group(_at_rest(probs, expected, clips, neutral=neutral, n=n), expected, way="auto")


def mixes(n_labels: int) -> dict[str, Array]:
    one = np.eye(n_labels)
    rest = (1 - one) / (n_labels - 1)
    return {
        "even": np.full(n_labels, 1 / n_labels),
        **{f"80 % {k}": 0.8 * one[k] + 0.2 * rest[k] for k in range(n_labels)},
        **{f"only {k}": one[k] for k in range(n_labels)},
    }


def figures(y: Array, probs: Array) -> tuple[float, float]:
    """(UA, WA)."""
    right = probs.argmax(axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)])), float(right.mean())


def compared(corpus: Corpus, size: int, shares: Array, seed: int) -> dict[str, tuple[float, float]]:
    """Return UA and WA by each way, and "plain", over the groups."""
    rng = np.random.default_rng(seed)
    tried = ways(corpus.labels.index("neutral"))
    found: dict[str, list[Array]] = {name: [] for name in ("plain", *tried)}
    truth = []
    for _ in range(GROUPS):
        places, speaker = corpus.drawn(rng, shares, size)
        probs, clips = corpus.probs[places], corpus.resting(rng, speaker, 5)
        truth.append(corpus.y[places])
        found["plain"].append(probs)
        for name, change in tried.items():
            found[name].append(change(probs, corpus.expected, clips))
    return {name: figures(np.concatenate(truth), np.concatenate(of)) for name, of in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    dataset = manifest.load(arguments.data)
    tested = [Corpus(folder, dataset) for folder in arguments.runs]
    names = list(dict.fromkeys(corpus.name for corpus in tested))
    print("| single clips of | UA | mean | least recall | ECE | ECE, adapted |\n|---|---|---|---|---|---|")
    for name in names:
        ua, least, *errors = np.transpose([c.single() for c in tested if c.name == name])
        means = " | ".join(f"{np.mean(error):.3f}" for error in errors)
        print(f"| {name} | {' '.join(f'{x:.3f}' for x in ua)} | {ua.mean():.3f} | {least.min():.2f} | {means} |")
    print(
        "\n| way | clips | even mix: UA | by corpus | 80 % one class: WA | one class alone: WA |\n"
        "|---|---|---|---|---|---|"
    )
    for size in SIZES:
        change: dict[str, dict[tuple[str, str], Array]] = {}
        for name, (mix, shares) in product(names, mixes(len(tested[0].labels)).items()):
            each = [compared(c, size, shares, seed) for seed, c in enumerate(tested) if c.name == name]
            for way in each[0]:
                gain = np.mean([np.subtract(one[way], one["plain"]) for one in each], axis=0)
                change.setdefault(way, {})[name, mix] = gain
        for way, cells in change.items():
            if way != "plain":
                print(row(way, size, cells, names))


def row(way: str, size: int, cells: dict[tuple[str, str], Array], names: list[str]) -> str:
    even = [cells[name, "even"][0] for name in names]
    groups = [[gain[1] for (_, mix), gain in cells.items() if mix.startswith(kind)] for kind in ("80", "only")]
    shown = [f"{np.mean(of):+.3f} ({min(of):+.3f})" for of in (even, *groups)]
    by_corpus = ", ".join(f"{name} {gain:+.3f}" for name, gain in zip(names, even, strict=True))
    return f"| {way} | {size} | {shown[0]} | {by_corpus} | {shown[1]} | {shown[2]} |"


if __name__ == "__main__":
    main()
