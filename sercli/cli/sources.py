"""The recordings that `ser predict` is given, and whose voices they hold.

They are files, folders, patterns, stdin, or the rows of a table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sercli import plugins
from sercli._system.text import alike_speakers, similar_names
from sercli.cli import writers
from sercli.errors import SerError
from sercli.types import Group, Recording, Remark, Way

if TYPE_CHECKING:
    from sercli.audio.live import LiveSound

_ENDINGS = 8  # of files that are left out, which a line names


def recordings(
    paths: list[Path],
    until_the_end: ExitStack,
    *,
    sound: "LiveSound | None",
    text: str | None,
    min_confidence: float,
    out: Path | None,
    track: int | None,
) -> list[Recording]:
    """Return the recordings in the order of the paths, each once, or those that a table lists, in its order.

    Args:
        paths: as given; a table stands alone.
        until_the_end: keeps the temporary file that stdin is saved to.
        sound: what comes in, in place of the paths.
        text: the value of --text.
        min_confidence: of each recording.
        out: the value of --out.
        track: the value of --track, for each recording.

    Raises:
        SerError: nothing is found, or an option does nothing with a table.
    """
    if sound:
        return [Recording(sound.name, min_confidence=min_confidence)]
    endings = plugins.table().ENDINGS
    tables = [path for path in paths if path.suffix.lower() in endings and path.is_file()]
    if not tables:
        from sercli.audio import discovery

        others: list[str] = []
        named = [path for path in paths if path != writers.STDIN]
        found = [(str(path), path) for path in discovery.find(named, others)]
        if others:
            _tell_left_out(others)
        if writers.STDIN in paths:
            place = len(discovery.find(paths[: paths.index(writers.STDIN)]))
            found.insert(place, (str(writers.STDIN), until_the_end.enter_context(discovery.stdin())))
        return [Recording(name, path, text, min_confidence, track=track) for name, path in found]
    if len(paths) > 1:
        raise SerError(f"{tables[0]} is a table of recordings; give it alone.")
    if text is not None:
        raise SerError(f"--text is for a single recording; give {tables[0]} a column text.")
    if out and not writers.single_file(out):
        raise SerError(f"The predictions for a table are one file; give --out FILE.csv or FILE.json, not {out}.")
    return [replace(recording, min_confidence=min_confidence, track=track) for recording in listed(tables[0])]


def _tell_left_out(names: Sequence[str]) -> None:
    """Say which files in folders are left out, since they are not called like recordings."""
    from sercli.audio import discovery
    from sercli.cli import render

    by_ending = Counter(discovery.suffix(name).lower() or "without ending" for name in names)
    shown = [f"{n} {ending}" for ending, n in by_ending.most_common(_ENDINGS)]
    shown += ["..."] if len(by_ending) > _ENDINGS else []
    files = f"{len(names)} file{'s' * (len(names) > 1)}"
    render.note(f"{files} in folders not called like recordings: left out ({', '.join(shown)}); name any that are.")


def sound(
    paths: list[Path], raw_hz: int | None, device: str | None, others: Mapping[str, object]
) -> "LiveSound | None":
    """Return the sound that comes in from a microphone or as raw samples on stdin; None: the paths are recordings.

    Args:
        paths: as given.
        raw_hz: the value of --raw.
        device: the value of --input-device.
        others: option -> value of those that need a recording.

    Raises:
        SerError: there is no such device, stdin is a terminal, or an option does nothing.
    """
    mic = writers.MIC in paths and (device is not None or not writers.MIC.exists())
    if mic and len(paths) > 1:
        raise SerError("mic is the microphone; give it alone.")
    if device is not None and not mic:
        raise SerError("--input-device is for a microphone: ser predict mic --input-device NAME.")
    if raw_hz is not None and paths != [writers.STDIN]:
        raise SerError(f"--raw is for samples on stdin: ser predict - --raw {raw_hz}.")
    if not mic and raw_hz is None:
        return None
    for option, value in others.items():
        if value:
            raise SerError(f"{option} needs a recording, and {paths[0]} is predicted while it comes in; leave it out.")
    from sercli.audio import live

    return live.microphone(device) if raw_hz is None else live.raw(raw_hz)


def grouped(
    group: Group | None, way: Way, recordings: Sequence[Recording], speakers_from: Path | None
) -> tuple[Group, list[Recording]]:
    """Return what is adapted to, and the recordings with their speakers.

    Args:
        group: the value of --group.
        way: the value of --adapt.
        recordings: with their speakers, where these are known.
        speakers_from: the value of --speakers-from.

    Raises:
        SerError: options that exclude each other, or no speakers for --group speaker.
    """
    found = list(recordings) if speakers_from is None else with_speakers(recordings, speakers_from)
    group = group or ("speaker" if speakers_from else "recording")
    if group == "speaker" and not any(one.speaker for one in found):
        raise SerError("--group speaker needs --speakers-from, a table with the columns path and speaker; add it.")
    if group != "recording" and way == "none":
        raise SerError("--adapt none and --group exclude each other; leave one out.")
    return group, found


def with_speakers(recordings: Sequence[Recording], table: Path) -> list[Recording]:
    """Return the recordings with the speakers that a table names.

    Raises:
        SerError: the table cannot be read, has no speakers, several for a recording, or none of the recordings; or
            the recordings have speakers already.
    """
    from sercli.cli import render

    if any(one.speaker for one in recordings):
        raise SerError("The table of recordings names their speakers; leave out --speakers-from.")
    speakers: dict[str, str] = {}
    for one in listed(table):
        if one.path and one.speaker and speakers.setdefault(str(one.path.resolve()), one.speaker) != one.speaker:
            raise SerError(f"{table} gives {one.name} several speakers; list each recording once.")
    if not speakers:
        raise SerError(f"{table} names no speakers; give a table with the columns path and speaker.")
    found = [replace(one, speaker=speakers.get(str(one.path and one.path.resolve()))) for one in recordings]
    if not any(one.speaker for one in found):
        raise SerError(
            f"{table} names none of the {len(recordings)} recordings, such as {recordings[0].name}; its paths are "
            "relative to the table's folder, or absolute."
        )
    if missing := [one.name for one in found if not one.speaker]:
        render.warn(f"{table} does not name the speaker of {len(missing)} recordings, such as {missing[0]}.")
    return found


def listed(table: Path) -> list[Recording]:
    """Return the recordings of a table's rows; remarks on its text go to stderr."""
    from sercli.cli import render

    found = list(plugins.table().listed(table))
    for one in found:
        if isinstance(one, Remark):
            render.warn(f"{one.source}: {one.reason}")
    rows = [one for one in found if isinstance(one, Recording)]
    if similar := similar_names(one.speaker for one in rows):
        render.warn(f"{alike_speakers(similar)}; correct {table}.")
    return rows
