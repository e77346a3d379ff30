"""How values change from level to level."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from metta.analysis.aggregates import Matrix
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Interval, change_interval, mean_interval
from metta.analysis.verdicts import pooled_deviation
from metta.base.addresses import BLIND


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


def _level(benchmark: Gathered, prefix: str) -> str | None:
    """The level whose name begins with `prefix`, e.g. level_3 -> level_3_medium."""
    return next((level for level in benchmark.levels if level.startswith(f"{prefix}_") or level == prefix), None)


def steps_of(benchmark: Gathered, matrices: Mapping[str, Mapping[str, Matrix]], easier: str, harder: str) -> list[Step]:
    """Of every architecture on both levels, the greatest gain first; a level is named by the begin of its name."""
    start, end = _level(benchmark, easier), _level(benchmark, harder)
    if start is None or end is None:
        return []
    steps = []
    for name in benchmark.architectures:
        if name in matrices[start] and name in matrices[end]:
            before, after = (matrices[level][name] for level in (start, end))
            start_values, end_values = (matrix[~np.isnan(matrix)].tolist() for matrix in (before, after))
            steps.append(Step(name, float(np.nanmean(before)), change_interval(start_values, end_values)))
    return sorted(steps, key=lambda step: -step.change.mean)


def sparse_of(benchmark: Gathered) -> list[tuple[str, Interval, float | None]]:
    """Level 5: architecture, hearts per agent, hearts of the blind player; best first."""
    level = _level(benchmark, "level_5")
    if level is None:
        return []
    blind = benchmark.references.get(level, {}).get(BLIND, {})
    floor = float(np.mean([result.hearts_per_agent for result in blind.values()])) if blind else None
    rows = []
    for name in benchmark.architectures:
        hearts = [
            float(np.mean([result.hearts_per_agent for result in run.record.evaluation.results.values()]))
            for run in benchmark.of(name, level)
        ]
        if hearts:
            rows.append((name, mean_interval(hearts), floor))
    return sorted(rows, key=lambda row: -row[1].mean)


def growth_of(
    benchmark: Gathered,
    means: Mapping[tuple[str, str], Interval],
    matrices: Mapping[str, Mapping[str, Matrix]],
) -> list[Growth]:
    """Of every level with two architectures or more."""
    rows = []
    for level in benchmark.levels:
        own = [means[name, level].mean for name in benchmark.architectures if (name, level) in means]
        if len(own) > 1:
            noise = pooled_deviation(list(matrices[level].values()))
            rows.append(Growth(level, float(np.std(own, ddof=1)), max(own) - min(own), noise))
    return rows
