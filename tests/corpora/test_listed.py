"""nEMO, MELD and GoEmotions: tables say what there is."""

import pytest
from corpus_items import by_id, reasons, utterances

from sercli.corpora import goemotions, meld, nemo
from sercli.errors import SerError

NEMO = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def meld_row(dialogue, number, words="Hey!", emotion="joy", speaker="Joey"):
    return f'1,"{words}",{speaker},{emotion},positive,{dialogue},{number},4,7,"00:20:57,256","00:21:00,049"\n'


@pytest.fixture
def meld_root(write):
    write("train_sent_emo.csv", MELD + meld_row(10, 0) + meld_row(2, 1, "Why?", "surprise") + meld_row(2, 0))
    write("dev_sent_emo.csv", MELD + meld_row(2, 0, emotion="neutral"))
    return write("test_sent_emo.csv", MELD + meld_row(2, 0, emotion="fear")).parent


def test_nemo_joins_its_clips_with_its_table(make_files, write):
    root = make_files("samples/EB0_anger_7.wav")
    write("data.tsv", NEMO + "EB0_anger_7.wav\tanger\tLubię czytać.\tlubię czytać\t        EB0\tfemale\t27\n")
    (item,) = nemo.read(root)
    assert (item.id, item.label, item.speaker, item.prompt) == ("EB0_anger_7", "anger", "EB0", "7")
    assert (item.audio, item.transcripts) == ("samples/EB0_anger_7.wav", {"human": "Lubię czytać."})
    assert item.attributes == {"sex": "female", "age": "27"}


def test_nemo_takes_clips_of_another_kind_than_its_table_says(make_files, write):
    root = make_files("samples/EB0_anger_7.flac")
    write("data.tsv", NEMO + "EB0_anger_7.wav\tanger\tA\ta\tEB0\tfemale\t27\n")
    assert utterances(nemo.read(root))[0].audio == "samples/EB0_anger_7.flac"


def test_nemo_counts_the_clips_that_are_listed_but_not_there_in_one_warning(make_files, write):
    root = make_files("samples/EB0_fear_1.wav", "samples/XX0_fear_1.wav")
    write("data.tsv", NEMO + "".join(f"EB0_fear_{n}.wav\tfear\tA\ta\tEB0\tfemale\t27\n" for n in (1, 2, 3, 3)))
    items = list(nemo.read(root))
    assert [item.id for item in utterances(items)] == ["EB0_fear_1"]
    assert reasons(items, "warning") == {"data.tsv": "2 of the 3 clips that it lists are missing"}
    assert reasons(items) == {
        "data.tsv:5": "clip listed a second time",
        "samples/XX0_fear_1.wav": "not listed in data.tsv",
    }


def test_nemo_without_any_clip_is_refused(write):
    path = write("data.tsv", NEMO + "EB0_anger_7.wav\tanger\tA\ta\tEB0\tfemale\t27\n")
    with pytest.raises(SerError, match=r"data\.tsv lists 1 clips, but none of them exists; put samples/ beside it"):
        list(nemo.read(path.parent))


def test_nemo_leaves_out_an_emotion_that_it_does_not_know(make_files, write):
    root = make_files("samples/EB0_envy_1.wav", "samples/EB0_surprised_1.wav")
    rows = "".join(f"EB0_{emotion}_1.wav\t{emotion}\tA\ta\tEB0\tfemale\t27\n" for emotion in ("envy", "surprised"))
    write("data.tsv", NEMO + rows)
    items = list(nemo.read(root))
    assert [item.label for item in utterances(items)] == ["surprise"]
    assert reasons(items) == {"samples/EB0_envy_1.wav": "unknown emotion 'envy'"}


def test_nemo_names_a_column_that_is_not_there(make_files, write):
    root = make_files("samples/a.wav")
    write("data.tsv", "file_id\temotions\na.wav\tfear\n")
    with pytest.raises(SerError, match=r"data\.tsv:1: No column called 'emotion'\. Did you mean 'emotions'\?"):
        list(nemo.read(root))


def test_meld_reads_words_parts_and_speakers(meld_root):
    items = by_id(meld.read(meld_root))
    assert list(items) == [
        "train_dia2_utt0",
        "train_dia2_utt1",
        "train_dia10_utt0",
        "valid_dia2_utt0",
        "test_dia2_utt0",
    ]
    item = items["train_dia2_utt1"]
    assert (item.label, item.speaker, item.session, item.transcripts) == ("surprise", "Joey", None, {"human": "Why?"})
    assert item.audio is None
    assert item.attributes == {
        "part": "train",
        "dialogue": "train_dia2",
        "turn": 1,
        "sentiment": "positive",
        "season": "4",
        "episode": "7",
    }


def test_meld_calls_joy_happiness_as_the_other_corpora_do(meld_root):
    assert by_id(meld.read(meld_root))["train_dia10_utt0"].label == "happiness"


@pytest.mark.parametrize(
    "words",
    [
        "He\u0092s lost it\u0085 \u0096 totally".encode(),  # as in the release: Windows-1252 taken for Latin-1
        b"He\x92s lost it\x85 \x96 totally",
        "He’s lost it… – totally".encode(),
    ],
)
def test_meld_quotes_and_dashes_come_out_right(write, words):
    head, tail = meld_row(0, 0, "#").encode().split(b"#")
    path = write("train_sent_emo.csv", MELD.encode() + head + words + tail)
    assert utterances(meld.read(path.parent))[0].transcripts == {"human": "He’s lost it… – totally"}


def test_meld_takes_clips_from_the_folders_of_the_release(meld_root, make_files):
    make_files(
        "train_splits/dia2_utt0.wav", "dev_splits_complete/dia2_utt0.wav", "x/output_repeated_splits_test/dia2_utt0.wav"
    )
    items = list(meld.read(meld_root))
    assert {item.id: item.audio for item in utterances(items) if item.audio} == {
        "train_dia2_utt0": "train_splits/dia2_utt0.wav",
        "valid_dia2_utt0": "dev_splits_complete/dia2_utt0.wav",
        "test_dia2_utt0": "x/output_repeated_splits_test/dia2_utt0.wav",
    }
    assert reasons(items, "warning") == {str(meld_root): "2 utterances have no clip: only their text is used"}


def test_meld_goes_by_the_nearest_folder_that_names_a_part(meld_root, make_files):
    make_files("meld_test_copy/train_splits/dia2_utt0.wav")
    assert [item.id for item in utterances(meld.read(meld_root)) if item.audio] == ["train_dia2_utt0"]


def test_meld_reads_a_release_whose_tables_lie_in_subfolders(write):
    path = write("MELD.Raw/train/train_sent_emo.csv", MELD + meld_row(0, 0))
    items = list(meld.read(path.parents[2]))
    assert [item.id for item in utterances(items)] == ["train_dia0_utt0"]
    assert reasons(items, "warning") == {
        "dev_sent_emo.csv": "file is missing, so there is no valid part",
        "test_sent_emo.csv": "file is missing, so there is no test part",
    }


def test_meld_reads_the_films_of_the_release_where_there_are_no_other_files(meld_root, make_files):
    make_files("train_splits/dia2_utt0.mp4", "train_splits/dia10_utt0.mp4", "train_splits/dia10_utt0.flac")
    items = list(meld.read(meld_root))
    assert {item.id: item.audio for item in utterances(items) if item.audio} == {
        "train_dia2_utt0": "train_splits/dia2_utt0.mp4",
        "train_dia10_utt0": "train_splits/dia10_utt0.flac",
    }


def test_meld_leaves_out_rows_that_make_no_sense(write):
    rows = meld_row(0, 0) + meld_row(0, 0) + meld_row(0, 1, emotion="envy") + meld_row("x", 2)
    items = list(meld.read(write("train_sent_emo.csv", MELD + rows).parent))
    assert len(utterances(items)) == 1
    assert reasons(items) == {
        "train_sent_emo.csv:3": "utterance listed a second time",
        "train_sent_emo.csv:4": "unknown emotion 'envy'",
        "train_sent_emo.csv:5": "Dialogue_ID or Utterance_ID is not a number",
    }


@pytest.fixture
def goemotions_root(write):
    write("emotions.txt", "\n".join(goemotions.LABELS))
    for name in ("dev.tsv", "test.tsv"):
        write(name, f"Fine\t27\t{name}\n")
    return write("train.tsv", 'So "odd\t2\ta\nYay\t17,1\tb\nHm\t2,17\tc\nWow\t26,22\td\nThanks\t15\te\n').parent


def test_goemotions_has_28_labels_in_its_own_order():
    assert len(goemotions.LABELS) == 28
    assert (next(iter(goemotions.LABELS)), list(goemotions.LABELS)[27]) == ("admiration", "neutral")


def test_goemotions_keeps_comments_whose_emotions_are_the_same_one_of_four(goemotions_root):
    items = list(goemotions.read(goemotions_root))
    assert {item.id: item.label for item in utterances(items)} == {
        "a": "anger",
        "b": "joy",
        "e": "gratitude",
        "dev.tsv": "neutral",
        "test.tsv": "neutral",
    }
    reason = "several emotions that do not all map to the same class"
    assert reasons(items) == {"train.tsv:3": reason, "train.tsv:4": reason}


def test_goemotions_is_text_with_official_parts(goemotions_root):
    items = by_id(goemotions.read(goemotions_root))
    assert (items["a"].transcripts, items["a"].audio) == ({"human": 'So "odd'}, None)
    assert [item.attributes["part"] for item in items.values()] == ["train", "train", "train", "valid", "test"]


def test_goemotions_leaves_out_comments_without_words_and_second_copies(goemotions_root, write):
    write("dev.tsv", " \t27\tx\nFine\t27\ta\n")
    items = list(goemotions.read(goemotions_root))
    assert reasons(items)["dev.tsv:1"] == "comment without words"
    assert reasons(items)["dev.tsv:2"] == "comment listed a second time"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Hm\t28\ta", r"train\.tsv:1: emotion number '28' is not between 0 and 27"),
        ("Hm\t2,x\ta", r"train\.tsv:1: emotion number 'x' is not between 0"),
        ("Hm\t2", r"train\.tsv:1: 2 cells instead of 3"),
    ],
)
def test_goemotions_names_the_line_of_a_broken_row(goemotions_root, write, row, message):
    write("train.tsv", row + "\n")
    with pytest.raises(SerError, match=message):
        list(goemotions.read(goemotions_root))


def test_goemotions_refuses_other_emotions_than_its_own(goemotions_root, write):
    write("emotions.txt", "joy\nhunger\n")
    with pytest.raises(SerError, match=r"emotions\.txt: 'hunger' is not one of the 28"):
        list(goemotions.read(goemotions_root))
