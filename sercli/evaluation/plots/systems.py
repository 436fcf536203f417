"""Pictures of an evaluation: systems with their intervals, reliability diagrams, risk by coverage."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from sercli._system.text import percent
from sercli.evaluation.plots.figure import BLUE, GREEN, GREY, ORANGE, RED, Target, new_figure, percent_axis
from sercli.evaluation.results import SystemResult
from sercli.types import Report

_COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", GREY)
_DASHES = ("-", "--", "-.", ":")  # four and seven: the 29th curve is the first to repeat


def intervals_picture(systems: Sequence[SystemResult], baselines: Sequence[Report], target: Target) -> None:
    """Draw the UA of systems with its 95 % interval, one below the other, and a line for each baseline.

    Args:
        systems: in the order to show, the first at the top; at least one.
        baselines: those of equal UA share a line.
        target: the PNG to write, or where an SVG goes.
    """
    with new_figure((7.5, 1.3 + 0.34 * len(systems)), target) as figure:
        axes = figure.add_subplot()
        for place, system in enumerate(systems):
            shown, (colour, _) = system.ua, _style(place)
            axes.hlines(place, shown.low, shown.high, color=colour, linewidth=2)
            axes.plot(shown.value, place, "o", color=colour, markersize=6.5)
            axes.annotate(
                f"{percent(shown.value)} %", (1, place), (6, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", annotation_clip=False,
            )  # fmt: skip
        for ua in dict.fromkeys(baseline.ua for baseline in baselines):
            names = ", ".join(baseline.name for baseline in baselines if baseline.ua == ua)
            axes.axvline(ua, color=GREY, linestyle=":", linewidth=1.2, label=f"{names}: {percent(ua)} %")
        axes.set_yticks(range(len(systems)), [system.name for system in systems])
        axes.set(ylim=(len(systems) - 0.4, -0.6), xlabel="UA, with its 95 % interval")
        axes.xaxis.set_major_formatter(percent_axis())
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        figure.legend(loc="outside upper left")


def _style(place: int) -> tuple[str, str]:
    """The colour and the dash of a system in all pictures, by its place among the systems."""
    return _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]


def reliability_picture(system: SystemResult, place: int, target: Target) -> None:
    """Draw accuracy against confidence, and the share of the predictions in each bin.

    Args:
        system: with at least one bin.
        place: of the system among all, which gives its colour.
        target: the PNG to write, or where an SVG goes.
    """
    confidence, accuracy, n = np.array([astuple(group) for group in system.reliability]).T
    colour, _ = _style(place)
    with new_figure((4.2, 4.6), target) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="perfectly calibrated")
        upper.vlines(confidence, confidence, accuracy, color=GREY, linewidth=2, alpha=0.5, label="difference")
        upper.plot(confidence, accuracy, color=colour, marker="o", markersize=4.5, label="predictions")
        upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Accuracy")
        upper.set_title(system.name, fontsize=11)
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        lower.bar(confidence, n / n.sum(), width=0.04, color=colour)
        lower.set(xlabel="Confidence", ylabel="Predictions")
        lower.yaxis.set_major_locator(MaxNLocator(2))
        for axes in (upper, lower):
            axes.xaxis.set_major_formatter(percent_axis())
            axes.yaxis.set_major_formatter(percent_axis())
            axes.grid()


def risk_coverage_picture(systems: Sequence[SystemResult], target: Target) -> None:
    """Draw the risk (share of wrong predictions) by coverage, when the least confident predictions are withheld.

    Args:
        systems: a curve each, in the order of the legend; at least one.
        target: the PNG to write, or where an SVG goes.
    """
    with new_figure((7.0, 4.2), target) as figure:
        axes = figure.add_subplot()
        for place, system in enumerate(systems):
            colour, dash = _style(place)
            coverage, risk = np.array(system.risk_coverage).T
            axes.plot(coverage, risk, dash, color=colour, linewidth=1.8, label=system.name)
            axes.plot(coverage[-1:], risk[-1:], "o", color=colour, markersize=4)
        axes.set(xlim=(0, 1.01), xlabel="Coverage, the most confident predictions first")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("Risk")
        axes.xaxis.set_major_formatter(percent_axis())
        axes.yaxis.set_major_formatter(percent_axis())
        axes.grid()
        figure.legend(loc="outside right upper", fontsize=9)
