"""Whether recordings that are adapted to together are clearly of several voices, which they are said not to be."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from sercli import speakers
from sercli.audio import reading, segments
from sercli.cli import render
from sercli.errors import AudioError
from sercli.types import Array, Group, Recording

_LEAST, _MOST = 8, 16  # utterances that are compared: fewer tell too little, more tell nothing new


def warn(recordings: Sequence[Recording], group: Group, neutral: Sequence[Path]) -> None:
    """Warn of groups, and of clips at rest, that are clearly of several voices or rooms; nothing is sure of a few.

    Args:
        recordings: all, with their speakers where these are known; those that come in live are left out.
        group: what is adapted to.
        neutral: clips of the voice in all recordings, at rest.
    """
    files = [one for one in recordings if one.path]
    rest = {path.resolve() for path in neutral}
    for name in [one.name for one in files if one.path and one.path.resolve() in rest]:
        render.warn(f"{name} is a --neutral clip, so that its own prediction tells nothing.")
    if neutral and len(found := _voices(files)) >= _LEAST:
        resting = _voices([Recording(str(path), path) for path in neutral])
        if len(resting) and (alike := speakers.likeness(resting, found)) < speakers.ONE_VOICE:
            render.warn(
                f"The --neutral clips seem to be of another voice or room than the recordings (likeness {alike:.2f}, "
                f"of one voice {speakers.ONE_VOICE} or more), and adapting to them does harm then; check the clips."
            )
    if group == "recording":
        return
    together: dict[str | None, list[Recording]] = {}
    for one in files:
        together.setdefault(str(one.path and one.path.parent) if group == "folder" else one.speaker, []).append(one)
    for key, own in together.items():
        found = _voices(own if key else [])
        if len(found) >= _LEAST and (alike := speakers.likeness(found)) < speakers.ONE_VOICE:
            render.warn(
                f"The recordings of {group} {key} seem to be of several voices or rooms (likeness {alike:.2f}, of one "
                f"voice {speakers.ONE_VOICE} or more), and are adapted to as one; --speakers-from names them."
            )


def _voices(recordings: Sequence[Recording]) -> Array:
    """Return the embeddings (N, E) of up to `_MOST` utterances, evenly from recordings; of unreadable ones none."""
    chosen = recordings[:: max(1, -(-len(recordings) // _MOST))]
    signals: list[Array] = []
    for one in chosen:
        with suppress(AudioError):  # which is told when it is predicted
            cuts = segments.segments(reading.opened(one))
            signals += [cut.signal for cut in islice(cuts, _MOST // len(chosen))]
    return speakers.embed(signals)
