import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sercli.cli import options, render
from sercli.cli.render import console as measures
from sercli.evaluation.metrics import baselines, report
from sercli.runs import FoldRun
from sercli.types import Adapted, EpochResult, Prediction, Remark

bars = import_module("sercli.cli.render.progress")  # the package has a function of this name
EIGHT = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
TRUTH = ["neutral"] * 10 + ["anger"] * 4 + ["sadness"] * 2
PREDICTED = ["neutral"] * 7 + ["anger"] * 5 + ["calm"] * 4
REPORT = report("acoustic [b]x[/b]", TRUTH, PREDICTED, ("neutral", "calm", "sadness", "anger"))


def _console(width=100, **options):
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


def _terminal(width=80):
    return _console(width, force_terminal=True, color_system="truecolor", _environ={})


@contextmanager
def _on(console):
    """Both streams are this console."""
    with pytest.MonkeyPatch.context() as patch:
        for stream in ("stdout", "stderr"):
            patch.setattr(measures, stream, lambda: console)
        yield console


def _shown(show, *args, width=100, **options):
    """What a function prints, as a text and as lines without trailing blanks."""
    with _on(_console(width)) as console:
        show(*args, **options)
    text = console.file.getvalue()
    return text, [line.rstrip() for line in text.splitlines()]


def _row_of(lines, first):
    """The cells of the row that begins so."""
    return next(line.split() for line in lines if line.startswith(first))


def _predicted(path, labels=EIGHT, winner=1, **more):
    rest = 0.4 / (len(labels) - 1)
    probabilities = {label: 0.6 if k == winner else rest for k, label in enumerate(labels)}
    given = {"label": labels[winner], "confidence": 0.6, "probabilities": probabilities}
    return Prediction(path, 0.0, 1.0, **{**given, **more})


SILENCE = Prediction("silence.wav", 0.0, 1.0, reason="no speech")


def test_notes_and_warnings_go_to_stderr_and_leave_stdout_to_results(capsys):
    render.note("5531 utterances")
    render.warn("no words")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "5531 utterances\nwarning: no words\n"


def test_results_go_to_stdout(capsys):
    render.class_table(REPORT)
    captured = capsys.readouterr()
    assert "recall" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("say", [render.note, render.warn])
def test_a_note_is_one_line_however_long_and_its_text_is_not_read_as_markup(say):
    message = "[red]x.wav[/red] " + "word " * 60 + "\n:smile: end"
    text, lines = _shown(say, message)
    assert len(lines) == 1
    assert message.replace("\n", " ") in text


def test_control_characters_in_a_name_cannot_reach_the_terminal():
    text, _ = _shown(render.note, "a\x1b[31m\udcff.wav")
    assert text == "a\\x1b[31m\\udcff.wav\n"


def test_a_stream_that_is_not_unicode_gets_plain_characters_and_escapes():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    with _on(Console(file=stream, width=80)):
        render.prediction_rows([_predicted("höhe.wav"), SILENCE])
    text = stream.buffer.getvalue().decode("ascii")
    assert "h\\xf6he.wav" in text
    assert "##" in text


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands at 0 s until a test moves it."""
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(bars, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    return clock


def test_progress_without_a_terminal_is_a_line_every_30_s(clock):
    console = _console()
    with _on(console), render.progress("2 of 4: lld", 3600.0) as advance:
        for _ in range(7):
            clock.now_s += 10
            advance(60.0, "[b]x.wav")
    assert console.file.getvalue().splitlines() == [
        "2 of 4: lld: 5%, 9:30 left, [b]x.wav",
        "2 of 4: lld: 10%, 9:00 left, [b]x.wav",
    ]


def _frame(width, total, *steps, clock, name="[b]lld", at_most=False):
    """The lines of a bar after steps of (seconds, arguments of advance)."""
    bar = bars._Bar(name, total, at_most=at_most)
    for seconds, *told in steps:
        clock.now_s += seconds
        bar.advance(*told)
    console = _console(width)
    console.print(bar)
    return console.file.getvalue().splitlines()


def test_a_bar_shows_its_share_the_time_left_and_a_line_literally(clock):
    bar, shown = _frame(80, 20, (2, 4), (2, 1, "[red]x.wav"), clock=clock)
    assert bar.startswith("[b]lld  ━━━━")
    assert bar.endswith("  25%  0:12 left")
    assert shown == "[red]x.wav"


def test_on_a_narrow_terminal_the_name_of_a_bar_has_its_own_line(clock):
    lines = _frame(40, 20, (2, 5), clock=clock, name="2 of 4: whisper-encoder (tiny.en)")
    assert lines[0] == "2 of 4: whisper-encoder (tiny.en)"
    assert lines[1].endswith("  25%  0:06 left")
    assert cell_len(lines[1]) == 38  # ^C fits behind it


def test_the_time_left_counts_from_when_the_work_began_not_from_when_a_model_was_loaded(clock):
    (bar,) = _frame(80, 20, (60, 0), (5, 5), clock=clock)
    assert bar.endswith("25%  0:15 left")


def test_the_time_left_leaves_out_what_a_small_first_step_waited_for(clock):
    (bar,) = _frame(80, 100, (60, 2), (5, 10), clock=clock)
    assert bar.endswith("12%  0:44 left")


def test_the_time_left_leaves_out_what_an_earlier_command_did(clock):
    (bar,) = _frame(80, 20, *[(0, 1)] * 10, (5, 1), clock=clock)
    assert bar.endswith("55%  0:45 left")


def test_the_time_left_runs_down_while_a_long_step_takes_its_time(clock):
    bar = bars._Bar("lld", 20, at_most=False)
    clock.now_s = 5
    bar.advance(5)
    clock.now_s = 9
    assert bar.left() == "0:11 left"


def test_progress_without_a_known_total_has_neither_share_nor_time_left(clock):
    (bar,) = _frame(80, None, (5, 7), clock=clock)
    assert bar.strip("━ ") == "[b]lld"


def test_a_bar_disappears_at_the_end():
    console = _terminal(100)
    with _on(console), render.progress("lld", 20) as advance:
        advance(4)
    assert console.file.getvalue().endswith("\x1b[1A\x1b[2K")  # one line up, erased


def test_stages_are_numbered_also_those_without_work_and_keep_their_number(capsys, clock):
    stages = render.stages(3)
    for name, work in (("lld", 3), ("words", 0), ("log-mel", 3), ("lld", 3)):
        with stages(name, work) as advance:
            clock.now_s += 30
            advance(1)
    assert [line.partition(": 3")[0] for line in capsys.readouterr().err.splitlines()] == [
        "1 of 3: lld",
        "3 of 3: log-mel",
        "1 of 3: lld",
    ]


def test_results_that_are_printed_while_a_bar_runs_still_go_to_a_piped_stdout(capsys):
    console = _terminal()
    with _on(console), render.progress("Listening", 2) as advance:
        print('{"path": "a.wav"}')
        advance(1)
    assert capsys.readouterr().out == '{"path": "a.wav"}\n'
    assert "a.wav" not in console.file.getvalue()


def test_training_shows_the_loss_that_its_epoch_is_kept_by(clock):
    console = _console(200)
    with _on(console), render.training_progress("lld [x]", 200) as update:
        for epoch in range(11, 21):  # the first ten by an earlier command
            clock.now_s += 3
            update(EpochResult(epoch, 1.5 - epoch / 100, 1.6, 0.3 + epoch / 100, 3.0), epoch <= 18)
    assert console.file.getvalue().splitlines() == [
        "lld [x]: 10%, at most 9:00 left, epoch 20 of 200: train loss 1.300, valid loss 1.600, valid UA 0.500, "
        "kept epoch 18 (valid loss 1.600)"
    ]


def test_a_cross_validation_shows_its_last_run(clock):
    console = _console(200)
    with _on(console), render.repetition_progress("lld", 2) as update:
        clock.now_s = 30
        update(FoldRun(1, 3, Path("fold-1")), SimpleNamespace(best_epoch=7))
    assert console.file.getvalue() == "lld: 50%, 0:30 left, run 1 of 2: fold 1, seed 3, kept epoch 7\n"


def _distribution():
    before = {"neu": 1708, "hap": 595, "exc": 1041, "xxx": 2507, "dis": 2}
    mapping = {"neu": "neutral", "hap": "happiness", "exc": "happiness", "xxx": None}
    return _shown(render.distribution_table, before, {"neutral": 1708, "happiness": 1636}, mapping)[1]


def test_the_distribution_shows_counts_and_shares_before_and_after():
    lines = _distribution()
    assert _row_of(lines, "neu ")[:3] == ["neu", "1708", "29.2%"]
    assert _row_of(lines, "happiness")[:3] == ["happiness", "1636", "48.9%"]
    assert [line.split() for line in lines if line.startswith("all")] == [["all", "5853"], ["all", "3344"]]


def test_the_distribution_says_what_each_label_becomes_and_what_is_left_out():
    lines = _distribution()
    assert _row_of(lines, "exc")[-1] == "happiness"
    assert _row_of(lines, "xxx")[-1] == "–"
    assert _row_of(lines, "dis") == ["dis", "2", "<0.1%", "–"]


def test_the_most_frequent_label_has_the_longest_bar():
    lines = _distribution()
    bars = [_row_of(lines, name)[3] for name in ("xxx", "neu", "hap")]
    assert bars == ["█" * 12, "████████▏", "██▉"]


def test_a_distribution_of_nothing_is_shown_as_zeros():
    lines = _shown(render.distribution_table, {}, {"joy": 0}, {})[1]
    assert _row_of(lines, "joy") == ["joy", "0", "0.0%"]


def test_the_summary_shows_facts_and_counts_remarks_by_reason_with_the_first_example():
    remarks = [
        Remark("skipped", "Ses01.txt:3", "no majority label"),
        Remark("warning", "[red]b.txt", "not UTF-8"),
        Remark("skipped", "Ses01.txt:9", "no majority label"),
    ]
    facts = {"corpus": "iemocap", "utterances": 5531, "speakers": None, "hours": 6.9912}
    text, lines = _shown(render.dataset_summary, facts, remarks)
    assert _row_of(lines, "hours") == ["hours", "6.99"]
    assert _row_of(lines, "speakers") == ["speakers", "–"]
    assert "2  skipped  no majority label  Ses01.txt:3" in lines
    assert "1  warning  not UTF-8          [red]b.txt" in lines
    assert "Ses01.txt:9" not in text


def test_a_summary_without_remarks_has_no_table_of_them():
    assert _shown(render.dataset_summary, {"utterances": 3}, [])[1] == ["utterances  3", ""]


def test_the_systems_table_has_every_system_and_both_baselines_with_three_decimals():
    lines = _shown(render.systems_table, [REPORT], baselines(TRUTH, REPORT.labels), title="validation")[1]
    assert lines[0] == "validation"
    assert lines[1].split() == ["system", "n", "WA", "UA", "macro-F1", "weighted", "F1"]
    assert _row_of(lines, "acoustic [b]x[/b]")[2:] == ["16", "0.562", "0.400", "0.423", "0.626"]
    assert _row_of(lines, "chance")[:4] == ["chance", "16", "0.250", "0.250"]
    assert _row_of(lines, "majority")[:4] == ["majority", "16", "0.625", "0.333"]


def test_the_best_of_several_systems_is_bold_on_a_terminal():
    worse = report("worse", TRUTH, ["anger"] * len(TRUTH), REPORT.labels)
    console = _terminal(100)
    with _on(console):
        render.systems_table([REPORT, worse], [], title="validation")
    assert "\x1b[1m0.562\x1b[0m" in console.file.getvalue()
    assert "\x1b[1m0.250\x1b[0m" not in console.file.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        lambda: render.systems_table([REPORT], [], title="validation"),
        lambda: render.class_table(REPORT),
    ],
)
def test_a_class_that_never_occurs_is_said_to_be_left_out_of_the_averages(show):
    console = _console()
    with _on(console):
        show()
    assert "UA and macro-F1 leave out calm: no utterance here has this label." in console.file.getvalue()


def test_macro_f1_over_predicted_classes_is_shown_where_it_is_another():
    flattered = report("a", ["anger"] * 4, ["anger"] * 3 + ["calm"], ("anger", "calm"))
    perfect = report("a", ["anger"] * 4, ["anger"] * 4, ("anger", "calm"))
    said = "macro-F1 with classes that are predicted but do not occur (as scikit-learn has it): a 0.429."
    assert said in _shown(render.systems_table, [flattered], [], title="validation")[0]
    assert "scikit-learn" not in _shown(render.systems_table, [perfect], [], title="validation")[0]


def test_nothing_is_said_of_absent_classes_where_all_occur():
    whole = report("a", TRUTH, TRUTH, ("neutral", "sadness", "anger"))
    assert "leave out" not in _shown(render.class_table, whole)[0]


def test_the_class_table_has_counts_and_dashes_for_what_is_undefined():
    lines = _shown(render.class_table, REPORT)[1]
    assert _row_of(lines, "neutral") == ["neutral", "10", "0.700", "1.000", "0.824"]
    assert _row_of(lines, "calm") == ["calm", "0", "–", "0.000", "–"]
    assert _row_of(lines, "sadness") == ["sadness", "2", "0.000", "–", "0.000"]


def test_the_confusion_table_has_counts_and_row_percentages():
    text, lines = _shown(render.confusion_table, REPORT)
    assert "acoustic [b]x[/b]: rows truth, columns prediction" in text
    assert _row_of(lines, "neutral") == ["neutral", "7", "70%", "0", "0%", "0", "0%", "3", "30%", "10"]
    assert _row_of(lines, "calm") == ["calm", "0", "–", "0", "–", "0", "–", "0", "–", "0"]
    assert _row_of(lines, "anger") == ["anger", "0", "0%", "2", "50%", "0", "0%", "2", "50%", "4"]


def test_one_of_many_is_not_called_zero_percent():
    rare = report("a", ["joy"] * 1000 + ["anger"], ["joy"] * 999 + ["anger"] * 2, ("joy", "anger"))
    assert _row_of(_shown(render.confusion_table, rare)[1], "joy")[1:] == ["999", "100%", "1", "<1%", "1000"]


def test_a_narrow_terminal_has_fewer_figures_but_whole_ones():
    named, long = (replace(REPORT, name=name) for name in ("acoustic-lld", "acoustic-whisper-one-vs-one"))
    lines = _shown(render.systems_table, [named, long], [], title="Test part", width=40)[1]
    assert lines[1].split() == ["system", "n", "WA", "UA", "macro-F1"]
    figures = [f"{getattr(REPORT, name):.3f}" for name in ("wa", "ua", "macro_f1")]
    assert _row_of(lines, "acoustic-lld") == ["acoustic-lld", "16", *figures]
    first = lines.index(next(line for line in lines if line.startswith("acoustic- ")))
    assert [line.split()[0] for line in lines[first : first + 3]] == ["acoustic-", "whisper-one-", "vs-one"]
    assert "Left out on a narrow terminal: weighted F1." in lines


def test_the_confusion_table_is_heat_coloured_with_a_bold_diagonal_on_a_terminal():
    console = _terminal()
    with _on(console):
        render.confusion_table(REPORT)
    text = console.file.getvalue()
    assert re.search(r"\x1b\[1;38;2;255;255;255;48;2;31;116;173m *7  70%", text)  # the diagonal: bold
    assert re.search(r"\x1b\[38;2;255;255;255;48;2;63;111;148m *3  30%", text)


@pytest.mark.parametrize(("n_labels", "width"), [(2, 60), (8, 60), (8, 80), (8, 200), (28, 60), (28, 200)])
def test_no_count_of_a_confusion_table_is_lost_at_any_width(n_labels, width):
    labels = [f"{letter}{letter}{letter}-emotion" for letter in "abcdefghijklmnopqrstuvwxyzäö"[:n_labels]]
    truth = [label for k, label in enumerate(labels) for _ in range(100 + k)]
    text, lines = _shown(render.confusion_table, report("a", truth, truth, labels), width=width)
    assert max(cell_len(line) for line in lines if "rows truth" not in line) <= width
    assert "…" not in text
    for k, label in enumerate(labels):
        assert str(100 + k) in " ".join(line for line in lines if line.startswith(label))


def test_eight_classes_fit_80_columns_in_one_table_with_short_names():
    truth = [label for label in EIGHT for _ in range(200)]
    lines = _shown(render.confusion_table, report("a", truth, truth, EIGHT), width=80)[1]
    assert lines[1].split() == ["neu", "cal", "hap", "sad", "ang", "fea", "dis", "sur", "n"]
    assert sum(line.startswith("surprise") for line in lines) == 1


def test_short_names_stay_apart():
    labels = ["disappointment", "disapproval", "disgust", "joy", "joyful", "no"]
    assert measures.short_names(labels) == ["disappo", "disappr", "disg", "joy", "joyf", "no"]


@given(st.lists(st.text(min_size=1, max_size=6, alphabet="abc"), unique=True, max_size=8))
def test_short_names_are_beginnings_and_all_different(labels):
    short = measures.short_names(labels)
    assert len(set(short)) == len(labels)
    assert all(label.startswith(name) for label, name in zip(labels, short, strict=True))


def test_predictions_show_path_label_confidence_and_a_bar_for_each_class():
    lines = _shown(render.prediction_rows, [_predicted("[red]x.wav", winner=4)])[1]
    assert lines[0].split() == ["file", "emotion", "conf.", "neu", "cal", "hap", "sad", "ang", "fea", "dis", "sur"]
    assert lines[2].startswith("[red]x.wav  anger    0.600")
    place, before = lines[0].index("ang"), lines[0].index("sad")
    assert lines[2][place:].startswith("██")
    assert lines[2][before] not in "█ "


def test_no_speech_has_dashes_and_its_reason():
    line = _shown(render.prediction_rows, [_predicted("a.wav"), SILENCE])[1][3]
    assert line.split() == ["silence.wav", "–", "–", "no", "speech"]


def test_silence_alone_needs_no_bars():
    lines = _shown(render.prediction_rows, [SILENCE])[1]
    assert lines[2].split() == ["silence.wav", "–", "–", "no", "speech"]


def test_an_answer_can_have_a_remark_of_its_own():
    text, lines = _shown(render.prediction_rows, [_predicted("a.wav", reason="from audio alone")])
    assert "0.600" in text
    assert lines[3].strip() == "from audio alone"


def test_what_all_answers_leave_out_is_said_once():
    rows = [_predicted("a.wav", reason="from audio alone"), SILENCE, _predicted("b.wav", reason="from audio alone")]
    text, lines = _shown(render.prediction_rows, rows)
    assert text.count("from audio alone") == 1
    assert lines[-2] == "2 of 3: from audio alone"
    assert _row_of(lines, "silence.wav")[-2:] == ["no", "speech"]


def test_an_unsure_answer_keeps_its_bars():
    lines = _shown(render.prediction_rows, [_predicted("a.wav", FOUR, label="unsure")])[1]
    assert lines[2].split()[:3] == ["a.wav", "unsure", "0.600"]
    assert lines[2].count("█") > 3


FOUR = EIGHT[:1] + EIGHT[2:5]
OWN = {"neutral": 0.1, "happiness": 0.2, "sadness": 0.3, "anger": 0.4}


def test_the_card_of_a_clip_has_the_emotion_a_bar_for_each_class_the_words_and_what_each_member_says():
    row = _predicted(
        "[b]x.wav",
        FOUR,
        text="I  hate\n[i]this",
        asr_confidence=0.25,
        members={"acoustic": OWN, "linguistic": {**OWN, "anger": 0.9}},
    )
    lines = _shown(render.prediction_card, row)[1]
    assert lines[0] == "[b]x.wav: happiness"
    assert lines[2].split() == ["emotion", "prob.", "audio", "only", "text", "only"]
    assert _row_of(lines, "happiness ") == ["happiness", "0.600", "██████████████▍", "0.200", "0.200"]
    assert _row_of(lines, "anger ")[3:] == ["0.400", "0.900"]
    adapted = replace(row, adapted=Adapted("voice", 2, "neutral"), unadapted={**OWN, "anger": 0.7})
    lines = _shown(render.prediction_card, adapted)[1]
    assert lines[2].endswith("audio only  text only  plain")
    assert _row_of(lines, "anger ")[3:] == ["0.400", "0.900", "0.700"]
    assert "adapted to the voice (neutral), so that voice and room count less; plain: not adapted" in lines
    at = lines.index("words: I hate [i]this  (ASR confidence 0.25)")
    assert lines[at + 1] == "ASR confidence: how surely the words were recognised, from 0 (guesses) to 1"


def test_the_card_has_no_members_where_one_alone_predicted_and_no_confidence_of_a_text_that_was_given():
    row = _predicted("x.wav", FOUR, text="hello", asr_confidence=1.0, members={"acoustic": OWN})
    text, lines = _shown(render.prediction_card, row)
    assert "only" not in text
    assert "words: hello" in lines


def test_the_card_of_an_unsure_answer_marks_the_likeliest_class():
    console = _terminal()
    with _on(console):
        render.prediction_card(_predicted("x.wav", FOUR, label="unsure", reason="no words"))
    text = console.file.getvalue()
    assert "unsure" in text
    assert "no words" in text
    assert "\x1b[32m█" in text


def test_the_card_of_silence_is_one_line():
    assert _shown(render.prediction_card, SILENCE)[1] == ["silence.wav: no speech"]


def _spoken(start_s, end_s, label, text=None, reason=None, adapted=None):
    confidence = None if label is None else 0.75
    return Prediction("a.wav", start_s, end_s, label, confidence, text=text, reason=reason, adapted=adapted)


def _timeline(*rows, width=80, words=True):
    return _shown(lambda rows: render.timeline_rows("a.wav", rows, FOUR, words=words), rows, width=width)


def test_a_timeline_has_times_emotion_confidence_and_words_and_ends_with_the_share_of_time():
    rows = [_spoken(59.96, 63, "anger", "stop it"), _spoken(3_600, 3_601, "sadness"), _spoken(3_601.5, 3_602, "unsure")]
    lines = _timeline(*rows)[1]
    assert lines[0] == "a.wav"
    assert lines[1].split() == ["from", "to", "emotion", "conf.", "ASR", "words"]
    assert lines[3].split() == ["1:00.0", "1:03.0", "anger", "0.750", "stop", "it"]
    assert lines[4].split() == ["1:00:00.0", "1:00:01.0", "sadness", "0.750"]
    assert lines[6] == "0:04.5 of speech: anger 67%, sadness 22%, unsure 11%"


def test_a_timeline_says_why_there_is_no_answer_and_counts_what_answers_leave_out():
    rows = [_spoken(0, 1, "anger", reason="from audio alone"), _spoken(2, 3, None, reason="no words heard")]
    lines = _timeline(*rows)[1]
    assert lines[4].split() == ["0:02.0", "0:03.0", "–", "–", "no", "words", "heard"]
    assert lines[5:7] == ["0:02.0 of speech: anger 50%, no emotion 50%", "1 of 2: from audio alone"]


def test_with_quiet_nothing_follows_a_timeline_but_reasons(monkeypatch):
    monkeypatch.setattr(options, "quiet", True)
    adapted = Adapted("recording", 6, "auto")
    rows = [replace(_spoken(0, 1, "anger", "stop it", "from audio alone", adapted), asr_confidence=0.1)]
    assert _timeline(*rows)[1][4:] == ["from audio alone", ""]


def test_a_timeline_says_what_predictions_were_adapted_to():
    rows = [_spoken(n, n + 1, "anger", adapted=Adapted("recording", 6, "auto")) for n in range(6)]
    told = "6 of 7: adapted to the recording (auto), so that voice and room count less"
    assert _timeline(*rows, _spoken(7, 8, None))[1][-2] == told


def test_a_timeline_says_how_surely_words_were_recognised():
    rows = [replace(_spoken(0, 1, "anger", "stop it"), asr_confidence=confidence) for confidence in (1.0, 0.07)]
    lines, narrow = _timeline(*rows)[1], _timeline(*rows, width=40)[1]
    assert [line.split()[4:] for line in lines[3:5]] == [["1.00", "stop", "it"], ["0.07", "stop", "it"]]
    assert [line.strip() for line in narrow[4:7:2]] == ["stop it", "stop it  (ASR confidence 0.07)"]
    legend = "ASR confidence: how surely the words were recognised, from 0 (guesses) to 1"
    assert legend in lines
    silent = _timeline(_spoken(0, 1, "anger"), words=False)[1]
    assert (silent[1].split()[-1], legend in silent) == ("conf.", False)


def test_a_reason_for_no_label_is_said_once_where_the_words_are_shown():
    foreign = "words in German, and the model reads English"
    lines = _timeline(*(_spoken(n, n + 1, None, "guten Tag", foreign) for n in range(3)))[1]
    assert [line.split()[2:] for line in lines[3:6]] == [["–", "–", "guten", "Tag"]] * 3
    assert [line for line in lines if foreign in line] == [foreign]


def test_a_timeline_names_speakers_and_ends_with_the_shares_of_each():
    rows = [_spoken(0, 1, "anger", "stop it"), _spoken(2, 4, "sadness", "no"), _spoken(5, 6, "sadness")]
    rows = [replace(row, speaker=speaker) for row, speaker in zip(rows, "ABA", strict=True)]
    lines = _timeline(*rows)[1]
    assert lines[1].split() == ["from", "to", "speaker", "emotion", "conf.", "ASR", "words"]
    assert lines[3].split() == ["0:00.0", "0:01.0", "A", "anger", "0.750", "stop", "it"]
    assert lines[3].index("anger") == lines[1].index("emotion")
    assert lines[6:9] == [
        "0:04.0 of speech: sadness 75%, anger 25%",
        "A: 0:02.0 of speech: sadness 50%, anger 50%",
        "B: 0:02.0 of speech: sadness",
    ]


def test_a_timeline_of_silence_says_so():
    lines = _timeline(_spoken(0, 40, None, reason="no speech"))[1]
    assert lines[3].split() == ["0:00.0", "0:40.0", "–", "–", "no", "speech"]
    assert lines[4] == "No emotion found."


@pytest.mark.parametrize("width", [66, 80, 120])
def test_long_words_are_folded_below_their_beginning(width):
    text, lines = _timeline(_spoken(0, 9, "anger", "one two three four five " * 6), width=width)
    assert max(map(cell_len, lines)) <= width
    place = lines[1].index("words")
    rows = [line for line in lines if "five" in line]
    assert all(line[place].strip() for line in rows)
    assert not any(line[:place].strip() for line in rows[1:])
    assert text.count("three") == 6


def test_a_timeline_shows_each_row_as_soon_as_it_is_there():
    console = _console()

    def rows():
        for k in range(3):
            assert console.file.getvalue().count("anger") == k
            yield _spoken(k, k + 1, "anger")

    with _on(console):
        render.timeline_rows("a.wav", rows(), FOUR, words=True)


def test_no_name_and_no_word_is_read_as_markup_in_a_timeline():
    text = _timeline(_spoken(0, 1, "anger", "[red]x\x1b[31m"))[0]
    assert "[red]x\\x1b[31m" in text


@pytest.mark.parametrize("n_labels", [4, 8])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_predictions_of_long_paths_are_one_line_each_with_all_bars(width, n_labels):
    rows = [
        _predicted(f"/data/corpora/RAVDESS/Actor_{k:02d}/03-01-01-01-{k:02d}.flac", EIGHT[:n_labels]) for k in range(3)
    ]
    _, lines = _shown(render.prediction_rows, rows, width=width)
    table = lines[[line.startswith("file") for line in lines].index(True) :]
    assert table[0].split()[3:] == [label[:3] for label in EIGHT[:n_labels]]
    assert len([line for line in table[2:] if line]) == 3
    assert max(map(cell_len, lines)) <= width


def test_the_folder_that_long_paths_share_is_said_once():
    rows = [_predicted(f"/data/a-long-name/of-a-corpus/Actor_{k}/clip.wav") for k in (1, 2)]
    lines = _shown(render.prediction_rows, rows, width=80)[1]
    assert lines[0] == f"in /data/a-long-name/of-a-corpus{os.sep}"
    assert lines[3].startswith("Actor_1/clip.wav ")


def test_with_28_classes_the_next_likeliest_are_written_out():
    labels = [f"emotion{k}" for k in range(28)]
    row = _predicted("a.wav", labels, winner=5)
    row.probabilities["emotion7"] = 0.3
    lines = _shown(render.prediction_rows, [row], width=80)[1]
    assert lines[2].startswith("a.wav  emotion5  0.600  emotion7 0.300,")


def test_paths_are_cut_in_the_middle():
    assert measures.shorten(["corpus/actor/clip-01.wav"], 15) == ["corpu…ip-01.wav"]


def test_paths_that_would_look_alike_when_cut_stay_whole():
    paths = ["corpus/actor01/clip.wav", "corpus/actor02/clip.wav", "corpus/actor/other.wav"]
    assert measures.shorten(paths, 15) == [*paths[:2], "corpu…other.wav"]


def test_a_path_that_equals_another_ones_cut_makes_that_one_stay_whole():
    paths = ["corpu…ip-01.wav", "corpus/actor/clip-01.wav"]
    assert measures.shorten(paths, 15) == paths


@given(st.lists(st.text(alphabet="ab/…字", max_size=12), max_size=8), st.integers(0, 10))
def test_different_paths_never_look_the_same(paths, width):
    assert len(set(measures.shorten(paths, width))) == len(set(paths))


def _trial(value, state, params):
    return SimpleNamespace(value=value, state=SimpleNamespace(name=state), params=params)


def test_trials_are_ranked_in_the_given_order_with_value_state_and_parameters():
    rows = [
        _trial(0.59123, "COMPLETE", {"hidden": 128, "lr": 0.00123456, "[b]": True}),
        _trial(None, "PRUNED", {}),
    ]
    lines = _shown(render.trials_table, rows)[1]
    assert _row_of(lines, "   1") == ["1", "0.591", "complete", "hidden=128", "lr=0.001235", "[b]=True"]
    assert _row_of(lines, "   2") == ["2", "–", "pruned", "–"]


def test_in_a_narrow_terminal_parameters_stand_whole_below_the_trials():
    params = {"architecture.bidirectional": True, "train.lr": 0.001}
    lines = _shown(render.trials_table, [_trial(0.5, "COMPLETE", params)], width=40)[1]
    assert _row_of(lines, "   1") == ["1", "0.500", "complete"]
    assert "1: architecture.bidirectional=True  train.lr=0.001" in lines


@pytest.mark.parametrize("width", [21, 30, 40])
def test_a_terminals_edge_cuts_no_word_of_a_sentence(width):
    console, said = _terminal(width), "UA 87.5 % over 12 utterances; don't read: ser evaluate '/my  own folder'"
    with _on(console):
        render.note(said)
    written = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue()).rstrip("\n")
    rows = [written[at : at + width] for at in range(0, len(written), width)]
    for word in ("87.5 %", "utterances;", "evaluate", "'/my  own folder'"):
        assert any(word in row for row in rows)
    assert " ".join(written.split()) == " ".join(said.split())


@pytest.mark.parametrize("width", [7, 12, 18])  # a line without blanks at its end is as wide
def test_words_at_a_terminals_edge_are_apart_when_they_are_copied(width):
    console = _terminal(width)
    with _on(console):
        render.note("one two 87 % three four")
    assert console.file.getvalue().split() == ["one", "two", "87", "%", "three", "four"]


def test_the_lines_of_a_timeline_stay_lines_in_a_terminal():
    words = "I never knew that it would end like this, and now it has."
    utterance = Prediction("a.wav", 0.0, 4.0, "anger", 0.9, {"anger": 0.9}, text=words)
    shown = []
    for console in (_terminal(60), _console(60)):
        with _on(console):
            render.timeline_rows("a.wav", [utterance], ["anger"], words=True)
        text = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
        shown.append([line.rstrip() for line in text.splitlines()])
    assert shown[0] == shown[1]
    assert max(map(len, shown[0])) <= 60


def test_many_parameters_are_folded_and_none_is_lost():
    params = {f"parameter{k}": k for k in range(20)}
    text, lines = _shown(render.trials_table, [_trial(0.5, "COMPLETE", params)], width=80)
    assert all(f"parameter{k}={k}" in text for k in range(20))
    assert max(map(cell_len, lines)) <= 80


def test_rendering_needs_neither_torch_nor_matplotlib_nor_scikit_learn():
    code = "import sys, sercli.cli.render; print({'torch', 'matplotlib', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("width", [40, 47, 56, 61, 62, 80])
def test_a_narrow_terminal_breaks_no_label_and_no_bar(width):
    probabilities = {"neutral": 0.041, "happiness": 0.023, "sadness": 0.088, "anger": 0.848}
    members = {"acoustic": probabilities, "linguistic": probabilities}
    console = _console(width)
    prediction = Prediction("a.wav", 0.0, 1.0, "anger", 0.848, probabilities, members=members)
    with _on(console):
        render.prediction_card(prediction)
    lines = console.file.getvalue().splitlines()
    for label, probability in probabilities.items():
        assert any(line.startswith(f"{label} ") and line.count(f"{probability:.3f}") == 3 for line in lines)
    assert sum(bool(set(line) & set("▏▎▍▌▋▊▉█")) for line in lines) == len(probabilities)
    assert max(map(len, lines)) <= width
