"""One number for a (seed x level) matrix of scores: median, interquartile mean.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", NeurIPS 2021, section 4; their library is rliable. Differs in: missing runs are allowed.

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
    """Median over levels of each level's mean over seeds. Raises `ValueError` as `check_matrix` does."""
    return float(np.median(np.nanmean(check_matrix(scores), axis=0)))


def interquartile_mean(scores: Matrix) -> float:
    """Mean of the middle half of all S*L values; floor(S*L/4) values are cut at either end.

    Where runs are missing every level counts the same: as if each of its values were there equally often, and as often
    together as the values of any other level. Raises `ValueError` as `check_matrix` does.
    """
    columns = [column[~np.isnan(column)].tolist() for column in check_matrix(scores).T]
    rows = math.lcm(*map(len, columns))
    copies = sorted((value, rows // len(column)) for column in columns for value in column)
    total = rows * len(columns)
    cut = int(TRIMMED * total)
    kept, seen = [], 0
    for value, count in copies:
        inside = max(0, min(seen + count, total - cut) - max(seen, cut))
        kept.append(value * (inside / (total - 2 * cut)))
        seen += count
    return math.fsum(kept)


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
