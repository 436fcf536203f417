"""Recordings that are the same sound: by their bytes, by their samples, or by prints that survive another codec."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sercli._system.text import few
from sercli.audio.sound_print import EDGE, HOP_S, SoundPrint
from sercli.dataset.audio_index import IndexedAudio
from sercli.types import Array, Split, Utterance

MOST_DIFFERENT = 0.16
"""Share of bits up to which two prints are of one sound: see `benchmarks/same_sounds.py`."""

_COARSE = 4  # of a reference, one word of as many is compared with all of the other sound, which finds the shift
_SHIFTS = np.arange(-10, 11)  # in hops: 0.16 s either way
_N_WORDS = round(10 / HOP_S)  # that are compared of a sound, from its start
_LONGER_S = 0.5  # difference of durations up to which two recordings are compared
_FEWEST_WORDS = 8  # half a second that is not quiet
_FIRST_WORDS, _FIRST_DIFFERENT = 12, 0.33  # words that are compared first, and the share of bits that ends it there
_BLOCK = 1024  # sounds that are compared with a reference at once


@dataclass(frozen=True)
class Print:
    """What is compared of a recording."""

    duration_s: float
    words: bytes  # as in SoundPrint, or of a reference: each fourth


def sounds(utterances: Iterable[Utterance], index: Mapping[str, IndexedAudio]) -> dict[str, IndexedAudio]:
    """Return the sound of each utterance that is in an index, by its id: the recording, or a stretch of it."""
    return {u.id: _stretch(index[u.audio], u) for u in utterances if u.audio and u.audio in index}


def reference(audio: IndexedAudio) -> Print:
    """Return the print of a recording that others are compared with."""
    return Print(audio.duration_s, _numbers(audio.sound.words)[::_COARSE].tobytes())


def alike(sounds: Sequence[IndexedAudio], references: Sequence[Print]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of each sound and reference that are the same by their prints."""
    order = sorted(range(len(sounds)), key=lambda i: sounds[i].duration_s)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        durations = [sounds[i].duration_s for i in block]
        table = _table([_numbers(sounds[i].sound.words) for i in block])
        for number, other in enumerate(references):
            low = bisect_left(durations, other.duration_s - _LONGER_S)
            high = bisect_right(durations, other.duration_s + _LONGER_S)
            if low < high:
                yield from ((block[low + row], number) for row in _similar(table[low:high], _numbers(other.words)))


def groups(utterances: Iterable[Utterance], index: Mapping[str, IndexedAudio]) -> tuple[tuple[str, ...], ...]:
    """Return the ids of utterances that are the same sound, several at a time.

    Two stretches of one recording are also the same if they overlap by more than half of the shorter one.

    Args:
        utterances: of a dataset.
        index: path -> its audio.
    """
    said = [u for u in utterances if u.audio is not None]
    own = sounds(said, index)
    files = sounds((replace(u, start_s=None, end_s=None) for u in said), index)
    stands = _sounds(list({one.path: one for one in (*files.values(), *own.values())}.values()))
    in_file: dict[str, list[Utterance]] = {}
    by_sound: dict[str, list[str]] = {}
    for u in said:
        in_file.setdefault(stands[str(u.audio)], []).append(u)
        by_sound.setdefault(stands[own[u.id].path], []).append(u.id)
    first = {u.id: u.id for u in said}
    for ids in (*by_sound.values(), *(ids for several in in_file.values() for ids in _overlapping(several))):
        ends = [_end(first, name) for name in ids]
        first |= dict.fromkeys(ends, ends[0])
    found: dict[str, list[str]] = {}
    for u in said:
        found.setdefault(_end(first, u.id), []).append(u.id)
    return tuple(tuple(ids) for ids in found.values() if len(ids) > 1)


def crossing(same: Iterable[Sequence[str]], split: Split) -> tuple[str, ...]:
    """Return "ID = ID", of two parts, for each sound that is in several parts of a split."""
    part_of = {name: part for part in ("train", "valid", "test") for name in getattr(split, part)}
    found = []
    for ids in same:
        first_of = {part_of[name]: name for name in reversed(ids) if name in part_of}
        if len(first_of) > 1:
            one, other, *_ = sorted(first_of.values(), key=list(ids).index)
            found.append(f"{one} = {other}")
    return tuple(found)


def named(pairs: Sequence[str]) -> str:
    """The number of sounds with the first names.

    >>> named(["a = b", "c = d"])
    '2 sounds (a = b, c = d)'
    """
    return f"{len(pairs)} sound{'s' * (len(pairs) > 1)} ({few(pairs)})" if pairs else ""


def _stretch(audio: IndexedAudio, utterance: Utterance) -> IndexedAudio:
    first, duration_s = round((utterance.start_s or 0.0) / HOP_S), utterance.duration_s or audio.duration_s
    if (utterance.start_s, utterance.end_s) == (None, None):
        return replace(audio, sound=SoundPrint(audio.sound.digest, audio.sound.words[: 4 * _N_WORDS]))
    n = min(_N_WORDS, max(0, int(duration_s / HOP_S) - EDGE))
    where = f" {utterance.start_s} {utterance.end_s}"
    sound = SoundPrint(audio.sound.digest + where, audio.sound.words[4 * first : 4 * (first + n)])
    return replace(audio, path=audio.path + where, digest=audio.digest + where, duration_s=duration_s, sound=sound)


def _sounds(audio: Sequence[IndexedAudio]) -> dict[str, str]:
    """Return for each path the path that stands for its sound."""
    first: dict[str, str] = {}  # digest -> path
    stands: dict[str, str] = {}
    for one in audio:
        by_bytes = first.setdefault(f"bytes {one.digest}", one.path)
        stands[one.path] = first.setdefault(f"samples {one.sound.digest}", stands.get(by_bytes, by_bytes))
    distinct = [one for one in audio if stands[one.path] == one.path]
    for i, j in alike(distinct, [reference(one) for one in distinct]):
        kept, copy = sorted((_end(stands, distinct[i].path), _end(stands, distinct[j].path)))
        stands[copy] = kept
    return {path: _end(stands, path) for path in stands}


def _end(stands: Mapping[str, str], path: str) -> str:
    while stands[path] != path:
        path = stands[path]
    return path


def _overlapping(utterances: Sequence[Utterance]) -> Iterator[tuple[str, ...]]:
    """Yield the ids of utterances of one sound whose stretches overlap, each with the one before."""
    spans = [(u.start_s or 0.0, (u.start_s or 0.0) + (u.duration_s or 0.0), u.id) for u in utterances]
    spans.sort(key=lambda span: span[0])
    start, end, name = spans[0]
    ids = [name]
    for begin, stop, name in spans[1:]:
        if min(end, stop) - begin <= 0.5 * min(end - start, stop - begin):
            yield tuple(ids)
            ids = []
        start, end = begin, stop
        ids.append(name)
    yield tuple(ids)


def _numbers(words: bytes) -> Array:
    return np.frombuffer(words, "<u4")


def _table(prints: Sequence[Array]) -> Array:
    """(N, W) the words of sounds, with zeros before and after for the shifts."""
    edge = int(_SHIFTS[-1])
    table = np.zeros((len(prints), max(map(len, prints), default=0) + 2 * edge), "<u4")
    for row, words in zip(table, prints, strict=True):
        row[edge : edge + len(words)] = words
    return table


def _similar(table: Array, words: Array) -> list[int]:
    """Return the rows of a table that are the same sound as a reference."""
    places = np.flatnonzero(words)
    if len(places) < _FEWEST_WORDS:
        return []
    first = places[np.linspace(0, len(places) - 1, min(_FIRST_WORDS, len(places))).astype(int)]
    rows = np.flatnonzero(_different(table, words, first, _SHIFTS[1::3], 1) < _FIRST_DIFFERENT)
    different = _different(table[rows], words, places, _SHIFTS, _FEWEST_WORDS)
    return [int(row) for row in rows[different <= MOST_DIFFERENT]]


def _different(table: Array, words: Array, places: Array, shifts: Array, fewest: int) -> Array:
    """(N,) the least share of different bits over the shifts, where neither sound is quiet; 1 if that is too short."""
    columns = _COARSE * places + shifts[:, None] + _SHIFTS[-1]  # (S, P)
    within = columns < table.shape[1]
    others = table[:, np.minimum(columns, table.shape[1] - 1)]  # (N, S, P)
    heard = (others != 0) & within
    n_heard = heard.sum(axis=2)
    n_bits = (np.bitwise_count(others ^ words[places]) * heard).sum(axis=2)
    shares = np.where(n_heard >= fewest, n_bits / np.maximum(32 * n_heard, 1), 1.0)
    return shares.min(axis=1, initial=1.0)
