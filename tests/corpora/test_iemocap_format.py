import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iemocap_plan import dialogs

from sercli.corpora._iemocap import TURN, Turn, parse_evaluation, parse_transcription
from sercli.types import Remark

HEADER = "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"


def votes(lines):
    (turn,) = parse_evaluation(HEADER + lines, "x.txt")
    return turn.votes


def test_a_block_is_read():
    text = f"% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n{HEADER}C-E2:\tNeutral;\t()\n\n"
    (turn,) = parse_evaluation(text, "x.txt")
    assert (turn.id, turn.code, turn.start_s, turn.end_s) == ("Ses01F_impro01_F000", "neu", 6.2901, 8.2357)
    assert turn.dimensions == (2.5, 2.5, 2.5)


@pytest.mark.parametrize(
    ("line", "vote"),
    [
        ("C-E2:\tNeutral;\t()", {"rater": "E2", "labels": ["neutral"]}),
        ("C-F1:\tNeutral state;\t(curious)", {"rater": "F1", "labels": ["neutral"], "comment": "curious"}),
        ("C-E4:\tExcited; Surprise;\t()", {"rater": "E4", "labels": ["excitement", "surprise"]}),
        ("C-E4:\tOther;\t(sarcastic (a bit))", {"rater": "E4", "labels": ["other"], "comment": "sarcastic (a bit)"}),
        ("A-E3:\tval 3; act 2; dom  2;\t()", {"rater": "E3", "valence": 3, "activation": 2, "dominance": 2}),
        ("A-M1:\tval 4; act 4; dom  ;\t()", {"rater": "M1", "valence": 4, "activation": 4, "dominance": None}),
    ],
)
def test_raters_lines_are_read(line, vote):
    assert votes(line) == [vote]


def test_blocks_may_follow_each_other_without_a_blank_line_and_end_in_any_way():
    text = HEADER.replace("\n", "\r\n") + "C-E2:\tNeutral;\t()\r\n" + HEADER.replace("F000", "F001").strip()
    assert [(turn.id[-4:], len(turn.votes)) for turn in parse_evaluation(text, "x.txt")] == [("F000", 1), ("F001", 0)]


def test_raters_of_a_turn_that_cannot_be_read_are_not_given_to_the_turn_before():
    text = f"{HEADER}C-E2:\tNeutral;\t()\n[x - 2]\tSes01F_impro01_F001\tang\t[1, 1, 1]\nC-E2:\tAnger;\t()\n"
    found = list(parse_evaluation(text, "x.txt"))
    turn = next(item for item in found if isinstance(item, Turn))
    assert turn.votes == [{"rater": "E2", "labels": ["neutral"]}]
    assert [(item.source, item.reason) for item in found if isinstance(item, Remark)] == [
        ("x.txt:3", "line that cannot be read as a turn"),
        ("x.txt:4", "rater's line that cannot be read or has no turn"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A-E3:\tval many;\t()", "rater's line that cannot be read or has no turn"),
        ("hello", "line that is neither a turn nor a rater's labels"),
    ],
)
def test_lines_that_cannot_be_read_are_named(line, reason):
    found = list(parse_evaluation(f"{HEADER}{line}\n", "x.txt"))
    assert Remark("skipped", "x.txt:2", reason) in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Ses05F_script03_1_F033 [241.6700-243.4048]: I know.", "I know."),
        ("Ses05F_script03_1_F033 [041.6700-043.4048]: He said: [LAUGHTER]: no", "He said: [LAUGHTER]: no"),
        ("Ses05F_script03_1_F033 [041.6700 - 043.4048]:", ""),
    ],
)
def test_transcripts_are_read(line, words):
    assert list(parse_transcription(line + "\n", "x.txt")) == [("Ses05F_script03_1_F033", words)]


@pytest.mark.parametrize(
    "line", ["M: Hold on.", "Ses05F_script03_1_F033 no time", "[1.0-2.0]: who?", "Ses06F_x [1-2]: a"]
)
def test_lines_without_a_turn_are_left_out_and_named(line):
    assert list(parse_transcription(line, "x.txt")) == [
        Remark("skipped", "x.txt:1", "transcript without a turn's id"),
    ]


def test_unlabelled_turns_are_left_out_and_named():
    (remark,) = parse_transcription("Ses05F_impro01_FXX0 [1.0-2.0]: a", "x.txt")
    assert "never labelled (XX)" in remark.reason


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_every_dialog_of_the_release_gives_turns_with_the_right_speaker(number):
    for dialog in dialogs(number):
        for sex in "FM":
            match = TURN.fullmatch(f"{dialog}_{sex}012")
            assert (match["dialog"], match["session"], match["sex"]) == (dialog, f"0{number}", sex)


def test_the_release_has_28_to_32_dialogs_a_session():
    assert Counter({number: len(dialogs(number)) for number in range(1, 6)}) == {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}


MARKS = ["[", "]", "]:", " - ", "\t", "()", ";", "\n", "\r\n", "%", "\x85", "\0", "é"]
WORDS = ["6.29", "9" * 400, "٣", "neu", "C-E2:", "A-E3:", "val 3; act 2; dom  2;", "Ses01F_impro01_FXX0", HEADER]
PIECES = st.sampled_from(MARKS + WORDS)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join)


@given(TEXTS)
def test_any_evaluation_file_gives_turns_and_remarks_that_can_be_written_as_json(text):
    for item in parse_evaluation(text, "x.txt"):
        assert isinstance(item, Turn | Remark)
        if isinstance(item, Turn):
            json.dumps([item.start_s, item.end_s, item.dimensions, item.votes], allow_nan=False)


@given(TEXTS)
def test_any_transcription_gives_turns_and_remarks(text):
    for item in parse_transcription(text, "x.txt"):
        assert isinstance(item, Remark) or TURN.fullmatch(item[0])


@given(st.lists(st.sampled_from(["C-E2:\tAnger;\t()", "A-F1:\tval 1; act 5; dom  ;\t(hm)"]), max_size=12))
def test_every_rater_is_kept_whatever_their_number(lines):
    assert len(votes("\n".join(lines))) == len(lines)
