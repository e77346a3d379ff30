"""The levels as environments of Gymnasium and PettingZoo, by name.

    import gymnasium
    import metta

    streams = metta.make_env("level_1_basic", num_worlds=2)  # 24 agents as one Gymnasium vector environment
    world = metta.parallel_env("level_1_basic")  # PettingZoo: agents by name

    metta.register_envs()  # tells Gymnasium the levels' names
    streams = gymnasium.make_vec("arena/level_1_basic-v0", num_envs=24)  # as the first line
    alone = gymnasium.make("arena/level_1_basic-v0")  # one agent that has the level's room to itself

W worlds, A agents in a world, N = W*A streams, M tokens of an observation.
"""

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.errors import InputError
from metta.sim.config import SimConfig
from metta.sim.gymnasium_env import ArenaStreams
from metta.sim.pettingzoo_env import ArenaParallelEnv

ONE_AGENT = "agent_0"


def make_env(level: str, num_worlds: int = 1, threads: int = 1) -> ArenaStreams:
    """The agents of W training worlds of a level as a Gymnasium vector environment of N = W*A streams.

    Observations are uint8 [N, M, 3], actions int [N] of 16 (docs/arena.md). Raises InputError for an unknown level or
    fewer than one world.
    """
    if num_worlds < 1:
        raise InputError(f"num_worlds must be 1 or more, not {num_worlds}.")
    return ArenaStreams(_world(level), num_worlds=num_worlds, threads=threads)


def streams(level: str, num_envs: int, threads: int = 1) -> ArenaStreams:
    """`make_env` by number of streams, as `gymnasium.make_vec` asks. Raises InputError where they fill no worlds."""
    agents = _world(level).num_agents
    if num_envs < 1 or num_envs % agents:
        raise InputError(f"{level} has {agents} agents in a world: num_envs must be a multiple of it, not {num_envs}.")
    return make_env(level, num_envs // agents, threads)


def parallel_env(level: str, render_mode: str | None = None) -> ArenaParallelEnv:
    """One training world of a level as a PettingZoo environment; `render_mode` is None or "ansi".

    Raises InputError for an unknown level, ValueError for another render mode.
    """
    return ArenaParallelEnv(_world(level), render_mode)


class LoneAgent(gymnasium.Env[NDArray[np.uint8], int]):
    """A level's room with a single agent, for learners that know one agent only; its scores are not the level's.

    Observations are uint8 [M, 3]; `step` takes one of 16 actions; infos hold `action_success`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, level: str, render_mode: str | None = None) -> None:
        self._world = ArenaParallelEnv(_world(level).model_copy(update={"num_agents": 1}), render_mode)
        self.render_mode = render_mode
        self.observation_space = self._world.observation_space(ONE_AGENT)  # type: ignore[assignment]
        self.action_space = self._world.action_space(ONE_AGENT)  # type: ignore[assignment]

    def __copy__(self) -> Self:
        return deepcopy(self)  # sharing the world would mix two games

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start an episode: that of `seed`, or another one whose seed the last given seed determines."""
        super().reset(seed=seed)
        observations, infos = self._world.reset(seed, options)
        return observations[ONE_AGENT], infos[ONE_AGENT]

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """One step. Raises ValueError where the episode is over or none was begun."""
        if not self._world.agents:
            raise ValueError("no episode is going on: call reset() first")
        observations, rewards, terminations, truncations, infos = self._world.step({ONE_AGENT: action})
        return (
            observations[ONE_AGENT],
            rewards[ONE_AGENT],
            terminations[ONE_AGENT],
            truncations[ONE_AGENT],
            infos[ONE_AGENT],
        )

    def render(self) -> str | None:
        """The map as text if `render_mode` is "ansi"."""
        return self._world.render()


def register_envs() -> None:
    """Make `arena/<level>-v0` known to `gymnasium.make` and `gymnasium.make_vec`."""
    for level in KNOWN_LEVELS:
        identifier = f"arena/{level}-v0"
        if identifier not in gymnasium.registry:
            gymnasium.register(
                identifier,
                entry_point=f"{__name__}:LoneAgent",
                vector_entry_point=f"{__name__}:streams",
                kwargs={"level": level},
            )


def _world(level: str) -> SimConfig:
    if level not in KNOWN_LEVELS:
        near = get_close_matches(level, KNOWN_LEVELS, n=1, cutoff=0.0)
        raise InputError(f"there is no level {level!r}; did you mean {near[0]!r}? There are {', '.join(KNOWN_LEVELS)}.")
    return KNOWN_LEVELS[level].make_env()
