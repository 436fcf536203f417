"""The real corpora in the folder SER_CORPORA have their published counts; skipped where it is not set."""

import os
from collections import Counter
from pathlib import Path

import pytest

from sercli import plugins
from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import make_split
from sercli.types import Remark, Utterance

CORPORA = os.environ.get("SER_CORPORA")
pytestmark = pytest.mark.skipif(not CORPORA, reason="SER_CORPORA is not set to a folder of real corpora")


def read(corpus, folder):
    root = Path(CORPORA) / folder
    if not root.is_dir():
        pytest.skip(f"{root} does not exist")
    items = list(plugins.load("corpus", corpus).read(root))
    return [i for i in items if isinstance(i, Utterance)], [i for i in items if isinstance(i, Remark)]


def test_ravdess_has_its_published_counts():
    utterances, _ = read("ravdess", "RAVDESS")
    assert Counter(u.label for u in utterances) == {"neutral": 96} | dict.fromkeys(
        ("calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"), 192
    )
    assert len({u.speaker for u in utterances}) == 24


def test_ravdess_folds_have_two_women_and_two_men_each():
    utterances, _ = read("ravdess", "RAVDESS")
    manifest = make_manifest(utterances, tuple(sorted({u.label for u in utterances})))
    sexes = {u.speaker: u.attributes["sex"] for u in utterances}
    by_id = {u.id: u.speaker for u in utterances}
    tested = []
    for fold in range(1, 7):
        speakers = {by_id[i] for i in make_split(manifest, "speakers", n_folds=6, fold=fold).test}
        assert Counter(sexes[s] for s in speakers) == {"female": 2, "male": 2}
        tested += speakers
    assert sorted(tested) == sorted(sexes)


def test_emodb_has_its_published_counts():
    utterances, _ = read("emodb", "EmoDB")
    assert Counter(u.label for u in utterances) == {
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 71,
        "neutral": 79,
        "sadness": 62,
    }


def test_every_nemo_clip_has_its_words():
    utterances, _ = read("nemo", "nEMO")
    assert len({u.speaker for u in utterances}) == 9
    assert all(u.transcripts["human"] for u in utterances)


def test_meld_has_its_official_parts():
    utterances, _ = read("meld", "MELD")
    assert Counter(u.attributes["part"] for u in utterances) == {"train": 9989, "valid": 1109, "test": 2610}
