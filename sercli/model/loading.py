"""Loading a finished run, a single model or an ensemble, from its directory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from sercli import config, plugins, runs
from sercli.errors import SerError
from sercli.model import spec
from sercli.model.batches import Normaliser
from sercli.model.ensemble import Ensemble
from sercli.model.inference import Model
from sercli.runs import RunInfo
from sercli.types import Array, ModelSpec


def load_run(folder: Path, device: torch.device) -> Model | Ensemble:
    """Return a finished run's model or ensemble.

    Raises:
        SerError: not a run, unfinished, damaged, or made by another version.
    """
    info = runs.load_single(folder)
    if info.kind == "model":
        return load_model(folder, device)
    members = tuple(load_model(folder / "members" / part, device) for part in ("acoustic", "linguistic"))
    runs.check_labels([folder, *(m.folder for m in members)], [info, *(m.info for m in members)])
    tuned = folder / "encoders"
    encoders = tuple(load_model(tuned / m.info.modality, device) for m in members) if tuned.is_dir() else members
    rule = plugins.fusion_rule(info.name)
    rule_config = config.build(rule.Config, info.settings.ensemble, "ensemble")
    state = runs.read_arrays(folder / "state.npz") if plugins.learns(rule) else {}
    return Ensemble(folder, info, members, encoders, rule, rule_config, state)


def load_model(folder: Path, device: torch.device) -> Model:
    """Return the model of a finished run, which must not be an ensemble.

    Raises:
        SerError: not a run, an ensemble, unfinished, damaged, or made by another version.
    """
    info = runs.load_single(folder)
    if info.kind != "model":
        raise SerError(f"{folder} is an {info.kind}; give a single model.")
    model = _localised(spec.build(info.name, info.settings.sections()).model, folder)
    arrays = runs.read_arrays(folder / "normaliser.npz")
    weights = folder / "weights.safetensors"
    try:
        _check_shapes(model, info, weights)
        module = _built(model, info)
        module.load_state_dict(load_file(weights))
        normaliser = _normaliser(arrays, info.n_features)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SerError(
            f"{folder}: the weights cannot be read ({reason}); train the run again, or copy it again."
        ) from None
    return Model(folder, info, model, module.to(device).eval(), normaliser, device)


def files_of(model: ModelSpec) -> tuple[str, ...]:
    """Names of the files in a run directory that its model needs beside the weights."""
    plugin = plugins.feature(model.feature)
    own = plugin.FILES if isinstance(plugin, plugins.ReadsFiles) else ()
    return ("run.json", "split.json", "train_part.json", "normaliser.npz", *own)


def _localised(model: ModelSpec, folder: Path) -> ModelSpec:
    """The model with the files of its feature read from the run directory."""
    plugin = plugins.feature(model.feature)
    if not isinstance(plugin, plugins.ReadsFiles):
        return model
    local = plugin.localise(model.feature_config, folder)
    return ModelSpec(model.feature, local, model.architecture, model.architecture_config)


def _built(model: ModelSpec, info: RunInfo) -> torch.nn.Module:
    architecture = plugins.architecture(model.architecture)
    return architecture.build(model.architecture_config, info.n_features, len(info.labels))


def _check_shapes(model: ModelSpec, info: RunInfo, weights: Path) -> None:
    """Refuse weights that do not fit the settings, before a network of that size takes up memory.

    Raises:
        ValueError: naming the first tensor that is missing, unexpected or of another shape.
    """
    with torch.device("meta"):  # tensors with a shape and no memory
        expected = {name: list(t.shape) for name, t in _built(model, info).state_dict().items()}
    with safe_open(weights, "pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a dictionary
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"'{name}' has the shape {found.get(name)}, run.json implies {expected.get(name)}")


def _normaliser(arrays: Mapping[str, Array], n_features: int) -> Normaliser:
    mean, scale = arrays["mean"], arrays["scale"]
    if any(a.shape != (n_features,) or a.dtype != np.float32 or not np.isfinite(a).all() for a in (mean, scale)):
        raise ValueError(f"normaliser.npz does not hold {n_features} means and scales")
    return Normaliser(mean, scale)
