"""The commands from end to end, as a user runs them: in one process, to keep them quick."""

import errno
import json
import os
import re
import shutil
from types import SimpleNamespace

import pytest
from iemocap_tree import tiny_plan, write_tree
from sounds import DEMO

from sercli.evaluation.metrics import report_from
from sercli.model import spec
from sercli.runs import read_predictions

QUICK = ["--set", "train.epochs=3", "--set", "train.lr=0.01"]


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory, run_quietly):
    """A tiny release with every quirk of the whole one, prepared, with a run of each modality and all ensembles.

    Prepared without the Whisper encoder, which takes ten times as long as all the rest.
    """
    base = tmp_path_factory.mktemp("iemocap")
    write_tree(base / "IEMOCAP_full_release", tiny_plan())
    folders = SimpleNamespace(
        root=base / "IEMOCAP_full_release",
        data=base / "data",
        acoustic=base / "acoustic",
        linguistic=base / "linguistic",
        ensembles=base / "ensembles",
    )
    features = ["--features", "lld,log-mel,words", "--jobs", 1]
    run_quietly("prepare", "iemocap", folders.root, "--out", folders.data, *features)
    run_quietly("train", "-m", "acoustic-lld", "--data", folders.data, "--out", folders.acoustic, *QUICK)
    run_quietly("train", "-m", "linguistic", "--data", folders.data, "--out", folders.linguistic, *QUICK)
    sides = ["-a", folders.acoustic, "-l", folders.linguistic]
    run_quietly("ensemble", *sides, "--data", folders.data, "--out", folders.ensembles, *QUICK[:2])
    return folders


def test_version_and_help(ser):
    assert ser("--version").out.startswith("ser 0.")
    assert ser("--help").code == 0


def test_prepare_shows_what_it_found(ser, iemocap, tmp_path):
    shown = ser("prepare", "iemocap", iemocap.root, "--out", tmp_path / "data", "--features", "words", "--jobs", 1)
    assert shown.code == 0
    for expected in (
        "frustration",
        "happiness",
        "loso",
        "Labels of the corpus",
        "Labels of the dataset",
        "without a majority",
    ):
        assert expected in shown.out
    assert "ser train" in shown.err


def test_prepare_in_quiet_counts_what_it_leaves_out(ser, iemocap, tmp_path):
    shown = ser("prepare", "iemocap", iemocap.root, "--out", tmp_path / "data", "--features", "words", "-q")
    assert shown.out == ""
    assert re.search(r"warning: \d+ left out: raters without a majority \(xxx\); the first: Ses01", shown.err)


def test_a_second_prepare_gives_the_same_manifest(ser, iemocap, tmp_path):
    words = ["prepare", "iemocap", iemocap.root, "--out", tmp_path / "data", "--features", "words", "--jobs", 1]
    ser(*words)
    first = (tmp_path / "data" / "manifest.jsonl").read_bytes()
    assert ser(*words).code == 0
    assert (tmp_path / "data" / "manifest.jsonl").read_bytes() == first


def test_train_scores_the_validation_part_beside_chance_and_majority_and_leads_on_to_the_test_part(
    ser, iemocap, tmp_path
):
    shown = ser("train", "-m", "linguistic-lstm", "--data", iemocap.data, "--out", tmp_path / "run", *QUICK)
    assert shown.code == 0
    for expected in ("Validation part", "linguistic-lstm", "chance", "majority", "UA"):
        assert expected in shown.out
    predictions = read_predictions(tmp_path / "run", "valid")
    assert f"{report_from(predictions, 'x').ua:.3f}" in shown.out
    assert f"Next: ser evaluate {tmp_path / 'run'}" in shown.err
    assert (tmp_path / "run" / "history.png").read_bytes().startswith(b"\x89PNG")


def test_an_ensemble_is_scored_beside_its_members_on_the_validation_part(ser, iemocap, tmp_path):
    sides = ["-a", iemocap.acoustic, "-l", iemocap.linguistic, "--data", iemocap.data]
    shown = ser("ensemble", *sides, "--rule", "feature", "--out", tmp_path / "run", *QUICK[:2])
    assert shown.code == 0
    for expected in ("Validation part", "acoustic-lld", "linguistic", "feature", "chance"):
        assert expected in shown.out
    for folder, name in ((iemocap.acoustic, "acoustic-lld"), (tmp_path / "run", "feature")):
        assert f"{report_from(read_predictions(folder, 'valid'), name).ua:.3f}" in shown.out
    assert f"Next: ser evaluate {iemocap.acoustic} {iemocap.linguistic} {tmp_path / 'run'}" in shown.err
    assert (tmp_path / "run" / "history.png").exists()


def test_the_leaky_split_is_named_as_such(ser, iemocap, tmp_path):
    words = ["train", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "run", "--split", "seed"]
    said = "validation part shares speakers with the train part, so that validation scores are too good; the test part"
    assert f"warning: The {said} shares none." in ser(*words, *QUICK).err
    assert f"warning: The {said} shares none." in ser("evaluate", tmp_path / "run").err


def test_other_settings_on_one_run_are_refused_with_the_difference(ser, iemocap):
    words = ["train", "-m", "acoustic-lld", "--data", iemocap.data, "--out", iemocap.acoustic, *QUICK[:2]]
    refused = ser(*words, "--set", "train.lr=0.5", "--seed", 7)
    assert refused.code == 2
    assert "train.lr was 0.01, now 0.5" in refused.err
    assert "seeds was [0], now [7]" in refused.err


def test_evaluate_scores_models_and_ensembles_side_by_side(ser, iemocap):
    members = ["-a", iemocap.acoustic, "-l", iemocap.linguistic]
    rules = [word for folder in sorted(iemocap.ensembles.iterdir()) for word in ("-e", folder)]
    shown = ser("evaluate", *members, *rules, "--json")
    found = json.loads(shown.out)
    names = ["acoustic-lld", "linguistic", "average", "feature", "max-confidence", "asr-weighted", "weighted"]
    assert sorted(system["name"] for system in found["systems"]) == sorted(names)
    figures = [system["ua"] for system in found["systems"]]
    assert figures == sorted(figures, reverse=True)
    assert [system["name"] for system in found["baselines"]] == ["chance", "majority"]
    for system in found["systems"]:
        assert sum(map(sum, system["confusion"])) == system["n"]
        assert set(system) >= {"name", "n", "wa", "ua", "macro_f1", "weighted_f1", "recall", "confusion", "labels"}
    assert (iemocap.acoustic / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_anew_gives_the_stored_figures(ser, iemocap):
    stored = ser("evaluate", "-e", iemocap.ensembles / "feature", "--json")
    anew = ser("evaluate", "-e", iemocap.ensembles / "feature", "--data", iemocap.data, "--json")
    first, second = ({**json.loads(one.out), "command": ""} for one in (anew, stored))
    assert first == second


def test_evaluate_shows_the_confusion_matrix(ser, iemocap):
    shown = ser("evaluate", "-l", iemocap.linguistic)
    assert shown.code == 0
    for expected in ("neutral", "recall", "precision", "chance"):
        assert expected in shown.out


def test_tune_ends_with_a_file_that_train_takes(ser, iemocap, tmp_path):
    study = ["tune", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "study", "--trials", 2]
    shown = ser(*study, "--set", "train.epochs=2")
    assert shown.code == 0
    assert "train.lr" in shown.out
    assert (tmp_path / "study" / "trials.png").exists()
    words = ["train", "-m", "linguistic", "--config", tmp_path / "study" / "best.json", "--data", iemocap.data]
    assert ser(*words, "--out", tmp_path / "run").code == 0


def test_the_demo_corpus_needs_no_path(ser, tmp_path):
    shown = ser("prepare", "demo", "--out", tmp_path / "demo", "--features", "words")
    assert shown.code == 0
    assert "192" in shown.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["evaluate", "x", "--report", "a.pdf"], "--report a.pdf: give a name that ends in .html."),
        (["evaluate", "x", "--csv", "a.html"], "--csv a.html: give a name that ends in .csv."),
        (["prepare", "ravdes", "x", "--out", "y"], "Did you mean 'ravdess'?"),
        (["prepare", "ravdess", "nowhere", "--out", "y"], "nowhere"),
        (["prepare", "ravdess", "--out", "y"], "needs the folder of the corpus"),
        (["train", "-m", "linguistc", "--data", "x", "--out", "y"], "Did you mean 'linguistic'?"),
        (["train", "-m", "linguistic", "--data", "nowhere", "--out", "y"], "not a prepared dataset"),
        (["train", "-m", "linguistic", "--set", "train.lr=-1", "--data", "x", "--out", "y"], "train.lr"),
        (
            ["train", "-m", "linguistic", "--set", "train.lrr=1", "--data", "x", "--out", "y"],
            "Did you mean 'train.lr'?",
        ),
        (["prepare", "demo", "--labels", "five", "--out", "y"], "--labels five: give four, native, "),
        (["train", "-m", "linguistic", "--fold", "0", "--data", "x", "--out", "y"], "--fold"),
        (["train", "--data", "x", "--out", "y"], "No model chosen"),
        (["evaluate"], "Nothing to evaluate"),
        (["evaluate", "-a", "nowhere"], "not a run directory"),
        (["predict", "nowhere.wav", "--model", "nowhere"], "nowhere.wav does not exist"),
        (["predict"], "Missing"),
        (["nonsense"], "No such command"),
        (["preditc"], "Did you mean 'predict'? See `ser --help`."),
        (["train", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(ser, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    shown = ser(*words)
    assert shown.code == 2
    assert shown.out == ""
    assert expected in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_ensembles_are_not_strewn_among_other_things(ser, iemocap):
    before = sorted(iemocap.data.iterdir())
    words = ["ensemble", "-a", iemocap.acoustic, "-l", iemocap.linguistic, "--data", iemocap.data]
    refused = ser(*words, "--out", iemocap.data)
    assert refused.code == 2
    assert "holds something other than ensembles" in refused.err
    assert sorted(iemocap.data.iterdir()) == before


def test_an_ensemble_of_a_member_without_predictions_is_refused_before_any_work(ser, iemocap, tmp_path):
    shutil.copytree(iemocap.acoustic, tmp_path / "member")
    (tmp_path / "member" / "predictions" / "valid.csv").unlink()
    words = ["ensemble", "-a", tmp_path / "member", "-l", iemocap.linguistic, "--data", iemocap.data]
    refused = ser(*words, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "valid.csv cannot be read" in refused.err
    assert not (tmp_path / "out").exists()


def test_of_all_rules_one_that_cannot_combine_the_members_is_left_out(ser, iemocap, tmp_path):
    shutil.copytree(iemocap.acoustic, tmp_path / "other")
    words = ["ensemble", iemocap.acoustic, tmp_path / "other", "--data", iemocap.data, *QUICK[:2], "-q", "--out"]
    shown = ser(*words, tmp_path / "all")
    why = "The rule asr-weighted combines linguistic models with others, not 0 linguistic with 2 others; choose another"
    assert f"warning: asr-weighted is left out: {why}" in " ".join(shown.err.split())
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"average", "feature", "max-confidence", "weighted"}
    refused = ser(*words[:-4], *words[-2:], tmp_path / "one", "--rule", "asr-weighted")
    assert (refused.code, refused.err.startswith(f"ser: {why}"), (tmp_path / "one").exists()) == (2, True, False)


def test_a_study_is_not_put_into_a_dataset(ser, iemocap):
    before = sorted(iemocap.data.iterdir())
    refused = ser("tune", "-m", "linguistic", "--data", iemocap.data, "--out", iemocap.data, "--trials", 1)
    assert refused.code == 2
    assert "holds something other than a study" in refused.err
    assert sorted(iemocap.data.iterdir()) == before


def test_a_training_that_cannot_begin_leaves_no_run_behind(ser, iemocap, tmp_path):
    words = ["train", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "run"]
    refused = ser(*words, "--set", f"feature.vectors={tmp_path / 'none.txt'}")
    assert refused.code == 2
    assert "none.txt" in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_search_on_a_device_that_cannot_be_used_leaves_no_study_behind(ser, iemocap, tmp_path):
    refused = ser("tune", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "study", "--device", "banana")
    assert refused.code == 2
    assert "--device banana cannot be used here" in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_copy_at_another_speed_that_cannot_be_heard_leaves_no_run_behind(ser, iemocap, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(iemocap.data, data)
    info = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**info, "root": str(tmp_path / "gone")}))
    words = ["train", "-m", "acoustic-lld", "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1"]
    for fold in (1, "all"):
        refused = ser(*words, "--fold", fold, "--set", "train.speeds=[0.9]")
        assert (refused.code, (tmp_path / "run").exists()) == (2, False)
        assert str(tmp_path / "gone") in refused.err
    assert ser(*words).code == 0, "what is in the cache needs no recordings"


def test_a_setting_that_one_of_several_models_refuses_is_told_before_any_is_trained(ser, iemocap, tmp_path):
    words = ["train", "-m", "acoustic-lld", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "runs"]
    refused = ser(*words, "--set", "train.speeds=[0.9]")
    assert (refused.code, (tmp_path / "runs").exists()) == (2, False)
    assert "'words' reads text, which has no speed" in refused.err


def test_refit_trains_one_more_model_that_predicts(ser, iemocap, tmp_path):
    words = ["train", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "run", "--refit"]
    assert "--refit needs --fold all, whose test parts tell how good such a model is" in ser(*words).err
    words += ["--fold", "all", "--jobs", 1, "--set", "train.epochs=1", "--set", "architecture.hidden_size=4"]
    assert f"or ser predict CLIP --model {tmp_path / 'run'}/refit --text" in ser(*words).err
    clip = next(iemocap.root.rglob("*.wav"))
    assert ser("predict", clip, "--text", "I am so happy", "--model", tmp_path / "run" / "refit").code == 0
    assert "has no test part" in ser("evaluate", tmp_path / "run" / "refit").err
    assert ser("evaluate", tmp_path / "run").code == 0


def test_folds_are_refused_where_a_split_has_but_one(ser, iemocap, tmp_path):
    words = ["train", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "run"]
    assert "--folds does nothing with --split seed" in ser(*words, "--split", "seed", "--folds", 5).err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("side", "kind", "expected"),
    [
        ("-a", "linguistic", "is linguistic; give it without --acoustic"),
        ("-e", "acoustic", "is acoustic; give it without --ensemble"),
    ],
)
def test_a_run_is_evaluated_as_what_it_is(ser, iemocap, side, kind, expected):
    refused = ser("evaluate", side, getattr(iemocap, kind))
    assert refused.code == 2
    assert expected in refused.err


def test_an_evaluation_on_other_data_leaves_the_runs_own_report_alone(ser, iemocap, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(iemocap.acoustic, run)
    ser("evaluate", "-a", run)
    own = (run / "report.json").read_bytes()
    smaller = tmp_path / "table.csv"
    clips = sorted(iemocap.root.glob("Session1/sentences/wav/*/Ses*.wav"))[:4]
    labels = ("neutral", "happiness", "sadness", "anger")
    smaller.write_text("path,label\n" + "".join(f"{clip},{label}\n" for clip, label in zip(clips, labels, strict=True)))
    assert ser("prepare", "table", smaller, "--out", other, "--features", "lld", "--jobs", 1).code == 0
    assert ser("evaluate", "-a", run, "--data", other).code == 0
    assert (run / "report.json").read_bytes() == own
    assert json.loads((run / "report-other.json").read_bytes())["n"] == 4


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS], ids=["somebody else's", "read-only"])
def test_a_run_is_scored_though_nothing_can_be_kept_there(ser, iemocap, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("sercli.evaluation.plots.confusion_picture", refuse)
    shown = ser("evaluate", "-a", iemocap.acoustic)
    assert shown.code == 0
    assert "cannot be written to" in shown.err
    assert "recall" in shown.out


def test_runs_of_any_kind_are_evaluated_without_naming_it(ser, iemocap):
    three = [iemocap.acoustic, iemocap.linguistic, iemocap.ensembles / "average"]
    named = ser("evaluate", *(word for pair in zip(("-a", "-l", "-e"), three, strict=True) for word in pair))
    assert ser("evaluate", *three).out == named.out
    assert ser("evaluate", three[0], "-l", three[1], "-e", three[2]).out == named.out


@pytest.mark.parametrize("command", ["", "prepare", "train", "tune", "ensemble", "evaluate", "predict", "export"])
def test_help_names_values_as_people_do_and_has_no_bounds_that_mean_nothing(ser, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    shown = ser(*command.split(), "--help").out
    assert "--help" in shown
    assert not re.search(r"<[a-z]|list\[|2147483647|int range", shown)


def test_the_help_of_train_has_a_line_for_each_preset(ser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip().split(maxsplit=1) for line in ser("train", "--help").out.splitlines() if line.strip()]
    at = [name for name, *_ in lines].index(spec.presets()[0])
    assert lines[at : at + len(spec.presets())] == [[name, what] for name, what in spec.described_presets().items()]


def test_a_dangling_link_is_no_place_to_write_to(ser, iemocap, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    words = ["train", "-m", "linguistic", "--data", iemocap.data, "--out", tmp_path / "link", *QUICK]
    refused = ser(*words)
    assert refused.code == 2
    assert f"{tmp_path / 'link'} cannot be used" in refused.err


def test_files_in_a_folder_that_are_not_called_like_recordings_are_counted(ser, tmp_path):
    clip = DEMO / "f2-anger-5.ogg"
    for name in ("clip.ogg", "old.xyz", "new.xyz", "README"):
        shutil.copyfile(clip, tmp_path / name)
    said = ser("predict", tmp_path, "--no-asr").err
    assert "3 files in folders not called like recordings: left out (2 .xyz, 1 without ending); name any that" in said


def test_an_empty_folder_is_refused(ser, iemocap, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no audio files" in ser("predict", tmp_path / "empty", "--model", iemocap.acoustic).err
    refused = ser("prepare", "ravdess", tmp_path / "empty", "--out", tmp_path / "data")
    assert refused.code == 2
    assert not (tmp_path / "data").exists()
