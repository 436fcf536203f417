"""Options that several subcommands share; the defaults are in the signature of each command."""

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from sercli._system import limits
from sercli.errors import SerError

if TYPE_CHECKING:
    from sercli.runs import RunInfo

LARGEST_SEED = 2**31 - 1


class Command(TyperCommand):
    """A subcommand whose help lists plug-ins and presets, and has short names of types.

    `{asr}` in the help of a parameter becomes the names of that kind, `{presets}` in the command's a line for each.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            SerError: an option with one value, or a key of `--set` and `--where`, is given twice; a value is empty; or
                several are missing.
        """
        values, _, order = self.make_parser(ctx).parse_args(args=[*args])
        for name, value in values.items():
            if name != "text" and "" in (value if isinstance(value, list | tuple) else [value]):
                raise SerError(f"An empty value is given for {name}; is a variable of the shell empty?")
        chosen = [one for one in order if isinstance(one, TyperOption) and not one.is_flag]
        given = [max(one.opts, key=len) for one in chosen if not one.multiple]
        keyed = (one for one in {*chosen} if "=" in (one.metavar or ""))
        given += [f"{one.opts[0]} {pair.partition('=')[0]}" for one in keyed for pair in values[str(one.name)]]
        if twice := [name for name in given if given.count(name) > 1]:
            raise SerError(f"{twice[0]} is given more than once, and only one value can be used; give it once.")
        needed = [one for one in self.get_params(ctx) if one.required and not values.get(str(one.name))]
        if len(needed) > 1 and not values.get("help"):  # of which typer names the first
            missing = [str(one.metavar if isinstance(one, TyperArgument) else max(one.opts, key=len)) for one in needed]
            raise SerError(f"Missing: {', '.join(missing)}. See `ser {ctx.info_name} --help`.")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from sercli import plugins

        for parameter in _with_short_types(self.get_params(ctx)):
            parameter.help = re.sub(r"{(\w+)}", lambda m: ", ".join(plugins.names(m[1])), parameter.help or "")
        if "{presets}" in (self.help or ""):
            self.help = str(self.help).replace("{presets}", _presets())
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """The command of the subcommands, whose help has short names of types too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _with_short_types(self.get_params(ctx))
        super().format_help(ctx, formatter)


def _with_short_types(parameters: Iterable[object]) -> list[TyperArgument | TyperOption]:
    """Show no type for a flag or beside the name of an argument, N for a whole number, and no upper bound of seeds."""
    found = [one for one in parameters if isinstance(one, TyperArgument | TyperOption)]
    for parameter in found:
        if isinstance(parameter, TyperArgument):
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        elif parameter.is_flag:
            parameter.metavar = ""
        elif isinstance(parameter.min, int) and parameter.metavar is None:
            parameter.metavar = "N"
            parameter.max = None if parameter.max == LARGEST_SEED else parameter.max
    return found


def _presets() -> str:
    from sercli.model import spec

    described = spec.described_presets()
    width = max(map(len, described))
    return "\n".join(f"{name:{width}}  {what}" for name, what in described.items())


quiet = False
"""Whether progress, remarks and summaries are left out; `Quiet` sets it when the command line is parsed."""


def hush(value: bool) -> bool:
    """Set `quiet`, and return it."""
    global quiet
    quiet = value
    return value


ALL = "all"
"""The value that means every fold, every preset but those of papers, or every rule."""

RELATED = "related"
"""The value that means every preset of a paper."""

Runs = list[Path] | None
"""Run directories, of any number."""

Acoustic = Annotated[
    Runs, typer.Option("-a", "--acoustic", metavar="RUN", help="An acoustic run, no other; repeat for more.")
]
Linguistic = Annotated[Runs, typer.Option("-l", "--linguistic", metavar="RUN", help="A linguistic run, no other.")]
Motion = Annotated[Runs, typer.Option("-p", "--motion", metavar="RUN", help="A run on motion capture, no other.")]
Preset = Annotated[
    str | None, typer.Option("-m", "--model", metavar="PRESET", help="One preset; `ser train --help` lists them.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DATASET", help="Folder made by `ser prepare`.")]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write to.")]
SplitKind = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="SPLIT",
        help="loso (leave one session out), speakers, prompts, official, seed (leaky), or file:FOLDS, such as "
        "file:RUN/folds.json. Default: as the corpus suggests.",
    ),
]
Folds = Annotated[int | None, typer.Option("--folds", min=3, help="Number of folds. Default: as the corpus suggests.")]
Fold = Annotated[str, typer.Option("--fold", metavar="K", help="Fold to test on, counted from 1; or all.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Random seed.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="With --fold all: number of seeds, from --seed up.")]
Refit = Annotated[
    bool,
    typer.Option("--refit", help="With --fold all: train one more model on all utterances, in OUT/refit, for predict."),
]
Presets = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        metavar="PRESET",
        help="One of the presets above; repeat for more, or all, or related (those of papers); a folder for each.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML or JSON file of settings, as `ser tune` writes it; or the folder of `ser tune --fold all`.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as train.lr=0.001; repeat for more."),
]
Words = Annotated[
    str,
    typer.Option(
        "--words", metavar="NAME", help="Transcripts to read: human, or a recogniser's name, such as whisper."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress, advice or summaries; only answers, warnings and errors.", callback=hush
    ),
]
GOES_ON = "the same command goes on from there."
"""The end of what a command says on Ctrl-C."""
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        help="Compute on machines that share this file system: tcp://HOST:8786, a dask scheduler; or slurm:FILE, "
        "--jobs of Slurm with the settings of dask-jobqueue.",
    ),
]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Number of processes. Default: one for each core.")]


def named_runs(runs: Runs, **by_kind: Runs) -> "dict[Path, RunInfo]":
    """The runs that a command names, each once, with their info; those of the option of a kind must be of that kind.

    Raises:
        SerError: one is of another kind, or is no finished run.
    """
    from sercli.runs import load_finished

    once = {folder.resolve(): folder for folder in chain(runs or (), *(given or () for given in by_kind.values()))}
    infos = {folder: load_finished(folder) for folder in once.values()}
    for kind, folders in by_kind.items():
        for folder in folders or ():
            info = infos[once[folder.resolve()]]
            found = "ensemble" if info.settings.rule else info.modality
            if found != kind:
                what = {"ensemble": "an ensemble", "both": "a model of several inputs"}.get(found, found)
                raise SerError(f"--{kind} {folder}: this run is {what}; give it without --{kind}.")
    return infos


def need_stdout(instead: str) -> None:
    """Refuse to work for results that nobody could read.

    Args:
        instead: the option that writes them to a file.

    Raises:
        SerError: stdout is closed.
    """
    if "stdout" in limits.open_closed():
        raise SerError(f"stdout is closed, so the results would be lost; open it, or give {instead}.")


def fold_number(fold: str) -> int | None:
    """The value of `--fold` as a number counted from 1; None: all.

    Raises:
        SerError: it is neither a number nor `all`.
    """
    if fold == ALL:
        return None
    if not fold.isascii() or not fold.isdigit() or int(fold) < 1:
        raise SerError(f"--fold {fold}: give a number, counted from 1, or all.")
    return int(fold)


def n_jobs(jobs: int | None) -> int:
    """The number of processes given, or one for each core that this process may use."""
    return limits.n_cores() if jobs is None else jobs
