"""Observations that look like the arena's, made from a seed: for the laws, the ledger and benchmarks of policies."""

from typing import Any

import numpy as np

from metta.agent.spec import EnvironmentSpec

OBJECT_TYPES = (2, 5, 8, 15, 16)
ITEMS = 17
PADDING = 255


def synthetic_observations(spec: EnvironmentSpec, count: int, seed: int) -> np.ndarray:
    """uint8 [count, num_observation_tokens, 3]: four global tokens, then occupied cells, nearest first; about 110 rows.

    A crowded window: of its cells 6 % hold agents, 18 % converters, 16 % walls. The own cell holds an agent.
    """
    random = np.random.default_rng(seed)
    centre_row, centre_column = spec.obs_height // 2, spec.obs_width // 2
    cells = sorted(
        ((row, column) for row in range(spec.obs_height) for column in range(spec.obs_width)),
        key=lambda cell: abs(cell[0] - centre_row) + abs(cell[1] - centre_column),
    )
    observations = np.full((count, spec.num_observation_tokens, 3), PADDING, np.uint8)
    for observation in observations:
        # The last is the token of penalties, which no level has.
        globals_ = (random.integers(256), random.integers(spec.num_actions), random.integers(4), 0)
        tokens: list[tuple[Any, ...]] = [
            (centre_row << 4 | centre_column, 7 + i, value) for i, value in enumerate(globals_)
        ]
        occupants = random.choice(4, len(cells), p=[0.06, 0.18, 0.16, 0.6])
        occupants[0] = 0
        for (row, column), occupant in zip(cells, occupants, strict=True):
            place = row << 4 | column
            if occupant == 0:
                orientation, item = random.integers(4), random.integers(10)
                tokens += [(place, 0, 0), (place, 1, 0), (place, 2, random.integers(2)), (place, 3, orientation)]
                tokens += [(place, ITEMS + item, random.integers(1, 20))]
            elif occupant == 1:
                tokens += [(place, 0, random.choice(OBJECT_TYPES)), (place, 5, random.integers(2))]
                tokens += [(place, ITEMS + random.choice([0, 3, 6]), random.integers(1, 6))]
            elif occupant == 2:
                tokens.append((place, 0, 1))
        rows = np.asarray(tokens[: spec.num_observation_tokens], np.uint8)
        observation[: len(rows)] = rows
    return observations
