"""Who is better, in words, in tiers, and the smallest difference that so many seeds would have shown.

The difference of two architectures is the mean over levels of the difference of their means over seeds. Its error is
the larger of two: the one with the variance of every level pooled over all architectures (Tukey 1953; Kramer 1956 for
unequal numbers of seeds, but every architecture's variance counts alike, so that who has more seeds does not decide for
the others), and the pair's own (Welch 1947). Pooling is what makes a few seeds say anything; the pair's
own variance keeps architectures that vary more than others from being called apart by the calm of the others. A
difference counts where it exceeds that error times the studentized range's quantile over all architectures of the
table, with the degrees of freedom of the pooled variance (Satterthwaite's where there are several levels).

The quantile is taken at 3 %: so the chance of even one false "better" in a table stays below 5 % in simulation, also
where variances differ by a factor of four (docs/statistics.md, `uv run python benchmarks/verdicts.py`).

P architectures, S seeds, L levels, Q pairs, ... any leading axes, R simulated tables.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, check_matrix

FALSE_CALLS = 0.05
"""Accepted chance of calling any difference of a table where there is none."""
LEVEL = 0.03
"""Of the studentized range at which pairs are called, to keep to that under unequal variances too."""
POWER = 0.8
"""Chance with which the smallest difference that can be shown would have been called."""
TABLES = 10_000
"""Simulated tables behind such a difference."""
NODES = 4
"""Quantiles that those between them are interpolated from; off by less than a thousandth."""


class Verdict(NamedTuple):
    """What the seeds say about a pair."""

    a: str
    b: str
    value: float
    """Score of A minus score of B, mean over levels."""
    error: float | None
    """Standard error that it is judged by; None if one of the two has fewer than two seeds on some level."""
    needed: float | None
    """A difference larger than this is called; None where there is no error, or none but zero."""
    seeds: int
    """The fewest seeds that either has on a level."""

    @property
    def better(self) -> str | None:
        """The architecture that is better, or None."""
        if self.needed is None or abs(self.value) <= self.needed:
            return None
        return self.a if self.value > 0 else self.b

    @property
    def words(self) -> str:
        """One sentence without the full stop."""
        if self.better is not None:
            worse = self.b if self.better == self.a else self.a
            return f"{self.better} is better than {worse}"
        count = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        if self.error is None:
            return f"{self.a} and {self.b}: not distinguishable with {count} (two are the least that show a spread)"
        if self.needed is None:
            return f"{self.a} and {self.b}: not distinguishable, as seeds show no spread to judge by"
        return f"{self.a} and {self.b}: not distinguishable with {count}"


def judge(scores: Mapping[str, Matrix], level: float = LEVEL) -> list[Verdict]:
    """A verdict for every pair of architectures, in the order of `scores`; higher scores are better.

    Args:
        scores: architecture -> [S, L], NaN where a run is missing, all on the same levels; numbers of seeds may differ.
        level: of the studentized range.

    Raises:
        ValueError: levels differ in number, or see `aggregates.check_matrix`.
    """
    matrices = [check_matrix(matrix) for matrix in scores.values()]
    if len({matrix.shape[1] for matrix in matrices}) > 1:
        raise ValueError("architectures have different numbers of levels")
    pairs = list(combinations(range(len(matrices)), 2))
    if not pairs:
        return []
    # In units of the largest value: neither huge nor tiny numbers leave the range of floats when squared.
    unit = max(float(np.nanmax(np.abs(matrix))) for matrix in matrices) or 1.0
    matrices = [matrix / unit for matrix in matrices]
    counts = np.array([(~np.isnan(matrix)).sum(axis=0) for matrix in matrices])
    means = np.array([np.nanmean(matrix, axis=0).mean() for matrix in matrices])
    variances = np.array([squared_deviations(matrix) for matrix in matrices]) / np.maximum(1, counts - 1)
    errors, degrees = pair_errors(variances, counts)
    fewest = counts.min(axis=1)
    verdicts = []
    for (a, b), error, freedom in zip(pairs, errors.tolist(), degrees.tolist(), strict=True):
        seeds = int(min(fewest[a], fewest[b]))
        known = error * unit if seeds > 1 else None
        needed = known * critical(len(matrices), freedom, level) if known else None
        names = list(scores)
        verdicts.append(Verdict(names[a], names[b], float(means[a] - means[b]) * unit, known, needed, seeds))
    return verdicts


def squared_deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[...] sums over seeds of squared deviations from their mean, of values [S, ...], NaNs left out.

    Of equal values it is 0, not what rounding leaves, against which any difference would be large.
    """
    squares = np.nansum((values - np.nanmean(values, axis=0)) ** 2, axis=0)
    return np.where(np.nanmax(values, axis=0) > np.nanmin(values, axis=0), squares, 0.0)


def pair_errors(
    variances: NDArray[np.float64], counts: NDArray[np.int64], first: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Standard errors [..., Q] of the differences of all pairs, and the degrees of freedom [..., Q] they go with.

    Args:
        variances: [..., P, L] between seeds.
        counts: [P, L] seeds, each at least 1; the variance of a single one is not looked at.
        first: only of the first pair.
    """
    levels = counts.shape[1]
    a, b = (np.array([0]), np.array([1])) if first else np.triu_indices(len(counts), 1)
    known = counts > 1
    spread = np.maximum(1, known.sum(axis=0))
    pooled = (variances * known).sum(axis=-2) / spread
    # Of a mean of variances that are alike; with equal numbers of seeds, P (S - 1).
    inverse = (known / np.maximum(1, counts - 1)).sum(axis=0)
    whole = np.where(inverse > 0, spread**2 / np.where(inverse > 0, inverse, 1.0), 1.0)
    parts = pooled[..., None, :] * (1 / counts[a] + 1 / counts[b]) / levels**2
    total = parts.sum(axis=-1)
    each = variances / counts / levels**2
    own = (each[..., a, :] + each[..., b, :]).sum(axis=-1)
    shares = parts / np.where(total > 0, total, 1.0)[..., None]
    degrees = np.floor(1 / np.maximum((shares**2 / whole).sum(axis=-1), 1e-12) + 1e-9)
    return np.sqrt(np.maximum(total, own)), np.clip(degrees, 1, max(1, math.floor(whole.sum()))).astype(np.int64)


@cache
def critical(architectures: int, degrees: int, level: float = LEVEL) -> float:
    """How many standard errors a difference must exceed in a table of so many architectures."""
    from scipy.stats import studentized_range  # takes a second to import

    return float(studentized_range.ppf(1 - level, architectures, degrees)) / math.sqrt(2)


def tiers(verdicts: Sequence[Verdict], order: Sequence[str]) -> list[list[str]]:
    """The longest runs of neighbours in `order`, best first, of which no two are told apart; they may overlap."""
    apart = {frozenset((verdict.a, verdict.b)) for verdict in verdicts if verdict.better is not None}
    found: list[list[str]] = []
    for start in range(len(order)):
        tier = [order[start]]
        for name in order[start + 1 :]:
            if any(frozenset((name, other)) in apart for other in tier):
                break
            tier.append(name)
        if not found or not set(tier) <= set(found[-1]):
            found.append(tier)
    return found


def smallest_by_seeds(deviation: float, architectures: int, levels: int, seeds: Sequence[int]) -> dict[int, float]:
    """Number of seeds -> true difference of a pair that they call with probability `POWER`.

    Args:
        deviation: standard deviation over the seeds of a level, the same for all.
        architectures: P, at least 2.
        levels: L.
        seeds: numbers of seeds per level, each at least 2.
    """
    return {n: deviation * _smallest_over_deviation(n, architectures, levels) for n in seeds}


@cache
def _smallest_over_deviation(seeds: int, architectures: int, levels: int) -> float:
    """A table finds the true difference plus luck and calls it when that exceeds what is needed."""
    generator = np.random.default_rng(0)
    variances = generator.chisquare(seeds - 1, (TABLES, architectures, levels)) / (seeds - 1)
    counts = np.full((architectures, levels), seeds)
    errors, degrees = pair_errors(variances, counts, first=True)
    needed = errors[:, 0] * _criticals(architectures, degrees[:, 0])
    luck = math.sqrt(2 / (seeds * levels)) * generator.standard_normal(TABLES)
    return float(np.quantile(needed - luck, POWER))


def _criticals(architectures: int, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """`critical` of many degrees of freedom, between a few of them interpolated over their inverse: each takes long."""
    nodes = np.unique(np.geomspace(degrees.min(), degrees.max(), NODES).round())
    values = [critical(architectures, int(node)) for node in nodes]
    if len(nodes) == 1:
        return np.full(degrees.shape, values[0])
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(1 / nodes[::-1], values[::-1])(1 / degrees))


def pooled_deviation(matrices: Sequence[Matrix]) -> float | None:
    """Standard deviation over seeds within a level, pooled over levels and architectures; None without two seeds."""
    columns = [column[~np.isnan(column)] for matrix in matrices for column in check_matrix(matrix).T]
    degrees = sum(column.size - 1 for column in columns)
    if degrees == 0:
        return None
    return math.sqrt(math.fsum(float(squared_deviations(column)) for column in columns) / degrees)
