"""nEMO: nine Polish actors, 90 sentences, six emotions, each sentence in all of them (Christop 2024)."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sercli.audio.discovery import is_audio
from sercli.corpora import _files
from sercli.errors import SerError
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://github.com/amu-cai/nEMO"
LICENCE = "CC BY-NC-SA 4.0"
LANGUAGE = "pl"
LABELS = _files.of_four("neutral", "happiness", "sadness", "anger", "fear", "surprise")
SPLIT = "speakers"
FOLDS: int | None = None  # leave one speaker out

_SPELLINGS = {"surprised": "surprise"}
_NUMBER = re.compile(r"_(\d+)$", re.ASCII)
_COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id")


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the clips that data.tsv lists and that exist, with their labels, transcripts and speakers.

    Raises:
        SerError: there is no such folder, no data.tsv in it, or it is broken.
    """
    paths = _files.corpus_files(root, "nEMO", "data.tsv and samples/")
    tables = _files.find_files(paths, "data.tsv")
    if not tables:
        raise _files.not_this_corpus(root, "nEMO", "data.tsv")
    clips = yield from _files.one_each(filter(is_audio, paths), key=_stem)
    source = tables[0]
    text = yield from _files.read_text(root / source)
    rows: dict[str, dict[str, str]] = {}
    for line, row in _files.read_rows(text, source, delimiter="\t", columns=_COLUMNS):
        if rows.setdefault(_stem(row["file_id"]), row) is not row:
            yield Remark("skipped", f"{source}:{line}", "clip listed a second time")
    there = sorted(rows.keys() & clips.keys())
    if rows and not there:
        raise SerError(f"{source} lists {len(rows)} clips, but none of them exists; put samples/ beside it.")
    if len(there) < len(rows):
        yield Remark("warning", source, f"{len(rows) - len(there)} of the {len(rows)} clips that it lists are missing")
    for name in sorted(clips.keys() - rows.keys()):
        yield Remark("skipped", clips[name], "not listed in data.tsv")
    for name in there:
        yield _utterance(name, rows[name], clips[name])


def _utterance(name: str, row: dict[str, str], path: str) -> Utterance | Remark:
    label = _SPELLINGS.get(row["emotion"], row["emotion"])
    if label not in LABELS:
        return Remark("skipped", path, f"unknown emotion '{label}'")
    number = _NUMBER.search(name)
    attributes = {"sex": row.get("gender"), "age": row.get("age")}
    return Utterance(
        id=name,
        corpus="nemo",
        label=label,
        speaker=row["speaker_id"],  # the release has blanks before it; read_rows drops them
        prompt=number[1] if number else row["raw_text"],
        audio=path,
        transcripts={HUMAN: row["raw_text"]},
        attributes={key: value for key, value in attributes.items() if value},
    )


def _stem(path: str) -> str:
    return _files.without_suffix(PurePosixPath(path).name)
