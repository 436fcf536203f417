"""`ser prepare`: make a prepared dataset from a corpus on disk."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sercli.cli import options

if TYPE_CHECKING:
    from sercli.dataset.feature_specs import FeatureSpecs
    from sercli.dataset.fingerprint import Fingerprint, Summary
    from sercli.dataset.preparation import Prepared
    from sercli.dataset.transcripts import Added

Facts = dict[str, str | int | float | None]


class LabelSet(StrEnum):
    """Which labels a dataset gets."""

    four = "four"
    native = "native"


def prepare(
    corpus: Annotated[str, typer.Argument(help="One of {corpus}.")],
    root: Annotated[
        Path | None,
        typer.Argument(help="Folder of the corpus (for table: the CSV, TSV or JSONL file)."),
    ] = None,
    *,
    out: options.Out,
    labels: Annotated[
        LabelSet,
        typer.Option("--labels", help="four: neutral, happiness, sadness, anger; native: all that the corpus has."),
    ] = LabelSet.four,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", help="Comma-separated names. Default: all that the presets use, without those of extras."
        ),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option("--asr", help="Speech recogniser that transcribes all recordings: {asr}."),
    ] = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    sets: options.Sets = None,
) -> None:
    """Read a corpus, check every recording, choose labels, compute features, transcribe."""
    from sercli.cli import render
    from sercli.dataset import feature_specs, fingerprint
    from sercli.model import spec

    root = _default_root(corpus) if root is None else root
    configs = feature_specs.feature_configs(features, sets or [], spec.preset_features() if features is None else [])
    engine_config = _engine_config(asr, sets or [], device)
    made_from = None
    if asr is None:
        keys = [feature_specs.key(*config) for config in configs]
        made_from = fingerprint.take(corpus, root, out, label_set=labels.value, features=keys)
        if made_from and (summary := fingerprint.load_summary(out, made_from)):
            _show(summary, {})
            render.note(_next(asr, out))
            return
    prepared = _prepare(
        corpus,
        root,
        out,
        labels=labels,
        configs=configs,
        jobs=options.n_jobs(jobs),
        device=device,
        made_from=made_from,
    )
    if asr is None:
        _show(prepared.summary, {})
    else:
        added = _transcribe(prepared, asr, engine_config, jobs=options.n_jobs(jobs), device=device)
        _show(prepared.summary, _transcript_facts(prepared, asr, added))
        _report(asr, added)
    render.note(_next(asr, out))


def _default_root(corpus: str) -> Path:
    """Return the folder of a corpus that ships with ser.

    Raises:
        SerError: no such corpus, or it does not ship with ser.
    """
    from sercli import plugins
    from sercli.errors import SerError

    plugin = plugins.corpus(corpus)
    if not isinstance(plugin, plugins.ShipsWithSer):
        raise SerError(f"ser prepare {corpus} needs the folder of the corpus: ser prepare {corpus} ROOT --out DIR.")
    return plugin.default_root()


def _engine_config(asr: str | None, sets: list[str], device: str) -> Any:
    """Return the recogniser's configuration, after it has been tried; None without a recogniser.

    Raises:
        SerError: it is not installed, cannot load its model, or there are settings but no --asr.
    """
    from sercli import config

    if asr is None and "asr" not in config.parse_sets(sets):
        return None
    from sercli.dataset import transcripts

    engine_config = transcripts.engine_config(asr, sets)
    if asr is not None:
        transcripts.check_engine(asr, engine_config, device=device)
    return engine_config


def _prepare(
    corpus: str,
    root: Path,
    out: Path,
    *,
    labels: LabelSet,
    configs: "FeatureSpecs",
    jobs: int,
    device: str,
    made_from: "Fingerprint | None",
) -> "Prepared":
    from sercli._system import processes
    from sercli.cli import render
    from sercli.dataset import preparation

    with processes.shared():
        prepared = preparation.prepare(corpus, root, out, label_set=labels.value, jobs=jobs, progress=render.progress)
        return preparation.finish(
            prepared, configs, jobs=jobs, device=device, progress=render.progress, made_from=made_from
        )


def _transcribe(prepared: "Prepared", asr: str, engine_config: Any, *, jobs: int, device: str) -> "Added":
    from sercli.cli import render
    from sercli.dataset import transcripts

    dataset = prepared.dataset
    return transcripts.add(
        dataset.folder,
        Path(dataset.info.root),
        dataset.manifest.utterances,
        asr,
        engine_config,
        jobs=jobs,
        progress=render.progress,
        device=device,
    )


def _next(asr: str | None, out: Path) -> str:
    model = "PRESET" if asr is None else f"linguistic --words {asr}"
    return f"Next: ser train -m {model} --data {out} --out RUN"


def _show(summary: "Summary", transcribed: Facts) -> None:
    """Show what was found, what was skipped and why, and the classes before and after the choice of labels."""
    from sercli.cli import render

    facts: Facts = {
        "corpus": f"{summary.corpus} ({summary.licence})",
        "utterances": summary.n_utterances,
        "speakers": summary.n_speakers,
        "sessions": summary.n_sessions,
        "hours": round(summary.hours, 2),
        "suggested split": summary.split,
        "features": ", ".join(name for name, done in summary.features.items() if done) or "none",
        **transcribed,
    }
    render.dataset_summary(facts, summary.remarks)
    render.distribution_table(summary.before, summary.after, summary.mapping)
    if summary.duplicates:
        first, n = ", ".join(summary.duplicates[0][:3]), len(summary.duplicates)
        render.warn(f"recordings under more than one name: {n}; the first: {first}")
    for name in (name for name, done in summary.features.items() if not done):
        render.note(f"{name} was skipped: no utterance has its input.")


def _transcript_facts(prepared: "Prepared", asr: str, added: "Added") -> Facts:
    """Return the number of transcripts, their word error rate if there are human ones, and their mean confidence."""
    from sercli.dataset import transcripts

    found = added.transcripts
    errors = transcripts.word_errors(prepared.dataset.manifest.utterances, {i: t.text for i, t in found.items()})
    mean = sum(t.confidence for t in found.values()) / len(found) if found else None
    return {
        "transcripts": f"{len(found)} by {asr}, {added.n_new} of them new",
        **({"word error rate": str(errors)} if errors else {}),
        "mean confidence": mean,
    }


def _report(asr: str, added: "Added") -> None:
    """Say why transcripts were made again, and which recordings could not be read.

    Raises:
        SerError: there are such recordings; all others are done.
    """
    from sercli.cli import render
    from sercli.errors import SerError

    if added.outdated:
        changes = "; ".join(added.outdated)
        render.note(f"The old transcripts by {asr} had other settings ({changes}): made again.")
    for failure in added.failures:
        render.warn(failure)
    if added.failures:
        n, all_ = len(added.failures), len(added.failures) + len(added.transcripts)
        raise SerError(f"{n} of {all_} recordings could not be read; they are named above. The others are done.")
