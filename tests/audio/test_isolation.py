import numpy as np
import pytest
from sounds import RATE_HZ, clip, silence

from sercli.audio import condition
from sercli.audio.isolation import isolated, noisy, widened
from sercli.audio.silero import FRAME_SAMPLES

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", params=["f1-neutral-1", "m1-anger-2"])
def spoken(request):
    return clip(request.param)


def noise(seconds, level):
    return (level * RNG.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def close(found, expected):
    """Whether two signals hold the same speech: of lengths within two frames, and alike where they lie best."""
    assert abs(len(found) - len(expected)) <= 2 * FRAME_SAMPLES
    n = min(len(found), len(expected))
    shifts = [np.roll(found, shift)[:n] @ expected[:n] for shift in range(-2 * FRAME_SAMPLES, 2 * FRAME_SAMPLES + 1)]
    return max(shifts) / (np.linalg.norm(found) * np.linalg.norm(expected)) > 0.99


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + np.float32(0.05),
        lambda x: x + np.float32(0.02) * np.sin(2 * np.pi * 10 * np.arange(len(x)) / RATE_HZ).astype(np.float32),
        lambda x: np.concatenate([silence(1), x, silence(2)]),
        lambda x: np.concatenate([noise(1, 3e-4), x, noise(1, 3e-4)]),
    ],
    ids=["offset", "rumble", "silence around", "quiet noise around"],
)
def test_what_nobody_hears_changes_nothing(spoken, change):
    assert close(isolated(change(spoken))[0], isolated(spoken)[0])


def test_speech_in_noise_is_told(spoken):
    said = ["noise or reverberation is nearly as loud as its speech, so that its labels are less sure"]
    level = np.sqrt(np.mean(spoken**2))
    assert noisy(spoken + noise(len(spoken) / RATE_HZ, level)[: len(spoken)]) == said
    assert noisy(spoken) == noisy(spoken + noise(len(spoken) / RATE_HZ, level / 30)[: len(spoken)]) == []
    assert noisy(noise(2, 0.1)) == []


@pytest.mark.parametrize("n_before", [64, 256, 5_000, 16_000])
def test_silence_of_any_length_before_a_clip_leaves_the_cut_where_it_was(spoken, n_before):
    spoken = spoken[np.flatnonzero(np.abs(spoken) > 0.02)[0] :]  # the clip begins with speech
    expected, at_s = isolated(spoken)
    found, later_s = isolated(np.pad(spoken, (n_before, 0)))
    assert later_s == pytest.approx(at_s + n_before / RATE_HZ)
    np.testing.assert_allclose(found[4_000:], expected[4_000:], atol=1e-3)  # the filter of rumble sees another edge


def test_the_time_of_the_first_sample_is_given(spoken):
    (alone, lead_s), (_, later_s) = isolated(spoken), isolated(np.concatenate([silence(3), spoken, silence(1)]))
    assert later_s == pytest.approx(lead_s + 3, abs=0.07)
    assert (alone[:1600] == 0).all()
    assert (alone[-1600:] == 0).all()
    assert alone[1700:2000].any()


def test_speech_is_found_at_other_rates(spoken):
    import soxr

    higher, lead_s = isolated(soxr.resample(spoken, RATE_HZ, 44_100).astype(np.float32), 44_100)
    expected, expected_s = isolated(spoken)
    assert len(higher) / 44_100 == pytest.approx(len(expected) / RATE_HZ, abs=0.07)
    assert lead_s == pytest.approx(expected_s, abs=0.07)


def test_a_signal_without_speech_loses_its_offset_and_rumble_alone():
    signal = noise(1, 0.01) + np.float32(0.1)
    found, lead_s = isolated(signal)
    np.testing.assert_array_equal(found, condition.without_rumble(signal))
    assert lead_s == 0.0


def test_sound_next_to_speech_belongs_to_it_and_sound_apart_does_not():
    level = np.zeros(60, np.float32)
    level[[10, 20, 21, 22, 23, 24, 28, 40]] = 0.3  # frame 28 is within an eighth of a second, 10 and 40 are not
    tone = np.sin(2 * np.pi * 200 * np.arange(60 * FRAME_SAMPLES) / RATE_HZ).astype(np.float32)
    signal = tone * np.repeat(level, FRAME_SAMPLES)
    assert widened(signal, 22, 24, 60) == (20, 29)
    assert widened(signal, 22, 24, 1) == (21, 25)
    assert widened(np.zeros_like(signal), 22, 24, 60) == (22, 24)


def test_a_signal_is_searched_for_speech_once(spoken, monkeypatch):
    signal = spoken * np.float32(0.7)
    found = isolated(signal)
    monkeypatch.setattr("sercli.audio.isolation.SpeechDetector", None)
    again = isolated(signal)
    assert np.array_equal(again[0], found[0])
    assert again[1] == found[1]
