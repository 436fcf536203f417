import io
import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sercli._system import files
from sercli.audio import discovery, reading
from sercli.errors import AudioError, SerError

RATE_HZ = 16_000


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_below(folder, *patterns):
    return [path.relative_to(folder).as_posix() for path in discovery.find([folder / pattern for pattern in patterns])]


def test_a_folder_gives_all_recordings_below_it_in_order(tmp_path):
    for name in ("b/deep/2.FLAC", "b/1.wav", "a.mp3", "b/._1.wav", "notes.txt", "b/table.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    others = []
    names = [path.relative_to(tmp_path).as_posix() for path in discovery.find([tmp_path], others)]
    assert names == ["a.mp3", "b/1.wav", "b/deep/2.FLAC"]
    assert others == ["notes.txt", "table.csv"]


def test_a_file_that_is_named_is_taken_whatever_its_ending_and_only_once(tmp_path):
    odd, clip = tmp_path / "odd.data", tmp_path / "clip.wav"
    odd.touch()
    clip.touch()
    assert discovery.find([odd, clip, tmp_path, odd]) == [odd, clip]


def test_a_link_to_a_recording_that_is_not_there_is_found_so_that_it_fails(tmp_path):
    (tmp_path / "annex.wav").symlink_to(tmp_path / "not-fetched.wav")
    assert discovery.find([tmp_path]) == [tmp_path / "annex.wav"]


def test_a_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AudioError) as caught:
        discovery.find([tmp_path])
    assert str(caught.value) == (
        f"{tmp_path} holds no audio files (.wav, .mp3, .mp4 and the like); give files with other endings by name."
    )


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(AudioError) as caught:
        discovery.find([tmp_path / "gone"])
    assert str(caught.value) == f"{tmp_path / 'gone'} does not exist; check the path."


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.wav", ["a.wav", "b.wav"]),
        ("?.*", ["a.wav", "b.wav", "c.m4a"]),
        ("*", ["a.wav", "b.wav", "c.m4a", "deep/d.webm", "deep/er/e.wav"]),
        ("**", ["a.wav", "b.wav", "c.m4a", "deep/d.webm", "deep/er/e.wav"]),
        ("**/*.wav", ["a.wav", "b.wav", "deep/er/e.wav"]),
        ("deep/*/*.wav", ["deep/er/e.wav"]),
        ("[ac].*", ["a.wav", "c.m4a"]),
        ("*.data", ["odd.data"]),
        ("d*", ["deep/d.webm", "deep/er/e.wav"]),
    ],
)
def test_a_pattern_that_the_shell_left_alone_is_followed(tmp_path, pattern, expected):
    touched(tmp_path, "a.wav", "b.wav", "c.m4a", "odd.data", "notes.txt", "._a.wav", "deep/d.webm", "deep/er/e.wav")
    assert found_below(tmp_path, pattern) == expected


def test_a_pattern_is_followed_from_here(tmp_path, monkeypatch):
    touched(tmp_path, "a.wav", "deep/b.wav")
    monkeypatch.chdir(tmp_path)
    assert discovery.find([Path("*.wav"), Path("*/*.wav")]) == [Path("a.wav"), Path("deep/b.wav")]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    touched(tmp_path, "[a].wav", "a.wav")
    assert found_below(tmp_path, "[a].wav") == ["[a].wav"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path):
    touched(tmp_path, "notes.txt")
    for pattern in ("*.wav", "*", "gone/*.wav"):
        with pytest.raises(AudioError) as caught:
            discovery.find([tmp_path / pattern])
        assert str(caught.value) == f"{tmp_path / pattern} matches no audio files; check the pattern."


def test_files_are_found_in_the_order_of_the_paths_and_once_however_they_are_named(tmp_path, monkeypatch):
    touched(tmp_path, "b/2.wav", "b/1.wav", "a.wav")
    monkeypatch.chdir(tmp_path)
    paths = [Path("b/2.wav"), tmp_path / "b", Path("*.wav"), Path("b/../a.wav"), Path("b")]
    assert discovery.find(paths) == [Path("b/2.wav"), tmp_path / "b/1.wav", Path("a.wav")]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="** within a name means * there")
def test_what_is_no_pattern_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"\*\*\.wav is not a valid pattern \(.*\); correct it\."):
        discovery.find([tmp_path / "**.wav"])


def test_two_names_of_one_file_are_two_recordings(tmp_path):
    touched(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    assert found_below(tmp_path, ".") == ["a.wav", "b.wav"]


@pytest.mark.parametrize("asked", ["", "*", "**", "**/*.wav"])
def test_links_that_lead_round_in_circles_end(tmp_path, asked):
    touched(tmp_path, "deep/er/a.wav", "b.wav")
    for n in range(3):
        (tmp_path / f"deep/er/up{n}").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.wav").symlink_to(tmp_path / "self.wav")
    *found, broken = sorted(found_below(tmp_path, asked), key=lambda name: name.endswith("self.wav"))
    assert found == ["b.wav", "deep/er/a.wav"]
    assert broken.endswith("self.wav")


def test_a_linked_folder_is_looked_into_once(tmp_path):
    touched(tmp_path, "elsewhere/a.wav", "here/b.wav")
    for name in ("one", "two"):
        (tmp_path / "here" / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert found_below(tmp_path, "here") == ["here/b.wav", "here/one/a.wav"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    touched(tmp_path, "a.wav", "locked/b.wav")
    listed = os.scandir

    def scandir(folder):
        if os.fspath(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SerError) as caught:
        discovery.find([tmp_path])
    assert str(caught.value) == f"{tmp_path / 'locked'} cannot be read: Permission denied; change its permissions."


def test_hidden_files_and_what_macos_adds_to_archives_are_left_out(tmp_path):
    touched(tmp_path, "a.wav", ".b.wav", "._a.wav", ".hidden/c.wav", "__MACOSX/a.wav")
    assert found_below(tmp_path, "") == found_below(tmp_path, "**") == ["a.wav"]


def test_a_format_without_loss_goes_before_others_and_a_film_comes_last():
    names = ["a.mp4", "a.mp3", "a.M4A", "a.flac", "a.wav"]
    assert sorted(names, key=discovery.rank) == ["a.wav", "a.flac", "a.mp3", "a.M4A", "a.mp4"]


def test_a_recording_on_stdin_is_a_file_while_it_is_worked_with(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.full(1_600, 0.25), RATE_HZ)
    content = (tmp_path / "a.flac").read_bytes()
    with discovery.stdin(io.BytesIO(content)) as path:
        np.testing.assert_allclose(reading.read(path, sample_rate_hz=RATE_HZ), 0.25, atol=1e-4)
    assert not path.exists()
    assert not path.parent.exists()


def test_what_comes_from_stdin_is_removed_after_an_error_too():
    with (
        pytest.raises(AudioError, match="cannot be read as audio"),
        discovery.stdin(io.BytesIO(b"x" * 99)) as path,
    ):
        reading.read(path, sample_rate_hz=RATE_HZ)
    assert not path.exists()


def test_stdin_itself_is_read_where_nothing_else_is_given(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sound")))
    with discovery.stdin() as path:
        assert path.read_bytes() == b"sound"


def test_a_closed_stdin_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match=r"stdin is closed; pipe a recording in\."):  # noqa: SIM117
        with discovery.stdin():
            pass


def test_a_full_disk_is_told(monkeypatch):
    class Full(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size=-1):
            raise OSError(28, "No space left on device")

    with pytest.raises(AudioError, match=r"stdin cannot be saved in .*: No space left on device; free some space\."):  # noqa: SIM117
        with discovery.stdin(Full()):
            pass


def test_an_empty_stdin_is_refused():
    with pytest.raises(AudioError) as caught, discovery.stdin(io.BytesIO()):
        pass
    assert str(caught.value) == "Nothing came in on stdin (0 bytes); check the command before the pipe."


def test_a_terminal_is_not_waited_for():
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    expected = r"stdin is a terminal, not a recording; add < recording\.m4a, or pipe one in\."
    with pytest.raises(AudioError, match=expected), discovery.stdin(Terminal()):
        pass


def test_stdin_is_copied_in_little_memory():
    class Endless(io.RawIOBase):
        left = 200

        def readable(self):
            return True

        def read(self, size=-1):
            assert 0 < size <= 2**20
            self.left -= 1
            return bytes(size) if self.left >= 0 else b""

    tracemalloc.start()
    try:
        with discovery.stdin(Endless()) as path:
            assert path.stat().st_size == 200 * 2**20
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_name_is_found_however_unicode_writes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composed, decomposed = "\u00e9", "e\u0301"
    touched(tmp_path, f"{decomposed}/{decomposed}.wav")
    if (tmp_path / composed).exists():
        pytest.skip("this file system takes both spellings for one name")
    found = [Path(f"{decomposed}/{decomposed}.wav")]
    assert discovery.find([Path(f"{composed}/{composed}.wav")]) == found
    assert discovery.find([Path(composed)]) == found
    assert discovery.find([Path(f"{composed}/*.wav")]) != []


def test_of_two_equivalent_names_none_is_taken(tmp_path):
    touched(tmp_path, "\u1e69.wav", "s\u0323\u0307.wav")  # the asked one writes its two marks in the other order
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both spellings for one name")
    with pytest.raises(AudioError, match=r"does not exist \(there is '.*\\u.*'\); check the path\."):
        discovery.find([tmp_path / "s\u0307\u0323.wav"])


def test_a_folder_with_brackets_in_its_name_may_stand_before_a_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touched(tmp_path, "call [2024]/a.wav", "call 2/b.wav")
    assert discovery.find([Path("call [2024]/*.wav")]) == [Path("call [2024]/a.wav")]


def test_a_missing_name_with_brackets_is_no_pattern(tmp_path):
    touched(tmp_path, "x 1.wav")
    with pytest.raises(AudioError) as refused:
        discovery.find([tmp_path / "x [1].wav"])
    assert str(refused.value) == f"{tmp_path / 'x [1].wav'} does not exist (there is x 1.wav); check the path."


@pytest.mark.parametrize("url", ["https://example.org/a.wav", "s3://bucket/a b.wav"])
def test_a_url_is_refused_as_one(url):
    with pytest.raises(AudioError) as refused:
        discovery.find([Path(url)])
    assert str(refused.value) == f"{url} is a URL; download it first, then give the file."


@pytest.fixture
def deep(tmp_path):
    """The path of a folder 1,100 deep in a folder `d`, with a file in it; removed without recursion."""
    folder = tmp_path / "d" / Path(*["d"] * 1_100)
    files.write_atomic(folder / "a.wav", b"")
    yield folder
    (folder / "a.wav").unlink()
    while folder != tmp_path:
        folder.rmdir()
        folder = folder.parent


def test_folders_1000_deep_are_written_to_searched_and_checked(deep, tmp_path):
    assert discovery.find([tmp_path / "d"]) == [deep / "a.wav"]
    files.refuse_links_out(tmp_path / "d")
    with pytest.raises(AudioError, match="holds folders too deep for a pattern; give a folder further down"):
        discovery.find([tmp_path / "d/**/*.wav"])
