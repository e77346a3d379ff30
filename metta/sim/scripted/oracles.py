"""Players of rounds: one without memory, which gives every oracle the same answer, and one that remembers its cue.

Both see their own window only, walk to the nearest oracle, and stay there. The first is the best that needs no memory:
it is right in half of its rounds, as everybody without memory is, and has as many rounds as there is time for.

N streams, M tokens.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.base.errors import InputError
from metta.sim.config import SimConfig
from metta.sim.constants import (
    FEATURE_CUE_GET,
    FEATURE_CUE_PUT,
    FEATURE_ORIENTATION,
    FEATURE_TYPE,
    FIRST_MOVE,
    GET_ITEMS,
    PADDING,
    PUT_ITEMS,
)
from metta.sim.scripted.compiled import entry, inner, sources_digest
from metta.sim.scripted.walking import ORDERS, SIDE, beside, walk

EMPTY, BLOCKED, ORACLE = 0, 1, 2
"""What stands in a cell."""
NO_CUE = 0
RANDOM_MOVES = 0.03
"""Share of the steps of its walk with a move in a random direction, so that agents that block each other come free."""


class Eyes(NamedTuple):
    """What the players know of the rules; read by the kernel, never written."""

    rows: int
    """Of the window."""
    columns: int
    oracle: int
    """Type id."""
    remembers: bool


class OraclePlayer:
    """Acts on observations and, if it remembers, on the last cue of each agent."""

    def __init__(self, config: SimConfig, remembers: bool) -> None:
        """Raises InputError if the configuration has no rounds."""
        if config.rounds is None:
            raise InputError("this player needs an environment with rounds")
        oracle = config.objects[config.rounds.oracle].type_id
        self._eyes = Eyes(config.obs_height, config.obs_width, oracle, remembers)

    def act(
        self, observations: NDArray[np.uint8], uniforms: NDArray[np.float32], cues: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Actions and cues int32 [N] after observations [N, M, 3], with uniforms [N] in [0, 1) and the cues before.

        A cue is an action, NO_CUE in front of the first. Each row is a function of its own rows alone; without memory
        cues stay NO_CUE.
        """
        actions, cues = np.zeros(len(observations), np.int32), cues.copy()
        act_on(self._eyes, observations, uniforms, cues, actions)
        return actions, cues


@inner
def decide(eyes: Eyes, tokens: np.ndarray, uniform: float, cue: int) -> tuple[int, int]:
    """The action for one observation [M, 3], one number in [0, 1) and the last cue; and the cue from now on."""
    things = np.full(SIDE * SIDE, EMPTY, np.int32)
    here = SIDE * (eyes.rows // 2) + eyes.columns // 2
    facing = 0
    for token in range(tokens.shape[0]):
        place, feature, value = int(tokens[token, 0]), int(tokens[token, 1]), int(tokens[token, 2])
        if place == PADDING:
            break
        if feature == FEATURE_TYPE:
            things[place] = ORACLE if value == eyes.oracle else BLOCKED
        elif feature == FEATURE_ORIENTATION and place == here:
            facing = value
        elif feature == FEATURE_CUE_PUT and eyes.remembers:
            cue = PUT_ITEMS
        elif feature == FEATURE_CUE_GET and eyes.remembers:
            cue = GET_ITEMS
    ahead = beside(eyes.rows, eyes.columns, here, facing)
    if ahead >= 0 and things[ahead] == ORACLE:
        return (GET_ITEMS if cue == NO_CUE else cue), cue
    if uniform < RANDOM_MOVES:
        return FIRST_MOVE + int(4 * uniform / RANDOM_MOVES), cue
    uniform = 24 * (uniform - RANDOM_MOVES) / (1 - RANDOM_MOVES)
    order = ORDERS[min(int(uniform), 23)]
    free, wanted = things == EMPTY, things == ORACLE
    return FIRST_MOVE + walk(eyes.rows, eyes.columns, free, wanted, here, facing, order, uniform - int(uniform)), cue


def _make_entry(digest: int) -> Callable[..., Any]:
    @entry
    def act_on(
        eyes: Eyes, observations: np.ndarray, uniforms: np.ndarray, cues: np.ndarray, actions: np.ndarray
    ) -> int:
        """Write the actions int32 [N] and change the cues int32 [N]."""
        if digest < 0:
            return digest
        for n in range(actions.shape[0]):
            actions[n], cues[n] = decide(eyes, observations[n], uniforms[n], cues[n])
        return 0

    return act_on


act_on = _make_entry(sources_digest())
