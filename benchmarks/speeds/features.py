"""Features against the libraries that people take for them."""

import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sercli import plugins
from sercli._system.files import digest
from sercli.audio import reading
from sercli.dataset import extraction, feature_cache
from sercli.dataset.manifest import Dataset, DatasetInfo, make_manifest
from sercli.types import Array, Utterance
from speeds.pairs import Result, alternate_apart
from speeds.sounds import RATE_HZ, voice, write_clips

CLIP_S = 4.5
N_CLIPS = 2048


def lld(pairs: int) -> list[Result]:
    """34 descriptors of a clip: pyAudioAnalysis with the same frames, its own deltas left out."""
    signal = voice(CLIP_S, 0)
    costs = alternate_apart(partial(_lld_peer, signal), partial(_lld_ours, signal), pairs=pairs, at_least_s=0.1)
    return [Result("`lld` of a clip of 4.5 s, one process", ">= 40", *costs)]


def _config(feature: str) -> Any:
    return plugins.load("feature", feature).Config()


def _lld_peer(signal: Array) -> None:
    from pyAudioAnalysis.ShortTermFeatures import feature_extraction

    config = _config("lld")
    feature_extraction(signal, RATE_HZ, config.window_s * RATE_HZ, config.hop_s * RATE_HZ, deltas=False)


def _lld_ours(signal: Array) -> None:
    extraction.extract_signals([signal], [("lld", _config("lld"))])


def spectrogram(pairs: int) -> list[Result]:
    """The picture of a clip in a wav file: matplotlib's specgram, scikit-image's block_reduce."""
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_clips(Path(folder), 1, seconds=CLIP_S)
        costs = alternate_apart(
            partial(_spectrogram_peer, path), partial(_spectrogram_ours, path), pairs=pairs, at_least_s=0.1
        )
    return [Result("`spectrogram` of a clip of 4.5 s from a wav file", ">= 8", *costs)]


def _spectrogram_peer(path: Path) -> Array:
    from matplotlib import mlab
    from skimage.measure import block_reduce

    config = _config("spectrogram")
    window = config.n_fft_samples
    signal, rate = soundfile.read(path)
    power = mlab.specgram(signal, NFFT=window, Fs=rate, noverlap=window - config.hop_samples)[0][1:]
    levels = 10 * np.log10(block_reduce(power, (1, config.pool_frames), np.mean)[:, : config.n_frames] + 1e-12)
    picture = np.full((config.n_bins, config.n_frames), levels.max() + config.floor_db)
    picture[:, : levels.shape[1]] = np.maximum(levels, levels.max() + config.floor_db)
    return picture.T


def _spectrogram_ours(path: Path) -> None:
    signal = reading.read(path, sample_rate_hz=RATE_HZ)
    extraction.extract_signals([signal], [("spectrogram", _config("spectrogram"))])


def log_mel(pairs: int) -> list[Result]:
    """A folder of clips, read, computed and written: librosa in a loop, after its warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_clips(Path(folder) / "clips", N_CLIPS, seconds=CLIP_S)
        out = Path(folder)
        return [
            Result(
                f"`log-mel` of a folder of {N_CLIPS} clips of 4.5 s, {jobs} job{'s' * (jobs > 1)}",
                aim,
                *alternate_apart(
                    partial(_log_mel_peer, paths, out), partial(_log_mel_ours, paths, out, jobs), pairs=pairs
                ),
                judged=judged,
            )
            for jobs, aim, judged in ((1, ">= 2", "cpu"), (2, ">= 3", "wall"))
        ]


def _log_mel_peer(paths: list[Path], out: Path) -> None:
    import librosa

    config = _config("log-mel")
    window, hop = round(config.window_s * RATE_HZ), round(config.hop_s * RATE_HZ)
    for path in paths:
        signal, rate = soundfile.read(path, dtype="float32")
        power = librosa.feature.melspectrogram(
            y=signal, sr=rate, n_fft=window, hop_length=hop, n_mels=config.n_mels, fmin=config.fmin_hz, center=False
        )
        np.save(out / path.stem, librosa.power_to_db(power, top_db=None).T.astype(np.float16))


def _log_mel_ours(paths: list[Path], out: Path, jobs: int) -> None:
    rows = [Utterance(path.stem, "made-up", "", audio=path.name, digest=digest(path)) for path in paths]
    info = DatasetInfo("made-up", "", str(paths[0].parent), "four", (), "random", 5, "", len(rows), 0.0, ())
    dataset = Dataset(Path(tempfile.mkdtemp(dir=out)), info, make_manifest(rows, ()))
    feature_cache.ensure(dataset, "log-mel", _config("log-mel"), jobs=jobs, progress=unseen)


def unseen(description: str, total: int) -> Any:
    """Progress that nobody is shown."""
    return nullcontext(lambda n: None)
