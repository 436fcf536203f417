"""Frames, windows, spectra and mel bands are what librosa, scipy and plain arithmetic say they are."""

import librosa
import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from sercli.audio import dsp
from sercli.errors import ConfigError

lengths = st.integers(1, 60)


@given(n_samples=st.integers(1, 500), window=lengths, hop=lengths)
def test_frames_are_the_stretches_that_start_a_hop_apart(n_samples, window, hop):
    signal = np.arange(n_samples, dtype=np.float32)
    framed = dsp.frames(signal, window, hop)
    starts = range(0, max(n_samples - window, 0) + 1, hop)
    padded = np.append(signal, np.zeros(window, np.float32))
    assert len(framed) == dsp.count_frames(n_samples, window, hop) == len(starts)
    np.testing.assert_array_equal(framed, [padded[start : start + window] for start in starts])


def test_frames_do_not_copy_the_signal_and_cannot_change_it():
    signal = np.ones(1000, np.float32)
    framed = dsp.frames(signal, 400, 160)
    assert np.shares_memory(framed, signal)
    assert not framed.flags.writeable


def test_frames_of_a_signal_with_gaps_in_memory_are_right():
    signal = np.arange(20, dtype=np.float32)[::2]
    np.testing.assert_array_equal(dsp.frames(signal, 4, 3), [[0, 2, 4, 6], [6, 8, 10, 12], [12, 14, 16, 18]])


@given(n_frames=st.integers(1, 3000), window=st.integers(1, 100_000), multiple_of=st.integers(1, 9))
def test_blocks_follow_on_each_other_and_cover_all_frames(n_frames, window, multiple_of):
    blocks = list(dsp.blocks(n_frames, window, multiple_of=multiple_of))
    assert np.concatenate([np.r_[rows] for rows in blocks]).tolist() == list(range(n_frames))
    assert all((rows.stop - rows.start) % multiple_of == 0 for rows in blocks[:-1])


@given(n_samples=st.integers(1, 500), window=lengths, hop=lengths, n_rows=st.integers(1, 9))
def test_the_frames_of_the_stretches_are_the_frames_of_the_whole(n_samples, window, hop, n_rows):
    signal = np.arange(n_samples, dtype=np.float32)
    whole = dsp.frames(signal, window, hop)
    starts = range(0, len(whole), n_rows)
    stretches = [dsp.stretch(slice(i, min(i + n_rows, len(whole))), window, hop) for i in starts]
    np.testing.assert_array_equal(np.vstack([dsp.frames(signal[s], window, hop) for s in stretches]), whole)


@pytest.mark.parametrize("window", [1, 2, 255, 400])
def test_power_is_the_squared_spectrum_in_float32(window):
    framed = np.random.default_rng(0).standard_normal((7, window)).astype(np.float32)
    power = dsp.power(framed, dsp.hann(window))
    expected = np.abs(np.fft.rfft(framed.astype(np.float64) * dsp.hann(window))) ** 2
    assert power.dtype == np.float32
    np.testing.assert_allclose(power, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("n_samples", [2, 255, 400])
def test_the_window_is_librosas_periodic_hann(n_samples):
    np.testing.assert_allclose(dsp.hann(n_samples), librosa.filters.get_window("hann", n_samples), atol=1e-7)


@pytest.mark.parametrize(("n_in", "n_out"), [(40, 13), (13, 13), (1, 1)])
def test_the_cosine_transform_is_scipys_orthonormal_one(n_in, n_out):
    values = np.random.default_rng(0).standard_normal((5, n_in))
    np.testing.assert_allclose(values @ dsp.dct(n_in, n_out), scipy.fft.dct(values, norm="ortho")[:, :n_out], atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "window", "n_mels", "fmin", "fmax"),
    [
        (16_000, 400, 64, 50.0, None),
        (16_000, 800, 40, 65.0, None),
        (8_000, 200, 20, 0.0, 3500.0),
        (44_100, 1103, 64, 0, None),
    ],
)
def test_mel_bands_are_librosas(rate, window, n_mels, fmin, fmax):
    expected = librosa.filters.mel(sr=rate, n_fft=window, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_allclose(dsp.mel_filterbank(rate, window, n_mels, fmin, fmax), expected.T, atol=1e-8)


@given(hz=st.floats(0, 50_000))
def test_mel_and_hz_are_inverse(hz):
    assert float(dsp.mel_to_hz(dsp.hz_to_mel(hz))) == pytest.approx(hz, rel=1e-9, abs=1e-9)


def test_a_product_in_pieces_is_the_product(monkeypatch):
    monkeypatch.setattr(dsp, "_ONE_THREAD_PRODUCT", 100)
    values, matrix = np.random.default_rng(0).random((23, 6)), np.random.default_rng(1).random((6, 5))
    out = np.empty((23, 5))
    dsp.multiply(values, matrix, out=out)
    np.testing.assert_allclose(out, values @ matrix)


def test_shared_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        dsp.hann(400)[0] = 1


def test_decibels_have_a_floor():
    np.testing.assert_allclose(dsp.decibels(np.array([0.0, 1e-12, 1.0, 100.0])), [-100, -100, 0, 20])


def test_less_than_one_sample_is_refused():
    with pytest.raises(
        ConfigError, match=r"feature\.hop_s=1e-05 is less than one sample: .*16000 it must be 6\.3e-05 or more"
    ):
        dsp.frame_samples(0.025, 1e-5, 16_000)


def test_mel_edges_above_half_the_sample_rate_are_refused():
    with pytest.raises(ConfigError, match=r"feature\.fmin_hz=50 with fmax_hz=5000 .* fmax_hz <= 4000, half of .*=8000"):
        dsp.mel_filterbank(8_000, 200, 20, 50.0, 5000.0)


def test_mel_edges_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match=r"feature\.fmin_hz=3000 with fmax_hz=2000 leaves no mel bands"):
        dsp.mel_filterbank(8_000, 200, 20, 3000.0, 2000.0)


def test_mel_bands_that_would_always_be_empty_are_refused():
    with pytest.raises(
        ConfigError, match=r"of 200 mel bands have no FFT bin with a window of 400 samples .* lower n_mels"
    ):
        dsp.mel_filterbank(16_000, 400, 200, 50.0, None)
