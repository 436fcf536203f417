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
from itertools import groupby, islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import numpy as np

from sercli._system import limits
from sercli.errors import ConfigError, SerError, no_such, reason
from sercli.types import SAMPLE_RATE_HZ, Array, Fraction, Positive, PositiveInt, Transcript, Word
from sercli.whisper import checks, weights

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from ctranslate2.models import WhisperGenerationResult
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment
    from faster_whisper.transcribe import Word as Recognised

VERSION = 3

_WINDOW_S = 30  # the length of Whisper's input
# Shorter windows are at least so long, with so much room behind the signal: with 8 s in place of 10, every fifth word
# of RAVDESS was wrong. Signals of up to 15 s were measured.
_LEAST_WINDOW_S, _ROOM_S, _LONGEST_SHORT_S = 10, 2, 18
_STEP_S = 2  # so that there are few lengths: signals in windows of one length are decoded together
_FRAMES_PER_S = 100  # of the spectrogram
_BATCH = 4  # signals decoded together; 8 or 16 take hardly less time
# Token limit for a signal: a base, more per second, and a maximum; without it a repetition loop takes seconds.
# CTranslate2 stops at half of it, prompt included.
_TOKENS_PER_S, _TOKENS_LEAST, _TOKENS_MOST = 12, 12, 224
_REPEATED = 1.8  # compression ratio that 300 characters of prose, more than fit into 18 s, do not reach
_PERHAPS_SILENT = 0.4  # from this no-speech probability on, a short window is doubtful
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
        return "they may not be English: --set asr.model=base writes down other languages"
    return "the speech may be unclear: --no-asr leaves the words out"


def make(config: Config, device: str) -> Callable[[Sequence[Array]], list[Transcript]]:
    """Return a function that transcribes signals with the loaded model; see `contracts.Recogniser`.

    Raises:
        SerError: faster-whisper or the weights are missing, or cannot be used.
        ConfigError: the model does not know the configured language.
    """
    model = _load(config.model, config.compute_type, config.device or device, config.threads or _n_threads())
    _check_language(model, config)
    return partial(_transcribe, model, config)


@dataclass(frozen=True)
class _Sound:
    """A signal, (n_samples,), the language to write it in, and the probability that it is spoken."""

    signal: Array
    language: str
    likely: float | None

    @property
    def duration_s(self) -> float:
        return len(self.signal) / SAMPLE_RATE_HZ

    @property
    def window_s(self) -> int:
        """A window that holds it with room behind it."""
        if self.duration_s > _LONGEST_SHORT_S:
            return _WINDOW_S
        return max(_LEAST_WINDOW_S, math.ceil(self.duration_s / _STEP_S) * _STEP_S + _ROOM_S)


def _transcribe(model: "WhisperModel", config: Config, signals: Sequence[Array]) -> list[Transcript]:
    found = [Transcript("", confidence=0.0, no_speech=1.0)] * len(signals)
    sounds = {n: _Sound(one, *_language(model, one, config)) for n, one in enumerate(signals) if len(one)}
    # A beam is a batch in itself, and on a GPU the encoder's output cannot be joined
    at_once = _BATCH if config.beam_size == 1 and model.model.device == "cpu" else 1
    for window_s, alike in groupby(sorted(sounds, key=lambda n: sounds[n].window_s), lambda n: sounds[n].window_s):
        while batch := list(islice(alike, at_once)):
            together = [sounds[n] for n in batch]
            for n, sound, cut in zip(batch, together, _decoded(model, config, together, window_s), strict=True):
                found[n] = _transcript(model, cut, config, sound)
    return found


def _transcript(model: "WhisperModel", cut: "WhisperModel", config: Config, sound: _Sound) -> Transcript:
    """Return what a model hears in windows that are cut, or, where that is doubtful, in its own."""
    windows = _windows(cut, config, sound)
    if sound.window_s < _WINDOW_S and _is_doubtful(windows, config, sound.duration_s):
        windows = _windows(model, config, sound)
    kept = [segment for window in windows if _is_speech(window, config) for segment in window]
    words = tuple(_word(w, sound.duration_s) for s in kept for w in s.words)
    return Transcript(
        text=" ".join("".join(s.text for s in kept).split()),
        words=words,
        confidence=confidence(words) * (1.0 if sound.likely is None else sound.likely),
        no_speech=min((float(window[0].no_speech_prob) for window in windows), default=1.0),
        language=sound.language,
        language_probability=sound.likely,
    )


def _windows(model: "WhisperModel", config: Config, sound: _Sound) -> list[list["Segment"]]:
    """Return the segments of each window of a signal that a model read."""
    found, _ = model.transcribe(sound.signal, language=sound.language, **options(config, sound.duration_s))
    return [list(window) for _, window in groupby(found, key=lambda segment: segment.seek)]


def _decoded(
    model: "WhisperModel", config: Config, sounds: Sequence[_Sound], window_s: int
) -> Sequence["WhisperModel"]:
    """Return a model for each signal, whose encoder gets `window_s` of each window.

    The first windows of several signals are decoded already: a step for four costs hardly more than a step for one,
    which reads the same weights.
    """
    n_frames = window_s * _FRAMES_PER_S
    cut = copy.copy(model)  # with the same weights
    cut.encode = lambda mel: model.encode(mel[..., :n_frames])
    if len(sounds) == 1:
        return [cut]
    from ctranslate2 import StorageView
    from faster_whisper.audio import pad_or_trim

    reader = copy.copy(model)
    reader.generate_segments = lambda mel, tokenizer, options, *_: (mel, tokenizer, options)
    inputs = [reader.transcribe(s.signal, language=s.language, **options(config, s.duration_s))[0] for s in sounds]
    encoded = [cut.encode(pad_or_trim(mel[..., :-1])) for mel, _, _ in inputs]
    prompts = [tokenizer.sot_sequence for _, tokenizer, _ in inputs]
    lengths = [len(prompts[0]) + given.max_new_tokens for _, _, given in inputs]
    results = model.model.generate(
        StorageView.from_array(np.concatenate(encoded)),
        prompts,
        beam_size=1,
        max_length=max(lengths),
        suppress_tokens=inputs[0][2].suppress_tokens,
        return_scores=True,
        return_no_speech_prob=True,
    )
    return [_after(cut, *known) for known in zip(encoded, results, lengths, strict=True)]


def _after(
    model: "WhisperModel", encoded: "StorageView", result: "WhisperGenerationResult", max_length: int
) -> "WhisperModel":
    """Return a model that has its first window encoded and decoded already, to the limit of its signal."""
    (tokens,) = result.sequences_ids
    limited = SimpleNamespace(
        sequences_ids=[tokens[: max_length // 2]], scores=result.scores, no_speech_prob=result.no_speech_prob
    )
    own, network, states, results = copy.copy(model), model.model, [encoded], [limited]
    own.encode = lambda mel: states.pop() if states else model.encode(mel)
    own.model = SimpleNamespace(
        generate=lambda *args, **kwargs: [results.pop()] if results else network.generate(*args, **kwargs),
        align=network.align,
        is_multilingual=network.is_multilingual,
    )
    return own


def _is_doubtful(windows: Sequence[Sequence["Segment"]], config: Config, duration_s: float) -> bool:
    """Return whether words may be wrong because their window was short.

    Nobody may be speaking, or they are repeated, or end at the limit of tokens or before other words. Improbable words
    are not read again: in 27 of the demo clips 103 errors became 96 in the whole window, and foreign speech took four
    times as long.
    """
    spoken = [window for window in windows if _is_speech(window, config)]
    if not spoken or spoken[0] is not windows[0] or spoken[0][0].no_speech_prob >= _PERHAPS_SILENT:
        return True
    segments = [segment for window in spoken for segment in window]
    repeated = segments[0].compression_ratio > min(_REPEATED, config.max_compression)
    ends = sum(len(segment.tokens) for segment in segments) >= _most_tokens(duration_s) // 2
    words = [_word(word, duration_s) for segment in segments for word in segment.words]
    return (len(spoken) > 1 or repeated or ends) and confidence(words) > 0


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
        raise SerError(
            f"The Whisper model in {folder} cannot be used ({reason(error)}); check asr.model, asr.device "
            f"({device}) and asr.compute_type ({compute_type})."
        ) from None
    return model
