"""Transcripts of a dataset's recordings by speech recognisers, kept beside its manifest.

`transcripts/ENGINE.jsonl` has a line for each utterance, appended as it is made, so that a killed run continues where
it stopped. A line names the audio that it was made from: the transcript of a recording that has changed is not used.
`ENGINE.json` holds the settings of all lines; with other settings all are made again.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from sercli import config, plugins
from sercli._system import locks, processes
from sercli._system.files import refuse_links, write_json
from sercli._system.progress import ProgressFactory
from sercli.contracts import PluginConfig, Transcribe
from sercli.errors import AudioError, ConfigError, SerError
from sercli.types import HUMAN, SAMPLE_RATE_HZ, Array, Transcript, Utterance

_FOLDER = "transcripts"
_BLOCK = 8  # recordings that are transcribed together; for so many it pays to start another process
_MARKER = re.compile(r"\[[^\[\]]*\]")
# A number with the points, commas and colons inside it; or letters and digits with the apostrophes between them.
_WORD = re.compile(r"\d+(?:[.,:]\d+)+|\w+(?:'\w+)*")
_APOSTROPHES = str.maketrans("‘’‛′`´", "''''''")


@dataclass(frozen=True)
class _Line(Transcript):
    """One line of ENGINE.jsonl: a transcript and the stretch of audio it was made from."""

    id: str = ""
    digest: str | None = None  # of the recording
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Added:
    """What `add` did."""

    transcripts: dict[str, Transcript]  # by utterance, old and new
    n_new: int
    failures: tuple[str, ...]  # why recordings could not be read
    outdated: tuple[str, ...]  # how the settings of old transcripts that were removed differ


@dataclass(frozen=True)
class WordErrors:
    """Word errors of transcripts against human transcripts, over all utterances together."""

    edits: int  # words inserted, deleted or substituted
    n_words: int  # in the human transcripts

    @property
    def rate(self) -> float | None:
        """Word error rate; None without any human word."""
        return self.edits / self.n_words if self.n_words else None

    def __str__(self) -> str:
        """Return the rate and its two numbers.

        >>> str(WordErrors(3, 120))
        '2.50 % (3 edits in 120 words)'
        """
        share = "undefined" if self.rate is None else f"{100 * self.rate:.2f} %"
        return f"{share} ({self.edits} edits in {self.n_words} words)"


def engine_config(engine: str | None, sets: Sequence[str]) -> PluginConfig:
    """Return the recogniser's configuration from `asr.KEY=VALUE` pairs; None without a recogniser.

    Raises:
        SerError: no such recogniser or setting.
    """
    values = config.parse_sets(sets).get("asr", {})
    if engine is not None:
        return config.build(plugins.recogniser(engine).Config, values, "asr")
    if values:
        raise ConfigError("--set asr.… does nothing without --asr; add --asr whisper, or leave it out.")
    return None


def check_engine(engine: str, engine_config: PluginConfig, *, device: str = "cpu") -> None:
    """Load the recogniser and transcribe a silent second, so that an error comes before any work.

    Raises:
        SerError: it is not installed, or cannot load its model.
    """
    _loaded(plugins.recogniser(engine).make, engine_config, device)([np.zeros(SAMPLE_RATE_HZ, np.float32)])


def find(folder: Path, engine: str, utterances: Iterable[Utterance]) -> dict[str, Transcript]:
    """Return a recogniser's transcripts of these utterances' present audio in a dataset's folder, by id."""
    path, decoder = folder / _FOLDER / f"{engine}.jsonl", msgspec.json.Decoder(_Line)
    lines: dict[str, _Line] = {}
    for content in path.read_bytes().split(b"\n") if path.exists() else ():
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a damaged line, which is made again
            decoded = decoder.decode(content)
            lines[decoded.id] = decoded
    return {
        u.id: Transcript(**{f.name: getattr(line, f.name) for f in fields(Transcript)})
        for u in utterances
        if (line := lines.get(u.id)) and (line.digest, line.start_s, line.end_s) == (u.digest, u.start_s, u.end_s)
    }


def add(
    folder: Path,
    root: Path,
    utterances: Sequence[Utterance],
    engine: str,
    engine_config: PluginConfig,
    *,
    jobs: int,
    progress: ProgressFactory,
    device: str = "cpu",
) -> Added:
    """Transcribe every utterance that has audio and no transcript by this recogniser yet.

    Args:
        folder: of the prepared dataset.
        root: the utterances' audio paths are relative to it.
        utterances: of the whole dataset.
        engine: the recogniser.
        engine_config: its configuration.
        jobs: processes that transcribe at the same time, each on one core.
        progress: shows progress.
        device: of the recogniser; see `devices.pick_device`.

    Raises:
        HeldError: another process is transcribing into this folder.
        SerError: no utterance has audio, or the recogniser cannot be used.
    """
    recorded = [u for u in utterances if u.audio is not None]
    if not recorded:
        raise SerError(f"{folder}: no utterance has a recording, and --asr {engine} needs some; leave --asr out.")
    path = folder / _FOLDER / f"{engine}.jsonl"
    refuse_links(path)
    with locks.alone(path.parent, engine):
        outdated = _begin(path, engine, engine_config)
        known = find(folder, engine, recorded)
        missing = [u for u in recorded if u.id not in known]
        transcribe = partial(_transcribe, root, engine, engine_config, device)
        failures = _append(path, missing, transcribe, jobs, progress)
    return Added(find(folder, engine, recorded), len(missing) - len(failures), failures, outdated)


def word_errors(utterances: Iterable[Utterance], recognised: Mapping[str, str]) -> WordErrors | None:
    """Compare transcripts with human ones, over all utterances that have both; None if none has.

    Args:
        utterances: with their human transcripts.
        recognised: a recogniser's text for each, by id.
    """
    import jiwer

    pairs = [
        (" ".join(normalised(_MARKER.sub(" ", u.transcripts[HUMAN]))), " ".join(normalised(recognised[u.id])))
        for u in utterances
        if HUMAN in u.transcripts and u.id in recognised
    ]
    if not pairs:
        return None
    found = jiwer.process_words([human for human, _ in pairs], [machine for _, machine in pairs])
    edits = found.substitutions + found.insertions + found.deletions
    return WordErrors(edits, found.hits + found.substitutions + found.deletions)


def normalised(text: str) -> list[str]:
    """Return a text's words as the word error rate compares them.

    Case and punctuation are removed. Apostrophes are unified and stay inside words, hyphens separate words, and numbers
    stay as they are written: "5" is not "five". `word_errors` removes markers such as [LAUGHTER] before.

    >>> normalised("Well-known? I CAN’T pay 1,000.50 -- 'no'")
    ['well', 'known', 'i', "can't", 'pay', '1,000.50', 'no']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold())


def _begin(path: Path, engine: str, engine_config: PluginConfig) -> tuple[str, ...]:
    """Prepare the file for appending: remove an unfinished last line, and all lines made with other settings.

    Returns:
        the differences in settings for which lines were removed.
    """
    plugin = plugins.recogniser(engine)
    now = {"version": plugin.VERSION, "asr": plugin.identity(engine_config)}
    record = path.with_suffix(".json")
    there = path.is_file() and path.stat().st_size > 0
    try:
        before = msgspec.json.decode(record.read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        before = None
    if before != now:
        path.unlink(missing_ok=True)  # first, so that settings never stand beside lines made with others
        write_json(record, now)
        if not there:
            return ()
        return tuple(config.differences(before, now)) if before else (f"{record.name} does not give them",)
    if there:
        with path.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    return ()


def _append(
    path: Path,
    missing: Sequence[Utterance],
    transcribe: Callable[[Sequence[Utterance]], list[Transcript | str]],
    jobs: int,
    progress: ProgressFactory,
) -> tuple[str, ...]:
    """Write a line for each utterance as soon as its block is transcribed; return why the others cannot be read."""
    failures = []
    blocks = [missing[n : n + _BLOCK] for n in range(0, len(missing), _BLOCK)]
    killed = (
        "A process that transcribed was killed, perhaps for want of memory; repeat the command, which continues where "
        f"it stopped, with {processes.FEWER}."
    )
    with (
        progress(f"Transcribing by {path.stem}", sum(u.duration_s or 0.0 for u in missing)) as step,
        path.open("ab") as file,
        closing(
            processes.mapped(
                transcribe,
                blocks,
                min(jobs, len(missing) // _BLOCK),
                killed=killed,
                chunksize=processes.block_size(len(blocks)),
                on_report=lambda done_s, _: step(done_s),
            )
        ) as results,
    ):
        for u, result in zip(missing, chain.from_iterable(results), strict=True):
            if isinstance(result, str):
                failures.append(result)
            else:
                key = {"id": u.id, "digest": u.digest, "start_s": u.start_s, "end_s": u.end_s}
                file.write(msgspec.json.encode(msgspec.to_builtins(result) | key) + b"\n")
                file.flush()
    return tuple(failures)


def _transcribe(
    root: Path, engine: str, engine_config: PluginConfig, device: str, block: Sequence[Utterance]
) -> list[Transcript | str]:
    """Return the transcript of each utterance, or why its recording cannot be read."""
    signals = [_signal(root, u) for u in block]
    transcribe = _loaded(plugins.recogniser(engine).make, engine_config, device)
    heard = iter(transcribe([signal for signal in signals if not isinstance(signal, str)]))
    processes.report(
        sum(u.duration_s or 0.0 for u, signal in zip(block, signals, strict=True) if not isinstance(signal, str))
    )
    return [signal if isinstance(signal, str) else next(heard) for signal in signals]


def _signal(root: Path, u: Utterance) -> Array | str:
    """Return an utterance's signal, or why its recording cannot be read."""
    from sercli.audio.reading import read  # which what was transcribed before needs no more

    try:
        return read(root / (u.audio or ""), start_s=u.start_s, end_s=u.end_s)
    except AudioError as error:
        return str(error)


@lru_cache(maxsize=1)
def _loaded(make: Callable[[PluginConfig, str], Transcribe], engine_config: PluginConfig, device: str) -> Transcribe:
    """Return the recogniser, loaded once in each process."""
    from sercli._system import devices  # torch takes its time to import

    return make(engine_config, str(devices.pick_device(device)))
