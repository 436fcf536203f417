"""What a training or a search starts from: configurations, the dataset and its folds."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sercli import contracts, plugins
from sercli._system.files import readable
from sercli.config import parse_sets
from sercli.dataset import extraction, folds, manifest, same_sounds, splits
from sercli.dataset.manifest import Dataset
from sercli.dataset.soft_targets import dimensions_of, soft_targets
from sercli.errors import SerError
from sercli.model import spec
from sercli.model.papers import PAPERS
from sercli.model.spec import ExperimentConfig
from sercli.runs.settings import RunSettings
from sercli.types import HUMAN, Split, Utterance


class _Study(msgspec.Struct):
    settings: RunSettings


@dataclass(frozen=True)
class Setup:
    """The experiments of a command."""

    configs: tuple[ExperimentConfig, ...]  # one for each fold
    dataset: Dataset
    folds: tuple[Split, ...]  # one, or all of the split
    crossed: bool  # whether all folds were asked for
    remarks: tuple[str, ...] = ()  # on a file of folds: what it leaves out, and how it numbers them

    @property
    def name(self) -> str:
        """Of the preset, or "custom"."""
        return self.configs[0].name


def make_setup(
    model: str | None,
    file: Path | None,
    sets: list[str] | None,
    data: Path,
    *,
    words: str,
    split: str | None,
    n_folds: int | None,
    fold: int | None,
    seed: int,
) -> Setup:
    """Resolve the settings, open the dataset and split it.

    Args:
        model: name of a preset.
        file: settings, or the folder of a search on all folds.
        sets: values of `--set`.
        data: folder of the dataset.
        words: whose transcripts are read.
        split: its kind; None: the one that the corpus suggests.
        n_folds: None: as the corpus suggests.
        fold: counted from 1; None: all.
        seed: of the split.

    Raises:
        SerError: one of them is wrong; before anything is computed or written.
    """
    changes = parse_sets(sets or [])
    tuned = file if file is not None and file.is_dir() else None

    def resolve(number: int) -> ExperimentConfig:
        return spec.resolve(model, tuned / f"fold-{number}" / "best.json" if tuned else file, changes)

    first = resolve(fold or 1)
    if words != HUMAN and not any(map(extraction.reads_text, first.feature_names)):
        raise SerError(f"--words {words} does nothing with {first.name}, which reads no text; leave it out.")
    dataset = manifest.load(data, words=words)
    if len(dataset.info.labels) < 2:
        raise SerError(f"All utterances of {data} are {dataset.info.labels[0]}; train on a dataset with more classes.")
    parts = _without_copies(dataset, _divide(dataset, split or dataset.info.split, n_folds, fold, seed))
    configs = (first,) if fold else tuple(resolve(part.fold) for part in parts)
    if any(config.train.targets == "soft" for config in configs):
        soft_targets(dataset, dataset.manifest.utterances)  # a corpus without votes is refused before any work
    kind = split or ""
    told = folds.remarks(Path(kind.removeprefix(folds.FILE)), dataset.manifest) if kind.startswith(folds.FILE) else ()
    if first.train.dimensions and dimensions_of(dataset.manifest.utterances) is None:
        told = (*told, f"{first.name}: no utterance has activation and valence, so that it has classes as only target.")
    told += _searched(file, dataset, parts) if file and not tuned else ()
    return Setup(configs, dataset, parts, crossed=fold is None, remarks=told)


def _searched(file: Path, dataset: Dataset, parts: Sequence[Split]) -> tuple[str, ...]:
    """Return a remark if settings are those of a search that saw what is tested."""
    path = file.with_name("study.json")
    if file.name != "best.json" or not path.exists():
        return ()
    with readable(path, "; copy best.json to another folder"):
        search = msgspec.json.decode(path.read_bytes(), type=_Study).settings
    if search.data.manifest_sha256 != dataset.manifest.sha256 or {search.split.hash} == set(
        map(splits.split_hash, parts)
    ):
        return ()
    where = f"fold {search.split.fold} of --split {search.split.kind}"
    return (
        f"{file} is of a search on {where}, which saw what is tested here: scores may be too good. "
        "`ser tune --fold all` searches on each fold for itself.",
    )


def presets(data: Path, words: str, *, related: bool = False) -> dict[str, str | None]:
    """For each preset why a dataset cannot train it, or not without an extra; None: it can.

    Args:
        data: folder of the dataset.
        words: whose transcripts are read.
        related: of the presets, those that copy networks of papers; else the others.

    Raises:
        SerError: not a prepared dataset.
    """
    utterances = manifest.load(data, words=words).manifest.utterances
    return {name: _why_not(name, utterances) for name in spec.presets() if (name in PAPERS) == related}


def _why_not(preset: str, utterances: Sequence[Utterance]) -> str | None:
    for feature in spec.features_of(spec.preset_sections(preset)):
        plugin = plugins.feature(feature)
        if isinstance(plugin, contracts.NeedsExtra):
            return f"it needs the extra `{plugin.EXTRA}`; train it by its name"
        if lacking := next((u for u in utterances if extraction.lacks(u, feature)), None):
            what = {"text": "words", "audio": "sound"}.get(missing := str(extraction.lacks(lacking, feature)), missing)
            return f"not every utterance has {what}, such as '{lacking.id}'"
    return None


def _without_copies(dataset: Dataset, parts: tuple[Split, ...]) -> tuple[Split, ...]:
    """The same splits; those by `seed` or a file are marked as leaky if a sound is in several parts.

    Raises:
        SerError: a sound is in several parts of another split.
    """
    checked = []
    for split in parts:
        pairs = same_sounds.crossing(dataset.info.same_sounds, split)
        if pairs and split.kind not in ("seed", "file"):
            instead = ""
            with suppress(SerError):  # where the dataset cannot have it
                instead = f", or use --split {splits.make_split(dataset.manifest, 'seed').kind} (leaky)"
            raise SerError(
                f"--split {split.kind} fold {split.fold}: {same_sounds.named(pairs)} under different names in several "
                f"parts, so scores would be too good; keep one of each in the corpus{instead}."
            )
        checked.append(replace(split, leaky=True, test_apart=False, same_sounds=pairs) if pairs else split)
    return tuple(checked)


def _divide(dataset: Dataset, kind: str, n_folds: int | None, fold: int | None, seed: int) -> tuple[Split, ...]:
    single = kind in ("seed", "official")
    if n_folds is not None and (single or kind.startswith(folds.FILE)):
        has = "has one fold" if single else "has the folds of the file"
        raise SerError(f"--folds does nothing with --split {kind}, which {has}; leave it out.")
    if kind.startswith(folds.FILE):
        every = folds.read(Path(kind.removeprefix(folds.FILE)), dataset.manifest)
        splits.check_fold(fold or 1, len(every), kind)
        return every[fold - 1 : fold] if fold else every
    n_folds = n_folds or dataset.info.folds
    if fold is None:
        return splits.make_folds(dataset.manifest, kind, n_folds=n_folds, seed=seed)
    return (splits.make_split(dataset.manifest, kind, n_folds=n_folds, fold=fold, seed=seed),)
