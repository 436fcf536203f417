"""What nobody hears changes no answer of the model that ships."""

import numpy as np
import pytest
import soundfile
from sounds import RATE_HZ, clip, silence

import sercli


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """answer(signal) -> the label and the probabilities, in percent, of a signal in a file."""
    model, path = sercli.load(asr=None), tmp_path_factory.mktemp("same") / "a.wav"

    def call(signal):
        soundfile.write(path, signal, RATE_HZ)
        (found,) = model.predict(path)
        return found.label, {label: 100 * share for label, share in found.probabilities.items()}

    return call


def rumble(signal):
    return signal + 0.02 * np.sin(2 * np.pi * 10 * np.arange(len(signal)) / RATE_HZ)


def within(seconds):
    noise = np.random.default_rng(0).normal(0, 1e-4, round(seconds * RATE_HZ))
    return lambda signal: np.concatenate([noise, signal, silence(seconds) + noise])


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda signal: signal + 0.01, 0.1),
        (rumble, 0.5),
        (within(1), 5),
        (within(9), 5),  # a long recording
        (lambda signal: np.stack([signal, -signal], 1), 0.1),
    ],
    ids=["offset", "rumble", "silence-around", "much-silence-around", "antiphase"],
)
def test_what_nobody_hears_changes_no_answer(answer, change, most):
    for name in ("f2-anger-5", "m1-sadness-3"):
        label, shares = answer(clip(name))
        found, others = answer(change(clip(name)))
        assert found == label
        assert others == pytest.approx(shares, abs=most)
