"""Compare the shipped model's audio feature computed in batches of like length with one clip at a time.

python benchmarks/batches.py [--pairs 5] [--device cpu]

Both read the same 256 clips of 1 to 5 s, cut from the demo clips one after the other, in turn; two threads.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from sercli._system import limits

os.environ["OMP_NUM_THREADS"] = "2"  # before numpy and torch are imported
limits.set_environment(few_kernels=False)  # as `ser` does

import numpy as np  # noqa: E402 - after its threads are set

N_CLIPS = 256
DEMO = Path(__file__).resolve().parent.parent / "data" / "demo" / "audio"


def clips(rate_hz: int) -> list[np.ndarray]:
    """Return N_CLIPS signals (n_samples,) of 1 to 5 s."""
    from sercli.audio import reading

    speech = np.concatenate([reading.read(path, sample_rate_hz=rate_hz) for path in sorted(DEMO.glob("*.ogg"))])
    lengths = (np.random.default_rng(0).uniform(1, 5, N_CLIPS) * rate_hz).astype(int)
    speech = np.tile(speech, -(-lengths.sum() // len(speech)))
    return np.split(speech[: lengths.sum()], np.cumsum(lengths)[:-1])


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of wall time and of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    from sercli.features import whisper_encoder

    config = whisper_encoder.Config(model="base", pooled=True)  # as the shipped model reads it
    signals = clips(config.sample_rate_hz)
    extractor = whisper_encoder.make(config, options.device)

    def alone() -> list[np.ndarray]:
        return [extractor([signal])[0] for signal in signals]

    def together() -> list[np.ndarray]:
        return extractor(signals)

    apart = max(np.abs(one - other).max() for one, other in zip(alone(), together(), strict=True))
    pairs = [(cost(alone), cost(together)) for _ in range(options.pairs)]
    for name, which in (("wall", 0), ("CPU", 1)):
        ratios = [one[which] / batch[which] for one, batch in pairs]
        one, batch = (statistics.median(pair[side][which] for pair in pairs) for side in (0, 1))
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"{name}: {one:.1f} s alone, {batch:.1f} s in batches, {statistics.median(ratios):.2f} x ({spread})")
    print(f"{len(pairs)} pairs; largest difference of a feature {apart:.1e}")


if __name__ == "__main__":
    main()
