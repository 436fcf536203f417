"""The `ser` command: the one place where an exception becomes an exit code."""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from sercli import __version__
from sercli.commands import ensemble, evaluate, predict, prepare, train, tune
from sercli.errors import SerError

app = typer.Typer(
    name="ser",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (prepare, tune, train, ensemble, evaluate, predict):
    app.command()(getattr(command, command.__name__.rpartition(".")[2]))

# What a person can do nothing about but make room, or choose another place.
_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ser {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Recognise emotion in speech from how it sounds and what is said."""


def main() -> NoReturn:
    """Run the command line; exit 0 done, 1 a bug, 2 the user's input, 130 Ctrl-C."""
    try:
        code = app(standalone_mode=False)
    except SerError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of our output has gone, `ser ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        if error.errno not in _DISK:
            raise
        _fail(f"{error.filename or 'A file'} cannot be used: {error.strerror}. Choose another place, or make room.")
    except Exception as error:
        # Typer's usage errors share no public base class; all of them can format themselves.
        if not hasattr(error, "format_message"):
            raise
        if not error.format_message():  # `ser` alone: the help stands above already
            sys.exit(2)
        _fail(f"{error.format_message().rstrip('.')}. See `ser {_subcommand()}--help`.")
    sys.exit(code if isinstance(code, int) else 0)


def _subcommand() -> str:
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    return next((f"{word} " for word in sys.argv[1:] if word in known), "")


def _fail(message: str) -> NoReturn:
    print(f"ser: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - rich would take 60 ms to say the same
    sys.exit(2)
