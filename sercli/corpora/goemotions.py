"""GoEmotions: 54,263 comments from Reddit with 28 emotions (Demszky et al. 2020). Text only.

The mapping from 28 emotions to four is the authors' grouping after Ekman, limited to words that name the emotion
itself: gratitude, love and optimism are not happiness, disapproval is not anger, and remorse is more than sadness.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.corpora._files import corpus_files, find_files, lines_of, not_this_corpus, of_four, read_text
from sercli.errors import SerError
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://github.com/google-research/google-research/tree/master/goemotions"
LICENCE = "CC BY 4.0"
LANGUAGE = "en"
LABELS = of_four(
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion"),
    *("curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment", "excitement"),
    *("fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism"),
    *("pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
) | {
    **dict.fromkeys(("amusement", "excitement", "joy"), "happiness"),
    **dict.fromkeys(("disappointment", "grief"), "sadness"),
    "annoyance": "anger",
}
SPLIT = "official"
FOLDS: int | None = None

_TABLES = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
_NUMBER = re.compile(r"\d{1,3}", re.ASCII)


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the comments of the three parts in file order; one with several emotions only if all map to the same class.

    Raises:
        SerError: there is no such folder, no emotions.txt or none of the three tables in it, or one is broken.
    """
    paths = corpus_files(root, "GoEmotions", "emotions.txt, train.tsv, dev.tsv and test.tsv")
    tables = {part: find_files(paths, name) for part, name in _TABLES.items()}
    names = find_files(paths, "emotions.txt")
    if not names or not any(tables.values()):
        raise not_this_corpus(root, "GoEmotions", "emotions.txt with train.tsv, dev.tsv and test.tsv")
    text = yield from read_text(root / names[0])
    emotions = [line.strip() for _, line in lines_of(text) if line.strip()]
    if unknown := [name for name in emotions if name not in LABELS]:
        raise SerError(
            f"{root / names[0]}: '{unknown[0]}' is not one of the 28 emotions of GoEmotions; use the released file."
        )
    seen: set[str] = set()
    for part, found in tables.items():
        if found:
            yield from _read_part(root / found[0], part, emotions, seen)
        else:
            yield Remark("warning", _TABLES[part], f"file is missing, so there is no {part} part")


def _read_part(path: Path, part: str, emotions: list[str], seen: set[str]) -> Iterator[Utterance | Remark]:
    text = yield from read_text(path)
    for line, content in lines_of(text):
        if not content.strip():
            continue
        source = f"{path.name}:{line}"
        cells = content.split("\t")
        if len(cells) != 3:
            raise SerError(f"{path}:{line}: {len(cells)} cells instead of 3 (text, emotion numbers, id).")
        words, numbers, id_ = (cell.strip() for cell in cells)
        if id_ in seen:
            yield Remark("skipped", source, "comment listed a second time")
            continue
        seen.add(id_)
        if not words:
            yield Remark("skipped", source, "comment without words")
            continue
        names = _names(numbers, emotions, f"{path}:{line}")
        four = {LABELS[name] for name in names}
        if len(names) > 1 and (len(four) > 1 or None in four):
            yield Remark("skipped", source, "several emotions that do not all map to the same class")
        else:
            yield Utterance(id_, "goemotions", names[0], transcripts={HUMAN: words}, attributes={"part": part})


def _names(numbers: str, emotions: list[str], source: str) -> list[str]:
    found = []
    for number in numbers.split(","):
        if not _NUMBER.fullmatch(number) or int(number) >= len(emotions):
            raise SerError(f"{source}: emotion number '{number}' is not between 0 and {len(emotions) - 1}.")
        found.append(emotions[int(number)])
    return found
