"""An evaluation for readers: one HTML page that needs no network, LaTeX tables, and one tidy CSV."""

from sercli.evaluation.report.latex import latex
from sercli.evaluation.report.page import page
from sercli.evaluation.report.tables import csv_table

__all__ = ["csv_table", "latex", "page"]
