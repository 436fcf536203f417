import dataclasses
import importlib
import re
import subprocess
import sys
import typing
from pathlib import Path

import contracts
import pytest

from sercli import config, plugins
from sercli.errors import SerError

KINDS = ("corpus", "feature", "architecture", "ensemble", "asr")
ALL = [(kind, name) for kind in ("corpus", "architecture", "ensemble") for name in plugins.names(kind)]
LISTS = {"corpus": "CORPORA", "architecture": "ARCHITECTURES", "ensemble": "FUSION_RULES"}

COMPLETE = contracts.promise(
    "A plug-in has every constant, class and function of its protocol in `sercli/contracts.py`."
)
NAME = contracts.promise("A name consists of lowercase letters, digits and hyphens.")
CONFIG = contracts.promise("`Config` is a frozen dataclass, each field of which has a type and a default.")


def test_names_are_those_of_the_files_with_hyphens_and_in_order():
    names = plugins.names("feature")
    assert {"log-mel", "words", "spectrogram"} <= set(names)
    assert list(names) == sorted(names)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_contract_has_all_its_parts_under_a_plain_name(kind, name):
    assert plugins.lacking(kind, plugins.load(kind, name)) == [], COMPLETE
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name), NAME


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in ALL if kind != "corpus"])
def test_a_contract_has_a_frozen_config_of_defaults(kind, name):
    cls = plugins.load(kind, name).Config
    assert dataclasses.is_dataclass(cls), CONFIG
    assert cls.__dataclass_params__.frozen, CONFIG
    assert {f.name for f in dataclasses.fields(cls)} <= typing.get_type_hints(cls).keys(), CONFIG
    assert {cls(): 1}[config.build(cls, config.to_dict(cls()), kind)] == 1, CONFIG


@pytest.mark.parametrize("kind", KINDS)
def test_helper_modules_are_no_plugins(kind):
    assert plugins.names(kind)
    assert not any(name.startswith(("_", "-")) for name in plugins.names(kind))


@pytest.mark.parametrize(("kind", "listed"), LISTS.items())
def test_mypy_checks_every_plugin_of_the_folder(kind, listed):
    source = Path(contracts.__file__).read_text(encoding="utf-8")
    (found,) = re.findall(rf"    {listed}: .*? = \(([^=]*)\)\n", source)
    modules = sorted(re.findall(r"\w+", found))
    assert [name.replace("_", "-") for name in modules] == [
        name for name in plugins.names(kind) if "sercli" in plugins._providers(kind)[name]
    ]


def test_a_plugin_is_loaded_once():
    assert plugins.feature("log-mel") is importlib.import_module("sercli.features.log_mel")


@pytest.mark.parametrize(
    ("kind", "wrong", "right"), [("feature", "log_mel", "log-mel"), ("corpus", "iemocab", "iemocap")]
)
def test_a_wrong_name_is_refused_with_the_nearest_and_all_others(kind, wrong, right):
    with pytest.raises(SerError) as caught:
        plugins.load(kind, wrong)
    available = ", ".join(plugins.names(kind))
    assert str(caught.value) == f"No {kind} called '{wrong}'. Did you mean '{right}'? Available: {available}."


@pytest.mark.parametrize("name", ["dsp", "-dsp", "../config", "words.Config", ""])
def test_what_is_no_plugin_cannot_be_loaded(name):
    with pytest.raises(SerError, match=f"^No feature called '{name}'"):
        plugins.feature(name)


def test_names_are_listed_without_importing_a_plugin():
    program = (
        "import sys; from sercli import plugins; "
        f"[plugins.names(kind) for kind in {KINDS}]; "
        "print([m for m in sys.modules if m.startswith('sercli.') and m.count('.') > 1 or m == 'importlib.metadata'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Installed:
    """Packages with entry points in a folder of their own on the path."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, package, entry_points, **modules):
        info = self.folder / f"{package}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(entry_points)
        for name, content in modules.items():
            (self.folder / f"{name}.py").write_text(content)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    def forget():
        for function in (plugins.load, plugins._providers, plugins._others_installed):
            function.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield Installed(tmp_path)
    monkeypatch.undo()
    forget()


RULE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    pass

def combine(members, state, config):
    return members[0].probs
"""


def test_a_plugin_of_another_package_is_found_by_its_entry_point(installed):
    installed.add("first", "[sercli.ensembles]\nthe-first = first_rule\n", first_rule=RULE)
    assert "the-first" in plugins.names("ensemble")
    assert "the-first" not in plugins.names("feature")
    rule = plugins.fusion_rule("the-first")
    assert rule.__name__ == "first_rule"
    assert not plugins.learns(rule)


def test_one_name_in_two_packages_is_refused_with_both(installed):
    installed.add("second", "[sercli.ensembles]\naverage = second_rule\n", second_rule=RULE)
    with pytest.raises(SerError, match=r"^The packages second and sercli each have a fusion rule 'average'; uninstall"):
        plugins.fusion_rule("average")
    assert not plugins.learns(plugins.fusion_rule("max-confidence")), "the others are not concerned"


def test_a_package_that_cannot_be_imported_is_named(installed):
    installed.add("third", "[sercli.features]\nodd = third_feature\n", third_feature="import no_such_library")
    with pytest.raises(SerError, match=r"feature 'odd' of the package third cannot be imported: .*no_such_library"):
        plugins.feature("odd")


def test_what_a_plugin_lacks_is_named(installed):
    installed.add("fourth", "[sercli.corpora]\nbare = fourth_corpus\n", fourth_corpus="LICENCE = 'CC0'")
    expected = r"corpus 'bare' of the package fourth lacks HOMEPAGE, LABELS, SPLIT, FOLDS, read; .* protocol Corpus"
    with pytest.raises(SerError, match=expected):
        plugins.corpus("bare")
