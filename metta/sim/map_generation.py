"""Random rooms: objects and agents on random cells, so that every agent can reach one of each converter."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import COLUMN_STEP, ROW_STEP
from metta.sim.randomness import GOLDEN, below
from metta.sim.world_arrays import AGENT_CODE, CONVERTS, EMPTY_CODE, FIRST_KIND_CODE, ROOM_COUNT, Rules

MAX_ATTEMPTS = 10_000
"""Rooms drawn before giving up; the levels need one or two."""


@inner
def draw_room(rules: Rules, state: np.uint64, cells: np.ndarray, scratch: np.ndarray) -> bool:
    """Fill `cells` uint8 [H, V] with the codes of a room; False if no draw keeps the reachability promise.

    `scratch` is int32 [2 * H * V + K] of any content.
    """
    for _ in range(MAX_ATTEMPTS):
        draw_border(rules, cells)
        for kind in range(rules.kinds.shape[0]):
            state = scatter(state, cells, FIRST_KIND_CODE + kind, rules.kinds[kind, ROOM_COUNT])
        state = scatter(state, cells, AGENT_CODE, rules.num_agents)
        if everything_reachable(rules, cells, scratch):
            return True
    return False


@inner
def draw_border(rules: Rules, cells: np.ndarray) -> None:
    """An empty room inside a wall."""
    height, width = cells.shape
    for row in range(height):
        for column in range(width):
            border = row == 0 or row == height - 1 or column == 0 or column == width - 1
            cells[row, column] = FIRST_KIND_CODE + rules.wall_kind if border else EMPTY_CODE


@inner
def scatter(state: np.uint64, cells: np.ndarray, code: int, count: int) -> np.uint64:
    """Put a code on `count` random empty inner cells; returns the random stream's next state."""
    height, width = cells.shape
    while count > 0:
        state += GOLDEN
        place = below(state, (height - 2) * (width - 2))
        row = 1 + place // (width - 2)
        column = 1 + place % (width - 2)
        if cells[row, column] == EMPTY_CODE:
            cells[row, column] = code
            count -= 1
    return state


@inner
def everything_reachable(rules: Rules, cells: np.ndarray, scratch: np.ndarray) -> bool:
    """Whether every agent can walk (through other agents' cells) to a cell beside at least one of each converter."""
    height, width = cells.shape
    wanted = 0
    for kind in range(rules.kinds.shape[0]):
        if rules.kinds[kind, CONVERTS] != 0 and rules.kinds[kind, ROOM_COUNT] > 0:
            wanted += 1
    stack = scratch[: height * width]
    visited = scratch[height * width : 2 * height * width]
    met = scratch[2 * height * width :]
    visited[:] = 0
    for start in range(height * width):
        found = cells[start // width, start % width] == AGENT_CODE and visited[start] == 0
        if found and converters_around(rules, cells, start, visited, stack, met) < wanted:
            return False
    return True


@inner
def converters_around(
    rules: Rules, cells: np.ndarray, start: int, visited: np.ndarray, stack: np.ndarray, met: np.ndarray
) -> int:
    """Flood fill from a cell: the number of kinds of converter beside the cells that can be walked to."""
    width = cells.shape[1]
    met[:] = 0
    kinds = 0
    visited[start] = 1
    stack[0] = start
    size = 1
    while size > 0:
        size -= 1
        row = stack[size] // width
        column = stack[size] % width
        for direction in range(4):
            next_row = row + ROW_STEP[direction]
            next_column = column + COLUMN_STEP[direction]
            code = cells[next_row, next_column]
            if code >= FIRST_KIND_CODE:
                kind = code - FIRST_KIND_CODE
                if rules.kinds[kind, CONVERTS] != 0 and met[kind] == 0:
                    met[kind] = 1
                    kinds += 1
            elif visited[next_row * width + next_column] == 0:
                visited[next_row * width + next_column] = 1
                stack[size] = next_row * width + next_column
                size += 1
    return kinds
