"""Moonshine by moonshine-voice: quicker than Whisper on short clips, English alone, an extra.

The package brings the weights (tiny, English) and cuts the sound into stretches of speech by itself. It gives neither
the times of words nor how sure it is of them.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sercli import asr
from sercli.errors import SerError
from sercli.types import Array, Fraction, Transcript

VERSION = 1

_PACKAGE = "moonshine-voice==0.1.0"  # later ones come without the weights
_SILENCE = np.zeros(asr.SAMPLE_RATE_HZ, np.float32)


@dataclass(frozen=True)
class Config:
    """How it listens."""

    vad_threshold: Fraction = 0.5  # from which probability of speech on a stretch is listened to; 0: to all of it
    confidence: Fraction = 0.5  # what its words are worth beside what the voice says: it does not tell how sure it is


def identity(config: Config) -> dict[str, Any]:
    """What the words depend on."""
    return asdict(config)


def transcribe(audio: Array, config: Config) -> Transcript:
    """Hear the words in a signal of any length.

    Args:
        audio: (n_samples,) float32 at 16 kHz.
        config: how it listens.

    Raises:
        SerError: moonshine-voice is not installed, or of another version.
    """
    model = _load(config.vad_threshold)
    # What it takes for speech depends on what it was given last; after a silence it is as if nothing had been.
    model.transcribe_without_streaming(_SILENCE, asr.SAMPLE_RATE_HZ)
    lines = model.transcribe_without_streaming(audio, asr.SAMPLE_RATE_HZ).lines
    text = " ".join(" ".join(line.text for line in lines).split())
    return Transcript(text, confidence=config.confidence if text else 0.0, no_speech=0.0 if lines else 1.0)


@lru_cache(maxsize=1)
def _load(vad_threshold: float) -> Any:
    """The model, kept for the next call."""
    try:
        from moonshine_voice import ModelArch, get_model_path
        from moonshine_voice.errors import MoonshineError
        from moonshine_voice.transcriber import Transcriber
    except (ImportError, OSError) as error:  # OSError: its library is there and cannot be loaded
        raise SerError(
            f"Moonshine is not installed or does not run here ({error}); run: pip install {_PACKAGE}"
        ) from None
    options = {"vad_threshold": vad_threshold, "return_audio_data": "false"}
    try:
        return Transcriber(get_model_path("tiny-en"), ModelArch.TINY, options=options)
    except MoonshineError as error:
        raise SerError(f"Moonshine's weights cannot be used ({error}); run: pip install {_PACKAGE}") from None
