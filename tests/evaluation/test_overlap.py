from dataclasses import replace

import pytest

from sercli.errors import SerError
from sercli.evaluation import overlap
from sercli.evaluation.overlap import TrainPart, find_seen, read_train_part, write_train_part
from sercli.types import Utterance


def recorded(n, corpus="ravdess", speaker="01", digest=None):
    return Utterance(f"u{n}", corpus, "anger", speaker=speaker, audio=f"{n}.wav", digest=digest or f"digest {n}")


def written(n, text, speaker=None):
    return Utterance(f"t{n}", "goemotions", "anger", speaker=speaker, transcripts={"human": text})


@pytest.fixture
def trained(tmp_path):
    """A run directory with weights, trained on two recordings of one speaker, and on one text."""
    write_train_part(tmp_path, [recorded(1), recorded(2), written(1, "stop it")])
    (tmp_path / "weights.safetensors").touch()
    return read_train_part(tmp_path)


def test_a_train_part_lists_digests_and_speakers_of_each_corpus(trained):
    assert set(trained.recordings) >= {"digest 1", "digest 2"}
    assert len(trained.recordings) == 3
    assert trained.speakers == {"ravdess/01"}


def test_a_copy_under_another_name_by_another_speaker_is_seen(trained):
    copy = replace(recorded(7, "table", "x", "digest 2"), audio="other/name.wav")
    found = find_seen([recorded(8, "table", "x"), copy], [trained])
    assert (found.ids, found.recordings, found.speakers) == ({"u7"}, ("u7",), ())


def test_another_recording_of_the_same_speaker_of_the_same_corpus_is_seen(trained):
    found = find_seen([recorded(5), recorded(6, "emodb"), recorded(7, speaker="02")], [trained])
    assert (found.ids, found.recordings, found.speakers) == ({"u5"}, (), ("ravdess/01",))


def test_without_audio_the_same_text_is_seen(trained):
    found = find_seen([written(8, "stop it"), written(9, "stop it now")], [trained])
    assert (found.ids, found.recordings) == ({"t8"}, ("t8",))


def test_utterances_of_one_recording_are_one_recording(trained):
    parts = [replace(recorded(n, "table", None, "digest 1"), start_s=float(n)) for n in (3, 4)]
    found = find_seen(parts, [trained])
    assert (found.ids, found.recordings) == ({"u3", "u4"}, ("u3",))
    assert found.overlap(dropped=True) == overlap.Overlap(recordings=1, speakers=(), dropped=2)


def test_an_utterance_without_audio_words_or_speaker_is_never_seen():
    bare = Utterance("u", "c", "anger")
    assert find_seen([bare], [TrainPart((), ())]).ids == frozenset()
    assert str(find_seen([bare], [])) == ""


def test_seen_utterances_are_counted_with_their_first_names(trained):
    speakers = [recorded(n, "table", f"{n}", "digest 1" if n == 3 else None) for n in range(3, 8)]
    parts = [trained, TrainPart((), tuple(f"table/{n}" for n in range(4, 8)))]
    assert str(find_seen(speakers, parts)) == "1 recording (u3) and 4 speakers (table/4, table/5, table/6, ...)"


def test_the_networks_of_folds_and_members_count_together(tmp_path):
    for n, place in enumerate(("fold-1/seed-0", "fold-2/seed-0/members/acoustic")):
        write_train_part(tmp_path / place, [recorded(n, speaker=f"{n}")])
        (tmp_path / place / "weights.safetensors").touch()
    assert set(read_train_part(tmp_path).speakers) == {"ravdess/0", "ravdess/1"}
    (tmp_path / "fold-1/seed-0/train_part.json").unlink()
    assert read_train_part(tmp_path) is None  # one network does not list it


def test_a_damaged_list_is_named(tmp_path):
    (tmp_path / "weights.safetensors").touch()
    (tmp_path / "train_part.json").write_text("{")
    with pytest.raises(SerError, match=r"train_part\.json cannot be read"):
        read_train_part(tmp_path)
