"""What one answer may rest on: the waveform with the moments, the words and the probabilities of each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from sercli.evaluation.plots.figure import BLUE, GREEN, GREY, INK, ORANGE, Target, new_figure
from sercli.model.explanation import Explanation, Weighing

_COLOURS = {"sound": BLUE, "words": GREEN, "together": "#333333"}
_AGAINST = ORANGE  # what speaks against the answer
_LEAST_RANGE = 0.05  # a piece that changes the probability by less is never drawn as if it decided

# Inches. The layout is ours, for words must not touch and their widths are known.
_LEFT, _GAP, _BARS = 0.75, 0.5, 2.9
_TITLE, _WAVE, _CURVE, _AXIS, _HEAD, _BAND, _LANE, _LINE = 0.55, 1.15, 0.85, 0.5, 0.24, 0.12, 0.43, 0.17
_BETWEEN = 0.07  # two words of one line
_LANES_MAX = 12
_CLASSES = 8  # so many bars at most, the likeliest classes
_WORD_PT, _NUMBER_PT = 10, 7.5

_SAYS = {
    "attention": "Attention: how the network shares out its reading. That it looked there does not mean that its "
    "answer rests on it.",
    "occlusion": "Occlusion: what the answer loses without this piece alone; orange: what it gains. What several "
    "pieces say alike, or only together, does not show.",
}


@dataclass(frozen=True)
class _Label:
    """A word where it is written."""

    place: int  # among the words
    left: float  # inches from the left edge of the time axis
    width: float
    lane: int


def explanation_picture(explanation: Explanation, target: Target, *, name: str, label: str) -> None:
    """Draw one utterance: its waveform shaded by what counted, a curve of that, its words alike, and probabilities.

    Words with times stand below the moment at which they are spoken, others in lines as in a text.

    Args:
        explanation: of the answer.
        target: the PNG to write, or what takes up an SVG.
        name: of the recording.
        label: of the answer, which may be that it is unsure.
    """
    length_s = len(explanation.signal) / explanation.rate_hz
    width = float(np.clip(6 + 0.45 * length_s, 7, 11))
    labels = _labels(explanation, width, length_s)
    n_lanes = max((one.lane + 1 for one in labels), default=0)
    below = _HEAD + _BAND * bool(explanation.spans_s) + _LANE * n_lanes if labels else 0.0
    kinds = [kind for kind in _SAYS if kind in {w.kind for w in (explanation.sound, explanation.language) if w}]
    curve = _CURVE + _HEAD if explanation.sound else 0.0
    left_height = _WAVE + curve + _AXIS + below
    bars = _bars_height(explanation)
    height = _TITLE + max(left_height, bars) + 0.15 + _LINE * len(kinds)
    with new_figure((_LEFT + width + _GAP + _BARS, height), target) as figure:
        figure.set_layout_engine("none")
        top = height - _TITLE
        _write_title(figure, explanation, name, label)
        wave = _axes(figure, _LEFT, top - _WAVE, width, _WAVE)
        _draw_wave(wave, explanation, length_s)
        lowest = wave
        if explanation.sound:
            lowest = _axes(figure, _LEFT, top - _WAVE - curve, width, _CURVE)
            _draw_curve(lowest, explanation, explanation.sound)
            wave.tick_params(labelbottom=False)
        lowest.set_xlabel("seconds", fontsize=9, labelpad=1)
        if labels and explanation.language:
            words = _axes(figure, _LEFT, top - left_height, width, below)
            _draw_words(words, explanation, explanation.language, labels, (width, below), length_s)
        _draw_bars(_axes(figure, _LEFT + width + _GAP + 0.85, top - bars, _BARS - 1.25, bars - _HEAD), explanation)
        for line, kind in enumerate(reversed(kinds)):
            figure.text(
                _LEFT / figure.get_figwidth(), _LINE * line / height, _SAYS[kind], size=8, color=GREY, va="bottom"
            )


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _write_title(figure: Figure, explanation: Explanation, name: str, label: str) -> None:
    across, up = figure.get_size_inches()
    probs = explanation.probs.get("together") or next(iter(explanation.probs.values()))
    sure = f"{probs[explanation.answer]:.0%}"
    said = f"{label} ({sure})" if label == explanation.answer else f"{label} ({explanation.answer} {sure})"
    figure.text(_LEFT / across, 1 - 0.3 / up, f"{name}: {said}", size=13, weight="bold", color=INK, va="baseline")


def _draw_wave(axes: Axes, explanation: Explanation, length_s: float) -> None:
    """Lowest and highest sample of each column, over the shade of the moments."""
    start_s, signal = explanation.start_s, explanation.signal
    if explanation.sound:
        limit = _limit(explanation.sound)
        shade = explanation.sound.weights[None]
        axes.pcolormesh(explanation.edges_s, [-1.05, 1.05], shade, cmap=_shades(BLUE), vmin=-limit, vmax=limit)
    edges = np.linspace(0, len(signal), min(len(signal), 900) + 1).astype(int)[:-1]
    loudest = max(float(np.abs(signal).max()), 1e-4)
    low, high = (np.array(f.reduceat(signal, edges)) / loudest for f in (np.minimum, np.maximum))
    axes.fill_between(start_s + edges / explanation.rate_hz, low, high, color="#444444", linewidth=0.3, step="post")
    axes.set(xlim=(start_s, start_s + length_s), ylim=(-1.05, 1.05), yticks=[])
    axes.set_ylabel("waveform", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(10))
    axes.spines["left"].set_visible(False)


def _draw_curve(axes: Axes, explanation: Explanation, sound: Weighing) -> None:
    """Attention as multiples of an even share, or the points that each stretch is worth."""
    edges, attention = explanation.edges_s, sound.kind == "attention"
    values = sound.weights * len(sound.weights) if attention else 100 * sound.weights
    for sign, colour in ((1, BLUE), (-1, _AGAINST)):
        axes.stairs(np.maximum(sign * values, 0) * sign, edges, fill=True, color=colour, alpha=0.75)
    axes.axhline(1 if attention else 0, color=GREY, linewidth=0.9, linestyle="--" if attention else "-")
    limit = _limit(sound) * (len(sound.weights) if attention else 100)
    axes.set(xlim=(edges[0], explanation.start_s + len(explanation.signal) / explanation.rate_hz))
    axes.set_ylim(0 if attention else min(-0.2 * limit, values.min() * 1.1), limit * 1.1)
    axes.xaxis.set_major_locator(MaxNLocator(10))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.tick_params(labelsize=9)
    axes.set_ylabel("× even" if attention else "points", fontsize=9)
    step_s = float(np.diff(edges)[0])
    what = (
        "Sound: attention over time (dashed: an even share)"
        if attention
        else f"Sound: occlusion, points of “{explanation.answer}” lost with {step_s:.2f} s silenced"
    )
    axes.set_title(what, fontsize=9.5, color=BLUE, loc="left", pad=3)


def _draw_words(
    axes: Axes,
    explanation: Explanation,
    language: Weighing,
    labels: Sequence[_Label],
    inches: tuple[float, float],
    length_s: float,
) -> None:
    """Words with their weight as shade and as a number; above those with times, a band of when they are spoken."""
    width, height = inches
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    limit, colours = _limit(language), _shades(GREEN)
    fills = [to_hex(colours(0.5 + 0.5 * float(np.clip(w / limit, -1, 1)))) for w in language.weights]
    axes.text(0, _HEAD - 0.08, _words_title(explanation, language), size=9.5, color=GREEN, va="baseline")
    first = _HEAD
    if explanation.spans_s:
        first += _BAND
        for fill, (from_s, to_s) in zip(fills, explanation.spans_s, strict=True):
            left, right = (width * (s - explanation.start_s) / length_s for s in (from_s, to_s))
            axes.add_patch(Rectangle((left, _HEAD), right - left, _BAND, facecolor=fill, edgecolor=GREY, linewidth=0.6))
    for one in labels:
        top, middle = first + 0.06 + one.lane * _LANE, one.left + one.width / 2
        if explanation.spans_s:
            from_s, to_s = explanation.spans_s[one.place]
            spoken = width * ((from_s + to_s) / 2 - explanation.start_s) / length_s
            axes.plot([spoken, middle], [first, top], color="#BBBBBB", linewidth=0.7, zorder=0)
        box = Rectangle((one.left, top), one.width, 0.21, facecolor=fills[one.place], edgecolor="#AAAAAA", lw=0.6)
        axes.add_patch(box)
        text = explanation.words[one.place]
        axes.text(middle, top + 0.15, text, size=_WORD_PT, color=_ink(fills[one.place]), ha="center")
        number = _number(language, one.place)
        axes.text(middle, top + 0.32, number, size=_NUMBER_PT, color=GREY, ha="center")
    left_out = len(explanation.words) - len(labels)
    if left_out:
        axes.text(width, height, f"… {left_out} more words", size=8, color=GREY, ha="right", va="bottom")


def _words_title(explanation: Explanation, language: Weighing) -> str:
    heard = (
        "Words"
        if explanation.asr_confidence is None
        else f"Words as heard (trust {explanation.asr_confidence:.2f} of 1)"
    )
    if language.kind == "attention":
        return f"{heard}: attention, share of the reading"
    return f"{heard}: occlusion, points of “{explanation.answer}” lost without the word"


def _number(language: Weighing, place: int) -> str:
    """Nothing where it is nothing: of many words most are."""
    weight = round(float(language.weights[place]) * 100)
    if not weight:
        return ""
    return f"{weight}%" if language.kind == "attention" else f"{weight:+d}".replace("-", "−")


def _draw_bars(axes: Axes, explanation: Explanation) -> None:
    """A group of bars for each class: what sound says, what words say, and both together."""
    probs = explanation.probs
    final = probs.get("together") or next(iter(probs.values()))
    classes = sorted(final, key=final.__getitem__, reverse=True)[:_CLASSES]
    chosen = [name for name in final if name in classes]
    step = 1 / (len(probs) + 1)
    for row, (who, own) in enumerate(probs.items()):
        at = np.arange(len(chosen)) + (row + 0.5) * step
        values = [own[name] for name in chosen]
        axes.barh(at, values, 0.92 * step, align="edge", color=_COLOURS[who], label=who)
        for y, p in zip(at, values, strict=True):
            axes.text(p + 0.02, y + step / 2, f"{p:.0%}", size=8, color=INK, va="center_baseline")
    axes.set(xlim=(0, 1), ylim=(len(chosen), 0), xticks=[])
    axes.set_yticks(np.arange(len(chosen)) + 0.5, chosen, fontsize=10)
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() == explanation.answer else "normal")
    axes.tick_params(left=False)
    axes.spines[["bottom"]].set_visible(False)
    names = {"sound": "by sound", "words": "by words", "together": "together"}
    handles = [Rectangle((0, 0), 1, 1, color=_COLOURS[who]) for who in probs]
    axes.legend(
        handles, [names[who] for who in probs], loc="lower left", bbox_to_anchor=(-0.75, 1.0), ncols=3, frameon=False,
        fontsize=9, handlelength=0.9, handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip


def _bars_height(explanation: Explanation) -> float:
    final = next(iter(explanation.probs.values()))
    return _HEAD + min(len(final), _CLASSES) * (0.2 * len(explanation.probs) + 0.18)


def _labels(explanation: Explanation, width: float, length_s: float) -> list[_Label]:
    """Where each word is written: near its time, in the first lane in which it touches no other; or as in a text."""
    sizes = [_inches(word, _WORD_PT) + 0.12 for word in explanation.words]
    found: list[_Label] = []
    if not explanation.spans_s:
        left, lane = 0.0, 0
        for place, size in enumerate(sizes):
            if left and left + size > width:
                left, lane = 0.0, lane + 1
            found.append(_Label(place, left, size, lane))
            left += size + _BETWEEN
        return [one for one in found if one.lane < _LANES_MAX]
    ends = [0.0] * _LANES_MAX
    for place, (size, (from_s, to_s)) in enumerate(zip(sizes, explanation.spans_s, strict=True)):
        middle = width * ((from_s + to_s) / 2 - explanation.start_s) / length_s
        left = float(np.clip(middle - size / 2, 0, max(width - size, 0)))
        for lane in [n for n, end in enumerate(ends) if end <= left][:1]:
            ends[lane] = left + size + _BETWEEN
            found.append(_Label(place, left, size, lane))
    return found


def _inches(text: str, points: float) -> float:
    width = text_to_path.get_text_width_height_descent(text, FontProperties(size=points), ismath=False)[0]
    return float(width) / 72


def _limit(weighing: Weighing) -> float:
    """The weight that has the full colour: an even share has half of it at most, a trifle never looks like much."""
    least = 2 / len(weighing.weights) if weighing.kind == "attention" else _LEAST_RANGE
    return max(float(np.abs(weighing.weights).max()), least)


@cache
def _shades(colour: str) -> LinearSegmentedColormap:
    """From what speaks against the answer over white to what counts for it."""
    return LinearSegmentedColormap.from_list("ser", [_lightened(_AGAINST), "#FFFFFF", _lightened(colour)])


def _lightened(colour: str) -> str:
    """Light enough for a waveform and black letters on it."""
    red, green, blue = (0.75 * part + 0.25 for part in to_rgb(colour))
    return to_hex((red, green, blue))


def _ink(colour: str) -> str:
    red, green, blue = to_rgb(colour)
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.45 else "white"
