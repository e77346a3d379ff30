"""The topics of the report: each module holds what it computes and how that is shown; without data it is silent."""

from pathlib import Path

from metta.analysis.blocks import Section
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.topics import (
    behaviour,
    beside,
    cost,
    curriculum,
    episodes,
    gaps,
    ladder,
    learning,
    levels,
    pairs,
    provenance,
    result,
)


def all_sections(benchmark: Gathered, found: Findings, home: Path) -> list[Section]:
    """Every section that has something to say, in order.

    Args:
        benchmark: gathered results.
        found: what was computed from them.
        home: folder of the page, from which links lead to replays.
    """
    watch = episodes.by_level(benchmark, home)
    by_level = [levels.section(benchmark, found, level, watch[level]) for level in benchmark.levels]
    sections = [
        *by_level[:1],
        result.section(benchmark, found),
        *by_level[1:],
        levels.all_levels(benchmark, found),
        pairs.section(benchmark, found),
        learning.section(benchmark, found),
        cost.section(benchmark, found),
        behaviour.section(benchmark, found),
        ladder.section(benchmark, found),
        curriculum.section(benchmark),
        *beside.sections(benchmark),
        gaps.section(benchmark),
        Section("watching", "Watching episodes", words) if (words := episodes.words(benchmark)) else None,
        provenance.section(benchmark, home),
    ]
    return [section for section in sections if section is not None]
