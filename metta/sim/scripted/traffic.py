"""How agents walk without standing in each other's way: the shortest way, a detour, or a push.

Cells are addressed as row * width + column. Agents decide in the order of their ids, blocked ones first; a cell that
somebody is about to enter is taken.
"""

import numpy as np

from metta.sim.constants import FIRST_MOVE, LAST_MOVE, NOOP
from metta.sim.scripted.chain import Chain
from metta.sim.scripted.compiled import inner, whole
from metta.sim.scripted.decisions import WALK
from metta.sim.scripted.distances import converter_cell, neighbour, walkable
from metta.sim.scripted.state import BLOCKED, NOTHING, TARGET, Memory, View
from metta.sim.world_arrays import COLUMN, FROZEN, ROW

DETOUR = 8
"""Moves that a way around others may be longer than the shortest way; beyond that they are pushed."""

IMPATIENT = 4
"""Value of `blocked` from which an agent pushes others that have work to do; each blocked step adds 2."""

MOST_BLOCKED = 8


@inner
def walk(chain: Chain, view: View, memory: Memory, w: int, actions: np.ndarray) -> None:
    """Replace every WALK in `actions` int32 [A] by a move or NOOP."""
    cells = chain.height * chain.width
    taken = np.zeros(cells, np.bool_)
    queue = np.empty(cells, np.int32)
    first = np.empty(cells, np.int32)
    stuck = np.zeros(chain.num_agents, np.bool_)
    for calm in range(2):
        for agent in range(chain.num_agents):
            if actions[agent] == WALK and (memory.task[w, agent, BLOCKED] < IMPATIENT) == (calm == 1):
                direction = towards(chain, view, memory, w, agent, actions, taken, queue, first)
                if direction >= 0:
                    go(chain, view, memory, w, agent, direction, actions, taken)
    for agent in range(chain.num_agents):
        if actions[agent] == WALK:
            memory.task[w, agent, BLOCKED] = min(MOST_BLOCKED, memory.task[w, agent, BLOCKED] + 2)
            stuck[agent] = not push(chain, view, memory, w, agent, actions, taken, stuck, queue, first)
    for agent in range(chain.num_agents):
        if actions[agent] == WALK:
            actions[agent] = NOOP


@inner
def go(
    chain: Chain, view: View, memory: Memory, w: int, agent: int, direction: int, actions: np.ndarray, taken: np.ndarray
) -> None:
    """Have an agent move, and nobody else move to the same cell."""
    actions[agent] = FIRST_MOVE + direction
    taken[neighbour(chain, cell_of(chain, view, w, agent), direction)] = True
    memory.task[w, agent, BLOCKED] = max(0, memory.task[w, agent, BLOCKED] - 1)


@inner
def cell_of(chain: Chain, view: View, w: int, agent: int) -> int:
    """Where an agent stands."""
    return whole(view.entities[w, agent, ROW] * chain.width + view.entities[w, agent, COLUMN])


@inner
def moves_away(chain: Chain, actions: np.ndarray, agent: int) -> bool:
    """Whether an agent has decided to move in this step."""
    return FIRST_MOVE <= actions[agent] <= LAST_MOVE


@inner
def towards(
    chain: Chain,
    view: View,
    memory: Memory,
    w: int,
    agent: int,
    actions: np.ndarray,
    taken: np.ndarray,
    queue: np.ndarray,
    first: np.ndarray,
) -> int:
    """Direction of an agent's next move towards its target, or -1 if it is blocked."""
    place = converter_cell(chain, view, w, memory.task[w, agent, TARGET])
    cell = cell_of(chain, view, w, agent)
    distance = memory.distance[w, memory.task[w, agent, TARGET]]
    for direction in range(4):
        if neighbour(chain, cell, direction) == place:
            return direction
    longest = whole(distance[cell]) + DETOUR
    direction = search(chain, view, w, place, cell, longest, actions, False, taken, queue, first)
    if direction < 0:
        return closer(chain, view, w, cell, distance, taken)
    beside = neighbour(chain, cell, direction)
    occupant = view.cells[w, beside] - 1
    if not taken[beside] and (occupant < 0 or moves_away(chain, actions, occupant)):
        return direction
    if memory.task[w, agent, BLOCKED] == 0:
        return -1
    return search(chain, view, w, place, cell, longest, actions, True, taken, queue, first)


@inner
def closer(chain: Chain, view: View, w: int, cell: int, distance: np.ndarray, taken: np.ndarray) -> int:
    """Direction of a free cell on the shortest way, up to whoever stands there and will be pushed, or -1."""
    for direction in range(4):
        beside = neighbour(chain, cell, direction)
        if beside >= 0 and view.cells[w, beside] == 0 and not taken[beside] and distance[beside] < distance[cell]:
            return direction
    return -1


@inner
def search(
    chain: Chain,
    view: View,
    w: int,
    place: int,
    cell: int,
    longest: int,
    actions: np.ndarray,
    all_stand: bool,
    taken: np.ndarray,
    queue: np.ndarray,
    first: np.ndarray,
) -> int:
    """First direction of the shortest way to a cell beside `place`, or -1 if it is too long.

    Ways lead around agents that stand; with `all_stand` also around those that walk and around taken cells.
    """
    first[:] = -1
    first[cell] = 4
    queue[0] = cell
    size = 1
    done = 0
    depth = 0
    while done < size and depth < longest:
        depth += 1
        level = size
        while done < level:
            here = queue[done]
            done += 1
            for direction in range(4):
                beside = neighbour(chain, here, direction)
                if beside == place:
                    return first[here]
                if not walkable(chain, view, w, beside) or first[beside] >= 0:
                    continue
                other = view.cells[w, beside] - 1
                if other >= 0 and (all_stand or not (actions[other] == WALK or moves_away(chain, actions, other))):
                    continue
                if all_stand and here == cell and taken[beside]:
                    continue
                first[beside] = direction if here == cell else first[here]
                queue[size] = beside
                size += 1
    return -1


@inner
def push(
    chain: Chain,
    view: View,
    memory: Memory,
    w: int,
    agent: int,
    actions: np.ndarray,
    taken: np.ndarray,
    stuck: np.ndarray,
    queue: np.ndarray,
    first: np.ndarray,
) -> bool:
    """Have whoever stands in a blocked agent's way move on, and push others in turn, towards the nearest free cell.

    A search from the cell in the way, through cells of agents that can be pushed, to a free cell; everybody on the way
    there moves one cell along it. False if there is no such cell.
    """
    distance = memory.distance[w, memory.task[w, agent, TARGET]]
    cell = cell_of(chain, view, w, agent)
    for direction in range(4):
        start = neighbour(chain, cell, direction)
        if not walkable(chain, view, w, start) or distance[start] >= max(2, distance[cell]):
            continue
        if not can_push(view, memory, w, agent, view.cells[w, start] - 1, actions, stuck):
            continue
        first[:] = -1
        first[cell] = 4
        first[start] = 4
        queue[0] = start
        size = 1
        done = 0
        while done < size:
            here = queue[done]
            done += 1
            for turn in range(4):
                way = (direction + 2 + turn) % 4
                beside = neighbour(chain, here, way)
                if not walkable(chain, view, w, beside) or first[beside] >= 0 or taken[beside]:
                    continue
                first[beside] = way
                other = view.cells[w, beside] - 1
                if other < 0:
                    shift(chain, view, memory, w, start, beside, actions, taken, first)
                    return True
                if can_push(view, memory, w, agent, other, actions, stuck):
                    queue[size] = beside
                    size += 1
    return False


@inner
def can_push(
    view: View, memory: Memory, w: int, agent: int, other: int, actions: np.ndarray, stuck: np.ndarray
) -> bool:
    """Whether a blocked agent may move another one that stands in its way."""
    if other < 0 or other == agent or view.entities[w, other, FROZEN] > 0:
        return False
    if actions[other] != NOOP and actions[other] != WALK:
        return False
    if memory.task[w, other, TARGET] == NOTHING:
        return True
    if memory.task[w, agent, BLOCKED] < IMPATIENT:
        return False
    return other > agent or stuck[other] or memory.task[w, other, BLOCKED] < IMPATIENT


@inner
def shift(
    chain: Chain,
    view: View,
    memory: Memory,
    w: int,
    start: int,
    free: int,
    actions: np.ndarray,
    taken: np.ndarray,
    first: np.ndarray,
) -> None:
    """Move everybody on the way from `start` to a free cell by one cell; `first` has the direction into each."""
    cell = free
    while cell != start:
        way = first[cell]
        taken[cell] = True
        opposite = way ^ 1
        cell = neighbour(chain, cell, opposite)
        other = view.cells[w, cell] - 1
        actions[other] = FIRST_MOVE + way
        memory.task[w, other, BLOCKED] = 0
