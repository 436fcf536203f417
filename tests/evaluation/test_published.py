from pathlib import Path

import sercli
from sercli import plugins
from sercli.evaluation.published import SESSION_5, published
from sercli.types import FOUR


def test_systems_of_the_original_study_have_its_figure_on_its_corpus():
    assert published("feature", "iemocap", FOUR) == 0.711
    assert published("linguistic", "iemocap", FOUR[::-1]) == 0.631
    assert published("max-confidence (run7, human words)", "iemocap", FOUR) == 0.667


def test_others_have_none():
    assert published("asr-weighted", "iemocap", FOUR) is None
    assert published("feature", "ravdess", FOUR) is None
    assert published("feature", "iemocap", (*FOUR, "fear")) is None


def test_every_published_system_is_a_preset_or_a_rule():
    presets = {path.stem for path in (Path(sercli.__file__).parent / "presets").glob("*.toml")}
    assert SESSION_5.keys() <= presets | set(plugins.names("ensemble"))
