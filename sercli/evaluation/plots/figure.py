"""What all pictures share: making and saving a figure, as PNG or as SVG for a page, and the colours."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sercli._system.files import write_atomic

# The palette of Okabe and Ito, safe for colour blindness; lines differ in dash and marker as well.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
INK = "#010101"  # of text and axes; in a page it is replaced by the colour of the text
_DPI = 110
_STYLE = {
    "text.parse_math": False,
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # Verdana is as wide, and on most machines
    "grid.color": INK,
    "grid.alpha": 0.13,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text, for search, copying and screen readers
    "svg.hashsalt": "ser",
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK),
}
_CLEAR = dict.fromkeys(["figure.facecolor", "axes.facecolor"], "none")


def percent_axis() -> FuncFormatter:
    """Ticks of shares, written alike."""
    return FuncFormatter(lambda share, _: f"{100 * share:.4g} %")


Target = Path | io.BytesIO  # a PNG file, or an SVG in memory


@contextmanager
def new_figure(inches: tuple[float, float], target: Target) -> Iterator[Figure]:
    """A figure to draw on, which is saved at the end.

    The user's matplotlibrc is ignored and the file has neither version nor date, so that its bytes are reproducible.

    Args:
        inches: width and height.
        target: the PNG to write, or where an SVG goes.
    """
    svg = isinstance(target, io.BytesIO)
    metadata: dict[str, str | None] = dict.fromkeys(["Date", "Creator", "Format", "Type"] if svg else ["Software"])
    content = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE, _CLEAR if svg else {}]):
        figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
        (FigureCanvasSVG if svg else FigureCanvasAgg)(figure)
        yield figure
        form = "svg" if svg else "png"
        with warnings.catch_warnings():  # a control character in a label is drawn as a box, and reaches no terminal
            warnings.filterwarnings("ignore", r"Glyph (\d|[12]\d|3[01]|12[789]|1[345]\d) ")
            figure.savefig(content, format=form, metadata=metadata, bbox_inches="tight", pad_inches=0.15)
    if isinstance(target, io.BytesIO):
        target.write(content.getvalue())
    else:
        write_atomic(target, content.getvalue())


def as_svg(draw: Callable[..., None], *shown: object, label: str, prefix: str = "") -> str:
    """A picture as one <svg> element for a page: no background, text and axes in the colour of the text around it.

    Args:
        draw: one of the picture functions whose target comes last.
        shown: its arguments before the target.
        label: what it shows, for screen readers.
        prefix: of its ids, different for each picture on a page.
    """
    target = io.BytesIO()
    draw(*shown, target)
    svg = "<svg" + target.getvalue().decode().partition("<svg")[2].replace(INK, "currentColor")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # the style would hold for the whole page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names that nothing refers to
    svg = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    style = "max-width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt"
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}" style="{style}"', 1).strip()
