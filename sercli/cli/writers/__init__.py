"""Writes the predictions of `ser predict`: formats.py and files.py; sinks.py does it."""

from sercli.cli.writers.files import STDIN, targets
from sercli.cli.writers.formats import FORMATS, Format

__all__ = ["FORMATS", "STDIN", "Format", "targets"]
