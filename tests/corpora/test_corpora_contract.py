"""What every corpus keeps to, whether it is in the folder or comes with another package."""

import inspect

import pytest
from contracts import promise

from sercli import plugins
from sercli._system import languages
from sercli.contracts import HasLanguage
from sercli.errors import SerError
from sercli.types import FOUR, Remark

NAMES = plugins.names("corpus")
BUILT_IN = [name for name in NAMES if inspect.getmodule(plugins.corpus(name)).__name__.startswith("sercli.")]
READ_FROM_DISK = [name for name in BUILT_IN if name != "demo"]

FACTS = promise("`HOMEPAGE` and `LICENCE` are text, and `LICENCE` is not empty.")
LABELS = promise(
    "`LABELS` maps each native label to one of neutral, happiness, sadness and anger, or to None if `--labels four` is "
    "to leave it out."
)
SPLIT = promise("`SPLIT` is one of seed, loso, speakers, prompts and official; `FOLDS` is None or at least 2.")
NOTHING = promise(
    "Where the data is missing, `read` yields no utterance: it yields remarks, or raises a SerError of one line that "
    "names the path."
)


def test_every_corpus_that_the_project_promises_is_there():
    promised = {
        "audformat",
        "cremad",
        "emodb",
        "goemotions",
        "iemocap",
        "meld",
        "nemo",
        "ravdess",
        "savee",
        "table",
        "tess",
    }
    assert promised <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_has_a_homepage_and_a_licence(name):
    corpus = plugins.corpus(name)
    assert isinstance(corpus.HOMEPAGE, str), FACTS
    assert isinstance(corpus.LICENCE, str), FACTS
    assert corpus.LICENCE, FACTS


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(plugins.corpus(name), HasLanguage)])
def test_the_language_of_a_corpus_is_given_by_its_code(name):
    given = plugins.corpus(name).LANGUAGE
    assert languages.code(given) == given


@pytest.mark.parametrize("name", NAMES)
def test_each_label_becomes_one_of_the_four_or_none(name):
    labels = plugins.corpus(name).LABELS
    assert set(labels.values()) <= {*FOUR, None}, LABELS
    assert all(label == label.strip() and label for label in labels), LABELS


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_corpus_of_ser_has_all_of_the_four(name):
    assert set(FOUR) <= set(plugins.corpus(name).LABELS.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_default_split_exists(name):
    corpus = plugins.corpus(name)
    assert corpus.SPLIT in {"seed", "loso", "speakers", "prompts", "official"}, SPLIT
    assert corpus.FOLDS is None or corpus.FOLDS >= 2, SPLIT


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "other files", "a file"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "demo"])
def test_without_its_data_a_corpus_yields_no_utterance(name, there, tmp_path, make_files):
    root = tmp_path / "nowhere"
    if there == "an empty folder":
        root.mkdir()
    elif there == "other files":
        root = make_files("holiday/beach.wav", "readme.txt")
    elif there == "a file":
        root.write_text("hello")
    items, error = _read(name, root)
    assert all(isinstance(item, Remark) for item in items), NOTHING
    assert error is None or str(root) in error, NOTHING
    assert error is None or "\n" not in error, NOTHING


def _read(name, root):
    try:
        return list(plugins.corpus(name).read(root)), None
    except SerError as error:
        return [], str(error)


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_a_corpus_of_ser_names_a_missing_folder(name, tmp_path):
    with pytest.raises(SerError, match="nowhere: no such f"):
        list(plugins.corpus(name).read(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_a_corpus_of_ser_refuses_an_empty_folder(name, tmp_path):
    with pytest.raises(SerError, match=r"is empty|holds no table"):
        list(plugins.corpus(name).read(tmp_path))


@pytest.mark.parametrize("name", READ_FROM_DISK)
def test_a_corpus_of_ser_refuses_a_folder_of_something_else(name, make_files):
    with pytest.raises(SerError, match=r"does not look like|holds no table"):
        list(plugins.corpus(name).read(make_files("holiday/beach.wav", "readme.txt")))


@pytest.mark.parametrize("name", [name for name in READ_FROM_DISK if name != "table"])
def test_a_corpus_of_ser_refuses_a_file_in_place_of_a_folder(name, write):
    with pytest.raises(SerError, match=r"notes\.txt is a file, not a folder\."):
        list(plugins.corpus(name).read(write("notes.txt", "hello")))
