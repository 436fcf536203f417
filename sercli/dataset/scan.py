"""Looking at every recording of a corpus once: can it be read, how long is it, what is its content's digest."""

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from sercli._system import processes
from sercli._system.files import write_atomic
from sercli._system.progress import ProgressFactory
from sercli.audio.reading import AudioFacts, inspect
from sercli.dataset.audio_index import NAME, Seen, seen_before
from sercli.dataset.packed import Packed
from sercli.errors import AudioError
from sercli.types import Remark, Utterance

_SHORTEST_S = 0.002  # a stretch this long has a sample at every sample rate
UNREADABLE = "recording cannot be read"
_LATEST_NS = 2**63 - 1  # in the year 2262; some file systems know later ones
_ROUNDING_S = 0.1  # by so much a stretch may end after its recording: tables give times in tenths


def scan(
    rows: Sequence[Utterance], base: Path, out: Path, jobs: int, progress: ProgressFactory
) -> tuple[Packed[Utterance], list[Remark]]:
    """Fill in digest and duration; recordings seen before, unchanged since, are not opened again.

    Args:
        rows: utterances as their corpus reader gives them.
        base: the folder that their audio paths lie below.
        out: the prepared dataset's folder, where scan.jsonl keeps what was seen.
        jobs: processes that look at recordings at the same time.
        progress: shows what is under way.

    Returns:
        the utterances that can be used, and a remark for each recording or stretch that cannot.
    """
    recordings = _Recordings({u.audio for u in rows if u.audio is not None}, base)
    n_lines = recordings.recognise(seen_before(out))
    n_known, new = recordings.n_seen, recordings.unseen()
    broken: dict[str, str] = {}
    try:
        names = [recordings.names[n] for n in new]
        with progress("Reading recordings", len(new)) as step, closing(_inspect_all(names, base, jobs)) as inspected:
            for n, facts in zip(new, inspected, strict=True):
                if isinstance(facts, str):
                    broken[recordings.names[n]] = facts
                else:
                    recordings.see(n, facts.digest, facts.duration_s)
                step(1)
    finally:  # also after Ctrl-C: what was looked at need not be looked at again
        if recordings.n_seen and not recordings.n_seen == n_known == n_lines:
            recordings.save(out / NAME)
    return _with_facts(rows, recordings, broken)


class _Recordings:
    """What is known of each recording, by name: 130 bytes and the name, where objects take 330."""

    def __init__(self, names: set[str], base: Path) -> None:
        """All of them, none seen yet."""
        self.names = sorted(names)
        self._places = {name: place for place, name in enumerate(self.names)}
        n = len(self.names)
        self._signatures = np.zeros((n, 2), np.int64)
        self._digests = np.zeros(n, "S32")  # empty: not seen
        self._durations_s = np.zeros(n)
        for place, name in enumerate(self.names):
            self._signatures[place] = _size_and_time(os.path.join(base, name))  # noqa: PTH118 - thousands of them

    def recognise(self, before: Iterable[Seen]) -> int:
        """Take over what was seen of those that have not changed since; say how many there were in all."""
        n = 0
        for seen in before:
            n += 1
            place = self._places.get(seen.path)
            if place is not None and self._signature(place) == (seen.size, seen.mtime_ns):
                self.see(place, seen.digest, seen.duration_s)
        return n

    @property
    def n_seen(self) -> int:
        """Of how many something is known."""
        return int(np.count_nonzero(self._digests))

    def unseen(self) -> list[int]:
        """The places of those that nothing is known of."""
        places: list[int] = np.flatnonzero(self._digests == b"").tolist()
        return places

    def see(self, place: int, digest: str, duration_s: float) -> None:
        """Fill in what was found out about a recording."""
        self._digests[place], self._durations_s[place] = digest, duration_s

    def __getitem__(self, name: str) -> Seen:
        return self._seen(self._places[name])

    def save(self, path: Path) -> None:
        """Write a line for each that was seen."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                for place in np.flatnonzero(self._digests).tolist():
                    file.write(msgspec.json.encode(self._seen(place)) + b"\n")

        write_atomic(path, write)

    def _seen(self, place: int) -> Seen:
        digest = self._digests[place].decode()
        return Seen(self.names[place], *self._signature(place), digest, float(self._durations_s[place]))

    def _signature(self, place: int) -> tuple[int, int]:
        size, mtime_ns = self._signatures[place].tolist()
        return size, mtime_ns


def _with_facts(
    rows: Iterable[Utterance], recordings: _Recordings, broken: dict[str, str]
) -> tuple[Packed[Utterance], list[Remark]]:
    good: Packed[Utterance] = Packed(Utterance)
    remarks = []
    for row in rows:
        if row.audio is None:
            good.append(row)
            continue
        if row.audio in broken:
            remarks.append(Remark("skipped", broken[row.audio], UNREADABLE))
            continue
        facts = recordings[row.audio]
        start, end = row.start_s or 0.0, facts.duration_s if row.end_s is None else row.end_s
        length = min(end, facts.duration_s) - start
        if length < _SHORTEST_S and (row.start_s, row.end_s) != (None, None):
            remarks.append(Remark("skipped", row.id, "its stretch lies outside its recording"))
            continue
        if end > facts.duration_s + _ROUNDING_S:
            remarks.append(Remark("warning", row.id, "its stretch goes beyond the end of its recording"))
        good.append(replace(row, digest=facts.digest, duration_s=round(length, 4)))
    return good, remarks


def _inspect_all(names: Sequence[str], base: Path, jobs: int) -> Generator[AudioFacts | str, None, None]:
    killed = (
        "A process that read recordings was killed, perhaps for want of memory, or crashed on one of them; repeat the "
        "command with --jobs 1, it goes on."
    )
    paths = (base / name for name in names)
    return processes.mapped(_inspect, paths, jobs if len(names) >= 2 * jobs else 1, killed=killed, chunksize=16)


def _inspect(path: Path) -> AudioFacts | str:
    try:
        return inspect(path)
    except AudioError as error:
        return str(error)


def _size_and_time(path: str) -> tuple[int, int]:
    """Size and time of the last change, as 64 bits can hold them; zeros of what is not there."""
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return stat.st_size, max(-_LATEST_NS, min(stat.st_mtime_ns, _LATEST_NS))
