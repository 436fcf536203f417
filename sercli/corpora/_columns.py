"""The names that people give to the columns of a table, and the words for a missing value and for the four."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from sercli.errors import SerError
from sercli.types import FOUR

# Columns, each with its other usual names: audformat's, Hugging Face's metadata.csv and those of published corpora.
NAMES: dict[str, tuple[str, ...]] = {
    "path": ("file", "file_name", "filename", "file_path", "filepath", "audio", "audio_path", "audio_file", "wav"),
    "label": ("emotion", "emotion_label"),
    "speaker": ("speaker_id", "speakerid", "spk", "spk_id", "actor", "actor_id"),
    "session": ("session_id",),
    "prompt": ("prompt_id", "sentence_id"),
    "text": ("transcript", "transcription", "sentence"),
    "sex": ("gender",),
    "part": ("split", "partition", "subset"),
    "id": ("utterance_id", "segment_id"),
    "start_s": ("start", "start_time", "begin", "onset"),
    "end_s": ("end", "end_time", "stop", "offset"),
}
_WORDS = {
    "neutral": ("neutral", "neu"),
    "happiness": ("happiness", "happy", "hap", "joy", "joyful", "excitement", "excited", "exc"),
    "sadness": ("sadness", "sad"),
    "anger": ("anger", "angry", "ang"),
}
# The spellings that belong to the four; every other label is kept as it is.
LABELS_AS_WRITTEN: dict[str, str | None] = {
    spelling(word): label
    for label in FOUR
    for word in _WORDS[label]
    for spelling in (str.lower, str.capitalize, str.upper)
}
_OWN = {other: name for name, others in NAMES.items() for other in others}
_MISSING = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "nat"})
_MISSING_TEXT = frozenset({"nan", "null", "<na>"})  # "none" and "na" may be what somebody said


def own_names(given: Iterable[str], source: str) -> dict[str, str]:
    """Return for each column of a table the name that ser knows it by; unknown names are kept.

    Raises:
        SerError: two columns mean the same.
    """
    columns = [name.strip() for name in given]
    plain = {name: re.sub(r"[\s.-]+", "_", name.lower()) for name in columns}
    exact = {own for own in plain.values() if own in NAMES}
    named: dict[str, str] = {}
    for name in columns:
        own = plain[name] if plain[name] in NAMES else _OWN.get(plain[name], name)
        if own in exact and plain[name] != own:
            own = name  # beside the column's own name, another one is something else
        if own in NAMES and own in named.values():
            other = next(column for column, taken in named.items() if taken == own)
            raise SerError(f"{source}: the columns '{other}' and '{name}' both mean {own}; rename one of them.")
        named[name] = own
    return named


def resembled(name: str) -> str | None:
    """Return the column that an unknown name resembles.

    >>> resembled("Speakers"), resembled("start_ms"), resembled("age")
    ('speaker', 'start_s', None)
    """
    close = get_close_matches(name.lower(), [*NAMES, *_OWN], n=1, cutoff=0.8)
    return _OWN.get(close[0], close[0]) if close else None


def missing(cells: Mapping[str, str]) -> list[str]:
    """Return the columns whose cell is a word for a missing value.

    >>> missing({"label": "nan", "speaker": "None", "text": "None", "path": "na"})
    ['label', 'speaker']
    """
    words = {"text": _MISSING_TEXT, "path": frozenset[str](), "id": frozenset[str]()}
    return [name for name, cell in cells.items() if cell.lower() in words.get(name, _MISSING)]
