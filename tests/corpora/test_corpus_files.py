from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.audio.discovery import is_audio
from sercli.corpora._files import files_below, find_files, lines_of, one_each, read_rows, read_text, without_suffix
from sercli.errors import SerError


def result_and_remarks(reading):
    """Return what a generator returns, and the remarks that it yields before."""
    result = []

    def finished():
        result.append((yield from reading))

    remarks = list(finished())
    return result[0], remarks


def test_files_are_walked_in_order_and_without_the_twins_that_macos_leaves(make_files):
    root = make_files("b.wav", "a/c.wav", "a/._c.wav", "__MACOSX/a/c.wav", ".git/x.wav", ".DS_Store")
    assert sorted(files_below(root)) == ["a/c.wav", "b.wav"]
    assert list(files_below(root)) == list(files_below(root))


def test_a_link_that_leads_in_a_circle_ends(make_files):
    root = make_files("a/b.wav")
    (root / "a" / "again").symlink_to(root)
    assert list(files_below(root)) == ["a/b.wav"]


def test_a_linked_folder_is_read(make_files):
    root = make_files("elsewhere/b.wav", "corpus/a.wav")
    (root / "corpus" / "more").symlink_to(root / "elsewhere")
    assert list(files_below(root / "corpus")) == ["a.wav", "more/b.wav"]


def test_the_best_format_of_a_recording_is_chosen():
    names = ["x.mp3", "x.flac", "x.WAV", "y.mp4", "y.m4a", "z.mp4"]
    chosen, remarks = result_and_remarks(one_each(names, key=lambda path: path[0]))
    assert chosen == {"x": "x.WAV", "y": "y.m4a", "z": "z.mp4"}
    assert sorted(remark.source for remark in remarks) == ["x.flac", "x.mp3", "y.mp4"]


def test_the_file_in_the_fewest_folders_comes_first():
    assert find_files(["a/data.tsv", "z.tsv", "DATA.TSV"], "data.tsv") == ["DATA.TSV", "a/data.tsv"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
        ("café".encode("utf-16"), "café"),
    ],
)
def test_unicode_is_read_by_its_mark(write, raw, text):
    assert result_and_remarks(read_text(write("x.txt", raw))) == (text, [])


def test_only_the_lines_that_are_not_utf8_are_read_as_windows_1252(write):
    path = write("x.txt", b"caf\xc3\xa9\ncaf\xe9 \x93so\x94\nodd \x81\n")
    text, remarks = result_and_remarks(read_text(path))
    assert text == "café\ncafé “so”\nodd \x81\n"
    assert [(remark.kind, remark.source) for remark in remarks] == [("warning", str(path))]
    assert "read as Windows-1252" in remarks[0].reason


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SerError, match=r"gone\.txt cannot be read: No such file"):
        result_and_remarks(read_text(tmp_path / "gone.txt"))


def test_lines_end_at_line_ends_only():
    assert list(lines_of("a\r\nb\x85c\rd")) == [(1, "a"), (2, "b\x85c"), (3, "d")]


def test_rows_are_counted_by_the_lines_of_the_file():
    rows = list(read_rows('a,b\n1,"x\ny"\n\n2,z\n', "t.csv"))
    assert rows == [(2, {"a": "1", "b": "x\ny"}), (5, {"a": "2", "b": "z"})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv is empty; its first line must name the columns"),
        ("a,c\n1,2\n", r"t\.csv:1: No column called 'b'\. .*Available: a, c\."),
        ("a,A\n1,2\n", r"t\.csv:1: there are two columns 'a'"),
        ("a,b\n1,2\n3\n", r"t\.csv:3: 1 cells, but there are 2 columns \(the row begins with '3'\)"),
        ('a,b\n1,"2\n3,4\n', r"t\.csv:2: unexpected end of data; inside quotes, write a quote twice"),
    ],
)
def test_broken_tables_are_refused_with_their_line(text, message):
    with pytest.raises(SerError, match=message):
        list(read_rows(text, "t.csv", columns=("a", "b")))


@given(st.lists(st.sampled_from([".", "/", "a", "wav", "WAV", "İ"]), max_size=6).map("".join))
def test_an_ending_is_what_pathlib_takes_for_one(path):
    if not path.endswith(("/", ".")):  # of names that end with a dot, Pythons differ
        suffix = PurePosixPath(path).suffix
        assert without_suffix(path) == path[: len(path) - len(suffix)]
        assert is_audio(path) == (suffix.lower() == ".wav")
