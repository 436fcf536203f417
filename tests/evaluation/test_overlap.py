from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sercli.audio.sound_print import SoundPrint
from sercli.dataset import audio_index
from sercli.dataset.audio_index import IndexedAudio
from sercli.errors import SerError
from sercli.evaluation import overlap
from sercli.evaluation.overlap import TrainPart, find_seen, read_train_part, seen_sentences, write_train_part
from sercli.types import Utterance


def recorded(n, corpus="ravdess", speaker="01", digest=None):
    return Utterance(f"u{n}", corpus, "anger", speaker=speaker, audio=f"{n}.wav", digest=digest or f"digest {n}")


def written(n, text, speaker=None):
    return Utterance(f"t{n}", "goemotions", "anger", speaker=speaker, transcripts={"human": text})


SINGLE = SimpleNamespace(kind="model")  # run.json of a single run
WORDS = np.random.default_rng(0).integers(1, 2**32, size=(9, 200), dtype="<u4")


def listed(folder, *numbers):
    """The audio index of a dataset, whose prints are those of the numbers."""
    audio = [
        IndexedAudio(f"{n}.wav", 1, 1, f"{n:032}", 3.0, SoundPrint(f"samples {n}", WORDS[n].tobytes())) for n in numbers
    ]
    audio_index.save(folder, audio)
    return {one.path: one for one in audio}


@pytest.fixture
def trained(tmp_path):
    """A run directory with weights, trained on two recordings of one speaker, and on one text."""
    listed(tmp_path, 1, 2)
    write_train_part(tmp_path, [recorded(1), recorded(2), written(1, "stop it")], tmp_path)
    (tmp_path / "weights.safetensors").touch()
    return read_train_part(tmp_path)


def test_a_train_part_lists_digests_and_speakers_of_each_corpus(trained):
    assert trained.recordings > {"digest 1", "digest 2", "samples 1", "samples 2"}
    assert len(trained.recordings) == 5
    assert {one.words for one in trained.prints} == {WORDS[n, ::4].tobytes() for n in (1, 2)}
    assert trained.speakers == {"ravdess/01"}


def test_a_train_part_lists_prompts_and_words_so_that_sentences_are_known_again(tmp_path):
    prompted = [replace(recorded(n, speaker=str(n)), prompt=p) for n, p in ((1, "script01"), (2, "script02"))]
    listed(tmp_path, 1, 2)
    write_train_part(tmp_path, [prompted[0], written(1, "Stop it!")], tmp_path, [prompted[1]])
    (tmp_path / "weights.safetensors").touch()
    assert read_train_part(tmp_path).speakers == {"ravdess/1", "ravdess/2"}  # an epoch was chosen by the second
    tested = [
        replace(prompted[0], id="same prompt", speaker="other"),
        replace(prompted[0], id="prompt of another corpus", corpus="emodb"),
        prompted[1],
        replace(written(7, "stop it"), id="same words"),
        written(8, "stop"),
        recorded(9),
    ]
    found = seen_sentences(tmp_path, SINGLE, tested, own=True)
    assert found == {"same prompt", "same words"}
    assert seen_sentences(tmp_path, SINGLE, [recorded(9)], own=True) is None
    (tmp_path / "train_part.json").unlink()
    assert seen_sentences(tmp_path, SINGLE, tested, own=True) is None


def test_a_train_part_without_prompts_and_words_leaves_sentences_unknown(tmp_path):
    listed(tmp_path, 1)
    write_train_part(tmp_path, [recorded(1)], tmp_path)
    (tmp_path / "weights.safetensors").touch()
    for tested in recorded(2), written(3, "stop it"):
        assert seen_sentences(tmp_path, SINGLE, [tested], own=True) is None


def test_a_copy_under_another_name_by_another_speaker_is_seen(trained):
    copy = replace(recorded(7, "table", "x", "digest 2"), audio="other/name.wav")
    found = find_seen([recorded(8, "table", "x"), copy], [trained], {})
    assert (found.ids, found.recordings, found.speakers) == ({"u7"}, ("u7",), ())


def test_a_copy_in_another_format_is_seen_by_its_samples_and_a_re_encoded_one_by_its_print(trained, tmp_path):
    index = listed(tmp_path / "other", 3, 4, 5)
    same_samples = replace(index["3.wav"], sound=SoundPrint("samples 1", b""))
    recoded = replace(index["4.wav"], sound=SoundPrint("others", (WORDS[2] ^ np.uint32(5)).tobytes()), duration_s=3.05)
    index |= {"3.wav": same_samples, "4.wav": recoded}
    found = find_seen([recorded(n, "table", "x") for n in (3, 4, 5)], [trained], index)
    assert (found.ids, found.recordings) == ({"u3", "u4"}, ("u3", "u4"))


def test_recordings_that_were_never_compared_are_named(tmp_path):
    with pytest.raises(SerError, match=r"audio-index\.jsonl lacks 1\.wav; repeat the `ser prepare` that made it"):
        write_train_part(tmp_path, [recorded(1)], tmp_path)


def test_another_recording_of_the_same_speaker_of_the_same_corpus_is_seen(trained):
    found = find_seen([recorded(5), recorded(6, "emodb"), recorded(7, speaker="02")], [trained], {})
    assert (found.ids, found.recordings, found.speakers) == ({"u5"}, (), ("ravdess/01",))


def test_without_audio_the_same_text_is_seen(trained):
    found = find_seen([written(8, "stop it"), written(9, "stop it now")], [trained], {})
    assert (found.ids, found.recordings) == ({"t8"}, ("t8",))


def test_utterances_of_one_recording_are_one_recording(trained):
    parts = [replace(recorded(n, "table", None, "digest 1"), start_s=float(n)) for n in (3, 4)]
    found = find_seen(parts, [trained], {})
    assert (found.ids, found.recordings) == ({"u3", "u4"}, ("u3",))
    assert replace(found, dropped=True).overlap == overlap.Overlap(recordings=1, speakers=(), dropped=2)


def test_an_utterance_without_audio_words_or_speaker_is_never_seen():
    bare = Utterance("u", "c", "anger")
    assert find_seen([bare], [TrainPart((), (), (), ())], {}).ids == frozenset()
    assert str(find_seen([bare], [], {})) == ""


def test_seen_utterances_are_counted_with_their_first_names(trained):
    speakers = [recorded(n, "table", f"{n}", "digest 1" if n == 3 else None) for n in range(3, 8)]
    parts = [trained, TrainPart((), tuple(f"table/{n}" for n in range(4, 8)), (), ())]
    assert str(find_seen(speakers, parts, {})) == "1 recording (u3) and 4 speakers (table/4, table/5, table/6, ...)"


def test_the_networks_of_folds_and_members_count_together(tmp_path):
    listed(tmp_path, 0, 1)
    for n, place in enumerate(("fold-1/seed-0", "fold-2/seed-0/members/acoustic")):
        write_train_part(tmp_path / place, [recorded(n, speaker=f"{n}")], tmp_path)
        (tmp_path / place / "weights.safetensors").touch()
    found = read_train_part(tmp_path)
    assert set(found.speakers) == {"ravdess/0", "ravdess/1"}
    assert len(found.prints) == 2
    (tmp_path / "fold-1/seed-0/train_part.json").unlink()
    assert read_train_part(tmp_path) is None  # one network does not list it


def test_a_damaged_list_is_named(tmp_path):
    (tmp_path / "weights.safetensors").touch()
    (tmp_path / "train_part.json").write_text("{")
    with pytest.raises(SerError, match=r"train_part\.json cannot be read"):
        read_train_part(tmp_path)
