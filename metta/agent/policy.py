"""The contract of a policy: perception -> memory -> actor and critic, with every bit of state going in and out.

Axes: B batch rows (streams), T time, M tokens of an observation, D width.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metta.agent.egocentric import turn, turn_back
from metta.agent.front import NUM_GLOBAL_TOKENS, add_front_tokens
from metta.agent.spec import EnvironmentSpec
from metta.agent.state import State
from metta.sim.constants import FEATURE_LAST_ACTION


class PolicyOutput(NamedTuple):
    """What a policy returns for a batch of sequences."""

    logits: Tensor
    """Unnormalised log-probabilities of the actions, float [B, T, actions]."""

    values: Tensor
    """Predicted return, float [B, T]."""

    state: State
    """State after the last step, every tensor batch first; empty without memory."""

    auxiliary: dict[str, Tensor]
    """Auxiliary predictions [B, T, ...] by name; empty for most policies."""


class AuxiliaryTargets(NamedTuple):
    """What the trainer knows about a segment, for the losses of auxiliary predictions. No gradients."""

    rewards: Tensor
    """float [B, T]: reward of the action taken at t."""

    returns: Tensor
    """float [B, T]: discounted return from t on, the same target as the critic's."""

    resets: Tensor
    """bool [B, T]: the observation at t begins an episode, so what follows t - 1 is not at t."""


class Auxiliary(nn.Module):
    """Predictions beside the policy's own, each with a loss that the trainer adds to its own."""

    def forward(self, perception: Tensor, memory: Tensor) -> dict[str, Tensor]:
        """perception [B, T, D], memory output [B, T, D_out] -> predictions [B, T, ...] by name."""
        raise NotImplementedError

    def losses(self, predictions: Mapping[str, Tensor], targets: AuxiliaryTargets) -> dict[str, Tensor]:
        """Scalar losses by name, already weighted: the trainer adds their sum to its loss and logs each by name."""
        raise NotImplementedError


class Policy(nn.Module):
    """A policy that owns parameters only; acting is T = 1 of the same forward.

    Several threads may run one policy at once: neither forward nor its parts write to a module.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        encoder: nn.Module,
        memory: nn.Module,
        actor: nn.Module,
        critic: nn.Module,
        auxiliary: Auxiliary | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder
        self.memory = memory
        self.actor = actor
        self.critic = critic
        self.auxiliary = auxiliary
        self._extra_inputs: int = getattr(memory, "extra_inputs", 0)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state in front of a first episode, for `batch` rows; device and dtype default to the parameters'."""
        parameter = next(self.parameters())
        state: State = self.memory.initial_state(  # type: ignore[operator]
            batch,
            device=parameter.device if device is None else torch.device(device),
            dtype=parameter.dtype if dtype is None else dtype,
        )
        return state

    def forward(self, observations: Tensor, resets: Tensor, state: State) -> PolicyOutput:
        """Run a batch of sequences.

        Args:
            observations: uint8 [B, T, M, 3], tokens of (location, feature, value).
            resets: bool [B, T], true where a new episode begins with this observation.
            state: as `initial_state` or the last output gave it.
        """
        perception_BTD, memory_BTD, state = self.remember(observations, resets, state)
        auxiliary = {} if self.auxiliary is None else self.auxiliary(perception_BTD, memory_BTD)
        return PolicyOutput(
            self.logits(memory_BTD, observations), self.critic(memory_BTD).squeeze(-1), state, auxiliary
        )

    def act(self, observations: Tensor, resets: Tensor, state: State) -> tuple[Tensor, State]:
        """The logits and the state of `forward`, without the cost of values and auxiliary predictions."""
        _, memory_BTD, state = self.remember(observations, resets, state)
        return self.logits(memory_BTD, observations), state

    def logits(self, memory: Tensor, observations: Tensor) -> Tensor:
        """The logits [B, T, actions] of what memory [B, T, D_out] made of observations [B, T, M, 3]."""
        logits_BTC: Tensor = self.actor(memory)
        return turn_back(logits_BTC, observations, self.spec) if self.spec.egocentric_view else logits_BTC

    def remember(self, observations: Tensor, resets: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """What is perceived [B, T, D], what memory makes of it for the heads [B, T, D_out], and the new state."""
        seen = add_front_tokens(observations, self.spec) if self.spec.front_view else observations
        seen = turn(seen, self.spec) if self.spec.egocentric_view else seen
        perception_BTD = self.encoder(seen)
        inputs_BTD = perception_BTD
        if self._extra_inputs:
            inputs_BTD = torch.cat([perception_BTD, last_action(seen, self.spec, perception_BTD)], 2)
        memory_BTD, state = self.memory(inputs_BTD, resets, state)
        return perception_BTD, memory_BTD, state


def last_action(observations: Tensor, spec: EnvironmentSpec, like: Tensor) -> Tensor:
    """Last action (index / its scale), read from the observation's global tokens.

    Args:
        observations: uint8 [B, T, M, 3].
        spec: gives the scale.
        like: a tensor of the wanted dtype and device.

    Returns:
        [B, T, 1]; 0 where the observation has no such token.
    """
    feature, value = observations[:, :, :NUM_GLOBAL_TOKENS, 1], observations[:, :, :NUM_GLOBAL_TOKENS, 2]
    action = ((feature == FEATURE_LAST_ACTION) * value).sum(2, keepdim=True)
    scale = spec.feature_scales[FEATURE_LAST_ACTION] if spec.num_features > FEATURE_LAST_ACTION else 1.0
    return action.to(like.dtype) / scale
