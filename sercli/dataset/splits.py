"""Dividing a manifest into a train, a validation and a test part so that nothing leaks between them."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from sercli._system.text import natural
from sercli.errors import SerError, no_such
from sercli.types import Manifest, Split, Utterance

KINDS = ("seed", "loso", "speakers", "prompts", "official")
PARTS = ("train", "valid", "test")


class LackError(SerError):
    """A corpus cannot have a split; the message says why, and lacks its end: what to do."""


def make_split(manifest: Manifest, kind: str, *, n_folds: int | None = None, fold: int = 1, seed: int = 0) -> Split:
    """Return one fold of a split.

    Args:
        manifest: the utterances.
        kind: `loso` leaves one session out, `speakers` groups of speakers, `prompts` is either with the test part's
            prompts dropped from training, `official` takes the corpus' own parts, `seed` repeats the original study's
            division, which leaks speakers into the validation part (and, without sessions, into the test part).
        n_folds: number of folds; None: one for each group.
        fold: the one that is the test part, counted from 1; the next one is the validation part.
        seed: for the `seed` split of a corpus without sessions.

    Raises:
        SerError: unknown kind, a fold that does not exist, or a corpus without what the split needs.
    """
    if kind not in KINDS:
        raise SerError(no_such("split", kind, KINDS))
    try:
        return _split(manifest, kind, n_folds, fold, seed)
    except LackError as error:
        raise SerError(f"{error}; {_instead(manifest, kind, seed)}.") from None


def _instead(manifest: Manifest, refused: str, seed: int) -> str:
    """Return what to do where a split is refused: the first other one that the utterances can have, leaky ones last."""
    leaky = ""
    for kind in ("speakers", "loso", "official", "seed"):
        with suppress(SerError):
            if kind != refused and not _split(manifest, kind, None, 1, seed).leaky:
                return f"use --split {kind}"
            leaky = leaky or (kind if kind != refused else "")
    return f"use --split {leaky} (leaky)" if leaky else "no other split can be had, so prepare more utterances"


def _split(manifest: Manifest, kind: str, n_folds: int | None, fold: int, seed: int) -> Split:
    utterances = manifest.utterances
    if kind in ("seed", "official"):
        check_fold(fold, 1, kind)
        parts = _seed_parts(utterances, seed) if kind == "seed" else {u.id: _official_part(u) for u in utterances}
        return divided(manifest, parts, kind, "none" if kind == "seed" else "part", fold, 1, seed)
    by_session = kind == "loso" or (kind == "prompts" and all(u.session for u in utterances))
    group_by = "session" if by_session else "speaker"
    groups = {u.id: _group(u, group_by, kind) for u in utterances}
    folds = _deal(utterances, groups, n_folds, group_by)
    check_fold(fold, len(folds), kind)
    test, valid = folds[fold - 1], folds[fold % len(folds)]
    parts = {i: "test" if g in test else "valid" if g in valid else "train" for i, g in groups.items()}
    if kind == "prompts":
        parts = _without_test_prompts(utterances, parts)
    return divided(manifest, parts, kind, group_by, fold, len(folds), seed)


def divided(
    manifest: Manifest, parts: Mapping[str, str], kind: str, group_by: str, fold: int, n_folds: int, seed: int = 0
) -> Split:
    """Return the split with these parts.

    Args:
        manifest: the utterances.
        parts: the part of each by id; those without one, or with another such as "dropped", are left out.
        kind: see `Split`, as for the other arguments.
        group_by: what never spans two parts.
        fold: counted from 1.
        n_folds: how many there are.
        seed: that the parts depend on.

    Raises:
        LackError: a part has no utterance, or the train part lacks a class.
    """
    members = {part: [u for u in manifest.utterances if parts.get(u.id) == part] for part in PARTS}
    where = f"--split {kind} fold {fold}"
    for part, utterances in members.items():
        if not utterances:
            shared = kind == "prompts" and part == "train"
            why = "every utterance shares its prompt with the test part" if shared else "nothing falls into it"
            raise LackError(f"{where}: the {part} part is empty ({why})")
    present = {u.label for u in members["train"]}
    if missing := [label for label in manifest.labels if label not in present]:
        raise LackError(f"{where}: the train part has no {', '.join(missing)}")
    train, valid, test = ({u.speaker for u in utterances} for utterances in members.values())
    # One speaker in two parts: so it is with sessions that are days and not pairs of people.
    leaky = kind == "seed" or bool((train & valid | (train | valid) & test) - {None})
    apart = leaky and None not in test and test.isdisjoint(train | valid)
    ids = {part: tuple(u.id for u in utterances) for part, utterances in members.items()}
    return Split(
        **ids, kind=kind, group_by=group_by, fold=fold, n_folds=n_folds, seed=seed, leaky=leaky, test_apart=apart
    )


def make_folds(manifest: Manifest, kind: str, *, n_folds: int | None = None, seed: int = 0) -> tuple[Split, ...]:
    """Return all folds of a split; each group is in the test part of one of them.

    Raises:
        SerError: as `make_split`.
    """
    first = make_split(manifest, kind, n_folds=n_folds, seed=seed)
    others = (make_split(manifest, kind, n_folds=n_folds, fold=fold, seed=seed) for fold in range(2, first.n_folds + 1))
    return (first, *others)


def split_hash(split: Split) -> str:
    """Return a short hash of a division, equal for equal parts."""
    text = "\n\n".join("\n".join(sorted(getattr(split, part))) for part in PARTS)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def folds_hash(folds: Iterable[Split]) -> str:
    """Return a short hash of all folds, equal for equal parts."""
    return hashlib.sha256("\n".join(map(split_hash, folds)).encode()).hexdigest()[:16]


def _group(utterance: Utterance, group_by: str, kind: str) -> str:
    value: str | None = getattr(utterance, group_by)
    if not value:
        raise LackError(f"--split {kind} needs a {group_by} for every utterance, and '{utterance.id}' has none")
    return value


def check_fold(fold: int, n_folds: int, kind: str) -> None:
    """Refuse the number of a fold that does not exist.

    Raises:
        SerError: with the number of folds.
    """
    if not 1 <= fold <= n_folds:
        has = "one fold" if n_folds == 1 else f"{n_folds} folds, counted from 1"
        raise SerError(f"--fold {fold} does not exist: --split {kind} has {has}.")


def _deal(
    utterances: Sequence[Utterance], groups: Mapping[str, str], n_folds: int | None, group_by: str
) -> list[set[str]]:
    """Divide the sorted groups into folds in turn, one sex after the other, so that folds are balanced by sex."""
    sexes: dict[str, str] = {}
    for u in utterances:
        sexes.setdefault(groups[u.id], str(u.attributes.get("sex", "")))
    names = sorted(sexes, key=natural)
    if len(names) < 3:
        raise LackError(
            f"A train, a validation and a test part need at least 3 {group_by}s, and there are {len(names)} "
            f"({', '.join(names)})"
        )
    n = len(names) if n_folds is None else n_folds
    if n < 3:
        raise SerError(f"{n} folds cannot give a train, a validation and a test part; give --folds 3 or more.")
    if n > len(names):
        raise SerError(f"{n} folds are more than the {len(names)} {group_by}s; give --folds {len(names)} or fewer.")
    if n == len(names):
        return [{name} for name in names]
    by_sex = sorted(names, key=lambda name: sexes[name])
    return [set(by_sex[start::n]) for start in range(n)]


def _seed_parts(utterances: Sequence[Utterance], seed: int) -> dict[str, str]:
    """Return the original study's division: the last session is the test part, every 10th of the rest validation."""
    sessions = {u.session or "" for u in utterances}
    if "" not in sessions and len(sessions) > 1:
        last = max(sessions, key=natural)
        test = {u.id for u in utterances if u.session == last}
    else:
        shuffled = sorted(u.id for u in utterances)
        random.Random(seed).shuffle(shuffled)
        test = set(shuffled[::5])
    rest = [u.id for u in utterances if u.id not in test]
    valid = set(rest[::10])
    return {u.id: "test" if u.id in test else "valid" if u.id in valid else "train" for u in utterances}


def _official_part(utterance: Utterance) -> str:
    part = utterance.attributes.get("part")
    if part not in PARTS:
        raise LackError(
            f"--split official needs a part (train, valid or test) for every utterance, and '{utterance.id}' has "
            f"{part!r}"
        )
    return str(part)


def _without_test_prompts(utterances: Sequence[Utterance], parts: Mapping[str, str]) -> dict[str, str]:
    if not any(u.prompt for u in utterances):
        raise LackError("--split prompts needs prompts, and no utterance has one")
    tested = {u.prompt for u in utterances if parts[u.id] == "test" and u.prompt}
    return {u.id: "dropped" if parts[u.id] == "train" and u.prompt in tested else parts[u.id] for u in utterances}
