"""What both decoders share: the protocol of an open recording, and the errors that they raise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sercli.errors import AudioError
from sercli.types import Array


class Source(Protocol):
    """An open recording. A frame is one sample of each channel."""

    @property
    def rate_hz(self) -> int:
        """Frames per second."""

    @property
    def n_channels(self) -> int:
        """Channels of the recording."""

    @property
    def n_frames(self) -> int | None:
        """Length in the header; None if the header gives none, or only an estimate."""

    def blocks(self, first: int, n_frames: int | None, block: int) -> Iterator[Array]:
        """Yield blocks (n, n_channels) float32 with n about `block`. It can be called only once.

        Args:
            first: the frame to begin with, 0 or more.
            n_frames: how many frames; None: up to the end, which must match the header.
            block: frames to read at a time.

        Raises:
            AudioError: damaged or truncated.
        """


def truncated(path: Path, promised_s: float, found_s: float) -> AudioError:
    """Return the error for a recording that ends earlier than its header says."""
    return AudioError(
        f"{path} is truncated: {promised_s:.2f} s promised, {found_s:.2f} s found; copy or export it again."
    )


def no_samples(path: Path) -> AudioError:
    """Return the error for a recording of length 0."""
    return AudioError(f"{path} holds no samples (length 0 s); record or export it again.")
