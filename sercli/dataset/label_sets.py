"""The classes of a dataset: the four, all native labels, the four with a class of one's own, or those of a file.

A label set is a text: "four", "native", one class such as "other=disgust,fear", which is the four and `other`, or
several classes such as "anger=mad,cross;other=fear", which are all that there are.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec

from sercli import config
from sercli.errors import ConfigError, SerError, no_such
from sercli.types import FOUR, UNSURE, Remark, Utterance


def given(value: str) -> str:
    """Return the label set that `--labels` names: a file's content in place of its path.

    Raises:
        ConfigError: it is none, or the file cannot be used.
    """
    if value in ("four", "native"):
        return value
    name, equals, labels = value.partition("=")
    if Path(value).suffix.lower() in (".json", ".toml"):
        classes = _read(Path(value))
    elif equals:
        classes = {name: labels.split(",")}
    else:
        raise ConfigError(
            f"--labels {value}: give four, native, the four and a class such as other=disgust,fear, or a TOML or JSON "
            'file with lines such as other = ["disgust", "fear"] for all classes.'
        )
    classes = {name.strip(): [label.strip() for label in labels] for name, labels in classes.items()}
    names = [*classes, *(label for labels in classes.values() for label in labels)]
    if UNSURE in classes or not all(names) or any(mark in name for name in names for mark in ",;="):
        raise ConfigError(
            f"--labels {value}: names of classes and labels are not empty and hold no comma, semicolon or =, and no "
            f"class is called {UNSURE}; rename them."
        )
    found = ";".join(f"{name}={','.join(labels)}" for name, labels in classes.items())
    if len(own(found)) < len(names) - len(classes):
        raise ConfigError(f"--labels {value} names a label twice; each belongs to one class.")
    return found


def _read(path: Path) -> dict[str, list[str]]:
    try:
        classes = msgspec.convert(config.read_content(path), dict[str, list[str]])
    except msgspec.ValidationError as error:
        raise ConfigError(f'{path}: {error}; each line is a class such as other = ["disgust", "fear"].') from None
    if len(classes) < 2 or not all(classes.values()):
        raise ConfigError(f"{path} must list all classes, at least two, each with its labels; add them.")
    return classes


def own(label_set: str) -> dict[str, str]:
    """Return the class of each native label that a label set names.

    >>> own("other=disgust,fear"), own("four")
    ({'disgust': 'other', 'fear': 'other'}, {})
    """
    clauses = [clause.partition("=") for clause in label_set.split(";")]
    return {label: name for name, equals, labels in clauses if equals for label in labels.split(",")}


def classes(label_set: str, present: Collection[str], mapping: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the class of each native label; None: it is left out.

    Args:
        label_set: see above.
        present: the native labels that occur.
        mapping: LABELS of the corpus.

    Raises:
        SerError: the label set names a label that does not occur.
    """
    named = own(label_set)
    for label in named:
        if label not in present:
            raise SerError(no_such("label of the corpus", label, present))
    if label_set == "native":
        return {label: label for label in present}
    if ";" in label_set:
        return {label: named.get(label) for label in present}
    # A label without a mapping may be one of the four's names.
    return {label: named.get(label) or mapping.get(label, label if label in FOUR else None) for label in present}


def choose(
    utterances: Sequence[Utterance], mapping: Mapping[str, str | None], label_set: str
) -> tuple[Sequence[Utterance], tuple[str, ...], list[Remark]]:
    """Keep the utterances whose label has a class, under the name of that class.

    Returns:
        the utterances kept, the ordered labels that occur, and a remark for each utterance left out.

    Raises:
        SerError: see `classes`.
    """
    becomes = classes(label_set, {u.true_label for u in utterances}, mapping)
    order = mapping if label_set == "native" else [*FOUR, *own(label_set).values()]
    present = {label for label in becomes.values() if label is not None}
    labels = tuple(label for label in dict.fromkeys([*order, *sorted(present)]) if label in present)
    if UNSURE in labels:
        raise SerError(
            f"The corpus has the label '{UNSURE}', which `ser predict` keeps for what is below --min-confidence; "
            f"rename it, or give it a class, such as --labels other={UNSURE}."
        )
    if label_set == "native":
        return utterances, labels, []
    among = "the four" if label_set == "four" else "the classes"
    known = frozenset({*FOUR, *own(label_set), *(name for name, common in mapping.items() if common)})
    kept, dropped = [], []
    for u in utterances:
        if label := becomes[u.true_label]:
            kept.append(replace(u, label=label, attributes={**u.attributes, "native_label": u.true_label}))
        else:
            near = None if u.true_label in mapping else _near(u.true_label, known)
            hint = f", but is like '{near}': if that is meant, write it so" if near else ""
            dropped.append(Remark("skipped", u.id, f"label '{u.true_label}' is not among {among}{hint}"))
    return kept, labels, dropped


@cache
def _near(label: str, known: frozenset[str]) -> str | None:
    """Return the known label that an unknown one is a spelling, the beginning or a misspelling of; None without one."""
    plain, by_plain = label.casefold(), {name.casefold(): name for name in sorted(known)}
    begun = [name for name in by_plain if len(plain) > 2 and name.startswith(plain)]
    same = [name for name in by_plain if name[:1] == plain[:1]]  # a slip is seldom there, and unhappy is not happy
    near = [plain] if plain in by_plain else begun or difflib.get_close_matches(plain, same, n=1, cutoff=0.75)
    return by_plain[near[0]] if near else None
