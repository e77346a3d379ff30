"""Collecting a segment where worlds and policy are on one device: one program that asks the device for nothing.

It can be recorded as a whole, all steps at once (`metta.rl.recording`). The numbers are those of `rollout.py`.
N streams, T steps, M tokens.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from metta.agent.policy import Policy
from metta.agent.state import State, leaves, map_state, with_leaves
from metta.rl.devices import sent
from metta.rl.recording import Play, plainly
from metta.rl.rollout import Collector, Segments, acting_step
from metta.rl.shards import Shards

if TYPE_CHECKING:
    from metta.sim.cuda.env import CudaVectorEnv
    from metta.sim.vector_env import VectorEnv


class DeviceCollector:
    """Runs a policy in worlds on its own device, a segment at a time; does what `Collector` does.

    Episodes have at least T steps, so that no stream has more than one truncation in a segment. Drain episodes after
    each one.
    """

    def __init__(self, env: "CudaVectorEnv", policy: Policy, steps: int, device: torch.device, play: Play) -> None:
        """Stand in front of the first step; arguments as of `Collector`."""
        self.env, self.policy, self.steps, self.device = env, policy, steps, device
        self._play = play
        self._state = policy.initial_state(env.num_streams, device=device)
        self._act = acting_step(policy, self._state)
        before = map_state(torch.zeros_like, self._state)
        self._segments = Segments.allocate(env.buffers.observations, steps, before, device)

    @property
    def state(self) -> State:
        """The recurrent state of all streams, [N, ...] per leaf."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = map_state(lambda leaf: leaf.to(self.device), state)

    def collect(self, uniforms_TN: Tensor) -> Segments:
        """As of `Collector`."""
        given = sent(uniforms_TN, self.device), *leaves(self._state)
        after = self._play("collect", self._collect, given, self.env.changed)
        self._state = with_leaves(self._state, after)
        self.env.made_steps(self.steps)
        return self._segments

    @torch.no_grad()
    def _collect(self, uniforms_TN: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        """T steps from the state whose leaves are `before`; returns the leaves of the state after them."""
        segments, shown = self._segments, self.env.buffers
        for own, leaf in zip(leaves(segments.state), before, strict=True):
            own.copy_(leaf)
        # The state behind a stream's truncation, if it has one; the worlds keep the observation.
        state, cut_state = list(before), list(before)
        remembered_N1D: list[Tensor] = []
        actions_N: list[Tensor] = []
        log_probs_N: list[Tensor] = []
        for t in range(self.steps):
            segments.observations[:, t] = shown.observations
            segments.resets[:, t] = shown.resets
            memory_N1D, actions, log_probs, *state = self._act(shown.observations, shown.resets, uniforms_TN[t], *state)
            remembered_N1D.append(memory_N1D)
            actions_N.append(actions)
            log_probs_N.append(log_probs)
            self.env.queue_step(actions)
            segments.rewards[:, t] = shown.rewards
            segments.terminals[:, t] = shown.terminals
            segments.truncations[:, t] = shown.truncations
            cut_state = [_where(shown.truncations, *pair) for pair in zip(state, cut_state, strict=True)]
        torch.stack(actions_N, 1, out=segments.actions)
        torch.stack(log_probs_N, 1, out=segments.log_probs)

        # The value after the segment, seen from the state that the next segment starts from.
        remembered_N1D.append(self._remember(shown.observations, shown.resets, state))
        remembered_N1D.append(self._remember(shown.final_observations, torch.zeros_like(shown.resets), cut_state))
        values_NU = self.policy.critic(torch.cat(remembered_N1D, 1)).squeeze(-1)
        segments.values.copy_(values_NU[:, :-2])
        segments.next_values.copy_(values_NU[:, -2])
        segments.final_values.copy_(torch.where(segments.truncations, values_NU[:, -1:], 0.0))
        return tuple(state)

    def _remember(self, observations: Tensor, resets: Tensor, state: Any) -> Tensor:
        """What memory makes of one more observation of every stream, [N, 1, D]."""
        state = with_leaves(self._state, state)
        return self.policy.remember(observations.unsqueeze(1), resets.unsqueeze(1), state)[1]


def _where(chosen_N: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Rows of `yes` where chosen, else those of `no`, [N, ...]."""
    return torch.where(chosen_N.view(-1, *[1] * (yes.ndim - 1)), yes, no)


def make_collector(
    env: "VectorEnv | CudaVectorEnv",
    policy: Policy,
    steps: int,
    device: torch.device,
    shards: Shards,
    play: Play = plainly,
) -> Collector | DeviceCollector:
    """The collector for these worlds: the general one if they are on the CPU, or if segments outlast their episodes."""
    if isinstance(env.buffers.rewards, Tensor) and env.longest >= steps:
        return DeviceCollector(env, policy, steps, device, play)
    return Collector(env, policy, steps, device, shards, play)
