"""What converters will do if nobody comes by: when they hold output, when they run out of input.

Times are the steps in whose action phase something is the case; `now` is the step that is being planned.
"""

from metta.sim.scripted.compiled import inner
import numpy as np

from metta.sim.scripted.chain import BATTERY, GENERATOR, HEART, MINE, ORE, Chain
from metta.sim.scripted.state import View


@inner
def output_item(part: int) -> int:
    """What a part of the chain makes."""
    return ORE if part == MINE else BATTERY if part == GENERATOR else HEART


@inner
def part_at(chain: Chain, view: View, w: int, c: int) -> int:
    """MINE, GENERATOR, ALTAR or OTHER."""
    return chain.part[view.converter_kind[w, c]]


@inner
def conversions_inside(chain: Chain, view: View, w: int, c: int) -> int:
    """How often the inputs inside suffice."""
    part = part_at(chain, view, w, c)
    entity = chain.num_agents + c
    if part == MINE:
        return 1 << 20
    if part == GENERATOR:
        return view.items[w, entity, ORE] // chain.ore_per_battery
    return view.items[w, entity, BATTERY] // chain.battery_per_heart


@inner
def free_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When the conversion or cooldown of this moment is over."""
    if view.converting[w, c]:
        return view.due[w, c] + chain.cooldown[view.converter_kind[w, c]]
    if view.cooling[w, c]:
        return max(now, view.due[w, c])
    return now


@inner
def period(chain: Chain, view: View, w: int, c: int) -> int:
    """Steps from one start to the next."""
    kind = view.converter_kind[w, c]
    return chain.ticks[kind] + chain.cooldown[kind]


@inner
def starves_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When a converter could start but lacks input."""
    return free_at(chain, view, w, c, now) + conversions_inside(chain, view, w, c) * period(chain, view, w, c)


@inner
def next_output_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When the next output appears, given input in time: at the end of this conversion or of the next one."""
    if view.converting[w, c]:
        return view.due[w, c]
    return free_at(chain, view, w, c, now) + chain.ticks[view.converter_kind[w, c]]


@inner
def outputs_at(chain: Chain, view: View, w: int, c: int, now: int, later: int) -> int:
    """Outputs inside in step `later` with the inputs that are inside now."""
    kind = view.converter_kind[w, c]
    inside = np.int64(view.items[w, chain.num_agents + c, output_item(chain.part[kind])])
    if view.converting[w, c] and view.due[w, c] <= later:
        inside += 1
    start = free_at(chain, view, w, c, now)
    for _ in range(conversions_inside(chain, view, w, c)):
        if inside >= chain.max_output[kind] or start + chain.ticks[kind] > later:
            break
        inside += 1
        start += max(1, chain.ticks[kind] + chain.cooldown[kind])
    return inside


@inner
def first_output_at(chain: Chain, view: View, w: int, c: int, now: int) -> int:
    """When a mine can be emptied: now if it holds something."""
    entity = chain.num_agents + c
    if view.items[w, entity, output_item(part_at(chain, view, w, c))] > 0:
        return now
    return max(now, next_output_at(chain, view, w, c, now))
