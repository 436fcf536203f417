"""Many recordings, heard one after the other or by several processes, their answers in the order of the recordings.

Nothing heavy is imported here: a process says how many threads it wants before torch is.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sercli
from sercli._system import processes
from sercli.errors import AudioError, ConfigError, SerError

if TYPE_CHECKING:
    from sercli.pipeline import Heard, Listener

PRETRAINED = Path(sercli.__file__).parent / "pretrained"
"""The run directory that ships: what answers where no other is given."""

_AHEAD = 2  # recordings for each process that may be waiting or done before their turn


@dataclass(frozen=True)
class Recogniser:
    """What hears words: a plugin's name and its Config."""

    name: str
    config: Any


@dataclass(frozen=True)
class Listening:
    """How recordings are answered; what a process needs to make a listener of its own."""

    model: Path
    device: str
    recogniser: Recogniser | None  # None: no words are listened for
    text: str | None  # what is said in the one clip that is asked about
    min_confidence: float


@dataclass(frozen=True)
class Source:
    """A recording to be heard, and what its answers call it."""

    path: Path
    name: str


def model_folder(given: Path | None) -> Path:
    """The run directory that is given, or the one that comes with ser.

    Raises:
        SerError: none is given and none comes with this copy.
    """
    if given is None and not PRETRAINED.is_dir():
        raise SerError(f"No model came with this copy of ser ({PRETRAINED} is missing); give one with --model RUN.")
    return given or PRETRAINED


def recogniser(name: str, sets: Sequence[str]) -> Recogniser:
    """A recogniser with `--set asr.KEY=VALUE`, checked without loading its engine.

    Raises:
        SerError: no recogniser has this name, or an unknown or wrong setting.
    """
    from sercli import config, plugins

    sections = config.parse_sets(sets)
    for section in sorted(sections.keys() - {"asr"}):
        raise ConfigError(f"--set {section}.… does nothing in `ser predict`, which takes asr.KEY.")
    return Recogniser(name, config.build(plugins.load("asr", name).Config, sections.get("asr", {}), "asr"))


def hear(sources: Iterable[Source], listening: Listening, *, jobs: int) -> "Generator[Heard | AudioError, None, None]":
    """Hear recordings: for each, in their order, its answers or why it cannot be read.

    In one process the answers are computed while they are asked for, and damage deep inside a recording is an
    AudioError then; with several, a recording comes when all of it is answered. To stop early, close the generator:
    that ends the processes.

    Raises:
        SerError: the model or the recogniser cannot be used, or a process was killed.
    """
    if jobs > 1:
        yield from _by_processes(sources, listening, jobs)
        return
    listener = make_listener(listening)
    for source in sources:
        try:
            yield listener.hear(source.path, name=source.name)
        except AudioError as error:
            yield error


def make_listener(listening: Listening) -> "Listener":
    """Load the model and, where it reads words and none are given, the recogniser.

    Raises:
        SerError: one of them cannot be used.
    """
    from sercli import pipeline, plugins
    from sercli._system import devices
    from sercli.model import ensemble

    system = ensemble.load(listening.model, devices.pick_device(listening.device))
    transcribe = None
    chosen = listening.recogniser
    if chosen and listening.text is None and pipeline.reads_words(system):
        transcribe = partial(plugins.load("asr", chosen.name).transcribe, config=chosen.config)
    return pipeline.Listener(system, transcribe, listening.text, listening.min_confidence)


def _by_processes(sources: Iterable[Source], listening: Listening, jobs: int) -> "Iterator[Heard | AudioError]":
    waiting: deque[tuple[Source, Future[Heard | AudioError]]] = deque()
    try:
        with processes.pool(jobs) as pool:
            for source in sources:
                waiting.append((source, pool.submit(_hear_whole, source, listening)))
                if len(waiting) >= _AHEAD * jobs:
                    yield waiting[0][1].result()
                    waiting.popleft()
            while waiting:
                yield waiting[0][1].result()
                waiting.popleft()
    except BrokenProcessPool:
        names = ", ".join(source.name for source, _ in waiting)
        raise SerError(
            f"A process was killed, perhaps for want of memory, while it heard one of {names}; "
            "give fewer --jobs, and --skip-done with --out to go on from here."
        ) from None


@cache
def _own_listener(listening: Listening) -> "Listener":
    return make_listener(listening)


def _hear_whole(source: Source, listening: Listening) -> "Heard | AudioError":
    try:
        heard = _own_listener(listening).hear(source.path, name=source.name)
        return replace(heard, answers=list(heard.answers))
    except AudioError as error:
        return error
