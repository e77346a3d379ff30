"""The stratified bootstrap: where draws come from, the seed argument, coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given

from metta.analysis.aggregates import interquartile_mean, mean
from metta.analysis.bootstrap import (
    COVERAGE,
    aggregate_intervals,
    bootstrap_interval,
    percentile_interval,
    resamples,
)
from tests.analysis.scores import Matrix, matrices, random_matrix


@given(matrices(gaps=True))
def test_draws_stay_within_their_level(matrix: Matrix) -> None:
    drawn = resamples(matrix, 20, seed=1)
    assert drawn.shape == (20, *matrix.shape)
    for level in range(matrix.shape[1]):
        assert set(drawn[:, :, level].ravel()) <= set(matrix[:, level])


def test_every_seed_is_drawn_equally_often_and_levels_apart() -> None:
    drawn = resamples(np.array([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]]), 20_000, seed=3)
    shares = [(drawn[:, 0, 0] == value).mean() for value in (0.0, 1.0, 2.0)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.015)
    assert abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 0, 1])[0, 1]) < 0.03
    assert abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]) < 0.03


def test_the_seed_argument_decides() -> None:
    matrix = random_matrix(0)
    first = aggregate_intervals(matrix, seed=1, number=200)
    assert first == aggregate_intervals(matrix, seed=1, number=200)
    assert first != aggregate_intervals(matrix, seed=2, number=200)
    state = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    aggregate_intervals(matrix, seed=1, number=200)
    assert state == np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002


def test_two_seeds_are_drawn_exactly_as_enumerated() -> None:
    """Of 0 and 1, the mean of two draws is 0, 1/2 or 1 with probability 1/4, 1/2, 1/4."""
    means = mean(resamples(np.array([[0.0], [1.0]]), 40_000, seed=5))
    assert [(means == value).mean() for value in (0.0, 0.5, 1.0)] == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


@pytest.mark.parametrize(("seeds", "levels"), [(3, 1), (3, 5), (10, 5)])
def test_coverage_is_what_the_table_says(seeds: int, levels: int) -> None:
    generator = np.random.default_rng(seeds * 100 + levels)
    covered = []
    for trial in range(800):
        interval = bootstrap_interval(generator.normal(2.0, 0.3, (seeds, levels)), mean, seed=trial, number=400)
        assert interval.low is not None
        assert interval.high is not None
        covered.append(interval.low <= 2.0 <= interval.high)
    assert np.mean(covered) == pytest.approx(COVERAGE[seeds, levels], abs=0.04)


def test_many_seeds_cover_as_promised() -> None:
    generator = np.random.default_rng(0)
    covered = []
    for trial in range(600):
        interval = bootstrap_interval(generator.normal(2.0, 0.3, (30, 2)), interquartile_mean, seed=trial, number=400)
        assert interval.low is not None
        assert interval.high is not None
        covered.append(interval.low <= 2.0 <= interval.high)
    assert np.mean(covered) == pytest.approx(0.945, abs=0.03)


def test_one_seed_has_no_interval() -> None:
    assert bootstrap_interval(np.array([[0.25, 0.75]]), mean, seed=0) == (0.5, None, None)


def test_one_seed_on_one_level_has_no_interval() -> None:
    """It would count as known exactly, and the interval would be too narrow without a word."""
    gaps = np.array([[0.25, 0.75], [0.75, np.nan], [0.5, np.nan]])
    for name, interval in aggregate_intervals(gaps, seed=0, number=20).items():
        assert (interval.low, interval.high) == (None, None), name


def test_intervals_shrink_with_the_number_of_seeds() -> None:
    def width(seeds: int) -> float:
        low, high = percentile_interval(mean(resamples(random_matrix(1, seeds), 500, seed=0)))
        return float(high - low)

    assert width(64) < width(16) < width(4)
