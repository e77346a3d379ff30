"""The agent streams of many worlds as a Gymnasium vector environment: each agent is one sub-environment.

W worlds, A agents in a world, N = W*A streams, M tokens of an observation.
"""

from copy import deepcopy
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector import VectorEnv as GymnasiumVectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.vector_env import VectorEnv


class ArenaStreams(GymnasiumVectorEnv[NDArray[np.uint8], NDArray[np.int32], NDArray[Any]]):
    """N = W*A streams, world-major; the agents of a world begin and end their episodes together.

    A world that ends starts its next episode in the same step (`AutoresetMode.SAME_STEP`): the returned observation is
    the new episode's first, the finished episode's last one is in `infos["final_obs"]`, what was known about its last
    step in `infos["final_info"]`: `action_success`, `episode_return` and `episode_length`. Infos of streams that go on
    hold `action_success`. Every array is a copy that the caller may keep. Copies of it go on like those of the native
    environment.

    `reset(seed=s)` starts the same episodes as the native environment of seed s; `reset()` starts others, whose seed is
    drawn from `np_random`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(
        self, config: SimConfig, *, num_worlds: int, threads: int = 1, desynchronise: bool = False, first_world: int = 0
    ) -> None:
        """Takes the arguments of the native `VectorEnv`, except for the seed, which goes to `reset`."""
        self.worlds = VectorEnv(
            config,
            num_worlds=num_worlds,
            seed=0,
            threads=threads,
            desynchronise=desynchronise,
            first_world=first_world,
        )
        self.num_envs = self.worlds.num_streams
        self._first_world = first_world
        self.single_observation_space = Box(0, 255, (config.num_observation_tokens, 3), np.uint8)
        self.single_action_space = Discrete(NUM_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def __copy__(self) -> Self:
        return deepcopy(self)  # sharing worlds would mix two games

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start all worlds anew. Returns observations uint8 [N, M, 3] and empty infos.

        Raises ValueError for the option `reset_mask`: worlds restart by themselves. Other options have no effect.
        """
        if options is not None and "reset_mask" in options:
            raise ValueError("reset_mask is not supported: a world restarts by itself when its episode ends")
        super().reset(seed=seed)
        self.worlds.reset(seed=int(self.np_random.integers(2**63 - 1)) if seed is None else seed)
        return self.worlds.buffers.observations.copy(), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every stream with integer actions [N].

        Returns observations uint8 [N, M, 3], rewards float32 [N], terminations and truncations bool [N], and infos.
        """
        self.worlds.step(np.ascontiguousarray(actions, dtype=np.int32))
        buffers = self.worlds.buffers
        ended = buffers.terminals | buffers.truncations
        infos: dict[str, Any] = {"action_success": buffers.action_success & ~ended, "_action_success": ~ended}
        if ended.any():
            infos |= self._final(ended)
        return (
            buffers.observations.copy(),
            buffers.rewards.copy(),
            buffers.terminals.copy(),
            buffers.truncations.copy(),
            infos,
        )

    def _final(self, ended: NDArray[np.bool_]) -> dict[str, Any]:
        """`final_obs` and `final_info` of the streams that ended, with their masks, as Gymnasium lays them out."""
        observations = np.full(self.num_envs, None, dtype=object)
        for stream in np.flatnonzero(ended):
            observations[stream] = self.worlds.buffers.final_observations[stream].copy()
        returns = np.zeros(self.num_envs, np.float64)
        lengths = np.zeros(self.num_envs, np.int64)
        agents = self.worlds.num_agents
        for record in self.worlds.drain_episodes():
            first = (record.world - self._first_world) * agents
            returns[first : first + agents] = record.returns
            lengths[first : first + agents] = record.length
        information: dict[str, Any] = {}
        success = self.worlds.buffers.action_success & ended
        for name, values in (("action_success", success), ("episode_return", returns), ("episode_length", lengths)):
            information[name] = values
            information[f"_{name}"] = ended.copy()
        return {
            "final_obs": observations,
            "_final_obs": ended.copy(),
            "final_info": information,
            "_final_info": ended.copy(),
        }
