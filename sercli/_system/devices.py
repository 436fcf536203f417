"""Which device torch computes on."""

import torch

from sercli.errors import SerError


def pick_device(name: str) -> torch.device:
    """Return the torch device of this name; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises:
        SerError: torch cannot use such a device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # fails on torch's `meta` device, whose tensors have no values
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SerError(f"--device {name} cannot be used here ({reason}); use --device cpu or auto.") from None
    return device
