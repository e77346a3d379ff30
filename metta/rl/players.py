"""Who acts in an evaluation: a trained policy, or the random player that marks the floor.

Axes: n streams of a shard.
"""

from typing import Protocol

import torch
from torch import Tensor

from metta.agent.policy import Policy
from metta.agent.state import State
from metta.rl.sampling import sample_actions


class Player(Protocol):
    """Acts for a number of streams, one step at a time."""

    def initial_state(self, streams: int) -> State:
        """The state in front of a first step."""
        ...

    def act(self, observations: Tensor, resets: Tensor, state: State, uniforms: Tensor) -> tuple[Tensor, State]:
        """Actions int64 [n] on the CPU and the new state.

        Args:
            observations: uint8 [n, M, 3].
            resets: bool [n].
            state: as `initial_state` or the last call gave it.
            uniforms: float32 [n] in [0, 1), the only randomness.
        """
        ...


class PolicyPlayer:
    """Samples from a policy's action distribution."""

    def __init__(self, policy: Policy, device: torch.device) -> None:
        self._policy, self._device = policy.to(device), device

    def initial_state(self, streams: int) -> State:
        return self._policy.initial_state(streams, device=self._device)

    def act(self, observations: Tensor, resets: Tensor, state: State, uniforms: Tensor) -> tuple[Tensor, State]:
        with torch.no_grad():
            output = self._policy(
                observations.to(self._device).unsqueeze(1), resets.to(self._device).unsqueeze(1), state
            )
            actions, _ = sample_actions(output.logits[:, 0], uniforms.to(self._device))
        return actions.cpu(), output.state


class RandomPlayer:
    """Draws every action with equal probability: the 0 of the score."""

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions

    def initial_state(self, streams: int) -> State:
        return ()

    def act(self, observations: Tensor, resets: Tensor, state: State, uniforms: Tensor) -> tuple[Tensor, State]:
        return (uniforms * self._num_actions).long().clamp_(max=self._num_actions - 1), state
