"""Reading recordings: any file that libsndfile or FFmpeg decodes, checked, mixed to mono and resampled."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sercli._system.files import digest
from sercli.audio import channels, soundfiles
from sercli.audio.condition import resample
from sercli.audio.sound_print import Printer, SoundPrint
from sercli.audio.soundfiles import NO_LENGTH, SoundFile, no_samples
from sercli.errors import AudioError
from sercli.types import SAMPLE_RATE_HZ, Array, Recording

if TYPE_CHECKING:
    from sercli.audio.containers import Container

BLOCK_S = 20.0
"""Files are read in blocks of this length, so that a wrong length in the header cannot exhaust memory."""

_BLOCK_VALUES = 2**22  # largest number of values in a block, whatever rate and channels a header claims
_ROUNDING_S = 0.1  # a stretch may end this long after its recording, because tables round times to tenths
_TELEPHONE_HZ = 8_000  # the lowest rate that people record speech at
RATES_HZ = range(1_000, 1_000_001)  # a rate outside this range means a damaged header; resampling could exhaust memory


@dataclass(frozen=True)
class AudioFacts:
    """The digest, duration and print of a readable recording."""

    digest: str  # BLAKE2b over the file's bytes
    duration_s: float
    sound: SoundPrint
    remarks: tuple[str, ...] = ()  # what is left out, guessed or cannot be known


def inspect(path: Path) -> AudioFacts:
    """Return digest, duration and print of a file, decoded to its end so that damage is found before other work.

    Raises:
        AudioError: missing, empty, truncated, not audio, or with samples that are not numbers; the message names the
            file and what to do.
    """
    from sercli.audio.isolation import distorted

    remarks: list[str] = []
    with _open(path, None, remarks) as source:
        n_samples, rate_hz, printer = 0, source.rate_hz, Printer(source.rate_hz)
        for block in _blocks(source, path, remarks):
            if not n_samples:
                remarks += distorted(resample(block, rate_hz, SAMPLE_RATE_HZ))
            n_samples += len(block)
            printer.add(block)
    if n_samples == 0:
        raise no_samples(path)
    return AudioFacts(digest(path), n_samples / rate_hz, printer.finish(), tuple(remarks))


def duration_s(path: Path, *, track: int | None = None) -> float:
    """Return the duration in the header, or that of the decoded file if the header does not give it.

    Args:
        path: a recording.
        track: as `stream`.

    Raises:
        AudioError: as `inspect`, but only for the part that is read.
    """
    with _open(path, track, []) as source:
        n_frames = source.n_frames
        if n_frames is None:
            n_frames = sum(len(block) for block in _blocks(source, path, []))
        return float(n_frames / source.rate_hz)


def read(
    path: Path,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    start_s: float | None = None,
    end_s: float | None = None,
    track: int | None = None,
) -> Array:
    """Return a recording, or a part of it, as one channel.

    Args:
        path: a recording.
        sample_rate_hz: of the returned signal.
        start_s: where the part begins by the file's own clock; None: at the beginning.
        end_s: where it ends; None: at the end.
        track: as `stream`.

    Returns:
        (n_samples,) float32 in [-1, 1] at `sample_rate_hz`, the channels mixed by `channels.mixed`.

    Raises:
        AudioError: missing, empty, truncated, not audio, or the stretch is outside of the file.
    """
    pieces = stream(path, sample_rate_hz=sample_rate_hz, start_s=start_s, end_s=end_s, track=track)
    return np.concatenate(list(pieces))


def stream(
    path: Path,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    start_s: float | None = None,
    end_s: float | None = None,
    track: int | None = None,
    remarks: list[str] | None = None,
) -> Iterator[Array]:
    """Yield a recording of any length, or a part of it, piece by piece; joined, the pieces are what `read` returns.

    Args:
        path: a recording.
        sample_rate_hz: of the yielded signal.
        start_s: as `read`.
        end_s: as `read`.
        track: number of the sound track, from 1; None: the one flagged default, else the first with speech.
        remarks: gets a phrase for all that is left out, guessed or cannot be known, until the last piece is read.

    Yields:
        (n_samples,) float32 of about `BLOCK_S`, or shorter where channels are mixed; resampling continues from one to
        the next.

    Raises:
        AudioError: as `read`. Damage inside the file, such as truncation, is raised after the last readable piece.
    """
    n_samples = 0
    remarks = [] if remarks is None else remarks
    with _open(path, track, remarks) as source:
        blocks = _blocks(source, path, remarks, start_s, end_s)
        for block in resampled(blocks, source.rate_hz, sample_rate_hz):
            n_samples += len(block)
            yield block
    if not n_samples:
        raise _nothing(path, start_s, end_s, track)
    ended_s = (start_s or 0.0) + n_samples / sample_rate_hz
    if end_s is not None and ended_s < end_s - _ROUNDING_S:
        remarks.append(f"its stretch to {end_s:g} s goes beyond its end at {ended_s:.2f} s")


def opened(recording: Recording, remarks: list[str] | None = None) -> Iterator[Array]:
    """Return an iterator over the signal at 16 kHz of a recording that has a path, as `stream`."""
    assert recording.path is not None, "a recording without a path is in memory, or comes in"
    start_s, end_s = recording.start_s, recording.end_s
    return stream(recording.path, start_s=start_s, end_s=end_s, track=recording.track, remarks=remarks)


@contextmanager
def _open(path: Path, track: int | None, remarks: list[str]) -> Iterator["SoundFile | Container"]:
    """Yield a file opened with libsndfile, which is fast and exact, or with PyAV if libsndfile cannot read it.

    Raises:
        AudioError: missing, empty, truncated as far as its header tells, or not audio.
    """
    head = _check_file(path)
    if n_after := soundfiles.n_bytes_after_end(path, head):
        remarks.append(f"{n_after} bytes after the end that its header gives are left out (joined, or unfinished)")
    found = soundfiles.ffmpeg_alone(path, head) or soundfiles.open_sound_file(path, remarks)
    if isinstance(found, SoundFile):
        if track not in (None, 1):
            raise AudioError(f"{path} has 1 sound track, and track {track} is asked for; leave out --track.")
        opened: AbstractContextManager[SoundFile | Container] = closing(found)
    else:
        from sercli.audio import containers  # PyAV is slow to import

        if found == NO_LENGTH:
            remarks.append(f"{found}: read to the end of the file, which may be unfinished")
        opened = containers.open_container(path, found, track, remarks, _readable)
    with opened as source:
        rate_hz = source.rate_hz
        if rate_hz not in RATES_HZ:
            raise AudioError(f"{path} is damaged: its header says {rate_hz} samples a second; copy or export it again.")
        if rate_hz < _TELEPHONE_HZ:
            remarks.append(f"sampled at {rate_hz} Hz, so nothing above {rate_hz / 2:g} Hz is known")
        yield source


def _readable(path: Path, track: int) -> Iterator[Array]:
    """Yield what can be read of the beginning of a track, by the usual way."""
    from sercli.audio.containers import LISTENED_S

    with suppress(AudioError):
        yield from stream(path, end_s=LISTENED_S, track=track)


def _check_file(path: Path) -> bytes:
    """Return the first bytes of a file that may be a recording."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise AudioError(f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}; give a recording.")
        with path.open("rb") as file:  # libsndfile would say "System error" for a file without read permission
            head = file.read(soundfiles.HEAD_BYTES)
    except PermissionError:
        raise AudioError(f"{path} cannot be read: Permission denied; change its permissions.") from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}; check the path.") from None
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes); record or export it again.")
    if what := soundfiles.stand_in(head):
        raise AudioError(f"{path} {what}")
    return head


def _nothing(path: Path, start_s: float | None, end_s: float | None, track: int | None) -> AudioError:
    """Return the error for a recording, or a part of it, without samples."""
    whole_s = duration_s(path, track=track)
    if whole_s == 0:
        return no_samples(path)
    to = "its end" if end_s is None else f"{end_s:g} s"
    return AudioError(
        f"{path} is {whole_s:.2f} s long and holds no samples between {start_s or 0.0:g} s and {to}; "
        "correct start_s and end_s, which are seconds."
    )


def _blocks(
    source: "SoundFile | Container",
    path: Path,
    remarks: list[str],
    start_s: float | None = None,
    end_s: float | None = None,
) -> Iterator[Array]:
    """Yield blocks (n,) float32 of a part of the recording; nothing if the part is outside of it.

    Raises:
        AudioError: damaged, truncated, or with samples that are not numbers.
    """
    first = round((start_s or 0.0) * source.rate_hz)
    n_frames = None if end_s is None else round(end_s * source.rate_hz) - first
    if first < 0 or (n_frames is not None and n_frames <= 0):
        return
    block_frames = max(1, min(int(BLOCK_S * source.rate_hz), _BLOCK_VALUES // max(1, source.n_channels)))
    blocks = _finite(source.blocks(first, n_frames, block_frames), path)
    yield from channels.mixed(blocks, source.rate_hz, remarks, centre=source.centre)


def _finite(blocks: Iterator[Array], path: Path) -> Iterator[Array]:
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"{path} holds samples that are not numbers (NaN or infinite); export it again.")
        yield block


def resampled(blocks: Iterator[Array], from_hz: int, to_hz: int) -> Iterator[Array]:
    """Yield the blocks at another rate, as if they were one signal."""
    if from_hz == to_hz:
        yield from blocks
        return
    import soxr

    resampler = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    start: Array | None = None
    n_samples = 0
    for block in blocks:
        start = block[:1] if start is None else start
        part = resampler.resample_chunk(block)
        n_samples += len(part)
        if len(part):
            yield part
    if start is None:
        return
    rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(rest):
        yield rest
    elif not n_samples:  # a few samples at a high rate can become none at a low one; a recording keeps at least one
        yield start
