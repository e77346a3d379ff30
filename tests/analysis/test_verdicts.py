"""Verdicts: rarely false, rarely silent about what they say they could have shown, and in plain words."""

import math

import numpy as np
import pytest
from hypothesis import given

from metta.analysis.verdicts import (
    POWER,
    Difference,
    difference,
    holm,
    judge,
    pooled_deviation,
    smallest_by_seeds,
    smallest_difference,
)
from tests.analysis.scores import Matrix, matrices, random_matrix


def test_one_level_is_the_textbook_welch_test() -> None:
    """Worked by hand: means 2 and 5, variances 1 and 4 over 3 and 4 seeds."""
    a, b = np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [4.0], [5.0], [8.0]])
    variance_b = ((3 - 5) ** 2 + (4 - 5) ** 2 + 0 + 9) / 3
    error = math.sqrt(1 / 3 + variance_b / 4)
    degrees = error**4 / ((1 / 3) ** 2 / 2 + (variance_b / 4) ** 2 / 3)
    assert difference(a, b) == (-3.0, pytest.approx(error), math.floor(degrees))


@given(matrices(levels=3, gaps=True))
def test_the_other_way_round_is_the_negative(a: Matrix) -> None:
    b = random_matrix(1, levels=3)
    forth, back = difference(a, b), difference(b, a)
    assert forth.value == pytest.approx(-back.value)
    assert forth.p_value == pytest.approx(back.p_value)
    assert 0 <= forth.p_value <= 1


@pytest.mark.parametrize(("seeds", "levels"), [(2, 1), (3, 1), (3, 5)])
def test_equal_architectures_are_called_different_in_at_most_five_percent(seeds: int, levels: int) -> None:
    generator = np.random.default_rng(seeds + 10 * levels)
    p_values = [
        difference(generator.normal(0, 1, (seeds, levels)), generator.normal(0, 2, (seeds, levels))).p_value
        for _ in range(3000)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.063


def test_a_whole_table_of_equals_rarely_holds_one_false_call() -> None:
    generator = np.random.default_rng(7)
    tables = [judge({f"a{i}": generator.normal(0, 1, (3, 5)) for i in range(6)}) for _ in range(400)]
    assert np.mean([any(verdict.better for verdict in table) for table in tables]) <= 0.075


@pytest.mark.parametrize(
    ("seeds", "levels", "pairs"),
    [
        *[(2, 1, 1), (3, 1, 1), (3, 1, 3), (3, 1, 78), (5, 1, 1)],
        *[(2, 2, 78), (3, 2, 78), (2, 5, 78), (3, 5, 1), (3, 5, 78), (10, 5, 78)],
    ],
)
def test_the_smallest_difference_is_called_four_times_in_five(seeds: int, levels: int, pairs: int) -> None:
    generator = np.random.default_rng(seeds * levels + pairs)
    true = smallest_by_seeds(0.3, levels, [seeds], pairs)[seeds]
    called = [
        difference(generator.normal(true, 0.3, (seeds, levels)), generator.normal(0, 0.3, (seeds, levels))).p_value
        <= 0.05 / pairs
        for _ in range(2000)
    ]
    assert np.mean(called) == pytest.approx(POWER, abs=0.03)


@pytest.mark.parametrize(("degrees", "pairs"), [(1, 1), (2, 78), (4, 78), (30, 78)])
def test_the_smallest_difference_of_a_pair_is_called_four_times_in_five(degrees: int, pairs: int) -> None:
    """The error that a table shows is spread around the true one, here 0.5, like the root of chi squared."""
    generator = np.random.default_rng(degrees * pairs)
    true = smallest_difference(0.5, degrees, pairs)
    errors = 0.5 * np.sqrt(generator.chisquare(degrees, 3000) / degrees)
    values = generator.normal(true, 0.5, 3000)
    called = [
        Difference(value, error, degrees).p_value <= 0.05 / pairs
        for value, error in zip(values.tolist(), errors.tolist(), strict=True)
    ]
    assert np.mean(called) == pytest.approx(POWER, abs=0.03)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e307])
def test_the_unit_of_the_scores_does_not_matter(unit: float) -> None:
    a, b = random_matrix(0), random_matrix(1, shift=0.2)
    plain, found = difference(a, b), difference(a * unit, b * unit)
    assert found.value / unit == pytest.approx(plain.value)
    assert found.p_value == pytest.approx(plain.p_value)
    assert found.degrees == plain.degrees


def test_more_seeds_show_less() -> None:
    table = list(smallest_by_seeds(1.0, 2, [2, 3, 5, 10]).values())
    assert table == sorted(table, reverse=True)
    assert smallest_difference(0.1, 10, pairs=78) > smallest_difference(0.1, 10)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.02, 0.024, 0.012]) == [True, True, True]
    assert holm([]) == []


def test_words() -> None:
    scores = {"good": random_matrix(0, shift=2.0), "bad": random_matrix(1), "same": random_matrix(2)}
    words = [verdict.words for verdict in judge(scores)]
    assert words[:2] == ["good better than bad", "good better than same"]
    apart = judge({"x": random_matrix(0), "y": random_matrix(0)})[0]
    assert apart.words == "x and y: not distinguishable with 3 seeds"
    assert apart.smallest is not None
    assert apart.smallest > 0
    single = judge({"x": random_matrix(0, seeds=1), "y": random_matrix(1, shift=9.0)})[0]
    assert single.words == "x and y: not distinguishable with 1 seed (two are the least that show a spread)"
    assert single.smallest is None
    flat = judge({"x": np.zeros((3, 2)), "y": np.ones((3, 2))})[0]
    assert flat.words == "x and y: not distinguishable, as seeds show no spread to judge by"


def test_pooled_deviation() -> None:
    assert pooled_deviation([np.array([[0.0, 5.0], [2.0, 9.0]]), np.array([[1.0, np.nan], [np.nan, 1.0]])]) == (
        pytest.approx(math.sqrt((2 + 8) / 2))
    )
    assert pooled_deviation([np.array([[0.0, 5.0]])]) is None
