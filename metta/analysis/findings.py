"""Everything the report says, computed from a gathered benchmark; drawing and page computes nothing.

Randomness: bootstrap draws depend on `seed` alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix
from metta.analysis.bootstrap import COVERAGE, aggregate_intervals
from metta.analysis.comparison import improvement, mean_rank, profile_band, rank_distribution
from metta.analysis.gather import Gathered, Run
from metta.analysis.intervals import Interval, mean_interval, t_quantile
from metta.analysis.learning import Curve, area, on_grid, smoothed, steps_to
from metta.analysis.run_files import CURRICULUM, REWARD
from metta.analysis.verdicts import Verdict, judge, pooled_deviation, smallest_by_seeds

BASELINE = "fast"
"""Architecture that score per parameter and per second is compared with."""
CHOICE = "probability_"
"""Begin of a curriculum metric's name that is the probability of a value of an axis."""
SHARES = (0.5, 0.75, 0.9)
"""Thresholds of sample efficiency, as shares of the way from the first to the best last reward of the level."""
SMOOTHING = 0.05
"""Share of a run's updates that a learning curve is averaged over before thresholds are looked for."""
CURVE_POINTS = 60
PROFILE_POINTS = 101
SEED_COUNTS = (2, 3, 5, 10, 20)

RESOURCES = (
    *("gained_ore_red", "gained_battery_red", "lost_battery_red", "gained_heart", "gained_laser", "gained_armor"),
    *("failed_actions", "moves"),
)
COMBAT = ("attacks_tried", "attacks_hit", "attacks_blocked", "items_stolen", "items_lost_to_theft", "steps_frozen")


class Standing(NamedTuple):
    """An architecture in the overall comparison."""

    architecture: str
    aggregates: dict[str, Interval]
    ranks: list[float]
    """Probability of being 1st, 2nd, ..."""
    mean_rank: float
    runs: int
    """Runs with a result on the compared levels."""
    training_seconds: float | None
    """Mean per run."""
    parameters: int | None
    latency: float | None
    """Time to one action for one agent, in milliseconds: the median over the runs."""
    better_than: list[str]
    worse_than: list[str]


class LearningRow(NamedTuple):
    """How an architecture learned on a level."""

    architecture: str
    level: str
    seeds: int
    area: Interval
    """Mean reward per agent-step over the whole training."""
    last: Interval
    """Reward per agent-step at the end."""
    steps: list[tuple[int, float | None]]
    """Per threshold: seeds that reached it, and their mean agent-steps; None if none did."""


class Band(NamedTuple):
    """A curve with its spread."""

    x: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Step(NamedTuple):
    """How an architecture's value changes from one level to another."""

    architecture: str
    start: float
    """Mean over seeds on the easier level."""
    change: Interval
    """Mean on the harder level minus mean on the easier one, with Welch's t interval."""


class Growth(NamedTuple):
    """How far architectures are apart on a level."""

    level: str
    spread: float
    """Standard deviation between the architectures' means."""
    reach: float
    """Best mean minus worst mean."""
    noise: float | None
    """Standard deviation between seeds, pooled over architectures."""


class Cost(NamedTuple):
    """What an architecture gives and what it takes."""

    value: float
    """Mean over the compared levels."""
    seconds: float | None
    """Of training, mean per run."""
    parameters: int | None
    latency: float | None
    """Milliseconds to one action for one agent."""


class Lesson(NamedTuple):
    """What the curriculum chose for an architecture on a level at the end of training; means over seeds."""

    architecture: str
    level: str
    seeds: int
    tasks_known: float
    episodes: float
    success: float
    """Mean over the known tasks, as a share of each task's limit."""
    choices: dict[str, float]
    """`<axis>_<value>` -> probability that the next episode has it."""


class Worth(NamedTuple):
    """Value for money of an architecture, as multiples of the baseline's."""

    architecture: str
    score: float
    per_parameter: float | None
    per_second: float | None


@dataclass(frozen=True)
class Findings:
    """All numbers of the report."""

    measure: str
    means: dict[tuple[str, str], Interval]
    """(architecture, level) -> mean over seeds with Student's t interval."""
    deviations: dict[tuple[str, str], float]
    """(architecture, level) -> standard deviation between seeds; only with two seeds or more."""
    compared: list[str]
    compared_levels: list[str]
    standings: list[Standing]
    """Best interquartile mean first."""
    improvement: dict[tuple[str, str], Interval]
    verdicts: list[Verdict]
    level_verdicts: dict[str, list[Verdict]]
    thresholds: NDArray[np.float64]
    profiles: dict[str, Band]
    smallest: dict[int, float]
    """Number of seeds -> smallest difference they can show (all pairs judged together)."""
    coverage: float | None
    """Share of intervals that cover the truth with so few seeds, from simulation."""
    curves: dict[str, dict[str, dict[str, Band]]]
    """Metric -> level -> architecture -> mean, lowest and highest seed."""
    learning: list[LearningRow]
    cost: dict[str, Cost]
    """By architecture; over the compared levels."""
    lessons: list[Lesson]
    """Of the runs that a curriculum chose the training tasks of."""
    behaviour: dict[tuple[str, str], dict[str, dict[str, float]]]
    """(level, evaluation environment) -> architecture -> counter -> mean over seeds."""
    shaping: list[Step]
    exploration: list[Step]
    sparse: list[tuple[str, Interval, float | None]]
    """Level 5: architecture, hearts per agent, hearts of the random player."""
    growth: list[Growth]
    worth: list[Worth]


def find(benchmark: Gathered, seed: int = 0) -> Findings:
    """Compute all findings.

    Args:
        benchmark: from `gather.gather`.
        seed: decides the bootstrap draws.
    """
    names, levels = benchmark.compared()
    matrices = {name: benchmark.matrix(name, levels) for name in names} if levels else {}
    verdicts = judge(matrices)
    ranks = rank_distribution(matrices, seed)
    level_matrices = {
        level: {name: benchmark.matrix(name, [level]) for name in benchmark.architectures if benchmark.of(name, level)}
        for level in benchmark.levels
    }
    means = {
        (name, level): mean_interval([benchmark.value(run) for run in own])
        for level in benchmark.levels
        for name in benchmark.architectures
        if (own := benchmark.of(name, level))
    }
    deviations = {
        key: float(np.nanstd(level_matrices[key[1]][key[0]], ddof=1)) for key in means if len(benchmark.of(*key)) > 1
    }
    standings = [_standing(benchmark, name, levels, matrices[name], ranks[name], verdicts, seed) for name in matrices]
    standings.sort(key=lambda standing: -standing.aggregates["interquartile mean"].mean)
    thresholds = _thresholds(list(matrices.values()))
    profiles = {}
    for name, matrix in matrices.items():
        middle, (low, high) = profile_band(matrix, thresholds, seed)
        profiles[name] = Band(thresholds, middle, low, high)
    deviation = pooled_deviation(list(matrices.values())) if matrices else None
    pairs = max(1, len(verdicts))
    return Findings(
        measure=benchmark.measure,
        means=means,
        deviations=deviations,
        compared=[standing.architecture for standing in standings],
        compared_levels=levels if matrices else [],
        standings=standings,
        improvement={(a, b): improvement(matrices[a], matrices[b], seed) for a in matrices for b in matrices if a != b},
        verdicts=verdicts,
        level_verdicts={level: judge(own) for level, own in level_matrices.items()},
        thresholds=thresholds,
        profiles=profiles,
        smallest=smallest_by_seeds(deviation, len(levels), SEED_COUNTS, pairs) if deviation else {},
        coverage=_coverage(matrices),
        curves=_curves(benchmark),
        learning=_learning(benchmark),
        cost={
            standing.architecture: Cost(
                standing.aggregates["mean"].mean, standing.training_seconds, standing.parameters, standing.latency
            )
            for standing in standings
        },
        lessons=_lessons(benchmark),
        behaviour=_behaviour(benchmark),
        shaping=_steps(benchmark, level_matrices, "level_1", "level_3"),
        exploration=_steps(benchmark, level_matrices, "level_3", "level_4"),
        sparse=_sparse(benchmark),
        growth=_growth(benchmark, means, level_matrices),
        worth=_worth(standings),
    )


def _standing(
    benchmark: Gathered,
    name: str,
    levels: Sequence[str],
    matrix: Matrix,
    ranks: list[float],
    verdicts: Sequence[Verdict],
    seed: int,
) -> Standing:
    runs = [run for level in levels for run in benchmark.of(name, level)]
    seconds = [s for run in runs if (s := run.record.training.duration_seconds) is not None]
    mine = [verdict for verdict in verdicts if name in (verdict.a, verdict.b) and verdict.better is not None]
    others = [(verdict.b if verdict.a == name else verdict.a, verdict.better == name) for verdict in mine]
    return Standing(
        architecture=name,
        aggregates=aggregate_intervals(matrix, seed),
        ranks=ranks,
        mean_rank=mean_rank(ranks),
        runs=len(runs),
        training_seconds=sum(seconds) / len(seconds) if seconds else None,
        parameters=parameters_of(runs),
        latency=latency_of(runs),
        better_than=[other for other, won in others if won],
        worse_than=[other for other, won in others if not won],
    )


def parameters_of(runs: Sequence[Run]) -> int | None:
    """Parameters of an architecture: the largest number among its runs (levels may differ in what is observed)."""
    return max((run.files.parameters for run in runs if run.files.parameters is not None), default=None)


def latency_of(runs: Sequence[Run]) -> float | None:
    """Acting latency of an architecture in milliseconds: the median of its runs' medians."""
    known = [run.files.evaluated.latency for run in runs if run.files.evaluated.latency is not None]
    return float(np.median(known)) if known else None


def _thresholds(matrices: Sequence[Matrix]) -> NDArray[np.float64]:
    if not matrices:
        return np.zeros(0)
    low = min(0.0, *(float(np.nanmin(matrix)) for matrix in matrices))
    high = max(float(np.nanmax(matrix)) for matrix in matrices)
    return np.linspace(low, high if high > low else low + 1.0, PROFILE_POINTS)


def _coverage(matrices: Mapping[str, Matrix]) -> float | None:
    """The simulated coverage of the next smaller case in the table."""
    if not matrices:
        return None
    seeds = min(int((~np.isnan(matrix)).sum(axis=0).min()) for matrix in matrices.values())
    levels = next(iter(matrices.values())).shape[1]
    return max((share for (n, m), share in COVERAGE.items() if n <= seeds and m <= levels), default=None)


def _curves(benchmark: Gathered) -> dict[str, dict[str, dict[str, Band]]]:
    found: dict[str, dict[str, dict[str, list[Curve]]]] = {}
    for run in benchmark.runs.values():
        for metric, curve in run.files.curves.items():
            if curve[0].size > 1:
                own = found.setdefault(metric, {}).setdefault(run.key.level, {}).setdefault(run.key.architecture, [])
                own.append(_smooth(curve))
    bands: dict[str, dict[str, dict[str, Band]]] = {}
    for metric, by_level in found.items():
        for level in benchmark.levels:
            for name in benchmark.architectures:
                curves = by_level.get(level, {}).get(name)
                if curves:
                    try:
                        x, values = on_grid(curves, CURVE_POINTS)
                    except ValueError:
                        continue  # a run that has just begun shares no steps with the others yet
                    band = Band(x, values.mean(axis=0), values.min(axis=0), values.max(axis=0))
                    bands.setdefault(metric, {}).setdefault(level, {})[name] = band
    return bands


def _smooth(curve: Curve) -> Curve:
    return smoothed(curve, max(1, round(SMOOTHING * curve[0].size)))


def _learning(benchmark: Gathered) -> list[LearningRow]:
    rows = []
    for level in benchmark.levels:
        curves = {
            name: [
                _smooth(run.files.curves[REWARD])
                for run in benchmark.runs.values()
                if run.key[:2] == (name, level) and REWARD in run.files.curves
            ]
            for name in benchmark.architectures
        }
        present = {name: own for name, own in curves.items() if own}
        if not present:
            continue
        first = float(np.mean([values[0] for own in present.values() for _, values in own]))
        best = max(float(np.mean([values[-1] for _, values in own])) for own in present.values())
        rows += [
            LearningRow(
                name,
                level,
                len(own),
                mean_interval([area(curve) for curve in own]),
                mean_interval([float(values[-1]) for _, values in own]),
                [_reached(own, first + share * (best - first)) for share in SHARES],
            )
            for name, own in present.items()
        ]
    return rows


def _reached(curves: Sequence[Curve], threshold: float) -> tuple[int, float | None]:
    steps = [found for curve in curves if (found := steps_to(curve, threshold)) is not None]
    return len(steps), sum(steps) / len(steps) if steps else None


def _lessons(benchmark: Gathered) -> list[Lesson]:
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for run in benchmark.runs.values():
        last = {
            name.removeprefix(CURRICULUM): float(curve[1][-1])
            for name, curve in run.files.curves.items()
            if name.startswith(CURRICULUM)
        }
        if {"tasks_known", "episodes", "success"} <= last.keys():
            found.setdefault((run.key.architecture, run.key.level), []).append(last)
    return [
        Lesson(
            architecture,
            level,
            len(own),
            _over(own, "tasks_known"),
            _over(own, "episodes"),
            _over(own, "success"),
            {
                name.removeprefix(CHOICE): _over(own, name)
                for name in own[0]
                if name.startswith(CHOICE) and all(name in last for last in own)
            },
        )
        for level in benchmark.levels
        for architecture in benchmark.architectures
        if (own := found.get((architecture, level)))
    ]


def _over(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def _behaviour(benchmark: Gathered) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    found: dict[tuple[str, str], dict[str, list[Mapping[str, float]]]] = {}
    for run in benchmark.evaluated:
        for environment, counters in run.files.evaluated.behaviour.items():
            by_name = found.setdefault((run.key.level, environment), {})
            by_name.setdefault(run.key.architecture, []).append(counters)
    return {
        where: {
            name: {
                counter: float(np.mean([counters[counter] for counters in own]))
                for counter in own[0]
                if all(counter in counters for counters in own)
            }
            for name in benchmark.architectures
            if (own := by_name.get(name))
        }
        for where, by_name in sorted(found.items())
    }


def level_of(benchmark: Gathered, prefix: str) -> str | None:
    """The level whose name begins with `prefix`, e.g. level_3 -> level_3_medium."""
    return next((level for level in benchmark.levels if level.startswith(f"{prefix}_") or level == prefix), None)


def _steps(benchmark: Gathered, matrices: Mapping[str, Mapping[str, Matrix]], easier: str, harder: str) -> list[Step]:
    start, end = level_of(benchmark, easier), level_of(benchmark, harder)
    if start is None or end is None:
        return []
    steps = []
    for name in benchmark.architectures:
        if name in matrices[start] and name in matrices[end]:
            before, after = (matrices[level][name].ravel() for level in (start, end))
            steps.append(
                Step(name, float(np.nanmean(before)), change(before[~np.isnan(before)], after[~np.isnan(after)]))
            )
    return sorted(steps, key=lambda step: -step.change.mean)


def change(before: NDArray[np.float64], after: NDArray[np.float64]) -> Interval:
    """Mean of `after` minus mean of `before` with Welch's 95 % interval; no interval with one value on a side."""
    value = float(after.mean() - before.mean())
    if min(before.size, after.size) < 2:
        return Interval(value, None, None)
    parts = [float(side.var(ddof=1)) / side.size for side in (before, after)]
    total = sum(parts)
    if total == 0:
        return Interval(value, value, value)
    crowd = sum((part / total) ** 2 / (side.size - 1) for part, side in zip(parts, (before, after), strict=True))
    half = t_quantile(0.975, max(1, math.floor(1 / crowd + 1e-9))) * math.sqrt(total)
    return Interval(value, value - half, value + half)


def _sparse(benchmark: Gathered) -> list[tuple[str, Interval, float | None]]:
    level = level_of(benchmark, "level_5")
    if level is None:
        return []
    random = benchmark.references.get(level, {}).get("random", {})
    floor = float(np.mean([result.hearts_per_agent for result in random.values()])) if random else None
    rows = []
    for name in benchmark.architectures:
        hearts = [
            float(np.mean([result.hearts_per_agent for result in run.record.evaluation.results.values()]))
            for run in benchmark.of(name, level)
        ]
        if hearts:
            rows.append((name, mean_interval(hearts), floor))
    return sorted(rows, key=lambda row: -row[1].mean)


def _growth(
    benchmark: Gathered,
    means: Mapping[tuple[str, str], Interval],
    matrices: Mapping[str, Mapping[str, Matrix]],
) -> list[Growth]:
    rows = []
    for level in benchmark.levels:
        own = [means[name, level].mean for name in benchmark.architectures if (name, level) in means]
        if len(own) > 1:
            noise = pooled_deviation(list(matrices[level].values()))
            rows.append(Growth(level, float(np.std(own, ddof=1)), max(own) - min(own), noise))
    return rows


def _worth(standings: Sequence[Standing]) -> list[Worth]:
    base = next((standing for standing in standings if standing.architecture == BASELINE), None)
    if base is None:
        return []

    def against(mine: float | None, theirs: float | None, score: float, other: float) -> float | None:
        if not mine or not theirs or other <= 0:
            return None
        return (score / mine) / (other / theirs)

    rows = []
    for standing in standings:
        score, other = standing.aggregates["mean"].mean, base.aggregates["mean"].mean
        rows.append(
            Worth(
                standing.architecture,
                score,
                against(standing.parameters, base.parameters, score, other),
                against(standing.training_seconds, base.training_seconds, score, other),
            )
        )
    return rows
