"""Performance profiles of the architectures, and how far their intervals can be believed."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, fewest_seeds
from metta.analysis.bootstrap import COVERAGE
from metta.analysis.comparison import profile_band
from metta.analysis.findings.band import Band

PROFILE_POINTS = 101


def thresholds_of(matrices: Sequence[Matrix]) -> NDArray[np.float64]:
    """Thresholds from the least value, at most 0, to the greatest."""
    if not matrices:
        return np.zeros(0)
    low = min(0.0, *(float(np.nanmin(matrix)) for matrix in matrices))
    high = max(float(np.nanmax(matrix)) for matrix in matrices)
    return np.linspace(low, high if high > low else low + 1.0, PROFILE_POINTS)


def profiles_of(matrices: Mapping[str, Matrix], thresholds: NDArray[np.float64], seed: int) -> dict[str, Band]:
    """Architecture -> share of its runs above each threshold, with a bootstrap band."""
    profiles = {}
    for name, matrix in matrices.items():
        middle, (low, high) = profile_band(matrix, thresholds, seed)
        profiles[name] = Band(thresholds, middle, low, high)
    return profiles


def coverage_of(matrices: Mapping[str, Matrix]) -> float | None:
    """Share of intervals that cover the truth: the simulated one of the next smaller case in the table.

    That of the architecture with the fewest seeds counts, of those that have an interval; None if none has.
    """
    counts = [seeds for matrix in matrices.values() if (seeds := fewest_seeds(matrix)) > 1]
    if not counts:
        return None
    seeds = min(counts)
    levels = next(iter(matrices.values())).shape[1]
    return max((share for (n, m), share in COVERAGE.items() if n <= seeds and m <= levels), default=None)
