"""What looks like a mistake in a corpus is told, and nothing of a corpus as it should be."""

import pytest

from sercli.corpora._columns import LABELS_AS_WRITTEN
from sercli.dataset.doubts import doubts
from sercli.types import Utterance

LABELS = ("neutral", "anger")


def corpus(*folders, n=12, **changes):
    """Utterances of two speakers and both labels in each folder; `changes` are functions of their number."""
    made = []
    for folder in folders or ("",):
        for k in range(n):
            own = {"label": LABELS[k % 2], "speaker": f"s{k // 2 % 2}", "duration_s": 2.0}
            own |= {name: change(k) for name, change in changes.items()}
            made.append(Utterance(f"{folder}/{k}", "table", audio=f"{folder}/{k}.wav", **own))
    return made


def told(utterances, labels=LABELS):
    return {remark.reason for remark in doubts(utterances, labels, LABELS_AS_WRITTEN)}


def test_nothing_is_told_of_a_corpus_as_it_should_be():
    assert told(corpus()) == told(corpus("a", "b")) == told(corpus(speaker=lambda k: None)) == set()
    assert told(corpus(), (*LABELS, "joy", "happiness", "fear", "fearful")) == set()


@pytest.mark.parametrize(
    ("utterances", "labels", "reason"),
    [
        (corpus(), (*LABELS, "angry"), "anger and angry are classes apart; --labels four joins them"),
        (
            corpus(end_s=lambda k: 0.01, duration_s=lambda k: 0.01),
            LABELS,
            "shorter than 0.2 s; are start_s and end_s seconds?",
        ),
        (corpus(speaker=lambda k: "1" if k else None), LABELS, "no speaker, though others have one"),
        (
            corpus(speaker=lambda k: LABELS[k % 2][0] + str(k % 4)),
            LABELS,
            "each speaker has one class alone; a model may learn their voices",
        ),
        (
            corpus(label=lambda k: "anger" if k == 1 else "neutral"),
            LABELS,
            "one speaker alone has this class; a model may learn the voice",
        ),
        (
            corpus(speaker=lambda k: ("Angry", "sad")[k % 2], label=lambda k: "s1"),
            ("s1",),
            "speakers have names of emotions; are label and speaker swapped?",
        ),
        (corpus(attributes=lambda k: {"sex": "fm"[k % 2]}), LABELS, "speaker of several sexes"),
        (
            corpus(attributes=lambda k: {"language": "klingon" if k else "de"}),
            LABELS,
            "its language 'klingon' is not known; give a code such as de",
        ),
        (corpus(speaker=str), LABELS, "each utterance has a speaker of its own; are these numbers of clips?"),
        (
            corpus("a", "b", speaker=lambda k: str(k % 3)),
            LABELS,
            "each folder has the same numbers of speakers; are they the same people?",
        ),
    ],
)
def test_what_looks_like_a_mistake_is_told(utterances, labels, reason):
    assert told(utterances, labels) == {reason}


def test_folders_of_one_emotion_each_share_their_speakers():
    of_one_emotion = [u for n, label in enumerate(LABELS) for u in corpus(label, label=lambda k, x=label: x)]
    assert told(of_one_emotion) == set()
