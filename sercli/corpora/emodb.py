"""EmoDB, the Berlin database: ten German actors, ten sentences, seven emotions (Burkhardt et al. 2005)."""

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.corpora._files import find_clips, of_four
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "http://emodb.bilderbar.info/"
LICENCE = "CC BY 4.0"
LANGUAGE = "de"
LABELS = of_four("neutral", "happiness", "sadness", "anger", "fear", "disgust", "boredom")
SPLIT = "speakers"
FOLDS: int | None = None  # leave one speaker out

_EMOTIONS = dict(zip("NFTWAEL", LABELS, strict=True))  # the letters are those of the German words
_WOMEN = ("08", "09", "13", "14", "16")
_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_NAME = re.compile(
    r"(?:^|/)(?P<speaker>03|08|09|1[0-6])(?P<text>[ab](?:0[1-9]|10))(?P<emotion>[NFTWAEL])(?P<version>[a-z])$"
)


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Return the clips below a folder, in `wav/` as released or anywhere else.

    Raises:
        SerError: there is no such folder, or no clip of EmoDB in it.
    """
    return find_clips(root, _NAME, _utterance, corpus="EmoDB", example="wav/03a01Fa.wav")


def _utterance(id_: str, audio: str, clip: re.Match[str]) -> Utterance:
    sentence = _SENTENCES.get(clip["text"])
    return Utterance(
        id=id_,
        corpus="emodb",
        label=_EMOTIONS[clip["emotion"]],
        speaker=clip["speaker"],
        prompt=clip["text"],
        audio=audio,
        transcripts={HUMAN: sentence} if sentence else {},
        attributes={"sex": "female" if clip["speaker"] in _WOMEN else "male", "version": clip["version"]},
    )
