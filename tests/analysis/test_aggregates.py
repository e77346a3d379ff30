"""Aggregates against slow plain twins, and what must hold for any matrix."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from metta.analysis.aggregates import AGGREGATES, balanced, interquartile_mean, mean, median, optimality_gap
from tests.analysis.scores import Matrix, matrices, random_matrix


def plain(name: str, matrix: Matrix) -> float:
    """The aggregate as a loop over exact fractions."""
    rows = [[Fraction(float(value)) for value in row] for row in matrix]
    values = sorted(value for row in rows for value in row)
    if name == "mean":
        return float(sum(values) / len(values))
    if name == "interquartile mean":
        cut = len(values) // 4
        kept = values[cut : len(values) - cut]
        return float(sum(kept) / len(kept))
    if name == "optimality gap":
        return float(sum(1 - min(value, Fraction(1)) for value in values) / len(values))
    levels = sorted(sum(column) / len(column) for column in zip(*rows, strict=True))
    half = len(levels) // 2
    return float(levels[half] if len(levels) % 2 else (levels[half - 1] + levels[half]) / 2)


@settings(deadline=None)
@given(matrices())
def test_equal_to_the_plain_twins(matrix: Matrix) -> None:
    for name, statistic in AGGREGATES.items():
        assert float(statistic(matrix)) == pytest.approx(plain(name, matrix), abs=1e-12), name


@given(matrices())
def test_order_of_seeds_and_levels_does_not_matter(matrix: Matrix) -> None:
    turned = matrix[::-1, ::-1]
    for name, statistic in AGGREGATES.items():
        assert float(statistic(turned)) == pytest.approx(float(statistic(matrix)), abs=1e-12), name


@given(matrices())
def test_means_lie_between_the_ends_and_move_with_the_scores(matrix: Matrix) -> None:
    for statistic in (mean, median, interquartile_mean):
        value = float(statistic(matrix))
        assert matrix.min() - 1e-12 <= value <= matrix.max() + 1e-12
        assert float(statistic(matrix + 2)) == pytest.approx(value + 2, abs=1e-12)


def test_a_surplus_does_not_close_the_gap() -> None:
    assert float(optimality_gap(np.array([[0.5, 3.0]]))) == 0.25


def test_leading_axes_are_kept() -> None:
    stack = np.stack([random_matrix(seed) for seed in range(4)])
    for statistic in AGGREGATES.values():
        assert statistic(stack).tolist() == pytest.approx([float(statistic(matrix)) for matrix in stack])


@given(matrices(gaps=True))
def test_with_gaps_every_level_counts_the_same(matrix: Matrix) -> None:
    full = balanced(matrix)
    assert not np.isnan(full).any()
    assert full.mean(axis=0).tolist() == pytest.approx(np.nanmean(matrix, axis=0).tolist(), abs=1e-12)


@pytest.mark.parametrize(
    "matrix", [np.zeros((0, 2)), np.zeros(3), np.array([[np.inf]]), np.array([[1.0, np.nan], [2.0, np.nan]])]
)
def test_no_aggregate_of_what_is_no_matrix(matrix: Matrix) -> None:
    with pytest.raises(ValueError, match=r"matrix|finite|at least one seed"):
        balanced(matrix)
