"""The plan of an episode: which mines feed a generator, which agent serves it, which altar gets its batteries.

Generators limit the arena's hearts, and all mines together give just enough ore to keep them busy. So every
generator gets its own mines (as many as it needs) and one agent, whose rhythm is then that of the mines.
"""

import numpy as np

from metta.sim.scripted.compiled import inner
from metta.sim.scripted.chain import ALTAR, GENERATOR, MINE, Chain
from metta.sim.scripted.forecast import first_output_at, part_at
from metta.sim.scripted.matching import match
from metta.sim.scripted.state import FAR, NOBODY, NOTHING, Memory, View

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
    found = np.zeros(view.num_converters[w], np.int64)
    count = 0
    for c in range(view.num_converters[w]):
        if part_at(chain, view, w, c) == part:
            found[count] = c
            count += 1
    return found[:count]


@inner
def plan_circuits(chain: Chain, view: View, memory: Memory, w: int) -> None:
    """Fill `owner`, `generator_of` and `altar_of` of a world."""
    memory.owner[w] = NOBODY
    memory.generator_of[w] = NOTHING
    memory.altar_of[w] = NOTHING
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
            way = np.int64(memory.between[w, mines[m], generators[slot % generators.shape[0]]])
            cost[slot, m] = way * (way + EVEN)
    chosen = match(cost)
    for slot in range(slots):
        m = chosen[slot]
        if m < mines.shape[0] and cost[slot, m] < cost_of_none:
            memory.generator_of[w, mines[m]] = generators[slot % generators.shape[0]]


@inner
def share_generators(
    chain: Chain, view: View, memory: Memory, w: int, mines: np.ndarray, generators: np.ndarray
) -> None:
    """Give each generator the agent that can feed it soonest, in rounds if there are more generators than agents."""
    A = chain.num_agents
    num = generators.shape[0]
    rounds = -(-num // A)
    now = view.step[w] + 1
    cost = np.full((num, A * rounds), FAR, np.int64)
    for agent in range(A):
        cell = view.row[w, agent] * chain.width + view.column[w, agent]
        for g in range(num):
            best = FAR
            for m in mines:
                if memory.generator_of[w, m] == generators[g]:
                    there = max(now + memory.distance[w, m, cell], first_output_at(chain, view, w, m, now))
                    best = min(best, there + 1 + memory.between[w, m, generators[g]])
            for turn in range(rounds):
                cost[g, turn * A + agent] = min(FAR, best + turn)
    chosen = match(cost)
    for g in range(num):
        if cost[g, chosen[g]] < FAR:
            memory.owner[w, generators[g]] = chosen[g] % A
    for m in mines:
        if memory.generator_of[w, m] != NOTHING:
            memory.owner[w, m] = memory.owner[w, memory.generator_of[w, m]]


@inner
def hand_over_far_mines(chain: Chain, view: View, memory: Memory, w: int, mines: np.ndarray) -> None:
    """Give the farthest mines of the busiest agents to agents that have nothing to do."""
    load = np.zeros(chain.num_agents, np.int64)
    for m in mines:
        if memory.owner[w, m] != NOBODY:
            load[memory.owner[w, m]] += mine_load(memory, w, m)
    given = np.zeros(view.num_converters[w], np.bool_)
    while True:
        farthest = NOTHING
        for m in mines:
            owner = memory.owner[w, m]
            if owner == NOBODY or given[m] or load[owner] <= MOST_LOAD:
                continue
            if farthest == NOTHING or mine_load(memory, w, m) > mine_load(memory, w, farthest):
                farthest = m
        if farthest == NOTHING:
            return
        given[farthest] = True
        more = mine_load(memory, w, farthest)
        owner = memory.owner[w, farthest]
        best = NOBODY
        least = load[owner]
        for agent in range(chain.num_agents):
            cell = view.row[w, agent] * chain.width + view.column[w, agent]
            if memory.distance[w, farthest, cell] < FAR and not serves_generator(view, memory, w, agent):
                if load[agent] + more < least:
                    best = agent
                    least = load[agent] + more
        if best != NOBODY:
            memory.owner[w, farthest] = best
            load[owner] -= more
            load[best] += more


@inner
def mine_load(memory: Memory, w: int, m: int) -> int:
    """Steps that one round to a mine takes: there, back, get and put."""
    return 2 * np.int64(memory.between[w, m, memory.generator_of[w, m]]) + 2


@inner
def serves_generator(view: View, memory: Memory, w: int, agent: int) -> bool:
    """Whether an agent has a generator of its own."""
    for c in range(view.num_converters[w]):
        if memory.owner[w, c] == agent and memory.generator_of[w, c] == NOTHING:
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
        if memory.owner[w, generators[g]] != NOBODY and cost[g, chosen[g]] < FAR:
            memory.altar_of[w, generators[g]] = altars[chosen[g] // places]


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
def choose_altars(
    memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray, is_open: np.ndarray
) -> None:
    """The nearest open altar of each generator that has an agent."""
    for g in generators:
        memory.altar_of[w, g] = NOTHING
        best = FAR
        for a in range(altars.shape[0]):
            if memory.owner[w, g] != NOBODY and is_open[a] and memory.between[w, g, altars[a]] < best:
                best = np.int64(memory.between[w, g, altars[a]])
                memory.altar_of[w, g] = altars[a]


@inner
def closing_gain(
    memory: Memory, w: int, generators: np.ndarray, altars: np.ndarray, is_open: np.ndarray, closed: int
) -> int:
    """Moves saved by closing an altar: its cost less the detours."""
    gain = ALTAR_COST
    users = 0
    for g in generators:
        if memory.altar_of[w, g] == altars[closed]:
            users += 1
            best = FAR
            for a in range(altars.shape[0]):
                if is_open[a] and a != closed:
                    best = min(best, np.int64(memory.between[w, g, altars[a]]))
            gain -= best - np.int64(memory.between[w, g, altars[closed]])
    return gain if users > 0 else 0
