"""The templates of reports, page.html and tables.tex, with the filters and values that both use."""

from collections.abc import Callable
from functools import cache
from importlib import resources

import jinja2

from sercli._system.text import percent
from sercli.evaluation import metrics
from sercli.evaluation.published import SOURCE
from sercli.evaluation.report import findings, numbers, settings
from sercli.evaluation.report.tables import TITLES
from sercli.runs.settings import reads

_FILTERS = (
    *(numbers.decimals, numbers.duration, numbers.fact, numbers.interval, percent, numbers.points),
    *(numbers.listed, numbers.marked, numbers.named, numbers.probability, settings.inputs, metrics.as_count, reads),
)


@cache
def template(
    name: str, *, left: str = "{", right: str = "}", finalize: Callable[[object], object] | None = None
) -> jinja2.Template:
    """A template next to this file.

    Args:
        name: of the file.
        left: how its tags begin: with "<" they look like `<% tag %>` and `<< value >>`.
        right: how they end.
        finalize: makes of a value what is written.
    """
    environment = jinja2.Environment(
        block_start_string=f"{left}%",
        block_end_string=f"%{right}",
        variable_start_string=2 * left,
        variable_end_string=2 * right,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(text),
        finalize=finalize,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals.update(findings=findings, systems_settings=settings, titles=TITLES, source=SOURCE)
    return environment.get_template(name)


def text(name: str) -> str:
    """The text of a file next to this one."""
    return resources.files("sercli.evaluation.report").joinpath(name).read_text(encoding="utf-8")
