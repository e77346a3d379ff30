"""What the curriculum of level 5 chose, and what came of it."""

from collections.abc import Mapping

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.sections.blocks import Block, Figure, file_part, paragraph
from metta.analysis.sections.curves import CURVE_HEADER, curve_rows
from metta.analysis.table import Table

CURRICULUM_CURVES = {
    "curriculum/success": (
        "mean success of the known tasks",
        "Success is the hearts of an episode as a share of what its task allows. The curriculum draws hard tasks and "
        "easy ones alike, so this says more about learning than the reward does.",
    ),
    "curriculum/progress": (
        "learning progress of the drawn tasks",
        "How far success has moved, up or down, on the tasks that are drawn: the distance of its fast and its slow "
        "mean. Zero: nothing was learned or forgotten on them; chance alone leaves a little while a task has few "
        "episodes.",
    ),
}
"""Metric -> what it is, and what to read from its figure."""


def curriculum(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    """Success and progress over training, and the choices."""
    if not found.lessons:
        return [paragraph("No run that trained to its end has the metrics of a curriculum.")]
    blocks: list[Block] = []
    for metric, (words, caption) in CURRICULUM_CURVES.items():
        for level, bands in found.curves.get(metric, {}).items():
            name = f"{file_part(metric.replace('/', '_'))}_{file_part(level)}"
            blocks.append(
                Figure(
                    name,
                    f"{level}: {words}",
                    charts.lines(
                        f"Curriculum on {level}, {words}",
                        f"Per architecture, {words} over agent-steps of training, mean over seeds.",
                        bands,
                        "agent-steps",
                        words,
                        numbers,
                    ),
                    caption,
                    Table(name, f"Curriculum on {level}, {words}", CURVE_HEADER, curve_rows(bands)),
                )
            )
    for level in dict.fromkeys(lesson.level for lesson in found.lessons):
        own = [lesson for lesson in found.lessons if lesson.level == level]
        columns = [name for name in own[0].choices if all(name in lesson.choices for lesson in own)]
        name = f"curriculum_choices_{file_part(level)}"
        blocks.append(
            Figure(
                name,
                f"{level}: what the curriculum chose",
                charts.heat_map(
                    f"Curriculum choices on {level}",
                    "Rows are architectures, columns are values of an axis of the tasks; darker is chosen more often.",
                    [lesson.architecture for lesson in own],
                    columns,
                    {(lesson.architecture, column): lesson.choices[column] for lesson in own for column in columns},
                    (0.0, 1.0),
                ),
                "Share of the training episodes that had this value, mean over seeds; the values of one axis add up "
                "to 1. Far from even over many seeds: the curriculum saw progress, in either direction, on the tasks "
                "with the darker value. One run is uneven by chance, because few tasks are active at a time.",
                Table(
                    name,
                    f"Curriculum on {level} at the end of training",
                    ["architecture", "seeds", "tasks known", "episodes", "success", *columns],
                    [
                        [
                            *(lesson.architecture, lesson.seeds, lesson.tasks_known, lesson.episodes, lesson.success),
                            *(lesson.choices[column] for column in columns),
                        ]
                        for lesson in own
                    ],
                ),
            )
        )
    return blocks
