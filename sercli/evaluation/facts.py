"""The facts around an evaluation that a report states: its question, the data and the protocol."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from sercli import plugins
from sercli._system import languages
from sercli.contracts import HasConfig
from sercli.errors import SerError
from sercli.evaluation.inputs import EvaluatedRun, EvaluationInputs
from sercli.evaluation.overlap import SeenUtterances
from sercli.evaluation.results import Facts, Training
from sercli.model.size import n_parameters
from sercli.runs import CROSS_VALIDATION, fold_runs, load_info, read_history, read_split
from sercli.runs.settings import DataSettings, RunSettings, reads
from sercli.types import Utterance


def question(inputs: EvaluationInputs) -> str:
    """The question that the evaluation answers, in one sentence."""
    *labels, last = inputs.systems[0].runs[0].labels
    what, where = f"{', '.join(labels)} and {last}", f"in the corpus {_corpus(inputs)}?"
    if len(inputs.systems) > 1:
        return f"Which of {len(inputs.systems)} systems best recognises {what} {where}"
    return f"How well does `{inputs.systems[0].name}` recognise {what} {where}"


def data(inputs: EvaluationInputs, utterances: Sequence[Utterance]) -> Facts:
    """The facts of the scored utterances."""
    speakers = {u.speaker for u in utterances if u.speaker}
    hours = sum(u.duration_s or 0.0 for u in utterances) / 3600
    counts: Facts = {"utterances": len(utterances)}
    counts |= {"speakers": len(speakers)} if speakers else {}
    counts |= {"hours": round(hours, 2)} if hours else {}
    if inputs.dataset is None:
        return {"corpus": _corpus(inputs), **counts}
    info = inputs.dataset.info
    spoken = inputs.dataset.languages or ((info.language,) if info.language else ())
    where = str(inputs.dataset.folder) if inputs.seen else inputs.runs[0].info.data
    choice = [f"--where={name}={value}" for name, value in info.where.items()]
    choice += [f"--labels={info.label_set}"] if info.label_set != "four" else []
    about: Facts = {"corpus": info.corpus}
    made = {"made by": shlex.join(["ser", "prepare", info.corpus, "CORPUS", "--out", where, *choice])}
    with suppress(SerError):  # the package of its plug-in may be gone
        plugin = plugins.corpus(info.corpus)
        about |= {"about": first_line(plugin), "address": plugin.HOMEPAGE}
        made = {} if isinstance(plugin, HasConfig) else made  # its settings are not known
    about |= {"language": ", ".join(map(languages.name, spoken)), "licence": info.licence}
    left_out = (
        "; ".join(f"{n:,} {reason}" for reason, n in info.skipped.items()) or "nothing that was found of these classes"
    )
    known = {key: value for key, value in about.items() if value}
    return {**known, **counts, "left out": left_out, **made, "manifest": info.manifest_sha256[:16]}


def protocol(inputs: EvaluationInputs) -> Facts:
    """How the systems were tested."""
    if inputs.seen is not None:
        return _on_other_data(inputs, inputs.seen)
    split = inputs.runs[0].info.settings.split
    facts: Facts = {"split": split.kind}
    facts |= {"fold": f"{split.fold} of {split.n_folds}"} if split.fold else {"folds": split.n_folds}
    seeds = {", ".join(map(str, run.info.settings.seeds)) for run in inputs.runs}
    facts |= _parts(inputs)
    facts["hash of the split"] = split.hash
    each = seeds.pop() if len(seeds) == 1 else ""
    n = "1 for each fold (seed" if each.isdigit() else f"{each.count(',') + 1} for each fold (seeds"
    facts["trainings"] = f"{n} {each})" if each else "a different number for each system"
    return facts | {
        "test part": "used once, after training",
        "temperature": "what logits are divided by, so that confidence fits the validation part; above 1 it falls",
    }


def first_line(plugin: object) -> str:
    """What a plug-in is: the first line of its docstring."""
    return str(plugin.__doc__ or "").partition("\n")[0]


def _parts(inputs: EvaluationInputs) -> Facts:
    """How many speakers each part has, and whether those of the test part are in training; {} if not all are known."""
    if inputs.dataset is None:
        return {}
    splits = {split.fold: split for split in map(read_split, _folders(inputs.runs[0]))}.values()
    speakers = {
        name: [{u.speaker for u in inputs.dataset.select(getattr(split, part))} for split in splits]
        for name, part in (("training", "train"), ("validation", "valid"), ("test", "test"))
    }
    if any(None in names for part in speakers.values() for names in part):
        return {}
    facts: Facts = {}
    for name, part in speakers.items():
        least, *_, most = sorted(map(len, part)) * 2
        facts[f"speakers of {name}"] = f"{least}{f' to {most}' * (most > least)}{' in each fold' * (len(part) > 1)}"
    apart = not any(train & test for train, test in zip(speakers["training"], speakers["test"], strict=True))
    facts["speakers of test"] = f"{facts['speakers of test']}, {'none' if apart else 'some'} of them in its training"
    return facts


def _folders(run: EvaluatedRun) -> list[Path]:
    """The run itself, or those of its folds and seeds."""
    crossed = run.info.kind == CROSS_VALIDATION
    return [one.folder for one in fold_runs(run.folder, run.info.settings)] if crossed else [run.folder]


def leak(inputs: EvaluationInputs) -> str:
    """What the parts of the runs' data share, in one sentence; "" if nothing, or on another dataset."""
    leaks = (run.info.settings.split.leak for run in inputs.runs)
    return "" if inputs.seen else next((found for found in leaks if found), "")


def training(run: EvaluatedRun) -> Training:
    """How a system was made, as its directory tells."""
    info = run.info
    folders = _folders(run)
    histories = [read_history(folder) for folder in folders if (folder / "history.jsonl").exists()]
    made = [load_info(folder) for folder in folders]
    return Training(
        command=info.command,
        hardware=made[0].hardware,
        parameters=n_parameters(folders[0]),
        seconds=sum(epoch.seconds for history in histories for epoch in history),
        settings=_listed(info.settings),
        name=info.name,
        words=run.reads if info.modality in ("linguistic", "both") else "",
        temperatures=tuple(one.temperature for one in made),
    )


def warnings(inputs: EvaluationInputs) -> list[str]:
    """What a reader must know about the inputs before using the metrics."""
    found = []
    if normalised := [run.info.name for run in inputs.runs if _by_speaker(run.info.settings)]:
        found.append(
            f"Transductive: `{'`, `'.join(normalised)}` normalises features by speaker, which takes all "
            "utterances of a test speaker at once; compare it with such systems alone."
        )
    if inputs.dataset is None:
        where = inputs.runs[0].info.data
        found.append(
            f"The dataset {where}, as it was when the runs were trained, was not found: labels are those of that time, "
            "intervals are over utterances, and slices are missing."
        )
    found += sorted({note for run in inputs.runs if (note := _other_classes(inputs, run.info.settings.data))})
    for system in inputs.systems:
        for name, probs in system.runs[0].members.items():
            if absent := int(np.isnan(probs[:, 0]).sum()):
                found.append(
                    f"`{system.name}`: {absent} of {len(probs)} utterances have no {reads(name)}, and count without."
                )
    seen = inputs.seen
    if seen and seen.unlisted:
        found.append(f"Whether the systems were trained on utterances of this dataset {_unchecked(inputs, seen)}.")
    if seen and seen.ids:
        n = f"{len(seen.ids)} utterances"
        found.append(
            f"{n} were left out, because of training on {seen}."
            if seen.dropped
            else f"The metrics are too good: {n} of this dataset have a recording or speaker in a train or validation "
            f"part: {seen}. --drop-seen leaves them out."
        )
    return found


def _other_classes(inputs: EvaluationInputs, trained: DataSettings) -> str | None:
    """What is to be said where a run was trained on classes that are made of other native labels."""
    if not (inputs.seen and inputs.dataset) or trained.corpus == "none":
        return None
    then, now = (classes or "four or native" for classes in (trained.classes, inputs.dataset.info.classes))
    return None if then == now else f"Classes may differ in meaning: trained with --labels {then}, scored on {now}."


def bare_utterances(inputs: EvaluationInputs) -> list[Utterance]:
    """The utterances as far as the predictions alone describe them."""
    run = inputs.systems[0].runs[0]
    truth = run.truth or ("",) * len(run.ids)
    return [Utterance(name, _corpus(inputs), label) for name, label in zip(run.ids, truth, strict=True)]


def _on_other_data(inputs: EvaluationInputs, seen: SeenUtterances) -> Facts:
    if seen.dropped and seen.ids:
        part = "the utterances of another dataset whose recordings and speakers are in no train part"
    elif seen.ids or seen.unlisted:
        part = "all utterances of another dataset"
    else:
        part = "all utterances of a dataset that no system was trained on"
    shared = [str(seen)] if seen.ids else []
    shared += [_unchecked(inputs, seen)] if seen.unlisted else []
    return {
        "test part": part,
        "shared with a train or validation part": "; ".join(shared) or "nothing",
        "compared by": "content of recordings, which misses excerpts, other speeds and much noise; names of speakers",
        "trained on": inputs.runs[0].info.settings.data.corpus,
    }


def _unchecked(inputs: EvaluationInputs, seen: SeenUtterances) -> str:
    if len(inputs.systems) == 1:
        return "cannot be checked: this run does not list its train part"
    return f"cannot be checked for {', '.join(seen.unlisted)}: these runs do not list their train part"


def _corpus(inputs: EvaluationInputs) -> str:
    return inputs.dataset.info.corpus if inputs.dataset else inputs.runs[0].info.settings.data.corpus


def _listed(settings: RunSettings) -> dict[str, str]:
    """All settings as text, such as "train.lr": "0.001"; of folds that were tuned separately all values."""
    each = [flat(one.sections()) for one in settings.by_fold.values()]
    tuned = {name: " | ".join(dict.fromkeys(one[name] for one in each if name in one)) for one in each for name in one}
    rule = {"rule": settings.rule} if settings.rule else {}
    rule |= flat({"ensemble": settings.ensemble})
    members = {
        f"{member}: {name}": value for member, own in settings.members.items() for name, value in _listed(own).items()
    }
    return {**flat(settings.sections()), **tuned, **rule, **members}


def flat(values: Mapping[str, object], before: str = "") -> dict[str, str]:
    """Each value as text by the name that --set knows, such as "feature.lld.deltas"."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return found


def _by_speaker(settings: RunSettings) -> bool:
    """Whether a system, or a member of it, reads features that are normalised by speaker."""
    each = [settings.feature, *(own for own in settings.feature.values() if isinstance(own, dict))]
    own = any(one.get("normalise", "none") != "none" for one in each)
    return own or any(_by_speaker(of_member) for of_member in settings.members.values())
