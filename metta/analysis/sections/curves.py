"""Learning curves and sample efficiency."""

from collections.abc import Mapping

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.findings.band import Band
from metta.analysis.findings.curves import SHARES, LearningRow
from metta.analysis.gather import Gathered
from metta.analysis.run_files import CURVES, HEARTS, REWARD
from metta.analysis.sections.blocks import Block, Figure, counted, file_part, paragraph
from metta.analysis.table import Cell, Table
from metta.base.addresses import BLIND, REFLEX


def learning(benchmark: Gathered, found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    """Curves of hearts and reward per level, and sample efficiency."""
    blocks: list[Block] = []
    for metric, unit in CURVES.items():
        for level, bands in found.curves.get(metric, {}).items():
            name = metric.split("/")[1]
            blocks.append(
                Figure(
                    f"learning_{file_part(level)}_{name}",
                    f"{level}: {unit} in training",
                    charts.lines(
                        f"Learning curves on {level}",
                        f"Per architecture, {unit} over agent-steps of training, mean over seeds.",
                        bands,
                        "agent-steps",
                        unit,
                        numbers,
                        _players(benchmark, level) if metric == HEARTS else None,
                    ),
                    "Lines are means over seeds; with up to six architectures, bands reach from the lowest to "
                    "the highest seed. Steep early lines "
                    "learn from few steps; lines that still rise at the end would gain from longer training. "
                    + (
                        "Shaped reward differs from level to level: compare within this figure only. The first steps "
                        "look better than they are, because all worlds start fresh and shaped rewards are earned early "
                        "in an episode; read what comes after the first episode's length."
                        if metric == REWARD
                        else "Each point is a few full episodes on held-out worlds, the same for all runs."
                    ),
                    Table(
                        f"learning_{file_part(level)}_{name}",
                        f"Learning curves on {level}, {unit}",
                        CURVE_HEADER,
                        curve_rows(bands),
                    ),
                )
            )
    if not blocks:
        blocks.append(paragraph("No run that trained to its end has a learning curve of two points or more."))
    if found.broken_off:
        blocks.append(
            paragraph(f"{counted(found.broken_off, 'run')} left out: training did not reach its end.", class_="note")
        )
    if found.learning:
        blocks.append(
            Table(
                "sample_efficiency",
                "Sample efficiency: hearts per agent and whole episode in training",
                [
                    *("architecture", "level", "seeds", "mean over training", "at the end"),
                    *(text for share in SHARES for text in (f"steps to {share:.0%}", "seeds that did")),
                ],
                [
                    [
                        row.architecture,
                        row.level,
                        row.seeds,
                        row.area.mean,
                        row.last.mean,
                        *_step_cells(row),
                    ]
                    for row in found.learning
                ],
            )
        )
        blocks.append(
            paragraph(
                "Mean over training is the area under the learning curve of hearts divided by its length. The "
                "thresholds are shares of the way from the level's first evaluation in training, mean over all runs, "
                "to the end of the best architecture; dashes in their places mean that even the best ended no higher. "
                "Steps are means over the seeds that got there, so read them together with how many did. Who learned "
                "before the first evaluation seems to get there with it."
            )
        )
    else:
        blocks.append(paragraph("Sample efficiency is known once runs have been evaluated in training."))
    return blocks


def _step_cells(row: LearningRow) -> list[Cell]:
    if row.steps is None:
        return [None] * (2 * len(SHARES))
    return [cell for count, steps in row.steps for cell in (steps, count)]


CURVE_HEADER = ("architecture", "agent-steps", "mean", "lowest seed", "highest seed")


def curve_rows(bands: Mapping[str, Band]) -> list[list[Cell]]:
    """A figure's curves as rows under `CURVE_HEADER`, every sixth point."""
    return [
        [name, float(band.x[index]), float(band.middle[index]), float(band.low[index]), float(band.high[index])]
        for name, band in bands.items()
        for index in range(0, len(band.x), 6)
    ]


def _players(benchmark: Gathered, level: str) -> dict[str, float]:
    """The reference players that say whether something was learned, and whether memory counts."""
    hearts = {f"({player})": benchmark.hearts_of_player(player, level) for player in (BLIND, REFLEX)}
    return {name: value for name, value in hearts.items() if value is not None}
