"""What an evaluation comes to: its headline, and what its page and tables derive from the results."""

from collections import Counter
from collections.abc import Sequence

from sercli._system.text import percent
from sercli.evaluation.intervals import LEVEL, can_tell, wilson
from sercli.evaluation.report.numbers import decimals, listed, named, points
from sercli.evaluation.report.settings import inputs
from sercli.evaluation.results import Difference, Evaluation, Slice, SystemResult
from sercli.evaluation.slices import NEW
from sercli.types import Report

_N_NAMED = 3
_MOST_PAIRS = 10  # differences in one table
_FEWEST = 30  # predictions, for their accuracy to be stated
_FEWEST_OF_CLASS = 20  # utterances of a speaker, for their recall to be stated
_TOO_SURE = 0.1  # confidence above accuracy, to warn of it
_WORSE = 0.01  # nats of NLL, to warn of scaling
_ALIKE = 1.25  # temperatures, up to this ratio


def headline(evaluation: Evaluation) -> str:
    """The result in one sentence."""
    best, *others = evaluation.systems
    level = f"UA {percent(best.ua.value)} % ({without_model(evaluation)})"
    if not others:
        return f"`{best.name}`: {level}."
    lead = difference_of(evaluation, best.name, others[0].name)
    if significant(evaluation, lead):
        return f"`{best.name}` is best: {level}, {points(lead.ua.value)} points over the next."
    if not testable(evaluation):
        return f"`{best.name}` is ahead: {level}. {untold(evaluation)}"
    return f"`{best.name}` is ahead: {level}, but not significantly better than {named(equals(evaluation))}."


def memorised(evaluation: Evaluation) -> str:
    """Whether the systems that hear or read words can know the sentences of the test part from training."""
    able = [system for system in evaluation.systems if inputs(system) != "motion"]
    if not able:
        return "No: no system here hears or reads words."
    text_alone = [s.name for s in able if inputs(s) == "text"]
    useless = [name for name in at_chance(evaluation) if name in text_alone]
    texts = []
    for n_seen in dict.fromkeys(system.n_seen for system in able):
        alike = [system for system in able if system.n_seen == n_seen]
        names = [f"`{system.name}`" for system in alike]
        who = "each system" if len(names) == len(able) > 1 else shortened(names)
        texts.append(_sentences(alike, n_seen, who, helped=not useless or useless != text_alone))
    texts += [f"Text alone ({named(useless)}) is not better than chance."] if useless else []
    return " ".join(texts)


def at_chance(evaluation: Evaluation) -> list[str]:
    """The systems whose interval does not exceed the baselines."""
    return [system.name for system in evaluation.systems if system.ua.low <= floor(evaluation)]


def calibrated(system: SystemResult) -> str:
    """Whether the most confident predictions are right as often as they say, how far all are, and what scaling did."""
    before, after = system.before, system.after
    found = (
        f" On average confidence and accuracy differ by {percent(after.ece)} points (ECE), by {percent(before.ece)} "
    )
    found += "without temperature scaling."
    if after.nll > before.nll + _WORSE:
        found += f" Scaling made the probabilities worse here (NLL {decimals(before.nll)} to {decimals(after.nll)})"
        own = system.training and "train.temperature" in system.training.settings
        found += ": `--set train.temperature=1` trains without it." if own else "."
    kept = {least: one for least, one in system.above.items() if one.n >= _FEWEST}
    if not kept:
        return f"Not known: fewer than {_FEWEST} predictions are at least 50 % confident.{found}"
    top, n = max(kept), system.report.n * system.report.n_seeds
    share, accuracy, confidence = kept[top].n / n, kept[top].accuracy, kept[top].confidence
    too_sure = wilson(accuracy, kept[top].n, 1.96)[1] < confidence - _TOO_SURE
    trust = "Yes" if after.ece < _TOO_SURE else "Only high confidence"
    return (
        f"{'No, do not trust high confidence' if too_sure else trust}: of the {percent(share, 0)} % of predictions "
        f"that are at least {top} % confident (mean {percent(confidence)} %), {percent(accuracy)} % are correct.{found}"
    )


def lost(evaluation: Evaluation, system: SystemResult) -> str:
    """The classes that are recognised least often in single speakers, if less often than by chance; "" if none is."""
    found = sorted(
        (recall, label, one.value)
        for one in system.slices
        if one.by == "speaker"
        for label, recall in one.recall.items()
        if recall is not None and recall < floor(evaluation) and one.counts[label] >= _FEWEST_OF_CLASS
    )
    if not found:
        return ""
    lowest = listed([f"{label} of {speaker} ({percent(recall)} %)" for recall, label, speaker in found[:_N_NAMED]])
    return f" A class of a single speaker is recognised less often than by chance, most of all {lowest}."


def concentrated(evaluation: Evaluation, system: SystemResult) -> str:
    """The speaker who has far more of a system's most confident mistakes than others, in one sentence; "" if none."""
    n = len(system.mistakes)
    speaker, count = Counter(mistake.speaker for mistake in system.mistakes).most_common(1)[0] if n else (None, 0)
    speakers = int(evaluation.data.get("speakers", 0))
    if not speaker or count < 5 or count * min(2, speakers / 3) < n:
        return ""
    of_speaker = Counter(f"{m.truth} predicted as {m.answer}" for m in system.mistakes if m.speaker == speaker)
    what, same = of_speaker.most_common(1)[0]
    return f"Speaker {speaker} has {count} of the {n} most confident mistakes; {same} of them are {what}."


def scaled_apart(evaluation: Evaluation) -> bool:
    """Whether the temperatures of a system's folds differ so far that their confidences do not compare."""
    each = [system.training.temperatures for system in evaluation.systems if system.training]
    return any(max(found, default=1.0) > _ALIKE * min(found, default=1.0) for found in each)


def difference_of(evaluation: Evaluation, first: str, second: str) -> Difference:
    """The comparison of two systems, of which `first` has the higher UA."""
    return next(d for d in evaluation.differences if (d.first, d.second) == (first, second))


def pairs(evaluation: Evaluation) -> list[tuple[str, list[Difference]]]:
    """The differences with their caption: those of the best system, and the others apart if there are many."""
    every = list(evaluation.differences)
    if len(every) <= _MOST_PAIRS:
        return [("Each pair of systems", every)]
    of_best = [found for found in every if found.first == evaluation.systems[0].name]
    return [("The best system and each other", of_best), ("The other pairs", [d for d in every if d not in of_best])]


def testable(evaluation: Evaluation) -> bool:
    """Whether there are enough groups to call any difference significant."""
    return can_tell(evaluation.groups, len(evaluation.systems))


def significant(evaluation: Evaluation, difference: Difference) -> bool:
    """Whether a difference is significant after the correction for all comparisons."""
    return testable(evaluation) and difference.p_holm < LEVEL


def most_confused(report: Report) -> tuple[str, str, float, float | None] | None:
    """The two classes that lose the largest shares to each other; None if there is no mistake.

    Returns:
        both, the share of the first that is predicted as the other, and the reverse: None if no utterance is of it.
    """
    shares = [[count / sum(row) if sum(row) else None for count in row] for row in report.confusion]
    pairs = [(i, j) for i in range(len(report.labels)) for j in range(i)]
    sums = {(i, j): (shares[i][j] or 0) + (shares[j][i] or 0) for i, j in pairs}
    if not any(sums.values()):
        return None
    i, j = max(pairs, key=lambda pair: sums[pair])
    if (shares[i][j] or 0) < (shares[j][i] or 0):
        i, j = j, i
    return report.labels[i], report.labels[j], shares[i][j] or 0.0, shares[j][i]


def taken_for(report: Report, label: str) -> tuple[str, float] | None:
    """The wrong class that is predicted most often for a class, with the share of its utterances; None: there is none.

    The first of equals wins.
    """
    counts = dict(zip(report.labels, report.confusion[report.labels.index(label)], strict=True))
    total = sum(counts.values())
    del counts[label]
    other = max(counts, key=lambda name: counts[name], default="")
    return (other, counts[other] / total) if other and counts[other] else None


def protocol(evaluation: Evaluation) -> str:
    """How many utterances were tested and how, in one sentence."""
    facts, n = evaluation.protocol, evaluation.systems[0].report.n
    n_speakers = evaluation.data.get("speakers")
    speakers = f" of {n_speakers} speaker{'s' * (n_speakers != 1)}" if n_speakers else ""
    if "split" not in facts:
        how = str(facts.get("test part", "all that were predicted"))
    elif "fold" in facts:
        how = f"fold {facts['fold']}, split {facts['split']}"
    else:
        crossed = "" if facts["folds"] == 1 else f"{facts['folds']}-fold cross-validation, "
        how = f"{crossed}split {facts['split']}"
    seeds = sorted({system.report.n_seeds for system in evaluation.systems})
    over_seeds = f"; values are the mean over {' to '.join(map(str, seeds))} seeds, ± their standard deviation"
    return f"{n:,} utterances{speakers} ({how}){over_seeds if seeds[-1] > 1 else ''}."


def by_sentence(evaluation: Evaluation) -> dict[str, tuple[Slice, Slice]]:
    """Each system's results on utterances whose sentence is in training and on the others, where there are both."""
    found = {s.name: [one for one in s.slices if one.by == "sentence"] for s in evaluation.systems}
    return {name: (pair[0], pair[1]) for name, pair in found.items() if len(pair) == 2}


def commands(evaluation: Evaluation) -> list[str]:
    """The commands that made the systems and the evaluation, in an order in which they can be repeated."""
    made = [system.training.command for system in evaluation.systems if system.training]
    prepared = str(evaluation.data.get("made by", ""))
    made.sort(key=lambda command: command.startswith("ser ensemble"))  # after its members
    return list(dict.fromkeys(command for command in (prepared, *made, evaluation.command) if command))


def shortened(names: Sequence[str]) -> str:
    """The first names of many, with the number of the others.

    >>> shortened(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(names) - _N_NAMED
    return listed([*names[:_N_NAMED], f"{more} more"]) if more > 1 else listed(names)


def _sentences(systems: Sequence[SystemResult], n_seen: int | None, who: str, *, helped: bool) -> str:
    n, kinds = systems[0].report.n, {inputs(system) for system in systems}
    if n_seen is None:
        return f"Not known of {who}: the dataset was not found, or it or the train part has neither prompts nor texts."
    how = "heard" if kinds == {"audio"} else "read" if kinds == {"text"} else "heard or read"
    many = "all" if n_seen == n else f"{n_seen:,} of" if n_seen else "none of the"
    told = f"in training {who} {how} the sentence of {many} {n:,} test utterances"
    if not n_seen:
        return f"No: {told}."
    if n_seen == n:
        answer = "Perhaps" if helped else "Yes, but that gained nothing"
        return f"{answer}: {told}{'; `--split prompts` tests on new ones' * helped}."
    new = [(s.name, one) for s in systems for one in s.slices if (one.by, one.value) == ("sentence", NEW)]
    new.sort(key=lambda found: found[1].gap)
    scores = [f"`{name}` {percent(one.ua)} % ({against_all(one)})" for name, one in new]
    lower = any(one.high < one.ua - one.gap for _, one in new)
    answer = "Yes, it seems" if lower else "Perhaps" if any(one.gap < 0 for _, one in new) else "No sign of it"
    return f"{answer}: {told}. UA on the {n - n_seen:,} others: {shortened(scores)}."


def against_all(found: Slice) -> str:
    """How far the UA of a slice is from that of all utterances, in words."""
    way = "below" if found.gap < 0 else "above"
    return f"{percent(abs(found.gap))} points {way} the UA of all"


def untold(evaluation: Evaluation) -> str:
    """Why no difference can be significant."""
    groups = evaluation.groups
    if groups.kind == "utterance":
        return (
            "Whether it is better for other speakers cannot be told: fewer than 3 speakers of the test part are known."
        )
    many = f" with {len(evaluation.differences)} comparisons; evaluate fewer systems" if can_tell(groups, 2) else ""
    return f"Whether it is better cannot be told from {groups.n} {groups.kind}s{many}."


def floor(evaluation: Evaluation) -> float:
    """The UA of a model that always predicts one class that occurs: chance, where all classes do."""
    return 1 / sum(recall is not None for recall in evaluation.baselines[0].recall.values())


def without_model(evaluation: Evaluation) -> str:
    """The UA of chance, and of always one class where that is more, in a few words."""
    chance, always = evaluation.baselines[0].ua, floor(evaluation)
    more = f"; always one of the {round(1 / always)} classes that occur: {percent(always)} %"
    return f"chance: {percent(chance)} %{more if always > chance else ''}"


def equals(evaluation: Evaluation) -> list[str]:
    """The systems that the best is not significantly better than."""
    best, *others = evaluation.systems
    return [s.name for s in others if not significant(evaluation, difference_of(evaluation, best.name, s.name))]
