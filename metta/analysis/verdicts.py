"""Who is better, in words, and the smallest difference that so many seeds could have shown.

The difference of two architectures is the mean over levels of the difference of their means over seeds. Whether it is
more than chance is judged by Welch's t for that sum of independent means (Welch 1947, "The generalization of Student's
problem when several different population variances are involved"; degrees of freedom after Satterthwaite), because the
bootstrap is too narrow with three seeds (see bootstrap.py). Where many pairs are judged, Holm's method (1979, "A simple
sequentially rejective multiple test procedure") keeps the chance of even one false "better" at 5 %.

How large a difference would have been called is simulated: with a few seeds the measured error and its degrees of
freedom differ so much from table to table that their expected values promise far too much.

S seeds, L levels.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, check_matrix, fewest_seeds
from metta.analysis.intervals import CONFIDENCE, t_probability, t_quantile

ALPHA = 1 - CONFIDENCE
"""Accepted chance of calling a difference where there is none, over all pairs of a table together."""
POWER = 0.8
"""Chance with which the smallest difference that can be shown would have been called."""
TABLES = 20_000
"""Simulated tables behind such a difference."""


class Difference(NamedTuple):
    """The difference of two architectures, and how far chance alone takes it."""

    value: float
    """Score of A minus score of B, mean over levels."""
    error: float | None
    """Standard error; None if one of the two has fewer than two seeds on some level."""
    degrees: int
    """Degrees of freedom of the error, rounded down."""

    @property
    def p_value(self) -> float:
        """Chance of a difference at least as large between equal architectures; 1 where that cannot be judged."""
        if not self.error:
            return 1.0
        return 2 * (1 - t_probability(abs(self.value) / self.error, self.degrees))


class Verdict(NamedTuple):
    """What the seeds say about a pair."""

    a: str
    b: str
    difference: Difference
    better: str | None
    """The architecture that is better, or None."""
    seeds: int
    """The fewest seeds that either has on a level."""
    pairs: int
    """Pairs judged together."""

    @property
    def smallest(self) -> float | None:
        """The smallest difference that these seeds would have shown with probability `POWER`; None if not known."""
        if not self.difference.error:
            return None
        return smallest_difference(self.difference.error, self.difference.degrees, self.pairs)

    @property
    def words(self) -> str:
        """One sentence without the full stop."""
        if self.better is not None:
            worse = self.b if self.better == self.a else self.a
            return f"{self.better} better than {worse}"
        count = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        if self.difference.error is None:
            return f"{self.a} and {self.b}: not distinguishable with {count} (two are the least that show a spread)"
        if self.difference.error == 0:
            return f"{self.a} and {self.b}: not distinguishable, as seeds show no spread to judge by"
        return f"{self.a} and {self.b}: not distinguishable with {count}"


def difference(a: Matrix, b: Matrix) -> Difference:
    """The difference of A [S, L] and B [S', L], NaN where runs are missing, with its standard error.

    Raises:
        ValueError: the levels differ in number, or see `aggregates.check_matrix`.
    """
    a, b = check_matrix(a), check_matrix(b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"A has {a.shape[1]} levels, B has {b.shape[1]}")
    # In units of the largest value, and below with shares of the total: neither huge nor tiny numbers leave the range
    # of floats when squared.
    unit = max(float(np.nanmax(np.abs(matrix))) for matrix in (a, b)) or 1.0
    a, b = a / unit, b / unit
    levels = a.shape[1]
    value = float((np.nanmean(a, axis=0) - np.nanmean(b, axis=0)).mean()) * unit
    columns = [column[~np.isnan(column)] for matrix in (a, b) for column in matrix.T]
    if min(column.size for column in columns) < 2:
        return Difference(value, None, 0)
    variances = np.array([column.var(ddof=1) / column.size / levels**2 for column in columns])
    total = math.fsum(variances)
    if total == 0:
        return Difference(value, 0.0, 0)
    freedom = np.array([column.size - 1 for column in columns])
    return Difference(value, math.sqrt(total) * unit, int(welch_degrees(variances / total, freedom)))


def welch_degrees(shares: NDArray[np.float64], freedom: NDArray[np.int64]) -> NDArray[np.int64]:
    """[...] Satterthwaite's degrees of freedom of a sum of estimated variances, rounded down, at least 1.

    Args:
        shares: [..., K] of each variance in the sum.
        freedom: [K] degrees of freedom of each.
    """
    return np.maximum(1, np.floor(1 / (shares**2 / freedom).sum(axis=-1) + 1e-9)).astype(np.int64)


def smallest_difference(error: float, degrees: int, pairs: int = 1, power: float = POWER) -> float:
    """The true difference that would be called with probability `power`, if the true error is the measured one.

    Args:
        error: standard error of the difference.
        degrees: its degrees of freedom.
        pairs: number of pairs judged together; the first of them has to pass 5 % / pairs.
        power: in [0.5, 1).
    """
    return error * _smallest_over_error(degrees, pairs, power)


@cache
def _smallest_over_error(degrees: int, pairs: int, power: float) -> float:
    generator = np.random.default_rng(0)
    errors = np.sqrt(generator.chisquare(degrees, TABLES) / degrees)
    return _called(errors, np.full(TABLES, degrees), pairs, power, generator)


def smallest_by_seeds(deviation: float, levels: int, seeds: Sequence[int], pairs: int = 1) -> dict[int, float]:
    """Number of seeds -> smallest difference that they can show, where seeds of a level spread by `deviation`.

    Args:
        deviation: standard deviation over the seeds of a level, the same for all.
        levels: L.
        seeds: numbers of seeds per level, each at least 2.
        pairs: number of pairs judged together.
    """
    return {n: deviation * math.sqrt(2 / (n * levels)) * _smallest_over_spread(n, levels, pairs) for n in seeds}


@cache
def _smallest_over_spread(seeds: int, levels: int, pairs: int) -> float:
    """In units of the true standard error."""
    generator = np.random.default_rng(0)
    variances = generator.chisquare(seeds - 1, (TABLES, 2 * levels)) / (seeds - 1) / (2 * levels)
    totals = variances.sum(axis=1)
    degrees = welch_degrees(variances / totals[:, None], np.full(2 * levels, seeds - 1))
    return _called(np.sqrt(totals), degrees, pairs, POWER, generator)


def _called(
    errors: NDArray[np.float64],
    degrees: NDArray[np.int64],
    pairs: int,
    power: float,
    generator: np.random.Generator,
) -> float:
    """The true difference that is called in a share `power` of simulated tables; its true standard error is 1.

    A table finds the true difference plus luck and calls it when that exceeds the critical t times the error that the
    table shows: all true differences above critical t times error minus luck.

    Args:
        errors: [R] that the tables show.
        degrees: [R] that they go with.
        pairs: number of pairs judged together.
        power: in [0.5, 1).
        generator: draws the luck.
    """
    known, place = np.unique(degrees, return_inverse=True)
    critical = np.array([t_quantile(1 - ALPHA / pairs / 2, int(count)) for count in known])[place]
    return float(np.quantile(critical * errors - generator.standard_normal(errors.size), power))


def pooled_deviation(matrices: Sequence[Matrix]) -> float | None:
    """Standard deviation over seeds within a level, pooled over levels and architectures; None without two seeds."""
    columns = [column[~np.isnan(column)] for matrix in matrices for column in check_matrix(matrix).T]
    degrees = sum(column.size - 1 for column in columns)
    if degrees == 0:
        return None
    return math.sqrt(math.fsum(float(((column - column.mean()) ** 2).sum()) for column in columns) / degrees)


def judge(scores: Mapping[str, Matrix]) -> list[Verdict]:
    """A verdict for every pair of architectures, in the order of `scores`; higher scores are better.

    Args:
        scores: architecture -> [S, L], all on the same levels; numbers of seeds may differ.
    """
    pairs = list(combinations(scores, 2))
    differences = [difference(scores[a], scores[b]) for a, b in pairs]
    called = holm([found.p_value for found in differences])
    verdicts = []
    for (a, b), found, real in zip(pairs, differences, called, strict=True):
        seeds = min(fewest_seeds(scores[name]) for name in (a, b))
        better = (a if found.value > 0 else b) if real else None
        verdicts.append(Verdict(a, b, found, better, seeds, len(pairs)))
    return verdicts


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of these tests may be called when the chance of even one false call is to stay below `alpha`."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    called = [False] * len(p_values)
    for place, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - place):
            break
        called[index] = True
    return called
