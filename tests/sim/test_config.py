"""Configurations are checked when they are made, and the arena of the levels has the contents it should have."""

import json
from typing import Any

import pytest

from metta.base.errors import InputError
from metta.sim.arena import arena_config, groups_of_six
from metta.sim.config import SimConfig
from metta.sim.map_text import map_characters

FIXED: dict[str, Any] = {
    "num_agents": 1,
    "objects": {"wall": {"type": "wall"}, "mine": {"type": "converter", "type_id": 2}},
    "world": {"kind": "fixed", "rows": ["#@.", "#m."], "legend": {"#": "wall", ".": "empty", "m": "mine"}},
}
ROOM: dict[str, Any] = {"num_agents": 2, "world": {"kind": "room", "height": 3, "width": 3, "objects": {"wall": 2}}}


def with_value(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one dotted key set."""
    copy = json.loads(json.dumps(base))
    *parents, last = path.split(".")
    place = copy
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return copy


@pytest.mark.parametrize("base", [FIXED, ROOM])
def test_json_round_trip(base: dict[str, Any]) -> None:
    config = SimConfig.parse(base)
    assert SimConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("base", "path", "value", "words"),
    [
        (ROOM, "num_agents", 0, "num_agents"),
        (ROOM, "num_agents", 8, "no room for 10 objects and agents in 3 x 3 = 9 cells"),
        (ROOM, "max_steps", 0, "max_steps"),
        (ROOM, "obs_width", 16, "obs_width"),
        (ROOM, "obs_heigth", 11, "did you mean 'obs_height'"),
        (ROOM, "num_observation_tokens", 0, "num_observation_tokens"),
        (ROOM, "world.objects", {"altar": 1}, "'altar', which objects does not define"),
        (ROOM, "objects", {"rock": {"type": "wall"}}, "rock|'wall'"),
        (ROOM, "objects", {"wall": {"type": "converter", "type_id": 2}}, "its type must be 'wall'"),
        (ROOM, "objects", {f"wall{i or ''}": {"type": "wall"} for i in range(254)}, "at most 253 are possible"),
        (ROOM, "actions", {"fly": {}}, "no 'fly'"),
        (ROOM, "actions", {"move": {"defense_resources": {"armor": 1}}}, "only an attack can be defended"),
        (ROOM, "actions", {"attack": {"consumed_resources": {"gold": 1}}}, "unknown resource 'gold'"),
        (ROOM, "actions", {"attack": {"consumed_resources": {"laser": 0.5}}}, "whole number"),
        (ROOM, "agent.initial_inventory", {"gold": 1}, "unknown resource 'gold'"),
        (ROOM, "agent.default_resource_limit", 256, "default_resource_limit"),
        (ROOM, "agent_initial_inventory", [{}], "1 entries for 2 agents"),
        (ROOM, "resource_names", ["a", "a"], "different names"),
        (FIXED, "num_agents", 2, "1 agents but num_agents is 2"),
        (FIXED, "world.rows", ["#@", "#"], "differ in length"),
        (FIXED, "world.rows", [], "no cells"),
        (FIXED, "world.legend", {"#": "wall", ".": "empty", "m": "altar"}, "'altar', which objects does not define"),
        (FIXED, "world.legend", {"#": "wall", ".": "empty"}, "'m', which the legend does not name"),
        (FIXED, "objects.mine.conversion_ticks", 0, "would never stop converting"),
    ],
)
def test_refuses_with_the_reason(base: dict[str, Any], path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SimConfig.parse(with_value(base, path, value))


@pytest.mark.parametrize(("agents", "groups"), [(1, 1), (6, 1), (8, 1), (9, 2), (12, 2), (16, 3), (20, 3), (24, 4)])
def test_groups_of_six(agents: int, groups: int) -> None:
    assert groups_of_six(agents) == groups


def test_arena_has_the_levels_contents() -> None:
    config = arena_config(
        size=25,
        num_agents=24,
        altar_ratio=3,
        initial_count=0,
        laser_cost=1,
        rewards={"ore": 0.01, "battery": 0.05, "laser": 0.05, "armor": 0.05, "blueprint": 0.01},
        caps={"ore": 1, "battery": 1, "laser": 1, "armor": 1, "blueprint": 1},
    )
    assert (config.map_height, config.map_width) == (27, 27)
    assert config.world.model_dump()["objects"] == {
        "wall": 40,
        "altar": 20,
        "mine_red": 40,
        "generator_red": 20,
        "lasery": 4,
        "armory": 4,
    }
    converters = {name: thing.model_dump() for name, thing in config.objects.items() if name != "wall"}
    assert {name: (c["type_id"], c["cooldown"]) for name, c in converters.items()} == {
        "altar": (8, 10),
        "mine_red": (2, 50),
        "generator_red": (5, 25),
        "lasery": (15, 10),
        "armory": (16, 10),
    }
    assert converters["lasery"]["input_resources"] == {"battery_red": 1, "ore_red": 2}
    assert config.agent.rewards.inventory["heart"] == 1.0
    assert config.agent.rewards.inventory_max["heart"] == 100.0
    assert map_characters(config) == ".@#_mnSo"
