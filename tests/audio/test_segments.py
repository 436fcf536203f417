import subprocess
import sys
import tracemalloc
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import DEMO, RATE_HZ, clip, silence

from sercli.audio import condition, isolation, reading, segments, silero
from sercli.errors import SerError

FRAME = 512  # samples
PAD = 1_600


@pytest.fixture(scope="module")
def talk():
    """A minute and a quarter: clips with pauses of many lengths between them, over a little noise."""
    rng = np.random.default_rng(0)
    parts = []
    for n, path in enumerate(sorted(DEMO.glob("*-neutral-*.ogg"))[:24]):
        parts += [reading.read(path, sample_rate_hz=RATE_HZ), silence((0.05, 0.2, 0.4, 0.9, 2.5)[n % 5])]
    signal = np.concatenate(parts)
    return (signal + 1e-4 * rng.standard_normal(len(signal))).astype(np.float32)


# What is no speech: instruments that are played, machines that hum.


def seconds(length):
    return np.arange(round(length * RATE_HZ)) / RATE_HZ


def noise(length, slope=0.0):
    """Noise whose power falls with the frequency to the power of `slope`: 0 white, 1 pink, 2 brown."""
    n = round(length * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(n).standard_normal(n))
    return np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 20) ** (-slope / 2), n)


def tone(hz, length, n_harmonics=1):
    return sum(np.sin(2 * np.pi * hz * k * seconds(length)) / k for k in range(1, n_harmonics + 1))


def struck(key, length=1.2):
    """A piano, more or less."""
    t = seconds(length)
    return tone(440 * 2 ** ((key - 69) / 12), length, 8) * np.exp(-3 * t) * np.minimum(1, t / 0.01)


def plucked(key, length=1.2):
    """A string, by Karplus and Strong."""
    rng = np.random.default_rng(key)
    period = rng.uniform(-1, 1, round(RATE_HZ / (440 * 2 ** ((key - 69) / 12))))
    out = []
    for _ in range(round(length * RATE_HZ) // len(period)):
        out.append(period)
        period = 0.498 * (period + np.roll(period, 1))
    return np.concatenate(out)


def played(instrument, chords, step):
    out = np.zeros(round((len(chords) * step + 2) * RATE_HZ))
    for n, chord in enumerate(chords):
        for key in chord:
            sound = instrument(key)
            out[round(n * step * RATE_HZ) :][: len(sound)] += sound
    return out


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
CHORDS = [(48, 55, 64), (53, 60, 69), (55, 62, 71), (48, 60, 64)] * 3
NO_SPEECH = {
    "silence": silence(5),
    "white noise": noise(5),
    "pink noise": noise(5, 1),
    "brown noise": noise(5, 2),
    "noise that swells": noise(8) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * seconds(8))),
    "hum of 50 Hz": tone(50, 5, 6),
    "hum of 60 Hz": tone(60, 5, 6),
    **{f"tone of {hz} Hz": tone(hz, 5) for hz in (60, 100, 150, 220, 440, 1_000, 3_500)},
    "beep": np.concatenate([silence(1), tone(1_000, 0.4), silence(1)]),
    "beeps": np.tile(np.concatenate([tone(800, 0.2), silence(0.5)]), 8),
    "sweep": np.sin(2 * np.pi * (100 + 380 * seconds(5)) * seconds(5)),
    "click": np.eye(1, 2 * RATE_HZ, RATE_HZ)[0],
    "drums": played(lambda _: noise(0.5) * np.exp(-30 * seconds(0.5)), [(0,)] * 24, 0.25),
    "piano scale": played(struck, [(key,) for key in SCALE * 3], 0.3),
    "piano chords": played(struck, CHORDS, 0.8),
    "piano arpeggios": played(struck, [(key,) for chord in CHORDS * 2 for key in chord], 0.15),
    "guitar scale": played(plucked, [(key,) for key in SCALE * 3], 0.3),
    "guitar chords": played(plucked, CHORDS, 0.8),
    "guitar arpeggios": played(plucked, [(key,) for chord in CHORDS * 2 for key in chord], 0.15),
    "10 ms of noise": noise(0.01),
    "10 ms of a tone": tone(200, 0.01),
    "constant": np.full(2 * RATE_HZ, 0.3),
    "one sample": np.ones(1),
    "nothing": np.zeros(0),
}


def at_peak(signal, peak):
    largest = np.abs(signal).max(initial=0)
    return (signal / largest * peak if largest else signal).astype(np.float32)


@pytest.mark.parametrize("peak", [0.003, 0.05, 0.7])
@pytest.mark.parametrize("name", NO_SPEECH)
def test_silence_noise_and_music_are_no_speech(name, peak):
    signal = at_peak(NO_SPEECH[name], peak)
    assert isolation.speech_share(signal) == 0.0


@pytest.mark.parametrize("name", [name for name in NO_SPEECH if name not in {"one sample", "nothing"}])
def test_silence_noise_and_music_hold_no_utterances(name):
    assert list(segments.segments([at_peak(NO_SPEECH[name], 0.5)])) == []


def test_clips_of_the_demo_are_speech():
    clips = sorted(DEMO.glob("*.ogg"))[::4]
    shares = [isolation.speech_share(reading.read(path, sample_rate_hz=RATE_HZ)) for path in clips]
    assert len(shares) == 48
    assert min(shares) > 0.4
    assert max(shares) <= 1


def test_speech_is_found_at_every_level_and_with_an_offset():
    signal = clip("f1-neutral-1")
    share = isolation.speech_share(signal)
    for gain in (0.01, 0.1, 3.0):
        assert isolation.speech_share(np.clip(signal * np.float32(gain), -1, 1)) == pytest.approx(share, abs=0.05)
    assert isolation.speech_share(signal + np.float32(0.2)) == pytest.approx(share, abs=0.02)


def test_the_share_is_that_of_the_clip():
    signal = clip("f1-neutral-1")
    alone = isolation.speech_share(signal)
    among = isolation.speech_share(np.concatenate([silence(2), signal, silence(4)]))
    assert among == pytest.approx(alone * len(signal) / (len(signal) + 6 * RATE_HZ), abs=0.03)


def test_a_word_is_enough():
    word = clip("m1-neutral-1")[round(0.5 * RATE_HZ) : round(0.95 * RATE_HZ)]
    assert isolation.speech_share(word)


@pytest.mark.parametrize(
    ("n_speech", "n_frames", "is_speech"), [(6, 50, False), (7, 50, True), (7, 100, False), (8, 100, True)]
)
def test_a_fifth_of_a_second_is_speech_if_it_is_a_twelfth_of_the_sound(monkeypatch, n_speech, n_frames, is_speech):
    before = np.zeros(isolation.LEAD_FRAMES)
    probs = np.concatenate([before, np.where(np.arange(n_frames) < n_speech, 0.6, 0.4), [0.0]])
    monkeypatch.setattr("sercli.audio.isolation._kept", {})
    monkeypatch.setattr(silero.SpeechDetector, "probabilities", lambda self, signal: probs)
    sound = np.resize(np.array([0.1, -0.1], np.float32), n_frames * FRAME)
    sound[0] = 0.3  # the peak, so that the first frame begins with the sound
    assert (isolation.speech_share(sound) > 0) is is_speech
    probs = np.concatenate([probs, np.zeros(200)])  # silence around it counts for nothing
    assert (isolation.speech_share(np.concatenate([sound, np.zeros(200 * FRAME, np.float32)])) > 0) is is_speech


def test_a_voice_over_music_is_speech():
    music = at_peak(NO_SPEECH["piano chords"], 0.02)
    voice = clip("f2-neutral-2")
    assert isolation.speech_share(music[: len(voice)] + voice)


# The network.


PACKAGE = Path(find_spec("silero_vad").origin).parent


def by_the_package(signal):
    """Its model for torch, frame by frame."""
    path = PACKAGE / "data" / "silero_vad.jit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.load(str(path))
    frames = torch.from_numpy(signal[: len(signal) // 512 * 512]).view(-1, 1, 512)
    with torch.inference_mode():
        return np.array([float(model(frame, RATE_HZ)) for frame in frames])


@pytest.mark.parametrize("gain", [0.1, 1.0, 20.0])
def test_the_network_is_the_packages_own(gain):
    parts = [clip("f1-anger-1"), silence(0.5), at_peak(NO_SPEECH["guitar scale"], 0.3), clip("m2-sadness-3")]
    signal = np.concatenate(parts) * np.float32(gain)
    expected = by_the_package(signal)
    assert expected.min() < 0.01
    assert expected.max() > 0.9
    np.testing.assert_allclose(silero.SpeechDetector().probabilities(signal)[: len(expected)], expected, atol=1e-4)


def test_the_network_remembers_from_piece_to_piece():
    signal = np.concatenate([clip("f1-anger-1"), clip("m2-sadness-3")])
    whole = silero.SpeechDetector().probabilities(signal)
    detector = silero.SpeechDetector()
    pieces = [detector.probabilities(piece) for piece in np.split(signal, [512, 512, 3 * 512, 40 * 512])]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)
    detector.reset()
    np.testing.assert_allclose(detector.probabilities(signal), whole, atol=1e-5)
    assert np.abs(detector.probabilities(signal) - whole).max() > 0.01


def test_hours_are_heard_as_minutes_are():
    signal = np.tile(clip("f1-anger-1"), 20)[: 1_100 * 512]
    whole = silero.SpeechDetector().probabilities(signal)
    detector = silero.SpeechDetector()
    pieces = [detector.probabilities(piece) for piece in np.split(signal, 11)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_speech_is_detected_without_torch():
    code = (
        "import sys, numpy; from sercli.audio import isolation; "
        "isolation.speech_share(numpy.random.default_rng(0).standard_normal(16000).astype('f')); "
        "print([n for n in ('torch', 'silero_vad', 'av', 'safetensors', 'faster_whisper') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretends that the package is installed in a folder, with the model that is written there."""

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr("importlib.util.find_spec", lambda _: Spec)
    (tmp_path / "data").mkdir()
    silero._session.cache_clear()
    yield tmp_path / "data" / "silero_vad_16k_sequence.onnx"
    silero._session.cache_clear()


@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_a_damaged_model_is_refused_with_what_to_do(installed, share):
    if share is not None:
        content = (PACKAGE / "data" / installed.name).read_bytes()
        installed.write_bytes(content[: int(len(content) * share)])
    expected = r"The speech detector .*silero_vad_16k_sequence\.onnx cannot be loaded \(.*\); run: pip install --force"
    with pytest.raises(SerError, match=expected):
        silero.SpeechDetector()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    silero._session.cache_clear()
    with pytest.raises(SerError) as caught:
        isolation.speech_share(np.ones(RATE_HZ, np.float32) * np.resize([1, -1], RATE_HZ).astype(np.float32))
    assert str(caught.value) == "The speech detector is not installed; run: pip install silero-vad==6.2.3"


# Utterances.


def test_an_utterance_is_where_it_was_spoken():
    signal = clip("f1-neutral-1")
    (found,) = segments.segments([np.concatenate([silence(3), signal, silence(2)])])
    spoken = np.flatnonzero(np.abs(signal) > 0.02) / RATE_HZ + 3
    assert found.start_s == pytest.approx(spoken[0], abs=0.2)
    assert found.end_s == pytest.approx(spoken[-1], abs=0.25)


def test_an_utterance_is_given_as_recorded_without_offset_and_rumble(talk):
    for found in segments.segments([talk]):
        start, end = round(found.start_s * RATE_HZ), round(found.end_s * RATE_HZ)
        assert found.signal.dtype == np.float32
        np.testing.assert_array_equal(found.signal, condition.without_rumble(talk[start:end]))


@pytest.mark.parametrize("disturbance", ["offset", "rumble"])
def test_offset_and_rumble_do_not_change_where_utterances_are(talk, disturbance):
    added = 0.05 if disturbance == "offset" else 0.02 * np.sin(2 * np.pi * 10 * np.arange(len(talk)) / RATE_HZ)
    clean, disturbed = (list(segments.segments([x])) for x in (talk, (talk + added).astype(np.float32)))
    assert [(a.start_s, a.end_s) for a in clean] == [(a.start_s, a.end_s) for a in disturbed]
    for before, after in zip(clean, disturbed, strict=True):
        np.testing.assert_allclose(after.signal, before.signal, atol=2e-3)


def test_an_utterance_begins_with_the_sound_that_the_detector_missed(monkeypatch):
    missed = 10  # frames of a shout
    monkeypatch.setattr(
        silero.SpeechDetector,
        "probabilities",
        lambda self, signal: np.array(
            [np.abs(frame).max() > 0.3 for frame in signal[: len(signal) // FRAME * FRAME].reshape(-1, FRAME)],
            np.float32,
        ),
    )
    monkeypatch.setattr(segments, "gain", lambda *_: np.float32(1))
    tone = np.sin(2 * np.pi * 200 * np.arange(60 * FRAME) / RATE_HZ).astype(np.float32)
    tone[: missed * FRAME] *= 0.25
    tone[missed * FRAME :] *= 0.5
    (found,) = segments.segments([np.concatenate([silence(2), tone, silence(2)])])
    assert found.start_s == pytest.approx(2 - 0.1, abs=0.05)


def test_utterances_follow_each_other_and_cover_what_is_said(talk):
    found = list(segments.segments([talk]))
    assert len(found) >= 12
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    assert all(1.0 <= one.end_s - one.start_s <= 10.0 for one in found)
    assert found[-1].end_s <= len(talk) / RATE_HZ
    loud = np.abs(talk) > 0.02
    covered = sum(loud[round(one.start_s * RATE_HZ) : round(one.end_s * RATE_HZ)].sum() for one in found)
    assert covered > 0.98 * loud.sum()


@settings(max_examples=20)
@given(st.data())
def test_how_a_recording_is_cut_into_blocks_makes_no_difference(talk, data):
    signal = talk[: 12 * RATE_HZ]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(signal)), max_size=40)))
    found = list(segments.segments(np.split(signal, cuts)))
    expected = list(segments.segments([signal]))
    assert [(one.start_s, one.end_s) for one in found] == [(one.start_s, one.end_s) for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.signal, other.signal)


def test_live_each_utterance_is_found_soon_after_its_end_and_where_it_is_found_in_a_recording(talk):
    given, found = 0, []

    def blocks():
        nonlocal given
        for block in np.array_split(talk, len(talk) // 800):
            given += len(block)
            yield block

    for one in segments.segments(blocks(), live=True):
        found.append((one.start_s, one.end_s))
        assert given == len(talk) or given / RATE_HZ - one.end_s < 0.75
    recorded = list(segments.segments([talk]))
    for one in recorded:
        assert any(start_s < one.start_s + 0.1 and one.end_s - 0.1 < end_s for start_s, end_s in found)
    assert 0 <= len(recorded) - len(found) <= 1  # a pause of just about half a second


def test_a_faint_recording_has_the_utterances_of_a_loud_one(talk):
    loud = [(one.start_s, one.end_s) for one in segments.segments([talk])]
    faint = [(one.start_s, one.end_s) for one in segments.segments([talk * np.float32(0.01)])]
    assert len(faint) == len(loud)
    np.testing.assert_allclose(faint, loud, atol=0.15)


@pytest.mark.parametrize("name", ["f1-neutral-1", "m2-neutral-3", "f2-neutral-2"])
def test_a_din_does_not_hide_the_faint_voice_after_it(name):
    faint = clip(name) * np.float32(0.02)
    recording = np.concatenate([at_peak(noise(4), 0.9), silence(1), faint, silence(1)])
    found = [one for one in segments.segments([recording]) if one.start_s > 4.5]
    assert sum(one.end_s - one.start_s for one in found) > 0.7 * len(faint) / RATE_HZ


@pytest.mark.parametrize(
    ("levels", "heard"),
    [
        ([0], [-10]),  # damped by so much and no more
        ([-20], [-26]),
        ([-70], [-26]),
        ([-70, -40, -70], [-26, -26, -54]),  # after a voice, 2 dB are forgotten in 2 s
        ([0, -60], [-10, -58]),  # a din is no voice
    ],
)
def test_sound_is_brought_to_the_level_that_is_heard_best(monkeypatch, levels, heard):
    monkeypatch.setattr(silero.SpeechDetector, "probabilities", lambda self, signal: signal)
    wave = np.resize(np.array([1, -1], np.float32), 64 * FRAME)
    detector = segments._LevelledDetector()
    found = [
        condition.speech_level_dbfs(detector.probabilities(wave * np.float32(10 ** (level / 20)))) for level in levels
    ]
    assert found == pytest.approx(heard, abs=0.2)


def test_what_was_said_before_a_silence_is_forgotten():
    loud = at_peak(clip("f1-neutral-1"), 0.9)[: 64 * FRAME]
    again, anew = segments._LevelledDetector(), segments._LevelledDetector()
    again.probabilities(loud)
    for detector in (again, again, anew):  # the first has the end of the sound in it
        detector.probabilities(silence(64 * FRAME / RATE_HZ))
    np.testing.assert_array_equal(again.probabilities(loud), anew.probabilities(loud))


def test_a_recording_without_samples_has_no_utterances():
    assert list(segments.segments([])) == []
    assert list(segments.segments([silence(0), silence(0)])) == []


def test_a_recording_that_ends_in_a_word_gives_it():
    signal = clip("f1-neutral-1")
    whole = signal[: round(1.2 * RATE_HZ)]
    (found,) = segments.segments([whole])
    assert found.end_s == len(whole) / RATE_HZ


def test_memory_does_not_grow_with_the_length():
    part = np.concatenate([clip("f1-neutral-1"), silence(0.3), clip("m1-neutral-2")])

    def peak(n_parts):
        tracemalloc.start()
        try:
            n_found = sum(1 for _ in segments.segments(part for _ in range(n_parts)))
            assert n_found > n_parts / 3
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(40) < 1.5 * peak(10)


# Cutting, by the probabilities alone; times in samples.


def spans(*stretches):
    """The utterances that are found in stretches of (number of frames, probability)."""
    probs = np.concatenate([np.full(n, p, np.float32) for n, p in stretches])
    cutter = segments._Cutter(segments.PAUSE_S)
    return [*cutter.push(probs), *cutter.finish()]


def test_speech_begins_above_one_half_and_ends_below_a_third():
    assert spans((20, 0.49)) == []
    assert spans((10, 0.0), (20, 0.51), (20, 0.36), (20, 0.3)) == [(10 * FRAME - PAD, 50 * FRAME + PAD)]


def test_what_is_shorter_than_a_quarter_of_a_second_is_dropped():
    assert spans((30, 0.0), (7, 0.9), (30, 0.0)) == []
    assert spans((30, 0.0), (8, 0.9), (30, 0.0)) == [(30 * FRAME - PAD, 38 * FRAME + PAD)]


def test_a_pause_of_half_a_second_ends_an_utterance():
    assert len(spans((40, 0.9), (15, 0.0), (40, 0.9))) == 1
    apart = spans((40, 0.9), (16, 0.0), (40, 0.9))
    assert apart == [(0, 40 * FRAME + PAD), (56 * FRAME - PAD, 96 * FRAME + PAD)]


def test_a_shorter_pause_ends_an_utterance_where_it_is_asked_for():
    turns = np.concatenate([part for name in ("f1-anger-1", "m1-anger-1") for part in (clip(name), silence(0.2))])
    (both,) = segments.segments([turns])
    first, second = segments.segments([turns], pause_s=segments.TURN_S)
    assert both.start_s == first.start_s < first.end_s < second.start_s < second.end_s == both.end_s


def test_a_long_utterance_is_cut_at_its_longest_pause():
    found = spans((60, 0.9), (14, 0.0), (100, 0.9), (10, 0.0), (100, 0.9), (8, 0.0), (50, 0.9))
    assert found == [(0, 60 * FRAME + PAD), (74 * FRAME - PAD, 342 * FRAME + PAD)]


def test_of_pauses_of_one_length_the_last_is_taken():
    found = spans((60, 0.9), (10, 0.0), (100, 0.9), (10, 0.0), (160, 0.9))
    assert found == [(0, 170 * FRAME + PAD), (180 * FRAME - PAD, 340 * FRAME + PAD)]


def test_a_part_of_hardly_any_speech_is_dropped_from_a_long_utterance():
    found = spans(*[(2, 0.9), (14, 0.0)] * 2, (2, 0.9), (15, 0.0), (280, 0.9))
    assert found == [(49 * FRAME - PAD, 329 * FRAME + PAD)]


def test_pads_share_a_short_pause():
    first, second = spans((200, 0.9), (3, 0.0), (200, 0.9))
    assert first[1] == second[0] == round(201.5 * FRAME)


def test_speech_without_a_pause_is_cut_where_it_is_least_probable():
    first, second = spans((150, 0.95), (5, 0.6), (200, 0.95))
    assert first[1] == second[0]
    assert 150 <= first[1] / FRAME <= 155


def test_no_part_is_shorter_than_a_second_even_where_a_pause_lies_there():
    found = spans((20, 0.9), (14, 0.0), (290, 0.9))
    assert min(end - start for start, end in found) >= RATE_HZ
    found = spans((290, 0.9), (14, 0.0), (20, 0.9))
    assert min(end - start for start, end in found) >= RATE_HZ


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1, width=32)), max_size=30))
def test_utterances_are_ordered_apart_and_of_bearable_length(stretches):
    n_frames = sum(n for n, _ in stretches)
    found = spans((0, 0.0), *stretches)
    assert all(0 <= start < end for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert all(end - start <= 10 * RATE_HZ for start, end in found)
    assert not found or found[-1][1] <= n_frames * FRAME + PAD
    for n, (start, end) in enumerate(found):
        if end - start < RATE_HZ:  # alone: half a second of pause on either side, of which the pads take some
            assert n == 0 or start - found[n - 1][1] >= 16 * FRAME - 2 * PAD
            assert n == len(found) - 1 or found[n + 1][0] - end >= 16 * FRAME - 2 * PAD


@given(st.lists(st.floats(0, 1, width=32), max_size=2_000), st.integers(1, 50))
def test_frames_may_come_in_any_portions(probs, size):
    cutter = segments._Cutter(segments.PAUSE_S)
    found = []
    for at in range(0, len(probs), size):
        found += cutter.push(np.array(probs[at : at + size], np.float32))
    assert [*found, *cutter.finish()] == spans((0, 0.0), *((1, p) for p in probs))
