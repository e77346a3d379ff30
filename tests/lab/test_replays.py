"""A benchmark writes the replays it is asked for, shared out among processes, and each once."""

from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.adaptive import main as adaptive
from experiments.recipes.benchmark_architectures.run_benchmark import main
from metta.analysis.gather import gather
from metta.analysis.replays import KINDS, Choice
from metta.base.errors import InputError
from metta.lab import benchmark, replays
from tests.lab.stand_ins import Bench, Here

# The stand-ins of `bench` take their places.
WRITE_MISSING, WRITE_SIDE_BY_SIDE = replays.write_missing, replays.write_side_by_side
OUTPUT = Path("train_dir/benchmark")
SMALL = ("--architectures", "vit,fast", "--levels", "level_1_basic", "--max-timesteps", "300", "--seeds", "2")


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "cores", lambda: 4)


@pytest.mark.parametrize(
    ("words", "kinds"),
    [([], ["best", "median"]), (["--replays", "best"], ["best"]), (["--replays", "none"], [])],
)
def test_those_that_are_asked_for(here: Here, bench: Bench, words: list[str], kinds: list[str]) -> None:
    assert main([*SMALL, *words]) == 0
    assert bench.replay_kinds == kinds
    assert bench.replay_processes == []
    bench.replay_kinds.clear()
    experiment = ["--experiment-id", "x", "--architectures", "fast", "--levels", "level_1_basic", "--local"]
    assert adaptive([*experiment, "--timesteps", "300", "--seeds-per-level", "1", "--max-parallel", "1", *words]) == 0
    assert bench.replay_kinds == kinds


@pytest.mark.parametrize(("parallel", "processes"), [("3", [3]), ("9", [4])])
def test_as_many_at_a_time_as_jobs_and_cores(here: Here, bench: Bench, parallel: str, processes: list[int]) -> None:
    """There are four to write: two architectures, the best and the median episode."""
    assert main([*SMALL, "--parallel", parallel]) == 0
    assert bench.replay_processes == processes


def test_processes_share_all_and_each_is_written_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    main([*SMALL, "--replays", "none"])
    results = gather([OUTPUT])
    written: list[tuple[str, str]] = []

    def write(choice: Choice, threads: int) -> None:
        written.append((choice.architecture, choice.kind))
        if choice.architecture == "vit":
            raise InputError("there is no checkpoint.")

    monkeypatch.setattr(replays, "_write", write)
    faults = []
    for part in ((1, 3), (2, 3), (3, 3)):
        faults += WRITE_MISSING(results, print, part=part)
    assert sorted(written) == [(name, kind) for name in ("fast", "vit") for kind in KINDS]
    assert sorted(faults) == [
        f"no replay of the {kind} episode of vit on level_1_basic: there is no checkpoint." for kind in KINDS
    ]


def test_what_processes_could_not_write_is_said(here: Here) -> None:
    """Real processes on results whose checkpoints are stand-ins that nobody can play."""
    main([*SMALL, "--replays", "none"])
    faults = WRITE_SIDE_BY_SIDE(OUTPUT / "benchmark_results.json", KINDS, 2, 1)
    assert len(faults) == 4
    assert {fault.partition(":")[0] for fault in faults} == {
        f"no replay of the {kind} episode of {name} on level_1_basic" for name in ("vit", "fast") for kind in KINDS
    }
    (fault,) = WRITE_SIDE_BY_SIDE(Path("nowhere.json"), KINDS, 1, 1)
    assert "nowhere.json" in fault


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--part", "3/2"], "--part '3/2' is not K/N"), (["--kinds", "worst"], "--kinds: unknown name 'worst'")],
)
def test_wrong_flags_get_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        replays.main(["nowhere", *words])
