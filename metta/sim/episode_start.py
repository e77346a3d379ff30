"""The start of an episode: its map, and a world built from it."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import NORTH, NUM_RESOURCES
from metta.sim.converters import start_if_possible
from metta.sim.faces import draw_agent, draw_converter, draw_wall
from metta.sim.map_generation import draw_room
from metta.sim.occupancy import flip
from metta.sim.randomness import PURPOSE_FIRST_LENGTH, PURPOSE_MAP, PURPOSE_ORDER, PURPOSE_VARIANT, below, stream
from metta.sim.rounds import begin_round
from metta.sim.variants import draw_variant
from metta.sim.window import Window
from metta.sim.world_arrays import (
    AGENT_CODE,
    COLUMN,
    CONVERSIONS,
    CONVERTING,
    CONVERTS,
    COOLING,
    DUE,
    EMPTY_CODE,
    EPISODE,
    FACE_STALE,
    FIRST_KIND_CODE,
    FROZEN,
    INITIAL,
    ITEMS,
    ITEMS_CHANGED,
    KIND,
    LAST_STEP,
    NEVER,
    NEXT_DUE,
    NUM_CONVERTERS,
    ORDER_STATE,
    ORIENTATION,
    POTENTIAL,
    RECIPE_OUT,
    RETURN,
    ROUNDS,
    ROW,
    SEED,
    SHOWN_ACTION,
    START_ITEMS,
    STEP,
    VARIANT,
    WORLD_INDEX,
    Rules,
    World,
)


@inner
def choose_variant(world: World, thresholds: np.ndarray, episode: int) -> None:
    """Draw the variant of an episode: a function of seed, world, episode and the weights of the moment alone."""
    state = stream(np.uint64(world.clock[SEED]), world.clock[WORLD_INDEX], episode, PURPOSE_VARIANT)
    world.clock[VARIANT] = draw_variant(thresholds, state)


@inner
def start_episode(
    rules: Rules,
    world: World,
    window: Window,
    start_cells: np.ndarray,
    episode: int,
    longest: int,
    random_length: bool,
    scratch: np.ndarray,
) -> bool:
    """Start an episode of a world; False if no map could be drawn.

    Args:
        start_cells: uint8 [H, V] codes of the start map; drawn anew for rooms, as it is for a fixed map.
        longest: end the episode after so many steps, 1 to max_steps.
        random_length: end it after 1 to `longest` steps instead, uniformly drawn.
        scratch: int32 [2 * H * V + K] of any content.
    """
    seed = np.uint64(world.clock[SEED])
    index = world.clock[WORLD_INDEX]
    map_state = stream(seed, index, episode, PURPOSE_MAP)
    if rules.random_maps and not draw_room(rules, map_state, start_cells, scratch):
        return False
    world.clock[EPISODE] = episode
    world.clock[ORDER_STATE] = np.int64(stream(seed, index, episode, PURPOSE_ORDER))
    world.clock[STEP] = 0
    world.clock[LAST_STEP] = longest
    if random_length:
        length_state = stream(seed, index, episode, PURPOSE_FIRST_LENGTH)
        world.clock[LAST_STEP] = 1 + below(length_state, longest)
    build(rules, world, window, start_cells)
    return True


@inner
def build(rules: Rules, world: World, window: Window, start_cells: np.ndarray) -> None:
    """Put the objects of the start map into a world; agents and converters are numbered in row-major order."""
    world.cells[:] = 0
    world.occupied[:] = 0
    world.clock[NEXT_DUE] = NEVER
    agents = 0
    converters = 0
    for row in range(rules.height):
        for column in range(rules.width):
            code = np.int64(start_cells[row, column])
            if code == EMPTY_CODE:
                continue
            flip(world, window, row, column)
            cell = row * rules.width + column
            kind = code - FIRST_KIND_CODE
            if code == AGENT_CODE:
                world.cells[cell] = 1 + agents
                add_agent(rules, world, agents, row, column)
                agents += 1
            elif rules.kinds[kind, CONVERTS] != 0:
                entity = rules.num_agents + converters
                world.cells[cell] = 1 + entity
                add_converter(rules, world, entity, kind, row, column)
                converters += 1
            else:
                world.cells[cell] = -1 - kind
                draw_wall(rules, world, cell, kind)
    world.clock[NUM_CONVERTERS] = converters


@inner
def add_agent(rules: Rules, world: World, agent: int, row: int, column: int) -> None:
    """An agent that faces north, holds what the rules give it, and was paid for nothing yet."""
    world.entities[agent, ROW] = row
    world.entities[agent, COLUMN] = column
    world.entities[agent, ORIENTATION] = NORTH
    world.entities[agent, FROZEN] = 0
    world.entities[agent, SHOWN_ACTION] = 0
    world.entities[agent, FACE_STALE] = 0
    world.entities[agent, ITEMS_CHANGED] = 1
    for item in range(NUM_RESOURCES):
        world.entities[agent, ITEMS + item] = rules.amounts[START_ITEMS + agent, item]
    world.account[agent, POTENTIAL] = 0.0
    world.account[agent, RETURN] = 0.0
    world.counters[agent] = 0
    if rules.wait > 0:
        world.entities[agent, ROUNDS] = 0
        begin_round(rules, world, agent)
    draw_agent(rules, world, agent)


@inner
def add_converter(rules: Rules, world: World, entity: int, kind: int, row: int, column: int) -> None:
    """A converter with its initial outputs; it tries to start at once."""
    world.entities[entity, ROW] = row
    world.entities[entity, COLUMN] = column
    world.entities[entity, KIND] = kind
    world.entities[entity, CONVERTING] = 0
    world.entities[entity, COOLING] = 0
    world.entities[entity, DUE] = NEVER
    world.entities[entity, CONVERSIONS] = 0
    for item in range(NUM_RESOURCES):
        is_output = rules.kinds[kind, RECIPE_OUT + item] > 0
        world.entities[entity, ITEMS + item] = rules.kinds[kind, INITIAL] if is_output else 0
    start_if_possible(rules, world, entity)
    draw_converter(rules, world, entity)
