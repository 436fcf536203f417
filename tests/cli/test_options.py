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


def test_all_options_that_are_missing_are_named_at_once(ser):
    assert ser("train").err == "ser: Missing: --data, --out. See `ser train --help`.\n"
    assert ser("prepare").err == "ser: Missing: CORPUS, --out. See `ser prepare --help`.\n"
    assert ser("prepare", "demo").err == "ser: Missing option '--out'. See `ser prepare --help`.\n"
    assert ser("train", "--help").code == 0


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--min-confidence", "70", "Invalid value '70' for '--min-confidence': give at most 1."),
        ("--raw", "8", "Invalid value '8' for '--raw': give at least 1000."),
        ("--track", "x", "Invalid value 'x' for '--track': give a whole number."),
        ("--min-confidence", "half", "Invalid value 'half' for '--min-confidence': give a number."),
    ],
)
def test_a_value_that_is_no_number_or_out_of_bounds_is_named_with_what_to_give(ser, option, value, told):
    shown = ser("predict", "a.wav", option, value)
    oldest = f"Invalid value for '{option}': {value}"  # typer's own words, which have the value
    assert shown.err == f"ser: {told} See `ser predict --help`.\n" or oldest in shown.err.replace(": '", ": ")
