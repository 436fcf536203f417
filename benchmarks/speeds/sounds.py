"""Made-up recordings: a voice-like sound, different in each, of the length that is asked for."""

from pathlib import Path

import numpy as np
import soundfile

from sercli.types import Array

RATE_HZ = 16_000
_N_VOICES = 64


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
