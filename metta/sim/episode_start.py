"""The start of an episode: its map, and a world built from it."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import NORTH, NUM_RESOURCES
from metta.sim.converters import start_if_possible
from metta.sim.faces import draw_agent, draw_converter, draw_wall
from metta.sim.map_generation import draw_room
from metta.sim.occupancy import flip
from metta.sim.randomness import PURPOSE_FIRST_LENGTH, PURPOSE_MAP, PURPOSE_ORDER, below, stream
from metta.sim.world_arrays import AGENT_CODE, EMPTY_CODE, FIRST_KIND_CODE, NEVER, Rules, Worlds


@inner
def start_episode(
    rules: Rules, worlds: Worlds, w: int, episode: int, random_length: bool, scratch: np.ndarray
) -> bool:
    """Start an episode of a world; False if no map could be drawn. A random length is 1 to max_steps."""
    seed = worlds.seed[0]
    world = worlds.world_index[w]
    if not draw_map(rules, stream(seed, world, episode, PURPOSE_MAP), worlds.start_cells[w], scratch):
        return False
    worlds.episode[w] = episode
    worlds.order_state[w] = stream(seed, world, episode, PURPOSE_ORDER)
    worlds.step[w] = 0
    worlds.last_step[w] = rules.max_steps
    if random_length:
        worlds.last_step[w] = 1 + below(stream(seed, world, episode, PURPOSE_FIRST_LENGTH), rules.max_steps)
    worlds.shown_action[w] = 0
    worlds.returns[w] = 0.0
    worlds.counters[w] = 0
    build(rules, worlds, w)
    return True


@inner
def draw_map(rules: Rules, state: np.uint64, cells: np.ndarray, scratch: np.ndarray) -> bool:
    """Write the codes of the fixed map, or of a random room."""
    if rules.start_cells.shape[0] > 0:
        for row in range(rules.height):
            for column in range(rules.width):
                cells[row, column] = rules.start_cells[row, column]
        return True
    return draw_room(rules, state, cells, scratch)


@inner
def build(rules: Rules, worlds: Worlds, w: int) -> None:
    """Put the objects of the start map into a world; agents and converters are numbered in row-major order."""
    worlds.cells[w] = 0
    worlds.occupied[w] = 0
    worlds.next_due[w] = NEVER
    agents = 0
    converters = 0
    for row in range(rules.height):
        for column in range(rules.width):
            code = np.int64(worlds.start_cells[w, row, column])
            if code == EMPTY_CODE:
                continue
            flip(rules, worlds, w, row, column)
            cell = row * rules.width + column
            kind = code - FIRST_KIND_CODE
            if code == AGENT_CODE:
                worlds.cells[w, cell] = 1 + agents
                add_agent(rules, worlds, w, agents, row, column)
                agents += 1
            elif rules.kind_converts[kind]:
                worlds.cells[w, cell] = 1 + rules.num_agents + converters
                add_converter(rules, worlds, w, converters, kind, row, column)
                converters += 1
            else:
                worlds.cells[w, cell] = -1 - kind
                draw_wall(rules, worlds, w, cell, kind)
    worlds.num_converters[w] = converters


@inner
def add_agent(rules: Rules, worlds: Worlds, w: int, agent: int, row: int, column: int) -> None:
    """An agent that faces north, holds what the rules give it, and was paid for nothing yet."""
    worlds.row[w, agent] = row
    worlds.column[w, agent] = column
    worlds.orientation[w, agent] = NORTH
    worlds.frozen[w, agent] = 0
    for item in range(NUM_RESOURCES):
        worlds.items[w, agent, item] = rules.start_items[agent, item]
    worlds.potential[w, agent] = 0.0
    worlds.items_changed[w, agent] = True
    worlds.face_stale[w, agent] = False
    draw_agent(rules, worlds, w, agent)


@inner
def add_converter(rules: Rules, worlds: Worlds, w: int, c: int, kind: int, row: int, column: int) -> None:
    """A converter with its initial outputs; it tries to start at once."""
    entity = rules.num_agents + c
    worlds.row[w, entity] = row
    worlds.column[w, entity] = column
    worlds.converter_kind[w, c] = kind
    worlds.converting[w, c] = False
    worlds.cooling[w, c] = False
    worlds.due[w, c] = NEVER
    worlds.conversions[w, c] = 0
    for item in range(NUM_RESOURCES):
        worlds.items[w, entity, item] = rules.initial_count[kind] if rules.recipe_out[kind, item] > 0 else 0
    start_if_possible(rules, worlds, w, c)
    draw_converter(rules, worlds, w, c)
