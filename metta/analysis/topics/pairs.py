"""Architectures in pairs: how often one beats the other, verdicts, what more seeds would show, profiles."""

import numpy as np

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text, counted
from metta.analysis.comparison import profile
from metta.analysis.figures import Axis, Figure, Record, axis_of, lines
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.metrics import IMPROVEMENT, SCORE

PROFILE_POINTS = 51
FEWEST_RUNS = 8
"""Runs of an architecture from which on a profile says more than its dots."""


def section(benchmark: Gathered, found: Findings) -> Section | None:
    """Of two architectures or more."""
    if len(found.compared) < 2:
        return None
    blocks: list[Block] = [improvement_table(found), Text(IMPROVEMENT_WORDS), verdict_table(found)]
    if found.smallest:
        blocks.append(power_table(found))
    if all(np.isfinite(matrix).sum() >= FEWEST_RUNS for matrix in found.matrices.values()):
        blocks.append(profiles(benchmark, found))
    return Section("pairs", "Pair by pair", blocks)


IMPROVEMENT_WORDS = (
    f"{IMPROVEMENT.meaning} 0.5 is the toss of a coin. A mark means that the difference is more than chance; "
    "without it they are not distinguishable with these seeds, however strong the colour."
)


def improvement_table(found: Findings) -> Table:
    """The row over the column."""
    apart = {frozenset((verdict.a, verdict.b)) for verdict in found.verdicts if verdict.better is not None}

    def cell(a: str, b: str) -> Cell:
        return None if a == b else found.improvement[a, b]

    return Table(
        "improvement",
        f"{IMPROVEMENT.name.capitalize()} of the row over the column",
        ["architecture", *(Column(name, IMPROVEMENT.digits, (0.5, 1.0)) for name in found.compared)],
        [[a, *(cell(a, b) for b in found.compared)] for a in found.compared],
        marks={(a, b) for pair in apart for a in pair for b in pair if a != b},
    )


def verdict_table(found: Findings) -> Table:
    """Every pair."""
    digits = found.measure.digits
    return Table(
        "verdicts",
        f"Verdicts for every pair ({found.measure.name}, mean over {counted(len(found.judged_levels), 'level')})",
        [
            *("pair", "verdict", Column("difference", digits), Column("standard error", digits)),
            Column("difference needed", digits),
        ],
        [[f"{v.a} / {v.b}", v.words, v.value, v.error, v.needed] for v in found.verdicts],
        folded=True,
    )


def power_table(found: Findings) -> Table:
    """What more seeds would show."""
    return Table(
        "power",
        "Smallest true difference that so many seeds per level show four times in five, all pairs judged together",
        ["seeds", Column("difference", found.measure.digits)],
        [[str(n), value] for n, value in found.smallest.items()],
        folded=True,
    )


def profiles(benchmark: Gathered, found: Findings) -> Figure:
    """Share of runs above a value."""
    values = [float(value) for matrix in found.matrices.values() for value in matrix[np.isfinite(matrix)]]
    axis = axis_of(SCORE, values) if found.measure == SCORE else Axis(found.measure.title)
    low, high = axis.domain or (0.0, max(values))
    thresholds = np.linspace(low, high, PROFILE_POINTS)
    records: list[Record] = [
        {"who": name, "x": float(x), "y": float(y)}
        for name, matrix in found.matrices.items()
        for x, y in zip(thresholds, profile(matrix, thresholds), strict=True)
    ]
    return Figure(
        "profiles",
        f"Share of runs above a {found.measure.name}",
        lines(benchmark.architectures, records, axis, Axis("share of runs above it", domain=(0.0, 1.0))),
        "A curve that lies above another everywhere belongs to the better architecture at every demand. Curves that "
        "cross say: one is steadier, the other better at its best.",
    )
