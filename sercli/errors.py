"""The errors that a user can cause; cli.py turns each into one line on stderr and exit code 2."""

import difflib
from collections.abc import Iterable


class SerError(Exception):
    """Something the user gave cannot be used; the message says what, which value, and what to do next."""


class AudioError(SerError):
    """One recording cannot be read; a batch names it and goes on with the next."""


class ConfigError(SerError):
    """A configuration key or value is unknown, of the wrong type or out of range."""


class MismatchError(SerError):
    """Two things that must agree (a run and a command, two runs, a run and a dataset) do not."""


class DivergedError(SerError):
    """Training ran into a loss that is not a number."""


def no_such(kind: str, name: str, available: Iterable[str], *, prefix: str = "") -> str:
    """The message for an unknown name, with the nearest one and all that there are.

    What all names begin with is given as the prefix, lest it makes them look alike.

    >>> no_such("preset", "linguistc", ["linguistic", "acoustic-lld"])
    "No preset called 'linguistc'. Did you mean 'linguistic'? Available: acoustic-lld, linguistic."
    """
    choices = sorted(available)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean '{prefix}{near[0]}'?" if near else ""
    return f"No {kind} called '{prefix}{name}'.{hint} Available: {', '.join(prefix + choice for choice in choices)}."
