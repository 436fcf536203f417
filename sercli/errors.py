"""The errors that a user can cause; the command line turns each into one line on stderr and exit code 2."""

import difflib
from collections.abc import Iterable


class SerError(Exception):
    """Some input cannot be used; the message says what is wrong, with which value, and what to do next."""


class AudioError(SerError):
    """A recording cannot be read."""


class ConfigError(SerError):
    """A configuration key or value is unknown, of the wrong type or out of range."""


class MismatchError(SerError):
    """Two things that must agree (a run and a command, two runs, a run and a dataset) differ."""


class DivergedError(SerError):
    """The training loss became NaN or infinite."""


def reason(error: BaseException) -> str:
    r"""Return the first line of an exception's message without its full stop; its type where it has no message.

    >>> reason(ValueError("it is cut.\nSee the log.")), reason(KeyError())
    ('it is cut', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def no_such(kind: str, name: str, available: Iterable[str], *, prefix: str = "") -> str:
    """Return the message for an unknown name, with the most similar name and all that are available.

    A prefix that all names have in common is passed separately, so that it does not make all names look similar.

    >>> no_such("preset", "linguistc", ["linguistic", "acoustic-lld"])
    "No preset called 'linguistc'. Did you mean 'linguistic'? Available: acoustic-lld, linguistic."
    """
    choices = sorted(available)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean '{prefix}{near[0]}'?" if near else ""
    return f"No {kind} called '{prefix}{name}'.{hint} Available: {', '.join(prefix + choice for choice in choices)}."
