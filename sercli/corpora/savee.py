"""SAVEE, the Surrey set: four Englishmen, TIMIT sentences, seven emotions (Haq & Jackson 2009)."""

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.corpora._files import find_clips, of_four
from sercli.types import Remark, Utterance

HOMEPAGE = "http://kahlan.eps.surrey.ac.uk/savee/"
LICENCE = "free for research, on registration"
LANGUAGE = "en"
LABELS = of_four("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SPLIT = "speakers"
FOLDS: int | None = None  # leave one speaker out

_EMOTIONS = dict(zip(("n", "h", "sa", "a", "f", "d", "su"), LABELS, strict=True))
_NAME = re.compile(r"(?:^|/)(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>sa|su|[adfhn])(?P<number>\d\d)$", re.ASCII)
_COMMON = ("01", "02", "03")  # the three sentences that are spoken in every emotion


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Return the clips below a folder, as `AudioData/DC/a01.wav` or as `DC_a01.wav`.

    Raises:
        SerError: there is no such folder, or no clip of SAVEE in it.
    """
    return find_clips(root, _NAME, _utterance, corpus="SAVEE", example="AudioData/DC/a01.wav or DC_a01.wav")


def _utterance(id_: str, audio: str, clip: re.Match[str]) -> Utterance:
    # The release does not say which neutral sentences repeat those of one emotion, so only the common ones are shared.
    prompt = clip["number"] if clip["number"] in _COMMON else clip["emotion"] + clip["number"]
    return Utterance(
        id=id_,
        corpus="savee",
        label=_EMOTIONS[clip["emotion"]],
        speaker=clip["speaker"],
        prompt=prompt,
        audio=audio,
        attributes={"sex": "male"},
    )
