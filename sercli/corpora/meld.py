"""MELD: 13,708 utterances of dialogue from the series Friends, seven emotions (Poria et al. 2019).

The text is read from the release's CSV files, the audio from its videos or from clips in any other format.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sercli.audio.discovery import is_audio
from sercli.corpora import _files
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://affective-meld.github.io/"
LICENCE = "GPL-3.0"
LANGUAGE = "en"
LABELS = _files.of_four("neutral", "happiness", "sadness", "anger", "surprise", "fear", "disgust")
SPLIT = "official"
FOLDS: int | None = None

_TABLES = {"train": "train_sent_emo.csv", "valid": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
_SPELLINGS = {"joy": "happiness"}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_CLIP = re.compile(r"(?:^|/)dia(\d{1,6})_utt(\d{1,6})$", re.ASCII)
# A folder's name gives the part: train_splits, dev_splits_complete, output_repeated_splits_test, or simply valid.
_FOLDER = re.compile(r"train|dev|valid|test", re.IGNORECASE)
_PARTS = {"train": "train", "dev": "valid", "valid": "valid", "test": "test"}
# The release was saved with Windows-1252 quotes and dashes as if they were Latin-1: control characters in Unicode.
_QUOTES = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}

_Key = tuple[str, int, int]  # part, dialogue, utterance


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the utterances of the three parts, in the order of the dialogues.

    Raises:
        SerError: there is no such folder, none of the three tables is in it, or one is broken.
    """
    paths = _files.corpus_files(root, "MELD", "train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv")
    tables = {part: _files.find_files(paths, name) for part, name in _TABLES.items()}
    if not any(tables.values()):
        raise _files.not_this_corpus(root, "MELD", "train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv")
    keys = {path: key for path in paths if is_audio(path) and (key := _key(path))}
    clips = yield from _files.one_each(keys, key=keys.__getitem__)
    n_silent = 0
    for part, found in tables.items():
        if not found:
            yield Remark("warning", _TABLES[part], f"file is missing, so there is no {part} part")
            continue
        for item in _read_part(root / found[0], part, clips):
            n_silent += isinstance(item, Utterance) and item.audio is None
            yield item
    if clips and n_silent:
        yield Remark("warning", str(root), f"{n_silent} utterances have no clip: only their text is used")


def _key(path: str) -> _Key | None:
    """Return part, dialogue and utterance of a clip, from its name and the nearest folder that names a part."""
    number = _CLIP.search(_files.without_suffix(path))
    for folder in PurePosixPath(path).parent.parts[::-1]:
        part = _FOLDER.search(folder)
        if number and part:
            return _PARTS[part.group().lower()], int(number[1]), int(number[2])
    return None


def _read_part(path: Path, part: str, clips: dict[_Key, str]) -> Iterator[Utterance | Remark]:
    text = yield from _files.read_text(path)
    rows: dict[_Key, dict[str, str]] = {}
    for line, row in _files.read_rows(text, path.name, columns=_COLUMNS):
        source = f"{path.name}:{line}"
        if not (_NUMBER.fullmatch(row["Dialogue_ID"]) and _NUMBER.fullmatch(row["Utterance_ID"])):
            yield Remark("skipped", source, "Dialogue_ID or Utterance_ID is not a number")
        elif _SPELLINGS.get(row["Emotion"], row["Emotion"]) not in LABELS:
            yield Remark("skipped", source, f"unknown emotion '{row['Emotion']}'")
        elif rows.setdefault((part, int(row["Dialogue_ID"]), int(row["Utterance_ID"])), row) is not row:
            yield Remark("skipped", source, "utterance listed a second time")
    for key in sorted(rows):
        yield _utterance(key, rows[key], clips.get(key))


def _utterance(key: _Key, row: dict[str, str], audio: str | None) -> Utterance:
    part, dialogue, number = key
    optional = {name.lower(): row[name] for name in ("Sentiment", "Season", "Episode") if row.get(name)}
    return Utterance(
        id=f"{part}_dia{dialogue}_utt{number}",  # each part numbers its dialogues from 0
        corpus="meld",
        label=_SPELLINGS.get(row["Emotion"], row["Emotion"]),
        speaker=row["Speaker"].translate(_QUOTES).strip() or None,
        audio=audio,
        transcripts={HUMAN: row["Utterance"].translate(_QUOTES).strip()},
        attributes={"part": part, "dialogue": f"{part}_dia{dialogue}", "turn": number} | optional,
    )
