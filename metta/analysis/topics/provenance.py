"""Where the results come from: files, commands, settings."""

import json
from pathlib import Path
from typing import Any

from metta.analysis.blocks import Block, Cell, Section, Table, Text
from metta.analysis.gather import Gathered
from metta.analysis.results import folder_from


def section(benchmark: Gathered, home: Path) -> Section:
    """Results files, as they are seen from the page's folder `home`, settings and commands."""
    blocks: list[Block] = []
    codes = {run.files.code for run in benchmark.runs.values() if run.files.code}
    if len(codes) > 1:
        blocks.append(
            Text(
                f"These runs were made by {len(codes)} different versions of the source; results may not compare.",
                note=True,
            )
        )
    for number, (source, results) in enumerate(benchmark.sources.items(), start=1):
        rows: list[list[Cell]] = [
            ["file", folder_from(home, source)],
            ["command", results.command],
            ["started", results.start_time],
            ["ended", results.end_time or "runs are left"],
            ["agent-steps per run", f"{results.max_timesteps:,}"],
        ]
        rows += [[name, text] for name, text in flat(results.provenance)]
        blocks.append(Table(f"provenance_{number}", f"Results file {number}", ["what", "value"], rows, folded=True))
    blocks.append(_settings(benchmark))
    blocks.append(
        Table(
            "commands",
            "The command of every run",
            ["run", "seconds", "command"],
            [
                [run.record.training.run_name, run.record.training.duration_seconds, run.record.training.command]
                for run in benchmark.runs.values()
            ],
            folded=True,
        )
    )
    return Section("provenance", "Settings and provenance", blocks)


SHARED_SETTINGS = ("trainer", "evaluation", "system")
"""The same for all runs of a sound comparison."""
LEVEL_SETTINGS = ("sim", "evaluation_environments", "curriculum")
"""The same for all runs of a level."""


def _settings(benchmark: Gathered) -> Block:
    """Shared settings, one value where all runs agree, else all; of the others those that should agree and do not."""
    found: dict[str, dict[str, None]] = {}
    own: dict[str, dict[str, None]] = {}
    for run in benchmark.runs.values():
        for part in SHARED_SETTINGS:
            for name, text in flat(run.files.settings.get(part, {}), part):
                found.setdefault(name, {})[text] = None
        for part in (*LEVEL_SETTINGS, "policy"):
            of = run.key.architecture if part == "policy" else run.key.level
            for name, text in flat(run.files.settings.get(part, {}), part):
                own.setdefault(f"{name} ({of})", {})[text] = None
    found |= {name: values for name, values in own.items() if len(values) > 1}
    if not found:
        return Text("No run folder with a configuration was found.")
    return Table(
        "settings",
        "Settings of the runs (all values, where runs differ)",
        ["setting", "value"],
        [[name, " | ".join(values)] for name, values in found.items()],
        folded=True,
    )


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Dotted names and texts of nested plain data."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in flat(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [(name, " ".join(value) or "none")]
    return [(name, value if isinstance(value, str) else json.dumps(value))]
