"""What each agent does next: the rule that turns its circuit's forecast into a converter to go to.

Times are steps; `now` is the step that is being planned. An agent that faces a converter after d moves, made in steps
now..now+d-1, can use it in step now+d.
"""

from typing import NamedTuple

from metta.sim.constants import GET_ITEMS, MAX_AMOUNT, NOOP, PUT_ITEMS
from metta.sim.scripted.chain import ALTAR, BATTERY, GENERATOR, HEART, MINE, ORE, PART, TICKS, Chain
from metta.sim.scripted.compiled import inner, whole
from metta.sim.scripted.distances import neighbour
from metta.sim.scripted.forecast import (
    first_output_at,
    next_output_at,
    outputs_at,
    outputs_inside,
    period,
    rule_of,
    starves_at,
    state_of,
)
from metta.sim.scripted.state import ALTAR_USED, FAR, FED, NOBODY, NOTHING, OWNER, TARGET, Memory, View
from metta.sim.world_arrays import COLUMN, ITEMS, NUM_CONVERTERS, ORIENTATION, ROW

WALK = -1
"""Instead of an action: a move towards the target, chosen in traffic.py."""

PATIENCE = 8
"""Steps that an agent with ore in hand waits for more while its generator is busy."""


class Agent(NamedTuple):
    """An agent in the step that is being planned."""

    number: int
    cell: int
    facing: int
    """Converter in front, or NOTHING."""
    ore: int
    battery: int


class Ore(NamedTuple):
    """The ore that could be fed to a generator soonest."""

    mine: int
    """NOTHING if there is none."""
    wait: int
    """Steps of waiting at the mine."""
    fed: int
    """When the generator has it."""


@inner
def agent_of(chain: Chain, view: View, w: int, index: int) -> Agent:
    """An agent as the world has it."""
    cell = whole(view.entities[w, index, ROW] * chain.width + view.entities[w, index, COLUMN])
    front = neighbour(chain, cell, view.entities[w, index, ORIENTATION])
    facing = NOTHING
    if front >= 0:
        facing = max(NOTHING, whole(view.cells[w, front]) - 1 - chain.num_agents)
    return Agent(
        index,
        cell,
        facing,
        whole(view.entities[w, index, ITEMS + ORE]),
        whole(view.entities[w, index, ITEMS + BATTERY]),
    )


@inner
def moves_to(memory: Memory, w: int, agent: Agent, c: int) -> int:
    """Moves until the agent faces a converter."""
    return 0 if agent.facing == c else whole(memory.distance[w, c, agent.cell])


@inner
def last_collection(chain: Chain, memory: Memory, w: int, g: int) -> int:
    """Last step in which a battery taken from a generator still becomes a heart in hand: walk, put, get."""
    return chain.last_step - 2 - memory.between[w, g, memory.plan[w, g, ALTAR_USED]]


@inner
def last_output(chain: Chain, view: View, memory: Memory, w: int, g: int, now: int) -> int:
    """When a generator's last useful battery appears if it is never short of ore; -1 if there is no more."""
    end = last_collection(chain, memory, w, g)
    following = next_output_at(chain, view, w, g, now)
    if following > end:
        return -1
    every = period(chain, view, w, g)
    return following + (end - following) // every * every


@inner
def is_done(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, g: int, now: int) -> bool:
    """Nothing that a generator makes from now on can become a heart in the agent's hand."""
    end = last_collection(chain, memory, w, g)
    if now + moves_to(memory, w, agent, g) > end:
        return True
    return outputs_inside(chain, view, w, g) == 0 and next_output_at(chain, view, w, g, now) > end


@inner
def neediest_generator(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, now: int) -> int:
    """The generator that runs out of ore first of those that the agent serves or feeds; NOTHING when all are done."""
    best = NOTHING
    soonest = 0
    for g in range(view.clock[w, NUM_CONVERTERS]):
        if (
            memory.plan[w, g, ALTAR_USED] != NOTHING
            and (memory.plan[w, g, OWNER] == agent.number or feeds(view, memory, w, agent.number, g))
            and not is_done(chain, view, memory, w, agent, g, now)
        ):
            starves = starves_at(chain, view, w, g, now)
            if best == NOTHING or starves < soonest:
                best = g
                soonest = starves
    return best


@inner
def feeds(view: View, memory: Memory, w: int, index: int, g: int) -> bool:
    """Whether an agent has a mine for a generator."""
    for m in range(view.clock[w, NUM_CONVERTERS]):
        if memory.plan[w, m, FED] == g and memory.plan[w, m, OWNER] == index:
            return True
    return False


@inner
def soonest_ore(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, g: int, now: int) -> Ore:
    """The agent's mine for a generator by which it can feed it first."""
    mine = NOTHING
    wait = 0
    soonest = FAR
    for m in range(view.clock[w, NUM_CONVERTERS]):
        if memory.plan[w, m, FED] == g and memory.plan[w, m, OWNER] == agent.number:
            arrival = now + moves_to(memory, w, agent, m)
            there = max(arrival, first_output_at(chain, view, w, m, now))
            fed = there + 1 + memory.between[w, m, g]
            if fed < soonest:
                mine = m
                wait = there - arrival
                soonest = fed
    return Ore(whole(mine), whole(wait), whole(soonest))


@inner
def useful_ore(chain: Chain, view: View, memory: Memory, w: int, g: int, now: int) -> int:
    """Ore that a generator can still turn into useful batteries, beyond what is inside."""
    last_start = last_output(chain, view, memory, w, g, now) - rule_of(chain, view, w, g, TICKS)
    starves = starves_at(chain, view, w, g, now)
    if starves > last_start:
        return 0
    return ((last_start - starves) // period(chain, view, w, g) + 1) * chain.ore_per_battery


@inner
def choose_target(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, now: int) -> int:
    """The converter to go to next, or NOTHING."""
    g = neediest_generator(chain, view, memory, w, agent, now)
    if g == NOTHING:
        return final_target(chain, view, memory, w, agent, now)
    altar = memory.plan[w, g, ALTAR_USED]
    starves = starves_at(chain, view, w, g, now)
    useful = useful_ore(chain, view, memory, w, g, now)
    ore = soonest_ore(chain, view, memory, w, agent, g, now)
    arrival = now + moves_to(memory, w, agent, g)
    more = useful > agent.ore and ore.mine != NOTHING
    at_altar = now + moves_to(memory, w, agent, altar)
    returns = at_altar + 2 + memory.between[w, altar, g]
    has_heart = agent.battery >= chain.battery_per_heart and returns <= last_collection(chain, memory, w, g)
    if agent.ore > 0 and useful > 0:
        latest = max(starves, arrival)
        if has_heart and returns <= latest:
            return altar
        if more and ore.wait <= PATIENCE and ore.fed <= latest:
            return ore.mine
        return g
    if not more:
        if memory.plan[w, g, OWNER] != agent.number:
            return NOTHING
        return altar if has_heart else g
    latest = max(starves, ore.fed)
    if has_heart:
        if fed_after(chain, view, memory, w, ore, altar, g, at_altar + 2, now) <= latest:
            return altar
        return ore.mine
    ready = outputs_at(chain, view, w, g, now, arrival)
    if memory.plan[w, g, OWNER] == agent.number and ready > 0 and agent.battery + ready >= chain.battery_per_heart:
        leaves = arrival + 1 + memory.between[w, g, altar] + 2
        if fed_after(chain, view, memory, w, ore, altar, g, leaves, now) <= latest:
            return g
    return ore.mine


@inner
def fed_after(
    chain: Chain, view: View, memory: Memory, w: int, ore: Ore, altar: int, g: int, leaves: int, now: int
) -> int:
    """When the generator has the ore if the agent first leaves the altar in step `leaves`."""
    there = max(leaves + memory.between[w, altar, ore.mine], first_output_at(chain, view, w, ore.mine, now))
    return there + 1 + memory.between[w, ore.mine, g]


@inner
def final_target(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, now: int) -> int:
    """For an agent without a generator or at the end of the episode: bring the last batteries, fetch hearts."""
    best = NOTHING
    soonest = FAR
    for a in range(view.clock[w, NUM_CONVERTERS]):
        if rule_of(chain, view, w, a, PART) != ALTAR:
            continue
        arrival = now + moves_to(memory, w, agent, a)
        if arrival > chain.last_step:
            continue
        own = is_altar_of(view, memory, w, agent.number, a)
        brings = agent.battery > 0 and own and arrival < chain.last_step
        fetches = outputs_at(chain, view, w, a, now, chain.last_step) > 0 and (
            own or not is_wanted(view, memory, w, agent.number, a)
        )
        if (brings or fetches) and arrival < soonest:
            best = a
            soonest = arrival
    return best


@inner
def is_altar_of(view: View, memory: Memory, w: int, index: int, a: int) -> bool:
    """Whether an agent's generators use an altar."""
    for g in range(view.clock[w, NUM_CONVERTERS]):
        if memory.plan[w, g, ALTAR_USED] == a and memory.plan[w, g, OWNER] == index:
            return True
    return False


@inner
def is_wanted(view: View, memory: Memory, w: int, index: int, a: int) -> bool:
    """Whether somebody else is on the way to an altar or uses it."""
    for other in range(memory.task.shape[1]):
        if other != index and memory.task[w, other, TARGET] == a:
            return True
    for g in range(view.clock[w, NUM_CONVERTERS]):
        if memory.plan[w, g, ALTAR_USED] == a and memory.plan[w, g, OWNER] != NOBODY:
            return True
    return False


@inner
def action_at(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, c: int, now: int) -> int:
    """What to do with the converter in front: PUT_ITEMS, GET_ITEMS, or NOOP if there is nothing to do."""
    part = rule_of(chain, view, w, c, PART)
    ready = outputs_at(chain, view, w, c, now, now)
    if part == MINE:
        return GET_ITEMS if ready > 0 and agent.ore < chain.room[ORE] else NOOP
    if part == GENERATOR:
        if agent.ore > 0 and useful_ore(chain, view, memory, w, c, now) > 0 and has_space(chain, view, w, c, ORE):
            return PUT_ITEMS
        is_last = next_output_at(chain, view, w, c, now) > last_collection(chain, memory, w, c)
        is_enough = is_last or agent.battery + ready >= chain.battery_per_heart
        is_own = memory.plan[w, c, OWNER] == agent.number
        return GET_ITEMS if is_own and is_enough and ready > 0 and agent.battery < chain.room[BATTERY] else NOOP
    if agent.battery > 0 and has_space(chain, view, w, c, BATTERY):
        return PUT_ITEMS
    return GET_ITEMS if ready > 0 and view.entities[w, agent.number, ITEMS + HEART] < chain.room[HEART] else NOOP


@inner
def has_space(chain: Chain, view: View, w: int, c: int, item: int) -> bool:
    """Whether one more of an input fits into a converter."""
    return state_of(chain, view, w, c, ITEMS + item) < MAX_AMOUNT


@inner
def decide(chain: Chain, view: View, memory: Memory, w: int, index: int, now: int) -> int:
    """An agent's action, or WALK; updates its target. A target is kept until nothing is left to do there."""
    agent = agent_of(chain, view, w, index)
    target = memory.task[w, index, TARGET]
    if target != NOTHING and agent.facing != target and not gives_up(chain, view, memory, w, agent, target, now):
        return WALK
    if agent.facing != NOTHING and agent.facing == target:
        action = action_at(chain, view, memory, w, agent, target, now)
        if action != NOOP:
            return action
    target = choose_target(chain, view, memory, w, agent, now)
    memory.task[w, index, TARGET] = target
    if target == NOTHING:
        return NOOP
    if agent.facing == target:
        return action_at(chain, view, memory, w, agent, target, now)
    return WALK


@inner
def gives_up(chain: Chain, view: View, memory: Memory, w: int, agent: Agent, target: int, now: int) -> bool:
    """Whether an agent on its way should think again: its generator's last batteries must not be missed."""
    return now > chain.last_step - 150 or (rule_of(chain, view, w, target, PART) == ALTAR and agent.battery == 0)
