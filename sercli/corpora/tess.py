"""TESS, the Toronto set: two actresses, 200 words in one carrier sentence, seven emotions (Pichora-Fuller & Dupuis)."""

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.corpora._files import find_clips, of_four
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://doi.org/10.5683/SP2/E8H2MF"
LICENCE = "CC BY-NC-ND 4.0"
LANGUAGE = "en"
LABELS = of_four("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SPLIT = "speakers"
FOLDS: int | None = None  # there are two speakers

_EMOTIONS = dict(zip(("neutral", "happy", "sad", "angry", "fear", "disgust", "ps"), LABELS, strict=True))
# One file of the release is called OA_bite_neutral. Its speaker is OAF.
_NAME = re.compile(rf"(?:^|/)(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(_EMOTIONS)})$", re.IGNORECASE)


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Return the clips below a folder, in folders of any names; copies of a clip in two folders count once.

    Raises:
        SerError: there is no such folder, or no clip of TESS in it.
    """
    return find_clips(
        root, _NAME, _utterance, corpus="TESS", example="OAF_angry/OAF_back_angry.wav", identify=_identify
    )


def _identify(match: re.Match[str]) -> str:
    speaker = "YAF" if match["speaker"].upper() == "YAF" else "OAF"
    return f"{speaker}_{match['word'].lower()}_{match['emotion'].lower()}"


def _utterance(id_: str, audio: str, clip: re.Match[str]) -> Utterance:
    speaker, word, emotion = id_.split("_")
    return Utterance(
        id=id_,
        corpus="tess",
        label=_EMOTIONS[emotion],
        speaker=speaker,
        prompt=word,
        audio=audio,
        transcripts={HUMAN: f"Say the word {word}"},
        attributes={"sex": "female", "age": {"OAF": 64, "YAF": 26}[speaker]},
    )
