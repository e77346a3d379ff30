"""What the planner reads of the worlds and what it remembers from step to step.

W worlds, A agents, C converters, E = A + C entities (agents first), cells addressed as row * width + column.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.sim.world_arrays import Worlds

NOBODY = -1
NOTHING = -1
FAR = 1 << 14
"""Distance of what cannot be reached."""


class View(NamedTuple):
    """The arrays of `Worlds` that the planner reads; the same meaning and shapes."""

    episode: NDArray[np.int64]
    step: NDArray[np.int32]
    cells: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    items: NDArray[np.uint8]
    orientation: NDArray[np.int32]
    frozen: NDArray[np.int32]
    num_converters: NDArray[np.int32]
    converter_kind: NDArray[np.int32]
    converting: NDArray[np.bool_]
    cooling: NDArray[np.bool_]
    due: NDArray[np.int32]


class Memory(NamedTuple):
    """The planner's memory of W worlds. Plans hold for an episode, tasks change from step to step."""

    episode: NDArray[np.int64]
    """[W] episode that the plan is for, -1: none yet."""
    distance: NDArray[np.int16]
    """[W, C, cells] moves until an agent that stands in a cell faces a converter, agents not in the way; at least 1:
    an agent that faces it already needs 0."""
    between: NDArray[np.int16]
    """[W, C, C] moves from facing one converter to facing another."""
    owner: NDArray[np.int32]
    """[W, C] agent that serves a mine or a generator, or NOBODY."""
    generator_of: NDArray[np.int32]
    """[W, C] generator that a mine feeds, or NOTHING."""
    altar_of: NDArray[np.int32]
    """[W, C] altar that a generator's batteries go to, or NOTHING."""
    target: NDArray[np.int32]
    """[W, A] converter that an agent is on its way to or stands at, or NOTHING."""
    blocked: NDArray[np.int32]
    """[W, A] steps in a row that an agent could not move although it wanted to."""


TASKS = ("target", "blocked")
"""Fields of `Memory` that change in every step; the others change when an episode starts."""


def view_of(worlds: Worlds) -> View:
    """The planner's view (no copies)."""
    return View(*(getattr(worlds, name) for name in View._fields))


def empty_memory(num_worlds: int, num_agents: int, num_converters: int, num_cells: int) -> Memory:
    """Memory in front of a first step."""
    W, A, C = num_worlds, num_agents, num_converters
    return Memory(
        episode=np.full(W, -1, np.int64),
        distance=np.full((W, C, num_cells), FAR, np.int16),
        between=np.full((W, C, C), FAR, np.int16),
        owner=np.full((W, C), NOBODY, np.int32),
        generator_of=np.full((W, C), NOTHING, np.int32),
        altar_of=np.full((W, C), NOTHING, np.int32),
        target=np.full((W, A), NOTHING, np.int32),
        blocked=np.zeros((W, A), np.int32),
    )
