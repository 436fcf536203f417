"""Groups of recordings that `ser predict` adapts together: those of a folder, or of a speaker."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sercli.cli import sources
from sercli.errors import SerError
from sercli.types import Group, Recording, Way

HINT = 8
"""Number of clips from which `ser predict` says what --group would do."""


def chosen(
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


def warn_of_neutral(recordings: Sequence[Recording], neutral: Sequence[Path]) -> None:
    """Warn of recordings that are clips of the voice at rest themselves."""
    from sercli.cli import render

    rest = {path.resolve() for path in neutral}
    for name in [one.name for one in recordings if one.path and one.path.resolve() in rest]:
        render.warn(f"{name} is a --neutral clip, so that its own prediction tells nothing.")


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
    for one in sources.listed(table):
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
