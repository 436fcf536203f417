"""Training a network: a generator that yields the result of each epoch, so that callers log, save and stop."""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sercli import contracts
from sercli._system.devices import bfloat16
from sercli._system.files import write_atomic
from sercli.errors import DivergedError, SerError
from sercli.evaluation.metrics import uar
from sercli.model.batches import Batch, Examples, evaluation_batches
from sercli.training.batches import training_batches
from sercli.types import Array, EpochResult, TrainConfig

_EVALUATION_BATCH = 64
_MOMENTUM = 0.9


class Trainer:
    """Gradient descent on cross-entropy, with early stopping on the validation loss.

    The randomness of each epoch follows from (seed, epoch) alone, so that a run that is resumed after a kill ends
    exactly like an undisturbed one, and no state of a generator has to be saved.
    """

    def __init__(
        self,
        module: nn.Module,
        train: Examples,
        valid: Examples,
        config: TrainConfig,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        assert len(valid) or config.keep == "last"
        self.module = module.to(device)
        self.train, self.valid, self.config, self.seed, self.device = train, valid, config, seed, device
        y = nn.functional.one_hot(torch.from_numpy(train.y), self.n_labels).float()
        targets = y if train.targets is None else torch.from_numpy(train.targets)
        n_dimensions = 0 if train.dimensions is None else train.dimensions.shape[1]
        if train.dimensions is not None:
            targets = torch.cat([targets, torch.from_numpy(train.dimensions)], dim=1)
        self.targets = targets  # (N, K), or (N, K + D) with dimensions
        self.head = nn.Linear(module.n_embedding, n_dimensions).to(device) if n_dimensions else None  # type: ignore[arg-type]
        self.parts = nn.ModuleDict({"module": module} | ({"head": self.head} if self.head else {}))
        self.optimiser = _optimiser(self.parts, config)
        self.class_weights = _class_weights(train.y, self.n_labels).to(device) if config.class_weights else None
        self.history: list[EpochResult] = []
        self.best_weights: dict[str, Tensor] = {}

    @property
    def n_labels(self) -> int:
        """K, the outputs of the last layer."""
        classifier = self.module.classifier
        assert isinstance(classifier, nn.Linear)
        return classifier.out_features

    @property
    def best(self) -> EpochResult:
        """The epoch whose weights are kept; the first of several with equal loss."""
        return (
            self.history[-1] if self.config.keep == "last" else min(self.history, key=lambda one: one.valid_loss or 0.0)
        )

    def epochs(self) -> Iterator[EpochResult]:
        """Train until the patience or the epochs run out, yielding after each epoch; then load the weights to keep.

        Raises:
            DivergedError: the loss is no longer a number.
        """
        while (n := len(self.history)) < self.config.epochs and (not n or n - self.best.epoch < self.config.patience):
            result = self._epoch(n + 1)
            self.history.append(result)
            if self.best is result:
                self.best_weights = copy.deepcopy(self.module.state_dict())
            yield result
        self.module.load_state_dict(self.best_weights)
        self.module.eval()

    def _epoch(self, epoch: int) -> EpochResult:
        began = time.perf_counter()
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))
        generator = np.random.default_rng([self.seed, epoch])
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(self.config, epoch)
        self.module.train()
        total = 0.0
        for batch in training_batches(self.train, self.config, generator, self.device):
            total += self._step(batch, generator) * len(batch.indices)
        train_loss = total / len(self.train)
        valid_loss, valid_uar = self.validate()
        if not (math.isfinite(train_loss) and math.isfinite(valid_loss or 0)):
            raise DivergedError(
                f"Training diverged in epoch {epoch}: the loss is {train_loss} (train), {valid_loss} (validation). "
                f"Lower train.lr (now {self.config.lr:g}) or train.clip_norm (now {self.config.clip_norm:g})."
            )
        return EpochResult(epoch, train_loss, valid_loss, valid_uar, time.perf_counter() - began)

    def _step(self, batch: Batch, generator: np.random.Generator) -> float:
        inputs, targets = batch.inputs, self.targets[batch.indices].to(self.device)
        if self.config.mixup:
            inputs, targets = _mix(inputs, targets, self.config.mixup, generator)
        with bfloat16(wanted=self.config.bfloat16):
            loss = self._loss(inputs, targets[:, : self.n_labels])
            if self.head is not None:
                loss = loss + self.config.dimensions * self._second_loss(inputs, targets[:, self.n_labels :])
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip_norm)
        self.optimiser.step()
        return float(loss.detach())

    def _loss(self, inputs: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Cross-entropy of the scores, or the network's own loss; targets (B, K), of which each row sums to 1."""
        smoothing = self.config.label_smoothing
        if not isinstance(self.module, contracts.HasLoss):
            scores = self.module(*inputs).float()
            return nn.functional.cross_entropy(scores, targets, self.class_weights, label_smoothing=smoothing)
        targets = (1 - smoothing) * targets + smoothing / self.n_labels
        if self.class_weights is not None:
            targets = targets * self.class_weights
        return self.module.loss(targets, *inputs)

    def _second_loss(self, inputs: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Mean squared error of the dimensions that are known; targets (B, D)."""
        assert self.head is not None
        errors = self.head(self.module.encode(*inputs)) - targets.nan_to_num()  # type: ignore[operator]
        known = targets.isfinite()
        squares: Tensor = (errors.square() * known).sum()
        return squares / known.sum().clamp(min=1)

    @torch.inference_mode()
    def validate(self) -> tuple[float, float] | tuple[None, None]:
        """Cross-entropy, weighted as in training, and unweighted average recall on the validation part, if any."""
        if not len(self.valid):
            return None, None
        self.module.eval()
        losses = torch.zeros(2, dtype=torch.float64)
        predicted = np.zeros(len(self.valid), np.int64)
        for batch in evaluation_batches(self.valid, _EVALUATION_BATCH, self.device):
            assert batch.y is not None
            scores = self.module(*batch.inputs)
            predicted[batch.indices] = scores.argmax(dim=1).cpu().numpy()
            summed = nn.functional.cross_entropy(scores, batch.y, self.class_weights, reduction="sum")
            weight = len(batch.indices) if self.class_weights is None else self.class_weights[batch.y].sum()
            losses += torch.tensor([float(summed), float(weight)])
        return float(losses[0] / losses[1]), uar(self.valid.y, predicted, self.n_labels)

    def save(self, path: Path) -> None:
        """Write everything that resuming needs: weights, best weights, state of the optimiser, history."""
        tensors = {**self.parts.state_dict(), **{f"best.{name}": t for name, t in self.best_weights.items()}}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        write_tensors(path, tensors, {"history": msgspec.json.encode(self.history).decode()})

    def resume(self, path: Path) -> None:
        """Go on from the file that `save` wrote.

        Raises:
            SerError: the file is damaged, or belongs to another network.
        """
        try:
            with safe_open(path, "pt") as file:
                history = msgspec.json.decode(file.metadata()["history"], type=list[EpochResult])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
            self._restore(history, tensors)
        except (OSError, SafetensorError, msgspec.DecodeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise SerError(f"{path} cannot be used ({error}); delete it to train from the first epoch.") from None

    def _restore(self, history: list[EpochResult], tensors: dict[str, Tensor]) -> None:
        self.parts.load_state_dict({n: t for n, t in tensors.items() if not n.startswith(("best.", "optimiser."))})
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimiser.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        best_weights = _below("best.", tensors)
        if {n: t.shape for n, t in best_weights.items()} != {n: t.shape for n, t in self.module.state_dict().items()}:
            raise ValueError("the best weights are incomplete")
        self.history, self.best_weights = history, best_weights


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by their names, wherever they are, as a .safetensors file."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(path, save(plain, metadata))


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _optimiser(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.optimiser == "sgd":
        return torch.optim.SGD(trained, lr=config.lr, momentum=_MOMENTUM, weight_decay=config.weight_decay, fused=True)
    return torch.optim.AdamW(trained, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _learning_rate(config: TrainConfig, epoch: int) -> float:
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / config.epochs))


def _class_weights(y: Array, n_labels: int) -> Tensor:
    """(K,) inverse frequencies with mean 1 over the examples; 0 for an absent class."""
    counts = np.bincount(y, minlength=n_labels)
    weights = np.where(counts > 0, len(y) / np.maximum(counts, 1) / max(1, int((counts > 0).sum())), 0.0)
    return torch.tensor(weights, dtype=torch.float32)


def _mix(
    inputs: tuple[Tensor, ...], targets: Tensor, alpha: float, generator: np.random.Generator
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Each example mixed with another of its batch (Zhang et al. 2018, "mixup"), with the longer of the two lengths."""
    share = float(generator.beta(alpha, alpha))
    share = max(share, 1 - share)  # the larger share is the first's, so that mostly its length is the right one
    partner = torch.from_numpy(generator.permutation(len(targets))).to(targets.device)
    mixed = tuple(
        torch.maximum(tensor, tensor[partner]) if tensor.ndim == 1 else torch.lerp(tensor[partner], tensor, share)
        for tensor in inputs
    )
    return mixed, share * targets + (1 - share) * targets[partner]
