"""The studentized range: largest minus smallest of some equal means, over their measured standard error; pure.

Source: Tukey 1953; the double integral as in Lund and Lund 1983 ("Algorithm AS 190: Probabilities and upper quantiles
for the studentized range"), summed by the trapezoid and the midpoint rule. Quantiles agree with published tables to
their last digit (tests/analysis/test_studentized_range.py).
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

STEP = 0.02
"""Between the ranges at which their probability is tabulated, in standard deviations."""
WIDEST = 24.0
"""No range of normal numbers is as wide."""
POINTS = 2000
"""Of the measured standard deviation that are summed over."""


def range_probability(q: float, groups: int, degrees: int) -> float:
    """Probability that the studentized range of `groups` means is at most q, their error having `degrees` of freedom.

    Raises:
        ValueError: fewer than two groups or no degree of freedom.
    """
    if groups < 2 or degrees < 1:
        raise ValueError("a range needs two groups, an error one degree of freedom")
    widths, below = _range_table(groups)
    spreads, weights = _spread_table(degrees)
    return float(weights @ np.interp(q * spreads, widths, below))


@cache
def range_quantile(probability: float, groups: int, degrees: int) -> float:
    """The quantile of the studentized range, to 1e-6 relative. Raises `ValueError` as `range_probability`."""
    if not 0 < probability < 1:
        raise ValueError("probability must be inside (0, 1)")
    low, high = 0.0, 1.0
    while range_probability(high, groups, degrees) < probability:
        high *= 2
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if range_probability(middle, groups, degrees) < probability else (low, middle)
    return (low + high) / 2


@cache
def _range_table(groups: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widths, and the probability that `groups` standard normal numbers lie closer together than each of them."""
    step = 4 * STEP
    largest = np.arange(-8.5, 8.5 + step / 2, step)
    density = np.exp(-(largest**2) / 2) / math.sqrt(2 * math.pi)
    fine = np.arange(-8.5 - WIDEST, 8.5 + STEP / 2, STEP)
    at_most = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in fine])
    widths = np.arange(0.0, WIDEST, STEP)
    # All numbers lie between the largest and the largest less the width.
    place = np.rint((largest - fine[0]) / STEP).astype(int)
    lower = place[None, :] - np.arange(widths.size)[:, None]
    others = at_most[place][None, :] - at_most[lower]
    return widths, groups * step * (density * others ** (groups - 1)).sum(axis=1)


@cache
def _spread_table(degrees: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measured standard deviations where the true one is 1, and how probable each is; the latter add up to 1."""
    reach = 9 / math.sqrt(2 * degrees)
    ends = np.linspace(max(0.0, 1 - reach), 1 + reach, POINTS + 1)
    spreads = (ends[1:] + ends[:-1]) / 2
    weights = (degrees - 1) * np.log(spreads) - degrees * (spreads**2 - 1) / 2
    weights = np.exp(weights - weights.max())
    return spreads, weights / weights.sum()
