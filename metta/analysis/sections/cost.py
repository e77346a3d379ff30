"""Score against what it costs."""

from collections.abc import Callable, Mapping

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.findings.standings import Cost
from metta.analysis.sections.blocks import Block, Figure, paragraph
from metta.analysis.table import Table

COST_NOTES = {
    "training_seconds": "Times compare only if all runs had the same machine to themselves.",
    "latency": "Measured after the evaluation for one agent alone (batch 1), one processor thread or the GPU, as the "
    "median over steps of an episode and over runs; runs whose measurement had to share its processor with other work "
    "are left out. It compares only between equal machines.",
    "parameters": "Numbers in the newest checkpoint's weights.",
}


def cost(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    """Score against training time, latency and parameters, and what each of them buys."""
    blocks: list[Block] = []
    kinds: list[tuple[str, str, Callable[[Cost], float | None]]] = [
        ("training_seconds", "seconds of training per run", lambda cost: cost.seconds),
        ("latency", "milliseconds to one action", lambda cost: cost.latency),
        ("parameters", "parameters", lambda cost: cost.parameters),
    ]
    for name, words, pick in kinds:
        points = {key: (value, cost.value) for key, cost in found.cost.items() if (value := pick(cost))}
        if len(points) < 2:
            blocks.append(paragraph(f"Two architectures with known {words} are needed to compare by them."))
            continue
        blocks.append(
            Figure(
                f"cost_{name}",
                f"Mean {found.measure} against {words}",
                charts.scatter(
                    f"{found.measure} against {words}",
                    f"Each point is an architecture; the axis of {words} is logarithmic.",
                    points,
                    words,
                    f"mean {found.measure}",
                    numbers,
                ),
                "Up and to the left is better. Points marked with a diamond after the name are the front: nothing else "
                "is both cheaper and better. What lies below the front costs more than it gives. " + COST_NOTES[name],
                Table(
                    f"cost_{name}",
                    f"Mean {found.measure} and {words}",
                    ["architecture", words, f"mean {found.measure}", "on the front"],
                    [
                        [key, cost, value, "yes" if key in charts.pareto(points) else "no"]
                        for key, (cost, value) in points.items()
                    ],
                ),
            )
        )
    if found.worth:
        blocks.append(
            Table(
                "worth",
                f"Mean {found.measure} per parameter and per second of training, as multiples of fast's",
                ["architecture", f"mean {found.measure}", "per parameter", "per second"],
                [[row.architecture, row.score, row.per_parameter, row.per_second] for row in found.worth],
            )
        )
        blocks.append(
            paragraph(
                "2 means twice as much for the same parameters, or the same seconds, as fast gives. A cheap "
                "architecture with a poor result can lead this table: use it to choose among those that are good "
                "enough."
            )
        )
    return blocks
