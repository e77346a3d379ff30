"""Converters: when a conversion starts, when its output appears, and when the next one may start."""

from metta.sim.compiled import inner
from metta.sim.constants import MAX_AMOUNT, NUM_RESOURCES
from metta.sim.faces import draw_converter
from metta.sim.world_arrays import (
    CONVERSIONS,
    CONVERTING,
    COOLDOWN,
    COOLING,
    DUE,
    ITEMS,
    KIND,
    MAX_CONVERSIONS,
    MAX_OUTPUT,
    NEVER,
    NEXT_DUE,
    NUM_CONVERTERS,
    RECIPE_IN,
    RECIPE_OUT,
    STEP,
    TICKS,
    Rules,
    World,
)


@inner
def finish_what_is_due(rules: Rules, world: World) -> None:
    """Finish every conversion and cooldown of a world that is due now."""
    now = world.clock[STEP]
    if world.clock[NEXT_DUE] > now:
        return
    next_due = NEVER
    for entity in range(rules.num_agents, rules.num_agents + world.clock[NUM_CONVERTERS]):
        if world.entities[entity, DUE] <= now:
            end_wait(rules, world, entity)
            draw_converter(rules, world, entity)
        next_due = min(next_due, world.entities[entity, DUE])
    world.clock[NEXT_DUE] = next_due


@inner
def end_wait(rules: Rules, world: World, entity: int) -> None:
    """The event that a converter waited for: its conversion or its cooldown ends."""
    world.entities[entity, DUE] = NEVER
    if world.entities[entity, CONVERTING] != 0:
        finish_conversion(rules, world, entity)
    else:
        world.entities[entity, COOLING] = 0
    start_if_possible(rules, world, entity)


@inner
def start_if_possible(rules: Rules, world: World, entity: int) -> None:
    """Start a conversion if nothing is in the way. One without duration and cooldown leads to the next at once."""
    kind = world.entities[entity, KIND]
    while can_start(rules, world, entity):
        for item in range(NUM_RESOURCES):
            world.entities[entity, ITEMS + item] -= rules.kinds[kind, RECIPE_IN + item]
        world.entities[entity, CONVERTING] = 1
        if rules.kinds[kind, TICKS] > 0:
            wait(world, entity, rules.kinds[kind, TICKS])
        else:
            finish_conversion(rules, world, entity)


@inner
def can_start(rules: Rules, world: World, entity: int) -> bool:
    """Idle, conversions left, room for output, and every input of the recipe inside."""
    if world.entities[entity, CONVERTING] != 0 or world.entities[entity, COOLING] != 0:
        return False
    kind = world.entities[entity, KIND]
    conversions_left = rules.kinds[kind, MAX_CONVERSIONS] - world.entities[entity, CONVERSIONS]
    if rules.kinds[kind, MAX_CONVERSIONS] >= 0 and conversions_left <= 0:
        return False
    outputs = 0
    for item in range(NUM_RESOURCES):
        inside = world.entities[entity, ITEMS + item]
        if inside < rules.kinds[kind, RECIPE_IN + item]:
            return False
        if rules.kinds[kind, RECIPE_OUT + item] > 0:
            outputs += inside
    return rules.kinds[kind, MAX_OUTPUT] < 0 or outputs < rules.kinds[kind, MAX_OUTPUT]


@inner
def finish_conversion(rules: Rules, world: World, entity: int) -> None:
    """Put the output inside and start the cooldown, if there is one."""
    kind = world.entities[entity, KIND]
    world.entities[entity, CONVERTING] = 0
    world.entities[entity, CONVERSIONS] += 1
    for item in range(NUM_RESOURCES):
        inside = world.entities[entity, ITEMS + item] + rules.kinds[kind, RECIPE_OUT + item]
        world.entities[entity, ITEMS + item] = min(inside, MAX_AMOUNT)
    if rules.kinds[kind, COOLDOWN] > 0:
        world.entities[entity, COOLING] = 1
        wait(world, entity, rules.kinds[kind, COOLDOWN])


@inner
def wait(world: World, entity: int, steps: int) -> None:
    """Have the next event of a converter so many steps from now."""
    due = min(world.clock[STEP] + steps, NEVER)
    world.entities[entity, DUE] = due
    world.clock[NEXT_DUE] = min(world.clock[NEXT_DUE], due)
