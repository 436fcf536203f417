import os
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from filelock import FileLock

from sercli.dataset import extraction, feature_cache
from sercli.dataset.feature_specs import key as feature_key
from sercli.dataset.manifest import make_manifest
from sercli.errors import AudioError, SerError
from sercli.features import lld, log_mel, whisper_encoder, words
from sercli.model.feature_provider import cached_features
from sercli.model.loading import load_run
from sercli.types import Utterance

SMALL = log_mel.Config(n_mels=8)


@pytest.fixture
def dataset(tiny_dataset, tmp_path, monkeypatch):
    """The first 20 utterances of the tiny corpus with a cache of their own, in parts of 8, 8 and 4."""
    monkeypatch.setattr(feature_cache, "PART", 8)
    return with_rows(replace(tiny_dataset, folder=tmp_path), tiny_dataset.manifest.utterances[:20])


@pytest.fixture
def extracted(monkeypatch):
    """The ids of the utterances whose features are computed, as it happens."""
    ids = []
    extract = extraction.extract

    def spy(utterances, *args, **kwargs):
        ids.extend(u.id for u in utterances)
        return extract(utterances, *args, **kwargs)

    monkeypatch.setattr(extraction, "extract", spy)
    return ids


@pytest.fixture
def ensure(no_progress):
    """`cache.ensure` of a small log-mel."""

    def run(dataset, feature="log-mel", config=SMALL, **options):
        return feature_cache.ensure(dataset, feature, config, progress=no_progress, **options)

    return run


def with_rows(dataset, rows):
    return replace(dataset, manifest=make_manifest(rows, dataset.info.labels))


def ids_of(dataset):
    return [u.id for u in dataset.manifest.utterances]


def part(store, number, suffix):
    return store.folder / f"part-{number:05d}.{suffix}"


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith(".lock")}


def test_every_utterance_gets_its_own_rows(dataset, ensure):
    store = ensure(dataset)
    for utterance in dataset.manifest.utterances:
        ((alone,),) = extraction.extract([utterance], Path(dataset.info.root), [("log-mel", SMALL)])
        np.testing.assert_array_equal(store[utterance.id], alone.astype(np.float16))


def test_features_that_were_changed_after_they_were_computed_are_refused(dataset, ensure):
    path = ensure(dataset).folder / "part-00000.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SerError, match="was changed after it was computed; delete it, and repeat the command"):
        ensure(dataset)[ids_of(dataset)[0]]
    path.unlink()
    assert len(ensure(dataset)[ids_of(dataset)[0]])


def test_rows_come_in_the_order_asked_for(dataset, ensure):
    store = ensure(dataset)
    ids = ids_of(dataset)[::-3]
    for rows, name in zip([store[i] for i in ids], ids, strict=True):
        np.testing.assert_array_equal(rows, store[name])


def test_features_are_float16_views_that_nobody_can_write_to(dataset, ensure):
    rows = ensure(dataset)[ids_of(dataset)[0]]
    assert rows.dtype == np.float16
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1


def test_parts_lie_in_a_folder_that_says_what_they_are(dataset, ensure):
    store = ensure(dataset)
    assert sorted(files_of(store.folder)) == [
        "feature.json",
        *(f"part-0000{n}.{suffix}" for n in range(3) for suffix in ("json", "npy")),
    ]
    told = msgspec.json.decode((store.folder / "feature.json").read_bytes())
    assert (told["feature"], told["config"]["n_mels"], told["config"]["hop_s"]) == ("log-mel", 8, 0.01)


def test_a_second_run_computes_nothing(dataset, ensure, extracted):
    ensure(dataset)
    assert extracted == ids_of(dataset)
    extracted.clear()
    ensure(dataset)
    assert extracted == []


def test_an_extractor_is_kept_no_longer_than_the_files_that_it_read(dataset, ensure):
    """A process may outlive its command: a file that a feature reads may be another one in the next."""

    def kept():
        before = extraction.extractor.cache_info().hits
        made = extraction.extractor((("log-mel", SMALL),), "cpu")
        return made if extraction.extractor.cache_info().hits > before else None

    extraction.extractor.cache_clear()
    ensure(dataset)
    assert kept()
    ensure(dataset, config=log_mel.Config(n_mels=9))
    assert not kept()
    load_run(Path(feature_cache.__file__).parents[1] / "pretrained", torch.device("cpu"))
    assert not kept()


def test_a_killed_run_goes_on_with_the_part_in_hand(dataset, ensure, extracted, monkeypatch):
    spy = extraction.extract

    def killed(utterances, *args, **kwargs):
        if ids_of(dataset)[10] in [u.id for u in utterances]:
            raise KeyboardInterrupt
        return spy(utterances, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(extraction, "extract", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure(dataset)
    folder = next((dataset.folder / "features").iterdir())
    assert sorted(files_of(folder)) == ["feature.json", "part-00000.json", "part-00000.npy"]
    extracted.clear()
    ensure(dataset)
    assert extracted == ids_of(dataset)[8:]


def test_rows_without_their_index_are_made_again(dataset, ensure, extracted):
    store = ensure(dataset)
    part(store, 1, "json").unlink()
    extracted.clear()
    ensure(dataset)
    assert extracted == ids_of(dataset)[8:16]


def test_an_index_without_its_rows_is_made_again(dataset, ensure, extracted):
    store = ensure(dataset)
    part(store, 2, "npy").unlink()
    extracted.clear()
    ensure(dataset)
    assert extracted == ids_of(dataset)[16:]


@pytest.mark.parametrize("content", [b"", b'{"ids": [', b"\x00\xff", b'{"ids": [], "digests": [], "lengths": []}'])
def test_a_damaged_index_is_made_again(dataset, ensure, extracted, content):
    store = ensure(dataset)
    good = files_of(store.folder)
    part(store, 0, "json").write_bytes(content)
    extracted.clear()
    ensure(dataset)
    assert extracted == ids_of(dataset)[:8]
    assert files_of(store.folder) == good


@pytest.mark.parametrize("keep", [0, 50, -100])
def test_damaged_rows_are_made_again(dataset, ensure, extracted, keep):
    good = files_of(ensure(dataset).folder)
    path = part(ensure(dataset), 0, "npy")
    path.write_bytes(path.read_bytes()[:keep])
    extracted.clear()
    assert files_of(ensure(dataset).folder) == good
    assert extracted == ids_of(dataset)[:8]


def test_rows_of_another_part_are_not_taken_for_these(dataset, ensure, extracted):
    store = ensure(dataset)
    shutil.copy(part(store, 2, "npy"), part(store, 0, "npy"))
    extracted.clear()
    ensure(dataset)
    assert extracted == ids_of(dataset)[:8]


@pytest.mark.parametrize(
    "changes", [{"digest": None}, {"start_s": 0.1}, {"end_s": 0.3}, {"id": "renamed"}], ids=lambda c: next(iter(c))
)
def test_a_changed_recording_makes_its_part_again_and_no_other(dataset, ensure, extracted, changes):
    ensure(dataset)
    extracted.clear()
    rows = list(dataset.manifest.utterances)
    rows[9] = replace(rows[9], **changes)
    changed = with_rows(dataset, rows)
    store = ensure(changed)
    assert extracted == ids_of(changed)[8:16]
    ((alone,),) = extraction.extract([rows[9]], Path(dataset.info.root), [("log-mel", SMALL)])
    np.testing.assert_array_equal(store[rows[9].id], alone.astype(np.float16))


def test_a_recording_that_was_changed_after_prepare_read_it_is_refused(dataset, ensure):
    rows = list(dataset.manifest.utterances)
    rows[9] = replace(rows[9], digest="0" * 32)
    path = Path(dataset.info.root) / rows[9].audio
    with pytest.raises(SerError, match=f"{path} was changed after `ser prepare` read it; run `ser prepare` again"):
        ensure(with_rows(dataset, rows))


def test_changed_words_make_their_part_again(dataset, ensure, extracted):
    ensure(dataset, "words", words.Config())
    extracted.clear()
    rows = list(dataset.manifest.utterances)
    rows[0] = replace(rows[0], transcripts={"human": "quite other words"})
    store = ensure(with_rows(dataset, rows), "words", words.Config())
    assert extracted == ids_of(dataset)[:8]
    assert len(store[rows[0].id]) == 3


def test_while_rows_are_replaced_no_index_stands_beside_them(dataset, ensure, monkeypatch):
    store = ensure(dataset)
    changed = with_rows(dataset, [replace(u, digest=None) for u in dataset.manifest.utterances])

    def killed(path, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure(changed)
    assert not part(store, 0, "json").exists()
    assert part(store, 1, "json").exists()


def test_several_processes_write_the_same_to_the_bit(dataset, ensure):
    alone = ensure(dataset)
    together = ensure(replace(dataset, folder=dataset.folder / "other"), jobs=2)
    assert files_of(together.folder) == files_of(alone.folder)
    for name in ids_of(dataset):
        np.testing.assert_array_equal(together[name], alone[name])


def test_threads_of_libraries_are_limited_only_while_processes_work(dataset, ensure, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    ensure(dataset, jobs=2)
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_part_that_another_process_makes_is_waited_for_and_taken(dataset, ensure, extracted):
    done = ensure(replace(dataset, folder=dataset.folder / "other")).folder
    extracted.clear()
    waiting = threading.Event()

    @contextmanager
    def progress(description, total):
        waiting.set()
        yield lambda n: None

    folder = dataset.folder / "features" / feature_key("log-mel", SMALL)
    folder.mkdir(parents=True)
    locks = [FileLock(folder / f".part-{n:05d}.lock") for n in range(3)]
    for lock in locks:
        lock.acquire()
    found = []
    thread = threading.Thread(
        target=lambda: found.append(feature_cache.ensure(dataset, "log-mel", SMALL, progress=progress)), daemon=True
    )
    thread.start()
    assert waiting.wait(30)
    for path in done.glob("part-*"):
        shutil.copy(path, folder)
    for lock in locks:
        lock.release()
    thread.join(30)
    assert len(found) == 1
    assert extracted == []


def test_progress_counts_the_seconds_of_audio_that_are_computed(dataset, ensure):
    told = []

    @contextmanager
    def progress(description, total):
        told.append((description, total))
        yield told.append

    part(ensure(dataset), 0, "json").unlink()
    feature_cache.ensure(dataset, "log-mel", SMALL, progress=progress)
    seconds = sum(u.duration_s for u in dataset.manifest.utterances[:8])
    assert told == [("log-mel (n_mels 8)", pytest.approx(seconds)), pytest.approx(seconds)]


def test_another_configuration_lies_in_another_folder(dataset, ensure, extracted):
    first = ensure(dataset)
    extracted.clear()
    second = ensure(dataset, config=log_mel.Config(n_mels=9))
    assert extracted == ids_of(dataset)
    assert first.folder != second.folder
    assert (first[ids_of(dataset)[0]].shape[1], second[ids_of(dataset)[0]].shape[1]) == (8, 9)


def test_the_key_follows_name_version_dtype_and_every_setting(monkeypatch):
    key = feature_key("log-mel", SMALL)
    assert key.startswith("log-mel-")
    assert feature_key("log-mel", log_mel.Config(n_mels=8)) == key
    assert feature_key("log-mel", replace(SMALL, level_dbfs=None)) != key
    assert feature_key("log-mel", replace(SMALL, speed=0.9)) != key
    for name, value in (("VERSION", 99), ("DTYPE", "float32")):
        with monkeypatch.context() as patch:
            patch.setattr(log_mel, name, value)
            assert feature_key("log-mel", SMALL) != key


def test_the_key_follows_the_content_of_a_file_of_vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("yes 1 2\nno 3 4\n")
    before = feature_key("words", words.Config(vectors=str(path)))
    path.write_text("yes 1 2\nno 3 5\n")
    os.utime(path, ns=(1, 1))
    assert feature_key("words", words.Config(vectors=str(path))) != before


def test_an_utterance_without_the_input_is_left_out(dataset, ensure):
    silent = Utterance("silent", "table", "anger", transcripts={"human": "words alone"})
    store = ensure(with_rows(dataset, [silent, *dataset.manifest.utterances[:2]]))
    assert len(store[ids_of(dataset)[0]]) > 0
    with pytest.raises(KeyError, match="silent"):
        store["silent"]


@pytest.mark.parametrize(
    ("feature", "lacking"), [("log-mel", "audio (no recordings)"), ("words", "text (no transcripts)")]
)
def test_a_feature_that_nothing_has_the_input_for_is_refused(dataset, ensure, feature, lacking):
    bare = with_rows(dataset, [Utterance("bare", "table", "anger")])
    with pytest.raises(SerError) as caught:
        ensure(bare, feature)
    expected = f"{dataset.folder}: the feature '{feature}' needs what no utterance here has: {lacking}."
    assert str(caught.value) == expected
    assert not (dataset.folder / "features").exists()


def test_a_part_that_goes_while_others_are_made_is_told(dataset, ensure, monkeypatch):
    make = feature_cache._make_parts

    def gone(task, device):
        make(task, device)
        task.parts[0].path.unlink()

    monkeypatch.setattr(feature_cache, "_make_parts", gone)
    with pytest.raises(SerError, match=r"part-00000\.npy was changed or removed meanwhile; repeat the command\."):
        ensure(dataset)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_recording_that_went_missing_is_named(dataset, ensure, jobs):
    rows = list(dataset.manifest.utterances)
    rows[3] = replace(rows[3], audio="audio/gone.wav")
    with pytest.raises(AudioError, match=r"audio/gone\.wav cannot be read: No such file or directory; check the path"):
        ensure(with_rows(dataset, rows), jobs=jobs)


def test_features_do_not_follow_the_gain():
    t = np.arange(8_000) / 16_000
    signal = (0.5 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)
    ((loud, faint),) = extraction.extract_signals([signal, signal * np.float32(0.02)], [("log-mel", SMALL)])
    np.testing.assert_allclose(loud, faint, atol=1e-3)


def test_words_of_each_recogniser_have_a_folder_of_their_own(dataset, ensure, extracted):
    rows = tuple(replace(u, transcripts={"human": "oh"}) for u in dataset.manifest.utterances)
    heard = replace(with_rows(dataset, rows), words="whisper")
    config = words.Config()
    stores = [ensure(d, "words", config) for d in (dataset, heard)]
    assert [store.folder.name.removeprefix(feature_key("words", config)) for store in stores] == ["", "-whisper"]
    assert not np.array_equal(stores[0][rows[0].id], stores[1][rows[0].id])
    extracted.clear()
    for d in (dataset, heard):
        ensure(d, "words", config)
    assert extracted == []


def test_features_of_sound_are_the_same_whosever_words_are_read(dataset, ensure, extracted):
    folder = ensure(dataset).folder
    extracted.clear()
    assert ensure(replace(dataset, words="whisper")).folder == folder
    assert extracted == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_several_features_at_once_are_what_each_is_alone(dataset, ensure, tmp_path, jobs):
    told = {}

    @contextmanager
    def progress(description, total):
        told[description] = []
        yield told[description].append
        assert sum(told[description]) == pytest.approx(total)

    faster = replace(SMALL, speed=1.1)
    wanted = [("log-mel", SMALL), ("words", words.Config()), ("lld", lld.Config()), ("log-mel", faster)]
    ensure(dataset, *wanted[1])
    part(ensure(dataset, *wanted[2]), 1, "json").unlink()
    feature_cache.fill(dataset, wanted, jobs=jobs, progress=progress)
    assert list(told) == ["log-mel, lld", "words", "log-mel (speed 1.1, n_mels 8)"]
    assert told["words"] == []
    alone = replace(dataset, folder=tmp_path / "alone")
    for name, config in wanted:
        store = ensure(alone, name, config)
        together = dataset.folder / "features" / store.folder.name
        assert files_of(together) == files_of(store.folder)


def test_features_of_the_same_sound_read_it_once(dataset, no_progress, monkeypatch):
    opened = []
    read = extraction.read
    monkeypatch.setattr(extraction, "read", lambda path, **options: opened.append(path.name) or read(path, **options))
    wanted = [("log-mel", SMALL), ("lld", lld.Config()), ("lld", lld.Config(deltas=True))]
    feature_cache.fill(dataset, wanted, progress=no_progress)
    assert sorted(opened) == sorted(Path(u.audio).name for u in dataset.manifest.utterances)


def test_nothing_is_computed_where_one_of_several_features_cannot_be(dataset, extracted, no_progress):
    silent = with_rows(dataset, [replace(u, transcripts={}) for u in dataset.manifest.utterances])
    with pytest.raises(SerError, match="'words' needs what no utterance here has"):
        feature_cache.fill(silent, [("log-mel", SMALL), ("words", words.Config())], progress=no_progress)
    assert extracted == []


def test_what_raters_said_stays_in_the_first_process(dataset, ensure, monkeypatch):
    rated = with_rows(dataset, [replace(u, attributes={"votes": [1] * 99}) for u in dataset.manifest.utterances])
    sent = []
    make = feature_cache._make_parts
    monkeypatch.setattr(
        feature_cache, "_make_parts", lambda task, device: sent.extend(task.parts[0].utterances) or make(task, device)
    )
    ensure(rated)
    assert [(u.id, u.digest, u.attributes) for u in sent] == [(u.id, u.digest, {}) for u in rated.manifest.utterances]


@pytest.fixture
def devices(monkeypatch):
    """The devices that extractors of whisper-encoder are made for in this process; they compute nothing."""
    found = []

    def make_several(configs, device):
        found.append(device)
        return lambda signals: [[np.zeros((1, 3), np.float32) for _ in signals] for _ in configs]

    monkeypatch.setattr(whisper_encoder, "make_several", make_several)
    extraction.extractor.cache_clear()
    yield found
    extraction.extractor.cache_clear()


def test_a_network_on_a_gpu_is_run_by_this_process_alone(dataset, ensure, devices, no_progress, monkeypatch):
    """Torch's `meta` device stands for a GPU; other processes would not see this one's stub."""
    monkeypatch.setattr("sercli._system.devices.pick_device", lambda device: "meta")
    wanted = [("whisper-encoder", whisper_encoder.Config()), ("log-mel", SMALL)]
    feature_cache.fill(dataset, wanted, jobs=2, device="cuda", progress=no_progress)
    assert devices == ["meta"]
    assert ensure(dataset, *wanted[0])[ids_of(dataset)[0]].shape == (1, 3)
    assert len(ensure(dataset)[ids_of(dataset)[19]]) > 1


def test_the_device_of_a_provider_reaches_the_extractor(dataset, devices, no_progress):
    """`cpu:0` is the CPU under a name that nobody takes by default."""
    provider = cached_features(dataset, jobs=1, device="cpu:0", progress=no_progress)
    provider(dataset.manifest.utterances, "whisper-encoder", whisper_encoder.Config())
    assert devices == ["cpu:0"]


def test_a_device_that_torch_does_not_know_is_refused_even_where_no_network_computes(dataset, ensure):
    with pytest.raises(SerError, match="--device none cannot be used here"):
        ensure(dataset, device="none")


def test_utterances_of_like_length_are_computed_together_and_come_back_in_their_order(dataset, monkeypatch):
    batches = []
    extract_signals = extraction.extract_signals
    monkeypatch.setattr(
        extraction,
        "extract_signals",
        lambda signals, *args, **options: (
            batches.append(sorted(map(len, signals))) or extract_signals(signals, *args, **options)
        ),
    )
    lengths = [0.6, 0.2, 0.5, 0.3]
    utterances = [replace(u, end_s=s, duration_s=s) for u, s in zip(dataset.manifest.utterances, lengths, strict=False)]
    monkeypatch.setattr(extraction, "_BATCH_S", 0.95)
    monkeypatch.setattr(extraction, "isolated", lambda signal, rate_hz: (signal, 0.0))
    (features,) = extraction.extract(utterances, Path(dataset.info.root), [("log-mel", SMALL)])
    assert batches == [[3200, 4800], [8000], [9600]]
    assert [len(rows) for rows in features] == [58, 18, 48, 28]


def test_a_lock_that_a_dead_machine_left_behind_is_not_waited_for_for_ever(dataset, monkeypatch, no_progress):
    monkeypatch.setattr(feature_cache, "_PATIENCE_S", 0.1)
    folder = dataset.folder / "features" / feature_key("log-mel", SMALL)
    folder.mkdir(parents=True)
    with FileLock(folder / ".part-00000.lock"):
        store = feature_cache.ensure(dataset, "log-mel", SMALL, progress=no_progress)
    assert len([store[u.id] for u in dataset.manifest.utterances]) == 20
