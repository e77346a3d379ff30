"""Two players in one world: every second agent is the one's, the others are the other's.

Axes: W worlds, A agents in a world, n agents of the worlds asked for, S those of one side among them.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metta.agent.policy import Policy
from metta.rl.evaluate import Episodes, evaluate_player
from metta.rl.players import Actions, Decision, Player
from metta.rl.sampling import sample_actions
from metta.rl.shards import Shards
from metta.sim.config import SimConfig
from metta.sim.vector_env import VectorEnv

WORLDS_AT_ONCE = 8
"""Worlds that both sides act in at once; a policy then acts for as many agents as in four worlds of its own."""


class Side:
    """A player, or a policy, that acts for some agents of each world."""

    def __init__(
        self, player: Player | Policy, agents: NDArray[np.int64], num_agents: int, device: torch.device
    ) -> None:
        """`agents` are the places of its agents in each world of `num_agents`."""
        self._player, self._agents, self._device = player, agents, device
        if isinstance(player, Policy):
            player.to(device)
        self._num_agents = num_agents

    def initial_state(self, worlds: int) -> Any:
        """The state in front of the first step of so many worlds."""
        if isinstance(self._player, Policy):
            return self._player.initial_state(worlds * len(self._agents), device=self._device)
        return self._player.initial_state(worlds)

    def places(self, worlds: int) -> NDArray[np.int64]:
        """[S] places of its agents among those of so many worlds."""
        return (self._num_agents * np.arange(worlds)[:, None] + self._agents).ravel()

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        """Actions [S] of its agents and the next state. A policy sees and remembers what its own agents see."""
        own = self.places(last - first)
        if not isinstance(self._player, Policy):
            actions, state = self._player.choose(env, first, last, state, uniforms)
            return actions[own], state
        streams = first * self._num_agents + own
        observations = torch.from_numpy(env.buffers.observations[streams]).to(self._device)
        resets = torch.from_numpy(env.buffers.resets[streams]).to(self._device)
        with torch.inference_mode():
            logits, state = self._player.act(observations.unsqueeze(1), resets.unsqueeze(1), state)
            chosen, _ = sample_actions(logits[:, 0], uniforms[own].to(self._device))
        return chosen.cpu().numpy().astype(np.int32), state


class Seats:
    """The player that two sides make: agents 0, 2, 4, ... are the first one's, the others the second one's."""

    worlds_at_once = WORLDS_AT_ONCE

    def __init__(self, first: Player | Policy, second: Player | Policy, num_agents: int, device: torch.device) -> None:
        agents = np.arange(num_agents)
        self._sides = [
            Side(player, agents[place::2], num_agents, device) for place, player in enumerate((first, second))
        ]

    def initial_state(self, worlds: int) -> Any:
        """Those of both sides."""
        return [side.initial_state(worlds) for side in self._sides]

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> Decision:
        """The actions of both sides, without what they think of them."""
        actions, state = self.choose(env, first, last, state, uniforms)
        return Decision(actions, state, None, None)

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        """The actions of both sides."""
        actions, states = np.empty(len(uniforms), np.int32), []
        for side, own in zip(self._sides, state, strict=True):
            actions[side.places(last - first)], after = side.choose(env, first, last, own, uniforms)
            states.append(after)
        return actions, states


def play_game(
    first: Player | Policy, second: Player | Policy, sim: SimConfig, episodes: Episodes, device: torch.device
) -> list[dict[str, Any]]:
    """One episode in each world; for the first and the second side, in the caller's thread:

    `agents`, how many per world; `hearts`, a list of the W worlds' sums over them; `counters`, sums over worlds and
    agents by name (see `metta.rl.metrics.episode_result`). The mirrored game has the sides exchanged.
    """
    seats = Seats(first, second, sim.num_agents, device)
    played = evaluate_player(seats, sim, episodes, Shards(1))["per_episode"]
    return [
        {
            "agents": len(range(place, sim.num_agents, 2)),
            "hearts": [sum(episode["hearts"][place::2]) for episode in played],
            "counters": {
                name: sum(sum(episode["counters"][name][place::2]) for episode in played)
                for name in played[0]["counters"]
            },
        }
        for place in range(2)
    ]
