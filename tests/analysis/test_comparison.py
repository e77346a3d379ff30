"""Probability of improvement, profiles and mean places against plain twins and by their properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta.analysis.comparison import improvement, improvements, mean_places, profile
from tests.analysis.scores import Matrix, matrices, random_matrix


def plain_win_share(a: Matrix, b: Matrix) -> float:
    """Pair after pair."""
    points = []
    for level in range(a.shape[1]):
        pairs = list(itertools.product(a[:, level], b[:, level]))
        points.append(sum(1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs) / len(pairs))
    return sum(points) / len(points)


@given(st.data())
def test_improvement_is_the_plain_share_and_two_sides_add_to_one(data: st.DataObject) -> None:
    levels = data.draw(st.integers(1, 3))
    a, b = data.draw(matrices(levels)), data.draw(matrices(levels))
    assert improvement(a, b) == pytest.approx(plain_win_share(a, b))
    assert improvement(a, b) + improvement(b, a) == pytest.approx(1.0)


@given(matrices(gaps=True))
def test_gaps_do_not_shift_the_weight_of_levels(a: Matrix) -> None:
    b = random_matrix(2, seeds=2, levels=a.shape[1])
    by_level = [plain_win_share(a[~np.isnan(a[:, [i]]).ravel()][:, [i]], b[:, [i]]) for i in range(a.shape[1])]
    assert improvement(a, b) == pytest.approx(np.mean(by_level))


def test_improvement_is_sure_of_the_sure_and_unsure_of_the_same() -> None:
    assert improvement(random_matrix(0, shift=5.0), random_matrix(0)) == 1.0
    assert improvement(random_matrix(0), random_matrix(0)) == 0.5


def test_levels_must_agree() -> None:
    with pytest.raises(ValueError, match="A has 5 levels, B has 2"):
        improvement(random_matrix(0), random_matrix(0, levels=2))


@given(matrices())
def test_profile_is_the_plain_share_and_falls(matrix: Matrix) -> None:
    thresholds = np.linspace(-2.5, 2.5, 11)
    found = profile(matrix, thresholds)
    values = matrix.ravel().tolist()
    assert found.tolist() == pytest.approx([sum(v > t for v in values) / len(values) for t in thresholds.tolist()])
    assert (np.diff(found) <= 0).all()
    assert (found[0], found[-1]) == (1.0, 0.0)


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


def test_mean_places_are_those_of_the_enumeration() -> None:
    scores = {name: np.round(random_matrix(i, levels=2), 1) for i, name in enumerate("abc")}
    found, wanted = mean_places(improvements(scores)), plain_ranks(scores)
    for name in scores:
        assert found[name] == pytest.approx(sum((place + 1) * share for place, share in enumerate(wanted[name])))
    assert sum(found.values()) == pytest.approx(1 + 2 + 3)
