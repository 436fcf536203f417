"""How the threads of one computation wait for each other."""

import os
import subprocess
import sys

import pytest

# The library that torch computes with tells its settings as it is loaded; all of torch would take a second more.
SCRIPT = """
import ctypes, sys
from importlib.util import find_spec
from pathlib import Path
from sercli.cli import app
sys.argv = ["ser", "--version"]
try:
    app.main()
finally:
    ctypes.CDLL(str(next(Path(find_spec("torch").origin).parent.glob("lib/libgomp*"))))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch computes with another OpenMP there")
@pytest.mark.parametrize(
    ("given", "rounds"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_openmp_spins_briefly_unless_the_environment_says_otherwise(given, rounds):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    env |= {"OMP_DISPLAY_ENV": "VERBOSE", **given}
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=env).stderr
    assert f"GOMP_SPINCOUNT = '{rounds}'" in told


@pytest.mark.parametrize(("given", "n"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_numpy_computes_the_same_on_every_number_of_cores(given, n):
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
    script = SCRIPT.replace(
        "import torch", "import os; print(os.environ['OPENBLAS_NUM_THREADS'], 'numpy' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env).stdout
    assert told.splitlines()[-1] == f"{n} False"
