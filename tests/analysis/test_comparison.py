"""Probability of improvement, profiles and ranks against plain twins and by their properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta.analysis.comparison import (
    improvement,
    mean_rank,
    profile,
    profile_band,
    rank_distribution,
    win_share,
)
from tests.analysis.scores import Matrix, matrices, random_matrix

FEW = 50


def plain_win_share(a: Matrix, b: Matrix) -> float:
    """Pair after pair."""
    points = []
    for level in range(a.shape[1]):
        pairs = list(itertools.product(a[:, level], b[:, level]))
        points.append(sum(1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs) / len(pairs))
    return sum(points) / len(points)


@given(st.data())
def test_win_share_is_the_plain_one_and_two_sides_add_to_one(data: st.DataObject) -> None:
    levels = data.draw(st.integers(1, 3))
    a, b = data.draw(matrices(levels)), data.draw(matrices(levels))
    assert float(win_share(a, b)) == pytest.approx(plain_win_share(a, b))
    assert float(win_share(a, b) + win_share(b, a)) == pytest.approx(1.0)
    assert improvement(a, b, seed=0, number=FEW).mean == pytest.approx(plain_win_share(a, b))


@given(matrices(gaps=True))
def test_gaps_do_not_shift_the_weight_of_levels(a: Matrix) -> None:
    b = random_matrix(2, seeds=2, levels=a.shape[1])
    by_level = [plain_win_share(a[~np.isnan(a[:, [i]]).ravel()][:, [i]], b[:, [i]]) for i in range(a.shape[1])]
    assert improvement(a, b, seed=0, number=FEW).mean == pytest.approx(np.mean(by_level))


def test_improvement_is_sure_of_the_sure_and_unsure_of_the_same() -> None:
    assert improvement(random_matrix(0, shift=5.0), random_matrix(0), seed=0) == (1.0, 1.0, 1.0)
    value, low, high = improvement(random_matrix(0), random_matrix(0), seed=0)
    assert value == 0.5
    assert low is not None
    assert high is not None
    assert low < 0.5 < high


@pytest.mark.parametrize("gap", [(slice(1, None), slice(None)), (slice(1, None), 0)])
def test_a_single_seed_on_either_side_is_no_certainty(gap: tuple[slice, slice | int]) -> None:
    few = random_matrix(0, shift=5.0)
    few[gap] = np.nan
    assert improvement(few, random_matrix(0), seed=0) == (1.0, None, None)
    assert improvement(random_matrix(0), few, seed=0) == (0.0, None, None)


def test_improvement_covers_the_truth() -> None:
    """For normal scores half a deviation apart the true value is Phi(0.5 / sqrt 2) = 0.638."""
    generator = np.random.default_rng(0)
    covered = []
    for trial in range(300):
        a, b = generator.normal(0.5, 1, (10, 3)), generator.normal(0, 1, (10, 3))
        _, low, high = improvement(a, b, seed=trial, number=200)
        assert low is not None
        assert high is not None
        covered.append(low <= 0.6382 <= high)
    assert np.mean(covered) == pytest.approx(0.94, abs=0.04)


def test_levels_must_agree() -> None:
    with pytest.raises(ValueError, match="A has 5 levels, B has 2"):
        improvement(random_matrix(0), random_matrix(0, levels=2), seed=0)


@given(matrices())
def test_profile_is_the_plain_share_and_falls(matrix: Matrix) -> None:
    thresholds = np.linspace(-2.5, 2.5, 11)
    found = profile(matrix, thresholds)
    values = matrix.ravel().tolist()
    assert found.tolist() == pytest.approx([sum(v > t for v in values) / len(values) for t in thresholds.tolist()])
    assert (np.diff(found) <= 0).all()
    assert (found[0], found[-1]) == (1.0, 0.0)


def test_band_holds_the_profile_and_uses_its_seed() -> None:
    matrix, thresholds = random_matrix(3, seeds=8), np.linspace(0, 1, 21)
    found, (low, high) = profile_band(matrix, thresholds, seed=1)
    assert ((low <= found) & (found <= high)).all()
    assert not np.array_equal(profile_band(matrix, thresholds, 1, FEW)[1], profile_band(matrix, thresholds, 2, FEW)[1])


def test_a_profile_with_a_single_seed_on_a_level_has_no_band() -> None:
    matrix, thresholds = random_matrix(3, seeds=8), np.linspace(0, 1, 21)
    matrix[1:, 2] = np.nan
    found, (low, high) = profile_band(matrix, thresholds, seed=1)
    assert np.array_equal(low, found)
    assert np.array_equal(high, found)


def plain_ranks(scores: dict[str, Matrix]) -> dict[str, list[float]]:
    """Every combination of one run each, ties shared evenly between the orders that respect the scores."""
    names = list(scores)
    shares = {name: [0.0] * len(names) for name in names}
    for level in range(next(iter(scores.values())).shape[1]):
        draws = list(itertools.product(*(scores[name][:, level] for name in names)))
        for draw in draws:
            orders = [
                order
                for order in itertools.permutations(range(len(names)))
                if all(draw[x] >= draw[y] for x, y in itertools.pairwise(order))
            ]
            for order in orders:
                for place, index in enumerate(order):
                    shares[names[index]][place] += 1 / len(orders) / len(draws)
    levels = next(iter(scores.values())).shape[1]
    return {name: [share / levels for share in own] for name, own in shares.items()}


def test_ranks_are_those_of_the_enumeration() -> None:
    scores = {name: np.round(random_matrix(i, levels=2), 1) for i, name in enumerate("abc")}
    found, wanted = rank_distribution(scores, seed=0, number=20_000), plain_ranks(scores)
    for name in scores:
        assert found[name] == pytest.approx(wanted[name], abs=0.015)
        assert sum(found[name]) == pytest.approx(1.0)
    assert sum(mean_rank(own) for own in found.values()) == pytest.approx(1 + 2 + 3)


def test_equal_scores_share_the_places() -> None:
    flat = {name: np.zeros((3, 2)) for name in "abcd"}
    for own in rank_distribution(flat, seed=0, number=8000).values():
        assert own == pytest.approx([0.25] * 4, abs=0.02)
