"""Findings of benchmarks that are not tidy: broken runs, single seeds, few runs, hearts without a score, odd costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metta.analysis.blocks import Table, Text, text_of
from metta.analysis.findings import Findings, find
from metta.analysis.gather import Gathered, gather
from metta.analysis.topics import cost, curriculum, learning, result
from metta.analysis.topics.learning import SHARES, learning_of
from metta.analysis.topics.result import verdict_sentences
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


def test_the_dots_of_the_mean_over_levels_are_one_seed_each(tmp_path: Path) -> None:
    """Not the first seed of one level with the first of another: vit lacks seed 0 on one, and seed 2 on the other."""
    left_out = [("vit", LEVELS[0], 0), ("vit", LEVELS[1], 2)]
    benchmark, found = written(tmp_path / "b", levels=LEVELS[:2], left_out=left_out)
    for name, seeds in (("vit", [1]), ("fast", [0, 1, 2])):
        rows = benchmark.matrix(name, LEVELS[:2])
        assert benchmark.seeds_of(name, LEVELS[:2]) == seeds
        assert found.overall[name].values == pytest.approx(rows[seeds].mean(axis=1).tolist())
    overall = next(figure for figure in result.figures(benchmark, found) if figure.name == "overall")
    drawn = [(dot["who"], dot["seed"]) for dot in overall.spec["data"]["values"] if dot["kind"] == "seed"]
    assert sorted(drawn) == [("fast", 0), ("fast", 1), ("fast", 2), ("vit", 1)]


def test_equal_seeds_are_not_called_one_seed(tmp_path: Path) -> None:
    def equal(record: Any) -> None:
        for run in record["runs"]:
            run["evaluation"]["results"]["basic"]["normalised_score"] = 0.5

    benchmark, found = changed(write_benchmark(tmp_path / "b", TWO, LEVELS[:1]), equal)
    assert "The two cannot be told apart" in " ".join(verdict_sentences(benchmark, found))
    assert "ne seed" not in " ".join(verdict_sentences(benchmark, found))


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


def words(benchmark: Gathered) -> tuple[list[str], Table | None]:
    """The paragraphs of the section on learning, and its table of sample efficiency."""
    section = learning.section(benchmark, find(benchmark))
    blocks = section.blocks if section else []
    tables = [block for block in blocks if isinstance(block, Table)]
    return [block.words for block in blocks if isinstance(block, Text)], tables[0] if tables else None


def test_high_first_rewards_are_not_taken_for_learning(tmp_path: Path) -> None:
    """Rewards are highest in the first update, when all worlds are fresh, while hearts double from 2 to 4."""
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    for architecture in TWO:
        for seed in range(3):
            write_metrics(run_folder(file, architecture, seed), lambda n: 2 + 2 * (n - 6) / 14, lambda n: 0.1 / n)
    rows = learning_of(gather([file]))
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
    assert [row.steps for row in learning_of(benchmark)] == [None, None]
    table = words(benchmark)[1]
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
    benchmark, _ = changed(file, alter)
    for metric in ("rollout/reward_per_step", "held_out/hearts_per_agent", "curriculum/success"):
        own = learning.curves_of(benchmark, LEVELS[4], metric)["vit"]
        assert {seed: steps[-1] for seed, (steps, _) in own.items()} == {1: 1_000_000, 2: 1_000_000}
    assert {row.architecture: row.seeds for row in learning_of(benchmark)} == {"vit": 2, "fast": 3}
    lessons = curriculum.lessons(benchmark, LEVELS[4])
    assert dict(zip(lessons.architecture, lessons.seeds, strict=True)) == {"vit": 2, "fast": 3}
    assert lessons.success.iloc[0] == 0.5
    assert learning.broken_off(benchmark) == 1
    assert any("1 run left out: " in text for text in words(benchmark)[0])


def test_whole_runs_leave_nothing_out_to_tell_of(tmp_path: Path) -> None:
    benchmark, _ = written(tmp_path)
    assert learning.broken_off(benchmark) == 0
    assert not any("left out" in text for text in words(benchmark)[0])


def test_training_without_an_evaluation_has_no_sample_efficiency(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1])
    for metrics in tmp_path.glob("*/metrics.jsonl"):
        metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:5]))
    benchmark = gather([file])
    assert words(benchmark) == ([], None)


def test_the_power_sentence_counts_the_fewest_seeds(tmp_path: Path) -> None:
    """Six seeds are planned, but one architecture has four on one of the levels."""
    gaps = [("fast", LEVELS[1], 4), ("fast", LEVELS[1], 5)]
    benchmark, found = written(tmp_path, levels=LEVELS[:2], seeds=6, left_out=gaps)
    assert found.fewest == 4
    sentence = next(text for text in verdict_sentences(benchmark, found) if "a true difference of" in text)
    assert sentence.startswith("With 4 seeds, ")
    unit = "score (0: random player, 1: scripted player)"
    assert f"a true difference of {text_of(found.smallest[4])} in {unit} would be detected 80% of the time" in sentence
    assert f"More seeds would detect {text_of(found.smallest[5])} with 5, " in sentence


def test_a_single_seed_promises_no_power(tmp_path: Path) -> None:
    benchmark, found = written(tmp_path, left_out=[("fast", LEVEL, 1), ("fast", LEVEL, 2)])
    sentences = verdict_sentences(benchmark, found)
    assert not any("a true difference of" in text for text in sentences)
    assert any(
        text.startswith("An architecture with a single seed on some level cannot be told apart") for text in sentences
    )


def test_no_time_has_no_place_on_an_axis_of_cost(tmp_path: Path) -> None:
    def odd(record: Any) -> None:
        for run in record["runs"]:
            if run["training"]["architecture"] == "vit":
                run["training"]["duration_seconds"] = 0.0

    found = changed(write_benchmark(tmp_path, architectures=TWO, levels=LEVELS[:1]), odd)[1]
    assert found.costs["vit"].seconds is None
    assert found.costs["fast"].seconds is not None
    assert {row[0]: row[3] is None for row in cost.worth(found).rows} == {"vit": True, "fast": False}


def test_unequal_seeds_promise_less(tmp_path: Path) -> None:
    """docs/statistics.md: up to 7 % where noisier architectures have fewer seeds."""
    even = verdict_sentences(*written(tmp_path / "even", seeds=4, architectures=("vit", "fast", "puffer")))
    uneven = verdict_sentences(
        *written(tmp_path / "uneven", seeds=4, architectures=("vit", "fast", "puffer"), left_out=[("fast", LEVEL, 3)])
    )
    assert any('false "better" is below 5%' in text for text in even)
    assert any('false "better" is up to 7% where noisier architectures have fewer seeds' in text for text in uneven)


def test_an_architecture_that_was_not_tuned_is_named(tmp_path: Path) -> None:
    benchmark, found = written(tmp_path, untuned=["fast"])
    assert any(text.startswith("Not tuned: the learning rate of fast.") for text in verdict_sentences(benchmark, found))
    assert not any("uned" in text for text in verdict_sentences(*written(tmp_path / "tuned")))
