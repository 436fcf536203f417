"""What all pictures share: how a figure is made and saved, as a PNG or as SVG for a page, and the colours."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from sercli._system.files import write_atomic

# Okabe and Ito's colours, which stay apart for every kind of colour vision; lines differ in dash and marker as well.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
INK = "#010101"  # of text and axes: in a page it becomes the colour of the page's own text
_DPI = 110
_STYLE = {
    "text.parse_math": False,
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # Verdana is as wide, and on most machines
    "grid.color": INK,
    "grid.alpha": 0.13,
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "ser",
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK),
}
_CLEAR = dict.fromkeys(["figure.facecolor", "axes.facecolor"], "none")


class Svg:
    """In place of a file: takes up a picture as text that can stand in a page. See `as_svg`."""

    text = ""


Target = Path | Svg


@contextmanager
def new_figure(inches: tuple[float, float], target: Target) -> Iterator[Figure]:
    """A figure to draw on, saved at the end.

    A user's own matplotlibrc has no say and the file names neither version nor date, so that its bytes repeat.

    Args:
        inches: width and height.
        target: the PNG to write, or what takes up an SVG.
    """
    style: list[Any] = ["default", _STYLE, _CLEAR if isinstance(target, Svg) else {}]
    with matplotlib.style.context(style):
        figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
        (FigureCanvasSVG if isinstance(target, Svg) else FigureCanvasAgg)(figure)
        yield figure
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        if isinstance(target, Svg):
            svg = io.StringIO()
            _save(figure, svg, "svg", dict.fromkeys(["Date", "Creator", "Format", "Type"]))
            target.text = svg.getvalue()
            return
        png = io.BytesIO()
        _save(figure, png, "png", {"Software": None})
    write_atomic(target, png.getvalue())


def as_svg(draw: Callable[[Svg], None], *, label: str) -> str:
    """A picture as one <svg> element for a page: no background, text and axes in the colour of the text around it.

    Its ids begin with a hash of its own content, so that pictures on one page do not take each other's.

    Args:
        draw: one of the picture functions, with all but its target: `lambda svg: confusion_picture(report, svg)`.
        label: what it shows, for those who do not see it.
    """
    target = Svg()
    draw(target)
    own = "p" + hashlib.sha256(target.text.encode()).hexdigest()[:10]
    content = target.text[target.text.index("<svg") :]
    content = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<metadata>.*?</metadata>", "", content, flags=re.DOTALL)
    content = re.sub(r'<g id="[^"]*"', "<g", content)  # names that nothing refers to
    content = re.sub(r' transform="rotate\(-?0 [^"]*"', "", content)
    content = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{own}-", content)
    content = re.sub(r'<text style="(?![^"]*fill:)', '<text style="fill: #000000; ', content)  # black is meant
    content = re.sub(r"\s*\n\s*", "\n", content).replace(INK, "currentColor")
    box = re.search(r'viewBox="[^"]*"', content)
    assert box, "matplotlib gave an <svg> without a viewBox"
    # What matplotlib says by a style sheet, which would hold for the whole page, stands in the element here.
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} '
        f'width="{_width(box[0])}" role="img" aria-label="{escape(label)}" '
        'style="max-width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt">'
    )
    return head + f"<title>{escape(label)}</title>" + content[content.index(">") + 1 :].strip()


def _save(figure: Figure, target: Any, form: str, metadata: dict[str, Any]) -> None:
    figure.savefig(target, format=form, metadata=metadata, bbox_inches="tight", pad_inches=0.15)


def _width(view_box: str) -> int:
    """In CSS pixels, of which an inch has 96; a view box is in points, of which it has 72."""
    return round(float(view_box.rstrip('"').split()[2]) * 96 / 72)
