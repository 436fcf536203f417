"""What a stream is answered with, how soon and at what cost: the model that ships over clips one after the other.

    OMP_NUM_THREADS=1 python benchmarks/live.py --minutes 30           by sound alone
    OMP_NUM_THREADS=1 python benchmarks/live.py --minutes 10 --words

The stream is made of the clips that come with ser, in any order, with pauses of .7 to 2 s between, and comes in blocks
of 50 ms as fast as it is taken. How late an answer is, is the sound that was taken after its end plus the CPU time of
the answer. The exit status is 1 if a clip is in no utterance, or if memory (RSS) rises by more than 50 MB after the
first minute. Linux.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
from speeds.sounds import RATE_HZ

import sercli
from sercli.types import Array

CLIPS = sorted((Path(__file__).resolve().parents[1] / "data/demo/audio").glob("*.ogg"))
MOST_GROWTH_MB = 50.0


class Stream:
    """Blocks, with where its clips are, how much of it was taken, and when the last block was."""

    def __init__(self, minutes: float, clips: list[Array]) -> None:
        self.minutes, self.clips = minutes, clips
        self.taken_s = self.began_s = 0.0
        self.middles_s: list[float] = []

    def __iter__(self) -> Iterator[Array]:
        random = np.random.default_rng(0)
        while self.taken_s < self.minutes * 60:
            clip = self.clips[random.integers(len(self.clips))]
            self.middles_s.append(self.taken_s + len(clip) / 2 / RATE_HZ)
            signal = np.concatenate([clip, np.zeros(round(random.uniform(0.7, 2) * RATE_HZ))])
            signal += 1e-4 * random.standard_normal(len(signal))
            for block in np.array_split(signal.astype(np.float32), len(signal) // 800):
                self.began_s = time.process_time()
                self.taken_s += len(block) / RATE_HZ
                yield block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the stream (default 30)")
    parser.add_argument("--words", action="store_true", help="listen for words, too")
    arguments = parser.parse_args()
    clips = [soundfile.read(path, dtype="float32")[0] for path in CLIPS]
    pipeline = sercli.load(asr="whisper" if arguments.words else None)
    alone_s = [_cpu_s(pipeline, clip) for clip in clips[:21]][1:]  # the first loads what is needed
    stream, spans, waits_s, costs_s, rss_mb, first_mb = Stream(arguments.minutes, clips), [], [], [], 0.0, 0.0
    began_s = time.process_time()
    for found in pipeline.stream(stream, RATE_HZ):
        costs_s.append(time.process_time() - stream.began_s)
        waits_s.append(stream.taken_s - found.end_s)
        spans.append((found.start_s, found.end_s))
        rss_mb = max(rss_mb, _rss_mb())
        if stream.taken_s < 60:
            first_mb = rss_mb
    cpu_s = time.process_time() - began_s
    hits = [sum(start_s < middle_s < end_s for start_s, end_s in spans) for middle_s in stream.middles_s]
    late_s = np.add(waits_s, costs_s)
    print(f"{stream.taken_s:.0f} s, {len(hits)} clips, {len(spans)} utterances; clips in none: {hits.count(0)}")
    print(f"sound taken after the end: median {median(waits_s):.2f} s, most {max(waits_s):.2f} s")
    print(f"CPU time of an answer: median {median(costs_s):.3f} s; of a clip alone: {median(alone_s):.3f} s")
    print(f"both: median {median(late_s):.2f} s; within 1 s: {np.mean(late_s <= 1):.1%}")
    print(
        f"CPU time in all: {cpu_s / stream.taken_s:.3f} s a second; RSS {first_mb:.0f} MB, later {rss_mb:.0f} at most"
    )
    sys.exit(0 in hits or rss_mb - first_mb > MOST_GROWTH_MB)


def _cpu_s(pipeline: sercli.Pipeline, clip: Array) -> float:
    began_s = time.process_time()
    list(pipeline.predict(clip, sample_rate_hz=RATE_HZ))
    return time.process_time() - began_s


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
