"""Combat: who is hit by an attack, and what a hit does."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.constants import COLUMN_STEP, NUM_RESOURCES, ROW_STEP
from metta.sim.episodes import ATTACKS_BLOCKED, ATTACKS_HIT, ITEMS_LOST_TO_THEFT, ITEMS_STOLEN
from metta.sim.inventory import gain, lose, room_for
from metta.sim.world_arrays import Rules, Worlds

SCANNED_CELLS = 9
NOBODY = -1


@inner
def attack(rules: Rules, worlds: Worlds, w: int, attacker: int, k: int) -> bool:
    """Hit the k-th agent in front; False if there is nobody."""
    target = find_target(rules, worlds, w, attacker, k)
    if target == NOBODY:
        return False
    if is_defended(rules, worlds, w, target):
        for item in range(NUM_RESOURCES):
            if rules.defense[item] > 0:
                lose(worlds, w, target, item, rules.defense[item])
        worlds.counters[w, attacker, ATTACKS_BLOCKED] += 1
        return True
    was_frozen = worlds.frozen[w, target] > 0
    worlds.frozen[w, target] = rules.freeze_duration
    worlds.face_stale[w, target] = True
    worlds.counters[w, attacker, ATTACKS_HIT] += 1
    if not was_frozen and target != attacker:
        steal(rules, worlds, w, attacker, target)
    return True


@inner
def find_target(rules: Rules, worlds: Worlds, w: int, attacker: int, k: int) -> int:
    """The k-th agent in the 3 x 3 block in front (nearest row first; centre, left, right), the last if fewer."""
    target = NOBODY
    found = 0
    for index in range(SCANNED_CELLS):
        cell = scanned_cell(rules, worlds, w, attacker, index)
        if not 1 <= worlds.cells[w, cell] <= rules.num_agents:
            continue
        seen = False  # at a map edge several scanned cells are the same cell: its agent counts once
        for earlier in range(index):
            if scanned_cell(rules, worlds, w, attacker, earlier) == cell:
                seen = True
        if seen:
            continue
        target = worlds.cells[w, cell] - 1
        if found == k:
            return target
        found += 1
    return target


@inner
def scanned_cell(rules: Rules, worlds: Worlds, w: int, attacker: int, index: int) -> int:
    """The index-th cell that an attacker scans, clamped into the map."""
    distance = index // 3 + 1
    place = index % 3
    aside = -1 if place == 2 else place  # centre 0, left 1, right -1
    forward_row = ROW_STEP[worlds.orientation[w, attacker]]
    forward_column = COLUMN_STEP[worlds.orientation[w, attacker]]
    row = worlds.row[w, attacker] + distance * forward_row - aside * forward_column
    column = worlds.column[w, attacker] + distance * forward_column + aside * forward_row
    row = min(max(row, 0), rules.height - 1)
    column = min(max(column, 0), rules.width - 1)
    return row * rules.width + column


@inner
def is_defended(rules: Rules, worlds: Worlds, w: int, target: int) -> bool:
    """Whether a target holds everything that stops an attack."""
    if not rules.defense_exists:
        return False
    for item in range(NUM_RESOURCES):
        if worlds.items[w, target, item] < rules.defense[item]:
            return False
    return True


@inner
def steal(rules: Rules, worlds: Worlds, w: int, attacker: int, target: int) -> None:
    """Move everything the target holds to the attacker, in id order, as far as there is room."""
    for item in range(NUM_RESOURCES):
        amount = min(np.int64(worlds.items[w, target, item]), room_for(rules, worlds, w, attacker, item))
        if amount > 0:
            lose(worlds, w, target, item, amount)
            gain(worlds, w, attacker, item, amount)
            worlds.counters[w, attacker, ITEMS_STOLEN] += np.int32(amount)
            worlds.counters[w, target, ITEMS_LOST_TO_THEFT] += np.int32(amount)
