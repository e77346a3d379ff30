"""Drawing actions from logits with given uniform numbers, so that randomness is an argument.

Axes: B rows, C actions, T steps, N streams.
"""

import numpy as np
import torch
from torch import Tensor

from metta.base.seeding import derive_seed


def sample_actions(logits_BC: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one action per row by inverting the cumulative distribution.

    Args:
        logits_BC: float [B, actions].
        uniforms_B: float32 [B] in [0, 1).

    Returns:
        actions int64 [B] and their log-probabilities float32 [B].
    """
    log_probs_BC = torch.log_softmax(logits_BC.float(), dim=-1)
    cumulative_BC = log_probs_BC.exp().cumsum(-1)
    threshold_B1 = uniforms_B.unsqueeze(-1) * cumulative_BC[:, -1:]
    actions_B = (cumulative_BC <= threshold_B1).sum(-1).clamp_(max=logits_BC.shape[-1] - 1)
    return actions_B, log_probs_BC.gather(-1, actions_B.unsqueeze(-1)).squeeze(-1)


def uniforms(seed: int, purpose: str, index: int, shape: tuple[int, ...]) -> Tensor:
    """Uniform float32 numbers in [0, 1) that depend on the arguments only (there is no generator state to save)."""
    generator = np.random.Generator(np.random.Philox(key=derive_seed(seed, purpose, index)))
    return torch.from_numpy(generator.random(shape, dtype=np.float32))


def permutation(seed: int, purpose: str, index: int, length: int) -> Tensor:
    """A permutation of 0..length-1, int64, that depends on the arguments only."""
    generator = np.random.Generator(np.random.Philox(key=derive_seed(seed, purpose, index)))
    return torch.from_numpy(generator.permutation(length))
