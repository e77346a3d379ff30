"""Levels on which everybody is at the floor or the ceiling rank nobody, and the page says so."""

import json
from pathlib import Path

import pytest

from metta.analysis.findings import find
from metta.analysis.gather import gather
from metta.analysis.topics.learning import efficiency_figures, learning_of
from metta.analysis.topics.result import verdict_sentences
from tests.analysis.wide import LEVELS, write_benchmark

TWO = ("vit", "fast")


@pytest.mark.parametrize(
    ("blind", "scripted", "extreme"),
    [(0.8, 8.0, None), (5.8, 12.0, "floor"), (0.1, 5.5, "ceiling")],
)
def test_who_is_at_the_floor_or_the_ceiling_is_not_ranked(
    tmp_path: Path, blind: float, scripted: float, extreme: str | None
) -> None:
    """The two have about 6.0 and 5.6 hearts on the first level."""
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    record = json.loads(file.read_text())
    for player, hearts in (("blind", blind), ("scripted", scripted)):
        record["references"][LEVELS[0]][player]["basic"]["hearts_per_agent"] = hearts
    file.write_text(json.dumps(record))
    benchmark = gather([file])
    found = find(benchmark)
    sentences = verdict_sentences(benchmark, found)
    assert found.extremes == ({} if extreme is None else {LEVELS[0]: extreme})
    assert any(f"{LEVELS[0]} ranks no architecture" in text for text in sentences) == (extreme is not None)
    assert any("No architecture is ranked" in text for text in sentences) == (extreme is not None)
    assert bool(found.level_verdicts) == bool(found.verdicts) == (extreme is None)
    assert found.compared == ["vit", "fast"]
    assert bool(efficiency_figures(benchmark, found, learning_of(benchmark))) == (extreme is None)


def test_other_levels_still_rank(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:2])
    record = json.loads(file.read_text())
    record["references"][LEVELS[1]]["blind"]["basic"]["hearts_per_agent"] = 7.5
    file.write_text(json.dumps(record))
    found = find(gather([file]))
    assert found.extremes == {LEVELS[1]: "floor"}
    assert found.judged_levels == [LEVELS[0]]
    assert found.compared_levels == list(LEVELS[:2])
    assert len(found.verdicts) == 1
