"""What the curriculum of a level chose, and what came of it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from metta.analysis.blocks import Block, Column, Section, Table, Text, file_part
from metta.analysis.gather import Gathered
from metta.analysis.metrics import CURRICULUM, CURRICULUM_CURVES
from metta.analysis.topics.learning import curve_figure

CHOICE = "episodes_"
"""Prefix of the curriculum metric that counts the training episodes with a value of an axis."""
WORDS = (
    "Columns named by an axis and a value are shares of the training episodes that had this value, mean over seeds; "
    "the values of one axis add up to 1. If they are far from even over many seeds, the curriculum saw progress, in "
    "either direction, on the tasks with the darker value. A single run is uneven by chance, because few tasks are "
    "active at a time."
)


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


def section(benchmark: Gathered) -> Section | None:
    """Success and progress over training, and the choices, where a curriculum chose."""
    lessons = lessons_of(benchmark)
    blocks: list[Block] = []
    for level in dict.fromkeys(lesson.level for lesson in lessons):
        for metric, known in CURRICULUM_CURVES.items():
            figure = curve_figure(benchmark, level, metric, f"{level}: {known.name}", known.meaning)
            blocks += [figure] if figure else []
        blocks += [choices_table([lesson for lesson in lessons if lesson.level == level], level), Text(WORDS)]
    return Section("curriculum", "Curriculum", blocks) if blocks else None


def choices_table(lessons: Sequence[Lesson], level: str) -> Table:
    """Of one level."""
    columns = [name for name in lessons[0].choices if all(name in lesson.choices for lesson in lessons)]
    return Table(
        f"curriculum_choices_{file_part(level)}",
        f"{level}: what the curriculum chose, at the end of training",
        [
            *("architecture", "seeds", Column("tasks known", 0), Column("episodes", 0), "success"),
            *(Column(name, 2, (0.0, 1.0)) for name in columns),
        ],
        [
            [
                row.architecture,
                row.seeds,
                row.tasks_known,
                row.episodes,
                row.success,
                *(row.choices[c] for c in columns),
            ]
            for row in lessons
        ],
    )


def lessons_of(benchmark: Gathered) -> list[Lesson]:
    """Of every architecture and level whose tasks a curriculum chose, from runs that trained to their end."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for run in benchmark.runs.values():
        last = {
            name.removeprefix(CURRICULUM): float(curve[1][-1])
            for name, curve in run.files.curves.items()
            if name.startswith(CURRICULUM)
        }
        if run.is_whole and {"tasks_known", "episodes", "success"} <= last.keys():
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
                name.removeprefix(CHOICE): fmean(last[name] / max(last["episodes"], 1.0) for last in own)
                for name in own[0]
                if name.startswith(CHOICE) and all(name in last for last in own)
            },
        )
        for level in benchmark.levels
        for architecture in benchmark.architectures
        if (own := found.get((architecture, level)))
    ]


def _over(runs: Sequence[Mapping[str, float]], name: str) -> float:
    return fmean(run[name] for run in runs)
