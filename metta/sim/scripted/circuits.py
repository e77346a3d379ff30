"""The plan of an episode: which mines feed a generator, which agent serves it, which altar gets its batteries.

Generators limit the arena's hearts, and all mines together give just enough ore to keep them busy. So every
generator gets its own mines (as many as it needs) and one agent, whose rhythm is then that of the mines.
"""

import numpy as np

from metta.sim.scripted.chain import ALTAR, GENERATOR, MINE, PART, Chain
from metta.sim.scripted.compiled import inner, whole
from metta.sim.scripted.forecast import first_output_at, rule_of
from metta.sim.scripted.matching import match
from metta.sim.scripted.state import ALTAR_USED, FAR, FED, NOBODY, NOTHING, OWNER, Memory, View
from metta.sim.world_arrays import COLUMN, NUM_CONVERTERS, ROW, STEP

EVEN = 8
"""A walk of n moves from mine to generator counts n * (n + EVEN): two middling walks rather than a short and a long."""

MOST_LOAD = 40
"""Steps per period of the mines that an agent may spend on its mines; the rest is for batteries and hearts."""

ALTAR_COST = 6
"""Moves that a generator may be farther from its altar to save an altar: batteries that are left over at the end of
an episode are lost once per altar."""


@inner
def places_of(chain: Chain, view: View, w: int, part: int) -> np.ndarray:
    """The converters of one part, in row-major order."""
    found = np.zeros(view.clock[w, NUM_CONVERTERS], np.int64)
    count = 0
    for c in range(view.clock[w, NUM_CONVERTERS]):
        if rule_of(chain, view, w, c, PART) == part:
            found[count] = c
            count += 1
    return found[:count]


@inner
def plan_circuits(chain: Chain, view: View, memory: Memory, w: int) -> None:
    """Fill `owner`, `generator_of` and `altar_of` of a world."""
    memory.plan[w, :, OWNER] = NOBODY
    memory.plan[w, :, FED] = NOTHING
    memory.plan[w, :, ALTAR_USED] = NOTHING
    mines = places_of(chain, view, w, MINE)
    generators = places_of(chain, view, w, GENERATOR)
    altars = places_of(chain, view, w, ALTAR)
    share_mines(chain, memory, w, mines, generators)
    share_generators(chain, view, memory, w, mines, generators)
    hand_over_far_mines(chain, view, memory, w, mines)
    if chain.battery_per_heart > 1:
        share_altars(memory, w, generators, altars)
    else:
        spread_altars(chain, memory, w, generators, altars)


@inner
def share_mines(chain: Chain, memory: Memory, w: int, mines: np.ndarray, generators: np.ndarray) -> None:
    """Give each generator its mines so that the walks are short in sum; the first of them matter most."""
    slots = generators.shape[0] * chain.mines_per_generator
    columns = max(slots, mines.shape[0])
    cost_of_none = FAR * EVEN
    cost = np.full((slots, columns), cost_of_none, np.int64)
    for slot in range(slots):
        for m in range(mines.shape[0]):
            way = whole(memory.between[w, mines[m], generators[slot % generators.shape[0]]])
            cost[slot, m] = way * (way + EVEN)
    chosen = match(cost)
    for slot in range(slots):
        m = chosen[slot]
        if m < mines.shape[0] and cost[slot, m] < cost_of_none:
            memory.plan[w, mines[m], FED] = generators[slot % generators.shape[0]]


@inner
def share_generators(
    chain: Chain, view: View, memory: Memory, w: int, mines: np.ndarray, generators: np.ndarray
) -> None:
    """Give each generator the agent that can feed it soonest, in rounds if there are more generators than agents."""
    A = chain.num_agents
    num = generators.shape[0]
    rounds = -(-num // A)
    now = view.clock[w, STEP] + 1
    cost = np.full((num, A * rounds), FAR, np.int64)
    for agent in range(A):
        cell = view.entities[w, agent, ROW] * chain.width + view.entities[w, agent, COLUMN]
        for g in range(num):
            best = FAR
            for m in mines:
                if memory.plan[w, m, FED] == generators[g]:
                    there = max(now + memory.distance[w, m, cell], first_output_at(chain, view, w, m, now))
                    best = min(best, there + 1 + memory.between[w, m, generators[g]])
            for turn in range(rounds):
                cost[g, turn * A + agent] = min(FAR, best + turn)
    chosen = match(cost)
    for g in range(num):
        if cost[g, chosen[g]] < FAR:
            memory.plan[w, generators[g], OWNER] = chosen[g] % A
    for m in mines:
        if memory.plan[w, m, FED] != NOTHING:
            memory.plan[w, m, OWNER] = memory.plan[w, memory.plan[w, m, FED], OWNER]


@inner
def hand_over_far_mines(chain: Chain, view: View, memory: Memory, w: int, mines: np.ndarray) -> None:
    """Give the farthest mines of the busiest agents to agents that have nothing to do."""
    load = np.zeros(chain.num_agents, np.int64)
    for m in mines:
        if memory.plan[w, m, OWNER] != NOBODY:
            load[memory.plan[w, m, OWNER]] += mine_load(memory, w, m)
    given = np.zeros(view.clock[w, NUM_CONVERTERS], np.bool_)
    while True:
        farthest = NOTHING
        for m in mines:
            owner = memory.plan[w, m, OWNER]
            if owner == NOBODY or given[m] or load[owner] <= MOST_LOAD:
                continue
            if farthest == NOTHING or mine_load(memory, w, m) > mine_load(memory, w, farthest):
                farthest = m
        if farthest == NOTHING:
            return
        given[farthest] = True
        more = mine_load(memory, w, farthest)
        owner = memory.plan[w, farthest, OWNER]
        best = NOBODY
        least = load[owner]
        for agent in range(chain.num_agents):
            cell = view.entities[w, agent, ROW] * chain.width + view.entities[w, agent, COLUMN]
            is_free = memory.distance[w, farthest, cell] < FAR and not serves_generator(view, memory, w, agent)
            if is_free and load[agent] + more < least:
                best = agent
                least = load[agent] + more
        if best != NOBODY:
            memory.plan[w, farthest, OWNER] = best
            load[owner] -= more
            load[best] += more


@inner
def mine_load(memory: Memory, w: int, m: int) -> int:
    """Steps that one round to a mine takes: there, back, get and put."""
    return 2 * whole(memory.between[w, m, memory.plan[w, m, FED]]) + 2


@inner
def serves_generator(view: View, memory: Memory, w: int, agent: int) -> bool:
    """Whether an agent has a generator of its own."""
    for c in range(view.clock[w, NUM_CONVERTERS]):
        if memory.plan[w, c, OWNER] == agent and memory.plan[w, c, FED] == NOTHING:
            return True
    return False


@inner
def spread_altars(chain: Chain, memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray) -> None:
    """Give each generator an altar so that the walks are short in sum and no altar gets more than it can take."""
    places = chain.generators_per_altar
    columns = max(generators.shape[0], altars.shape[0] * places)
    cost = np.full((generators.shape[0], columns), FAR, np.int64)
    for g in range(generators.shape[0]):
        for column in range(altars.shape[0] * places):
            cost[g, column] = memory.between[w, generators[g], altars[column // places]]
    chosen = match(cost)
    for g in range(generators.shape[0]):
        if memory.plan[w, generators[g], OWNER] != NOBODY and cost[g, chosen[g]] < FAR:
            memory.plan[w, generators[g], ALTAR_USED] = altars[chosen[g] // places]


@inner
def share_altars(memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray) -> None:
    """Give each generator a near altar, and close altars whose generators can go elsewhere at little cost."""
    is_open = np.ones(altars.shape[0], np.bool_)
    while True:
        choose_altars(memory, w, generators, altars, is_open)
        best = -1
        best_gain = 0
        for a in range(altars.shape[0]):
            if is_open[a]:
                gain = closing_gain(memory, w, generators, altars, is_open, a)
                if gain > best_gain:
                    best = a
                    best_gain = gain
        if best < 0:
            return
        is_open[best] = False


@inner
def choose_altars(memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray, is_open: np.ndarray) -> None:
    """The nearest open altar of each generator that has an agent."""
    for g in generators:
        memory.plan[w, g, ALTAR_USED] = NOTHING
        best = FAR
        for a in range(altars.shape[0]):
            if memory.plan[w, g, OWNER] != NOBODY and is_open[a] and memory.between[w, g, altars[a]] < best:
                best = whole(memory.between[w, g, altars[a]])
                memory.plan[w, g, ALTAR_USED] = altars[a]


@inner
def closing_gain(
    memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray, is_open: np.ndarray, closed: int
) -> int:
    """Moves saved by closing an altar: its cost less the detours."""
    gain = ALTAR_COST
    users = 0
    for g in generators:
        if memory.plan[w, g, ALTAR_USED] == altars[closed]:
            users += 1
            best = FAR
            for a in range(altars.shape[0]):
                if is_open[a] and a != closed:
                    best = min(best, whole(memory.between[w, g, altars[a]]))
            gain -= best - whole(memory.between[w, g, altars[closed]])
    return gain if users > 0 else 0
