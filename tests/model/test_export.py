"""`ser export`: the ONNX files have the probabilities of `ser predict`, and the modules the numbers of sercli.audio."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from sounds import RATE_HZ, clip, over_the_telephone, silence

import sercli
from sercli import plugins
from sercli.audio import isolation
from sercli.audio.condition import prepare_signal, without_rumble
from sercli.audio.silero import SpeechDetector
from sercli.model.export import export
from sercli.model.export.modules import AfterDetector, BeforeDetector
from sercli.pipeline import PRETRAINED
from sercli.types import AudioConfig

ACOUSTIC = PRETRAINED / "members" / "acoustic"
CLIPS = ["f1-neutral-1", "f2-anger-5", "f3-happiness-3", "m1-sadness-2", "m2-anger-1", "m3-neutral-4"]
WHISPER = plugins.load("feature", "whisper-encoder")


@pytest.fixture(scope="module")
def exported(made_once):
    """The model that ships, exported once for all tests; nobody writes there."""
    return made_once("exported", lambda folder: export(ACOUSTIC, folder / "onnx", int8=True)) / "onnx"


@pytest.fixture(scope="module")
def shipped():
    return sercli.load(asr=None)


def predicted(pipeline, signal):
    (found,) = pipeline.predict(signal, sample_rate_hz=RATE_HZ)
    return np.array(list(found.probabilities.values()))


def noisy(signal, level):
    rng = np.random.default_rng(1)
    around = [np.zeros(RATE_HZ, np.float32), signal, np.zeros(7_777, np.float32)]
    return np.concatenate(around) + (level * rng.standard_normal(RATE_HZ + len(signal) + 7_777)).astype(np.float32)


CHANGES = {
    "as it is": lambda x: x,
    "offset": lambda x: x + np.float32(0.05),
    "silence around": lambda x: np.concatenate([silence(1), x, silence(2)]),
    "noise around": lambda x: noisy(x, 3e-3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_modules_condition_a_clip_as_the_pipeline_does(change):
    signal = change(clip("m2-anger-1"))
    expected = prepare_signal(isolation.isolated(without_rumble(signal))[0], AudioConfig())
    with torch.inference_mode():
        filtered, _ = BeforeDetector()(torch.from_numpy(signal))
        detected = isolation.speech_probabilities(filtered.numpy())
        found, length, share = AfterDetector(-26.0)(filtered, torch.from_numpy(detected))
    assert int(length) == len(expected)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-5)
    assert not found[len(expected) :].any()
    assert float(share) == pytest.approx(isolation.speech_share(signal), abs=0.02)


def test_the_detector_gets_the_frames_that_it_would_make_itself():
    signal = clip("f1-neutral-1")
    with torch.inference_mode():
        filtered, frames = BeforeDetector()(torch.from_numpy(signal))
    detector = SpeechDetector()
    state = dict(zip("hc", [np.zeros((1, 1, 128), np.float32)] * 2, strict=True))
    found = detector._session.run(None, {"input": frames.numpy(), **state})[0]
    np.testing.assert_allclose(found, isolation.speech_probabilities(filtered.numpy()), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 8},
        {"pooled": True},
        {"layers": (3, 1)},
        {"model": ("base", "tiny.en"), "stride": 4},
        {"model": "base"},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [np.copy, over_the_telephone])
def test_the_module_of_whispers_encoder_has_the_numbers_of_its_extractor(settings, given):
    config = WHISPER.Config(**settings)
    signal = prepare_signal(isolation.isolated(given(clip("m1-anger-2")))[0], config)
    (expected,) = WHISPER.make(config, "cpu")([signal])
    padded = np.concatenate([signal, silence(1.234)])
    with torch.inference_mode():
        found, n = WHISPER.module(config)(torch.from_numpy(padded), torch.tensor(len(signal)))
    assert int(n) == len(expected)
    np.testing.assert_allclose(found[0, : len(expected)], expected, atol=1e-3)


def test_a_clip_of_the_telephones_band_has_the_probabilities_of_predict(exported, shipped):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    signal = over_the_telephone(clip("f2-anger-5"))
    found, _ = session.run(["probabilities", "speech"], {"samples": signal})
    np.testing.assert_allclose(found, predicted(shipped, signal), atol=1e-4)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_has_the_probabilities_of_predict(exported, shipped, name):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    found, speech = session.run(["probabilities", "speech"], {"samples": clip(name)})
    assert speech > 0
    np.testing.assert_allclose(found, predicted(shipped, clip(name)), atol=1e-4)


def test_a_clip_without_speech_has_a_share_of_zero(exported):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    for level in (0, 0.1):
        noise = (level * np.random.default_rng(0).standard_normal(2 * RATE_HZ)).astype(np.float32)
        probabilities, speech = session.run(["probabilities", "speech"], {"samples": noise})
        assert speech == 0
        assert np.isfinite(probabilities).all()


def test_eight_bits_are_smaller_and_close(exported, shipped):
    whole, int8 = (exported / name for name in ("model.onnx", "model-int8.onnx"))
    assert int8.stat().st_size < whole.stat().st_size / 2
    found = onnxruntime.InferenceSession(int8).run(["probabilities"], {"samples": clip("f2-anger-5")})[0]
    np.testing.assert_allclose(found, predicted(shipped, clip("f2-anger-5")), atol=0.1)


def test_the_head_alone_reads_features_of_any_length(exported, shipped):
    ((_, config),) = shipped.predictor.members["acoustic"].features
    signal = clip("f2-anger-5")
    prepared = prepare_signal(isolation.isolated(without_rumble(signal))[0], config)
    (features,) = WHISPER.make(config, "cpu")([prepared])
    (found,) = onnxruntime.InferenceSession(exported / "head.onnx").run(None, {"features": features[None]})
    np.testing.assert_allclose(found[0], predicted(shipped, signal), atol=1e-4)


def test_the_json_says_what_another_program_needs(exported):
    about = json.loads((exported / "model.json").read_text(encoding="utf-8"))
    run = json.loads((ACOUSTIC / "run.json").read_text(encoding="utf-8"))
    assert (about["labels"], about["temperature"], about["class_scores"]) == (
        run["labels"],
        run["temperature"],
        run["class_scores"],
    )
    assert about["sample_rate_hz"] == 16_000
    assert sorted(about["files"]) == ["head.onnx", "model-int8.onnx", "model.onnx"]
    assert "cut to speech" in about["conditioning"]["inside"]


def examples():
    node = shutil.which("node")
    found = node and not subprocess.run([node, "-e", "require('onnxruntime-node')"], capture_output=True).returncode
    missing = pytest.mark.skipif(not found, reason="node or its package onnxruntime-node is not installed")
    return [pytest.param(sys.executable, "example.py", id="python"), pytest.param(node, "example.js", marks=missing)]


@pytest.mark.parametrize(("program", "example"), examples())
def test_the_example_prints_the_probabilities_of_predict(exported, shipped, tmp_path, program, example):
    soundfile.write(tmp_path / "clip.wav", clip("m2-anger-1"), RATE_HZ, subtype="PCM_16")
    path = os.pathsep.join(p for p in sys.path if "site-packages" in p)  # without the checkout: no sercli
    done = subprocess.run(
        [program, exported / example, tmp_path / "clip.wav"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    found = dict(line.split() for line in done.stdout.splitlines())
    (expected,) = shipped.predict(tmp_path / "clip.wav")
    assert {label: float(p) for label, p in found.items()} == pytest.approx(expected.probabilities, abs=1e-4)


def test_the_examples_are_short():
    for path in (Path(sercli.__file__).parent / "model" / "export" / "examples").iterdir():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 41, path
