"""Corpora of acted sentences, whose file names say all: found by one pattern, one utterance a clip."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sercli.corpora._files import (
    is_audio,
    is_unreadable_audio,
    need_folder,
    not_this_corpus,
    one_each,
    walk,
    without_ending,
)
from sercli.errors import SerError
from sercli.types import Remark


@dataclass(frozen=True)
class Clip:
    """A recording whose name fits the corpus."""

    id: str
    path: str  # below the root
    match: re.Match[str]  # of the corpus' pattern


def own_name(match: re.Match[str]) -> str:
    """The part of the path that fits the pattern, as an id: `AudioData/DC/a01` -> `DC_a01`."""
    return match.group().strip("/").replace("/", "_")


def find_clips(
    root: Path,
    pattern: re.Pattern[str],
    *,
    corpus: str,
    example: str,
    identify: Callable[[re.Match[str]], str] = own_name,
) -> Iterator[Clip | Remark]:
    """The recordings below a folder whose path, less its ending, fits a pattern; sorted by id.

    Args:
        root: the corpus' folder.
        pattern: searched in the path without its ending; begins with `(?:^|/)` and ends with `$`.
        corpus: the corpus' name, for errors.
        example: one or two names that fit, for errors.
        identify: gives the id from the match; of two clips with one id the better kind of file is taken.

    Yields:
        Clips, and remarks on recordings that don't fit and on films that hold no readable sound.

    Raises:
        SerError: there is no such folder, or nothing in it fits.
    """
    holds = f"files like {example}"
    need_folder(root, corpus, holds)
    fits: dict[str, re.Match[str]] = {}
    for path in walk(root):
        match = pattern.search(without_ending(path))
        if match:
            fits[path] = match
        elif is_audio(path):
            yield Remark("skipped", path, f"its name is not that of a clip of {corpus}")
    chosen, remarks = one_each(filter(is_audio, fits), key=lambda path: identify(fits[path]))
    unreadable = [path for path in filter(is_unreadable_audio, fits) if identify(fits[path]) not in chosen]
    if not chosen:
        raise _nothing(root, corpus, example, unreadable)
    yield from remarks
    for path in unreadable:
        yield Remark("skipped", path, f"{PurePosixPath(path).suffix} cannot be read; convert it to wav")
    for id_, path in chosen.items():
        yield Clip(id_, path, fits[path])


def _nothing(root: Path, corpus: str, example: str, unreadable: list[str]) -> SerError:
    if unreadable:
        ending = PurePosixPath(unreadable[0]).suffix
        return SerError(f"{root} holds {corpus} as {ending} files only, which cannot be read; convert them to wav.")
    return not_this_corpus(root, corpus, f"clips called like {example}")
