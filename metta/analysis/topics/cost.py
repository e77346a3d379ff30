"""Score against what it costs: training time, latency, parameters."""

from collections.abc import Callable

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text
from metta.analysis.figures import Figure, Record, axis_of, pareto, scatter
from metta.analysis.findings import Cost, Findings
from metta.analysis.gather import Gathered
from metta.analysis.metrics import LATENCY, PARAMETERS, SECONDS, Metric

COSTS: dict[str, tuple[Metric, Callable[[Cost], float | None]]] = {
    "training_seconds": (SECONDS, lambda cost: cost.seconds),
    "latency": (LATENCY, lambda cost: cost.latency),
    "parameters": (PARAMETERS, lambda cost: cost.parameters),
}
"""Name of the figure -> what is on its axis."""
BASELINE = "fast"
"""Architecture that score per parameter and per second is compared with."""


def section(benchmark: Gathered, found: Findings) -> Section | None:
    """Of two architectures or more whose cost is known and differs."""
    blocks: list[Block] = [*figures(benchmark, found)]
    if blocks and BASELINE in found.compared:
        blocks += [worth(found), Text(WORTH)]
    return Section("cost", "Score against cost", blocks) if blocks else None


def figures(benchmark: Gathered, found: Findings) -> list[Figure]:
    """A figure for each kind of cost."""
    made = []
    for name, (metric, pick) in COSTS.items():
        points: list[Record] = [
            {"who": key, "x": cost, "y": own.mean, "low": own.low, "high": own.high}
            for key, own in found.overall.items()
            if (cost := pick(found.costs[key]))
        ]
        if len({point["x"] for point in points}) < 2:
            continue
        x = axis_of(metric, [point["x"] for point in points], log=True)
        y = axis_of(found.measure, [point["y"] for point in points])
        made.append(
            Figure(
                f"cost_{name}",
                f"{found.measure.name.capitalize()} against {metric.name}",
                scatter(benchmark.architectures, points, x, y, benchmark.players(found.compared_levels)),
                "Up and to the left is better; the dotted line joins what nothing else beats on both axes: "
                f"{', '.join(pareto({point['who']: (point['x'], point['y']) for point in points}))}. {metric.meaning}",
            )
        )
    return made


WORTH = (
    f"2 means twice as much for the same parameters, or the same seconds, as {BASELINE} gives. A cheap architecture "
    "with a poor result can lead this table: use it to choose among those that are good enough."
)


def worth(found: Findings) -> Table:
    """Value for money, as multiples of the baseline's."""
    base, base_cost = found.overall[BASELINE].mean, found.costs[BASELINE]

    def against(name: str, pick: Callable[[Cost], float | None]) -> Cell:
        mine, theirs, score = pick(found.costs[name]), pick(base_cost), found.overall[name].mean
        return (score / base) * (theirs / mine) if mine and theirs and min(score, base) > 1e-6 else None

    return Table(
        "worth",
        f"{found.measure.name.capitalize()} per parameter and per second of training, as multiples of {BASELINE}'s",
        [
            "architecture",
            Column(found.measure.name, found.measure.digits),
            Column("per parameter", 2),
            Column("per second", 2),
        ],
        [
            [name, own, against(name, lambda cost: cost.parameters), against(name, lambda cost: cost.seconds)]
            for name, own in found.overall.items()
        ],
    )
