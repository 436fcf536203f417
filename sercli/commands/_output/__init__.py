"""What becomes of the answers of `ser predict`: their formats, and where they go."""

from sercli.commands._output.files import STDIN, targets
from sercli.commands._output.formats import FORMATS, UTF_8, Format
from sercli.commands._output.sinks import draw, explain, show, stream, write

__all__ = ["FORMATS", "STDIN", "UTF_8", "Format", "draw", "explain", "show", "stream", "targets", "write"]
