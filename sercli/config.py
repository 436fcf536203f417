"""Configuration: strict frozen dataclasses to and from plain dictionaries, and `--set a.b=1`."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sercli.errors import ConfigError, no_such

T = TypeVar("T")

SECTIONS = ("model", "feature", "architecture", "train", "ensemble")


def build(cls: type[T], values: Mapping[str, Any], section: str) -> T:
    """Make a configuration from a mapping; text is read as the field's type, so `{"lr": "1e-3"}` works.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type or a value out of range.
    """
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(no_such(f"setting '{section}.' key", key, known))
    for key, value in values.items():
        hint = _hints(cls)[key]
        try:
            msgspec.convert(_literal(value), hint, strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{section}.{key}={value}: {str(error).lower()}; see the README's settings.") from None
    return msgspec.convert({key: _literal(value) for key, value in values.items()}, cls, strict=False)


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as JSON-safe values, defaults included."""
    plain = msgspec.to_builtins(config)
    assert isinstance(plain, dict)
    return plain


def parse_sets(pairs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`["train.lr=1e-3"]` -> `{"train": {"lr": "1e-3"}}`.

    Raises:
        ConfigError: not KEY=VALUE, or a section that does not exist.
    """
    sections: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        section, dot, key = name.partition(".")
        if not equals or not dot or not key:
            raise ConfigError(f"--set takes SECTION.KEY=VALUE, not '{pair}'; for example --set train.lr=0.001.")
        if section not in SECTIONS:
            raise ConfigError(no_such("section of settings", section, SECTIONS))
        sections.setdefault(section, {})[key] = value
    return sections


def read_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a TOML or JSON file of sections, as the presets are and as `ser tune` writes it.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_bytes()
        content = msgspec.json.decode(text) if path.suffix == ".json" else _decode_toml(text)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a configuration: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ConfigError(f"{path} must hold sections ({', '.join(SECTIONS)}), each with KEY = VALUE lines.")
    for section in content:
        if section not in SECTIONS:
            raise ConfigError(f"{path}: {no_such('section of settings', section, SECTIONS)}")
    return content


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two nested dictionaries, one phrase a leaf.

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


def _hints(cls: type[Any]) -> dict[str, Any]:
    import typing

    return typing.get_type_hints(cls, include_extras=True)


def _literal(value: Any) -> Any:
    """Text that is a JSON list becomes one; every other value is converted by its field's type."""
    if isinstance(value, str) and value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _decode_toml(text: bytes) -> Any:
    import tomllib

    return tomllib.loads(text.decode())
