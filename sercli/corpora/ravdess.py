"""RAVDESS: 24 North American actors, two sentences, eight emotions (Livingstone & Russo 2018). Speech only, no song."""

import re
from collections.abc import Iterator
from pathlib import Path

from sercli.corpora._files import find_clips, of_four
from sercli.types import HUMAN, Remark, Utterance

HOMEPAGE = "https://zenodo.org/records/1188976"
LICENCE = "CC BY-NC-SA 4.0"
LANGUAGE = "en"
LABELS = of_four("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SPLIT = "speakers"
FOLDS: int | None = 6  # four actors each

_EMOTIONS = dict(zip(("01", "02", "03", "04", "05", "06", "07", "08"), LABELS, strict=True))
_STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_INTENSITIES = {"01": "normal", "02": "strong"}
_NAME = re.compile(
    r"(?:^|/)(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])$",
    re.ASCII,
)


def read(root: Path) -> Iterator[Utterance | Remark]:
    """Yield the speech clips below a folder, in folders `Actor_NN` or any others.

    A video is used only if there is no audio-only file of the same clip.

    Raises:
        SerError: there is no such folder, or no clip of RAVDESS in it.
    """
    found = list(find_clips(root, _NAME, _utterance, corpus="RAVDESS", example="Actor_01/03-01-01-01-01-01-01.wav"))
    audio_only = {item.id[2:] for item in found if isinstance(item, Utterance) and item.id.startswith("03")}
    for item in found:
        if isinstance(item, Utterance) and item.audio and item.id.startswith("01") and item.id[2:] in audio_only:
            item = Remark("skipped", item.audio, "video of a clip that also exists as audio only")
        yield item


def _utterance(id_: str, audio: str, clip: re.Match[str]) -> Utterance | Remark:
    if clip["channel"] != "01":
        return Remark("skipped", audio, "sung, not spoken")
    if clip["modality"] == "02":
        return Remark("skipped", audio, "video without audio")
    return Utterance(
        id=id_,
        corpus="ravdess",
        label=_EMOTIONS[clip["emotion"]],
        speaker=f"Actor_{clip['actor']}",
        prompt=clip["statement"],
        audio=audio,
        transcripts={HUMAN: _STATEMENTS[clip["statement"]]},
        attributes={
            "sex": "female" if int(clip["actor"]) % 2 == 0 else "male",
            "intensity": _INTENSITIES[clip["intensity"]],
            "repetition": int(clip["repetition"]),
        },
    )
