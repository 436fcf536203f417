"""Lay prepared text corpora side by side as one table with four classes, for the text model that ships.

    python benchmarks/join_texts.py OUT.csv work/goemotions work/meld
    ser prepare table OUT.csv --out work/texts --features words
    ser train -m linguistic --data work/texts --split official --out RUN

The parts are the corpora's own. Texts of the train and the validation part stand there twice: as written, and as a
recogniser could hear them, so that a model relies on neither punctuation nor every word. The train part of a smaller
corpus is repeated until it is about as large as that of the largest.
"""

import argparse
import csv
import random
import re
from collections.abc import Iterator
from pathlib import Path

from sercli.dataset import manifest
from sercli.types import FOUR, Utterance

COLUMNS = ("id", "label", "speaker", "session", "text", "language", "part")
LOST, MISHEARD = 0.04, 0.04  # shares of words, as tiny.en's word error rate on read speech
_FILLERS = {"uh", "uhh", "um", "umm", "er", "hm", "hmm", "mm"}  # which recognisers leave out
_NOT_SPOKEN = re.compile(r"\[\w+\]|[^\w\s']|(?<!\w)'|'(?!\w)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        datasets = [manifest.load(folder) for folder in arguments.data]
        largest = max(len(_train(dataset)) for dataset in datasets)
        for dataset in datasets:
            writer.writerows(_rows(dataset, round(largest / len(_train(dataset)))))


def _rows(dataset: manifest.Dataset, n_times: int) -> Iterator[tuple[str, ...]]:
    corpus, language = dataset.info.corpus, dataset.info.language or ""
    generator = random.Random(0)
    kept = [u for u in dataset.manifest.utterances if u.label in FOUR]
    spoken = [word for u in _train(dataset) for word in u.transcripts["human"].split()]
    for time in range(n_times):
        for number, u in enumerate(kept):
            part, text = str(u.attributes["part"]), u.transcripts["human"]
            if time and part != "train":
                continue
            speaker = f"{corpus}-{u.speaker}" if u.speaker else ""
            copies = {"": text} if part == "test" else {"": text, "h": heard(text, spoken, generator)}
            for ending, copy in copies.items():
                # A short id, since split.json ships with the model.
                id_ = f"{corpus[0]}{number}{ending}{'r' * time}"
                yield (id_, u.label, speaker, corpus, copy, language, part)


def _train(dataset: manifest.Dataset) -> list[Utterance]:
    return [u for u in dataset.manifest.utterances if u.label in FOUR and u.attributes["part"] == "train"]


def heard(text: str, spoken: list[str], generator: random.Random) -> str:
    """The text in lower case, without punctuation, fillers and some words; others are words of the corpus instead."""
    words = [word for word in _plain(text).split() if word not in _FILLERS]
    words = [word for word in words if generator.random() > LOST]
    words = [_plain(generator.choice(spoken)) if generator.random() < MISHEARD else word for word in words]
    return " ".join(words).strip() or text


def _plain(text: str) -> str:
    return _NOT_SPOKEN.sub(" ", text.replace("\u2019", "'").lower())


if __name__ == "__main__":
    main()
