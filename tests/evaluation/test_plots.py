import os
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from sercli.evaluation import plots
from sercli.evaluation.metrics import baselines, report
from sercli.evaluation.plots import (
    as_svg,
    confusion_picture,
    history_picture,
    intervals_picture,
    reliability_picture,
    risk_coverage_picture,
    timeline_picture,
    trials_picture,
)
from sercli.evaluation.results import Bin, Calibration, Estimate, SystemResult
from sercli.types import EpochResult, Prediction

REPORT = report("both", ["joy"] * 3 + ["anger"], ["joy", "joy", "anger", "anger"], ("joy", "anger", "fear"))
HISTORY = [EpochResult(1, 1.5, 1.4, 0.25, 2.0), EpochResult(2, 1.2, 1.1, 0.5, 2.0), EpochResult(3, 1.0, 1.3, 0.4, 2.0)]
VALUES, STATES = [0.4, 0.7, None, 0.5, 0.6], ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "COMPLETE"]
RATE_HZ = 8_000
FOUR = ("neutral", "happiness", "sadness", "anger")
TALK = [np.zeros(2 * RATE_HZ), 0.5 * np.ones(3 * RATE_HZ + 7), np.zeros(2 * RATE_HZ), 0.1 * np.ones(4 * RATE_HZ)]


def _spoken(start_s, end_s, label, text, p=0.7):
    probabilities = {name: p if name == label else (1 - p) / 3 for name in FOUR}
    return Prediction("a/talk.wav", start_s, end_s, label, p, probabilities, text)


SPOKEN = [_spoken(2, 5, "anger", "stop it now"), _spoken(7, 11, "sadness", "i miss her", 0.9)]


def _system(name, modality, ua):
    figure = Estimate(ua, ua - 0.1, ua + 0.05)
    return SystemResult(
        name=name, modality=modality, report=REPORT, wa=figure, ua=figure, macro_f1=figure,
        macro_f1_all=figure,
        weighted_f1=figure, before=Calibration(0.21, 1.5, 0.9), after=Calibration(0.05, 1.2, 0.8),
        reliability=(Bin(0.45, 0.5, 10), Bin(0.85, 0.7, 30)), risk_coverage=((0.1, 0.0), (0.5, 0.2), (1.0, 0.4)),
        above={}, slices=(), worst=None, mistakes=(),
    )  # fmt: skip


SYSTEMS = [
    _system("both $x_", "both", 0.7),
    _system("sound", "acoustic", 0.6),
    _system("words", "linguistic", 0.5),
]
BASELINES = baselines(["joy"] * 3 + ["anger"], ("joy", "anger"))

DRAW = {
    "intervals": lambda path: intervals_picture(SYSTEMS, BASELINES, path),
    "reliability": lambda path: reliability_picture(SYSTEMS[0], 0, path),
    "risk by coverage": lambda path: risk_coverage_picture(SYSTEMS, path),
    "timeline": lambda path: timeline_picture(SPOKEN, FOUR, TALK, RATE_HZ, path),
    "confusion": lambda path: confusion_picture(REPORT, path),
    "history": lambda path: history_picture(HISTORY, path, best_epoch=2),
    "trials": lambda path: trials_picture(VALUES, STATES, path),
}
each_picture = pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW.keys())


def _texts(axes):
    return [text.get_text() for text in axes.texts]


def _lines(axes):
    return {line.get_label(): line for line in axes.lines}


@each_picture
def test_a_picture_has_the_same_bytes_each_time_and_in_spite_of_a_users_matplotlibrc(draw, tmp_path):
    draw(tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink"}):
        draw(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@each_picture
def test_a_picture_is_a_png_that_tells_neither_program_nor_date(draw, tmp_path):
    draw(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert set(image.info) == {"dpi"}


@each_picture
def test_a_picture_replaces_the_old_one_in_one_step(draw, tmp_path, monkeypatch):
    path, replaced = tmp_path / "new" / "a.png", []
    monkeypatch.setattr(os, "replace", lambda source, target, swap=os.replace: replaced.append(swap(source, target)))
    draw(path)
    draw(path)
    assert len(replaced) == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_picture_that_cannot_be_drawn_leaves_the_old_one_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(plots.results, "_write_cells", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        confusion_picture(REPORT, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_leave_pyplot_alone():
    code = "import sys, sercli.evaluation.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_confusion_picture_shows_counts_and_shares_of_the_true_class(drawn, tmp_path):
    confusion_picture(REPORT, tmp_path / "a.png")
    assert _texts(drawn[0].axes[0]) == ["2\n67 %", "1\n33 %", "0", "0", "1\n100 %", "0"]


def test_a_confusion_picture_names_the_system_its_accuracies_and_its_axes(drawn, tmp_path):
    confusion_picture(REPORT, tmp_path / "a.png")
    axes = drawn[0].axes[0]
    assert axes.get_title() == "both\nWA 75.0 % · UA 83.3 % · n 4"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted (count, share of the true class)", "True")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["joy", "anger", "fear"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["joy (3)", "anger (1)", "fear (none)"]


def test_a_few_of_many_are_not_called_zero_percent(drawn, tmp_path):
    rare = report("a", ["joy"] * 1000, ["joy"] * 999 + ["anger"], ("joy", "anger"))
    confusion_picture(rare, tmp_path / "a.png")
    assert _texts(drawn[0].axes[0])[1] == "1\n< 1 %"


@pytest.mark.parametrize("n_labels", [2, 28])
def test_cells_hold_their_text_for_few_classes_and_for_many(drawn, tmp_path, n_labels):
    labels = [f"emotion{k:02d}" for k in range(n_labels)]
    truth = [label for label in labels for _ in range(1000)]
    confusion_picture(report("a", truth, truth, labels), tmp_path / "a.png")
    axes = drawn[0].axes[0]
    widest = max(text.get_window_extent().width for text in axes.texts)
    assert widest < axes.get_window_extent().width / n_labels


def test_a_control_character_in_a_label_reaches_no_terminal(tmp_path, recwarn):
    confusion_picture(report("a", ["\x1b[31mred"], ["\x1b[31mred"], ("\x1b[31mred", "anger")), tmp_path / "a.png")
    assert not [str(one.message) for one in recwarn if "Glyph" in str(one.message)]


def test_a_dollar_in_a_name_is_a_dollar(drawn, tmp_path):
    odd = report("run $x_", ["$joy$"], ["$joy$"], ("$joy$", "anger"))
    confusion_picture(odd, tmp_path / "a.png")
    title = drawn[0].axes[0].title
    assert title.get_text().startswith("run $x_")
    assert title.get_parse_math() is False


def test_a_history_picture_has_both_losses_and_the_validation_ua(drawn, tmp_path):
    history_picture(HISTORY, tmp_path / "a.png", best_epoch=2)
    loss, ua = drawn[0].axes
    assert list(_lines(loss)["train"].get_ydata()) == [1.5, 1.2, 1.0]
    assert list(_lines(loss)["validation"].get_ydata()) == [1.4, 1.1, 1.3]
    assert list(_lines(ua)["validation"].get_ydata()) == [0.25, 0.5, 0.4]


def test_a_history_picture_marks_the_epoch_that_was_kept(drawn, tmp_path):
    history_picture(HISTORY, tmp_path / "a.png", best_epoch=2)
    loss, ua = drawn[0].axes
    assert list(_lines(loss)["kept, epoch 2: 1.100"].get_xydata()[0]) == [2, 1.1]
    assert list(_lines(ua)["kept, epoch 2: 0.500"].get_xydata()[0]) == [2, 0.5]


def test_the_best_so_far_counts_complete_trials_only(drawn, tmp_path):
    trials_picture(VALUES, STATES, tmp_path / "a.png")
    assert list(_lines(drawn[0].axes[0])["best so far (0.600)"].get_ydata()) == [0.4, 0.4, 0.4, 0.5, 0.6]


def test_pruned_and_unfinished_trials_are_told_apart_and_counted(drawn, tmp_path):
    trials_picture(VALUES, STATES, tmp_path / "a.png")
    lines = _lines(drawn[0].axes[0])
    assert list(lines["pruned (1)"].get_xdata()) == [2]
    assert list(lines["complete (3)"].get_xdata()) == [1, 4, 5]
    assert "not finished (1)" in lines


def test_a_search_without_trials_says_so(drawn, tmp_path):
    trials_picture([], [], tmp_path / "a.png")
    assert _texts(drawn[0].axes[0]) == ["No trial yet"]


def test_a_timeline_has_a_column_for_each_utterance_as_high_as_its_answer_is_probable(drawn, tmp_path):
    timeline_picture(SPOKEN, FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    bands = drawn[0].axes[1]
    lowest = [bar for bar in bands.patches if bar.get_y() == 0 and bar.get_height() < 1]
    found = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in lowest]
    assert found == [(2, 3, pytest.approx(0.7)), (7, 4, pytest.approx(0.9))]
    assert bands.get_xlim() == (0, pytest.approx(11, abs=0.03))


def test_a_timeline_names_its_emotions_and_has_the_words_that_fit(drawn, tmp_path):
    timeline_picture(SPOKEN, FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    assert _texts(drawn[0].axes[1]) == ["anger", "sadness", "stop it now", "i miss her"]
    (legend,) = drawn[0].legends
    shares = [text.get_text() for text in legend.texts]
    assert legend.get_title().get_text() == "share of speech"
    assert shares == ["neutral 0%", "happiness 0%", "sadness 57%", "anger 43%"]


def test_a_timeline_has_a_lane_for_each_speaker_in_the_colours_of_the_answers(drawn, tmp_path):
    rows = [replace(SPOKEN[0], speaker="B"), replace(SPOKEN[1], speaker="A"), _spoken(11, 12, "anger", "", 0.5)]
    timeline_picture(rows, FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    _, lanes, _ = drawn[0].axes
    assert [label.get_text() for label in lanes.get_yticklabels()] == ["A", "B"]
    a, b = lanes.collections
    assert [(path.vertices[0][0], path.vertices[2][0]) for spans in (a, b) for path in spans.get_paths()] == [
        (7, 11),
        (2, 5),
    ]
    colours = plots.timeline._colours(FOUR)
    assert [to_hex(spans.get_facecolor()[0]) for spans in (a, b)] == [
        colours["sadness"].lower(),
        colours["anger"].lower(),
    ]


def test_words_that_have_no_room_are_left_out_of_a_timeline(drawn, tmp_path):
    rows = [_spoken(k * 4, k * 4 + 3, "anger", "incomprehensibilities") for k in range(200)]
    timeline_picture(rows, FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    assert _texts(drawn[0].axes[1]) == []


def test_a_recording_of_hours_has_the_mean_of_each_stretch_of_time(drawn, tmp_path):
    rows = [_spoken(k * 4, k * 4 + 3, "anger" if k < 900 else "sadness", "stop") for k in range(1_800)]
    timeline_picture(rows, FOUR, [np.zeros(7_200 * 50)], 50, tmp_path / "a.png")
    bands = drawn[0].axes[1]
    assert bands.get_ylabel() == "Mean probability"
    heights = np.array([bar.get_height() for bar in bands.patches]).reshape(4, 120)
    np.testing.assert_allclose(heights.sum(axis=0), 1)
    np.testing.assert_allclose(heights[3], [0.7] * 60 + [0.1] * 60)
    assert "1:00:00" in [text.get_text() for text in bands.get_xticklabels()]


def test_an_answer_that_is_unsure_is_pale_and_has_no_share(drawn, tmp_path):
    unsure = [replace(one, label="unsure") for one in SPOKEN]
    timeline_picture(unsure, FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    assert {bar.get_alpha() for bar in drawn[0].axes[1].patches} == {None, 0.22}
    assert "anger 0%" in [text.get_text() for text in drawn[0].legends[0].texts]


def test_a_timeline_of_a_recording_without_speech_has_its_waveform(drawn, tmp_path):
    nothing = Prediction("a.wav", 0, 11)
    timeline_picture([nothing], FOUR, TALK, RATE_HZ, tmp_path / "a.png")
    assert drawn[0].axes[0].collections
    assert not drawn[0].axes[1].patches


def test_twenty_eight_classes_have_colours_that_differ(tmp_path):
    colours = plots.timeline._colours([f"emotion{k}" for k in range(28)])
    assert len(set(colours.values())) == 28
    timeline_picture([], tuple(colours), TALK, RATE_HZ, tmp_path / "a.png")


def test_the_waveform_is_drawn_by_its_loudest_samples_whatever_the_blocks():
    signal = np.abs(np.random.default_rng(0).standard_normal(5_001))
    whole = plots.timeline._peaks([signal], RATE_HZ)
    pieces = plots.timeline._peaks(np.split(signal, [1, 7, 400, 4_000]), RATE_HZ)
    assert len(whole) == 32
    assert whole.max() == signal.max()
    np.testing.assert_array_equal(whole, pieces)


def _elements(svg, name):
    return ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{name}")


@each_picture
def test_a_picture_is_one_svg_element_with_the_same_text_each_time(draw):
    svg = as_svg(draw, label="one")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "svg.fonttype": "path"}):
        assert as_svg(draw, label="one") == svg
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")


@each_picture
def test_an_svg_says_nothing_of_the_page_around_it(draw):
    svg = as_svg(draw, label="one")
    assert not list(_elements(svg, "style"))  # it would hold for the whole page
    assert not list(_elements(svg, "metadata"))
    assert not list(_elements(svg, "image"))
    own = [node.get("id") for node in ElementTree.fromstring(svg).iter() if node.get("id")]
    assert len(set(own)) == len(own)
    referred = re.findall(r"url\(#([^)]*)\)", svg) + re.findall(r'href="#([^"]*)"', svg)
    assert set(referred) <= set(own)


def test_ids_of_pictures_on_one_page_differ():
    ids = [
        set(re.findall(r' id="([^"]*)"', as_svg(draw, label="one", prefix=f"{n}-")))
        for n, draw in enumerate(DRAW.values())
    ]
    assert all(ids)
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_an_svg_has_its_text_as_text_in_the_colour_of_the_page():
    svg = as_svg(DRAW["confusion"], label="one")
    texts = {"".join(node.itertext()): node.get("style") for node in _elements(svg, "text")}
    assert {"joy (3)", "67 %", "True"} <= texts.keys()
    assert "fill: currentColor" in texts["joy (3)"]
    assert "fill: #ffffff" in texts["100 %"]  # on a dark cell, whatever the page
    assert all("fill: " in style for style in texts.values())


def test_an_svg_has_no_background():
    first = next(_elements(as_svg(DRAW["confusion"], label="one"), "path"))
    assert "fill: none" in first.get("style")


def test_an_svg_tells_what_it_shows_to_those_who_do_not_see_it():
    root = ElementTree.fromstring(as_svg(DRAW["history"], label='a <b> & "c"'))
    assert (root.get("role"), root.get("aria-label")) == ("img", 'a <b> & "c"')


def test_an_svg_is_as_wide_as_its_inches():
    root = ElementTree.fromstring(as_svg(DRAW["history"], label="one"))
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(7.5 * 72, rel=0.08)


def test_intervals_are_drawn_where_they_are_with_lines_for_the_baselines(drawn, tmp_path):
    intervals_picture(SYSTEMS, BASELINES, tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["both $x_", "sound", "words"]
    assert axes.yaxis_inverted()
    bars = sorted(tuple(map(tuple, bar)) for lines in axes.collections for bar in lines.get_segments())
    np.testing.assert_allclose(bars, [[(0.4, 2), (0.55, 2)], [(0.5, 1), (0.65, 1)], [(0.6, 0), (0.75, 0)]])
    assert _texts(axes) == ["70.0 %", "60.0 %", "50.0 %"]
    assert list(_lines(axes)["chance, majority: 50.0 %"].get_xdata()) == [0.5, 0.5]


def test_one_system_alone_has_its_interval(drawn, tmp_path):
    intervals_picture(SYSTEMS[1:2], BASELINES, tmp_path / "a.png")
    assert _texts(drawn[0].axes[0]) == ["60.0 %"]


def test_reliability_is_drawn_by_confidence_with_the_distance_from_perfect_calibration(drawn, tmp_path):
    reliability_picture(SYSTEMS[0], 0, tmp_path / "a.png")
    upper, lower = drawn[0].axes
    assert list(_lines(upper)["predictions"].get_xdata()) == [0.45, 0.85]
    assert list(_lines(upper)["predictions"].get_ydata()) == [0.5, 0.7]
    assert [bar.get_height() for bar in lower.patches] == [0.25, 0.75]
    (distances,) = upper.collections
    np.testing.assert_allclose(distances.get_segments(), [[(0.45, 0.45), (0.45, 0.5)], [(0.85, 0.85), (0.85, 0.7)]])
    assert [text.get_text() for text in drawn[0].legends[0].texts] == [
        *("perfectly calibrated", "difference", "predictions"),
    ]


def test_a_system_has_one_colour_in_all_pictures(drawn, tmp_path):
    intervals_picture(SYSTEMS, BASELINES, tmp_path / "a.png")
    risk_coverage_picture(SYSTEMS, tmp_path / "b.png")
    reliability_picture(SYSTEMS[1], 1, tmp_path / "c.png")
    intervals, risks, reliability = (figure.axes[0] for figure in drawn)
    dots = {line.get_color() for line in intervals.lines if list(line.get_ydata()) == [1]}
    assert dots == {_lines(risks)["sound"].get_color()} == {_lines(reliability)["predictions"].get_color()}


def test_risk_is_drawn_by_coverage_for_every_system(drawn, tmp_path):
    risk_coverage_picture(SYSTEMS, tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert list(_lines(axes)["sound"].get_xdata()) == [0.1, 0.5, 1.0]
    assert list(_lines(axes)["sound"].get_ydata()) == [0.0, 0.2, 0.4]
    assert [text.get_text() for text in drawn[0].legends[0].texts] == ["both $x_", "sound", "words"]


def test_as_many_systems_as_a_study_has_are_told_apart(drawn, tmp_path):
    many = [_system(f"system {k}", "both", 0.5) for k in range(20)]
    risk_coverage_picture(many, tmp_path / "a.png")
    curves = [line for line in drawn[0].axes[0].lines if line.get_label().startswith("system")]
    assert len({(line.get_color(), line.get_linestyle(), line.get_linewidth()) for line in curves}) == 20
