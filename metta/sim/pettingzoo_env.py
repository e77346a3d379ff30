"""One world as a PettingZoo `ParallelEnv`: agents by name, one episode per reset, no automatic restart."""

from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.vector_env import VectorEnv

Observation = NDArray[np.uint8]


class ArenaParallelEnv(ParallelEnv[str, Observation, int]):
    """World 0 of the native `VectorEnv`, agent by agent.

    `reset(seed=s)` starts the same episode as the native environment of seed s. `reset()` starts another episode, whose
    seed is drawn from a generator that the last given seed determines (from the system's entropy if none was given).
    Observations are uint8 [M, 3] tokens, rewards floats in reward units; infos hold `action_success`.
    Copies of it go on like those of the native environment.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "metta_arena_v0",
        "render_modes": ["ansi"],
        "is_parallelizable": True,
    }

    def __init__(self, config: SimConfig, render_mode: str | None = None) -> None:
        """Raises ValueError for a render mode other than None and "ansi"."""
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode may be None or 'ansi', not {render_mode!r}")
        self.config = config
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{index}" for index in range(config.num_agents)]
        self.agents: list[str] = []
        shape = (config.num_observation_tokens, 3)
        self.observation_spaces = {name: Box(0, 255, shape, np.uint8) for name in self.possible_agents}
        self.action_spaces = {name: Discrete(NUM_ACTIONS) for name in self.possible_agents}
        self._random: np.random.Generator | None = None
        self._world = VectorEnv(config, num_worlds=1, seed=0)

    def observation_space(self, agent: str) -> Box:
        """uint8 [M, 3]: rows of (location, feature, value), 255 where unused."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """The 16 flat actions."""
        return self.action_spaces[agent]

    def __copy__(self) -> Self:
        return deepcopy(self)  # sharing worlds would mix two games

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start an episode; `options` has no effect. Returns observations and empty infos per agent."""
        if seed is not None or self._random is None:
            self._random, _ = seeding.np_random(seed)
        self._world.reset(seed=int(self._random.integers(2**63 - 1)) if seed is None else seed)
        self.agents = list(self.possible_agents)
        observations = self._world.buffers.observations.copy()
        return dict(zip(self.agents, observations, strict=True)), {name: {} for name in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """One step; when the episode ends the observations are its last ones and `agents` becomes empty.

        Raises ValueError if a living agent has no action. Without living agents nothing happens.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        missing = [name for name in self.agents if name not in actions]
        if missing:
            raise ValueError(f"no action for {missing[0]}: every living agent needs one")
        self._world.step(np.array([actions[name] for name in self.agents], np.int32))
        self._world.drain_episodes()
        buffers = self._world.buffers
        ended = bool(buffers.terminals[0] or buffers.truncations[0])
        tokens = (buffers.final_observations if ended else buffers.observations).copy()
        names = self.agents
        observations = dict(zip(names, tokens, strict=True))
        rewards = dict(zip(names, buffers.rewards.tolist(), strict=True))
        terminations = dict(zip(names, buffers.terminals.tolist(), strict=True))
        truncations = dict(zip(names, buffers.truncations.tolist(), strict=True))
        success = buffers.action_success.tolist()
        infos = {name: {"action_success": done} for name, done in zip(names, success, strict=True)}
        if ended:
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def render(self) -> str | None:
        """The map as text, one character per cell; after the last step, the start of the map that would be next."""
        return "\n".join(self._world.map_rows(0)) if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Nothing to release: one thread, no files."""
