"""The inputs of an evaluation: runs, their predictions, and the dataset that describes the utterances."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from sercli._system.files import walk
from sercli.dataset import manifest
from sercli.dataset.manifest import Dataset
from sercli.dataset.transcripts import WordErrors, word_errors
from sercli.errors import SerError
from sercli.evaluation import pooling
from sercli.evaluation.overlap import SeenUtterances, seen_sentences
from sercli.evaluation.results import PooledPredictions
from sercli.runs import RunInfo
from sercli.types import HUMAN


@dataclass(frozen=True)
class EvaluatedRun:
    """A run, and the transcripts that it reads."""

    folder: Path
    info: RunInfo
    words: str | None = None  # whose transcripts; None: those that it was trained on, if any
    name: str = ""  # see `named`

    @property
    def reads(self) -> str:
        """Whose transcripts it reads, if any."""
        return self.words or self.info.words

    def trained_on(self, dataset: Dataset) -> bool:
        """Whether this is the dataset that the run was trained on."""
        return self.info.settings.data.manifest_sha256 == dataset.manifest.sha256

    @property
    def division(self) -> tuple[str, str, str]:
        """Equal for runs that were tested on the same part of the same data; the kind of split is the last."""
        split = self.info.settings.split
        return self.info.settings.data.manifest_sha256, split.hash, split.kind


@dataclass(frozen=True)
class EvaluationInputs:
    """Everything that is scored together."""

    runs: tuple[EvaluatedRun, ...]
    systems: tuple[PooledPredictions, ...]  # of each run
    dataset: Dataset | None  # with human transcripts; None if it was not found
    errors: dict[str, WordErrors] = field(default_factory=dict)  # of each recogniser on all utterances
    utterance_errors: dict[str, float] = field(default_factory=dict)  # id -> word error rate, if one was read
    seen: SeenUtterances | None = None  # None: the dataset is the runs' own, and the test part is scored

    @property
    def ids(self) -> tuple[str, ...]:
        """(N,) the utterances."""
        return self.systems[0].runs[0].ids


def find_runs(folder: Path) -> list[Path]:
    """The directories of all runs below a folder, without the runs inside other runs.

    Raises:
        SerError: there is none.
    """
    below = walk(folder) if folder.is_dir() else ()
    found = sorted(Path(entry.path).parent for entry in below if entry.name == "run.json")
    whole = [run for run in found if not any(other in run.parents for other in found)]
    if not whole:
        raise SerError(f"{folder} holds no run; make some with `ser train -m all --out {folder}`.")
    return whole


def by_division(runs: Sequence[EvaluatedRun]) -> list[list[EvaluatedRun]]:
    """Groups of runs that were tested on the same part of the same data."""
    groups: dict[tuple[str, str, str], list[EvaluatedRun]] = {}
    for run in runs:
        groups.setdefault(run.division, []).append(run)
    return list(groups.values())


def stored(runs: Sequence[EvaluatedRun]) -> EvaluationInputs:
    """The predictions that runs wrote for their test parts."""
    runs = named(runs)
    systems = tuple(pooling.collect(run.folder, run.info, run.name) for run in runs)
    same = len({system.runs[0].ids for system in systems}) == 1  # otherwise they cannot be scored together
    dataset = _own_dataset(runs) if same else None
    return described(runs, systems, dataset) if dataset else EvaluationInputs(runs, systems, None)


def described(
    runs: tuple[EvaluatedRun, ...],
    systems: tuple[PooledPredictions, ...],
    dataset: Dataset,
    seen: SeenUtterances | None = None,
) -> EvaluationInputs:
    """The inputs of an evaluation with what a dataset tells of them: word errors, and sentences that are in training.

    Args:
        runs: with their names.
        systems: of each run.
        dataset: with human transcripts.
        seen: what it shares with train parts, unless it is the runs' own.
    """
    views = {HUMAN: dataset}
    for whose in sorted({run.reads for run in runs} - {HUMAN}):
        with suppress(SerError):  # the transcripts were deleted, which leaves predictions to score, prompts to compare
            views[whose] = manifest.with_words(dataset, whose)
    found = []
    for run, system in zip(runs, systems, strict=True):
        utterances = views.get(run.reads, dataset).select(system.runs[0].ids)
        sentences = seen_sentences(run.folder, run.info, utterances, own=run.trained_on(dataset))
        found.append(replace(system, seen=sentences))
    return EvaluationInputs(runs, tuple(found), dataset, *_error_rates(views, systems[0].runs[0].ids), seen)


def named(runs: Sequence[EvaluatedRun]) -> tuple[EvaluatedRun, ...]:
    """The runs, each once, with different names: preset or rule, what of the folder tells them apart, and the words."""
    runs = list({(run.folder.resolve(), run.words): run for run in runs}.values())
    found = []
    for run in runs:
        alike = [one.folder for one in runs if (one.info.name, one.words) == (run.info.name, run.words)]
        n_parts = next(n for n in count() if len({_end(folder, n) for folder in alike}) == len(alike))
        about = [*([_end(run.folder, n_parts)] if n_parts else []), *([f"{run.words} words"] if run.words else [])]
        found.append(replace(run, name=f"{run.info.name} ({', '.join(about)})" if about else run.info.name))
    return tuple(found)


def _error_rates(views: Mapping[str, Dataset], ids: Sequence[str]) -> tuple[dict[str, WordErrors], dict[str, float]]:
    """The word errors of each recogniser, and of each utterance if there is one recogniser."""
    recognised = {
        whose: {u.id: u.text for u in view.select(ids) if u.text is not None}
        for whose, view in views.items()
        if whose != HUMAN
    }
    utterances = views[HUMAN].manifest.utterances
    errors = {whose: e for whose, texts in recognised.items() if (e := word_errors(utterances, texts))}
    if len(errors) != 1:
        return errors, {}
    (only,) = (recognised[whose] for whose in errors)
    of_utterance = {u.id: word_errors([u], only) for u in views[HUMAN].select(only)}
    return errors, {name: e.rate for name, e in of_utterance.items() if e and e.rate is not None}


def _own_dataset(runs: Sequence[EvaluatedRun]) -> Dataset | None:
    """The dataset that the first run was trained on, if it is still where one of the runs says."""
    for run in (run for run in runs if run.info.data):
        data, above = Path(run.info.data), run.folder.resolve().parents  # a relative path may count from any of them
        for folder in dict.fromkeys([data, *(folder / data for folder in above)]):
            with suppress(SerError):
                dataset = manifest.load(folder)
                if runs[0].trained_on(dataset):
                    return dataset
    return None


def _end(folder: Path, n: int) -> str:
    """The last parts of a path, such as "fold-1/seed-0"; all if it has fewer."""
    return "/".join(folder.parts[max(len(folder.parts) - n, 0) :])
