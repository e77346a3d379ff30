"""The ids of the arena: resources, actions, objects, observation features and their scales, each written once."""

RESOURCES = (
    "ore_red",
    "ore_blue",
    "ore_green",
    "battery_red",
    "battery_blue",
    "battery_green",
    "heart",
    "armor",
    "laser",
    "blueprint",
)
"""Resource names in id order, which is also the order of every loop over items."""

NUM_RESOURCES = len(RESOURCES)
HEART = RESOURCES.index("heart")

ACTION_NAMES = (
    "noop",
    "move_north",
    "move_south",
    "move_west",
    "move_east",
    "put_items",
    "get_items",
    *(f"attack_{k}" for k in range(9)),
)
"""Flat actions; an action is its index here."""

NUM_ACTIONS = len(ACTION_NAMES)
NOOP = 0
FIRST_MOVE = 1
LAST_MOVE = 4
PUT_ITEMS = 5
GET_ITEMS = 6
FIRST_ATTACK = 7
LAST_ATTACK = 15

ACTION_GROUPS = ("noop", "move", "put_items", "get_items", "attack")
"""Names under which `SimConfig.actions` gives costs: one for all moves, one for all attacks."""

NORTH, SOUTH, WEST, EAST = 0, 1, 2, 3
ORIENTATION_NAMES = ("north", "south", "west", "east")
ROW_STEP = (-1, 1, 0, 0)
COLUMN_STEP = (0, 0, -1, 1)
"""Cell in front of an agent, per orientation id."""

TYPE_AGENT = 0
TYPE_WALL = 1
TYPE_MINE_RED = 2
TYPE_GENERATOR_RED = 5
TYPE_ALTAR = 8
TYPE_LASERY = 15
TYPE_ARMORY = 16

FEATURE_TYPE = 0
FEATURE_GROUP = 1
FEATURE_FROZEN = 2
FEATURE_ORIENTATION = 3
FEATURE_CONVERTING = 5
FEATURE_EPISODE_COMPLETION = 7
FEATURE_LAST_ACTION = 8
FEATURE_LAST_ACTION_ARGUMENT = 9
FEATURE_LAST_REWARD = 10
FEATURE_CUE_PUT = 11
FEATURE_CUE_GET = 12
"""One of them, with value 1, is in the observation that begins a round: which action pays in it (see rounds.py)."""
FEATURE_FIRST_ITEM = 17
"""An amount of resource i held or inside is feature `FEATURE_FIRST_ITEM + i`."""

NUM_FEATURES = FEATURE_FIRST_ITEM + NUM_RESOURCES

_SCALES = {
    FEATURE_TYPE: 8.0,
    FEATURE_GROUP: 10.0,
    FEATURE_FROZEN: 1.0,
    FEATURE_ORIENTATION: 1.0,
    FEATURE_CONVERTING: 1.0,
    FEATURE_EPISODE_COMPLETION: 255.0,
    FEATURE_LAST_ACTION: 10.0,
    FEATURE_LAST_ACTION_ARGUMENT: 10.0,
    FEATURE_LAST_REWARD: 100.0,
} | {FEATURE_FIRST_ITEM + item: 3.0 for item in range(NUM_RESOURCES)}

FEATURE_SCALES: tuple[float, ...] = tuple(_SCALES.get(feature, 1.0) for feature in range(NUM_FEATURES))
"""Divisor that normalises a token's value, by feature id; ids that no token uses have 1.

Types (1 to 16) and amounts (mostly 1 to 5) have divisors that bring them near 1. The design's, 1 and 100, make an
armory 1600 times as loud as an ore in the hand, and what one holds cannot be learned to matter
(`uv run python benchmarks/perception.py`).
"""

TOKEN_BYTES = 3
"""A token is (location, feature, value)."""

PADDING = 255
"""Every byte of an unused token row."""

MAX_AMOUNT = 255
"""Amounts are bytes: nobody holds and nothing contains more than this of one resource."""
