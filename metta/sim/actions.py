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
    NOOP,
    NUM_RESOURCES,
    PUT_ITEMS,
    ROW_STEP,
)
from metta.sim.converters import put_recipe, start_if_possible
from metta.sim.episodes import ATTACKS_TRIED, FAILED_ACTIONS, MOVES, STEPS_FROZEN
from metta.sim.faces import draw_converter
from metta.sim.inventory import can_pay, gain, lose, pay, room_for
from metta.sim.occupancy import flip
from metta.sim.world_arrays import Rules, Worlds

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
def act(rules: Rules, worlds: Worlds, w: int, agent: int, action: int, rewards: np.ndarray) -> bool:
    """Carry out a valid action; False if it failed. `rewards` [A] is the world's part."""
    if worlds.frozen[w, agent] > 0:
        worlds.frozen[w, agent] -= 1
        worlds.face_stale[w, agent] = True
        worlds.counters[w, agent, STEPS_FROZEN] += 1
        worlds.counters[w, agent, FAILED_ACTIONS] += 1
        return False
    group = group_of(action)
    if group == GROUP_ATTACK:
        worlds.counters[w, agent, ATTACKS_TRIED] += 1
    if can_pay(rules, worlds, w, agent, group) and carry_out(rules, worlds, w, agent, action, group):
        pay(rules, worlds, w, agent, group)
        return True
    worlds.counters[w, agent, FAILED_ACTIONS] += 1
    rewards[agent] -= rules.failure_penalty
    return False


@inner
def refuse(rules: Rules, worlds: Worlds, w: int, agent: int, rewards: np.ndarray) -> None:
    """An action that does not exist fails once per priority, also for a frozen agent, which stays as frozen."""
    worlds.counters[w, agent, FAILED_ACTIONS] += 1
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
def carry_out(rules: Rules, worlds: Worlds, w: int, agent: int, action: int, group: int) -> bool:
    """The effect of an action; False if it failed."""
    if group == GROUP_MOVE:
        return move(rules, worlds, w, agent, action - FIRST_MOVE)
    if group == GROUP_PUT:
        return put_items(rules, worlds, w, agent)
    if group == GROUP_GET:
        return get_items(rules, worlds, w, agent)
    if group == GROUP_ATTACK:
        return attack(rules, worlds, w, agent, action - FIRST_ATTACK)
    return True


@inner
def move(rules: Rules, worlds: Worlds, w: int, agent: int, orientation: int) -> bool:
    """Turn, then step if the cell is free; another agent in the way is a success without a step."""
    worlds.orientation[w, agent] = orientation
    worlds.face_stale[w, agent] = True
    row = np.int64(worlds.row[w, agent])
    column = np.int64(worlds.column[w, agent])
    new_row = row + ROW_STEP[orientation]
    new_column = column + COLUMN_STEP[orientation]
    if not (0 <= new_row < rules.height and 0 <= new_column < rules.width):
        return False
    occupant = worlds.cells[w, new_row * rules.width + new_column]
    if occupant != 0:
        return 1 <= occupant <= rules.num_agents
    worlds.cells[w, row * rules.width + column] = 0
    worlds.cells[w, new_row * rules.width + new_column] = 1 + agent
    flip(rules, worlds, w, row, column)
    flip(rules, worlds, w, new_row, new_column)
    worlds.row[w, agent] = new_row
    worlds.column[w, agent] = new_column
    worlds.counters[w, agent, MOVES] += 1
    return True


@inner
def converter_in_front(rules: Rules, worlds: Worlds, w: int, agent: int) -> int:
    """The converter an agent faces, or NO_CONVERTER."""
    row = worlds.row[w, agent] + ROW_STEP[worlds.orientation[w, agent]]
    column = worlds.column[w, agent] + COLUMN_STEP[worlds.orientation[w, agent]]
    if not (0 <= row < rules.height and 0 <= column < rules.width):
        return NO_CONVERTER
    return max(worlds.cells[w, row * rules.width + column] - 1 - rules.num_agents, NO_CONVERTER)


@inner
def put_items(rules: Rules, worlds: Worlds, w: int, agent: int) -> bool:
    """Put one recipe's worth of inputs, or what is held of it, into the converter in front."""
    c = converter_in_front(rules, worlds, w, agent)
    if c == NO_CONVERTER:
        return False
    moved = False
    for item in range(NUM_RESOURCES):
        amount = put_recipe(rules, worlds, w, c, item, np.int64(worlds.items[w, agent, item]))
        if amount > 0:
            lose(worlds, w, agent, item, amount)
            worlds.items[w, rules.num_agents + c, item] += np.uint8(amount)
            start_if_possible(rules, worlds, w, c)
            moved = True
    if moved:
        draw_converter(rules, worlds, w, c)
    return moved


@inner
def get_items(rules: Rules, worlds: Worlds, w: int, agent: int) -> bool:
    """Take all of each output of the converter in front that there is room for."""
    c = converter_in_front(rules, worlds, w, agent)
    if c == NO_CONVERTER:
        return False
    kind = worlds.converter_kind[w, c]
    entity = rules.num_agents + c
    moved = False
    for item in range(NUM_RESOURCES):
        if rules.recipe_out[kind, item] > 0:
            amount = min(np.int64(worlds.items[w, entity, item]), room_for(rules, worlds, w, agent, item))
            if amount > 0:
                worlds.items[w, entity, item] -= np.uint8(amount)
                gain(worlds, w, agent, item, amount)
                start_if_possible(rules, worlds, w, c)
                moved = True
    if moved:
        draw_converter(rules, worlds, w, c)
    return moved
