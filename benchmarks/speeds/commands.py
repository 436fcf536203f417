"""Whole commands, start included."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from speeds.pairs import SER, Cost, Result, alternate, command
from speeds.sounds import link_clips, write_clips

CLIP_S = 4.5
N_CLIPS = 500
N_ALONE = 3  # clips for which a process each is started
MOST_PAIRS = 3  # with words: faster-whisper alone takes minutes
WORDS_ALONE = Path(__file__).with_name("words_alone.py")


def cold(pairs: int) -> list[Result]:
    """One clip, by sound alone, from the start of the process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        (clip,) = write_clips(Path(folder), 1, seconds=CLIP_S)
        costs = alternate(
            command(sys.executable, "-c", "import torch, soundfile"),
            command(*SER, "predict", clip, "--no-asr"),
            pairs=pairs,
        )
    return [Result("cold `ser predict clip.wav --no-asr`", "<= 1.3", *costs, inverse=True)]


def help(pairs: int) -> list[Result]:  # noqa: A001 - the row's name
    """What is shown without any work."""
    peer = command(sys.executable, "-c", "import typer, typer.rich_utils")
    return [
        Result(f"`ser {word}`", "<= 1.25", *alternate(peer, command(*SER, word), pairs=pairs), inverse=True)
        for word in ("--help", "--version")
    ]


def predict(pairs: int) -> list[Result]:
    """Many clips in one process: by sound alone against a process a clip, with words against faster-whisper alone.

    The clips are those that come with ser, as often as it takes: made-up voices say no words.
    """
    with tempfile.TemporaryDirectory() as folder:
        clips = link_clips(Path(folder), N_CLIPS)
        seconds = sum(map(_length_s, clips))
        ask = (*SER, "predict", "--jobs", "1", "--json")
        alone = command(*ask, "--no-asr", *clips)
        one_by_one = alternate(_times(partial(_each, clips[:N_ALONE]), len(clips) / N_ALONE), alone, pairs=pairs)
        heard = alternate(
            command(sys.executable, WORDS_ALONE, *clips),
            command(*ask, *clips),
            pairs=min(pairs, MOST_PAIRS),
            warm_up=False,
        )
    share_alone, share = (median(c.cpu_s for c in ours) / seconds for ours in (one_by_one[1], heard[1]))
    return [
        Result(
            f"`predict` of {len(clips)} clips ({seconds:.0f} s), sound alone, against a process a clip",
            ">= 25 x real time a core",
            *one_by_one,
            remark=f"**{1 / share_alone:.0f} x real time**; the peer's cost is that of {N_ALONE} clips, multiplied",
        ),
        Result(
            f"`predict` of {len(clips)} clips with words, against faster-whisper alone",
            "<= .08 of real time",
            *heard,
            inverse=True,
            remark=f"**{share:.3f} of real time**",
        ),
    ]


def _length_s(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


def _each(clips: list[Path]) -> Cost:
    costs = [command(*SER, "predict", clip, "--json", "--no-asr")() for clip in clips]
    return Cost(sum(c.cpu_s for c in costs), sum(c.wall_s for c in costs))


def _times(measure: Any, factor: float) -> Any:
    def scaled() -> Cost:
        cost = measure()
        return Cost(cost.cpu_s * factor, cost.wall_s * factor)

    return scaled
