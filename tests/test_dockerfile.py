"""What the image promises, read off its text: no engine is needed to see it."""

import re
from pathlib import Path

import pytest

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"
if not DOCKERFILE.exists():
    pytest.skip("the source distribution is without a Dockerfile", allow_module_level=True)

TEXT = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = re.findall(r"^([A-Z]+) (.*)$", TEXT, re.MULTILINE)
FINAL = STEPS[max(n for n, (word, _) in enumerate(STEPS) if word == "FROM") :]  # the stage that is run


def words(kind):
    return [rest for word, rest in FINAL if word == kind]


def test_it_runs_as_a_user_without_rights():
    (user,) = words("USER")
    assert user.isdigit(), "a number can be checked by an orchestrator, a name cannot"
    assert int(user) >= 1000
    after = FINAL[FINAL.index(("USER", user)) + 1 :]
    assert not {word for word, _ in after} & {"RUN", "COPY", "ADD", "USER"}


def test_nothing_but_volumes_and_tmp_is_written_to():
    environment = dict(pair.split("=", 1) for line in words("ENV") for pair in line.split())
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "HF_HOME"):
        assert environment[name].startswith(("/tmp/", "/work/")), name
    (volumes,) = words("VOLUME")
    assert words("WORKDIR")[0] in volumes


def test_nothing_of_the_build_and_no_secret_gets_into_it():
    assert all("--from=build" in line for line in words("COPY"))
    assert not words("ADD")
    assert not [line for line in words("ENV") if re.search(r"token|secret|password", line, re.IGNORECASE)]
    ignored = (DOCKERFILE.parent / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*", "what is not named does not get into the build"


def test_a_command_line_is_run_and_no_shell():
    assert words("ENTRYPOINT") == ['["ser"]']
