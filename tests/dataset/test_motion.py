import numpy as np
import pytest

from sercli.dataset import motion
from sercli.errors import SerError
from sercli.features import motion as feature
from sercli.types import MOCAP, MOTION, Utterance

FIRST, SECOND = "Frame# Time CH1 CH2", "X Y Z X"


def write(root, frames, **changed):
    """Files of the three kinds: frames is a list of (time, first number), the others count up from it."""
    for kind, width in MOCAP.items():
        lines = [FIRST, SECOND]
        for time_s, first in changed.get(kind, frames):
            lines.append(f"1 {time_s:.5f} " + " ".join(str(first + n) for n in range(width)))
        (root / f"{kind}.txt").write_text("\n".join(lines) + "\n")


def turn(start_s, end_s):
    about = {"files": {f"{kind}.txt": 1 for kind in MOCAP}, "start_s": start_s, "end_s": end_s}
    return Utterance("u", "iemocap", None, attributes={MOTION: about})


def extracted(frames, **settings):
    return feature.make(feature.Config(**settings), "cpu")([frames])[0]


def test_the_frames_of_a_turn_are_those_at_its_times_and_missing_ones_are_gaps(tmp_path):
    write(tmp_path, [(n / 120, n) for n in range(240) if n != 63], head=[(n / 120, 1000 + n) for n in range(62)])
    found = motion.read(tmp_path, turn(60 / 120, 66 / 120))
    assert found.shape == (6, 189)
    np.testing.assert_array_equal(found[:, 0], [60, 61, 62, np.nan, 64, 65])
    np.testing.assert_array_equal(found[:, 164], [224, 225, 226, np.nan, 228, 229])
    np.testing.assert_array_equal(found[:, 165], [1060, 1061, *[np.nan] * 4])
    np.testing.assert_array_equal(found[:, 171], [60, 61, 62, np.nan, 64, 65])


def test_a_turn_without_any_frame_is_all_gaps(tmp_path):
    write(tmp_path, [(n / 120, n) for n in range(10)])
    assert np.isnan(motion.read(tmp_path, turn(50.0, 50.5))).all()
    (tmp_path / "head.txt").write_text(f"{FIRST}\n{SECOND}\n")
    motion._opened.cache_clear()
    assert np.isnan(motion.read(tmp_path, turn(0.0, 0.05))[:, 165:171]).all()


@pytest.mark.parametrize(
    ("line", "said"),
    [("1 0.0 1 2 3", "has 3 numbers, not 6"), ("1 0.0 1 2 3 4 5 x", "could not convert"), ("1", "out of range")],
)
def test_a_file_that_is_no_motion_capture_is_named(tmp_path, line, said):
    write(tmp_path, [(0.0, 0)])
    (tmp_path / "head.txt").write_text(f"{FIRST}\n{SECOND}\n{line}\n")
    motion._opened.cache_clear()
    with pytest.raises(SerError, match=rf"head\.txt.*{said}.*copy it again"):
        motion.read(tmp_path, turn(0.0, 0.1))


def test_any_length_becomes_the_same_number_of_frames():
    frames = np.tile(np.arange(480, dtype=np.float32)[:, None], 189)
    assert extracted(frames, n_frames=4)[:, 0].tolist() == [59.5, 179.5, 299.5, 419.5]
    np.testing.assert_allclose(extracted(frames[:2], n_frames=4)[:, 5], [0, 0.5, 1, 1])
    assert extracted(frames[:1]).shape == extracted(frames).shape == (200, 189)


def test_gaps_are_filled_from_both_sides_and_a_marker_that_was_never_seen_is_zero():
    frames = np.full((8, 189), np.nan, np.float32)
    frames[[0, 7], 0] = [2, 16]
    frames[4, 1] = 5
    found = extracted(frames, n_frames=8)
    np.testing.assert_allclose(found[:, 0], np.arange(2, 17, 2))
    assert found[:, 1].tolist() == [5] * 8
    assert not found[:, 2:].any()


def test_the_same_motion_gives_the_same_numbers_alone_and_in_a_batch_and_is_left_as_it_was():
    rng = np.random.default_rng(0)
    several = [rng.standard_normal((n, 189)).astype(np.float32) for n in (70, 400)]
    several[1][10:20] = np.nan
    before = several[1].copy()
    extractor = feature.make(feature.Config(), "cpu")
    for one, together in zip(several, extractor(several), strict=True):
        np.testing.assert_array_equal(extractor([one])[0], together)
        assert np.isfinite(together).all()
    np.testing.assert_array_equal(several[1], before)
