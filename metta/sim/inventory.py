"""What agents hold: every change goes through here, so that counters, faces and potentials notice."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.episodes import GAINED, LOST
from metta.sim.world_arrays import Rules, Worlds


@inner
def gain(worlds: Worlds, w: int, agent: int, item: int, amount: int) -> None:
    """Put into an agent's hands what has room there."""
    worlds.items[w, agent, item] += np.uint8(amount)
    worlds.counters[w, agent, GAINED + item] += np.int32(amount)
    worlds.face_stale[w, agent] = True
    worlds.items_changed[w, agent] = True


@inner
def lose(worlds: Worlds, w: int, agent: int, item: int, amount: int) -> None:
    """Take from an agent's hands what is there."""
    worlds.items[w, agent, item] -= np.uint8(amount)
    worlds.counters[w, agent, LOST + item] += np.int32(amount)
    worlds.face_stale[w, agent] = True
    worlds.items_changed[w, agent] = True


@inner
def room_for(rules: Rules, worlds: Worlds, w: int, agent: int, item: int) -> int:
    """How many more of an item an agent can hold."""
    return rules.held_limit[item] - np.int64(worlds.items[w, agent, item])


@inner
def can_pay(rules: Rules, worlds: Worlds, w: int, agent: int, group: int) -> bool:
    """Whether an agent holds what an action of this group costs."""
    if rules.action_has_cost[group]:
        for item in range(rules.held_limit.shape[0]):
            if worlds.items[w, agent, item] < rules.action_cost[group, item]:
                return False
    return True


@inner
def pay(rules: Rules, worlds: Worlds, w: int, agent: int, group: int) -> None:
    """Take an action's cost, as far as it is still there (an agent that hit itself may have lost some)."""
    if rules.action_has_cost[group]:
        for item in range(rules.held_limit.shape[0]):
            amount = min(rules.action_cost[group, item], np.int32(worlds.items[w, agent, item]))
            if amount > 0:
                lose(worlds, w, agent, item, amount)
