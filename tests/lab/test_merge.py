"""Merging keeps every run once, takes a success over a failure, and refuses what contradicts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from metta.analysis.gather import gather
from metta.analysis.results import (
    BenchmarkResults,
    Key,
    RunRecord,
    environment_result,
    read_results,
    write_results,
)
from metta.base.errors import InputError
from metta.lab import merge as lab_merge
from metta.lab.merge import main, merge
from tests.analysis.records import evaluated, run_record
from tests.analysis.wide import LEVELS, write_benchmark


def run(architecture: str, seed: int, hearts: float | None, rules: str = "some", **changes: Any) -> RunRecord:
    """A run with so many hearts, or one whose training failed."""
    results = None if hearts is None else {"basic": environment_result(evaluated([hearts] * 2), rules)}
    return run_record(architecture, seed, results, **changes)


def results(*runs: RunRecord, **changes: Any) -> BenchmarkResults:
    """One machine's results; the reference players hold 0 and 4 hearts."""
    players = {"random": 0.0, "scripted": 4.0}
    values: dict[str, Any] = {
        "start_time": "2026-01-01T00:00:00+00:00",
        "end_time": "2026-01-02T00:00:00+00:00",
        "max_timesteps": 1000,
        "architectures": list(dict.fromkeys(run.training.architecture for run in runs)),
        "levels": ["level_1_basic"],
        "seeds": sorted({run.training.seed for run in runs}),
        "planned": [run.training.key for run in runs],
        "command": "uv run ...",
        "references": {
            "level_1_basic": {
                name: {"basic": environment_result(evaluated([hearts] * 2), "some")} for name, hearts in players.items()
            }
        },
        "runs": list(runs),
        "provenance": {},
    }
    return BenchmarkResults(**values | changes)


def test_all_runs_once_numbered_and_scored_and_what_was_planned_stays_planned() -> None:
    planned = [Key("vit", "level_1_basic", seed) for seed in range(3)]
    one = results(run("vit", 0, 1.0), run("vit", 1, None), planned=planned)
    two = results(run("fast", 0, 2.0), run("vit", 1, 3.0), start_time="2025-12-31T00:00:00+00:00", end_time=None)
    merged = merge([("A", one), ("B", two)])
    found = {(r.training.architecture, r.training.seed): r.evaluation.results["basic"] for r in merged.runs}
    assert {key: result.normalised_score for key, result in found.items()} == {
        ("vit", 0): 0.25,
        ("fast", 0): 0.5,
        ("vit", 1): 0.75,
    }
    assert [record.run_number for record in merged.runs] == [1, 2, 3]
    assert sorted(merged.planned_runs) == [Key("fast", "level_1_basic", 0), *planned]
    assert {record.total_runs for record in merged.runs} == {4}
    assert (merged.architectures, merged.seeds, merged.end_time) == (["vit", "fast"], [0, 1, 2], None)
    assert merged.start_time == "2025-12-31T00:00:00+00:00"
    assert set(merged.provenance["merged"]) == {"A", "B"}


def test_merging_again_changes_nothing() -> None:
    one, two = results(run("vit", 0, 1.0)), results(run("fast", 0, 2.0))
    once = merge([("A", one), ("B", two)])
    assert merge([("C", once), ("A", one), ("B", two)]).runs == once.runs


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (results(run("vit", 0, 2.0)), "A and B both hold vit on level_1_basic, seed 0, with different results"),
        (results(run("vit", 0, 1.0, start_time="2026-02-01T00:00:00+00:00")), "with different results"),
        (results(run("vit", 0, 2.0), max_timesteps=2000), "B: 'max_timesteps' is 2000, but in A it is 1000"),
        (
            results(
                run("fast", 0, 1.0),
                references={"level_1_basic": {"random": {"basic": environment_result(evaluated([0.5] * 2), "some")}}},
            ),
            r"B: 'references\.level_1_basic\.random\.basic' differs from the result of this player in A",
        ),
        (
            results(run("fast", 0, 1.0, rules="other")),
            r"B: 'runs\.0\.evaluation\.results\.basic\.rules' is other, but others on .* \(first in A\)",
        ),
        (
            results(run("vit", 1, 1.0, settings="two")),
            r"B: x\.vit\.level_1_basic\.s1 was trained with other settings than other runs of vit .*first in A",
        ),
    ],
)
def test_conflicts_are_refused(other: BenchmarkResults, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        merge([("A", results(run("vit", 0, 1.0))), ("B", other)])


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name, record in (("A", run("vit", 0, 1.0)), ("B", run("fast", 0, None)), ("D", run("vit", 0, 3.0))):
        Path(name).mkdir()
        write_results(Path(name) / "benchmark_results.json", results(record))
    assert main(["A", "B", "--into", "C"]) == 0
    assert "2 runs from 2 results, 1 of them not successful: C/benchmark_results.json" in capsys.readouterr().out
    assert [r.training.architecture for r in read_results(Path("C/benchmark_results.json")).runs] == ["vit", "fast"]
    assert Path("C/benchmark_results.md").exists()
    before = Path("C/benchmark_results.json").read_bytes()
    assert main(["D", "--into", "C"]) == 2
    assert "C and D both hold vit" in capsys.readouterr().err
    assert main(["E", "--into", "C"]) == 2
    assert "there are no results of a benchmark: E/benchmark_results.json does not exist" in capsys.readouterr().err
    assert main(["A"]) == 2
    assert Path("C/benchmark_results.json").read_bytes() == before


def test_what_another_merge_wrote_before_it_let_go_of_the_folder_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("vit", "fast"):
        Path(name).mkdir()
        write_results(Path(name) / "benchmark_results.json", results(run(name, 0, 1.0)))
    free = lab_merge.locked

    @contextmanager
    def locked(path: Path, what: str) -> Iterator[None]:
        if not Path("C/benchmark_results.json").exists():
            write_results(Path("C/benchmark_results.json"), results(run("vit", 0, 1.0)))
        with free(path, what):
            yield

    monkeypatch.setattr(lab_merge, "locked", locked)
    assert main(["fast", "--into", "C"]) == 0
    assert {r.training.architecture for r in read_results(Path("C/benchmark_results.json")).runs} == {"vit", "fast"}


def test_the_folder_of_a_run_is_the_one_that_its_record_names(tmp_path: Path) -> None:
    """Also where an attempt of the same name, which failed, lies beside the results."""
    failed = [("vit", LEVELS[0], 0)]
    a = write_benchmark(tmp_path / "A", architectures=("vit",), levels=LEVELS[:1], seeds=1, failed=failed)
    write_benchmark(tmp_path / "B", architectures=("vit",), levels=LEVELS[:1], seeds=1)
    results = read_results(a)
    write_results(a, results.model_copy(update={"references": {}}))  # those of the two differ
    assert main([str(tmp_path / "B"), "--into", str(tmp_path / "A")]) == 0
    (found,) = gather([a]).runs.values()
    assert found.failure is None
    assert found.files.folder.parent == tmp_path / "B"


def test_run_folders_that_were_moved_with_their_results_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = run("vit", 0, 1.0)
    (Path("brought/A") / record.training.run_name).mkdir(parents=True)
    write_results(Path("brought/A/benchmark_results.json"), results(record, run("fast", 0, 1.0)))
    assert main(["brought/A", "--into", "C"]) == 0
    folders = [r.training.run_folder for r in read_results(Path("C/benchmark_results.json")).runs]
    assert folders == [f"../brought/A/{record.training.run_name}", "../brought/A/x"]


def test_curves_of_merged_results_are_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_benchmark(tmp_path / "A", architectures=("vit",), levels=LEVELS[:1], seeds=1)
    monkeypatch.chdir(tmp_path)
    assert main(["A", "--into", "C"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    (found,) = gather([Path("../C")]).runs.values()
    assert found.files.curves
    record = read_results(tmp_path / "C" / "benchmark_results.json").runs[0].training
    assert record.run_folder == f"../A/{record.run_name}"
