"""What all pictures share: how a figure is made and saved, and the colours."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sercli.files import write_atomic

# Okabe and Ito's colours, which stay apart for every kind of colour vision; lines differ in dash and marker as well.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
_DPI = 110


@contextmanager
def new_figure(inches: tuple[float, float], path: Path) -> Iterator[Figure]:
    """A figure to draw on, saved at the end.

    A user's own matplotlibrc has no say and the file names neither version nor date, so that its bytes repeat.
    """
    with matplotlib.style.context(["default", {"text.parse_math": False, "font.size": 10}]):
        figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        png = io.BytesIO()
        figure.savefig(png, format="png", metadata={"Software": None}, bbox_inches="tight", pad_inches=0.15)
    write_atomic(path, png.getvalue())
