import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sercli.audio import reading
from sercli.errors import AudioError

RATE_HZ = 16_000


def tone(n_samples, rate_hz=RATE_HZ, peak=0.3):
    return peak * np.sin(2 * np.pi * 220 * np.arange(n_samples) / rate_hz)


def write(path, signal=None, rate_hz=RATE_HZ, **kwargs):
    soundfile.write(path, tone(RATE_HZ) if signal is None else signal, rate_hz, **kwargs)
    return path


def wav_bytes(claimed_bytes, content, rate_hz=RATE_HZ):
    """A 16-bit mono WAV whose header claims some number of bytes."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    riff = min(claimed_bytes + 36, 0xFFFFFFFF)
    return b"RIFF%bWAVEfmt %bdata%b%b" % (struct.pack("<I", riff), form, struct.pack("<I", claimed_bytes), content)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_sample_format_gives_the_same_sound(tmp_path, subtype):
    signal = reading.read(write(tmp_path / "a.wav", subtype=subtype), sample_rate_hz=RATE_HZ)
    assert signal.dtype == np.float32
    np.testing.assert_allclose(signal, tone(RATE_HZ), atol=0.01)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff", "au", "caf", "w64"])
def test_every_container_gives_the_same_sound(tmp_path, suffix):
    signal = reading.read(write(tmp_path / f"a.{suffix}"), sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(signal[800:-800], tone(RATE_HZ)[800:-800], atol=0.03)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "caf", "w64"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_sixteen_bits_are_scaled_as_libsndfile_does(tmp_path, suffix, n_channels):
    signal = np.random.default_rng(0).integers(-(2**15), 2**15, (1000, n_channels), np.int16, endpoint=False)
    signal[:2] = [[-(2**15)] * n_channels, [2**15 - 1] * n_channels]
    path = write(tmp_path / f"a.{suffix}", signal, subtype="PCM_16")
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
    np.testing.assert_array_equal(reading.read(path, sample_rate_hz=RATE_HZ), expected)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_every_rate_is_resampled_to_the_one_asked_for(tmp_path, rate_hz):
    path = write(tmp_path / "a.wav", tone(rate_hz, rate_hz), rate_hz)
    signal = reading.read(path, sample_rate_hz=RATE_HZ)
    assert signal.shape == (RATE_HZ,)
    np.testing.assert_allclose(signal[800:-800], tone(RATE_HZ)[800:-800], atol=0.005)


def test_channels_are_averaged(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([tone(800), -tone(800) / 2], axis=1))
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), tone(800) / 4, atol=1e-4)


def test_a_clip_of_a_twentieth_of_a_second_is_read(tmp_path):
    assert reading.read(write(tmp_path / "a.wav", tone(800)), sample_rate_hz=RATE_HZ).shape == (800,)


def test_a_single_sample_at_a_high_rate_stays_one_sample(tmp_path):
    path = write(tmp_path / "a.wav", np.array([0.5]), 96_000)
    assert reading.read(path, sample_rate_hz=8_000).shape == (1,)


def test_a_recording_longer_than_a_block_is_read_whole(tmp_path):
    path = write(tmp_path / "a.wav", tone(50 * 8_000, 8_000), 8_000)
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=8_000), tone(50 * 8_000, 8_000), atol=1e-4)


def test_a_recording_is_described_by_content_and_length(tmp_path):
    first = reading.inspect(write(tmp_path / "a.wav", np.zeros((4_000, 2)), 8_000))
    second = reading.inspect(write(tmp_path / "b.wav", np.zeros((4_000, 2)), 8_000))
    other = reading.inspect(write(tmp_path / "c.wav", np.ones((4_000, 2)), 8_000))
    assert first.duration_s == 0.5
    assert first.digest == second.digest != other.digest


def test_the_length_is_told_without_decoding(tmp_path):
    assert reading.duration_s(write(tmp_path / "a.flac", tone(12_000))) == 0.75


def test_a_stretch_is_cut_out(tmp_path):
    signal = reading.read(write(tmp_path / "a.wav"), sample_rate_hz=RATE_HZ, start_s=0.25, end_s=0.5)
    np.testing.assert_allclose(signal, tone(RATE_HZ)[4_000:8_000], atol=1e-4)


def test_a_stretch_without_an_end_goes_to_the_end(tmp_path):
    assert reading.read(write(tmp_path / "a.wav"), sample_rate_hz=RATE_HZ, start_s=0.75).shape == (4_000,)


@pytest.mark.parametrize(
    ("start_s", "end_s", "between"),
    [
        (2.0, None, "2 s and its end"),
        (1.0, 1.5, "1 s and 1.5 s"),
        (0.5, 0.5, "0.5 s and 0.5 s"),
        (0.6, 0.5, "0.6 s and 0.5 s"),
        (None, 0.0, "0 s and 0 s"),
        (-1.0, None, "-1 s and its end"),
    ],
)
def test_a_stretch_outside_of_the_recording_is_refused_with_its_length(tmp_path, start_s, end_s, between):
    path = write(tmp_path / "a.wav")
    with pytest.raises(AudioError) as caught:
        reading.read(path, sample_rate_hz=RATE_HZ, start_s=start_s, end_s=end_s)
    expected = f"{path} is 1.00 s long and holds no samples between {between}; correct start_s and end_s, which are"
    assert str(caught.value) == f"{expected} seconds."


def nothing(path):
    return path


def folder(path):
    path.mkdir()
    return path


def empty(path):
    path.touch()
    return path


def header_only(path):
    return write(path, np.zeros(0))


def truncated(path):
    return cut(write(path), 0.6)


def truncated_by_a_byte(path):
    path.write_bytes(write(path).read_bytes()[:-1])
    return path


def text(path):
    path.write_text("This is not a recording.\n" * 50)
    return path


def not_a_number(path):
    return write(path, np.where(np.arange(RATE_HZ) == 5, np.nan, tone(RATE_HZ)), subtype="FLOAT")


def infinite(path):
    return write(path, np.where(np.arange(RATE_HZ) == 5, np.inf, tone(RATE_HZ)), subtype="FLOAT")


def one_sample_a_second(path):
    path.write_bytes(wav_bytes(2_000, bytes(2_000), rate_hz=1))
    return path


BAD = [
    (nothing, "wav", "cannot be read: No such file or directory; check the path."),
    (folder, "wav", "is a folder; give a recording."),
    (empty, "wav", "is empty (0 bytes); record or export it again."),
    (header_only, "wav", "holds no samples (length 0 s); record or export it again."),
    (
        truncated,
        "wav",
        "is truncated: its header promises 32000 bytes, the file holds 19182; copy or export it again.",
    ),
    (
        truncated_by_a_byte,
        "wav",
        "is truncated: its header promises 32000 bytes, the file holds 31999; copy or export it again.",
    ),
    (
        truncated,
        "aiff",
        "is truncated: its header promises 32008 bytes, the file holds 19186; copy or export it again.",
    ),
    (truncated, "au", "is truncated: its header promises 32000 bytes, the file holds 19190; copy or export it again."),
    (truncated, "flac", "is damaged or truncated (flac decoder lost sync); copy or export it again."),
    (text, "wav", "cannot be read as audio (Format not recognised); convert it to WAV or FLAC."),
    (not_a_number, "wav", "holds samples that are not numbers (NaN or infinite); export it again."),
    (infinite, "wav", "holds samples that are not numbers (NaN or infinite); export it again."),
    (one_sample_a_second, "wav", "is damaged: its header says 1 samples a second; copy or export it again."),
]


@pytest.mark.parametrize(("make", "suffix", "message"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_a_bad_recording_is_refused_by_name_with_reason_and_advice(tmp_path, make, suffix, message):
    path = make(tmp_path / f"clip.{suffix}")
    with pytest.raises(AudioError) as inspected:
        reading.inspect(path)
    with pytest.raises(AudioError) as read:
        reading.read(path, sample_rate_hz=RATE_HZ)
    assert str(inspected.value) == str(read.value) == f"{path} {message}"


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_a_truncated_lossy_recording_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 5 * RATE_HZ)
    path = cut(write(tmp_path / f"a.{suffix}", noise), 0.6)
    with pytest.raises(AudioError, match=r"is truncated: .* copy or export it again\.$"):
        reading.inspect(path)


def test_a_file_name_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.wav")
    try:
        path.write_bytes(wav_bytes(1_600, bytes(1_600)))
    except OSError:
        pytest.skip("this file system knows no such names")
    with pytest.raises(AudioError, match=r"has a name that is not UTF-8; rename it\.$"):
        reading.inspect(path)


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_whose_size_is_unknown_is_read(tmp_path, claimed):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(claimed, (tone(RATE_HZ) * 32767).astype("<i2").tobytes()))
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), tone(RATE_HZ), atol=1e-4)
    assert reading.inspect(path).duration_s == 1.0


def test_a_small_file_that_claims_gigabytes_asks_for_no_memory(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(4_000_000_000, bytes(56)))
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match="its header promises 4000000000 bytes, the file holds 56;"):
            reading.read(path, sample_rate_hz=RATE_HZ)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_flac_from_a_pipe_whose_length_is_unknown_is_read(tmp_path):
    path = write(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number of samples in the header becomes 0, for "unknown"
    content[22:26] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), tone(RATE_HZ), atol=1e-4)
    assert reading.duration_s(path) == reading.inspect(path).duration_s == 1.0


def test_a_header_with_many_channels_and_a_high_rate_is_read_in_small_blocks(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros((1, 200)), 1_000_000, subtype="PCM_U8")
    content = path.read_bytes()
    n_bytes = 200 * 300_000
    at = content.index(b"data") + 4
    with path.open("wb") as file:
        file.write(content[:at] + struct.pack("<I", n_bytes))
        file.truncate(at + 4 + n_bytes)
    tracemalloc.start()
    try:
        assert reading.inspect(path).duration_s == 0.3
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


@given(
    n_samples=st.integers(1, 40_000),
    from_hz=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
    block_s=st.floats(0.001, 3.0),
)
def test_the_pieces_of_a_stream_put_together_are_what_read_gives(tmp_path_factory, n_samples, from_hz, block_s):
    noise = np.random.default_rng(n_samples).uniform(-0.5, 0.5, n_samples)
    path = write(tmp_path_factory.mktemp("stream") / "a.wav", noise, from_hz)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_S", block_s)
        pieces = list(reading.stream(path, sample_rate_hz=RATE_HZ))
    assert all(piece.dtype == np.float32 for piece in pieces)
    np.testing.assert_allclose(np.concatenate(pieces), reading.read(path, sample_rate_hz=RATE_HZ), atol=1e-6)


def test_a_stream_is_resampled_as_one_signal_is(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_S", 0.1)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * 44_100).astype(np.float32)
    path = write(tmp_path / "a.wav", noise, 44_100, subtype="FLOAT")
    pieces = list(reading.stream(path, sample_rate_hz=RATE_HZ))
    assert len(pieces) > 20
    expected = soxr.resample(noise, 44_100, RATE_HZ, quality="HQ")
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-4)


def test_the_memory_of_a_stream_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_S", 5.0)
    path = tmp_path / "a.wav"
    half_an_hour = 2 * 30 * 60 * 8_000
    with path.open("wb") as file:  # a hole in the file: zeros that take no room
        file.write(wav_bytes(half_an_hour, b"", 8_000))
        file.truncate(44 + half_an_hour)
    tracemalloc.start()
    try:
        n_samples = sum(len(piece) for piece in reading.stream(path, sample_rate_hz=RATE_HZ))
        assert n_samples == 30 * 60 * RATE_HZ
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_stream_gives_what_lies_before_the_damage_and_then_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_S", 1.0)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 10 * RATE_HZ)
    path = cut(write(tmp_path / "a.flac", noise), 0.6)
    pieces = reading.stream(path, sample_rate_hz=RATE_HZ)
    assert len(next(pieces)) == RATE_HZ
    with pytest.raises(AudioError, match="is damaged or truncated"):
        list(pieces)


def test_a_stream_without_samples_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"holds no samples \(length 0 s\); record or export it again\."):
        list(reading.stream(header_only(tmp_path / "a.wav"), sample_rate_hz=RATE_HZ))


def test_a_recording_that_may_not_be_read_is_told_as_such(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "secret.wav", np.zeros(100), RATE_HZ)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError) as caught:
        reading.read(tmp_path / "secret.wav", sample_rate_hz=RATE_HZ)
    assert str(caught.value) == f"{tmp_path / 'secret.wav'} cannot be read: Permission denied; change its permissions."


def test_a_decoder_that_lands_behind_the_end_is_told_as_damage(tmp_path, monkeypatch):
    # An MP3 with some bytes changed had libsndfile stand behind its last frame: fewer than no frames are left then.
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)

    def behind(self, frames, **options):
        raise ValueError("negative dimensions are not allowed")

    monkeypatch.setattr(soundfile.SoundFile, "read", behind)
    with pytest.raises(AudioError, match=r"a\.wav is damaged or truncated \(negative dimensions are not allowed\)"):
        reading.inspect(tmp_path / "a.wav")
