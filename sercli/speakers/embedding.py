"""Embeddings of voices: those of one speaker lie close together, whatever is said.

A d-vector network (Wan et al. 2018, "Generalized end-to-end loss for speaker verification") with the weights of
Resemblyzer 0.1.4 (Apache-2.0); benchmarks/make_speakers.py takes them out of its wheel.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sercli.audio import dsp
from sercli.audio.condition import gain, speech_level_dbfs
from sercli.errors import SerError, reason
from sercli.types import SAMPLE_RATE_HZ, Array

WEIGHTS = Path(__file__).parent / "models" / "ge2e.safetensors"

N_EMBEDDING = 256

_N_MELS = 40
_WINDOW, _HOP = 400, 160  # samples: 25 ms, 10 ms
_LEVEL_DBFS = -20.0  # the network reads power and not its logarithm, so that the level counts
_PIECE_FRAMES = 160  # the length that the network was trained on, 1.6 s
_STEP_FRAMES = 80  # from one piece to the next, about
_BATCH = 64  # pieces that go through the network together


class VoiceEncoder(nn.Module):
    """Three LSTM layers, the last state of which becomes the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_N_MELS, N_EMBEDDING, num_layers=3, batch_first=True)
        self.linear = nn.Linear(N_EMBEDDING, N_EMBEDDING)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, T, M) power of mel bands -> (B, E) of unit length."""
        _, (states, _) = self.lstm(mel)  # (3, B, E)
        return nn.functional.normalize(torch.relu(self.linear(states[-1])), dim=1)


def embed(signals: Sequence[Array], device: str | torch.device = "cpu") -> Array:
    """Return the embeddings of utterances, (N, 256) float32 of unit length.

    An utterance is read in overlapping pieces of 1.6 s; its embedding is their mean. It is the same alone and together
    with others.

    Args:
        signals: of the utterances, (n_samples,) float32 each at 16 kHz, of any level.
        device: where the network runs.

    Raises:
        SerError: the weights are damaged.
    """
    pieces = [_pieces(mel_power(signal)) for signal in signals]
    found = _run([piece for of_one in pieces for piece in of_one], torch.device(device))
    starts = np.cumsum([0, *map(len, pieces)])[:-1]
    sums: Array = np.add.reduceat(found, starts, axis=0) if len(signals) else found
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)


def mel_power(signal: Array) -> Array:
    """Return the power of 40 mel bands every 10 ms, (T, 40) float32, of a signal brought to one level of speech.

    It is librosa's `melspectrogram` as Resemblyzer calls it, T = 1 + n_samples // 160.
    """
    levelled = signal * gain(speech_level_dbfs(signal), _LEVEL_DBFS)
    framed = dsp.frames(np.pad(levelled, _WINDOW // 2), _WINDOW, _HOP)
    bands = np.empty((len(framed), _N_MELS), np.float32)
    filterbank, taper = dsp.mel_filterbank(SAMPLE_RATE_HZ, _WINDOW, _N_MELS, 0.0, None), dsp.hann(_WINDOW)
    for rows in dsp.blocks(len(framed), _WINDOW):
        dsp.multiply(dsp.power(framed[rows], taper), filterbank, out=bands[rows])
    return bands


def _pieces(mel: Array) -> list[Array]:
    """Return evenly spaced pieces of 1.6 s that cover the utterance; a shorter utterance is one piece."""
    n_left = max(0, len(mel) - _PIECE_FRAMES)
    starts = np.linspace(0, n_left, 1 + round(n_left / _STEP_FRAMES)).round().astype(int)
    return [mel[start : start + _PIECE_FRAMES] for start in starts]


def _run(pieces: Sequence[Array], device: torch.device) -> Array:
    """Return the embedding of each piece, (n, 256); pieces of one length go through the network together."""
    encoder = _encoder(device)
    found = np.zeros((len(pieces), N_EMBEDDING), np.float32)
    lengths = np.array([len(piece) for piece in pieces])
    with torch.inference_mode():
        for length in np.unique(lengths):
            (places,) = np.nonzero(lengths == length)
            for first in range(0, len(places), _BATCH):
                batch = places[first : first + _BATCH]
                mel = torch.from_numpy(np.stack([pieces[place] for place in batch]))
                found[batch] = encoder(mel.to(device)).cpu().numpy()
    return found


@cache
def _encoder(device: torch.device) -> VoiceEncoder:
    encoder = VoiceEncoder()
    try:
        encoder.load_state_dict(load_file(WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise SerError(f"{WEIGHTS} cannot be read ({reason(error)}); install sercli again.") from None
    return encoder.to(device).eval()
