"""A recording from left to right: its waveform, emotions and words."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator, PercentFormatter

from sercli._system.text import clock
from sercli.evaluation.plots.figure import BLUE, GREEN, GREY, ORANGE, RED, Target, new_figure
from sercli.types import Array, Prediction

_OF_EMOTION = {"neutral": "#8C8C8C", "happiness": ORANGE, "sadness": BLUE, "anger": RED, "fear": "#CC79A7"} | {
    "disgust": GREEN,
    "surprise": "#56B4E9",
    "calm": "#B5A642",
    "boredom": "#8B6F5A",
}
_NO_ANSWER = "#C8C8C8"
_PALE = 0.22  # opacity of all but the answer
_PEAK_S = 0.02  # the waveform is drawn by its loudest sample in each stretch of this length
_PEAKS_MAX = 2400  # no picture has more columns
_NARROWEST_IN = 0.04  # of an utterance that is drawn by itself
_STRETCHES = 120  # for the means of a longer recording
_CHARACTER_IN = 0.058  # mean width of a letter of the words below the timeline, in inches
_WORDS_LINES = 5
_TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_LANE_IN = 0.2  # height of a speaker's lane
_LEGEND = 8  # of so many classes the legend has all, of more those that are an answer


def timeline_picture(
    predictions: Sequence[Prediction], labels: Sequence[str], blocks: Iterable[Array], rate_hz: int, target: Target
) -> None:
    """Draw one recording from left to right: its waveform, the emotion of each utterance, and words where they fit.

    An utterance's label stands at the bottom, as high as it is probable; the other classes are pale above it. Where
    utterances would be too narrow to be seen, stretches of time have the mean over theirs. Where speakers are told
    apart, a lane for each shows when and with which emotion this one speaks.

    Args:
        predictions: in the order of time.
        labels: (K,) all classes.
        blocks: the recording's samples, (n,) each, one after the other.
        rate_hz: of the samples.
        target: the PNG to write, or where an SVG goes.
    """
    peaks = _peaks(blocks, rate_hz)
    length_s = max([len(peaks) * _PEAK_S, *(p.end_s for p in predictions)])
    colours = _colours(labels)
    width = float(np.clip(8 + length_s / 12, 8, 12))
    inches_per_s = (width - 0.9) / length_s
    texts = _fitted_words(predictions, length_s, inches_per_s)
    n_lines = max((text.count("\n") + 1 for text in texts.values()), default=0)
    speakers = sorted({p.speaker for p in predictions if p.speaker}, key=lambda name: (len(name), name))
    lanes_in = _LANE_IN * len(speakers)
    with new_figure((width, 3.4 + 0.16 * n_lines + lanes_in), target) as figure:
        heights = (1, lanes_in, 1.8) if speakers else (1, 1.8)
        upper, *between, lower = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        for lanes in between:
            _draw_speakers(lanes, predictions, speakers, colours)
        _draw_waveform(upper, peaks, predictions, colours)
        usual_s = np.median([p.end_s - p.start_s for p in predictions] or [0.0])
        wide = bool(usual_s * inches_per_s >= _NARROWEST_IN)
        if wide:
            _draw_bands(lower, predictions, colours, inches_per_s)
        else:
            _draw_means(lower, predictions, colours, length_s)
        for place, text in texts.items():
            lower.annotate(
                text, (place, 0), (1, -20), xycoords=("data", "axes fraction"), textcoords="offset points",
                va="top", size=7, color="#333333", linespacing=1.15, annotation_clip=False,
            )  # fmt: skip
        lower.set(xlim=(0, length_s), ylim=(0, 1), ylabel="Probability" if wide else "Mean probability")
        tick_s = next((step for step in _TICK_STEPS_S if length_s / step <= 12), 7200)
        lower.xaxis.set_major_locator(MultipleLocator(tick_s))
        lower.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        lower.yaxis.set_major_formatter(PercentFormatter(1))
        _name_emotions(figure, predictions, colours, Path(predictions[0].path).name if predictions else "")


def _peaks(blocks: Iterable[Array], rate_hz: int) -> Array:
    """(n,) the loudest sample of each stretch of 20 ms."""
    size = round(_PEAK_S * rate_hz)
    found, rest = [np.zeros(0)], np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, np.abs(block)])
        whole = len(rest) - len(rest) % size
        found.append(rest[:whole].reshape(-1, size).max(axis=1))
        rest = rest[whole:]
    return np.concatenate([*found, [rest.max()] if len(rest) else []])


def _colours(labels: Sequence[str]) -> dict[str, str]:
    """One for each class: an emotion's own, else one of a long list."""
    others = iter([to_hex(matplotlib.colormaps[name](k)) for name in ("tab20", "tab20b") for k in range(20)])
    return {label: _OF_EMOTION.get(label) or next(others, GREY) for label in labels}


def _draw_waveform(axes: Axes, peaks: Array, predictions: Sequence[Prediction], colours: Mapping[str, str]) -> None:
    """Grey where nobody speaks, else in the colour of the answer."""
    size = -(-len(peaks) // _PEAKS_MAX)
    high = np.pad(peaks, (0, -len(peaks) % size)).reshape(-1, size).max(axis=1)
    times = (np.arange(len(high)) + 0.5) * size * _PEAK_S
    high = high / max(high.max(initial=0), 1e-4)
    axes.fill_between(times, -high, high, color=_NO_ANSWER, linewidth=0)
    for label, colour in colours.items():
        within = np.zeros(len(times), bool)
        for p in predictions:
            if p.label == label:  # one column more on each side: a single one would not be seen
                first, last = np.searchsorted(times, (p.start_s, p.end_s))
                within[max(first - 1, 0) : last + 1] = True
        axes.fill_between(times, -high, high, where=within.tolist(), color=colour, linewidth=0)
    axes.set(ylim=(-1.05, 1.05), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False)


def _draw_speakers(
    axes: Axes, predictions: Sequence[Prediction], speakers: Sequence[str], colours: Mapping[str, str]
) -> None:
    """One lane for each speaker, the first at the top, with the utterances in the colours of their answers."""
    for lane, speaker in enumerate(speakers):
        mine = [p for p in predictions if p.speaker == speaker]
        spans = [(p.start_s, p.end_s - p.start_s) for p in mine]
        axes.broken_barh(spans, (lane - 0.4, 0.8), color=[colours.get(p.label or "", _NO_ANSWER) for p in mine], lw=0)
    axes.set(ylim=(len(speakers) - 0.5, -0.5), yticks=range(len(speakers)), yticklabels=speakers)
    axes.grid(axis="y", color="#E5E5E5")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)


def _draw_bands(axes: Axes, predictions: Sequence[Prediction], colours: Mapping[str, str], inches_per_s: float) -> None:
    """One column for each utterance: its answer at the bottom, by name where there is room, the others above it."""
    axes.grid(axis="y", color="#E5E5E5")
    for p in predictions:
        left, width, height = p.start_s, p.end_s - p.start_s, 0.0
        if p.probabilities:
            axes.bar(left, 1, width, align="edge", color="white", lw=0)  # hides the lines behind what is pale
        for label, share in sorted(p.probabilities.items(), key=lambda item: -item[1]):
            alpha = 1 if label == p.label else _PALE
            axes.bar(left, share, width, height, align="edge", color=colours[label], alpha=alpha, ec="white", lw=0.4)
            height += share
        letters = int(width * inches_per_s / _CHARACTER_IN) - 1
        if p.label and letters >= 3:
            name = p.label if letters >= len(p.label) else p.label[:3]
            ink = _ink(colours[p.label]) if p.label in colours else "black"
            axes.text(left + width / 2, 0.03, name, ha="center", size=7, color=ink)


def _draw_means(axes: Axes, predictions: Sequence[Prediction], colours: Mapping[str, str], length_s: float) -> None:
    """One column for each stretch of time: the classes, one on the other, by their mean over what is spoken."""
    edges = np.linspace(0, length_s, _STRETCHES + 1)
    spoken = np.zeros(_STRETCHES)
    sums = {label: np.zeros(_STRETCHES) for label in colours}
    for p in predictions:
        shared = np.clip(np.minimum(edges[1:], p.end_s) - np.maximum(edges[:-1], p.start_s), 0, None)
        spoken += shared * bool(p.probabilities)
        for label, share in p.probabilities.items():
            sums[label] += shared * share
    has_speech = spoken > 0
    height = np.zeros(int(has_speech.sum()))
    for label, total in sums.items():
        mean = total[has_speech] / spoken[has_speech]
        axes.bar(edges[:-1][has_speech], mean, length_s / _STRETCHES, height, align="edge", color=colours[label], lw=0)
        height += mean


def _ink(colour: str) -> str:
    """Black or white, whichever is read more easily on a colour."""
    red, green, blue = to_rgb(colour)
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.56 else "white"


def _fitted_words(predictions: Sequence[Prediction], length_s: float, inches_per_s: float) -> dict[float, str]:
    """By start: the words of those utterances whose room, up to the next one's start, is wide enough for them."""
    ends = [*(p.start_s for p in predictions[1:]), length_s]
    fitted = {}
    for p, end_s in zip(predictions, ends, strict=False):
        letters = int((end_s - p.start_s) * inches_per_s / _CHARACTER_IN) - 1
        lines = textwrap.wrap(
            p.clear_text, max(letters, 8), max_lines=_WORDS_LINES, placeholder=" …", break_long_words=False
        )
        if lines and max(map(len, lines)) <= letters:
            fitted[p.start_s] = "\n".join(lines)
    return fitted


def _name_emotions(figure: Figure, predictions: Sequence[Prediction], colours: Mapping[str, str], name: str) -> None:
    """The recording's name and, in the legend, each emotion with its share of the speech."""
    spent = {label: sum(p.end_s - p.start_s for p in predictions if p.label == label) for label in colours}
    total = sum(p.end_s - p.start_s for p in predictions)
    shown = {label: s for label, s in spent.items() if s or (total and len(colours) <= _LEGEND)}
    title, share = ("share of speech", "{} {:.0%}") if len(predictions) > 1 else (None, "{}")
    patches = [Patch(color=colours[label], label=share.format(label, s / total)) for label, s in shown.items()]
    figure.suptitle(name, fontsize=11, x=0.02, ha="left")
    if patches:
        n = min(len(patches), _LEGEND)
        figure.legend(handles=patches, title=title, loc="outside upper right", ncols=n, fontsize=9, title_fontsize=8)
