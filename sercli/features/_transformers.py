"""Loading networks with the library transformers, from a folder or from the model hub."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sercli._system.files import refuse_pipes
from sercli.contracts import Extractor
from sercli.errors import SerError, reason

_FEW = 1 << 20  # so many weights take neither memory nor time


def library(feature: str) -> Any:
    """Return the module transformers, imported here since that takes seconds, with warnings and progress bars off.

    Raises:
        SerError: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise SerError(f"The feature '{feature}' needs transformers; run: pip install 'transformers>=5'") from None
    for name in ("transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    return transformers


def pretrained(name: str, cls: Any, *, what: str, **options: Any) -> Any:
    """Return `cls.from_pretrained` of a folder, or of a name on the model hub.

    Raises:
        SerError: `name` is not a model of the kind `what`, or cannot be fetched.
    """
    folder = Path(name).expanduser()
    local = folder.is_dir()
    if not local and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise SerError(f"There is no folder {name}; check the path, or give a {what}'s name on the model hub.")
    if local:
        refuse_pipes(folder.iterdir())
    try:
        return cls.from_pretrained(str(folder) if local else name, **options)
    except Exception as error:  # network, hub, disk and each format of weights raise errors of their own
        why = reason(error)
    if local:
        raise SerError(f"{name} cannot be read as a {what} ({why}); copy or save it again.")
    raise SerError(
        f"The {what} '{name}' cannot be fetched ({why}); check its name and the network, "
        "or set feature.model to the folder of one."
    )


def network(name: str, settings: Any, auto_model: Any, *, what: str, dispensable: tuple[str, ...]) -> Any:
    """Return a network with float32 weights in evaluation mode.

    Args:
        name: as `pretrained` takes it.
        settings: its configuration.
        auto_model: the class `transformers.AutoModel`.
        what: the kind of model, for messages.
        dispensable: prefixes of the names of weights that may be missing.

    Raises:
        SerError: it cannot be read; or weights are missing (the library would draw them at random), of another shape or
            not finite.
    """
    settings._attn_implementation = None  # a stranger's choice may be code on the model hub
    _check_sizes(Path(name).expanduser() / "model.safetensors", settings, auto_model)
    options = {"config": settings, "output_loading_info": True, "ignore_mismatched_sizes": True}
    loaded, report = pretrained(name, auto_model, what=what, **options)
    unlike = {key for key, *_shapes in report["mismatched_keys"]}
    missing = sorted(key for key in report["missing_keys"] | unlike if not key.startswith(dispensable))
    if missing:
        raise SerError(
            f"{name}: weights are missing, or their shape differs from config.json ({', '.join(missing[:3])}); "
            "set feature.model to another model."
        )
    if not all(value.isfinite().all() for value in loaded.parameters()):
        raise SerError(f"{name}: weights are not finite; set feature.model to another model.")
    return loaded.float().eval()


def _check_sizes(weights: Path, settings: Any, auto_model: Any) -> None:
    """Refuse settings that claim more weights than the file has bytes, before they take up memory or time.

    Args:
        weights: the file; where it doesn't exist, as with a name on the model hub, nothing is checked.
        settings: the configuration of the network.
        auto_model: the class `transformers.AutoModel`.

    Raises:
        SerError: they do.
    """
    import torch

    if not weights.is_file():
        return
    most = max(weights.stat().st_size, _FEW)
    n_weights = (
        settings.num_hidden_layers * settings.hidden_size**2
    )  # at least; many layers take time even without content
    # Any other error is one that the library reports when it loads the network.
    with suppress(Exception), torch.device("meta"):
        if n_weights <= most:
            n_weights = sum(value.numel() for value in auto_model.from_config(settings).parameters())
    if n_weights > most:
        raise SerError(
            f"{weights.parent}: config.json claims {n_weights:,} weights, more than model.safetensors has bytes; "
            "copy or save it again."
        )


def tried(name: str, extractor: Extractor, example: Any, *, what: str) -> Extractor:
    """Return an extractor after one example: some impossible settings show only when the network computes.

    Raises:
        SerError: it fails, or its features are not finite.
    """
    try:
        (features,) = extractor([example])
    except Exception as error:  # whatever a network raises
        why = reason(error)
    else:
        if np.isfinite(features).all():
            return extractor
        why = "it computes numbers that are not finite"
    raise SerError(f"{name} cannot be used as a {what} ({why}); copy or save it again.")
