"""Whether two measures put the same things in the same order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's: the correlation of ranks, equal values sharing theirs; None where either measure is constant."""
    first, second = _ranks(np.asarray(one, float)), _ranks(np.asarray(other, float))
    if len(one) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the smallest; means of ranks among equals."""
    below, equal = values[:, None] > values, values[:, None] == values
    ranks: NDArray[np.float64] = below.sum(1) + (equal.sum(1) + 1) / 2
    return ranks
