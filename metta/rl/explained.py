"""How well values foretell rewards, measured on rewards alone.

Axes: N streams, T steps of the segment.
"""

import torch
from torch import Tensor

from metta.rl.rollout import Segments


def explained_variance(segments: Segments, gamma: float) -> Tensor:
    """Share of the variance of a segment's discounted rewards that the values foretell; a scalar, 1 at best.

    The rewards from a segment's first step to its end, or to the episode's, are compared with the value of that step
    minus the discounted value of where the segment, or a truncated episode, ends. Values that are 0 everywhere explain
    nothing; the value targets, which contain values themselves, play no part. 0 where the rewards do not vary.
    """
    ended_NT = segments.terminals | segments.truncations
    steps = ended_NT.shape[1]
    discounts_T = gamma ** torch.arange(1, steps + 1, device=ended_NT.device, dtype=torch.float32)
    goes_on_NT = (~ended_NT).cumprod(1)  # after the step
    lasted_NT = torch.cat([torch.ones_like(goes_on_NT[:, :1]), goes_on_NT[:, :-1]], 1)  # up to the step
    rewards_N = (segments.rewards * lasted_NT * discounts_T).sum(1) / gamma
    cut_N = (segments.final_values * segments.truncations * lasted_NT * discounts_T).sum(1)
    followed_N = segments.next_values * goes_on_NT[:, -1] * discounts_T[-1]
    error_N = rewards_N - (segments.values[:, 0] - cut_N - followed_N)
    variance = rewards_N.var(correction=0)
    explained = 1 - error_N.var(correction=0) / variance.clamp(min=1e-12)
    return torch.where(variance > 1e-12, explained, 0.0)
