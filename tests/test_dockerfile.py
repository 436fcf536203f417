"""The image's promises, checked on the text of its Dockerfile: no engine is needed."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile"
if not DOCKERFILE.exists():
    pytest.skip("the source distribution has no Dockerfile", allow_module_level=True)

TEXT = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = re.findall(r"^([A-Z]+) (.*)$", TEXT, re.MULTILINE)
FINAL = STEPS[max(n for n, (word, _) in enumerate(STEPS) if word == "FROM") :]  # the stage that is run
BUILD = STEPS[: len(STEPS) - len(FINAL)]


def arguments(instruction, stage=FINAL):
    return [rest for word, rest in stage if word == instruction]


def test_it_runs_as_a_user_without_privileges():
    (user,) = arguments("USER")
    assert user.isdigit(), "an orchestrator can check a number, not a name"
    assert int(user) >= 1000
    after = FINAL[FINAL.index(("USER", user)) + 1 :]
    assert not {word for word, _ in after} & {"RUN", "COPY", "ADD", "USER"}


def test_only_volumes_and_tmp_are_written_to():
    environment = dict(pair.split("=", 1) for line in arguments("ENV") for pair in line.split())
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "HF_HOME"):
        assert environment[name].startswith(("/tmp/", "/work/")), name
    (volumes,) = arguments("VOLUME")
    assert arguments("WORKDIR")[0] in volumes


def test_it_contains_no_build_files_and_no_secrets():
    assert all("--from=build" in line for line in arguments("COPY"))
    assert not arguments("ADD")
    assert not [line for line in arguments("ENV") if re.search(r"token|secret|password", line, re.IGNORECASE)]


def test_the_build_gets_what_it_copies_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*", "what isn't named must not get into the build"
    named = {line[1:] for line in ignored if line.startswith("!")}
    copied = {path.removeprefix("./") for line in arguments("COPY", BUILD) for path in line.split()[:-1]}
    assert {path.partition("/")[0] for path in named} == copied
    assert all((ROOT / path).exists() for path in named)


def test_it_installs_the_torch_that_the_package_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = (name for name in project["dependencies"] if name.startswith("torch"))
    assert f'"{torch}"' in TEXT


def test_it_runs_ser_without_a_shell():
    assert arguments("ENTRYPOINT") == ['["ser"]']
