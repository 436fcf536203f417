import errno

import pytest

from sercli._system.files import sweep, write_atomic, write_json


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("content", [b"a\nb\xc3\xbc", "a\nbü", lambda path: path.write_bytes(b"a\nb\xc3\xbc")])
def test_bytes_text_and_functions_are_written(tmp_path, content):
    write_atomic(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_bytes() == b"a\nb\xc3\xbc"
    assert names(tmp_path) == ["a.txt"]


def test_the_folder_is_made(tmp_path):
    write_atomic(tmp_path / "b" / "c" / "a.txt", b"x")
    assert (tmp_path / "b" / "c" / "a.txt").read_bytes() == b"x"


def test_an_old_file_is_replaced_whole(tmp_path):
    (tmp_path / "a.txt").write_text("much longer than what comes")
    write_atomic(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def fail(path):
        path.write_text("half")
        raise error

    with pytest.raises(error):
        write_atomic(tmp_path / "a.txt", fail)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_before_anything_is_written_leaves_nothing(tmp_path):
    def fail(path):
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the very one that the function raised
        write_atomic(tmp_path / "a.txt", fail)
    assert names(tmp_path) == []


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path):
    write_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        write_atomic(tmp_path / "a.txt", "\ud800")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_new_file_appears_only_when_it_is_complete(tmp_path):
    seen = []

    def content(path):
        path.write_text("first half")
        seen.append((tmp_path / "a.txt").exists())
        path.write_text("whole")

    write_atomic(tmp_path / "a.txt", content)
    assert seen == [False]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_json_is_written_indented_and_in_utf_8(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Zoë", "n": [1, 2]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "name": "Zoë",\n  "n": [\n    1,\n    2\n  ]\n}\n'


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    for name in (".a.json.0a1b2c3d.tmp", ".b.npy.0a1b2c3d.tmp", ".lock", "a.json", "mine.tmp", ".mine.tmp"):
        (tmp_path / name).touch()
    sweep(tmp_path, of="b.npy")
    assert names(tmp_path) == [".a.json.0a1b2c3d.tmp", ".lock", ".mine.tmp", "a.json", "mine.tmp"]
    sweep(tmp_path)
    assert names(tmp_path) == [".lock", ".mine.tmp", "a.json", "mine.tmp"]


def test_a_disk_that_is_full_is_told_by_the_name_of_the_file(tmp_path):
    def numpy_says(path):
        path.write_bytes(b"x")
        raise OSError("1024 requested and 131 written")

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(tmp_path / "a.npy", numpy_says)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a.npy"))
    assert names(tmp_path) == []
