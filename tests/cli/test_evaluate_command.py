"""Cross-validation and the evaluation of many systems, as a user runs them."""

import base64
import csv
import io
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import soundfile
from safetensors.numpy import load_file

from sercli import plugins
from sercli.errors import SerError

QUICK = ["--set", "train.epochs=2", "--set", "train.lr=0.01"]
SMALL = ["--set", "architecture.hidden_size=8"]


@pytest.fixture(scope="module")
def made(tiny_corpus, tmp_path_factory, run_quietly):
    """The tiny corpus prepared; `runs` holds two models on three folds with two seeds, and their average."""
    base = tmp_path_factory.mktemp("evaluate")
    folders = SimpleNamespace(data=base / "data", runs=base / "runs")
    table = tiny_corpus / "corpus.csv"
    run_quietly("prepare", "table", table, "--out", folders.data, "--features", "lld,words", "--jobs", 1)
    words = ["--data", folders.data, "--split", "loso", "--fold", "all", "--seeds", 2, "--jobs", 1]
    run_quietly("train", "-m", "acoustic-lld", "-m", "linguistic", *words, *QUICK, *SMALL, "--out", folders.runs)
    folders.acoustic, folders.linguistic = folders.runs / "acoustic-lld", folders.runs / "linguistic"
    folders.average = folders.runs / "average"
    sides = ["-a", folders.acoustic, "-l", folders.linguistic, "--rule", "average"]
    run_quietly("ensemble", *sides, "--data", folders.data, "--out", folders.average, "--jobs", 1)
    return folders


def report_of(ser, made, path, *words):
    shown = ser("evaluate", "--all", made.runs, "--report", path, "--jobs", 1, *words)
    assert shown.code == 0, shown.err
    return shown


def test_all_folds_are_scored_together_with_each_seed(ser, made):
    words = ["-m", "acoustic-lld", "--data", made.data, "--split", "loso", "--fold", "all", "--seeds", 2, "--jobs", 1]
    again = ser("train", *words, *QUICK, *SMALL, "--out", made.acoustic)
    assert again.code == 0
    assert again.out.count("acoustic-lld, seed") == 2
    assert "Validation part" in again.out
    assert (made.acoustic / "fold-3" / "seed-1" / "history.png").exists()
    assert "kept epoch" not in again.err  # none is trained again
    assert f"ser evaluate {made.acoustic}" in again.err


def test_every_run_below_a_folder_is_evaluated(ser, made):
    found = json.loads(ser("evaluate", "--all", made.runs, "--json").out)
    assert {s["name"]: s["n_seeds"] for s in found["systems"]} == {"acoustic-lld": 2, "linguistic": 2, "average": 2}
    assert found["protocol"]["folds"] == 3
    assert found["protocol"]["trainings"] == "2 for each fold (seeds 0, 1)"
    assert found["data"]["speakers"] == 6
    assert len(found["differences"]) == 3
    for system in found["systems"]:
        assert sum(map(sum, system["confusion"])) == system["n"] == 48
        assert len(system["folds"]) == 3 * 2
        figure = system["figures"]["ua"]
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert system["ua"] == pytest.approx(figure["value"])
        assert {part["by"] for part in system["slices"]} >= {"sex", "speaker"}


def test_an_evaluation_tells_how_each_run_was_made(ser, made):
    found = json.loads(ser("evaluate", "--all", made.runs, "--json").out)
    training = {system["name"]: system["training"] for system in found["systems"]}
    acoustic, average = training["acoustic-lld"], training["average"]
    assert acoustic["command"].startswith("ser train -m acoustic-lld -m linguistic --data ")
    assert average["command"].startswith("ser ensemble -a ")
    weights = load_file(made.acoustic / "fold-1" / "seed-0" / "weights.safetensors")
    assert acoustic["parameters"] == sum(tensor.size for tensor in weights.values())
    assert average["parameters"] == acoustic["parameters"] + training["linguistic"]["parameters"]
    epochs = [json.loads(line) for path in made.acoustic.rglob("history.jsonl") for line in path.open()]
    assert len(epochs) >= 3 * 2
    assert acoustic["seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in epochs))
    assert acoustic["hardware"].endswith("1 thread")
    assert acoustic["settings"]["train.lr"] == "0.01"
    assert average["settings"]["rule"] == "average"
    assert average["settings"]["acoustic: train.lr"] == "0.01"
    assert (acoustic["name"], acoustic["words"], average["words"]) == ("acoustic-lld", "", "human")
    assert len(acoustic["temperatures"]) == 3 * 2


def test_cross_validations_are_fused_with_their_data_alone(ser, made, tmp_path):
    sides = ["-a", made.acoustic, "-l", made.linguistic, "--rule", "average"]
    refused = ser("ensemble", *sides, "--out", tmp_path / "run")
    assert refused.err == (
        f"ser: {made.acoustic} holds a run for each fold; add --data {made.data}, which fuses them fold by fold.\n"
    )


def test_an_evaluation_tells_what_the_corpus_is_and_who_tests_and_validates(ser, made):
    found = json.loads(ser("evaluate", "-a", made.acoustic, "--json").out)
    data, protocol = found["data"], found["protocol"]
    assert data["about"].startswith("The user's own corpus: a CSV, TSV or JSONL file")
    assert data["left out"] == "nothing that was found of these classes"
    assert data["made by"] == f"ser prepare table CORPUS --out {made.data}"
    assert protocol["speakers of training"] == "2 in each fold"
    assert protocol["speakers of validation"] == "2 in each fold"
    assert protocol["speakers of test"] == "2 in each fold, none of them in its training"


def test_a_corpus_whose_package_is_gone_is_described_by_its_dataset_alone(ser, made, monkeypatch):
    def gone(name):
        raise SerError(f"The corpus '{name}' is unknown.")

    monkeypatch.setattr(plugins, "corpus", gone)
    data = json.loads(ser("evaluate", "-a", made.acoustic, "--json").out)["data"]
    assert (data["corpus"], data["utterances"], "about" in data) == ("table", 48, False)


def test_sentences_that_are_in_training_are_told_in_every_output(ser, made, tmp_path):
    """Scripted clips share their words with those of the other speakers, free clips have a number of their own."""
    shown = ser("evaluate", "-l", made.linguistic, "--csv", tmp_path / "values.csv")
    said = " ".join(shown.out.split())
    assert re.search(
        "(Yes, it seems|Perhaps|No sign of it): in training `linguistic` read the sentence of 24 of 48 test",
        said,
    )
    assert "UA on the 24 others: `linguistic`" in said
    with (tmp_path / "values.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["by"] == "sentence" and row["figure"] == "ua"]
    assert [(row["of"], row["n"]) for row in rows] == [("in training", "24"), ("new", "24")]
    assert "`acoustic-lld` heard the sentence of 24" in " ".join(ser("evaluate", "-a", made.acoustic).out.split())
    anew = json.loads(ser("evaluate", "-l", made.linguistic, "--data", made.data, "--json").out)
    assert anew["systems"][0]["n_seen"] == 24


def test_the_table_has_intervals_and_says_the_answer(ser, made):
    shown = ser("evaluate", "--all", made.runs)
    assert shown.code == 0
    for expected in ("95 % of UA", "ECE", "±", "seeds", "weighted", "majority", "recall"):
        assert expected in shown.out
    assert re.search(r"cannot be told from 6 speakers with \d+ comparisons; evaluate\s+fewer systems.", shown.out)


HEADS = {"system", "n", "WA", "UA", "95", "%", "of", "macro-F1", "macro-", "weighted", "F1", "ECE", "±", "seeds"}


@pytest.mark.parametrize("columns", ["60", "72", "80", "120"])
def test_a_narrow_terminal_folds_heads_and_names_but_no_figure(ser, made, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    shown = ser("evaluate", "--all", made.runs).out
    rows = [line for line in shown.splitlines() if re.search(r"\d\.\d{3}–\d\.\d{3}", line)]
    assert len(rows) == 3
    n_left_out = 2 * shown.count("Left out on a narrow terminal: ECE, weighted F1.")
    assert n_left_out == 2 * (columns == "60")
    heads = shown.partition("─")[0].split("\n", 1)[1]
    assert set(heads.split()) <= HEADS
    for row in rows:
        assert len(row) <= int(columns)
        assert len([cell for cell in row.split() if re.fullmatch(r"\d\.\d{3}(–\d\.\d{3})?", cell)]) == 7 - n_left_out


def test_a_cross_validation_is_answered_anew_as_it_answered(ser, made):
    stored, anew = (
        json.loads(ser("evaluate", "-e", made.average, *more, "--json").out)["systems"]
        for more in ([], ["--data", made.data])
    )
    assert anew == stored


@pytest.fixture(scope="module")
def other_data(tiny_corpus, tmp_path_factory, run_quietly):
    """other_data(name, change) -> a dataset of every third clip, whose table rows were changed."""

    def make(name, change):
        base = tmp_path_factory.mktemp(name)
        with (tiny_corpus / "corpus.csv").open(encoding="utf-8") as file:
            rows = [
                change(n, {**row, "path": tiny_corpus / row["path"]}, base)
                for n, row in enumerate(csv.DictReader(file))
            ]
        with (base / "other.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows[::3])
        run_quietly("prepare", "table", base / "other.csv", "--out", base / "data", "--features", "lld", "--jobs", 1)
        return base / "data"

    return make


def renamed(n, row, base):
    """A copy of the recording under another name, every second one as FLAC, by a speaker of another name."""
    copy = base / (f"{n}.flac" if n % 2 else f"{n}.wav")
    if n % 2:
        soundfile.write(copy, *soundfile.read(row["path"], dtype="int16"))
    else:
        shutil.copyfile(row["path"], copy)
    return {**row, "path": copy, "speaker": f"new-{row['speaker']}"}


def quieter(n, row, base):
    """Another recording of the same speaker."""
    sound, rate_hz = soundfile.read(row["path"])
    soundfile.write(base / f"{n}.wav", sound / 2, rate_hz)
    return {**row, "path": base / f"{n}.wav"}


def strange(n, row, base):
    """Another recording of another speaker, but for the first rows, which are renamed copies."""
    return renamed(n, row, base) if n < 12 else {**quieter(n, row, base), "speaker": f"new-{row['speaker']}"}


def unseen(n, row, base):
    return strange(n + 12, row, base)


def evaluated(ser, run, data, *more):
    shown = ser("evaluate", "-e" if run.name == "average" else "-a", run, "--data", data, "--json", *more)
    assert shown.code == 0, shown.err
    return json.loads(shown.out)


def test_on_other_data_each_fold_run_predicts_everything_and_copies_are_counted(ser, made, other_data):
    data = other_data("copies", renamed)
    found = evaluated(ser, made.acoustic, data)
    (system,) = found["systems"]
    assert system["n_seeds"] == 6
    assert sum(map(sum, system["confusion"])) == pytest.approx(system["n"]) == 16
    assert found["overlap"] == {"recordings": 16, "speakers": [], "dropped": 0}
    assert found["protocol"]["test part"] == "all utterances of another dataset"
    assert found["protocol"]["shared with a train or validation part"].startswith("16 recordings (")
    assert "misses excerpts, other speeds and much noise" in found["protocol"]["compared by"]
    assert "--drop-seen leaves them out" in found["warnings"][0]
    for form in ([], ["--json"]):
        quiet = ser("evaluate", "-a", made.acoustic, "--data", data, "--quiet", *form)
        assert f"warning: {found['warnings'][0]}" in " ".join(quiet.err.split())


def test_where_all_of_a_dataset_was_seen_nothing_is_left_to_score(ser, made, other_data):
    data = other_data("voices", quieter)
    found = evaluated(ser, made.average, data)  # its members have copies of what they were trained on
    assert found["overlap"]["speakers"] == [f"table/{name}" for name in ("f1", "f2", "f3", "m1", "m2", "m3")]
    refused = ser("evaluate", "-a", made.acoustic, "--data", data, "--drop-seen")
    assert refused.code == 2
    assert f"--drop-seen leaves nothing of {data}" in refused.err


def test_what_was_seen_is_left_out_on_request(ser, made, other_data):
    data = other_data("strange", strange)
    found = evaluated(ser, made.acoustic, data, "--drop-seen")
    assert found["overlap"] == {"recordings": 4, "speakers": [], "dropped": 4}
    assert found["systems"][0]["n"] == 12
    assert found["protocol"]["test part"].endswith("whose recordings and speakers are in no train part")
    assert "4 utterances were left out" in found["warnings"][0]
    shown = ser("evaluate", "-a", made.acoustic, "--data", data)
    assert (
        "4 utterances of this dataset have a recording or speaker in a train or validation part: 4 recordings ("
        in shown.err
    )


def test_a_dataset_that_no_system_was_trained_on_is_called_so_only_if_that_was_checked(ser, made, other_data, tmp_path):
    data = other_data("unseen", unseen)
    found = evaluated(ser, made.acoustic, data)
    assert found["overlap"] == {"recordings": 0, "speakers": [], "dropped": 0}
    assert found["protocol"]["test part"] == "all utterances of a dataset that no system was trained on"
    shutil.copytree(made.acoustic / "fold-1" / "seed-0", tmp_path / "run")
    (tmp_path / "run" / "train_part.json").unlink()
    unlisted = evaluated(ser, tmp_path / "run", data)
    assert unlisted["protocol"]["test part"] == "all utterances of another dataset"
    said = "cannot be checked: this run does not list its train part"
    assert unlisted["protocol"]["shared with a train or validation part"] == said
    assert said in unlisted["warnings"][0]


def test_seen_utterances_can_be_left_out_of_other_data_only(ser, made):
    assert "--drop-seen needs --data" in ser("evaluate", "-a", made.acoustic, "--drop-seen").err
    refused = ser("evaluate", "-a", made.acoustic, "--data", made.data, "--drop-seen")
    assert "--drop-seen has no effect" in refused.err


def test_the_report_is_one_page_and_repeats_to_the_byte(ser, made, tmp_path):
    path = tmp_path / "report.html"
    tables = ["--latex", tmp_path / "tables.tex", "--csv", tmp_path / "figures.csv"]
    shown = report_of(ser, made, path, *tables)
    first = [file.read_bytes() for file in sorted(tmp_path.iterdir())]
    report_of(ser, made, path, *tables)
    assert [file.read_bytes() for file in sorted(tmp_path.iterdir())] == first
    page = path.read_text(encoding="utf-8")
    for expected in ("acoustic-lld", "linguistic", "average", "<svg", "ser evaluate --all"):
        assert expected in page
    assert shown.err.count("Wrote ") == 3
    assert "level" in page  # the recordings were measured
    with (tmp_path / "figures.csv").open(encoding="utf-8") as file:
        assert {row["system"] for row in csv.DictReader(file)} >= {"acoustic-lld", "linguistic", "average"}
    assert r"\toprule" in (tmp_path / "tables.tex").read_text(encoding="utf-8")


def test_the_most_confident_mistakes_can_be_heard_in_the_report(ser, made, tmp_path):
    page, system = tmp_path / "report.html", json.loads(ser("evaluate", made.acoustic, "--json").out)["systems"][0]
    assert ser("evaluate", made.acoustic, "--report", page, "--with-audio", "--jobs", 1).code == 0
    embedded = re.findall('aria-label="([^"]+)" src="data:audio/mpeg;base64,([^"]+)"', page.read_text(encoding="utf-8"))
    assert [name for name, _ in embedded] == [mistake["id"] for mistake in system["mistakes"][:5]]
    sound, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(embedded[0][1])))
    assert len(sound) / rate_hz == pytest.approx(0.6, abs=0.1)
    assert len(embedded[0][1]) < 10_000  # of 0.6 s
    refused = ser("evaluate", made.acoustic, "--with-audio")
    assert "--with-audio needs --report, the page that gets the clips; add it." in refused.err


def test_a_report_can_be_without_what_was_said(ser, made, tmp_path):
    words = ["evaluate", "-a", made.acoustic, "--json"]
    shown, hidden = (json.loads(ser(*words, *more).out)["systems"][0] for more in ([], ["--hide-words"]))
    said = {mistake["words"] for mistake in shown["mistakes"]}
    assert said
    assert all(said)
    assert {mistake["words"] for mistake in hidden["mistakes"]} == {None}
    report_of(ser, made, tmp_path / "report.html", "--hide-words")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not any(text in page for text in said)


def test_runs_in_folders_of_one_name_have_names_of_their_own_and_keep_their_own_reports(ser, made, tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for seed, folder in enumerate(folders):
        shutil.copytree(made.acoustic / "fold-1" / f"seed-{seed}", folder)
    systems = json.loads(ser("evaluate", *folders, "--json").out)["systems"]
    confusions = {system["name"]: system["confusion"] for system in systems}
    kept = [json.loads((folder / "report.json").read_bytes()) for folder in folders]
    assert [one["name"] for one in kept] == ["acoustic-lld (a/run)", "acoustic-lld (b/run)"]
    assert [one["confusion"] for one in kept] == [confusions[one["name"]] for one in kept]
    assert kept[0]["confusion"] != kept[1]["confusion"]


def test_a_run_whose_dataset_is_gone_is_scored_over_utterances(ser, made, tmp_path):
    shutil.copytree(made.acoustic, tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_bytes())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**info, "data": str(tmp_path / "gone")}))
    shown = ser("evaluate", "-a", tmp_path / "run")
    assert shown.code == 0
    assert "was not found" in shown.err


def test_a_dataset_that_was_given_from_another_folder_is_found_above_the_run(ser, made, tmp_path, monkeypatch):
    work = tmp_path / "work"
    shutil.copytree(made.acoustic, work / "runs" / "one")
    (work / "data").symlink_to(made.data.resolve())
    info = json.loads((work / "runs" / "one" / "run.json").read_bytes())
    (work / "runs" / "one" / "run.json").write_text(json.dumps({**info, "data": "data"}))
    for place, run in ((work, "runs/one"), (tmp_path, "work/runs/one"), (work / "runs", "one")):
        monkeypatch.chdir(place)
        shown = ser("evaluate", "-a", run)
        assert shown.code == 0
        assert "was not found" not in shown.err


def test_folds_that_were_written_are_trained_on_again(ser, made, tmp_path):
    words = ["train", "-m", "linguistic", "--data", made.data, *QUICK, *SMALL, "--out", tmp_path / "run"]
    split = f"file:{made.acoustic / 'folds.json'}"
    assert ser(*words, "--split", split, "--fold", "2").code == 0
    mine, theirs = (
        json.loads((folder / "split.json").read_bytes())
        for folder in (tmp_path / "run", made.linguistic / "fold-2" / "seed-0")
    )
    assert [mine[part] for part in ("train", "valid", "test")] == [theirs[part] for part in ("train", "valid", "test")]
    assert "has 3 folds" in ser(*words[:-1], tmp_path / "no", "--split", split, "--fold", "4").err


def test_each_fold_is_searched_by_itself_and_trained_with_what_was_found(ser, made, tmp_path):
    words = ["--data", made.data, "--split", "loso", "--fold", "all"]
    study = ["tune", "-m", "linguistic", *words, "--trials", 1, "--set", "train.epochs=1", "--out", tmp_path / "study"]
    assert ser(*study).code == 0
    train = ["train", "-m", "linguistic", *words, "--jobs", 1, "--config", tmp_path / "study", "--out"]
    assert ser(*train, tmp_path / "run").code == 0
    for fold in (1, 2, 3):
        found = json.loads((tmp_path / "study" / f"fold-{fold}" / "best.json").read_bytes())
        used = json.loads((tmp_path / "run" / f"fold-{fold}" / "seed-0" / "run.json").read_bytes())["settings"]
        assert used["train"]["lr"] == found["train"]["lr"]
    alone = ["train", "-m", "linguistic", "--data", made.data, "--split", "loso", "--fold", "2"]
    assert ser(*alone, "--config", tmp_path / "study", "--out", tmp_path / "alone").code == 0


def test_runs_of_several_divisions_are_shown_apart_and_reported_one_at_a_time(ser, made, tmp_path):
    shutil.copytree(made.acoustic, tmp_path / "runs" / "loso")
    leaky = ["train", "-m", "linguistic", "--data", made.data, "--split", "seed", *QUICK, *SMALL]
    assert ser(*leaky, "--out", tmp_path / "runs" / "leaky").code == 0
    shown = ser("evaluate", "--all", tmp_path / "runs")
    assert shown.out.count("majority") == 2
    assert shown.err.count("shares speakers") == 1
    refused = ser("evaluate", "--all", tmp_path / "runs", "--report", tmp_path / "r.html")
    assert refused.code == 2
    assert "2 different parts (loso, seed)" in refused.err


def test_runs_of_two_datasets_are_refused(ser, made, other_data, tmp_path):
    data = other_data("another", renamed)
    assert ser("train", "-m", "acoustic-lld", "--data", data, *QUICK, *SMALL, "--out", tmp_path / "other").code == 0
    refused = ser("evaluate", made.acoustic, tmp_path / "other")
    assert refused.code == 2
    assert "predict different utterances" in refused.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "-m", "linguistic", "--fold", "none"], "--fold none: give a number, counted from 1, or all"),
        (["train", "-m", "linguistic", "--fold", "0"], "--fold 0"),
        (["train", "-m", "linguistic", "--seeds", "3"], "--seeds 3 needs --fold all"),
        (["train", "-m", "all", "--config", "x.toml"], "--config has the settings of one model"),
        (["train", "-m", "linguistic", "--split", "file:nowhere.json"], "nowhere.json cannot be read"),
        (["train", "-m", "linguistic", "--split", "file:nowhere.json", "--folds", "3"], "has the folds of the file"),
        (["tune", "-m", "linguistic", "--fold", "-1"], "--fold -1"),
    ],
)
def test_what_makes_no_sense_is_refused(ser, made, tmp_path, words, expected):
    refused = ser(*words, "--data", made.data, "--out", tmp_path / "out")
    assert refused.code == 2
    assert expected in refused.err
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_to_evaluate_is_refused(ser, made, tmp_path):
    assert "leave out the others" in ser("evaluate", "--all", made.runs, "-a", made.acoustic).err
    assert "holds no run" in ser("evaluate", "--all", tmp_path).err
    assert "is an ensemble; give it without --acoustic" in ser("evaluate", "-a", made.average).err
    for option in ("--report", "--latex", "--csv"):
        refused = ser("evaluate", made.acoustic, option, tmp_path)
        assert (refused.code, refused.out) == (2, "")
        assert "is a directory" in refused.err


def test_all_presets_are_those_that_the_dataset_can_train(ser, tmp_path, monkeypatch):
    table = tmp_path / "table.csv"
    rows = [f"{s}{n},{label},{s},{label} {n}" for s in "abc" for label in ("anger", "sadness") for n in (1, 2)]
    table.write_text("\n".join(["id,label,speaker,text", *(f"{n}-{row}" for n, row in enumerate(rows))]))
    ser("prepare", "table", table, "--out", tmp_path / "data", "--features", "words")
    words = ["train", "-m", "all", "--data", tmp_path / "data", "--split", "speakers", *QUICK[:2]]
    shown = ser(*words, "--out", tmp_path / "runs")
    assert shown.code == 0, shown.err
    made = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert made == {"linguistic", "linguistic-bilstm", "linguistic-lstm"}
    assert "acoustic-lld is left out: not every utterance has sound" in shown.err
    assert "it needs the extra `sentence`" in shown.err
    assert f"ser evaluate --all {tmp_path / 'runs'}" in shown.err
