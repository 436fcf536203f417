"""The plan of a whole IEMOCAP: 10,039 turns in 151 dialogs with the counts of the release.

Published per session: dialogs, turns by sex, turns of the four classes, and how many of those are by women and how many
are improvised. Published in total: turns of each code, improvised turns, and turns whose speaker did not wear the
markers. The other counts per session are invented so that all published ones hold.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from iemocap_tree import PlannedTurn


@dataclass(frozen=True)
class Session:
    """The number of turns of each kind in one session."""

    women: int
    men: int
    four: dict[str, int]  # turns by code, the four classes
    rest: dict[str, int]  # turns by code, the others
    four_women: int
    four_improvised: int
    rest_improvised: int
    four_unmarked: int  # turns whose speaker did not wear the markers


SESSIONS = {
    1: Session(
        women=873,
        men=946,
        four={"neu": 384, "hap": 135, "exc": 143, "sad": 194, "ang": 229},
        rest={"xxx": 428, "fru": 280, "sur": 18, "fea": 7, "oth": 1},
        four_women=528,
        four_improvised=521,
        rest_improvised=300,
        four_unmarked=540,
    ),
    2: Session(
        women=859,
        men=952,
        four={"neu": 362, "hap": 117, "exc": 210, "sad": 197, "ang": 137},
        rest={"xxx": 436, "fru": 325, "sur": 17, "fea": 9, "dis": 1},
        four_women=481,
        four_improvised=530,
        rest_improvised=322,
        four_unmarked=508,
    ),
    3: Session(
        women=1048,
        men=1088,
        four={"neu": 320, "hap": 135, "exc": 151, "sad": 305, "ang": 240},
        rest={"xxx": 571, "fru": 382, "sur": 24, "fea": 8},
        four_women=522,
        four_improvised=627,
        rest_improvised=402,
        four_unmarked=572,
    ),
    4: Session(
        women=987,
        men=1116,
        four={"neu": 258, "hap": 65, "exc": 238, "sad": 143, "ang": 327},
        rest={"xxx": 563, "fru": 481, "sur": 21, "fea": 6, "oth": 1},
        four_women=528,
        four_improvised=534,
        rest_improvised=438,
        four_unmarked=513,
    ),
    5: Session(
        women=1033,
        men=1137,
        four={"neu": 384, "hap": 143, "exc": 299, "sad": 245, "ang": 170},
        rest={"xxx": 509, "fru": 381, "sur": 27, "fea": 10, "oth": 1, "dis": 1},
        four_women=590,
        four_improvised=731,
        rest_improvised=379,
        four_unmarked=617,
    ),
}

_SCRIPTS = ("script01_1", "script01_2", "script01_3", "script02_1", "script02_2", "script03_1", "script03_2")


def full_plan() -> list[PlannedTurn]:
    """All labelled turns; those of one dialog are in random order."""
    random = Random(1)
    plan = [turn for number in SESSIONS for turn in _session(number, random)]
    random.shuffle(plan)
    return plan


def dialogs(number: int) -> list[str]:
    """The names of a session's dialogs."""
    scenes = [f"impro0{n}" for n in range(1, 8 if number == 1 else 9)] + list(_SCRIPTS)
    women = [f"Ses0{number}F_{scene}" for scene in scenes]
    if number == 3:
        halves = ["impro05a", "impro05b", "impro08a", "impro08b"]
        scenes = [scene for scene in scenes if scene not in ("impro05", "impro08")] + halves
    if number == 5:
        scenes.append("script01_1b")
    return women + [f"Ses0{number}M_{scene}" for scene in scenes]


def _session(number: int, random: Random) -> Iterator[PlannedTurn]:
    session = SESSIONS[number]
    n_rest = sum(session.rest.values())
    rest_women = session.women - session.four_women
    yield from _spread(number, session.four, session.four_women, session.four_improvised, session.four_unmarked, random)
    yield from _spread(number, session.rest, rest_women, session.rest_improvised, n_rest // 2, random)


def _spread(
    number: int, codes: dict[str, int], n_women: int, n_improvised: int, n_unmarked: int, random: Random
) -> Iterator[PlannedTurn]:
    """Turns with exactly these counts of codes, speakers, styles and markers, each drawn independently."""
    n = sum(codes.values())
    kinds = list(Counter(codes).elements())
    sexes = _shuffled("F", n_women, "M", n, random)
    styles = _shuffled("impro", n_improvised, "script", n, random)
    unmarked = _shuffled(True, n_unmarked, False, n, random)
    for place, (code, sex, style, other) in enumerate(zip(kinds, sexes, styles, unmarked, strict=True)):
        marked = {"F": "M", "M": "F"}[sex] if other else sex
        fitting = [name for name in dialogs(number) if name.startswith(f"Ses0{number}{marked}_{style}")]
        yield PlannedTurn(fitting[place % len(fitting)], sex, code)


def _shuffled(first: object, n_first: int, second: object, n: int, random: Random) -> list:
    values = [first] * n_first + [second] * (n - n_first)
    random.shuffle(values)
    return values
