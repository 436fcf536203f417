"""What the workers of a cluster compute is what this machine computes, whatever happens to them meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import loopback
import optuna
import pytest
from children import alive

from sercli import __version__
from sercli._system import cluster, processes
from sercli.errors import SerError

pytest.importorskip("distributed")
QUICK = ["--set", "train.epochs=2", "--set", "architecture.hidden_size=4", "--device", "cpu"]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler; `ready(n)` gives its address once it has n workers."""
    found = loopback.Dask(tmp_path_factory.mktemp("dask"))
    yield found
    found.end()


def contents(folder):
    """What a folder holds, without what differs from one command to the next: how long it took, and its words."""
    found = {}
    for path in (path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."):
        lines = [line.partition(b'"seconds":')[0] for line in path.read_bytes().splitlines()]
        found[str(path.relative_to(folder))] = [line for line in lines if b'"command":' not in line]
    return found


def mapped(address, function, items, **options):
    work = processes.mapped(function, items, 1, killed="it was killed", **options)
    with cluster.connected(address, None), closing(work) as results:
        return list(results)


def until(what):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_reports_come_with_the_results_and_paths_are_those_of_the_command(dask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reported = []
    found = mapped(dask.ready(2), loopback.halves, range(1, 9), chunksize=3, on_report=lambda *of: reported.append(of))
    assert found == [(str(tmp_path), n) for n in range(1, 9)]
    assert sum(done for done, _ in reported) == sum(range(1, 9))
    assert {stage for _, stage in reported} == {1}


def test_what_comes_first_is_yielded_first_where_the_order_is_of_no_account(dask):
    found = mapped(dask.ready(2), loopback.last_of, [1.0, 0.01, 0.02], ahead=1, in_order=False)
    assert found == [0.01, 0.02, 1.0]


@pytest.fixture
def postgresql():
    """The storage URL of an empty database, of a server that the test starts, not as root, which it refuses."""
    if not shutil.which("pg_ctl") or not find_spec("psycopg"):
        pytest.skip("PostgreSQL or its driver is not installed")
    whose = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    port, folder = loopback.free_port(), Path(tempfile.mkdtemp())
    if whose:
        os.chown(folder, 65534, 65534)

    def run(*words):
        subprocess.run([*map(str, words)], check=True, cwd="/", stdout=subprocess.DEVNULL, **whose)

    run("initdb", "-D", folder / "data", "-A", "trust", "-U", "ser", "--no-sync")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", settings, "start")
    yield f"postgresql+psycopg://ser@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def test_two_machines_on_one_postgresql_lose_no_trial_and_make_none_twice(ser, postgresql, tiny_dataset, tmp_path):
    words = ["tune", "-m", "linguistic", "--data", tiny_dataset.folder, "--storage", postgresql, "--trials", 6]
    words += ["--set", "train.epochs=2", "--device", "cpu", "--out"]
    command = [sys.executable, "-m", "sercli", *map(str, words), str(tmp_path / "other")]
    env = os.environ | {"PYTHONPATH": str(loopback.ROOT)}
    with subprocess.Popen(command, env=env, stdout=-3, stderr=subprocess.PIPE, text=True) as other:
        shown = ser(*words, tmp_path / "this")
        assert (other.wait(120), shown.code) == (0, 0), other.stderr.read() + shown.err
    trials = optuna.load_study(study_name="linguistic", storage=postgresql).trials
    assert len(trials) in (6, 7), "each command ends at most the trial that it is at"
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert len({str(trial.params) for trial in trials}) == len(trials)


def test_the_task_of_a_worker_that_is_killed_is_done_by_another(dask, tmp_path):
    pids = mapped(dask.ready(2), loopback.die_once, [tmp_path / str(n) for n in range(1)])
    assert len(pids) == 1
    assert pids[0] in {worker.pid for worker in dask.workers if worker.poll() is None}


def test_work_that_kills_each_worker_is_given_up_and_named(dask):
    with pytest.raises(SerError, match="it was killed"):
        mapped(dask.ready(2), loopback.die, ["a"])


def test_prepare_and_train_give_the_same_on_a_cluster(dask, ser, tiny_corpus, tmp_path, monkeypatch):
    for name, where in (("here", ["--jobs", 1]), ("there", ["--cluster", dask.ready(2)])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        shown = ser("prepare", "table", tiny_corpus, "--features", "lld,words", "--out", "data", *where)
        assert shown.code == 0, shown.err
        crossed = ["--data", "data", "--fold", "all", "--seeds", 2, "--out", "run"]
        shown = ser("train", "-m", "linguistic", *crossed, *QUICK, *where)
        assert shown.code == 0, shown.err
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    notes = [(tmp_path / name / "run" / "fold-1" / "seed-0" / "run.json").read_text() for name in ("here", "there")]
    assert notes[0] == notes[1].replace(f"--cluster {dask.address}", "--jobs 1")


def test_predict_gives_the_same_on_a_cluster_also_where_a_model_was_replaced(
    dask, ser, demo_runs, demo_clips, tmp_path
):
    folder, model = tmp_path / "clips", tmp_path / "model"
    folder.mkdir()
    for name in ("m1-anger-1", "f1-sadness-2"):
        shutil.copy(demo_clips(name), folder)
    (folder / "odd.wav").write_bytes(b"no sound")
    for run in (demo_runs.acoustic, demo_runs.linguistic):
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(run, model)
        words = ["predict", folder, "--model", model, "--json"]
        here, there = ser(*words, "--jobs", 1), ser(*words, "--cluster", dask.ready(1))
        assert (there.code, there.out, there.err) == (here.code, here.out, here.err)
        assert "1 of 3 recordings failed" in there.err


def test_trials_of_a_cluster_are_written_by_the_command_none_twice_and_none_lost(dask, ser, tiny_dataset, tmp_path):
    words = ["tune", "-m", "linguistic", "--data", tiny_dataset.folder, "--out", tmp_path, "--device", "cpu"]
    shown = ser(*words, "--set", "train.epochs=2", "--trials", 5, "--cluster", dask.ready(2))
    assert shown.code == 0, shown.err
    study = optuna.load_study(study_name="linguistic", storage=f"sqlite:///{tmp_path}/study.db")
    assert [trial.number for trial in study.trials] == list(range(5))
    assert {trial.state.name for trial in study.trials} <= {"COMPLETE", "PRUNED"}
    assert len({str(trial.params) for trial in study.trials}) == 5


def test_ctrl_c_frees_the_workers_and_the_same_command_goes_on(dask, ser, tiny_dataset, tmp_path):
    words = ["train", "-m", "linguistic", "--data", tiny_dataset.folder, "--fold", "all", "--out", tmp_path / "run"]
    words += ["--cluster", dask.ready(2), "--device", "cpu", "--set", "architecture.hidden_size=4", "--set"]

    def press():
        until(lambda: len(list(tmp_path.glob("run/fold-*/seed-0/history.jsonl"))) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    shown = ser(*words, "train.epochs=2000")
    kept = f"Finished runs and epochs are kept in {tmp_path}/run; the same command goes on from there."
    assert (shown.code, shown.err) == (130, f"ser: interrupted. {kept}\n")
    assert len(set(mapped(dask.address, loopback.last, [0.5, 0.5]))) == 2, "both workers are free"
    assert not list(tmp_path.glob("run/fold-*/seed-0/.run.holder")), "what they worked on is not locked any more"


def test_two_commands_from_two_folders_on_one_cluster(dask, ser, tiny_corpus, tmp_path, monkeypatch):
    words = ["prepare", "table", tiny_corpus, "--features", "lld", "--out", "data", "--cluster", dask.ready(2)]
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    env = os.environ | {"PYTHONPATH": str(loopback.ROOT)}
    command = [sys.executable, "-m", "sercli", *map(str, words)]
    with subprocess.Popen(command, cwd=folders[0], env=env, stderr=subprocess.PIPE, stdout=-3, text=True) as other:
        until((folders[0] / "data").exists)
        monkeypatch.chdir(folders[1])
        shown = ser(*words)
        assert (other.wait(60), shown.code) == (0, 0), other.stderr.read() + shown.err
    assert ser(*words[:-3], tmp_path / "alone", "--jobs", 1).code == 0
    assert contents(folders[0] / "data") == contents(folders[1] / "data") == contents(tmp_path / "alone")


def test_a_worker_with_another_version_of_ser_is_refused_by_name(dask, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sercli\nsercli.__version__ = '0.0.7'\n")
    dask.ready(1)
    old = dask.start_worker("--name", "old-one", first=str(tmp_path))
    dask.ready(2)
    with pytest.raises(SerError, match=f"The worker old-one on .* has ser 0.0.7, and this is ser {__version__}; ins"):
        mapped(dask.address, loopback.last, [0.0])
    old.kill()
    old.wait()
    dask.ready(1)


@pytest.mark.parametrize(
    ("n_threads", "threads", "folder", "why"),
    [
        (2, "1", "/", "computes with several threads; start it again with --nthreads 1 and --nanny"),
        (1, "2", "/", "computes with several threads; start it again with --nthreads 1 and --nanny"),
        (1, "1", "/nowhere", "has no folder /nowhere; start ser in a folder that all machines share"),
    ],
)
def test_a_worker_that_would_compute_something_else_is_refused_by_name(monkeypatch, n_threads, threads, folder, why):
    for name in loopback.ONE_THREAD:
        monkeypatch.setenv(name, threads)
    worker = SimpleNamespace(name="w1", state=SimpleNamespace(nthreads=n_threads))
    with pytest.raises(SerError, match=f"^The worker w1 on .* {why}"):
        cluster.check(__version__, folder, worker)


def test_a_scheduler_that_is_gone_is_a_line_and_the_same_command_goes_on(dask, ser, tiny_dataset, tmp_path):
    words = ["train", "-m", "linguistic", "--data", tiny_dataset.folder, "--fold", "all", "--device", "cpu"]
    words += ["--set", "train.epochs=12", "--set", "architecture.hidden_size=4"]
    run = tmp_path / "run"
    dask.ready(1)

    def finished():
        return {path: path.stat().st_mtime_ns for path in run.glob("*/*/run.json") if '"finished"' in path.read_text()}

    def end_it():
        until(finished)
        dask.scheduler.kill()

    threading.Thread(target=end_it, daemon=True).start()
    shown = ser(*words, "--out", run, "--cluster", dask.address)
    assert shown.code == 2
    assert f"The scheduler {dask.address} has ended or lost the work" in shown.err
    assert "the same command goes on from there" in shown.err
    done = finished()
    assert 0 < len(done) < 6
    dask.end()
    dask.start_scheduler()
    shown = ser(*words, "--out", run, "--cluster", dask.ready(1))
    assert shown.code == 0, shown.err
    assert len(finished()) == 6
    assert done.items() <= finished().items(), "what was finished is not done again"
    assert ser(*words, "--out", tmp_path / "here", "--jobs", 1).code == 0
    assert contents(run) == contents(tmp_path / "here")


def test_a_result_that_was_lost_on_its_way_from_the_scheduler_is_a_line():
    client = SimpleNamespace(run=lambda *_, **__: {"w1": None}, scheduler_comm="first", status="connecting")

    def submit(*_):
        client.scheduler_comm = None
        return Future()  # which dask forgets

    client.get_executor = lambda pure: SimpleNamespace(submit=submit, shutdown=lambda wait: None)
    work = processes.mapped(len, ["a"], 1, killed="")
    workers = cluster.Cluster(client, "tcp://here:8786")
    with processes.elsewhere(workers), pytest.raises(SerError, match="The scheduler tcp://here:8786 has ended or"):
        list(work)


SBATCH = """#!/bin/sh
# What Slurm would do with a job: keep its script, which is deleted at once, and run it, elsewhere.
cp "$1" "{folder}/job$$"
sh "{folder}/job$$" >"{folder}/job.log" 2>&1 &
echo $! >>"{folder}/jobs"
echo "Submitted batch job $!"
"""
SETTINGS = """
jobqueue:
  slurm: {cores: 2, processes: 2, memory: 4GB, interface: lo, job-script-prologue: ["export PYTHONPATH=%s"]}
"""


def test_slurm_gets_the_jobs_of_a_file_of_settings_which_end_with_the_command(tmp_path, monkeypatch):
    for name, content in (
        ("sbatch", SBATCH.format(folder=tmp_path)),
        ("scancel", f"#!/bin/sh\necho $* >{tmp_path}/ended\n"),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "cluster.yaml").write_text(SETTINGS % f"{loopback.ROOT}:{loopback.ROOT / 'tests'}")
    before = signal.getsignal(signal.SIGINT)
    with cluster.connected(f"slurm:{tmp_path / 'cluster.yaml'}", 2):
        work = processes.mapped(loopback.last, [0.5, 0.5], 1, killed="")
        pids = set(work)
    assert pids, "one may have done both before the other had started"
    assert (tmp_path / "ended").read_text().split() == (tmp_path / "jobs").read_text().split()
    assert signal.getsignal(signal.SIGINT) is before
    until(lambda: not any(alive(pid) for pid in pids))


def test_settings_that_dask_jobqueue_lacks_are_a_line(tmp_path):
    (tmp_path / "cluster.yaml").write_text("jobqueue: {slurm: {cores: null}}\n")
    where = f"slurm:{tmp_path / 'cluster.yaml'}"
    with pytest.raises(SerError) as raised, cluster.connected(where, 1):
        pass
    why = "You must specify how much cores and memory per job you want to use; correct its section jobqueue: slurm:."
    assert str(raised.value) == f"--cluster {where}: {why}"


@pytest.mark.parametrize(
    ("where", "jobs", "why"),
    [
        ("localhost:8786", None, "--cluster localhost:8786: give tcp://HOST:8786, the address of a dask scheduler, or"),
        ("tcp://127.0.0.1:{}", 4, "--jobs 4 does nothing with --cluster tcp://127.0.0.1:{}, whose workers run already"),
        (
            "tcp://127.0.0.1:{}",
            None,
            "--cluster tcp://127.0.0.1:{}: no scheduler answers there; start one: dask schedu",
        ),
        ("slurm:none.yaml", None, "--cluster slurm:none.yaml needs --jobs, the number of workers to start"),
        (
            "slurm:none.yaml",
            2,
            "--cluster slurm:none.yaml: there is no such file; give one with the settings of dask-j",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_a_line(monkeypatch, where, jobs, why):
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    port = loopback.free_port()
    with pytest.raises(SerError) as raised, cluster.connected(where.format(port), jobs):
        pass
    assert str(raised.value).startswith(why.format(port))
