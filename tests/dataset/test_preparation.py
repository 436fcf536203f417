import csv
import os
import re
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from make_containers import encode

from sercli.dataset import audio_index, manifest, preparation, scan
from sercli.dataset.feature_specs import feature_configs
from sercli.dataset.label_sets import choose as choose_labels
from sercli.errors import MismatchError, SerError
from sercli.types import Remark, Utterance

RATE_HZ = 8_000
COLUMNS = ("path", "label", "speaker", "text", "start_s", "end_s")


@pytest.fixture
def corpus(tmp_path):
    """A function that writes clips of 0.1 s and a table with one row a clip, and gives the table's folder."""
    root = tmp_path / "corpus"

    def make(*rows):
        root.mkdir(exist_ok=True)
        with (root / "corpus.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for number, row in enumerate(rows):
                writer.writerow(row)
                if "path" in row and not (root / row["path"]).exists():
                    soundfile.write(root / row["path"], np.full(RATE_HZ // 10, 0.01 * (number + 1)), RATE_HZ)
        return root

    return make


@pytest.fixture
def prepare(tmp_path, no_progress):
    """`preparation.prepare` of a table into a folder beside it."""

    def run(root, *, corpus="table", label_set="four", out=tmp_path / "out", **options):
        return preparation.prepare(corpus, root, out, label_set=label_set, progress=no_progress, **options)

    return run


@pytest.fixture
def inspected(monkeypatch):
    """The names of the recordings that are opened, as it happens."""
    names = []
    inspect = scan.inspect

    def spy(path):
        names.append(path.name)
        return inspect(path)

    monkeypatch.setattr(scan, "inspect", spy)
    return names


def rows_of(prepared):
    return {u.id: u for u in prepared.dataset.manifest.utterances}


def test_four_keeps_the_original_classes_under_their_common_names(corpus, prepare):
    root = corpus(
        {"path": "1.wav", "label": "Excited"},
        {"path": "2.wav", "label": "happy"},
        {"path": "3.wav", "label": "bored"},
        {"path": "4.wav", "label": "neutral"},
    )
    prepared = prepare(root)
    assert {name: u.label for name, u in rows_of(prepared).items()} == {
        "1.wav": "happiness",
        "2.wav": "happiness",
        "4.wav": "neutral",
    }
    assert prepared.dataset.info.labels == ("neutral", "happiness")
    assert prepared.summary.before == {"neutral": 1, "happy": 1, "Excited": 1, "bored": 1}
    assert prepared.summary.after == {"neutral": 1, "happiness": 2}
    assert prepared.summary.mapping == {
        "neutral": "neutral",
        "happy": "happiness",
        "Excited": "happiness",
        "bored": None,
    }
    assert prepared.summary.remarks == (Remark("skipped", "3.wav", "label 'bored' is not among the four"),)
    assert prepared.dataset.info.skipped == {"label 'bored' is not among the four": 1}


def test_four_remembers_the_native_label(corpus, prepare):
    prepared = prepare(corpus({"path": "1.wav", "label": "excited"}))
    assert rows_of(prepared)["1.wav"].attributes["native_label"] == "excited"


def test_native_keeps_every_label_as_it_is(corpus, prepare):
    root = corpus(
        {"path": "1.wav", "label": "zeal"}, {"path": "2.wav", "label": "anger"}, {"path": "3.wav", "label": "awe"}
    )
    prepared = prepare(root, label_set="native")
    assert prepared.dataset.info.labels == ("anger", "awe", "zeal")
    assert [u.label for u in prepared.dataset.manifest.utterances] == ["zeal", "anger", "awe"]
    assert prepared.summary.remarks == ()


def test_native_labels_come_in_the_order_of_the_corpus():
    rows = [Utterance(label, "x", label) for label in ("calm", "anger", "surprise")]
    _, labels, _ = choose_labels(rows, {"surprise": None, "anger": "anger", "fear": None, "calm": "neutral"}, "native")
    assert labels == ("surprise", "anger", "calm")


def test_four_labels_come_in_one_order_and_only_where_they_occur():
    rows = [Utterance(label, "x", label) for label in ("anger", "sadness", "calm")]
    kept, labels, _ = choose_labels(rows, {"calm": "neutral", "sadness": "sadness", "anger": "anger"}, "four")
    assert labels == ("neutral", "sadness", "anger")
    assert [u.label for u in kept] == ["anger", "sadness", "neutral"]


def test_a_label_that_the_corpus_does_not_map_may_bear_a_common_name():
    rows = [Utterance(label, "x", label) for label in ("anger", "awe")]
    kept, labels, dropped = choose_labels(rows, {"furious": "anger"}, "four")
    assert ([u.label for u in kept], labels) == (["anger"], ("anger",))
    assert [remark.source for remark in dropped] == ["awe"]


def test_a_mapping_to_nothing_wins_over_a_label_of_the_same_name():
    kept, labels, dropped = choose_labels([Utterance("1", "x", "anger")], {"anger": None}, "four")
    assert (list(kept), labels) == ([], ())
    assert dropped == [Remark("skipped", "1", "label 'anger' is not among the four")]


def test_every_recording_gets_its_digest_and_length(corpus, prepare):
    prepared = prepare(corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"}))
    first, second = rows_of(prepared).values()
    assert first.duration_s == second.duration_s == 0.1
    assert first.digest != second.digest
    assert len(first.digest) == 32


def test_the_facts_of_the_dataset_are_kept(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"}, {"text": "hello", "label": "sad"})
    info = prepare(root).dataset.info
    assert (info.corpus, info.root, info.label_set, info.split) == ("table", str(root), "four", "speakers")
    assert (info.n_utterances, info.features) == (2, ())


def test_a_table_given_as_a_file_has_its_recordings_beside_it(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    assert prepare(root / "corpus.csv").dataset.info.root == str(root)


def test_a_broken_recording_is_skipped_and_named_and_the_others_go_on(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    (root / "bad.wav").write_text("not a recording")
    corpus({"path": "1.wav", "label": "sad"}, {"path": "bad.wav", "label": "sad"}, {"path": "3.wav", "label": "sad"})
    prepared = prepare(root)
    assert list(rows_of(prepared)) == ["1.wav", "3.wav"]
    assert prepared.summary.remarks == (
        Remark(
            "skipped",
            f"{root / 'bad.wav'} cannot be read as audio (Format not recognised); convert it to WAV or FLAC.",
            "recording cannot be read",
        ),
    )


def odd_folder(root):
    """RAVDESS with two clips in a folder whose name is not UTF-8."""
    folder = root / os.fsdecode(b"Actor_\xff01")
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("the file system has no such names")
    for number in (1, 5):
        soundfile.write(root / "clip.wav", np.full(800, 0.1), RATE_HZ)
        (root / "clip.wav").rename(folder / f"03-01-0{number}-01-01-01-01.wav")
    return folder


def test_recordings_whose_names_are_not_utf_8_are_skipped_and_named(prepare, tmp_path):
    folder = odd_folder(tmp_path / "corpus")
    named = f"{folder / '03-01-01-01-01-01-01.wav'} has a name that is not UTF-8; rename it."
    with pytest.raises(SerError, match="2 recordings cannot be read, the first: " + re.escape(named)):
        prepare(tmp_path / "corpus", corpus="ravdess")
    good = tmp_path / "corpus" / "Actor_02"
    good.mkdir()
    soundfile.write(good / "03-01-05-01-01-01-02.wav", np.full(800, 0.1), RATE_HZ)
    prepared = prepare(tmp_path / "corpus", corpus="ravdess")
    assert len(rows_of(prepared)) == 1
    assert [(r.source, r.reason) for r in prepared.summary.remarks][:1] == [(named, "recording cannot be read")]


def test_a_root_whose_name_is_not_utf_8_is_refused(prepare, tmp_path):
    with pytest.raises(SerError, match=r" has a name that is not UTF-8; rename it\.$"):
        prepare(odd_folder(tmp_path), corpus="ravdess")


def test_a_recording_with_samples_that_are_not_numbers_is_found_before_any_feature(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"})
    soundfile.write(root / "1.wav", np.full(800, np.nan), RATE_HZ, subtype="FLOAT")
    prepared = prepare(root)
    assert list(rows_of(prepared)) == ["2.wav"]
    assert "holds samples that are not numbers" in prepared.summary.remarks[0].source


def test_stretches_are_checked_against_their_recording(corpus, prepare):
    stretches = {
        "inside": ("0.02", "0.05"),
        "rest": ("0.06", ""),
        "slack": ("0.02", "0.15"),
        "beyond": ("0.02", "9"),
        "outside": ("0.1", "0.2"),
        "hair": ("0.05", "0.0500001"),
    }
    rows = [{"path": f"{k}.wav", "label": "sad", "start_s": a, "end_s": b} for k, (a, b) in stretches.items()]
    prepared = prepare(corpus(*rows))
    lengths = {u.audio.removesuffix(".wav"): u.duration_s for u in prepared.dataset.manifest.utterances}
    assert lengths == {"inside": 0.03, "rest": 0.04, "slack": 0.08, "beyond": 0.08}
    assert tuple(remark for remark in prepared.summary.remarks if "its stretch" in remark.reason) == (
        Remark("warning", "beyond.wav@0.02-9", "its stretch goes beyond the end of its recording"),
        Remark("skipped", "outside.wav@0.1-0.2", "its stretch lies outside its recording"),
        Remark("skipped", "hair.wav@0.05-0.0500001", "its stretch lies outside its recording"),
    )


def test_a_whole_recording_is_kept_however_short_it_is(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    soundfile.write(root / "1.wav", np.full(8, 0.1), RATE_HZ)
    prepared = prepare(root)
    assert rows_of(prepared)["1.wav"].duration_s == 0.001
    assert prepared.summary.remarks == ()


def test_a_second_run_opens_no_recording(corpus, prepare, inspected):
    root = corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"})
    first = prepare(root)
    assert inspected == ["1.wav", "2.wav"]
    inspected.clear()
    second = prepare(root)
    assert inspected == []
    assert second.dataset == first.dataset


def test_only_changed_and_new_recordings_are_opened_again(corpus, prepare, inspected):
    rows = [{"path": f"{n}.wav", "label": "sad"} for n in range(3)]
    root = corpus(*rows)
    before = rows_of(prepare(root))
    inspected.clear()
    soundfile.write(root / "1.wav", np.full(RATE_HZ, 0.5), RATE_HZ)
    after = rows_of(prepare(corpus(*rows, {"path": "new.wav", "label": "sad"})))
    assert inspected == ["1.wav", "new.wav"]
    assert after["0.wav"] == before["0.wav"]
    assert (before["1.wav"].duration_s, after["1.wav"].duration_s) == (0.1, 1.0)


def test_a_touched_recording_is_opened_again(corpus, prepare, inspected):
    root = corpus({"path": "1.wav", "label": "sad"})
    prepare(root)
    os.utime(root / "1.wav", ns=(1, 1))
    prepare(root)
    assert inspected == ["1.wav", "1.wav"]


def test_a_recording_of_another_size_is_opened_again_though_its_time_is_the_same(corpus, prepare, inspected):
    root = corpus({"path": "1.wav", "label": "sad"})
    os.utime(root / "1.wav", ns=(1, 1))
    prepare(root)
    soundfile.write(root / "1.wav", np.full(RATE_HZ, 0.5), RATE_HZ)
    os.utime(root / "1.wav", ns=(1, 1))
    assert rows_of(prepare(root))["1.wav"].duration_s == 1.0
    assert inspected == ["1.wav", "1.wav"]


def test_a_damaged_scan_only_costs_looking_again(corpus, prepare, inspected, tmp_path):
    root = corpus({"path": "1.wav", "label": "sad"})
    prepare(root)
    (tmp_path / "out" / audio_index.NAME).write_bytes(b'{"path": "1.w\xff')
    assert list(rows_of(prepare(root))) == ["1.wav"]
    assert inspected == ["1.wav", "1.wav"]


def test_what_was_seen_before_a_damaged_line_is_not_looked_at_again(corpus, prepare, inspected, tmp_path):
    root = corpus(*({"path": f"{n}.wav", "label": "sad"} for n in (1, 2, 3)))
    prepare(root)
    lines = (tmp_path / "out" / audio_index.NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / audio_index.NAME).write_bytes(lines[0] + b'{"path": "2.wav", "digest": "\xc3"}\n' + lines[2])
    inspected.clear()
    prepare(root)
    assert inspected == ["2.wav", "3.wav"]
    assert (tmp_path / "out" / audio_index.NAME).read_bytes() == b"".join(lines)


def test_a_clock_far_ahead_costs_nothing(corpus, prepare, inspected):
    root = corpus({"path": "1.wav", "label": "sad"})
    os.utime(root / "1.wav", (12_000_000_000, 12_000_000_000))  # the year 2350, where the file system knows it
    prepare(root)
    prepare(root)
    assert inspected == ["1.wav"]


def test_what_was_looked_at_before_an_interruption_is_not_opened_again(
    corpus, prepare, inspected, monkeypatch, tmp_path
):
    root = corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"})
    look = scan.inspect

    def interrupted(path):
        if path.name == "2.wav":
            raise KeyboardInterrupt
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(scan, "inspect", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(root)
    inspected.clear()
    assert list(rows_of(prepare(root))) == ["1.wav", "2.wav"]
    assert inspected == ["2.wav"]


def test_several_processes_find_the_same_as_one(corpus, prepare, tmp_path):
    root = corpus(*({"path": f"{n}.wav", "label": "sad"} for n in range(4)))
    (root / "2.wav").write_bytes(b"broken")
    alone = prepare(root, out=tmp_path / "one")
    together = prepare(root, out=tmp_path / "two", jobs=2)
    assert together.dataset.manifest == alone.dataset.manifest
    assert together.summary.remarks == alone.summary.remarks


def test_progress_counts_the_bytes_of_the_recordings_that_are_opened(corpus, tmp_path):
    told = []

    @contextmanager
    def progress(description, total):
        told.append((description, total))
        yield told.append

    root = corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"})
    preparation.prepare("table", root, tmp_path / "out", label_set="four", progress=progress)
    sizes = [(root / name).stat().st_size for name in ("1.wav", "2.wav")]
    assert told == [("Reading recordings", sum(sizes)), *sizes]


def test_the_same_recording_under_two_names_is_told(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    for name in ("copy.wav", "other.wav"):
        (root / name).write_bytes((root / "1.wav").read_bytes())
    rows = [{"path": name, "label": "sad"} for name in ("1.wav", "2.wav", "copy.wav", "other.wav")]
    assert prepare(corpus(*rows)).summary.info.same_sounds == (("1.wav", "copy.wav", "other.wav"),)


def test_speakers_that_differ_in_case_blanks_or_zeros_alone_are_named(corpus, prepare):
    speakers = [
        "3",
        "03",
        "3.0",
        "Anna",
        "anna",
        "A nna",
        "30",
        "3.5",
        "b3",
        "b03",
        "10",
        "Speaker_10",
        "spk010",
        "speaker x",
        "x",
    ]
    rows = [{"path": f"{n}.wav", "label": "sad", "speaker": name} for n, name in enumerate(speakers)]
    found = prepare(corpus(*rows)).summary.similar_speakers
    assert found == (("03", "3", "3.0"), ("10", "Speaker_10", "spk010"), ("A nna", "Anna", "anna"), ("b03", "b3"))


def test_two_stretches_of_one_recording_are_no_duplicates(corpus, prepare):
    root = corpus(
        {"path": "1.wav", "label": "sad", "end_s": "0.05"}, {"path": "1.wav", "label": "sad", "start_s": "0.05"}
    )
    assert prepare(root).summary.info.same_sounds == ()


def test_a_corpus_without_a_usable_label_is_refused_with_those_found(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "bored"}, {"path": "2.wav", "label": "awe"})
    with pytest.raises(SerError) as caught:
        prepare(root)
    assert str(caught.value) == (
        f"{root}: none of 2 readable utterances has a label of the set 'four' (found: awe, bored); try --labels native."
    )


def test_a_corpus_without_a_readable_recording_is_refused_with_the_first_reason(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"})
    (root / "1.wav").write_bytes(b"")
    (root / "2.wav").write_bytes(b"")
    with pytest.raises(SerError) as caught:
        prepare(root)
    assert str(caught.value) == (
        f"{root}: none of 0 readable utterances has a label of the set 'four' (found: nothing); 2 recordings cannot be "
        f"read, the first: {root / '1.wav'} is empty (0 bytes); record or export it again."
    )


def test_a_corpus_whose_stretches_all_lie_outside_is_refused_with_that_reason(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad", "start_s": 5, "end_s": 6})
    with pytest.raises(SerError) as caught:
        prepare(root)
    assert str(caught.value).endswith(
        "the first of 1 left out: 1.wav@5-6, its stretch lies outside its recording; correct start_s and end_s."
    )


def test_a_dataset_of_another_corpus_or_of_other_labels_is_not_overwritten(corpus, prepare, no_progress, tmp_path):
    root = corpus({"path": "1.wav", "label": "sad", "text": "oh"})
    preparation.finish(prepare(root), {}, jobs=1, progress=no_progress)
    before = (tmp_path / "out" / "dataset.json").read_bytes()
    with pytest.raises(MismatchError) as caught:
        prepare(root, label_set="native")
    assert str(caught.value) == (
        f'{tmp_path / "out"} holds another dataset: labels was "four", now "native". '
        "Choose another --out, or delete it."
    )
    with pytest.raises(MismatchError, match='corpus was "table", now "ravdess"'):
        preparation.prepare("ravdess", root, tmp_path / "out", label_set="four", progress=no_progress)
    assert (tmp_path / "out" / "dataset.json").read_bytes() == before


def test_a_damaged_dataset_is_prepared_anew(corpus, prepare, no_progress, tmp_path):
    root = corpus({"path": "1.wav", "label": "sad"})
    preparation.finish(prepare(root), {}, jobs=1, progress=no_progress)
    (tmp_path / "out" / "dataset.json").write_text("{")
    preparation.finish(prepare(root), {}, jobs=1, progress=no_progress)
    assert manifest.load(tmp_path / "out").info.n_utterances == 1


def test_a_folder_that_does_not_exist_is_refused(prepare, tmp_path):
    with pytest.raises(SerError) as caught:
        prepare(tmp_path / "gone")
    assert str(caught.value) == f"{tmp_path / 'gone'} does not exist; give the folder of the corpus."
    assert not (tmp_path / "out").exists()


def test_an_unknown_corpus_is_refused_with_the_nearest(tmp_path, no_progress):
    with pytest.raises(SerError, match=r"^No corpus called 'ravdes'\. Did you mean 'ravdess'\? Available: "):
        preparation.prepare("ravdes", tmp_path, tmp_path / "out", label_set="four", progress=no_progress)


def test_a_folder_that_holds_something_else_is_not_written_to(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    with pytest.raises(SerError) as caught:
        prepare(root, out=root)
    assert str(caught.value) == f"{root} holds something other than a prepared dataset; choose another --out."
    assert sorted(p.name for p in root.iterdir()) == ["1.wav", "corpus.csv"]


def test_a_file_is_not_taken_for_the_folder_to_write_to(corpus, prepare):
    root = corpus({"path": "1.wav", "label": "sad"})
    with pytest.raises(SerError, match=r"1\.wav is not a folder; choose another --out\.$"):
        prepare(root, out=root / "1.wav")


def test_each_feature_gets_the_settings_that_it_has():
    sets = ["feature.n_mels=20", "feature.level_dbfs=null", "feature.max_tokens=9"]
    configs = dict(feature_configs("log-mel, words", sets, []))
    assert list(configs) == ["log-mel", "words"]
    assert (configs["log-mel"].n_mels, configs["log-mel"].level_dbfs) == (20, None)
    assert configs["words"].max_tokens == 9


def test_without_names_the_defaults_are_computed():
    defaults = [("lld", {}), ("lld", {"deltas": True})]
    assert [config.deltas for _, config in feature_configs(None, [], defaults)] == [False, True]


@pytest.mark.parametrize(
    ("names", "sets", "message"),
    [
        ("log-mel,wrds", [], "No feature called 'wrds'. Did you mean 'words'?"),
        (" , ", [], "--features names none; give for example --features lld,words, or leave it out."),
        (
            "words",
            ["feature.n_mels=20"],
            "No setting called 'feature.n_mels'. Available: feature.lower, feature.max_tokens, ",
        ),
        ("log-mel", ["feature.n_mel=20"], "No setting called 'feature.n_mel'. Did you mean 'feature.n_mels'?"),
        ("log-mel", ["feature.n_mels=0"], "feature.n_mels=0: must be a whole number >= 1 and <= 1024."),
        (
            "log-mel",
            ["train.lr=1"],
            "--set train.… has no effect in `ser prepare`; give only feature.KEY=VALUE, asr.KEY=VALUE and corpus.KEY",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused_before_any_work(names, sets, message):
    with pytest.raises(SerError) as caught:
        feature_configs(names, sets, [])
    assert str(caught.value).startswith(message)


def test_a_feature_without_input_is_passed_over(corpus, prepare, no_progress, tmp_path):
    prepared = prepare(corpus({"path": "1.wav", "label": "sad"}))
    wanted = feature_configs("log-mel,words", [], [])
    finished = preparation.finish(prepared, wanted, jobs=1, progress=no_progress)
    assert finished.summary.features == {"log-mel": True, "words": False}
    loaded = manifest.load(tmp_path / "out")
    assert loaded.info.features == ("log-mel",)
    assert loaded.manifest == prepared.dataset.manifest
    assert [p.name.rsplit("-", 1)[0] for p in (tmp_path / "out" / "features").iterdir()] == ["log-mel"]


def test_the_tiny_corpus_is_prepared_whole(tiny_dataset):
    rows = tiny_dataset.manifest.utterances
    assert tiny_dataset.info.labels == ("neutral", "happiness", "sadness", "anger")
    assert tiny_dataset.info.features == ("log-mel", "words")
    assert (len(rows), len({u.speaker for u in rows}), len({u.session for u in rows})) == (48, 6, 3)
    assert {u.duration_s for u in rows} == {0.6}


def test_a_recording_that_is_no_longer_named_is_forgotten(corpus, prepare, inspected, tmp_path):
    prepare(corpus({"path": "1.wav", "label": "sad"}, {"path": "2.wav", "label": "sad"}))
    prepare(corpus({"path": "1.wav", "label": "sad"}))
    assert [one.path for one in audio_index.load(tmp_path / "out")] == ["1.wav"]
    assert inspected == ["1.wav", "2.wav"]


def test_films_and_compressed_audio_are_prepared_as_they_are(tmp_path, prepare):
    film = encode(tmp_path / "ravdess" / "01-01-05-01-01-01-01.mp4", codec="aac", video="mpeg4")
    compressed = encode(tmp_path / "ravdess" / "03-01-05-01-01-01-02.m4a", codec="aac")
    prepared = prepare(film.parent, corpus="ravdess")
    assert {u.audio: round(u.duration_s) for u in rows_of(prepared).values()} == {film.name: 2, compressed.name: 2}
    assert prepared.summary.remarks == ()


@pytest.mark.parametrize(
    ("label", "near"),
    [("hAppy", "happy"), ("ang", "anger"), ("sadnes", "sadness"), ("unhappy", None), ("fear", None), ("x", None)],
)
def test_an_unknown_label_that_is_like_a_known_one_is_named_with_it(label, near):
    mapping = {"happy": "happiness", "anger": "anger", "sadness": "sadness", "SADNESS": "sadness", "bored": None}
    odd = Utterance("1", "lab", label)
    _, _, (remark,) = choose_labels([odd], mapping, "four")
    hint = f", but is like '{near}': if that is meant, write it so" if near else ""
    assert remark.reason == f"label '{label}' is not among the four{hint}"
