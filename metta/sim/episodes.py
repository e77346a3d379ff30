"""What is kept of a finished episode: where it came from, how it ended, and what each agent did in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metta.sim.constants import NUM_RESOURCES, RESOURCES

GAINED = 0
LOST = GAINED + NUM_RESOURCES
ATTACKS_TRIED = LOST + NUM_RESOURCES
ATTACKS_HIT = ATTACKS_TRIED + 1
ATTACKS_BLOCKED = ATTACKS_TRIED + 2
ITEMS_STOLEN = ATTACKS_TRIED + 3
ITEMS_LOST_TO_THEFT = ATTACKS_TRIED + 4
STEPS_FROZEN = ATTACKS_TRIED + 5
FAILED_ACTIONS = ATTACKS_TRIED + 6
MOVES = ATTACKS_TRIED + 7

COUNTER_NAMES = (
    *(f"gained_{name}" for name in RESOURCES),
    *(f"lost_{name}" for name in RESOURCES),
    "attacks_tried",
    "attacks_hit",
    "attacks_blocked",
    "items_stolen",
    "items_lost_to_theft",
    "steps_frozen",
    "failed_actions",
    "moves",
)
"""Columns of `EpisodeRecord.counters`. gained and lost count every change of what an agent holds, whatever the
reason; attacks_hit counts attacks that froze a target, attacks_blocked those that armor stopped; steps_frozen counts
actions lost to freezing; moves counts steps to another cell."""

NUM_COUNTERS = len(COUNTER_NAMES)


@dataclass(frozen=True, eq=False)
class EpisodeRecord:
    """One finished episode of one world. A agents.

    The map and the action order of an episode are functions of (configuration, seed, world, episode), so these
    together with the variant and the agents' actions replay it.
    """

    world: int
    """Index of the world: `first_world` of the environment plus its place in the batch."""
    episode: int
    """Index of the episode in that world, from 0."""
    seed: int
    """Seed of the environment."""
    variant: int
    """Place of the configuration that the episode was played by among the environment's variants; 0 without."""
    map_hash: str
    """16 hexadecimal digits of the start map, agents included."""
    start_cells: NDArray[np.uint8]
    """[H, V] codes of the start map: 0 empty, 1 agent, 2 + place of the object in SimConfig.objects."""
    characters: str
    """Character of each code."""
    finished_at: int
    """Steps that the world had made since reset, over all its episodes, when the episode ended."""
    length: int
    """Steps."""
    terminated: bool
    truncated: bool
    returns: NDArray[np.float64]
    """[A] sum of rewards, in reward units."""
    final_inventory: NDArray[np.uint8]
    """[A, 10] items held at the end."""
    counters: NDArray[np.int64]
    """[A, len(COUNTER_NAMES)]."""

    def counter(self, name: str) -> NDArray[np.int64]:
        """[A] one column of `counters`. Raises ValueError for a name that is not in COUNTER_NAMES."""
        column: NDArray[np.int64] = self.counters[:, COUNTER_NAMES.index(name)]
        return column

    @property
    def start_rows(self) -> list[str]:
        """The start map, one character per cell (`VectorEnv.legend` names them)."""
        return ["".join(self.characters[code] for code in row) for row in self.start_cells.tolist()]

    def as_dict(self) -> dict[str, Any]:
        """The record as plain data for JSON."""
        return {
            "world": self.world,
            "episode": self.episode,
            "seed": self.seed,
            "variant": self.variant,
            "map_hash": self.map_hash,
            "start_rows": self.start_rows,
            "finished_at": self.finished_at,
            "length": self.length,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "returns": self.returns.tolist(),
            "final_inventory": self.final_inventory.tolist(),
            "counters": {name: self.counters[:, i].tolist() for i, name in enumerate(COUNTER_NAMES)},
        }
