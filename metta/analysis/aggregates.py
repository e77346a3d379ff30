"""One number for a (seed x level) matrix of scores: median, interquartile mean.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", NeurIPS 2021, section 4; their library is rliable. Differs in: missing runs are allowed (`balanced`).

S seeds, L levels.
"""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""[S, L] scores; NaN where a run is missing."""

TRIMMED = 0.25
"""Share of values that the interquartile mean leaves out at either end."""


def median(scores: Matrix) -> float:
    """Median over levels of each level's mean over seeds."""
    return float(np.median(scores.mean(axis=0)))


def interquartile_mean(scores: Matrix) -> float:
    """Mean of the middle half of all S*L values; floor(S*L/4) values are cut at either end."""
    flat = np.sort(scores, axis=None)
    cut = int(TRIMMED * flat.size)
    return float(flat[cut : flat.size - cut].mean())


AGGREGATES = {"interquartile mean": interquartile_mean, "median": median}
"""By the name that tables use."""


def check_matrix(scores: Matrix) -> Matrix:
    """`scores` as float64 [S, L]. Raises `ValueError` unless every level has a value and all are finite or NaN."""
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"scores must be a (seed x level) matrix with at least one value, not of shape {matrix.shape}")
    if np.isinf(matrix).any():
        raise ValueError("scores must be finite")
    if np.isnan(matrix).all(axis=0).any():
        raise ValueError("every level needs at least one seed")
    return matrix


def fewest_seeds(scores: Matrix) -> int:
    """Values on the level that has the fewest of them. Raises `ValueError` as `check_matrix` does."""
    return int((~np.isnan(check_matrix(scores))).sum(axis=0).min())


def balanced(scores: Matrix) -> Matrix:
    """[K, L] without gaps, in which every level counts the same: each level's values are repeated equally often.

    A matrix without gaps is returned as it is. K is the least common multiple of the numbers of seeds per level.
    Raises `ValueError` as `check_matrix` does.
    """
    matrix = check_matrix(scores)
    if not np.isnan(matrix).any():
        return matrix
    columns = [column[~np.isnan(column)] for column in matrix.T]
    rows = math.lcm(*(column.size for column in columns))
    return np.stack([np.repeat(column, rows // column.size) for column in columns], axis=1)
