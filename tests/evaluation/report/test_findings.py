import re
from dataclasses import replace
from html import unescape

import made_up
import pytest

from sercli.evaluation.facts import flat
from sercli.evaluation.metrics import baselines, report
from sercli.evaluation.report import findings
from sercli.evaluation.report import settings as systems
from sercli.evaluation.report.templates import template
from sercli.evaluation.results import Bin, Calibration, Estimate, Groups
from sercli.model import spec


def with_p(made, p_holm, p_ua=0.001):
    """The evaluation with one and the same doubt about all differences."""
    return replace(made, differences=tuple(replace(d, p_holm=p_holm, p_ua=p_ua) for d in made.differences))


def told(made):
    """The answers of the page's head by their questions."""
    html = template("findings.html").render(evaluation=made)
    pairs = re.findall("<dt>(.*)</dt>\n<dd>(.*)</dd>", html)
    assert len(pairs) == html.count("<dt>")
    return {unescape(asked): unescape(answer) for asked, answer in pairs}


THREE = made_up.evaluation(n_systems=3, n_seeds=1)
MEMORISED = "Could the words be memorised?"
BEST, SECOND, THIRD = (system.name for system in THREE.systems)


def test_a_sure_lead_is_called_the_best():
    made = with_p(THREE, 0.001)
    assert findings.headline(made).startswith(f"`{BEST}` is best: UA {100 * made.systems[0].ua.value:.1f} %")
    assert "(chance: 12.5 %)" in findings.headline(made)
    assert f"The lead over `{SECOND}` is significant: p = 0.001 in" in told(made)["How certain is it?"]
    assert told(made)["How certain is it?"].endswith(
        f"It is better for 20 of the speakers and worse for 3. Significantly worse: `{THIRD}`."
    )


def test_an_unsure_lead_is_not_called_the_best():
    made = with_p(THREE, 0.4, 0.2)
    assert "is best" not in findings.headline(made)
    assert findings.headline(made).endswith(f"but not significantly better than `{SECOND}` and `{THIRD}`.")
    assert told(made)["How certain is it?"] == (
        f"The lead over `{SECOND}` is not significant: p = 0.400 in a sign-flip test over 24 speakers, corrected for 3 "
        "comparisons (Holm). It is better for 20 of the speakers and worse for 3."
    )


def test_a_system_that_a_sure_winner_does_not_surely_beat_is_named():
    first, second, *others = with_p(THREE, 0.001).differences
    made = replace(THREE, differences=(first, replace(second, p_holm=0.2), *others))
    assert told(made)["How certain is it?"].endswith(f"Not significantly worse: `{THIRD}`.")


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (Groups("speaker", 5), "Whether it is better cannot be told from 5 speakers."),
        (
            Groups("speaker", 6),
            "Whether it is better cannot be told from 6 speakers with 3 comparisons; evaluate fewer systems.",
        ),
        (
            Groups("utterance", 480),
            "Whether it is better for other speakers cannot be told: fewer than 3 speakers of the test part are known.",
        ),
    ],
)
def test_where_no_test_can_tell_no_system_is_called_the_best(groups, why):
    made = replace(with_p(THREE, 0.001), groups=groups)
    assert findings.headline(made).startswith(f"`{BEST}` is ahead: UA")
    assert findings.headline(made).endswith(f"(chance: 12.5 %). {why}")
    assert told(made)["How certain is it?"] == why
    assert "significantly better" not in str(told(made))


def test_a_difference_that_only_the_correction_makes_unsure_is_called_so():
    said = "Uncorrected p is 0.020; the interval above is not corrected either."
    assert told(with_p(THREE, 0.06, 0.02))["How certain is it?"].endswith(said)


def test_a_tiny_p_is_an_upper_bound():
    assert told(with_p(THREE, 1e-9))["How certain is it?"].startswith(
        f"The lead over `{SECOND}` is significant: p < 0.001 in"
    )


def test_the_lead_has_its_size_and_interval():
    first = replace(THREE.differences[0], ua=Estimate(0.031, 0.004, 0.058), wa=Estimate(0.02, -0.01, 0.05))
    made = replace(THREE, differences=(first, *THREE.differences[1:]))
    assert told(made)["By how much?"] == (
        f"+3.1 points of UA over the next, `{SECOND}` (95 % interval of the difference 0.4 to 5.8), "
        "and +2.0 points of WA (−1.0 to 5.0)."
    )


def test_a_single_system_is_compared_with_chance_alone():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    assert set(told(made)) == {"How good is it?", "Where does it fail?", MEMORISED, "Can confidence be trusted?"}
    assert "The interval is above what needs no model (chance: 12.5 %)." in told(made)["How good is it?"]


def test_where_classes_are_missing_chance_is_not_confused_with_the_majority():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=("neutral", "calm", "anger", "fear"))
    truth = ["neutral"] * 8 + ["calm"] * 4
    system = replace(made.systems[0], ua=Estimate(0.45, 0.4, 0.48))
    made = replace(made, systems=(system,), baselines=baselines(truth, made.labels))
    said = "chance: 25.0 %; always one of the 2 classes that occur: 50.0 %"
    assert findings.headline(made).endswith(f"UA 45.0 % ({said}).")
    assert f"The interval reaches down to what needs no model ({said})" in told(made)["How good is it?"]


def test_a_system_at_the_level_of_chance_is_called_that():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    poor = replace(made, systems=(replace(made.systems[0], ua=Estimate(0.14, 0.11, 0.17)),))
    assert "it may have learned nothing" in told(poor)["How good is it?"]


def test_failures_name_the_worst_slice_the_weakest_class_and_the_pair():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=("neutral", "calm", "anger"))
    answers = ["calm"] * 6 + ["neutral"] * 4 + ["calm"] * 9 + ["neutral"] + ["anger"] * 10
    truth = ["neutral"] * 10 + ["calm"] * 10 + ["anger"] * 10
    best = replace(made.systems[0], report=report("x", truth, answers, made.labels), ua=Estimate(0.767, 0.7, 0.8))
    worst = replace(best.slices[0], by="speaker", value="12", ua=0.5, n=1200, gap=-0.267, low=0.4, high=0.6)
    best = replace(best, worst=worst)
    assert told(replace(made, systems=(best,)))["Where does it fail?"] == (
        "Worst slice: speaker 12, UA 50.0 % (95 % interval 40.0 to 60.0) on 1,200 utterances, 26.7 points below the "
        "UA of all. Lowest recall: neutral, 40.0 %. No other two classes are confused as often as neutral and "
        "calm: 60.0 % of neutral is predicted as calm, 10.0 % of calm as neutral."
    )


def test_failures_name_what_is_worse_besides_and_the_classes_that_single_speakers_lose():
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=made_up.FOUR)
    (system,) = made.systems
    female, *_, last = system.slices
    recall, counts = dict(zip(made.labels, (0.1, 0.0, 0.2, 0.3), strict=True)), dict.fromkeys(made.labels, 20)
    lossy = replace(last, recall=recall, counts={**counts, "happiness": 19})
    worse = replace(female, worse=True, ua=0.4, low=0.35, high=0.45)
    system = replace(system, slices=(worse, lossy), worst=lossy)
    said = told(replace(made, systems=(system,)))["Where does it fail?"]
    assert " Worse than all as well: sex female, UA 40.0 % (35.0 to 45.0). Lowest recall:" in said
    lost = "less often than by chance, most of all neutral of actor 24 (10.0 %) and sadness of actor 24 (20.0 %)."
    assert f" A class of a single speaker is recognised {lost} " in said


def test_a_perfect_system_confuses_nothing():
    perfect = report("x", ["a", "b"], ["a", "b"], ("a", "b", "c"))
    assert findings.most_confused(perfect) is None
    assert findings.taken_for(perfect, "a") is None
    made = made_up.evaluation(n_systems=1, n_seeds=1, labels=("a", "b"))
    flawless = replace(made, systems=(replace(made.systems[0], report=perfect, worst=None),))
    assert "No two classes are confused." in told(flawless)["Where does it fail?"]


def test_without_a_slice_that_is_surely_worse_none_is_called_the_worst():
    made = made_up.evaluation(n_systems=1, n_seeds=1)
    made = replace(made, systems=(replace(made.systems[0], worst=None),))
    assert told(made)["Where does it fail?"].startswith(
        "No slice is worse than all utterances by more than its interval"
    )


TEXT = made_up.evaluation(n_systems=5, n_seeds=1)  # of which two read text


def sentences(n_seen, made=TEXT):
    made = made_up.with_sentences(made)
    return findings.memorised(replace(made, systems=tuple(replace(s, n_seen=n_seen) for s in made.systems)))


@pytest.mark.parametrize(
    ("n_seen", "said"),
    [
        (
            0,
            "No: in training each system heard or read the sentence of none of the 480 test utterances.",
        ),
        (
            480,
            "Perhaps: in training each system heard or read the sentence of all 480 test utterances; `--split ",
        ),
        (
            464,
            "UA on the 16 others: `average of sound and words` 41.0 % (25.1 points below the UA of all), `",
        ),
        (
            None,
            "Not known of each system: the dataset was not found, or it or the train part has neither prompts",
        ),
    ],
)
def test_an_evaluation_tells_how_many_sentences_are_in_training(n_seen, said):
    assert said in sentences(n_seen)


@pytest.mark.parametrize(
    ("high", "gap", "answer"), [(0.5, -0.2, "Yes, it seems"), (0.7, -0.2, "Perhaps"), (0.9, 0.1, "No sign of it")]
)
def test_words_are_called_memorised_where_new_sentences_are_surely_worse(high, gap, answer):
    made = made_up.with_sentences(TEXT)
    systems = []
    for s in made.systems:
        seen, new, *more = s.slices
        systems.append(replace(s, slices=(seen, replace(new, high=high, gap=gap), *more)))
    assert findings.memorised(replace(made, systems=tuple(systems))).startswith(
        f"{answer}: in training each system heard or read the sentence of 464 of 480"
    )


def test_the_system_that_loses_most_on_new_sentences_is_named_first():
    first, second = (s for s in made_up.with_sentences(TEXT).systems if s.modality != "acoustic")
    seen, new, *more = second.slices
    second = replace(second, slices=(seen, replace(new, gap=-0.4), *more))
    assert findings.memorised(replace(TEXT, systems=(first, second))).endswith(
        f"others: `{second.name}` 41.0 % (40.0 points below the UA of all) and `{first.name}` 41.0 % (25.1 points "
        "below the UA of all)."
    )


def test_text_alone_is_named_where_it_is_not_better_than_chance():
    low = Estimate(0.13, 0.1, 0.16)
    systems = tuple(replace(s, ua=low) if s.modality == "linguistic" else s for s in TEXT.systems)
    said = sentences(480, replace(TEXT, systems=systems))
    assert said == (
        "Yes, but that gained nothing: in training each system heard or read the sentence of all 480 test utterances. "
        "Text alone (`linguistic-sentence`) is not better than chance."
    )
    assert "Text alone" not in sentences(480)


def test_sound_can_be_memorised_as_text_can_and_motion_has_no_words():
    audio = replace(TEXT, systems=tuple(s for s in TEXT.systems if s.modality == "acoustic"))
    assert "each system heard the sentence of 464 of 480" in sentences(464, audio)
    motion = replace(TEXT, systems=(replace(TEXT.systems[0], modality="motion"),))
    assert told(motion)[MEMORISED] == "No: no system here hears or reads words."


def test_a_division_that_a_corpus_gives_is_no_cross_validation():
    given = replace(THREE, protocol={"split": "official", "folds": 1})
    assert findings.protocol(given) == "480 utterances of 24 speakers (split official)."


def test_the_commands_come_in_an_order_in_which_they_can_be_repeated():
    best, *others = THREE.systems
    ensemble = "ser ensemble -a a -l b --out c"
    fused = replace(best, training=replace(best.training, command=ensemble))
    train = others[0].training.command
    assert findings.commands(replace(THREE, systems=(fused, *others))) == [train, ensemble, THREE.command]


def test_systems_with_other_train_parts_are_counted_apart():
    first, *others = made_up.with_sentences(TEXT).systems
    said = findings.memorised(replace(TEXT, systems=(replace(first, n_seen=0), *others)))
    assert said.startswith(
        f"No: in training `{first.name}` heard or read the sentence of none of the 480 test utterances. Yes, it seems"
        f": in training `{others[0].name}`, `{others[1].name}`, `{others[2].name}` and "
    )


def test_an_absent_class_is_confused_one_way_only():
    found = findings.most_confused(report("x", ["a", "a"], ["b", "a"], ("a", "b")))
    assert found == ("a", "b", 0.5, None)


def test_a_system_at_chance_is_named_where_the_best_is_told():
    first, *others, last = THREE.systems
    made = replace(THREE, systems=(first, *others, replace(last, ua=Estimate(0.14, 0.11, 0.17))))
    assert told(made)["Which is best?"].endswith(f"`{THIRD}` is not better than chance.")
    assert "than chance" not in told(THREE)["Which is best?"]


CALIBRATED = replace(
    THREE.systems[0], before=Calibration(0.107, 1.036, 0.571), after=Calibration(0.05, 1.059, 0.5711),
    above={50: Bin(0.7, 0.65, 300), 80: Bin(0.9, 0.76, 100), 90: Bin(0.96, 0.61, 120)},
)  # fmt: skip


def test_confident_predictions_that_are_right_much_less_often_are_not_to_be_trusted():
    assert findings.calibrated(CALIBRATED) == (
        "No, do not trust high confidence: of the 25 % of predictions that are at least 90 % confident (mean 96.0 %), "
        "61.0 % are correct. On average confidence and accuracy differ by 5.0 points (ECE), by 10.7 without "
        "temperature scaling. Scaling made the probabilities worse here (NLL 1.036 to 1.059)."
    )


def test_a_system_whose_temperature_can_be_set_is_told_how_to_leave_it_out():
    trained = replace(CALIBRATED.training, settings={"train.temperature": "null"})
    said = findings.calibrated(replace(CALIBRATED, training=trained))
    assert said.endswith("(NLL 1.036 to 1.059): `--set train.temperature=1` trains without it.")
    little = replace(CALIBRATED, after=replace(CALIBRATED.after, nll=1.04), training=trained)
    assert findings.calibrated(little).endswith("by 10.7 without temperature scaling.")


@pytest.mark.parametrize(("ece", "answer"), [(0.05, "Yes"), (0.15, "Only high confidence")])
def test_confident_predictions_that_are_right_are_called_so_and_few_are_no_evidence(ece, answer):
    system = replace(CALIBRATED, after=replace(CALIBRATED.after, ece=ece))
    better = {50: Bin(0.7, 0.65, 300), 80: Bin(0.9, 0.9, 48), 90: Bin(0.96, 0.1, 29)}
    assert findings.calibrated(replace(system, above=better)).startswith(
        f"{answer}: of the 10 % of predictions that are at least 80 % confident (mean 90.0 %), 90.0 % are correct. On"
    )
    few = findings.calibrated(replace(system, above={}))
    assert few.startswith("Not known: fewer than 30 predictions are at least 50 % confident. On average")


@pytest.mark.parametrize(("n", "named"), [(10, True), (4, False)])
def test_a_speaker_who_has_most_of_the_confident_mistakes_is_named(n, named):
    system = THREE.systems[0]
    mistakes = [
        replace(m, truth="calm", answer="fear", speaker="7" if k < n else str(k)) for k, m in enumerate(system.mistakes)
    ]
    made = replace(THREE, systems=(replace(system, mistakes=tuple(mistakes)), *THREE.systems[1:]))
    note = f"Speaker 7 has {n} of the 10 most confident mistakes; {n} of them are calm predicted as fear."
    assert (note in told(made)["Where does it fail?"]) == named


def test_a_system_is_described_by_its_preset_what_differs_from_it_and_whose_words_it_reads():
    default = flat(spec.resolve("linguistic-lstm", None, {}).to_dict())
    settings = {**default, "train.lr": "0.5"}
    made = replace(THREE.systems[0].training, name="linguistic-lstm", settings=settings, words="human")
    fused = replace(made, settings={"rule": "average", **{f"linguistic: {key}": v for key, v in settings.items()}})
    pair = replace(THREE.systems[0], name="a", training=made), replace(THREE.systems[1], name="b", training=fused)
    described = systems.described(replace(THREE, systems=pair))
    assert described == {
        "a": "Original study: LSTM on word vectors. Unlike the preset: `train.lr` 0.5. It reads the corpus' "
        "transcripts.",
        "b": "Decision level: the mean of the members' probabilities. Members: `a`.",
    }
    alone = systems.described(replace(THREE, systems=pair[1:]))["b"]
    assert alone.endswith("Members: a model of text. It reads the corpus' transcripts.")
