"""The output of `ser predict`: its formats and file names."""

from sercli.cli.writers.files import MIC, STDIN, single_file, targets
from sercli.cli.writers.formats import FORMATS, Format

__all__ = ["FORMATS", "MIC", "STDIN", "Format", "single_file", "targets"]
