"""Silero's voice activity detector in plain torch: how probably somebody speaks, for each 32 ms of sound.

Source: the package `silero-vad` (MIT), whose weights are read where pip put them. The package itself is never imported:
importing it sets the number of threads of torch for the whole process, and its model goes frame by frame, ten times as
slow as all frames at once. Checked against the package's own model in a test.
"""

import importlib.util
import re
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sercli.errors import SerError
from sercli.types import Array

RATE_HZ = 16_000
FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / RATE_HZ

_PACKAGE = "silero-vad==6.2.3"  # the version that this was tested with
_CONTEXT_SAMPLES = 64  # of the frame before, which each frame is heard with
_BINS = 129  # of the spectrum: real parts, then as many imaginary ones
_BATCH_FRAMES = 512  # at a time, so that memory does not grow with the length

State = tuple[Tensor, Tensor]


class Listener:
    """Hears one signal piece by piece and remembers what came before."""

    def __init__(self) -> None:
        self._network = _load()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._state: State | None = None
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)

    @torch.inference_mode()
    def hear(self, signal: Array) -> Array:
        """Say how probable speech is in each frame.

        Args:
            signal: (n_samples,) float32 at 16 kHz. Whole frames; the last piece of a recording may end within one, the
                rest of which is taken for silence.

        Returns:
            (T,) float32, one for each frame.
        """
        n_frames = -(-len(signal) // FRAME_SAMPLES)
        padded = np.zeros(_CONTEXT_SAMPLES + n_frames * FRAME_SAMPLES, np.float32)
        padded[:_CONTEXT_SAMPLES] = self._context
        padded[_CONTEXT_SAMPLES : _CONTEXT_SAMPLES + len(signal)] = signal
        self._context = padded[-_CONTEXT_SAMPLES:]
        probs = [np.zeros(0, np.float32)]
        frames = torch.from_numpy(padded).unfold(0, _CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES) if n_frames else ()
        for at in range(0, n_frames, _BATCH_FRAMES):
            speech, self._state = self._network(frames[at : at + _BATCH_FRAMES], self._state)
            probs.append(speech.numpy())
        return np.concatenate(probs)


class _Network(nn.Module):
    """Frames -> magnitude spectrum -> convolutions within the frame -> LSTM over the frames -> probability.

    The modules stand in the order in which the package keeps their weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Conv1d(1, 2 * _BINS, 256, stride=128, bias=False)
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(_BINS, 128, 3, padding=1), nn.ReLU()),
            *(nn.Conv1d(128, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv1d(64, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv1d(64, 128, 3, padding=1), nn.ReLU()),
        )
        self.memory = nn.LSTM(128, 128)
        self.decision = nn.Conv1d(128, 1, 1)

    def forward(self, frames: Tensor, state: State | None) -> tuple[Tensor, State]:
        """(T, context + frame) that follow each other, and what is remembered -> (T,) and what to remember."""
        spectrum = self.spectrum(nn.functional.pad(frames[:, None], (0, _CONTEXT_SAMPLES), mode="reflect"))
        magnitude = (spectrum[:, :_BINS].square() + spectrum[:, _BINS:].square()).sqrt()  # (T, bins, 4)
        heard, state = self.memory(self.convolutions(magnitude)[:, :, 0], state)
        assert state is not None
        return self.decision(heard.relu()[:, :, None]).sigmoid()[:, 0, 0], state


@cache
def _load() -> _Network:
    """The network with the package's weights.

    Raises:
        SerError: they are not installed, or not as they were in the version that is known.
    """
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise SerError(f"The speech detector is not installed; run: pip install {_PACKAGE}")
    path = Path(spec.origin).parent / "data" / "silero_vad.jit"
    network = _Network().eval()
    try:
        network.load_state_dict(_read(path, network.state_dict()))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SerError(
            f"{path} cannot be read as the speech detector ({error}); run: pip install --force-reinstall {_PACKAGE}"
        ) from None
    return network


def _read(path: Path, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a TorchScript archive, in its order: raw float32 below `data/`, the model for 16 kHz first.

    `torch.jit.load` would give the same ten times as slowly, with a warning that it will go away.
    """
    with zipfile.ZipFile(path) as archive:
        numbered = {
            int(match[1]): name
            for name in archive.namelist()
            if (match := re.search(r"/data/(\d+)$", name)) is not None
        }
        names = [numbered[n] for n in sorted(numbered) if archive.getinfo(numbered[n]).file_size]
        weights = {}
        for (key, tensor), name in zip(like.items(), names, strict=False):
            values = np.frombuffer(archive.read(name), "<f4")
            if values.size != tensor.numel():
                raise ValueError(f"{values.size} numbers and not {tensor.numel()} in {name}")
            weights[key] = torch.from_numpy(values.astype(np.float32)).view(tensor.shape)
    if len(weights) < len(like):
        raise ValueError(f"{len(weights)} arrays and not {len(like)}")
    return weights
