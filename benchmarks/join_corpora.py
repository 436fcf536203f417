"""Lay prepared datasets side by side as one table with four classes, for training across corpora.

    python benchmarks/join_corpora.py OUT.csv work/ravdess work/emodb work/nemo [--test nemo]
    ser prepare table OUT.csv --out work/joined
    ser train -m acoustic-whisper --data work/joined --split official --out RUN

With --test that corpus alone is the test part, and of the others one speaker in eight is the validation part; without
it one speaker in eight of each corpus is the test and one the validation part. `session` holds the corpus.
"""

import argparse
import csv
from pathlib import Path

from sercli.dataset import manifest
from sercli.types import FOUR

COLUMNS = ("id", "path", "label", "speaker", "session", "text", "language", "sex", "part")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--test", help="corpus that is the test part as a whole")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for folder in arguments.data:
            writer.writerows(_rows(manifest.load(folder), arguments.test))


def _rows(dataset: manifest.Dataset, tested: str | None) -> list[tuple[str, ...]]:
    corpus = dataset.info.corpus
    kept = [u for u in dataset.manifest.utterances if u.label in FOUR]
    speakers = sorted({u.speaker or "" for u in kept})
    rows = []
    for u in kept:
        turn = speakers.index(u.speaker or "") % 8
        part = "valid" if turn == 1 else "test" if turn == 0 and tested is None else "train"
        rows.append(
            (
                f"{corpus}-{u.id}",
                str(Path(dataset.info.root) / (u.audio or "")),
                u.label,
                f"{corpus}-{u.speaker}",
                corpus,
                u.transcripts.get("human", ""),
                dataset.info.language or "",
                str(u.attributes.get("sex", "")),
                "test" if corpus == tested else part,
            )
        )
    return rows


if __name__ == "__main__":
    main()
