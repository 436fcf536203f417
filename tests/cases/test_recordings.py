"""Recordings as people have them: what ser leaves out, guesses or cannot know of them, it says."""

import re
import struct
from contextlib import suppress

import av
import numpy as np
import pytest
import soundfile
from make_containers import encode

from sercli.audio import channels, reading, soundfiles
from sercli.errors import AudioError

RATE_HZ = 16_000


def noise(seconds, seed=0, level=0.1):
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE_HZ)).astype(np.float32)


def read(path, **stretch):
    """The signal of a recording and the remarks on it."""
    remarks = []
    pieces = list(reading.stream(path, sample_rate_hz=RATE_HZ, remarks=remarks, **stretch))
    return np.concatenate(pieces), remarks


def write(path, signal, **kwargs):
    soundfile.write(path, signal, RATE_HZ, **kwargs)
    return path


def loud_from_s(signal):
    """When the sound begins."""
    return np.flatnonzero(np.abs(signal) > 0.02)[0] / RATE_HZ


# Channels


@pytest.mark.parametrize("other", [-1.0, -0.9, -0.8])
def test_where_channels_cancel_the_loudest_is_used(tmp_path, other):
    voice = noise(2.5)
    found, remarks = read(write(tmp_path / "a.wav", np.stack([other * voice, voice], 1)))
    np.testing.assert_allclose(np.abs(found), np.abs(other * voice if other == -1 else voice), atol=1e-4)
    assert remarks == [f"its channels cancel each other out; channel {1 if other == -1 else 2} of 2 is used there"]


def test_a_hum_or_an_offset_in_all_channels_hides_no_cancelling(tmp_path):
    voice = noise(2.0)
    common = 0.01 + 0.005 * np.sin(np.arange(len(voice)) / 50)
    found, remarks = read(write(tmp_path / "a.wav", np.stack([voice + common, common - voice], 1)))
    np.testing.assert_allclose(found, voice + common, atol=1e-4)
    assert len(remarks) == 1


def test_channels_that_cancel_for_a_while_are_averaged_again_after_it(tmp_path):
    voice = noise(4.0)
    sign = np.where(np.arange(len(voice)) < 2 * RATE_HZ, -1, 1)
    found, remarks = read(write(tmp_path / "a.wav", np.stack([voice, sign * voice], 1)))
    np.testing.assert_allclose(found, voice, atol=1e-4)
    assert remarks == ["its channels cancel each other out; channel 1 of 2 is used there"]


def test_a_silent_channel_does_not_halve_the_others(tmp_path):
    voice = noise(2.0)
    found, remarks = read(write(tmp_path / "a.wav", np.stack([voice, 0 * voice], 1)))
    np.testing.assert_allclose(found, voice, atol=1e-4)
    assert remarks == ["channel 2 of 2 is silent and left out"]


def syllables(seconds, seed):
    """Noise whose level changes eight times a second, as that of speech does."""
    levels = np.random.default_rng(seed).exponential(1, 8 * seconds)
    return noise(seconds, seed) * np.repeat(levels, RATE_HZ // 8).astype(np.float32)


@pytest.mark.parametrize("turns", [True, False])
def test_two_channels_with_a_voice_each_are_told_and_two_microphones_in_a_room_are_not(tmp_path, turns):
    first, second = syllables(8, 1), syllables(8, 2)
    if turns:
        first[4 * RATE_HZ :], second[: 4 * RATE_HZ] = 0, 0
    for bleed, told in ((0.05, True), (0.5, False)):
        call = np.stack([first + bleed * second, second + bleed * first], axis=1)
        _, remarks = read(write(tmp_path / "call.wav", call))
        assert [remark.startswith("its two channels have different sounds") for remark in remarks] == [True] * told


@pytest.mark.parametrize(("level", "told"), [(9, True), (0.3, True), (0.01, False)])
def test_a_channel_of_noise_that_hides_the_voice_in_the_other_is_told(tmp_path, level, told):
    both = 0.1 * np.stack([syllables(8, 1), noise(8, 2, level)], axis=1)
    _, remarks = read(write(tmp_path / "a.wav", both))
    assert [remark.startswith("its two channels have different sounds") for remark in remarks] == [True] * told


@pytest.mark.parametrize(
    ("suffix", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("mkv", "ac3"), ("opus", "libopus")]
)
def test_the_centre_of_a_film_is_used_alone_from_where_it_begins(tmp_path, suffix, codec):
    seconds = np.arange(4 * 48_000) / 48_000
    voice, *music = (0.3 * np.sin(2 * np.pi * hz * seconds) for hz in (500, 330, 440, 40, 550, 660))
    six = np.stack([*music[:2], voice * (seconds >= 2), *music[2:]], 1)
    found, remarks = read(encode(tmp_path / f"film.{suffix}", six, 48_000, codec=codec))
    for start, channel in ((0, np.mean(music, 0)), (3 * RATE_HZ, voice)):
        part = slice(start, start + RATE_HZ // 2)
        assert np.corrcoef(found[part], channel[:: 48_000 // RATE_HZ][part])[0, 1] > 0.9
    (remark,) = remarks
    where = 2 if suffix == "opus" else 3
    assert remark.startswith(f"its centre, channel {where} of 6, has a film's speech and is used alone")


def test_surround_sound_without_a_centre_is_averaged(tmp_path):
    music = np.stack([noise(2, n) for n in range(6)], 1)
    music[:, 2] *= 0.01
    found, remarks = read(encode(tmp_path / "a.flac", music, RATE_HZ, codec="flac"))
    np.testing.assert_allclose(found, music.mean(1), atol=1e-4)
    assert remarks == []


def test_channels_that_differ_are_averaged_without_a_remark(tmp_path):
    both = np.stack([noise(2.0, 1), noise(2.0, 2)], 1)
    found, remarks = read(write(tmp_path / "a.wav", both, subtype="FLOAT"))
    np.testing.assert_allclose(found, both.mean(1), atol=1e-6)
    assert remarks == []


@pytest.mark.parametrize("step", [1_000, 16_000, 40_001])
def test_how_a_signal_is_cut_into_blocks_changes_no_channel(step):
    signal = np.stack([noise(3.3), -noise(3.3), noise(3.3, 5)], 1)
    signal[20_000:, 1] *= -1
    whole = np.concatenate(list(channels.mixed(iter([signal]), RATE_HZ, [])))
    pieces = (signal[at : at + step] for at in range(0, len(signal), step))
    np.testing.assert_array_equal(np.concatenate(list(channels.mixed(pieces, RATE_HZ, []))), whole)


# Times


def film(path, tracks, picture_s, codec="aac"):
    """A film; tracks: (signal (n,) or (2, n) at 48 kHz, when it begins in s, flagged default?)."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        layouts = ["mono" if signal.ndim == 1 else "stereo" for signal, _, _ in tracks]
        streams = [container.add_stream(codec, rate=48_000, layout=layout) for layout in layouts]
        for stream, (_, _, default) in zip(streams, tracks, strict=True):
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
        for _ in range(10 * picture_s):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for stream, layout, (signal, late_s, _) in zip(streams, layouts, tracks, strict=True):
            channels = np.atleast_2d(signal)
            for at in range(0, channels.shape[1], 960):
                frame = av.AudioFrame.from_ndarray(channels[:, at : at + 960].copy(), format="fltp", layout=layout)
                frame.sample_rate, frame.pts = 48_000, round(late_s * 48_000) + at
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def rms(signal):
    return np.sqrt((signal**2).mean())


def sound_48(seconds):
    """A noise that grows, so that a stretch can be told by its level."""
    rise = np.linspace(0.5, 2, round(48_000 * seconds), dtype=np.float32)
    return rise * np.random.default_rng(3).normal(0, 0.1, len(rise)).astype(np.float32)


@pytest.mark.parametrize("late_s", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_track_that_begins_late_keeps_the_times_of_the_film(tmp_path, suffix, late_s):
    path = film(tmp_path / f"a.{suffix}", [(sound_48(3), late_s, True)], 8)
    found, remarks = read(path)
    assert loud_from_s(found) == pytest.approx(late_s, abs=0.05)
    assert reading.inspect(path).duration_s == pytest.approx(late_s + 3, abs=0.06)
    assert reading.duration_s(path) == pytest.approx(late_s + 3, abs=0.06)
    stretch = reading.read(path, sample_rate_hz=RATE_HZ, start_s=late_s + 1, end_s=late_s + 1.5)
    at = round((late_s + 1) * RATE_HZ)
    assert rms(stretch) == pytest.approx(rms(found[at : at + 8_000]), rel=0.03)
    early = reading.read(path, sample_rate_hz=RATE_HZ, start_s=late_s - 0.4, end_s=late_s + 0.4)
    assert loud_from_s(early) == pytest.approx(0.4, abs=0.05)
    assert remarks == []


def test_a_file_of_few_packets_far_apart_makes_little_silence(tmp_path):
    starts = {n * 960: n * 500 * 48_000 for n in range(1, 60)}
    path = encode(tmp_path / "a.mkv", sound_48(1.2), codec="pcm_s16le", starts=starts)
    found, remarks = read(path)
    assert len(found) < 620 * RATE_HZ
    assert remarks == ["its time stamps leap by 8:20 at 8:20; they are not believed, so later times may be too early"]


# Tracks


def talk():
    import soxr

    from sercli.corpora import demo

    root = demo.default_root()
    signal, rate_hz = soundfile.read(next(iter(sorted((root / "audio").glob("*anger*")))), dtype="float32")
    return soxr.resample(signal, rate_hz, 48_000).astype(np.float32)


@pytest.mark.parametrize(
    ("flags", "silent", "track", "why"),
    [
        ((False, True), 0, 2, "flagged default"),
        ((True, False), 0, 2, "the first with speech"),  # programs flag the first track, whatever is in it
        ((False, False), 0, 2, "the first with speech"),
        ((True, True), 1, 1, "the first with speech"),
    ],
)
def test_of_several_tracks_one_with_sound_is_used_and_named(tmp_path, flags, silent, track, why):
    voice = talk()
    sounds = [voice, voice]
    sounds[silent] = np.zeros_like(voice)
    path = film(tmp_path / "a.mkv", [(sound, 0.0, flag) for sound, flag in zip(sounds, flags, strict=True)], 2)
    found, remarks = read(path)
    assert np.abs(found).max() > 0.02
    assert remarks == [f"2 sound tracks: track {track}, {why}, is used; --track N takes another"]
    other, none = read(path, track=silent + 1)
    assert (np.abs(other).max() < 1e-3, none) == (True, [])


def test_ten_minutes_of_a_stereo_track_are_listened_to(tmp_path):
    voice = np.concatenate([np.zeros(40 * 48_000, np.float32), talk()])
    both = np.stack([voice, voice])
    path = film(tmp_path / "a.mkv", [(np.zeros_like(both), 0.0, False), (both, 0.0, False)], 2)
    assert read(path)[1] == ["2 sound tracks: track 2, the first with speech, is used; --track N takes another"]


def test_a_track_that_is_not_there_is_refused(tmp_path):
    path = film(tmp_path / "a.mkv", [(sound_48(1), 0.0, True)] * 2, 1)
    with pytest.raises(AudioError, match=r"a\.mkv has 2 sound tracks, and track 3 is asked for; correct --track\.$"):
        read(path, track=3)
    plain = write(tmp_path / "a.wav", noise(1))
    with pytest.raises(AudioError, match=r"a\.wav has 1 sound track, and track 2 is asked for; leave out --track\.$"):
        read(plain, track=2)
    assert len(read(plain, track=1)[0]) == RATE_HZ


def test_a_broadcast_in_which_another_stream_begins_later_is_refused_in_one_line(tmp_path):
    path = film(tmp_path / "a.ts", [(sound_48(8), 0.0, True)], 8, codec="mp2")
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 376 * 188, len(content), 188):  # packets of the second half
        if content[at + 1 : at + 3] in (b"\x41\x00", b"\x01\x00"):  # the picture, as a stream that was not announced
            content[at + 2] = 0x55
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.ts is damaged, truncated, or joined of several"):
        read(path)


# What a file is


@pytest.mark.parametrize(
    ("suffix", "form", "subtype"),
    [("mp3", None, None), ("ogg", None, "VORBIS"), ("opus", "OGG", "OPUS"), ("flac", None, None)],
)
def test_recordings_joined_byte_by_byte_are_read_to_the_end(tmp_path, capfd, suffix, form, subtype):
    parts = [write(tmp_path / f"{n}.{suffix}", noise(2, n), format=form, subtype=subtype) for n in range(3)]
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    found, remarks = read(joined)
    assert len(found) / RATE_HZ == pytest.approx(6, abs=0.4)
    assert np.sqrt((found[-RATE_HZ:] ** 2).mean()) > 0.05
    assert (remarks, capfd.readouterr().err) == ([], "")


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp3", "libmp3lame"), ("mkv", "pcm_s16le"), ("webm", "libopus"), ("mka", "flac"), ("ts", "aac"), ("aac", "aac")],
)
def test_recordings_of_ffmpeg_joined_byte_by_byte_are_read_to_the_end(tmp_path, suffix, codec):
    path = encode(tmp_path / f"a.{suffix}", codec=codec)
    path.write_bytes(path.read_bytes() * 2)
    found, remarks = read(path)
    assert len(found) / RATE_HZ == pytest.approx(4, abs=0.2)
    assert remarks == []


def test_the_further_parts_of_an_avi_are_no_recording_that_is_left_out(tmp_path):
    path = encode(tmp_path / "a.avi", codec="pcm_s16le")
    further = b"AVIXJUNK" + struct.pack("<I", 4_000) + bytes(4_000)
    path.write_bytes(path.read_bytes() + b"RIFF" + struct.pack("<I", len(further)) + further)
    assert read(path)[1] == []


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "m4a", "flv", "tta"])
def test_what_follows_the_end_of_a_recording_is_counted_and_not_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix in ("m4a", "flv", "tta"):
        encode(path, noise(1), codec="tta" if suffix == "tta" else "aac")
    else:
        write(path, noise(1))
    content, (alone, remarks) = path.read_bytes(), read(path)
    assert remarks == []
    path.write_bytes(content * 2)
    found, remarks = read(path)
    assert remarks == [f"{len(content)} bytes after the end that its header gives are left out (joined, or unfinished)"]
    np.testing.assert_array_equal(found, alone)


def test_the_samples_of_a_caf_without_a_length_are_not_taken_for_its_parts(tmp_path):
    head = b"caff\0\1\0\0" + b"desc" + struct.pack(">q", 32) + bytes(32) + b"data" + struct.pack(">q", -1)
    path = tmp_path / "a.caf"
    path.write_bytes(head + bytes(12 * 100 - 1) + b"caff" + bytes(2_000))
    assert soundfiles.n_bytes_after_end(path, path.read_bytes()[: soundfiles.HEAD_BYTES]) == 0


@pytest.mark.parametrize("seconds", [0.04, 3.01])
@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_recording_whose_length_was_never_written_is_read_to_its_end(tmp_path, claimed, seconds):
    path = write(tmp_path / "a.wav", noise(seconds))
    whole = path.read_bytes()
    size = struct.pack("<I", claimed)
    path.write_bytes(whole[:4] + size + whole[8:40] + size + whole[44:])
    found, remarks = read(path)
    np.testing.assert_allclose(found, noise(seconds), atol=1e-4)
    assert remarks == ["its header gives no length: read to the end of the file, which may be unfinished"]


@pytest.mark.parametrize(
    ("name", "suffix", "codec"),
    [
        ("a.mp3", "aac", "aac"),
        ("a.mp3", "m4a", "aac"),
        ("a.mp3", "ts", "aac"),
        ("a.vox", "mkv", "ac3"),
        ("a.wav", "m4a", "aac"),
        ("a.wav", "mp3", None),
        ("a.mp3", "flac", None),
    ],
)
def test_a_file_is_read_by_what_it_is(tmp_path, capfd, name, suffix, codec):
    path = tmp_path / f"true.{suffix}"
    path = encode(path, sound_48(2), codec=codec) if codec else write(path, noise(2))
    path = path.rename(tmp_path / name)
    assert len(read(path)[0]) / RATE_HZ == pytest.approx(2, abs=0.15)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("suffix", "subtype"), [("ul", "ULAW"), ("al", "ALAW"), ("sw", "PCM_16"), ("mp3", "PCM_16")])
def test_samples_without_a_header_are_refused_whatever_their_name(tmp_path, capfd, suffix, subtype):
    soundfile.write(path := tmp_path / f"a.{suffix}", noise(2), RATE_HZ, subtype, format="RAW")
    with pytest.raises(AudioError, match=r"(has no header, so|cannot be read as audio).*; convert it to WAV or FLAC\."):
        read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("subtype", "first", "last"), [("VORBIS", 0.4, 0.5), ("OPUS", 0.6, 0.601), ("VORBIS", 0.7, 0.7)]
)
def test_an_ogg_with_a_damaged_or_missing_page_is_refused(tmp_path, subtype, first, last):
    path = write(tmp_path / "a.ogg", noise(30), subtype=subtype)
    content = path.read_bytes()
    assert len(read(path)[0]) == 30 * RATE_HZ
    begin, end = int(first * len(content)), int(last * len(content))
    if begin == end:  # a page is lost
        begin = content.index(b"OggS", begin)
        end = content.index(b"OggS", begin + 1)
        path.write_bytes(content[:begin] + content[end:])
    else:
        path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    with pytest.raises(
        AudioError, match=r"a\.ogg is damaged after \d+% of its bytes \(an Ogg page is broken or missing\)"
    ):
        read(path)


def test_an_ogg_that_begins_in_the_middle_of_a_broadcast_is_read(tmp_path):
    path = write(tmp_path / "a.ogg", noise(30), subtype="OPUS")
    pages = re.split(rb"(?=OggS)", path.read_bytes())[1:]
    path.write_bytes(b"".join(pages[:2] + pages[5:]))
    assert 15 * RATE_HZ < len(read(path)[0]) < 29 * RATE_HZ


@pytest.mark.parametrize("at", [200, 2_000, 9_000])
def test_no_library_speaks_of_a_damaged_mp3(tmp_path, capfd, at):
    path = write(tmp_path / "a.mp3", noise(3))
    content = bytearray(path.read_bytes())
    content[at : at + 600] = b"\xff" * 600
    path.write_bytes(content)
    with suppress(AudioError):
        reading.inspect(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 72862\n", "git-lfs pointer"),
        (b"/annex/objects/SHA256E-s31--aa.wav\n", "git-annex pointer"),
        (b"\r\n<!DOCTYPE html>\n<html><title>Sign in</title></html>", "web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "server's message"),
        (b'{"message": "not found"}\n', "server's message"),
        (b"bplist00\xd1\x01\x02_NSURLNameKey", "iCloud placeholder"),
        (bytes(30_000), "never downloaded"),
        (b"", "is empty"),
    ],
)
def test_what_stands_in_for_a_recording_is_named(tmp_path, content, what):
    path = tmp_path / "1001_DFA_ANG_XX.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=what):
        reading.inspect(path)
