"""Compare ser's recogniser with faster-whisper clip by clip and with its batched pipeline, in turn, on one thread.

    python benchmarks/words.py $SER_CORPORA [--clips 100] [--pairs 3]

All three run the same weights of tiny.en with the same settings, on clips of RAVDESS at random. Printed are word error
rates there and on the demo clips, CPU times and their ratios, and the mean confidence on clips of EMO-DB (German) and
nEMO (Polish), whose words are guesses.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel

from sercli import plugins
from sercli.asr import whisper
from sercli.audio import reading
from sercli.audio.condition import without_rumble
from sercli.dataset.transcripts import word_errors
from sercli.types import SAMPLE_RATE_HZ, Utterance

CONFIG = whisper.Config()
N_FOREIGN = 60
BATCH = 8
DEMO = Path(__file__).resolve().parent.parent / "data" / "demo"

Heard = Callable[[Sequence[np.ndarray]], list[str]]


def sounds(corpus: str, root: Path, n: int | None) -> tuple[list[Utterance], list[np.ndarray]]:
    """Return utterances of a corpus, at random or all, and their signals without rumble, as recognisers get them."""
    found = [item for item in plugins.corpus(corpus).read(root) if isinstance(item, Utterance) and item.audio]
    chosen = found if n is None else random.Random(0).sample(found, min(n, len(found)))
    paths = (root / str(one.audio) for one in chosen)
    return chosen, [without_rumble(reading.read(path, sample_rate_hz=SAMPLE_RATE_HZ)) for path in paths]


def clip_by_clip(model: WhisperModel) -> Heard:
    """Return faster-whisper alone: a window of 30 s for each clip."""

    def hear(signals: Sequence[np.ndarray]) -> list[str]:
        options = (whisper.options(CONFIG, len(signal) / SAMPLE_RATE_HZ) for signal in signals)
        pairs = zip(signals, options, strict=True)
        found = (model.transcribe(signal, language="en", **given)[0] for signal, given in pairs)
        return ["".join(segment.text for segment in segments) for segments in found]

    return hear


def batched(model: WhisperModel) -> Heard:
    """Return faster-whisper's batched pipeline on the clips one after the other, each a window of its own."""
    pipeline = BatchedInferencePipeline(model)

    def hear(signals: Sequence[np.ndarray]) -> list[str]:
        ends_s = np.cumsum([len(signal) for signal in signals]) / SAMPLE_RATE_HZ
        spans = [{"start": a, "end": b} for a, b in zip([0.0, *ends_s], ends_s, strict=False)]
        longest_s = max(map(len, signals)) / SAMPLE_RATE_HZ
        options = whisper.options(CONFIG, longest_s) | {"clip_timestamps": spans, "batch_size": BATCH}
        segments, _ = pipeline.transcribe(np.concatenate(signals), language="en", without_timestamps=False, **options)
        texts = [""] * len(signals)
        for segment in segments:
            texts[min(int(np.searchsorted(ends_s, segment.start + 0.01)), len(texts) - 1)] += segment.text
        return texts

    return hear


def main() -> None:
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="folder with RAVDESS, EmoDB and nEMO")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    transcribe = whisper.make(CONFIG, "cpu")
    model = whisper._load(None, CONFIG.compute_type, "cpu", 1)
    systems: dict[str, Heard] = {
        "ser": lambda signals: [one.text for one in transcribe(signals)],
        "clip by clip": clip_by_clip(model),
        "batched": batched(model),
    }

    def measure(name: str, utterances: list[Utterance], signals: list[np.ndarray]) -> float:
        began = time.process_time()
        texts = systems[name](signals)
        cpu_s = time.process_time() - began
        wer = word_errors(utterances, {one.id: text for one, text in zip(utterances, texts, strict=True)})
        print(f"  {name}: {cpu_s:.1f} s of CPU time, WER {wer}", flush=True)
        return cpu_s

    clips = sounds("ravdess", given.corpora / "RAVDESS", given.clips)
    print(f"RAVDESS, {len(clips[0])} clips, {sum(map(len, clips[1])) / SAMPLE_RATE_HZ:.0f} s")
    rounds = [{name: measure(name, *clips) for name in systems} for _ in range(given.pairs)]
    for peer in list(systems)[1:]:
        ratios = sorted(costs[peer] / costs["ser"] for costs in rounds)
        print(f"{peer} / ser: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
    demo = sounds("demo", DEMO, None)
    print(f"demo, {len(demo[0])} clips")
    for name in ("ser", "clip by clip"):
        measure(name, *demo)
    for corpus, folder in (("emodb", "EmoDB"), ("nemo", "nEMO")):
        heard = transcribe(sounds(corpus, given.corpora / folder, N_FOREIGN)[1])
        print(f"{corpus}: mean confidence {np.mean([one.confidence for one in heard]):.3f} on {len(heard)} clips")


if __name__ == "__main__":
    main()
