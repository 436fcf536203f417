from dataclasses import replace

import numpy as np
import pytest
import torch
from iemocap_tree import tiny_plan, write_tree

from sercli.dataset import extraction, manifest, preparation
from sercli.dataset.soft_targets import dimensions_of, soft_targets
from sercli.dataset.splits import make_split
from sercli.errors import SerError
from sercli.training import experiment
from sercli.training.setup import make_setup


@pytest.fixture(scope="module")
def release(tmp_path_factory, no_progress):
    """A function that prepares the tiny IEMOCAP release with a label set."""
    base = tmp_path_factory.mktemp("rated")
    write_tree(base / "IEMOCAP_full_release", tiny_plan())

    def prepared(label_set):
        options = {"label_set": label_set, "progress": no_progress}
        made = preparation.prepare("iemocap", base / "IEMOCAP_full_release", base / label_set, **options)
        preparation.finish(made, [], jobs=1, progress=no_progress)
        return manifest.load(base / label_set)

    return prepared


@pytest.fixture(scope="module")
def rated(release):
    return release("four")


def voted(dataset, *ballots):
    """The targets of an utterance for which each rater chose the labels of one list."""
    votes = [{"rater": f"E{n}", "labels": list(labels)} for n, labels in enumerate(ballots)]
    u = dataset.manifest.utterances[0]
    (row,) = soft_targets(dataset, [replace(u, attributes={**u.attributes, "votes": votes})])
    return dict(zip(dataset.info.labels, row.tolist(), strict=True))


@pytest.mark.parametrize("label_set", ["four", "native"])
def test_the_targets_of_the_release_are_the_votes_that_were_written(release, label_set):
    """Three or four raters name the majority's label; one of them adds surprise in some turns."""
    dataset = release(label_set)
    utterances, labels = dataset.manifest.utterances, list(dataset.info.labels)
    n_divided = 0
    for u, row in zip(utterances, soft_targets(dataset, utterances), strict=True):
        written = [vote["labels"] for vote in u.attributes["votes"] if "labels" in vote]
        divided = any(len(several) == 2 for several in written) and "surprise" in labels and u.label != "surprise"
        expected = np.zeros(len(labels))
        expected[labels.index(u.label)] = 1 - 0.5 * divided / len(written)
        if divided:
            expected[labels.index("surprise")] = 0.5 / len(written)
        assert row == pytest.approx(expected)
        n_divided += divided
    assert (n_divided > 0) is (label_set == "native")


@pytest.mark.parametrize(
    ("ballots", "shares"),
    [
        ([["anger"], ["anger"], ["sadness"]], {"anger": 2 / 3, "sadness": 1 / 3}),
        ([["anger"], ["happiness"], ["excitement"]], {"anger": 1 / 3, "happiness": 2 / 3}),
        ([["anger"], ["anger", "sadness"]], {"anger": 0.75, "sadness": 0.25}),
        ([["anger"], ["frustration"], ["neutral", "fear"]], {"anger": 2 / 3, "neutral": 1 / 3}),
    ],
)
def test_each_rater_has_one_vote_and_labels_outside_of_the_set_do_not_count(rated, ballots, shares):
    assert voted(rated, *ballots) == pytest.approx(dict.fromkeys(rated.info.labels, 0) | shares)


def test_the_train_part_aims_at_the_votes_and_the_validation_part_at_the_class(rated, plans):
    split = make_split(rated.manifest, "loso")
    config = plans.small("linguistic", targets="soft", epochs=1)
    made = trainer_of(rated, config, split)
    np.testing.assert_array_equal(made.train.targets, soft_targets(rated, rated.select(split.train)))
    assert made.valid.targets is None
    aimed = []
    made._loss = lambda inputs, targets: (aimed.append(targets), type(made)._loss(made, inputs, targets))[1]
    list(made.epochs())
    found = torch.cat(aimed).numpy()
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(made.train.targets, axis=0), rtol=1e-6)


def trainer_of(dataset, config, split):
    rng = np.random.default_rng(0)

    def provider(utterances, feature, config):
        assert extraction.reads_text(feature)
        return [rng.standard_normal((3, 5)).astype(np.float32) for _ in utterances]

    context = experiment.Context(dataset, provider, 0, torch.device("cpu"))
    return experiment.make_trainer(config, split.train, split.valid, context)


def test_a_corpus_without_votes_is_refused(tiny_dataset):
    options = {"words": "human", "split": "loso", "n_folds": None, "fold": 1, "seed": 0}
    with pytest.raises(SerError) as refused:
        make_setup("linguistic", None, ["train.targets=soft"], tiny_dataset.folder, **options)
    first = tiny_dataset.manifest.utterances[0].id
    assert str(refused.value) == (
        f"train.targets=soft needs raters' votes, and '{first}' of table has none for a class of the dataset; "
        "leave the setting out."
    )


def test_activation_and_valence_have_mean_0_and_deviation_1_and_what_is_unknown_stays_so(rated):
    first, *others = rated.manifest.utterances
    unknown = replace(first, attributes={**first.attributes, "valence": None})
    found = dimensions_of([unknown, *others])
    assert found.shape == (1 + len(others), 2)
    assert np.isnan(found).sum() == 1
    np.testing.assert_allclose(np.nanmean(found, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(found[:, 1]), 1, atol=1e-5)
    assert dimensions_of([replace(u, attributes={}) for u in others]) is None
