"""What becomes of the answers of `ser predict`: their formats, and where they go."""

from sercli.cli.writers.files import STDIN, targets
from sercli.cli.writers.formats import FORMATS, UTF_8, Format
from sercli.cli.writers.sinks import draw, explain, show, stream, write

__all__ = ["FORMATS", "STDIN", "UTF_8", "Format", "draw", "explain", "show", "stream", "targets", "write"]
