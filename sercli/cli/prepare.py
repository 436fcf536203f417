"""`ser prepare`: make a prepared dataset from a corpus on disk."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from sercli._system.text import alike_speakers
from sercli.cli import options
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli._system.progress import ProgressFactory
    from sercli.contracts import PluginConfig
    from sercli.dataset.feature_specs import FeatureSpecs
    from sercli.dataset.fingerprint import Summary
    from sercli.dataset.preparation import Prepared

Facts = dict[str, str | int | float | None]


def prepare(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="One of {corpus}.")],
    root: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Folder of the corpus (for table: the CSV, TSV or JSONL file)."),
    ] = None,
    *,
    out: options.Out,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="LABELS",
            help="four: neutral, happiness, sadness, anger; native: all that the corpus has; other=disgust,fear: the "
            "four and one more class; or a TOML or JSON file with all classes.",
        ),
    ] = "four",
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="NAME=VALUE",
            help="Only utterances with this value of an attribute, such as style=improvised or, of IEMOCAP's motion "
            "capture, markers=speaker; repeat for more.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="NAMES",
            help="Comma-separated names. Default: those of all presets that need no extra.",
        ),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option("--asr", metavar="NAME", help="Speech recogniser that transcribes all recordings: {asr}."),
    ] = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Setting of features or the recogniser, such as asr.beam_size=5; repeat for more.",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Read a corpus, check every recording, choose labels, compute features, transcribe.

    ser prepare demo --out work/demo

    ser prepare ravdess RAVDESS --labels native --out work/ravdess

    ser prepare table recordings.csv --asr whisper --out work/mine
    """
    from sercli._system import ctrl_c, processes
    from sercli.cli import render
    from sercli.dataset import feature_specs, fingerprint, label_sets, transcripts

    labels, sets, where = label_sets.given(labels), sets or [], where or []
    ctrl_c.keeps(f"What was read, computed and transcribed is kept in {out}; {options.GOES_ON}")
    root = _default_root(corpus) if root is None else root
    specs = _feature_specs(corpus, features, sets)
    asr_config = transcripts.engine_config(asr, sets)
    if asr is not None:
        transcripts.check_engine(asr, asr_config, device=device)
    settings = feature_specs.corpus_config(corpus, sets)
    made_from = None
    if asr is None:
        keys = [*(feature_specs.key(*one) for one in specs), *where]
        made_from = fingerprint.take(corpus, root, out, label_set=labels, settings=settings, features=keys)
    if made_from and (summary := fingerprint.load_summary(out, made_from)):
        _show(summary, {})
        render.note(_next(asr, out))
        return
    from sercli._system.cluster import connected
    from sercli.dataset import preparation

    n_groups = len({feature_specs.shared(*spec) for spec in specs})
    n_jobs, progress = options.n_jobs(jobs), render.stages(1 + n_groups + (asr is not None))
    chosen = {name: value for name, _, value in (pair.partition("=") for pair in where)}
    with connected(cluster, jobs):
        with processes.shared():
            prepared = preparation.prepare(
                corpus, root, out, label_set=labels, settings=settings, where=chosen, jobs=n_jobs, progress=progress
            )
            prepared = preparation.finish(
                prepared, specs, jobs=n_jobs, device=device, progress=progress, made_from=made_from
            )
        if asr is None:
            _show(prepared.summary, {})
        else:
            _transcribe(prepared, asr, asr_config, n_jobs, device, progress)
    render.note(_next(asr, out))


def _default_root(corpus: str) -> Path:
    """Return the folder of a corpus that ships with ser.

    Raises:
        SerError: no such corpus, or it does not ship with ser.
    """
    from sercli import contracts, plugins

    plugin = plugins.corpus(corpus)
    if not isinstance(plugin, contracts.ShipsWithSer):
        raise SerError(f"ser prepare {corpus} needs the folder of the corpus: ser prepare {corpus} ROOT --out DIR.")
    return plugin.default_root()


def _feature_specs(corpus: str, names: str | None, sets: list[str]) -> "FeatureSpecs":
    """Return the features to compute: by default those of all presets, of motion only where the corpus has it.

    Raises:
        SerError: see `feature_configs`.
    """
    from sercli import contracts, plugins
    from sercli.dataset.feature_specs import feature_configs
    from sercli.model import spec

    if names is not None:
        return feature_configs(names, sets, [])
    specs = feature_configs(None, sets, spec.preset_features())
    has_motion = isinstance(plugins.corpus(corpus), contracts.HasMotion)
    return [one for one in specs if has_motion or plugins.feature(one[0]).INPUT != "motion"]


def _transcribe(
    prepared: "Prepared", asr: str, asr_config: "PluginConfig", jobs: int, device: str, progress: "ProgressFactory"
) -> None:
    """Transcribe the recordings of a dataset, and show how many, their word error rate and their mean confidence.

    Raises:
        SerError: some recordings cannot be read; all others are done.
    """
    from sercli.cli import render
    from sercli.dataset import transcripts

    dataset = prepared.dataset
    root, utterances = Path(dataset.info.root), dataset.manifest.utterances
    added = transcripts.add(
        dataset.folder, root, utterances, asr, asr_config, jobs=jobs, progress=progress, device=device
    )
    found = added.transcripts
    errors = transcripts.word_errors(utterances, {name: one.text for name, one in found.items()})
    facts: Facts = {
        "transcripts": f"{len(found)} by {asr}, {added.n_new} of them new",
        **({"word error rate": str(errors)} if errors else {}),
        "mean confidence": sum(one.confidence for one in found.values()) / len(found) if found else None,
    }
    _show(prepared.summary, facts)
    if added.outdated:
        changes = "; ".join(added.outdated)
        render.note(f"Transcripts by {asr} with other settings ({changes}) were made again.")
    for failure in added.failures:
        render.warn(failure)
    if added.failures:
        n, all_ = len(added.failures), len(added.failures) + len(found)
        raise SerError(f"{n} of {all_} recordings could not be read; they are named above. The others are done.")


def _next(asr: str | None, out: Path) -> str:
    model = "PRESET" if asr is None else f"linguistic --words {asr}"
    return f"Next: ser train -m {model} --data {quote(str(out))} --out RUN"


def _show(summary: "Summary", transcribed: Facts) -> None:
    """Show what was found, what was skipped and why, and the classes before and after the choice of labels."""
    from sercli.cli import render

    info, duplicates = summary.info, summary.info.same_sounds
    facts: Facts = {
        "corpus": f"{info.corpus} ({info.licence})",
        "utterances": info.n_utterances,
        "speakers": summary.n_speakers,
        "sessions": summary.n_sessions,
        "hours": round(info.hours, 2),
        "suggested split": info.split,
        "features": ", ".join(name for name, done in summary.features.items() if done) or "none",
        **transcribed,
    }
    if options.quiet:
        for n, kind, reason, first in render.counted(summary.remarks):
            what = "left out" if kind == "skipped" else f"time{'s' * (n > 1)}"
            render.warn(f"{n} {what}: {reason}; the first: {first}")
    else:
        render.dataset_summary(facts, summary.remarks)
        render.distribution_table(summary.before, summary.after, summary.mapping)
    if duplicates:
        first, n = ", ".join(duplicates[0][:3]), len(duplicates)
        render.warn(
            f"The same sound has more than one name, {n} time{'s' * (n > 1)}; the first: {first}. "
            "`ser train` refuses a split that puts them into different parts."
        )
    if summary.similar_speakers:
        render.warn(f"{alike_speakers(summary.similar_speakers)}; correct the corpus.")
    for name in (name for name, done in summary.features.items() if not done):
        render.note(f"Feature {name} was skipped: no utterance has the input that it needs.")
