import os
import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from sercli import runs
from sercli._system.arrays import write as write_arrays
from sercli._system.locks import HeldError
from sercli.errors import MismatchError, SerError
from sercli.runs import RunInfo
from sercli.runs.settings import DataSettings, RunSettings, SplitSettings
from sercli.types import EpochResult, Predictions, Split

SETTINGS = RunSettings(
    train={"lr": 0.001, "epochs": 5},
    seeds=(1,),
    data=DataSettings(corpus="table", manifest_sha256="0f"),
    split=SplitSettings(kind="loso", leaky=False),
)
INFO = RunInfo(
    kind="model",
    name="linguistic",
    status="training",
    labels=("neutral", "anger"),
    modality="linguistic",
    settings=SETTINGS,
    data="/data",
    train_counts={"neutral": 3, "anger": 4},
)
SPLIT = Split(("a", "b"), ("c",), ("d",), "loso", "session", 1, 3, 0)


def message_of(function, *args, error=SerError):
    with pytest.raises(error) as caught:
        function(*args)
    return str(caught.value)


def edit_info(folder, **changes):
    path = folder / "run.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **changes}))


def test_a_run_begins_with_its_info_on_disk(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert runs.start(folder, INFO) == INFO
    loaded = runs.load_info(folder)
    assert replace(loaded, versions={}) == INFO
    assert [p.name for p in folder.iterdir()] == ["run.json"]


def test_a_run_says_what_made_it(tmp_path):
    runs.start(tmp_path, INFO)
    versions = runs.load_info(tmp_path).versions
    assert {"ser", "python", "numpy", "torch"} <= versions.keys()
    assert versions["numpy"] == np.__version__


def test_a_package_that_is_not_installed_is_recorded_as_absent(tmp_path, monkeypatch):
    def missing(name):
        raise runs.PackageNotFoundError

    monkeypatch.setattr(runs, "version", missing)
    runs.write_info(tmp_path, INFO)
    assert runs.load_info(tmp_path).versions["torch"] == "absent"


def test_the_same_settings_go_on_with_a_run_as_it_stands(tmp_path):
    runs.start(tmp_path, INFO)
    runs.write_info(tmp_path, replace(INFO, status="finished", best_epoch=4))
    resumed = runs.start(tmp_path, INFO)
    assert (resumed.status, resumed.best_epoch) == ("finished", 4)


def test_other_settings_are_refused_by_name(tmp_path):
    runs.start(tmp_path, INFO)
    other = replace(INFO, settings=structs.replace(SETTINGS, train={"lr": 0.01, "epochs": 5}, seeds=(2,)))
    assert message_of(runs.start, tmp_path, other, error=MismatchError) == (
        f"{tmp_path} holds a run with other settings: seeds was [1], now [2]; train.lr was 0.001, now 0.01. "
        "Repeat the settings to resume it, or choose another --out."
    )
    assert runs.load_info(tmp_path).settings == INFO.settings


def test_of_many_other_settings_the_model_comes_first_and_the_last_are_counted(tmp_path):
    runs.start(tmp_path, INFO)
    train = dict.fromkeys(("batch_size", "clip_norm", "epochs", "lr"), -1)
    other = replace(INFO, settings=structs.replace(SETTINGS, train=train, model={"feature": "none"}))
    message = message_of(runs.start, tmp_path, other, error=MismatchError)
    assert message.startswith(f"{tmp_path} holds a run with other settings: model was ")
    assert message.count(" was ") == 4
    assert "more. Repeat the settings" in message


def test_an_ensemble_does_not_go_on_with_a_model(tmp_path):
    runs.start(tmp_path, INFO)
    message = message_of(runs.start, tmp_path, replace(INFO, kind="ensemble"), error=MismatchError)
    assert 'kind was "model", now "ensemble"' in message


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    expected = f"{tmp_path} exists and is not a run directory; choose another --out."
    assert message_of(runs.start, tmp_path, INFO) == expected
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused_as_a_run_directory(tmp_path):
    path = tmp_path / "run"
    path.touch()
    assert message_of(runs.start, path, INFO) == f"{path} exists and is not a run directory; choose another --out."


def test_what_a_kill_left_of_the_first_write_does_not_stop_a_run(tmp_path):
    (tmp_path / ".run.json.0a1b2c3d.tmp").touch()
    assert runs.start(tmp_path, INFO).status == "training"


def test_a_folder_without_a_run_is_refused(tmp_path):
    assert message_of(runs.load_info, tmp_path) == (
        f"{tmp_path} is not a run directory (no run.json); make one with `ser train` or `ser ensemble`."
    )


def test_a_folder_of_runs_is_refused_with_a_run_in_it(tmp_path):
    (tmp_path / "b").mkdir()
    runs.write_info(tmp_path / "b", INFO)
    assert message_of(runs.load_info, tmp_path) == (
        f"{tmp_path} is not a run directory (no run.json); give a run in it, such as {tmp_path / 'b'}; "
        f"`ser evaluate --all {tmp_path}` takes them all."
    )


@pytest.mark.parametrize("schema", [3, 99, "later"])
@pytest.mark.parametrize("function", [runs.load_info, runs.load_finished, lambda folder: runs.start(folder, INFO)])
def test_a_run_of_a_newer_version_is_refused(tmp_path, schema, function):
    runs.start(tmp_path, INFO)
    edit_info(tmp_path, schema=schema, status="finished", kind={"now": "an object"})
    assert message_of(function, tmp_path) == (
        f"{tmp_path} was made by a newer version of ser (schema {schema}, this one reads 2); upgrade ser."
    )


def test_a_run_of_an_older_version_is_refused(tmp_path):
    runs.start(tmp_path, INFO)
    edit_info(tmp_path, schema=1, settings={"run": {"seed": 0}})
    assert message_of(runs.load_info, tmp_path) == (
        f"{tmp_path} was made by an older version of ser (schema 1, this one reads 2); train the run again."
    )


def test_an_unfinished_run_is_refused(tmp_path):
    runs.start(tmp_path, INFO)
    assert message_of(runs.load_finished, tmp_path) == (
        f"{tmp_path} is not finished (status 'training'); repeat the command that started it, which resumes it."
    )


def test_a_finished_run_is_loaded(tmp_path):
    runs.write_info(tmp_path, replace(INFO, status="finished", n_features=51))
    assert runs.load_finished(tmp_path).n_features == 51


DAMAGED = [b"", b'{"kind": "mod', b"[]", b"\xff\xfe", b'{"kind": "\xff"}', b"{}", b'{"kind": 1}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_run_json_is_refused(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    message = message_of(runs.load_info, tmp_path)
    assert message.startswith(f"{path} cannot be read: ")
    assert message.endswith(". Train the run again, or copy it again.")


def test_a_split_is_read_as_it_was_written(tmp_path):
    runs.write_split(tmp_path, SPLIT)
    assert runs.read_split(tmp_path) == SPLIT


@pytest.mark.parametrize("content", [None, *DAMAGED])
def test_a_missing_or_damaged_split_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "split.json").write_bytes(content)
    message = message_of(runs.read_split, tmp_path)
    assert message.startswith(f"{tmp_path / 'split.json'} cannot be read: ")
    assert message.endswith(". Train the run again, or copy it again.")


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"mean": np.linspace(0, 1, 5), "scale": np.ones((2, 3), np.float32)}
    write_arrays(tmp_path / "normaliser.npz", arrays)
    read = runs.read_arrays(tmp_path / "normaliser.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("share", [None, 0.0, 0.3, 0.9])
def test_missing_or_damaged_arrays_are_refused(tmp_path, share):
    path = tmp_path / "normaliser.npz"
    if share is not None:
        write_arrays(path, {"mean": np.arange(50.0)})
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
    message = message_of(runs.read_arrays, path)
    assert message.startswith(f"{path} cannot be read: ")
    assert message.endswith(". Train the run again, or copy it again.")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", mean=np.array([{"a": 1}], object))
    assert "cannot be read" in message_of(runs.read_arrays, tmp_path / "a.npz")


def predictions_of(ids, truth=None, n_labels=3):
    rng = np.random.default_rng(0)
    labels = tuple(["neutral", "joy, happiness", 'an "odd" one'][:n_labels])
    return Predictions(tuple(ids), labels, rng.dirichlet(np.ones(n_labels), len(ids)), truth)


ODD = ["a,b", 'say "no"', "two\nlines", "carriage\rreturn", "both\r\n", "Zoë 谢谢", " blanks ", "", "'", "=1+1", "nan"]


def test_predictions_come_back_to_the_bit_whatever_the_ids_are(tmp_path):
    written = predictions_of(ODD, truth=tuple(ODD))
    runs.write_predictions(tmp_path, "test", written)
    read = runs.read_predictions(tmp_path, "test")
    assert (read.ids, read.labels, read.truth) == (written.ids, written.labels, written.truth)
    assert read.probs.dtype == np.float64
    np.testing.assert_array_equal(read.probs, written.probs)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=4),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_any_id_and_any_probability_come_back(tmp_path_factory, ids, probs):
    folder = tmp_path_factory.mktemp("run")
    written = Predictions(tuple(ids), ("x", "y"), np.array([probs] * len(ids)), ("x",) * len(ids))
    runs.write_predictions(folder, "valid", written)
    read = runs.read_predictions(folder, "valid")
    assert (read.ids, read.truth) == (written.ids, written.truth)
    np.testing.assert_array_equal(read.probs, written.probs)
    shutil.rmtree(folder)


def test_predictions_without_truth_come_back_without_truth(tmp_path):
    runs.write_predictions(tmp_path, "test", predictions_of(["a", "b"]))
    assert runs.read_predictions(tmp_path, "test").truth is None


def test_the_table_of_predictions_can_be_read_by_people(tmp_path):
    probs = np.array([[0.25, 0.75], [0.5, 0.5]])
    runs.write_predictions(tmp_path, "test", Predictions(("a", "b"), ("calm", "fear"), probs, ("fear", "calm")))
    assert (tmp_path / "predictions" / "test.csv").read_text().splitlines() == [
        '"id","truth","prediction","calm","fear"',
        '"a","fear","fear",0.25,0.75',
        '"b","calm","calm",0.5,0.5',
    ]


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"id,truth\n",
        b"id,truth,prediction,x,y\na,x,x,0.5\n",
        b"id,truth,prediction,x\na,x,x,0.5,0.5\n",
        b"id,truth,prediction,x,y\na,x,x,0.5,much\n",
        b"id,truth,prediction,x,y\na,x,x,0.5,0.5\nb,x\n",
        b"id,truth,prediction,x,y\n\xff,x,x,0.5,0.5\n",
    ],
)
def test_missing_or_damaged_predictions_are_refused(tmp_path, content):
    path = tmp_path / "predictions" / "test.csv"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    message = message_of(runs.read_predictions, tmp_path, "test")
    assert message.startswith(f"{path} cannot be read: ")
    assert message.endswith(". Give --data, or train the run again.")


def test_runs_with_other_labels_are_refused_by_name(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    infos = [INFO, INFO, replace(INFO, labels=("anger", "neutral"))]
    with pytest.raises(MismatchError) as caught:
        runs.check_labels(folders, infos)
    assert str(caught.value) == (
        f"{folders[0]} and {folders[2]} have different labels: neutral, anger against anger, neutral; "
        "train both on one prepared dataset."
    )


@pytest.mark.parametrize(
    "content", ["a,b\n1\n", "id,truth,prediction,neutral,anger\na,anger,anger,1.0\n", "x,y,z,neutral\n"]
)
def test_a_table_of_something_else_is_not_read_as_predictions(tmp_path, content):
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "test.csv").write_text(content)
    message = message_of(runs.read_predictions, tmp_path, "test")
    assert "not a table of predictions" in message


def test_damaged_arrays_are_told_without_talk_of_loading_them_unsafely(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(b"PK")
    assert message_of(runs.read_arrays, path) == (
        f"{path} cannot be read: damaged, no arrays in it. Train the run again, or copy it again."
    )


def test_a_run_belongs_to_one_process_until_it_is_left(tmp_path):
    with runs.started(tmp_path, INFO) as info:
        assert info == INFO
        with pytest.raises(HeldError, match=rf"process {os.getpid()} on .* wait until it ends"):
            enter(runs.started(tmp_path, INFO))
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_finished_run_is_anybodys_to_read(tmp_path):
    with runs.started(tmp_path, INFO):
        runs.write_info(tmp_path, replace(INFO, status="finished"))
        with runs.started(tmp_path, INFO) as seen:
            assert seen.status == "finished"


def test_a_run_that_broke_off_is_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt), runs.started(tmp_path, INFO):
        raise KeyboardInterrupt
    with runs.started(tmp_path, INFO) as info:
        assert replace(info, versions={}) == INFO


def test_no_lock_is_left_in_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SerError, match="is not a run directory"):
        enter(runs.started(tmp_path, INFO))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def changed(**sections):
    """Settings as they are in run.json, with other sections."""
    return {"settings": {**msgspec.to_builtins(SETTINGS), **sections}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {}}, "Object missing required field `data` - at `$.settings`"),
        (changed(split={"kind": "loso", "leaky": "no"}), "Expected `bool`, got `str` - at `$.settings.split.leaky`"),
        (changed(split={"kind": "loso", "leaky": False, "n_folds": 10**9}), "Expected `int` <= 10000"),
        (changed(data=1), "Expected `object`, got `int` - at `$.settings.data`"),
        (changed(seeds=[]), "Expected `array` of length >= 1 - at `$.settings.seeds`"),
        (changed(later=1), "Object contains unknown field `later` - at `$.settings`"),
        (changed(data={"corpus": "a", "manifest_sha256": "", "later": 1}), "unknown field `later`"),
        (changed(members={"acoustic": {"later": 1}}), "unknown field `later` - at `$.settings.members[...]`"),
        ({"temperature": 0}, "Expected `float` > 0.0"),
        ({"n_features": -1}, "Expected `int` >= 0"),
        ({"later": 1}, "has an unknown field `later`; upgrade ser"),
    ],
)
def test_settings_that_nobody_can_use_are_refused_by_name(tmp_path, changes, message):
    runs.start(tmp_path, INFO)
    edit_info(tmp_path, **{"status": "finished", **changes})
    assert message in message_of(runs.load_finished, tmp_path)


def test_a_history_is_read_as_it_was_written(tmp_path):
    history = [EpochResult(n, 1 / n, 2 / n, 0.5, 0.1) for n in (1, 2)]
    runs.write_history(tmp_path, history)
    assert runs.read_history(tmp_path) == history
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    (tmp_path / "history.jsonl").write_text('{"epoch": 1}')
    assert "history.jsonl cannot be read: " in message_of(runs.read_history, tmp_path)


def test_a_run_file_nested_without_end_is_refused(tmp_path):
    (tmp_path / "run.json").write_bytes(b'{"settings":' * 100_000)
    assert "run.json cannot be read: " in message_of(runs.load_info, tmp_path)


def enter(context):
    with context:
        pass
