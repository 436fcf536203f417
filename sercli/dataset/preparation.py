"""From a corpus on disk to a prepared dataset: read, inspect every recording, choose labels, compute features."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sercli import config, plugins
from sercli._system import locks
from sercli._system.files import odd_name, refuse_others, sweep
from sercli._system.progress import ProgressFactory
from sercli._system.text import similar_names
from sercli.contracts import Corpus, HasConfig, HasLanguage, PluginConfig
from sercli.dataset import audio_index, extraction, feature_cache, fingerprint, label_sets, manifest, same_sounds, scan
from sercli.dataset.doubts import doubts
from sercli.dataset.feature_specs import FeatureSpecs
from sercli.dataset.fingerprint import Fingerprint, Summary
from sercli.dataset.manifest import Dataset, DatasetInfo, make_manifest
from sercli.dataset.splits import PARTS
from sercli.errors import MismatchError, SerError
from sercli.types import Remark, Utterance

_LOCK = "prepare"
_FIELDS = frozenset({"prompt", "session", "speaker"})  # of an utterance, beside its attributes, that --where reads
_PART = "it has a part, which --split official uses, and no other split"
_TORN = "the same sound, or one that overlaps by more than half, has another label"


@dataclass(frozen=True)
class Prepared:
    """A dataset and what to report about it."""

    dataset: Dataset
    summary: Summary


def prepare(
    corpus: str,
    root: Path,
    out: Path,
    *,
    label_set: str,
    settings: PluginConfig = None,
    where: Mapping[str, str] | None = None,
    jobs: int = 1,
    progress: ProgressFactory,
) -> Prepared:
    """Read a corpus and choose its labels; only the audio index is written.

    Args:
        corpus: name of a corpus plug-in.
        root: the folder of its release, or a table.
        out: the prepared dataset's folder.
        label_set: "four", "native" or classes; see label_sets.py.
        settings: Config of the corpus; None: the default.
        where: attribute -> its value in utterances to keep.
        jobs: processes that inspect recordings at the same time.
        progress: shows progress.

    Raises:
        SerError: unknown corpus, no such folder, nothing usable in it, no such label, or `out` holds something else.
        MismatchError: `out` holds a dataset of another corpus or with other labels.
    """
    plugin = plugins.corpus(corpus)
    where = dict(where or {})
    _check_out(out, {"corpus": corpus, "labels": label_set, "where": where})
    root = _resolved(root)
    utterances, remarks = _read(plugin, root, settings)
    base = root.parent if root.is_file() else root
    for name, value in where.items():
        utterances, others = _where(utterances, name, value)
        remarks += others
    utterances, broken = scan.scan(utterances, base, out, jobs, progress)
    before = _counts(utterances, tuple(plugin.LABELS))
    kept, labels, dropped = label_sets.choose(utterances, plugin.LABELS, label_set)
    if not kept:
        raise SerError(
            f"{root}: none of {len(utterances)} readable utterances has a label of the set '{label_set}' "
            f"(found: {', '.join(before) or 'nothing'}); {_hint(label_set, broken)}"
        )
    made = make_manifest(kept, labels)
    duplicates = same_sounds.groups(kept, {one.path: one for one in audio_index.load(out)})
    label_of = {u.id: u.label for u in kept}
    torn = (ids for ids in duplicates if len({label_of[name] for name in ids}) > 1)
    remarks += [*broken, *dropped, *(Remark("warning", " = ".join(ids[:2]), _TORN) for ids in torn)]
    remarks += doubts(kept, labels, plugin.LABELS)
    if plugin.SPLIT != "official":
        remarks += [Remark("warning", u.id, _PART) for u in kept if u.attributes.get("part") in PARTS]
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
        where=where,
        skipped=dict(Counter(r.reason for r in remarks if r.kind == "skipped")),
        same_sounds=duplicates,
        language=plugin.LANGUAGE if isinstance(plugin, HasLanguage) else None,
    )
    summary = Summary(
        info,
        n_speakers=len({u.speaker for u in kept if u.speaker}),
        n_sessions=len({u.session for u in kept if u.session}),
        before=before,
        after=_counts(kept, labels),
        mapping=label_sets.classes(label_set, before, plugin.LABELS),
        remarks=tuple(remarks),
        similar_speakers=similar_names(u.speaker for u in kept),
    )
    return Prepared(Dataset(out, info, made), summary)


def _resolved(root: Path) -> Path:
    try:
        found = root.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # a link to itself, or ~ of nobody
        raise SerError(f"{root} leads nowhere ({error}); give the folder of the corpus.") from None
    if odd := odd_name(found):
        raise SerError(odd)
    return found


def _where(utterances: list[Utterance], name: str, value: str) -> tuple[list[Utterance], list[Remark]]:
    """Return the utterances that have a value of an attribute, and a remark on each other one.

    Raises:
        SerError: none has it; the message names the values that there are.
    """
    given = {u.id: getattr(u, name) if name in _FIELDS else u.attributes.get(name) for u in utterances}
    values = {i: str(found) for i, found in given.items()}
    kept = [u for u in utterances if values[u.id] == value]
    if not kept:
        there = sorted({str(found) for found in given.values() if found is not None})[:8]
        names = sorted(_FIELDS.union(*(u.attributes for u in utterances)))
        what = f"the values of {name} are: {', '.join(there)}" if there else f"give one of {', '.join(names)}"
        raise SerError(f"--where {name}={value}: no utterance has it; {what}.")
    return kept, [Remark("skipped", i, f"not {name}={value}") for i, found in values.items() if found != value]


def _check_out(out: Path, now: Mapping[str, object]) -> None:
    """Refuse a folder that holds anything but a dataset, finished or not, of this corpus, labels and choice."""
    refuse_others(out, {"dataset.json", "manifest.jsonl", audio_index.NAME}, "a prepared dataset")
    try:
        old = manifest.load_info(out)
    except SerError:  # none yet, or a damaged or old one, which is made again
        return
    differing = config.differences({"corpus": old.corpus, "labels": old.label_set, "where": old.where}, now)
    if differing:  # runs that were trained on it need it as it is
        raise MismatchError(f"{out} holds another dataset: {'; '.join(differing)}. Choose another --out, or delete it.")


def _read(plugin: Corpus, root: Path, settings: PluginConfig) -> tuple[list[Utterance], list[Remark]]:
    if not root.exists():
        raise SerError(f"{root} does not exist; give the folder of the corpus.")
    utterances: list[Utterance] = []
    remarks: list[Remark] = []
    read = (
        partial(plugin.read, config=settings) if settings is not None and isinstance(plugin, HasConfig) else plugin.read
    )
    for item in read(root):
        if isinstance(item, Remark):
            remarks.append(item)
        elif item.audio is not None and (odd := odd_name(root / item.audio)):
            remarks.append(Remark("skipped", odd, scan.UNREADABLE))
        else:
            utterances.append(item)
    if not utterances and (unreadable := [remark for remark in remarks if remark.reason == scan.UNREADABLE]):
        raise SerError(f"{root}: {_hint('native', unreadable)}")
    if not utterances:
        raise SerError(f"{root} holds no utterance of this corpus ({plugin.HOMEPAGE}); give the folder of its release.")
    return utterances, remarks


def _counts(utterances: Iterable[Utterance], order: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(u.true_label for u in utterances)
    return {label: counts[label] for label in (*order, *sorted(counts.keys() - set(order))) if counts[label]}


def _hint(label_set: str, broken: list[Remark]) -> str:
    if broken:
        n, first = len(broken), broken[0]
        if first.reason == scan.UNREADABLE:  # the source is the whole message
            return f"{n} recordings cannot be read, the first: {first.source}"
        return f"the first of {n} left out: {first.source}, {first.reason}; correct start_s and end_s."
    return "try --labels native." if label_set == "four" else "check the corpus."


def finish(
    prepared: Prepared,
    specs: FeatureSpecs,
    *,
    jobs: int,
    device: str = "cpu",
    progress: ProgressFactory,
    made_from: Fingerprint | None = None,
) -> Prepared:
    """Write the manifest, then compute the features; a feature whose input no utterance has is skipped.

    If another process is preparing the same manifest into the folder, the two share the work.

    Args:
        prepared: what `prepare` returned.
        specs: features to compute.
        jobs: processes that compute at the same time.
        device: for features that compute with a network; see `feature_cache.fill`.
        progress: shows progress.
        made_from: fingerprint of the corpus, so that the same command has nothing to do next time; None: it repeats
            the work.

    Returns:
        the same with the features in its summary.

    Raises:
        HeldError: another process is preparing something else into the folder.
        SerError: a recording went missing meanwhile.
    """
    dataset = prepared.dataset
    usable = {name: any(extraction.lacks(u, name) is None for u in dataset.manifest.utterances) for name, _ in specs}
    computed = [(name, feature_config) for name, feature_config in specs if usable[name]]
    for name in (name for name, _ in specs if not usable[name]):
        with progress(name, 0):  # a stage without work, so that the numbers of the others are right
            pass
    summary = replace(prepared.summary, features=usable)
    if any(remark.reason == scan.UNREADABLE for remark in summary.remarks):  # it is tried again
        made_from = None
    doing = dataset.manifest.sha256
    fill = partial(feature_cache.fill, dataset, computed, jobs=jobs, device=device, progress=progress)

    def make() -> None:
        """Write the manifest, compute what is missing of the features, then write which there are and the summary."""
        sweep(dataset.folder)
        manifest.save(dataset)
        fill()
        manifest.save(replace(dataset, info=replace(dataset.info, features=tuple(name for name, _ in computed))))
        if made_from is not None:
            fingerprint.save_summary(dataset.folder, made_from, summary)

    try:
        with locks.alone(dataset.folder, _LOCK, doing=doing):
            make()
    except locks.HeldError:
        if locks.current_task(dataset.folder, _LOCK) != doing:
            raise
        fill()
        with locks.alone(dataset.folder, _LOCK, doing=doing, wait=True):  # to complete what the other lost
            make()
    return replace(prepared, summary=summary)
