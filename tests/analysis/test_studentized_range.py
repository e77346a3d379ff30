"""The studentized range agrees with published tables, with Student's t for two groups, and with scipy where it is."""

import math

import pytest

from metta.analysis.intervals import t_quantile
from metta.analysis.studentized_range import range_probability, range_quantile

PUBLISHED = [
    *[(0.95, 3, 10, 3.877), (0.95, 10, 20, 5.008), (0.95, 5, 10, 4.654), (0.95, 20, 10, 6.467), (0.95, 3, 5, 4.602)],
    *[(0.95, 3, 2, 8.331), (0.95, 10, 1, 49.07), (0.99, 3, 10, 5.270)],
]
"""Probability, groups, degrees, quantile: upper 5 % and 1 % points in Harter 1960, "Tables of range and studentized
range", Annals of Mathematical Statistics 31."""


@pytest.mark.parametrize(("probability", "groups", "degrees", "quantile"), PUBLISHED)
def test_published_quantiles(probability: float, groups: int, degrees: int, quantile: float) -> None:
    digits = 0.0006 if quantile < 10 else 0.006
    assert range_quantile(probability, groups, degrees) == pytest.approx(quantile, abs=digits)


@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 26, 200])
@pytest.mark.parametrize("probability", [0.5, 0.95, 0.97])
def test_two_groups_are_student_s_t(probability: float, degrees: int) -> None:
    t = t_quantile(0.5 + probability / 2, degrees)
    assert range_quantile(probability, 2, degrees) == pytest.approx(math.sqrt(2) * t, rel=3e-4)


def test_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for groups, degrees in [(2, 3), (13, 26), (13, 117), (40, 4)]:
        for q in (1.0, 3.5, 6.0):
            expected = stats.studentized_range.cdf(q, groups, degrees)
            assert range_probability(q, groups, degrees) == pytest.approx(expected, abs=2e-5)


def test_bad_arguments() -> None:
    for groups, degrees in [(1, 5), (3, 0)]:
        with pytest.raises(ValueError, match="two groups"):
            range_probability(1.0, groups, degrees)
    with pytest.raises(ValueError, match="probability"):
        range_quantile(1.0, 3, 5)
