import json
from dataclasses import replace

import pytest

from sercli import config, plugins
from sercli.dataset.feature_specs import feature_configs
from sercli.errors import ConfigError, SerError
from sercli.model import spec
from sercli.model.papers import PAPERS
from sercli.types import TrainConfig


@pytest.fixture
def settings_file(tmp_path):
    def write(**sections):
        path = tmp_path / "settings.json"
        path.write_text(json.dumps(sections))
        return path

    return write


@pytest.mark.parametrize("name", spec.presets())
def test_every_preset_is_a_model_that_can_be_trained(name):
    plan = spec.resolve(name, None, {})
    assert plan.name == name
    assert plan.model.features[0][0] in plugins.names("feature")
    assert spec.build(name, plan.to_dict()) == plan


def test_the_presets_of_the_original_study_are_there():
    originals = {"acoustic-spectrogram", "acoustic-lld", "linguistic", "linguistic-lstm", "linguistic-bilstm"}
    assert originals <= set(spec.presets())


def test_each_preset_stays_with_the_study_in_direction_and_pooling():
    chosen = {name: spec.resolve(name, None, {}).model.architecture_config for name in spec.presets()}
    assert (chosen["linguistic-lstm"].bidirectional, chosen["linguistic-lstm"].pooling) == (False, "last")
    assert (chosen["linguistic-bilstm"].bidirectional, chosen["linguistic-bilstm"].pooling) == (True, "last")
    assert (chosen["linguistic"].bidirectional, chosen["linguistic"].pooling) == (True, "attention")
    assert (chosen["acoustic-lld"].bidirectional, chosen["acoustic-lld"].pooling) == (True, "attention")


def test_the_features_to_prepare_are_those_of_the_presets_without_copies_for_training_alone():
    features = spec.preset_features()
    found = [(name, config.build(plugins.load("feature", name).Config, own, "feature")) for name, own in features]
    assert len(found) == len(set(found))
    plans = [spec.resolve(name, None, {}) for name in spec.presets() if name not in PAPERS]
    wanted = {feature for plan in plans for feature in plan.model.features}
    assert set(found) == {(name, own) for name, own in wanted if not hasattr(plugins.load("feature", name), "EXTRA")}


def test_a_feature_that_needs_an_extra_is_prepared_only_where_it_is_named():
    assert "sentence" in {spec.resolve(name, None, {}).model.features[0][0] for name in spec.presets()}
    assert "sentence" not in {name for name, _ in spec.preset_features()}
    assert feature_configs("sentence", [], spec.preset_features())[0][0] == "sentence"


def test_a_file_wins_over_the_preset_and_set_over_the_file(settings_file):
    file = settings_file(train={"lr": 0.02, "epochs": 7})
    preset = spec.resolve("linguistic", None, {})
    plan = spec.resolve("linguistic", file, config.parse_sets(["train.epochs=9"]))
    assert preset.train.lr != 0.02
    assert (plan.train.lr, plan.train.epochs) == (0.02, 9)
    assert plan == replace(preset, train=replace(preset.train, lr=0.02, epochs=9)), "what only the preset says stands"


def test_what_nobody_sets_is_the_dataclass_default():
    assert spec.resolve("linguistic", None, {}).train.patience == TrainConfig().patience


def test_another_architecture_drops_the_settings_of_the_presets_own():
    plan = spec.resolve("linguistic", None, config.parse_sets(["model.architecture=cnn", "architecture.n_filters=4"]))
    expected = plugins.load("architecture", "cnn").Config(n_filters=4)
    assert plan.model.architecture_config == expected
    assert plan.model.features[0][0] == "words"


def test_another_feature_drops_the_settings_of_the_files_own(settings_file):
    file = settings_file(model={"feature": "words", "architecture": "lstm"}, feature={"max_tokens": 5})
    plan = spec.resolve(None, file, config.parse_sets(["model.feature=log-mel"]))
    assert plan.model.features[0][1] == plugins.load("feature", "log-mel").Config()


def test_the_same_name_again_keeps_the_settings():
    plan = spec.resolve("linguistic-lstm", None, config.parse_sets(["model.architecture=lstm"]))
    assert plan.model.architecture_config.bidirectional is False


def test_training_hears_the_feature_as_it_is_and_at_each_speed():
    plan = spec.resolve("acoustic-lld", None, config.parse_sets(["train.speeds=[0.9, 1.1]", "feature.deltas=true"]))
    chosen = plan.model.features[0][1]
    assert (chosen.speed, chosen.deltas) == (1, True)
    changed = (chosen, replace(chosen, speed=0.9), replace(chosen, speed=1.1))
    assert plan.copies == tuple((("lld", own),) for own in changed)


@pytest.mark.parametrize(
    ("sets", "own"),
    [
        (["train.speeds=[0.9, 0.9]"], "1"),
        (["train.speeds=[1]"], "1"),
        (["train.speeds=[0.9]", "feature.speed=0.9"], "0.9"),
    ],
)
def test_a_speed_that_would_be_heard_twice_is_refused(sets, own):
    with pytest.raises(ConfigError, match=f"list each speed once and leave out {own}, which is always included"):
        spec.resolve("acoustic-lld", None, config.parse_sets(sets))


def test_speeds_that_a_preset_has_are_refused_for_words_with_what_to_give():
    sets = ["model.feature=words", "model.architecture=lstm"]
    with pytest.raises(ConfigError, match=r"'words' reads text, which has no speed; give train\.speeds=\[\]\."):
        spec.resolve("acoustic-whisper", None, config.parse_sets(sets))
    assert spec.resolve("acoustic-whisper", None, config.parse_sets([*sets, "train.speeds=[]"])).train.speeds == ()


def test_a_model_without_a_preset_is_called_custom():
    plan = spec.resolve(None, None, config.parse_sets(["model.feature=words", "model.architecture=cnn"]))
    assert plan.name == "custom"


def test_what_a_plan_writes_it_reads_again(settings_file):
    plan = spec.resolve("acoustic-log-mel", None, config.parse_sets(["feature.n_mels=40", "train.mixup=0.2"]))
    assert spec.resolve("acoustic-log-mel", settings_file(**plan.to_dict()), {}) == plan


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["train.lrr=1"], r"No setting called 'train\.lrr'\. Did you mean 'train\.lr'\?"),
        (["train.lr=fast"], r"train\.lr=fast: must be a number"),
        (["train.lr=0"], r"train\.lr=0: .*> 0"),
        (["train.speeds=[0.9]"], r"train\.speeds=\[0\.9\]: the feature 'words' reads text, which has no speed"),
        (["train.speeds=[3]"], r"train\.speeds=\[3\]: must be a list .* each a number >= 0\.5 and <= 2"),
        (["train.epochs=0"], r"train\.epochs=0: .*>= 1"),
        (["architecture.pooling=max"], r"architecture\.pooling=max: must be one of attention, mean, last"),
        (["architecture.hiden_size=3"], r"Did you mean 'architecture\.hidden_size'\?"),
        (["model.archtecture=lstm"], r"No setting called 'model\.archtecture'\. Did you mean 'model\.architecture'\?"),
        (["ensemble.dropout=0.1"], r"ensemble\.dropout is a setting of `ser ensemble`"),
        (["asr.beam_size=5"], r"asr\.beam_size is a setting of `ser prepare --asr` and `ser predict`"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(sets, message):
    with pytest.raises(ConfigError, match=message):
        spec.resolve("linguistic", None, config.parse_sets(sets))


def test_an_unknown_architecture_is_refused_with_the_nearest():
    with pytest.raises(SerError, match=r"No architecture called 'ltsm'\. Did you mean 'lstm'\? Available: cnn"):
        spec.resolve("linguistic", None, config.parse_sets(["model.architecture=ltsm"]))


def test_an_unknown_preset_is_refused_with_all_that_there_are():
    with pytest.raises(
        SerError, match=r"No preset called 'linguistc'\. Did you mean 'linguistic'\? Available: acoustic"
    ):
        spec.resolve("linguistc", None, {})


@pytest.mark.parametrize("sets", [[], ["model.feature=words"], ["model.architecture=lstm"]])
def test_half_a_model_is_refused(sets):
    with pytest.raises(ConfigError, match=r"No model chosen: give a preset with -m, or model\.feature and model\.arch"):
        spec.resolve(None, None, config.parse_sets(sets))


@pytest.mark.parametrize(
    ("preset", "content", "expected"),
    [
        (
            "acoustic-lld",
            {"model": {"feature": "log-mel", "architecture": "lstm"}},
            'holds another model than acoustic-lld: model.feature was "lld", now "log-mel"; leave out -m.',
        ),
        (
            "linguistic",
            {"model": {"feature": "lld", "architecture": "lstm"}, "feature": {"deltas": True}},
            'holds another model than linguistic: model.feature was "words", now "lld"; give -m acoustic-lld-deltas.',
        ),
        (
            "acoustic-lld",
            {"model": {"feature": "lld", "architecture": "lstm"}, "feature": {"deltas": True}},
            "holds another model than acoustic-lld: feature.deltas was false, now true; give -m acoustic-lld-deltas.",
        ),
    ],
)
def test_a_file_with_another_model_is_not_trained_under_the_name_of_the_preset(tmp_path, preset, content, expected):
    file = tmp_path / "best.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as refused:
        spec.resolve(preset, file, {})
    assert str(refused.value) == f"{file} {expected}"


def test_a_file_that_only_changes_settings_keeps_the_name_of_the_preset(tmp_path):
    (tmp_path / "own.json").write_text('{"feature": {"hop_s": 0.01}, "train": {"epochs": 3}}')
    assert spec.resolve("acoustic-lld", tmp_path / "own.json", {}).name == "acoustic-lld"


def test_a_preset_with_another_architecture_is_custom():
    assert spec.resolve("linguistic", None, {"model": {"architecture": "cnn"}}).name == "custom"
