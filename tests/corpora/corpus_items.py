"""What the tests of all readers ask of what a reader gave."""

from sercli.types import Remark, Utterance


def utterances(items):
    return [item for item in items if isinstance(item, Utterance)]


def by_id(items):
    return {item.id: item for item in utterances(items)}


def remarks(items):
    return [item for item in items if isinstance(item, Remark)]


def reasons(items, kind="skipped"):
    return {item.source: item.reason for item in remarks(items) if item.kind == kind}
