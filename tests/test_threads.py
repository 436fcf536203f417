"""How many threads compute, and how they wait for each other."""

import os
import subprocess
import sys

import pytest

START = """
import os, sys
sys.argv = ["ser", "--version"]
from sercli.cli import app
try:
    app.main()
finally:
"""
# The library that torch computes with tells its settings as it is loaded; all of torch would take a second more.
LOAD_OPENMP = """
    import ctypes, importlib.util, pathlib
    folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
    ctypes.CDLL(str(next(folder.glob("libgomp*"))))
"""
SHOW_OPENBLAS = """
    print(os.environ["OPENBLAS_NUM_THREADS"], "numpy" in sys.modules)
"""
NAMES = ("OMP_", "GOMP_", "OPENBLAS_")


def run_after_start(script, given):
    """A finished process in which `ser` started, and then the script; of the settings of threads it has those given."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(NAMES)} | given
    return subprocess.run([sys.executable, "-c", START + script], capture_output=True, text=True, check=True, env=env)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch computes with another OpenMP there")
@pytest.mark.parametrize(
    ("given", "rounds"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_openmp_spins_briefly_unless_the_environment_says_otherwise(given, rounds):
    told = run_after_start(LOAD_OPENMP, {"OMP_DISPLAY_ENV": "VERBOSE", **given}).stderr
    assert f"GOMP_SPINCOUNT = '{rounds}'" in told


@pytest.mark.parametrize(("given", "n"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_numpy_computes_the_same_on_every_number_of_cores(given, n):
    assert run_after_start(SHOW_OPENBLAS, given).stdout.splitlines()[-1] == f"{n} False"
