"""Reading recordings: any file that libsndfile decodes, checked, mono, resampled and level-normalised."""

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sercli.errors import AudioError
from sercli.types import Array, AudioConfig

SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".voc"),
    }
)
NO_SPEECH_DBFS = -60.0  # a recording whose loudest stretch stays below holds no speech

_BLOCK_S = 20.0  # files are read in blocks, so that a header that lies about its length cannot ask for memory
_FRAME_S = 0.05  # level is measured on frames of this length
_ACTIVE_DB = 30.0  # frames within this range below the loudest one count as speech
_FLOOR_POWER = 1e-12  # -120 dBFS
_RATES_HZ = range(1_000, 1_000_001)  # outside of these a header is damaged, and resampling could ask for any memory
_N_SAMPLES_MAX = 2**40  # no recording is as long; what claims to be was written to a pipe or is damaged
# How libsndfile's log tells, for one format or another, that a file is shorter than its header says.
_CUT = re.compile(r"\b(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")


@dataclass(frozen=True)
class AudioFacts:
    """What a readable recording is."""

    digest: str  # BLAKE2b over the file's bytes
    duration_s: float
    sample_rate_hz: int
    n_channels: int


def inspect(path: Path) -> AudioFacts:
    """Decode the whole file once, so that a broken one is found before any work is done with it.

    Raises:
        AudioError: missing, empty, truncated, not audio, or with samples that are not numbers; the message names the
            file and what to do.
    """
    with _open(path) as file:
        n_samples = sum(len(block) for block in _blocks(file, path, 0, None))
        rate, channels = file.samplerate, file.channels
    if n_samples == 0:
        raise AudioError(f"{path} holds no samples (length 0 s); record or export it again.")
    with path.open("rb") as raw:
        digest = hashlib.file_digest(raw, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return AudioFacts(digest, n_samples / rate, rate, channels)


def duration_s(path: Path) -> float:
    """Length by the file's header, without decoding it.

    Raises:
        AudioError: as `inspect`, as far as the header tells.
    """
    with _open(path) as file:
        return float(file.frames / file.samplerate)


def read(path: Path, *, sample_rate_hz: int, start_s: float | None = None, end_s: float | None = None) -> Array:
    """Read a recording, or a stretch of it, as one channel.

    Returns:
        (n_samples,) float32 in [-1, 1] at `sample_rate_hz`; channels are averaged.

    Raises:
        AudioError: missing, empty, truncated, not audio, or the stretch lies outside the file.
    """
    with _open(path) as file:
        rate, whole_s = file.samplerate, file.frames / file.samplerate
        first = round((start_s or 0.0) * rate)
        n_frames = None if end_s is None else round(end_s * rate) - first
        mono = [block.mean(axis=1) for block in _blocks(file, path, first, n_frames)]
    signal = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    if not len(signal):
        if whole_s == 0:
            raise AudioError(f"{path} holds no samples (length 0 s); record or export it again.")
        to = "its end" if end_s is None else f"{end_s:g} s"
        raise AudioError(
            f"{path} holds no samples between {start_s or 0.0:g} s and {to}, it is {whole_s:.2f} s long; "
            "correct start_s and end_s."
        )
    return _resample(signal, rate, sample_rate_hz)


def prepare_signal(signal: Array, config: AudioConfig) -> Array:
    """Bring the active speech to the level that the configuration asks for; silence stays as it is.

    Loudness tells the microphone's gain before it tells the emotion: in RAVDESS anger is 14 dB over neutral.
    """
    level = speech_level_dbfs(signal, sample_rate_hz=config.sample_rate_hz)
    if config.level_dbfs is None or level < NO_SPEECH_DBFS:
        return signal
    scaled: Array = signal * np.float32(10 ** ((config.level_dbfs - level) / 20))
    return scaled


def speech_level_dbfs(signal: Array, *, sample_rate_hz: int = 16_000) -> float:
    """Root mean square level of the 50 ms frames within 30 dB of the loudest, in dB relative to full scale.

    >>> round(speech_level_dbfs(np.ones(16000, np.float32)), 1)
    0.0
    """
    n = max(1, round(_FRAME_S * sample_rate_hz))
    usable = len(signal) - len(signal) % n
    frames = signal[:usable].reshape(-1, n) if usable else signal[None]
    power = np.einsum("tn,tn->t", frames, frames, dtype=np.float64) / frames.shape[1]
    active = power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)]
    return float(10 * np.log10(active.mean() + _FLOOR_POWER))


def is_silent(signal: Array, *, sample_rate_hz: int = 16_000) -> bool:
    """Whether the loudest stretch is too faint to be speech.

    A constant offset is no sound: many sound cards add one, and 8-bit silence at 127 of 255 is one of -42 dB.
    """
    return speech_level_dbfs(signal - signal.mean(), sample_rate_hz=sample_rate_hz) < NO_SPEECH_DBFS


def find(paths: list[Path]) -> list[Path]:
    """The recordings that paths name: a file is itself, a folder all audio below it, in sorted order.

    Raises:
        AudioError: a path does not exist, or a folder holds no audio.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(filter(_is_recording, path.rglob("*")))
            if not below:
                raise AudioError(f"{path} holds no audio files ({', '.join(sorted(SUFFIXES))}).")
            found += below
        elif path.exists():
            found.append(path)
        else:
            raise AudioError(f"{path} does not exist; check the path.")
    return list(dict.fromkeys(found))


def _is_recording(path: Path) -> bool:
    """By its name alone; the `._*` twins that macOS leaves in archives are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith("._") and path.is_file()


@contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file for reading, with each way to fail named."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise AudioError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; give a recording.")
        path.open("rb").close()  # libsndfile would say "System error" of a file that may not be read
    except PermissionError:
        raise AudioError(f"{path} cannot be read: Permission denied; change its permissions.") from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}; check the path.") from None
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes); record or export it again.")
    try:
        file = soundfile.SoundFile(path)
    except UnicodeEncodeError:
        raise AudioError(f"{path} has a name that is not UTF-8; rename it.") from None
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise AudioError(
            f"{path} is not audio that can be read ({_reason(error)}); convert it to WAV or FLAC."
        ) from None
    with file:
        _check_header(file, path)
        yield file


def _check_header(file: soundfile.SoundFile, path: Path) -> None:
    """Refuse what the header gives away.

    Libsndfile quietly shortens a file whose header claims more sound than it has; only its log tells.
    """
    for claimed, present in _CUT.findall(file.extra_info):
        if int(claimed) > int(present) and not _is_unknown_size(int(claimed)):
            raise AudioError(
                f"{path} is truncated: its header promises {claimed} bytes, the file holds {present}; "
                "copy or export it again."
            )
    if "Junk after the last page" in file.extra_info:
        raise AudioError(f"{path} is truncated: it ends in the middle of a page; copy or export it again.")
    if file.samplerate not in _RATES_HZ:
        raise AudioError(
            f"{path} is damaged: its header says {file.samplerate} samples a second; copy or export it again."
        )
    if file.frames > _N_SAMPLES_MAX:
        raise AudioError(f"{path} does not tell its length, as if written to a pipe; convert it to WAV.")


def _is_unknown_size(n_bytes: int) -> bool:
    """Whether a size stands for "not known": programs that write to a pipe put the largest number there, or one near.

    >>> [_is_unknown_size(n) for n in (0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFF000, 4_000_000_000)]
    [True, True, True, False]
    """
    return n_bytes < 2**32 and n_bytes & 0x7FFFF000 == 0x7FFFF000


def _reason(error: Exception) -> str:
    """What libsndfile says, without the punctuation around it."""
    text = str(getattr(error, "error_string", error))
    return text.strip().removeprefix("Error : ").rstrip(".")


def _blocks(file: soundfile.SoundFile, path: Path, first: int, n_frames: int | None) -> Iterator[Array]:
    """Yield (n, channels) float32 blocks from frame `first` on; short reads of exact formats are truncation.

    Raises:
        AudioError: damaged, truncated, or with samples that are not numbers.
    """
    block = max(1, int(_BLOCK_S * file.samplerate))
    promised = file.frames
    if not 0 <= first < promised:
        return
    left = n_frames if n_frames is not None else promised - first
    try:
        if first:
            file.seek(first)
        while left > 0:
            part = file.read(min(block, left), dtype="float32", always_2d=True)
            if not len(part):
                break
            left -= len(part)
            if not np.isfinite(part).all():
                raise AudioError(f"{path} holds samples that are not numbers (NaN or infinite); export it again.")
            yield part
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} is damaged or truncated ({_reason(error)}); copy or export it again.") from None
    if n_frames is None and left > _tolerance(file):
        raise AudioError(
            f"{path} is truncated: {promised / file.samplerate:.2f} s promised, "
            f"{(promised - left) / file.samplerate:.2f} s found; copy or export it again."
        )


def _tolerance(file: soundfile.SoundFile) -> float:
    """How many frames less than promised are no sign of truncation: any number, where the promise is an estimate."""
    if file.format == "MP3":
        counted = re.search(r"bitrate mode\s*: variable", file.extra_info)  # tells of a Xing header, which counts
        return 4 * 1152 if counted else math.inf
    return 0 if file.format in {"FLAC", "WAV", "WAVEX", "AIFF"} else math.inf


def _resample(signal: Array, from_hz: int, to_hz: int) -> Array:
    if from_hz == to_hz:
        return signal
    import soxr

    resampled: Array = soxr.resample(signal, from_hz, to_hz, quality="HQ").astype(np.float32, copy=False)
    # A few samples at a high rate can become none at a low one: a recording is never less than one sample.
    return resampled if len(resampled) else signal[:1]
