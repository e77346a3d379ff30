"""The arena's physical limit: a number of hearts that no player can exceed in one episode, and why.

Derivation. Ore, battery and heart each take their machine's rate, and every passing-on takes steps:

- Step 1 is the first action. A mine holds its first ore in step `ticks` (at once if it starts with some), and makes
  one more every `ticks + cooldown` steps.
- An agent that takes something in step x faces the machine it took it from, so it must at least turn: it can put it
  into another machine in step x + 1 + d at the earliest, where d >= 1 is the number of moves (steps to another
  cell, or turns) from facing one machine to facing the other. The output appears `ticks` steps after the put and
  can be taken in that step.
- So a generator's first own battery cannot exist before first ore + 1 + d + ticks; the last one that counts must be
  taken early enough to be carried to an altar and to be taken out as a heart by the last step. Between the two it
  makes at most one battery per `ticks + cooldown` steps. The same holds for the last ore of a mine and for the
  hearts of an altar.
- What machines hold at the start comes on top. Batteries are at most what the ore allows; hearts at most what the
  batteries allow. Unlimited numbers of agents, hands and luck are assumed; that mines and generators stop when full
  only lowers it.

`arena_limit` uses d = 1 everywhere (machines that stand diagonally to each other around an agent): the limit of a
level. `map_limit` measures every d, and the first walk to a mine, on one map: a tighter limit for that world. Where
agents can rob each other, items also move by attacks, over walls and several cells at once: d is 1 there, too.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from metta.base.errors import InputError
from metta.sim.config import ConverterConfig, FixedMap, SimConfig
from metta.sim.constants import COLUMN_STEP, NORTH, RESOURCES, ROW_STEP
from metta.sim.scripted.chain import ALTAR, BATTERY, GENERATOR, HEART, MINE, ORE, make_chain, part_of

Cell = tuple[int, int]
Distances = dict[Cell, int]


class Limit(NamedTuple):
    """Most that one world can yield in an episode."""

    ore: int
    """Ore that can still become a heart."""
    batteries: int
    """Batteries that can still become a heart."""
    hearts: int
    """Hearts held by all agents together at the end."""
    bottleneck: str
    """What bounds the hearts: mine, generator or altar."""


class Machine(NamedTuple):
    """The numbers of one part of the chain."""

    ticks: int
    period: int
    initial: int
    needs: int


def machines(config: SimConfig) -> dict[int, tuple[str, Machine]]:
    """Name and numbers of mine, generator and altar. Raises InputError for a world without this chain."""
    make_chain(config)
    if config.agent.initial_inventory or config.agent_initial_inventory:
        raise InputError("the limit is derived for agents that start with empty hands")
    needed = {MINE: "", GENERATOR: RESOURCES[ORE], ALTAR: RESOURCES[BATTERY]}
    found = {}
    for name, thing in config.objects.items():
        part = part_of(thing)
        if isinstance(thing, ConverterConfig) and part in needed:
            ticks = thing.conversion_ticks
            needs = thing.input_resources.get(needed[part], 0)
            numbers = Machine(ticks, max(1, ticks + thing.cooldown), thing.initial_resource_count, needs)
            found[part] = (name, numbers)
    return found


def counts(config: SimConfig, name: str) -> int:
    """How many of an object stand on a map of this configuration."""
    world = config.world
    if isinstance(world, FixedMap):
        return sum(world.kind_at(character) == name for row in world.rows for character in row)
    return world.objects.get(name, 0)


def made(first: int, last: int, period: int) -> int:
    """Outputs that appear in steps first..last, the first of them in step `first`."""
    return 0 if last < first else (last - first) // period + 1


def combine(config: SimConfig, ore: int, ready: int, made_batteries: int, hearts: int, made_hearts: int) -> Limit:
    """The chain's limit from its parts: ready batteries and hearts, and what the machines can make."""
    parts = machines(config)
    from_ore = ore // max(1, parts[GENERATOR][1].needs)
    batteries = ready + min(made_batteries, from_ore)
    from_batteries = batteries // max(1, parts[ALTAR][1].needs)
    bottleneck = "generator" if made_batteries <= from_ore else "mine"
    if made_hearts < from_batteries:
        bottleneck = "altar"
    return Limit(ore, batteries, hearts + min(made_hearts, from_batteries), bottleneck)


def arena_limit(config: SimConfig) -> Limit:
    """The limit of every map of a configuration. Raises InputError for a world without the chain."""
    parts = machines(config)
    (mine_name, mine), (generator_name, generator), (altar_name, altar) = parts[MINE], parts[GENERATOR], parts[ALTAR]
    num_mines, num_generators, num_altars = (counts(config, name) for name in (mine_name, generator_name, altar_name))
    first_ore = 1 if mine.initial else max(1, mine.ticks)
    first_battery = first_ore + 2 + generator.ticks
    first_heart = (1 if generator.initial else first_battery) + 2 + altar.ticks
    last_battery = config.max_steps - 2 - altar.ticks
    last_ore = last_battery - 2 - generator.ticks
    return combine(
        config,
        ore=num_mines * (mine.initial + made(max(1, mine.ticks), last_ore, mine.period)),
        ready=num_generators * generator.initial,
        made_batteries=num_generators * made(first_battery, last_battery, generator.period),
        hearts=hearts_at_start(config),
        made_hearts=num_altars * made(first_heart, config.max_steps, altar.period),
    )


def hearts_at_start(config: SimConfig) -> int:
    """Hearts that lie in the altars of a world at the start. Raises InputError for a world without the chain."""
    name, altar = machines(config)[ALTAR]
    return counts(config, name) * altar.initial


def map_limit(config: SimConfig, rows: Sequence[str], legend: dict[str, str]) -> Limit:
    """The limit of one map, agents included, with all walks measured.

    Args:
        config: the rules.
        rows: the map at the start of the episode, one character per cell (`VectorEnv.start_rows`).
        legend: character -> "empty", "agent" or an object's name (`VectorEnv.legend`).

    Raises InputError for a world without the chain.
    """
    parts = machines(config)
    (mine_name, mine), (generator_name, generator), (altar_name, altar) = parts[MINE], parts[GENERATOR], parts[ALTAR]
    cells = {(r, c): legend[character] for r, row in enumerate(rows) for c, character in enumerate(row)}
    open_cells = {cell for cell, name in cells.items() if name in ("empty", "agent")}
    agents = [cell for cell, name in cells.items() if name == "agent"]
    reached = reachable(agents, open_cells)

    def standing(name: str) -> list[Cell]:
        return [cell for cell, what in cells.items() if what == name and any(n in reached for n in around(cell))]

    mines, generators, altars = standing(mine_name), standing(generator_name), standing(altar_name)
    to_generator = {g: moves_to(g, open_cells) for g in generators}
    to_altar = {a: moves_to(a, open_cells) for a in altars}
    if config.can_attack:
        to_generator, to_altar = ({m: dict.fromkeys(open_cells, 1) for m in some} for some in (generators, altars))
    first_ore = {m: first_taking(m, agents, open_cells, mine) for m in mines}
    last_battery = {g: config.max_steps - 1 - altar.ticks - nearest(g, to_altar, reached) for g in generators}
    made_batteries = 0
    for g in generators:
        fed = min((first_ore[m] + 1 + between(m, to_generator[g], reached) for m in mines), default=config.max_steps)
        made_batteries += made(fed + generator.ticks, last_battery[g], generator.period)
    ore = 0
    for m in mines:
        last_ore = max(
            (last_battery[g] - generator.ticks - 1 - between(m, to_generator[g], reached) for g in generators),
            default=0,
        )
        ore += mine.initial + made(max(1, mine.ticks), last_ore, mine.period)
    return combine(
        config,
        ore=ore,
        ready=len(generators) * generator.initial,
        made_batteries=made_batteries,
        hearts=len(altars) * altar.initial,
        made_hearts=len(altars) * made(1 + altar.ticks, config.max_steps, altar.period),
    )


def around(cell: Cell) -> Iterator[Cell]:
    """The four neighbours."""
    for row_step, column_step in zip(ROW_STEP, COLUMN_STEP, strict=True):
        yield cell[0] + row_step, cell[1] + column_step


def reachable(starts: Sequence[Cell], open_cells: set[Cell]) -> set[Cell]:
    """Cells that somebody can walk to."""
    seen = set(starts)
    queue = deque(starts)
    while queue:
        for beside in around(queue.popleft()):
            if beside in open_cells and beside not in seen:
                seen.add(beside)
                queue.append(beside)
    return seen


def moves_to(target: Cell, open_cells: set[Cell]) -> Distances:
    """Moves from each cell until an agent faces the target, unless it does already: the last is a turn or a step up."""
    distance: Distances = {}
    for direction in range(4):
        beside = target[0] - ROW_STEP[direction], target[1] - COLUMN_STEP[direction]
        behind = beside[0] - ROW_STEP[direction], beside[1] - COLUMN_STEP[direction]
        if beside in open_cells:
            distance[beside] = 1
            if behind in open_cells:
                distance[behind] = 1
    queue = deque(distance)
    while queue:
        cell = queue.popleft()
        for beside in around(cell):
            if beside in open_cells and beside not in distance:
                distance[beside] = distance[cell] + 1
                queue.append(beside)
    return distance


NEVER = 1 << 30


def between(source: Cell, distance: Distances, reached: set[Cell]) -> int:
    """Fewest moves from facing a machine to facing another one."""
    return min((distance.get(cell, NEVER) for cell in around(source) if cell in reached), default=NEVER)


def nearest(source: Cell, distances: dict[Cell, Distances], reached: set[Cell]) -> int:
    """Fewest moves from facing a machine to facing the nearest of others."""
    return min((between(source, distance, reached) for distance in distances.values()), default=NEVER)


def first_taking(mine_cell: Cell, agents: Sequence[Cell], open_cells: set[Cell], mine: Machine) -> int:
    """First step in which somebody can take ore from a mine; agents face north at the start."""
    front = mine_cell[0] - ROW_STEP[NORTH], mine_cell[1] - COLUMN_STEP[NORTH]
    distance = moves_to(mine_cell, open_cells)
    moves = min((0 if agent == front else distance.get(agent, NEVER) for agent in agents), default=NEVER)
    return max(1 + moves, 1 if mine.initial else mine.ticks)


assert RESOURCES[HEART] == "heart"
