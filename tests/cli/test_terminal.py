"""What stands on the screen when a command has ended, in a terminal of 40, 80 or 120 columns."""

import fcntl
import os
import struct
import sys
import termios
import threading
from types import SimpleNamespace

import numpy as np
import pyte
import pytest
import soundfile
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sercli.cli import app
from sercli.evaluation import plots

COLUMNS = (40, 80, 120)
LINES = 24  # fewer than most commands print, so that bars also stand at the lower end of the screen
END = b"\x1b]0;end\x07"
WIDE = Console(width=1000)
BAR = "━╸╺"
QUICK = ["--set", "train.epochs=2", "--set", "architecture.hidden_size=8"]


@pytest.fixture
def screen(monkeypatch, forget_consoles):
    """screen(columns, *words) runs `ser WORDS ...` on a terminal and returns its exit code and what stands there."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(columns, *words):
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        shown = pyte.HistoryScreen(columns, LINES, history=10_000)
        written = bytearray()
        reader = threading.Thread(target=_read, args=(ours, pyte.ByteStream(shown), written))
        reader.start()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["ser", *map(str, words)])
            forget_consoles()
            code = _on_terminal(theirs, patch)
        forget_consoles()
        os.write(theirs, END)
        reader.join(30)
        assert not reader.is_alive()
        os.close(ours)
        os.close(theirs)
        rows = [*shown.history.top, *(shown.buffer[y] for y in range(LINES))]
        cells = [[row[x] for x in range(columns)] for row in rows]
        lines = ["".join(cell.data for cell in row).rstrip() for row in cells]
        return SimpleNamespace(code=code, cells=cells, lines=lines, cursor=shown.cursor, written=written.decode())

    return run


def _on_terminal(terminal, patch):
    """The exit code of `ser` with a terminal as its three streams."""
    before = [os.dup(number) for number in range(3)]
    for number in range(3):
        os.dup2(terminal, number)
    try:
        with open(1, "w", encoding="utf-8", closefd=False) as out, open(2, "w", encoding="utf-8", closefd=False) as err:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                app.main()
    finally:
        for number, old in enumerate(before):
            os.dup2(old, number)
            os.close(old)
    return ended.value.code


def _read(terminal, stream, written):
    while not written.endswith(END):
        written += (part := os.read(terminal, 65536))
        stream.feed(part)


@pytest.fixture(scope="session")
def talk(demo_clips, made_once):
    """A recording of five utterances, 17 s."""

    def make(folder):
        clips = [soundfile.read(demo_clips(f"m1-{name}-1"), dtype="float32")[0] for name in ("anger", "sadness")]
        parts = [part for clip in (clips * 3)[:5] for part in (clip, np.zeros(24_000, np.float32))]
        soundfile.write(folder / "talk.wav", np.concatenate(parts), 16_000)

    return made_once("talk", make) / "talk.wav"


@pytest.fixture
def commands(demo_runs, talk, tmp_path):
    """Each command once, and `predict` in each of its shapes; all can be repeated."""
    base = demo_runs.acoustic.parent
    data = base / "data"
    sides = ["-a", demo_runs.acoustic, "-l", demo_runs.linguistic]
    again = ["--data", data, "--csv", tmp_path / "values.csv", "--jobs", 1]
    predict = ["predict", talk, "--model", demo_runs.acoustic]
    return [
        ["prepare", "table", base / "table.csv", "--out", tmp_path / "data", "--features", "lld,words", "--jobs", 1],
        ["tune", "-m", "linguistic", "--data", data, "--out", tmp_path / "study", "--trials", 2, *QUICK[:2]],
        ["train", "-m", "linguistic", "--data", data, "--out", tmp_path / "run", *QUICK],
        ["ensemble", *sides, "--data", data, "--out", tmp_path / "fused", "--rule", "feature", *QUICK[:2]],
        ["evaluate", demo_runs.acoustic, demo_runs.linguistic, *again],
        [*predict, "--adapt", "none"],
        predict,
        [*predict, "--json"],
    ]


def _wrapped(text, columns):
    """The lines of a text, broken between words; JSON is broken anywhere."""
    for line in text.replace(" %", "\ue000%").splitlines():  # a number and its % stay together
        if line.startswith("{"):
            yield from (line[at : at + columns].rstrip() for at in range(0, len(line), columns))
        else:
            fits = cell_len(line.rstrip()) <= columns or any(cell_len(word) >= columns for word in line.split())
            # else a blank stands after each word, at the edge too
            parts = Text(line.rstrip()).wrap(WIDE, columns if fits else columns - 1)
            yield from (part.plain.rstrip().replace("\ue000", " ") for part in parts)


@pytest.mark.parametrize("columns", COLUMNS)
def test_the_screen_shows_what_a_pipe_gets_and_no_bar(screen, ser, commands, monkeypatch, columns):
    monkeypatch.setattr(plots, "trials_picture", lambda *_: None)
    for words in commands:
        shown = screen(columns, *words)
        assert any(sign in shown.written for sign in BAR), f"{words[0]} showed no bar"
        assert not any(sign in line for line in shown.lines for sign in BAR), words
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            piped = ser(*words)
        assert shown.code == piped.code == 0
        expected = [*_wrapped(piped.out, columns), *_wrapped(piped.err, columns)]
        assert sorted(filter(None, shown.lines)) == sorted(filter(None, expected)), words
        assert not shown.cursor.hidden
        assert shown.cursor.x == 0


def test_an_export_shows_a_bar_until_it_ends(screen, demo_runs, tmp_path):
    shown = screen(80, "export", demo_runs.acoustic, "-o", tmp_path / "onnx")  # a run that is refused, which is fast
    assert any(sign in shown.written for sign in BAR)
    assert not any(sign in line for line in shown.lines for sign in BAR)


def test_the_card_is_laid_out_for_the_terminal(screen):
    shown = screen(80, "predict", "--card")
    text = "\n".join(shown.lines)
    assert shown.code == 0
    assert "The model that ships with ser" in text
    assert "| acoustic |" not in text
    assert "made by ordinary commands\n(benchmarks/make_pretrained.py)" in text


def test_quiet_leaves_answers_and_warnings_alone(screen, ser, commands, monkeypatch):
    monkeypatch.setattr(plots, "trials_picture", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "80")
    for words in commands:
        shown = screen(80, *words, "-q")
        assert (shown.code, any(sign in shown.written for sign in BAR)) == (0, False)
        told = ser(*words) if words[0] in ("evaluate", "predict") else None
        warnings = [line for line in told.err.splitlines(keepends=True) if line.startswith("warning: ")] if told else []
        summed = ("adapted to the ", "0:10.6 of speech: ")
        answers = [line for line in told.out.splitlines(keepends=True) if not line.startswith(summed)] if told else []
        left = "".join([*answers, *warnings])
        assert [*filter(None, shown.lines)] == [*filter(None, _wrapped(left, 80))]


def _contrast(one, other):
    """The contrast of two colours (WCAG 2), from 1 to 21."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_suit_light_and_dark_terminals_and_no_color_has_none(
    screen, demo_runs, demo_clips, tmp_path, monkeypatch
):
    """Text has a colour that is readable on black and on white; bars may have others, and so has a background."""
    (broken := tmp_path / "broken.wav").write_bytes(b"RIFF")
    clip, model = demo_clips("m1-anger-1"), ["--model", demo_runs.acoustic]
    for words in (["evaluate", demo_runs.acoustic], ["predict", clip, *model], ["predict", clip, broken, *model]):
        coloured = screen(80, *words)
        pairs = {
            (cell.fg, cell.bg, cell.data in "█▏▎▍▌▋▊▉") for row in coloured.cells for cell in row if cell.data.strip()
        }
        assert len(pairs) > 1
        for colour, behind, is_bar in pairs:
            if behind == "default":
                assert colour in ("default", "red", "magenta", *(("green", "blue") if is_bar else ()))
            else:
                assert _contrast(colour, behind) > 4.5
        with monkeypatch.context() as patch:
            patch.setenv("NO_COLOR", "1")
            plain = screen(80, *words)
        assert plain.lines == coloured.lines
        assert {(cell.fg, cell.bg) for row in plain.cells for cell in row} == {("default", "default")}


@pytest.mark.parametrize(
    ("words", "where", "said"),
    [
        (
            ["prepare", "demo", "--out", "data"],
            "dataset.preparation.prepare",
            "What was read, computed and transcribed is kept in data; the same command goes on from there.",
        ),
        (
            ["tune", "--data", "data", "--out", "study"],
            "training.setup.make_setup",
            "Finished trials are kept in study; the same command goes on from there.",
        ),
        (
            ["train", "--data", "data", "--out", "run"],
            "training.setup.make_setup",
            "Finished runs and epochs are kept in run; the same command goes on from there.",
        ),
        (
            ["ensemble", "-a", "a", "-l", "l", "--data", "data", "--out", "both"],
            "training.fusion.rule_configs",
            "Finished ensembles are kept in both; the same command goes on from there.",
        ),
        (
            ["evaluate", "run"],
            "runs.load_finished",
            "Features that were computed are kept, no scores; the same command begins again.",
        ),
        (
            ["predict", "a.wav"],
            "cli.sources.recordings",
            "Nothing is kept but what is shown; with --out FOLDER --skip-done a repeated command goes on where it "
            "stopped.",
        ),
        (
            ["predict", "a.wav", "-o", "a.csv"],
            "cli.sources.recordings",
            "a.csv is not written; with --out FOLDER --skip-done a repeated command goes on where it stopped.",
        ),
        (
            ["predict", "a.wav", "-o", "found"],
            "cli.sources.recordings",
            "Finished files are kept in found; the same command with --skip-done goes on from there.",
        ),
        (
            ["predict", "a.wav", "-o", "found", "--skip-done"],
            "cli.sources.recordings",
            "Finished files are kept in found; the same command goes on from there.",
        ),
    ],
)
def test_ctrl_c_says_in_one_line_what_is_kept_and_how_to_go_on(ser, screen, monkeypatch, words, where, said):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"sercli.{where}", interrupt)
    stopped = ser(*words)
    assert (stopped.code, stopped.out, stopped.err) == (130, "", f"ser: interrupted. {said}\n")
    shown = screen(40, *words)
    assert shown.code == 130
    assert [*filter(None, shown.lines)] == [*_wrapped(stopped.err, 40)]
