"""Sound while it comes in: from a microphone, or as raw samples on stdin."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from sercli._system import packages
from sercli._system.text import clock
from sercli.audio import discovery
from sercli.errors import AudioError, SerError
from sercli.types import Array

_BLOCK_S = 0.05
_MOST_WAITING = round(120 / _BLOCK_S)  # blocks that wait until they are predicted


@dataclass(frozen=True)
class LiveSound:
    """Sound that comes in, block after block."""

    name: str  # becomes `Prediction.path`
    described: str
    rate_hz: int
    blocks: Generator[Array, None, None]  # (n,) each, float32 or 16-bit integers
    remarks: list[str] = field(default_factory=list)  # what is lost so far
    end: Callable[[], None] | None = None  # ends the sound; what came in before still comes. None: it cannot wait


def raw(rate_hz: int, stream: BinaryIO | None = None) -> LiveSound:
    """Return the sound of raw samples: one channel of signed 16-bit integers, little-endian.

    Args:
        rate_hz: of the samples.
        stream: what is read; None: stdin.

    Raises:
        AudioError: stdin is closed or a terminal; from the blocks: nothing comes in.
    """
    stream = discovery.piped(stream)
    remarks: list[str] = []

    def blocks() -> Generator[Array, None, None]:
        n_bytes = 0
        while data := stream.read(2 * round(_BLOCK_S * rate_hz)):
            n_bytes += len(data)
            yield np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16)
        if not n_bytes:
            raise discovery.nothing_on_stdin()
        if n_bytes % 2:
            remarks.append("its last byte is half a sample and left out")

    return LiveSound("-", f"raw samples on stdin, {rate_hz} Hz", rate_hz, blocks(), remarks)


def microphone(device: str | None = None) -> LiveSound:
    """Return the sound of the first channel of an input device, at its own rate. It is opened with the first block.

    Args:
        device: its number, or a part of its name; None: the system's default.

    Raises:
        SerError: sounddevice or PortAudio is not installed, or there is no such device, or several.
    """
    sounddevice = _sounddevice()
    chosen = int(device) if device and device.isdecimal() else device
    try:
        about = sounddevice.query_devices(chosen, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        which = f"input device {device}" if device else "default input device"
        raise AudioError(
            f"There is no {which} ({_reason(error)}); ser predict mic --input-device list shows them."
        ) from None
    name, rate_hz = str(about["name"]), round(about["default_samplerate"])
    waiting: SimpleQueue[Array | None] = SimpleQueue()
    remarks: list[str] = []
    blocks = _recorded(sounddevice, chosen, name, rate_hz, waiting, remarks)
    return LiveSound("mic", name, rate_hz, blocks, remarks, lambda: waiting.put(None))


def microphones() -> list[str]:
    """Return a line for each input device: its number, name and rate, and which one is the default.

    Raises:
        SerError: sounddevice or PortAudio is not installed, or there is no input device.
    """
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    found = [
        f"{number:>2}  {about['name']}, {about['default_samplerate']:.0f} Hz{' (default)' * (number == default)}"
        for number, about in enumerate(sounddevice.query_devices())
        if about["max_input_channels"]
    ]
    if not found:
        raise AudioError("There is no input device; plug one in, or pipe sound in: ser predict - --raw 16000.")
    return found


def _sounddevice() -> ModuleType:
    try:
        return packages.load("sounddevice", "mic")
    except OSError as error:  # the package has the library only for Windows and macOS
        raise SerError(f"{error}; install it, such as by: sudo apt install libportaudio2") from None


def _recorded(
    sounddevice: ModuleType,
    device: int | str | None,
    name: str,
    rate_hz: int,
    waiting: "SimpleQueue[Array | None]",
    remarks: list[str],
) -> Generator[Array, None, None]:
    """Yield what a device records until it is unplugged, or None comes into the queue."""
    n_frames = n_lost = 0

    def take(block: Array, n: int, _time: object, status: Any) -> None:
        nonlocal n_frames, n_lost
        full = waiting.qsize() >= _MOST_WAITING
        if full or status.input_overflow:
            n_lost += 1
            remarks[:] = [
                f"sound was lost {n_lost} times, last at {clock(n_frames / rate_hz, 1)}: the computer is too slow; "
                "leave out words (--no-asr), or close other programs"
            ]
        n_frames += n
        if not full:
            waiting.put(block[:, 0].copy())

    try:
        with sounddevice.InputStream(
            rate_hz,
            round(_BLOCK_S * rate_hz),
            device,
            channels=1,
            dtype="float32",
            callback=take,
            finished_callback=lambda: waiting.put(None),
        ) as stream:
            while (block := waiting.get()) is not None:
                yield block
            if not stream.active:
                remarks.append(f"{name} stopped")
    except sounddevice.PortAudioError as error:
        raise AudioError(f"{name} cannot be recorded from ({_reason(error)}); try another --input-device.") from None


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error)
