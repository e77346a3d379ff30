"""Case-like configurations for tests: small hand-made ones and random ones that reach every rule of the page."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.reference.arena_twin import ACTIONS, RESOURCES

LEGEND = {
    "#": "wall",
    ".": "empty",
    "@": "agent",
    "m": "mine_red",
    "n": "generator_red",
    "_": "altar",
    "S": "lasery",
    "o": "armory",
}
CONVERTER_CHARACTERS = {"mine_red": "m", "generator_red": "n", "altar": "_", "lasery": "S", "armory": "o"}
ACTION = {name: index for index, name in enumerate(ACTIONS)}


def converter(type_id: int, inputs: Mapping[str, int], outputs: Mapping[str, int], cooldown: int) -> dict[str, Any]:
    """The JSON of one converter type with the arena's usual limits."""
    return {
        "type": "converter",
        "type_id": type_id,
        "input_resources": dict(inputs),
        "output_resources": dict(outputs),
        "max_output": 5,
        "max_conversions": -1,
        "conversion_ticks": 1,
        "cooldown": cooldown,
        "initial_resource_count": 0,
    }


def arena_case(rows: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A level-4-like case on the map `rows`.

    `changes` are dotted paths with "__" for the dot, e.g. `agent__freeze_duration=3` or
    `objects__mine_red__cooldown=0`; the last part is set to the value.
    """
    case: dict[str, Any] = {
        "map": list(rows),
        "legend": dict(LEGEND),
        "num_agents": sum(line.count("@") for line in rows),
        "max_steps": 1000,
        "episode_truncates": False,
        "obs_width": 11,
        "obs_height": 11,
        "num_observation_tokens": 200,
        "resource_names": list(RESOURCES),
        "action_names": list(ACTIONS),
        "objects": {
            "wall": {"type": "wall", "type_id": 1},
            "mine_red": converter(2, {}, {"ore_red": 1}, 50),
            "generator_red": converter(5, {"ore_red": 1}, {"battery_red": 1}, 25),
            "altar": converter(8, {"battery_red": 3}, {"heart": 1}, 10),
            "lasery": converter(15, {"battery_red": 1, "ore_red": 2}, {"laser": 1}, 10),
            "armory": converter(16, {"ore_red": 3}, {"armor": 1}, 10),
        },
        "agent": {
            "default_resource_limit": 50,
            "resource_limits": {"heart": 255},
            "freeze_duration": 10,
            "action_failure_penalty": 0,
            "initial_inventory": {},
            "rewards": {
                "inventory": {"heart": 1, "ore_red": 0.01, "battery_red": 0.05, "laser": 0.05, "armor": 0.05},
                "inventory_max": {"heart": 100, "ore_red": 1, "battery_red": 1, "laser": 1, "armor": 1},
            },
        },
        "agent_initial_inventory": None,
        "actions": {
            "noop": {"consumed_resources": {}},
            "move": {"consumed_resources": {}},
            "put_items": {"consumed_resources": {}},
            "get_items": {"consumed_resources": {}},
            "attack": {"consumed_resources": {"laser": 1}, "defense_resources": {"armor": 1}},
        },
    }
    case = copy.deepcopy(case)
    for path, value in changes.items():
        *parents, last = path.split("__")
        record = case
        for name in parents:
            record = record[name]
        record[last] = value
    return case


@dataclass(frozen=True)
class Flavour:
    """What one family of random cases stresses; sizes are upper bounds, shares are parts of the map's cells."""

    name: str
    max_height: int = 12
    max_width: int = 12
    wall_share: float = 0.08
    converter_share: float = 0.2
    agent_share: float = 0.15
    max_agents: int = 24
    steps: int = 60
    rich: bool = False  # agents start with random items
    odd_converters: bool = False  # parameters far from the arena's
    odd_rules: bool = False  # limits, penalties, freeze, costs, defences, windows far from the arena's
    invalid_actions: float = 0.0  # share of actions outside 0..15
    attack_share: float = 0.25


FLAVOURS = (
    Flavour("arena"),
    Flavour("brawl", max_height=7, max_width=7, agent_share=0.5, converter_share=0.1, rich=True, attack_share=0.6),
    Flavour("workshop", converter_share=0.5, agent_share=0.2, rich=True, odd_converters=True, attack_share=0.05),
    Flavour("odd", rich=True, odd_converters=True, odd_rules=True, invalid_actions=0.1),
    Flavour("crowd", max_height=14, max_width=14, converter_share=0.3, agent_share=0.4, max_agents=60, rich=True),
    Flavour("corridor", max_height=1, max_width=14, agent_share=0.4, rich=True, attack_share=0.5),
)
LARGE = Flavour(
    "large", max_height=64, max_width=64, agent_share=0.03, max_agents=90, rich=True, odd_rules=True, steps=40
)


def random_case(rng: np.random.Generator, flavour: Flavour) -> dict[str, Any]:
    """A random configuration with a random map of this flavour; at least one agent and one free cell."""
    minimum = (min(2, flavour.max_height), 4)
    full = flavour is LARGE and rng.random() < 0.5
    height = flavour.max_height if full else int(rng.integers(minimum[0], flavour.max_height + 1))
    width = flavour.max_width if full else int(rng.integers(minimum[1], flavour.max_width + 1))
    rows = random_map(rng, flavour, height, width)
    case = arena_case(rows, max_steps=int(rng.integers(flavour.steps // 2, 2 * flavour.steps)))
    case["agent"]["rewards"] = random_rewards(rng)
    case["episode_truncates"] = bool(rng.random() < 0.5)
    for name in CONVERTER_CHARACTERS:
        settings = case["objects"][name]
        settings["initial_resource_count"] = int(rng.choice([0, 0, 2, 5, 8]))
        settings["cooldown"] = int(rng.integers(1, 12))
        if flavour.odd_converters:
            settings.update(random_converter(rng))
    if flavour.odd_rules:
        set_random_rules(rng, case)
    if flavour.rich:
        agents = [random_inventory(rng) for _ in range(case["num_agents"])]
        if rng.random() < 0.5:
            case["agent_initial_inventory"] = agents
        if rng.random() < 0.5:
            case["agent"]["initial_inventory"] = random_inventory(rng)
    return case


def random_map(rng: np.random.Generator, flavour: Flavour, height: int, width: int) -> list[str]:
    """Rows of a random map, with a wall border or (as often) without one."""
    grid = np.full((height, width), ".")
    bordered = bool(rng.random() < 0.5) and height > 3 and width > 4
    inner = grid[1:-1, 1:-1] if bordered else grid
    if bordered:
        grid[[0, -1], :] = "#"
        grid[:, [0, -1]] = "#"
    cells = [(row, column) for row in range(inner.shape[0]) for column in range(inner.shape[1])]
    rng.shuffle(cells)
    agents = int(np.clip(len(cells) * flavour.agent_share * rng.uniform(0.5, 1.2), 1, flavour.max_agents))
    agents = min(agents, len(cells) - 1)
    converters = int((len(cells) - agents) * flavour.converter_share * rng.uniform(0.3, 1.2))
    walls = int((len(cells) - agents) * flavour.wall_share * rng.uniform(0.0, 1.5))
    kinds = ["@"] * agents + list(rng.choice(list("mn_So"), converters)) + ["#"] * walls
    for (row, column), kind in zip(cells, kinds, strict=False):
        inner[row, column] = kind
    return ["".join(line) for line in grid]


def random_inventory(rng: np.random.Generator) -> dict[str, int]:
    """Items for one agent: combat goods and materials often, anything sometimes, now and then too many."""
    items = {
        "laser": int(rng.integers(0, 8)),
        "ore_red": int(rng.integers(0, 10)),
        "battery_red": int(rng.integers(0, 8)),
    }
    if rng.random() < 0.4:
        items["armor"] = int(rng.integers(1, 4))
    if rng.random() < 0.3:
        items["heart"] = int(rng.choice([1, 3, 99, 200, 255]))
    if rng.random() < 0.4:
        items[str(rng.choice(RESOURCES))] = int(rng.choice([1, 45, 50, 60]))
    return items


def random_rewards(rng: np.random.Generator) -> dict[str, Any]:
    """Weights for a random set of resources, some with a cap."""
    weights = {"heart": 1.0, "ore_red": 0.1, "battery_red": 0.3, "laser": 0.2, "armor": 0.7, "blueprint": 0.01}
    weights = {item: weight for item, weight in weights.items() if rng.random() < 0.7}
    for item in RESOURCES:
        if rng.random() < 0.15:
            weights[item] = round(float(rng.uniform(0, 2)), 3)
    caps = {item: float(rng.choice([0.5, 1, 2, 100, 0.33])) for item in weights if rng.random() < 0.6}
    return {"inventory": weights, "inventory_max": caps}


def random_converter(rng: np.random.Generator) -> dict[str, Any]:
    """Converter parameters far from the arena's: several inputs and outputs, no cooldown, no limit, few conversions."""
    common = ["ore_red", "battery_red", "laser", "armor", "heart", "ore_blue"]
    inputs = rng.choice(common, int(rng.integers(0, 4)), replace=False)
    rest = [item for item in RESOURCES if item not in inputs]
    outputs = rng.choice(rest, int(rng.integers(1, 4)), replace=False)
    return {
        "input_resources": {str(item): int(rng.integers(1, 4)) for item in inputs},
        "output_resources": {str(item): int(rng.choice([1, 1, 2, 3, 40])) for item in outputs},
        "max_output": int(rng.choice([-1, 1, 3, 5, 50])),
        "max_conversions": int(rng.choice([-1, -1, 0, 1, 2, 5])),
        "conversion_ticks": int(rng.choice([1, 1, 2, 3, 7])),
        "cooldown": int(rng.choice([0, 0, 1, 2, 5, 20])),
        "initial_resource_count": int(rng.choice([0, 0, 1, 4, 30, 250])),
    }


def set_random_rules(rng: np.random.Generator, case: dict[str, Any]) -> None:
    """Limits, penalties, freeze, costs, defences and windows far from the arena's."""
    agent = case["agent"]
    agent["default_resource_limit"] = int(rng.choice([3, 10, 50, 255]))
    agent["resource_limits"] = {
        str(item): int(rng.choice([0, 1, 2, 5, 9, 40, 255])) for item in RESOURCES if rng.random() < 0.4
    }
    agent["freeze_duration"] = int(rng.choice([0, 1, 2, 5, 10, 30]))
    agent["action_failure_penalty"] = float(rng.choice([0, 0, 0.1, 0.01, 0.25, 1.0, 3.7]))
    attack = case["actions"]["attack"]
    attack["consumed_resources"] = {"laser": int(rng.choice([0, 1, 1, 2, 100]))}
    if rng.random() < 0.15:
        attack["consumed_resources"] = {}
    attack["defense_resources"] = {"armor": int(rng.choice([1, 1, 2]))}
    if rng.random() < 0.15:
        attack["defense_resources"] = {}
    case["obs_height"] = int(rng.integers(1, 16))
    case["obs_width"] = int(rng.integers(1, 16))
    case["num_observation_tokens"] = int(rng.choice([3, 7, 20, 50, 100, 200, 300]))


def random_actions(rng: np.random.Generator, flavour: Flavour, steps: int, agents: int) -> np.ndarray:
    """int32 [T, A]: mostly useful actions, with repeated moves so that agents get somewhere."""
    attack = flavour.attack_share
    rest = 1 - attack
    shares = [0.02, *[0.13] * 4, 0.2, 0.26]
    weights = np.array([share * rest for share in shares] + [attack / 9] * 9)
    actions = rng.choice(len(ACTIONS), size=(steps, agents), p=weights / weights.sum()).astype(np.int32)
    repeat = (rng.random((steps, agents)) < 0.2) & (actions <= 4)
    actions[1:] = np.where(repeat[1:], actions[:-1], actions[1:])
    bad = rng.random((steps, agents)) < flavour.invalid_actions
    actions[bad] = rng.choice([-1, 16, 17, 255, -(2**31), 2**31 - 1], size=int(bad.sum()))
    return actions
