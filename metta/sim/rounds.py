"""Rounds: a cue that one observation shows, a wait in which nothing can be done, and an answer that only it tells.

Nothing in the world keeps a cue but the agent's own memory. While an agent waits it neither moves nor turns nor takes
nor puts anything, what it tries shows as noop, and nobody else sees its cue. So whatever it does afterwards depends on
the cue through its memory alone, and a player without one is right in half of its rounds on average, whatever it does.

A agents in a world.
"""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import GET_ITEMS, NUM_RESOURCES, PUT_ITEMS
from metta.sim.inventory import gain, room_for
from metta.sim.randomness import PURPOSE_CUE, below, stream
from metta.sim.world_arrays import (
    ANSWER,
    CUE,
    EPISODE,
    FACE_STALE,
    FROZEN,
    HELD,
    RECIPE_OUT,
    ROUNDS,
    SEED,
    WORLD_INDEX,
    Rules,
    World,
)


@inner
def begin_round(rules: Rules, world: World, agent: int) -> None:
    """Draw the answer of an agent's next round, show it until the next step, and hold the agent."""
    own = stream(np.uint64(world.clock[SEED]), world.clock[WORLD_INDEX], world.clock[EPISODE], PURPOSE_CUE)
    drawn = below(stream(own, agent, world.entities[agent, ROUNDS], PURPOSE_CUE), 2)
    world.entities[agent, ANSWER] = GET_ITEMS if drawn == 1 else PUT_ITEMS
    world.entities[agent, CUE] = world.entities[agent, ANSWER]
    world.entities[agent, ROUNDS] += 1
    world.entities[agent, FROZEN] = rules.wait
    world.entities[agent, FACE_STALE] = 1


@inner
def continue_rounds(rules: Rules, world: World) -> None:
    """Before the actions of a step: cues are gone, and who is held now is held for the whole step."""
    for agent in range(rules.num_agents):
        world.entities[agent, CUE] = 0
        world.entities[agent, HELD] = 1 if world.entities[agent, FROZEN] > 0 else 0


@inner
def answer(rules: Rules, world: World, agent: int, kind: int, given: int) -> bool:
    """Answer an oracle: its outputs if that is right. False if nothing was gained; the round is over in any case."""
    paid = False
    if given == world.entities[agent, ANSWER]:
        for item in range(NUM_RESOURCES):
            amount = min(rules.kinds[kind, RECIPE_OUT + item], room_for(rules, world, agent, item))
            if amount > 0:
                gain(world, agent, item, amount)
                paid = True
    begin_round(rules, world, agent)
    return paid
