"""A level that cannot be played is refused with the reason, when it is written down or when its maps are drawn."""

from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.level_1_basic import LEVEL
from metta.base.errors import InputError, RunError
from metta.cli.main import resolve
from metta.sim.vector_env import VectorEnv

TRAIN = "experiments.recipes.benchmark_architectures.level_1_basic.train"


def with_change(**change: Any) -> dict[str, Any]:
    """Level 1 as plain data with other numbers."""
    return {**dict(LEVEL), **change}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 7}, "no room for 76 objects and agents in 7 x 7 = 49 cells"),
        ({"size": 0}, "size.*greater than or equal to 1"),
        ({"num_agents": 0}, "num_agents.*greater than or equal to 1"),
        ({"altar_ratio": 300}, "altar_ratio.*less than or equal to 255"),
        ({"initial_count": -1}, "initial_count.*greater than or equal to 0"),
        ({"rewards": {"gold": 1.0}}, "unknown reward name 'gold'; allowed are ore, battery, laser, armor, blueprint"),
        ({"caps": {"silver": 1.0}}, "unknown reward name 'silver'"),
        ({"evaluation_laser_costs": {"basic": -1}}, "laser_cost.*greater than or equal to 0"),
        ({"sise": 15}, "did you mean 'size'"),
    ],
)
def test_a_level_that_cannot_be_played_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Level.parse(with_change(**change))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sim.num_agents=0", "sim.num_agents"),
        ("sim.num_agents=500", "no room for 564 objects and agents in 15 x 15 = 225 cells"),
        ("sim.world.objects.wall=300", "no room"),
        ('sim.agent.rewards.inventory={"gold": 1}', "agent.rewards.inventory names the unknown resource 'gold'"),
        (
            'sim.agent.rewards.inventory_max={"gold": 1}',
            "agent.rewards.inventory_max names the unknown resource 'gold'",
        ),
    ],
)
def test_settings_that_cannot_be_played_are_refused(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve([TRAIN, setting])


def test_converters_that_nobody_can_reach_are_refused_when_the_map_is_drawn() -> None:
    # 76 objects and agents fill 76 of 81 cells: no draw leaves every agent a way to one of each converter.
    level = Level.parse(with_change(size=9))
    env = VectorEnv(level.make_env(), num_worlds=1, seed=0)
    with pytest.raises(RunError, match="lets every agent reach one of each converter; make the room larger"):
        env.reset()
