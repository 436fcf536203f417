"""Inspecting every recording of a corpus once: whether it can be read, its length, and the digest of its content."""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sercli._system import processes
from sercli._system.progress import Advance, ProgressFactory
from sercli.audio.reading import AudioFacts, inspect
from sercli.dataset import audio_index
from sercli.dataset.audio_index import IndexedAudio
from sercli.errors import AudioError, SerError
from sercli.types import Remark, Utterance

UNREADABLE = "recording cannot be read"

_SHORTEST_S = 0.002  # a stretch of this length has a sample at every sample rate
_LONGEST_S = 3600.0  # a longer utterance is none, and its features could exhaust memory
_ROUNDING_S = 0.1  # a stretch may end this long after its recording, because tables round times to tenths


def scan(
    utterances: Sequence[Utterance], base: Path, out: Path, jobs: int, progress: ProgressFactory
) -> tuple[list[Utterance], list[Remark]]:
    """Fill in digest and duration; recordings that the audio index has unchanged are not opened again.

    Args:
        utterances: as their corpus reader yields them.
        base: the folder that their audio paths are relative to.
        out: the prepared dataset's folder, which holds the audio index.
        jobs: processes that inspect recordings at the same time.
        progress: shows progress.

    Returns:
        the utterances that can be used, and a remark for each recording or stretch that cannot.
    """
    names = sorted({u.audio for u in utterances if u.audio is not None})
    signatures = {name: audio_index.size_and_time(os.path.join(base, name)) for name in names}  # noqa: PTH118
    before = list(audio_index.load(out))
    index = {one.path: one for one in before if signatures.get(one.path) == (one.size, one.mtime_ns)}
    new = [name for name in names if name not in index]
    n_unchanged = len(index)
    broken: dict[str, str] = {}
    try:
        n_bytes = sum(signatures[name][0] for name in new)  # their length is known only once they are read
        with progress("Reading recordings", n_bytes) as step, closing(_inspect_all(new, base, jobs, step)) as inspected:
            for name, facts in zip(new, inspected, strict=True):
                if isinstance(facts, str):
                    broken[name] = facts
                else:
                    index[name] = IndexedAudio(name, *signatures[name], **vars(facts))
    finally:  # after Ctrl-C, too: no recording is inspected twice
        if index and not len(index) == n_unchanged == len(before):
            audio_index.save(out, index.values())
    return _with_facts(utterances, index, broken)


def _with_facts(
    utterances: Sequence[Utterance], index: Mapping[str, IndexedAudio], broken: Mapping[str, str]
) -> tuple[list[Utterance], list[Remark]]:
    good = []
    used = sorted({u.audio for u in utterances if u.audio is not None and u.audio in index})
    _check_unit(utterances, index)
    remarks = [Remark("warning", name, remark) for name in used for remark in index[name].remarks]
    for utterance in utterances:
        if utterance.audio is None:
            good.append(utterance)
            continue
        if utterance.audio in broken:
            remarks.append(Remark("skipped", broken[utterance.audio], UNREADABLE))
            continue
        facts = index[utterance.audio]
        start, end = utterance.start_s or 0.0, facts.duration_s if utterance.end_s is None else utterance.end_s
        length = min(end, facts.duration_s) - start
        if length < _SHORTEST_S and (utterance.start_s, utterance.end_s) != (None, None):
            remarks.append(Remark("skipped", utterance.id, "its stretch lies outside its recording"))
            continue
        if length > _LONGEST_S:
            remarks.append(Remark("skipped", utterance.id, "longer than an hour; give start_s and end_s of utterances"))
            continue
        if end > facts.duration_s + _ROUNDING_S:
            remarks.append(Remark("warning", utterance.id, "its stretch goes beyond the end of its recording"))
        good.append(replace(utterance, digest=facts.digest, duration_s=round(length, 4)))
    return good, remarks


def _check_unit(utterances: Sequence[Utterance], index: Mapping[str, IndexedAudio]) -> None:
    """Refuse stretches of which most lie outside of their recordings.

    Raises:
        SerError: asking whether the times are milliseconds.
    """
    late = [u.start_s >= index[u.audio].duration_s for u in utterances if u.start_s and u.audio in index and u.audio]
    if len(late) > 1 and sum(late) > len(late) / 2:
        raise SerError(
            f"start_s reaches past the end of the recording in {sum(late)} of {len(late)} rows that do not begin at 0; "
            "are these milliseconds, or samples? Give seconds."
        )


def _inspect_all(names: Sequence[str], base: Path, jobs: int, step: Advance) -> Generator[AudioFacts | str, None, None]:
    killed = (
        "A process that read recordings was killed, perhaps for want of memory, or crashed on one of them; repeat the "
        "command with --jobs 1, it continues where it stopped."
    )
    paths, jobs = (base / name for name in names), jobs if len(names) >= 2 * jobs else 1
    return processes.mapped(_inspect, paths, jobs, killed=killed, chunksize=16, on_report=lambda n, _: step(n))


def _inspect(path: Path) -> AudioFacts | str:
    try:
        return inspect(path)
    except AudioError as error:
        return str(error)
    finally:
        processes.report(audio_index.size_and_time(str(path))[0])
