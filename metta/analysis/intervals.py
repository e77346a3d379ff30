"""Means with confidence intervals for a handful of seeds; pure functions of their arguments."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval (both None where one value alone allows no interval)."""

    mean: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Mean of independent values with Student's t interval.

    Args:
        values: at least one finite number, e.g. the score of each seed.
        confidence: probability that such an interval covers the true mean, in (0, 1).
    """
    numbers = [float(value) for value in values]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ValueError("mean_interval needs at least one value, all finite")
    mean = statistics.fmean(numbers)
    if len(numbers) == 1:
        return Interval(mean, None, None)
    half = t_quantile(0.5 + confidence / 2, len(numbers) - 1) * statistics.stdev(numbers) / math.sqrt(len(numbers))
    return Interval(mean, mean - half, mean + half)


def t_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution; probability in (0, 1), degrees of freedom above 0."""
    from scipy.special import stdtrit  # brings numpy, which commands that only plan need not wait for

    return float(stdtrit(degrees, probability))


def change_interval(before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Mean of `after` minus mean of `before` with Welch's t interval; no interval with one value on a side.

    Source: Welch 1947, "The generalization of Student's problem when several different population variances are
    involved"; degrees of freedom after Satterthwaite, rounded down.

    Args:
        before: at least one finite number.
        after: at least one finite number, independent of `before`.
        confidence: probability that such an interval covers the true change, in (0, 1).
    """
    change = statistics.fmean(after) - statistics.fmean(before)
    if min(len(before), len(after)) < 2:
        return Interval(change, None, None)
    deviations = [statistics.stdev(values) / math.sqrt(len(values)) for values in (before, after)]
    error = math.hypot(*deviations)
    if error == 0:
        return Interval(change, change, change)
    freedom = (len(before) - 1, len(after) - 1)
    degrees = 1 / sum((part / error) ** 4 / n for part, n in zip(deviations, freedom, strict=True))
    half = t_quantile(0.5 + confidence / 2, max(1, math.floor(degrees + 1e-9))) * error
    return Interval(change, change - half, change + half)
