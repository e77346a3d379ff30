"""A benchmark writes the replays it is asked for, shared out among processes."""

from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.adaptive import main as adaptive
from experiments.recipes.benchmark_architectures.run_benchmark import main
from metta.analysis.gather import gather
from metta.analysis.replays import KINDS
from metta.lab import benchmark, replays
from tests.lab.stand_ins import Bench, Here

# The stand-in of `bench` takes its place.
WRITE_REPLAYS = replays.write_replays
OUTPUT = Path("train_dir/benchmark")
SMALL = ("--architectures", "vit,fast", "--levels", "level_1_basic", "--max-timesteps", "300", "--seeds", "2")


@pytest.mark.parametrize(
    ("words", "kinds"),
    [([], ["best", "median"]), (["--replays", "best"], ["best"]), (["--replays", "none"], [])],
)
def test_those_that_are_asked_for(here: Here, bench: Bench, words: list[str], kinds: list[str]) -> None:
    assert main([*SMALL, *words]) == 0
    experiment = ["--experiment-id", "x", "--architectures", "fast", "--levels", "level_1_basic", "--local"]
    assert adaptive([*experiment, "--timesteps", "300", "--seeds-per-level", "1", "--max-parallel", "1", *words]) == 0
    assert bench.replay_kinds == 2 * kinds
    assert bench.replay_processes == [1, 1][: 2 * len(kinds)]


@pytest.mark.parametrize(("parallel", "processes"), [("3", [3]), ("9", [4])])
def test_as_many_at_a_time_as_jobs_and_cores(
    here: Here, bench: Bench, monkeypatch: pytest.MonkeyPatch, parallel: str, processes: list[int]
) -> None:
    """There are four to write: two architectures, the best and the median episode."""
    monkeypatch.setattr(benchmark, "cores", lambda: 4)
    assert main([*SMALL, "--parallel", parallel]) == 0
    assert bench.replay_processes == processes


def test_what_could_not_be_written_is_said(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    """By real processes, of results whose checkpoints are stand-ins that nobody can play."""
    main([*SMALL, "--replays", "none"])
    faults = WRITE_REPLAYS(replays.wanted(gather([OUTPUT])), 2, print)
    whats = {f"replay of the {kind} episode of {name} on level_1_basic" for name in ("vit", "fast") for kind in KINDS}
    assert len(faults) == 4
    assert {fault.partition(":")[0].removeprefix("no ") for fault in faults} == whats
    assert {line for line in capfd.readouterr().out.splitlines() if line in whats} == whats
