"""Pictures of results: confusion matrices, trainings, searches."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from sercli._system.text import percent
from sercli.evaluation.metrics import as_count
from sercli.evaluation.plots.figure import BLUE, GREY, INK, ORANGE, RED, Target, new_figure
from sercli.types import Array, EpochResult, Report

_SLATE = "#51687F"  # no system's colour
_HEAT = LinearSegmentedColormap.from_list("ser", [f"{_SLATE}00", _SLATE])  # by opacity, for light and dark pages
_DARK = 0.87  # share of a row above which text is white, on light and dark pages


def confusion_picture(report: Report, target: Target) -> None:
    """Draw the confusion matrix as a heat map of recall: each cell has its count and its share of the row.

    The picture grows with the number of classes, readable for 2 to 28. A class without utterances has a hatched row.

    Args:
        report: of one system.
        target: the PNG to write, or where an SVG goes.
    """
    counts = np.array(report.confusion)
    k = len(report.labels)
    widest = max(len(label) for label in report.labels)
    side = 2.2 + 0.075 * widest + max(0.62 * k, 3.0)
    with new_figure((side, side), target) as figure:
        axes = figure.add_subplot()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        edges = np.arange(k + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap=_HEAT, vmin=0, vmax=1)
        axes.set(aspect="equal", ylim=(k - 0.5, -0.5))
        _write_cells(axes, counts, shares)
        _name_classes(axes, report, counts)
        seeds = f", mean over {report.n_seeds} seeds" if report.n_seeds > 1 else ""
        axes.set_title(
            f"{report.name}\nWA {percent(report.wa)} % · UA {percent(report.ua)} % · n {report.n:,}{seeds}",
            fontsize=12,
            pad=10,
        )


def history_picture(history: Sequence[EpochResult], target: Target, best_epoch: int) -> None:
    """Draw the losses and the validation UA of a training, and mark the epoch that was kept.

    Args:
        history: at least one epoch, with a validation part.
        target: the PNG to write, or where an SVG goes.
        best_epoch: counted from 1, in the history.
    """
    epochs = [result.epoch for result in history]
    with new_figure((7.5, 6.0), target) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        marker = "o" if len(epochs) < 30 else ""
        upper.plot(epochs, [r.train_loss for r in history], f"{marker}--", color=ORANGE, markersize=3.5, label="train")
        for axes, values in ((upper, [r.valid_loss for r in history]), (lower, [r.valid_uar for r in history])):
            axes.plot(epochs, values, f"{marker}-", color=BLUE, markersize=3.5, label="validation")
            best = values[best_epoch - 1]
            assert best is not None
            _mark_best(axes, best_epoch, best, f"epoch {best_epoch}: {best:.3f}")
        upper.set_ylabel("Loss")
        lower.set(ylabel="UA", xlabel="Epoch")
        _whole_numbers(lower)
        for axes in (upper, lower):
            axes.legend()


def trials_picture(values: Sequence[float | None], states: Sequence[str], target: Target) -> None:
    """Draw the validation UA of each trial of a search, and the best so far.

    Args:
        values: (N,) of the trials in their order; None for a trial without one.
        states: (N,) as Optuna names them ("COMPLETE", "PRUNED", "FAIL", ...), in any case.
        target: the PNG to write, or where an SVG goes.
    """
    assert len(values) == len(states), f"{len(values)} values and {len(states)} states"
    y = np.array(values, dtype=np.float64)  # NaN for None
    lower = np.char.lower(np.array(states, dtype=str))
    complete, pruned = (lower == "complete") & np.isfinite(y), lower == "pruned"
    with new_figure((7.5, 4.5), target) as figure:
        axes = figure.add_subplot()
        _draw_best_so_far(axes, np.where(complete, y, np.nan))
        _draw_trials(axes, y, complete, "complete", "o", BLUE)
        _draw_trials(axes, y, pruned, "pruned", "x", ORANGE)
        _draw_trials(axes, y, ~complete & ~pruned, "not finished", "v", GREY)
        axes.set(xlabel="Trial", ylabel="Validation UA")
        _whole_numbers(axes)
        if len(values):
            figure.legend(loc="outside upper center", ncols=4)
        else:
            axes.text(0.5, 0.5, "No trial yet", ha="center", transform=axes.transAxes)


def _write_cells(axes: Axes, counts: Array, shares: Array) -> None:
    """Count over percentage; a pale 0 in an empty cell, hatches in the row of a class without utterances."""
    k = len(counts)
    size = float(np.clip(15 - k, 8.5, 12))
    for row in range(k):
        if not counts[row].any():
            axes.axhspan(row - 0.5, row + 0.5, facecolor=f"{GREY}22", edgecolor=f"{GREY}99", hatch="///", linewidth=0)
            continue
        for column in range(k):
            count, share = counts[row, column], shares[row, column]
            colour = "white" if share > _DARK else INK if count else GREY
            weight = "bold" if row == column else "normal"
            text = f"{as_count(count)}\n{percent(share, 0) if share >= 0.005 else '< 1'} %" if count else "0"
            axes.text(column, row, text, ha="center", va="center", c=colour, size=size, weight=weight)


def _name_classes(axes: Axes, report: Report, counts: Array) -> None:
    """Label both axes, the true one with the number of utterances, and draw lines between the cells."""
    places = np.arange(len(report.labels))
    rows = [
        f"{label} ({as_count(n) if n else 'none'})"
        for label, n in zip(report.labels, counts.sum(axis=1).tolist(), strict=True)
    ]
    axes.set_xticks(places, report.labels)
    axes.set_yticks(places, rows)
    if len(places) > 4 or max(len(label) for label in report.labels) > 9:
        for text in axes.get_xticklabels():
            text.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_xlabel("Predicted (count, share of the true class)", fontweight="bold")
    axes.set_ylabel("True", fontweight="bold")
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.8)
    axes.tick_params(which="both", length=0)


def _whole_numbers(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _mark_best(axes: Axes, epoch: int, value: float, text: str) -> None:
    axes.axvline(epoch, color=GREY, linestyle=":", linewidth=1.2)
    axes.plot([epoch], [value], marker="*", markersize=13, color=RED, linestyle="none", label=f"kept, {text}")
    axes.grid(axis="y")


def _draw_best_so_far(axes: Axes, finished: Array) -> None:
    """A step line; unfinished trials are NaN, which fmax ignores."""
    if np.isfinite(finished).any():
        best = np.fmax.accumulate(finished)
        label = f"best so far ({best[-1]:.3f})"
        axes.step(np.arange(1, len(best) + 1), best, where="post", color=RED, linewidth=1.8, label=label)
    axes.grid(axis="y")


def _draw_trials(axes: Axes, y: Array, chosen: Array, label: str, marker: str, colour: str) -> None:
    """Points at their values; those without a value are on the lower edge."""
    if not chosen.any():
        return
    numbers = np.arange(1, len(y) + 1)
    bare = numbers[chosen & np.isnan(y)]
    label = f"{label} ({chosen.sum()})"
    axes.plot(numbers[chosen], y[chosen], marker, color=colour, markersize=5, label=label)
    axes.plot(bare, np.full(len(bare), 0.02), marker, color=colour, transform=axes.get_xaxis_transform())
