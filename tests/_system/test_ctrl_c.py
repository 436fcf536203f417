"""Ctrl-C at odd moments: it is neither lost nor told of by Python, and leaves the terminal as it was."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress

import pytest

from sercli._system import ctrl_c
from sercli.cli import app


def run(script):
    """A Python of its own, with what it says."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)


LOST = """
import sys, time
from sercli.cli import app

class Disposed:
    def __del__(self):
        raise {error}

def command(**_):
    Disposed()
    time.sleep(60 if {waits} else 0)

app.app = command
app.main()
"""


@pytest.mark.parametrize(
    ("error", "code", "said"), [("KeyboardInterrupt", 130, ""), ("ValueError", 0, "Exception ignored in: <function")]
)
def test_ctrl_c_while_an_object_is_disposed_of_is_not_lost(error, code, said):
    script = LOST.format(error=error, waits=error == "KeyboardInterrupt")
    ended = run(script)
    assert ended.returncode == code
    assert ended.stderr.startswith(said)
    assert bool(ended.stderr) == bool(said)


BAR = """
import sys
from rich.console import Console
from sercli import __main__

show = Console.show_cursor

def pressed(self, shown=True):
    show(self, shown)
    if not shown:
        raise KeyboardInterrupt

Console.show_cursor = pressed
sys.argv = ["ser", "prepare", "table", {corpus!r}, "--out", {out!r}, "--jobs", "1"]
__main__.main()
"""


def test_ctrl_c_when_a_bar_has_just_hidden_the_cursor_shows_it_again(tiny_corpus, tmp_path):
    ours, theirs = pytest.importorskip("pty").openpty()
    script = BAR.format(corpus=str(tiny_corpus), out=str(tmp_path / "out"))
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TERM": "xterm"},
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        timeout=50,
        check=False,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # with which a terminal ends
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert ended.returncode == 130
    assert b"Traceback" not in said
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l") >= 0, said


MADE_OF_IT = """
import sys
from sercli.errors import SerError

def broken_off(*_, **__):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise {error}

class Finder:
    def find_spec(self, name, path=None, target=None):
        if {importing} and name == "sercli.cli.app":
            broken_off()

sys.meta_path.insert(0, Finder())
from sercli import __main__
if not {importing}:
    from sercli.cli import app
    app.app = broken_off
__main__.main()
"""


@pytest.mark.parametrize("importing", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        "ImportError('initialization failed') from error",
        "RuntimeError('__set_name__')",
        "SerError('whisper is not installed') from None",
    ],
)
def test_ctrl_c_of_which_an_import_makes_another_error_is_ctrl_c(error, importing):
    script = MADE_OF_IT.format(error=error, importing=importing)
    ended = run(script)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_an_error_that_has_nothing_to_do_with_ctrl_c_is_told():
    script = (
        "from sercli import __main__\nfrom sercli.cli import app\n"
        "def command(**_):\n    1 / 0\napp.app = command\n__main__.main()\n"
    )
    ended = run(script)
    assert ended.returncode == 1
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_ctrl_c_when_all_is_done_leaves_no_traceback():
    script = (
        "import atexit, os, signal, sys, threading, time\n"
        "from sercli import __main__\nfrom sercli.cli import app\n"
        "def command(**_):\n"
        "    atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"  # Python waits for it at its end
        "app.app = command\n"
        "__main__.main()\n"
    )
    ended = run(script)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_what_is_taken_item_by_item_and_a_second_one_all(times):
    taken, before = [], signal.getsignal(signal.SIGINT)
    with nullcontext() if times == 1 else pytest.raises(KeyboardInterrupt):
        for item in ctrl_c.until_pressed(n for n in range(9)):
            taken.append(item)
            for _ in range(times if item == 3 else 0):
                os.kill(os.getpid(), signal.SIGINT)
    assert taken == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) == before


def test_a_command_that_was_broken_off_leaves_ctrl_c_to_who_called_it(monkeypatch):
    def command(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "app", command)
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 130
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
