"""What contract tests share: sentences of CONTRIBUTING.md; and a check by mypy that the plug-ins of ser fit.

The names in the tuples are compared with those in the folders by test_plugins.py.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli.architectures import (
        cnn,
        conv_attention,
        frame_posteriors,
        functionals,
        hybrid_attention,
        layer_mix,
        lstm,
        one_vs_one,
        streams,
    )
    from sercli.contracts import (
        Architecture,
        Corpus,
        FusionRule,
        LearnsFromPredictions,
        ReadsSeveral,
        ShipsWithSer,
        Starts,
        TrainsNetwork,
    )
    from sercli.corpora import (
        audformat,
        cremad,
        demo,
        emodb,
        goemotions,
        iemocap,
        meld,
        nemo,
        ravdess,
        savee,
        table,
        tess,
    )
    from sercli.ensembles import asr_weighted, average, feature, max_confidence, weighted

    CORPORA: tuple[Corpus, ...] = (
        *(audformat, cremad, demo, emodb, goemotions, iemocap, meld, nemo, ravdess, savee, table, tess),
    )
    SHIPPED: ShipsWithSer = demo
    ARCHITECTURES: tuple[Architecture, ...] = (
        *(cnn, conv_attention, frame_posteriors, functionals, hybrid_attention, layer_mix, lstm, one_vs_one, streams),
    )
    READING_SEVERAL: tuple[ReadsSeveral, ...] = (functionals, hybrid_attention, streams)
    MEASURING: Starts = one_vs_one
    FUSION_RULES: tuple[FusionRule, ...] = (asr_weighted, average, feature, max_confidence, weighted)
    LEARNING: LearnsFromPredictions = weighted
    TRAINED: TrainsNetwork = feature


@cache
def _guide() -> str:
    return " ".join((Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8").split())


def promise(sentence: str) -> str:
    """Return a sentence that CONTRIBUTING.md has: what a plug-in must do, for a contract test to fail with."""
    assert sentence in _guide(), f"CONTRIBUTING.md does not have the sentence: {sentence}"
    return sentence
