import importlib
import subprocess
import sys

import pytest

from sercli import plugins
from sercli.errors import SerError

KINDS = ("corpus", "feature", "architecture", "ensemble")
ALL = [(kind, name) for kind in KINDS for name in plugins.names(kind)]


def test_names_are_those_of_the_files_with_hyphens_and_in_order():
    names = plugins.names("feature")
    assert {"log-mel", "words", "spectrogram"} <= set(names)
    assert list(names) == sorted(names)


@pytest.mark.parametrize("kind", KINDS)
def test_helper_modules_are_no_plugins(kind):
    assert plugins.names(kind)
    assert not any(name.startswith(("_", "-")) for name in plugins.names(kind))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_name_loads_its_own_documented_module(kind, name):
    module = plugins.load(kind, name)
    assert module.__name__.rsplit(".", 1)[1] == name.replace("-", "_")
    assert module.__doc__


def test_a_plugin_is_loaded_once():
    assert plugins.load("feature", "log-mel") is importlib.import_module("sercli.features.log_mel")


@pytest.mark.parametrize(
    ("kind", "wrong", "right"), [("feature", "log_mel", "log-mel"), ("corpus", "iemocab", "iemocap")]
)
def test_a_wrong_name_is_refused_with_the_nearest_and_all_others(kind, wrong, right):
    with pytest.raises(SerError) as caught:
        plugins.load(kind, wrong)
    available = ", ".join(plugins.names(kind))
    assert str(caught.value) == f"No {kind} called '{wrong}'. Did you mean '{right}'? Available: {available}."


@pytest.mark.parametrize("name", ["_dsp", "-dsp", "../config", "words.Config", ""])
def test_what_is_no_plugin_cannot_be_loaded(name):
    with pytest.raises(SerError, match=f"^No feature called '{name}'"):
        plugins.load("feature", name)


def test_names_are_told_without_importing_a_plugin():
    program = (
        "import sys; from sercli import plugins; "
        f"[plugins.names(kind) for kind in {KINDS}]; "
        "print([m for m in sys.modules if m.startswith('sercli.') and m.count('.') > 1])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
