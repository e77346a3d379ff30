"""Intervals by the stratified bootstrap: seeds are drawn with replacement within every level, levels are kept.

Source: Agarwal et al. 2021 (see aggregates.py), section 4.1 and appendix A.3; percentile intervals.
Differs in: the seed argument decides the draws (rliable ignores its own).

How far to trust them: the draws know only the spread among the few seeds there are, so the intervals are too narrow.
Share of 95 % intervals of the mean that cover the truth, for normal scores (`COVERAGE`, checked by a test). Verdicts
therefore do not rest on them (see verdicts.py).

S seeds, L levels, R resamples.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import AGGREGATES, Matrix, balanced, check_matrix, fewest_seeds
from metta.analysis.intervals import CONFIDENCE, Interval

RESAMPLES = 2000
"""Bootstrap draws; the ends of an interval then move by about 2 % of its width from one seed argument to another."""

COVERAGE: dict[tuple[int, int], float] = {
    **{(seeds, 1): share for seeds, share in zip((2, 3, 5, 10, 20), (0.51, 0.74, 0.83, 0.9, 0.93), strict=True)},
    **{(seeds, 2): share for seeds, share in zip((2, 3, 5, 10, 20), (0.67, 0.79, 0.89, 0.93, 0.93), strict=True)},
    **{(seeds, 5): share for seeds, share in zip((2, 3, 5, 10, 20), (0.77, 0.85, 0.9, 0.93, 0.94), strict=True)},
}
"""Number of seeds and levels -> share of 95 % intervals of the mean that cover the true mean."""


def resamples(scores: Matrix, number: int, seed: int) -> Matrix:
    """[R, S, L] draws of `scores` [S, L], seeds with replacement within each level.

    A level with missing runs is filled by more draws from those that are there.

    Args:
        scores: NaN where a run is missing.
        number: R.
        seed: decides the draws.

    Raises:
        ValueError: see `aggregates.check_matrix`.
    """
    matrix = check_matrix(scores)
    generator = np.random.default_rng(seed)
    drawn = np.empty((number, *matrix.shape))
    for level, column in enumerate(matrix.T):
        present = column[~np.isnan(column)]
        drawn[:, :, level] = present[generator.integers(0, present.size, (number, matrix.shape[0]))]
    return drawn


def percentile_interval(draws: NDArray[np.float64], confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """[2, ...] the ends between which the middle `confidence` of the R draws [R, ...] lie."""
    tail = (1 - confidence) / 2
    ends: NDArray[np.float64] = np.quantile(draws, [tail, 1 - tail], axis=0)
    return ends


def bootstrap_interval(
    scores: Matrix,
    statistic: Callable[[Matrix], Matrix],
    seed: int,
    number: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """A statistic of a (seed x level) matrix with its stratified bootstrap interval.

    A level with one seed has no spread to draw from, and would pass for one without any: the ends are then None.
    """
    matrix = check_matrix(scores)
    value = float(statistic(balanced(matrix)))
    if fewest_seeds(matrix) < 2:
        return Interval(value, None, None)
    low, high = percentile_interval(statistic(resamples(matrix, number, seed)), confidence)
    return Interval(value, float(low), float(high))


def aggregate_intervals(scores: Matrix, seed: int, number: int = RESAMPLES) -> dict[str, Interval]:
    """Every aggregate of `aggregates.AGGREGATES` with its 95 % interval, all from the same draws."""
    return {name: bootstrap_interval(scores, statistic, seed, number) for name, statistic in AGGREGATES.items()}
