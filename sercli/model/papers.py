"""The nine papers among which the original study placed itself: their figures on IEMOCAP and how they were measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper whose network is a preset."""

    authors: str
    year: int
    figure: str  # as the paper reports it, and where that was read
    protocol: str
    caveat: str  # what is known to be wrong with the figure, or with this preset as a copy of the paper's network


UNKNOWN = "not known"
_YOON = "Yoon, Byun and Jung", 2018
_RANDOM = "random parts"
_PRECISION = "parts share speakers and dialogues; what the paper calls accuracy is weighted precision"

PAPERS = {
    "gu2018-hybrid": Paper(
        "Gu, Yang, Fu, Chen, Li and Marsic",
        2018,
        figure=UNKNOWN,
        protocol=UNKNOWN,
        caveat="sizes are ours; acoustic features are means and deviations over each word",
    ),
    "yoon2018-mdre": Paper(*_YOON, "weighted precision .718 (abstract)", _RANDOM, _PRECISION),
    "yoon2018-mdrea": Paper(*_YOON, "weighted precision .690 (not checked)", _RANDOM, _PRECISION),
    "tripathi2018": Paper(
        "Tripathi, Tripathi and Beigi",
        2018,
        figure="accuracy .710 (not checked)",
        protocol="tested on session 5; anger, excitement, neutral, sadness (code)",
        caveat="the epoch is chosen on the test part: the code returns the highest test accuracy of all epochs",
    ),
    "gu2018-dnn": Paper(
        "Gu, Chen and Marsic",
        2018,
        figure="WA .604 on five classes (abstract)",
        protocol="five classes, with frustration",
        caveat="another set of classes than the other papers'; sizes are ours",
    ),
    "etienne2018": Paper(
        "Etienne, Fidanza, Petrovskii, Devillers and Schmauch",
        2018,
        figure="WA .645, UA .617 (abstract)",
        protocol="ten folds; improvised turns (not checked)",
        caveat="improvised turns are easier; numbers of filters and units are ours",
    ),
    "cnn-lstm": Paper(
        UNKNOWN,
        2018,
        figure=UNKNOWN,
        protocol=UNKNOWN,
        caveat="the paper could not be found: a network as the original study describes it, all sizes ours",
    ),
    "neumann2017": Paper(
        "Neumann and Vu",
        2017,
        figure="WA .561 (cited by others)",
        protocol="one session left out in turn (not checked)",
        caveat="sizes are ours; the second target is a regression of activation and valence",
    ),
    "fayek2017": Paper(
        "Fayek, Lech and Cavedon",
        2017,
        figure="WA .648, UA .609 (not checked)",
        protocol="one speaker left out in turn; improvised turns (not checked)",
        caveat="improvised turns are easier; sizes are ours",
    ),
    "mirsamadi2017": Paper(
        "Mirsamadi, Barsoum and Zhang",
        2017,
        figure="WA .635, UA .588 (cited by others)",
        protocol="one test session (not checked)",
        caveat="34 descriptors of another toolkit in place of its 32",
    ),
}
"""By preset."""
