import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from sercli.dataset.manifest import make_manifest
from sercli.dataset.splits import KINDS, make_split, split_hash
from sercli.errors import SerError
from sercli.types import Utterance

LABELS = ("neutral", "anger")


def manifest_of(rows):
    return make_manifest(rows, tuple(label for label in LABELS if any(u.label == label for u in rows)))


def utterances(n_speakers, *, n_each=2, sexes="fm", sessions=True, prompts=False):
    """`n_each` utterances of each class by each speaker; two speakers a session; free or shared prompts."""
    return [
        Utterance(
            f"{speaker:02d}-{label}-{n}",
            "x",
            label,
            speaker=f"sp{speaker}",
            session=f"s{speaker // 2}" if sessions else None,
            prompt=f"p{n}" if prompts and n else None,
            attributes={"sex": sexes[speaker % len(sexes)]},
        )
        for speaker in range(n_speakers)
        for label in LABELS
        for n in range(n_each)
    ]


@st.composite
def corpora(draw):
    """Any mix of speakers, sessions, sexes, labels and prompts; each speaker is of one session and of one sex."""
    rows = []
    for speaker in range(draw(st.integers(3, 9))):
        session = draw(st.sampled_from("abcde"))
        sex = draw(st.sampled_from([{"sex": "female"}, {"sex": "male"}, {}]))
        said = st.tuples(st.sampled_from(LABELS), st.sampled_from([None, None, "p", "q", "r"]))
        for label, prompt in draw(st.lists(said, min_size=1, max_size=6)):
            name = f"u{len(rows)}"
            rows.append(Utterance(name, "x", label, f"sp{speaker}", session, prompt, attributes=sex))
    return manifest_of(draw(st.permutations(rows)))


IMPOSSIBLE = re.compile(
    "the (train|valid|test) part (is empty|has no)|at least 3|more than the|does not exist|needs prompts"
)


def divide(manifest, kind, **options):
    """The split; an example that cannot be divided, and says why, is not counted."""
    try:
        return make_split(manifest, kind, **options)
    except SerError as error:
        if not IMPOSSIBLE.search(str(error)):
            raise
        reject()


def parts_of(split):
    return {"train": split.train, "valid": split.valid, "test": split.test}


@given(corpora(), st.sampled_from(["loso", "speakers", "prompts"]), st.one_of(st.none(), st.integers(3, 6)), st.data())
def test_no_group_and_no_speaker_spans_two_parts(manifest, kind, n_folds, data):
    split = divide(manifest, kind, n_folds=n_folds, fold=data.draw(st.integers(1, 3)))
    by_id = {u.id: u for u in manifest.utterances}
    for value in ("speaker", split.group_by):
        seen = [{getattr(by_id[i], value) for i in ids} for ids in parts_of(split).values()]
        assert sum(map(len, seen)) == len(set().union(*seen))
    assert split.leaky is False


@given(corpora(), st.sampled_from(["loso", "speakers", "seed"]), st.integers(0, 3))
def test_parts_are_disjoint_in_manifest_order_and_hold_every_utterance(manifest, kind, seed):
    split = divide(manifest, kind, seed=seed)
    order = {u.id: position for position, u in enumerate(manifest.utterances)}
    assert sorted([*split.train, *split.valid, *split.test], key=order.__getitem__) == list(order)
    for ids in parts_of(split).values():
        assert list(ids) == sorted(ids, key=order.__getitem__)


@given(corpora(), st.integers(1, 3))
def test_prompts_drops_from_training_what_is_asked_in_the_test_and_nothing_else(manifest, fold):
    split = divide(manifest, "prompts", fold=fold)
    whole = make_split(manifest, "loso", fold=fold)
    by_id = {u.id: u for u in manifest.utterances}
    tested = {by_id[i].prompt for i in split.test} - {None}
    assert (split.valid, split.test) == (whole.valid, whole.test)
    assert split.train == tuple(i for i in whole.train if by_id[i].prompt not in tested)


@given(corpora(), st.sampled_from(["seed", "loso", "speakers", "prompts"]), st.integers(0, 3))
def test_the_same_question_has_the_same_answer(manifest, kind, seed):
    assert divide(manifest, kind, seed=seed) == make_split(manifest, kind, seed=seed)


@given(corpora())
def test_the_order_of_utterances_does_not_matter_to_the_parts(manifest):
    backwards = replace(manifest, utterances=manifest.utterances[::-1])
    assert split_hash(divide(manifest, "loso")) == split_hash(make_split(backwards, "loso"))


@given(corpora(), st.sampled_from(["loso", "speakers"]))
def test_over_all_folds_each_utterance_is_tested_once(manifest, kind):
    n_folds = divide(manifest, kind).n_folds
    tested = Counter(i for fold in range(1, n_folds + 1) for i in divide(manifest, kind, fold=fold).test)
    assert tested == Counter(u.id for u in manifest.utterances)


@given(st.lists(st.sampled_from("fm"), min_size=6, max_size=24), st.integers(3, 6))
def test_each_fold_gets_its_share_of_either_sex(sexes, n_folds):
    rows = [
        Utterance(f"{n:02d}{label}", "x", label, speaker=f"{n:02d}", attributes={"sex": sex})
        for n, sex in enumerate(sexes)
        for label in LABELS
    ]
    for fold in range(1, n_folds + 1):
        split = make_split(manifest_of(rows), "speakers", n_folds=n_folds, fold=fold)
        tested = Counter(sexes[int(speaker)] for speaker in {i[:2] for i in split.test})
        for sex in "fm":
            assert abs(tested[sex] - sexes.count(sex) / n_folds) < 1
        assert abs(tested.total() - len(sexes) / n_folds) < 1


def test_24_actors_in_6_folds_are_two_women_and_two_men_each():
    rows = utterances(24, n_each=1, sexes=["male", "female"])
    for fold in range(1, 7):
        split = make_split(manifest_of(rows), "speakers", n_folds=6, fold=fold)
        by_id = {u.id: u for u in rows}
        tested = {(by_id[i].speaker, by_id[i].attributes["sex"]) for i in split.test}
        assert Counter(sex for _, sex in tested) == {"male": 2, "female": 2}


def test_loso_tests_one_session_and_validates_on_the_next():
    split = make_split(manifest_of(utterances(10)), "loso", fold=2)
    assert {i[:2] for i in split.test} == {"02", "03"}
    assert {i[:2] for i in split.valid} == {"04", "05"}
    assert {i[:2] for i in split.train} == {"00", "01", "06", "07", "08", "09"}
    assert (split.kind, split.group_by, split.fold, split.n_folds) == ("loso", "session", 2, 5)


def test_the_last_fold_validates_on_the_first():
    split = make_split(manifest_of(utterances(10)), "loso", fold=5)
    assert {i[:2] for i in split.test} == {"08", "09"}
    assert {i[:2] for i in split.valid} == {"00", "01"}


def test_without_a_number_of_folds_each_speaker_is_one():
    split = make_split(manifest_of(utterances(4)), "speakers", fold=3)
    assert ({i[:2] for i in split.test}, {i[:2] for i in split.valid}) == ({"02"}, {"03"})
    assert (split.group_by, split.n_folds) == ("speaker", 4)


def test_numbered_groups_are_counted_not_spelled():
    rows = [replace(u, session=f"Ses{int(u.session[1:]) + 8}") for u in utterances(6)]
    assert [{i[:2] for i in make_split(manifest_of(rows), "loso", fold=n).test} for n in (1, 2, 3)] == [
        {"00", "01"},  # Ses8
        {"02", "03"},  # Ses9
        {"04", "05"},  # Ses10
    ]


def test_sessions_that_share_a_speaker_are_marked_as_leaky():
    rows = [replace(u, speaker="the same everywhere" if u.id.endswith("0") else u.speaker) for u in utterances(6)]
    assert make_split(manifest_of(rows), "loso").leaky is True


def test_prompts_keeps_free_speech_and_drops_scripts_of_the_test_part():
    split = make_split(manifest_of(utterances(6, prompts=True)), "prompts", fold=1)
    assert {i[-1] for i in split.train} == {"0"}
    assert {i[-1] for i in split.test} == {"0", "1"}
    assert (split.kind, split.group_by) == ("prompts", "session")


def test_prompts_goes_by_speakers_where_there_are_no_sessions():
    split = make_split(manifest_of(utterances(4, prompts=True, sessions=False)), "prompts")
    assert (split.group_by, split.n_folds) == ("speaker", 4)


def test_official_takes_the_parts_of_the_corpus():
    parts = ["test", "train", "valid", "train"]
    rows = [replace(u, attributes={"part": parts[int(u.id[:2])]}) for u in utterances(4)]
    split = make_split(manifest_of(rows), "official")
    assert {i[:2] for i in split.train} == {"01", "03"}
    assert ({i[:2] for i in split.valid}, {i[:2] for i in split.test}) == ({"02"}, {"00"})
    assert (split.group_by, split.fold, split.n_folds) == ("part", 1, 1)


def test_seed_tests_the_last_session_and_validates_on_every_tenth_of_the_rest():
    rows = [replace(u, session=f"Ses{int(u.session[1:]) + 6}") for u in utterances(10, n_each=5)]
    split = make_split(manifest_of(rows), "seed", seed=7)
    rest = [u.id for u in rows if u.session != "Ses10"]
    assert split.test == tuple(u.id for u in rows if u.session == "Ses10")
    assert split.valid == tuple(rest[::10])
    assert split.train == tuple(i for i in rest if i not in split.valid)
    assert (split.leaky, split.group_by, split.fold, split.n_folds, split.seed) == (True, "none", 1, 1, 7)
    assert split.test_apart, "only validation shares speakers with training"


def test_seed_without_sessions_tests_every_fifth_utterance_by_chance():
    manifest = manifest_of(utterances(5, n_each=10, sessions=False))
    first, second = (make_split(manifest, "seed", seed=seed) for seed in (1, 2))
    assert (len(first.test), len(first.valid), len(first.train)) == (20, 8, 72)
    assert first.test != second.test
    assert (first.leaky, first.test_apart) == (True, False)


def test_the_tiny_corpus_can_be_divided_in_every_way_but_the_official(tiny_dataset):
    sizes = {
        kind: tuple(len(ids) for ids in parts_of(make_split(tiny_dataset.manifest, kind)).values())
        for kind in KINDS
        if kind != "official"
    }
    assert sizes == {
        "seed": (28, 4, 16),
        "loso": (16, 16, 16),
        "speakers": (32, 8, 8),
        "prompts": (8, 16, 16),
    }


def refused(rows, kind, **options):
    with pytest.raises(SerError) as caught:
        make_split(manifest_of(rows), kind, **options)
    return str(caught.value)


def test_an_unknown_kind_is_refused_with_the_nearest():
    expected = "No split called 'speaker'. Did you mean 'speakers'? Available: loso, official, prompts, seed, speakers."
    assert refused(utterances(4), "speaker") == expected


@pytest.mark.parametrize("fold", [0, -1, 6])
def test_a_fold_that_does_not_exist_is_refused(fold):
    expected = f"--fold {fold} does not exist: --split loso has 5 folds, counted from 1."
    assert refused(utterances(10), "loso", fold=fold) == expected


@pytest.mark.parametrize("kind", ["seed", "official"])
def test_a_second_fold_of_an_undivided_split_is_refused(kind):
    assert refused(utterances(10), kind, fold=2) == f"--fold 2 does not exist: --split {kind} has one fold."


def test_too_few_sessions_are_refused():
    assert refused(utterances(4), "loso") == (
        "A train, a validation and a test part need at least 3 sessions, and there are 2 (s0, s1); "
        "use --split speakers."
    )


def test_a_session_alone_is_sent_to_a_split_that_it_can_have():
    assert refused(utterances(2), "loso").endswith("; use --split seed (leaky).")
    assert make_split(manifest_of(utterances(2)), "seed").leaky


def test_a_corpus_too_small_for_any_split_is_not_sent_to_one():
    assert refused(utterances(1)[:2], "loso").endswith("(s0); no other split can be had, so prepare more utterances.")


def test_too_few_speakers_are_refused():
    assert refused(utterances(2), "speakers") == (
        "A train, a validation and a test part need at least 3 speakers, and there are 2 (sp0, sp1); "
        "use --split seed (leaky)."
    )


@pytest.mark.parametrize("n_folds", [0, 1, 2])
def test_too_few_folds_are_refused(n_folds):
    expected = f"{n_folds} folds cannot give a train, a validation and a test part; give --folds 3 or more."
    assert refused(utterances(10), "speakers", n_folds=n_folds) == expected


def test_more_folds_than_groups_are_refused():
    expected = "6 folds are more than the 4 speakers; give --folds 4 or fewer."
    assert refused(utterances(4), "speakers", n_folds=6) == expected


@pytest.mark.parametrize(
    ("kind", "lacking", "message"),
    [
        ("loso", {"session": None}, "--split loso needs a session for every utterance, and '01-anger-0' has none; "),
        ("speakers", {"speaker": None}, "--split speakers needs a speaker for every utterance, and '01-anger-0' has "),
        (
            "official",
            {},
            "--split official needs a part (train, valid or test) for every utterance, and '00-neutral-0' has None; ",
        ),
    ],
)
def test_an_utterance_without_what_the_split_needs_is_named(kind, lacking, message):
    rows = [replace(u, **lacking) if u.id == "01-anger-0" else u for u in utterances(10)]
    assert refused(rows, kind).startswith(message)


def test_a_missing_session_points_to_speakers_and_a_missing_speaker_to_sessions():
    assert refused(utterances(6, sessions=False), "loso").endswith("has none; use --split speakers.")
    nobody = [replace(u, speaker=None) for u in utterances(6)]
    assert refused(nobody, "speakers").endswith("has none; use --split loso.")
    nobody = [replace(u, speaker=None) for u in utterances(6, sessions=False)]
    assert refused(nobody, "speakers").endswith("has none; use --split seed (leaky).")


def test_a_part_by_another_name_is_refused():
    rows = [replace(u, attributes={"part": "dev"}) for u in utterances(4)]
    assert refused(rows, "official").endswith("'00-neutral-0' has 'dev'; use --split speakers.")


def test_an_empty_part_is_refused():
    rows = [replace(u, attributes={"part": "train" if u.id < "03" else "test"}) for u in utterances(4)]
    expected = "--split official fold 1: the valid part is empty (nothing falls into it); use --split speakers."
    assert refused(rows, "official") == expected


def test_prompts_that_leave_nothing_to_train_on_are_refused():
    rows = [replace(u, prompt="the same") for u in utterances(6)]
    assert refused(rows, "prompts") == (
        "--split prompts fold 1: the train part is empty (every utterance shares its prompt with the test part); "
        "use --split speakers."
    )


def test_prompts_on_a_corpus_without_any_is_refused():
    expected = "--split prompts needs prompts, and no utterance has one; use --split speakers."
    assert refused(utterances(6), "prompts") == expected


def test_a_train_part_without_a_class_is_refused():
    rows = [u for u in utterances(3, sessions=False) if u.label == "neutral" or u.speaker == "sp0"]
    expected = "--split speakers fold 1: the train part has no anger; use --split seed (leaky)."
    assert refused(rows, "speakers") == expected


def test_the_hash_of_a_split_is_that_of_its_parts_alone():
    split = make_split(manifest_of(utterances(6)), "loso")
    assert split_hash(replace(split, kind="other", seed=9, train=split.train[::-1])) == split_hash(split)
    assert split_hash(replace(split, train=split.valid, valid=split.train)) != split_hash(split)
    assert split_hash(replace(split, train=split.train[1:])) != split_hash(split)
