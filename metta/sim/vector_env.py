"""The batched native API: many worlds, stepped together into arrays of the caller.

W worlds, A agents in a world, N = W*A agent streams (world-major), M tokens of an observation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import SimConfig
from metta.sim.episodes import EpisodeRecord


@dataclass(frozen=True, eq=False)
class Buffers:
    """The arrays a `VectorEnv` writes into; `torch.from_numpy` shares them without a copy."""

    observations: NDArray[np.uint8]
    """[N, M, 3] tokens (location, feature, value), 255 where unused."""
    rewards: NDArray[np.float32]
    """[N] reward of the last step."""
    terminals: NDArray[np.bool_]
    """[N] the last step ended the episode."""
    truncations: NDArray[np.bool_]
    """[N] the last step cut the episode off."""
    resets: NDArray[np.bool_]
    """[N] `observations` is the first of an episode."""
    action_success: NDArray[np.bool_]
    """[N] the last action did not fail."""
    final_observations: NDArray[np.uint8]
    """[N, M, 3] last observation of the newest finished episode; written only when one ends."""

    @classmethod
    def allocate(cls, num_streams: int, num_tokens: int) -> "Buffers":
        """New arrays for N streams of M tokens."""
        return cls(
            observations=np.full((num_streams, num_tokens, 3), 255, np.uint8),
            rewards=np.zeros(num_streams, np.float32),
            terminals=np.zeros(num_streams, np.bool_),
            truncations=np.zeros(num_streams, np.bool_),
            resets=np.zeros(num_streams, np.bool_),
            action_success=np.zeros(num_streams, np.bool_),
            final_observations=np.full((num_streams, num_tokens, 3), 255, np.uint8),
        )


class VectorEnv:
    """W worlds of one configuration, stepped together; finished worlds start their next episode by themselves."""

    num_worlds: int
    num_agents: int
    num_streams: int
    buffers: Buffers
    legend: dict[str, str]
    """Character of `map_rows` -> "empty", "agent" or an object's name."""

    def __init__(
        self,
        config: SimConfig,
        *,
        num_worlds: int,
        seed: int,
        threads: int = 1,
        desynchronise: bool = False,
        first_world: int = 0,
        buffers: Buffers | None = None,
    ) -> None:
        """World w of the batch is a function of (config, seed, first_world + w, episode index) alone."""
        raise NotImplementedError

    def reset(self, seed: int | None = None) -> None:
        """Start episode 0 in every world (of another seed, if given) and write its first observations."""
        raise NotImplementedError

    def step(self, actions: NDArray[np.int32]) -> None:
        """One step of all worlds with actions int32 [N], on `threads` threads."""
        raise NotImplementedError

    def step_worlds(self, actions: NDArray[np.int32], first: int, last: int) -> None:
        """One step of worlds first..last-1 only; `actions` is int32 [N] of all. Threads may take disjoint ranges."""
        raise NotImplementedError

    def drain_episodes(self) -> list[EpisodeRecord]:
        """Records of the episodes that ended since the last call, ordered by (finished_at, world)."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that the next steps depend on, buffers included."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue exactly where `state_dict` was taken, in an environment of the same configuration and size."""
        raise NotImplementedError

    def inventory(self, world: int) -> NDArray[np.uint8]:
        """[A, 10] items held now."""
        raise NotImplementedError

    def agent_state(self, world: int) -> NDArray[np.int16]:
        """[A, 4] row, column, orientation, freeze remaining."""
        raise NotImplementedError

    def converters(self, world: int) -> list[tuple[int, int, str, dict[str, int], bool, bool]]:
        """Row, column, name, contents, converting, cooling of each converter in row-major order."""
        raise NotImplementedError

    def map_rows(self, world: int) -> list[str]:
        """The map as it is now, one character per cell (`legend` names them)."""
        raise NotImplementedError

    def start_rows(self, world: int) -> list[str]:
        """The map at the start of the current episode."""
        raise NotImplementedError

    def action_order(self, world: int) -> NDArray[np.int32]:
        """[A] the permutation of the agents in the last step."""
        raise NotImplementedError

    def steps(self, world: int) -> int:
        """Steps of the current episode made so far."""
        raise NotImplementedError
