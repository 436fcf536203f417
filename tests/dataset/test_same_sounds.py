from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr

from sercli.audio.reading import inspect
from sercli.corpora import demo
from sercli.dataset import same_sounds
from sercli.dataset.audio_index import IndexedAudio
from sercli.types import Split, Utterance

CLIPS = sorted((demo.default_root() / "audio").glob("*"))
CLIP = CLIPS[0]


def indexed(path):
    facts = inspect(path)
    return IndexedAudio(path.name, 1, 1, facts.digest, facts.duration_s, facts.sound)


def grouped(*paths):
    """The groups of recordings, one utterance each."""
    index = {path.name: indexed(path) for path in paths}
    utterances = [Utterance(n, "c", "anger", audio=n, duration_s=one.duration_s) for n, one in index.items()]
    return same_sounds.groups(utterances, index)


def resampled(signal, rate_hz, to_hz):
    return soxr.resample(signal, rate_hz, to_hz), to_hz


COPIES = {
    "a.flac": lambda x, hz: ((x, hz), {}),
    "8k.wav": lambda x, hz: (resampled(x, hz, 8_000), {}),
    "44k.wav": lambda x, hz: (resampled(x, hz, 44_100), {}),
    "softer.wav": lambda x, hz: ((0.1 * x, hz), {}),
    "louder.wav": lambda x, hz: ((1.5 * x, hz), {}),  # clipped
    "later.wav": lambda x, hz: ((np.concatenate([np.zeros(hz // 20), x]), hz), {}),
    "a.ogg": lambda x, hz: ((x, hz), {"compression_level": 0.8}),
    "a.mp3": lambda x, hz: ((x, hz), {"compression_level": 0.5}),
    "44k.mp3": lambda x, hz: (resampled(x, hz, 44_100), {"compression_level": 0.5}),
    "telephone.wav": lambda x, hz: (resampled(x, hz, 8_000), {"subtype": "ULAW"}),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_known(tmp_path, name):
    signal, rate_hz = soundfile.read(CLIP)
    (copy, copy_hz), options = COPIES[name](signal, rate_hz)
    soundfile.write(tmp_path / name, copy, copy_hz, **options)
    assert grouped(CLIP, tmp_path / name) == ((CLIP.name, name),)


def test_no_two_clips_of_a_corpus_are_the_same():
    assert grouped(*CLIPS) == ()


def test_what_prints_cannot_see_is_another_speed_and_an_excerpt(tmp_path):
    signal, rate_hz = soundfile.read(CLIP)
    soundfile.write(tmp_path / "faster.wav", signal, round(1.1 * rate_hz))
    soundfile.write(tmp_path / "excerpt.wav", signal[rate_hz // 2 :], rate_hz)
    assert grouped(CLIP, tmp_path / "faster.wav", tmp_path / "excerpt.wav") == ()


def test_a_short_sound_is_known_by_its_samples_alone(tmp_path):
    noise = np.random.default_rng(0).integers(-9999, 9999, 1600, dtype=np.int16)
    for name, signal in (("a.wav", noise), ("b.flac", noise), ("c.wav", noise // 2)):
        soundfile.write(tmp_path / name, signal, 16_000)
    assert grouped(*sorted(tmp_path.iterdir())) == (("a.wav", "b.flac"),)


def test_many_recordings_are_compared_as_few_are(monkeypatch):
    index = [indexed(path) for path in CLIPS[:12]]
    copies = [replace(one, path=f"copy-{one.path}") for one in index]
    references = [same_sounds.reference(one) for one in copies]
    monkeypatch.setattr(same_sounds, "_BLOCK", 5)
    assert sorted(same_sounds.alike(index, references)) == [(n, n) for n in range(12)]


@pytest.mark.parametrize(
    ("stretches", "same"),
    [
        ([(0, 4), (0, 4)], (("u0", "u1"),)),
        ([(0, 4), (1, 5)], (("u0", "u1"),)),
        ([(0, 4), (3, 7)], ()),
        ([(0, 4), (4, 8)], ()),
        ([(0, 9), (2, 4)], (("u0", "u1"),)),
    ],
)
def test_stretches_of_one_recording_are_the_same_if_they_overlap_by_half(stretches, same):
    utterances = [
        Utterance(f"u{n}", "c", "joy", audio=CLIP.name, start_s=start, end_s=end, duration_s=end - start)
        for n, (start, end) in enumerate(stretches)
    ]
    assert same_sounds.groups(utterances, {CLIP.name: indexed(CLIP)}) == same


def test_a_stretch_of_a_long_recording_is_the_clip_that_was_cut_from_it(tmp_path):
    clips = [soundfile.read(path)[0] for path in CLIPS[:12]]
    rate_hz = soundfile.info(CLIP).samplerate
    soundfile.write(tmp_path / "long.flac", np.concatenate(clips), rate_hz)
    ends = np.cumsum([len(clip) / rate_hz for clip in clips])
    index = {path.name: indexed(path) for path in (*CLIPS[:12], tmp_path / "long.flac")}
    cut = [Utterance(p.name, "c", "joy", audio=p.name, duration_s=index[p.name].duration_s) for p in CLIPS[:12]]
    stretches = [
        Utterance(
            f"u{n}", "c", "joy", audio="long.flac", start_s=end - u.duration_s, end_s=end, duration_s=u.duration_s
        )
        for n, (u, end) in enumerate(zip(cut, ends, strict=True))
    ]
    assert same_sounds.groups([*cut, *stretches], index) == tuple((u.id, f"u{n}") for n, u in enumerate(cut))
    repeated = [replace(stretches[0], id=f"v{n}", start_s=n, end_s=n + 1.5, duration_s=1.5) for n in (0, 2, 4)]
    assert same_sounds.groups(repeated, index) == ()


def test_a_sound_crosses_where_it_is_in_two_parts():
    split = Split(("a", "b"), ("c",), ("d",), "speakers", "speaker", 1, 3, 0)
    same = [("a", "b"), ("a", "d"), ("b", "a", "c"), ("b", "dropped")]
    assert same_sounds.crossing(same, split) == ("a = d", "b = c")
    assert same_sounds.named(["a = d"] * 4) == "4 sounds (a = d, a = d, a = d, ...)"
