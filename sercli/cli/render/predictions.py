"""The predictions for clips: a row for each, or a card for one."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sercli._system.text import MISSING, clock
from sercli.cli import options
from sercli.cli.render import console as streams
from sercli.cli.render.console import bar, escaped, figure, new_table, plain, short_names, shorten, show
from sercli.runs.settings import reads
from sercli.types import Adapted, Prediction

_BAR = 24  # characters of the bar of a probability of 1
_BEST = "green"  # of bars; text of this colour is not readable on every white


def prediction_rows(predictions: Sequence[Prediction]) -> None:
    """Show a row for each clip: path, emotion, confidence and a bar for each class.

    If bars do not fit the terminal's width, the three next likeliest classes are listed. Reasons of predictions are
    counted below; in a row stands only why it has none.

    Args:
        predictions: of clips, in the order to show them.
    """
    console = streams.stdout()
    reasons = Counter(p.reason for p in predictions if p.label and p.reason)
    labels = list(dict.fromkeys(label for p in predictions for label in p.probabilities))
    paths = [escaped(p.path) for p in predictions]
    widest = max(len("emotion"), *(cell_len(p.label or "") for p in predictions), 0)
    layout = _Layout.of(paths, labels, room=console.width - widest - len("0.000") - 3 * 2)  # two blanks per gap
    table = new_table("file", "emotion", "conf.", layout.head, sides="ll")
    table.columns[-1].justify, table.columns[-1].max_width = "left", layout.scores
    shown = shorten([path.removeprefix(layout.folder) for path in paths], layout.path)
    for p, path in zip(predictions, shown, strict=True):
        found = plain(p.reason or "", "dim")
        if p.label:
            found = _bars(p, labels, layout.bar) if layout.bar else _likeliest(p)
        table.add_row(Text(path), plain(p.label or MISSING), figure(p.confidence), found)
    show(*([Text(f"in {layout.folder}")] if layout.folder else []), table, *counted(reasons, len(predictions)))


def prediction_card(prediction: Prediction) -> None:
    """Show one clip: the emotion, a bar for each class, the words, and the probabilities from audio and text alone.

    Args:
        prediction: of the clip.
    """
    p = prediction
    label = plain(p.label, "bold") if p.label else plain(p.reason or MISSING)
    about: list[RenderableType] = [Text(": ").join([plain(p.path), label])]
    if p.probabilities:
        about += [Text(), _classes(p, streams.stdout().width), Text()]
    if p.text:
        about += [Text("words: ") + transcript(p), *legend(bool(p.doubt))]
    if p.label and p.reason:
        about.append(plain(p.reason, "dim"))
    if p.adapted and not options.quiet:
        about.append(plain(f"{adaptation(p.adapted)}; plain: not adapted", "dim"))
    show(*about)


def adaptation(adapted: Adapted) -> str:
    """What a prediction was adapted to, and what for."""
    return f"adapted to the {adapted.group} ({adapted.how}), so that voice and room count less"


def in_short(prediction: Prediction) -> str:
    """One line of a prediction that may still change: where, emotion, confidence and words."""
    p = prediction
    where = Path(p.path).name if p.start_s == 0 else clock(p.start_s, 1)
    found = f"{p.label} {figure(p.confidence, 2)}" if p.label else p.reason or MISSING
    return f"{where}  {found}  {' '.join((p.text or '').split())}".rstrip()


def transcript(prediction: Prediction) -> Text:
    """The words in one line, with the ASR confidence where it is below 1."""
    words = plain(" ".join((prediction.text or "").split()))
    return Text.assemble(words, (f"  {prediction.doubt}", "dim")) if prediction.doubt else words


def legend(doubtful: bool) -> list[Text]:
    """What ASR confidence is, below words that have one; not with --quiet."""
    explained = plain("ASR confidence: how surely the words were recognised, from 0 (guesses) to 1", "dim")
    return [explained] * (doubtful and not options.quiet)


def counted(remarks: Counter[str], n: int) -> list[Text]:
    """A line for each remark on some of n predictions; their number where it is not all."""
    return [plain(remark if count == n else f"{count} of {n}: {remark}", "dim") for remark, count in remarks.items()]


def _classes(p: Prediction, width: int) -> Table:
    """Probability and bar of each class, the likeliest in another colour; each member's own where several predicted.

    In a narrow terminal the bars are shorter, and labels and bars stay whole.
    """
    members = {f"{reads(name)} only": own for name, own in p.members.items()} if len(p.members) > 1 else {}
    members |= {"plain": p.unadapted} if p.unadapted else {}
    table = new_table("emotion", "prob.", "", *members)
    table.columns[2].justify = "left"
    longest = max(cell_len("emotion"), *map(cell_len, p.probabilities))
    room = width - longest - len(" 0.000 ") - 1  # without bar and members
    n_bar = _BAR
    if room - sum(cell_len(name) + 2 for name in members) < _BAR:
        n_bar = max(1, min(_BAR, room - len("  0.000") * len(members) - 1))
        for column in table.columns[3:]:
            column.width = len("0.000")  # the head wraps
    best = max(p.probabilities, key=p.probabilities.__getitem__)
    every = zip(p.probabilities.items(), *(own.values() for own in members.values()), strict=True)
    for (label, probability), *own in every:
        found = bar(probability, n_bar, _BEST if label == best else "blue")
        table.add_row(plain(label), figure(probability), found, *map(figure, own))
    return table


@dataclass(frozen=True)
class _Layout:
    """How paths and scores share the width of a prediction table, in characters."""

    path: int
    scores: int
    bar: int  # width of one class's bar; 0: words instead of bars
    head: str
    folder: str  # the paths' common folder, if the table leaves it out; "" if the paths fit

    @classmethod
    def of(cls, paths: Sequence[str], labels: Sequence[str], room: int) -> "_Layout":
        """Return the layout: paths have priority while bars have 24 characters in all and fit their names."""
        short, longest = short_names(labels), max(map(cell_len, paths), default=0)
        least = max(24 // max(len(labels), 3), *map(cell_len, short), 3)
        bar = max(least, min(10, (room - longest + 1) // max(len(labels), 1) - 1))
        scores = len(labels) * (bar + 1) - 1
        if not labels or room - scores < min(longest, 20):
            bar, scores, head = 0, room - min(longest, room // 2), "next likeliest" if labels else ""
        else:
            head = " ".join(set_cell_size(name, bar) for name in short)
        folder = _folder_of(paths) if longest > room - scores else ""
        return cls(path=room - scores, scores=scores, bar=bar, head=head, folder=folder)


def _bars(p: Prediction, labels: Sequence[str], width: int) -> Text:
    """A bar for each class, the predicted one in another colour."""
    shown = {label: p.probabilities.get(label, 0.0) for label in labels}
    return Text(" ").join(bar(share, width, _BEST if label == p.label else "blue") for label, share in shown.items())


def _likeliest(p: Prediction) -> Text:
    """The three likeliest classes after the predicted one, in words."""
    others = sorted((-probability, label) for label, probability in p.probabilities.items() if label != p.label)
    return plain(", ".join(f"{label} {figure(-negative)}" for negative, label in others[:3]))


def _folder_of(paths: Sequence[str]) -> str:
    """The common folder of several paths, with its separator; "" if they have none."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - as the user wrote them
    if len(paths) < 2 or len({os.path.isabs(folder) for folder in folders}) > 1:  # noqa: PTH117
        return ""
    common = os.path.commonpath(folders) if all(folders) else ""
    return f"{common}{os.sep}" if common and all(path.startswith(common + os.sep) for path in paths) else ""
