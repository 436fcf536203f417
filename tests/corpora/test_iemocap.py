import shutil
from collections import Counter

import pytest
from corpus_items import by_id, reasons, utterances
from iemocap_plan import SESSIONS, full_plan
from iemocap_tree import tiny_plan, write_tree

from sercli.corpora import iemocap
from sercli.corpora._iemocap import EXPECTED, EXPECTED_CODES, word_times
from sercli.errors import SerError
from sercli.types import Remark


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora") / "IEMOCAP_full_release"
    write_tree(root, tiny_plan())
    return root


@pytest.fixture(scope="module")
def items(release):
    return list(iemocap.read(release))


@pytest.fixture(scope="module")
def turns(items):
    return by_id(items)


@pytest.fixture
def copy(release, tmp_path):
    """A copy of the release that a test may break."""
    return shutil.copytree(release, tmp_path / "IEMOCAP")


def evaluation(root, dialog):
    return root / f"Session{dialog[4]}" / "dialog" / "EmoEvaluation" / f"{dialog}.txt"


def transcription(root, dialog):
    return root / f"Session{dialog[4]}" / "dialog" / "transcriptions" / f"{dialog}.txt"


def test_every_turn_with_a_majority_is_read_and_nothing_else(turns):
    planned = Counter(iemocap.CODES[turn.code] for turn in tiny_plan() if turn.code != "xxx")
    assert Counter(turn.label for turn in turns.values()) == planned
    assert set(planned) == set(iemocap.LABELS)


def test_turns_without_a_majority_are_named(items):
    n_xxx = sum(turn.code == "xxx" for turn in tiny_plan())
    assert Counter(reasons(items).values())["raters without a majority (xxx)"] == n_xxx


def test_excited_is_its_own_label_and_happiness_among_the_four(turns):
    assert turns["Ses01F_impro01_F002"].label == "excitement"
    assert iemocap.LABELS["excitement"] == "happiness"


def test_the_speaker_is_who_the_last_field_says_not_who_wore_the_markers(turns):
    turn = turns["Ses01F_impro01_M000"]
    assert (turn.speaker, turn.attributes["sex"]) == ("Ses01M", "male")
    assert len({turn.speaker for turn in turns.values()}) == 10


@pytest.mark.parametrize("dialog", ["Ses03M_impro05a", "Ses03M_impro08b", "Ses05M_script01_1b"])
def test_irregular_dialogs_give_both_their_speakers(turns, dialog):
    speakers = {turn.speaker for turn in turns.values() if turn.attributes["dialog"] == dialog}
    assert speakers == {f"{dialog[:5]}F", f"{dialog[:5]}M"}


def test_sessions_are_the_folds_that_loso_needs(turns):
    assert {turn.session for turn in turns.values()} == {"Ses01", "Ses02", "Ses03", "Ses04", "Ses05"}
    assert all(turn.speaker.startswith(turn.session) for turn in turns.values())


def test_scripted_turns_share_their_script_over_sessions_and_actors(turns):
    prompts = {turn.attributes["dialog"]: turn.prompt for turn in turns.values()}
    assert prompts["Ses01M_script01_1"] == prompts["Ses04M_script01_1"] == "script01_1"
    assert prompts["Ses05M_script01_1b"] == "script01_1"
    assert turns["Ses02M_script01_1_F000"].attributes["style"] == "scripted"


def test_improvised_turns_have_no_prompt(turns):
    turn = turns["Ses03M_impro05a_F000"]
    assert (turn.prompt, turn.attributes["style"]) == (None, "improvised")


def test_the_recording_is_the_sentence_not_the_dialog(turns, release):
    turn = turns["Ses05M_script01_1b_M001"]
    assert turn.audio == "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_M001.wav"
    assert (release / turn.audio).is_file()
    assert (turn.start_s, turn.end_s) == (None, None)
    assert turn.attributes["dialog_end_s"] - turn.attributes["dialog_start_s"] == pytest.approx(0.3, abs=2e-4)


def test_words_keep_their_markers_colons_and_brackets(turns):
    words = {turn.transcripts["human"] for turn in turns.values()}
    assert "[LAUGHTER] What a lovely day." in words
    assert "This is great, we won! [laughter]" in words
    assert "The form is on the table: the blue one." in words
    assert "[GARBAGE] Fine, as you say [like this]: or not." in words


def test_ratings_are_kept(turns):
    turn = turns["Ses01F_impro01_F000"]
    assert 1 <= turn.attributes["valence"] <= 5
    assert (turn.attributes["activation"], turn.attributes["dominance"]) == (2.5, 3.0)
    assert turn.attributes["votes"][0] == {"rater": "E2", "labels": ["neutral"]}
    assert {"rater": "F1", "labels": ["neutral"], "comment": "curious"} in turn.attributes["votes"]


def test_a_vote_may_hold_several_labels(turns):
    labels = [vote["labels"] for turn in turns.values() for vote in turn.attributes["votes"] if "labels" in vote]
    assert ["happiness", "surprise"] in labels or ["excitement", "surprise"] in labels
    assert {len(several) for several in labels} == {1, 2}


def test_a_dominance_that_was_left_out_is_none(turns):
    votes = [vote for turn in turns.values() for vote in turn.attributes["votes"] if "dominance" in vote]
    assert Counter(vote["dominance"] for vote in votes)[None] == 3


def test_the_number_of_raters_varies(turns):
    assert {len(turn.attributes["votes"]) for turn in turns.values()} == {4, 6, 8}


def test_unlabelled_turns_and_lines_without_id_are_left_out_of_the_words(items):
    left_out = Counter(reasons(items).values())
    assert left_out["transcript of a turn that was never labelled (XX)"] == 4
    assert left_out["transcript without a turn's id"] == 5


def test_a_file_that_is_not_utf8_is_read_with_a_warning(items, turns):
    warned = [source for source, reason in reasons(items, "warning").items() if "not UTF-8" in reason]
    assert [source.rpartition("/")[2] for source in warned] == ["Ses05M_script01_1b.txt"]
    assert any("é" in turn.transcripts["human"] for turn in turns.values())


def test_the_twins_of_macos_and_the_single_raters_files_are_not_read(items, turns):
    assert not [source for source in reasons(items) if "._" in source]
    assert not [id_ for id_ in turns if id_.endswith("999")]


def test_ids_are_sorted_and_unique_and_a_second_reading_gives_the_same(items, release):
    ids = [item.id for item in utterances(items)]
    assert ids == sorted(set(ids))
    assert list(iemocap.read(release)) == items


def test_the_folder_above_the_release_does_as_well(release, turns):
    above = by_id(iemocap.read(release.parent))
    assert above.keys() == turns.keys()
    assert above["Ses01F_impro01_F000"].audio == f"IEMOCAP_full_release/{turns['Ses01F_impro01_F000'].audio}"


@pytest.mark.parametrize("within", ["", "Session3"])
def test_a_single_session_is_read_with_a_warning(release, tmp_path, within):
    shutil.copytree(release / "Session3", tmp_path / "Session3")
    root = tmp_path / within
    items = list(iemocap.read(root))
    assert {turn.session for turn in utterances(items)} == {"Ses03"}
    assert all((root / turn.audio).is_file() for turn in utterances(items))
    warnings = reasons(items, "warning")
    assert warnings["Session1, Session2, Session4, Session5"] == "missing: only 1 of 5 sessions are read"


def test_numbers_that_are_not_those_of_the_release_are_named(items):
    warnings = reasons(items, "warning")
    assert warnings["Session1"].startswith(
        "differs from the complete release: 2 dialogs instead of 28, 24 turns instead of 1819, 12 women's turns"
    )
    assert "8 happiness instead of 278" in warnings["Session1"]
    assert "13 xxx instead of 2507" in warnings["all sessions"]


def test_the_whole_release_reads_to_its_published_counts_without_a_warning(tmp_path):
    write_tree(tmp_path, full_plan(), n_unlabelled=48, n_empty_dominance=36, sound=False)
    items = list(iemocap.read(tmp_path))
    assert set(reasons(items, "warning").values()) == {"not UTF-8; the affected lines are read as Windows-1252"}
    left_out = Counter(reasons(items).values())
    assert left_out["raters without a majority (xxx)"] == 2507
    assert left_out["its recording is missing"] == 7532


def test_the_expected_counts_agree_with_each_other():
    totals = [sum(column) for column in zip(*EXPECTED.values(), strict=True)]
    assert totals == [151, 10039, 4800, 5239, 1708, 1636, 1084, 1103]
    assert sum(EXPECTED_CODES) == 10039
    assert sum(session.four_women for session in SESSIONS.values()) == 2649
    assert sum(session.four_improvised for session in SESSIONS.values()) == 2943


def test_a_turn_whose_recording_is_missing_is_left_out_and_named(copy):
    (copy / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav").unlink()
    items = list(iemocap.read(copy))
    assert "Ses01F_impro01_F000" not in by_id(items)
    assert reasons(items)["Ses01F_impro01_F000"] == "its recording is missing"


def test_recordings_may_be_of_another_kind(copy):
    folder = copy / "Session1/sentences/wav/Ses01F_impro01"
    (folder / "Ses01F_impro01_F000.wav").rename(folder / "Ses01F_impro01_F000.FLAC")
    assert by_id(iemocap.read(copy))["Ses01F_impro01_F000"].audio.endswith("/Ses01F_impro01_F000.FLAC")


def test_a_turn_without_words_is_kept_and_named(copy):
    transcription(copy, "Ses02F_impro01").unlink()
    items = list(iemocap.read(copy))
    assert by_id(items)["Ses02F_impro01_F000"].transcripts == {}
    warnings = reasons(items, "warning")
    assert warnings["Ses02F_impro01.txt"] == "transcription is missing"
    assert warnings["Ses02F_impro01_F000"] == "turn without a transcript"


def test_a_turn_that_is_labelled_twice_counts_once(copy):
    path = evaluation(copy, "Ses01F_impro01")
    path.write_text(path.read_text() + "\n[1.0 - 2.0]\tSes01F_impro01_F000\tang\t[1.0, 1.0, 1.0]\n")
    items = list(iemocap.read(copy))
    assert by_id(items)["Ses01F_impro01_F000"].label == "neutral"
    assert reasons(items)["Ses01F_impro01_F000"] == "turn is labelled a second time"


def test_strange_files_codes_and_names_are_left_out_and_named(copy):
    path = evaluation(copy, "Ses01F_impro01")
    path.with_name("notes.txt").write_text("hello")
    extra = "\n[1.0 - 2.0]\tSes01F_impro01_F050\tjoy\t[1.0, 1.0, 1.0]\n\n[1.0 - 2.0]\tSes09F_x_F000\tneu\t[1, 1, 1]\n"
    path.write_text(path.read_text() + extra)
    left_out = reasons(iemocap.read(copy))
    assert left_out["notes.txt"] == "its name is not that of a dialog"
    assert left_out["Ses01F_impro01_F050"] == "unknown emotion code 'joy'"
    assert left_out["Ses09F_x_F000"] == "not the name of a turn"


def test_a_turn_in_the_files_of_another_dialog_is_read_without_motion_capture(copy):
    path = evaluation(copy, "Ses01F_impro01")
    path.write_text(path.read_text() + "\n[1.0 - 2.0]\tSes01F_impro07_F000\tneu\t[1.0, 1.0, 1.0]\n")
    wav = copy / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (wav / "Ses01F_impro07_F000.wav").write_bytes((wav / "Ses01F_impro01_F000.wav").read_bytes())
    assert "motion" not in by_id(list(iemocap.read(copy)))["Ses01F_impro07_F000"].attributes


def test_sessions_without_evaluation_files_are_refused_with_what_was_looked_for(tmp_path):
    (tmp_path / "Session1" / "sentences").mkdir(parents=True)
    (tmp_path / "Session1" / "sentences" / "a.wav").write_bytes(b"")
    with pytest.raises(SerError, match=r"no Session1/dialog/EmoEvaluation with files like Ses01F_impro01\.txt in it"):
        list(iemocap.read(tmp_path))


def test_words_have_the_times_of_the_forced_alignment_where_it_has_the_same_words(copy, turns):
    id_ = "Ses01F_impro01_F000"
    words = turns[id_].text.split()
    path = copy / "Session1" / "sentences" / "ForcedAlignment" / "Ses01F_impro01" / f"{id_}.wdseg"
    path.parent.mkdir(parents=True)
    rows = [f"{40 * n:5d} {40 * n + 39:5d} -12345 {word.strip('.:').upper()}(2)" for n, word in enumerate(words)]
    path.write_text(
        "\n".join(["\t SFrm\t EFrm\t SegAScr Word", "0 0 -1 <s>", *rows, "9000 9009 -1 <sil>", "Total score: 1"])
    )
    read = by_id(list(iemocap.read(copy)))
    expected = [[40 * n / 100, (40 * n + 40) / 100] for n in range(len(words))]
    assert read[id_].attributes["word_times"] == expected
    assert "word_times" not in read["Ses01F_impro01_M000"].attributes


def test_a_marker_has_no_time_of_its_own_and_other_words_have_none():
    aligned = [(0.1, 0.5, "I"), (0.5, 0.9, "CAN'T")]
    assert word_times("I [LAUGHTER] can't.", aligned) == [[0.1, 0.5], [0.5, 0.5], [0.5, 0.9]]
    assert word_times("I can", aligned) is None


def test_motion_capture_is_found_with_whom_it_shows(tmp_path):
    write_tree(tmp_path, tiny_plan(), sound=True, motion=True)
    found = list(iemocap.read(tmp_path))
    turns = by_id(found)
    mine, other = turns["Ses01F_impro01_F000"], turns["Ses01F_impro01_M000"]
    assert (mine.attributes["markers"], other.attributes["markers"]) == ("speaker", "listener")
    assert list(mine.attributes["motion"]["files"]) == [
        f"Session1/dialog/MOCAP_{kind}/Ses01F_impro01.txt" for kind in ("rotated", "head", "hand")
    ]
    assert mine.attributes["motion"]["end_s"] == mine.attributes["dialog_end_s"]
    assert (
        "Session5/dialog/MOCAP_head/Ses05M_script01_1.txt"
        in turns["Ses05M_script01_1b_M000"].attributes["motion"]["files"]
    )
    n = sum(turn.attributes["markers"] == "speaker" for turn in turns.values())
    said = f"{n} of {len(turns)} turns: the speaker wears the markers; elsewhere motion shows the listener (markers)"
    assert said in [f"{item.source}: {item.reason}" for item in found if isinstance(item, Remark)]


def test_a_dialog_without_one_of_the_three_files_has_no_motion(turns):
    assert not any("motion" in turn.attributes or "markers" in turn.attributes for turn in turns.values())
