"""The tasks of a curriculum: the training environment with every combination of costs and initial counts.

K tasks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.config import CurriculumConfig
from metta.sim.config import ConverterConfig, SimConfig
from metta.sim.limits import arena_limit, hearts_at_start

ATTACK_PRICE = "laser"
"""Resource that an attack is paid with."""


@dataclass(frozen=True)
class Task:
    """One environment to train on."""

    choices: dict[str, int]
    """What was chosen on each axis: laser_cost, and initial_<converter> for each kind."""
    sim: SimConfig
    """The environment."""
    free: float
    """Hearts per agent that lie in the altars at the start: they only have to be taken."""
    limit: float
    """Hearts per agent that nobody can exceed in an episode; above `free`."""

    def success(self, hearts_per_agent: float) -> float:
        """The hearts of an episode that had to be made, as a share of those that can be made, in [0, 1]."""
        return min(1.0, max(0.0, (hearts_per_agent - self.free) / (self.limit - self.free)))


def make_tasks(sim: SimConfig, curriculum: CurriculumConfig, seed: int, episode_length: int) -> list[Task]:
    """All tasks of a curriculum, or `max_tasks` of them drawn by the seed; none when it is off.

    `episode_length` is the number of steps that a task's limit is for.

    Raises:
        InputError: the environment has no attack to price or no chain of machines that gives hearts.
    """
    if curriculum.sampler == "off":
        return []
    if "attack" not in sim.actions or ATTACK_PRICE not in sim.resource_names:
        raise InputError("a curriculum varies what an attack costs, but sim.actions has no attack paid with lasers.")
    converters = [name for name, thing in sim.objects.items() if isinstance(thing, ConverterConfig)]
    axes = {
        "laser_cost": curriculum.laser_costs,
        **{f"initial_{name}": curriculum.initial_counts for name in converters},
    }
    count = math.prod(len(values) for values in axes.values())
    numbers: Sequence[int] = range(count)
    if count > curriculum.max_tasks:
        generator = np.random.Generator(np.random.Philox(key=derive_seed(seed, "curriculum tasks")))
        numbers = sorted(generator.choice(count, curriculum.max_tasks, replace=False).tolist())
    return [make_task(sim, combination(axes, number), episode_length) for number in numbers]


def combination(axes: dict[str, tuple[int, ...]], number: int) -> dict[str, int]:
    """The values of the combination with this number; the last axis changes fastest."""
    chosen = {}
    for name in reversed(axes):
        number, place = divmod(number, len(axes[name]))
        chosen[name] = axes[name][place]
    return {name: chosen[name] for name in axes}


def make_task(sim: SimConfig, choices: dict[str, int], episode_length: int) -> Task:
    """The environment with these choices, for episodes of so many steps."""
    attack = sim.actions["attack"]
    priced = {**attack.consumed_resources, ATTACK_PRICE: float(choices["laser_cost"])}
    objects = {
        name: thing.model_copy(update={"initial_resource_count": choices[f"initial_{name}"]})
        if isinstance(thing, ConverterConfig)
        else thing
        for name, thing in sim.objects.items()
    }
    actions = {**sim.actions, "attack": attack.model_copy(update={"consumed_resources": priced})}
    own = sim.model_copy(update={"objects": objects, "actions": actions})
    free, limit = hearts_at_start(own), arena_limit(own.model_copy(update={"max_steps": episode_length})).hearts
    return Task(choices, own, free / own.num_agents, max(free + 1, limit) / own.num_agents)
