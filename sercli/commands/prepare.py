"""`ser prepare`: a corpus on disk becomes a prepared dataset."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercli.commands import _options

if TYPE_CHECKING:
    from sercli.dataset.preparation import Prepared


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
        typer.Option("--features", help="Names with commas between. Default: all that the presets use."),
    ] = None,
    jobs: _options.Jobs = None,
    sets: _options.Sets = None,
) -> None:
    """Read a corpus, check every recording, choose labels, compute features."""
    from sercli import plugins
    from sercli.commands import _render
    from sercli.dataset import preparation
    from sercli.model import spec

    plugin = plugins.load("corpus", corpus)
    if root is None:
        if not hasattr(plugin, "default_root"):
            raise _missing_root(corpus)
        root = plugin.default_root()
    wanted = preparation.feature_configs(features, sets or [], spec.preset_features())
    prepared = preparation.prepare(
        corpus, root, out, label_set=labels.value, jobs=_options.n_jobs(jobs), progress=_render.progress
    )
    computed = preparation.finish(prepared, wanted, jobs=_options.n_jobs(jobs), progress=_render.progress)
    _show(prepared, computed)
    _render.note(f"Next: ser train -m PRESET --data {out} --out RUN")


def _show(prepared: "Prepared", computed: dict[str, bool]) -> None:
    """What was found, what was skipped and why, and the classes before and after the choice of labels."""
    from sercli.commands import _render

    info = prepared.dataset.info
    rows = prepared.dataset.manifest.utterances
    facts: dict[str, str | int | float | None] = {
        "corpus": f"{info.corpus} ({info.licence})",
        "utterances": len(rows),
        "speakers": len({u.speaker for u in rows if u.speaker}),
        "sessions": len({u.session for u in rows if u.session}),
        "hours": round(info.hours, 2),
        "suggested split": info.split,
        "features": ", ".join(name for name, done in computed.items() if done) or "none",
    }
    _render.dataset_summary(facts, prepared.remarks)
    _render.distribution_table(prepared.before, prepared.after, prepared.mapping)
    if prepared.duplicates:
        first, n = ", ".join(prepared.duplicates[0][:3]), len(prepared.duplicates)
        _render.warn(f"recordings under more than one name: {n}; the first: {first}")
    for name in (name for name, done in computed.items() if not done):
        _render.note(f"{name} was passed over: no utterance has what it is made from.")


def _missing_root(corpus: str) -> Exception:
    from sercli.errors import SerError

    return SerError(
        f"ser prepare {corpus} needs the folder where the corpus lies: ser prepare {corpus} ROOT --out DIR."
    )
