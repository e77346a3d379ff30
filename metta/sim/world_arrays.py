"""The arrays that hold worlds and rules, and how a configuration becomes rules.

W worlds, A agents, C places for converters, E = A + C entities (agents first), H rows and V columns of the map with
its border, K kinds of object, R rewarded resources. Cells are addressed as row * V + column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import ActionConfig, ConverterConfig, FixedMap, RoomConfig, SimConfig
from metta.sim.constants import ACTION_GROUPS, MAX_AMOUNT, NUM_RESOURCES
from metta.sim.episodes import NUM_COUNTERS
from metta.sim.window import words_per_row

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


# Columns of Rules.kinds, one row per kind of object.
TYPE_ID = 0
CONVERTS = 1
MAX_OUTPUT = 2
MAX_CONVERSIONS = 3
TICKS = 4
COOLDOWN = 5
INITIAL = 6
ROOM_COUNT = 7
RECIPE_IN = 8
RECIPE_OUT = RECIPE_IN + NUM_RESOURCES
ORACLE = RECIPE_OUT + NUM_RESOURCES
"""1: rounds are answered there."""
KIND_COLUMNS = ORACLE + 1

# Rows of Rules.amounts, one column per resource.
HELD_LIMIT = 0
DEFENSE = 1
ACTION_COST = 2
"""By action group from here on."""
START_ITEMS = ACTION_COST + len(ACTION_GROUPS)
"""By agent from here on."""

# Columns of Rules.rewards, one row per rewarded resource.
WEIGHT = 0
CAP = 1


class Rules(NamedTuple):
    """A configuration as numbers: read by the kernels, never written.

    Few arrays on purpose: every array that a function receives costs compile time in each of its callers.
    """

    num_agents: int
    height: int
    width: int
    max_steps: int
    truncates: bool
    freeze_duration: int
    failure_penalty: np.float32
    random_maps: bool
    """Maps are rooms drawn anew for each episode."""
    wall_kind: int
    """Kind of the border of a random room."""
    wait: int
    """Actions that an agent loses in each of its rounds; 0: there are no rounds."""
    kinds: NDArray[np.int32]
    """[K, KIND_COLUMNS] what the kinds of object are."""
    amounts: NDArray[np.int32]
    """[START_ITEMS + A, 10] limits, costs and start inventories by resource."""
    rewarded: NDArray[np.int32]
    """[R] resources in alphabetical order of their names."""
    rewards: NDArray[np.float32]
    """[R, 2] weight in reward units per item; cap in reward units, infinite without one."""


# Columns of Worlds.clock.
WORLD_INDEX = 0
"""Index that the seed knows the world by."""
EPISODE = 1
"""Index of the current episode."""
LIFETIME = 2
"""Steps since reset, over all episodes."""
STEP = 3
"""Steps of the current episode."""
LAST_STEP = 4
"""Step at which the current episode ends."""
NUM_CONVERTERS = 5
NEXT_DUE = 6
"""Earliest DUE of the world's converters."""
ORDER_STATE = 7
"""Bits of the random stream of the action order."""
SEED = 8
VARIANT = 9
"""Variant that the current episode is played by (see variants.py)."""
CLOCK_COLUMNS = 10

# Columns of Worlds.entities: first those of all entities, then those of agents, then those of converters.
ROW = 0
COLUMN = 1
ITEMS = 2
"""Held by an agent, inside a converter; by resource from here on."""
ORIENTATION = ITEMS + NUM_RESOURCES
FROZEN = ORIENTATION + 1
"""Actions still to be lost."""
SHOWN_ACTION = ORIENTATION + 2
"""Last action as the observation shows it."""
FACE_STALE = ORIENTATION + 3
"""1: the agent's tokens must be encoded anew."""
ITEMS_CHANGED = ORIENTATION + 4
"""1: the agent's potential must be computed anew."""
PLACE = ORIENTATION + 5
"""Row i holds the agent that was i-th in the order of the last step."""
KIND = ORIENTATION
CONVERTING = ORIENTATION + 1
COOLING = ORIENTATION + 2
DUE = ORIENTATION + 3
"""Step of the next event, or NEVER."""
CONVERSIONS = ORIENTATION + 4
"""Finished in this episode."""
ENTITY_COLUMNS = ORIENTATION + 6
# Only where there are rounds (see rounds.py), those of agents:
ANSWER = ENTITY_COLUMNS
"""The action that pays in this round: PUT_ITEMS or GET_ITEMS."""
CUE = ENTITY_COLUMNS + 1
"""The same in the step in which the round began, which shows it; else 0."""
ROUNDS = ENTITY_COLUMNS + 2
"""Rounds begun in this episode."""
HELD = ENTITY_COLUMNS + 3
"""1: the agent was frozen when the step began."""
ROUND_COLUMNS = 4

# Columns of Worlds.account.
POTENTIAL = 0
"""Reward units; a float32 value."""
RETURN = 1
"""Sum of the rewards of this episode."""


class Worlds(NamedTuple):
    """The state of W worlds, or, as the kernels see it, of one world without the first axis."""

    clock: NDArray[np.int64]
    """[W, CLOCK_COLUMNS]."""
    cells: NDArray[np.int32]
    """[W, H * V] 0 empty, 1 + entity, or -1 - kind of a wall."""
    occupied: NDArray[np.uint32]
    """[W, H + window rows - 1, words] bit set where a cell is not empty (see window.py)."""
    faces: NDArray[np.uint64]
    """[W, 2 * H * V] tokens of what stands in a cell (see faces.py); stale where `occupied` has no bit."""
    long_faces: NDArray[np.uint64]
    """[W, E, LONG_FACE_WORDS] all tokens of an entity."""
    entities: NDArray[np.int32]
    """[W, E, ENTITY_COLUMNS], and ROUND_COLUMNS more where there are rounds."""
    account: NDArray[np.float64]
    """[W, A, 2]."""
    counters: NDArray[np.int32]
    """[W, A, NUM_COUNTERS] of this episode (see episodes.py)."""


World = Worlds


def amounts(table: dict[str, float] | dict[str, int], names: tuple[str, ...]) -> NDArray[np.int32]:
    """[10] amounts by resource id."""
    row = np.zeros(NUM_RESOURCES, np.int32)
    for name, amount in table.items():
        row[names.index(name)] = min(int(amount), NEVER)
    return row


def make_rules(config: SimConfig) -> Rules:
    """The numbers of a configuration."""
    names = config.resource_names
    limits = [config.agent.resource_limits.get(name, config.agent.default_resource_limit) for name in names]
    attack = config.actions.get("attack", ActionConfig())
    table = np.zeros((START_ITEMS + config.num_agents, NUM_RESOURCES), np.int32)
    table[HELD_LIMIT, : len(names)] = limits
    table[DEFENSE] = amounts(attack.defense_resources, names)
    for group, name in enumerate(ACTION_GROUPS):
        table[ACTION_COST + group] = amounts(config.actions.get(name, ActionConfig()).consumed_resources, names)
    given = config.agent_initial_inventory or [config.agent.initial_inventory] * config.num_agents
    table[START_ITEMS:] = np.minimum(np.stack([amounts(held, names) for held in given]), table[HELD_LIMIT])

    weights, caps = config.agent.rewards.inventory, config.agent.rewards.inventory_max
    rewarded = sorted(weights)
    return Rules(
        num_agents=config.num_agents,
        height=config.map_height,
        width=config.map_width,
        max_steps=config.max_steps,
        truncates=config.episode_truncates,
        freeze_duration=config.agent.freeze_duration,
        failure_penalty=np.float32(config.agent.action_failure_penalty),
        random_maps=isinstance(config.world, RoomConfig),
        wall_kind=list(config.objects).index("wall") if "wall" in config.objects else 0,
        wait=config.rounds.wait if config.rounds else 0,
        kinds=np.stack([kind_row(config, name) for name in config.objects]),
        amounts=table,
        rewarded=np.array([names.index(name) for name in rewarded], np.int32),
        rewards=np.array([(weights[name], caps.get(name, np.inf)) for name in rewarded], np.float32).reshape(-1, 2),
    )


def kind_row(config: SimConfig, name: str) -> NDArray[np.int32]:
    """[KIND_COLUMNS] of one kind of object."""
    thing = config.objects[name]
    row = np.zeros(KIND_COLUMNS, np.int32)
    row[TYPE_ID] = thing.type_id
    if isinstance(config.world, RoomConfig):
        row[ROOM_COUNT] = config.world.objects.get(name, 0)
    if isinstance(thing, ConverterConfig):
        row[CONVERTS] = 1
        row[MAX_OUTPUT] = thing.max_output
        row[MAX_CONVERSIONS] = thing.max_conversions
        row[TICKS] = thing.conversion_ticks
        row[COOLDOWN] = thing.cooldown
        row[INITIAL] = thing.initial_resource_count
        row[RECIPE_IN:RECIPE_OUT] = amounts(thing.input_resources, config.resource_names)
        row[RECIPE_OUT:ORACLE] = amounts(thing.output_resources, config.resource_names)
    if config.rounds and name == config.rounds.oracle:
        row[ORACLE] = 1
    return row


def fixed_cells(config: SimConfig) -> NDArray[np.uint8]:
    """[H, V] codes of a given map; [0, 0] if maps are drawn."""
    if not isinstance(config.world, FixedMap):
        return np.zeros((0, 0), np.uint8)
    world = config.world
    codes = {"empty": EMPTY_CODE, "agent": AGENT_CODE}
    codes |= {name: FIRST_KIND_CODE + kind for kind, name in enumerate(config.objects)}
    return np.array([[codes[world.kind_at(character)] for character in row] for row in world.rows], np.uint8)


def max_converters(config: SimConfig) -> int:
    """C: the most converters a map of this configuration has."""
    world = config.world
    converters = {name for name, thing in config.objects.items() if isinstance(thing, ConverterConfig)}
    if isinstance(world, RoomConfig):
        return sum(count for name, count in world.objects.items() if name in converters)
    return sum(world.kind_at(character) in converters for row in world.rows for character in row)


def make_worlds(config: SimConfig, num_worlds: int, first_world: int) -> Worlds:
    """Arrays for W worlds; `start_episode` fills them."""
    W, A, C = num_worlds, config.num_agents, max_converters(config)
    E = A + C
    cells = config.map_height * config.map_width
    worlds = Worlds(
        clock=np.zeros((W, CLOCK_COLUMNS), np.int64),
        cells=np.zeros((W, cells), np.int32),
        occupied=np.zeros((W, config.map_height + config.obs_height - 1, words_per_row(config.map_width)), np.uint32),
        faces=np.zeros((W, 2 * cells), np.uint64),
        long_faces=np.zeros((W, E, LONG_FACE_WORDS), np.uint64),
        entities=np.zeros((W, E, ENTITY_COLUMNS + (ROUND_COLUMNS if config.rounds else 0)), np.int32),
        account=np.zeros((W, A, 2), np.float64),
        counters=np.zeros((W, A, NUM_COUNTERS), np.int32),
    )
    worlds.clock[:, WORLD_INDEX] = np.arange(first_world, first_world + W)
    worlds.entities[:, :A, PLACE] = np.arange(A)
    return worlds


assert np.iinfo(np.uint8).max == MAX_AMOUNT
