"""How far it is: breadth-first search from converters over the cells that no wall and no converter stands on."""

import numpy as np

from metta.sim.constants import COLUMN_STEP, ROW_STEP
from metta.sim.scripted.chain import Chain
from metta.sim.scripted.compiled import inner, whole
from metta.sim.scripted.state import FAR, Memory, View
from metta.sim.world_arrays import COLUMN, NUM_CONVERTERS, ROW


@inner
def neighbour(chain: Chain, cell: int, direction: int) -> int:
    """The next cell in a direction, or -1 off the map."""
    row = cell // chain.width + ROW_STEP[direction]
    column = cell % chain.width + COLUMN_STEP[direction]
    if 0 <= row < chain.height and 0 <= column < chain.width:
        return row * chain.width + column
    return -1


@inner
def walkable(chain: Chain, view: View, w: int, cell: int) -> bool:
    """Nothing that stays stands there: the cell is empty or an agent's."""
    return cell >= 0 and 0 <= view.cells[w, cell] <= chain.num_agents


@inner
def converter_cell(chain: Chain, view: View, w: int, c: int) -> int:
    """Where a converter stands."""
    return view.entities[w, chain.num_agents + c, ROW] * chain.width + view.entities[w, chain.num_agents + c, COLUMN]


@inner
def measure(chain: Chain, view: View, memory: Memory, w: int) -> None:
    """Fill `distance` and `between` of a world; agents leave a converter on the side where most agents are."""
    queue = np.empty(chain.height * chain.width, np.int32)
    for c in range(view.clock[w, NUM_CONVERTERS]):
        flood(chain, view, w, c, memory.distance[w, c], queue)
    home = main_region(chain, view, w, queue)
    for a in range(view.clock[w, NUM_CONVERTERS]):
        place = converter_cell(chain, view, w, a)
        has_home = False
        for direction in range(4):
            beside = neighbour(chain, place, direction)
            has_home = has_home or (beside >= 0 and home[beside])
        for b in range(view.clock[w, NUM_CONVERTERS]):
            sum_of_ways = 0
            sides = 0
            for direction in range(4):
                beside = neighbour(chain, place, direction)
                if walkable(chain, view, w, beside) and (home[beside] or not has_home):
                    sum_of_ways += whole(memory.distance[w, b, beside])
                    sides += 1
            memory.between[w, a, b] = min(FAR, -(-sum_of_ways // sides)) if sides > 0 else FAR


@inner
def main_region(chain: Chain, view: View, w: int, queue: np.ndarray) -> np.ndarray:
    """bool [cells]: the connected cells that hold most agents."""
    best = np.zeros(chain.height * chain.width, np.bool_)
    most = 0
    for agent in range(chain.num_agents):
        start = view.entities[w, agent, ROW] * chain.width + view.entities[w, agent, COLUMN]
        if best[start]:
            continue
        seen = np.zeros(chain.height * chain.width, np.bool_)
        seen[start] = True
        queue[0] = start
        size = 1
        done = 0
        agents = 0
        while done < size:
            cell = queue[done]
            done += 1
            if view.cells[w, cell] > 0:
                agents += 1
            for direction in range(4):
                beside = neighbour(chain, cell, direction)
                if walkable(chain, view, w, beside) and not seen[beside]:
                    seen[beside] = True
                    queue[size] = beside
                    size += 1
        if agents > most:
            most = agents
            best = seen
    return best


@inner
def flood(chain: Chain, view: View, w: int, c: int, distance: np.ndarray, queue: np.ndarray) -> None:
    """Moves from every cell until converter c is faced; the last one may be a turn towards it or a step up to it."""
    distance[:] = FAR
    size = 0
    place = converter_cell(chain, view, w, c)
    for direction in range(4):
        beside = neighbour(chain, place, direction)
        if walkable(chain, view, w, beside):
            if distance[beside] == FAR:
                distance[beside] = 1
                queue[size] = beside
                size += 1
            behind = neighbour(chain, beside, direction)
            if walkable(chain, view, w, behind) and distance[behind] == FAR:
                distance[behind] = 1
                queue[size] = behind
                size += 1
    done = 0
    while done < size:
        cell = queue[done]
        done += 1
        for direction in range(4):
            beside = neighbour(chain, cell, direction)
            if walkable(chain, view, w, beside) and distance[beside] == FAR:
                distance[beside] = distance[cell] + 1
                queue[size] = beside
                size += 1
