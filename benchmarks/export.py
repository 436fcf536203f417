"""Compare what `ser export --int8` writes with `ser predict`, on the demo clips and the shipped model's test part.

ser export -o work/onnx --int8 && python benchmarks/export.py work/onnx $SER_CORPORA

The three test speakers of the shipped model are one each of RAVDESS, EMO-DB and nEMO, which are folders in SER_CORPORA.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

import sercli
from sercli import plugins
from sercli.audio import reading
from sercli.corpora import demo
from sercli.pipeline import PRETRAINED
from sercli.types import SAMPLE_RATE_HZ, Utterance

CORPORA = {"ravdess": "RAVDESS", "emodb": "EmoDB", "nemo": "nEMO"}


def main() -> None:
    folder, corpora = Path(sys.argv[1]), Path(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(folder / f"{name}.onnx", options) for name in ("model", "model-int8")
    }
    pipeline = sercli.load(asr=None)
    for name, clips in (("demo", demo_clips()), ("test part", test_clips(corpora))):
        found, seconds = {}, {}
        signals = [reading.read(path, sample_rate_hz=SAMPLE_RATE_HZ) for path, _ in clips]
        for system, session in sessions.items():
            start = time.process_time()
            found[system] = np.stack([session.run(["probabilities"], {"samples": one})[0] for one in signals])
            seconds[system] = time.process_time() - start
        start = time.process_time()
        each = [next(pipeline.predict(one, sample_rate_hz=SAMPLE_RATE_HZ)).probabilities for one in signals]
        seconds["ser"] = time.process_time() - start
        found["ser"] = np.array([list(one.values()) for one in each])
        truth = np.array([pipeline.labels.index(label) for _, label in clips])
        for system, probs in found.items():
            apart = np.abs(probs - found["ser"]).max()
            labels = probs.argmax(axis=1)
            uar = np.mean([(labels[truth == k] == k).mean() for k in np.unique(truth)])
            same = (labels == found["ser"].argmax(axis=1)).mean()
            print(f"{name} | {system} | {len(clips)} | {uar:.3f} | {same:.3f} | {apart:.1e} | {seconds[system]:.1f}")


def demo_clips() -> list[tuple[Path, str]]:
    root = Path(demo.default_root())
    return [(root / str(u.audio), u.true_label) for u in read("demo", root)]


def test_clips(corpora: Path) -> list[tuple[Path, str]]:
    split = json.loads((PRETRAINED / "members" / "acoustic" / "split.json").read_text(encoding="utf-8"))
    clips: list[tuple[Path, str]] = []
    for name, folder in CORPORA.items():
        labels = plugins.corpus(name).LABELS
        chosen = [one for one in read(name, corpora / folder) if f"{name}-{one.id}" in split["test"]]
        clips += [(corpora / folder / str(one.audio), str(labels[one.true_label])) for one in chosen]
    assert len(clips) == len(split["test"])
    return clips


def read(name: str, root: Path) -> list[Utterance]:
    return [one for one in plugins.corpus(name).read(root) if isinstance(one, Utterance)]


main()
