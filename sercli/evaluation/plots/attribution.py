"""The picture of an explanation: the waveform, the weights of moments and words, and each model's probabilities."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sercli._system.text import clock
from sercli.evaluation.plots.figure import BLUE, GREEN, GREY, ORANGE, Target, new_figure
from sercli.types import Array

if TYPE_CHECKING:
    from sercli.model.attribution import Explanation, Weighing

_OF_ALL = {"together": "#333333", "adapted": "#999999"}
_COLOURS = {"audio and text": "#666666", "audio": BLUE, "text": GREEN, "motion": "#CC79A7", **_OF_ALL}
_PALER = 0.75  # opacity of each further member that reads the same
_AGAINST = ORANGE  # what lowers the probability of the predicted class
_SHADES = LinearSegmentedColormap.from_list("ser", [_AGAINST, "white", BLUE])
_LEAST_RANGE = 0.05  # a piece that changes the probability by less is never drawn as if it decided
_CLASSES = 8  # bars at most, for the most probable classes
_WAVE_IN, _WEIGHTS_IN, _BARS_IN = 1.3, 1.4, 2.9  # inches
_WORD_IN = 0.18  # from one upright word to the next
_WORDS_MAX = 80
_LINE_TO_WORD = 0.15  # how far below the axis a word begins, as a share of the axis' height

_NOTES = {
    "attention": "Attention: how the network distributes its attention. High attention does not mean that the "
    "prediction depends on it.",
    "occlusion": "Occlusion: how much probability the prediction loses without this piece; orange: how much it gains. "
    "It does not show what several pieces say alike, or only together.",
    "adapted": "Adapted: less what voice and room do to all utterances alike; this is the prediction.",
    "asr": "ASR confidence: how surely the words were recognised, from 0 (guesses) to 1.",
}


def explanation_picture(explanation: "Explanation", target: Target, *, name: str, label: str) -> None:
    """Draw one utterance: its waveform shaded by weight, the weights of moments and of words, and the probabilities.

    Words with times have their bars where they are spoken; without times the bars are evenly spaced.

    Args:
        explanation: of the prediction.
        target: the PNG to write, or where an SVG goes.
        name: of the recording.
        label: the predicted label, which may be "unsure".
    """
    drawn = [*explanation.audio, *(explanation.text if explanation.words else ())]
    words = explanation.words[:_WORDS_MAX]
    width = float(np.clip(max(6 + 0.45 * explanation.length_s, _WORD_IN * len(words)), 7, 15))
    heights = [_WAVE_IN] + [_WEIGHTS_IN] * len(drawn)
    below = 0.3 + 0.08 * max(map(len, words), default=0)
    bars = min(len(_final(explanation)), _CLASSES) * (0.2 * len(explanation.probs) + 0.18)
    with new_figure((width + _BARS_IN, max(sum(heights), bars) + below + 0.6), target) as figure:
        grid = figure.add_gridspec(len(heights), 2, width_ratios=(width, _BARS_IN), height_ratios=heights)
        left = [figure.add_subplot(grid[row, 0]) for row in range(len(heights))]
        for axes in left:
            axes.set_xlim(explanation.start_s, explanation.start_s + explanation.length_s)
            axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: clock(s, 1 if explanation.length_s > 1 else 2)))
        _draw_wave(left[0], explanation)
        for axes, weighing in zip(left[1:], explanation.audio, strict=False):
            _draw_audio(axes, explanation, weighing)
        left[len(explanation.audio)].set_xlabel("minutes and seconds", fontsize=9, labelpad=1)
        for axes, weighing in zip(left[1 + len(explanation.audio) :], explanation.text, strict=False):
            _draw_text(axes, explanation, weighing, words, width)
        _draw_bars(figure.add_subplot(grid[:, 1]), explanation)
        figure.suptitle(_title(explanation, name, label), x=0.02, ha="left", size=13, weight="bold")
        kinds = {weighing.kind for weighing in drawn}
        heard = {"asr"} if explanation.text and explanation.asr_confidence is not None else set()
        notes = [note for kind, note in _NOTES.items() if kind in {*kinds, *heard, *explanation.probs}]
        figure.supxlabel("\n".join(notes), x=0.02, ha="left", size=8, color=GREY)


def _final(explanation: "Explanation") -> dict[str, float]:
    """The probabilities of the prediction."""
    return list(explanation.probs.values())[-1]


def _title(explanation: "Explanation", name: str, label: str) -> str:
    predicted = explanation.predicted
    probability = f"{_final(explanation)[predicted]:.0%}"
    return f"{name}: {label} ({probability if label == predicted else f'{predicted} {probability}'})"


def _draw_wave(axes: Axes, explanation: "Explanation") -> None:
    """Lowest and highest sample of each column, over the shade of the moments as the first model weighs them."""
    start_s, signal = explanation.start_s, explanation.signal
    for audio in explanation.audio[:1]:
        limit = _limit(audio)
        shade = audio.weights[None]
        axes.pcolormesh(
            audio.edges_s, [-1.05, 1.05], shade, cmap=_SHADES, vmin=-limit, vmax=limit, alpha=0.7, linewidth=0
        )
    edges = np.linspace(0, len(signal), min(len(signal), 900) + 1).astype(int)[:-1]
    loudest = max(float(np.abs(signal).max()), 1e-4)
    low, high = (np.array(f.reduceat(signal, edges)) / loudest for f in (np.minimum, np.maximum))
    axes.fill_between(start_s + edges / explanation.rate_hz, low, high, color="#444444", linewidth=0.3, step="post")
    axes.set(ylim=(-1.05, 1.05), yticks=[])
    axes.set_ylabel("waveform", fontsize=9)
    axes.spines["left"].set_visible(False)


def _draw_audio(axes: Axes, explanation: "Explanation", audio: "Weighing") -> None:
    edges = audio.edges_s
    what = _what(audio, explanation, f"with {edges[1] - edges[0]:.2f} s silenced")
    _head(axes, f"{audio.source.capitalize()}: {what}", BLUE)
    _draw_weights(axes, audio, edges[:-1], np.diff(edges), BLUE)


def _draw_text(axes: Axes, explanation: "Explanation", text: "Weighing", words: Sequence[str], width_in: float) -> None:
    """A bar for each word, and the words upright below, moved to the side where they would touch."""
    from_s, to_s = explanation.start_s, explanation.start_s + explanation.length_s
    even = np.linspace(from_s, to_s, len(words) + 1)
    spans = np.array(explanation.spans_s[: len(words)] or list(pairwise(even)))  # (n, 2)
    _draw_weights(axes, text, spans[:, 0], np.diff(spans)[:, 0], GREEN)
    confidence = "" if explanation.asr_confidence is None else f" (ASR confidence {explanation.asr_confidence:.2f})"
    order = "" if explanation.spans_s else "; words evenly spaced, their times are unknown"
    what = _what(text, explanation, "without the word")
    _head(axes, f"{text.source.capitalize()}{confidence}: {what}{order}", GREEN)
    spoken = spans.mean(axis=1)
    places = _spread(spoken, _WORD_IN * explanation.length_s / width_in, to_s)
    lines = axes.plot([spoken, places], [0, -_LINE_TO_WORD], transform=axes.get_xaxis_transform(), color=GREY, lw=0.7)
    for line in lines:
        line.set_clip_on(False)
    numbers = [_number(text.kind, round(float(weight) * 100)) for weight in text.weights]
    axes.set_xticks(places, [f"{n} {word}".strip() for n, word in zip(numbers, words, strict=False)], rotation=90)
    axes.tick_params(axis="x", length=0, pad=_LINE_TO_WORD * 72 + 3)
    left_out = len(explanation.words) - len(words)
    if left_out:
        axes.text(1, 1.02, f"… {left_out} more words", size=8, color=GREY, ha="right", transform=axes.transAxes)


def _head(axes: Axes, text: str, colour: str) -> None:
    axes.set_title(text, fontsize=9.5, color=colour, loc="left", pad=3)


def _what(weighing: "Weighing", explanation: "Explanation", without: str) -> str:
    if weighing.kind == "attention":
        return "attention (dashed: an even share)"
    return f"occlusion, points of “{explanation.predicted}” lost {without}"


def _number(kind: str, percent: int) -> str:
    """A weight as text; empty for 0, as most of many words have."""
    if not percent:
        return ""
    return f"{percent}%" if kind == "attention" else f"{percent:+d}".replace("-", "−")


def _spread(places: Array, gap: float, end: float) -> Array:
    """Ascending places (n,), moved to the side as little as keeps them `gap` apart and below `end`."""
    steps = gap * np.arange(len(places))
    apart = np.maximum.accumulate(places - steps) + steps
    return np.minimum(apart, end - steps[::-1])


def _draw_weights(axes: Axes, weighing: "Weighing", lefts: Array, widths: Array, colour: str) -> None:
    """A bar for each piece: attention as multiples of an even share, occlusion in percentage points."""
    attention = weighing.kind == "attention"
    scale = len(weighing.weights) if attention else 100
    values, limit = weighing.weights[: len(lefts)] * scale, _limit(weighing) * scale
    colours = [colour if value >= 0 else _AGAINST for value in values]
    axes.bar(lefts, values, widths, align="edge", color=colours, antialiased=False)
    axes.axhline(1 if attention else 0, color=GREY, linewidth=0.9, linestyle="--" if attention else "-")
    axes.set_ylim(0 if attention else min(-0.2 * limit, values.min() * 1.1), limit * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.tick_params(labelsize=9)
    axes.set_ylabel("× even" if attention else "points", fontsize=9)


def _limit(weighing: "Weighing") -> float:
    """The weight with the full colour: at least twice an even share, so that small weights stay pale."""
    least = 2 / len(weighing.weights) if weighing.kind == "attention" else _LEAST_RANGE
    return max(float(np.abs(weighing.weights).max()), least)


def _draw_bars(axes: Axes, explanation: "Explanation") -> None:
    """A group of bars for each class: the probability from each member, from all together, and adapted."""
    final = _final(explanation)
    likeliest = sorted(final, key=final.__getitem__, reverse=True)[:_CLASSES]
    chosen = [name for name in final if name in likeliest]
    places = np.arange(len(chosen))
    step = 1 / (len(explanation.probs) + 1)
    for row, (source, probs) in enumerate(explanation.probs.items()):
        number = source.split()[-1]
        colour = next(colour for what, colour in _COLOURS.items() if source.startswith(what))
        opacity = _PALER ** (int(number) - 1) if number.isdigit() else 1
        label = source if source in _OF_ALL else f"{source} only"
        values = [probs[name] for name in chosen]
        bars = axes.barh(
            places + (row + 0.5) * step, values, 0.92 * step, align="edge", color=colour, alpha=opacity, label=label
        )
        axes.bar_label(bars, fmt="{:.0%}", padding=3, size=8)
    axes.set(xlim=(0, 1.12), ylim=(len(chosen), 0), xticks=[])
    axes.set_yticks(places + 0.5, chosen)
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() == explanation.predicted else "normal")
    axes.tick_params(left=False)
    axes.spines["bottom"].set_visible(False)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=9, handlelength=0.9,
        handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip
