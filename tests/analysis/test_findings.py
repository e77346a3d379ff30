"""Findings of benchmarks that are not tidy: broken runs, single seeds, few runs, hearts without a score, odd costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metta.analysis.bootstrap import COVERAGE
from metta.analysis.findings import Findings, find
from metta.analysis.findings.curves import SHARES
from metta.analysis.findings.profiles import coverage_of
from metta.analysis.findings.standings import Standing, worth_of
from metta.analysis.gather import Gathered, gather
from metta.analysis.intervals import Interval
from metta.analysis.markup import Markup
from metta.analysis.sections.averages import intervals
from metta.analysis.sections.blocks import Figure
from metta.analysis.sections.curves import learning
from metta.analysis.sections.overall import verdict_sentences
from metta.analysis.table import Table, shown
from tests.analysis.scores import random_matrix
from tests.analysis.wide import LEVELS, write_benchmark

LEVEL = LEVELS[0]
TWO = ("vit", "fast")


def written(folder: Path, **given: Any) -> tuple[Gathered, Findings]:
    """Two architectures on the first level, unless told otherwise."""
    benchmark = gather([write_benchmark(folder, **{"architectures": TWO, "levels": LEVELS[:1], **given})])
    return benchmark, find(benchmark)


def changed(file: Path, alter: Callable[[Any], None]) -> tuple[Gathered, Findings]:
    """The benchmark after its results were altered."""
    record = json.loads(file.read_text())
    alter(record)
    file.write_text(json.dumps(record))
    benchmark = gather([file])
    return benchmark, find(benchmark)


def write_metrics(folder: Path, hearts: Callable[[int], float], reward: Callable[[int], float]) -> None:
    """Metrics of 20 updates of 50,000 agent-steps; the first whole episodes end in the sixth."""
    lines = [
        {
            "timesteps": 50_000 * update,
            "rollout/reward_per_step": reward(update),
            **({"held_out/hearts_per_agent": hearts(update)} if update > 5 else {}),
        }
        for update in range(1, 21)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run_folder(file: Path, architecture: str, seed: int) -> Path:
    """Of a run on the first level."""
    return file.parent / f"wide.{architecture}.{LEVEL}.s{seed}"


def words(benchmark: Gathered, found: Findings) -> tuple[list[str], Table | None]:
    """The paragraphs of the section on learning, and its table of sample efficiency."""
    blocks = learning(benchmark, found, {name: place for place, name in enumerate(benchmark.architectures)})
    tables = [block for block in blocks if isinstance(block, Table)]
    return [str(block) for block in blocks if isinstance(block, Markup)], tables[0] if tables else None


def test_high_first_rewards_are_not_taken_for_learning(tmp_path: Path) -> None:
    """Rewards are highest in the first update, when all worlds are fresh, while hearts double from 2 to 4."""
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    for architecture in TWO:
        for seed in range(3):
            write_metrics(run_folder(file, architecture, seed), lambda n: 2 + 2 * (n - 6) / 14, lambda n: 0.1 / n)
    rows = find(gather([file])).learning
    assert [row.architecture for row in rows] == list(TWO)
    for row in rows:
        assert row.steps == [(3, pytest.approx(50_000 * (6 + 14 * share))) for share in SHARES]
        assert row.last.mean == 4.0
        assert row.area.mean == pytest.approx(3.0)


def test_where_nothing_rose_no_steps_are_given(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    for architecture in TWO:
        for seed in range(3):
            write_metrics(run_folder(file, architecture, seed), lambda n: 3 - n / 20, lambda n: 0.1)
    benchmark = gather([file])
    found = find(benchmark)
    assert [row.steps for row in found.learning] == [None, None]
    table = words(benchmark, found)[1]
    assert table is not None
    assert all(list(row[5:]) == [None] * (2 * len(SHARES)) for row in table.rows)


def half_trained(record: Any) -> None:
    """What --skip-training records of a run that had half its steps."""
    record["runs"][0]["training"]["timesteps"] = 500_000


def failed(record: Any) -> None:
    """What is recorded of a run whose training failed."""
    record["runs"][0]["training"]["status"] = "failed"


@pytest.mark.parametrize("alter", [half_trained, failed])
def test_runs_that_broke_off_shift_no_curve_and_are_counted(tmp_path: Path, alter: Callable[[Any], None]) -> None:
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[4:5])
    folder = file.parent / f"wide.vit.{LEVELS[4]}.s0"
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:10]))
    benchmark, found = changed(file, alter)
    for metric in ("rollout/reward_per_step", "held_out/hearts_per_agent", "curriculum/success"):
        assert found.curves[metric][LEVELS[4]]["vit"].x[-1] == 1_000_000
    assert {row.architecture: row.seeds for row in found.learning} == {"vit": 2, "fast": 3}
    assert {lesson.architecture: lesson.seeds for lesson in found.lessons} == {"vit": 2, "fast": 3}
    assert found.lessons[0].success == 0.5
    assert found.broken_off == 1
    assert any("1 run left out: " in text for text in words(benchmark, found)[0])


def test_whole_runs_leave_nothing_out_to_tell_of(tmp_path: Path) -> None:
    benchmark, found = written(tmp_path)
    assert found.broken_off == 0
    assert not any("left out" in text for text in words(benchmark, found)[0])


def test_training_shorter_than_an_episode_has_no_sample_efficiency(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    for metrics in tmp_path.glob("*/metrics.jsonl"):
        metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:5]))
    benchmark = gather([file])
    texts, table = words(benchmark, find(benchmark))
    assert table is None
    assert any("known once runs have been evaluated in training" in text for text in texts)


def test_the_power_sentence_counts_the_fewest_seeds(tmp_path: Path) -> None:
    """Six seeds are planned, but one architecture has four on one of the levels."""
    gaps = [("fast", LEVELS[1], 4), ("fast", LEVELS[1], 5)]
    benchmark, found = written(tmp_path, levels=LEVELS[:2], seeds=6, left_out=gaps)
    assert found.fewest == 4
    sentence = next(text for text in verdict_sentences(benchmark, found) if "a true difference of" in text)
    assert sentence.startswith("With 4 seeds, ")
    assert f"a true difference of {shown(found.smallest[4])} would have been shown 80% of the time" in sentence
    assert f"More seeds would show {shown(found.smallest[5])} with 5, " in sentence


def test_a_single_seed_promises_no_power(tmp_path: Path) -> None:
    benchmark, found = written(tmp_path, left_out=[("fast", LEVEL, 1), ("fast", LEVEL, 2)])
    sentences = verdict_sentences(benchmark, found)
    assert not any("a true difference of" in text for text in sentences)
    assert any(text.startswith("Who has a single seed on some level cannot be told apart") for text in sentences)


def test_coverage_is_that_of_the_intervals_there_are() -> None:
    single = random_matrix(0, seeds=3)
    single[1:, 0] = np.nan
    two, ten = random_matrix(1, seeds=2), random_matrix(2, seeds=10)
    assert coverage_of({"single": single, "two": two, "ten": ten}) == COVERAGE[2, 5]
    assert coverage_of({"single": single, "ten": ten}) == COVERAGE[10, 5]
    assert coverage_of({"single": single}) is None
    assert coverage_of({}) is None


def caption(found: Findings) -> tuple[str, Table]:
    """Of the figure of averages, and its table."""
    figure = intervals(found)[0]
    assert isinstance(figure, Figure)
    assert figure.table is not None
    return figure.caption, figure.table


def test_the_warning_stays_when_one_architecture_has_a_single_seed(tmp_path: Path) -> None:
    found = written(tmp_path, left_out=[("fast", LEVEL, 1), ("fast", LEVEL, 2)])[1]
    text, table = caption(found)
    assert f"about {COVERAGE[3, 1]:.0%} of them cover the truth" in text
    assert {row[0]: row[2] is None for row in table.rows} == {"vit": False, "fast": True}


@pytest.mark.parametrize(
    ("seeds", "left_out", "cut"),
    [(3, [], "none"), (4, [], "all"), (4, [("fast", LEVEL, 3)], "some")],
)
def test_the_caption_knows_whether_anything_is_cut(
    tmp_path: Path, seeds: int, left_out: list[tuple[str, str, int]], cut: str
) -> None:
    found = written(tmp_path, seeds=seeds, left_out=left_out)[1]
    text = caption(found)[0]
    assert ("leaves out the best and the worst quarter" in text) == (cut != "none")
    assert ("With fewer than 4 runs" in text) == (cut != "all")
    for row in found.standings:
        same = row.aggregates["interquartile mean"].mean == pytest.approx(row.aggregates["mean"].mean, rel=1e-12)
        assert row.trimmed != same


def test_hearts_have_no_optimality_gap(tmp_path: Path) -> None:
    def unscored(record: Any) -> None:
        del record["references"][LEVEL]["scripted"]
        for run in record["runs"]:
            run["evaluation"]["results"]["basic"]["normalised_score"] = None

    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    text, table = caption(find(gather([file])))
    assert "optimality gap" in text
    assert "optimality gap" in table.header
    text, table = caption(changed(file, unscored)[1])
    assert "optimality gap" not in text
    assert "optimality gap" not in table.header


def test_no_time_has_no_place_on_an_axis_of_cost(tmp_path: Path) -> None:
    def odd(record: Any) -> None:
        for run in record["runs"]:
            if run["training"]["architecture"] == "vit":
                run["training"]["duration_seconds"] = 0.0

    found = changed(write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1]), odd)[1]
    assert found.cost["vit"].seconds is None
    assert found.cost["fast"].seconds is not None
    assert {row.architecture: row.per_second is None for row in found.worth} == {"vit": True, "fast": False}


@pytest.mark.parametrize("tiny", [5e-324, 1e-310])
def test_value_for_money_beside_next_to_nothing(tiny: float) -> None:
    def standing(name: str, score: float, seconds: float) -> Standing:
        return Standing(name, {"mean": Interval(score, None, None)}, False, [], 1.0, 1, seconds, 10, None, [], [])

    rows = worth_of([standing("vit", 1.0, 2.0), standing("fast", tiny, 1000.0)])
    assert rows[1].per_second == 1.0
    assert rows[0].per_second is None or rows[0].per_second > 1e300
