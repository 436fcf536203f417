import pytest

from sercli import plugins
from sercli.errors import SerError
from sercli.types import FOUR

NAMES = plugins.names("corpus")
READ_FROM_DISK = [name for name in NAMES if name != "demo"]


def test_every_corpus_that_the_project_promises_is_there():
    promised = {"cremad", "emodb", "goemotions", "iemocap", "meld", "nemo", "ravdess", "savee", "table", "tess"}
    assert promised <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_names_where_it_is_from_and_what_may_be_done_with_it(name):
    corpus = plugins.load("corpus", name)
    assert isinstance(corpus.HOMEPAGE, str)
    assert isinstance(corpus.LICENCE, str)
    assert corpus.LICENCE


@pytest.mark.parametrize("name", NAMES)
def test_each_label_leads_to_one_of_the_four_or_to_none(name):
    labels = plugins.load("corpus", name).LABELS
    assert set(labels.values()) <= {*FOUR, None}
    assert set(FOUR) <= set(labels.values())
    assert all(label == label.strip() and label for label in labels)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_split_is_one_that_there_is(name):
    corpus = plugins.load("corpus", name)
    assert corpus.SPLIT in {"seed", "loso", "speakers", "prompts", "official"}
    assert corpus.FOLDS is None or corpus.FOLDS >= 2


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_a_missing_folder_is_named(name, tmp_path):
    with pytest.raises(SerError) as error:
        list(plugins.load("corpus", name).read(tmp_path / "nowhere"))
    assert f"{tmp_path / 'nowhere'}: no such f" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_an_empty_folder_is_named(name, tmp_path):
    with pytest.raises(SerError) as error:
        list(plugins.load("corpus", name).read(tmp_path))
    assert str(tmp_path) in str(error.value)
    assert "is empty" in str(error.value) or "holds no table" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_a_folder_of_something_else_is_refused(name, make_files):
    root = make_files("holiday/beach.wav", "readme.txt")
    with pytest.raises(SerError) as error:
        list(plugins.load("corpus", name).read(root))
    assert str(root) in str(error.value)
    assert "does not look like" in str(error.value) or "holds no table" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in READ_FROM_DISK if name != "table"])
def test_a_file_in_place_of_a_folder_is_refused(name, write):
    path = write("notes.txt", "hello")
    with pytest.raises(SerError, match=r"notes\.txt is a file, not a folder\."):
        list(plugins.load("corpus", name).read(path))
