import json
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from sercli import config
from sercli.errors import ConfigError
from sercli.types import AudioConfig, Dropout, Fraction, NonNegative, Positive, PositiveInt, TrainConfig


@dataclass(frozen=True)
class Example:
    """One field of each sort."""

    n: PositiveInt = 3
    rate: Positive = 0.5
    share: Fraction = 0.1
    dropout: Dropout = 0.0
    limit: NonNegative | None = None
    on: bool = False
    mode: Literal["fast", "Exact"] = "fast"
    name: str | None = None
    sizes: tuple[int, ...] = (8, 16)
    names: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=2)] | None = None


def refused(**values):
    with pytest.raises(ConfigError) as caught:
        config.build(Example, values, "train")
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("n", "7", 7),
        ("n", "7.0", 7),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("limit", "null", None),
        ("limit", "0", 0.0),
        ("on", "true", True),
        ("on", "0", False),
        ("mode", "Exact", "Exact"),
        ("name", "5", "5"),
        ("name", "[draft", "[draft"),
        ("name", "null", None),
        ("sizes", "[1, 2, 3]", (1, 2, 3)),
        ("sizes", "[]", ()),
    ],
)
def test_text_is_read_as_the_type_of_its_field(key, text, value):
    built = config.build(Example, {key: text}, "train")
    assert getattr(built, key) == value
    assert type(getattr(built, key)) is type(value)


def test_values_that_have_a_type_already_are_taken():
    built = config.build(Example, {"n": 4, "limit": None, "on": True, "sizes": [5]}, "train")
    assert built == Example(n=4, on=True, sizes=(5,))


def test_without_values_the_defaults_stand():
    assert config.build(Example, {}, "train") == Example()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("n", "0", "a whole number >= 1"),
        ("n", "2.5", "a whole number >= 1"),
        ("n", "many", "a whole number >= 1"),
        ("n", True, "a whole number >= 1"),
        ("n", None, "a whole number >= 1"),
        ("rate", "0", "a number > 0"),
        ("rate", "-1", "a number > 0"),
        ("rate", "fast", "a number > 0"),
        ("rate", "nan", "a number > 0"),
        ("rate", "1e400", "a number > 0"),
        ("rate", [1], "a number > 0"),
        ("share", "1.5", "a number >= 0 and <= 1"),
        ("dropout", "1", "a number >= 0 and < 1"),
        ("limit", "-1", "a number >= 0, or null"),
        ("limit", "none", "a number >= 0, or null"),
        ("on", "yes", "true or false"),
        ("on", 2, "true or false"),
        ("mode", "exact", "one of fast, Exact"),
        ("mode", 1, "one of fast, Exact"),
        ("name", 5, "text, or null"),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_must_be(key, value, expected):
    assert refused(**{key: value}) == f"train.{key}={value}: must be {expected}."


@pytest.mark.parametrize("value", ["inf", float("inf")])
def test_an_infinite_number_is_refused(value):
    assert refused(rate=value) == "train.rate=inf: must be a number > 0, and finite."


def test_a_wrong_list_is_refused_with_its_value():
    assert refused(sizes="[1, 2.5]") == ("train.sizes=[1, 2.5]: must be a list such as [2, 3], each a whole number.")


def test_a_list_of_too_few_or_too_many_is_refused_with_how_many_there_may_be():
    expected = 'text, or a list such as ["a", "b"], each text (at least 1 and at most 2 of them), or null'
    assert refused(names="[]") == f"train.names=[]: must be {expected}."
    assert refused(names='["a", "b", "c"]').endswith("(at least 1 and at most 2 of them), or null.")


@pytest.mark.parametrize("value", ["[1, 2", "[" * 100_000, f"[{'1' * 5000}]"])
def test_a_list_that_cannot_be_read_is_refused(value):
    assert refused(sizes=value) == f"train.sizes={value}: must be a list such as [2, 3], each a whole number."


def test_a_list_whose_quotes_the_shell_took_away_is_refused_and_no_text():
    assert refused(names="[base,tiny]").endswith(
        "or null. Put the whole setting in '…', since the shell removes quotes."
    )
    assert config.build(Example, {"name": "[base]"}, "train").name == "[base]", "where no list can be, it is text"


def test_a_schedule_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ConfigError) as caught:
        config.build(TrainConfig, {"schedule": "foo"}, "train")
    assert str(caught.value) == "train.schedule=foo: must be one of constant, cosine."


def test_an_unknown_key_is_refused_with_the_nearest_and_all_others():
    with pytest.raises(ConfigError) as caught:
        config.build(AudioConfig, {"sample_rate": 1}, "feature")
    assert str(caught.value) == (
        "No setting called 'feature.sample_rate'. Did you mean 'feature.sample_rate_hz'? "
        "Available: feature.level_dbfs, feature.normalise, feature.sample_rate_hz, feature.speed, feature.variant."
    )


def test_a_key_unlike_any_other_is_refused_without_a_guess():
    assert refused(qqq=1).startswith("No setting called 'train.qqq'. Available: train.dropout, train.limit, ")


def test_a_configuration_is_written_down_with_its_defaults():
    built = config.build(AudioConfig, {"level_dbfs": "null"}, "feature")
    assert config.to_dict(built) == {
        "sample_rate_hz": 16_000,
        "level_dbfs": None,
        "speed": 1.0,
        "variant": 0,
        "normalise": "none",
    }
    assert config.to_dict(AudioConfig()) == config.to_dict(config.build(AudioConfig, {}, "feature"))


def test_what_is_written_down_is_as_json_gives_it_back():
    plain = config.to_dict(Example())
    assert plain["sizes"] == [8, 16]
    assert json.loads(json.dumps(plain)) == plain


@given(
    st.builds(
        Example,
        n=st.integers(1, 2**40),
        rate=st.floats(1e-300, 1e300),
        share=st.floats(0, 1),
        limit=st.none() | st.floats(0, 1e300),
        on=st.booleans(),
        mode=st.sampled_from(["fast", "Exact"]),
        sizes=st.lists(st.integers(-(2**40), 2**40)).map(tuple),
    )
)
def test_a_configuration_comes_back_from_json_and_from_text(example):
    plain = json.loads(json.dumps(config.to_dict(example)))
    assert config.build(Example, plain, "train") == example
    text = {key: json.dumps(value).strip('"') for key, value in plain.items() if key != "name"}
    assert config.build(Example, text, "train") == example


def test_pairs_are_sorted_into_sections_and_the_last_of_a_key_wins():
    pairs = ["train.lr=1e-3", "model.feature=log-mel", "train.epochs=2", "train.lr=1e-4", "feature.vectors=a=b.txt"]
    assert config.parse_sets(pairs) == {
        "train": {"lr": "1e-4", "epochs": "2"},
        "model": {"feature": "log-mel"},
        "feature": {"vectors": "a=b.txt"},
    }


@pytest.mark.parametrize("pair", ["train.lr", "lr=1", "train=1", "train.=1", "=", ""])
def test_what_is_no_pair_is_refused_with_an_example(pair):
    with pytest.raises(ConfigError) as caught:
        config.parse_sets([pair])
    assert str(caught.value) == f"--set takes SECTION.KEY=VALUE, not '{pair}'; for example --set train.lr=0.001."


@pytest.mark.parametrize("pair", ["trian.lr=1", "trian.a.b=1"])
def test_an_unknown_section_is_refused_with_the_nearest(pair):
    with pytest.raises(
        ConfigError, match=r"^No section of settings called 'trian'\. Did you mean 'train'\? Available: "
    ):
        config.parse_sets([pair])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", '[train]\nlr = 1e-3\nsizes = [1, 2]\n[model]\nfeature = "lld"\n'),
        ("a.json", '{"train": {"lr": 1e-3, "sizes": [1, 2]}, "model": {"feature": "lld"}}'),
        ("A.JSON", '{"train": {"lr": 1e-3, "sizes": [1, 2]}, "model": {"feature": "lld"}}'),
    ],
)
def test_toml_and_json_files_are_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    expected = {"train": {"lr": 0.001, "sizes": [1, 2]}, "model": {"feature": "lld"}}
    assert config.read_file(tmp_path / name) == expected


def bad_file(path):
    with pytest.raises(ConfigError) as caught:
        config.read_file(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.toml", b"lr = ["), ("a.toml", b"\xff"), ("a.json", b'{"train": '), ("a.json", b'{"a": "\xff"}')],
)
def test_a_damaged_file_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    message = bad_file(path)
    assert message.startswith(f"{path} cannot be read as a configuration: ")
    assert message.endswith("; correct it, or give another.")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    gone = tmp_path / "gone.toml"
    assert bad_file(gone) == f"{gone} cannot be read: No such file or directory; check the path."
    assert bad_file(tmp_path) == f"{tmp_path} cannot be read: Is a directory; check the path."


@pytest.mark.parametrize(("name", "content"), [("a.toml", "lr = 1"), ("a.json", "[1]"), ("a.json", '{"train": 1}')])
def test_a_file_without_sections_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    sections = "model, feature, architecture, train, ensemble, asr, corpus"
    expected = f"{path} must hold sections ({sections}), each with KEY = VALUE lines."
    assert bad_file(path) == expected


def test_an_unknown_section_of_a_file_is_refused_with_the_file(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[trian]\nlr = 1")
    assert bad_file(path).startswith(f"{path}: No section of settings called 'trian'. Did you mean 'train'?")


def test_differences_name_each_leaf_with_both_values():
    old = {"train": {"lr": 0.1, "on": True, "gone": "x"}, "seed": 1, "same": [1]}
    new = {"train": {"lr": 0.2, "on": False, "new": None}, "seed": 1, "same": [1], "extra": {"a": 1}}
    assert config.differences(old, new) == [
        'extra was null, now {"a": 1}',
        'train.gone was "x", now null',
        "train.lr was 0.1, now 0.2",
        "train.on was true, now false",
    ]


def test_equal_settings_have_no_differences():
    assert config.differences(asdict(Example()), asdict(Example())) == []
