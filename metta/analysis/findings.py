"""What is found of a benchmark as a whole: means, who is better than whom, and what so many seeds could show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from metta.analysis.aggregates import Matrix, fewest_seeds
from metta.analysis.comparison import improvements, mean_places
from metta.analysis.extremes import extremes_of
from metta.analysis.gather import Gathered, Run
from metta.analysis.intervals import Estimate, estimate, mean_over_levels
from metta.analysis.metrics import Metric
from metta.analysis.verdicts import Verdict, judge, pooled_deviation, smallest_by_seeds, tiers

SEED_COUNTS = (2, 3, 5, 10, 20)


@dataclass(frozen=True)
class Findings:
    """The numbers that several topics of the report need."""

    measure: Metric
    means: dict[tuple[str, str], Estimate]
    """(architecture, level) -> mean over seeds."""
    matrices: dict[str, Matrix]
    """Architecture -> [S, L] on the compared levels, best mean first."""
    compared_levels: list[str]
    overall: dict[str, Estimate]
    """Architecture -> mean over the compared levels; its values are those of `Gathered.seeds_of`."""
    extremes: dict[str, str]
    """Level -> floor or ceiling, where all architectures are there; such a level ranks none of them."""
    judged_levels: list[str]
    """The compared levels that are none of these."""
    verdicts: list[Verdict]
    """On the mean over the judged levels."""
    tiers: list[list[str]]
    """Best mean over the judged levels first; no two in a tier are told apart."""
    level_verdicts: dict[str, list[Verdict]]
    level_tiers: dict[str, list[list[str]]]
    """Of levels on which not everybody is at the floor or the ceiling."""
    fewest: int
    """Seeds of the compared architecture and level that have the fewest; 0 where nothing is compared."""
    smallest: dict[int, float]
    """Number of seeds, from `fewest` on -> smallest difference they can show (all pairs judged together)."""
    costs: dict[str, "Cost"]

    @property
    def compared(self) -> list[str]:
        """Architectures, best mean over the compared levels first."""
        return list(self.matrices)

    @cached_property
    def improvement(self) -> dict[tuple[str, str], float]:
        """(A, B) -> how often a run of A beats one of B."""
        return improvements(self.matrices)

    @cached_property
    def places(self) -> dict[str, float]:
        """Architecture -> mean place."""
        return mean_places(self.improvement)

    def better_than(self, name: str) -> list[str]:
        """Those that an architecture is better than."""
        return [v.b if v.a == name else v.a for v in self.verdicts if v.better == name]

    def worse_than(self, name: str) -> list[str]:
        """Those that are better than an architecture."""
        return [v.better for v in self.verdicts if v.better not in (None, name) and name in (v.a, v.b)]


@dataclass(frozen=True)
class Cost:
    """What an architecture takes, over the compared levels; None where it is not known or not above zero."""

    seconds: float | None
    """Of training, mean per run."""
    latency: float | None
    """Milliseconds to one action for one agent, median over runs."""
    parameters: float | None
    """The largest number among its runs: levels may differ in what is observed."""


def find(benchmark: Gathered) -> Findings:
    """Compute all of it, of what `gather.gather` returns."""
    names, levels = benchmark.compared()
    overall = {}
    for name in names if levels else []:
        values = [[benchmark.value(run) for run in benchmark.of(name, level)] for level in levels]
        rows = benchmark.matrix(name, levels)
        one_by_one = tuple(fmean(row) for row in rows[np.isfinite(rows).all(axis=1)].tolist())
        overall[name] = mean_over_levels(values, fmean(map(benchmark.lowest, levels)))._replace(values=one_by_one)
    order = sorted(overall, key=lambda name: -overall[name].mean)
    matrices = {name: benchmark.matrix(name, levels) for name in order}
    extremes = extremes_of(benchmark)
    judged = [level for level in levels if level not in extremes]
    judged_matrices = {name: benchmark.matrix(name, judged) for name in names} if judged else {}
    verdicts = judge(judged_matrices)
    level_matrices = {
        level: {name: benchmark.matrix(name, [level]) for name in benchmark.architectures if benchmark.of(name, level)}
        for level in benchmark.levels
    }
    level_verdicts = {level: judge(own) for level, own in level_matrices.items() if level not in extremes}
    deviation = pooled_deviation(list(judged_matrices.values())) if verdicts else None
    fewest = min(map(fewest_seeds, judged_matrices.values()), default=0)
    counts = sorted({fewest, *(n for n in SEED_COUNTS if n > fewest)}) if fewest > 1 else [*SEED_COUNTS]
    return Findings(
        measure=benchmark.measure,
        means={
            (name, level): estimate([benchmark.value(run) for run in own], benchmark.lowest(level))
            for level in benchmark.levels
            for name in benchmark.architectures
            if (own := benchmark.of(name, level))
        },
        matrices=matrices,
        compared_levels=levels if matrices else [],
        overall={name: overall[name] for name in order},
        extremes=extremes,
        judged_levels=judged,
        verdicts=verdicts,
        tiers=tiers(verdicts, _best_first(judged_matrices)),
        level_verdicts=level_verdicts,
        level_tiers={level: tiers(own, _best_first(level_matrices[level])) for level, own in level_verdicts.items()},
        fewest=fewest,
        smallest=smallest_by_seeds(deviation, len(names), len(judged), counts) if deviation else {},
        costs={name: cost_of([run for level in levels for run in benchmark.of(name, level)]) for name in order},
    )


def _best_first(matrices: Mapping[str, Matrix]) -> list[str]:
    """By the mean over levels of the mean over seeds, which is what verdicts are about."""
    means = {name: float(np.nanmean(matrix, axis=0).mean()) for name, matrix in matrices.items()}
    return sorted(means, key=lambda name: -means[name])


def cost_of(runs: Sequence[Run]) -> Cost:
    """Of an architecture's runs."""
    seconds = [s for run in runs if (s := run.record.training.duration_seconds)]
    latencies = [ms for run in runs if (ms := run.files.evaluated.latency)]
    parameters = max((run.files.parameters or 0 for run in runs), default=0)
    return Cost(
        fmean(seconds) if seconds else None, float(np.median(latencies)) if latencies else None, parameters or None
    )
