"""Lay prepared datasets side by side as one table with four classes, with folds for training across corpora.

    python benchmarks/join_corpora.py OUT work/ravdess work/emodb work/nemo
    ser prepare table OUT/joined.csv --out work/joined
    ser train -m acoustic-whisper-robust --data work/joined --split file:OUT/left-out.json --fold 1 --out RUN
    ser train -m acoustic-whisper-robust --data work/joined --split file:OUT/all.json --out RUN

Fold n of left-out.json leaves out the n-th dataset: it is the test part, and of the others one speaker in eight is the
validation part. all.json trains on all of them, but for one speaker of each in the test part and one in the validation
part. `session` holds the corpus.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

from sercli.dataset import manifest
from sercli.types import FOUR

COLUMNS = ("id", "path", "label", "speaker", "session", "text", "sex")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [row for folder in arguments.data for row in _rows(manifest.load(folder))]
    with (arguments.out / "joined.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    corpora = list(dict.fromkeys(row[4] for row in rows))
    for name, left_out in (("left-out", corpora), ("all", [None])):
        folds = {"folds": [_fold(rows, corpus) for corpus in left_out]}
        (arguments.out / f"{name}.json").write_text(json.dumps(folds), encoding="utf-8")


def _rows(dataset: manifest.Dataset) -> list[tuple[str, ...]]:
    corpus = dataset.info.corpus
    return [
        (
            f"{corpus}-{u.id}",
            str(Path(dataset.info.root) / (u.audio or "")),
            u.true_label,
            f"{corpus}-{u.speaker}",
            corpus,
            u.transcripts.get("human", ""),
            str(u.attributes.get("sex", "")),
        )
        for u in dataset.manifest.utterances
        if u.label in FOUR
    ]


def _fold(rows: Sequence[tuple[str, ...]], left_out: str | None) -> dict[str, list[str]]:
    """Return the ids of each part; `left_out` is the corpus of the test part, None: all corpora are trained on."""
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    speakers: dict[str, list[str]] = {}
    for row in rows:
        of_corpus = speakers.setdefault(row[4], [])
        if row[3] not in of_corpus:
            of_corpus.append(row[3])
    for row in rows:
        turn, corpus = sorted(speakers[row[4]]).index(row[3]), row[4]
        if left_out is None:
            part = {1: "valid", 2: "test"}.get(turn, "train")
        else:
            part = "test" if corpus == left_out else "valid" if turn % 8 == 1 else "train"
        parts[part].append(row[0])
    return parts


if __name__ == "__main__":
    main()
