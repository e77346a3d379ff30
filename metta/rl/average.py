"""The mean of a policy's weights over its last updates: what is evaluated and kept, while training goes on unaffected.

A single checkpoint of a policy that learns is a snapshot of a walk; the mean of the last steps plays as well or better.
Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging". differs in: an exponential
mean whose length is a share of the updates so far, so that the beginning is forgotten at every length of run.
"""

import copy

import torch
from torch import Tensor

from metta.agent.policy import Policy


class WeightAverage:
    """A second policy that holds the mean; its weights are changed in place."""

    def __init__(self, policy: Policy, share: float) -> None:
        """Start from the policy's weights; `share` of all updates so far is the length of the mean, 0: the newest."""
        self.policy = copy.deepcopy(policy).requires_grad_(False)
        self.share = share
        self._mean: list[Tensor] = list(self.policy.parameters())
        self._newest: list[Tensor] = list(policy.parameters())

    def add(self, updates: int) -> None:
        """Take in the policy's weights after so many updates of the run."""
        with torch.no_grad():
            torch._foreach_lerp_(self._mean, self._newest, 1 / max(1.0, self.share * updates))
