"""Error rate and power of the verdicts, and coverage of the intervals, by number of seeds; rewrites docs/statistics.md.

    uv run python benchmarks/verdicts.py [--tables 20000] [--check]

Simulated are tables of architectures on one level, scores normal. `--check` only compares with the page. Minutes.
"""

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.analysis.intervals import mean_over_levels, t_quantile
from metta.analysis.sequential import further_seeds
from metta.analysis.summary import aligned_table
from metta.analysis.verdicts import FALSE_CALLS, POWER, critical, judge, pair_errors, smallest_by_seeds
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser, at_least
from metta.base.markers import between_markers, read_between
from metta.base.provenance import REPOSITORY

PAGE = REPOSITORY / "docs" / "statistics.md"
SEEDS = (3, 5, 10, 20)
COUNTS = (2, 3, len(ARCHITECTURES))
RATIO = 4.0
"""Largest variance of a table over its smallest."""


class Tables(NamedTuple):
    """Simulated tables of one level: R tables, P architectures."""

    means: NDArray[np.float64]
    """[R, P]."""
    variances: NDArray[np.float64]
    """[R, P] between seeds, as measured."""
    counts: NDArray[np.int64]
    """[P] seeds."""


def main() -> int:
    """Simulate and write; returns the exit status."""
    parser = Parser("verdicts.py", str(__doc__))
    parser.add_argument("--tables", type=at_least(20), default=20_000, help="simulated tables per entry")
    parser.add_argument("--check", action="store_true", help="only compare with docs/statistics.md")
    options = parser.parse_args()
    parts = {
        "errors": errors_table(options.tables),
        "power": power_table(options.tables),
        "sequential": sequential_table(options.tables // 20),
        "intervals": intervals_table(options.tables // 5),
    }
    for marker, text in parts.items():
        print(text, flush=True)
        if options.check:
            if read_between(PAGE, marker) != text:
                raise InputError(f"{PAGE} differs; run `uv run python benchmarks/verdicts.py`.")
        else:
            between_markers(PAGE, marker, text)
    return 0


def errors_table(tables: int) -> str:
    """Share of tables of equals with a false call: equal variances, and the worst of those with unequal ones."""
    rows = []
    for count in COUNTS:
        for seeds in SEEDS:
            equal = drawn(np.ones(count), np.full(count, seeds), tables)
            unequal = [drawn(spread, np.full(count, seeds), tables) for spread in spreads(count)]
            cells = [
                share
                for rule in (called, called_by_tukey, called_by_welch)
                for share in (false_calls(rule(equal)), max(false_calls(rule(table)) for table in unequal))
            ]
            rows.append([str(count), str(seeds), *(f"{100 * share:.1f} %" for share in cells)])
    for high, low in ((3, 5), (3, 10), (10, 3)):
        count = COUNTS[-1]
        mixed = []
        for spread in spreads(count):
            wild = spread > np.median(spread) if len(set(spread)) > 2 else spread > 1
            mixed.append(drawn(spread, np.where(wild, high, low), tables))
        worst = [
            max(false_calls(rule(table)) for table in mixed) for rule in (called, called_by_tukey, called_by_welch)
        ]
        text = [cell for share in worst for cell in ("-", f"{100 * share:.1f} %")]
        rows.append([str(count), f"{high} where the variance is large, {low} elsewhere", *text])
    head = ["architectures", "seeds"]
    head += [f"{rule}, {kind}" for rule in ("verdicts", "Tukey", "Welch/Holm") for kind in ("equal", "worst")]
    return "\n".join(aligned_table(head, rows))


def power_table(tables: int) -> str:
    """True difference that is called with probability `POWER`, in standard deviations between seeds."""
    rows = []
    for count in COUNTS:
        for seeds in SEEDS:
            new = smallest_by_seeds(1.0, count, 1, [seeds])[seeds]
            table = drawn(np.ones(count), np.full(count, seeds), tables)
            pairs = count * (count - 1) // 2
            errors, degrees = welch(table)
            old = errors[:, 0] * holm_first(pairs)[degrees[:, 0]]
            luck = math.sqrt(2 / seeds) * np.random.default_rng(1).standard_normal(tables)
            before = float(np.quantile(old - luck, POWER))
            rows.append([str(count), str(seeds), f"{new:.2f}", f"{before:.2f}", f"{before / new:.1f}"])
    head = ["architectures", "seeds", "verdicts", "Welch/Holm", "times"]
    return "\n".join(aligned_table(head, rows))


def sequential_table(tables: int) -> str:
    """What comes of further seeds for neighbours that are not told apart, from three seeds on."""
    count = COUNTS[-1]
    alike, wild = np.ones(count), np.where(np.arange(count) < count // 3, math.sqrt(RATIO), 1.0)
    worlds = {
        "equal": (np.zeros(count), alike),
        "equal, a third with four times the variance": (np.zeros(count), wild),
        "two far groups of equals": (np.where(np.arange(count) < count // 2, 0.0, 50.0), alike),
        "evenly spaced by a standard deviation": (np.arange(count, dtype=float), alike),
        "evenly spaced by four": (4 * np.arange(count, dtype=float), alike),
        "eight far apart, five equal": (10 * np.maximum(0, np.arange(count, dtype=float) - 4), alike),
    }
    rows = []
    for name, (truth, spread) in worlds.items():
        for most in (10, 20):
            generator = np.random.default_rng(0)
            played = [until_decided(generator.normal(truth, spread, (most, count)), most) for _ in range(tables)]
            false = [any(abs(truth[a] - truth[b]) == 0 for a, b in apart) for apart, _ in played]
            pairs = float(np.mean([len(apart) for apart, _ in played])) / (count * (count - 1) / 2)
            seeds = float(np.mean([used for _, used in played]))
            known = "-" if len(set(truth)) == count else f"{100 * float(np.mean(false)):.1f} %"
            rows.append([name, str(most), known, f"{100 * pairs:.0f} %", f"{seeds:.1f}"])
    head = ["thirteen architectures", "at most", "false calls", "pairs told apart", "seeds used, mean"]
    return "\n".join(aligned_table(head, rows))


SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]] = {
    "normal": lambda generator, shape: generator.normal(0.0, 1.0, shape),
    "skewed": lambda generator, shape: generator.lognormal(0.0, 0.5, shape) - math.exp(0.125),
    "one seed in five fails": lambda generator, shape: (
        generator.normal(0.0, 0.3, shape) + np.where(generator.random(shape) < 0.2, -3.2, 0.8)
    ),
}
"""How seeds of an architecture may scatter around their mean, 0."""


def intervals_table(tables: int) -> str:
    """Share of 95 % intervals that cover the truth, and their median width in standard deviations of normal seeds."""
    rows = []
    for levels in (1, 5):
        for seeds in SEEDS:
            cells: list[str] = []
            widths: list[str] = []
            for draw in SHAPES.values():
                drawn_RLS = draw(np.random.default_rng(0), (tables, levels, seeds))
                found = [mean_over_levels(table) for table in drawn_RLS.tolist()]
                ends = np.array([[row.low, row.high] for row in found], np.float64)
                cells.append(f"{100 * ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean():.0f} %")
                widths.append(f"{np.median(ends[:, 1] - ends[:, 0]):.2f}")
            rows.append([str(levels), str(seeds), *cells, widths[0]])
    return "\n".join(aligned_table(["levels", "seeds", *SHAPES, "width, normal"], rows))


def until_decided(values: NDArray[np.float64], most: int) -> tuple[list[tuple[int, int]], float]:
    """The pairs told apart at the end, and the seeds used per architecture, of all values [most, P] that could be."""
    counts = {str(place): SEEDS[0] for place in range(values.shape[1])}
    while more := further_seeds({name: values[:seeds, int(name)].tolist() for name, seeds in counts.items()}, most):
        counts.update(more)
    end = judge({name: values[:seeds, [int(name)]] for name, seeds in counts.items()})
    apart = [(int(verdict.a), int(verdict.b)) for verdict in end if verdict.better is not None]
    return apart, float(np.mean(list(counts.values())))


def spreads(count: int) -> list[NDArray[np.float64]]:
    """[P] standard deviations: one, a sixth, a third, half, all but one with the larger, and all evenly between."""
    large = sorted({1, max(1, count // 6), max(1, count // 3), max(1, count // 2), count - 1})
    steps = [np.where(np.arange(count) < number, math.sqrt(RATIO), 1.0) for number in large]
    return [*steps, np.geomspace(math.sqrt(RATIO), 1.0, count)]


def drawn(spread: NDArray[np.float64], counts: NDArray[np.int64], tables: int) -> Tables:
    """Tables of architectures without any difference."""
    generator = np.random.default_rng(0)
    shape = (tables, len(counts))
    means = generator.standard_normal(shape) * spread / np.sqrt(counts)
    return Tables(means, spread**2 * generator.chisquare(counts - 1, shape) / (counts - 1), counts)


def false_calls(calls: NDArray[np.bool_]) -> float:
    """Share of tables [R, Q] with a call."""
    return float(calls.any(axis=1).mean())


def differences(tables: Tables) -> NDArray[np.float64]:
    """[R, Q] of the means of all pairs, without sign."""
    a, b = np.triu_indices(len(tables.counts), 1)
    return np.abs(tables.means[:, a] - tables.means[:, b])


def called(tables: Tables) -> NDArray[np.bool_]:
    """[R, Q] by the rule of metta/analysis/verdicts.py."""
    errors, degrees = pair_errors(tables.variances[:, :, None], tables.counts[:, None])
    return differences(tables) > errors * critical(len(tables.counts), int(degrees.max()))


def called_by_tukey(tables: Tables) -> NDArray[np.bool_]:
    """[R, Q] by Tukey's test alone, at 5 %."""
    from scipy.stats import studentized_range

    a, b = np.triu_indices(len(tables.counts), 1)
    freedom = tables.counts - 1
    pooled = (tables.variances * freedom).sum(axis=1) / freedom.sum()
    errors = np.sqrt(pooled[:, None] * (1 / tables.counts[a] + 1 / tables.counts[b]))
    quantile = studentized_range.ppf(1 - FALSE_CALLS, len(tables.counts), int(freedom.sum()))
    return differences(tables) > quantile / math.sqrt(2) * errors


def called_by_welch(tables: Tables) -> NDArray[np.bool_]:
    """[R, Q] by Welch's t and Holm's method; of a table of equals its first step says whether anything is called."""
    errors, degrees = welch(tables)
    return differences(tables) > errors * holm_first(errors.shape[1])[degrees]


def welch(tables: Tables) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Standard errors [R, Q] of the pairs, each from its own variances, and degrees of freedom rounded down."""
    a, b = np.triu_indices(len(tables.counts), 1)
    parts, freedom = tables.variances / tables.counts, tables.counts - 1
    total = parts[:, a] + parts[:, b]
    degrees = total**2 / (parts[:, a] ** 2 / freedom[a] + parts[:, b] ** 2 / freedom[b])
    return np.sqrt(total), np.maximum(1, np.floor(degrees + 1e-9)).astype(np.int64)


@cache
def holm_first(pairs: int) -> NDArray[np.float64]:
    """By degrees of freedom, the t that the first of so many pairs has to exceed."""
    quantiles = [t_quantile(1 - FALSE_CALLS / pairs / 2, degrees) for degrees in range(1, 2 * max(SEEDS))]
    return np.array([math.inf, *quantiles])


if __name__ == "__main__":
    sys.exit(report_errors(main))
