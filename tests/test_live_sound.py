"""A stream is predicted as it comes in: soon, whole, and in little memory."""

import gc
import time
import tracemalloc
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import soundfile

import sercli
from sercli import groups
from sercli.audio import condition, reading
from sercli.types import Adapted

DEMO = Path(__file__).parents[1] / "data" / "demo" / "audio"
RATE_HZ = 16_000
PAUSE = np.zeros(RATE_HZ, np.float32)


@pytest.fixture(scope="module")
def clips():
    return [reading.read(path, sample_rate_hz=RATE_HZ) for path in sorted(DEMO.glob("[fm]1-*-1.ogg"))]


def blocks_of(clips):
    """Each clip with a second of silence after it, in blocks of 50 ms."""
    for clip in clips:
        yield from np.array_split(np.concatenate([clip, PAUSE]), (len(clip) + len(PAUSE)) // 800)


def test_an_utterance_is_answered_at_the_cost_of_one_clip_once_the_pause_after_it_is_long_enough(clips):
    shipped, taken_s, began_s, costs_s = sercli.load(asr=None), 0.0, 0.0, []

    def blocks():
        nonlocal taken_s, began_s
        for block in blocks_of(clips):
            began_s = time.process_time()
            taken_s += len(block) / RATE_HZ
            yield block

    for found in shipped.stream(blocks(), RATE_HZ):
        costs_s.append(time.process_time() - began_s)
        assert taken_s - found.end_s < 0.75  # so 1 s leaves a quarter of a second for the answer
    alone_s = []
    for clip in clips:
        began_s = time.process_time()
        list(shipped.predict(clip, sample_rate_hz=RATE_HZ))
        alone_s.append(time.process_time() - began_s)
    assert median(costs_s) < 2 * median(alone_s)


def test_nothing_of_a_long_stream_is_lost_and_its_memory_does_not_grow(clips, monkeypatch):
    monkeypatch.setattr(groups, "LIVE", 8)  # full after the first of three times
    monkeypatch.setattr("sercli.audio.isolation._kept", {})  # that of other tests would make room for more now and then
    spoken, at_s = [], 0.0
    for clip in clips:
        spoken.append(at_s + len(clip) / RATE_HZ / 2)
        at_s += (len(clip) + len(PAUSE)) / RATE_HZ
    times, held, found = 3, [], []
    tracemalloc.start()
    for one in sercli.load(asr=None).stream(blocks_of(clips * times), RATE_HZ):
        found.append((one.start_s, one.end_s))
        if len(found) % len(clips) == 0:
            gc.collect()
            # numpy keeps blocks of less than 1 KiB for later; those of sound and features are larger.
            held.append(sum(trace.size for trace in tracemalloc.take_snapshot().traces if trace.size >= 1024))
    tracemalloc.stop()
    middles = [round_ * at_s + middle for round_ in range(times) for middle in spoken]
    assert [sum(start_s < middle < end_s for start_s, end_s in found) for middle in middles] == [1] * len(middles)
    assert len(found) == len(middles)
    assert held[2] - held[1] < 20_000  # bytes


def test_each_utterance_is_adapted_to_those_up_to_itself(clips):
    plain = list(sercli.load(asr=None, adapt="none").stream(blocks_of(clips), RATE_HZ))
    model = sercli.load(asr=None)
    grown = list(model.stream(blocks_of(clips), RATE_HZ))
    assert [one.adapted for one in plain] == [None] * 8
    assert [one.adapted for one in grown] == [None] * 4 + [Adapted("recording", n, "auto") for n in (5, 6, 7, 8)]
    assert grown[5] == groups.Adapter(model.predictor, "auto").adapted(plain[:6], "recording")[5]


@pytest.mark.parametrize("rate_hz", [16_000, 8_000])
def test_a_stream_and_prepare_tell_clipping_and_the_telephones_band_as_predict_does(clips, tmp_path, rate_hz):
    sound = condition.resample(clips[0], RATE_HZ, rate_hz)
    if rate_hz == RATE_HZ:
        sound = sound.clip(-0.3 * sound.max(), 0.3 * sound.max())
    soundfile.write(tmp_path / "a.wav", sound, rate_hz)
    model = sercli.load(asr=None)
    (clip,) = model.predict(tmp_path / "a.wav")
    (first,) = model.stream(np.array_split(np.concatenate([sound, PAUSE]), 20), rate_hz)
    assert len(clip.remarks) == 1
    assert first.remarks == reading.inspect(tmp_path / "a.wav").remarks == clip.remarks
