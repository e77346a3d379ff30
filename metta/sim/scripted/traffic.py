"""How agents walk without standing in each other's way: the shortest way, a detour, or a push.

Cells are addressed as row * width + column. Agents decide in the order of their ids; a cell that somebody is about to
enter is taken.
"""

import numpy as np

from metta.sim.scripted.compiled import inner
from metta.sim.constants import FIRST_MOVE, LAST_MOVE, NOOP
from metta.sim.scripted.chain import Chain
from metta.sim.scripted.distances import converter_cell, neighbour, walkable
from metta.sim.scripted.state import Memory, View
from metta.sim.scripted.tasks import WALK

DETOUR = 8
"""Moves that a way around others may be longer than the shortest way."""

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
    for agent in range(chain.num_agents):
        if actions[agent] == WALK:
            direction = towards(chain, view, memory, w, agent, actions, taken, queue, first)
            if direction >= 0:
                go(chain, view, memory, w, agent, direction, actions, taken)
    for agent in range(chain.num_agents):
        if actions[agent] == WALK:
            actions[agent] = NOOP
            memory.blocked[w, agent] = min(MOST_BLOCKED, memory.blocked[w, agent] + 2)
            push(chain, view, memory, w, agent, actions, taken)


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
    return detour(chain, view, w, agent, place, cell, np.int64(distance[cell]) + DETOUR, taken, queue, first)


@inner
def detour(
    chain: Chain,
    view: View,
    w: int,
    agent: int,
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
    chain: Chain, view: View, memory: Memory, w: int, agent: int, actions: np.ndarray, taken: np.ndarray
) -> None:
    """Have somebody who stands in a blocked agent's way step aside, as far from that way as possible."""
    distance = memory.distance[w, memory.target[w, agent]]
    cell = cell_of(chain, view, w, agent)
    for direction in range(4):
        beside = neighbour(chain, cell, direction)
        if not walkable(chain, view, w, beside) or distance[beside] >= max(2, distance[cell]):
            continue
        other = view.cells[w, beside] - 1
        if other < 0 or view.frozen[w, other] > 0 or moves_away(chain, actions, other):
            continue
        waits = actions[other] == NOOP or actions[other] == WALK
        if not waits or (memory.target[w, other] >= 0 and memory.blocked[w, agent] < IMPATIENT):
            continue
        if other < agent and memory.blocked[w, other] >= IMPATIENT:
            continue
        aside = -1
        for way in range(4):
            free = neighbour(chain, beside, way)
            if walkable(chain, view, w, free) and view.cells[w, free] == 0 and not taken[free]:
                if aside < 0 or distance[free] > distance[neighbour(chain, beside, aside)]:
                    aside = way
        if aside >= 0:
            actions[other] = FIRST_MOVE + aside
            taken[neighbour(chain, beside, aside)] = True
            return
