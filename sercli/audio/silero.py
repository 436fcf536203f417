"""Silero's voice activity detector: the probability of speech in each 32 ms of a signal.

Source: the package `silero-vad` (MIT). Its model for whole sequences is read from the installed package and run by ONNX
Runtime. The package itself is never imported, because its import sets torch's number of threads for the whole process.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sercli.errors import SerError
from sercli.types import SAMPLE_RATE_HZ, Array

FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ

_PACKAGE = "silero-vad==6.2.3"  # the version that this was tested with
CONTEXT_SAMPLES = 64  # the network sees the end of the previous frame before each frame
_BATCH_FRAMES = 512  # frames in one call, so that memory does not grow with the length
_N_STATE = 128


class SpeechDetector:
    """Detects speech in one signal that comes in pieces; the state carries over from piece to piece."""

    def __init__(self) -> None:
        self._session = _session()
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far."""
        self._state = [np.zeros((1, 1, _N_STATE), np.float32)] * 2  # of the LSTM: output and cell
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)

    def probabilities(self, signal: Array) -> Array:
        """Return the probability of speech in each frame.

        Args:
            signal: (n_samples,) float32 at 16 kHz, whole frames. Only the last piece of a signal may end within a
                frame; the rest of that frame counts as silence.

        Returns:
            (T,) float32.
        """
        n_frames = -(-len(signal) // FRAME_SAMPLES)
        padded = np.zeros(CONTEXT_SAMPLES + n_frames * FRAME_SAMPLES, np.float32)
        padded[:CONTEXT_SAMPLES] = self._context
        padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(signal)] = signal
        self._context = padded[-CONTEXT_SAMPLES:]
        probs = np.zeros(n_frames, np.float32)
        for start in range(0, n_frames, _BATCH_FRAMES):
            stop = min(start + _BATCH_FRAMES, n_frames)
            samples = padded[start * FRAME_SAMPLES : stop * FRAME_SAMPLES + CONTEXT_SAMPLES]
            frames = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT_SAMPLES + FRAME_SAMPLES)
            inputs = {"input": frames[::FRAME_SAMPLES], **dict(zip("hc", self._state, strict=True))}
            probs[start:stop], *self._state = self._session.run(None, inputs)
        return probs


def path() -> Path:
    """Return the path of the network's ONNX file.

    Raises:
        SerError: the package is not installed.
    """
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise SerError(f"The speech detector is not installed; run: pip install {_PACKAGE}")
    return Path(spec.origin).parent / "data" / "silero_vad_16k_sequence.onnx"


@cache
def _session() -> Any:
    """Return the ONNX session of the network, which runs on one thread.

    Raises:
        SerError: the package is not installed, or its file is damaged.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # no warnings on the terminal
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # memory that it keeps would grow with the longest signal
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path()), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common type of their own
        reason = str(error).partition("\n")[0]
        raise SerError(
            f"The speech detector {path()} cannot be loaded ({reason}); run: pip install --force-reinstall {_PACKAGE}"
        ) from None
