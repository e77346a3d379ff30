"""Rewards on the scale of what can be earned: divided by a running standard deviation of discounted returns.

With it the losses of policy and value keep their proportion to the bonus for staying near the prior, whether a level
pays often and much or rarely and little.

Every stream has a running return R <- gamma R + r, which starts from 0 with an episode. The variance of R over streams
and steps of a rollout enters an exponential mean over updates, corrected for its start as in Adam. Source: OpenAI
baselines' VecNormalize (described in Huang et al. 2022, "The 37 Implementation Details of PPO", detail 7 of those for
continuous actions). differs in: the mean forgets, and every episode starts from 0.

Axes: N streams, T steps of the segment.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

DECAY = 0.99
"""Share of the old in the mean of each update."""

SMALLEST = 1e-12
"""Variances below count as none: such rewards stay as they are."""


class RewardScale:
    """The running returns and the mean of their variance; tensors that are changed in place."""

    def __init__(self, streams: int, constant: float, gamma: float, device: torch.device) -> None:
        """Nothing known yet; `constant` is the standard deviation that returns are brought to, 0: rewards stay."""
        self.constant, self.gamma = constant, gamma
        self.returns_N = torch.zeros(streams, device=device)
        self.variance = torch.zeros((), device=device)
        self.known = torch.zeros((), device=device)
        """Weight of all variances known so far in their mean."""

    def scale(self, rewards_NT: Tensor, ended_NT: Tensor) -> Tensor:
        """Scale a rollout's rewards in place.

        Args:
            rewards_NT: float32 [N, T], rewards of the next T steps of every stream.
            ended_NT: bool [N, T], the episode ended with this step.

        Returns:
            What they were multiplied with, a scalar on their device.
        """
        returns_NT = torch.empty_like(rewards_NT)
        running_N = self.returns_N
        for t in range(rewards_NT.shape[1]):
            returns_NT[:, t] = running_N = self.gamma * running_N + rewards_NT[:, t]
            running_N = running_N.masked_fill(ended_NT[:, t], 0.0)
        self.returns_N.copy_(running_N)
        self.variance.lerp_(returns_NT.var(correction=0), 1 - DECAY)
        self.known.lerp_(torch.ones_like(self.known), 1 - DECAY)
        variance = self.variance / self.known
        wanted = self.constant * variance.clamp(min=SMALLEST).rsqrt()
        factor = torch.where(variance > SMALLEST, wanted, 1.0) if self.constant else torch.ones_like(variance)
        rewards_NT.mul_(factor)
        return factor

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors by name, for a checkpoint."""
        return {"returns": self.returns_N, "variance": self.variance, "known": self.known}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        for name, mine in self.state_dict().items():
            mine.copy_(state[name])
