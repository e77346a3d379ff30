"""The blind player: the best that fixed action probabilities reach; what is above it has learned to look.

It puts, gets, or moves in a random direction. The probabilities were searched on tuning seeds, for each size of arena
and recipe of a heart that the five levels have, and for each wait of the memory ladder
(`uv run python benchmarks/blind_players.py`).
"""

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import SimConfig
from metta.sim.constants import FIRST_MOVE, GET_ITEMS, LAST_MOVE, NUM_ACTIONS, PUT_ITEMS
from metta.sim.scripted.chain import make_chain

FOUND: dict[tuple[int, int], tuple[float, float]] = {
    (1, 12): (0.3805, 0.269),
    (3, 16): (0.2263, 0.226),
    (3, 20): (0.32, 0.32),
    (3, 24): (0.2691, 0.269),
}
"""Batteries per heart and agents -> probabilities of put_items and get_items; the other steps are moves."""


FOUND_FOR_WAITS: dict[int, float] = {16: 0.761, 64: 0.761, 256: 0.453}
"""Where there are rounds: their wait -> probability of get_items; put_items is as good, so there is none of it."""


def blind_probabilities(config: SimConfig) -> NDArray[np.float64]:
    """[actions] probabilities for an environment: of the level in `FOUND` that is nearest in recipe, then in agents.

    Where there are rounds, those of the nearest wait. Raises InputError if the configuration holds neither rounds nor
    the arena's chain of mine, generator and altar.
    """
    if config.rounds is not None:
        wait = config.rounds.wait
        return spread_over_actions(0.0, FOUND_FOR_WAITS[min(FOUND_FOR_WAITS, key=lambda known: abs(known - wait))])
    batteries, agents = make_chain(config).battery_per_heart, config.num_agents
    nearest = min(FOUND, key=lambda known: (abs(known[0] - batteries), abs(known[1] - agents)))
    return spread_over_actions(*FOUND[nearest])


def spread_over_actions(put: float, get: float) -> NDArray[np.float64]:
    """[actions] probabilities of a player that puts and gets with these, and moves in its other steps."""
    probabilities = np.zeros(NUM_ACTIONS)
    probabilities[FIRST_MOVE : LAST_MOVE + 1] = (1 - put - get) / (LAST_MOVE + 1 - FIRST_MOVE)
    probabilities[PUT_ITEMS], probabilities[GET_ITEMS] = put, get
    return probabilities
