"""A benchmark writes the documented results after every run, survives failed runs, and continues when repeated."""

import contextlib
import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.run_benchmark import local_parser, local_study, main
from metta.analysis.gather import gather
from metta.analysis.report import main as report
from metta.analysis.results import read_results
from metta.analysis.show import main as show
from metta.cli.main import resolve
from metta.lab import benchmark as lab_benchmark
from metta.lab import study as lab_study
from metta.lab.executors.contract import Command
from metta.lab.forecast import seconds_left
from metta.lab.merge import main as merge
from tests.analysis.records import evaluated
from tests.lab.stand_ins import Bench, Here

OUTPUT = Path("train_dir/benchmark")
TRAIN = "experiments.recipes.benchmark_architectures.level_1_basic.train"
RESULTS = OUTPUT / "benchmark_results.json"
RESULT = evaluated([1.0] * 16)
SMALL = ("--architectures", "vit,fast", "--levels", "level_1_basic", "--max-timesteps", "300", "--seeds", "2")


def test_the_documented_structure(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    here.results = RESULTS
    assert main(SMALL) == 0
    record = json.loads(RESULTS.read_text())
    assert {"start_time", "end_time", "max_timesteps", "runs"} <= set(record)
    assert record["end_time"] is not None
    assert record["max_timesteps"] == 300
    assert [run["run_number"] for run in record["runs"]] == [1, 2, 3, 4]
    run = record["runs"][0]
    assert run["total_runs"] == 4
    training = run["training"]
    assert training["run_name"] == "benchmark.vit.level_1_basic.s0"
    assert (training["architecture"], training["level"], training["seed"]) == ("vit", "level_1_basic", 0)
    assert training["status"] == "success"
    assert training["error"] is None
    assert training["duration_seconds"] >= 0
    assert training["start_time"]
    assert training["command"].startswith("uv run ./tools/run.py experiments.recipes.benchmark_architectures.level_1_")
    assert run["evaluation"]["status"] == "success"
    basic = run["evaluation"]["results"]["basic"]
    assert (basic["reward"], basic["hearts_per_agent"], basic["episodes"]) == (2.0, 1.0, 16)
    assert basic["normalised_score"] == 1.0
    assert basic["spread"]["hearts_per_agent"]["standard_deviation"] == 0.0
    assert here.results_seen == [0, 0, 0, 0, 0, 1, 2, 3]
    output = capsys.readouterr().out
    table = (OUTPUT / "benchmark_results.md").read_text()
    assert table.strip() in output
    assert "above blind" in table
    assert (OUTPUT / "benchmark_results.csv").read_text().count("\n") == 7


def test_what_another_command_wrote_before_it_let_go_of_the_folder_is_kept(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = SMALL[2:]
    assert main(["--architectures", "vit", *words]) == 0
    others = RESULTS.read_bytes()
    RESULTS.unlink()
    free = lab_study.locked

    @contextlib.contextmanager
    def locked(path: Path, what: str) -> Iterator[None]:
        RESULTS.write_bytes(others)  # the last that the other command does
        with free(path, what):
            yield

    monkeypatch.setattr(lab_study, "locked", locked)
    assert main(["--architectures", "fast", *words]) == 0
    assert {run.training.architecture for run in read_results(RESULTS).runs} == {"vit", "fast"}


def test_the_commands_do_what_was_planned(here: Here) -> None:
    main(SMALL)
    for run in read_results(RESULTS).runs:
        words = run.training.command.removeprefix("uv run ./tools/run.py ").split()
        resolved = resolve(words).config.model_dump(mode="json")
        written = json.loads((OUTPUT / run.training.run_folder / "config.json").read_text())
        assert written["configuration"] == resolved


def test_a_failed_run_is_recorded_and_the_others_go_on(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    here.faults["benchmark.vit.level_1_basic.s0"] = "the loss became NaN."
    assert main(SMALL) == 1
    runs = read_results(RESULTS).runs
    assert [run.training.status for run in runs] == ["failed", "success", "success", "success"]
    assert runs[0].training.error == "the loss became NaN."
    assert runs[0].evaluation.status == "skipped"
    assert "failed: benchmark.vit.level_1_basic.s0: the loss became NaN." in capsys.readouterr().err
    assert "the loss became NaN." in (OUTPUT / "benchmark_results.md").read_text()
    here.faults.clear()
    here.done.clear()
    assert main(SMALL) == 0
    assert here.done == ["benchmark.vit.level_1_basic.s0"]
    assert [run.training.status for run in read_results(RESULTS).runs] == ["success"] * 4


def test_what_an_earlier_call_planned_and_did_is_kept_and_counted(here: Here) -> None:
    """Runs and reference players; the plan is what was planned, no product."""
    words = ["--max-timesteps", "300", "--seeds", "1", "--architectures"]
    main([*words, "vit,fast", "--levels", "level_1_basic"])
    first = read_results(RESULTS)
    main([*words, "fast", "--levels", "level_2_easy"])
    results = read_results(RESULTS)
    assert (results.architectures, results.levels) == (["fast", "vit"], ["level_1_basic", "level_2_easy"])
    assert sorted(results.planned_runs) == [
        ("fast", "level_1_basic", 0),
        ("fast", "level_2_easy", 0),
        ("vit", "level_1_basic", 0),
    ]
    assert [run.run_number for run in results.runs] == [1, 2, 3]
    assert {run.total_runs for run in results.runs} == {3}
    assert results.references["level_1_basic"] == first.references["level_1_basic"]
    assert set(results.references) == {"level_1_basic", "level_2_easy"}
    assert "3 of 3 runs evaluated." in (OUTPUT / "benchmark_results.md").read_text()
    assert gather([OUTPUT]).missing == []
    assert results.end_time is not None


def episodes() -> set[int]:
    """Of all runs and reference players in the results."""
    found = read_results(RESULTS)
    return {run.evaluation.results["basic"].episodes for run in found.runs} | {
        result.episodes for players in found.references.values() for by in players.values() for result in by.values()
    }


def test_evaluations_under_other_rules_are_made_anew(here: Here) -> None:
    main(SMALL)
    assert main([*SMALL, "--skip-training", "evaluation.worlds=3"]) == 0
    assert episodes() == {3}
    here.done.clear()
    assert main(SMALL) == 0
    assert episodes() == {16}
    assert len(here.done) == 8  # four runs, four reference players
    here.done.clear()
    assert main(SMALL) == 0
    assert here.done == []


@pytest.mark.parametrize(
    "overwritten",
    [
        {"evaluation": {"worlds": 1, "seed": 20_260_101}},
        {"evaluation_environments": {}},
        b"{",
    ],
)
def test_an_evaluation_that_was_overwritten_or_damaged_is_made_anew(here: Here, overwritten: Any) -> None:
    main(SMALL)
    before = read_results(RESULTS)
    file = OUTPUT / "benchmark.vit.level_1_basic.s0" / "evaluation.json"
    if isinstance(overwritten, dict):
        record = {**json.loads(file.read_text()), **overwritten, "results": {"basic": evaluated([9.0])}}
        overwritten = json.dumps(record).encode()
    file.write_bytes(overwritten)
    here.done.clear()
    assert main(SMALL) == 0
    assert here.done == ["benchmark.vit.level_1_basic.s0"]
    again = read_results(RESULTS)
    assert [run.evaluation.results for run in again.runs] == [run.evaluation.results for run in before.runs]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--architectures", "memory_free", "evaluation_environments.basic.max_steps=20"],
            "but others on level_1_basic basic (first in this call) have",
        ),
        (
            ["--first-seed", "2", "--seeds", "1", "trainer.gamma=0.9"],
            "was trained with other settings than other runs of vit on level_1_basic (first in this call)",
        ),
        (
            ["--architectures", "puffer", "--max-timesteps", "400"],
            "'max_timesteps' is 300, but in this call it is 400",
        ),
        (["--max-timesteps", "400"], "total_timesteps=300, not 400"),
        (["trainer.gamma=0.9"], ", not 0.9;"),
    ],
)
def test_what_does_not_compare_with_earlier_runs_is_refused(
    here: Here, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    main(SMALL)
    before = RESULTS.read_bytes()
    here.done.clear()
    assert main([*SMALL, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert (here.done, RESULTS.read_bytes()) == ([], before)


def test_settings_that_change_no_number_may_differ(here: Here) -> None:
    main(SMALL)
    assert main([*SMALL, "--first-seed", "2", "trainer.checkpoint_every=50"]) == 0


def test_a_run_counts_once_whatever_its_folder_is_called(here: Here) -> None:
    main(SMALL)
    before = read_results(RESULTS)
    shutil.copytree(OUTPUT, "train_dir/backup")
    here.done.clear()
    assert main([*SMALL, "--output-dir", "train_dir/backup"]) == 0
    assert here.done == []
    results = read_results(Path("train_dir/backup/benchmark_results.json"))
    assert results.runs == [
        run.model_copy(
            update={
                "training": run.training.model_copy(
                    update={
                        "command": run.training.command.replace("train_dir/benchmark", "train_dir/backup"),
                    }
                )
            }
        )
        for run in before.runs
    ]
    assert "4 of 4 runs evaluated." in Path("train_dir/backup/benchmark_results.md").read_text()
    more = [*SMALL[:-1], "3", "--output-dir", "train_dir/backup"]
    assert main(more) == 0
    assert here.done == ["backup.vit.level_1_basic.s2", "backup.fast.level_1_basic.s2"]
    assert "6 of 6 runs evaluated." in Path("train_dir/backup/benchmark_results.md").read_text()


@pytest.mark.parametrize("skip", [False, True])
def test_merged_runs_are_found_where_they_lie(here: Here, skip: bool) -> None:
    main(SMALL)
    assert merge(["train_dir/benchmark", "--into", "train_dir/C"]) == 0
    here.done.clear()
    words = [*SMALL[:-1], "3", "--output-dir", "train_dir/C"]
    assert main(words) == 0
    assert [name for name in here.done if " on " not in name] == ["C.vit.level_1_basic.s2", "C.fast.level_1_basic.s2"]
    if skip:
        assert main([*words, "--skip-training", "evaluation.worlds=3"]) == 0
    results = read_results(Path("train_dir/C/benchmark_results.json"))
    assert sorted(run.training.key for run in results.runs) == sorted(
        (name, "level_1_basic", seed) for name in ("vit", "fast") for seed in range(3)
    )
    assert {run.evaluation.results["basic"].episodes for run in results.runs} == {3 if skip else 16}


def test_a_renamed_run_goes_on(here: Here) -> None:
    main(SMALL)
    (OUTPUT / "benchmark.vit.level_1_basic.s0").rename(OUTPUT / "my_vit")
    (OUTPUT / "my_vit" / "evaluation.json").unlink()
    here.done.clear()
    assert main(SMALL) == 0
    assert here.done == ["benchmark.vit.level_1_basic.s0"]
    assert [run.training.run_name for run in read_results(RESULTS).runs if run.training.architecture == "vit"] == [
        "my_vit",
        "benchmark.vit.level_1_basic.s1",
    ]


def test_a_run_that_an_interrupted_call_planned_stays_planned(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(command: Command) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(here, "start", interrupted)
        assert main(["--architectures", "vit", *SMALL[2:]]) == 130
        assert "stopped; the same command continues it" in capsys.readouterr().err
    main(["--architectures", "fast", *SMALL[2:]])
    results = read_results(RESULTS)
    assert [key.architecture for key in gather([OUTPUT]).missing] == ["vit", "vit"]
    assert results.end_time is None
    main(SMALL)
    assert gather([OUTPUT]).missing == []
    assert read_results(RESULTS).end_time is not None


def test_skip_training_evaluates_what_is_there(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--architectures", "vit", *SMALL[2:]])
    here.done.clear()
    assert main([*SMALL, "--skip-training"]) == 1
    assert here.done == ["benchmark.vit.level_1_basic.s0", "benchmark.vit.level_1_basic.s1"]
    assert "vit on level_1_basic, seed 1: evaluated, hearts per agent 1.000 (basic)" in capsys.readouterr().out
    runs = {run.training.run_name: run for run in read_results(RESULTS).runs}
    assert runs["benchmark.vit.level_1_basic.s0"].evaluation.status == "success"
    assert runs["benchmark.fast.level_1_basic.s0"].evaluation.status == "skipped"
    assert "no checkpoint" in str(runs["benchmark.fast.level_1_basic.s0"].training.error)


def test_a_torn_reference_file_is_made_anew(here: Here) -> None:
    main(SMALL)
    file = OUTPUT / "references" / "level_1_basic.random.json"
    os.truncate(file, 100)
    before = read_results(RESULTS)
    here.done.clear()
    assert main(SMALL) == 0
    assert here.done == ["random on level_1_basic"]
    assert read_results(RESULTS).references == before.references


def test_a_folder_above_that_is_no_utf_8_costs_nothing(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9")
    place.mkdir()
    monkeypatch.chdir(place)
    assert main([*SMALL, "--architectures", "fast"]) == 0
    assert show([str(OUTPUT)]) == 0
    assert "<html" in (OUTPUT / "report.html").read_text()


def test_config_without_starts_is_named(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    main(SMALL)
    file = OUTPUT / "benchmark.vit.level_1_basic.s0" / "config.json"
    record = json.loads(file.read_text())
    del record["starts"]
    file.write_text(json.dumps(record))
    assert main(SMALL) == 2
    error = capsys.readouterr().err
    assert f"{file} is damaged or of another version: " in error
    assert error.count("\n") == 1


@pytest.fixture
def half_trained(here: Here, bench: Bench) -> Here:
    """vit, seed 0, was stopped after a third of its steps."""

    def stop(timesteps: int) -> None:
        if timesteps == 100 and not stopped:
            stopped.append(timesteps)
            raise KeyboardInterrupt

    stopped: list[int] = []
    bench.on_step = stop
    with contextlib.suppress(KeyboardInterrupt):
        main(SMALL)
    return here


def test_a_half_trained_run_says_where_it_goes_on(half_trained: Here, capsys: pytest.CaptureFixture[str]) -> None:
    main(SMALL)
    assert "vit on level_1_basic, seed 0: continuing after 100 agent-steps ..." in capsys.readouterr().out


@pytest.mark.parametrize("results_file", [True, False])
def test_half_trained_runs_are_shown_and_not_compared(
    half_trained: Here, capsys: pytest.CaptureFixture[str], results_file: bool
) -> None:
    """Also where no results file says how many steps a run has."""
    words = [*SMALL[:4], "--seeds", "2", "--skip-training"]
    if results_file:
        words += SMALL[4:6]
    else:
        RESULTS.unlink(missing_ok=True)
    main(words)
    results = read_results(RESULTS)
    record = next(run for run in results.runs if run.training.key == ("vit", "level_1_basic", 0))
    assert (record.training.timesteps, record.training.total_timesteps) == (100, 300)
    assert (results.max_timesteps, results.partly_trained) == (300, [record])
    output = capsys.readouterr().out
    assert "vit on level_1_basic, seed 0: trained 100 of 300 steps and not compared" in output
    rows = list(csv.DictReader((OUTPUT / "benchmark_results.csv").read_text().splitlines()))
    row = next(row for row in rows if row["agent_steps"] == "100.0")
    assert (row["architecture"], row["verdict"]) == ("vit", "trained 100 of 300 steps: not compared")
    assert row is rows[-1]
    benchmark = gather([OUTPUT])
    assert record not in [run.record for run in benchmark.evaluated]
    assert not benchmark.of("vit", "level_1_basic") or all(
        run.key.seed == 1 for run in benchmark.of("vit", "level_1_basic")
    )
    show([str(OUTPUT)])
    sentence = "Not compared, because their training did not reach its end: vit on level_1_basic, seed 0 (trained 100"
    assert sentence in capsys.readouterr().out
    page = (OUTPUT / "report.html").read_text()
    assert sentence in page
    assert "every planned run has a result" not in page


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/bench", "home/bench"),
        ("50%20x", "50%20x"),
        ("a#b?c d", "a#b?c d"),
        ("file://./with%20space", "with space"),
        ("\u043c\u043e\u0439/\u5e33", "\u043c\u043e\u0439/\u5e33"),
    ],
)
def test_every_command_reads_a_folder_alike(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words = [*SMALL[2:6], "--architectures", "fast", "--seeds", "1", f"--output-dir={given}"]
    assert main(words) == 0
    here.done.clear()
    assert main([*words, "--skip-training"]) == 0
    (name,) = here.done
    (record,) = read_results(Path(meant) / "benchmark_results.json").runs
    assert (record.evaluation.status, record.training.run_name) == ("success", name)
    evaluate = f"experiments.recipes.benchmark_architectures.level_1_basic.evaluate output={given}/e.json"
    assert resolve([*evaluate.split(" ", 1), f"policy_uri={given}/{name}/checkpoints"]).execute() == 0
    assert (Path(meant) / "e.json").exists()
    assert resolve([TRAIN, "arch_type=fast", "trainer.total_timesteps=100", f"train_dir={given}/runs"]).execute() == 0
    assert (Path(meant) / "runs" / "single.fast.level_1_basic.s0" / "status.json").exists()
    assert merge([given, "--into", f"{given}/C"]) == 0
    assert show([f"{given}/C"]) == 0
    assert report([given, "--output", f"{given}/page.html"]) == 0
    assert (Path(meant) / "page.html").exists()
    assert {path.name for path in tmp_path.iterdir()} == {meant.split("/")[0]}


def test_a_failed_evaluation_is_told_from_a_failed_training(here: Here) -> None:
    main(SMALL)
    (OUTPUT / "benchmark.vit.level_1_basic.s0" / "evaluation.json").unlink()
    here.faults["benchmark.vit.level_1_basic.s0"] = "out of memory."
    assert main([*SMALL]) == 1
    run = read_results(RESULTS).runs[0]
    assert (run.training.status, run.evaluation.status) == ("success", "failed")
    assert run.evaluation.error == "out of memory."


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("evaluation", {"duration_seconds": -5}, r"evaluation\.json\.duration_seconds: .*greater than or equal to 0"),
        ("evaluation", {"results": {"basic": {**RESULT, "reward": 1e308}}}, r"is damaged: reward: "),
        ("evaluation", {"results": {"basic": {**RESULT, "episodes": 17}}}, "each of the 17 episodes"),
        ("evaluation", {"results": {"\ud800": RESULT}}, "is damaged: KeyError"),
        ("status", {"training_seconds": -5}, r"status\.json\.training_seconds: .*greater than or equal to 0"),
        ("status", None, r"status\.json is damaged"),
    ],
)
def test_a_file_with_numbers_that_cannot_be_is_named(here: Here, name: str, change: Any, sentence: str) -> None:
    main(SMALL)
    file = OUTPUT / "benchmark.vit.level_1_basic.s0" / f"{name}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}) if change else "{")
    assert main(SMALL) == 1
    run, *others = read_results(RESULTS).runs
    assert {other.evaluation.status for other in others} == {"success"}
    assert re.search(sentence, str(run.training.error or run.evaluation.error))


def test_a_full_disk_between_runs_costs_nothing(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metta.base.errors import RunError

    working, calls = lab_benchmark.write_results, 0

    def sometimes_full(path: Path, results: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RunError(f"cannot write {path}: no space left on device.")
        working(path, results)

    monkeypatch.setattr(lab_benchmark, "write_results", sometimes_full)
    assert main(SMALL) == 0
    assert "The benchmark goes on" in capsys.readouterr().err
    assert len(read_results(RESULTS).runs) == 4


def test_a_forecast_counts_what_was_never_measured(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--price-per-hour", "2"]) == 0
    said = capsys.readouterr().out
    assert "uv run" not in said
    assert f"{3 * len(ARCHITECTURES) * len(LEVELS)} runs to do, 1 at a time" in said
    assert re.search(r"time: about [\d.,]+ h from start to end", said)
    assert re.search(r"disk: about [1-9][\d.]* GB", said)
    assert re.search(r"cost: about [\d.]+ at 2 per job and hour", said)
    assert f"with the same number of threads: {', '.join(ARCHITECTURES)}\n" in said
    assert list(Path().iterdir()) == []


def test_quick_is_two_architectures_on_level_1_with_three_seeds(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--dry-run", "--commands"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert len(lines) == 6
    assert all("level_1_basic" in line for line in lines)
    for architecture, own in (("transformer", lines[:3]), ("trxl", lines[3:])):  # the longest runs begin
        assert all(f"arch_type={architecture} " in line for line in own)


def test_the_time_left_counts_what_is_left_of_every_run(here: Here) -> None:
    main(SMALL)
    study = local_study(local_parser("", "", str(OUTPUT), ARCHITECTURES).parse_args(SMALL), "")
    assert seconds_left(study.runs, slots=1) == 0
    for seed in (0, 1):
        file = OUTPUT / f"benchmark.vit.level_1_basic.s{seed}" / "status.json"
        changes = {"state": "training", "trained": False, "timesteps": 100, "training_seconds": 10.0}
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    one_after_another, side_by_side = (seconds_left(study.runs, slots) for slots in (1, 2))
    assert 40 <= one_after_another <= 52  # twice 200 steps at 10 per second, and 5 s to start
    assert side_by_side == pytest.approx(one_after_another / 2)
    file.write_text("{")
    assert 60 <= seconds_left(study.runs, slots=1) <= 72  # damaged: all of its 300 steps, and its job says why
