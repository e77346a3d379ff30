"""The reflex player: no memory, sees its own window only; the most that needs neither memory nor the rest of the map.

What it does is a function of one observation and one random number. It uses the machine in front of it where that
helps the chain ore, battery, heart; else it walks, by breadth-first search through the window, to the nearest machine
that it could use so; where none is in sight it goes straight on and turns now and then.

N streams, M tokens.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import SimConfig
from metta.sim.constants import (
    FEATURE_FIRST_ITEM,
    FEATURE_ORIENTATION,
    FEATURE_TYPE,
    FIRST_MOVE,
    GET_ITEMS,
    HEART,
    NOOP,
    NUM_RESOURCES,
    PADDING,
    PUT_ITEMS,
)
from metta.sim.scripted.chain import ALTAR, BATTERY, GENERATOR, MINE, ORE, make_chain, part_of
from metta.sim.scripted.compiled import entry, inner, sources_digest
from metta.sim.scripted.walking import ORDERS, SIDE, beside, walk

EMPTY, BLOCKED = -1, -2
"""What stands in a cell besides machines, which are their part in the chain."""
ENOUGH = 4
"""It takes no more ore, or no more batteries, while it holds so many."""
RANDOM_MOVES = 0.03
"""Share of steps with a move in a random direction, so that agents that block each other come free."""


class Reflexes(NamedTuple):
    """What the player knows of the rules; read by the kernel, never written."""

    rows: int
    """Of the window."""
    columns: int
    centre_row: int
    """Where the agent stands in its window."""
    centre_column: int
    parts: NDArray[np.int32]
    """[256] part in the chain by type id, as in chain.py; BLOCKED for what is no machine."""
    battery_per_heart: int


class ReflexPlayer:
    """Acts on observations alone."""

    def __init__(self, config: SimConfig) -> None:
        """Raises InputError if the configuration does not hold the arena's chain of mine, generator and altar."""
        chain = make_chain(config)
        parts = np.full(256, BLOCKED, np.int32)
        for thing in config.objects.values():
            parts[thing.type_id] = part_of(thing) or BLOCKED
        rows, columns = config.obs_height, config.obs_width
        self._reflexes = Reflexes(rows, columns, rows // 2, columns // 2, parts, chain.battery_per_heart)

    def act(self, observations: NDArray[np.uint8], uniforms: NDArray[np.float32]) -> NDArray[np.int32]:
        """Actions int32 [N], each a function of one row of observations [N, M, 3] and of uniforms [N] in [0, 1)."""
        actions = np.zeros(len(observations), np.int32)
        act_on(self._reflexes, observations, uniforms, actions)
        return actions


@inner
def use(reflexes: Reflexes, part: int, inside: np.ndarray, held: np.ndarray) -> int:
    """The action that helps at a machine with these contents [10] for an agent that holds `held` [10], or NOOP."""
    if part == ALTAR:
        if inside[HEART] > 0:
            return GET_ITEMS
        return PUT_ITEMS if held[BATTERY] > 0 and inside[BATTERY] < reflexes.battery_per_heart else NOOP
    if part == GENERATOR:
        if inside[BATTERY] > 0 and held[BATTERY] < ENOUGH:
            return GET_ITEMS
        return PUT_ITEMS if held[ORE] > 0 and inside[ORE] == 0 else NOOP
    if part == MINE:
        return GET_ITEMS if inside[ORE] > 0 and held[ORE] < ENOUGH else NOOP
    return NOOP


@inner
def decide(reflexes: Reflexes, tokens: np.ndarray, uniform: float) -> int:
    """The action for one observation [M, 3] and one number in [0, 1), whose leading part each choice uses up."""
    if uniform < RANDOM_MOVES:
        return FIRST_MOVE + int(4 * uniform / RANDOM_MOVES)
    uniform = 24 * (uniform - RANDOM_MOVES) / (1 - RANDOM_MOVES)
    order = ORDERS[min(int(uniform), 23)]
    uniform -= int(uniform)

    parts = np.full(SIDE * SIDE, EMPTY, np.int32)
    inside = np.zeros((SIDE * SIDE, NUM_RESOURCES), np.int32)
    here = SIDE * reflexes.centre_row + reflexes.centre_column
    facing = 0
    for token in range(tokens.shape[0]):
        place, feature, value = int(tokens[token, 0]), int(tokens[token, 1]), int(tokens[token, 2])
        if place == PADDING:
            break
        if feature == FEATURE_TYPE:
            parts[place] = reflexes.parts[value]
        elif feature == FEATURE_ORIENTATION and place == here:
            facing = value
        elif FEATURE_FIRST_ITEM <= feature < FEATURE_FIRST_ITEM + NUM_RESOURCES:
            inside[place, feature - FEATURE_FIRST_ITEM] = value
    held = inside[here]

    ahead = beside(reflexes.rows, reflexes.columns, here, facing)
    if ahead >= 0:
        action = use(reflexes, parts[ahead], inside[ahead], held)
        if action != NOOP:
            return action

    free = parts == EMPTY
    wanted = np.zeros(SIDE * SIDE, np.bool_)
    for place in range(SIDE * SIDE):
        wanted[place] = use(reflexes, parts[place], inside[place], held) != NOOP
    return FIRST_MOVE + walk(reflexes.rows, reflexes.columns, free, wanted, here, facing, order, uniform)


def _make_entry(digest: int) -> Callable[..., Any]:
    @entry
    def act_on(reflexes: Reflexes, observations: np.ndarray, uniforms: np.ndarray, actions: np.ndarray) -> int:
        """Write the actions int32 [N]."""
        if digest < 0:
            return digest
        for n in range(actions.shape[0]):
            actions[n] = decide(reflexes, observations[n], uniforms[n])
        return 0

    return act_on


act_on = _make_entry(sources_digest())
