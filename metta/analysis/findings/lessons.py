"""What a curriculum chose."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from metta.analysis.findings.curves import trained_to_the_end
from metta.analysis.gather import Gathered
from metta.analysis.run_files import CURRICULUM

CHOICE = "episodes_"
"""Begin of a curriculum metric's name that counts the training episodes with a value of an axis."""


class Lesson(NamedTuple):
    """What the curriculum chose for an architecture on a level, and what came of it; means over seeds."""

    architecture: str
    level: str
    seeds: int
    tasks_known: float
    episodes: float
    success: float
    """Mean over the known tasks, as a share of each task's limit."""
    choices: dict[str, float]
    """`<axis>_<value>` -> share of the training episodes that had it."""


def lessons_of(benchmark: Gathered) -> list[Lesson]:
    """Of every architecture and level whose tasks a curriculum chose, from runs that trained to their end."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for run in trained_to_the_end(benchmark):
        last = {
            name.removeprefix(CURRICULUM): float(curve[1][-1])
            for name, curve in run.files.curves.items()
            if name.startswith(CURRICULUM)
        }
        if {"tasks_known", "episodes", "success"} <= last.keys():
            found.setdefault((run.key.architecture, run.key.level), []).append(last)
    return [
        Lesson(
            architecture,
            level,
            len(own),
            _over(own, "tasks_known"),
            _over(own, "episodes"),
            _over(own, "success"),
            {
                name.removeprefix(CHOICE): float(np.mean([last[name] / max(last["episodes"], 1.0) for last in own]))
                for name in own[0]
                if name.startswith(CHOICE) and all(name in last for last in own)
            },
        )
        for level in benchmark.levels
        for architecture in benchmark.architectures
        if (own := found.get((architecture, level)))
    ]


def _over(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))
