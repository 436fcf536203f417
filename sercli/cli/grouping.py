"""Groups of recordings that `ser predict` adapts together: those of a folder, or of a speaker."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sercli import groups
from sercli.cli import sources
from sercli.errors import SerError
from sercli.pipeline import Pipeline, PipelineConfig, RecordingResult
from sercli.types import Prediction, Recording, Way

HINT = 8
"""Number of clips from which `ser predict` says what --group would do."""


@dataclass(frozen=True)
class Grouping:
    """Which predictions are adapted together."""

    kind: Literal["folder", "speaker"]
    way: Way

    def key(self, prediction: Prediction) -> str | None:
        """Return the group of a prediction; None: it belongs to none."""
        return prediction.speaker if self.kind == "speaker" else str(Path(prediction.path).parent)


def chosen(group: Literal["folder", "speaker"], way: Way, recordings: Sequence[Recording]) -> Grouping:
    """Return which recordings are adapted together.

    Args:
        group: the value of --group.
        way: the value of --adapt.
        recordings: with their speakers, where these are known.

    Raises:
        SerError: options that exclude each other, or no speakers for --group speaker.
    """
    if group == "speaker" and not any(one.speaker for one in recordings):
        raise SerError("--group speaker needs --speakers-from, a table with the columns path and speaker; add it.")
    if way == "none":
        raise SerError("--adapt none and --group exclude each other; leave one out.")
    return Grouping(group, way)


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


def adapted(
    results: Iterable[tuple[RecordingResult, Sequence[Prediction]]], grouping: Grouping, config: PipelineConfig
) -> Iterator[RecordingResult]:
    """Yield the results in their order, once all are there, each adapted to its group."""
    from sercli._system import devices
    from sercli.model.loading import load_run

    complete = list(results)
    if not complete:
        return
    model = load_run(config.model, devices.pick_device(config.device))
    if not model.can_adapt:
        raise SerError(
            f"{config.model} cannot be adapted: it needs an acoustic member and a fusion rule over probabilities; "
            "leave out --group."
        )
    every = [one for _, predictions in complete for one in predictions]
    anew = iter(
        groups.by_key(
            model,
            every,
            grouping.key,
            grouping.way,
            grouping.kind,
            resting=Pipeline(model).at_rest(config.neutral) if config.neutral else (),
            min_confidence=complete[0][0].recording.min_confidence,
        )
    )
    for result, predictions in complete:
        yield replace(result, predictions=[next(anew) for _ in predictions])
