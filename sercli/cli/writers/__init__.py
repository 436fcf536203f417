"""The output of `ser predict`: its formats and file names; sinks.py writes it."""

from sercli.cli.writers.files import STDIN, single_file, targets
from sercli.cli.writers.formats import FORMATS, Format

__all__ = ["FORMATS", "STDIN", "Format", "single_file", "targets"]
