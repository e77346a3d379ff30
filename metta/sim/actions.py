"""Actions: what each of the sixteen does, what it costs, and what a failure costs."""

import numpy as np

from metta.sim.combat import attack
from metta.sim.compiled import inner
from metta.sim.constants import (
    ACTION_GROUPS,
    COLUMN_STEP,
    FIRST_ATTACK,
    FIRST_MOVE,
    GET_ITEMS,
    LAST_ATTACK,
    LAST_MOVE,
    MAX_AMOUNT,
    NOOP,
    NUM_RESOURCES,
    PUT_ITEMS,
    ROW_STEP,
)
from metta.sim.converters import start_if_possible
from metta.sim.episodes import ATTACKS_TRIED, FAILED_ACTIONS, MOVES, STEPS_FROZEN
from metta.sim.faces import draw_converter
from metta.sim.inventory import can_pay, gain, lose, pay, room_for
from metta.sim.occupancy import flip
from metta.sim.rounds import answer
from metta.sim.window import Window
from metta.sim.world_arrays import (
    COLUMN,
    FACE_STALE,
    FROZEN,
    ITEMS,
    KIND,
    ORACLE,
    ORIENTATION,
    RECIPE_IN,
    RECIPE_OUT,
    ROW,
    Rules,
    World,
)

GROUP_NOOP = ACTION_GROUPS.index("noop")
GROUP_MOVE = ACTION_GROUPS.index("move")
GROUP_PUT = ACTION_GROUPS.index("put_items")
GROUP_GET = ACTION_GROUPS.index("get_items")
GROUP_ATTACK = ACTION_GROUPS.index("attack")
NO_CONVERTER = -1


@inner
def is_attack(action: int) -> bool:
    """Attacks come before all other actions of a step."""
    return FIRST_ATTACK <= action <= LAST_ATTACK


@inner
def is_valid(action: int) -> bool:
    """An action that exists."""
    return NOOP <= action <= LAST_ATTACK


@inner
def act(rules: Rules, world: World, window: Window, agent: int, action: int, rewards: np.ndarray) -> bool:
    """Carry out a valid action; False if it failed. `rewards` [A] is the world's part."""
    if world.entities[agent, FROZEN] > 0:
        world.entities[agent, FROZEN] -= 1
        world.entities[agent, FACE_STALE] = 1
        world.counters[agent, STEPS_FROZEN] += 1
        world.counters[agent, FAILED_ACTIONS] += 1
        return False
    group = group_of(action)
    if group == GROUP_ATTACK:
        world.counters[agent, ATTACKS_TRIED] += 1
    if can_pay(rules, world, agent, group) and carry_out(rules, world, window, agent, action, group):
        pay(rules, world, agent, group)
        return True
    world.counters[agent, FAILED_ACTIONS] += 1
    rewards[agent] -= rules.failure_penalty
    return False


@inner
def refuse(rules: Rules, world: World, agent: int, rewards: np.ndarray) -> None:
    """An action that does not exist fails once per priority, also for a frozen agent, which stays as frozen."""
    world.counters[agent, FAILED_ACTIONS] += 1
    rewards[agent] -= rules.failure_penalty
    rewards[agent] -= rules.failure_penalty


@inner
def group_of(action: int) -> int:
    """Which of ACTION_GROUPS a valid action belongs to."""
    if action == NOOP:
        return GROUP_NOOP
    if action <= LAST_MOVE:
        return GROUP_MOVE
    if action == PUT_ITEMS:
        return GROUP_PUT
    if action == GET_ITEMS:
        return GROUP_GET
    return GROUP_ATTACK


@inner
def carry_out(rules: Rules, world: World, window: Window, agent: int, action: int, group: int) -> bool:
    """The effect of an action; False if it failed."""
    if group == GROUP_MOVE:
        return move(rules, world, window, agent, action - FIRST_MOVE)
    if group == GROUP_PUT:
        return put_items(rules, world, agent)
    if group == GROUP_GET:
        return get_items(rules, world, agent)
    if group == GROUP_ATTACK:
        return attack(rules, world, agent, action - FIRST_ATTACK)
    return True


@inner
def move(rules: Rules, world: World, window: Window, agent: int, orientation: int) -> bool:
    """Turn, then step if the cell is free; another agent in the way is a success without a step."""
    world.entities[agent, ORIENTATION] = orientation
    world.entities[agent, FACE_STALE] = 1
    row = world.entities[agent, ROW]
    column = world.entities[agent, COLUMN]
    new_row = row + ROW_STEP[orientation]
    new_column = column + COLUMN_STEP[orientation]
    if not (0 <= new_row < rules.height and 0 <= new_column < rules.width):
        return False
    occupant = world.cells[new_row * rules.width + new_column]
    if occupant != 0:
        return 1 <= occupant <= rules.num_agents
    world.cells[row * rules.width + column] = 0
    world.cells[new_row * rules.width + new_column] = 1 + agent
    flip(world, window, row, column)
    flip(world, window, new_row, new_column)
    world.entities[agent, ROW] = new_row
    world.entities[agent, COLUMN] = new_column
    world.counters[agent, MOVES] += 1
    return True


@inner
def converter_in_front(rules: Rules, world: World, agent: int) -> int:
    """The entity of the converter that an agent faces, or NO_CONVERTER."""
    row = world.entities[agent, ROW] + ROW_STEP[world.entities[agent, ORIENTATION]]
    column = world.entities[agent, COLUMN] + COLUMN_STEP[world.entities[agent, ORIENTATION]]
    if not (0 <= row < rules.height and 0 <= column < rules.width):
        return NO_CONVERTER
    entity = world.cells[row * rules.width + column] - 1
    return entity if entity >= rules.num_agents else NO_CONVERTER


@inner
def put_items(rules: Rules, world: World, agent: int) -> bool:
    """Put one recipe's worth of inputs, or what is held of it, into the converter in front, or answer an oracle."""
    entity = converter_in_front(rules, world, agent)
    if entity == NO_CONVERTER:
        return False
    kind = world.entities[entity, KIND]
    if rules.kinds[kind, ORACLE] != 0:
        return answer(rules, world, agent, kind, PUT_ITEMS)
    moved = False
    for item in range(NUM_RESOURCES):
        room = MAX_AMOUNT - world.entities[entity, ITEMS + item]
        amount = min(rules.kinds[kind, RECIPE_IN + item], world.entities[agent, ITEMS + item], room)
        if amount > 0:
            lose(world, agent, item, amount)
            world.entities[entity, ITEMS + item] += amount
            start_if_possible(rules, world, entity)
            moved = True
    if moved:
        draw_converter(rules, world, entity)
    return moved


@inner
def get_items(rules: Rules, world: World, agent: int) -> bool:
    """Take all of each output of the converter in front that there is room for, or answer an oracle."""
    entity = converter_in_front(rules, world, agent)
    if entity == NO_CONVERTER:
        return False
    kind = world.entities[entity, KIND]
    if rules.kinds[kind, ORACLE] != 0:
        return answer(rules, world, agent, kind, GET_ITEMS)
    moved = False
    for item in range(NUM_RESOURCES):
        if rules.kinds[kind, RECIPE_OUT + item] > 0:
            amount = min(world.entities[entity, ITEMS + item], room_for(rules, world, agent, item))
            if amount > 0:
                world.entities[entity, ITEMS + item] -= amount
                gain(world, agent, item, amount)
                start_if_possible(rules, world, entity)
                moved = True
    if moved:
        draw_converter(rules, world, entity)
    return moved
