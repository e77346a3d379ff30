"""The sections of the report: which sentences, figures and tables stand where, and what their captions say."""

from pathlib import Path

from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.sections import (
    averages,
    behaviour,
    cost,
    curriculum,
    curves,
    episodes,
    gaps,
    ladder,
    levels,
    overall,
    provenance,
)
from metta.analysis.sections.blocks import Section


def all_sections(benchmark: Gathered, found: Findings, home: Path) -> list[Section]:
    """Every section in order; one that has nothing to show says why.

    Args:
        benchmark: gathered results.
        found: what was computed from them.
        home: folder of the page, from which links lead to replays.
    """
    numbers = {name: place for place, name in enumerate(benchmark.architectures)}
    return [
        Section("summary", "Summary", overall.summary(benchmark, found)),
        Section("levels", "Every level", levels.levels(benchmark, found)),
        Section("intervals", "How sure are the averages?", averages.intervals(found)),
        Section("pairs", "Pair by pair", averages.pairs(found)),
        Section("profiles", "Profiles and ranks", averages.profiles(found, numbers)),
        Section("learning", "Learning curves", curves.learning(benchmark, found, numbers)),
        Section("cost", "Score against cost", cost.cost(found, numbers)),
        Section("behaviour", "Behaviour", behaviour.behaviour(found)),
        Section("replays", "Watch them play", episodes.replays(benchmark, home)),
        Section("ladder", "Up the ladder", ladder.ladder(benchmark, found)),
        Section("curriculum", "Curriculum", curriculum.curriculum(found, numbers)),
        Section("gaps", "Failed and missing runs", gaps.gaps(benchmark)),
        Section("provenance", "Settings and provenance", provenance.provenance(benchmark, home)),
    ]
