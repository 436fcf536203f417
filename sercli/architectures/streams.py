"""Several inputs side by side: an encoder for each, then layers on all embeddings together.

With one input it is a network of convolutions, layers on frames and a recurrence, in the sizes of many papers.
"""

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from sercli.architectures._layers import Classifier, Encoder, FastDropout, Sizes
from sercli.contracts import SearchSpace
from sercli.errors import ConfigError
from sercli.types import Dropout, NonNegativeInt, PositiveInt

INPUTS: tuple[str, ...] = ()
OPTIONAL = True

Widths = tuple[PositiveInt, ...]

_BY_INPUT = ("filters", "kernel", "stride", "pool", "dense", "cell", "hidden_size", "pooling")  # as in `Sizes`


@dataclass(frozen=True)
class Config:
    """Sizes of the network; a list with one entry for each input, or a single entry for all of them."""

    filters: tuple[Widths, ...] = ((),)  # of each convolution; none: no convolution
    kernel: tuple[tuple[NonNegativeInt, ...], ...] = ((3, 3),)  # frames, features: odd numbers, or 0 for all features
    stride: tuple[Widths, ...] = ((1, 1),)  # frames, features
    pool: Widths = (1,)  # frames of the max-pool after the convolutions
    dense: tuple[Widths, ...] = ((),)  # width of each layer on single frames, after the convolutions
    cell: tuple[Literal["none", "lstm", "gru"], ...] = ("lstm",)
    hidden_size: tuple[PositiveInt, ...] = (64,)  # of the recurrence, per direction
    bidirectional: bool = True
    # How states become one vector; local: by a learned query; first: the query is the embedding of the first input
    pooling: tuple[Literal["attention", "local", "first", "mean", "max", "last"], ...] = ("attention",)
    fc_size: Widths = ()  # width of each layer on all embeddings together
    dropout: Dropout = 0.3  # between layers, and on embeddings
    input_dropout: Dropout = 0.0  # on the features
    # Probability that an utterance lacks an input in training, so that the network learns to do without; never all
    drop_inputs: Dropout = 0.1
    max_frames: PositiveInt = 1500  # longer input is cut


SEARCH_SPACE: SearchSpace = {
    "bidirectional": [True, False],
    "dropout": (0.0, 0.6),
    "input_dropout": (0.0, 0.6),
}


class Streams(Classifier):
    """(B, T, F) for each input -> encoders (B, E) each -> side by side -> fully connected -> linear."""

    def __init__(self, config: Config, n_features: tuple[int, ...], n_labels: int) -> None:
        """Build the network.

        Raises:
            ConfigError: a list has another number of entries than inputs, or a kernel is even.
        """
        sizes = _sizes(config, len(n_features))
        encoders: list[Encoder] = []
        for own, n in zip(sizes, n_features, strict=True):
            encoders.append(Encoder(own, n, encoders[0].n_states if encoders else 0))
        widths = [sum(encoder.n_states for encoder in encoders), *config.fc_size]
        super().__init__(widths[-1], n_labels)
        self.n_inputs = len(encoders)
        self.drop_inputs = config.drop_inputs
        self.input_dropout = FastDropout(config.input_dropout)
        self.encoders = nn.ModuleList(encoders)
        layers = ((nn.Linear(n_in, n_out), nn.ReLU(), FastDropout(config.dropout)) for n_in, n_out in pairwise(widths))
        self.fc = nn.Sequential(*chain.from_iterable(layers))

    def encode(self, *inputs: Tensor) -> Tensor:
        """(B, T, F), (B,) for each input -> (B, E)."""
        return self.attend(*inputs)[0]

    def attend(self, *inputs: Tensor) -> tuple[Tensor, tuple[Tensor | None, ...]]:  # type: ignore[override]
        """(B, T, F), (B,) for each input -> (B, E), and for each input (B, T) or None."""
        lengths = self._there(torch.stack(inputs[1::2]))
        parts: list[Tensor] = []
        weights: list[Tensor | None] = []
        for encoder, x, own in zip(self.encoders, inputs[::2], lengths, strict=True):
            embedding, found = encoder(self.input_dropout(x), own, parts[0] if parts else None)
            parts.append(embedding)
            weights.append(found)
        embedding = self.fc(torch.cat(parts, dim=1))
        return embedding, tuple(weights)

    def _there(self, lengths: Tensor) -> Tensor:
        """(I, B) lengths -> the same; in training some are 0, as if the utterance lacked the input."""
        if not (self.training and self.drop_inputs and len(lengths) > 1):
            return lengths
        dropped = torch.rand(lengths.shape, device=lengths.device) < self.drop_inputs
        left = lengths * ~dropped
        return torch.where(left.any(dim=0), left, lengths)


build = Streams


def _sizes(config: Config, n_inputs: int) -> list[Sizes]:
    """Return the sizes of each input's encoder."""
    by_input = {name: getattr(config, name) for name in _BY_INPUT}
    for name, values in by_input.items():
        if len(values) not in (1, n_inputs):
            raise ConfigError(
                f"architecture.{name} has {len(values)} entries for {n_inputs} inputs; give one for each, or one."
            )
    for name, pairs in (("kernel", config.kernel), ("stride", config.stride)):
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"architecture.{name}={[*map(list, pairs)]}: give each two numbers: frames, features.")
    if any(size % 2 == 0 for frames, features in config.kernel for size in (frames, features or 1)):
        raise ConfigError(
            f"architecture.kernel={[*map(list, config.kernel)]}: give odd numbers, or 0 for all features."
        )
    if config.pooling[0] == "first":
        raise ConfigError("architecture.pooling: 'first' is the embedding of the first input; give the first another.")
    each = (values if len(values) == n_inputs else values * n_inputs for values in by_input.values())
    shared = {name: getattr(config, name) for name in ("bidirectional", "dropout", "max_frames")}
    return [Sizes(**dict(zip(by_input, own, strict=True)), **shared) for own in zip(*each, strict=True)]
