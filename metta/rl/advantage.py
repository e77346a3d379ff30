"""Generalised advantage estimation with the right bootstrap at truncations and none across terminals.

Axes: N streams, T steps of the segment.
Source: Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16.
"""

import torch
from torch import Tensor


def generalised_advantages(
    rewards_NT: Tensor,
    values_NT: Tensor,
    terminals_NT: Tensor,
    truncations_NT: Tensor,
    final_values_NT: Tensor,
    next_values_N: Tensor,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """Advantages and value targets of a batch of segments.

    Args:
        rewards_NT: float32 [N, T], the reward of the action taken at step t.
        values_NT: float32 [N, T], V of the observation at step t.
        terminals_NT: bool [N, T], the episode ended for good with the action at t: nothing follows.
        truncations_NT: bool [N, T], the episode was cut off after the action at t: what would have followed is
            worth `final_values_NT`.
        final_values_NT: float32 [N, T], V of the last observation of an episode that ended at t; read only where
            `truncations_NT`.
        next_values_N: float32 [N], V of the observation that follows the segment.
        gamma: discount per step.
        gae_lambda: weight of longer returns.

    Returns:
        advantages and targets (advantages + values), float32 [N, T].
    """
    ended_NT = terminals_NT | truncations_NT
    following_NT = torch.cat([values_NT[:, 1:], next_values_N.unsqueeze(1)], 1)
    following_NT = torch.where(truncations_NT, final_values_NT, following_NT).masked_fill(terminals_NT, 0.0)
    deltas_NT = rewards_NT + gamma * following_NT - values_NT
    advantages_NT = torch.empty_like(values_NT)
    running_N = torch.zeros_like(next_values_N)
    for t in range(values_NT.shape[1] - 1, -1, -1):
        running_N = deltas_NT[:, t] + gamma * gae_lambda * running_N.masked_fill(ended_NT[:, t], 0.0)
        advantages_NT[:, t] = running_N
    return advantages_NT, advantages_NT + values_NT
