"""The levels have the numbers that they were given."""

import importlib

import pytest

from experiments.recipes.benchmark_architectures.levels import LEVELS

NAMES = ("ore", "battery", "laser", "armor", "blueprint")


OF_THE_DESIGN = {
    "level_1_basic": (15, 12, 1, 2, 100, (0.5, 0.9, 0.7, 0.7, 0.5), (2, 2, 2, 2, 2)),
    "level_2_easy": (20, 16, 3, 0, 100, (0.2, 0.7, 0.4, 0.4, 0.3), (1, 2, 1, 1, 1)),
    "level_3_medium": (25, 20, 3, 0, 1, (0.1, 0.3, 0.2, 0.2, 0.1), (1, 1, 1, 1, 1)),
    "level_4_hard": (25, 24, 3, 0, 1, (0.01, 0.05, 0.05, 0.05, 0.01), (1, 1, 1, 1, 1)),
    "level_5_expert": (25, 24, 3, 0, 1, (), ()),
}
"""Size, agents, batteries per heart, initial count, lasers per attack, rewards and caps of `NAMES`."""


@pytest.mark.parametrize("name", LEVELS)
def test_levels_have_the_numbers_of_the_design(name: str) -> None:
    level = importlib.import_module(f"experiments.recipes.benchmark_architectures.{name}").LEVEL
    assert level.name == name
    assert OF_THE_DESIGN[name] == (
        level.size,
        level.num_agents,
        level.altar_ratio,
        level.initial_count,
        level.laser_cost,
        tuple(level.rewards[item] for item in NAMES if item in level.rewards),
        tuple(level.caps[item] for item in NAMES if item in level.caps),
    )


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
