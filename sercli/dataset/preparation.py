"""From a corpus on disk to a manifest: read, look at every recording once, choose the labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from sercli import config, plugins
from sercli._system import locks, processes
from sercli._system.files import odd_name, sweep, visible_names
from sercli._system.progress import ProgressFactory
from sercli.dataset import audio_index, feature_cache, fingerprint, manifest, scan
from sercli.dataset.feature_specs import FeatureSpecs
from sercli.dataset.fingerprint import Basis, Summary
from sercli.dataset.manifest import Dataset, DatasetInfo, make_manifest
from sercli.dataset.packed import Packed
from sercli.errors import MismatchError, SerError
from sercli.types import FOUR, Remark, Utterance

_LOCK = "prepare"
_MANY = 128  # rows for each process that is started before it is known how many there are


@dataclass(frozen=True)
class Prepared:
    """A dataset with all that a person wants to hear about how it came to be."""

    dataset: Dataset
    summary: Summary


def prepare(
    corpus: str, root: Path, out: Path, *, label_set: str, jobs: int = 1, progress: ProgressFactory
) -> Prepared:
    """Read a corpus and choose its labels; nothing is written but the scan of the recordings.

    Args:
        corpus: name of a corpus plugin.
        root: where its release lies.
        out: the prepared dataset's folder.
        label_set: "four" (the original study's classes) or "native" (all that the corpus has).
        jobs: processes that look at recordings at the same time.
        progress: shows what is under way.

    Raises:
        SerError: unknown corpus, no such folder, nothing usable in it, or `out` holds something else, such as a
            dataset of another corpus or with other labels.
    """
    plugin = plugins.load("corpus", corpus)
    _check_out(out, corpus, label_set)
    root = _resolved(root)
    rows, remarks = _read(plugin, root, jobs if jobs > 1 and not (out / audio_index.NAME).exists() else 0)
    base = root.parent if root.is_file() else root
    rows, broken = scan.scan(rows, base, out, jobs, progress)
    before = _counts(rows, tuple(plugin.LABELS))
    kept, labels, dropped = choose_labels(rows, plugin.LABELS, label_set)
    if not kept:
        raise SerError(
            f"{root}: none of {len(rows)} readable utterances has a label of the set '{label_set}' "
            f"(found: {', '.join(before) or 'nothing'}); {_hint(label_set, broken)}"
        )
    said = (*remarks, *broken, *dropped)
    made = make_manifest(kept, labels)
    info = DatasetInfo(
        corpus=corpus,
        licence=plugin.LICENCE,
        root=str(base),
        label_set=label_set,
        labels=labels,
        split=plugin.SPLIT,
        folds=plugin.FOLDS,
        manifest_sha256=made.sha256,
        n_utterances=len(kept),
        hours=round(sum(u.duration_s or 0.0 for u in kept) / 3600, 4),
        skipped=dict(Counter(r.reason for r in said if r.kind == "skipped")),
    )
    summary = Summary(
        corpus=corpus,
        licence=info.licence,
        split=info.split,
        n_utterances=len(kept),
        n_speakers=len({u.speaker for u in kept if u.speaker}),
        n_sessions=len({u.session for u in kept if u.session}),
        hours=info.hours,
        before=before,
        after=_counts(kept, labels),
        mapping={label: _common(label, plugin.LABELS) if label_set == "four" else label for label in before},
        remarks=said,
        duplicates=_duplicates(kept),
    )
    return Prepared(Dataset(out, info, made), summary)


def choose_labels(
    rows: Sequence[Utterance], mapping: dict[str, str | None], label_set: str
) -> tuple[Sequence[Utterance], tuple[str, ...], list[Remark]]:
    """Keep what has a place in the label set, under its name there.

    Returns:
        the utterances kept, the ordered labels that occur, and a remark for each utterance left out.
    """
    if label_set == "native":
        present = {u.label for u in rows}
        ordered = [label for label in mapping if label in present]
        return rows, (*ordered, *sorted(present - set(ordered))), []
    kept: Packed[Utterance] = Packed(Utterance)
    dropped = []
    for row in rows:
        common = _common(row.label, mapping)
        if common is None:
            dropped.append(Remark("skipped", row.id, f"label '{row.label}' is not among the four"))
        else:
            kept.append(replace(row, label=common, attributes={**row.attributes, "native_label": row.label}))
    present = {u.label for u in kept}
    return kept, tuple(label for label in FOUR if label in present), dropped


def _resolved(root: Path) -> Path:
    try:
        found = root.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # a link to itself, or ~ of nobody
        raise SerError(f"{root} leads nowhere ({error}); pass the folder where the corpus lies.") from None
    if odd := odd_name(found):
        raise SerError(odd)
    return found


def _common(label: str, mapping: Mapping[str, str | None]) -> str | None:
    """A native label's place among the four; a label that the corpus does not map may bear one of their names."""
    return mapping.get(label, label if label in FOUR else None)


def _check_out(out: Path, corpus: str, label_set: str) -> None:
    """Refuse to write among other things; what an earlier, even killed, `prepare` left is welcome."""
    if out.exists() and not out.is_dir():
        raise SerError(f"{out} is not a folder; choose another --out.")
    names = visible_names(out)
    if names and not names & {"dataset.json", "manifest.jsonl", audio_index.NAME}:
        raise SerError(f"{out} holds something else than a prepared dataset; choose another --out.")
    try:
        old = manifest.load_info(out)
    except SerError:  # none yet, or one that only `prepare` can mend
        return
    now = {"corpus": corpus, "labels": label_set}
    differing = config.differences({"corpus": old.corpus, "labels": old.label_set}, now)
    if differing:  # runs stand on it: made anew from something else, it would no longer be theirs
        raise MismatchError(f"{out} holds another dataset: {'; '.join(differing)}. Choose another --out, or delete it.")


def _read(plugin: ModuleType, root: Path, jobs: int) -> tuple[Packed[Utterance], list[Remark]]:
    """What a corpus holds; with jobs, processes start as soon as there are enough recordings to be worth it."""
    if not root.exists():
        raise SerError(f"{root} does not exist; pass the folder where the corpus lies.")
    rows: Packed[Utterance] = Packed(Utterance)
    remarks: list[Remark] = []
    for item in plugin.read(root):
        if isinstance(item, Remark):
            remarks.append(item)
        elif item.audio is not None and (odd := odd_name(root / item.audio)):
            remarks.append(Remark("skipped", odd, scan.UNREADABLE))
        else:
            rows.append(item)
        if jobs and len(rows) == _MANY * jobs:
            processes.start(jobs, needs=feature_cache.__name__)
            jobs = 0
    if not rows and (unreadable := [remark for remark in remarks if remark.reason == scan.UNREADABLE]):
        raise SerError(f"{root}: {_hint('native', unreadable)}")
    if not rows:
        raise SerError(f"{root} holds no utterance of this corpus ({plugin.HOMEPAGE}); pass the folder of its release.")
    return rows, remarks


def _counts(rows: Iterable[Utterance], order: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(u.label for u in rows)
    return {label: counts[label] for label in (*order, *sorted(counts.keys() - set(order))) if counts[label]}


def _duplicates(rows: Iterable[Utterance]) -> tuple[tuple[str, ...], ...]:
    n_there = Counter(_sound(row) for row in rows)
    same: dict[int, list[str]] = {}
    for row in rows:
        if row.digest is not None and n_there[_sound(row)] > 1:
            same.setdefault(_sound(row), []).append(row.id)
    return tuple(tuple(ids) for ids in same.values())


def _sound(row: Utterance) -> int:
    """What is the same for stretches that are the same to the byte; a number takes up less than what it is made of."""
    return hash((row.digest, row.start_s, row.end_s))


def _hint(label_set: str, broken: list[Remark]) -> str:
    if broken:
        n, first = len(broken), broken[0]
        if first.reason == scan.UNREADABLE:  # here the source is the whole message
            return f"{n} recordings cannot be read, the first: {first.source}"
        return f"the first of {n} left out: {first.source}, {first.reason}; correct start_s and end_s."
    return "try --labels native." if label_set == "four" else "check the corpus."


def finish(
    prepared: Prepared,
    wanted: FeatureSpecs,
    *,
    jobs: int,
    device: str = "cpu",
    progress: ProgressFactory,
    made_from: Basis | None = None,
) -> Prepared:
    """Write the manifest, then compute the features; a feature whose input no utterance has is passed over.

    Where another process is preparing the very same manifest into the folder, the two divide the features.

    Args:
        prepared: what `prepare` gave.
        wanted: features to compute.
        jobs: processes that compute at the same time.
        device: for features that compute with a network; see `feature_cache.fill`.
        progress: shows what is under way.
        made_from: what the dataset was made from, so that the same command need not do it all again; None: it will.

    Returns:
        the same with the features wanted.

    Raises:
        HeldError: another process is preparing something else into the folder.
        SerError: a recording went missing meanwhile.
    """
    dataset = prepared.dataset
    usable = {name: any(feature_cache.has_input(u, name) for u in dataset.manifest.utterances) for name, _ in wanted}
    computed = [(name, feature_config) for name, feature_config in wanted if usable[name]]
    summary = replace(prepared.summary, features=usable)
    if any(remark.reason == scan.UNREADABLE for remark in summary.remarks):  # what reads it may come to be installed
        made_from = None
    made = dataset.manifest.sha256
    try:
        with locks.alone(dataset.folder, _LOCK, doing=made):
            _make(dataset, computed, jobs, device, progress)
            _remember(dataset, made_from, summary)
    except locks.HeldError:
        if locks.doing_there(dataset.folder, _LOCK) != made:
            raise
        feature_cache.fill(dataset, computed, jobs=jobs, device=device, progress=progress)
        with locks.alone(dataset.folder, _LOCK, doing=made, wait=True):  # all is there, but for what the other lost
            _make(dataset, computed, jobs, device, progress)
            _remember(dataset, made_from, summary)
    return replace(prepared, summary=summary)


def _make(dataset: Dataset, wanted: FeatureSpecs, jobs: int, device: str, progress: ProgressFactory) -> None:
    """Write the manifest, then what is missing of the features, then which there are."""
    sweep(dataset.folder)
    manifest.save(dataset)
    feature_cache.fill(dataset, wanted, jobs=jobs, device=device, progress=progress)
    manifest.save(replace(dataset, info=replace(dataset.info, features=tuple(name for name, _ in wanted))))


def _remember(dataset: Dataset, made_from: Basis | None, summary: Summary) -> None:
    if made_from is not None:
        fingerprint.remember(dataset.folder, made_from, summary)
