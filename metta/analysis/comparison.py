"""Architectures against each other: probability of improvement, mean places, performance profiles.

Source: Agarwal et al. 2021 (see aggregates.py), section 4.2 and 4.3.

S seeds, L levels, K thresholds.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, check_matrix


def improvement(a: Matrix, b: Matrix) -> float:
    """Probability that a run of A beats a run of B on a level drawn at random; a draw counts one half.

    Args:
        a: [S, L] scores of A, NaN where a run is missing.
        b: [S', L] scores of B on the same levels.

    Raises:
        ValueError: the levels differ in number, or see `aggregates.check_matrix`.
    """
    a, b = check_matrix(a), check_matrix(b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"A has {a.shape[1]} levels, B has {b.shape[1]}")
    shares = []
    for own, other in zip(a.T, b.T, strict=True):
        own, other = own[~np.isnan(own), None], other[None, ~np.isnan(other)]
        shares.append(float(((own > other) + 0.5 * (own == other)).mean()))
    return float(np.mean(shares))


def improvements(scores: Mapping[str, Matrix]) -> dict[tuple[str, str], float]:
    """`improvement` of every architecture over every other."""
    return {(a, b): improvement(scores[a], scores[b]) for a in scores for b in scores if a != b}


def mean_places(found: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Expected place, 1 is best, when one run of every architecture is drawn on a random level; from `improvements`."""
    names = dict.fromkeys(name for pair in found for name in pair)
    return {name: 1 + sum(share for (_, loser), share in found.items() if loser == name) for name in names}


def profile(scores: Matrix, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """[K] share of the values of [S, L] (NaN: a missing run) that are above each threshold; levels count alike."""
    columns = [column[~np.isnan(column)] for column in check_matrix(scores).T]
    return np.mean([(column[None, :] > thresholds[:, None]).mean(axis=1) for column in columns], axis=0)
