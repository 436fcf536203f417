"""Configuration: strict frozen dataclasses to and from plain dictionaries, and `--set a.b=1`."""

import dataclasses
import json
import math
import tomllib
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec

from sercli.errors import ConfigError, no_such

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ConfigT = TypeVar("ConfigT", bound="DataclassInstance")

Section = dict[str, object]
Sections = dict[str, Section]
"""section -> key -> value: the content of a configuration file."""

SECTIONS = ("model", "feature", "architecture", "train", "ensemble", "asr", "corpus")

_WORDS: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "at least", "max_length": "at most"}
_LISTS: dict[object, str] = {int: "[2, 3]", float: "[0.9, 1.1]", str: '["a", "b"]'}


def build(cls: type[ConfigT], values: Mapping[str, object], section: str) -> ConfigT:
    """The configuration with these values; text is read as the field's type, so `{"lr": "1e-3"}` works.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type or a value out of range.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    known = {f.name for f in dataclasses.fields(cls)}
    for key in sorted(values.keys() - known):
        raise ConfigError(no_such_setting(section, key, known))
    # Call the class: an instance made by msgspec.convert lacks the defaults, so they would not be written to files.
    return cls(**{key: _convert(value, hints[key], f"{section}.{key}") for key, value in values.items()})


def divided(classes: Mapping[str, type[ConfigT]], values: Section, section: str) -> dict[str, Section]:
    """Those of the values that each class has a field for, by its name.

    Raises:
        ConfigError: no class has a field for a value.
    """
    fields = {name: {f.name for f in dataclasses.fields(cls)} for name, cls in classes.items()}
    known = set().union(*fields.values())
    for key in sorted(values.keys() - known):
        raise ConfigError(no_such_setting(section, key, known))
    return {name: {key: values[key] for key in values.keys() & own} for name, own in fields.items()}


def to_dict(config: "DataclassInstance") -> dict[str, object]:
    """The configuration as JSON-safe values, defaults included."""
    return msgspec.json.decode(msgspec.json.encode(dataclasses.asdict(config)), type=dict[str, object])


def no_such_setting(section: str, key: str, known: Iterable[str]) -> str:
    """The message for an unknown key of a section, with the nearest one and a list of all.

    >>> no_such_setting("train", "lrr", ["lr", "epochs"])
    "No setting called 'train.lrr'. Did you mean 'train.lr'? Available: train.epochs, train.lr."
    """
    return no_such("setting", key, known, prefix=f"{section}.")


def parse_sets(pairs: Iterable[str], command: str = "", taken: Sequence[str] = SECTIONS) -> Sections:
    """`["train.lr=1e-3"]` -> `{"train": {"lr": "1e-3"}}`.

    Args:
        pairs: values of `--set`.
        command: for the message about another section than these:
        taken: sections that it takes.

    Raises:
        ConfigError: not KEY=VALUE, a section that does not exist, or one without effect.
    """
    sections: Sections = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        section, dot, key = name.partition(".")
        if not equals or not dot or not key:
            raise ConfigError(f"--set takes SECTION.KEY=VALUE, not '{pair}'; for example --set train.lr=0.001.")
        if section not in SECTIONS:
            raise ConfigError(no_such("section of settings", section, SECTIONS))
        sections.setdefault(section, {})[key] = value
    for section in sorted(sections.keys() - set(taken)):
        *others, last = (f"{name}.KEY=VALUE" for name in taken)
        only = f"{', '.join(others)} and {last}" if others else last
        raise ConfigError(f"--set {section}.… has no effect in `{command}`; give only {only}.")
    return sections


def read_file(path: Path) -> Sections:
    """Read a TOML or JSON file of sections, like a preset or a file that `ser tune` wrote.

    Raises:
        ConfigError: the file cannot be read, or does not hold sections.
    """
    content = read_content(path)
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ConfigError(f"{path} must hold sections ({', '.join(SECTIONS)}), each with KEY = VALUE lines.")
    for section in sorted(content.keys() - SECTIONS):
        raise ConfigError(f"{path}: {no_such('section of settings', section, SECTIONS)}")
    return content


def read_content(path: Path) -> object:
    """Read a TOML or JSON file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        text = path.read_bytes()
        return msgspec.json.decode(text) if path.suffix.lower() == ".json" else tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; check the path.") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as a configuration: {error}; correct it, or give another.") from None


def differences(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> list[str]:
    """The differences between two nested dictionaries, one phrase for each value.

    >>> differences({"train": {"lr": 0.1}}, {"train": {"lr": 0.2}})
    ['train.lr was 0.1, now 0.2']
    """
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} was {json.dumps(before)}, now {json.dumps(after)}")
    return found


def _convert(value: object, hint: object, name: str) -> object:
    """The value as the field's type; text may be a JSON list, or null where that is allowed."""
    try:
        if value == "null" and type(None) in typing.get_args(hint):
            return None
        given = json.loads(value) if isinstance(value, str) and value.startswith("[") and _takes_list(hint) else value
        converted = msgspec.convert(given, hint, strict=False)
    except msgspec.ValidationError:
        raise ConfigError(f"{name}={value}: must be {_describe(hint)}.") from None
    except (ValueError, RecursionError):  # no JSON
        described = _describe(hint)
        quoting = " Put the whole setting in '…', since the shell removes quotes." if '"' in described else ""
        raise ConfigError(f"{name}={value}: must be {described}.{quoting}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ConfigError(f"{name}={value}: must be {_describe(hint)}, and finite.")
    return converted


def _describe(hint: object) -> str:
    """The type of a field, in words.

    >>> _describe(Annotated[float, msgspec.Meta(ge=0, lt=1)] | None)
    'a number >= 0 and < 1, or null'
    """
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is Annotated:
        limits = [(sign, getattr(meta, name)) for meta in arguments[1:] for name, sign in _BOUNDS.items()]
        bounded = " and ".join(f"{sign} {limit}" for sign, limit in limits if limit is not None)
        described = _describe(arguments[0])
        counted = typing.get_origin(arguments[0]) is tuple
        return f"{described} ({bounded} of them)" if counted else f"{described} {bounded}"
    if origin is tuple:
        kind = typing.get_args(arguments[0])[0] if typing.get_origin(arguments[0]) is Annotated else arguments[0]
        return f"a list such as {_LISTS.get(kind, '[…]')}, each {_describe(arguments[0])}"
    if type(None) in arguments:
        return f"{', or '.join(_describe(a) for a in arguments if a is not type(None))}, or null"
    return _WORDS.get(hint, str(hint))


def _takes_list(hint: object) -> bool:
    return typing.get_origin(hint) is tuple or any(map(_takes_list, typing.get_args(hint)))
