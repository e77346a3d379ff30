"""How agents walk without standing in each other's way: the shortest way, a detour, or a push.

Cells are addressed as row * width + column. Agents decide in the order of their ids, blocked ones first; a cell that somebody is about to
enter is taken.
"""

import numpy as np

from metta.sim.scripted.compiled import inner
from metta.sim.constants import FIRST_MOVE, LAST_MOVE, NOOP
from metta.sim.scripted.chain import Chain
from metta.sim.scripted.distances import converter_cell, neighbour, walkable
from metta.sim.scripted.state import NOTHING, Memory, View
from metta.sim.scripted.tasks import WALK

DETOUR = 8
"""Moves that a way around others may be longer than the shortest way; more the longer an agent is blocked."""

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
            if actions[agent] == WALK and (memory.blocked[w, agent] < IMPATIENT) == (calm == 1):
                direction = towards(chain, view, memory, w, agent, actions, taken, queue, first)
                if direction >= 0:
                    go(chain, view, memory, w, agent, direction, actions, taken)
    for agent in range(chain.num_agents):
        if actions[agent] == WALK:
            memory.blocked[w, agent] = min(MOST_BLOCKED, memory.blocked[w, agent] + 2)
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
    memory.blocked[w, agent] = max(0, memory.blocked[w, agent] - 1)


@inner
def cell_of(chain: Chain, view: View, w: int, agent: int) -> int:
    """Where an agent stands."""
    return np.int64(view.row[w, agent] * chain.width + view.column[w, agent])


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
    target = memory.target[w, agent]
    place = converter_cell(chain, view, w, target)
    cell = cell_of(chain, view, w, agent)
    distance = memory.distance[w, target]
    following = -1
    mover_ahead = False
    for direction in range(4):
        beside = neighbour(chain, cell, direction)
        if beside == place:
            return direction
        if not walkable(chain, view, w, beside):
            continue
        faces = neighbour(chain, beside, direction) == place
        if not faces and distance[beside] >= distance[cell]:
            continue
        if taken[beside]:
            mover_ahead = True
            continue
        occupant = view.cells[w, beside] - 1
        if occupant < 0:
            return direction
        if moves_away(chain, actions, occupant):
            following = direction
        elif actions[occupant] == WALK:
            mover_ahead = True
    if following >= 0:
        return following
    if mover_ahead and memory.blocked[w, agent] == 0:
        return -1
    longest = np.int64(distance[cell]) + DETOUR * (1 + memory.blocked[w, agent] // 2)
    return detour(chain, view, w, place, cell, longest, taken, queue, first)


@inner
def detour(
    chain: Chain,
    view: View,
    w: int,
    place: int,
    cell: int,
    longest: int,
    taken: np.ndarray,
    queue: np.ndarray,
    first: np.ndarray,
) -> int:
    """First direction of the shortest way to a cell beside `place` over free cells, or -1 if it is too long."""
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
                if beside == place and here != cell:
                    return first[here]
                if beside < 0 or view.cells[w, beside] != 0 or first[beside] >= 0 or (here == cell and taken[beside]):
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
    distance = memory.distance[w, memory.target[w, agent]]
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
    if other < 0 or other == agent or view.frozen[w, other] > 0:
        return False
    if actions[other] != NOOP and actions[other] != WALK:
        return False
    if memory.target[w, other] == NOTHING:
        return True
    if memory.blocked[w, agent] < IMPATIENT:
        return False
    return other > agent or stuck[other] or memory.blocked[w, other] < IMPATIENT


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
        memory.blocked[w, other] = 0
