import numpy as np
import pytest
from sounds import RATE_HZ, clip

from sercli.audio.condition import speech_level_dbfs
from sercli.audio.variation import varied


def test_a_variation_is_the_same_for_the_same_signal_and_another_for_another_number():
    signal = clip("f1-neutral-1")
    np.testing.assert_array_equal(varied(signal, 1), varied(signal, 1))
    first, second = varied(signal, 1), varied(signal, 2)
    assert len(first) != len(second) or not np.allclose(first, second)
    assert not np.array_equal(varied(signal * np.float32(0.5), 1), first * np.float32(0.5))  # drawn from the content


@pytest.mark.parametrize("variant", range(1, 17))
def test_a_variation_is_still_the_same_speech(variant):
    signal = clip("f1-neutral-1")
    changed = varied(signal, variant)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert 1 / 1.15 - 0.01 <= len(changed) / len(signal) <= 1 / 0.87 + 0.01
    assert abs(speech_level_dbfs(changed) - speech_level_dbfs(signal)) < 25


def test_the_shortest_signals_can_be_varied():
    for n in (1, 2, 100):
        assert np.isfinite(varied(np.full(n, 0.1, np.float32), 3)).all()


def test_other_rates_can_be_varied():
    signal = np.repeat(clip("m1-anger-2"), 2)
    assert np.isfinite(varied(signal, 5, 2 * RATE_HZ)).all()
