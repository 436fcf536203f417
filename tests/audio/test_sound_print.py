import numpy as np
import pytest
import soundfile

from sercli.audio.reading import inspect
from sercli.audio.sound_print import EDGE, HOP_S, Printer

RATE_HZ = 16_000
NOISE = (0.2 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)).clip(-1, 1)


def written(tmp_path, name, signal=NOISE, rate_hz=RATE_HZ, **options):
    soundfile.write(tmp_path / name, signal, rate_hz, **options)
    return inspect(tmp_path / name)


def test_wav_flac_and_aiff_of_one_sound_have_one_print_and_different_bytes(tmp_path):
    samples = (NOISE * 32767).astype(np.int16)
    found = [written(tmp_path, f"a.{suffix}", samples) for suffix in ("wav", "flac", "aiff")]
    assert len({one.sound for one in found}) == 1
    assert len({one.digest for one in found}) == 3


def test_a_sample_more_is_another_digest_and_another_level_has_the_same_words(tmp_path):
    whole, shorter = written(tmp_path, "a.wav").sound, written(tmp_path, "b.wav", NOISE[:-1]).sound
    softer = written(tmp_path, "c.wav", NOISE / 4, subtype="FLOAT").sound
    assert len({whole.digest, shorter.digest, softer.digest}) == 3
    same = np.frombuffer(whole.words, "<u4") == np.frombuffer(softer.words, "<u4")
    assert same.mean() > 0.8


@pytest.mark.parametrize("rate_hz", [1_000, 44_100, 1_000_000])
def test_the_print_is_that_of_the_blocks_together_at_any_rate(rate_hz):
    signal = np.random.default_rng(1).standard_normal(2 * rate_hz).astype(np.float32)
    whole, pieces = Printer(rate_hz), Printer(rate_hz)
    whole.add(signal)
    for block in np.array_split(signal, 7):
        pieces.add(block)
    assert whole.finish() == pieces.finish()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025])
def test_words_of_a_long_sound_are_those_of_its_stretches(rate_hz):
    signal = np.random.default_rng(1).standard_normal(34 * rate_hz).astype(np.float32)
    whole, part = Printer(rate_hz), Printer(rate_hz)
    whole.add(signal)
    part.add(signal[16 * rate_hz : 32 * rate_hz])
    words = np.frombuffer(whole.finish().words, "<u4")
    assert len(words) == pytest.approx(34 / HOP_S - EDGE, abs=3)
    found = np.frombuffer(part.finish().words, "<u4")
    assert np.mean(words[round(16 / HOP_S) :][: len(found)] == found) > 0.99


@pytest.mark.parametrize("signal", [np.zeros(RATE_HZ), NOISE[: RATE_HZ // 4], NOISE[:1]])
def test_silence_and_very_short_sounds_have_no_words(tmp_path, signal):
    assert not any(written(tmp_path, "a.wav", signal).sound.words)


@pytest.mark.filterwarnings("error")
def test_a_sound_beyond_all_levels_has_the_words_of_its_softer_copy(tmp_path):
    loud, soft = (
        written(tmp_path, "a.wav", NOISE * 2.0**100, subtype="FLOAT"),
        written(tmp_path, "b.wav", NOISE, subtype="FLOAT"),
    )
    assert loud.sound.words == soft.sound.words
