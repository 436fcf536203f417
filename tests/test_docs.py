"""README and docs/ are right: links and commands exist, and no setting, preset or corpus is missing."""

import dataclasses
import json
import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

import sercli
from sercli import plugins
from sercli.cli.app import app
from sercli.cli.writers.formats import FORMATS
from sercli.model import spec
from sercli.model.papers import PAPERS
from sercli.types import AudioConfig, TrainConfig

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "data" / "README.md", ROOT / "benchmarks" / "RESULTS.md"]
if not all(page.exists() for page in PAGES):
    pytest.skip("the documentation is not installed", allow_module_level=True)

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
KINDS = ("feature", "architecture", "ensemble", "asr")
SHARED = {"feature": "Every audio feature"}  # section of fields that a Config inherits
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def text_of(page):
    return page.read_text(encoding="utf-8")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchor_of(heading):
    """`## What it is` -> what-it-is, as GitHub has it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def commands_of(page):
    """Every `ser ...` of the page, in blocks and in running text, as lists of words without `ser`."""
    text = text_of(page).replace("\\\n", " ")
    lines = re.findall(r"`(ser [^`\n]*)`", FENCED.sub("", text))
    for kind, body in FENCED.findall(text):
        if kind in ("sh", "console"):
            lines += [line.removeprefix("$ ") for line in body.splitlines() if kind == "sh" or line.startswith("$ ")]
    for command in (part for line in lines for part in re.split(r"&&|[;|>]", line)):
        words = shlex.split(command, comments=True)
        if words[:2] == ["docker", "run"]:
            words = words[words.index("ser") :]
        if words and Path(words[0]).name == "ser":
            yield words[1:]


@cache
def options():
    """Options of `ser` itself ("") and of each subcommand."""
    group = typer.main.get_command(app)
    commands = {"": group, **group.commands}
    return {name: {"--help", *(o for p in command.params for o in p.opts)} for name, command in commands.items()}


def sections():
    """docs/settings.md: (kind, heading) -> {key: default as it is written}."""
    kind, heading, found = "", "", {}
    for line in SETTINGS.splitlines():
        if line.startswith("## "):
            kind, heading = line[3:], ""
        elif line.startswith("### "):
            heading = line[4:]
        elif row := re.match(r"\| `(\w+)\.(\w+)` \| `([^`]*)` \|", line):
            assert row[1] == kind, line
            found.setdefault((kind, heading), {})[row[2]] = row[3]
    return found


def defaults_of(config):
    """A Config's fields with their defaults as `--set` takes them."""
    values = {field.name: field.default for field in dataclasses.fields(config)}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def documented(kind, name):
    """What docs/settings.md says of one plug-in: its own rows, and those that its Config inherits."""
    inherited = sections()[kind, SHARED[kind]] if inherits(kind, name) else {}
    return inherited | sections().get((kind, name), {})


def inherits(kind, name):
    return kind == "feature" and issubclass(plugins.load(kind, name).Config, AudioConfig)


def test_the_readme_is_short():
    assert len(README.read_bytes()) <= 16_384


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in LINK.findall(FENCED.sub("", text_of(page))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in [anchor_of(h) for h in re.findall(r"^#+ (.*)$", text_of(target), re.MULTILINE)], link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_name_subcommands_and_options_that_exist(page):
    for words in commands_of(page):
        subcommand = words[0] if words and not words[0].startswith("-") else ""
        assert subcommand in options(), f"ser {' '.join(words)}"
        for word in words:
            option = word.partition("=")[0]
            if re.fullmatch(r"--?[a-z][a-z-]*", option):
                assert option in options()[subcommand], f"ser {' '.join(words)}: {option}"


def test_the_readme_shows_every_subcommand():
    shown = {words[0] for words in commands_of(README) if words}
    assert shown >= {name for name in options() if name}


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "settings.md"], ids=name_of)
def test_every_preset_is_named(page):
    named = {"`" + name + "`" for name in spec.presets()}
    if page == README:  # which names the group of those of papers
        named = named - {f"`{name}`" for name in PAPERS} | {"`-m related`"}
    assert [name for name in sorted(named) if name not in text_of(page)] == []


def test_every_corpus_is_listed():
    page = text_of(ROOT / "docs" / "corpora.md")
    assert [name for name in plugins.names("corpus") if f"`{name}`" not in page] == []


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in plugins.names(kind)])
def test_every_setting_is_documented_with_its_default(kind, name):
    assert f"`{name}`" in SETTINGS or f"### {name}\n" in SETTINGS
    assert documented(kind, name) == defaults_of(plugins.load(kind, name).Config)


def test_only_plugins_that_exist_are_documented():
    unknown = [(k, name) for k, name in sections() if k in KINDS and name not in (SHARED.get(k), *plugins.names(k))]
    assert unknown == []


def test_every_setting_of_training_is_documented_with_its_default():
    assert sections()["train", ""] == defaults_of(TrainConfig)


def test_every_public_name_and_field_is_documented():
    page = text_of(ROOT / "docs" / "python.md")
    fields = [field.name for field in dataclasses.fields(sercli.Prediction)]
    assert [name for name in fields if f"`{name}`" not in page] == []
    assert [name for name in sercli.__all__ if name not in page and name != "__version__"] == []


def test_every_key_of_the_json_is_documented():
    page = text_of(ROOT / "docs" / "formats.md")
    (line,) = FORMATS["json"].lines([sercli.Prediction("clip.wav", 0.0, 1.0)], ())
    assert [key for key in json.loads(line) if f"`{key}`" not in page] == []


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "python.md"], ids=name_of)
def test_the_python_shown_runs(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(ROOT / "data")
    shutil.copy(ROOT / "data" / "demo" / "audio" / "f2-anger-5.ogg", tmp_path / "interview.m4a")
    monkeypatch.chdir(tmp_path)
    blocks = [body for kind, body in FENCED.findall(text_of(page)) if kind == "python"]
    for block in blocks:
        exec(block, {})
    assert len(capsys.readouterr().out.splitlines()) == len(blocks)  # each predicts one clip


def test_the_card_has_the_head_that_model_hubs_read_with_the_figures_of_its_text():
    _, head, body = text_of(ROOT / "sercli" / "pretrained" / "CARD.md").split("---\n", 2)
    card = yaml.safe_load(head)
    assert card["license"] == "cc-by-nc-sa-4.0"
    assert all(card[key] for key in ("language", "library_name", "pipeline_tag", "tags", "datasets", "metrics"))
    for result in card["model-index"][0]["results"]:
        (metric,) = result["metrics"]
        assert f"{result['dataset']['name']} {metric['value']:.3f}".replace(" 0.", " .") in body


def test_changelog_and_citation_have_the_version_of_the_package():
    assert re.search(rf"^## {re.escape(sercli.__version__)}$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert citation["version"] == sercli.__version__
    assert citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
