"""Each of the 34 descriptors is what its definition says, by librosa where it has the same one, and all are alive."""

import dataclasses

import librosa
import numpy as np
import pytest

from sercli.audio import dsp
from sercli.features import lld

RATE_HZ = 16_000
WINDOW, HOP = 800, 400
CONFIG = lld.Config()


def column(features, name):
    return features[:, lld.NAMES.index(name)]


@pytest.fixture(scope="module")
def speech():
    """Five seconds of a voice that glides, swells and pauses, with breath between: several blocks of frames."""
    rng = np.random.default_rng(0)
    t = np.arange(5 * RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(2 * np.pi * 0.7 * t)) / RATE_HZ
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.sin(2 * np.pi * 1.3 * t).clip(0)
    breath = 0.2 * rng.standard_normal(t.size) * np.sin(2 * np.pi * 2.9 * t).clip(0) ** 2
    return (0.05 * (voice + breath + 0.001 * rng.standard_normal(t.size))).astype(np.float32)


@pytest.fixture(scope="module")
def centred(speech):
    return speech - speech.mean()


@pytest.fixture(scope="module")
def framed(centred):
    return librosa.util.frame(centred, frame_length=WINDOW, hop_length=HOP, axis=0)


@pytest.fixture(scope="module")
def magnitude(centred):
    """(n_bins, T) as librosa's functions take it."""
    return np.abs(librosa.stft(centred, n_fft=WINDOW, hop_length=HOP, center=False))


@pytest.fixture(scope="module")
def features(speech):
    return lld.extract(speech, CONFIG)


def entropy_bits(energies):
    shares = energies / energies.sum(axis=1, keepdims=True)
    return -(shares * np.log2(shares + 1e-12)).sum(axis=1)


def test_there_are_34_columns_with_names_of_their_own(features):
    assert features.shape == (199, 34)
    assert len(set(lld.NAMES)) == len(lld.NAMES) == 34


def test_all_34_are_alive(features):
    spread = features.std(axis=0) / np.abs(features).max(axis=0)
    assert dict(zip(lld.NAMES, spread > 0.01, strict=True)) == dict.fromkeys(lld.NAMES, True)


def test_no_two_columns_are_the_same(features):
    correlation = np.corrcoef(features.T) - np.eye(34)
    assert np.abs(correlation).max() < 0.999


def test_zero_crossings_are_librosas(features, framed):
    crossings = librosa.zero_crossings(framed, pad=False, zero_pos=True, threshold=0, axis=1).sum(axis=1)
    np.testing.assert_allclose(column(features, "zcr"), crossings / (WINDOW - 1), rtol=1e-6)


def test_zero_is_on_the_positive_side():
    features = lld.extract(np.tile(np.float32([0.1, 0.0, 0.1, -0.2]), 200), CONFIG)
    assert column(features, "zcr")[0] == pytest.approx(399 / 799)


def test_energy_is_the_square_of_librosas_rms(features, centred):
    rms = librosa.feature.rms(y=centred, frame_length=WINDOW, hop_length=HOP, center=False)[0]
    np.testing.assert_allclose(column(features, "energy"), rms**2, rtol=1e-4)


def test_the_entropy_of_energy_is_that_of_ten_pieces(features, framed):
    energies = (framed.astype(np.float64).reshape(-1, 10, 80) ** 2).sum(axis=2)
    np.testing.assert_allclose(column(features, "energy_entropy"), entropy_bits(energies), atol=1e-3)


def test_the_centroid_is_librosas(features, magnitude):
    expected = librosa.feature.spectral_centroid(S=magnitude, sr=RATE_HZ)[0] / (RATE_HZ / 2)
    np.testing.assert_allclose(column(features, "spectral_centroid"), expected, atol=1e-5)


def test_the_spread_is_librosas_bandwidth(features, magnitude):
    expected = librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE_HZ)[0] / (RATE_HZ / 2)
    np.testing.assert_allclose(column(features, "spectral_spread"), expected, atol=1e-4)


def test_the_spectral_entropy_is_that_of_ten_equal_bands(features, magnitude):
    energies = (magnitude.T[:, 1:].astype(np.float64) ** 2).reshape(-1, 10, 40).sum(axis=2)
    np.testing.assert_allclose(column(features, "spectral_entropy"), entropy_bits(energies), atol=1e-3)


def test_the_flux_is_the_squared_distance_of_normalised_spectra(features, magnitude):
    shape = magnitude.T.astype(np.float64) / magnitude.T.sum(axis=1, keepdims=True)
    expected = (np.diff(shape, axis=0) ** 2).sum(axis=1)
    np.testing.assert_allclose(column(features, "spectral_flux"), [0, *expected], atol=1e-6)


def test_the_rolloff_is_librosas_on_power(features, magnitude):
    expected = librosa.feature.spectral_rolloff(S=magnitude**2, sr=RATE_HZ, roll_percent=0.90)[0] / (RATE_HZ / 2)
    np.testing.assert_allclose(column(features, "spectral_rolloff"), expected, atol=1e-6)


def test_the_rolloff_is_right_where_the_share_is_reached_at_the_very_end_of_a_group():
    rng = np.random.default_rng(0)
    power = np.zeros((2000, 401))
    power[:, :60] = rng.random((2000, 60))
    power[:, 61] = power.sum(axis=1) / 9  # so that bins 0 to 59, three groups, hold nine tenths
    frequencies = np.arange(401, dtype=np.float32)
    found = lld._rolloff(power.astype(np.float32), frequencies)
    assert set(found.tolist()) <= {59.0, 60.0, 61.0}  # rounding decides which of the neighbours


def test_the_mfcc_are_librosas_in_bels(features, magnitude):
    bands = librosa.feature.melspectrogram(S=magnitude**2, sr=RATE_HZ, n_mels=40, fmin=65)
    expected = librosa.feature.mfcc(S=librosa.power_to_db(bands, top_db=None), n_mfcc=13).T / 10
    np.testing.assert_allclose(features[:, 8:21], expected, atol=1e-3)


@pytest.mark.parametrize("semitone", range(12))
def test_each_note_lights_up_its_own_chroma_in_every_octave(semitone):
    for octave in (1, 2, 4):
        hz = 440 * octave * 2 ** (semitone / 12)
        note = np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
        chroma = lld.extract(note, CONFIG)[:, 21:33].mean(axis=0)
        assert chroma.argmax() == semitone
        assert chroma[semitone] > 0.5


def test_hum_has_no_chroma():
    hum = np.sin(2 * np.pi * 20 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    voice = 0.05 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    assert column(lld.extract(hum + voice, CONFIG), "chroma_1").min() > 0.5


def test_chroma_sum_to_one_and_the_last_column_is_their_deviation(features):
    chroma = features[:, 21:33]
    np.testing.assert_allclose(chroma.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(column(features, "chroma_std"), chroma.std(axis=1), atol=1e-6)


def test_deltas_are_the_change_since_the_frame_before(speech, features):
    with_deltas = lld.extract(speech, dataclasses.replace(CONFIG, deltas=True))
    np.testing.assert_array_equal(with_deltas[:, :34], features)
    np.testing.assert_array_equal(with_deltas[1:, 34:], np.diff(features, axis=0))
    assert not with_deltas[0, 34:].any()


@pytest.mark.parametrize("block_samples", [800, 5000, 10**6])
def test_blocks_leave_no_seam(speech, features, monkeypatch, block_samples):
    monkeypatch.setattr(dsp, "_BLOCK_SAMPLES", block_samples)
    np.testing.assert_allclose(lld.extract(speech, CONFIG), features, atol=1e-4)


def test_a_constant_offset_changes_nothing(speech, features):
    np.testing.assert_allclose(lld.extract(speech + np.float32(0.25), CONFIG), features, atol=0.02)


def test_silence_is_zero_and_its_mfcc_the_floor():
    silent = lld.extract(np.zeros(RATE_HZ, np.float32), CONFIG)
    assert not np.delete(silent, range(8, 21), axis=1).any()
    np.testing.assert_allclose(silent[:, 8], -10 * np.sqrt(40), rtol=1e-6)
    np.testing.assert_allclose(silent[:, 9:21], 0, atol=1e-4)


def test_a_click_has_its_energy_in_one_piece_and_all_of_its_spectrum():
    click = np.zeros(WINDOW, np.float32)
    click[WINDOW // 2] = 1.0
    features = lld.extract(click, CONFIG)
    assert column(features, "energy_entropy")[0] < 0.1
    assert column(features, "spectral_entropy")[0] == pytest.approx(np.log2(10), abs=1e-3)


def test_a_window_that_ten_does_not_divide_works(speech):
    config = lld.Config(window_s=0.0507)
    features = lld.extract(speech, config)
    frames = librosa.util.frame(speech - speech.mean(), frame_length=811, hop_length=HOP, axis=0)
    np.testing.assert_allclose(column(features, "energy"), (frames**2).mean(axis=1), rtol=1e-4)
    assert column(features, "energy_entropy").max() <= np.log2(10) + 1e-6
