"""The one kind of 95 % interval that tables, terminal and report show: Student's t over seeds.

Below `FEWEST` seeds there is no interval, and the seeds stand there one by one: with two, an interval that covers the
truth 95 % of the time is twelve standard errors wide. Ends never leave what is possible. How often such intervals cover
the truth for few seeds, several levels and skewed scores is simulated (docs/statistics.md).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

CONFIDENCE = 0.95
FEWEST = 3
"""Values that an interval needs."""


class Estimate(NamedTuple):
    """A mean, the ends of its confidence interval (both None where too few values allow none), and the values."""

    mean: float
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = ()
    """Empty where they are not to be shown one by one."""

    @property
    def plain(self) -> dict[str, float | None]:
        """As files keep it."""
        return {"mean": self.mean, "low": self.low, "high": self.high}

    def text(self, digits: int = 3) -> str:
        """`0.42 [0.30, 0.54]`; with few seeds these one by one, `0.42 (0.40, 0.44)`; of one seed it alone."""
        if self.low is not None and self.high is not None:
            return f"{self.mean:z.{digits}f} [{self.low:z.{digits}f}, {self.high:z.{digits}f}]"
        seeds = ", ".join(f"{value:z.{digits}f}" for value in self.values)
        return f"{self.mean:z.{digits}f}" + (f" ({seeds})" if len(self.values) > 1 else "")


def interval_text(plain: Mapping[str, float | None], form: str) -> str:
    """`+120 [+80, +160]` of what `Estimate.plain` gives, numbers as `form` says (`{:+.0f}`); or the mean alone."""
    mean, *ends = (form.format(plain[name]) for name in ("mean", "low", "high") if plain[name] is not None)
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def estimate(values: Sequence[float], lowest: float = -math.inf, highest: float = math.inf) -> Estimate:
    """Mean of independent values, such as the score of each seed, with its interval; see `mean_over_levels`."""
    return mean_over_levels([values], lowest, highest)


def mean_over_levels(
    levels: Sequence[Sequence[float]], lowest: float = -math.inf, highest: float = math.inf
) -> Estimate:
    """Mean over levels of the mean over seeds, with its interval; degrees of freedom after Satterthwaite (1946).

    Args:
        levels: values of the seeds of each level, at least one finite number each.
        lowest: what is possible; ends are cut there.
        highest: the same at the upper end.

    Returns:
        Of one level `values` are its seeds; of several the means over levels of the first, second, ... seed of each.
    """
    columns = [[float(value) for value in values] for values in levels]
    if not columns or not all(columns) or not all(math.isfinite(value) for column in columns for value in column):
        raise ValueError("a mean needs at least one value, all finite")
    mean = statistics.fmean(map(statistics.fmean, columns))
    seeds = tuple(map(statistics.fmean, zip(*columns, strict=False)))
    if min(map(len, columns)) < FEWEST:
        return Estimate(mean, values=seeds)
    parts = [statistics.variance(column) / len(column) for column in columns]
    error = math.sqrt(math.fsum(parts)) / len(columns)
    half = 0.0
    if error > 0:
        shares = [part / math.fsum(parts) for part in parts]
        degrees = 1 / math.fsum(share**2 / (len(column) - 1) for share, column in zip(shares, columns, strict=True))
        half = t_quantile(0.5 + CONFIDENCE / 2, degrees) * error
    return Estimate(mean, max(mean - half, min(lowest, mean)), min(mean + half, max(highest, mean)), seeds)


def t_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution; probability in (0, 1), degrees of freedom above 0."""
    from scipy.special import stdtrit  # brings numpy, which commands that only plan need not wait for

    return float(stdtrit(degrees, probability))


def change_interval(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Mean of `after` minus mean of `before` with Welch's t interval; none below `FEWEST` values on a side.

    Args:
        before: at least one finite number.
        after: at least one finite number, independent of `before`.
    """
    change = statistics.fmean(after) - statistics.fmean(before)
    if min(len(before), len(after)) < FEWEST:
        return Estimate(change)
    if len(set(before)) == len(set(after)) == 1:
        return Estimate(change, change, change)
    from scipy.stats import ttest_ind

    ends = ttest_ind(after, before, equal_var=False).confidence_interval(CONFIDENCE)
    return Estimate(change, float(ends.low), float(ends.high))
