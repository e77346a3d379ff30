"""What the planner reads of the worlds and what it remembers from step to step.

W worlds, A agents, C converters, cells addressed as row * width + column. Few arrays, because each costs compile time
in every function that receives it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOBODY = -1
NOTHING = -1
FAR = 1 << 14
"""Distance of what cannot be reached."""

# Columns of Memory.plan, one row per converter.
OWNER = 0
"""Agent that serves a mine or a generator, or NOBODY."""
FED = 1
"""Generator that a mine feeds, or NOTHING."""
ALTAR_USED = 2
"""Altar that a generator's batteries go to, or NOTHING."""

# Columns of Memory.task, one row per agent.
TARGET = 0
"""Converter that an agent is on its way to or stands at, or NOTHING."""
BLOCKED = 1
"""How long an agent could not move although it wanted to (see traffic.py)."""


class View(NamedTuple):
    """The arrays of `world_arrays.Worlds` that the planner reads, with the columns described there."""

    clock: NDArray[np.int64]
    cells: NDArray[np.int32]
    entities: NDArray[np.int32]


class Memory(NamedTuple):
    """The planner's memory of W worlds. Plans hold for an episode, tasks change from step to step."""

    episode: NDArray[np.int64]
    """[W] episode that the plan is for, -1: none yet."""
    distance: NDArray[np.int16]
    """[W, C, cells] moves until an agent that stands in a cell faces a converter, agents not in the way; at least 1:
    an agent that faces it already needs 0."""
    between: NDArray[np.int16]
    """[W, C, C] moves from facing one converter to facing another, the mean over the sides one can stand on: a machine
    whose sides are far apart is a bad neighbour."""
    plan: NDArray[np.int32]
    """[W, C, 3] OWNER, FED, ALTAR_USED."""
    task: NDArray[np.int32]
    """[W, A, 2] TARGET, BLOCKED."""


def empty_memory(num_worlds: int, num_agents: int, num_converters: int, num_cells: int) -> Memory:
    """Memory in front of a first step."""
    W, A, C = num_worlds, num_agents, num_converters
    return Memory(
        episode=np.full(W, -1, np.int64),
        distance=np.full((W, C, num_cells), FAR, np.int16),
        between=np.full((W, C, C), FAR, np.int16),
        plan=np.full((W, C, 3), NOTHING, np.int32),
        task=np.full((W, A, 2), NOTHING, np.int32),
    )
