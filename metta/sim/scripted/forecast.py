"""What converters will do if nobody comes by: when they hold output, when they run out of input.

Times are the steps in whose action phase something is the case; `now` is the step that is being planned.
"""

from metta.sim.scripted.chain import BATTERY, COOLDOWN, GENERATOR, HEART, MAX_OUTPUT, MINE, ORE, PART, TICKS, Chain
from metta.sim.scripted.compiled import inner, whole
from metta.sim.scripted.state import View
from metta.sim.world_arrays import CONVERTING, COOLING, DUE, ITEMS, KIND

PLENTY = 1 << 20
"""Conversions that need no input."""


@inner
def output_item(part: int) -> int:
    """What a part of the chain makes."""
    return ORE if part == MINE else BATTERY if part == GENERATOR else HEART


@inner
def state_of(chain: Chain, view: View, w: int, c: int, column: int) -> int:
    """One of KIND, CONVERTING, COOLING, DUE of a converter, or ITEMS + resource: what it holds."""
    return view.entities[w, chain.num_agents + c, column]


@inner
def rule_of(chain: Chain, view: View, w: int, c: int, column: int) -> int:
    """One of PART, TICKS, COOLDOWN, MAX_OUTPUT of a converter."""
    return chain.kinds[view.entities[w, chain.num_agents + c, KIND], column]


@inner
def conversions_inside(chain: Chain, view: View, w: int, c: int) -> int:
    """How often the inputs inside suffice."""
    part = rule_of(chain, view, w, c, PART)
    if part == MINE:
        return PLENTY
    if part == GENERATOR:
        return state_of(chain, view, w, c, ITEMS + ORE) // chain.ore_per_battery
    return state_of(chain, view, w, c, ITEMS + BATTERY) // chain.battery_per_heart


@inner
def free_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When the conversion or cooldown of this moment is over."""
    if state_of(chain, view, w, c, CONVERTING):
        return state_of(chain, view, w, c, DUE) + rule_of(chain, view, w, c, COOLDOWN)
    if state_of(chain, view, w, c, COOLING):
        return max(now, state_of(chain, view, w, c, DUE))
    return now


@inner
def period(chain: Chain, view: View, w: int, c: int) -> int:
    """Steps from one start to the next, at least 1."""
    return max(1, rule_of(chain, view, w, c, TICKS) + rule_of(chain, view, w, c, COOLDOWN))


@inner
def starves_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When a converter could start but lacks input."""
    return free_at(chain, view, w, c, now) + conversions_inside(chain, view, w, c) * period(chain, view, w, c)


@inner
def next_output_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When the next output appears, given input in time: at the end of this conversion or of the next one."""
    if state_of(chain, view, w, c, CONVERTING):
        return state_of(chain, view, w, c, DUE)
    return free_at(chain, view, w, c, now) + rule_of(chain, view, w, c, TICKS)


@inner
def outputs_inside(chain: Chain, view: View, w: int, c: int) -> int:
    """Outputs that can be taken."""
    return state_of(chain, view, w, c, ITEMS + output_item(rule_of(chain, view, w, c, PART)))


@inner
def outputs_at(chain: Chain, view: View, w: int, c: int, now: int, later: int) -> int:
    """Outputs inside in step `later` with the inputs that are inside now."""
    inside = whole(outputs_inside(chain, view, w, c))
    if state_of(chain, view, w, c, CONVERTING) and state_of(chain, view, w, c, DUE) <= later:
        inside += 1
    start = free_at(chain, view, w, c, now)
    for _ in range(conversions_inside(chain, view, w, c)):
        if inside >= rule_of(chain, view, w, c, MAX_OUTPUT) or start + rule_of(chain, view, w, c, TICKS) > later:
            break
        inside += 1
        start += period(chain, view, w, c)
    return inside


@inner
def first_output_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When a mine can be emptied: now if it holds something."""
    if outputs_inside(chain, view, w, c) > 0:
        return now
    return max(now, next_output_at(chain, view, w, c, now))
