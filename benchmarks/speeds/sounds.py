"""Recordings to measure with: made-up voices of any length, and those that come with ser, which say words."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from sercli.types import Array

RATE_HZ = 16_000
_N_VOICES = 64
_DEMO = Path(__file__).resolve().parents[2] / "data/demo/audio"
_PAUSE_S = (0.3, 2.0)  # between two clips of a long recording: some are short enough to be one utterance
_BREATH = 10 ** (-66 / 20)  # deviation of the noise in a pause, as in the clips themselves


def voice(seconds: float, seed: int) -> Array:
    """Syllables of a wavering buzz with some breath, pauses between: (n_samples,) float32 at 16 kHz."""
    random = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    moments = np.arange(n) / RATE_HZ
    pitch_hz = random.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 1) * moments))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 5) * moments) + 0.3, 0, None)
    sound = syllables * buzz + 0.02 * random.standard_normal(n)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def write_clips(folder: Path, n: int, *, seconds: float = 4.5) -> list[Path]:
    """16-bit wav files; every 64th has the same sound."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"clip-{i:05d}.wav" for i in range(n)]
    voices = [voice(seconds, i) for i in range(min(n, _N_VOICES))]
    for i, path in enumerate(paths):
        soundfile.write(path, voices[i % _N_VOICES], RATE_HZ, subtype="PCM_16")
    return paths


def link_clips(folder: Path, n: int) -> list[Path]:
    """The clips that come with ser under as many names as are asked for, about 2.3 s each."""
    folder.mkdir(parents=True, exist_ok=True)
    links = [folder / f"{number:05d}.ogg" for number in range(n)]
    for link, clip in zip(links, cycle(_demo_clips()), strict=False):
        link.symlink_to(clip)
    return links


def write_recording(path: Path, *, hours: float) -> None:
    """The same clips one after the other with pauses between, as FLAC, in a different order each time round."""
    n_left = round(hours * 3600 * RATE_HZ)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for piece in _talk():
            file.write(piece[:n_left])
            n_left -= len(piece)
            if n_left <= 0:
                return


def _talk() -> Iterator[Array]:
    """Without end."""
    random = np.random.default_rng(0)
    clips = [soundfile.read(clip, dtype="float32")[0] for clip in _demo_clips()]
    while True:
        for n in random.permutation(len(clips)):
            pause = random.standard_normal(round(random.uniform(*_PAUSE_S) * RATE_HZ)).astype(np.float32)
            yield np.concatenate([clips[n], pause * np.float32(_BREATH)])


def _demo_clips() -> list[Path]:
    return sorted(_DEMO.glob("*.ogg"))
