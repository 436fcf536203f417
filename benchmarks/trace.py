"""Count what one clip passes on its way through `ser predict`: files, functions, and moves back to a file already left.

python benchmarks/trace.py             the counts
python benchmarks/trace.py --list      and every function in the order of its first call

Only calls of the package's own functions count, in the main thread, from the command line's first to its last; what
runs while a module is imported does not. A move back is a call into a file that was called before and then left for
another one.
"""

import argparse
import contextlib
import io
import sys
from pathlib import Path
from types import CodeType, FrameType

import sercli
from sercli import __main__ as command_line

PACKAGE = str(Path(sercli.__file__).parent)
CLIP = Path(__file__).parent.parent / "data" / "demo" / "audio" / "f2-anger-5.ogg"
NOT_CALLS = ("<module>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>")


class Trace:
    """What was called so far."""

    def __init__(self) -> None:
        self.functions: dict[CodeType, None] = {}
        self.files: dict[str, None] = {}
        self.n_back = 0
        self._current = ""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Take note of a call; for `sys.setprofile`."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or self._is_import(frame):
            return
        if code.co_filename != self._current and code.co_filename in self.files:
            self.n_back += 1
        self._current = code.co_filename
        self.files[code.co_filename] = None
        if code.co_name not in NOT_CALLS:
            self.functions[code] = None

    @staticmethod
    def _is_import(frame: FrameType) -> bool:
        """Whether a call comes from the body of a module or a class that is being made."""
        above: FrameType | None = frame
        while above is not None:
            if above.f_code.co_filename.startswith(PACKAGE) and above.f_code.co_name == "<module>":
                return True
            above = above.f_back
        return False


def main() -> None:
    """Trace one prediction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the functions")
    options = parser.parse_args()
    trace = Trace()
    sys.argv = ["ser", "predict", str(CLIP)]
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        sys.setprofile(trace)
        command_line.main()
    sys.setprofile(None)
    assert "anger" in shown.getvalue(), shown.getvalue()
    if options.list:
        for code in trace.functions:
            print(f"{code.co_filename.removeprefix(PACKAGE + '/')}: {code.co_qualname}")
    print(
        f"{len(trace.files)} files, {len(trace.functions)} functions, {trace.n_back} moves back to a file already left"
    )


if __name__ == "__main__":
    main()
