"""`nox` runs lint, types and tests; `nox -s lowest` and `nox -s audit` run only where they are named."""

import re

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", ".[types]", "nox")
    for version in ("3.11", "3.14"):
        session.run("mypy", "--python-version", version)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows; torch is the newest, which has a CPU build."""
    session.install(*_lowest_versions())
    session.install("--no-deps", "-e", ".")
    session.run("pytest", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities in all that is installed; this needs the network."""
    session.install(".", "pip-audit")
    session.run("pip-audit", "--skip-editable")


def _lowest_versions() -> list[str]:
    """The requirements of the package and its tests, each at its lowest version: `numpy>=2.0` becomes `numpy==2.0`."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    return [name if name.startswith("torch") else re.sub(r">=([\d.]+).*", r"==\1", name) for name in needed]
