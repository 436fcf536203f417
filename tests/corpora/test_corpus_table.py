import csv
import json

import pytest
from corpus_items import by_id, reasons, utterances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sercli.corpora import table
from sercli.corpora._columns import missing
from sercli.errors import SerError


@pytest.fixture
def folder(make_files):
    return make_files("a.wav", "sub/b.wav")


def test_a_row_with_everything_comes_out_whole(folder, write):
    path = write(
        "t.csv",
        "Path,LABEL,Speaker,session,prompt,text,start_s,end_s,sex,part,id,Mood\n"
        "sub/b.wav,happy,ann,s1,p1,Hello there,0.5,2,F,dev,u1,sunny\n",
    )
    (item,) = table.read(path)
    assert (item.id, item.label, item.speaker, item.session, item.prompt) == ("u1", "happy", "ann", "s1", "p1")
    assert (item.audio, item.start_s, item.end_s, item.transcripts) == ("sub/b.wav", 0.5, 2.0, {"human": "Hello there"})
    assert item.attributes == {"sex": "female", "part": "valid", "Mood": "sunny"}


def test_a_row_needs_no_more_than_path_and_label(folder, write):
    (item,) = table.read(write("t.csv", "path,label\n./a.wav,sad\n"))
    assert (item.id, item.label, item.audio, item.speaker, item.start_s) == ("a.wav", "sad", "a.wav", None, None)
    assert (item.transcripts, item.attributes) == ({}, {})


def test_a_row_with_text_needs_no_recording(write):
    items = table.read(write("t.tsv", 'text\tlabel\n"Say ""no"""\tanger\n'))
    assert [(item.id, item.transcripts, item.audio) for item in items] == [("line-2", {"human": 'Say "no"'}, None)]


def test_stretches_of_one_recording_get_ids_of_their_own(folder, write):
    items = table.read(write("t.csv", "path,label,start_s,end_s\na.wav,x,,1.5\na.wav,y,1.5,\n"))
    assert [item.id for item in items] == ["a.wav@0-1.5", "a.wav@1.5-end"]


def test_close_stretches_late_in_a_recording_get_ids_of_their_own(folder, write):
    rows = "a.wav,x,36000.01,36000.02\na.wav,y,36000.02,36000.03\na.wav,y,36000,36001\n"
    assert [item.id for item in table.read(write("t.csv", f"path,label,start_s,end_s\n{rows}"))] == [
        "a.wav@36000.01-36000.02",
        "a.wav@36000.02-36000.03",
        "a.wav@36000-36001",
    ]


def test_a_folder_with_one_table_is_as_good_as_the_table(folder, write):
    path = write("t.csv", "path,label\na.wav,sad\n")
    assert list(table.read(folder)) == list(table.read(path))


def test_absolute_paths_stay_absolute(folder, write, tmp_path):
    (item,) = table.read(write("tables/t.csv", f"path,label\n{tmp_path / 'a.wav'},sad\n"))
    assert item.audio == (tmp_path / "a.wav").as_posix()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"\xef\xbb\xbfpath,label\r\na.wav,caf\xc3\xa9\r\n"),
        ("t.csv", b"path;label\na.wav;caf\xc3\xa9\n"),
        ("t.CSV", "path,label\na.wav,café\n".encode("utf-16")),
        ("t.tsv", b"label\tpath\n\ncaf\xc3\xa9\ta.wav\n\n"),
        ("t.jsonl", b'{"Path": "a.wav", "label": "caf\\u00e9"}\r\n\n'),
    ],
)
def test_every_kind_of_table_is_read(folder, write, name, content):
    assert [(item.audio, item.label) for item in table.read(write(name, content))] == [("a.wav", "café")]


def test_a_table_that_is_not_utf8_is_read_with_a_warning(folder, write):
    path = write("t.csv", b"path,label\na.wav,caf\xe9\n")
    items = list(table.read(path))
    assert [item.label for item in utterances(items)] == ["café"]
    assert "not UTF-8" in reasons(items, "warning")[str(path)]


def test_json_rows_keep_their_other_values_and_read_numbers_as_text(folder, write):
    row = {"path": "a.wav", "label": 3, "speaker": 7, "start_s": 1, "votes": [1, {"a": None}], "text": None}
    (item,) = table.read(write("t.jsonl", json.dumps(row)))
    assert (item.label, item.speaker, item.start_s, item.transcripts) == ("3", "7", 1.0, {})
    assert item.attributes == {"votes": [1, {"a": None}]}


def test_known_spellings_lead_to_the_four_and_others_stand_for_themselves():
    assert [table.LABELS[word] for word in ("hap", "Excited", "JOY")] == ["happiness"] * 3
    assert [table.LABELS[word] for word in ("neu", "Sad", "angry")] == ["neutral", "sadness", "anger"]
    assert "fear" not in table.LABELS


HEAD = "path,label,start_s,end_s,part,id,text\n"
BAD_ROWS = [
    ("a.wav,,,,,,", "no label; every row needs one"),
    (",sad,,,,,", "neither path nor text"),
    ("gone.wav,sad,,,,,", r"path 'gone\.wav' is not a file \(looked for in "),
    ("sub,sad,,,,,", "path 'sub' is not a file"),
    (f"{'x' * 300}.wav,sad,,,,,", "is not a file"),
    ("a.wav,sad,soon,,,,", "start_s is 'soon'; it must be a number of seconds"),
    ("a.wav,sad,-1,,,,", "start_s is '-1'; it must be zero or more"),
    ("a.wav,sad,,inf,,,", "end_s is 'inf'; it must be zero or more"),
    ("a.wav,sad,2,1.5,,,", r"end_s 1\.5 is not after start_s 2; correct"),
    ("a.wav,sad,,0,,,", r"end_s 0 is not after start_s 0; correct"),
    ("a.wav,sad,,,tset,,", "No part called 'tset'. Did you mean 'test'"),
    ("a.wav,sad,,,,first,", "id 'first' is used in line 2, too; give each row its own id"),
    ("a.wav,sad", r"2 cells, but there are 7 columns \(the row begins with 'a\.wav'\)"),
    ('a.wav,sad,,,,,"open', "unexpected end of data"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_bad_row_names_file_line_and_reason(folder, write, row, reason):
    path = write("t.csv", f'{HEAD}a.wav,sad,,,,first,"one\ntwo"\n\n{row}\n')
    with pytest.raises(SerError, match=rf"t\.csv:5: .*{reason}") as error:
        list(table.read(path))
    assert "\n" not in str(error.value)


BAD_LINES = [
    ("{", r"not valid JSON \(Expecting property name"),
    ("[" * 100_000, r"not valid JSON \("),
    ("[1]", "each line must be an object"),
    ('{"path": "a.wav", "label": "x", "w": NaN}', r"not valid JSON \(NaN is not a number\)"),
    ('{"path": "a.wav", "label": "x", "w": 1e999}', r"not valid JSON \("),
    ('{"path": "a.wav", "label": "\\ud800"}', r"not valid JSON \("),
    ('{"path": "a.wav", "label": ["x"]}', r'label is \["x"\]; it must be text or a number'),
    ('{"path": "a.wav", "label": true}', "label is true; it must be text or a number"),
    (
        '{"path": "a.wav", "label": "x", "Label": "y"}',
        "the columns 'label' and 'Label' both mean label; rename one of them",
    ),
    ('{"path": "a.wav", "lable": "x"}', "No column called 'label'. Did you mean 'lable'"),
    ('{"label": "x"}', "No column called 'path'"),
    ('{"path": "a.wav", "label": null}', "no label"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_json_line_names_file_line_and_reason(folder, write, line, reason):
    path = write("t.jsonl", '{"path": "sub/b.wav", "label": "x"}\n' + line + "\n")
    with pytest.raises(SerError, match=rf"t\.jsonl:2: {reason}"):
        list(table.read(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; its first line must name the columns"),
        ("path,label\n", "has no rows"),
        ("path,lable\na.wav,x\n", r"t\.csv:1: No column called 'label'\. Did you mean 'lable'\?"),
        ("sound,label\na.wav,x\n", r"t\.csv:1: No column called 'path'"),
        ("path,label,Label\na.wav,x,y\n", "there are two columns 'label'"),
        ("RIFF\0\0WAVE", "is not a text file"),
    ],
)
def test_a_bad_table_is_refused(folder, write, content, message):
    with pytest.raises(SerError, match=message):
        list(table.read(write("t.csv", content)))


def test_a_file_that_is_no_table_is_refused_with_what_would_do(write):
    with pytest.raises(SerError, match=r"t\.xlsx is not a table; give a file that ends in \.csv, \.tsv"):
        list(table.read(write("t.xlsx", "x")))


def test_of_several_tables_the_user_must_choose(write):
    write("a.csv", "x")
    with pytest.raises(SerError, match=r"holds 2 tables \(a\.csv, b\.tsv\); give the one to be read"):
        list(table.read(write("b.tsv", "x").parent))


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20).map(str.strip)
WORDS = TEXTS.filter(lambda word: not missing({"label": word}))
ROWS = st.lists(
    st.tuples(WORDS.filter(bool), WORDS, WORDS.filter(bool)),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0].lower(),
)
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED_FOLDER
@given(rows=ROWS, ending=st.sampled_from(["csv", "tsv"]))
def test_what_python_writes_as_a_table_comes_back(tmp_path, rows, ending):
    path = tmp_path / f"t.{ending}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="," if ending == "csv" else "\t", quoting=csv.QUOTE_ALL)
        writer.writerows([("label", "speaker", "text"), *rows])
    found = [(item.label, item.speaker or "", item.transcripts["human"]) for item in table.read(path)]
    assert found == rows


@SHARED_FOLDER
@given(rows=ROWS)
def test_what_python_writes_as_json_lines_comes_back(tmp_path, rows):
    path = tmp_path / "t.jsonl"
    keys = ("label", "speaker", "text")
    path.write_text("\n".join(json.dumps(dict(zip(keys, row, strict=True))) for row in rows), encoding="utf-8")
    found = [(item.label, item.speaker or "", item.transcripts["human"]) for item in table.read(path)]
    assert found == rows


@SHARED_FOLDER
@given(content=st.text(max_size=200) | st.binary(max_size=200), ending=st.sampled_from(["csv", "tsv", "jsonl"]))
def test_any_file_gives_utterances_or_one_clear_error(tmp_path, content, ending):
    path = tmp_path / f"t.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        items = by_id(table.read(path))
    except SerError as error:
        assert str(path) in str(error)  # noqa: PT017 (most files are refused, few are not)
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert items


@SHARED_FOLDER
@given(cells=st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=12), min_size=7, max_size=7))
def test_any_row_gives_an_utterance_or_one_clear_error(tmp_path, cells):
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEAD.strip().split(","), cells])
    try:
        (item,) = table.read(path)
    except SerError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert item.label == cells[1].strip()
