"""CREMA-D: 91 North American actors, twelve sentences, six emotions (Cao et al. 2014)."""

import re
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

from sercli.corpora._files import find_clips, of_four, read_rows, read_text
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
LICENCE = "ODbL 1.0"
LANGUAGE = "en"
LABELS = of_four("neutral", "happiness", "sadness", "anger", "fear", "disgust")
SPLIT = "speakers"
FOLDS: int | None = 5

_EMOTIONS = dict(zip(("NEU", "HAP", "SAD", "ANG", "FEA", "DIS"), LABELS, strict=True))
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high"}  # XX (and one X): unspecified
_SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_NAME = re.compile(
    rf"(?:^|/)(?P<actor>1\d{{3}})_(?P<sentence>{'|'.join(_SENTENCES)})_(?P<emotion>{'|'.join(_EMOTIONS)})"
    r"_(?P<level>LO|MD|HI|XX?)$",
    re.ASCII,
)
_DEMOGRAPHICS = "VideoDemographics.csv"


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the clips below a folder, in `AudioWAV/` as released or anywhere else; sex is from VideoDemographics.csv.

    Raises:
        SerError: there is no such folder, no clip of CREMA-D in it, or VideoDemographics.csv is broken.
    """
    sexes = yield from _read_sexes(root)
    make = partial(_utterance, sexes)
    yield from find_clips(root, _NAME, make, corpus="CREMA-D", example="AudioWAV/1001_DFA_ANG_XX.wav")
    if not sexes:
        yield Remark("warning", str(root), f"{_DEMOGRAPHICS} is missing, so the speakers' sex is unknown")


def _read_sexes(root: Path) -> Generator[Remark, None, dict[str, str]]:
    """Return "female" or "male" for each actor; nothing if the table is missing."""
    for path in (root / _DEMOGRAPHICS, root.parent / _DEMOGRAPHICS):  # the root may be AudioWAV itself
        if path.is_file():
            text = yield from read_text(path)
            return {row.get("ActorID", ""): row.get("Sex", "").lower() for _, row in read_rows(text, str(path))}
    return {}


def _utterance(sexes: dict[str, str], id_: str, audio: str, clip: re.Match[str]) -> Utterance:
    attributes = {"sex": sexes.get(clip["actor"]), "level": _LEVELS.get(clip["level"])}
    return Utterance(
        id=id_,
        corpus="cremad",
        label=_EMOTIONS[clip["emotion"]],
        speaker=clip["actor"],
        prompt=clip["sentence"],
        audio=audio,
        transcripts={HUMAN: _SENTENCES[clip["sentence"]]},
        attributes={name: value for name, value in attributes.items() if value},
    )
