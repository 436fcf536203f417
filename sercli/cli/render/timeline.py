"""The predictions for a long recording: a row for each utterance, printed as soon as it is predicted, or a summary."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from sercli._system.text import MISSING, clock
from sercli.cli import options
from sercli.cli.render import console as streams
from sercli.cli.render.console import figure, plain, show
from sercli.cli.render.predictions import adaptation, counted, legend, transcript
from sercli.cli.summaries import Summary, summaries
from sercli.types import UNSURE, Prediction

_WHO = "speaker"
_TIME = len("0:00:00.0")
_NARROWEST = 20  # minimum width of the words beside the other columns
_INDENT = 4  # of the words on a narrower terminal
_ASR = len("0.00  ")


def timeline_rows(path: str, predictions: Iterable[Prediction], labels: Sequence[str], *, words: bool) -> None:
    """Show each utterance as it comes: times, emotion, confidence and words; then the share of time of each emotion.

    Where speakers are told apart, each row names its own, and the shares of each speaker follow. Reasons of the
    predictions, and what they were adapted to, are listed at the end, each with its number of utterances. With --quiet
    only reasons follow.

    Args:
        path: of the recording.
        predictions: in order of time; they are not stored.
        labels: all that a prediction can have.
        words: whether words are recognised: they and their ASR confidence have a column.
    """
    console = streams.stdout()
    widest = max(map(len, ("emotion", UNSURE, *labels)))
    predictions = iter(predictions)
    first = list(islice(predictions, 1))
    who = len(_WHO) + 2 if any(p.speaker for p in first) else 0
    words_at = _TIME * 2 + who + widest + len("0.000") + 4 * 2 + _ASR * words
    narrow = console.width < words_at + _NARROWEST  # then the words have lines of their own, and the end has no column
    to = "" if narrow else f"{'to':>{_TIME}}  "
    head = f"{'from':>{_TIME}}  {to}{_WHO if who else '':{who}}{'emotion':{widest}}  conf."
    words_at = _INDENT if narrow else words_at
    show(plain(path), Text(head if narrow or not words else f"{head}   ASR  words", "bold"))
    show(Text("─" * console.width, "dim"))
    reasons, adapted, heard = Counter[str](), Counter[str](), set[bool]()

    def shown() -> Iterator[Prediction]:
        for p in chain(first, predictions):
            row(p)
            yield p

    def row(p: Prediction) -> None:
        label = p.label or MISSING
        reasons.update([p.reason] if (p.label or p.text) and p.reason else [])
        if p.adapted:
            adapted[adaptation(p.adapted)] += 1
        times = f"{clock(p.start_s, 1):>{_TIME}}  " + ("" if narrow else f"{clock(p.end_s, 1):>{_TIME}}  ")
        speaker = plain(set_cell_size(p.speaker or "", who))
        cells = Text.assemble(
            times, speaker, plain(set_cell_size(label, widest), "bold"), f"  {figure(p.confidence):5}"
        )
        told = transcript(p) if p.label or p.text else plain(p.reason or "", "dim")
        if words and not narrow:
            heard.add(p.asr_confidence is not None)
            cells += f"  {'' if p.asr_confidence is None else figure(p.asr_confidence, 2):>4}"
            told = transcript(replace(p, asr_confidence=None)) if p.text else told
        else:
            heard.add(bool(p.doubt))
        gap = "\n" + " " * words_at if narrow and told else "  "
        show(cells + gap + _folded(told, console.width - words_at, words_at, console))

    found = next(summaries(shown()), [Summary(path)])
    about = [] if options.quiet else [*(plain(shares(one)) for one in found), *counted(adapted, found[0].n)]
    show(*about, *counted(reasons, found[0].n), *legend(any(heard)), Text())


def summary_rows(predictions: Iterable[Prediction]) -> None:
    """Show for each recording, and each speaker in it, shares of time, mean probabilities and the strongest moments.

    Args:
        predictions: of recordings, one after the other.
    """
    console = streams.stdout()
    for found in summaries(predictions):
        show(plain(found[0].path, "bold"))
        for one in found:
            show(plain(shares(one)))
            if one.mean:
                ranked = sorted(one.mean.items(), key=lambda item: -item[1])
                show(plain(f"  mean probability: {', '.join(f'{name} {figure(p)}' for name, p in ranked)}"))
            for p in one.moments:
                when = f"  {clock(p.start_s, 1):>{_TIME}}  {p.label} {figure(p.confidence)}  "
                room = max(console.width - len(when), _NARROWEST)
                show(plain(when) + _folded(plain(p.clear_text), room, len(when), console))
        show(Text())


def _folded(words: Text, width: int, indent: int, console: Console) -> Text:
    """Words in as many lines as they need, each below the first."""
    lines = words.wrap(console, width)
    for line in lines:
        line.rstrip()
    return Text("\n" + " " * indent).join(lines)


def shares(summary: Summary) -> str:
    """One line such as "A: 1:04.0 of speech: anger 71%, neutral 29%", the longest first; one utterance has no share."""
    whose = f"{summary.speaker}: " if summary.speaker else ""
    if set(summary.spent_s) <= {None}:
        return f"{whose}No emotion found."
    named = sorted(((s, label) for label, s in summary.spent_s.items() if s and label), reverse=True)
    shares = [f"{label} {summary.share(label):.0%}" if summary.n > 1 else label for _, label in named]
    rest = [f"no emotion {summary.share(None):.0%}"] if summary.share(None) else []
    return f"{whose}{clock(summary.time_s, 1)} of speech: {', '.join([*shares, *rest])}"
