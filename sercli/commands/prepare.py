"""`ser prepare`: a corpus on disk becomes a prepared dataset."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.commands import _options

if TYPE_CHECKING:
    from sercli.dataset.preparation import Prepared
    from sercli.dataset.transcripts import Added

Facts = dict[str, str | int | float | None]


class LabelSet(StrEnum):
    """Which labels a dataset gets."""

    four = "four"
    native = "native"


def prepare(
    corpus: Annotated[
        str, typer.Argument(help="iemocap, ravdess, emodb, nemo, cremad, tess, savee, meld, goemotions, table or demo.")
    ],
    root: Annotated[
        Path | None,
        typer.Argument(help="Where the corpus lies (for table: the CSV, TSV or JSONL file)."),
    ] = None,
    *,
    out: _options.Out,
    labels: Annotated[
        LabelSet,
        typer.Option("--labels", help="four: neutral, happiness, sadness, anger; native: all that the corpus has."),
    ] = LabelSet.four,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", help="Names with commas between. Default: all that the presets use, those of extras aside."
        ),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option("--asr", help="Recogniser that hears the words of all recordings: whisper or moonshine."),
    ] = None,
    jobs: _options.Jobs = None,
    sets: _options.Sets = None,
) -> None:
    """Read a corpus, check every recording, choose labels, compute features, hear words."""
    from sercli import plugins, processes
    from sercli.commands import _render
    from sercli.dataset import preparation, transcripts
    from sercli.model import spec

    plugin = plugins.load("corpus", corpus)
    if root is None:
        if not hasattr(plugin, "default_root"):
            raise _missing_root(corpus)
        root = plugin.default_root()
    wanted = preparation.feature_configs(features, sets or [], spec.preset_features())
    engine_config = transcripts.engine_config(asr, sets or [])
    if asr is not None:
        transcripts.check_engine(asr, engine_config)
    with processes.shared():
        prepared = preparation.prepare(
            corpus, root, out, label_set=labels.value, jobs=_options.n_jobs(jobs), progress=_render.progress
        )
        computed = preparation.finish(prepared, wanted, jobs=_options.n_jobs(jobs), progress=_render.progress)
    if asr is None:
        _show(prepared, computed, {})
        _render.note(f"Next: ser train -m PRESET --data {out} --out RUN")
        return
    rows = prepared.dataset.manifest.utterances
    base, n_jobs = Path(prepared.dataset.info.root), _options.n_jobs(jobs)
    added = transcripts.add(out, base, rows, asr, engine_config, jobs=n_jobs, progress=_render.progress)
    _show(prepared, computed, _heard(prepared, asr, added))
    _tell(asr, added)
    _render.note(f"Next: ser train -m linguistic --words {asr} --data {out} --out RUN")


def _show(prepared: "Prepared", computed: dict[str, bool], heard: Facts) -> None:
    """What was found, what was skipped and why, and the classes before and after the choice of labels."""
    from sercli.commands import _render

    info = prepared.dataset.info
    rows = prepared.dataset.manifest.utterances
    facts: Facts = {
        "corpus": f"{info.corpus} ({info.licence})",
        "utterances": len(rows),
        "speakers": len({u.speaker for u in rows if u.speaker}),
        "sessions": len({u.session for u in rows if u.session}),
        "hours": round(info.hours, 2),
        "suggested split": info.split,
        "features": ", ".join(name for name, done in computed.items() if done) or "none",
        **heard,
    }
    _render.dataset_summary(facts, prepared.remarks)
    _render.distribution_table(prepared.before, prepared.after, prepared.mapping)
    if prepared.duplicates:
        first, n = ", ".join(prepared.duplicates[0][:3]), len(prepared.duplicates)
        _render.warn(f"recordings under more than one name: {n}; the first: {first}")
    for name in (name for name, done in computed.items() if not done):
        _render.note(f"{name} was passed over: no utterance has what it is made from.")


def _heard(prepared: "Prepared", asr: str, added: "Added") -> Facts:
    """What a recogniser heard, and how well: beside the human words, where there are any, and by its own account."""
    from sercli.dataset import transcripts

    found = added.transcripts
    errors = transcripts.word_errors(prepared.dataset.manifest.utterances, {i: t.text for i, t in found.items()})
    sure = sum(t.confidence for t in found.values()) / len(found) if found else None
    return {
        "transcripts": f"{len(found)} by {asr}, {added.n_new} of them new",
        **({"word error rate": str(errors)} if errors else {}),
        "mean confidence": sure,
    }


def _tell(asr: str, added: "Added") -> None:
    """Why transcripts were made anew, and what could not be heard.

    Raises:
        SerError: there was such a recording; all others are done.
    """
    from sercli.commands import _render
    from sercli.errors import SerError

    if added.outdated:
        changes = "; ".join(added.outdated)
        _render.note(
            f"The transcripts that {asr} had made before were heard with other settings ({changes}): made anew."
        )
    for failure in added.failures:
        _render.warn(failure)
    if added.failures:
        n, all_ = len(added.failures), len(added.failures) + len(added.transcripts)
        raise SerError(f"{n} of {all_} recordings could not be heard; they are named above. The others are done.")


def _missing_root(corpus: str) -> Exception:
    from sercli.errors import SerError

    return SerError(
        f"ser prepare {corpus} needs the folder where the corpus lies: ser prepare {corpus} ROOT --out DIR."
    )
