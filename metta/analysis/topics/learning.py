"""Learning curves, and how much and how fast an architecture learned on a level.

Only runs that trained to their end count: one that broke off would shift the means and cut the common steps short.

Speed of learning is told by the hearts of episodes on held-out worlds, played by the policy of that moment. Training
episodes lag behind and flatter, because the policy changes within them; rewards per agent-step would not do either:
all worlds start fresh, and as shaped rewards are earned early in an episode, the first updates look better than many
later ones.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text, counted
from metta.analysis.figures import Figure, Record, Spec, axis_of, lines, scatter
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Estimate, estimate
from metta.analysis.learning import Curve, area, on_grid, smoothed, steps_to
from metta.analysis.metrics import CURRICULUM_CURVES, CURVES, HEARTS, HEARTS_CURVE, REWARD_CURVE, STEPS
from metta.base.files import file_part

SHARES = (0.5, 0.75, 0.9)
"""Thresholds of sample efficiency, as shares of the way from the first to the best last hearts of the level."""
DRAWN = 1
"""Place in `SHARES` of the one that is drawn."""
SMOOTHING = 0.05
"""Share of a learning curve's points that each of its values is averaged over."""
MOST_POINTS = 60
"""Of a drawn curve, and of one whose seeds are drawn one by one."""


class LearningRow(NamedTuple):
    """How an architecture learned on a level."""

    architecture: str
    level: str
    seeds: int
    area: Estimate
    """Mean hearts per agent and episode, from the first evaluation in training to the last."""
    last: Estimate
    """Hearts per agent and episode at the end."""
    steps: list[tuple[int, float | None]] | None
    """Per threshold: seeds that reached it, and their mean agent-steps, None if none did.

    None where no architecture ended above the level's first hearts, so that there is nothing to reach.
    """


def section(benchmark: Gathered, found: Findings) -> Section | None:
    """Sample efficiency, and curves of the training's own reward."""
    rows = learning_of(benchmark)
    blocks: list[Block] = [*efficiency_figures(benchmark, found, rows)]
    if rows:
        blocks += [efficiency_table(rows), Text(EFFICIENCY)]
    for level in benchmark.levels:
        own = curve_figure(benchmark, level, REWARD_CURVE, f"{level}: reward in training", CURVES[REWARD_CURVE].meaning)
        blocks += [own] if own else []
    left_out = broken_off(benchmark)
    if left_out:
        blocks.append(Text(f"{counted(left_out, 'run')} left out: training did not reach its end.", note=True))
    return Section("learning", "Learning", blocks) if blocks else None


def broken_off(benchmark: Gathered) -> int:
    """Number of runs whose learning curves do not count, because their training broke off or goes on."""
    return sum(bool(run.files.curves) and not run.is_whole for run in benchmark.runs.values())


def curves_of(benchmark: Gathered, level: str, metric: str) -> dict[str, dict[int, Curve]]:
    """Architecture -> seed -> curve, smoothed, of the runs that trained to their end."""
    found: dict[str, dict[int, Curve]] = {}
    for run in sorted(benchmark.runs.values(), key=lambda run: run.key.seed):
        curve = run.files.curves.get(metric)
        if run.is_whole and run.key.level == level and curve is not None:
            smooth = smoothed(curve, max(1, round(SMOOTHING * curve[0].size)))
            found.setdefault(run.key.architecture, {})[run.key.seed] = smooth
    return {name: found[name] for name in benchmark.architectures if name in found}


def curve_figure(
    benchmark: Gathered,
    level: str,
    metric: str,
    title: str,
    caption: str,
    players: Mapping[str, float] | None = None,
) -> Figure | None:
    """Curves of a metric over training; None without a curve of two points or more."""
    means: list[Record] = []
    dots: list[Record] = []
    for name, seeds in curves_of(benchmark, level, metric).items():
        curves = [curve for curve in seeds.values() if curve[0].size > 1]
        try:
            x, values = _together(curves)
        except ValueError:
            continue  # none, or hearts of one run begin after those of another ended
        table = zip(x, values.mean(axis=0), values.min(axis=0), values.max(axis=0), strict=True)
        several = len(curves) > 1
        for steps, mean, low, high in table:
            band = {"lowest seed": float(low), "highest seed": float(high)} if several else {}
            means.append({"who": name, "x": float(steps), "y": float(mean), **band})
        for seed, (steps_K, values_K) in seeds.items():
            if several and steps_K.size <= MOST_POINTS:
                dots += [
                    {"who": name, "seed": seed, "x": float(step), "y": float(value)}
                    for step, value in zip(steps_K, values_K, strict=True)
                ]
    if not means:
        return None
    known = CURVES.get(metric) or CURRICULUM_CURVES[metric]
    spec = lines(benchmark.architectures, means, axis_of(STEPS), axis_of(known), dots, players)
    caption = f"Lines are means over seeds, small dots single seeds. {caption}"
    return Figure(f"{file_part(metric.split('/')[-1])}_{file_part(level)}", title, spec, caption)


def _together(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Steps [K] and values [S, K]: as they are where the curves have the same few steps, else on an even grid."""
    steps = curves[0][0] if curves else np.zeros(0)
    if 0 < steps.size <= MOST_POINTS and all(np.array_equal(steps, other) for other, _ in curves):
        return steps, np.stack([values for _, values in curves])
    return on_grid(curves, MOST_POINTS)


def learning_of(benchmark: Gathered) -> list[LearningRow]:
    """Of every architecture with a curve of hearts in training, level by level."""
    rows = []
    for level in benchmark.levels:
        present = {name: [*own.values()] for name, own in curves_of(benchmark, level, HEARTS_CURVE).items()}
        if not present:
            continue
        first = fmean(float(values[0]) for own in present.values() for _, values in own)
        best = max(fmean(float(values[-1]) for _, values in own) for own in present.values())
        rows += [
            LearningRow(
                name,
                level,
                len(own),
                estimate([area(curve) for curve in own], HEARTS.lowest),
                estimate([float(values[-1]) for _, values in own], HEARTS.lowest),
                [_reached(own, first + share * (best - first)) for share in SHARES] if best > first else None,
            )
            for name, own in present.items()
        ]
    return rows


def _reached(curves: Sequence[Curve], threshold: float) -> tuple[int, float | None]:
    steps = [found for curve in curves if (found := steps_to(curve, threshold)) is not None]
    return len(steps), fmean(steps) if steps else None


EFFICIENCY = (
    "Mean over training is the area under the learning curve of hearts divided by its length. The thresholds are "
    "shares of the way from the level's first evaluation in training, mean over all runs, to the end of the best "
    "architecture; a dash means that even the best ended no higher. Steps are means over the "
    "seeds that got there, so read them together with how many did. An architecture that learned before the first "
    "evaluation appears to get there at that evaluation."
)


def efficiency_figures(benchmark: Gathered, found: Findings, rows: Sequence[LearningRow]) -> list[Figure]:
    """Per level, the steps to three quarters of the best against where an architecture ended.

    None of a level where fewer than two got there, or where everybody ended at the floor or the ceiling.
    """
    figures = []
    for level in benchmark.levels:
        if level in found.extremes:
            continue
        points: list[Record] = []
        for row in rows:
            seeds, steps = row.steps[DRAWN] if row.level == level and row.steps else (0, None)
            if steps:
                ends = {"low": row.last.low, "high": row.last.high, "seeds that got there": seeds}
                points.append({"who": row.architecture, "x": steps, "y": row.last.mean, **ends})
        if len(points) > 1:
            figures.append(
                Figure(
                    f"sample_efficiency_{file_part(level)}",
                    f"{level}: sample efficiency",
                    _efficiency(benchmark, points, level),
                    f"Agent-steps to {SHARES[DRAWN]:.0%} of the way to the best architecture's end, against hearts at "
                    "one's own end. Up and to the left is better; the dotted line joins what nothing else beats. "
                    "Architectures that never got there are not drawn.",
                )
            )
    return figures


def _efficiency(benchmark: Gathered, points: Sequence[Record], level: str) -> Spec:
    x = axis_of(STEPS, [point["x"] for point in points], log=True)
    return scatter(benchmark.architectures, points, x, axis_of(HEARTS), benchmark.players([level], hearts=True))


def efficiency_table(rows: Sequence[LearningRow]) -> Table:
    """All of it as numbers."""
    titles = [text for share in SHARES for text in (f"steps to {share:.0%}", f"seeds at {share:.0%}")]

    def cells(row: LearningRow) -> list[Cell]:
        if row.steps is None:
            return [None] * len(titles)
        return [cell for count, steps in row.steps for cell in (steps, count)]

    return Table(
        "sample_efficiency",
        "Sample efficiency: hearts per agent and whole episode in training",
        ["architecture", "level", "seeds", Column("mean over training", 2), Column("at the end", 2), *titles],
        [[row.architecture, row.level, row.seeds, row.area, row.last, *cells(row)] for row in rows],
    )
