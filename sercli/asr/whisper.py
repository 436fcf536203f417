"""Whisper by faster-whisper: words with their times and probabilities, and whether anybody speaks at all.

Two models come with ser. Whisper tiny.en writes English whatever it hears, so how sure it is of its words tells whether
they are any: see `confidence`. Whisper base knows many languages, and takes twice as long.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import numpy as np

from sercli import asr
from sercli.errors import ConfigError, SerError, no_such
from sercli.types import Array, Fraction, Positive, PositiveInt, Transcript, Word
from sercli.whisper import weights

VERSION = 1

_WINDOW_S = 30  # as long as what Whisper hears at once
# An upper bound of what is said in a second, and at least, in tokens; without it a loop of repetition takes seconds.
_TOKENS_PER_S, _TOKENS_LEAST, _TOKENS_MOST = 12, 12, 224
_BRIEF_S, _BRIEF_SHARE = 0.03, 0.4  # a loop has more than this share of words that are shorter than this
_GUESSED, _SURE = 0.6, 0.85  # mean probability of words that are worth nothing, and of words that are worth all


@dataclass(frozen=True)
class Config:
    """Which weights, and how they listen."""

    # null: Whisper tiny.en, which comes with ser, as does `base`; else a folder that CTranslate2 reads, or a name on
    # the model hub
    model: str | None = None
    beam_size: PositiveInt = 1  # how many readings are followed at once; 5 is a little better and slower
    # Of multilingual weights only. null: the likeliest; else a code such as "en": what sounds like another language is
    # written in this one, and trusted as little as it sounds like it. Best given where words are read by a model that
    # knows one language alone.
    language: str | None = None
    compute_type: Literal["int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] = "int8"
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: PositiveInt | None = None  # null: as OMP_NUM_THREADS says, or one for each core that may be used
    no_speech: Fraction = 0.6  # from which probability of no speech on only sure words are heard
    max_compression: Positive = 2.4  # text that packs better than by this factor may be a loop, which is dropped


def identity(config: Config) -> dict[str, Any]:
    """What the words depend on: all but where, and on how many cores, they are heard."""
    return {key: value for key, value in asdict(config).items() if key not in ("device", "threads")}


def transcribe(audio: Array, config: Config) -> Transcript:
    """Hear the words in a signal of any length.

    Args:
        audio: (n_samples,) float32 at 16 kHz.
        config: which weights, and how they listen.

    Raises:
        SerError: faster-whisper or the weights are not there, or cannot be used.
        ConfigError: a language that the weights do not know.
    """
    model = _load(config.model, config.compute_type, config.device, config.threads or _n_threads())
    duration_s = len(audio) / asr.SAMPLE_RATE_HZ
    if not len(audio):
        return Transcript("", confidence=0.0, no_speech=1.0)
    language, likely = _language(model, audio, config)
    found, _ = model.transcribe(audio, language=language, **options(config, duration_s))
    windows = [list(window) for _, window in groupby(found, key=lambda segment: segment.seek)]
    kept = [segment for window in windows if _is_speech(window, config) for segment in window]
    words = tuple(_word(w, duration_s) for s in kept for w in s.words)
    return Transcript(
        text=" ".join("".join(s.text for s in kept).split()),
        words=words,
        confidence=confidence(words) * likely,
        no_speech=min((float(window[0].no_speech_prob) for window in windows), default=1.0),
    )


def options(config: Config, duration_s: float) -> dict[str, Any]:
    """What faster-whisper is asked for, the language aside, by the length of the sound."""
    return {
        "beam_size": config.beam_size,
        "temperature": 0.0,  # no second try by chance: the same sound has the same words
        "condition_on_previous_text": False,  # what was misheard must not spread to the next window
        "word_timestamps": True,
        "max_new_tokens": round(min(_TOKENS_LEAST + _TOKENS_PER_S * min(duration_s, _WINDOW_S), _TOKENS_MOST)),
        # What is left out is decided afterwards: here it would leave no trace.
        "no_speech_threshold": None,
        "log_prob_threshold": None,
        "compression_ratio_threshold": None,
    }


def confidence(words: Sequence[Word]) -> float:
    """How surely words were heard, in [0, 1]: their mean probability, stretched so that guesses count nothing.

    0 up to a mean of .6, 1 from .85 on, a straight line between; 0 without words. Measured with tiny.en: of English
    clips (RAVDESS) half have a mean above .97 and one in twelve one below .85, with every fourth word wrong; of German
    (EMO-DB) and Polish ones (nEMO), in which it hears English nonsense, half have one below .37 and one in forty above
    .6. On average that is .98 against .00 and .01. The log probability that Whisper itself goes by tells them apart
    less well.

    >>> [round(confidence([Word("so", 0.0, 0.2, p)]), 2) for p in (0.4, 0.7, 0.95)]
    [0.0, 0.4, 1.0]
    """
    if not words:
        return 0.0
    mean = float(np.mean([word.probability for word in words]))
    return float(np.clip((mean - _GUESSED) / (_SURE - _GUESSED), 0.0, 1.0))


def _is_speech(window: Sequence[Any], config: Config) -> bool:
    """Whether what was heard at once is neither made up where nobody speaks nor a loop.

    With long pauses in it a window may look like silence, and its words are sure all the same. A loop is one phrase
    over and over that nobody had the time to say; people repeat themselves, too, in due time.
    """
    words = [word for segment in window for word in segment.words]
    if not words:
        return False
    silent = window[0].no_speech_prob >= config.no_speech and np.mean([w.probability for w in words]) < _SURE
    packed = window[0].compression_ratio > config.max_compression
    return not silent and not (packed and np.mean([w.end - w.start < _BRIEF_S for w in words]) > _BRIEF_SHARE)


def _word(word: Any, duration_s: float) -> Word:
    """As times are measured on what was filled up to 30 s, some end a little after the sound does."""
    start_s, end_s = (min(float(t), duration_s) for t in (word.start, word.end))
    return Word(word.word.strip(), start_s, end_s, float(word.probability))


def _language(model: Any, audio: Array, config: Config) -> tuple[str, float]:
    """The language to write in, and how likely it is the one that is spoken."""
    wanted = config.language
    if not model.model.is_multilingual:
        if wanted not in (None, "en"):
            raise ConfigError(
                f"asr.language={wanted}: {config.model or 'Whisper tiny.en'} knows English alone; leave it out, or "
                "give multilingual weights with asr.model."
            )
        return "en", 1.0
    if wanted is not None and wanted not in model.supported_languages:
        raise ConfigError(no_such("language", wanted, model.supported_languages))
    likeliest, probability, everything = model.detect_language(audio)
    return (likeliest, float(probability)) if wanted is None else (wanted, float(dict(everything)[wanted]))


def _n_threads() -> int:
    """As many threads as the environment asks for, or cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_memory(model: weights.Model) -> dict[str, bytes] | None:
    """The files of a model whose weights lie in parts, which only ser can read from the disk."""
    if len(model.binary) == 1:
        return None
    others = {path.name: path.read_bytes() for path in model.folder.glob("*.json")}
    return {**others, "model.bin": b"".join(path.read_bytes() for path in model.binary)}


@lru_cache(maxsize=2)
def _load(name: str | None, compute_type: str, device: str, n_threads: int) -> Any:
    """The model, kept for the next call."""
    try:
        import ctranslate2
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise SerError(f"Whisper needs {error.name}, which is not installed; run: pip install faster-whisper") from None
    ctranslate2.set_log_level(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    found = weights.find(name)
    folder = found.folder
    if not found.binary:
        raise SerError(
            f"{folder} holds no model.bin, which faster-whisper reads; convert the model with "
            "ct2-transformers-converter, or give another as asr.model."
        )
    if not (folder / "tokenizer.json").is_file():  # faster-whisper would look for one on the model hub
        raise SerError(f"{folder} holds no tokenizer.json; copy that of the model which was converted into it.")
    try:
        model = WhisperModel(
            str(folder), device=device, compute_type=compute_type, cpu_threads=n_threads, files=_in_memory(found)
        )
    except (RuntimeError, ValueError) as error:
        raise SerError(
            f"The Whisper model in {folder} cannot be used ({str(error).rstrip('.')}); check asr.model, asr.device "
            f"({device}) and asr.compute_type ({compute_type})."
        ) from None
    n_mels = len(model.feature_extractor.mel_filters)
    if model.model.n_mels != n_mels:
        raise SerError(
            f"{folder}: the model hears {model.model.n_mels} bands, and would get {n_mels}; copy the "
            "preprocessor_config.json of the model which was converted into it."
        )
    return model
