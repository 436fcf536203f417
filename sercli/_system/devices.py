"""Which device torch computes on."""

import torch

from sercli.errors import SerError


def pick_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; any name that torch knows works.

    Raises:
        SerError: torch cannot use such a device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # torch's `meta` device makes tensors, and holds no values
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SerError(f"--device {name} cannot be used here ({reason}); use --device cpu or auto.") from None
    return device
