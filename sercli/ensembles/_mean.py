"""The mean of members, shared by rules."""

from collections.abc import Sequence

import numpy as np

from sercli.types import Array, Predictions


def mean(members: Sequence[Predictions]) -> Array:
    """(N, K): the mean over the members that have input; NaN where none has."""
    probs = np.stack([member.probs for member in members])  # (M, N, K)
    n_members = (~np.isnan(probs)).sum(axis=0)
    return np.where(n_members, np.nansum(probs, axis=0) / np.maximum(n_members, 1), np.nan)
