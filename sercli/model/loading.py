"""Loading a finished run, a single model or an ensemble, from its directory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from sercli import config, contracts, plugins, runs
from sercli.dataset import extraction
from sercli.errors import SerError
from sercli.model import spec
from sercli.model.batches import Normaliser
from sercli.model.inference import Ensemble, Model
from sercli.types import Array, ModelSpec


def load_run(folder: Path, device: torch.device) -> Model | Ensemble:
    """Return a finished run's model or ensemble.

    Raises:
        SerError: not a run, unfinished, damaged, or made by another version.
    """
    info = runs.load_single(folder)
    if info.kind == "model":
        return load_model(folder, device)
    members = {name: load_model(folder / "members" / name, device) for name in info.settings.members}
    runs.check_labels([folder, *(m.folder for m in members.values())], [info, *(m.info for m in members.values())])
    tuned = folder / "encoders"
    encoders = {name: load_model(tuned / name, device) for name in members} if tuned.is_dir() else members
    rule = plugins.fusion_rule(info.name)
    state = runs.read_arrays(folder / "state.npz") if plugins.learns(rule) else {}
    rule_config = config.build(rule.Config, info.settings.ensemble, "ensemble")
    return Ensemble(folder, info, members, encoders, rule, rule_config, state)


def load_model(folder: Path, device: torch.device) -> Model:
    """Return the model of a finished run, which must not be an ensemble.

    Raises:
        SerError: not a run, an ensemble, unfinished, damaged, or made by another version.
    """
    extraction.extractor.cache_clear()  # it may have read files that have changed since
    info = runs.load_single(folder)
    if info.kind != "model":
        raise SerError(f"{folder} is an {info.kind}; give a single model.")
    model, features = spec.model_of(info.settings.sections()), []
    for name, own in model.features:
        plugin = plugins.feature(name)
        features.append((name, plugin.localise(own, folder) if isinstance(plugin, contracts.ReadsFiles) else own))
    model = replace(model, features=tuple(features))
    try:
        normalisers = _normalisers(runs.read_arrays(folder / "normaliser.npz"), len(model.features), info.n_features)
        with torch.device("meta"):  # tensors without memory, of which a stranger's settings may ask for any amount
            module = spec.network(model, [len(normaliser.mean) for normaliser in normalisers], len(info.labels))
        weights = (folder / "weights.safetensors").read_bytes()  # not mapped: the file may be replaced meanwhile
        module.load_state_dict(load(weights), assign=True)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip(" \t.")  # torch's first is a head
        raise SerError(
            f"{folder}: the weights cannot be read ({reason}); train the run again, or copy it again."
        ) from None
    return Model(folder, info, model, module.to(device, torch.float32).eval(), normalisers, device)


def files_of(model: ModelSpec) -> tuple[str, ...]:
    """Names of the files in a run directory that its model needs beside the weights."""
    found = (plugins.feature(name) for name, _ in model.features)
    own = (file for plugin in found if isinstance(plugin, contracts.ReadsFiles) for file in plugin.FILES)
    return ("split.json", "train_part.json", "normaliser.npz", *own)


def _normalisers(arrays: Mapping[str, Array], n_inputs: int, n_features: int) -> tuple[Normaliser, ...]:
    found = [(arrays[f"mean{end}"], arrays[f"scale{end}"]) for end in ("", *range(1, n_inputs))]
    for mean, scale in found:
        floats = all(array.dtype == np.float32 and np.isfinite(array).all() for array in (mean, scale))
        if not floats or mean.ndim != 1 or mean.shape != scale.shape:
            raise ValueError("normaliser.npz does not hold means and scales")
    if sum(len(mean) for mean, _ in found) != n_features:
        raise ValueError(f"normaliser.npz does not hold {n_features} means and scales")
    return tuple(Normaliser(mean, scale) for mean, scale in found)


def normaliser_arrays(normalisers: Sequence[Normaliser]) -> dict[str, Array]:
    """Return the content of normaliser.npz: `mean` and `scale` of the first input, `mean1` and `scale1`, ..."""
    named = enumerate(normalisers)
    return {f"{what}{n or ''}": array for n, one in named for what, array in (("mean", one.mean), ("scale", one.scale))}
