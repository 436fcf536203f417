"""Corpora whose file names hold all labels: one pattern finds the clips, and each clip is one utterance."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sercli.audio.discovery import is_audio
from sercli.corpora._files import corpus_files, not_this_corpus, one_each, without_suffix
from sercli.types import Remark, Utterance

Make = Callable[[str, str, re.Match[str]], Utterance | Remark]
"""Makes an utterance from the id of a clip, its path below the root, and the match of its path with the pattern; or a
remark for a clip that is left out."""


def own_name(match: re.Match[str]) -> str:
    """Return an id made from the part of the path that matches: `AudioData/DC/a01` -> `DC_a01`."""
    return match.group().strip("/").replace("/", "_")


def find_clips(
    root: Path,
    pattern: re.Pattern[str],
    make: Make,
    *,
    corpus: str,
    example: str,
    identify: Callable[[re.Match[str]], str] = own_name,
) -> Iterator[Utterance | Remark]:
    """Yield the utterances of the recordings below a folder whose path, without suffix, fits a pattern; sorted by id.

    Args:
        root: the corpus' folder.
        pattern: searched in the path without suffix; begins with `(?:^|/)` and ends with `$`.
        make: see `Make`.
        corpus: the corpus' name, for errors.
        example: one or two names that fit, for errors.
        identify: makes the id from the match; if several clips have the same id, the best format is used.

    Yields:
        Utterances, and remarks on recordings that do not fit or are copies.

    Raises:
        SerError: there is no such folder, or no recording in it matches.
    """
    fits: dict[str, re.Match[str]] = {}
    for path in filter(is_audio, corpus_files(root, corpus, f"files like {example}")):
        if match := pattern.search(without_suffix(path)):
            fits[path] = match
        else:
            yield Remark("skipped", path, f"its name does not match the clips of {corpus}")
    if not fits:
        raise not_this_corpus(root, corpus, f"clips with names like {example}")
    chosen = yield from one_each(fits, key=lambda path: identify(fits[path]))
    for id_, path in chosen.items():
        yield make(id_, path, fits[path])
