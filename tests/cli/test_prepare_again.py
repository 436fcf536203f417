"""`ser prepare` a second time: the same words at once where nothing changed, and the whole way where anything did."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sercli.asr import whisper
from sercli.dataset import fingerprint, preparation
from sercli.types import Remark, Transcript

HOUR_S = 3600
FEATURES = "log-mel,words"
CLIP = "audio/f1-anger-free.wav"

WATCHED = """
import json, sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
sys.argv = ["ser", *sys.argv[1:]]
from sercli.cli import app
try:
    app.main()
finally:
    print(json.dumps([opened, sorted(sys.modules)]))
"""


def age(root, seconds=HOUR_S):
    """Let all files below a folder be older than any clock's tick."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def code(tmp_path, monkeypatch):
    """What stands in for the package's folder, so that it may be edited."""
    folder = tmp_path / "package"
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora" / "table.py").write_text("def read(root): ...\n")
    (folder / "glove.npz").write_bytes(b"0")
    age(folder)
    monkeypatch.setattr(fingerprint, "_PACKAGE", folder)
    return folder


@pytest.fixture
def made(tmp_path, tiny_corpus):
    """A copy of the tiny corpus, which may be changed, and a folder to prepare it into."""
    root = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, root)
    (root / "notes").mkdir()
    (root / "notes" / "transcript.txt").write_text("hello you")
    (root / "by link").symlink_to("notes")
    age(root)
    return SimpleNamespace(root=root, out=tmp_path / "out", table=root / "corpus.csv")


@pytest.fixture
def prepare(ser, code, monkeypatch):
    """prepare(root, out, ...) -> what `ser prepare table` showed, and with `whole` whether it read the corpus."""
    runs = []
    whole_way = preparation.prepare
    monkeypatch.setattr(preparation, "prepare", lambda *a, **o: runs.append(a) or whole_way(*a, **o))

    def run(root, out, *words, features=FEATURES):
        runs.clear()
        shown = ser("prepare", "table", root, "--out", out, "--jobs", 1, "--features", features, *words)
        shown.whole = bool(runs)
        return shown

    return run


def same_again(prepare, made, root=None, **options):
    """Prepare twice; both say the same, to the byte, and the second need not read the corpus."""
    first = prepare(root or made.root, made.out, **options)
    second = prepare(root or made.root, made.out, **options)
    assert (second.code, second.out, second.err) == (first.code, first.out, first.err)
    assert first.code == 0
    return not second.whole


def test_where_nothing_changed_the_same_is_said_again_without_reading_the_corpus(prepare, made):
    (made.root / "audio" / "copy.wav").write_bytes((made.root / CLIP).read_bytes())
    with made.table.open("a", encoding="utf-8") as file:
        file.write("audio/copy.wav,anger,f1,s1,,hello,f\n,fury,f1,s1,,oh,f\n")
    age(made.root)
    assert same_again(prepare, made)
    last = prepare(made.root, made.out)
    for expected in ("Remarks", "label 'fury' is not among the four", "Labels of the corpus"):
        assert expected in last.out
    for expected in ("The same sound has more than one name, 1 time", f"--data {made.out}"):
        assert expected in last.err


def test_a_feature_that_was_passed_over_is_said_to_be_so_again(prepare, made):
    made.table.write_text(f"path,label\n{CLIP},anger\n")
    age(made.root)
    assert same_again(prepare, made)
    assert "Feature words was skipped: no utterance has the input that it needs." in prepare(made.root, made.out).err


def test_nothing_is_opened_of_the_corpus_and_of_the_dataset_only_what_was_said(made):
    words = ["prepare", "table", made.root, "--out", made.out, "--features", FEATURES, "--jobs", 1]
    command = [sys.executable, "-c", WATCHED, *map(str, words)]
    found = []
    for _ in range(2):
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        said, _, seen = shown.stdout.rstrip("\n").rpartition("\n")
        opened, modules = json.loads(seen)
        below = (str(made.root), str(made.out))
        found.append((said, shown.stderr, {path for path in opened if path.startswith(below)}, modules))
    first, second = found
    assert second[:2] == first[:2]
    assert str(made.table) in first[2]
    if (made.out / ".prepared.json").exists():  # not where the package was edited a moment ago
        assert second[2] == {str(made.out / ".prepared.json")}
        assert not {"sercli.dataset.preparation", "sercli.corpora.table", "soundfile"} & set(second[3])


def rewritten(path, content, seconds=None):
    """Write a file and set its time to what it was, or so long ago."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_bytes(content)
    then = before if seconds is None else int((time.time() - seconds) * 1e9)
    os.utime(path, ns=(then, then))


def other_bytes(path):
    """As many bytes, at the same time: only the system's own note of a change tells."""
    content = path.read_bytes()
    rewritten(path, content[:-1] + bytes([content[-1] ^ 1]))


def part(made, pattern):
    return next(path for path in sorted((made.out / "features").rglob(pattern)))


def link_elsewhere(made):
    (made.root / "by link").unlink()
    (made.root / "by link").symlink_to("audio")


CHANGES = {
    "an edited table": lambda made: rewritten(made.table, made.table.read_bytes().replace(b"noon", b"four")),
    "another text beside it": lambda made: other_bytes(made.root / "notes" / "transcript.txt"),
    "a new recording": lambda made: rewritten(made.root / "new.wav", (made.root / CLIP).read_bytes(), HOUR_S),
    "a recording that is gone": lambda made: (made.root / CLIP).unlink(),
    "another recording": lambda made: rewritten(
        made.root / CLIP, (made.root / CLIP.replace("anger", "sadness")).read_bytes(), 2 * HOUR_S
    ),
    "a recording of another time": lambda made: os.utime(made.root / CLIP, (1, 1)),
    "a link that leads elsewhere": link_elsewhere,
    "rows that are damaged": lambda made: rewritten(part(made, "part-*.npy"), b"x" * 10_000),
    "rows that are cut off": lambda made: os.truncate(part(made, "part-*.npy"), 100),
    "rows that are gone": lambda made: part(made, "part-*.npy").unlink(),
    "an index that is gone": lambda made: part(made, "part-*.json").unlink(),
    "a feature that is gone": lambda made: shutil.rmtree(next((made.out / "features").iterdir())),
    "an edited manifest": lambda made: other_bytes(made.out / "manifest.jsonl"),
    "a manifest that is gone": lambda made: (made.out / "manifest.jsonl").unlink(),
    "an edited dataset.json": lambda made: other_bytes(made.out / "dataset.json"),
    "a dataset.json that is gone": lambda made: (made.out / "dataset.json").unlink(),
    "an audio index that is gone": lambda made: (made.out / "audio-index.jsonl").unlink(),
    "a strange file": lambda made: (made.out / "notes.txt").write_text("mine"),
    "a note that is gone": lambda made: (made.out / ".prepared.json").unlink(),
    "a note that is cut off": lambda made: os.truncate(made.out / ".prepared.json", 100),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_whatever_changed_the_dataset_is_made_as_if_for_the_first_time(prepare, made, tmp_path, change):
    assert same_again(prepare, made)
    change(made)
    again = prepare(made.root, made.out)
    afresh = prepare(made.root, tmp_path / "afresh")
    assert again.whole
    assert (again.code, again.out) == (afresh.code, afresh.out)
    if again.code == 0:
        assert contents(made.out) == contents(tmp_path / "afresh")


def contents(out):
    """What a dataset is; what somebody else put there aside."""
    files = (p for p in out.rglob("*") if p.is_file() and p.name[0] != "." and p.name != "notes.txt")
    return {str(p.relative_to(out)): p.read_bytes() for p in files}


@pytest.mark.parametrize(
    ("words", "features"),
    [
        (["--set", "feature.n_mels=9"], FEATURES),
        ([], "log-mel"),
        ([], "words,log-mel"),
        ([], "lld"),
    ],
)
def test_another_command_goes_the_whole_way(prepare, made, words, features):
    assert same_again(prepare, made)
    other = prepare(made.root, made.out, *words, features=features)
    assert (other.code, other.whole) == (0, True)
    assert prepare(made.root, made.out).whole  # and what was said first is not what holds now
    assert not prepare(made.root, made.out).whole


def test_other_labels_and_another_corpus_are_refused_as_before(prepare, ser, made):
    assert same_again(prepare, made)
    assert 'labels was "four", now "native"' in prepare(made.root, made.out, "--labels", "native").err
    assert 'corpus was "table", now "demo"' in ser("prepare", "demo", made.root, "--out", made.out).err


def test_another_folder_with_the_same_corpus_is_another_corpus(prepare, made, tmp_path):
    assert same_again(prepare, made)
    shutil.copytree(made.root, tmp_path / "other", symlinks=True)
    assert prepare(tmp_path / "other", made.out).whole
    assert json.loads((made.out / "dataset.json").read_text())["root"] == str(tmp_path / "other")


def test_an_edited_reader_reads_anew(prepare, made, code):
    assert same_again(prepare, made)
    other_bytes(code / "corpora" / "table.py")
    assert prepare(made.root, made.out).whole


def test_what_is_no_code_and_what_is_hidden_changes_nothing(prepare, made, code):
    assert same_again(prepare, made)
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "table.pyc").touch()
    for folder in (made.root, made.out):
        (folder / ".DS_Store").touch()
    assert not prepare(made.root, made.out).whole


def test_another_version_goes_the_whole_way(prepare, made, monkeypatch):
    assert same_again(prepare, made)
    monkeypatch.setattr(fingerprint, "__version__", "99")
    assert prepare(made.root, made.out).whole


def test_a_recogniser_goes_the_whole_way(prepare, made, monkeypatch):
    monkeypatch.setattr(whisper, "make", lambda config, device: lambda signals: [Transcript("hello")] * len(signals))
    assert same_again(prepare, made)
    for _ in range(2):
        heard = prepare(made.root, made.out, "--asr", "whisper")
        assert (heard.code, heard.whole) == (0, True)
    assert "--set asr.… does nothing without --asr" in prepare(made.root, made.out, "--set", "asr.beam_size=2").err


def test_what_changed_a_moment_ago_may_change_again_unseen(prepare, made):
    os.utime(made.root / "notes" / "transcript.txt")
    assert not same_again(prepare, made)
    age(made.root)
    assert same_again(prepare, made)


def test_what_changes_while_it_is_read_is_seen_the_next_time(prepare, made, monkeypatch):
    finish = preparation.finish

    def and_change(*args, **options):
        rewritten(made.table, made.table.read_bytes().replace(b"noon", b"four"))
        return finish(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "finish", and_change)
        assert prepare(made.root, made.out).code == 0
    again = prepare(made.root, made.out)
    assert again.whole
    assert "leaves at four" in (made.out / "manifest.jsonl").read_text()


def test_a_recording_that_cannot_be_read_is_tried_every_time(prepare, made):
    (made.root / CLIP).write_bytes(b"not sound")
    age(made.root)
    assert not same_again(prepare, made)


class TestTable:
    """A corpus that is one file: its folder may be anybody's home."""

    def test_what_lies_around_it_is_not_looked_at(self, prepare, made):
        assert same_again(prepare, made, made.table)
        (made.root / "thesis.txt").write_text("mine")
        assert not prepare(made.table, made.out).whole

    @pytest.mark.parametrize(
        "change",
        [
            CHANGES["an edited table"],
            CHANGES["a recording that is gone"],
            CHANGES["a recording of another time"],
            lambda made: rewritten(made.root / CLIP, (made.root / CLIP).read_bytes() + b"\0\0"),
        ],
    )
    def test_it_and_its_recordings_are(self, prepare, made, change):
        assert same_again(prepare, made, made.table)
        change(made)
        assert prepare(made.table, made.out).whole

    def test_recordings_outside_of_a_folder_are_looked_at(self, prepare, made, tmp_path):
        clip = tmp_path / "elsewhere.wav"
        shutil.copy(made.root / CLIP, clip)
        made.table.write_text(f"path,label,text\n{clip},anger,oh\n{CLIP},sadness,ah\n")
        age(made.root)
        assert same_again(prepare, made)
        os.utime(clip, (1, 1))
        assert prepare(made.root, made.out).whole
        clip.unlink()
        refused = prepare(made.root, made.out)
        assert (refused.code, refused.whole) == (2, True)

    def test_recordings_that_it_no_longer_names_do_not_matter(self, prepare, made):
        assert same_again(prepare, made, made.table)
        lines = made.table.read_text().splitlines(keepends=True)
        made.table.write_text("".join(line for line in lines if CLIP not in line))
        (made.root / CLIP).unlink()
        age(made.root)
        assert prepare(made.table, made.out).whole
        assert not prepare(made.table, made.out).whole


def test_a_dataset_inside_of_its_corpus_is_no_part_of_it(prepare, made):
    made.out = made.root / "prepared"
    assert same_again(prepare, made)


def deep(note):
    return b'{"summary": ' + b"[" * 100_000


def changed(info=(), **values):
    def change(note):
        note["summary"].update(values)
        note["summary"]["info"].update(info)
        return json.dumps(note).encode()

    return change


@pytest.mark.parametrize(
    "change",
    [
        deep,
        lambda note: b"[]",
        lambda note: b"\xff" * 1000,
        lambda note: json.dumps(note).replace("}", "").encode(),
        lambda note: json.dumps({**note, "made_from": 1}).encode(),
        changed({"n_utterances": "many"}),
        changed(n_speakers=-1),
        changed(before={"anger": 0}),
        changed({"hours": None}),
        changed(remarks=[{"kind": "joke", "source": "", "reason": ""}]),
        changed({"same_sounds": [1]}),
        changed(features={"lld": "perhaps"}),
    ],
)
def test_a_note_from_a_stranger_is_not_believed(prepare, made, change):
    first = prepare(made.root, made.out)
    path = made.out / ".prepared.json"
    path.write_bytes(change(json.loads(path.read_bytes())))
    again = prepare(made.root, made.out)
    assert again.whole
    assert (again.code, again.out, again.err) == (0, first.out, first.err)


def test_a_note_that_is_no_file_is_passed_by(prepare, made):
    first = prepare(made.root, made.out)
    path = made.out / ".prepared.json"
    path.unlink()
    path.mkdir()
    for _ in range(2):
        again = prepare(made.root, made.out)
        assert (again.code, again.out, again.whole) == (0, first.out, True)


def test_a_note_of_any_size_is_not_read(prepare, made, monkeypatch):
    assert same_again(prepare, made)
    os.truncate(made.out / ".prepared.json", 1 << 30)
    assert prepare(made.root, made.out).whole


def test_a_folder_of_very_many_files_is_not_gone_through(prepare, made, monkeypatch):
    monkeypatch.setattr(fingerprint, "_MOST_FILES", 40)
    assert not same_again(prepare, made)


def test_odd_names_and_links_in_circles_are_no_obstacle(prepare, made):
    notes = made.root / "notes"
    (notes / os.fsdecode(b"\xff\xfe.txt")).touch()
    (notes / "round").symlink_to(made.root)
    (notes / "self").symlink_to("self")
    (notes / "nowhere").symlink_to("nothing")
    age(notes)
    assert same_again(prepare, made)
    (notes / "nothing").write_text("now there")
    assert prepare(made.root, made.out).whole


def test_what_cannot_be_written_down_is_not_remembered(prepare, made, monkeypatch):
    odd = Remark("warning", "\udcff.txt", "a name that is no text")
    whole_way = preparation.prepare

    def and_odd(*args, **options):
        prepared = whole_way(*args, **options)
        return replace(prepared, summary=replace(prepared.summary, remarks=(odd,)))

    monkeypatch.setattr(preparation, "prepare", and_odd)
    assert not same_again(prepare, made)
