from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sercli.asr import whisper
from sercli.dataset import manifest, transcripts
from sercli.dataset.manifest import Dataset, DatasetInfo, make_manifest
from sercli.errors import SerError
from sercli.types import ASR_CONFIDENCE, Transcript, Utterance

LABELS = ("neutral", "anger")
ROWS = (
    Utterance(
        "a",
        "table",
        "anger",
        speaker="Zoë",
        transcripts={"human": 'say "no"\nnow, 谢谢'},
        attributes={"votes": [1, 0.5]},
    ),
    Utterance("b", "table", "neutral", audio="x/b.wav", start_s=0.1, end_s=1 / 3, digest="00", duration_s=0.2333),
)


def make_dataset(folder: Path, rows=ROWS) -> Dataset:
    made = make_manifest(rows, LABELS)
    info = DatasetInfo("table", "none", "/corpus", "four", LABELS, "speakers", None, made.sha256, len(rows), 0.1, ())
    return Dataset(folder, info, made)


def edit_info(folder, **changes):
    path = folder / "dataset.json"
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **changes}))


def test_what_is_saved_is_loaded_again(tmp_path):
    dataset = make_dataset(tmp_path / "new" / "folder")
    manifest.save(dataset)
    assert manifest.load(dataset.folder) == dataset


def test_each_line_of_the_manifest_is_one_utterance_by_its_field_names(tmp_path):
    manifest.save(make_dataset(tmp_path))
    lines = [msgspec.json.decode(line) for line in (tmp_path / "manifest.jsonl").read_bytes().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b"]
    assert lines[1]["end_s"] == 1 / 3
    assert lines[0]["transcripts"] == {"human": 'say "no"\nnow, 谢谢'}


def test_nothing_but_the_two_files_is_left_in_the_folder(tmp_path):
    manifest.save(make_dataset(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.json", "manifest.jsonl"]


def test_utterances_are_found_by_id_in_the_order_asked_for(tmp_path):
    dataset = make_dataset(tmp_path)
    assert dataset.select(["b", "a"]) == [ROWS[1], ROWS[0]]
    assert dataset.by_id["a"] is ROWS[0]


def test_the_hash_is_that_of_utterances_and_labels():
    same = make_manifest(ROWS, LABELS).sha256
    assert make_manifest(list(ROWS), LABELS).sha256 == same
    assert make_manifest(ROWS, LABELS[::-1]).sha256 != same
    assert make_manifest(ROWS[::-1], LABELS).sha256 != same
    assert make_manifest([ROWS[0], replace(ROWS[1], digest="01")], LABELS).sha256 != same


def test_two_utterances_with_one_id_are_refused():
    with pytest.raises(SerError) as caught:
        make_manifest([ROWS[0], ROWS[1], ROWS[0]], LABELS)
    assert str(caught.value) == "Two utterances are called 'a'; ids must be unique in a corpus."


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_that_was_not_prepared_is_refused(tmp_path, name):
    folder = tmp_path / name
    with pytest.raises(SerError) as caught:
        manifest.load(folder)
    expected = (
        f"{folder} is not a prepared dataset (no dataset.json). Make one with `ser prepare CORPUS ROOT --out {folder}`."
    )
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("schema", "age", "advice"), [(3, "a newer", "upgrade ser."), (1, "an older", "run `ser prepare` again.")]
)
def test_a_dataset_of_another_version_is_refused(tmp_path, schema, age, advice):
    manifest.save(make_dataset(tmp_path))
    edit_info(tmp_path, schema=schema, unheard_of="field")
    with pytest.raises(SerError) as caught:
        manifest.load(tmp_path)
    expected = f"{tmp_path} was prepared by {age} version of ser (schema {schema}, this one reads 2); {advice}"
    assert str(caught.value) == expected


def test_a_schema_that_is_no_number_is_refused(tmp_path):
    manifest.save(make_dataset(tmp_path))
    edit_info(tmp_path, schema="2b")
    with pytest.raises(
        SerError, match=r"cannot be read: Expected `int`, got `str` - at `\$\.schema`\. Run `ser prepare`"
    ):
        manifest.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"corpus": "tab', b"[]", b"\xff\xfe", b'{"schema": 2, "corpus": "\xff"}', b'{"schema": 2, "corpus": 1}'],
)
def test_a_damaged_dataset_json_is_refused(tmp_path, content):
    manifest.save(make_dataset(tmp_path))
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(SerError) as caught:
        manifest.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dataset.json'} cannot be read: ")
    assert str(caught.value).endswith(". Run `ser prepare` again.")


@pytest.mark.parametrize("content", [None, b'{"id": "a"', b'{"id": "a"}\n', b"\xff\xfe", b'{"id": "\xff"}\n'])
def test_a_missing_or_damaged_manifest_is_refused(tmp_path, content):
    manifest.save(make_dataset(tmp_path))
    path = tmp_path / "manifest.jsonl"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SerError) as caught:
        manifest.load(tmp_path)
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert str(caught.value).endswith(". Run `ser prepare` again.")


def test_a_manifest_that_was_edited_by_hand_is_refused(tmp_path):
    manifest.save(make_dataset(tmp_path))
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("anger", "neutral"), encoding="utf-8")
    with pytest.raises(SerError) as caught:
        manifest.load(tmp_path)
    expected = f"{path} was changed after `ser prepare` wrote it (its hash differs). Run `ser prepare` again."
    assert str(caught.value) == expected


def test_a_prepare_killed_between_its_two_files_is_seen(tmp_path):
    manifest.save(make_dataset(tmp_path))
    old = (tmp_path / "dataset.json").read_bytes()
    manifest.save(make_dataset(tmp_path, ROWS[:1]))
    (tmp_path / "dataset.json").write_bytes(old)
    with pytest.raises(SerError, match=r"its hash differs\). Run `ser prepare` again\.$"):
        manifest.load(tmp_path)


def _always(text, confidence):
    """Stands in for `whisper.make`."""
    transcript = Transcript(text, confidence=confidence, language="pl")
    return lambda config, device: lambda signals: [transcript] * len(signals)


@pytest.fixture
def heard(tmp_path, monkeypatch, no_progress):
    """A dataset of three utterances, two with sound, as `ser prepare --asr whisper` leaves it; Whisper hears "oh"."""
    monkeypatch.setattr(whisper, "make", _always("oh", 0.25))
    monkeypatch.setattr("sercli.audio.reading.read", lambda *_, **__: None)
    rows = (ROWS[0], ROWS[1], replace(ROWS[1], id="c", digest="11", transcripts={"human": "ah"}))
    dataset = make_dataset(tmp_path, rows)
    manifest.save(dataset)
    transcripts.add(tmp_path, tmp_path, rows, "whisper", whisper.Config(), jobs=1, progress=no_progress)
    return dataset


def test_a_dataset_can_have_the_words_that_a_recogniser_heard(heard):
    loaded = manifest.load(heard.folder, words="whisper")
    assert loaded.words == "whisper"
    mute, *sounding = loaded.manifest.utterances
    assert mute == replace(ROWS[0], transcripts={})
    assert [(u.transcripts, u.attributes[ASR_CONFIDENCE]) for u in sounding] == [({"whisper": "oh"}, 0.25)] * 2
    assert replace(sounding[0], transcripts={}, attributes={}) == ROWS[1]
    assert loaded.by_id["c"].transcripts == {"whisper": "oh"}


def test_a_recogniser_tells_the_language_of_its_words_and_the_corpus_that_of_human_ones(heard):
    german = replace(heard, info=replace(heard.info, language="de"))
    assert german.languages == ("de",)
    assert manifest.with_words(german, "whisper").languages == ("pl",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["German"] * 3 + ["en"], ("de", "en")),
        (["de"] * 20 + ["en"], ("de",)),  # a slip, not something to learn
        (["de"] * 20 + ["no idea"], ()),
        (["de"] * 20 + [None], ()),
    ],
)
def test_the_languages_of_a_dataset_are_those_of_a_twentieth_of_its_texts_if_all_are_known(given, expected, tmp_path):
    rows = [replace(ROWS[0], id=str(n), attributes={"language": one} if one else {}) for n, one in enumerate(given)]
    assert make_dataset(tmp_path, rows).languages == expected


def test_what_recognisers_hear_makes_no_other_manifest(heard):
    assert manifest.load(heard.folder) == heard
    assert manifest.load(heard.folder, words="human") == heard
    assert manifest.load(heard.folder, words="whisper").manifest.sha256 == heard.manifest.sha256
    assert heard.words == "human"


def test_words_that_differ_are_told_apart(heard, monkeypatch, no_progress):
    before = manifest.load(heard.folder, words="whisper").words_sha256
    assert before == manifest.load(heard.folder, words="whisper").words_sha256 != heard.words_sha256
    monkeypatch.setattr(whisper, "make", _always("oh", 0.5))
    config = whisper.Config(beam_size=5)
    rows = heard.manifest.utterances
    transcripts.add(heard.folder, heard.folder, rows, "whisper", config, jobs=1, progress=no_progress)
    assert manifest.load(heard.folder, words="whisper").words_sha256 != before


def test_words_that_nobody_heard_are_refused_with_the_way_to_hear_them(heard):
    (heard.folder / "transcripts" / "whisper.jsonl").unlink()
    with pytest.raises(SerError) as caught:
        manifest.load(heard.folder, words="whisper")
    assert str(caught.value) == (
        f"{heard.folder} has no transcripts by whisper of 2 of its 3 utterances (the first: 'b'); repeat the "
        f"`ser prepare table … --out {heard.folder}` that made it, with --asr whisper added."
    )


def test_words_of_a_part_of_the_recordings_are_refused(heard):
    path = heard.folder / "transcripts" / "whisper.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(SerError, match=r"has no transcripts by whisper of 1 of its 3 utterances \(the first: 'c'\)"):
        manifest.load(heard.folder, words="whisper")


def test_words_of_a_dataset_without_sound_are_refused(tmp_path):
    manifest.save(make_dataset(tmp_path, ROWS[:1]))
    with pytest.raises(SerError, match=r"has no transcripts by whisper of anything; repeat the `ser prepare table"):
        manifest.load(tmp_path, words="whisper")


def test_words_of_an_unknown_recogniser_are_refused_with_the_nearest(heard):
    with pytest.raises(
        SerError, match=r"^No words called 'whispr'\. Did you mean 'whisper'\? Available: human, whisper\."
    ):
        manifest.load(heard.folder, words="whispr")
