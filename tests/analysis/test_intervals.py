"""Intervals against published quantiles and by simulation."""

import math

import numpy as np
import pytest

from metta.analysis.intervals import change_interval, estimate, mean_over_levels, t_quantile

# Student's t at 0.975, from the tables every textbook prints (three decimals).
PUBLISHED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 20: 2.086, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("degrees", "value"), PUBLISHED.items())
def test_quantiles_are_the_published_ones(degrees: int, value: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(value, abs=5.1e-4)
    assert t_quantile(0.025, degrees) == pytest.approx(-value, abs=5.1e-4)


@pytest.mark.parametrize("count", [3, 5])
def test_coverage_is_95_percent(count: int) -> None:
    generator = np.random.default_rng(count)
    intervals = [estimate(generator.normal(3.0, 2.0, count)) for _ in range(4000)]
    covered = np.mean([low <= 3.0 <= high for _, low, high, _ in intervals if low is not None and high is not None])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_below_three_seeds_there_is_no_interval_and_seeds_stand_one_by_one() -> None:
    assert estimate([2.0]) == (2.0, None, None, (2.0,))
    assert estimate([2.0, 3.0]) == (2.5, None, None, (2.0, 3.0))
    assert estimate([2.0, 3.0]).text(1) == "2.5 (2.0, 3.0)"
    assert estimate([2.0]).text(1) == "2.0"
    assert estimate([1.0, 2.0, 3.0]).text(2) == "2.00 [-0.48, 4.48]"


def test_intervals_never_leave_what_is_possible() -> None:
    assert estimate([0.0, 0.1, 3.0], lowest=0.0).low == 0.0
    assert estimate([0.9, 1.0, 1.0], highest=1.0).high == 1.0
    assert estimate([1.0, 1.0, 1.0], lowest=0.0)[:3] == (1.0, 1.0, 1.0)


def test_one_level_is_the_plain_interval_and_levels_keep_their_own_spread() -> None:
    values = [1.0, 2.0, 4.0]
    assert mean_over_levels([values]) == estimate(values)
    both = mean_over_levels([values, [0.0, 0.0, 0.0]])
    own = estimate(values)
    assert both.low is not None
    assert own.low is not None
    assert (both.mean, both.mean - both.low) == pytest.approx((own.mean / 2, (own.mean - own.low) / 2))
    assert mean_over_levels([values, [1.0, 2.0]]).low is None


@pytest.mark.parametrize("levels", [2, 5])
def test_coverage_over_levels(levels: int) -> None:
    generator = np.random.default_rng(levels)
    drawn = generator.normal(0.0, np.linspace(1, 3, levels)[:, None], (2000, levels, 3))
    found = [mean_over_levels(table.tolist()) for table in drawn]
    covered = np.mean([row.low <= 0.0 <= row.high for row in found if row.low is not None and row.high is not None])
    assert 0.94 <= covered <= 0.985


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_mean_of_nothing(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value, all finite"):
        estimate(values)


def test_a_change_is_the_textbook_welch_interval() -> None:
    """Worked by hand: means 2 and 5, variances 1 and 14/3 over 3 and 4 values."""
    change = change_interval([1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 8.0])
    parts = (1 / 3, 14 / 3 / 4)
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3)
    half = t_quantile(0.975, degrees) * math.sqrt(sum(parts))
    assert change[:3] == pytest.approx((3.0, 3.0 - half, 3.0 + half))
    assert change_interval([1.0, 1.0], [2.0, 3.0, 4.0])[:3] == (2.0, None, None)
    assert change_interval([1.0] * 3, [2.0] * 3)[:3] == (1.0, 1.0, 1.0)
