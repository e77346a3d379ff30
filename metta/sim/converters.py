"""Converters: when a conversion starts, when its output appears, and when the next one may start."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import MAX_AMOUNT, NUM_RESOURCES
from metta.sim.faces import draw_converter
from metta.sim.world_arrays import NEVER, Rules, Worlds


@inner
def happen_events(rules: Rules, worlds: Worlds, w: int) -> None:
    """Finish every conversion and cooldown of a world that is due now."""
    now = worlds.step[w]
    if worlds.next_due[w] > now:
        return
    next_due = NEVER
    for c in range(worlds.num_converters[w]):
        if worlds.due[w, c] <= now:
            happen(rules, worlds, w, c)
            draw_converter(rules, worlds, w, c)
        next_due = min(next_due, worlds.due[w, c])
    worlds.next_due[w] = next_due


@inner
def happen(rules: Rules, worlds: Worlds, w: int, c: int) -> None:
    """The event that a converter waited for: its conversion or its cooldown ends."""
    worlds.due[w, c] = NEVER
    if worlds.converting[w, c]:
        finish_conversion(rules, worlds, w, c)
    else:
        worlds.cooling[w, c] = False
    start_if_possible(rules, worlds, w, c)


@inner
def start_if_possible(rules: Rules, worlds: Worlds, w: int, c: int) -> None:
    """Start a conversion if nothing is in the way. One without duration and cooldown leads to the next at once."""
    entity = rules.num_agents + c
    kind = worlds.converter_kind[w, c]
    while can_start(rules, worlds, w, c):
        for item in range(NUM_RESOURCES):
            worlds.items[w, entity, item] -= np.uint8(rules.recipe_in[kind, item])
        worlds.converting[w, c] = True
        if rules.conversion_ticks[kind] > 0:
            wait(worlds, w, c, rules.conversion_ticks[kind])
        else:
            finish_conversion(rules, worlds, w, c)


@inner
def can_start(rules: Rules, worlds: Worlds, w: int, c: int) -> bool:
    """Idle, conversions left, room for output, and every input of the recipe inside."""
    if worlds.converting[w, c] or worlds.cooling[w, c]:
        return False
    entity = rules.num_agents + c
    kind = worlds.converter_kind[w, c]
    if rules.max_conversions[kind] >= 0 and worlds.conversions[w, c] >= rules.max_conversions[kind]:
        return False
    outputs = 0
    for item in range(NUM_RESOURCES):
        if worlds.items[w, entity, item] < rules.recipe_in[kind, item]:
            return False
        if rules.recipe_out[kind, item] > 0:
            outputs += np.int64(worlds.items[w, entity, item])
    return rules.max_output[kind] < 0 or outputs < rules.max_output[kind]


@inner
def finish_conversion(rules: Rules, worlds: Worlds, w: int, c: int) -> None:
    """Put the output inside and start the cooldown, if there is one."""
    entity = rules.num_agents + c
    kind = worlds.converter_kind[w, c]
    worlds.converting[w, c] = False
    worlds.conversions[w, c] += 1
    for item in range(NUM_RESOURCES):
        inside = np.int64(worlds.items[w, entity, item]) + rules.recipe_out[kind, item]
        worlds.items[w, entity, item] = np.uint8(min(inside, MAX_AMOUNT))
    if rules.cooldown[kind] > 0:
        worlds.cooling[w, c] = True
        wait(worlds, w, c, rules.cooldown[kind])


@inner
def wait(worlds: Worlds, w: int, c: int, steps: int) -> None:
    """Have the next event of a converter so many steps from now."""
    due = min(np.int64(worlds.step[w]) + steps, NEVER)
    worlds.due[w, c] = due
    worlds.next_due[w] = min(np.int64(worlds.next_due[w]), due)


@inner
def put_recipe(rules: Rules, worlds: Worlds, w: int, c: int, item: int, held: int) -> int:
    """How many of an item somebody who holds `held` can put in at once: one recipe's worth, capped by room."""
    inside = np.int64(worlds.items[w, rules.num_agents + c, item])
    return min(min(np.int64(rules.recipe_in[worlds.converter_kind[w, c], item]), held), MAX_AMOUNT - inside)
