"""Whisper's encoder in plain torch, for input of up to 30 s, with the states of every layer.

Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision"; weights.py reads
the weights. A test compares it with CTranslate2's encoder.
"""

import torch
from torch import Tensor, nn

from sercli.whisper import weights

MAX_FRAMES = 3000
"""Frames of the mel spectrogram, at 100 Hz, that the position encodings cover: 30 s."""


class Encoder(nn.Module):
    """(B, T, M) log-mel at 100 Hz -> convolutions -> layers of self-attention at 50 Hz."""

    positions: Tensor

    def __init__(self, n_mels: int, n_states: int, n_heads: int, n_layers: int, *, device: str | None = None) -> None:
        super().__init__()
        self.n_mels, self.n_states = n_mels, n_states
        self.conv1 = nn.Conv1d(n_mels, n_states, 3, padding=1, device=device)
        self.conv2 = nn.Conv1d(n_states, n_states, 3, stride=2, padding=1, device=device)
        self.register_buffer("positions", torch.empty(MAX_FRAMES // 2, n_states, device=device))
        self.layers = nn.ModuleList(_Layer(n_states, n_heads, device) for _ in range(n_layers))
        self.norm: nn.Module = nn.LayerNorm(n_states, device=device)

    def forward(self, mel: Tensor, lengths: Tensor, n_layers: int | None = None) -> list[Tensor]:
        """Return the states of each layer; those of an utterance are the same alone and in a padded batch.

        Args:
            mel: (B, T, M), T at most `MAX_FRAMES`.
            lengths: (B,) frames of each utterance.
            n_layers: number of layers to run; None: all. The final norm follows the network's last layer only.

        Returns:
            n_layers tensors (B, ceil(T / 2), E); values beyond ceil(length / 2) have no meaning.
        """
        steps = torch.arange(mel.shape[1], device=mel.device)
        mask = steps[None] < lengths[:, None]  # (B, T)
        mask_halved = mask[:, ::2]
        x = nn.functional.gelu(self.conv1((mel * mask[:, :, None]).transpose(1, 2)))
        x = nn.functional.gelu(self.conv2(x * mask[:, None])).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        full = not torch.compiler.is_exporting() and bool(mask_halved.all())
        keys = None if full else mask_halved[:, None, None]  # (B, 1, 1, T / 2)
        states: list[Tensor] = []
        for layer in self.layers[:n_layers]:
            x = layer(x, keys)
            states.append(x)
        if len(states) == len(self.layers):
            states[-1] = self.norm(states[-1])
        return states


class _Layer(nn.Module):
    """Self-attention and a feed-forward network, each after a norm and with a residual connection."""

    def __init__(self, n_states: int, n_heads: int, device: str | None) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = nn.LayerNorm(n_states, device=device)
        self.qkv = nn.Linear(n_states, 3 * n_states, device=device)
        self.out = nn.Linear(n_states, n_states, device=device)
        self.feed_norm = nn.LayerNorm(n_states, device=device)
        self.feed_in = nn.Linear(n_states, 4 * n_states, device=device)
        self.feed_out = nn.Linear(4 * n_states, n_states, device=device)

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """(B, T, E), and (B, 1, 1, T) True for keys that are no padding -> (B, T, E)."""
        n_batch, n_steps, n_states = x.shape
        heads = self.qkv(self.attention_norm(x)).view(n_batch, n_steps, 3, self.n_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, T, E / heads)
        found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        x = x + self.out(found.transpose(1, 2).reshape(n_batch, n_steps, n_states))
        return x + self.feed_out(nn.functional.gelu(self.feed_in(self.feed_norm(x))))


class _OneDnnLinear(nn.Module):
    """A linear layer on a CPU, computed by oneDNN: MKL, which torch calls otherwise, takes twice as long on AMD."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight.detach().to_mkldnn(), linear.bias.detach().to_mkldnn()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, E) -> (B, T, F)."""
        return nn.functional.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()


def placed(encoder: Encoder, device: str) -> Encoder:
    """Return the encoder on a device that it will run on, not to be trained."""
    if torch.device(device).type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return encoder.to(device)
    for layer in encoder.layers:
        for name, part in list(layer.named_children()):
            if isinstance(part, nn.Linear):
                setattr(layer, name, _OneDnnLinear(part))
    return encoder


def load(model: str | None, n_layers: int | None = None) -> Encoder:
    """Return the encoder with a model's weights, in evaluation mode.

    Args:
        model: as `weights.find` takes it.
        n_layers: layers that will be run; None: all. The encoder may have more.

    Raises:
        SerError: the model is missing or damaged.
    """
    arrays = weights.read_encoder(weights.find(model, n_layers=n_layers))
    n_states, n_mels, _ = arrays["conv1/weight"].shape
    n_there = len({name.split("/")[0] for name in arrays if name.startswith("layer_") and name[6].isdigit()})
    # On "meta" weights have a shape and no content: they need not be initialised before they are replaced.
    encoder = Encoder(n_mels, n_states, int(arrays["num_heads"]), n_there, device="meta")
    names = {"conv1": "conv1", "conv2": "conv2"}
    if "layer_norm/gamma" in arrays:
        names["norm"] = "layer_norm"
    else:  # the last of these layers isn't the last of the network
        encoder.norm = nn.Identity()
    for layer in range(n_there):
        names |= {
            f"layers.{layer}.attention_norm": f"layer_{layer}/self_attention/layer_norm",
            f"layers.{layer}.qkv": f"layer_{layer}/self_attention/linear_0",
            f"layers.{layer}.out": f"layer_{layer}/self_attention/linear_1",
            f"layers.{layer}.feed_norm": f"layer_{layer}/ffn/layer_norm",
            f"layers.{layer}.feed_in": f"layer_{layer}/ffn/linear_0",
            f"layers.{layer}.feed_out": f"layer_{layer}/ffn/linear_1",
        }
    state = {}
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if "norm" in ours else ("weight", "bias")
        state[f"{ours}.weight"] = torch.from_numpy(arrays[f"{theirs}/{weight}"])
        state[f"{ours}.bias"] = torch.from_numpy(arrays[f"{theirs}/{bias}"])
    state["positions"] = torch.from_numpy(arrays["position_encodings/encodings"])
    encoder.load_state_dict(state, assign=True)
    return encoder.eval()
