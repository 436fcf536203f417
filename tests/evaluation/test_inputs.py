from pathlib import Path

from sercli import runs
from sercli.cli import options
from sercli.evaluation.inputs import EvaluatedRun, named


def test_a_run_that_is_given_twice_is_taken_once(runs_made):
    acoustic, linguistic = runs_made.acoustic, runs_made.linguistic
    same = linguistic / ".." / "acoustic"
    found = named([EvaluatedRun(folder, runs.load_info(folder)) for folder in (acoustic, linguistic, acoustic, same)])
    assert [one.folder.resolve() for one in found] == [acoustic.resolve(), linguistic.resolve()]
    assert len({one.name for one in found}) == 2
    assert [Path(one).resolve() for one in options.named_runs([acoustic, same])] == [acoustic.resolve()]
