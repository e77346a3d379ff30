"""The levels are the rows of docs/simulator.md's table."""

import importlib
import re

import pytest

from metta.lab.provenance import REPOSITORY

NAMES = ("ore", "battery", "laser", "armor", "blueprint")
LEVELS = ("level_1_basic", "level_2_easy", "level_3_medium", "level_4_hard", "level_5_expert")


def numbers(text: str) -> list[float]:
    """All numbers in a cell."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("name", LEVELS)
def test_level_is_its_row(name: str) -> None:
    level = importlib.import_module(f"experiments.recipes.benchmark_architectures.{name}").LEVEL
    assert level.name == name
    _, number, title = name.split("_")
    page = (REPOSITORY / "docs" / "simulator.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| {number} {title} |")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert numbers(cells[1]) == [level.size, level.size]
    assert numbers(cells[2]) == [level.num_agents]
    assert numbers(cells[3]) == [level.altar_ratio]
    assert numbers(cells[4])[0] == level.initial_count
    assert numbers(cells[5])[0] == level.laser_cost
    assert [level.rewards[item] for item in NAMES if item in level.rewards] == numbers(cells[6])
    assert [level.caps[item] for item in NAMES if item in level.caps] == numbers(cells[7])


@pytest.mark.parametrize("name", LEVELS)
def test_environments(name: str) -> None:
    module = importlib.import_module(f"experiments.recipes.benchmark_architectures.{name}")
    level, evals = module.LEVEL, module.make_evals()
    costs = {key: sim.actions["attack"].consumed_resources["laser"] for key, sim in evals.items()}
    combat = {"combat": 1.0} if name[6] in "345" else {}
    assert costs == {"basic": 100.0, **combat}
    env = module.make_env()
    assert env.actions["attack"].consumed_resources["laser"] == level.laser_cost
    assert env.objects["altar"].input_resources == {"battery_red": level.altar_ratio}
    assert env.agent.rewards.inventory["heart"] == 1.0
    assert env.agent.rewards.inventory_max["heart"] == 100.0
    assert (env.num_agents, env.world.height, env.world.width) == (level.num_agents, level.size, level.size)
