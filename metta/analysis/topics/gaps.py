"""Failed, missing and unread runs."""

from metta.analysis.blocks import Block, Cell, Section, Table, Text
from metta.analysis.gather import Gathered
from metta.base.addresses import PLAYERS


def section(benchmark: Gathered) -> Section | None:
    """Runs that failed, are missing or wait, absent reference players, unreadable files; None where all is there."""
    blocks: list[Block] = []
    if benchmark.failed:
        failed: list[list[Cell]] = [
            [
                run.record.training.run_name,
                "training" if run.record.training.status == "failed" else "evaluation",
                run.failure,
                run.record.training.command,
            ]
            for run in benchmark.failed
        ]
        blocks.append(Table("failed", "Failed runs", ["run", "stage", "what went wrong", "command"], failed))
    states = [*benchmark.begun.items()]
    states += [(key, "not started or not recorded yet") for key in benchmark.missing]
    states += [(run.key, "not evaluated") for run in benchmark.waiting]
    states += [(run.key, f"{run.record.training.trained_words}; not compared") for run in benchmark.partly_trained]
    if states:
        blocks.append(
            Table(
                "missing",
                "Planned runs without a result of their whole training",
                ["architecture", "level", "seed", "state"],
                [[key.architecture, key.level, str(key.seed), state] for key, state in states],
            )
        )
    absent = [
        f"{player} on {level}"
        for level in benchmark.levels
        for player in PLAYERS
        if player not in benchmark.references.get(level, {})
    ]
    if absent:
        blocks.append(Text(f"Reference players without results: {', '.join(absent)}."))
    faults: list[list[Cell]] = [
        [run.record.training.run_name, fault]
        for run in benchmark.runs.values()
        if run.record.training.status == "success"
        for fault in run.files.faults
    ]
    if faults:
        title = "Run files that could not be read; what they hold is left out above"
        blocks.append(Table("unread", title, ["run", "fault"], faults))
    return Section("gaps", "Failed and missing runs", blocks) if blocks else None
