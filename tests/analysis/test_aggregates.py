"""Aggregates against slow plain twins, and what must hold for any matrix."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from metta.analysis.aggregates import AGGREGATES, interquartile_mean, median
from metta.analysis.comparison import profile
from tests.analysis.scores import Matrix, matrices


def plain(name: str, matrix: Matrix) -> float:
    """The aggregate as a loop over exact fractions."""
    rows = [[Fraction(float(value)) for value in row] for row in matrix]
    values = sorted(value for row in rows for value in row)
    if name == "interquartile mean":
        cut = len(values) // 4
        kept = values[cut : len(values) - cut]
        return float(sum(kept) / len(kept))
    levels = sorted(sum(column) / len(column) for column in zip(*rows, strict=True))
    half = len(levels) // 2
    return float(levels[half] if len(levels) % 2 else (levels[half - 1] + levels[half]) / 2)


@settings(deadline=None)
@given(matrices())
def test_equal_to_the_plain_twins(matrix: Matrix) -> None:
    for name, statistic in AGGREGATES.items():
        assert statistic(matrix) == pytest.approx(plain(name, matrix), abs=1e-12), name


@given(matrices())
def test_order_of_seeds_and_levels_does_not_matter(matrix: Matrix) -> None:
    turned = matrix[::-1, ::-1]
    for name, statistic in AGGREGATES.items():
        assert statistic(turned) == pytest.approx(statistic(matrix), abs=1e-12), name


@given(matrices())
def test_means_lie_between_the_ends_and_move_with_the_scores(matrix: Matrix) -> None:
    for statistic in AGGREGATES.values():
        value = statistic(matrix)
        assert matrix.min() - 1e-12 <= value <= matrix.max() + 1e-12
        assert statistic(matrix + 2) == pytest.approx(value + 2, abs=1e-12)


@given(matrices(gaps=True))
def test_with_gaps_every_level_counts_the_same(matrix: Matrix) -> None:
    """As if each level's values were repeated until all levels have equally many."""
    columns = [column[~np.isnan(column)] for column in matrix.T]
    rows = math.lcm(*(column.size for column in columns))
    full = np.stack([np.repeat(column, rows // column.size) for column in columns], axis=1)
    for name, statistic in AGGREGATES.items():
        assert statistic(matrix) == pytest.approx(plain(name, full), abs=1e-12), name
    thresholds = np.linspace(-1, 2, 7)
    assert profile(matrix, thresholds).tolist() == pytest.approx(profile(full, thresholds).tolist(), abs=1e-12)


def test_many_seeds_of_which_some_failed_take_no_more_memory_than_there_are() -> None:
    """Repeated until all levels have equally many, these would be 300 million values."""
    matrix = np.ones((50, 5))
    for level in range(5):
        matrix[:level, level] = np.nan
    assert interquartile_mean(matrix) == pytest.approx(1.0)
    assert profile(matrix, np.array([0.5, 1.5])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "matrix", [np.zeros((0, 2)), np.zeros(3), np.array([[np.inf]]), np.array([[1.0, np.nan], [2.0, np.nan]])]
)
def test_no_aggregate_of_what_is_no_matrix(matrix: Matrix) -> None:
    with pytest.raises(ValueError, match=r"matrix|finite|at least one seed"):
        interquartile_mean(matrix)
    with pytest.raises(ValueError, match=r"matrix|finite|at least one seed"):
        median(matrix)
