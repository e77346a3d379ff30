"""How a player that sees its own window walks: the shortest way to what it wants, else straight on with rare turns.

Cells of a window are its location bytes: row * SIDE + column.
"""

import numpy as np

from metta.sim.constants import COLUMN_STEP, ROW_STEP
from metta.sim.scripted.compiled import inner

SIDE = 16
"""Rows and columns that a location byte can name."""
TURNS = 0.1
"""Chance of another direction in a step in which nothing wanted is in sight."""
ORDERS = np.array(
    [[a, b, c, 6 - a - b - c] for a in range(4) for b in range(4) for c in range(4) if len({a, b, c}) == 3]
)
"""[24, 4] every order of the four directions."""


@inner
def walk(
    rows: int,
    columns: int,
    free: np.ndarray,
    wanted: np.ndarray,
    here: int,
    facing: int,
    order: np.ndarray,
    uniform: float,
) -> int:
    """The direction of the next move.

    Args:
        rows: of the window.
        columns: of the window.
        free: bool [SIDE * SIDE] cells that can be walked to.
        wanted: bool [SIDE * SIDE] cells to stand in front of; none of them free.
        here: the agent's cell.
        facing: its orientation.
        order: [4] directions; earlier ones are taken where several are as good.
        uniform: a random number in [0, 1).
    """
    seen = np.zeros(SIDE * SIDE, np.bool_)
    seen[here] = True
    queue = np.empty(SIDE * SIDE, np.int32)
    first = np.empty(SIDE * SIDE, np.int32)
    queue[0], done, size = here, 0, 1
    while done < size:
        cell = queue[done]
        for direction in order:
            there = beside(rows, columns, cell, direction)
            if there < 0 or seen[there]:
                continue
            way = direction if done == 0 else first[done]
            if wanted[there]:
                return way
            if free[there]:
                seen[there] = True
                queue[size], first[size] = there, way
                size += 1
        done += 1

    ahead = beside(rows, columns, here, facing)
    if uniform >= TURNS and ahead >= 0 and free[ahead]:
        return facing
    for direction in order:
        there = beside(rows, columns, here, direction)
        if there >= 0 and free[there]:
            return direction
    return order[0]


@inner
def beside(rows: int, columns: int, cell: int, direction: int) -> int:
    """The next cell of the window in a direction, or -1 outside of it."""
    row = cell // SIDE + ROW_STEP[direction]
    column = cell % SIDE + COLUMN_STEP[direction]
    if 0 <= row < rows and 0 <= column < columns:
        return row * SIDE + column
    return -1
