from importlib.util import find_spec

import numpy as np
import pytest

from sercli.asr import moonshine
from sercli.errors import SerError

missing = find_spec("moonshine_voice") is None


@pytest.mark.skipif(not missing, reason="moonshine-voice is installed")
def test_what_to_install_is_said():
    with pytest.raises(SerError, match=r"run: pip install moonshine-voice==0\.1\.0$"):
        moonshine.transcribe(np.zeros(16_000, np.float32), moonshine.Config())


@pytest.mark.skipif(missing, reason="moonshine-voice is not installed (an extra: pip install sercli[moonshine])")
def test_words_are_heard(demo_clip):
    heard = moonshine.transcribe(demo_clip("f1-neutral-1"), moonshine.Config(confidence=0.25))
    assert "second floor" in heard.text.lower()
    assert (heard.words, heard.confidence, heard.no_speech) == ((), 0.25, 0.0)


@pytest.mark.skipif(missing, reason="moonshine-voice is not installed (an extra: pip install sercli[moonshine])")
def test_what_was_heard_before_makes_no_difference(demo_clip):
    clip, silence = demo_clip("f1-neutral-1"), np.zeros(16_000, np.float32)
    config = moonshine.Config()
    first = [moonshine.transcribe(sound, config) for sound in (silence, clip)]
    assert [moonshine.transcribe(sound, config) for sound in (clip, silence, clip, clip[:12_000], silence)][
        1:3
    ] == first
    assert moonshine.transcribe(silence, config) == first[0]


@pytest.mark.skipif(missing, reason="moonshine-voice is not installed (an extra: pip install sercli[moonshine])")
def test_words_after_30_s_are_heard(demo_clip):
    clip = demo_clip("f1-neutral-1")
    heard = moonshine.transcribe(np.concatenate([clip, np.zeros(33 * 16_000, np.float32), clip]), moonshine.Config())
    assert heard.text.lower().count("second floor") == 2
