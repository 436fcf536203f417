"""The size of the networks of a run."""

from math import prod
from pathlib import Path

from safetensors import safe_open

from sercli.runs import read_arrays

_COUNTED = ("running_mean", "running_var", "num_batches_tracked")  # by batch normalisation; no parameters


def n_parameters(folder: Path) -> int:
    """The parameters of all networks in a run directory, those of an ensemble's members and rule as well."""
    n = sum(array.size for path in folder.rglob("state.npz") for array in read_arrays(path).values())
    for path in folder.rglob("weights.safetensors"):
        with safe_open(path, "np") as file:
            names = [name for name in file.keys() if not name.endswith(_COUNTED)]  # noqa: SIM118 - not a dictionary
            n += sum(prod(file.get_slice(name).get_shape()) for name in names)
    return n
