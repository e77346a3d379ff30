"""What is lost from level to level."""

from collections.abc import Sequence

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.findings.ladder import Step
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Interval
from metta.analysis.sections.blocks import Block, Figure, paragraph
from metta.analysis.table import Table, ends


def ladder(benchmark: Gathered, found: Findings) -> list[Block]:
    """Changes between levels, level 5 against the blind player, and growth of differences."""
    blocks: list[Block] = []
    reads = (
        (
            "shaping",
            "Sensitivity to reward shaping: level 1 to level 3",
            found.shaping,
            "Level 3 pays a fifth to a third of level 1's reward for the intermediate items, on a larger map "
            "with empty "
            "converters. Far to the left: lives on shaped reward. Near zero: learns without it. If the interval "
            "crosses the line, the change may be chance. An architecture with nothing to lose on level 1 stays "
            "near zero as well.",
        ),
        (
            "exploration",
            "Exploration gap: level 3 to level 4",
            found.exploration,
            "Level 4 has the same map and rules as level 3 but almost no reward on the way to a heart (and 24 agents "
            "instead of 20). What is lost here is lost to exploration: hearts have to be found by trying.",
        ),
    )
    for name, heading, rows, caption in reads:
        if rows:
            blocks.append(_step_figure(name, heading, rows, caption, found.measure))
        else:
            blocks.append(paragraph(f"{heading}: needs an architecture with results on both levels."))
    blocks.append(_sparse_table(found))
    if found.growth:
        blocks.append(_growth_figure(found))
    else:
        blocks.append(paragraph("Growth of differences up the ladder: needs a level with two architectures."))
    return blocks


def _step_figure(name: str, heading: str, rows: Sequence[Step], caption: str, measure: str) -> Figure:
    return Figure(
        name,
        heading,
        charts.steps(heading, "Change of the mean per architecture with its interval.", rows, f"change of {measure}"),
        f"{caption} Lines are Welch's 95 % t intervals over seeds.",
        Table(
            name,
            heading,
            ["architecture", f"{measure} before", "change", "95 % from", "to"],
            [[row.architecture, row.start, *ends(row.change)] for row in rows],
        ),
    )


def _sparse_table(found: Findings) -> Block:
    if not found.sparse:
        return paragraph("Progress from sparse reward: needs results on level 5.")
    return Table(
        "sparse",
        "Progress from sparse reward, level 5 (hearts are the only reward): hearts per agent, and the blind player's",
        ["architecture", "hearts per agent", "95 % from", "to", "blind", "above blind"],
        [[name, *ends(hearts), floor, _above(hearts, floor)] for name, hearts, floor in found.sparse],
    )


def _above(hearts: Interval, floor: float | None) -> str:
    if floor is None:
        return "no reference"
    if hearts.low is None:
        return "one seed: not known"
    return "yes" if hearts.low > floor else "not shown"


def _growth_figure(found: Findings) -> Figure:
    return Figure(
        "growth",
        "How far architectures are apart on each level",
        charts.growth(
            "Differences between architectures by level",
            "Two bars per level: standard deviation between architectures and between seeds.",
            found.growth,
            f"standard deviation of {found.measure}",
        ),
        "Where the first bar is much taller than the second, the choice of architecture matters more than luck; where "
        "they are alike, the level does not separate architectures at this budget. Growing first bars up the ladder "
        "mean that harder levels tell architectures apart better.",
        Table(
            "growth",
            "Differences between architectures and between seeds by level",
            ["level", "deviation between architectures", "best minus worst", "deviation between seeds"],
            [[row.level, row.spread, row.reach, row.noise] for row in found.growth],
        ),
    )
