"""The results record is read back whole or refused by name; the table says what the numbers support."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from metta.analysis.gather import gather
from metta.analysis.results import (
    FILE_NAME,
    BenchmarkResults,
    EnvironmentResult,
    Key,
    RunRecord,
    environment_result,
    read_results,
    scored,
    write_results,
)
from metta.analysis.summary import summary_csv, summary_markdown, summary_rows, verdict
from metta.base.errors import InputError
from tests.analysis import records


def evaluated(hearts: list[float], maps: str = "maps") -> EnvironmentResult:
    """Results with these hearts in the episodes."""
    return environment_result(records.evaluated(hearts, maps), "rules")


def run(architecture: str, seed: int, result: EnvironmentResult | None) -> RunRecord:
    """A run with this result, or a failed one."""
    return records.run_record(architecture, seed, {"basic": result} if result else None)


RANDOM = evaluated([0.0, 0.1, 0.2, 0.1])


def results() -> BenchmarkResults:
    """Two architectures, two seeds, one failed run."""
    return BenchmarkResults(
        start_time="2026-01-01T00:00:00+00:00",
        end_time=None,
        max_timesteps=1000,
        architectures=["vit", "fast"],
        levels=["level_1_basic"],
        seeds=[0, 1],
        planned=[Key(name, "level_1_basic", seed) for name in ("vit", "fast") for seed in (0, 1)],
        command="run_benchmark.py",
        references={"level_1_basic": {"blind": {"basic": RANDOM}}},
        runs=[
            run("vit", 0, evaluated([1.0, 1.2, 1.1, 0.9])),
            run("vit", 1, None),
            run("fast", 0, evaluated([2.0, 2.2, 2.1, 1.9])),
            run("fast", 1, evaluated([2.0, 2.2, 2.1, 2.0])),
        ],
        provenance={},
    )


def test_read_back(tmp_path: Path) -> None:
    write_results(tmp_path / "r.json", results())
    assert read_results(tmp_path / "r.json") == results()


def blind_in(record: Any) -> Any:
    """The blind player's result in a record."""
    return record["references"]["level_1_basic"]["blind"]["basic"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda record: record.pop("runs"), r"r\.json is damaged: 'runs' is missing"),
        (lambda record: record.update(format=99), r"'format' is 99; this version reads format 2"),
        (lambda record: record["runs"][0]["training"].update(status="odd"), r"runs\.0\.training\.status"),
        (lambda record: record["runs"][0]["training"].update(extra=1), r"unknown key 'runs\.0\.training\.extra'"),
        (
            lambda record: blind_in(record).update(hearts_of_episodes=[]),
            r"basic: .* each of the 4 episodes, .* holds 0",
        ),
        (lambda record: blind_in(record)["hearts_of_episodes"].pop(), r"basic: .* each of the 4 episodes, .* holds 3"),
        (
            lambda record: blind_in(record).update(hearts_per_agent=1e308),
            r"blind\.basic\.hearts_per_agent: .*equal to 1000000000",
        ),
        (lambda record: blind_in(record).update(normalised_score=-1e308), r"blind\.basic\.normalised_score: "),
        (lambda record: blind_in(record).update(episodes=10**400), r"blind\.basic\.episodes: "),
        (
            lambda record: record["runs"][0]["training"].update(duration_seconds=-5),
            r"runs\.0\.training\.duration_seconds: .*greater than or equal to 0 \(given: -5\)",
        ),
        (lambda record: record["runs"][0]["evaluation"].update(duration_seconds=-5), r"runs\.0\.evaluation\.duration_"),
        (lambda record: record["runs"][0]["training"].update(timesteps=-1), r"runs\.0\.training\.timesteps"),
        (
            lambda record: record["runs"][0]["training"].update(run_name="n" * 5000),
            r"run_name: .*at most 255 characters",
        ),
        (lambda record: record["runs"][0]["training"].update(run_folder="n" * 5000), r"run_folder: .*at most 4096"),
        (lambda record: record["runs"][0]["training"].update(run_name="a\0b"), r"run_name: must be printable"),
        (
            lambda record: record["runs"][0]["training"].update(architecture="\ud800"),
            r"training\.architecture: .*unicode",
        ),
        (lambda record: record["runs"][0]["training"].update(error="\ud800"), r"runs\.0\.training\.error: .*unicode"),
        (lambda record: record["references"].update({"\ud800": {}}), r"references\..*unicode"),
        (lambda record: record["provenance"].update(machine=["\ud800"]), r"provenance: .*UTF-8"),
        (lambda record: record.update(planned=[["vit", "level_1_basic"]]), r"planned\.0"),
        (
            lambda record: record["runs"][1]["training"].update(seed=0, run_name="copy.vit.level_1_basic.s0"),
            r"vit on level_1_basic, seed 0, is there twice, as x\.vit.* and as copy\.vit",
        ),
        (lambda record: record.update(seeds=[-1]), r"seeds\.0: "),
    ],
)
def test_damage_is_named_by_file_and_field(tmp_path: Path, damage: object, sentence: str) -> None:
    record = results().model_dump(mode="json")
    damage(record)  # type: ignore[operator]
    (tmp_path / "r.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=sentence) as found:
        read_results(tmp_path / "r.json")
    assert len(str(found.value)) < 1000
    assert str(found.value).count("\n") == 0


def test_planned_runs_are_counted_by_name(tmp_path: Path) -> None:
    planned = [Key("vit", "level_1_basic", seed) for seed in (0, 1, 7)]
    some = results().model_copy(update={"planned": planned, "levels": ["level_1_basic", "level_2_easy"]})
    write_results(tmp_path / FILE_NAME, some)
    assert "3 of 5 runs evaluated" in summary_markdown(read_results(tmp_path / FILE_NAME))
    assert gather([tmp_path]).missing == [("vit", "level_1_basic", 7)]
    assert gather([tmp_path]).merged.planned_runs == gather([tmp_path]).planned


def test_results_under_other_rules_are_not_compared(tmp_path: Path) -> None:
    one, other = (evaluated([1.0, 1.2, 1.1, 0.9]).model_copy(update={"rules": mark}) for mark in ("one", "other"))
    some = results().model_copy(update={"references": {}, "runs": [run("vit", 0, one), run("fast", 0, other)]})
    write_results(tmp_path / FILE_NAME, some)
    with pytest.raises(
        InputError, match=r"runs\.1\..*rules' is other, but others .* have one; .* under different rules"
    ):
        gather([tmp_path])
    own, scripted = evaluated([1.0, 1.2, 1.1, 0.9]), evaluated([4.0, 4.2, 4.1, 4.1])
    assert scored(own, "basic", {"random": {"basic": RANDOM}, "scripted": {"basic": scripted}}).normalised_score
    scripted = scripted.model_copy(update={"rules": "other"})
    assert scored(own, "basic", {"random": {"basic": RANDOM}, "scripted": {"basic": scripted}}).normalised_score is None


def test_runs_trained_with_other_settings_are_not_seeds_of_one_thing(tmp_path: Path) -> None:
    one, other = run("fast", 0, evaluated([1.0] * 4)), run("fast", 1, evaluated([1.0] * 4))
    other = other.model_copy(update={"training": other.training.model_copy(update={"settings": "other"})})
    write_results(tmp_path / FILE_NAME, results().model_copy(update={"runs": [one, other]}))
    with pytest.raises(InputError, match=r"x\.fast.*s1 was trained with other settings than other runs of fast"):
        gather([tmp_path])


def test_a_score_that_is_only_rounding_is_none() -> None:
    low, high = evaluated([0.1 + 0.2] * 4), evaluated([0.3] * 4)
    references = {"random": {"basic": high}, "scripted": {"basic": low}}
    assert low.hearts_per_agent > high.hearts_per_agent
    assert scored(evaluated([5.0] * 4), "basic", references).normalised_score is None


def test_episodes_that_do_not_pair_are_no_evidence() -> None:
    assert verdict([evaluated([2.0, 2.2])], RANDOM) == "not told apart from blind, 1 seed"


def test_rows_best_first_with_the_floor_last() -> None:
    rows = summary_rows(results())
    assert [row.architecture for row in rows] == ["fast", "vit", "blind"]
    assert [row.seeds for row in rows] == [2, 1, 0]
    assert rows[0].hearts.mean == pytest.approx((2.05 + 2.075) / 2)
    assert rows[0].training_seconds == 10.5
    assert rows[1].hearts.low is None


def test_an_architecture_that_was_not_tuned_is_marked() -> None:
    some = results().model_copy(update={"untuned": ["vit"]})
    verdicts = {row.architecture: row.verdict for row in summary_rows(some)}
    assert verdicts["vit"].endswith("; not tuned")
    assert "not tuned" not in verdicts["fast"]
    assert "; not tuned |" in summary_markdown(some)


def test_two_seeds_stand_one_by_one() -> None:
    text = summary_markdown(results())
    assert "2.06 (2.05, 2.08)" in text
    assert "[" not in next(line for line in text.splitlines() if line.startswith("| fast"))


def test_markdown_and_csv() -> None:
    text = summary_markdown(results())
    assert "3 of 4 runs evaluated so far." in text
    assert "run 2 `x.vit.level_1_basic.s1`: the loss became NaN." in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 5
    table = list(csv.DictReader(summary_csv(results()).splitlines()))
    assert table[0]["architecture"] == "fast"
    assert float(table[0]["hearts_per_agent"]) == pytest.approx(2.0625)
    assert table[1]["hearts_low"] == ""


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([[2.0, 2.2, 2.1, 2.0], [2.0, 2.1, 2.1, 2.1], [2.1] * 4], "above blind (95 % intervals apart)"),
        ([[2.0, 2.2, 2.1, 2.0], [2.0, 2.1, 2.1, 2.1]], "above blind in each of 2 seeds"),
        ([[2.0, 2.2, 2.1, 2.0], [1.0, 1.2, 1.1, 1.0]], "above blind in each of 2 seeds"),
        ([[2.0, 2.2, 2.1, 2.0]], "above blind in each of 1 seed"),
        ([[2.0, 2.2, 2.1, 2.0], [0.0, 0.1, 0.2, 0.1]], "not told apart from blind, 2 seeds"),
        ([[0.1, 0.0, 0.2, 0.1]], "not told apart from blind, 1 seed"),
    ],
)
def test_verdicts(seeds: list[list[float]], words: str) -> None:
    assert verdict([evaluated(hearts) for hearts in seeds], RANDOM) == words


def test_below_blind() -> None:
    floor = evaluated([1.0, 1.1, 1.2, 1.1])
    assert (
        verdict([evaluated([0.0, 0.1]), evaluated([0.1, 0.0]), evaluated([0.1, 0.1])], floor)
        == "below blind (95 % intervals apart)"
    )
    apart = [evaluated([0.0, 0.1, 0.1, 0.0]), evaluated([0.5, 0.7, 0.6, 0.5])]
    assert verdict(apart, floor) == "below blind in each of 2 seeds"


def test_episodes_on_other_maps_are_not_paired() -> None:
    other = evaluated([2.0, 2.2, 2.1, 2.0], maps="other maps")
    assert verdict([other], RANDOM) == "not told apart from blind, 1 seed"


def test_a_benchmark_without_results_has_an_empty_table() -> None:
    empty = results().model_copy(update={"runs": [], "references": {}})
    assert "0 of 4 runs evaluated so far." in summary_markdown(empty)


def test_score_is_0_at_random_and_1_at_scripted() -> None:
    own, scripted = evaluated([1.0, 1.2, 1.1, 0.9]), evaluated([4.0, 4.2, 4.1, 4.1])
    references = {"random": {"basic": RANDOM}, "scripted": {"basic": scripted}}
    assert scored(own, "basic", references).normalised_score == pytest.approx((1.05 - 0.1) / (4.1 - 0.1))
    assert scored(RANDOM, "basic", references).normalised_score == 0.0
    assert scored(scripted, "basic", references).normalised_score == 1.0
    assert scored(own, "combat", references).normalised_score is None
    assert scored(own, "basic", {"random": {"basic": RANDOM}}).normalised_score is None
    assert scored(evaluated([1.0], "other maps"), "basic", references).normalised_score is None
