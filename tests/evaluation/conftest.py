"""What the tests of pictures share."""

import pytest
from matplotlib.figure import Figure

from sercli.evaluation import plots


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a picture function has made, in order."""
    figures = []

    class Recorded(Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(plots.figure, "Figure", Recorded)
    return figures
