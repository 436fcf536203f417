from dataclasses import replace

import numpy as np
import pytest

from sercli.evaluation.intervals import group, wilson
from sercli.evaluation.metrics import report
from sercli.evaluation.results import PooledPredictions, Slice
from sercli.evaluation.slices import by_sentence, notes, parts, shown, slices, worst
from sercli.types import Predictions, Utterance

LABELS = ("joy", "anger", "fear")


def rows(n=6, **fields):
    """n utterances; a field is one value for all, or a function of the number."""
    return [
        Utterance(f"u{i}", "c", "joy", **{key: value(i) if callable(value) else value for key, value in fields.items()})
        for i in range(n)
    ]


def places(parted, by):
    return {part.value: part.indices.tolist() for part in parted if part.by == by}


def kinds(parted):
    return list(dict.fromkeys(part.by for part in parted))


def test_utterances_are_parted_by_what_the_corpus_says_of_them_the_usual_first():
    attributes = [
        {"sex": "female", "style": "scripted", "room": "big", "noisy": True},
        {"sex": "male", "style": "improvised", "room": "small", "noisy": False},
    ]
    parted = parts(rows(4, attributes=lambda i: attributes[i % 2]))
    assert kinds(parted) == ["sex", "style", "noisy", "room"]
    assert places(parted, "sex") == {"female": [0, 2], "male": [1, 3]}
    assert places(parted, "noisy") == {"no": [1, 3], "yes": [0, 2]}


@pytest.mark.parametrize(
    "value",
    [
        lambda i: {"part": "ab"[i % 2], "sentiment": "ab"[i % 2]},  # the split; the label in other words
        lambda i: {"title": f"scene {i}"},  # a name
        lambda i: {"valence": i / 10, "turn": i},  # numbers
        lambda i: {"votes": ["joy"] * (i % 2)},
        lambda i: {"sex": "female"},  # one value parts nothing
    ],
)
def test_other_attributes_part_nothing(value):
    assert parts(rows(12, attributes=value)) == ()


def test_utterances_of_which_a_thing_is_not_known_are_in_no_part():
    parted = parts(rows(5, attributes=lambda i: {"sex": "fm"[i % 2]} if i < 4 else {}, speaker=lambda i: "ab"[i // 3]))
    assert places(parted, "sex") == {"f": [0, 2], "m": [1, 3]}
    assert places(parted, "speaker") == {"a": [0, 1, 2], "b": [3, 4]}


def test_a_part_that_is_all_utterances_of_one_speaker_is_left_out():
    parted = parts(rows(6, attributes=lambda i: {"age": ("20", "20", "30")[i % 3]}, speaker=lambda i: "abc"[i % 3]))
    assert places(parted, "age") == {"20": [0, 1, 3, 4]}
    assert places(parted, "speaker") == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}


def test_speakers_and_sessions_are_in_the_order_of_their_numbers():
    parted = parts(rows(24, speaker=lambda i: f"s{i % 12 + 1}", session=lambda i: f"Ses{12 - i // 2}"))
    assert [part.value for part in parted if part.by == "speaker"] == [f"s{i}" for i in range(1, 13)]
    assert [part.value for part in parted if part.by == "session"] == [f"Ses{i}" for i in range(1, 13)]


def test_utterances_are_parted_by_length():
    seconds = [1.99, 2.0, 3.9, 4.0, 8.0, None]
    parted = parts(rows(6, duration_s=lambda i: seconds[i]))
    assert places(parted, "length") == {"under 2 s": [0], "2 to 4 s": [1, 2], "4 to 8 s": [3], "8 s and more": [4]}


def test_a_stretch_of_a_recording_is_as_long_as_its_times_say():
    parted = parts(rows(2, start_s=10.0, end_s=lambda i: (11.0, 13.0)[i]))
    assert places(parted, "length") == {"under 2 s": [0], "2 to 4 s": [1]}


def test_utterances_are_parted_by_the_number_of_their_words():
    words = ["", "stop it", "one two three four", "one two three four five", " ".join(["no"] * 25)]
    parted = parts(rows(6, transcripts=lambda i: {"human": words[i]} if i < 5 else {}))
    assert places(parted, "words") == {"none": [0], "1 to 4": [1, 2], "5 to 9": [3], "20 and more": [4]}


def test_utterances_are_parted_into_thirds_by_level():
    levels = {f"u{i}": level for i, level in enumerate([-50.0, -40.0, -30.0, -29.0, -20.0, -10.0])} | {"u6": None}
    parted = parts(rows(8), levels=levels)
    assert places(parted, "level") == {
        "under −33.3 dBFS": [0, 1],
        "−33.3 to −26.0 dBFS": [2, 3],
        "−26.0 dBFS and more": [4, 5],
    }


def test_recordings_of_one_level_are_not_parted_by_it():
    assert parts(rows(3), levels=dict.fromkeys(["u0", "u1", "u2"], -26.0)) == ()


def test_utterances_are_parted_by_word_errors():
    rates = dict(enumerate([0.0, 0.1, 0.25, 0.3, 0.5, 0.51, 3.0]))
    parted = parts(rows(8), word_errors={f"u{i}": rate for i, rate in rates.items()})
    assert places(parted, "word errors") == {
        "none": [0],
        "up to 25 %": [1, 2],
        "up to 50 %": [3, 4],
        "over 50 %": [5, 6],
    }


def answered(truth, *seeds):
    ids = tuple(f"u{i}" for i in range(len(truth)))
    runs = tuple(Predictions(ids, LABELS, np.eye(3)[[LABELS.index(p) for p in one]], tuple(truth)) for one in seeds)
    return PooledPredictions("a", "acoustic", runs, tuple(run.probs for run in runs))


def test_a_slice_has_its_own_figures_over_the_classes_that_occur_in_it():
    truth = ["joy", "joy", "anger", "fear", "joy", "anger"]
    answers = answered(truth, ["joy", "anger", "anger", "fear", "anger", "anger"])
    found = slices(answers, parts(rows(6, attributes=lambda i: {"sex": "fm"[i % 2]})), "aabbcc")
    female, male = found
    assert (female.n, female.wa, female.ua, female.absent) == (3, pytest.approx(2 / 3), 3 / 4, ("fear",))
    assert (male.n, male.wa, male.ua, male.absent) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3), ())
    assert female.gap == pytest.approx(3 / 4 - (1 / 3 + 1) / 2)  # over joy and anger alone
    assert male.gap == pytest.approx(2 / 3 - (1 / 3 + 1 + 1) / 3)


def test_a_slice_of_one_or_two_speakers_has_an_interval_over_its_utterances():
    answers = answered(["joy", "anger", "fear"] * 40, ["joy", "anger", "joy"] * 40)
    half, *_ = parts(rows(120, speaker=lambda i: "ab"[i < 60]))
    for speakers in ("a" * 60 + "b" * 60, "ac" * 30 + "bd" * 30):
        (found,) = slices(answers, [half], speakers)
        assert (found.low, found.high) == pytest.approx(wilson(2 / 3, 60, 1.96), abs=1e-4)
        assert found.n_groups == len(set(speakers[:60]))


def test_a_slice_of_several_speakers_who_differ_has_a_wider_interval_over_them():
    """Of four women two are always recognised and two never."""
    truth = ["joy", "anger", "fear"] * 80
    women = [truth[i] if i % 4 < 2 else "joy" for i in range(120)]
    answers = answered(truth, women + truth[120:])
    speakers = ["abcd"[i % 4] + "fm"[i >= 120] for i in range(240)]
    female, male = slices(answers, parts(rows(240, attributes=lambda i: {"sex": "fm"[i >= 120]})), speakers)
    assert (female.low, female.high) == group(answers, speakers[:120], np.arange(120)).ends("ua")
    low, high = wilson(female.ua, 120, 1.96)
    assert female.low < low - 0.1
    assert female.high > high + 0.1
    assert male.low > 0.9
    assert female.n_groups == male.n_groups == 4


def test_a_slice_is_worse_than_all_only_if_an_interval_for_all_slices_says_so():
    answers = answered(["joy", "anger", "fear"] * 40, ["joy", "anger", "fear"] * 20 + ["joy", "anger", "joy"] * 20)
    bad, good = parts(rows(120, speaker=lambda i: "ba"[i < 60]))[::-1]
    (alone,) = slices(answers, [bad], "a" * 60 + "b" * 60)
    among_many = slices(answers, [bad] * 500 + [good], "a" * 60 + "b" * 60)
    assert alone.ua == pytest.approx(2 / 3)
    assert alone.worse
    assert not among_many[0].worse
    assert not among_many[-1].worse
    assert alone.high == among_many[0].high < 5 / 6


def test_a_kind_whose_values_have_one_class_each_repeats_the_recalls_and_is_left_out():
    labels = ("joy", "joy", "anger")
    native = ("happy", "excited", "angry")
    utterances = [
        replace(u, label=labels[i % 3], attributes={"native_label": native[i % 3], "sex": "fm"[i // 3 % 2]})
        for i, u in enumerate(rows(12))
    ]
    assert kinds(parts(utterances)) == ["sex"]


def test_sentences_that_are_in_training_and_others_are_apart():
    answers = answered(["joy", "anger", "fear"], ["joy", "anger", "fear"])
    known = replace(answers, seen=frozenset({"u0", "u2"}))
    assert places(by_sentence(known), "sentence") == {"in training": [0, 2], "new": [1]}
    assert by_sentence(replace(answers, seen=frozenset({"u0", "u1", "u2"}))) == []
    assert by_sentence(answers) == []


def test_of_several_seeds_a_slice_has_the_mean():
    truth = ["joy", "joy", "joy", "anger", "anger", "fear"]
    seeds = [["joy", "anger", "joy", "anger", "joy", "fear"], ["anger", "anger", "joy", "anger", "anger", "joy"]]
    parted = parts(rows(6, attributes=lambda i: {"sex": "f" if i in (0, 1, 3, 4) else "m"}))
    (female, _) = slices(answered(truth, *seeds), parted, "abcdef")
    within = [0, 1, 3, 4]
    alone = [report("a", [truth[i] for i in within], [seed[i] for i in within], LABELS) for seed in seeds]
    assert female.n == 4
    assert female.wa == pytest.approx(np.mean([one.wa for one in alone]))
    assert female.ua == pytest.approx(np.mean([one.ua for one in alone]))


def cut(by, value, n, ua, absent=(), worse=True):
    """A slice of a system whose UA is 0.6."""
    return Slice(by, value, n, ua, ua, ua - 0.1, ua + 0.1, ua - 0.6, absent, worse=worse)


def test_the_worst_slice_is_large_enough_and_holds_every_class():
    few, lacking = cut("speaker", "s1", 29, 0.1), cut("speaker", "s2", 90, 0.2, ("fear",))
    better, bad = cut("sex", "female", 90, 0.8), cut("sex", "male", 90, 0.3)
    assert worst([few, lacking, better, bad], n=200) == bad
    assert worst([few, lacking], n=200) is None


def test_a_slice_that_is_not_surely_worse_than_all_is_not_called_the_worst():
    assert worst([cut("sex", "male", 90, 0.3, worse=False)], n=200) is None


def test_a_class_that_nobody_speaks_is_missed_in_no_slice():
    lacking = cut("sex", "male", 90, 0.2, ("fear",))
    assert worst([lacking], n=200, absent=("fear",)) == lacking


def test_the_worst_slice_is_no_tiny_share_of_the_utterances():
    tiny, large = cut("speaker", "s1", 49, 0.1), cut("speaker", "s2", 50, 0.2)
    assert worst([tiny, large], n=1000) == large


def test_of_more_than_twenty_speakers_the_worst_are_shown_and_that_is_said():
    speakers = [cut("speaker", f"s{i}", 9 if i == 0 else 10, i / 100) for i in range(30)]
    sexes = [cut("sex", "f", 9, 0.9), cut("sex", "m", 9, 0.8)]
    assert shown([*sexes, *speakers]) == (*sexes, *speakers[1:11])
    (note,) = notes(parts(rows(30, speaker=lambda i: f"s{i}", session=lambda i: "ab"[i % 2])))
    assert note.startswith("There are 30 speakers: for each system the 10 furthest below all utterances are shown")


def test_twenty_speakers_are_all_shown():
    speakers = tuple(cut("speaker", f"s{i}", 5, 0.5) for i in range(20))
    assert shown(speakers) == speakers
    assert notes(parts(rows(20, speaker=lambda i: f"s{i}"))) == ()
