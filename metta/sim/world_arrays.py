"""The arrays that hold worlds and rules, and how a configuration becomes rules.

W worlds, A agents, C places for converters, E = A + C entities (agents first), H rows and V columns of the map with
its border, K kinds of object, R rewarded resources. Cells are addressed as row * V + column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import ConverterConfig, FixedMap, RoomConfig, SimConfig
from metta.sim.constants import ACTION_GROUPS, MAX_AMOUNT, NUM_RESOURCES
from metta.sim.episodes import NUM_COUNTERS
from metta.sim.window import Window, window_tables

EMPTY_CODE = 0
AGENT_CODE = 1
FIRST_KIND_CODE = 2
"""Codes of a start map: nothing, an agent, or FIRST_KIND_CODE + kind."""

NEVER = np.iinfo(np.int32).max
"""Due time of a converter that waits for nothing."""

FACE_TOKENS = 5
"""Tokens of an object that fit into its cell's face; an object with more is read from `long_faces`."""

LONG_FACE_WORDS = 6
"""Words for the most tokens an object can have: 4 of an agent and 10 items, 42 bytes."""


class Rules(NamedTuple):
    """A configuration as numbers: read by the kernels, never written."""

    num_agents: int
    height: int
    width: int
    num_tokens: int
    max_steps: int
    truncates: bool
    freeze_duration: int
    failure_penalty: np.float32
    start_cells: NDArray[np.uint8]
    """[H, V] codes of the fixed map; [0, 0] for random rooms."""
    room_counts: NDArray[np.int32]
    """[K] objects in a random room."""
    wall_kind: int
    """Kind of the border of a random room."""
    kind_type_id: NDArray[np.uint8]
    """[K] value of the type token."""
    kind_converts: NDArray[np.bool_]
    """[K] converter, not wall."""
    recipe_in: NDArray[np.int32]
    """[K, 10]."""
    recipe_out: NDArray[np.int32]
    """[K, 10]."""
    max_output: NDArray[np.int32]
    """[K] -1: no limit."""
    max_conversions: NDArray[np.int32]
    """[K] -1: no limit."""
    conversion_ticks: NDArray[np.int32]
    """[K] steps."""
    cooldown: NDArray[np.int32]
    """[K] steps."""
    initial_count: NDArray[np.uint8]
    """[K] of each output."""
    held_limit: NDArray[np.int32]
    """[10] most an agent holds."""
    start_items: NDArray[np.uint8]
    """[A, 10] held at the start of an episode."""
    action_cost: NDArray[np.int32]
    """[5, 10] by action group."""
    action_has_cost: NDArray[np.bool_]
    """[5]."""
    defense: NDArray[np.int32]
    """[10] what stops an attack."""
    defense_exists: bool
    rewarded: NDArray[np.int32]
    """[R] resources in alphabetical order of their names."""
    reward_weight: NDArray[np.float32]
    """[R] reward units per item."""
    reward_cap: NDArray[np.float32]
    """[R] reward units; infinite without a cap."""
    window: Window


class Worlds(NamedTuple):
    """The state of W worlds."""

    seed: NDArray[np.uint64]
    """[1]."""
    world_index: NDArray[np.int64]
    """[W] index that the seed knows the world by."""
    episode: NDArray[np.int64]
    """[W] index of the current episode."""
    lifetime: NDArray[np.int64]
    """[W] steps since reset, over all episodes."""
    step: NDArray[np.int32]
    """[W] steps of the current episode."""
    last_step: NDArray[np.int32]
    """[W] step at which the current episode ends."""
    order_state: NDArray[np.uint64]
    """[W] random stream of the action order."""
    order: NDArray[np.int32]
    """[W, A] permutation of the last step."""
    start_cells: NDArray[np.uint8]
    """[W, H, V] codes of the current episode's start map."""
    cells: NDArray[np.int32]
    """[W, H * V] 0 empty, 1 + entity, or -1 - kind of a wall."""
    occupied: NDArray[np.uint32]
    """[W, H + window rows, words] bit set where a cell is not empty (see window.py)."""
    faces: NDArray[np.uint64]
    """[W, H * V, 2] tokens of what stands in a cell (see faces.py); stale where `occupied` has no bit."""
    long_faces: NDArray[np.uint64]
    """[W, E, LONG_FACE_WORDS] all tokens of an entity."""
    row: NDArray[np.int32]
    """[W, E]."""
    column: NDArray[np.int32]
    """[W, E]."""
    items: NDArray[np.uint8]
    """[W, E, 10] held by agents, inside converters."""
    orientation: NDArray[np.int32]
    """[W, A]."""
    frozen: NDArray[np.int32]
    """[W, A] actions still to be lost."""
    shown_action: NDArray[np.uint8]
    """[W, A] last action as the observation shows it."""
    face_stale: NDArray[np.bool_]
    """[W, A] the agent's tokens must be written anew."""
    items_changed: NDArray[np.bool_]
    """[W, A] the agent's potential must be computed anew."""
    potential: NDArray[np.float32]
    """[W, A] reward units."""
    num_converters: NDArray[np.int32]
    """[W]."""
    converter_kind: NDArray[np.int32]
    """[W, C]."""
    converting: NDArray[np.bool_]
    """[W, C]."""
    cooling: NDArray[np.bool_]
    """[W, C]."""
    due: NDArray[np.int32]
    """[W, C] step of the next event, or NEVER."""
    conversions: NDArray[np.int32]
    """[W, C] finished in this episode."""
    next_due: NDArray[np.int32]
    """[W] earliest of `due`."""
    returns: NDArray[np.float64]
    """[W, A] sum of rewards of this episode."""
    counters: NDArray[np.int32]
    """[W, A, NUM_COUNTERS] of this episode (see episodes.py)."""


def amounts(table: dict[str, float] | dict[str, int], names: tuple[str, ...]) -> NDArray[np.int32]:
    """[10] amounts by resource id."""
    row = np.zeros(NUM_RESOURCES, np.int32)
    for name, amount in table.items():
        row[names.index(name)] = min(int(amount), NEVER)
    return row


def make_rules(config: SimConfig) -> Rules:
    """The numbers of a configuration."""
    names = config.resource_names
    kinds = list(config.objects)
    things = list(config.objects.values())
    num_kinds = len(kinds)

    def per_kind(field: str, dtype: type = np.int32) -> NDArray[np.int32]:
        return np.array([getattr(t, field) if isinstance(t, ConverterConfig) else 0 for t in things], dtype)

    def recipe(field: str) -> NDArray[np.int32]:
        table = np.zeros((num_kinds, NUM_RESOURCES), np.int32)
        for kind, thing in enumerate(things):
            if isinstance(thing, ConverterConfig):
                table[kind] = amounts(getattr(thing, field), names)
        return table

    limit = np.zeros(NUM_RESOURCES, np.int32)
    for item, name in enumerate(names):
        limit[item] = config.agent.resource_limits.get(name, config.agent.default_resource_limit)
    given = config.agent_initial_inventory or [config.agent.initial_inventory] * config.num_agents
    start_items = np.minimum(np.stack([amounts(held, names) for held in given]), limit)

    costs = np.zeros((len(ACTION_GROUPS), NUM_RESOURCES), np.int32)
    for group, name in enumerate(ACTION_GROUPS):
        if name in config.actions:
            costs[group] = amounts(config.actions[name].consumed_resources, names)
    attack = config.actions.get("attack")
    defense = amounts(attack.defense_resources if attack else {}, names)

    weights = config.agent.rewards.inventory
    caps = config.agent.rewards.inventory_max
    rewarded = sorted(weights)

    world = config.world
    if isinstance(world, FixedMap):
        start_cells = fixed_cells(world, kinds)
        room_counts = np.zeros(num_kinds, np.int32)
    else:
        start_cells = np.zeros((0, 0), np.uint8)
        room_counts = np.array([world.objects.get(name, 0) for name in kinds], np.int32)

    return Rules(
        num_agents=config.num_agents,
        height=config.map_height,
        width=config.map_width,
        num_tokens=config.num_observation_tokens,
        max_steps=config.max_steps,
        truncates=config.episode_truncates,
        freeze_duration=config.agent.freeze_duration,
        failure_penalty=np.float32(config.agent.action_failure_penalty),
        start_cells=start_cells,
        room_counts=room_counts,
        wall_kind=kinds.index("wall") if "wall" in kinds else 0,
        kind_type_id=np.array([thing.type_id for thing in things], np.uint8),
        kind_converts=np.array([isinstance(thing, ConverterConfig) for thing in things], np.bool_),
        recipe_in=recipe("input_resources"),
        recipe_out=recipe("output_resources"),
        max_output=per_kind("max_output"),
        max_conversions=per_kind("max_conversions"),
        conversion_ticks=per_kind("conversion_ticks"),
        cooldown=per_kind("cooldown"),
        initial_count=per_kind("initial_resource_count").astype(np.uint8),
        held_limit=limit,
        start_items=start_items.astype(np.uint8),
        action_cost=costs,
        action_has_cost=costs.any(axis=1),
        defense=defense,
        defense_exists=bool(defense.any()),
        rewarded=np.array([names.index(name) for name in rewarded], np.int32),
        reward_weight=np.array([weights[name] for name in rewarded], np.float32),
        reward_cap=np.array([caps.get(name, np.inf) for name in rewarded], np.float32),
        window=window_tables(config.obs_height, config.obs_width, config.map_width),
    )


def fixed_cells(world: FixedMap, kinds: list[str]) -> NDArray[np.uint8]:
    """[H, V] codes of a given map."""
    codes = {"empty": EMPTY_CODE, "agent": AGENT_CODE}
    codes |= {name: FIRST_KIND_CODE + kind for kind, name in enumerate(kinds)}
    return np.array([[codes[world.kind_at(character)] for character in row] for row in world.rows], np.uint8)


def max_converters(config: SimConfig) -> int:
    """C: the most converters a map of this configuration has."""
    world = config.world
    converters = {name for name, thing in config.objects.items() if isinstance(thing, ConverterConfig)}
    if isinstance(world, RoomConfig):
        return sum(count for name, count in world.objects.items() if name in converters)
    return sum(world.kind_at(character) in converters for row in world.rows for character in row)


def make_worlds(config: SimConfig, rules: Rules, num_worlds: int, first_world: int) -> Worlds:
    """Arrays for W worlds; `start_episode` fills them."""
    W, A, C = num_worlds, config.num_agents, max_converters(config)
    E = A + C
    cells = rules.height * rules.width
    return Worlds(
        seed=np.zeros(1, np.uint64),
        world_index=np.arange(first_world, first_world + W, dtype=np.int64),
        episode=np.zeros(W, np.int64),
        lifetime=np.zeros(W, np.int64),
        step=np.zeros(W, np.int32),
        last_step=np.zeros(W, np.int32),
        order_state=np.zeros(W, np.uint64),
        order=np.zeros((W, A), np.int32),
        start_cells=np.zeros((W, rules.height, rules.width), np.uint8),
        cells=np.zeros((W, cells), np.int32),
        occupied=np.zeros((W, rules.height + config.obs_height - 1, rules.window.num_map_words), np.uint32),
        faces=np.zeros((W, cells, 2), np.uint64),
        long_faces=np.zeros((W, E, LONG_FACE_WORDS), np.uint64),
        row=np.zeros((W, E), np.int32),
        column=np.zeros((W, E), np.int32),
        items=np.zeros((W, E, NUM_RESOURCES), np.uint8),
        orientation=np.zeros((W, A), np.int32),
        frozen=np.zeros((W, A), np.int32),
        shown_action=np.zeros((W, A), np.uint8),
        face_stale=np.zeros((W, A), np.bool_),
        items_changed=np.zeros((W, A), np.bool_),
        potential=np.zeros((W, A), np.float32),
        num_converters=np.zeros(W, np.int32),
        converter_kind=np.zeros((W, C), np.int32),
        converting=np.zeros((W, C), np.bool_),
        cooling=np.zeros((W, C), np.bool_),
        due=np.zeros((W, C), np.int32),
        conversions=np.zeros((W, C), np.int32),
        next_due=np.zeros(W, np.int32),
        returns=np.zeros((W, A), np.float64),
        counters=np.zeros((W, A, NUM_COUNTERS), np.int32),
    )


assert np.iinfo(np.uint8).max == MAX_AMOUNT
