"""Intervals against published quantiles and by simulation."""

import math

import numpy as np
import pytest

from metta.analysis.intervals import change_interval, mean_interval, t_probability, t_quantile

# Student's t at 0.975, from the tables every textbook prints (three decimals).
PUBLISHED = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 20: 2.086, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("degrees", "value"), PUBLISHED.items())
def test_quantiles_are_the_published_ones(degrees: int, value: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(value, abs=5.1e-4)
    assert t_quantile(0.025, degrees) == pytest.approx(-value, abs=5.1e-4)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 12])
def test_probability_is_the_integral_of_the_density(degrees: int) -> None:
    constant = math.gamma((degrees + 1) / 2) / (math.sqrt(degrees * math.pi) * math.gamma(degrees / 2))
    x = np.linspace(0, 1.7, 20_001)
    density = constant * (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
    assert t_probability(1.7, degrees) == pytest.approx(0.5 + float(np.trapezoid(density, x)), abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_coverage_is_95_percent(count: int) -> None:
    generator = np.random.default_rng(count)
    intervals = [mean_interval(generator.normal(3.0, 2.0, count)) for _ in range(4000)]
    covered = np.mean([low <= 3.0 <= high for _, low, high in intervals if low is not None and high is not None])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_one_value_has_no_interval() -> None:
    assert mean_interval([2.0]) == (2.0, None, None)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_mean_of_nothing(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value, all finite"):
        mean_interval(values)


def test_a_change_is_the_textbook_welch_interval() -> None:
    """Worked by hand: means 2 and 5, variances 1 and 14/3 over 3 and 4 values."""
    change = change_interval([1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 8.0])
    parts = (1 / 3, 14 / 3 / 4)
    degrees = math.floor(sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3))
    half = t_quantile(0.975, degrees) * math.sqrt(sum(parts))
    assert change == pytest.approx((3.0, 3.0 - half, 3.0 + half))
    assert change_interval([1.0], [2.0, 3.0]) == (1.5, None, None)
    assert change_interval([1.0, 1.0], [2.0, 2.0]) == (1.0, 1.0, 1.0)
