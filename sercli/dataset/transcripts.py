"""What recognisers hear in a dataset's recordings, kept beside its manifest, which knows nothing of it.

`transcripts/ENGINE.jsonl` has a line for each utterance, appended as it is heard, so that a killed run goes on where it
was. A line names the sound that it was made from: words heard in a recording that has changed since are not taken for
what is said in it now. The settings that all lines were heard with stand in `ENGINE.json`; with other settings all are
made anew.
"""

import re
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sercli import asr, config, plugins
from sercli._system import locks, processes
from sercli._system.files import write_json
from sercli._system.progress import ProgressFactory
from sercli.audio.reading import read
from sercli.errors import AudioError, ConfigError, SerError
from sercli.types import HUMAN, Transcript, Utterance, Word

_FOLDER = "transcripts"
_SHARE = 8  # recordings that make another process worth its start
_MARKER = re.compile(r"\[[^\[\]]*\]")
# A number with the points, commas and colons inside it; or letters and digits with the apostrophes between them.
_WORD = re.compile(r"\d+(?:[.,:]\d+)+|\w+(?:'\w+)*")
_APOSTROPHES = str.maketrans("‘’‛′`´", "''''''")


@dataclass(frozen=True)
class _Line:
    """One line of ENGINE.jsonl."""

    id: str
    digest: str | None  # of the recording that was heard
    start_s: float | None
    end_s: float | None
    text: str
    confidence: float
    no_speech: float
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Added:
    """What `add` did."""

    transcripts: dict[str, Transcript]  # by utterance, those that were there before among them
    n_new: int
    failures: tuple[str, ...]  # recordings that could not be read, and why
    outdated: tuple[str, ...]  # how the settings differ from those of transcripts that were there and were thrown away


@dataclass(frozen=True)
class WordErrors:
    """How far words that were heard are from those that a person wrote down, over all utterances together."""

    edits: int  # words to put in, leave out or replace
    n_words: int  # that the person wrote down

    @property
    def rate(self) -> float | None:
        """Word error rate; None where the person wrote down no word."""
        return self.edits / self.n_words if self.n_words else None

    def __str__(self) -> str:
        """Rate and what it is made of.

        >>> str(WordErrors(3, 120))
        '2.50 % (3 edits in 120 words)'
        """
        share = "undefined" if self.rate is None else f"{100 * self.rate:.2f} %"
        return f"{share} ({self.edits} edits in {self.n_words} words)"


def engine_config(engine: str | None, sets: Sequence[str]) -> Any:
    """The recogniser's configuration out of `asr.KEY=VALUE` pairs; None without a recogniser.

    Raises:
        SerError: no such recogniser, or a key that it does not have.
    """
    values = config.parse_sets(sets).get("asr", {})
    if engine is not None:
        return config.build(plugins.load("asr", engine).Config, values, "asr")
    if values:
        raise ConfigError("--set asr.… does nothing without --asr; add --asr whisper, or leave it out.")
    return None


def check_engine(engine: str, engine_config: Any) -> None:
    """Let the recogniser hear a silent second, so that what it lacks is known before any work.

    Raises:
        SerError: it is not installed, or cannot load its model.
    """
    plugins.load("asr", engine).transcribe(np.zeros(asr.SAMPLE_RATE_HZ, np.float32), engine_config)


def find(folder: Path, engine: str, utterances: Iterable[Utterance]) -> dict[str, Transcript]:
    """The transcripts by a recogniser that a dataset's folder has of these utterances as they sound now."""
    lines = {line.id: line for line in _read(folder / _FOLDER / f"{engine}.jsonl")}
    return {
        u.id: Transcript(line.text, line.words, line.confidence, line.no_speech)
        for u in utterances
        if (line := lines.get(u.id)) and (line.digest, line.start_s, line.end_s) == (u.digest, u.start_s, u.end_s)
    }


def add(
    folder: Path,
    root: Path,
    utterances: Sequence[Utterance],
    engine: str,
    engine_config: Any,
    *,
    jobs: int,
    progress: ProgressFactory,
) -> Added:
    """Hear the words of every utterance that has sound and no transcript by this recogniser yet.

    Args:
        folder: of the prepared dataset.
        root: what the utterances' audio paths lie below.
        utterances: of the whole dataset.
        engine: the recogniser.
        engine_config: its configuration.
        jobs: processes that listen at the same time, each on one core.
        progress: shows what is under way.

    Raises:
        HeldError: another process is at it.
        SerError: no utterance has sound, or the recogniser cannot be used.
    """
    sounding = [u for u in utterances if u.audio is not None]
    if not sounding:
        raise SerError(f"{folder}: no utterance has a recording, and --asr {engine} needs some; leave --asr out.")
    path = folder / _FOLDER / f"{engine}.jsonl"
    if path.is_symlink():
        raise SerError(f"{path} is a link, and is to be written to; put the file itself there.")
    with locks.alone(path.parent, engine):
        outdated = _begin(path, engine, engine_config)
        known = find(folder, engine, sounding)
        missing = [u for u in sounding if u.id not in known]
        failures = _append(path, missing, root, engine, engine_config, jobs, progress)
    return Added(find(folder, engine, sounding), len(missing) - len(failures), failures, outdated)


def word_errors(utterances: Iterable[Utterance], heard: Mapping[str, str]) -> WordErrors | None:
    """Compare what was heard with the human words, over all utterances that have both; None where none has.

    Args:
        utterances: with their human transcripts.
        heard: what a recogniser made of each, by id.
    """
    import jiwer

    pairs = [
        (" ".join(normalised(_MARKER.sub(" ", u.transcripts[HUMAN]))), " ".join(normalised(heard[u.id])))
        for u in utterances
        if HUMAN in u.transcripts and u.id in heard
    ]
    if not pairs:
        return None
    found = jiwer.process_words([human for human, _ in pairs], [machine for _, machine in pairs])
    edits = found.substitutions + found.insertions + found.deletions
    return WordErrors(edits, found.hits + found.substitutions + found.deletions)


def normalised(text: str) -> list[str]:
    """A text as the words that count for the word error rate.

    Case and punctuation go, apostrophes are made plain and stay inside words, hyphens part words, numbers stay as they
    are written: "5" is not "five". Markers such as [LAUGHTER] are no words; `word_errors` takes them out of what people
    wrote down.

    >>> normalised("Well-known? I CAN’T pay 1,000.50 -- 'no'")
    ['well', 'known', 'i', "can't", 'pay', '1,000.50', 'no']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold())


def _begin(path: Path, engine: str, engine_config: Any) -> tuple[str, ...]:
    """Make the file ready to be appended to: an unfinished last line goes, and all lines heard with other settings.

    Returns:
        the differences in settings for which lines were thrown away.
    """
    plugin = plugins.load("asr", engine)
    now = {"version": plugin.VERSION, "asr": plugin.identity(engine_config)}
    record = path.with_suffix(".json")
    there = path.is_file() and path.stat().st_size > 0
    try:
        before = msgspec.json.decode(record.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        before = None
    if before != now:
        path.unlink(missing_ok=True)  # first: lines never stand beside settings that they were not heard with
        write_json(record, now)
        if not there:
            return ()
        return tuple(config.differences(before, now)) if before else (f"{record.name} did not tell them",)
    if there:
        with path.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    return ()


def _append(
    path: Path,
    missing: list[Utterance],
    root: Path,
    engine: str,
    engine_config: Any,
    jobs: int,
    progress: ProgressFactory,
) -> tuple[str, ...]:
    """Write a line for each utterance as soon as it is heard; tell of those that cannot be read."""
    failures = []
    hours = sum(u.duration_s or 0.0 for u in missing) / 3600
    done = 0.0
    tasks = [_Task(root / (u.audio or ""), u.start_s, u.end_s, engine, engine_config) for u in missing]
    with (
        progress("Hearing words", len(missing)) as step,
        path.open("ab") as file,
        closing(_hear_all(tasks, jobs)) as answers,
    ):
        for u, heard in zip(missing, answers, strict=True):
            if isinstance(heard, str):
                failures.append(heard)
            else:
                file.write(msgspec.json.encode(_line(u, heard)) + b"\n")
                file.flush()
            done += (u.duration_s or 0.0) / 3600
            step(1, done=f"{done:.2f} h", left=f"{max(hours - done, 0.0):.2f} h")
    return tuple(failures)


def _line(utterance: Utterance, heard: Transcript) -> _Line:
    return _Line(
        id=utterance.id,
        digest=utterance.digest,
        start_s=utterance.start_s,
        end_s=utterance.end_s,
        text=heard.text,
        confidence=heard.confidence,
        no_speech=heard.no_speech,
        words=heard.words,
    )


@dataclass(frozen=True)
class _Task:
    path: Path
    start_s: float | None
    end_s: float | None
    engine: str
    config: Any


def _hear_all(tasks: list[_Task], jobs: int) -> Generator[Transcript | str, None, None]:
    jobs = min(jobs, len(tasks) // _SHARE)
    killed = (
        "A process that listened was killed, perhaps for want of memory; repeat the command, it goes on, with fewer "
        f"--jobs than {jobs}."
    )
    return processes.mapped(_hear, tasks, jobs, killed=killed)


def _hear(task: _Task) -> Transcript | str:
    """What is said in a stretch of sound, or why it cannot be read."""
    try:
        sound = read(task.path, sample_rate_hz=asr.SAMPLE_RATE_HZ, start_s=task.start_s, end_s=task.end_s)
    except AudioError as error:
        return str(error)
    heard: Transcript = plugins.load("asr", task.engine).transcribe(sound, task.config)
    return heard


def _read(path: Path) -> Iterator[_Line]:
    """The lines of a file; what is damaged is as good as not there, and is heard again."""
    decoder = msgspec.json.Decoder(_Line)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n"):
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
