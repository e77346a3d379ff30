"""adaptive.py plans, trains and evaluates by one job per run, tries again, continues, and forecasts time and cost."""

import importlib.util
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures import run_benchmark
from experiments.recipes.benchmark_architectures.adaptive import main
from metta.analysis.results import read_results
from metta.base.addresses import PLAYERS
from metta.base.files import locked
from metta.lab import controller
from metta.lab.executors import local
from metta.lab.forecast import WORLDS_AT_ONCE
from metta.rl import players
from tests.analysis.records import evaluated
from tests.lab.stand_ins import Bench, Here

OUTPUT = Path("train_dir/x")
RESULTS = OUTPUT / "benchmark_results.json"
SMALL = (
    *("--experiment-id", "x", "--architectures", "vit,fast", "--levels", "level_1_basic"),
    *("--timesteps", "300", "--seeds-per-level", "1"),
)
LOCAL = (*SMALL, "--local", "--max-parallel", "1")
VIT, FAST = "x.vit.level_1_basic.s0", "x.fast.level_1_basic.s0"


def test_one_job_per_run_after_the_reference_players(here: Here) -> None:
    assert main(LOCAL) == 0
    assert here.done == [*(f"{player} on level_1_basic" for player in PLAYERS), VIT, FAST]
    results = read_results(RESULTS)
    assert [run.training.status for run in results.runs] == ["success"] * 2
    assert [run.evaluation.status for run in results.runs] == ["success"] * 2
    assert results.end_time is not None
    assert results.command.startswith(
        "uv run experiments/recipes/benchmark_architectures/adaptive.py --experiment-id x"
    )


@pytest.mark.parametrize("first", ["run_benchmark", "adaptive"])
def test_either_command_finds_done_what_the_other_did(here: Here, first: str) -> None:
    """And writes the same records, and when the first one began."""
    words = ["--architectures", "vit,fast", "--levels", "level_1_basic", "--max-timesteps", "300", "--seeds", "1"]
    commands = [lambda: run_benchmark.main([*words, "--output-dir", str(OUTPUT)]), lambda: main(LOCAL)]
    records = []
    for command in commands if first == "run_benchmark" else reversed(commands):
        here.done.clear()
        assert command() == 0
        results = read_results(RESULTS)
        records.append((results.start_time, results.runs))
    assert here.done == []
    assert records[0] == records[1]


def test_a_run_that_fails_each_time_is_listed_with_its_cause(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    here.faults[VIT] = "the loss became NaN."
    assert main([*LOCAL, "--retries", "2"]) == 1
    assert here.done.count(VIT) == 3
    captured = capsys.readouterr()
    assert f"failed: {VIT}: the loss became NaN." in captured.err
    assert captured.out.count("It will be tried again.") == 2


def test_a_fault_that_passes_costs_nothing(here: Here, bench: Bench) -> None:
    times = 0

    def fails_twice(timesteps: int) -> None:
        nonlocal times
        if timesteps == 100 and times < 2:
            times += 1
            raise MemoryError

    bench.on_step = fails_twice
    assert main(LOCAL) == 0
    assert times == 2
    assert bench.started_at == [0, 100, 100, 0]  # each try goes on from the checkpoint


def test_another_number_of_jobs_continues_with_the_same_threads(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 8)
    main(LOCAL)
    here.done.clear()
    assert main([*SMALL, "--local", "--max-parallel", "4"]) == 0
    assert here.done == []


def test_two_controllers_cannot_share_an_experiment(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    OUTPUT.mkdir(parents=True)
    with locked(OUTPUT / ".lock", "it"):
        assert main(LOCAL) == 75
    assert f"the benchmark in train_dir/x is in use by process {os.getpid()} on " in capsys.readouterr().err
    assert here.done == []


def test_a_run_that_somebody_works_on_is_waited_for(here: Here, monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """Another process holds the run's lock at first, and lets it go later."""
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.0)
    (OUTPUT / FAST).mkdir(parents=True)
    held = locked(OUTPUT / FAST / ".lock", "it")
    held.__enter__()
    done_while_held: list[str] = []

    def let_go_when_others_are_done() -> None:
        while VIT not in here.done:
            time.sleep(0.01)
        done_while_held.extend(here.done)
        held.__exit__(None, None, None)

    other = threading.Thread(target=let_go_when_others_are_done, daemon=True)
    other.start()
    assert main(LOCAL) == 0
    other.join()
    assert VIT in done_while_held
    assert FAST not in done_while_held
    assert here.done.count(FAST) == 1


def test_settings_may_stand_between_flags(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "trainer.learning_rate=0.001",
        *SMALL,
        "evaluation.worlds=2",
        "--local",
        "--dry-run",
        "--commands",
        "seed_is=no",
    ]
    assert main(words) == 2
    assert "seed_is" in capsys.readouterr().err
    assert main(words[:-1]) == 0
    commands = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert all("trainer.learning_rate=0.001 evaluation.worlds=2" in line for line in commands)


def test_the_forecast_from_a_given_speed(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--experiment-id", "x", "--dry-run", "--timesteps", "659000", "--steps-per-second", "1000"]
    words += ["--architectures", "vit", "--levels", "level_1_basic", "--seeds-per-level", "2", "--max-parallel", "1"]
    assert main([*words, "--price-per-hour", "3.6"]) == 0
    said = capsys.readouterr().out.splitlines()
    # 5 s to start, 659 s of training, 16 episodes of 12 agents and 1,000 steps at twice the rate, 96 s, and ten points
    # of the held-out curve, each as long as four episodes, 240 s.
    assert WORLDS_AT_ONCE == players.WORLDS_AT_ONCE["cpu"] == 4
    assert "2 runs to do, 1 at a time" in said
    assert "time: 33 min from start to end, 33 min for all jobs added up" in said
    assert "cost: 2.00 at 3.6 per job and hour" in said
    assert not [line for line in said if "uv run" in line]


def test_the_forecast_from_measured_speeds(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    main(LOCAL)
    file = OUTPUT / VIT / "status.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "timesteps": 1000, "training_seconds": 10.0}))
    capsys.readouterr()
    words = ["--experiment-id", "y", "--timesteps", "9500", "--seeds-per-level", "1", "--local", "--max-parallel", "1"]
    assert main([*words, "--dry-run", "--architectures", "vit,agalite", "--levels", "level_1_basic"]) == 0
    said = capsys.readouterr().out
    (minutes,) = re.findall(r"time: about ([\d.]+) min from start to end", said)
    assert float(minutes) > 1.6  # the measured run alone takes 100 s
    assert "the same number of threads: agalite\n" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            [],
            "--launcher skypilot, the default, needs the package skypilot: run `uv sync --group skypilot`",
        ),
        (["--launcher", "slurm"], "--launcher slurm needs the package submitit: run `uv sync --group slurm`, or give"),
    ],
)
def test_without_an_optional_package_one_sentence_says_what_to_install(
    here: Here,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([*SMALL, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("seconds", ["soon", [], None])
def test_a_run_that_says_no_number_says_nothing_of_speed(
    here: Here, capsys: pytest.CaptureFixture[str], seconds: object
) -> None:
    main(LOCAL)
    file = OUTPUT / VIT / "evaluation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"duration_seconds": seconds}))
    assert main([*LOCAL, "--seeds-per-level", "2", "--dry-run"]) == 0
    assert "2 runs to do" in capsys.readouterr().out


def test_the_dry_run_without_skypilot_says_why_there_is_no_yaml(
    here: Here, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([*SMALL, "--dry-run", "--commands"]) == 0
    assert "# no SkyPilot tasks: --launcher skypilot, the default, needs the package" in capsys.readouterr().out


def test_further_seeds_go_to_neighbours_until_they_are_decided(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two architectures that are alike get all seeds, a third that is far above gets no more; again, nothing is new."""
    players = {"random": 0.0, "blind": 1.0, "reflex": 28.0, "scripted": 30.0}

    def hearts_of(player: object, environments: dict[str, object], evaluation: Any, system: object) -> dict[str, Any]:
        folder = str(player)
        hearts = players.get(folder)
        if hearts is None:
            seed = int(folder.split(".s")[1].split("/")[0])
            hearts = (20.0 if ".gtrxl." in folder else 8.0) + 0.1 * (seed * 7 % 5)
        return {name: evaluated([hearts] * evaluation.worlds) for name in environments}

    monkeypatch.setattr(sys.modules["metta.rl.evaluate"], "evaluate", hearts_of)
    words = ["--experiment-id", "x", "--architectures", "vit,fast,gtrxl", "--levels", "level_1_basic", "--timesteps"]
    words += ["300", "--seeds-per-level", "3", "--until-decided", "6", "--local", "--max-parallel", "1"]
    assert main(words) == 0
    assert (
        "Further seeds, where they decide: vit on level_1_basic: 5, fast on level_1_basic: 5."
        in capsys.readouterr().out
    )
    seeds = Counter(run.training.architecture for run in read_results(RESULTS).runs)
    assert seeds == {"vit": 6, "fast": 6, "gtrxl": 3}
    here.done.clear()
    assert main(words) == 0
    assert here.done == []
    assert Counter(run.training.architecture for run in read_results(RESULTS).runs) == seeds
