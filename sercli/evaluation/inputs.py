"""What an evaluation stands on: runs, their answers, and the dataset that says more of the utterances."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sercli._system.progress import ProgressFactory
    from sercli.dataset.manifest import Dataset
    from sercli.dataset.transcripts import WordErrors
    from sercli.evaluation.results import Answers, Review
    from sercli.runs import RunInfo
    from sercli.types import Predictions, Utterance


@dataclass(frozen=True)
class Row:
    """A run's answers, once for each choice of words."""

    folder: Path
    info: "RunInfo"
    words: str | None  # None: those that the run was trained on, or it reads none
    answers: "Answers"


@dataclass(frozen=True)
class Evidence:
    """What is scored."""

    rows: tuple[Row, ...]
    dataset: "Dataset | None"  # with human words; None where it is no longer to be found
    errors: "dict[str, WordErrors]" = field(default_factory=dict)  # of each recogniser on all utterances
    utterance_errors: dict[str, float] = field(default_factory=dict)  # id -> word error rate, where one was read


def find_runs(folder: Path) -> list[Path]:
    """Every run below a folder; the runs that others are made of are theirs.

    Raises:
        SerError: there is none.
    """
    from sercli.errors import SerError

    found = [path.parent for path in sorted(folder.rglob("run.json"))]
    whole = [run for run in found if not any(other in run.parents for other in found)]
    if not whole:
        raise SerError(f"{folder} holds no run; make some with `ser train -m all --out {folder}`.")
    return whole


def kept(folders: Sequence[Path], infos: "Sequence[RunInfo]") -> Evidence:
    """What the runs themselves wrote of their test parts."""
    from sercli.dataset import manifest
    from sercli.errors import SerError
    from sercli.evaluation import pooling
    from sercli.types import HUMAN

    names = _names([(folder, info, None) for folder, info in zip(folders, infos, strict=True)])
    rows = tuple(
        Row(folder, info, None, pooling.collect(folder, info, name))
        for folder, info, name in zip(folders, infos, names, strict=True)
    )
    dataset = _own_dataset(folders, infos)
    if dataset is None:
        return Evidence(rows, None)
    heard = {}
    for whose in sorted({info.words for info in infos} - {HUMAN}):
        with suppress(SerError):  # transcripts that are gone since: the answers are there all the same
            heard[whose] = _texts(manifest.with_words(dataset, whose), rows[0].answers.runs[0].ids)
    return Evidence(rows, dataset, *_word_errors(dataset, heard))


def anew(
    folders: Sequence[Path],
    infos: "Sequence[RunInfo]",
    data: Path,
    words: Sequence[str],
    device: str,
    jobs: int,
    progress: "ProgressFactory",
) -> Evidence:
    """Each run's answers on a dataset: on its own test part where it was trained there, else on every utterance.

    Args:
        folders: run directories.
        infos: what each says of itself.
        data: the prepared dataset.
        words: whose words are read, each choice by itself; none: whose the run was trained on.
        device: as `--device` has it.
        jobs: processes that compute features.
        progress: shows what is under way.
    """
    from sercli import runs
    from sercli._system import devices
    from sercli.dataset import manifest
    from sercli.evaluation import pooling
    from sercli.model import ensemble, feature_provider
    from sercli.types import HUMAN

    chosen = devices.pick_device(device)
    dataset = manifest.load(data)
    asked = [
        (folder, info, word)
        for folder, info in zip(folders, infos, strict=True)
        for word in (dict.fromkeys(words) if words and info.modality != "acoustic" else [None])
    ]
    needed = sorted({word or info.words for _, info, word in asked})
    views = {whose: manifest.with_words(dataset, whose) for whose in needed}
    rows = {
        w: feature_provider.cached_features(view, jobs=jobs, device=device, progress=progress)
        for w, view in views.items()
    }

    def answering(whose: str, own: bool) -> "Callable[[Path], Predictions]":
        def ask(single: Path) -> "Predictions":
            ids = runs.read_split(single).test if own else [u.id for u in dataset.manifest.utterances]
            return ensemble.load(single, chosen).predict(views[whose].select(ids), rows[whose])

        return ask

    found: list[Row] = []
    heard: dict[str, dict[str, str]] = {}
    for (folder, info, word), name in zip(asked, _names(asked), strict=True):
        whose = word or info.words
        own = trained_on(info, dataset)
        answered = pooling.collect(folder, info, name, answering(whose, own), apart=not own)
        found.append(Row(folder, info, word, answered))
        if whose != HUMAN:
            heard[whose] = _texts(views[whose], answered.runs[0].ids)
    return Evidence(tuple(found), dataset, *_word_errors(dataset, heard))


def trained_on(info: "RunInfo", dataset: "Dataset") -> bool:
    """Whether a dataset is the one that a run was trained on."""
    return bool(info.settings["data"]["manifest_sha256"] == dataset.manifest.sha256)


def review(evidence: Evidence, *, full: bool, jobs: int, command: str, progress: "ProgressFactory") -> "Review":
    """Put all together.

    Args:
        evidence: what is scored.
        full: measure the recordings' levels as well, for which all are read.
        jobs: processes that read them.
        command: that the report names as the one that made it.
        progress: shows what is under way.
    """
    from sercli.dataset.levels import speech_levels
    from sercli.evaluation import evaluate

    first = evidence.rows[0]
    ids = first.answers.runs[0].ids
    own = evidence.dataset is not None and trained_on(first.info, evidence.dataset)
    if evidence.dataset is None:
        utterances = _bare(first)
        warnings = [
            f"The dataset {first.info.data or ''} is not at hand: intervals are over utterances, slices are missing."
        ]
    else:
        utterances, warnings = evidence.dataset.select(ids), []
    split = first.info.settings["split"]
    return evaluate.review(
        [row.answers for row in evidence.rows],
        utterances,
        question=_question(evidence),
        data=_data(evidence, utterances),
        protocol=_protocol([row.info for row in evidence.rows], own=own or evidence.dataset is None),
        over="session" if split["kind"] == "official" else "speaker",
        leaky=any(row.info.settings["split"]["leaky"] for row in evidence.rows),
        train_counts=first.info.train_counts,
        levels=speech_levels(evidence.dataset, utterances, jobs=jobs, progress=progress)
        if full and evidence.dataset is not None
        else None,
        utterance_errors=evidence.utterance_errors,
        word_errors={engine: found.rate for engine, found in evidence.errors.items() if found.rate is not None},
        warnings=warnings,
        environment=first.info.versions,
        command=command,
    )


def _own_dataset(folders: Sequence[Path], infos: "Sequence[RunInfo]") -> "Dataset | None":
    """The dataset that the first run was trained on, where it still lies where one of the runs says that it lay."""
    for folder, info in zip(folders, infos, strict=True):
        for place in _places(folder, info.data):
            dataset = _loaded(place)
            if dataset is not None and trained_on(infos[0], dataset):
                return dataset
    return None


def _places(folder: Path, data: str) -> Iterator[Path]:
    """Where it may lie; a run may have been made in another folder than this one, which lies somewhere above it."""
    if data:
        yield Path(data)
        if not Path(data).is_absolute():
            yield from (above / data for above in folder.resolve().parents)


def _loaded(folder: Path) -> "Dataset | None":
    from sercli.dataset import manifest
    from sercli.errors import SerError

    try:
        return manifest.load(folder) if folder.is_dir() else None
    except SerError:
        return None


def _names(asked: "Sequence[tuple[Path, RunInfo, str | None]]") -> list[str]:
    """Each run's preset or rule, with the words that were asked for, and its folder's name where two are alike."""
    names = [(info.name, words) for _, info, words in asked]
    return [_name(folder, info, words, alone=names.count((info.name, words)) == 1) for folder, info, words in asked]


def _name(folder: Path, info: "RunInfo", words: str | None, *, alone: bool) -> str:
    about = [*([] if alone else [folder.name]), *([f"{words} words"] if words else [])]
    return f"{info.name} ({', '.join(about)})" if about else info.name


def _texts(view: "Dataset", ids: Sequence[str]) -> dict[str, str]:
    """What is read of utterances."""
    from sercli.types import HUMAN

    return {u.id: u.transcripts[HUMAN] for u in view.select(ids) if HUMAN in u.transcripts}


def _word_errors(
    dataset: "Dataset", heard: dict[str, dict[str, str]]
) -> "tuple[dict[str, WordErrors], dict[str, float]]":
    """Of each recogniser, and of each utterance where only one was read."""
    from sercli.dataset.transcripts import word_errors

    utterances = dataset.manifest.utterances
    found = {whose: word_errors(utterances, texts) for whose, texts in heard.items()}
    errors = {whose: e for whose, e in found.items() if e}
    if len(errors) != 1:
        return errors, {}
    texts = heard[next(iter(errors))]
    one_by_one = {u.id: word_errors([u], texts) for u in dataset.select(texts)}
    rates = {name: e.rate for name, e in one_by_one.items() if e}
    return errors, {name: rate for name, rate in rates.items() if rate is not None}


def _bare(row: Row) -> "list[Utterance]":
    """The utterances as the predictions alone know them."""
    from sercli.types import Utterance

    run = row.answers.runs[0]
    corpus = row.info.settings["data"]["corpus"]
    return [
        Utterance(name, corpus, label) for name, label in zip(run.ids, run.truth or ("",) * len(run.ids), strict=True)
    ]


def _question(evidence: Evidence) -> str:
    names = [row.answers.name for row in evidence.rows]
    which = f"Which of {len(names)} systems recognises" if len(names) > 1 else f"How well does {names[0]} recognise"
    first = evidence.rows[0]
    corpus = evidence.dataset.info.corpus if evidence.dataset else first.info.settings["data"]["corpus"]
    labels = first.answers.runs[0].labels
    best = " best" if len(names) > 1 else ""
    return f"{which} {', '.join(labels[:-1])} and {labels[-1]}{best} in the speech of {corpus}?"


def _data(evidence: Evidence, utterances: "Sequence[Utterance]") -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {"utterances": len(utterances)}
    speakers = {u.speaker for u in utterances if u.speaker}
    hours = sum(u.duration_s or 0.0 for u in utterances) / 3600
    facts |= {"speakers": len(speakers)} if speakers else {}
    facts |= {"hours": round(hours, 2)} if hours else {}
    if evidence.dataset is None:
        return {"corpus": evidence.rows[0].info.settings["data"]["corpus"], **facts}
    info = evidence.dataset.info
    return {"corpus": info.corpus, "licence": info.licence, **facts, "manifest": info.manifest_sha256[:16]}


def _protocol(infos: "Sequence[RunInfo]", *, own: bool) -> dict[str, str | int | float]:
    """How it was tested, in words where the settings have numbers."""
    first = infos[0]
    if not own:
        corpus = first.settings["data"]["corpus"]
        return {"test part": "all utterances of a dataset that no system was trained on", "trained on": corpus}
    split = first.settings["split"]
    facts: dict[str, str | int | float] = {"split": split["kind"]}
    facts |= {"fold": f"{split['fold']} of {split['n_folds']}"} if "fold" in split else {"folds": split["n_folds"]}
    seeds = {_seeds(info) for info in infos}
    facts["hash of the division"] = split["hash"]
    facts["seeds"] = seeds.pop() if len(seeds) == 1 else "not the same number for each system"
    return facts | {"test part": "opened once, after training", "temperature": "from the validation part"}


def _seeds(info: "RunInfo") -> str:
    run = info.settings["run"]
    return ", ".join(map(str, run.get("seeds", [run.get("seed")])))
