"""Fit the map by which speech of the telephone's band is heard as if it had its whole band.

    python benchmarks/make_telephone.py CORPORA
    python benchmarks/make_telephone.py CORPORA --leave-out RAVDESS --model RUN

CORPORA holds RAVDESS, EmoDB and nEMO; no label is used. Of each, 400 clips of the four classes are drawn, cut to a
random narrow band and coded by a random codec at 8 kHz. For each layer of base's encoder a ridge regression gives what
the narrow states lack. With --leave-out the map is fitted to the others, and tried on 120 clips of that corpus with a
model that has not heard it: UA, and the share of labels that stay, without the map and with it.
"""

import argparse
from pathlib import Path

import numpy as np
import soxr
import torch
from invariance import CLASSES, RATE_HZ, band, coded, drawn, labels, spoken_from, telephone
from safetensors.torch import save_file

import sercli
from sercli.audio.condition import prepare_signal, without_rumble
from sercli.features import whisper_encoder
from sercli.features._telephone import WEIGHTS, WideBand
from sercli.types import Array

CONFIG = whisper_encoder.Config(model="base", level_dbfs=-26.0)
N_LAYERS, N_STATES = 4, 512
RIDGE = 0.1  # of the mean variance of a state
CODECS = ("ULAW", "ALAW", "GSM610", "PCM_16")


def narrow(x: Array, low_hz: float, high_hz: float, codec: str, peak: float = 0.5) -> Array:
    """Return a signal at 16 kHz as a codec at 8 kHz gives it."""
    y = band(x, low_hz, high_hz)
    found: Array = soxr.resample(coded(y * peak / max(np.abs(y).max(), 1e-6), codec)[0], 8_000, RATE_HZ)
    return found.astype(np.float32)


def states(corpora: Path, name: str) -> tuple[Array, Array]:
    """Return the states (N, L * E) of a corpus with the whole band, and with narrow ones."""
    whole, cut, rng = [], [], np.random.default_rng(3)
    extractor = whisper_encoder.make(CONFIG, "cpu")
    for clip in drawn(corpora, name, 400, 7)[0]:
        x = without_rumble(clip[slice(*spoken_from(clip))])
        low_hz = 0 if rng.random() < 0.3 else rng.uniform(0, 350)
        peak = 0.5 * 10 ** -rng.uniform(0, 1)
        y = narrow(x, low_hz, rng.uniform(3300, 4000), str(rng.choice(CODECS)), peak)
        a = prepare_signal(x, CONFIG)
        b = prepare_signal(without_rumble(y)[: len(x)], CONFIG)
        both = extractor([a, np.pad(b, (0, len(a) - len(b)))])
        whole.append(both[0][::2].astype(np.float16))
        cut.append(both[1][::2].astype(np.float16))
    return np.concatenate(whole), np.concatenate(cut)


def fitted(pairs: list[tuple[Array, Array]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (L, E, E) and bias (L, E) of the ridge regressions, each corpus with the same number of frames."""
    n = min(len(whole) for whole, _ in pairs)
    weight, bias = np.empty((N_LAYERS, N_STATES, N_STATES)), np.empty((N_LAYERS, N_STATES))
    for layer in range(N_LAYERS):
        columns = slice(layer * N_STATES, (layer + 1) * N_STATES)
        x = np.concatenate([cut[:n, columns] for _, cut in pairs]).astype(np.float64)
        lacking = np.concatenate([whole[:n, columns] for whole, _ in pairs]) - x
        mean, centred = x.mean(0), x - x.mean(0)
        gram = centred.T @ centred
        gram += RIDGE * np.diag(gram).mean() * np.eye(N_STATES)
        weight[layer] = np.linalg.solve(gram, centred.T @ (lacking - lacking.mean(0)))
        bias[layer] = lacking.mean(0) - mean @ weight[layer]
    return torch.from_numpy(weight).half(), torch.from_numpy(bias).half()


CODES = {  # of the four classes in a file's name, and where they stand
    "RAVDESS": ({"01": "neutral", "03": "happiness", "04": "sadness", "05": "anger"}, slice(6, 8)),
    "EMO-DB": ({"N": "neutral", "F": "happiness", "T": "sadness", "W": "anger"}, slice(5, 6)),
}


def truth(name: str, stem: str) -> str:
    if name == "nEMO":
        return stem.split("_")[1]
    classes, place = CODES[name]
    return classes[stem[place]]


def tried(corpora: Path, name: str, model: Path, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Print UA, and the share of labels that stay, over three narrow bands."""
    clips, stems = drawn(corpora, name, 120, 0)
    true = [truth(name, stem) for stem in stems]
    bands = {
        "G.711, 300 to 3,400 Hz": [telephone(x) for x in clips],
        "GSM 06.10": [(narrow(x, 0, 4000, "GSM610"), RATE_HZ) for x in clips],
        "8 kHz": [(narrow(x, 0, 4000, "PCM_16"), RATE_HZ) for x in clips],
    }
    pipeline = sercli.load(model, asr=None, adapt="none", speakers="none")
    plain = labels(pipeline, [(x, RATE_HZ) for x in clips])

    def figures(found: list[str | None]) -> str:
        recalls = [np.mean([a == b for a, b in zip(true, found, strict=True) if a == label]) for label in set(true)]
        return f"{np.mean(recalls):.3f}, {np.mean([a == b for a, b in zip(plain, found, strict=True)]):.3f}"

    print(f"{name}, whole band: {figures(plain)}")
    mapped = WideBand(weight, bias, whisper_encoder._filterbank(80))
    for way, found in (("without", None), ("with", mapped)):
        whisper_encoder._wide_band = lambda *_, found=found: found
        pipeline = sercli.load(model, asr=None, adapt="none", speakers="none")
        for which, given in bands.items():
            print(f"{name}, {which}, {way}: {figures(labels(pipeline, given))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--leave-out", choices=list(CLASSES))
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    whisper_encoder._wide_band = lambda *_: None  # the states as they are
    weight, bias = fitted([states(arguments.corpora, name) for name in CLASSES if name != arguments.leave_out])
    if arguments.leave_out:
        tried(arguments.corpora, arguments.leave_out, arguments.model, weight, bias)
    else:
        save_file({"weight": weight, "bias": bias}, WEIGHTS)
        print(f"{WEIGHTS}: {WEIGHTS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
