"""What the chain ore -> battery -> heart is made of in a configuration: kinds of machine, recipes, durations.

K kinds of object.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.base.errors import InputError
from metta.sim.config import ConverterConfig, SimConfig
from metta.sim.constants import HEART, NUM_RESOURCES, RESOURCES

ORE = RESOURCES.index("ore_red")
BATTERY = RESOURCES.index("battery_red")

OTHER = 0
MINE = 1
GENERATOR = 2
ALTAR = 3
"""Parts in the chain. Laseries and armories are OTHER: see player.py for why neither pays."""


# Columns of Chain.kinds.
PART = 0
"""OTHER, MINE, GENERATOR or ALTAR."""
TICKS = 1
"""Steps from start to output."""
COOLDOWN = 2
"""Steps after the output."""
MAX_OUTPUT = 3
"""Outputs inside at which nothing starts; a large number if there is no limit."""


class Chain(NamedTuple):
    """The numbers that the planner needs; read by kernels, never written."""

    num_agents: int
    height: int
    width: int
    last_step: int
    """Steps of an episode."""
    kinds: NDArray[np.int32]
    """[K, 4] PART, TICKS, COOLDOWN, MAX_OUTPUT of each kind."""
    ore_per_battery: int
    battery_per_heart: int
    mines_per_generator: int
    """Mines that keep one generator busy."""
    generators_per_altar: int
    """Generators whose batteries one altar can take."""
    room: NDArray[np.int32]
    """[10] most an agent holds."""


def part_of(thing: object) -> int:
    """Which part of the chain an object is."""
    if not isinstance(thing, ConverterConfig):
        return OTHER
    needs = {name for name, amount in thing.input_resources.items() if amount}
    makes = {name for name, amount in thing.output_resources.items() if amount}
    if not needs and makes == {RESOURCES[ORE]}:
        return MINE
    if needs == {RESOURCES[ORE]} and makes == {RESOURCES[BATTERY]}:
        return GENERATOR
    if needs == {RESOURCES[BATTERY]} and makes == {RESOURCES[HEART]}:
        return ALTAR
    return OTHER


def make_chain(config: SimConfig) -> Chain:
    """The chain of a configuration; raises InputError if it is not one red mine, one generator and one altar."""
    if config.resource_names != RESOURCES:
        raise InputError("the scripted player knows only the arena's own resources")
    things = list(config.objects.values())
    part = [part_of(thing) for thing in things]
    machines: list[ConverterConfig] = []
    for wanted, name in ((MINE, "mine"), (GENERATOR, "generator"), (ALTAR, "altar")):
        found = [thing for thing, is_part in zip(things, part, strict=True) if is_part == wanted]
        if len(found) != 1 or not isinstance(found[0], ConverterConfig):
            raise InputError(f"the scripted player needs exactly one kind of {name} for red ore, not {len(found)}")
        if found[0].max_conversions >= 0 or max(found[0].output_resources.values()) != 1:
            raise InputError(
                f"the scripted player needs a {name} without max_conversions that makes one item at a time"
            )
        machines.append(found[0])
    mine, generator, altar = machines
    needed = altar.input_resources[RESOURCES[BATTERY]]
    if 0 <= generator.max_output < needed:
        raise InputError(
            f"the scripted player needs a generator that holds the batteries of a heart: max_output is "
            f"{generator.max_output}, the altar needs {needed}"
        )
    ore_per_battery = generator.input_resources[RESOURCES[ORE]]

    def per_kind(field: str) -> NDArray[np.int32]:
        return np.array(
            [getattr(thing, field) if isinstance(thing, ConverterConfig) else 0 for thing in things], np.int32
        )

    max_output = per_kind("max_output")
    limits = config.agent.resource_limits
    demand = (mine.conversion_ticks + mine.cooldown) * ore_per_battery
    supply = max(1, generator.conversion_ticks + generator.cooldown)
    altar_period = max(1, altar.conversion_ticks + altar.cooldown)
    return Chain(
        num_agents=config.num_agents,
        height=config.map_height,
        width=config.map_width,
        last_step=config.max_steps,
        kinds=np.stack(
            [
                np.array(part, np.int32),
                per_kind("conversion_ticks"),
                per_kind("cooldown"),
                np.where(max_output < 0, 1 << 20, max_output).astype(np.int32),
            ],
            axis=1,
        ),
        ore_per_battery=ore_per_battery,
        battery_per_heart=needed,
        mines_per_generator=max(1, -(-demand // supply)),
        generators_per_altar=max(1, supply * altar.input_resources[RESOURCES[BATTERY]] // altar_period),
        room=np.array([limits.get(name, config.agent.default_resource_limit) for name in RESOURCES], np.int32),
    )


assert len(RESOURCES) == NUM_RESOURCES
