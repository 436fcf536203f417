import numpy as np
import pytest
import torch

from sercli.architectures import whisper_tuned
from sercli.errors import ConfigError
from sercli.whisper import encoder

SMALL = {"n_states": 16, "n_heads": 2, "n_layers": 3, "n_hidden": 8}


def network(n_features=80, **values):
    torch.manual_seed(0)
    return whisper_tuned.build(whisper_tuned.Config(**{**SMALL, **values}), n_features, n_labels=4).eval()


def trained(module):
    return {name for name, p in module.named_parameters() if p.requires_grad}


def small_whisper(n_mels=80, n_states=16, n_heads=2, n_layers=4):
    torch.manual_seed(1)
    return encoder.Encoder(n_mels, n_states, n_heads, n_layers).eval()


def test_only_the_last_layers_of_the_encoder_are_trained_and_the_head():
    names = trained(network(n_tuned=1))
    assert {name.split(".")[2] for name in names if name.startswith("encoder.layers.")} == {"2"}
    assert not any("conv" in name for name in names)
    assert {"classifier.weight", "hidden.0.weight", "norms.0.weight"} <= names


def test_more_layers_than_there_are_means_all_with_the_convolutions():
    every = network(n_tuned=4)
    assert trained(every) == {name for name, _ in every.named_parameters()}
    assert not any("conv" in name for name in trained(network(n_tuned=3)))


def test_none_trained_leaves_the_encoder_as_it_is():
    assert not any(name.startswith("encoder.") for name in trained(network(n_tuned=0)))


def test_the_encoder_is_what_takes_smaller_steps():
    module = network(n_tuned=4, encoder_step=0.02)
    slow = module.slow_parameters()
    assert set(slow.values()) == {0.02}
    assert set(slow) == set(module.encoder.parameters())


def test_training_starts_from_the_recognisers_weights(monkeypatch):
    pretrained, module = small_whisper(), network()
    monkeypatch.setattr(encoder, "load", lambda model: pretrained)
    whisper_tuned.start(module, [], np.zeros(0))
    mel, length = torch.randn(1, 50, 80), torch.tensor([50])
    for ours, theirs in zip(module.encoder(mel, length), pretrained(mel, length, 3), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_weights_that_come_with_ser_fit_the_defaults():
    module = whisper_tuned.build(whisper_tuned.Config(), 80, 4)
    whisper_tuned.start(module, [], np.zeros(0))
    assert torch.equal(module.encoder.conv1.weight, encoder.load(None).conv1.weight)


def test_to_build_one_needs_no_weights(monkeypatch):
    asked = []
    monkeypatch.setattr(encoder, "load", asked.append)
    network()
    assert asked == []


def test_more_than_thirty_seconds_are_heard_in_windows():
    module = network()
    mel, lengths = torch.randn(2, 3500, 80), torch.tensor([3500, 40])
    heard = module._heard(mel, lengths)
    assert heard.shape == (2, 1750, 3 * 16)
    assert heard.isfinite().all()
    torch.testing.assert_close(heard[0, :1500], module._heard(mel[:1, :3000], torch.tensor([3000]))[0])
    torch.testing.assert_close(heard[0, 1500:], module._heard(mel[:1, 3000:], torch.tensor([500]))[0])


def test_a_short_utterance_scores_the_same_beside_one_of_more_than_thirty_seconds():
    module = network()
    mel = torch.randn(2, 3100, 80)
    together = module(mel, torch.tensor([3100, 40]))
    torch.testing.assert_close(together[1:], module(mel[1:, :40], torch.tensor([40])))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"n_mels": 34},
            r"Whisper tiny\.en hears 34 bands, and the feature has 80; .*feature\.n_mels=34",
        ),
        ({"n_states": 32}, r"architecture\.n_states=16: Whisper tiny\.en has 32; set it"),
        ({"n_heads": 4}, r"architecture\.n_heads=2: Whisper tiny\.en has 4; set it"),
        ({"n_layers": 2}, r"architecture\.n_layers=3: Whisper tiny\.en has 2 layers"),
    ],
)
def test_weights_of_another_size_are_refused_with_what_to_set(monkeypatch, given, said):
    monkeypatch.setattr(encoder, "load", lambda model: small_whisper(**given))
    with pytest.raises(ConfigError, match=said):
        whisper_tuned.start(network(), [], np.zeros(0))


def test_states_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ConfigError, match=r"architecture\.n_states=15: it is shared out among 2 heads"):
        network(n_states=15)
