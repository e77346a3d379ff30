"""Everything the report says, computed from a gathered benchmark; drawing and page computes nothing.

Randomness: bootstrap draws depend on `seed` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metta.analysis.aggregates import Matrix, fewest_seeds
from metta.analysis.comparison import improvement, rank_distribution
from metta.analysis.findings.band import Band
from metta.analysis.findings.behaviour import behaviour_of
from metta.analysis.findings.curves import LearningRow, broken_off, curves_of, learning_of
from metta.analysis.findings.extremes import extremes_of
from metta.analysis.findings.ladder import Growth, Step, growth_of, sparse_of, steps_of
from metta.analysis.findings.lessons import Lesson, lessons_of
from metta.analysis.findings.profiles import coverage_of, profiles_of, thresholds_of
from metta.analysis.findings.standings import Cost, Standing, Worth, cost_of, standings_of, worth_of
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Interval, mean_interval
from metta.analysis.verdicts import Verdict, judge, pooled_deviation, smallest_by_seeds, tiers

SEED_COUNTS = (2, 3, 5, 10, 20)


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
    extremes: dict[str, str]
    """Level -> floor or ceiling, where everybody is; such a level ranks nobody."""
    judged_levels: list[str]
    """The compared levels that are none of these."""
    verdicts: list[Verdict]
    """On the mean over the judged levels."""
    tiers: list[list[str]]
    """Best mean over the judged levels first; nobody in a tier is told apart from another in it."""
    level_verdicts: dict[str, list[Verdict]]
    level_tiers: dict[str, list[list[str]]]
    """Of levels on which not everybody is at the floor or the ceiling."""
    thresholds: NDArray[np.float64]
    profiles: dict[str, Band]
    fewest: int
    """Seeds of the compared architecture and level that have the fewest; 0 where nothing is compared."""
    smallest: dict[int, float]
    """Number of seeds, `fewest` among them -> smallest difference they can show (all pairs judged together)."""
    coverage: float | None
    """Share of intervals that cover the truth with so few seeds, from simulation; None without any interval."""
    curves: dict[str, dict[str, dict[str, Band]]]
    """Metric -> level -> architecture -> mean, lowest and highest seed."""
    learning: list[LearningRow]
    broken_off: int
    """Runs whose curves are left out, because they did not train to their end."""
    cost: dict[str, Cost]
    """By architecture; over the compared levels."""
    lessons: list[Lesson]
    """Of the runs that a curriculum chose the training tasks of."""
    behaviour: dict[tuple[str, str], dict[str, dict[str, float]]]
    """(level, evaluation environment) -> architecture -> counter -> mean over seeds."""
    shaping: list[Step]
    exploration: list[Step]
    sparse: list[tuple[str, Interval, float | None]]
    """Level 5: architecture, hearts per agent, hearts of the blind player."""
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
    extremes = extremes_of(benchmark)
    judged = [level for level in levels if level not in extremes]
    judged_matrices = {name: benchmark.matrix(name, judged) for name in names} if judged else {}
    verdicts = judge(judged_matrices)
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
    ranks = rank_distribution(matrices, seed)
    standings = standings_of(benchmark, levels, matrices, ranks, verdicts, seed)
    thresholds = thresholds_of(list(matrices.values()))
    deviation = pooled_deviation(list(judged_matrices.values())) if verdicts else None
    fewest = min(map(fewest_seeds, judged_matrices.values()), default=0)
    level_verdicts = {level: judge(own) for level, own in level_matrices.items() if level not in extremes}
    counts = sorted({*SEED_COUNTS, *([fewest] if fewest > 1 else [])})
    return Findings(
        measure=benchmark.measure,
        means=means,
        deviations=deviations,
        compared=[standing.architecture for standing in standings],
        compared_levels=levels if matrices else [],
        standings=standings,
        improvement={(a, b): improvement(matrices[a], matrices[b], seed) for a in matrices for b in matrices if a != b},
        extremes=extremes,
        judged_levels=judged,
        verdicts=verdicts,
        tiers=tiers(verdicts, _best_first(judged_matrices)),
        level_verdicts=level_verdicts,
        level_tiers={level: tiers(own, _best_first(level_matrices[level])) for level, own in level_verdicts.items()},
        thresholds=thresholds,
        profiles=profiles_of(matrices, thresholds, seed),
        fewest=fewest,
        smallest=smallest_by_seeds(deviation, len(names), len(judged), counts) if deviation else {},
        coverage=coverage_of(matrices),
        curves=curves_of(benchmark),
        learning=learning_of(benchmark),
        broken_off=broken_off(benchmark),
        cost=cost_of(standings),
        lessons=lessons_of(benchmark),
        behaviour=behaviour_of(benchmark),
        shaping=steps_of(benchmark, level_matrices, "level_1", "level_3"),
        exploration=steps_of(benchmark, level_matrices, "level_3", "level_4"),
        sparse=sparse_of(benchmark),
        growth=growth_of(benchmark, means, level_matrices),
        worth=worth_of(standings),
    )


def _best_first(matrices: Mapping[str, Matrix]) -> list[str]:
    """By the mean over levels of the mean over seeds, which is what verdicts are about."""
    means = {name: float(np.nanmean(matrix, axis=0).mean()) for name, matrix in matrices.items()}
    return sorted(means, key=lambda name: -means[name])
