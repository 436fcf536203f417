import csv
import json
from types import SimpleNamespace

import pytest
import soundfile

from sercli.cli.render import counted
from sercli.dataset import preparation
from sercli.errors import SerError
from sercli.training.experiment import provenance
from sercli.training.setup import make_setup


@pytest.fixture
def copied(tiny_corpus, tmp_path, no_progress):
    """The tiny corpus prepared with a clip of f1 once more as FLAC, by another speaker of another session."""
    lines = (tiny_corpus / "corpus.csv").read_text().splitlines()
    rows = [line.replace("audio/", f"{tiny_corpus}/audio/", 1) for line in lines[1:]]
    signal, rate_hz = soundfile.read(tiny_corpus / "audio" / "f1-anger-free.wav", dtype="int16")
    soundfile.write(tmp_path / "copy.flac", signal, rate_hz)
    (tmp_path / "corpus.csv").write_text("\n".join([lines[0], *rows, f"{tmp_path}/copy.flac,anger,m2,s2,,,m\n"]))
    prepared = preparation.prepare("table", tmp_path, tmp_path / "data", label_set="four", progress=no_progress)
    preparation.finish(prepared, [], jobs=1, progress=no_progress)
    (ids,) = prepared.dataset.info.same_sounds
    return SimpleNamespace(data=tmp_path / "data", names=f"{ids[0]} = {ids[1]}")


def setup(data, split, fold=1, file=None):
    options = {"words": "human", "n_folds": None, "fold": fold, "seed": 0}
    return make_setup("acoustic-log-mel", file, None, data, split=split, **options)


@pytest.mark.parametrize(("split", "fold"), [("speakers", 1), ("loso", None)])
def test_a_sound_in_two_parts_stops_a_training_with_its_names(copied, split, fold):
    with pytest.raises(SerError) as refused:
        setup(copied.data, split, fold)
    assert str(refused.value) == (
        f"--split {split} fold 1: 1 sound ({copied.names}) under different names in several parts, so scores would be "
        "too good; keep one of each in the corpus, or use --split seed (leaky)."
    )


def test_with_a_file_of_folds_the_run_is_leaky_and_the_copy_named(copied, tmp_path):
    lines = (copied.data / "manifest.jsonl").read_text().splitlines()
    ids = [(one["id"], "123".index(one["session"][1]) + 1) for one in map(json.loads, lines)]
    (tmp_path / "folds.csv").write_text("\n".join(["id,fold", *(f"{name},{fold}" for name, fold in ids)]))
    found = setup(copied.data, f"file:{tmp_path / 'folds.csv'}", None)
    assert [split.leaky for split in found.folds] == [True, True, True]
    assert found.folds[0].same_sounds == (copied.names,)


@pytest.mark.parametrize("speaker", ["", "speaker"])
def test_parts_that_are_given_for_recordings_without_speakers_may_share_people(
    tiny_corpus, tmp_path, no_progress, speaker
):
    rows = list(csv.DictReader((tiny_corpus / "corpus.csv").read_text().splitlines()))
    part = {name: ("train", "valid", "test")[n % 3] for n, name in enumerate(sorted({row["speaker"] for row in rows}))}
    made = [f"{tiny_corpus}/{r['path']},{r['label']},{r.get(speaker, '')},{part[r['speaker']]}" for r in rows]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,speaker,part", *made]))
    prepared = preparation.prepare(
        "table", tmp_path / "t.csv", tmp_path / "data", label_set="four", progress=no_progress
    )
    assert (48, "it has a part, which --split official uses, and no other split") in {
        (n, reason) for n, _, reason, _ in counted(prepared.summary.remarks)
    }
    preparation.finish(prepared, [], jobs=1, progress=no_progress)
    found = setup(tmp_path / "data", "official")
    may = "Recordings without a speaker are in the parts, which may share people: scores may be too good."
    assert provenance(found.dataset, found.folds, (0,)).split.leak == ("" if speaker else may)


def test_settings_of_a_search_that_saw_what_is_tested_are_told(tiny_dataset, tmp_path):
    found, best = setup(tiny_dataset.folder, "speakers"), tmp_path / "best.json"
    best.write_text(json.dumps(found.configs[0].to_dict()))
    searched = {"name": "x", "settings": provenance(found.dataset, found.folds, (0,)).to_dict()}
    (tmp_path / "study.json").write_text(json.dumps(searched))
    assert setup(tiny_dataset.folder, "speakers", 1, best).remarks == ()
    for split, fold in (("speakers", 2), ("speakers", None), ("seed", 1)):
        (told,) = setup(tiny_dataset.folder, split, fold, best).remarks
        assert told.startswith(f"{best} is of a search on fold 1 of --split speakers, which saw what is tested here: ")


def test_a_dataset_whose_sounds_were_never_compared_is_refused(copied):
    path = copied.data / "dataset.json"
    content = json.loads(path.read_text())
    del content["same_sounds"]
    path.write_text(json.dumps(content))
    with pytest.raises(SerError, match=r"dataset\.json cannot be read: .* `same_sounds`\. Run `ser prepare` again\."):
        setup(copied.data, "speakers")
