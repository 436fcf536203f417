"""RAVDESS, EmoDB, CREMA-D, TESS and SAVEE: all is in the name of the file."""

import pytest
from corpus_items import reasons, utterances

from sercli.corpora import cremad, emodb, ravdess, savee, tess


def test_ravdess_is_read_from_its_names(make_files):
    root = make_files("Actor_12/03-01-06-02-01-02-12.wav", "Actor_07/03-01-01-01-02-01-07.wav")
    neutral, fear = utterances(ravdess.read(root))
    assert (neutral.label, neutral.speaker, neutral.prompt) == ("neutral", "Actor_07", "02")
    assert neutral.transcripts == {"human": "Dogs are sitting by the door"}
    assert (fear.id, fear.label, fear.speaker) == ("03-01-06-02-01-02-12", "fear", "Actor_12")
    assert fear.attributes == {"sex": "female", "intensity": "strong", "repetition": 2}
    assert fear.audio == "Actor_12/03-01-06-02-01-02-12.wav"


def test_ravdess_gives_each_of_its_eight_codes_a_word(make_files):
    root = make_files(*(f"03-01-0{code}-01-01-01-01.wav" for code in range(1, 9)))
    words = [item.label for item in utterances(ravdess.read(root))]
    assert words == ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]


def test_ravdess_leaves_out_song_and_uses_films_only_where_there_is_no_audio_file(make_files):
    root = make_files(
        *("03-01-01-01-01-01-01.wav", "03-02-01-01-01-01-01.wav"),
        *("01-01-01-01-01-01-01.mp4", "02-01-01-01-01-01-01.mp4", "01-01-01-01-02-01-01.mp4"),
    )
    items = list(ravdess.read(root))
    assert {item.id: item.audio for item in utterances(items)} == {
        "03-01-01-01-01-01-01": "03-01-01-01-01-01-01.wav",
        "01-01-01-01-02-01-01": "01-01-01-01-02-01-01.mp4",
    }
    assert reasons(items) == {
        "03-02-01-01-01-01-01.wav": "sung, not spoken",
        "01-01-01-01-01-01-01.mp4": "video of a clip that also exists as audio only",
        "02-01-01-01-01-01-01.mp4": "video without audio",
    }


def test_emodb_is_read_from_its_names(make_files):
    root = make_files("wav/03a01Fa.wav", "wav/16b10Lb.wav")
    man, woman = utterances(emodb.read(root))
    assert (man.label, man.speaker, man.prompt, man.attributes["sex"]) == ("happiness", "03", "a01", "male")
    assert man.transcripts == {"human": "Der Lappen liegt auf dem Eisschrank."}
    assert (woman.label, woman.speaker, woman.attributes) == ("boredom", "16", {"sex": "female", "version": "b"})


def test_emodb_spells_out_its_seven_letters(make_files):
    root = make_files(*(f"08a02{letter}a.wav" for letter in "NFTWAEL"))
    words = {item.id[5]: item.label for item in utterances(emodb.read(root))}
    assert words == {
        "N": "neutral",
        "F": "happiness",
        "T": "sadness",
        "W": "anger",
        "A": "fear",
        "E": "disgust",
        "L": "boredom",
    }


def test_emodb_says_nothing_of_the_label_files_beside_its_clips(make_files):
    root = make_files("wav/03a01Fa.wav", "lablaut/03a01Fa.lablaut", "erklaerung.txt")
    assert [type(item).__name__ for item in emodb.read(root)] == ["Utterance"]


def test_cremad_is_read_from_its_names_and_the_table_of_its_actors(make_files, write):
    root = make_files("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_SAD_HI.wav")
    write("VideoDemographics.csv", '"ActorID","Age","Sex"\n1001,51,"Male"\n1002,21,"Female"\n')
    man, woman = utterances(cremad.read(root))
    assert (man.label, man.speaker, man.prompt, man.attributes) == ("anger", "1001", "DFA", {"sex": "male"})
    assert man.transcripts == {"human": "Don't forget a jacket."}
    assert (woman.label, woman.attributes) == ("sadness", {"sex": "female", "level": "high"})


def test_cremad_finds_the_table_of_its_actors_above_the_sounds(make_files, write):
    root = make_files("AudioWAV/1001_DFA_ANG_XX.wav")
    write("VideoDemographics.csv", "ActorID,Age,Sex\n1001,51,Male\n")
    assert utterances(cremad.read(root / "AudioWAV"))[0].attributes == {"sex": "male"}


def test_cremad_works_without_the_table_of_its_actors_and_says_so(make_files):
    root = make_files("1001_DFA_ANG_XX.wav", "1040_ITH_SAD_X.wav")
    items = list(cremad.read(root))
    assert [item.attributes for item in utterances(items)] == [{}, {}]
    assert "VideoDemographics.csv is missing" in reasons(items, "warning")[str(root)]


def test_cremad_takes_the_wav_where_the_same_clip_is_an_mp3_too(make_files):
    root = make_files("AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav")
    items = list(cremad.read(root))
    assert [item.audio for item in utterances(items)] == ["AudioWAV/1001_DFA_ANG_XX.wav"]
    assert "second copy of a recording" in reasons(items)["AudioMP3/1001_DFA_ANG_XX.mp3"]


def test_tess_is_read_from_its_names(make_files):
    root = make_files("TESS/YAF_pleasant_surprised/YAF_back_ps.wav", "TESS/OAF_Sad/OAF_back_sad.wav")
    older, younger = utterances(tess.read(root))
    assert (younger.label, younger.speaker, younger.prompt) == ("surprise", "YAF", "back")
    assert younger.transcripts == {"human": "Say the word back"}
    assert (older.label, older.attributes["sex"]) == ("sadness", "female")


def test_tess_gives_its_one_misnamed_file_to_the_right_speaker(make_files):
    root = make_files("OAF_neutral/OA_bite_neutral.wav")
    (item,) = utterances(tess.read(root))
    assert (item.id, item.speaker, item.audio) == ("OAF_bite_neutral", "OAF", "OAF_neutral/OA_bite_neutral.wav")


def test_tess_counts_clips_once_where_the_archive_holds_its_folder_twice(make_files):
    root = make_files("tess/OAF_angry/OAF_back_angry.wav", "tess/tess/OAF_angry/OAF_back_angry.wav")
    items = list(tess.read(root))
    assert [item.audio for item in utterances(items)] == ["tess/OAF_angry/OAF_back_angry.wav"]
    assert list(reasons(items)) == ["tess/tess/OAF_angry/OAF_back_angry.wav"]


@pytest.mark.parametrize("name", ["AudioData/DC/sa01.wav", "ALL/DC_sa01.wav"])
def test_savee_is_read_from_folders_or_from_names(make_files, name):
    (item,) = utterances(savee.read(make_files(name)))
    assert (item.id, item.label, item.speaker, item.prompt) == ("DC_sa01", "sadness", "DC", "01")
    assert (item.audio, item.attributes) == (name, {"sex": "male"})


def test_savee_shares_prompts_between_emotions_only_for_the_three_common_sentences(make_files):
    root = make_files("KL_a03.wav", "KL_f03.wav", "KL_a04.wav", "KL_f04.wav")
    assert [item.prompt for item in utterances(savee.read(root))] == ["03", "a04", "03", "f04"]


def test_endings_are_read_in_any_case(make_files):
    assert utterances(emodb.read(make_files("wav/03a01Fa.WAV")))[0].audio == "wav/03a01Fa.WAV"


def test_a_recording_of_another_name_is_left_out_and_named(make_files):
    items = list(emodb.read(make_files("wav/03a01Fa.wav", "wav/test.wav")))
    assert reasons(items) == {"wav/test.wav": "its name does not match the clips of EmoDB"}


def test_a_clip_that_is_there_only_as_a_film_is_read_from_it(make_files):
    items = list(savee.read(make_files("DC/a01.wav", "DC/a01.avi", "DC/a02.avi")))
    assert [item.audio for item in utterances(items)] == ["DC/a01.wav", "DC/a02.avi"]
    assert reasons(items).keys() == {"DC/a01.avi"}


def test_the_order_does_not_depend_on_the_folders(make_files):
    root = make_files("b/03a01Fa.wav", "a/03a01Nc.wav", "c/03a01Wa.wav")
    assert [item.id for item in utterances(emodb.read(root))] == ["03a01Fa", "03a01Nc", "03a01Wa"]
