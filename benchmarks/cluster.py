"""The size of a task on a cluster, and what the scheduler, the command and a worker spend on each.

    python benchmarks/cluster.py [--tasks 2000] [--workers 2]

It starts a dask scheduler and workers on this machine. The work is none at all, so that what is measured is the cost
of giving it away; its size is that of real work: parts of a feature, recordings to predict, trainings on a dataset.
docs/scale.md has the results.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from sercli._system import cluster, processes

PORT = 18787
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def started(n_workers: int, folder: str):
    """Yield the processes of a scheduler and its workers."""

    def start(*words: object) -> psutil.Process:
        command = [sys.executable, "-m", *map(str, words), "--no-dashboard"]
        return psutil.Process(subprocess.Popen(command, env=ALONE, cwd=folder, stderr=subprocess.DEVNULL).pid)

    address = f"tcp://127.0.0.1:{PORT}"
    found = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", PORT)]
    found += [start("distributed.cli.dask_worker", address, "--nthreads", 1, "--no-nanny") for _ in range(n_workers)]
    try:
        yield address, found
    finally:
        for one in found:
            one.kill()


def cpu_s(of: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in of)


def measure(n_tasks: int, size: int, all_: list[psutil.Process]) -> None:
    scheduler, *workers = all_
    work = os.urandom(size)
    items = (work for _ in range(n_tasks))
    start_s, before = time.monotonic(), [cpu_s([scheduler]), cpu_s(workers), time.process_time()]
    with closing(processes.mapped(len, items, 1, killed="killed")) as done:
        for _ in done:
            pass
    seconds = time.monotonic() - start_s
    spent = [cpu_s([scheduler]), cpu_s(workers), time.process_time()]
    of = ["scheduler", "workers", "command"]
    each = ", ".join(
        f"{who} {1000 * (now - then) / n_tasks:.2f} ms" for who, now, then in zip(of, spent, before, strict=True)
    )
    print(f"{size:>9} bytes: {n_tasks / seconds:6.0f} tasks/s; CPU a task: {each}", flush=True)


def sizes(data: Path | None) -> None:
    from sercli.batch_runner import _whole
    from sercli.pipeline import PRETRAINED, PipelineConfig
    from sercli.types import Recording

    def size(*work: object) -> str:
        raw = pickle.dumps(work)
        return f"{len(raw)} bytes, {len(zlib.compress(raw, 1))} as sent"

    from functools import partial

    one = partial(_whole, config=PipelineConfig(PRETRAINED))
    recordings = [Recording(f"calls/2026-01-01/{n:08d}.wav", Path(f"calls/2026-01-01/{n:08d}.wav")) for n in range(16)]
    print(f"1 recording: {size(one, recordings[:1])}; 16: {size(one, recordings)}")
    if data:
        from sercli.dataset import feature_cache, manifest
        from sercli.dataset.feature_specs import feature_configs

        dataset = manifest.load(data)
        ((name, config),) = feature_configs("lld", [], [])
        parts = feature_cache._Parts(dataset, name, config)
        print(f"a part of a feature: {size(parts.part(0, parts.utterances(0)))}")
        print(f"a training on {len(dataset.manifest.utterances)} utterances: {size(dataset)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, help="a prepared dataset, for the size of its tasks")
    given = parser.parse_args()
    sizes(given.data)
    with tempfile.TemporaryDirectory() as folder, started(given.workers, folder) as (address, all_):
        time.sleep(10)
        with cluster.connected(address, None):
            for size in (1_000, 1_000, 10_000, 100_000, 1_000_000):
                measure(min(given.tasks, 200_000_000 // size), size, all_)
