"""Verdicts: rarely false, rarely silent about what they say they could have shown, in plain words and in tiers."""

import math

import numpy as np
import pytest
from hypothesis import given

from metta.analysis.verdicts import (
    POWER,
    Verdict,
    critical,
    judge,
    pair_errors,
    pooled_deviation,
    smallest_by_seeds,
    tiers,
)
from tests.analysis.scores import Matrix, matrices, random_matrix


def test_one_level_by_hand() -> None:
    """Variances 1, 4 and 1 over 3 seeds: pooled 2, so the pairs with the second are judged by their own, 5/3."""
    scores = {"a": [1, 2, 3], "b": [3, 5, 7], "c": [4, 5, 6]}
    found = judge({name: np.array(values, float)[:, None] for name, values in scores.items()})
    assert [verdict.value for verdict in found] == [-3.0, -3.0, 0.0]
    errors = [math.sqrt(5 / 3), math.sqrt(4 / 3), math.sqrt(5 / 3)]
    assert [verdict.error for verdict in found] == pytest.approx(errors)
    assert [verdict.needed for verdict in found] == pytest.approx([error * critical(3, 6) for error in errors])


@pytest.mark.parametrize("seeds", [2, 3, 5, 9])
def test_seeds_that_are_all_equal_have_no_spread_whatever_their_mean_is_rounded_to(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    for values in generator.integers(0, 200, (100, 3)) / 192:  # hearts per agent of 16 episodes of 12 agents
        matrices = {name: np.full((seeds, 1), value) for name, value in zip("abc", values, strict=True)}
        assert {verdict.needed for verdict in judge(matrices)} == {None}
        assert pooled_deviation(list(matrices.values())) == 0


def test_unequal_numbers_of_seeds_and_levels_by_hand() -> None:
    variances, counts = np.array([[1.0, 3.0], [2.0, 3.0]]), np.array([[2, 3], [4, 3]])
    errors, degrees = pair_errors(variances, counts)
    first, second = (1 + 2) / 2 * (1 / 2 + 1 / 4) / 4, 3 * (1 / 3 + 1 / 3) / 4
    assert errors.tolist() == pytest.approx([math.sqrt(first + second)])
    assert degrees.tolist() == [math.floor((first + second) ** 2 / (first**2 / 3 + second**2 / 4))]


@pytest.mark.parametrize(("architectures", "seeds"), [(2, 20), (3, 2), (13, 3)])
def test_with_equal_seeds_the_degrees_of_freedom_are_tukey_s(architectures: int, seeds: int) -> None:
    counts = np.full((architectures, 1), seeds)
    _, degrees = pair_errors(np.ones((architectures, 1)), counts)
    assert set(degrees.tolist()) == {architectures * (seeds - 1)}


@given(matrices(levels=3, gaps=True))
def test_the_other_way_round_is_the_negative(a: Matrix) -> None:
    b, c = random_matrix(1, levels=3), random_matrix(2, levels=3)
    forth, back = judge({"a": a, "b": b, "c": c})[0], judge({"b": b, "a": a, "c": c})[0]
    assert forth.value == pytest.approx(-back.value)
    assert (forth.better, forth.seeds) == (back.better, back.seeds)


@pytest.mark.parametrize("high", [0, 1, 4, 7])
@pytest.mark.parametrize(("seeds", "levels"), [(2, 1), (3, 1), (10, 1), (3, 5)])
def test_a_table_of_equals_holds_a_false_call_in_less_than_five_percent(seeds: int, levels: int, high: int) -> None:
    """Some of the thirteen have four times the variance of the others; 1500 tables, so that 6.6 % would be chance."""
    generator = np.random.default_rng(seeds + 10 * levels + 100 * high)
    spread = np.where(np.arange(13) < high, 2.0, 1.0)[:, None]
    variances = spread**2 * generator.chisquare(seeds - 1, (1500, 13, levels)) / (seeds - 1)
    means = (spread * generator.standard_normal((1500, 13, levels)) / math.sqrt(seeds)).mean(axis=-1)
    errors, degrees = pair_errors(variances, np.full((13, levels), seeds))
    a, b = np.triu_indices(13, 1)
    known = {freedom: critical(13, freedom) for freedom in np.unique(degrees).tolist()}
    needed = errors * np.vectorize(known.get)(degrees)
    assert (np.abs(means[:, a] - means[:, b]) > needed).any(axis=1).mean() <= 0.066


@pytest.mark.parametrize(("seeds", "levels", "architectures"), [(2, 1, 2), (3, 1, 13), (5, 2, 3), (3, 5, 13)])
def test_the_smallest_difference_is_called_four_times_in_five(seeds: int, levels: int, architectures: int) -> None:
    generator = np.random.default_rng(seeds * levels + architectures)
    true = smallest_by_seeds(0.3, architectures, levels, [seeds])[seeds]
    called = 0
    for _ in range(600):
        table = {str(place): generator.normal(0, 0.3, (seeds, levels)) for place in range(architectures)}
        table["0"] += true
        called += judge(table)[0].better == "0"
    assert called / 600 == pytest.approx(POWER, abs=0.06)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e307])
def test_the_unit_of_the_scores_does_not_matter(unit: float) -> None:
    a, b = random_matrix(0), random_matrix(1, shift=0.2)
    plain, found = judge({"a": a, "b": b})[0], judge({"a": a * unit, "b": b * unit})[0]
    assert found.value / unit == pytest.approx(plain.value)
    assert plain.needed is not None
    assert found.needed is not None
    assert found.needed / unit == pytest.approx(plain.needed)


def test_more_seeds_show_less_and_more_architectures_more() -> None:
    table = list(smallest_by_seeds(1.0, 13, 2, [2, 3, 5, 10]).values())
    assert table == sorted(table, reverse=True)
    assert critical(13, 10) > critical(3, 10)


def test_words() -> None:
    scores = {"good": random_matrix(0, shift=2.0), "bad": random_matrix(1), "same": random_matrix(2)}
    words = [verdict.words for verdict in judge(scores)]
    assert words[:2] == ["good is better than bad", "good is better than same"]
    apart = judge({"x": random_matrix(0), "y": random_matrix(0)})[0]
    assert apart.words == "x and y: not distinguishable with 3 seeds"
    single = judge({"x": random_matrix(0, seeds=1), "y": random_matrix(1, shift=9.0)})[0]
    assert single.words == "x and y: not distinguishable with 1 seed (two are the least that show a spread)"
    assert single.needed is None
    flat = judge({"x": np.zeros((3, 2)), "y": np.ones((3, 2))})[0]
    assert flat.words == "x and y: not distinguishable, as seeds show no spread to judge by"
    assert judge({"alone": np.zeros((3, 2))}) == judge({}) == []


def test_tiers() -> None:
    def verdict(a: str, b: str, apart: bool) -> Verdict:
        return Verdict(a, b, 1.0, 0.1, 0.5 if apart else 2.0, 3)

    chain = [verdict("a", "b", False), verdict("b", "c", False), verdict("a", "c", True)]
    assert tiers(chain, ["a", "b", "c"]) == [["a", "b"], ["b", "c"]]
    assert tiers([verdict("a", "b", True)], ["a", "b"]) == [["a"], ["b"]]
    assert tiers([verdict("a", "b", False)], ["a", "b"]) == [["a", "b"]]
    assert tiers([], []) == []


def test_pooled_deviation() -> None:
    assert pooled_deviation([np.array([[0.0, 5.0], [2.0, 9.0]]), np.array([[1.0, np.nan], [np.nan, 1.0]])]) == (
        pytest.approx(math.sqrt((2 + 8) / 2))
    )
    assert pooled_deviation([np.array([[0.0, 5.0]])]) is None
