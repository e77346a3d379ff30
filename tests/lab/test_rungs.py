"""The memory ladder: rungs run where they are named and nowhere else."""

import importlib
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.run_benchmark import main
from experiments.recipes.benchmark_architectures.rungs import RUNGS
from metta.cli.main import resolve
from metta.rl.players import REFERENCE_PLAYERS


@pytest.mark.parametrize("name", RUNGS)
def test_a_rung_is_a_level_of_its_own(name: str) -> None:
    module = importlib.import_module(f"experiments.recipes.benchmark_architectures.{name}")
    rung = RUNGS[name]
    assert module.LEVEL is rung
    assert name not in LEVELS
    assert rung.architectures is ARCHITECTURES
    sim = module.make_env()
    assert module.make_evals() == {"basic": sim}
    assert sim.rounds is not None
    assert sim.rounds.wait == {"memory_1": 16, "memory_2": 64, "memory_3": 256}[name]
    assert sim.agent.rewards.inventory == {"heart": 1.0}
    for player in REFERENCE_PLAYERS.values():
        player(sim)


def test_a_rung_is_the_same_room_with_another_wait() -> None:
    rooms = [rung.model_copy(update={"name": "", "purpose": "", "wait": 1}).make_env() for rung in RUNGS.values()]
    assert rooms[0] == rooms[1] == rooms[2]


def test_the_wait_can_be_set() -> None:
    words = ("sim.rounds.wait=4", "evaluation_environments.basic.rounds.wait=4")
    config = resolve(("experiments.recipes.benchmark_architectures.memory_1.train", *words)).config
    assert config.sim.rounds.wait == config.evaluation_environments["basic"].rounds.wait == 4


def test_the_benchmark_runs_rungs_only_where_they_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--dry-run", "--architectures", "fast", "--seeds", "1", "--output-dir", str(tmp_path)]
    assert main(common) == 0
    assert "memory" not in capsys.readouterr().out
    assert main([*common, "--levels", "memory_1,memory_3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3].split(".")[-2] for line in lines] == ["memory_1", "memory_3"]
