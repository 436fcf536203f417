"""Databases in audformat: read as a corpus, and written by `ser predict`."""

import sys

import audformat
import numpy as np
import pytest
import soundfile
from corpus_items import reasons, utterances

from sercli.cli.writers import database
from sercli.corpora import audformat as corpus
from sercli.corpora.audformat import Config
from sercli.errors import SerError
from sercli.types import Prediction

FILES = [f"wav/{speaker}-{label}.wav" for speaker in ("ann", "bob") for label in ("anger", "neutral")]


def add(db, name, column, values, index=None, split=None, scheme=None):
    """Add a table with one column; its index is that of all files if none is given."""
    if name not in db.tables:
        db[name] = audformat.Table(audformat.filewise_index(FILES) if index is None else index, split_id=split)
    db[name][column] = audformat.Column(scheme_id=scheme)
    db[name][column].set(values)


@pytest.fixture
def make(tmp_path):
    """make(change) -> the folder of a database with four files, of two speakers, changed before it is saved."""

    def call(change=lambda db: None, storage="csv"):
        root = tmp_path / "database"
        (root / "wav").mkdir(parents=True)
        for file in FILES:
            soundfile.write(root / file, np.zeros(8_000), 8_000)
        db = audformat.Database("made-up", languages=["deu"])
        for name in ("train", "dev", "test"):
            db.splits[name] = audformat.Split(name)
        db.schemes["speaker"] = audformat.Scheme(labels={"ann": {"gender": "female"}, "bob": {"gender": "male"}})
        db.schemes["emotion"] = audformat.Scheme(labels=["anger", "neutral", "fear"])
        add(db, "files", "who", ["ann", "ann", "bob", "bob"], scheme="speaker")
        change(db)
        db.save(str(root), storage_format=storage)
        return root

    return call


def whole(db):
    add(db, "gold", "emotion", ["anger", "neutral", "anger", None], scheme="emotion")


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_labels_speakers_and_what_is_known_of_them_come_from_all_tables(make, storage):
    items = list(corpus.read(make(whole, storage)))
    assert [(u.id, u.label, u.speaker, u.start_s, u.end_s) for u in utterances(items)] == [
        ("wav/ann-anger.wav", "anger", "ann", None, None),
        ("wav/ann-neutral.wav", "neutral", "ann", None, None),
        ("wav/bob-anger.wav", "anger", "bob", None, None),
    ]
    assert utterances(items)[0].attributes == {"language": "German", "sex": "female"}
    assert reasons(items) == {"wav/bob-neutral.wav": "its label is missing"}


def test_a_language_that_has_no_code_is_named_and_not_known(make):
    def spoken(db):
        whole(db)
        add(db, "languages", "language", ["Deutsch", "fra", None, None])

    items = list(corpus.read(make(spoken)))
    assert [u.attributes.get("language") for u in utterances(items)] == [None, "French", "German"]
    warnings = [item.reason for item in items if getattr(item, "kind", "") == "warning"]
    assert warnings == ["'Deutsch' is no language of ISO 639; the language of its clips is not known"]


def test_segments_have_the_speaker_of_their_file_and_the_part_of_their_table(make):
    def segments(db):
        for split, start_s in (("train", 0.25), ("dev", 0.5)):
            index = audformat.segmented_index(FILES[:1], [f"{start_s}s"], [f"{start_s + 0.25}s"])
            add(db, f"emotion.{split}", "emotion", ["fear"], index, split, "emotion")

    found = utterances(corpus.read(make(segments)))
    assert [(u.id, u.start_s, u.end_s, u.speaker, u.attributes["part"]) for u in found] == [
        ("wav/ann-anger.wav@0.25-0.5", 0.25, 0.5, "ann", "train"),
        ("wav/ann-anger.wav@0.5-0.75", 0.5, 0.75, "ann", "valid"),
    ]


def two_tables(db):
    whole(db)
    add(db, "desired", "emotion", ["fear"] * 4, scheme="emotion")
    db.schemes["intensity"] = audformat.Scheme("float")
    add(db, "desired", "intensity", [1.0] * 4, scheme="intensity")


def test_tables_that_contradict_each_other_are_named_until_one_is_chosen(make):
    root = make(two_tables)
    message = r"wav/ann-anger\.wav is 'fear' in desired, but 'anger' .* in gold; choose tables, such as --set corpus\."
    with pytest.raises(SerError, match=message):
        list(corpus.read(root))
    assert {u.label for u in utterances(corpus.read(root, Config(tables="desired")))} == {"fear"}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (Config(tables="golden"), "No table called 'golden'. Did you mean 'gold'"),
        (Config(column="mood"), "No column or scheme with labels called 'mood'. Available: emotion, intensity, who"),
        (Config(column="intensity"), "Column intensity holds numbers, not classes"),
    ],
)
def test_a_choice_that_is_not_there_is_refused_with_what_is(make, config, why):
    with pytest.raises(SerError, match=why.replace(".", r"\.").replace("?", r"\?")):
        list(corpus.read(make(two_tables), config))


def test_several_columns_of_one_scheme_are_named(make):
    def raters(db):
        for name in ("rater1", "rater2"):
            add(db, "raters", name, ["anger"] * 4, scheme="emotion")

    root = make(raters)
    with pytest.raises(SerError, match=r"raters has several columns with emotion: rater1, rater2; choose one"):
        list(corpus.read(root))
    assert len(utterances(corpus.read(root, Config(column="rater2")))) == 4


def test_codes_are_spelt_out_where_the_scheme_has_names_for_them(make):
    def codes(db):
        db.schemes["code"] = audformat.Scheme(labels={"W": "anger", "N": "neutral"})
        add(db, "gold", "emotion", ["W", "N", "W", "N"], scheme="code")

    assert [u.label for u in utterances(corpus.read(make(codes)))] == ["anger", "neutral"] * 2


def test_recordings_that_are_not_there_are_left_out_and_none_is_refused(make):
    root = make(whole)
    (root / FILES[0]).unlink()
    assert reasons(corpus.read(root))[FILES[0]] == "its recording is not there"
    for file in FILES[1:]:
        (root / file).unlink()
    with pytest.raises(SerError, match=r"has none of its 4 recordings, such as wav/ann-anger\.wav; add them\."):
        list(corpus.read(root))


def test_pickles_are_never_read(make):
    root = make(whole, "pkl")
    with pytest.raises(SerError, match=r"files\.pkl is a pickle, which may run any code; delete it"):
        list(corpus.read(root))


def test_a_damaged_database_is_one_line(make):
    root = make(whole)
    (root / "db.gold.csv").write_text('file,emotion\n"wav')
    with pytest.raises(SerError, match=r"cannot be read as audformat: .*; get it again\.") as error:
        list(corpus.read(root))
    assert "\n" not in str(error.value)


def test_without_the_package_the_extra_is_named(make, monkeypatch):
    root = make(whole)
    monkeypatch.setitem(sys.modules, "audformat", None)
    with pytest.raises(SerError, match=r"audformat is not installed; run: pip install 'sercli\[audformat\]'"):
        list(corpus.read(root))


def test_predictions_are_a_database_that_audformat_loads(tmp_path):
    sure = Prediction("a.wav", 0.5, 1.5, "anger", 0.75, {"neutral": 0.25, "anger": 0.75}, "stop", speaker="A")
    quiet = Prediction("b.wav", 0.0, 2.0, reason="no speech")
    database.write([sure, quiet], ("neutral", "anger"), tmp_path / "out")
    table = audformat.Database.load(str(tmp_path / "out"))["emotion"].get()
    (first, second) = table.reset_index().to_dict("records")
    assert (first["file"], first["start"].total_seconds(), first["end"].total_seconds()) == (
        str(sure.path and (tmp_path.cwd() / "a.wav")),
        0.5,
        1.5,
    )
    assert (first["emotion"], first["probability.anger"], first["text"], first["speaker"]) == (
        "anger",
        0.75,
        "stop",
        "A",
    )
    assert (second["emotion"] == second["emotion"], second["reason"]) == (False, "no speech")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["db.emotion.csv", "db.yaml"]


def test_a_stretch_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(SerError, match="A stretch of a recording is there twice"):
        database.write([Prediction("a.wav", 0, 1)] * 2, ("anger",), tmp_path / "out")
