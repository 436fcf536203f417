"""Compare ser's recogniser with faster-whisper clip by clip and with its batched pipeline, in turn, on one thread.

    python benchmarks/words.py $SER_CORPORA [--clips 100] [--pairs 3]
    python benchmarks/words.py $SER_CORPORA --minutes 60 [--pairs 1]

All three run the same weights of tiny.en with the same settings, on clips of RAVDESS at random. Printed are word error
rates there and on the demo clips, CPU times and their ratios, and the mean confidence on clips of EMO-DB (German) and
nEMO (Polish), whose words are guesses.

With --minutes ser and faster-whisper read one recording of clips of RAVDESS, EMO-DB, nEMO and the demo in turn, with
pauses of .7 to 2 s: ser utterance by utterance, as `ser predict` does, the search for them included. Words belong to
the clip in whose time they are; word error rates are of the English clips.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel

from sercli import plugins
from sercli.asr import whisper
from sercli.audio import reading, segments
from sercli.audio.condition import without_rumble
from sercli.dataset.transcripts import word_errors
from sercli.transcription import Transcribe
from sercli.types import SAMPLE_RATE_HZ, Utterance

CONFIG = whisper.Config()
N_FOREIGN = 60
BATCH = 8
UTTERANCES = 8  # of a recording, that are predicted together
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


def in_turns(root: Path, seconds: float) -> tuple[list[Utterance], list[np.ndarray]]:
    """Return clips of each corpus in turn, as long together as is asked, and their signals with a pause behind."""
    corpora = (("ravdess", root / "RAVDESS"), ("emodb", root / "EmoDB"), ("nemo", root / "nEMO"), ("demo", DEMO))
    most = 1 + round(seconds / len(corpora))
    turns = cycle([cycle(zip(*sounds(corpus, folder, most), strict=True)) for corpus, folder in corpora])
    rng, utterances, signals = np.random.default_rng(0), list[Utterance](), list[np.ndarray]()
    while sum(map(len, signals)) < seconds * SAMPLE_RATE_HZ:
        utterance, signal = next(next(turns))
        utterances.append(replace(utterance, id=str(len(utterances))))
        signals.append(np.pad(signal, (0, int(rng.uniform(0.7, 2) * SAMPLE_RATE_HZ))))
    return utterances, signals


def recording(transcribe: Transcribe, model: WhisperModel, root: Path, seconds: float, pairs: int) -> None:
    """Print the costs of a long recording's words, in turn."""
    utterances, signals = in_turns(root, seconds)
    whole = np.concatenate(signals)
    ends_s = np.cumsum([len(signal) for signal in signals]) / SAMPLE_RATE_HZ

    def ser() -> Iterator[tuple[float, str]]:
        blocks = iter(np.array_split(whole, len(whole) // SAMPLE_RATE_HZ))
        spoken = segments.segments(blocks)
        while batch := list(islice(spoken, UTTERANCES)):
            heard = transcribe([one.signal for one in batch])
            for one, found in zip(batch, heard, strict=True):
                yield from ((one.start_s + (word.start_s + word.end_s) / 2, f" {word.text}") for word in found.words)

    def peer() -> Iterator[tuple[float, str]]:
        found, _ = model.transcribe(whole, language="en", **whisper.options(CONFIG, len(whole) / SAMPLE_RATE_HZ))
        yield from (((word.start + word.end) / 2, word.word) for segment in found for word in segment.words)

    def cost(name: str, read: Callable[[], Iterator[tuple[float, str]]]) -> float:
        began = time.process_time()
        words = list(read())
        cpu_s = time.process_time() - began
        texts = [""] * len(utterances)
        for middle_s, text in words:
            texts[min(int(np.searchsorted(ends_s, middle_s)), len(texts) - 1)] += text
        english = [one for one in utterances if one.corpus in ("ravdess", "demo")]
        wer = word_errors(english, {one.id: text for one, text in zip(utterances, texts, strict=True)})
        print(f"  {name}: {cpu_s:.1f} s of CPU time, WER {wer}", flush=True)
        return cpu_s

    print(f"a recording of {len(signals)} clips, {len(whole) / SAMPLE_RATE_HZ:.0f} s")
    ratios = sorted(cost("faster-whisper", peer) / cost("ser", ser) for _ in range(pairs))
    print(f"faster-whisper / ser: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")


def main() -> None:
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="folder with RAVDESS, EmoDB and nEMO")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--minutes", type=float, help="of a long recording, in place of clips")
    given = parser.parse_args()
    transcribe = whisper.make(CONFIG, "cpu")
    model = whisper._load(None, CONFIG.compute_type, "cpu", 1)
    if given.minutes:
        recording(transcribe, model, given.corpora, 60 * given.minutes, given.pairs)
        return
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
