"""What agents hold: every change goes through here, so that counters, faces and potentials notice."""

from metta.sim.compiled import inner
from metta.sim.constants import NUM_RESOURCES
from metta.sim.episodes import GAINED, LOST
from metta.sim.world_arrays import ACTION_COST, FACE_STALE, HELD_LIMIT, ITEMS, ITEMS_CHANGED, Rules, World


@inner
def gain(world: World, agent: int, item: int, amount: int) -> None:
    """Put into an agent's hands what has room there."""
    world.entities[agent, ITEMS + item] += amount
    world.counters[agent, GAINED + item] += amount
    world.entities[agent, FACE_STALE] = 1
    world.entities[agent, ITEMS_CHANGED] = 1


@inner
def lose(world: World, agent: int, item: int, amount: int) -> None:
    """Take from an agent's hands what is there."""
    world.entities[agent, ITEMS + item] -= amount
    world.counters[agent, LOST + item] += amount
    world.entities[agent, FACE_STALE] = 1
    world.entities[agent, ITEMS_CHANGED] = 1


@inner
def room_for(rules: Rules, world: World, agent: int, item: int) -> int:
    """How many more of an item an agent can hold."""
    return rules.amounts[HELD_LIMIT, item] - world.entities[agent, ITEMS + item]


@inner
def can_pay(rules: Rules, world: World, agent: int, group: int) -> bool:
    """Whether an agent holds what an action of this group costs."""
    for item in range(NUM_RESOURCES):
        if world.entities[agent, ITEMS + item] < rules.amounts[ACTION_COST + group, item]:
            return False
    return True


@inner
def pay(rules: Rules, world: World, agent: int, group: int) -> None:
    """Take an action's cost, as far as it is still there (an agent that hit itself may have lost some)."""
    for item in range(NUM_RESOURCES):
        amount = min(rules.amounts[ACTION_COST + group, item], world.entities[agent, ITEMS + item])
        if amount > 0:
            lose(world, agent, item, amount)
