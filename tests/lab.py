"""The package of CONTRIBUTING.md, made of the page's own code blocks and installed as pip would lay it out."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    """The contents of the page's code blocks in a language."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [content for found, content in BLOCK.findall(page) if found == language]


def commands():
    """The words of each `ser` command of the page."""
    lines = [line for content in blocks("sh") for line in content.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("ser ")]


def install(site, **more):
    """Put the page's package into a folder that goes on PYTHONPATH, with further entry points: group=[(name, file)]."""
    for content in blocks("python"):
        path = site / content.split()[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (project,) = (tomllib.loads(content)["project"] for content in blocks("toml"))
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    groups = {group: list(named.items()) for group, named in project["entry-points"].items()}
    for kind, plugins in more.items():
        groups.setdefault(f"sercli.{kind}", []).extend(plugins)
    lines = [
        line for group, named in groups.items() for line in (f"[{group}]", *(f"{name} = {at}" for name, at in named))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(site, *words, cwd):
    """Run a Python module with the package on the path."""
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "500"}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
