"""Where each architecture stands over all compared levels, and what that costs."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from metta.analysis.aggregates import Matrix, balanced, trimmed
from metta.analysis.bootstrap import aggregate_intervals
from metta.analysis.comparison import mean_rank
from metta.analysis.gather import Gathered, Run
from metta.analysis.intervals import Interval
from metta.analysis.verdicts import Verdict

Number = TypeVar("Number", int, float)

BASELINE = "fast"
"""Architecture that score per parameter and per second is compared with."""


class Standing(NamedTuple):
    """An architecture in the overall comparison."""

    architecture: str
    aggregates: dict[str, Interval]
    trimmed: bool
    """Whether its interquartile mean leaves any value out."""
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


class Cost(NamedTuple):
    """What an architecture gives and what it takes; a cost that is not above zero is as good as unknown."""

    value: float
    """Mean over the compared levels."""
    seconds: float | None
    """Of training, mean per run."""
    parameters: int | None
    latency: float | None
    """Milliseconds to one action for one agent."""


class Worth(NamedTuple):
    """Value for money of an architecture, as multiples of the baseline's."""

    architecture: str
    score: float
    per_parameter: float | None
    per_second: float | None


def standings_of(
    benchmark: Gathered,
    levels: Sequence[str],
    matrices: Mapping[str, Matrix],
    ranks: Mapping[str, list[float]],
    verdicts: Sequence[Verdict],
    seed: int,
) -> list[Standing]:
    """Every compared architecture, the best interquartile mean first."""
    standings = [_standing(benchmark, name, levels, matrices[name], ranks[name], verdicts, seed) for name in matrices]
    return sorted(standings, key=lambda standing: -standing.aggregates["interquartile mean"].mean)


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
        trimmed=trimmed(balanced(matrix).size) > 0,
        ranks=ranks,
        mean_rank=mean_rank(ranks),
        runs=len(runs),
        training_seconds=sum(seconds) / len(seconds) if seconds else None,
        parameters=_parameters(runs),
        latency=_latency(runs),
        better_than=[other for other, won in others if won],
        worse_than=[other for other, won in others if not won],
    )


def _parameters(runs: Sequence[Run]) -> int | None:
    """Parameters of an architecture: the largest number among its runs (levels may differ in what is observed)."""
    return max((run.files.parameters for run in runs if run.files.parameters is not None), default=None)


def _latency(runs: Sequence[Run]) -> float | None:
    """Acting latency of an architecture in milliseconds: the median of its runs' medians."""
    known = [run.files.evaluated.latency for run in runs if run.files.evaluated.latency is not None]
    return float(np.median(known)) if known else None


def cost_of(standings: Sequence[Standing]) -> dict[str, Cost]:
    """By architecture."""
    return {
        standing.architecture: Cost(
            standing.aggregates["mean"].mean,
            _positive(standing.training_seconds),
            _positive(standing.parameters),
            _positive(standing.latency),
        )
        for standing in standings
    }


def _positive(cost: Number | None) -> Number | None:
    """The cost where it is one; axes of cost are logarithmic."""
    return cost if cost is not None and cost > 0 else None


def worth_of(standings: Sequence[Standing]) -> list[Worth]:
    """Value for money; none without the baseline among the standings."""
    base = next((standing for standing in standings if standing.architecture == BASELINE), None)
    if base is None:
        return []

    def against(mine: float | None, theirs: float | None, score: float, other: float) -> float | None:
        if mine is None or theirs is None or min(mine, theirs, other) <= 0:
            return None
        # In this order nothing that is divided by can have become zero on the way.
        worth = (score / other) * (theirs / mine)
        return worth if math.isfinite(worth) else None

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
