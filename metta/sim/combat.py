"""Combat: who is hit by an attack, and what a hit does."""

from metta.sim.compiled import inner
from metta.sim.constants import COLUMN_STEP, NUM_RESOURCES, ROW_STEP
from metta.sim.episodes import ATTACKS_BLOCKED, ATTACKS_HIT, ITEMS_LOST_TO_THEFT, ITEMS_STOLEN
from metta.sim.inventory import gain, lose, room_for
from metta.sim.world_arrays import COLUMN, DEFENSE, FACE_STALE, FROZEN, ITEMS, ORIENTATION, ROW, Rules, World

SCANNED_CELLS = 9
NOBODY = -1


@inner
def attack(rules: Rules, world: World, attacker: int, k: int) -> bool:
    """Hit the k-th agent in front; False if there is nobody."""
    target = find_target(rules, world, attacker, k)
    if target == NOBODY:
        return False
    if is_defended(rules, world, target):
        for item in range(NUM_RESOURCES):
            if rules.amounts[DEFENSE, item] > 0:
                lose(world, target, item, rules.amounts[DEFENSE, item])
        world.counters[attacker, ATTACKS_BLOCKED] += 1
        return True
    was_frozen = world.entities[target, FROZEN] > 0
    world.entities[target, FROZEN] = rules.freeze_duration
    world.entities[target, FACE_STALE] = 1
    world.counters[attacker, ATTACKS_HIT] += 1
    if not was_frozen and target != attacker:
        steal(rules, world, attacker, target)
    return True


@inner
def find_target(rules: Rules, world: World, attacker: int, k: int) -> int:
    """The k-th agent in the 3 x 3 block in front (nearest row first; centre, left, right), the last if fewer."""
    target = NOBODY
    found = 0
    for index in range(SCANNED_CELLS):
        cell = scanned_cell(rules, world, attacker, index)
        if not 1 <= world.cells[cell] <= rules.num_agents:
            continue
        seen = False  # at a map edge several scanned cells are the same cell: its agent counts once
        for earlier in range(index):
            if scanned_cell(rules, world, attacker, earlier) == cell:
                seen = True
        if seen:
            continue
        target = world.cells[cell] - 1
        if found == k:
            return target
        found += 1
    return target


@inner
def scanned_cell(rules: Rules, world: World, attacker: int, index: int) -> int:
    """The index-th cell that an attacker scans, clamped into the map."""
    distance = index // 3 + 1
    place = index % 3
    aside = -1 if place == 2 else place  # centre 0, left 1, right -1
    forward_row = ROW_STEP[world.entities[attacker, ORIENTATION]]
    forward_column = COLUMN_STEP[world.entities[attacker, ORIENTATION]]
    row = world.entities[attacker, ROW] + distance * forward_row - aside * forward_column
    column = world.entities[attacker, COLUMN] + distance * forward_column + aside * forward_row
    row = min(max(row, 0), rules.height - 1)
    column = min(max(column, 0), rules.width - 1)
    return row * rules.width + column


@inner
def is_defended(rules: Rules, world: World, target: int) -> bool:
    """Whether a target holds everything that stops an attack."""
    needed = 0
    for item in range(NUM_RESOURCES):
        needed += rules.amounts[DEFENSE, item]
        if world.entities[target, ITEMS + item] < rules.amounts[DEFENSE, item]:
            return False
    return needed > 0


@inner
def steal(rules: Rules, world: World, attacker: int, target: int) -> None:
    """Move everything the target holds to the attacker, in id order, as far as there is room."""
    for item in range(NUM_RESOURCES):
        amount = min(world.entities[target, ITEMS + item], room_for(rules, world, attacker, item))
        if amount > 0:
            lose(world, target, item, amount)
            gain(world, attacker, item, amount)
            world.counters[attacker, ITEMS_STOLEN] += amount
            world.counters[target, ITEMS_LOST_TO_THEFT] += amount
