"""The `ser` command: the one place where an exception becomes an exit code."""

import errno
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from sercli import __version__
from sercli._system import ctrl_c, limits
from sercli.cli import ensemble, evaluate, export, options, predict, prepare, train, tune
from sercli.errors import SerError

app = typer.Typer(name="ser", cls=options.Group, no_args_is_help=True, pretty_exceptions_enable=False)
for command in (prepare, tune, train, ensemble, evaluate, predict, export):
    app.command(cls=options.Command)(getattr(command, command.__name__.rpartition(".")[2]))

# File system errors that the user can fix: free space, or choose another place.
_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EEXIST,  # a dangling link in place of a folder to create
    errno.ELOOP,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,  # a folder was removed while it was used
    errno.ESTALE,
    errno.EFBIG,
    errno.ENOLCK,
}

_WORDS = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "give a whole number",
    "Input should be a valid number, unable to parse string as a number": "give a number",
    "Input should be less than or equal to": "give at most",
    "Input should be greater than or equal to": "give at least",
    "requires an argument": "needs a value after it",
}
"""Phrases of typer and pydantic -> ours."""


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
    """Run the command line and exit: 0 success, 1 bug, 2 wrong input, 130 Ctrl-C."""
    limits.open_closed()
    limits.set_environment(few_kernels=sys.argv[1:2] not in (["train"], ["tune"]))
    before, sys.unraisablehook = sys.unraisablehook, ctrl_c.unraisable
    try:
        _run()
    except KeyboardInterrupt:
        ctrl_c.end(_say)
    finally:
        sys.unraisablehook = before
        options.hush(False)


def _run() -> NoReturn:
    try:
        code = _command()
    except SerError as error:
        _fail(str(error))
    except SystemExit as error:
        # Typer and rich turn a broken pipe into exit code 1, which stands for a bug here.
        if not _is_broken_pipe(error.__context__):
            raise
        _end_quietly()
    except OSError as error:
        if _is_broken_pipe(error):
            _end_quietly()
        if error.errno not in _DISK:
            raise
        _fail(f"{error.filename or 'A file'} cannot be used: {error.strerror}. {_remedy(error.errno)}")
    except MemoryError as error:
        details = f" ({error})" if str(error) else ""
        _fail(f"There is not enough memory for this{details}; give fewer --jobs or shorter recordings.")
    except Exception as error:
        # Typer's usage errors have no public base class in common; all of them have this method.
        if not hasattr(error, "format_message"):
            raise
        if not error.format_message():  # `ser` alone: typer has already printed the help
            sys.exit(2)
        message = _in_our_words(error, error.format_message().rstrip("."))
        known = {command.callback.__name__ for command in app.registered_commands if command.callback}
        subcommand = next((f"{word} " for word in sys.argv[1:] if word in known), "")
        _fail(f"{message}{'' if message.endswith('?') else '.'} See `ser {subcommand}--help`.")
    sys.exit(2 if code else 0)  # typer returns 1 where it has no completion for a shell


def _in_our_words(error: Exception, message: str) -> str:
    """The message of a usage error without pydantic's phrases, and with the value."""
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    errors = getattr(error.__cause__, "errors", None)
    if errors and ": give " in message:
        message = message.replace("value for", f"value '{errors()[0]['input']}' for")
    return message


def _command() -> object:
    """Return the command's result; Ctrl-C raises KeyboardInterrupt even if a library has replaced it."""
    try:
        code = app(prog_name="ser", standalone_mode=False)
    except BaseException as error:
        if ctrl_c.is_ctrl_c(error):
            raise KeyboardInterrupt from None
        raise
    if code == ctrl_c.CODE:  # typer's exit code for Ctrl-C
        raise KeyboardInterrupt
    return code


def _is_broken_pipe(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _end_quietly() -> NoReturn:
    """Exit without a message: the reader of our output has closed it, as in `ser ... | head`."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - open until the end, as stdout is
    sys.exit(0)


def _remedy(number: int | None) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return "Change its permissions, or choose another place."
    if number in (errno.ENOENT, errno.ESTALE):
        return "It was moved or removed while it was used; repeat the command."
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, or choose another place."
    return "Choose another place."


def _fail(message: str) -> NoReturn:
    _say(f"ser: {' '.join(message.split())}")
    sys.exit(2)


def _say(line: str) -> None:
    with suppress(OSError):  # stderr may be a full disk, too
        if sys.stderr.isatty():
            from sercli.cli.render import console

            console.show(console.plain(line), on=console.stderr())
        else:
            print(line, file=sys.stderr)  # noqa: T201 - rich would take 60 ms to say this
