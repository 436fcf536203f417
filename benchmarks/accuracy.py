"""Accuracy over all folds of a split: trains each fold with `ser train`, pools the test parts, prints WA and UA.

    python benchmarks/accuracy.py DATA OUT -m acoustic-lld [-m linguistic] [--rule all] [--jobs 2] [-- --set K=V]

Each fold is an ordinary run directory below OUT/PRESET/fold-N: a killed benchmark goes on where it was. With --rule,
the ensembles of the first preset (acoustic) and the second (linguistic) are made and scored as well. What stands behind
`--` goes to every `ser train`.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sercli import plugins, runs
from sercli.dataset import manifest
from sercli.evaluation.metrics import calibration_error, report_from
from sercli.types import Predictions


def main() -> None:
    arguments, passed_on = _arguments()
    dataset = manifest.load(arguments.data)
    n_folds = _n_folds(dataset, arguments.split)
    folds = arguments.folds or list(range(1, n_folds + 1))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        tasks = [(preset, fold) for preset in arguments.model for fold in folds]
        list(pool.map(lambda task: _train(arguments, *task, passed_on), tasks))
        if arguments.rule:
            list(pool.map(lambda fold: _ensemble(arguments, fold), folds))
    for preset in arguments.model:
        _show(preset, [_fold(arguments.out, preset, fold) for fold in folds])
    if arguments.rule:
        for rule in plugins.names("ensemble") if arguments.rule == "all" else [arguments.rule]:
            where = "" if arguments.rule != "all" else rule
            _show(rule, [_fold(arguments.out, "ensemble", fold) / where for fold in folds])


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    own, _, rest = " ".join(sys.argv[1:]).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-m", "--model", action="append", required=True, help="preset; may be repeated")
    parser.add_argument("--rule", help="ensemble rule, or all")
    parser.add_argument("--split")
    parser.add_argument("--folds", type=int, nargs="*", help="only these folds")
    parser.add_argument("--jobs", type=int, default=1, help="folds at the same time, each on one core")
    return parser.parse_args(own.split()), rest.split()


def _n_folds(dataset: manifest.Dataset, split: str | None) -> int:
    kind = split or dataset.info.split
    if kind in ("official", "seed"):
        return 1
    groups = {u.session if kind == "loso" else u.speaker for u in dataset.manifest.utterances}
    return dataset.info.folds or len(groups)


def _fold(out: Path, name: str, fold: int) -> Path:
    return out / name / f"fold-{fold}"


def _train(arguments: argparse.Namespace, preset: str, fold: int, passed_on: list[str]) -> None:
    words = ["train", "-q", "-m", preset, "--data", str(arguments.data), "--fold", str(fold)]
    words += ["--out", str(_fold(arguments.out, preset, fold)), "--jobs", "1", *passed_on]
    _ser([*words, "--split", arguments.split] if arguments.split else words, alone=arguments.jobs == 1)


def _ensemble(arguments: argparse.Namespace, fold: int) -> None:
    acoustic, linguistic = (str(_fold(arguments.out, preset, fold)) for preset in arguments.model[:2])
    out = str(_fold(arguments.out, "ensemble", fold))
    words = ["ensemble", "-a", acoustic, "-l", linguistic, "--data", str(arguments.data), "--out", out]
    _ser([*words, "--rule", arguments.rule], alone=arguments.jobs == 1)


def _ser(words: list[str], *, alone: bool) -> None:
    environment = os.environ if alone else {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "sercli", *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ser {' '.join(words)}\n{done.stderr}")


def _show(name: str, folders: list[Path]) -> None:
    parts = [runs.read_predictions(folder, "test") for folder in folders]
    pooled = Predictions(
        tuple(i for part in parts for i in part.ids),
        parts[0].labels,
        np.concatenate([part.probs for part in parts]),
        tuple(label for part in parts for label in part.truth or ()),
    )
    report = report_from(pooled, name)
    y = np.array([pooled.labels.index(label) for label in pooled.truth or ()])
    by_fold = [report_from(part, name).ua for part in parts]
    print(
        f"{name:24} n {report.n:5}  WA {report.wa:.3f}  UA {report.ua:.3f}  macro-F1 {report.macro_f1:.3f}  "
        f"weighted F1 {report.weighted_f1:.3f}  ECE {calibration_error(pooled.probs, y):.3f}  "
        f"UA by fold {' '.join(f'{ua:.3f}' for ua in by_fold)}"
    )


if __name__ == "__main__":
    main()
