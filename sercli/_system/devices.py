"""Which device torch computes on."""

import platform
import re
from pathlib import Path

import torch

from sercli.errors import SerError, reason


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
        raise SerError(f"--device {name} cannot be used here ({reason(error)}); use --device cpu or auto.") from None
    return device


def bfloat16(*, wanted: bool) -> torch.autocast:
    """Return a context in which, if wanted, a CPU that has instructions for bfloat16 multiplies matrices in it."""
    has = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)  # which torch's first versions lack
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted and has())


def hardware(device: torch.device) -> str:
    """What a device is, for a report, such as "NVIDIA A100" or "Intel(R) Core(TM) i7-1165G7, 1 thread"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts, n = Path("/proc/cpuinfo"), torch.get_num_threads()
    model = re.search(r"^model name\s*: (.+)$", facts.read_text(), re.MULTILINE) if facts.exists() else None
    name = model[1] if model else platform.processor() or platform.machine()
    return f"{name}, {n} thread{'s' if n > 1 else ''}" if device.type == "cpu" else f"{name}, {device.type}"
