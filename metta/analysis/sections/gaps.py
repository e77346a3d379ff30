"""Failed, missing and unread runs."""

from metta.analysis.gather import Gathered
from metta.analysis.sections.blocks import Block, paragraph
from metta.analysis.table import Cell, Table
from metta.base.addresses import PLAYERS


def gaps(benchmark: Gathered) -> list[Block]:
    """Runs that failed, are missing or wait, absent reference players, unreadable files."""
    blocks: list[Block] = []
    if benchmark.failed:
        blocks.append(
            Table(
                "failed",
                "Failed runs",
                ["run", "stage", "what went wrong", "command"],
                [
                    [
                        run.record.training.run_name,
                        "training" if run.record.training.status == "failed" else "evaluation",
                        run.failure,
                        run.record.training.command,
                    ]
                    for run in benchmark.failed
                ],
            )
        )
    waiting = [(run.key, "not evaluated") for run in benchmark.waiting]
    waiting += [(run.key, f"{run.record.training.trained_words}; not compared") for run in benchmark.partly_trained]
    if benchmark.missing or waiting:
        blocks.append(
            Table(
                "missing",
                "Planned runs without a result of their whole training",
                ["architecture", "level", "seed", "state"],
                [
                    [key.architecture, key.level, str(key.seed), state]
                    for key, state in [
                        *((key, "not started or not recorded yet") for key in benchmark.missing),
                        *waiting,
                    ]
                ],
            )
        )
    if not blocks:
        blocks.append(paragraph("None: every planned run has a result."))
    players = {level: sorted(found) for level, found in benchmark.references.items()}
    absent = [
        f"{player} on {level}"
        for level in benchmark.levels
        for player in PLAYERS
        if player not in players.get(level, [])
    ]
    if absent:
        blocks.append(paragraph(f"Reference players without results: {', '.join(absent)}."))
    faults: list[list[Cell]] = [
        [run.record.training.run_name, fault]
        for run in benchmark.runs.values()
        if run.record.training.status == "success"
        for fault in run.files.faults
    ]
    if faults:
        blocks.append(
            Table(
                "unread", "Run files that could not be read; what they hold is left out above", ["run", "fault"], faults
            )
        )
    return blocks
