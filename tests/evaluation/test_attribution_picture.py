"""The picture of an explanation."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from sercli.evaluation import plots
from sercli.evaluation.plots import as_svg, explanation_picture
from sercli.model.attribution import Explanation, Weighing

FOUR = ("neutral", "happiness", "sadness", "anger")
RATE_HZ = 16_000
AUDIO, TEXT, BOTH = ([0.1, 0.1, 0.1, 0.7], [0.4, 0.3, 0.2, 0.1], [0.2, 0.1, 0.1, 0.6])
PROBS = {who: dict(zip(FOUR, p, strict=True)) for who, p in (("audio", AUDIO), ("text", TEXT), ("together", BOTH))}
WORDS = ("stop", "it", "now")
SPANS = ((1.1, 1.5), (1.5, 1.6), (1.8, 2.4))


def made(**changed):
    """Two seconds from 1 s on, attention over 20 frames and three words."""
    frames = np.arange(20) / 190
    usual = {
        "predicted": "anger",
        "probs": PROBS,
        "signal": 0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32),
        "rate_hz": RATE_HZ,
        "start_s": 1.0,
        "audio": (Weighing("attention", frames, "audio", np.linspace(1, 3, 21)),),
        "text": (Weighing("attention", np.array([0.6, 0.1, 0.3]), "text"),),
        "words": WORDS,
        "spans_s": SPANS,
        "asr_confidence": 0.9,
    }
    return Explanation(**{**usual, **changed})


OCCLUDED = {
    "audio": (Weighing("occlusion", np.array([0.3, -0.1, 0.0, 0.02]), "audio", np.linspace(1, 3, 5)),),
    "text": (Weighing("occlusion", np.array([0.251, -0.12, 0.001]), "text"),),
}
ALONE = {"probs": {"audio": PROBS["audio"]}, "text": (), "words": (), "spans_s": (), "asr_confidence": None}
READ = {"probs": {"text": PROBS["text"]}, "audio": (), "spans_s": (), "asr_confidence": None}
MANY = ("so", "it", "goes", "on", "and", "on", "incomprehensibly") * 60
CASES = {
    "attention": {},
    "occlusion": OCCLUDED,
    "audio alone": ALONE,
    "text alone, untimed": READ,
    "silence": {**ALONE, "signal": np.zeros(2 * RATE_HZ, np.float32)},
    "a moment": {"signal": np.ones(3, np.float32), "spans_s": ()},
    "many words": {
        "words": MANY,
        "spans_s": (),
        "text": (Weighing("attention", np.full(len(MANY), 1 / len(MANY)), "text"),),
    },
    "nothing matters": {
        "audio": (Weighing("occlusion", np.zeros(20), "audio", np.linspace(1, 3, 21)),),
        "text": (Weighing("occlusion", np.zeros(3), "text"),),
    },
}
each_case = pytest.mark.parametrize("changed", CASES.values(), ids=CASES.keys())


def draw(path, label="anger", **changed):
    explanation_picture(made(**changed), path, name="a.wav", label=label)


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@each_case
def test_a_picture_is_a_png_with_the_same_bytes_each_time(changed, tmp_path):
    draw(tmp_path / "one.png", **changed)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink"}):
        draw(tmp_path / "two.png", **changed)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.format == "PNG"
        assert set(image.info) == {"dpi"}


@each_case
def test_words_touch_neither_each_other_nor_the_probabilities(changed, drawn, tmp_path):
    draw(tmp_path / "a.png", **changed)
    (figure,) = drawn
    words = made(**changed).words
    boxes = [box.get_window_extent() for box in shown_words(figure)] if words else []
    assert len(boxes) == min(len(words), 80)
    bars = figure.axes[-1].get_tightbbox()
    assert all(box.x1 < bars.x0 for box in boxes)
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:n])


def shown_words(figure):
    return figure.axes[-2].get_xticklabels()


def test_the_method_of_each_member_is_named_with_what_it_does_not_show(drawn, tmp_path):
    draw(tmp_path / "a.png", **{**OCCLUDED, "text": (Weighing("attention", np.array([0.6, 0.1, 0.3]), "text"),)})
    shown = " ".join(texts(drawn[0]))
    assert "Audio: occlusion, points of “anger” lost with 0.50 s silenced" in shown
    assert "Text (ASR confidence 0.90): attention (dashed: an even share)" in shown
    assert "High attention does not mean that the prediction depends on it" in shown
    assert "It does not show what several pieces say alike, or only together" in shown
    draw(tmp_path / "a.png", **ALONE)
    assert "Occlusion" not in " ".join(texts(drawn[1]))


def test_the_title_names_recording_answer_and_probability(drawn, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "a.png", label="unsure")
    assert "a.wav: anger (60%)" in texts(drawn[0])
    assert "a.wav: unsure (anger 60%)" in texts(drawn[1])


def test_what_is_adapted_is_drawn_beside_what_it_was(drawn, tmp_path):
    adapted = dict(zip(FOUR, (0.1, 0.1, 0.1, 0.7), strict=True))
    draw(tmp_path / "a.png", probs={**PROBS, "adapted": adapted})
    shown = texts(drawn[0])
    assert {"a.wav: anger (70%)", "together", "adapted"} <= {*shown}
    assert any("Adapted: less what voice and room do to all utterances alike" in text for text in shown)


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_attention_over_time_is_drawn_as_multiples_of_an_even_share(drawn, tmp_path):
    draw(tmp_path / "a.png")
    curve = drawn[0].axes[1]
    np.testing.assert_allclose(heights(curve), np.arange(20) / 190 * 20)
    assert [line.get_ydata()[0] for line in curve.lines] == [1]
    assert curve.get_xlim() == (1, 3)


def test_what_lowers_the_probability_has_a_colour_of_its_own_below_zero(drawn, tmp_path):
    draw(tmp_path / "a.png", **OCCLUDED)
    curve = drawn[0].axes[1]
    assert heights(curve) == pytest.approx([30, -10, 0, 2])
    colours = [bar.get_facecolor() for bar in curve.patches]
    assert colours[0] == colours[2] == colours[3] != colours[1]


def test_words_have_their_weight_as_a_number(drawn, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png", **OCCLUDED)
    assert [text.get_text() for text in shown_words(drawn[0])] == ["60% stop", "10% it", "30% now"]
    assert [text.get_text() for text in shown_words(drawn[1])] == ["+25 stop", "−12 it", "now"]


def test_a_word_has_its_bar_where_it_is_spoken_and_a_line_to_its_name(drawn, tmp_path):
    draw(tmp_path / "a.png")
    wave, _, words, _ = drawn[0].axes
    assert words.get_xlim() == wave.get_xlim()
    assert words.get_position().x0 == wave.get_position().x0
    assert words.get_position().x1 == wave.get_position().x1
    for bar, line, place, span in zip(words.patches, words.lines[1:], words.get_xticks(), SPANS, strict=True):
        assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx(span)
        assert line.get_xdata().tolist() == pytest.approx([np.mean(span), place])
        assert place == pytest.approx(np.mean(span))


def test_words_that_are_spoken_at_once_are_moved_apart_in_their_order():
    spread = plots.attribution._spread(np.array([0.1, 0.1, 0.9, 1.0, 1.0]), 0.2, 1.0)
    np.testing.assert_allclose(spread, [0.1, 0.3, 0.6, 0.8, 1.0])


def test_words_without_times_are_evenly_spaced_and_the_picture_says_so(drawn, tmp_path):
    draw(tmp_path / "a.png", spans_s=())
    np.testing.assert_allclose(drawn[0].axes[2].get_xticks(), [1 + 1 / 3, 2, 3 - 1 / 3])
    assert "words evenly spaced" in drawn[0].axes[2].get_title(loc="left")


def test_words_that_have_no_room_are_counted(drawn, tmp_path):
    draw(tmp_path / "a.png", **CASES["many words"])
    (left_out,) = [int(text.split()[1]) for text in texts(drawn[0]) if text.endswith("more words")]
    assert len(shown_words(drawn[0])) == len(MANY) - left_out > 0


def test_each_class_has_a_bar_for_each_source(drawn, tmp_path):
    draw(tmp_path / "a.png")
    bars = drawn[0].axes[-1]
    widths = np.array([bar.get_width() for bar in bars.patches]).reshape(3, 4)
    np.testing.assert_allclose(widths, [AUDIO, TEXT, BOTH])
    assert [text.get_text() for text in bars.get_legend().texts] == ["audio only", "text only", "together"]
    assert [t.get_text() for t in bars.get_yticklabels() if t.get_fontweight() == "bold"] == ["anger"]


def test_of_many_classes_the_likeliest_are_shown(drawn, tmp_path):
    probs = {f"emotion{k:02}": (k + 1) / 406 for k in range(28)}
    draw(tmp_path / "a.png", **{**ALONE, "predicted": "emotion27", "probs": {"audio": probs}})
    assert [t.get_text() for t in drawn[0].axes[-1].get_yticklabels()] == [f"emotion{k}" for k in range(20, 28)]


def test_a_dollar_in_a_word_is_a_dollar(drawn, tmp_path):
    draw(tmp_path / "a.png", words=("$x_", "$", "$y$"))
    assert [text.get_text() for text in shown_words(drawn[0])] == ["60% $x_", "10% $", "30% $y$"]


def test_it_can_stand_in_a_page():
    svg = as_svg(lambda target: draw(target), label="what counted")
    assert svg.startswith("<svg")
    assert "stop" in svg
