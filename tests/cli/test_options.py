"""Options that are given twice: where only one value can be used, none is taken in silence."""

import pytest
import typer

from sercli.cli import app

ROOT = typer.main.get_command(app.app)
SINGLE = [
    (name, max(option.opts, key=len))
    for name, command in ROOT.commands.items()
    for option in command.params
    if option.param_type_name == "option" and not option.is_flag and not option.multiple
]


@pytest.mark.parametrize(("command", "option"), SINGLE)
def test_an_option_with_one_value_is_refused_twice(ser, command, option):
    shown = ser(command, option, "1", option, "2")
    assert shown.code == 2
    assert shown.err == f"ser: {option} is given more than once, and only one value can be used; give it once.\n"


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [("train", "--set", ("train.lr=1", "train.lr=2")), ("prepare", "--where", ("sex=f", "sex=m"))],
)
def test_a_key_is_refused_twice(ser, command, option, values):
    shown = ser(command, option, values[0], option, values[1])
    assert f"{option} {values[0].partition('=')[0]} is given more than once" in shown.err


def test_flags_and_options_for_several_values_may_be_repeated(ser):
    shown = ser("ensemble", "-a", "a", "-a", "b", "-q", "-q", "--set", "x.a=1", "--set", "x.b=2", "--out", "c")
    assert "section of settings" in shown.err


@pytest.mark.parametrize(
    "words",
    [["predict", ""], ["predict", "a.wav", ""], ["predict", "a.wav", "-o", ""], ["train", "--data", "", "--out", "x"]],
)
def test_an_empty_path_is_not_the_current_folder(ser, words):
    shown = ser(*words)
    assert (shown.code, shown.err.endswith("; is a variable of the shell empty?\n")) == (2, True)
