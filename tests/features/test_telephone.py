"""Speech of the telephone's band is heard as if it had its whole band, and all other speech as it is."""

from dataclasses import replace

import numpy as np
from sounds import clip, over_the_telephone

from sercli.audio.condition import prepare_signal
from sercli.features import whisper_encoder

CONFIG = whisper_encoder.Config(model="base", level_dbfs=-26.0)


def heard(signals, *, mapped):
    extractor = whisper_encoder.make_several([CONFIG], "cpu")
    if not mapped:
        extractor = replace(extractor, wide_bands=[None])
    return extractor([prepare_signal(signal, CONFIG) for signal in signals])[0]


def test_states_of_the_telephones_band_come_nearer_to_those_of_the_whole_band():
    signals = [clip(name) for name in ("m1-anger-2", "f1-sadness-1", "f2-anger-5")]
    cut = [over_the_telephone(signal) for signal in signals]
    of_whole = heard(signals, mapped=True)

    def distance(found):
        each = zip(found, of_whole, strict=True)
        return np.mean([np.abs(one.mean(0) - whole.mean(0)) / (whole.std(0) + 1e-3) for one, whole in each])

    assert distance(heard(cut, mapped=True)) < 0.9 * distance(heard(cut, mapped=False))


def test_speech_with_its_whole_band_is_left_as_it_is_beside_one_without():
    signal = clip("m1-anger-2")
    left, mapped = heard([signal, over_the_telephone(signal)], mapped=True)
    plain, cut = heard([signal, over_the_telephone(signal)], mapped=False)
    np.testing.assert_array_equal(left, plain)
    assert not np.allclose(mapped, cut, atol=0.01)
