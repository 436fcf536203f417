"""The picture of what one answer may rest on."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sercli.evaluation import plots
from sercli.evaluation.plots import as_svg, explanation_picture
from sercli.model.explanation import Explanation, Weighing

FOUR = ("neutral", "happiness", "sadness", "anger")
RATE_HZ = 16_000
SOUND, SAID, BOTH = ([0.1, 0.1, 0.1, 0.7], [0.4, 0.3, 0.2, 0.1], [0.2, 0.1, 0.1, 0.6])
PROBS = {who: dict(zip(FOUR, p, strict=True)) for who, p in (("sound", SOUND), ("words", SAID), ("together", BOTH))}
WORDS = ("stop", "it", "now")
SPANS = ((1.1, 1.5), (1.5, 1.6), (1.8, 2.4))


def made(**changed):
    """Two seconds from 1 s on, attention over 20 frames and three words."""
    frames = np.arange(20) / 190
    usual = {
        "answer": "anger",
        "probs": PROBS,
        "signal": 0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32),
        "rate_hz": RATE_HZ,
        "start_s": 1.0,
        "sound": Weighing("attention", frames),
        "edges_s": np.linspace(1, 3, 21),
        "language": Weighing("attention", np.array([0.6, 0.1, 0.3])),
        "words": WORDS,
        "spans_s": SPANS,
        "asr_confidence": 0.9,
    }
    return Explanation(**{**usual, **changed})


OCCLUDED = {
    "sound": Weighing("occlusion", np.array([0.3, -0.1, 0.0, 0.02])),
    "edges_s": np.linspace(1, 3, 5),
    "language": Weighing("occlusion", np.array([0.251, -0.12, 0.001])),
}
ALONE = {"probs": {"sound": PROBS["sound"]}, "language": None, "words": (), "spans_s": (), "asr_confidence": None}
READ = {"probs": {"words": PROBS["words"]}, "sound": None, "edges_s": np.ones(1), "spans_s": (), "asr_confidence": None}
MANY = ("so", "it", "goes", "on", "and", "on", "incomprehensibly") * 60
CASES = {
    "attention": {},
    "occlusion": OCCLUDED,
    "sound alone": ALONE,
    "words alone, untimed": READ,
    "silence": {**ALONE, "signal": np.zeros(2 * RATE_HZ, np.float32)},
    "a moment": {"signal": np.ones(3, np.float32), "spans_s": ()},
    "many words": {"words": MANY, "spans_s": (), "language": Weighing("attention", np.full(len(MANY), 1 / len(MANY)))},
    "nothing matters": {"sound": Weighing("occlusion", np.zeros(20)), "language": Weighing("occlusion", np.zeros(3))},
}
each_case = pytest.mark.parametrize("changed", CASES.values(), ids=CASES.keys())


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were made, in order."""
    figures = []

    class Recorded(Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(plots.figure, "Figure", Recorded)
    return figures


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
    boxes = [t.get_window_extent() for t in figure.findobj(matplotlib.text.Text) if t.get_text() in set(words)]
    assert len(boxes) >= min(len(words), 100)
    bars = figure.axes[-1].get_tightbbox()
    assert all(box.x1 < bars.x0 for box in boxes)
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:n])


def test_the_way_of_each_member_is_said_with_what_it_does_not_tell(drawn, tmp_path):
    draw(tmp_path / "a.png", **{**OCCLUDED, "language": Weighing("attention", np.array([0.6, 0.1, 0.3]))})
    said = " ".join(texts(drawn[0]))
    assert "Sound: occlusion, points of “anger” lost with 0.50 s silenced" in said
    assert "Words as heard (trust 0.90 of 1): attention, share of the reading" in said
    assert "That it looked there does not mean that its answer rests on it" in said
    assert "What several pieces say alike, or only together, does not show" in said
    draw(tmp_path / "a.png", **ALONE)
    assert "Occlusion" not in " ".join(texts(drawn[1]))


def test_the_title_names_recording_answer_and_probability(drawn, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "a.png", label="unsure")
    assert "a.wav: anger (60%)" in texts(drawn[0])
    assert "a.wav: unsure (anger 60%)" in texts(drawn[1])


def test_attention_over_time_is_drawn_as_multiples_of_an_even_share(drawn, tmp_path):
    draw(tmp_path / "a.png")
    curve = drawn[0].axes[1]
    (heights,) = [patch.get_data().values for patch in curve.patches if patch.get_data().values.any()]
    np.testing.assert_allclose(heights, np.arange(20) / 190 * 20)
    assert [line.get_ydata()[0] for line in curve.lines] == [1]
    assert curve.get_xlim() == (1, 3)


def test_what_speaks_against_the_answer_has_a_colour_of_its_own_below_zero(drawn, tmp_path):
    draw(tmp_path / "a.png", **OCCLUDED)
    speaks_for, against = drawn[0].axes[1].patches
    assert speaks_for.get_data().values.tolist() == pytest.approx([30, 0, 0, 2])
    assert against.get_data().values.tolist() == pytest.approx([0, -10, 0, 0])
    assert speaks_for.get_facecolor() != against.get_facecolor()


def test_words_have_their_weight_as_a_number(drawn, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png", **OCCLUDED)
    assert {"60%", "10%", "30%"} <= set(texts(drawn[0].axes[2]))
    assert {"+25", "−12"} <= set(texts(drawn[1].axes[2]))


def test_words_stand_below_the_moment_at_which_they_are_spoken(drawn, tmp_path):
    draw(tmp_path / "a.png")
    wave, _, words, _ = drawn[0].axes
    band = [patch for patch in words.patches if patch.get_height() < 0.15]
    for patch, (from_s, to_s) in zip(band, SPANS, strict=True):
        left, right = (words.transData.transform((x, 0))[0] for x in (patch.get_x(), patch.get_x() + patch.get_width()))
        expected = [wave.transData.transform((s, 0))[0] for s in (from_s, to_s)]
        assert [left, right] == pytest.approx(expected)
    for word, (from_s, to_s) in zip(WORDS, SPANS, strict=True):
        (text,) = [t for t in words.texts if t.get_text() == word]
        centre = words.transData.transform((text.get_position()[0], 0))[0]
        assert centre == pytest.approx(wave.transData.transform(((from_s + to_s) / 2, 0))[0], abs=1)


def test_words_that_have_no_room_are_counted(drawn, tmp_path):
    draw(tmp_path / "a.png", **CASES["many words"])
    said = texts(drawn[0])
    (left_out,) = [int(text.split()[1]) for text in said if text.endswith("more words")]
    assert sum(text in MANY for text in said) == len(MANY) - left_out > 0


def test_each_class_has_a_bar_of_each_who_was_asked(drawn, tmp_path):
    draw(tmp_path / "a.png")
    bars = drawn[0].axes[-1]
    widths = np.array([bar.get_width() for bar in bars.patches]).reshape(3, 4)
    np.testing.assert_allclose(widths, [SOUND, SAID, BOTH])
    assert [text.get_text() for text in bars.get_legend().texts] == ["by sound", "by words", "together"]
    assert [t.get_text() for t in bars.get_yticklabels() if t.get_fontweight() == "bold"] == ["anger"]


def test_of_many_classes_the_likeliest_are_shown(drawn, tmp_path):
    probs = {f"emotion{k:02}": (k + 1) / 406 for k in range(28)}
    draw(tmp_path / "a.png", **{**ALONE, "answer": "emotion27", "probs": {"sound": probs}})
    assert [t.get_text() for t in drawn[0].axes[-1].get_yticklabels()] == [f"emotion{k}" for k in range(20, 28)]


def test_a_dollar_in_a_word_is_a_dollar(drawn, tmp_path):
    draw(tmp_path / "a.png", words=("$x_", "$", "$y$"))
    assert {"$x_", "$", "$y$"} <= set(texts(drawn[0]))


def test_it_can_stand_in_a_page():
    svg = as_svg(lambda target: draw(target), label="what counted")
    assert svg.startswith("<svg")
    assert "stop" in svg
