"""Looking at every recording of a corpus once: can it be read, how long is it, what is its content's digest."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sercli import processes
from sercli.dataset.audio import AudioFacts, inspect
from sercli.errors import AudioError
from sercli.files import write_atomic
from sercli.types import Remark, Step, Utterance

NAME = "scan.jsonl"
_SHORTEST_S = 0.002  # a stretch this long has a sample at every sample rate
UNREADABLE = "recording cannot be read"
_ROUNDING_S = 0.1  # by so much a stretch may end after its recording: tables give times in tenths


@dataclass(frozen=True)
class Seen:
    """One line of scan.jsonl: a recording that was looked at, recognised again by size and time."""

    path: str
    size: int
    mtime_ns: int
    digest: str
    duration_s: float


def scan(
    rows: list[Utterance], base: Path, out: Path, jobs: int, progress: Step
) -> tuple[list[Utterance], list[Remark]]:
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
    names = sorted({u.audio for u in rows if u.audio is not None})
    known = {s.path: s for s in seen_before(out)}
    seen: dict[str, Seen] = {}
    new = []
    for name in names:
        size, mtime_ns = _signature(os.path.join(base, name))  # noqa: PTH118 - thousands of them
        old = known.get(name)
        if old and (old.size, old.mtime_ns) == (size, mtime_ns):
            seen[name] = old
        else:
            new.append((name, size, mtime_ns))
    broken: dict[str, str] = {}
    try:
        with progress("Reading recordings", len(new)) as step:
            inspected = _inspect_all([base / name for name, _, _ in new], jobs)
            for (name, size, mtime_ns), facts in zip(new, inspected, strict=True):
                if isinstance(facts, str):
                    broken[name] = facts
                else:
                    seen[name] = Seen(name, size, mtime_ns, facts.digest, facts.duration_s)
                step(1)
    finally:  # also after Ctrl-C: what was looked at need not be looked at again
        if seen and seen != known:
            write_atomic(out / NAME, b"".join(msgspec.json.encode(seen[n]) + b"\n" for n in sorted(seen)))
    return _with_facts(rows, seen, broken)


def _with_facts(
    rows: Iterable[Utterance], seen: dict[str, Seen], broken: dict[str, str]
) -> tuple[list[Utterance], list[Remark]]:
    good, remarks = [], []
    for row in rows:
        if row.audio is None:
            good.append(row)
            continue
        if row.audio in broken:
            remarks.append(Remark("skipped", broken[row.audio], UNREADABLE))
            continue
        facts = seen[row.audio]
        start, end = row.start_s or 0.0, facts.duration_s if row.end_s is None else row.end_s
        length = min(end, facts.duration_s) - start
        if length < _SHORTEST_S and (row.start_s, row.end_s) != (None, None):
            remarks.append(Remark("skipped", row.id, "its stretch lies outside its recording"))
            continue
        if end > facts.duration_s + _ROUNDING_S:
            remarks.append(Remark("warning", row.id, "its stretch goes beyond the end of its recording"))
        good.append(replace(row, digest=facts.digest, duration_s=round(length, 4)))
    return good, remarks


def _inspect_all(paths: list[Path], jobs: int) -> Iterable[AudioFacts | str]:
    killed = (
        "A process that read recordings was killed, perhaps for want of memory, or crashed on one of them; repeat the "
        "command with --jobs 1, it goes on."
    )
    return processes.mapped(_inspect, paths, jobs if len(paths) >= 2 * jobs else 1, killed=killed, chunksize=16)


def _inspect(path: Path) -> AudioFacts | str:
    try:
        return inspect(path)
    except AudioError as error:
        return str(error)


def seen_before(out: Path) -> list[Seen]:
    """What was seen when a dataset was prepared; a damaged file only costs looking again."""
    try:
        return msgspec.json.Decoder(Seen).decode_lines((out / NAME).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _signature(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
