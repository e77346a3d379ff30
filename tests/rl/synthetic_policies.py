"""Policies whose need of memory is known, because somebody wrote it down."""

import torch
from torch import Tensor, nn

from metta.agent.policy import Policy
from metta.rl.specs import spec_of
from metta.sim.config import SimConfig
from metta.sim.constants import FIRST_MOVE, GET_ITEMS, LAST_MOVE, NUM_ACTIONS

OFTEN, NEVER = 20.0, -20.0


class Blind(nn.Module):
    """Perceives nothing: [B, T, 1] of zeros."""

    def forward(self, observations: Tensor) -> Tensor:
        return torch.zeros(*observations.shape[:2], 1)


class Countdown(nn.Module):
    """Says 1 in every n-th step since it began, else 0. State: steps since the last time, float [B]."""

    extra_inputs = 0

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def initial_state(self, batch: int, device: object = None, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(batch)

    def forward(self, x: Tensor, resets: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        said = []
        for t in range(x.shape[1]):
            state = torch.where(resets[:, t], 0.0, state)
            said.append((state == self.steps - 1).float())
            state = (state + 1) % self.steps
        return torch.stack(said, 1).unsqueeze(2), state


class GetsWhenTold(nn.Module):
    """Logits: get_items where the memory says 1, else a move in any direction."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, memory: Tensor) -> Tensor:
        logits = torch.full((*memory.shape[:2], NUM_ACTIONS), NEVER)
        logits[:, :, FIRST_MOVE : LAST_MOVE + 1] = 0.0
        logits[:, :, GET_ITEMS] = torch.where(memory[:, :, 0] > 0, OFTEN, NEVER)
        return logits * self.scale


class NoValue(nn.Module):
    """Predicts 0."""

    def forward(self, memory: Tensor) -> Tensor:
        return torch.zeros(*memory.shape[:2], 1)


def needs(steps: int, sim: SimConfig) -> Policy:
    """A policy that gets in every n-th step only, and so must have seen n steps, the present one among them."""
    return Policy(spec_of(sim), Blind(), Countdown(steps), GetsWhenTold(), NoValue())
