"""Lay prepared datasets side by side as one table with four classes, with folds for training across corpora.

    python benchmarks/join_corpora.py OUT work/ravdess work/emodb work/nemo
    ser prepare table OUT/joined.csv --out work/joined
    ser train -m acoustic-whisper-robust --data work/joined --split speakers --folds 5 --fold all --refit --out RUN
    ser train -m acoustic-whisper-robust --data work/joined --split file:OUT/without-ravdess.json --fold all --refit \
      --out RUN

RUN/refit is then trained on all speakers, or on all but those of one corpus. without-CORPUS.json has three folds of the
speakers of the other corpora. `session` holds the corpus.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

from sercli.dataset import manifest
from sercli.types import FOUR

N_FOLDS = 3
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
    for corpus in corpora:
        folds = {"folds": [{"test": part} for part in _thirds([row for row in rows if row[4] != corpus])]}
        (arguments.out / f"without-{corpus}.json").write_text(json.dumps(folds), encoding="utf-8")


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


def _thirds(rows: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """Return the ids of three parts; each has a third of the speakers of each corpus."""
    speakers = sorted({(row[4], row[3]) for row in rows})
    part_of = {speaker: place % N_FOLDS for place, (_, speaker) in enumerate(speakers)}
    return [[row[0] for row in rows if part_of[row[3]] == part] for part in range(N_FOLDS)]


if __name__ == "__main__":
    main()
