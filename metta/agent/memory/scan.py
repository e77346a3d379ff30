"""Linear recurrences over time in a few whole-tensor operations, for GPUs and as the twin of the compiled kernels.

Axes: B batch, T time.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metta.agent.table import Table

CHUNK = 32
"""Steps done at once: their cost grows with the square of their number."""


def linear_scan(decay: Tensor, inputs: Tensor, initial: Tensor) -> Tensor:
    """h_t = decay_t h_(t-1) + inputs_t for t = 0..T-1, h_(-1) = initial; differentiable.

    Args:
        decay: [B, T, ...], broadcastable to `inputs`.
        inputs: [B, T, ...].
        initial: [B, ...].

    Returns:
        h_0 ... h_(T-1), [B, T, ...].
    """
    chunks = []
    for decays, values in zip(decay.split(CHUNK, 1), inputs.split(CHUNK, 1), strict=True):
        if values.shape[1] == 1:
            chunks.append(torch.addcmul(values, decays, initial.unsqueeze(1)))
        else:
            chunks.append(_Scan.apply(decays, values, initial))
        initial = chunks[-1][:, -1]
    return chunks[0] if len(chunks) == 1 else torch.cat(chunks, 1)


class _Scan(torch.autograd.Function):
    """h_t = (decay_0 ... decay_t) initial + sum over s <= t of (decay_(s+1) ... decay_t) inputs_s.

    The products are all formed as such, so decays may be 0. The gradients of initial and inputs are the same sums the
    other way, over t >= s, and that of decay_t is the one of inputs_t times h_(t-1).
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor, initial: Tensor) -> Tensor:
        device, dtype = decay.device, decay.dtype
        later, seen, one = _triangles(inputs.shape[1], inputs.dim() - 2)
        # [B, t, s, ...] with s = 0 for initial and s + 1 for inputs_s: decay_t where t is later, multiplied up over t.
        products = torch.where(later.on(device, torch.bool), decay.unsqueeze(2), one.on(device, dtype)).cumprod(1)
        products *= seen.on(device, dtype)
        h = (products * torch.cat([initial.unsqueeze(1), inputs], 1).unsqueeze(1)).sum(2)
        ctx.save_for_backward(decay, products, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, products, initial, h = ctx.saved_tensors
        d_sources = (products * d_h.unsqueeze(2)).sum(1)
        d_inputs = d_sources[:, 1:]
        before = torch.cat([initial.unsqueeze(1), h[:, :-1]], 1)
        return (d_inputs * before).sum_to_size(decay.shape), d_inputs, d_sources[:, 0]


@lru_cache(maxsize=64)
def _triangles(steps: int, trailing: int) -> tuple[Table, Table, Table]:
    """Over t and s: whether decay_t lies between source s and h_t, whether h_t has heard of source s; and 1."""
    ahead = np.arange(1, steps + 1)[:, None] - np.arange(steps + 1)
    shape = (steps, steps + 1, *(1,) * trailing)
    return Table((ahead > 0).reshape(shape)), Table((ahead >= 0).reshape(shape)), Table(np.asarray(1.0))
