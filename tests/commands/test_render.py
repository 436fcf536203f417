import io
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sercli.commands import _render
from sercli.commands._render import text as measures
from sercli.evaluation.metrics import baselines, report
from sercli.types import EpochResult, Remark

EIGHT = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
TRUTH = ["neutral"] * 10 + ["anger"] * 4 + ["sadness"] * 2
PREDICTED = ["neutral"] * 7 + ["anger"] * 5 + ["calm"] * 4
REPORT = report("acoustic [b]x[/b]", TRUTH, PREDICTED, ("neutral", "calm", "sadness", "anger"))


def _console(width=100, **options):
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


def _terminal(width=80):
    return _console(width, force_terminal=True, color_system="truecolor", _environ={})


def _shown(show, *args, width=100):
    """What a function prints, as a text and as lines without trailing blanks."""
    console = _console(width)
    show(*args, console=console)
    text = console.file.getvalue()
    return text, [line.rstrip() for line in text.splitlines()]


def _row_of(lines, first):
    """The cells of the row that begins so."""
    return next(line.split() for line in lines if line.startswith(first))


def _predicted(path, labels=EIGHT, winner=1, **more):
    rest = 0.4 / (len(labels) - 1)
    probs = {label: 0.6 if k == winner else rest for k, label in enumerate(labels)}
    return {"path": path, "label": labels[winner], "confidence": 0.6, "probs": probs, **more}


SILENCE = {"path": "silence.wav", "label": None, "confidence": None, "probs": {}, "reason": "no speech"}


def test_notes_and_warnings_go_to_stderr_and_leave_stdout_to_results(capsys):
    _render.note("5531 utterances")
    _render.warn("no words")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "5531 utterances\nwarning: no words\n"


def test_results_go_to_stdout(capsys):
    _render.class_table(REPORT)
    captured = capsys.readouterr()
    assert "recall" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("say", [_render.note, _render.warn])
def test_a_note_is_one_line_however_long_and_its_text_is_not_read_as_markup(say):
    message = "[red]x.wav[/red] " + "word " * 60 + "\n:smile: end"
    text, lines = _shown(say, message)
    assert len(lines) == 1
    assert message.replace("\n", " ") in text


def test_control_characters_in_a_name_cannot_reach_the_terminal():
    text, _ = _shown(_render.note, "a\x1b[31m\udcff.wav")
    assert text == "a\\x1b[31m\\udcff.wav\n"


def test_a_stream_that_is_not_unicode_gets_plain_characters_and_escapes():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    _render.prediction_rows([_predicted("höhe.wav"), SILENCE], console=Console(file=stream, width=80))
    text = stream.buffer.getvalue().decode("ascii")
    assert "h\\xf6he.wav" in text
    assert "##" in text


def test_progress_is_silent_where_there_is_no_terminal():
    console = _console()
    with _render.progress("lld", 3, console=console) as advance:
        advance(2, file="a.wav")
    assert console.file.getvalue() == ""


def test_progress_on_a_terminal_counts_names_the_file_literally_and_goes_away():
    console = _terminal(100)
    with _render.progress("[b]lld", 20, console=console) as advance:
        advance(4)
        advance(file="[red]x.wav")
    text = console.file.getvalue()
    assert "[b]lld" in text
    assert "5/20" in text
    assert "file [red]x.wav" in text
    assert text.endswith("\x1b[1A\x1b[2K")  # one line up, erased


def test_progress_without_a_known_total_still_counts():
    console = _terminal(100)
    with _render.progress("reading", None, console=console) as advance:
        advance(7)
    assert "7/?" in console.file.getvalue()


def test_results_that_are_printed_while_a_bar_runs_still_go_to_a_piped_stdout(capsys):
    console = _terminal()
    with _render.progress("Listening", 2, console=console) as advance:
        print('{"path": "a.wav"}')
        advance(1)
    assert capsys.readouterr().out == '{"path": "a.wav"}\n'
    assert "a.wav" not in console.file.getvalue()


def _train(console, n_epochs, best_until):
    with _render.training_progress("lld [x]", 200, console=console) as update:
        for epoch in range(1, n_epochs + 1):
            update(EpochResult(epoch, 1.5 - epoch / 100, 1.6, 0.3 + epoch / 100, 2.0), epoch <= best_until)


def test_training_without_a_terminal_says_one_plain_line_every_tenth_epoch():
    console = _console()
    _train(console, 25, best_until=8)
    assert console.file.getvalue().splitlines() == [
        "lld [x]: epoch 10/200, train loss 1.400, valid loss 1.600, valid UA 0.400, best UA 0.380 (epoch 8), "
        "at most 0:06:20 left",
        "lld [x]: epoch 20/200, train loss 1.300, valid loss 1.600, valid UA 0.500, best UA 0.380 (epoch 8), "
        "at most 0:06:00 left",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_training_on_a_terminal_shows_each_epoch_live_and_goes_away(width):
    console = _console(width, force_terminal=True, color_system=None, _environ={})
    _train(console, 3, best_until=3)
    text = console.file.getvalue()
    assert "3/200" in text
    assert "train loss 1.470  valid loss 1.600  valid UA 0.330  best UA 0.330 (epoch 3)" in text
    assert "at most 0:06:34 left" in text
    assert text.endswith("\x1b[1A\x1b[2K" * 2)


def test_training_before_its_first_epoch_has_no_figures():
    console = _console(80, force_terminal=True, color_system=None, _environ={})
    _train(console, 0, best_until=0)
    assert "train loss –  valid loss –  valid UA –  best UA –" in console.file.getvalue()


def _distribution():
    before = {"neu": 1708, "hap": 595, "exc": 1041, "xxx": 2507, "dis": 2}
    mapping = {"neu": "neutral", "hap": "happiness", "exc": "happiness", "xxx": None}
    return _shown(_render.distribution_table, before, {"neutral": 1708, "happiness": 1636}, mapping)[1]


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
    lines = _shown(_render.distribution_table, {}, {"joy": 0}, {})[1]
    assert _row_of(lines, "joy") == ["joy", "0", "0.0%"]


def test_the_summary_shows_facts_and_counts_remarks_by_reason_with_the_first_example():
    remarks = [
        Remark("skipped", "Ses01.txt:3", "no majority label"),
        Remark("warning", "[red]b.txt", "not UTF-8"),
        Remark("skipped", "Ses01.txt:9", "no majority label"),
    ]
    facts = {"corpus": "iemocap", "utterances": 5531, "speakers": None, "hours": 6.9912}
    text, lines = _shown(_render.dataset_summary, facts, remarks)
    assert _row_of(lines, "hours") == ["hours", "6.99"]
    assert _row_of(lines, "speakers") == ["speakers", "–"]
    assert "2  skipped  no majority label  Ses01.txt:3" in lines
    assert "1  warning  not UTF-8          [red]b.txt" in lines
    assert "Ses01.txt:9" not in text


def test_a_summary_without_remarks_has_no_table_of_them():
    assert _shown(_render.dataset_summary, {"utterances": 3}, [])[1] == ["utterances  3", ""]


def test_the_systems_table_has_every_system_and_both_baselines_with_three_decimals():
    lines = _shown(_render.systems_table, [REPORT], baselines(TRUTH, REPORT.labels))[1]
    assert lines[0].split() == ["system", "n", "WA", "UA", "macro-F1", "weighted", "F1"]
    assert _row_of(lines, "acoustic [b]x[/b]")[2:] == ["16", "0.562", "0.400", "0.423", "0.626"]
    assert _row_of(lines, "chance")[:4] == ["chance", "16", "0.250", "0.250"]
    assert _row_of(lines, "majority")[:4] == ["majority", "16", "0.625", "0.333"]


def test_the_best_of_several_systems_is_bold_on_a_terminal():
    worse = report("worse", TRUTH, ["anger"] * len(TRUTH), REPORT.labels)
    console = _terminal(100)
    _render.systems_table([REPORT, worse], [], console=console)
    assert "\x1b[1m0.562\x1b[0m" in console.file.getvalue()
    assert "\x1b[1m0.250\x1b[0m" not in console.file.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        lambda console: _render.systems_table([REPORT], [], console=console),
        lambda console: _render.class_table(REPORT, console=console),
    ],
)
def test_a_class_that_never_occurs_is_said_to_be_left_out_of_the_averages(show):
    console = _console()
    show(console)
    assert "UA and macro-F1 leave out calm: no utterance here has this label." in console.file.getvalue()


def test_nothing_is_said_of_absent_classes_where_all_occur():
    whole = report("a", TRUTH, TRUTH, ("neutral", "sadness", "anger"))
    assert "leave out" not in _shown(_render.class_table, whole)[0]


def test_the_class_table_has_counts_and_dashes_for_what_is_undefined():
    lines = _shown(_render.class_table, REPORT)[1]
    assert _row_of(lines, "neutral") == ["neutral", "10", "0.700", "1.000", "0.824"]
    assert _row_of(lines, "calm") == ["calm", "0", "–", "0.000", "–"]
    assert _row_of(lines, "sadness") == ["sadness", "2", "0.000", "–", "0.000"]


def test_the_confusion_table_has_counts_and_row_percentages():
    text, lines = _shown(_render.confusion_table, REPORT)
    assert "acoustic [b]x[/b]: rows truth, columns prediction" in text
    assert _row_of(lines, "neutral") == ["neutral", "7", "70%", "0", "0%", "0", "0%", "3", "30%", "10"]
    assert _row_of(lines, "calm") == ["calm", "0", "–", "0", "–", "0", "–", "0", "–", "0"]
    assert _row_of(lines, "anger") == ["anger", "0", "0%", "2", "50%", "0", "0%", "2", "50%", "4"]


def test_one_of_many_is_not_called_zero_percent():
    rare = report("a", ["joy"] * 1000 + ["anger"], ["joy"] * 999 + ["anger"] * 2, ("joy", "anger"))
    assert _row_of(_shown(_render.confusion_table, rare)[1], "joy")[1:] == ["999", "100%", "1", "<1%", "1000"]


def test_the_confusion_table_is_heat_coloured_with_a_bold_diagonal_on_a_terminal():
    console = _terminal()
    _render.confusion_table(REPORT, console=console)
    text = console.file.getvalue()
    assert re.search(r"\x1b\[1;38;2;255;255;255;48;2;31;116;173m *7  70%", text)  # the diagonal: bold
    assert re.search(r"\x1b\[38;2;255;255;255;48;2;63;111;148m *3  30%", text)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("n_labels", [2, 8, 28])
def test_no_count_of_a_confusion_table_is_lost_at_any_width(width, n_labels):
    labels = [f"{letter}{letter}{letter}-emotion" for letter in "abcdefghijklmnopqrstuvwxyzäö"[:n_labels]]
    truth = [label for k, label in enumerate(labels) for _ in range(100 + k)]
    text, lines = _shown(_render.confusion_table, report("a", truth, truth, labels), width=width)
    assert max(cell_len(line) for line in lines if "rows truth" not in line) <= width
    assert "…" not in text
    for k, label in enumerate(labels):
        assert str(100 + k) in " ".join(line for line in lines if line.startswith(label))


def test_eight_classes_fit_80_columns_in_one_table_with_short_names():
    truth = [label for label in EIGHT for _ in range(200)]
    lines = _shown(_render.confusion_table, report("a", truth, truth, EIGHT), width=80)[1]
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
    lines = _shown(_render.prediction_rows, [_predicted("[red]x.wav", winner=4)])[1]
    assert lines[0].split() == ["file", "emotion", "conf.", "neu", "cal", "hap", "sad", "ang", "fea", "dis", "sur"]
    assert lines[2].startswith("[red]x.wav  anger    0.600")
    place, before = lines[0].index("ang"), lines[0].index("sad")
    assert lines[2][place:].startswith("██")
    assert lines[2][before] not in "█ "


def test_no_speech_has_dashes_and_its_reason():
    line = _shown(_render.prediction_rows, [_predicted("a.wav"), SILENCE])[1][3]
    assert line.split() == ["silence.wav", "–", "–", "no", "speech"]


def test_silence_alone_needs_no_bars():
    lines = _shown(_render.prediction_rows, [SILENCE])[1]
    assert lines[2].split() == ["silence.wav", "–", "–", "no", "speech"]


def test_an_answer_can_have_a_remark_of_its_own():
    text, lines = _shown(_render.prediction_rows, [_predicted("a.wav", reason="from sound alone")])
    assert "0.600" in text
    assert lines[3].strip() == "from sound alone"


@pytest.mark.parametrize("n_labels", [4, 8])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_predictions_of_long_paths_are_one_line_each_with_all_bars(width, n_labels):
    rows = [
        _predicted(f"/data/corpora/RAVDESS/Actor_{k:02d}/03-01-01-01-{k:02d}.flac", EIGHT[:n_labels]) for k in range(3)
    ]
    _, lines = _shown(_render.prediction_rows, rows, width=width)
    table = lines[[line.startswith("file") for line in lines].index(True) :]
    assert table[0].split()[3:] == [label[:3] for label in EIGHT[:n_labels]]
    assert len([line for line in table[2:] if line]) == 3
    assert max(map(cell_len, lines)) <= width


def test_the_folder_that_long_paths_share_is_said_once():
    rows = [_predicted(f"/data/a-long-name/of-a-corpus/Actor_{k}/clip.wav") for k in (1, 2)]
    lines = _shown(_render.prediction_rows, rows, width=80)[1]
    assert lines[0] == f"in /data/a-long-name/of-a-corpus{os.sep}"
    assert lines[3].startswith("Actor_1/clip.wav ")


def test_with_28_classes_the_next_likeliest_are_written_out():
    labels = [f"emotion{k}" for k in range(28)]
    row = _predicted("a.wav", labels, winner=5)
    row["probs"]["emotion7"] = 0.3
    lines = _shown(_render.prediction_rows, [row], width=80)[1]
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


def test_trials_are_ranked_in_the_given_order_with_value_state_and_parameters():
    rows = [
        {"value": 0.59123, "state": "complete", "params": {"hidden": 128, "lr": 0.00123456, "[b]": True}},
        {"value": None, "state": "pruned", "params": {}},
    ]
    lines = _shown(_render.trials_table, rows)[1]
    assert _row_of(lines, "   1") == ["1", "0.591", "complete", "hidden=128", "lr=0.001235", "[b]=True"]
    assert _row_of(lines, "   2") == ["2", "–", "pruned", "–"]


def test_many_parameters_are_folded_and_none_is_lost():
    params = {f"parameter{k}": k for k in range(20)}
    text, lines = _shown(_render.trials_table, [{"value": 0.5, "state": "complete", "params": params}], width=80)
    assert all(f"parameter{k}={k}" in text for k in range(20))
    assert max(map(cell_len, lines)) <= 80


def test_rendering_needs_neither_torch_nor_matplotlib_nor_scikit_learn():
    code = "import sys, sercli.commands._render; print({'torch', 'matplotlib', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
