"""A broken file is read or raises a SerError, and nothing else.

Each kind of file is broken 40 times, or as often as SER_FUZZ says. `python benchmarks/fuzz.py` runs for a given time
and also watches for crashes and memory.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sercli import plugins

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
if not SCRIPT.exists():
    pytest.skip("benchmarks/ is not there", allow_module_level=True)
pytest.importorskip("resource")

spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz"] = fuzz
spec.loader.exec_module(fuzz)

TRIES = int(os.environ.get("SER_FUZZ", "40"))
SHARES = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.tuples(st.sampled_from(fuzz.KINDS), SHARES, SHARES, st.integers(1, 300), st.integers(0, 999)),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module", params=sorted(fuzz.TARGETS))
def target(request, tmp_path_factory):
    """A kind of file that is read: whole files below `root` with `names`, and `attempt(name, content)`."""
    return fuzz.TARGETS[request.param](tmp_path_factory.mktemp(request.param))


def test_whole_files_are_read(target):
    for name in target.names:
        assert target.attempt(name, (target.root / name).read_bytes()) == "read", name


@settings(max_examples=TRIES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_broken_files_are_read_or_refused(target, data):
    name = data.draw(st.sampled_from(target.names))
    content = fuzz.mutated((target.root / name).read_bytes(), data.draw(EDITS))
    assert target.attempt(name, content) in ("read", "refused")


@settings(max_examples=TRIES)
@given(st.sampled_from(sorted(fuzz.NAMED)), EDITS)
def test_a_broken_file_name_is_read_or_refused(tmp_path_factory, corpus, edits):
    root = tmp_path_factory.mktemp("named")
    for name in (fuzz.NAMED[corpus], fuzz.mutated(fuzz.NAMED[corpus].encode(), edits).decode(errors="surrogateescape")):
        path = root / name.replace("\0", "").lstrip("/").replace("..", "_")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError:
            return  # no file can have this name
    assert list(plugins.load("corpus", corpus).read(root))


def test_files_of_every_corpus_are_broken():
    broken = {name.partition("/")[0] for name in fuzz.CORPORA} | set(fuzz.NAMED)
    assert broken == set(plugins.names("corpus"))
