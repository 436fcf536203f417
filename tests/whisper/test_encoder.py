import numpy as np
import pytest
import torch

from sercli.features.whisper_encoder import log_mel
from sercli.whisper import encoder, weights


@pytest.fixture(scope="module")
def tiny():
    return encoder.load(None)


def sound(seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * 16_000)) / 16_000
    return (0.1 * np.sin(2 * np.pi * 150 * t * (1 + 0.1 * np.sin(3 * t))) + 0.01 * rng.standard_normal(len(t))).astype(
        np.float32
    )


def test_it_agrees_with_ctranslate2_on_thirty_seconds(tiny):
    ctranslate2 = pytest.importorskip("ctranslate2")
    mel = log_mel(sound(30), 80)
    assert mel.shape == (3000, 80)
    engine = ctranslate2.models.Whisper(str(weights.find(None).folder), compute_type="float32", intra_threads=1)
    theirs = np.array(engine.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.T[None]))))
    with torch.inference_mode():
        ours = tiny(torch.from_numpy(mel)[None], torch.tensor([3000]))[-1].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-2)


def test_an_utterance_is_the_same_alone_and_in_a_padded_batch(tiny):
    short, long = (torch.from_numpy(log_mel(sound(s), 80)) for s in (0.57, 1.2))
    batch = torch.full((2, len(long), 80), 7.0)  # what lies behind a length must not matter
    batch[0, : len(short)], batch[1] = short, long
    with torch.inference_mode():
        alone = tiny(short[None], torch.tensor([len(short)]))
        together = tiny(batch, torch.tensor([len(short), len(long)]))
    steps = -(-len(short) // 2)
    for one, two in zip(alone, together, strict=True):
        torch.testing.assert_close(one[0], two[0, :steps], atol=2e-4, rtol=2e-4)


def test_fewer_layers_are_the_first_ones(tiny):
    mel = torch.from_numpy(log_mel(sound(1), 80))[None]
    with torch.inference_mode():
        some, every = tiny(mel, torch.tensor([100]), 2), tiny(mel, torch.tensor([100]))
    assert (len(some), len(every)) == (2, 4)
    torch.testing.assert_close(some[1], every[1])


def test_the_spectrogram_is_that_of_the_recogniser():
    features = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor()
    signal = sound(2)
    theirs = features(signal, padding=0)[:, : 2 * 100].T
    np.testing.assert_allclose(log_mel(signal, 80), theirs, atol=1e-3)
