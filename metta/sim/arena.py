"""The arena of the five levels: one shared room whose contents follow from the number of agents."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from metta.base.config import Config
from metta.sim.config import (
    ActionConfig,
    AgentConfig,
    AgentRewards,
    ConverterConfig,
    RoomConfig,
    SimConfig,
    WallConfig,
)
from metta.sim.constants import (
    TYPE_ALTAR,
    TYPE_ARMORY,
    TYPE_GENERATOR_RED,
    TYPE_LASERY,
    TYPE_MINE_RED,
    TYPE_WALL,
)

OBJECTS_PER_SIX_AGENTS = {"wall": 10, "altar": 5, "mine_red": 10, "generator_red": 5, "lasery": 1, "armory": 1}
"""Contents of a room for each group of six agents; the number of groups is rounded to the nearest whole, at least 1."""

REWARDED = {"ore": "ore_red", "battery": "battery_red", "laser": "laser", "armor": "armor", "blueprint": "blueprint"}
"""Short name in a level's reward table -> resource."""

HEART_REWARD = 1.0
HEART_CAP = 100.0


class ArenaSettings(Config):
    """The arguments of `arena_config`, checked."""

    size: Annotated[int, Field(ge=1)]
    num_agents: Annotated[int, Field(ge=1)]
    altar_ratio: Annotated[int, Field(ge=0, le=255)]
    initial_count: Annotated[int, Field(ge=0, le=255)]
    laser_cost: Annotated[int, Field(ge=0)]
    max_steps: Annotated[int, Field(ge=1)]


def arena_config(
    *,
    size: int,
    num_agents: int,
    altar_ratio: int,
    initial_count: int,
    laser_cost: int,
    rewards: Mapping[str, float],
    caps: Mapping[str, float],
    max_steps: int = 1000,
) -> SimConfig:
    """The arena with the given numbers.

    Args:
        size: inner cells of the square room per side.
        num_agents: agents in the room; they also decide how many objects stand in it.
        altar_ratio: red batteries per heart.
        initial_count: outputs inside every converter at the start.
        laser_cost: lasers an attack costs; 100 is more than an agent can hold and turns combat off.
        rewards: reward per item by short name (keys of `REWARDED`); hearts always count 1.
        caps: most reward of each of these, in reward units; hearts always have 100.
        max_steps: steps of an episode.

    Raises:
        ValidationError: a number is out of range, or the room is too small.
        ValueError: `rewards` or `caps` has a name that is not in `REWARDED`.
    """
    ArenaSettings(
        size=size,
        num_agents=num_agents,
        altar_ratio=altar_ratio,
        initial_count=initial_count,
        laser_cost=laser_cost,
        max_steps=max_steps,
    )
    for table in (rewards, caps):
        for name in table:
            if name not in REWARDED:
                raise ValueError(f"unknown reward name {name!r}; allowed are {', '.join(REWARDED)}")

    def converter(type_id: int, needs: dict[str, int], makes: str, cooldown: int) -> ConverterConfig:
        return ConverterConfig(
            type_id=type_id,
            input_resources=needs,
            output_resources={makes: 1},
            max_output=5,
            conversion_ticks=1,
            cooldown=cooldown,
            initial_resource_count=initial_count,
        )

    return SimConfig(
        num_agents=num_agents,
        max_steps=max_steps,
        objects={
            "wall": WallConfig(type_id=TYPE_WALL),
            "altar": converter(TYPE_ALTAR, {"battery_red": altar_ratio}, "heart", 10),
            "mine_red": converter(TYPE_MINE_RED, {}, "ore_red", 50),
            "generator_red": converter(TYPE_GENERATOR_RED, {"ore_red": 1}, "battery_red", 25),
            "lasery": converter(TYPE_LASERY, {"battery_red": 1, "ore_red": 2}, "laser", 10),
            "armory": converter(TYPE_ARMORY, {"ore_red": 3}, "armor", 10),
        },
        agent=AgentConfig(
            rewards=AgentRewards(
                inventory={"heart": HEART_REWARD, **{REWARDED[name]: value for name, value in rewards.items()}},
                inventory_max={"heart": HEART_CAP, **{REWARDED[name]: value for name, value in caps.items()}},
            )
        ),
        actions={
            "attack": ActionConfig(consumed_resources={"laser": float(laser_cost)}, defense_resources={"armor": 1})
        },
        world=RoomConfig(
            height=size,
            width=size,
            objects={name: count * groups_of_six(num_agents) for name, count in OBJECTS_PER_SIX_AGENTS.items()},
        ),
    )


def groups_of_six(num_agents: int) -> int:
    """How many times a room holds `OBJECTS_PER_SIX_AGENTS`: agents / 6 to the nearest whole, halves up, at least 1."""
    return max(1, (num_agents + 3) // 6)
