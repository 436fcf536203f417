import numpy as np
import pytest
import torch

from sercli.ensembles import asr_weighted, average, feature, max_confidence, weighted
from sercli.errors import MismatchError
from sercli.types import Predictions


def member(probs, embeddings=None):
    probs = np.array(probs, np.float64)
    return Predictions(tuple(map(str, range(len(probs)))), ("a", "b"), probs, embeddings=embeddings)


def combined(rule, members, state=None, **settings):
    return rule.combine(members, state or {}, rule.Config(**settings))


def sure_of(y, confidence):
    """(N, 2) probabilities that give the truth this confidence."""
    probs = np.full((len(y), 2), 1 - np.asarray(confidence)[:, None])
    probs[np.arange(len(y)), y] = confidence
    return probs


def test_max_confidence_takes_each_utterance_from_the_surest_member():
    first, second = member([[0.6, 0.4], [0.1, 0.9]]), member([[0.3, 0.7], [0.8, 0.2]])
    assert combined(max_confidence, [first, second]).tolist() == [[0.3, 0.7], [0.1, 0.9]]


def test_max_confidence_gives_a_tie_to_the_first_member():
    first, second = member([[0.7, 0.3]]), member([[0.3, 0.7]])
    assert combined(max_confidence, [first, second]).tolist() == [[0.7, 0.3]]


def test_the_average_is_the_mean_of_the_members():
    first, second = member([[0.6, 0.4]]), member([[0.2, 0.8]])
    np.testing.assert_allclose(combined(average, [first, second]), [[0.4, 0.6]])


def test_the_weights_are_those_of_the_lowest_cross_entropy():
    # One member is right on 80 of 100 with .9, the other on the rest: by derivative of the cross-entropy,
    # .8 log(.1 + .8 w) + .2 log(.9 - .8 w) is highest at w = .875.
    y = np.zeros(100, np.int64)
    right = np.arange(100) < 80
    members = [member(sure_of(y, np.where(right, 0.9, 0.1))), member(sure_of(y, np.where(right, 0.1, 0.9)))]
    state = weighted.fit(members, y, weighted.Config(steps=200))
    assert state["weights"] == pytest.approx([0.875, 0.125])


def test_further_members_are_weighed_against_the_mixture_of_those_before():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    right = np.arange(300) % 3
    members = [member(sure_of(y, np.where(right == m, 0.9, 0.4))) for m in range(3)]
    weights = weighted.fit(members, y, weighted.Config())["weights"]
    np.testing.assert_allclose(weights, [1 / 3] * 3, atol=0.01)
    useless = member(np.full((300, 2), 0.5))
    assert weighted.fit([*members[:2], useless], y, weighted.Config())["weights"][2] < 0.01


def test_a_member_at_chance_gets_no_weight():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    knows, guesses = member(sure_of(y, np.full(200, 0.95))), member(rng.dirichlet([1, 1], 200))
    assert weighted.fit([knows, guesses], y, weighted.Config())["weights"].tolist() == [1, 0]
    assert weighted.fit([guesses, knows], y, weighted.Config())["weights"].tolist() == [0, 1]


def test_a_probability_of_zero_for_the_truth_does_not_break_the_search():
    y = np.array([0, 1])
    wrong = member([[0.0, 1.0], [1.0, 0.0]])
    right = member([[1.0, 0.0], [0.0, 1.0]])
    assert weighted.fit([wrong, right], y, weighted.Config())["weights"].tolist() == [0, 1]


def test_the_weights_of_three_members_are_the_best_of_all_divisions():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    members = [member(sure_of(y, rng.uniform(0.1, 0.9, 200) * skill)) for skill in (1.0, 0.9, 1.1)]
    truth = np.stack([m.probs[np.arange(200), y] for m in members])
    loss = {(a, b): -np.log(np.array([a, b, 20 - a - b]) / 20 @ truth).mean() for a in range(21) for b in range(21 - a)}
    a, b = min(loss, key=loss.__getitem__)
    found = weighted.fit(members, y, weighted.Config(steps=20))["weights"]
    assert found.tolist() == [a / 20, b / 20, (20 - a - b) / 20]


def test_what_a_member_without_input_weighs_is_shared_by_the_others():
    members = [member([[1.0, 0.0]]), member([[0.0, 1.0]]), member([[np.nan, np.nan]])]
    state = {"weights": np.array([0.1, 0.3, 0.6])}
    np.testing.assert_allclose(combined(weighted, members, state), [[0.25, 0.75]])
    np.testing.assert_allclose(combined(weighted, members, {"weights": np.array([0, 0, 1.0])}), [[0.5, 0.5]])
    np.testing.assert_allclose(combined(average, members), [[0.5, 0.5]])


def test_the_weighted_mean_mixes_by_the_weights():
    first, second = member([[1.0, 0.0]]), member([[0.0, 1.0]])
    state = {"weights": np.array([0.3, 0.7])}
    np.testing.assert_allclose(combined(weighted, [first, second], state), [[0.3, 0.7]])


class Given(torch.nn.Module):
    """An encoder whose embedding is the first frame."""

    def encode(self, x, lengths):
        return x[:, 0]


def fusion(embeddings, **values):
    torch.manual_seed(0)
    return feature.build(feature.Config(**values), [Given(), Given()], embeddings, n_labels=2)


EMBEDDINGS = [
    np.random.default_rng(0).normal(3, 5, (30, 4)).astype(np.float32),
    np.random.default_rng(1).normal(-1, 0.1, (30, 2)).astype(np.float32),
]


def test_feature_level_fusion_in_numpy_gives_what_its_network_gives():
    network = fusion(EMBEDDINGS).eval()
    inputs = [t for e in EMBEDDINGS for t in (torch.from_numpy(e)[:, None], torch.ones(30, dtype=torch.int64))]
    expected = torch.softmax(network(*inputs).double(), dim=1).detach().numpy()
    members = [member(np.full((30, 2), 0.5), e) for e in EMBEDDINGS]
    np.testing.assert_allclose(combined(feature, members, feature.state_of(network)), expected, atol=1e-6)


def test_joined_embeddings_are_standardised_by_the_train_part():
    network = fusion(EMBEDDINGS).eval()
    inputs = [t for e in EMBEDDINGS for t in (torch.from_numpy(e)[:, None], torch.ones(30, dtype=torch.int64))]
    joined = network.encode(*inputs).detach().numpy()
    np.testing.assert_allclose(joined.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(joined.std(axis=0), 1, atol=1e-5)


def test_a_member_without_input_counts_with_its_mean_embedding():
    state = feature.state_of(fusion(EMBEDDINGS))
    absent, mean = ([member([[0.5, 0.5]], EMBEDDINGS[0][:1]), member([[0.5, 0.5]], e[None])] for e in (
        np.full(2, np.nan, np.float32), state["mean"][4:],
    ))  # fmt: skip
    np.testing.assert_allclose(combined(feature, absent, state), combined(feature, mean, state), atol=1e-9)


def test_an_embedding_that_never_changes_has_no_influence():
    constant = [EMBEDDINGS[0], np.full((30, 2), 7, np.float32)]
    state = feature.state_of(fusion(constant))
    assert state["scale"][-2:].tolist() == [0, 0]
    assert (state["scale"][:-2] > 0).all()


def test_feature_level_fusion_survives_scores_too_large_for_exp():
    state = {"mean": np.zeros(6), "scale": np.ones(6), "weight": np.full((2, 6), 1e4), "bias": np.array([0.0, 1.0])}
    state["weight"][1] *= -1
    probs = combined(feature, [member(np.full((30, 2), 0.5), e) for e in EMBEDDINGS], state)
    assert np.isfinite(probs).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def four(probs, modality, asr_confidence=None):
    labels = ("neutral", "happiness", "sadness", "anger")
    ids = tuple(map(str, range(len(probs))))
    return Predictions(ids, labels, np.array(probs), asr_confidence=asr_confidence, modality=modality)


def audio(*probs):
    return four(probs, "acoustic")


def text(*probs, asr_confidence=None):
    return four(probs, "linguistic", asr_confidence)


@pytest.mark.parametrize("text_first", [False, True])
def test_text_without_emotion_changes_nothing(text_first):
    members = [audio([0.1, 0.2, 0.1, 0.6]), text([1.0, 0.0, 0.0, 0.0])]
    found = combined(asr_weighted, members[::-1] if text_first else members)
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.1, 0.6]])


def test_emotional_text_counts_as_much_as_its_asr_confidence_allows():
    members = [
        audio(*[[0.4, 0.2, 0.2, 0.2]] * 3),
        text(*[[0.0, 0.0, 0.0, 1.0]] * 3, asr_confidence=np.array([1.0, 0.5, 0.0])),
    ]
    found = combined(asr_weighted, members, cap=0.4)
    np.testing.assert_allclose(found[:, 3], [0.6 * 0.2 + 0.4, 0.8 * 0.2 + 0.2, 0.2])
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_without_a_background_class_neutral_counts_like_any_other():
    members = [audio([0.0, 1.0, 0.0, 0.0]), text([1.0, 0.0, 0.0, 0.0])]
    found = combined(asr_weighted, members, cap=0.3, background=None)
    np.testing.assert_allclose(found, [[0.3, 0.7, 0.0, 0.0]])


def test_several_audio_members_count_as_their_mean_beside_the_text():
    members = [audio([0.0, 1.0, 0.0, 0.0]), text([0.0, 0.0, 0.0, 1.0]), audio([0.0, 0.0, 1.0, 0.0])]
    np.testing.assert_allclose(combined(asr_weighted, members, cap=0.2), [[0.0, 0.4, 0.4, 0.2]])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([audio([0.25] * 4)] * 2, "not 0 linguistic with 2 others"),
        ([text([0.25] * 4)] * 2, "not 2 linguistic with 0 others"),
    ],
)
def test_asr_weighted_refuses_text_alone_and_audio_alone(members, said):
    with pytest.raises(MismatchError, match=f"{said}; choose another rule, such as average"):
        combined(asr_weighted, members)
