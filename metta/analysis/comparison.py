"""Architectures against each other: probability of improvement, performance profiles, distribution of ranks.

Source: Agarwal et al. 2021 (see aggregates.py), section 4.2 and 4.3.

S seeds, L levels, R resamples, K thresholds, P architectures.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, balanced, check_matrix, fewest_seeds
from metta.analysis.bootstrap import RESAMPLES, percentile_interval, resamples
from metta.analysis.intervals import Interval


def win_share(a: Matrix, b: Matrix) -> Matrix:
    """[...] probability that a run of A beats a run of B on a level drawn at random; a draw counts one half.

    Args:
        a: [..., S, L] scores of A, without gaps.
        b: [..., S', L] scores of B, without gaps.
    """
    own, other = a[..., :, None, :], b[..., None, :, :]
    return np.asarray(((own > other) + 0.5 * (own == other)).mean(axis=(-3, -2, -1)))


def improvement(a: Matrix, b: Matrix, seed: int, number: int = RESAMPLES) -> Interval:
    """Probability of improvement of A over B with its 95 % stratified bootstrap interval.

    No interval where one of the two has a single seed on some level: resamples of one value all agree, which is not
    certainty.

    Args:
        a: [S, L] scores of A, NaN where a run is missing.
        b: [S', L] scores of B on the same levels.
        seed: decides the draws; A and B are drawn independently.
        number: R.

    Raises:
        ValueError: the levels differ in number, or see `aggregates.check_matrix`.
    """
    a, b = check_matrix(a), check_matrix(b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"A has {a.shape[1]} levels, B has {b.shape[1]}")
    value = float(np.mean([win_share(balanced(x), balanced(y)) for x, y in _levels(a, b)]))
    if min(fewest_seeds(a), fewest_seeds(b)) < 2:
        return Interval(value, None, None)
    first, second = np.random.SeedSequence(seed).generate_state(2).tolist()
    low, high = percentile_interval(win_share(resamples(a, number, first), resamples(b, number, second)))
    return Interval(value, float(low), float(high))


def _levels(a: Matrix, b: Matrix) -> list[tuple[Matrix, Matrix]]:
    """The [S, 1] columns of both, level by level."""
    return [(a[:, [level]], b[:, [level]]) for level in range(a.shape[1])]


def profile(scores: Matrix, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., K] share of the values of [..., S, L] that are above each threshold (score distribution of runs)."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.stack([(flat > threshold).mean(axis=-1) for threshold in thresholds], axis=-1)


def profile_band(
    scores: Matrix, thresholds: NDArray[np.float64], seed: int, number: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The profile [K] of a (seed x level) matrix, and its pointwise 95 % interval [2, K].

    Where some level has a single seed there is no interval: both ends are the profile itself.
    """
    matrix = check_matrix(scores)
    middle = profile(balanced(matrix), thresholds)
    if fewest_seeds(matrix) < 2:
        return middle, np.stack([middle, middle])
    return middle, percentile_interval(profile(resamples(matrix, number, seed), thresholds))


def rank_distribution(scores: Mapping[str, Matrix], seed: int, number: int = RESAMPLES) -> dict[str, list[float]]:
    """Per architecture, the probability of being 1st, 2nd, ... P-th on a level drawn at random.

    Each draw takes one run of every architecture per level and ranks them; equal scores share their places by lot.

    Args:
        scores: architecture -> [S, L], all with the same levels; numbers of seeds may differ.
        seed: decides the draws.
        number: draws per level.

    Raises:
        ValueError: see `aggregates.check_matrix`.
    """
    if not scores:
        return {}
    generator = np.random.default_rng(seed)
    matrices = [check_matrix(matrix) for matrix in scores.values()]
    places = np.zeros((len(matrices), len(matrices)))
    for level in range(matrices[0].shape[1]):
        values = np.empty((number, len(matrices)))
        for index, matrix in enumerate(matrices):
            present = matrix[~np.isnan(matrix[:, level]), level]
            values[:, index] = present[generator.integers(0, present.size, number)]
        order = np.lexsort((generator.random(values.shape), -values), axis=-1)
        for place in range(len(matrices)):
            places[:, place] += np.bincount(order[:, place], minlength=len(matrices))
    places /= places.sum(axis=1, keepdims=True)
    return {name: places[index].tolist() for index, name in enumerate(scores)}


def mean_rank(distribution: Sequence[float]) -> float:
    """Expected place, 1 is best."""
    return float(sum((place + 1) * share for place, share in enumerate(distribution)))
