"""How often a label stays when a recording changes in a way that should not matter.

    python benchmarks/invariance.py CORPORA [--clips 200] [--model RUN] [--only RAVDESS]

CORPORA holds RAVDESS, EmoDB and nEMO. Of each, clips of the four classes are drawn, changed, and predicted by audio
alone without adaptation; the share of labels that stay is printed for each change and corpus. For the last change the
clips stand in recordings of 100 with pauses of quiet between them, once in their order and once shuffled; an utterance
counts for the clip that it overlaps most.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

import sercli
from sercli import Pipeline
from sercli.types import Array

RATE_HZ = 16_000
CLASSES = {
    "RAVDESS": ("RAVDESS/Actor_*/03-01-*", lambda name: name.split("-")[2] in ("01", "03", "04", "05")),
    "EMO-DB": ("EmoDB/wav/*", lambda name: name[5] in "NFTW"),
    "nEMO": ("nEMO/samples/*", lambda name: name.split("_")[1] in ("neutral", "happiness", "sadness", "anger")),
}
Change = Callable[[Array, np.random.Generator], tuple[Array, int]]
"""(signal, generator) -> changed signal, its sample rate."""


def gain(factor_db: float) -> Change:
    return lambda x, _: ((x * 10 ** (factor_db / 20)).astype(np.float32), RATE_HZ)


def rumble(x: Array) -> Array:
    return (x + 0.02 * np.sin(2 * np.pi * 10 * np.arange(len(x)) / RATE_HZ)).astype(np.float32)


def quiet_noise(seconds: float, rng: np.random.Generator) -> Array:
    return (3e-4 * rng.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def spoken_from(x: Array) -> tuple[int, int]:
    """Return the first sample above 1 % of the loudest, and the one after the last."""
    (loud,) = np.nonzero(np.abs(x) > 0.01 * np.abs(x).max())
    return int(loud[0]), int(loud[-1]) + 1


def noisy(snr_db: float) -> Change:
    def change(x: Array, rng: np.random.Generator) -> tuple[Array, int]:
        start, stop = spoken_from(x)
        level = np.sqrt(np.mean(x[start:stop] ** 2)) * 10 ** (-snr_db / 20)
        spectrum = np.fft.rfft(rng.standard_normal(len(x)))
        noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** 0.5, len(x))  # falls by 3 dB/octave
        return (x + noise * level / noise.std()).astype(np.float32), RATE_HZ

    return change


def room(x: Array, rng: np.random.Generator) -> tuple[Array, int]:
    """A small room: 0.3 s of reverberation, 6 dB below the direct sound."""
    n = round(0.3 * RATE_HZ)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= 0.5 / np.linalg.norm(tail)
    tail[0] = 1
    return np.convolve(x, tail)[: len(x)].astype(np.float32), RATE_HZ


def mp3(x: Array) -> tuple[Array, int]:
    """MP3 at 64 kbit/s, which libsndfile writes at 48 kHz with this compression level."""
    file = io.BytesIO()
    level = 1 - (64 - 32) / (320 - 32)
    soundfile.write(
        file, soxr.resample(x, RATE_HZ, 48_000), 48_000, format="MP3", bitrate_mode="CONSTANT", compression_level=level
    )
    file.seek(0)
    found, rate_hz = soundfile.read(file, dtype="float32")
    return found, rate_hz


def band(x: Array, low_hz: float, high_hz: float) -> Array:
    """Return a signal at 8 kHz, without what lies outside of a band."""
    narrow = soxr.resample(x, RATE_HZ, 8_000)
    spectrum, hz = np.fft.rfft(narrow), np.fft.rfftfreq(len(narrow), 1 / 8_000)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    return np.fft.irfft(spectrum, len(narrow))


def coded(narrow: Array, codec: str) -> tuple[Array, int]:
    """Return a signal at 8 kHz as one of libsndfile's codecs gives it."""
    file = io.BytesIO()
    soundfile.write(file, narrow, 8_000, format="WAV", subtype=codec)
    file.seek(0)
    found, rate_hz = soundfile.read(file, dtype="float32")
    return found[: len(narrow)], rate_hz


def telephone(x: Array) -> tuple[Array, int]:
    """8 kHz and G.711 (mu-law, as libsndfile writes it), 300 to 3,400 Hz."""
    return coded(band(x, 300, 3_400), "ULAW")


def around(before: Array, after: Array) -> Callable[[Array], tuple[Array, int]]:
    return lambda x: (np.concatenate([before, x, after]), RATE_HZ)


def changes() -> dict[str, Change]:
    second = np.zeros(RATE_HZ, np.float32)
    return {
        "offset .002": lambda x, _: (x + np.float32(0.002), RATE_HZ),
        "offset .01": lambda x, _: (x + np.float32(0.01), RATE_HZ),
        "offset .05": lambda x, _: (x + np.float32(0.05), RATE_HZ),
        "10 Hz rumble at .02": lambda x, _: (rumble(x), RATE_HZ),
        "polarity": lambda x, _: (-x, RATE_HZ),
        "-20 dB": gain(-20),
        "+20 dB": gain(20),
        "44.1 kHz": lambda x, _: (soxr.resample(x, RATE_HZ, 44_100), 44_100),
        "48 kHz": lambda x, _: (soxr.resample(x, RATE_HZ, 48_000), 48_000),
        "second channel silent": lambda x, _: (np.stack([x, 0 * x], axis=1), RATE_HZ),
        "second channel inverted": lambda x, _: (np.stack([x, -x], axis=1), RATE_HZ),
        "1 s of silence before": lambda x, _: around(second, second[:0])(x),
        "1 s of silence after": lambda x, _: around(second[:0], second)(x),
        "1 s of quiet noise before": lambda x, rng: around(quiet_noise(1, rng), second[:0])(x),
        "1 s of quiet noise after": lambda x, rng: around(second[:0], quiet_noise(1, rng))(x),
        "silence around cut away": lambda x, _: (x[slice(*spoken_from(x))], RATE_HZ),
        "MP3 at 64 kbit/s": lambda x, _: mp3(x),
        "noise at 20 dB": noisy(20),
        "a small room": room,
        "telephone (G.711)": lambda x, _: telephone(x),
        "noise at 10 dB": noisy(10),
    }


def drawn(corpora: Path, name: str, n: int, seed: int) -> tuple[list[Array], list[str]]:
    """Return random clips of a corpus, and the names of their files."""
    pattern, of_four = CLASSES[name]
    paths = [path for path in sorted(corpora.glob(pattern)) if of_four(path.stem)]
    places = sorted(np.random.default_rng(seed).choice(len(paths), min(n, len(paths)), replace=False))
    return [soundfile.read(paths[n], dtype="float32")[0] for n in places], [paths[n].stem for n in places]


def labels(pipeline: Pipeline, signals: Sequence[tuple[Array, int]]) -> list[str | None]:
    return [next(pipeline.predict(x, sample_rate_hz=rate_hz)).label for x, rate_hz in signals]


def in_recordings(
    pipeline: Pipeline, signals: Sequence[Array], order: Array, rng: np.random.Generator
) -> list[str | None]:
    """Return the label of each signal as it stands in recordings of 100, in the order of the signals."""
    found: list[str | None] = [None] * len(signals)
    for part in np.array_split(order, max(1, len(order) // 100)):
        pieces, spans, at = [], [], 0
        for n in part:
            pause = quiet_noise(rng.uniform(0.7, 1.5), rng)
            start, stop = spoken_from(signals[n])
            spans.append((at + len(pause) + start, at + len(pause) + stop))
            pieces += [pause, signals[n]]
            at += len(pause) + len(signals[n])
        utterances = list(pipeline.predict(np.concatenate(pieces), sample_rate_hz=RATE_HZ))
        for n, span in zip(part, spans, strict=True):
            start_s, stop_s = (place / RATE_HZ for place in span)
            overlaps = [min(one.end_s, stop_s) - max(one.start_s, start_s) for one in utterances]
            best = int(np.argmax(overlaps))
            found[n] = utterances[best].label if overlaps[best] > 0 else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--only", choices=list(CLASSES), action="append")
    arguments = parser.parse_args()
    pipeline = sercli.load(arguments.model, asr=None, adapt="none", speakers="none")
    signals = {name: drawn(arguments.corpora, name, arguments.clips, 0)[0] for name in arguments.only or CLASSES}
    plain = {name: labels(pipeline, [(x, RATE_HZ) for x in of]) for name, of in signals.items()}

    def show(change: str, found: dict[str, list[str | None]]) -> None:
        shares = [np.mean([a == b for a, b in zip(plain[name], found[name], strict=True)]) for name in signals]
        print(f"| {change} |", " | ".join(f"{share:.3f}" for share in shares), f"| {np.mean(shares):.3f} |", flush=True)

    print("| change |", " | ".join(signals), "| mean |\n" + "|---" * (len(signals) + 2) + "|")
    for change, apply in changes().items():
        rng = np.random.default_rng(0)
        show(change, {name: labels(pipeline, [apply(x, rng) for x in of]) for name, of in signals.items()})
    for how in ("in order", "shuffled"):
        found = {}
        for name, of in signals.items():
            rng = np.random.default_rng(1)
            order = np.arange(len(of)) if how == "in order" else rng.permutation(len(of))
            found[name] = in_recordings(pipeline, of, order, rng)
        show(f"in a recording of 100, {how}", found)


if __name__ == "__main__":
    main()
