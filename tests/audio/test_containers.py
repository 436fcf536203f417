import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
from make_containers import RATE_HZ, cut, encode, tone

from sercli.audio import discovery, reading
from sercli.errors import AudioError

# suffix, options of `encode`; the last are what phones, browsers, cameras and old programs write
KINDS = [
    ("m4a", {"codec": "aac"}),
    ("m4a", {"codec": "alac"}),
    ("mp4", {"codec": "aac", "video": "mpeg4"}),
    ("mov", {"codec": "pcm_s16le", "video": "mpeg4"}),
    ("3gp", {"codec": "aac"}),
    ("webm", {"codec": "libopus"}),
    ("webm", {"codec": "libopus", "video": "libvpx"}),
    ("webm", {"codec": "opus"}),
    ("mkv", {"codec": "flac", "video": "mpeg4"}),
    ("mka", {"codec": "pcm_f32le"}),
    ("aac", {"codec": "aac", "form": "adts"}),
    ("ac3", {"codec": "ac3"}),
    ("wma", {"codec": "wmav2", "form": "asf"}),
    ("avi", {"codec": "mp2", "video": "mpeg4"}),
    ("mp3", {"codec": "libmp3lame"}),
    ("mp2", {"codec": "mp2"}),
    ("opus", {"codec": "libopus"}),
    ("ogg", {"codec": "libvorbis"}),
    ("flac", {"codec": "flac"}),
    ("wv", {"codec": "wavpack"}),
    ("mp4", {"codec": "aac", "options": {"movflags": "frag_keyframe+empty_moov"}}),
    ("webm", {"codec": "libopus", "options": {"live": "1"}}),
]


def kind_name(value):
    return value if isinstance(value, str) else "-".join(str(v) for v in value.values())


def lag(signal, reference):
    """By how many samples a signal is late."""
    size = len(signal) + len(reference)
    both = np.fft.irfft(np.fft.rfft(signal, size) * np.conj(np.fft.rfft(reference, size)), size)
    best = int(np.argmax(both))
    return best if best < size // 2 else best - size


@pytest.mark.parametrize(("suffix", "kind"), KINDS, ids=kind_name)
def test_every_container_gives_the_sound_that_went_in(tmp_path, suffix, kind):
    path = encode(tmp_path / f"a.{suffix}", **kind)
    signal = reading.read(path, sample_rate_hz=RATE_HZ)
    assert signal.dtype == np.float32
    assert len(signal) == pytest.approx(2 * RATE_HZ, abs=0.05 * RATE_HZ)
    late = lag(signal, tone(2 * RATE_HZ))
    # Where a container does not say how late its codec is, the sound is that much off, in every player.
    assert abs(late) <= (2_500 if suffix in {"ac3", "avi", "mp2", "aac", "wma"} or "movflags" in str(kind) else 1)
    n = 2 * RATE_HZ - 10_000
    np.testing.assert_allclose(signal[5_000 + late :][:n], tone(2 * RATE_HZ)[5_000 : 5_000 + n], atol=0.03)


@pytest.mark.parametrize(("suffix", "kind"), KINDS, ids=kind_name)
def test_the_facts_agree_with_what_is_read(tmp_path, suffix, kind):
    path = encode(tmp_path / f"a.{suffix}", np.stack([tone(96_000), tone(96_000)], axis=1), **kind)
    facts = reading.inspect(path)
    assert facts.duration_s == len(reading.read(path, sample_rate_hz=RATE_HZ)) / RATE_HZ
    assert reading.duration_s(path) == pytest.approx(facts.duration_s, abs=0.05)


def test_a_telephone_recording_is_read(tmp_path):
    path = encode(tmp_path / "a.amr", tone(16_000, 8_000), 8_000, codec="libopencore_amrnb")
    signal = reading.read(path, sample_rate_hz=8_000)
    late = lag(signal, tone(16_000, 8_000))
    assert 0 <= late < 80
    assert np.corrcoef(signal[late + 1_000 :][:14_000], tone(16_000, 8_000)[1_000:15_000])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("codec", "suffix"), [("pcm_u8", "mkv"), ("pcm_s16le", "mkv"), ("pcm_s24le", "mkv"), ("pcm_f64le", "mkv")]
)
def test_every_sample_format_has_the_same_scale(tmp_path, codec, suffix):
    path = encode(tmp_path / f"a.{suffix}", codec=codec)
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), tone(2 * RATE_HZ), atol=0.01)


@pytest.mark.parametrize("n_channels", [2, 6])
def test_channels_are_averaged(tmp_path, n_channels):
    gains = np.linspace(-1, 1, n_channels) + 0.5
    path = encode(tmp_path / "a.mka", tone(96_000)[:, None] * gains, codec="pcm_f32le")
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), tone(96_000) * 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("suffix", "codec", "exact_s"),
    [("m4a", "aac", 0), ("webm", "libopus", 0.001), ("aac", "aac", 0), ("wv", "wavpack", 0)],
)
@pytest.mark.parametrize(("start_s", "end_s"), [(0.1, 0.3), (2.5, 3.0), (3.3, None)])
def test_a_stretch_is_where_it_is_in_the_whole(tmp_path, suffix, codec, exact_s, start_s, end_s):
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ)
    path = encode(tmp_path / f"a.{suffix}", noise, codec=codec, form="adts" if suffix == "aac" else None)
    whole = reading.read(path, sample_rate_hz=RATE_HZ)
    stretch = reading.read(path, sample_rate_hz=RATE_HZ, start_s=start_s, end_s=end_s)
    expected = whole[round(start_s * RATE_HZ) : None if end_s is None else round(end_s * RATE_HZ)]
    shift = lag(stretch, expected)
    assert abs(shift) <= exact_s * RATE_HZ
    assert abs(len(stretch) - len(expected)) <= exact_s * RATE_HZ
    n = min(len(stretch), len(expected)) - abs(shift)
    np.testing.assert_allclose(
        stretch[max(0, shift) :][:n], expected[max(0, -shift) :][:n], atol=0.02 if exact_s else 1e-3
    )


def test_a_stretch_outside_of_the_recording_is_refused_with_its_length(tmp_path):
    path = encode(tmp_path / "a.m4a", codec="aac")
    for start_s, end_s in ((3.0, 4.0), (-1.0, None), (1.0, 0.5)):
        with pytest.raises(AudioError, match=r"is 2\.00 s long and holds no samples between .*; correct start_s and"):
            reading.read(path, sample_rate_hz=RATE_HZ, start_s=start_s, end_s=end_s)


def test_the_first_sound_of_several_is_taken(tmp_path):
    path = tmp_path / "a.mka"
    with audio_container(path) as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono") for _ in range(2)]
        for stream, level in zip(streams, (0.25, -0.5), strict=True):
            container.mux(stream.encode(frame_of(np.full((1, 4_800), level, np.float32))))
            container.mux(stream.encode())
    np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), 0.25, atol=1e-4)


def audio_container(path):
    import av

    return av.open(str(path), "w")


def frame_of(samples):
    import av

    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.rate, frame.pts = RATE_HZ, 0
    return frame


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_where_nothing_was_recorded_there_is_silence(tmp_path, suffix):
    """A call that was on hold: the time stamps jump by a second after the first."""
    codec = "pcm_s16le" if suffix == "mkv" else "libopus"
    path = encode(tmp_path / f"a.{suffix}", codec=codec, starts={RATE_HZ: 2 * RATE_HZ})
    signal = reading.read(path, sample_rate_hz=RATE_HZ)
    assert reading.duration_s(path) == pytest.approx(3.0, abs=0.02)
    assert len(signal) == pytest.approx(3 * RATE_HZ, abs=1000)
    assert np.abs(signal[RATE_HZ + 2_000 : 2 * RATE_HZ - 2_000]).max() < 1e-3
    after, expected = signal[2 * RATE_HZ + 5_000 :][:40_000], tone(2 * RATE_HZ)[53_000:93_000]
    assert abs(lag(after, expected)) <= RATE_HZ / 1_000  # to which the container rounds its time stamps
    assert np.abs(after).max() == pytest.approx(0.3, abs=0.03)


def test_time_stamps_that_jump_by_hours_are_not_believed(tmp_path):
    path = encode(tmp_path / "a.mka", codec="pcm_s16le", starts={RATE_HZ: 90_000 * RATE_HZ}, options={"live": "1"})
    assert len(reading.read(path, sample_rate_hz=RATE_HZ)) == 2 * RATE_HZ


def test_a_film_without_sound_says_so(tmp_path):
    path = encode(tmp_path / "a.mp4", np.zeros(0), codec="aac", video="mpeg4")
    with pytest.raises(AudioError) as caught:
        reading.read(path, sample_rate_hz=RATE_HZ)
    assert str(caught.value) == f"{path} has no audio, only video; give a recording with audio."


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("m4a", {"codec": "aac"}),
        ("m4a", {"codec": "aac", "options": {"movflags": "faststart"}}),
        ("mp4", {"codec": "aac", "video": "mpeg4"}),
        ("mp4", {"codec": "aac", "options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("webm", {"codec": "libopus"}),
        ("mkv", {"codec": "flac", "video": "mpeg4"}),
        ("wv", {"codec": "wavpack"}),
    ],
    ids=kind_name,
)
def test_a_truncated_container_is_refused_by_name(tmp_path, suffix, kind, share):
    noise = 0.1 * np.random.default_rng(0).standard_normal(12 * RATE_HZ)
    path = cut(encode(tmp_path / f"a.{suffix}", noise, **kind), share)
    for look in (reading.inspect, lambda p: reading.read(p, sample_rate_hz=RATE_HZ)):
        with pytest.raises(AudioError) as caught:
            look(path)
        assert str(caught.value).startswith(f"{path} is ")
        assert "truncated" in str(caught.value)
        assert str(caught.value).endswith("; copy or export it again.")


def test_the_last_bytes_are_missed_where_a_container_counts_them(tmp_path):
    path = encode(tmp_path / "a.mov", codec="pcm_s16le", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AudioError) as caught:
        reading.inspect(path)
    assert str(caught.value) == f"{path} is truncated: a packet is incomplete; copy or export it again."


def test_a_stretch_before_the_damage_can_be_read(tmp_path):
    path = cut(encode(tmp_path / "a.webm", tone(8 * RATE_HZ), codec="libopus"))
    assert len(reading.read(path, sample_rate_hz=RATE_HZ, start_s=1, end_s=2)) == RATE_HZ


def test_a_header_that_promises_hours_asks_for_no_memory(tmp_path):
    path = encode(tmp_path / "a.webm", codec="libopus")
    content = path.read_bytes()
    assert content.count(b"00:00:02.") == 1
    path.write_bytes(content.replace(b"00:00:02.", b"99:00:02."))
    tracemalloc.start()
    try:
        with pytest.raises(
            AudioError, match=r"is truncated: 356402\.\d+ s promised, 2\.\d+ s found; copy or export it"
        ):
            reading.read(path, sample_rate_hz=RATE_HZ)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"This is not a recording.\n" * 50,
        b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a\n",
    ],
    ids=["text", "playlist"],
)
def test_what_is_no_recording_is_refused(tmp_path, content):
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        reading.read(path, sample_rate_hz=RATE_HZ)
    expected = f"{path} cannot be read as audio (Format not recognised); convert it to WAV or FLAC."
    assert str(caught.value) == expected


def test_a_playlist_is_not_read_in_place_of_what_it_names(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1_600), RATE_HZ)
    path = tmp_path / "list.m4a"
    path.write_text("ffconcat version 1.0\nfile a.wav\n")
    with pytest.raises(AudioError, match="cannot be read as audio"):
        reading.read(path, sample_rate_hz=RATE_HZ)


def test_damage_in_a_container_that_is_known_is_told_as_damage(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5_000))
    with pytest.raises(
        AudioError, match=r"is damaged, truncated, or joined of several \(.*\); copy or export it again\.$"
    ):
        reading.read(path, sample_rate_hz=RATE_HZ)


def test_samples_that_are_not_numbers_are_refused(tmp_path):
    signal = tone(96_000)
    signal[5] = np.nan
    path = encode(tmp_path / "a.mka", signal, codec="pcm_f32le")
    with pytest.raises(AudioError, match=r"holds samples that are not numbers \(NaN or infinite\); export it again\."):
        reading.read(path, sample_rate_hz=RATE_HZ)


@pytest.mark.parametrize(
    "name", ["ünïcode 録音.m4a", "two words.m4a", "new\nline.m4a", "http:x.m4a", "%d.m4a", "-.m4a"]
)
def test_any_file_name_can_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "plain.m4a", codec="aac").rename(tmp_path / name)
    (path,) = discovery.find([tmp_path])
    assert path.name == name
    assert len(reading.read(path.relative_to(tmp_path), sample_rate_hz=RATE_HZ)) >= 2 * RATE_HZ


def test_a_file_name_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.m4a")
    try:
        encode(tmp_path / "a.m4a", codec="aac").rename(path)
    except OSError:
        pytest.skip("this file system knows no such names")
    with pytest.raises(AudioError, match=r"has a name that is not UTF-8; rename it\.$"):
        reading.inspect(path)


def test_decoding_is_quiet(tmp_path, capfd):
    path = cut(encode(tmp_path / "a.m4a", codec="aac", options={"movflags": "faststart"}))
    with pytest.raises(AudioError):
        reading.read(path, sample_rate_hz=RATE_HZ)
    assert capfd.readouterr() == ("", "")


def test_what_libsndfile_reads_does_not_import_pyav(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(1_600), RATE_HZ)
    code = (
        "import sys; from pathlib import Path; from sercli.audio import reading; "
        f"reading.read(Path({str(tmp_path / 'a.flac')!r}), sample_rate_hz=16000); "
        "print([name for name in ('av', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
