"""What policies did besides earning their score: the chain from ore to hearts, and combat."""

from collections.abc import Mapping
from statistics import fmean

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.metrics import COUNTERS
from metta.base.files import file_part

WORDS = (
    "Counts per agent and episode, mean over seeds; each column has its own scale of colour. Follow the chain from ore "
    "to batteries to hearts: the column where a row fades is the link that the architecture has not learned. Attacks "
    "without hits are wasted steps; frozen are the steps lost to others' hits."
)


def section(benchmark: Gathered, found: Findings) -> Section | None:
    """Of the levels where evaluations have counters."""
    blocks: list[Block] = []
    for (level, environment), by_name in counters_of(benchmark).items():
        present = [c for c in COUNTERS if any(own.get(c) for own in by_name.values())]
        names = [
            *(name for name in found.compared if name in by_name),
            *(n for n in by_name if n not in found.compared),
        ]
        most = {c: max(own.get(c, 0.0) for own in by_name.values()) for c in present}
        rows: list[list[Cell]] = [[name, *(by_name[name].get(c) for c in present)] for name in names]
        if present:
            blocks.append(
                Table(
                    f"behaviour_{file_part(level)}_{file_part(environment)}",
                    f"{level}, {environment}: counts per agent and episode",
                    ["architecture", *(Column(COUNTERS[c], 1, (0.0, most[c])) for c in present)],
                    rows,
                )
            )
    return Section("behaviour", "Behaviour", [Text(WORDS), *blocks]) if blocks else None


def counters_of(benchmark: Gathered) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """(level, evaluation environment) -> architecture -> counter -> mean over seeds."""
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for level in sorted(benchmark.levels):
        for name in benchmark.architectures:
            by_environment: dict[str, list[Mapping[str, float]]] = {}
            for run in benchmark.of(name, level):
                for environment, counters in run.files.evaluated.behaviour.items():
                    by_environment.setdefault(environment, []).append(counters)
            for environment, own in by_environment.items():
                means = {c: fmean(one[c] for one in own) for c in own[0] if all(c in one for one in own)}
                found.setdefault((level, environment), {})[name] = means
    return found
