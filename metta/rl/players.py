"""Who acts in an evaluation: a trained policy, or one of the reference players that results are compared with.

Axes: A agents in a world, n streams: those of the worlds asked for, K actions.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metta.agent.policy import Policy
from metta.base.addresses import BLIND, RANDOM, REFLEX, SCRIPTED
from metta.rl.sampling import sample_actions
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.scripted.blind import blind_probabilities
from metta.sim.scripted.oracles import OraclePlayer
from metta.sim.scripted.player import ScriptedPlayer as Planner
from metta.sim.scripted.reflex import ReflexPlayer as Reflexes
from metta.sim.vector_env import VectorEnv

Actions = NDArray[np.int32]
WORLDS_AT_ONCE = {"cpu": 4, "cuda": 16}
"""Worlds that a policy acts in at once in an evaluation: on a CPU few, so that threads share them; a GPU takes as long
for one as for all."""


class Decision(NamedTuple):
    """What a player does in one step, and what it thought of it."""

    actions: Actions
    """[n]."""
    state: Any
    """For the next step."""
    probabilities: NDArray[np.float32] | None
    """[n, K] of the actions; None from a player that does not draw."""
    values: NDArray[np.float32] | None
    """[n] predicted return; None from a player that predicts none."""


class Player(Protocol):
    """Acts in a range of worlds, one step at a time."""

    @property
    def worlds_at_once(self) -> int:
        """Worlds that it acts in at once in an evaluation; only with this number are its results the evaluation's."""
        ...

    def initial_state(self, worlds: int) -> Any:
        """The state in front of the first step of so many worlds."""
        ...

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> Decision:
        """What to do in the next step of worlds first..last-1.

        Args:
            env: the worlds.
            first: first world.
            last: end of the range.
            state: as `initial_state` or the last call gave it.
            uniforms: float32 [n] in [0, 1), the only randomness.
        """
        ...

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        """The actions and the state that `act` would give, at less cost."""
        ...


class PolicyPlayer:
    """Samples from a policy's action distribution."""

    def __init__(self, policy: Policy, sim: SimConfig, device: torch.device) -> None:
        self._policy, self._sim, self._device = policy.to(device), sim, device
        self.worlds_at_once = WORLDS_AT_ONCE[device.type]

    def initial_state(self, worlds: int) -> Any:
        return self._policy.initial_state(worlds * self._sim.num_agents, device=self._device)

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> Decision:
        with torch.inference_mode():
            output = self._policy(*self._seen(env, first, last), state)
            logits = output.logits[:, 0]
            actions, _ = sample_actions(logits, uniforms.to(self._device))
            probabilities = torch.softmax(logits.float(), dim=-1)
        return Decision(
            actions.cpu().numpy().astype(np.int32),
            output.state,
            probabilities.cpu().numpy(),
            output.values[:, 0].float().cpu().numpy(),
        )

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        with torch.inference_mode():
            logits, state = self._policy.act(*self._seen(env, first, last), state)
            actions, _ = sample_actions(logits[:, 0], uniforms.to(self._device))
        return actions.cpu().numpy().astype(np.int32), state

    def _seen(self, env: VectorEnv, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Observations uint8 [n, 1, M, 3] and resets bool [n, 1]."""
        here = slice(first * env.num_agents, last * env.num_agents)
        observations = torch.from_numpy(env.buffers.observations[here]).to(self._device)
        resets = torch.from_numpy(env.buffers.resets[here]).to(self._device)
        return observations.unsqueeze(1), resets.unsqueeze(1)


class FixedPlayer:
    """Draws every action with the same probabilities in every step."""

    worlds_at_once = 1

    def __init__(self, probabilities: NDArray[np.float64]) -> None:
        """`probabilities` [K] add up to 1."""
        self._probabilities = probabilities
        self._cumulative = np.cumsum(probabilities)

    def initial_state(self, worlds: int) -> None:
        return None

    def act(self, env: VectorEnv, first: int, last: int, state: None, uniforms: Tensor) -> Decision:
        actions, _ = self.choose(env, first, last, state, uniforms)
        return Decision(actions, None, np.tile(self._probabilities.astype(np.float32), (len(actions), 1)), None)

    def choose(self, env: VectorEnv, first: int, last: int, state: None, uniforms: Tensor) -> tuple[Actions, None]:
        drawn = np.searchsorted(self._cumulative, uniforms.numpy().astype(np.float64), side="right")
        return np.minimum(drawn, len(self._cumulative) - 1).astype(np.int32), None


class ReflexPlayer:
    """Sees its own window and remembers nothing: the most that needs no memory."""

    worlds_at_once = 1

    def __init__(self, sim: SimConfig) -> None:
        """Raises InputError if the environment does not hold the arena's chain of mine, generator and altar."""
        self._reflexes = Reflexes(sim)

    def initial_state(self, worlds: int) -> None:
        return None

    def act(self, env: VectorEnv, first: int, last: int, state: None, uniforms: Tensor) -> Decision:
        actions, _ = self.choose(env, first, last, state, uniforms)
        return Decision(actions, None, None, None)

    def choose(self, env: VectorEnv, first: int, last: int, state: None, uniforms: Tensor) -> tuple[Actions, None]:
        here = slice(first * env.num_agents, last * env.num_agents)
        return self._reflexes.act(env.buffers.observations[here], uniforms.numpy()), None


class RoundsPlayer:
    """Sees its own window and, if it remembers, keeps each agent's last cue: all that a round asks for."""

    worlds_at_once = 1

    def __init__(self, sim: SimConfig, remembers: bool) -> None:
        """Raises InputError if the environment has no rounds."""
        self._player, self._num_agents = OraclePlayer(sim, remembers), sim.num_agents

    def initial_state(self, worlds: int) -> Actions:
        return np.zeros(worlds * self._num_agents, np.int32)

    def act(self, env: VectorEnv, first: int, last: int, state: Actions, uniforms: Tensor) -> Decision:
        actions, cues = self.choose(env, first, last, state, uniforms)
        return Decision(actions, cues, None, None)

    def choose(
        self, env: VectorEnv, first: int, last: int, state: Actions, uniforms: Tensor
    ) -> tuple[Actions, Actions]:
        here = slice(first * env.num_agents, last * env.num_agents)
        return self._player.act(env.buffers.observations[here], uniforms.numpy(), state)


class ScriptedPlayer:
    """Sees the whole map and runs the resource chain: the 1 of the score. It uses no randomness."""

    worlds_at_once = 1

    def __init__(self, sim: SimConfig) -> None:
        """Raises InputError if the environment does not hold the arena's chain of mine, generator and altar."""
        self._planner = Planner(sim)

    def initial_state(self, worlds: int) -> Any:
        return self._planner.initial_memory(worlds)

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> Decision:
        actions, memory = self.choose(env, first, last, state, uniforms)
        return Decision(actions, memory, None, None)

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        return self._planner.act(env, first, last, state)


REFERENCE_PLAYERS: Mapping[str, Callable[[SimConfig], Player]] = {
    RANDOM: lambda sim: FixedPlayer(np.full(NUM_ACTIONS, 1 / NUM_ACTIONS)),
    BLIND: lambda sim: FixedPlayer(blind_probabilities(sim)),
    REFLEX: lambda sim: RoundsPlayer(sim, remembers=False) if sim.rounds else ReflexPlayer(sim),
    SCRIPTED: lambda sim: RoundsPlayer(sim, remembers=True) if sim.rounds else ScriptedPlayer(sim),
}
"""The players of `addresses.PLAYERS`, made for an environment; each raises InputError if it cannot play there.

Where there are rounds, others bear the names: `scripted` sees no more than its window there, but remembers the cue.
"""
