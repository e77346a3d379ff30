"""What is lost from level to level, and whether harder levels tell architectures apart better."""

from statistics import stdev

import numpy as np

from metta.analysis.blocks import Block, Cell, Column, Section, Table
from metta.analysis.figures import Axis, Figure, dots
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Estimate, change_interval
from metta.analysis.verdicts import pooled_deviation

STEPS = (
    (
        "shaping",
        "level_1",
        "level_3",
        "Sensitivity to reward shaping: level 1 to level 3",
        "Level 3 pays a fifth to a third of level 1's reward for the intermediate items, on a larger map with empty "
        "converters, three batteries to a heart, and combat. Far to the left: depends on shaped reward, or on what "
        "else is easier on level 1. Near zero: learns without it, or had nothing to lose on level 1.",
    ),
    (
        "exploration",
        "level_3",
        "level_4",
        "Exploration gap: level 3 to level 4",
        "Level 4 has the rules and the size of level 3 but almost no reward on the way to a heart (and 24 agents "
        "instead of 20, with more machines). What is lost here suggests a want of exploration: hearts have to be found "
        "by trying.",
    ),
)
"""Name, easier level, harder level, title, what to read."""


def section(benchmark: Gathered, found: Findings) -> Section | None:
    """Of two levels or more."""
    blocks: list[Block] = []
    for name, easier, harder, title, caption in STEPS:
        rows = steps_of(benchmark, easier, harder)
        if rows:
            blocks.append(
                Figure(
                    name,
                    title,
                    dots(benchmark.architectures, rows, Axis(f"change of {found.measure.name}"), zero=True),
                    f"{caption} Lines are 95 % t intervals (Welch); where one crosses zero, the change may be chance.",
                )
            )
    growth = growth_table(benchmark, found)
    if len(growth.rows) > 1:
        blocks.append(growth)
    return Section("ladder", "Up the ladder", blocks) if len(benchmark.levels) > 1 and blocks else None


def _level(benchmark: Gathered, prefix: str) -> str | None:
    """The level whose name begins with `prefix`, e.g. level_3 -> level_3_medium."""
    return next((level for level in benchmark.levels if level.startswith(f"{prefix}_") or level == prefix), None)


def steps_of(benchmark: Gathered, easier: str, harder: str) -> dict[str, Estimate]:
    """Architecture -> change of its value, the greatest gain first; a level is named by the begin of its name."""
    start, end = _level(benchmark, easier), _level(benchmark, harder)
    if start is None or end is None:
        return {}
    found = {}
    for name in benchmark.architectures:
        before, after = ([benchmark.value(run) for run in benchmark.of(name, level)] for level in (start, end))
        if before and after:
            found[name] = change_interval(before, after)
    return dict(sorted(found.items(), key=lambda item: -item[1].mean))


def growth_table(benchmark: Gathered, found: Findings) -> Table:
    """How far architectures' means are apart on every level with two or more, against the pooled spread of seeds."""
    digits = found.measure.digits
    rows: list[list[Cell]] = []
    for level in benchmark.levels:
        names = [name for name in benchmark.architectures if (name, level) in found.means]
        means = [found.means[name, level].mean for name in names]
        if len(means) > 1:
            noise = pooled_deviation([benchmark.matrix(name, [level]) for name in names])
            rows.append([level, stdev(means), noise, float(np.ptp(means))])
    return Table(
        "growth",
        f"How far architectures and seeds are apart, standard deviations of {found.measure.name}: where the first is "
        "not much more than the second, the level does not separate architectures at this budget",
        ["level", *(Column(text, digits) for text in ("architectures", "seeds", "best minus worst"))],
        rows,
    )
