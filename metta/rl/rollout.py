"""Collecting one segment of experience from every stream.

Axes: N streams, n streams of one shard, T steps, M tokens.
The reset flag at (stream, t) says that the observation at t is the first of an episode; the policy sees it together
with that observation, in acting and in learning alike.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from metta.agent.path import at_hand
from metta.agent.policy import Policy
from metta.agent.state import State, concatenate, leaves, map_state, rows, with_leaves
from metta.rl.devices import sent
from metta.rl.recording import Function, Play, plainly
from metta.rl.sampling import sample_actions
from metta.rl.shards import Shards, split

if TYPE_CHECKING:
    from metta.sim.cuda.env import CudaVectorEnv
    from metta.sim.vector_env import VectorEnv

STREAMS_AT_ONCE = 16
"""Streams whose whole rollout the critic reads at once on a CPU."""


@dataclass
class Segments:
    """One rollout: what was seen, done and received, [N, T] each unless stated otherwise."""

    observations: Tensor
    """uint8 [N, T, M, 3]."""
    resets: Tensor
    """bool; this observation is the first of an episode."""
    actions: Tensor
    """int64."""
    log_probs: Tensor
    """float32, of the action under the acting policy."""
    values: Tensor
    """float32."""
    rewards: Tensor
    """float32, received for the action."""
    terminals: Tensor
    """bool; the episode ended for good with the action."""
    truncations: Tensor
    """bool; the episode was cut off after the action."""
    final_values: Tensor
    """float32; V of an episode's last observation where `truncations`, else 0."""
    next_values: Tensor
    """float32 [N]; V of the observation after the segment."""
    state: State
    """Recurrent state in front of the segment, [N, ...] per leaf."""

    @classmethod
    def allocate(cls, observations: Tensor, steps: int, state: State, device: torch.device) -> "Segments":
        """Room for N streams that see `observations` uint8 [N, M, 3], on a device; keeps `state`."""
        shape = (len(observations), steps)

        def new(dtype: torch.dtype, *sizes: int) -> Tensor:
            return torch.zeros(sizes or shape, dtype=dtype, device=device)

        return cls(
            observations=new(torch.uint8, *shape, *observations.shape[1:]),
            resets=new(torch.bool),
            actions=new(torch.int64),
            log_probs=new(torch.float32),
            values=new(torch.float32),
            rewards=new(torch.float32),
            terminals=new(torch.bool),
            truncations=new(torch.bool),
            final_values=new(torch.float32),
            next_values=new(torch.float32, len(observations)),
            state=state,
        )


class Shown(NamedTuple):
    """What the worlds show: tensors over the environment's own memory (see `vector_env.Buffers`), so no copies."""

    observations: Tensor
    rewards: Tensor
    terminals: Tensor
    truncations: Tensor
    resets: Tensor
    final_observations: Tensor


def acting_step(policy: Policy, like: State) -> Function:
    """One step of acting as a function of tensors alone; `like` tells how the leaves make up a state.

    observations uint8 [n, M, 3], resets bool [n], uniforms float32 [n], each leaf of the state in front ->
    what memory made of the step [n, 1, D], actions int64 [n], their log-probabilities [n], each leaf of the new state.
    """

    def step(observations: Tensor, resets: Tensor, uniforms_n: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            state = with_leaves(like, before)
            observations_n1M3 = observations.unsqueeze(1)
            _, memory_n1D, state = policy.remember(observations_n1M3, resets.unsqueeze(1), state)
            actions, log_probs = sample_actions(policy.logits(memory_n1D, observations_n1M3)[:, 0], uniforms_n)
            return memory_n1D, actions, log_probs, *leaves(state)

    return step


class Collector:
    """Runs a policy in the worlds, a segment at a time; worlds and recurrent state go on between calls."""

    def __init__(
        self,
        env: "VectorEnv | CudaVectorEnv",
        policy: Policy,
        steps: int,
        device: torch.device,
        shards: Shards,
        play: Play = plainly,
    ) -> None:
        """Stand in front of the first step.

        Args:
            env: worlds that have been reset.
            policy: on `device`.
            steps: T.
            device: where the policy acts and the segments are kept.
            shards: threads that share the worlds.
            play: how acting is done; where it is recorded, parameters may change in place only from then on.
        """
        self.env, self.policy, self.steps, self.device, self.shards = env, policy, steps, device, shards
        self.worlds = split(env.num_worlds, shards.threads)
        self.streams = [(low * env.num_agents, high * env.num_agents) for low, high in self.worlds]
        self.states: list[State] = [policy.initial_state(high - low, device=device) for low, high in self.streams]
        self._shown = Shown(*(torch.as_tensor(getattr(env.buffers, name)) for name in Shown._fields))
        worlds_on = self._shown.rewards.device
        pinned = worlds_on.type == "cpu" and device.type == "cuda"
        self._actions = torch.zeros(env.num_streams, dtype=torch.int32, device=worlds_on, pin_memory=pinned)
        self._segments = Segments.allocate(self._shown.observations, steps, concatenate(self.states), device)
        self._play = play
        self._steps = [acting_step(policy, state) for state in self.states]

    @property
    def state(self) -> State:
        """The recurrent state of all streams, [N, ...] per leaf."""
        return concatenate(self.states)

    @state.setter
    def state(self, state: State) -> None:
        self.states = [
            map_state(lambda leaf: leaf.to(self.device), rows(state, slice(low, high))) for low, high in self.streams
        ]

    def collect(self, uniforms_TN: Tensor) -> Segments:
        """Act for T steps in every world. The result is overwritten by the next call.

        Args:
            uniforms_TN: float32 [T, N] in [0, 1), the randomness of action sampling.
        """
        # Copied: a policy may hand back the tensors it was given. In place: a recorded update reads them there.
        for (low, high), state in zip(self.streams, self.states, strict=True):
            for own, leaf in zip(leaves(self._segments.state), leaves(state), strict=True):
                own[low:high] = leaf
        self.shards.map(lambda index: self._collect_shard(index, uniforms_TN), range(len(self.streams)))
        return self._segments

    def _collect_shard(self, index: int, uniforms_TN: Tensor) -> None:
        (low, high), (first_world, last_world) = self.streams[index], self.worlds[index]
        env, segments, state = self.env, self._segments, self.states[index]
        here = slice(low, high)
        shown = Shown(*(tensor[here] for tensor in self._shown))
        given: Any = self._actions if self._actions.is_cuda else self._actions.numpy()
        uniforms_TN = sent(uniforms_TN[:, here], self.device)
        # The critic reads what memory made of each step; all steps at once, which is faster than one by one, and on a
        # CPU few streams at a time, so that its hidden layer stays in the cache.
        remembered_n1D: list[Tensor] = []
        with torch.no_grad():
            for t in range(self.steps):
                # Nobody waits for these copies: worlds go on only after the actions have arrived.
                observations = shown.observations.to(self.device, non_blocking=True)
                resets = shown.resets.to(self.device, non_blocking=True)
                memory_n1D, actions, log_probs, *after = self._play(
                    ("act", index), self._steps[index], (observations, resets, uniforms_TN[t], *leaves(state))
                )
                state = with_leaves(state, after)
                # A recording writes to the same place again.
                remembered_n1D.append(memory_n1D if self._play is plainly else memory_n1D.clone())
                segments.observations[here, t] = observations
                segments.resets[here, t] = resets
                segments.actions[here, t] = actions
                segments.log_probs[here, t] = log_probs

                self._actions[here] = actions
                env.step_worlds(given, first_world, last_world)
                segments.rewards[here, t].copy_(shown.rewards, non_blocking=True)
                segments.terminals[here, t].copy_(shown.terminals, non_blocking=True)
                segments.truncations[here, t].copy_(shown.truncations, non_blocking=True)
                segments.final_values[here, t] = 0.0
                if shown.truncations.any():
                    self._bootstrap_truncated(low, t, shown.truncations.nonzero()[:, 0], state)
            # The value after the segment, seen from the state that the next segment starts from.
            observations = shown.observations.to(self.device).unsqueeze(1)
            resets = shown.resets.to(self.device).unsqueeze(1)
            _, memory_n1D, _ = self.policy.remember(observations, resets, state)
            remembered_nTD = torch.cat([*remembered_n1D, memory_n1D], dim=1)
            pieces = remembered_nTD.split(STREAMS_AT_ONCE if at_hand(remembered_nTD) else len(remembered_nTD))
            values_nT1 = torch.cat([self.policy.critic(piece_bTD) for piece_bTD in pieces])
            segments.values[here] = values_nT1[:, :-1, 0]
            segments.next_values[here] = values_nT1[:, -1, 0]
        self.states[index] = state

    def _bootstrap_truncated(self, low: int, t: int, cut: Tensor, state: State) -> None:
        """Record V of the last observation of the episodes that were cut off at step t, for the streams low + cut."""
        observations = self._shown.final_observations[low + cut].to(self.device).unsqueeze(1)
        resets = torch.zeros(observations.shape[:2], dtype=torch.bool, device=self.device)
        index = cut.to(self.device)
        _, memory_n1D, _ = self.policy.remember(observations, resets, rows(state, index))
        self._segments.final_values[low + index, t] = self.policy.critic(memory_n1D)[:, 0, 0]
