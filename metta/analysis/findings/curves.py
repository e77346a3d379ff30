"""Learning curves, and how much and how fast an architecture learned on a level.

Only runs that trained to their end count: one that broke off would shift the means and cut the common steps short.

Speed of learning is told by the hearts of episodes on held-out worlds, played by the policy of that moment. Training
episodes lag behind and flatter, because the policy changes within them; rewards per agent-step would not do either:
all worlds start fresh, and as shaped rewards are earned early in an episode, the first updates look better than many
later ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from metta.analysis.findings.band import Band
from metta.analysis.gather import Gathered, Run
from metta.analysis.intervals import Interval, mean_interval
from metta.analysis.learning import Curve, area, on_grid, smoothed, steps_to
from metta.analysis.run_files import HEARTS

SHARES = (0.5, 0.75, 0.9)
"""Thresholds of sample efficiency, as shares of the way from the first to the best last hearts of the level."""
SMOOTHING = 0.05
"""Share of a learning curve's points that each of its values is averaged over before thresholds are looked for."""
CURVE_POINTS = 60


class LearningRow(NamedTuple):
    """How an architecture learned on a level."""

    architecture: str
    level: str
    seeds: int
    area: Interval
    """Mean hearts per agent and episode, from the first evaluation in training to the last."""
    last: Interval
    """Hearts per agent and episode at the end."""
    steps: list[tuple[int, float | None]] | None
    """Per threshold: seeds that reached it, and their mean agent-steps, None if none did.

    None where no architecture ended above the level's first hearts, so that there is nothing to reach.
    """


def trained_to_the_end(benchmark: Gathered) -> list[Run]:
    """The runs whose curves are whole: training did not fail and made all its steps."""
    return [run for run in benchmark.runs.values() if run.is_whole]


def broken_off(benchmark: Gathered) -> int:
    """Number of runs whose learning curves do not count, because their training broke off or goes on."""
    return sum(bool(run.files.curves) and not run.is_whole for run in benchmark.runs.values())


def curves_of(benchmark: Gathered) -> dict[str, dict[str, dict[str, Band]]]:
    """Metric -> level -> architecture -> mean, lowest and highest seed, smoothed."""
    found: dict[str, dict[str, dict[str, list[Curve]]]] = {}
    for run in trained_to_the_end(benchmark):
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
                        continue  # hearts of one run may begin after those of another ended
                    band = Band(x, values.mean(axis=0), values.min(axis=0), values.max(axis=0))
                    bands.setdefault(metric, {}).setdefault(level, {})[name] = band
    return bands


def _smooth(curve: Curve) -> Curve:
    return smoothed(curve, max(1, round(SMOOTHING * curve[0].size)))


def learning_of(benchmark: Gathered) -> list[LearningRow]:
    """Of every architecture with a curve of hearts in training, level by level."""
    runs = trained_to_the_end(benchmark)
    rows = []
    for level in benchmark.levels:
        curves = {
            name: [
                _smooth(run.files.curves[HEARTS])
                for run in runs
                if run.key[:2] == (name, level) and HEARTS in run.files.curves
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
                [_reached(own, first + share * (best - first)) for share in SHARES] if best > first else None,
            )
            for name, own in present.items()
        ]
    return rows


def _reached(curves: Sequence[Curve], threshold: float) -> tuple[int, float | None]:
    steps = [found for curve in curves if (found := steps_to(curve, threshold)) is not None]
    return len(steps), sum(steps) / len(steps) if steps else None
