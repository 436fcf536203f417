"""The settings of a run, as run.json keeps them: equal settings make an equal run.

Unknown fields, which a newer version may write, are refused by name.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from sercli.config import Section
from sercli.types import HUMAN

MemberName = Annotated[str, Meta(pattern=r"^(acoustic|linguistic|motion|both)(-[0-9]+)?$")]
"""The modality of an ensemble's member, with a number where several have it; its folder below members/."""

_READS = {"acoustic": "audio", "linguistic": "text", "motion": "motion", "both": "audio and text"}


def reads(member: str) -> str:
    """Return what a member reads, from its name.

    >>> reads("acoustic"), reads("acoustic-2")
    ('audio', 'audio 2')
    """
    modality, _, number = member.partition("-")
    return f"{_READS.get(modality, modality)} {number}".strip()


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refuses unknown fields."""


class DataSettings(_Strict, frozen=True):
    """The data that a run was trained on."""

    corpus: str  # "none" if the run was not trained on data itself
    manifest_sha256: str
    words: str = HUMAN  # whose transcripts: `HUMAN`, or the name of a recogniser
    words_sha256: str = ""  # of a recogniser's transcripts
    classes: str = ""  # what classes of one's own are made of, such as "other=disgust,fear"; see dataset/label_sets.py


class SplitSettings(_Strict, frozen=True):
    """How the data was divided."""

    kind: str
    leaky: bool
    test_apart: bool = False  # the test part shares no speaker with the others
    fold: int | None = None  # counted from 1; None: all of them
    n_folds: Annotated[int, Meta(ge=1, le=10_000)] = 1
    hash: str = ""
    same_sounds: str = ""  # number and first names of the sounds that are in several parts
    anonymous: bool = False  # the parts were given, and recordings without a speaker are in them

    @property
    def leak(self) -> str:
        """What the parts share, and which scores are too good for it, in one sentence; "" if they share nothing."""
        if not self.leaky:
            may = "Recordings without a speaker are in the parts, which may share people: scores may be too good."
            return may if self.anonymous else ""
        if self.same_sounds:
            return f"The split has {self.same_sounds} in several parts: its scores are too good."
        if self.test_apart:
            return (
                "The validation part shares speakers with the train part, so that validation scores are too good; the "
                "test part shares none."
            )
        return "The split shares speakers between parts: its scores are too good, and say nothing of unseen speakers."


class ExperimentSettings(_Strict, frozen=True, omit_defaults=True):
    """The sections of an experiment's configuration; empty where a run has none of its own."""

    model: Section = {}
    feature: Section = {}
    architecture: Section = {}
    train: Section = {}

    def sections(self) -> dict[str, Section]:
        """Return the sections as `spec.build` takes them."""
        return {"model": self.model, "feature": self.feature, "architecture": self.architecture, "train": self.train}

    def to_dict(self) -> dict[str, object]:
        """Return the settings as in run.json."""
        return msgspec.json.decode(msgspec.json.encode(self), type=dict[str, object])


class RunSettings(ExperimentSettings, frozen=True, kw_only=True):
    """All settings of a run."""

    data: DataSettings
    split: SplitSettings
    seeds: Annotated[tuple[int, ...], Meta(min_length=1, max_length=10_000)]  # a cross-validation may have several
    by_fold: dict[str, ExperimentSettings] = {}  # of a cross-validation whose folds were tuned separately
    rule: str = ""  # of an ensemble
    ensemble: Section = {}  # configuration of the rule
    members: dict[MemberName, "RunSettings"] = {}  # of an ensemble, in their order: name -> settings of the member
