"""Linear recurrences over time in a few whole-tensor operations, for GPUs and as the twin of the compiled kernels.

Axes: B batch, T time.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    """h_t = sum over s <= t of (decay_(s+1) ... decay_t) inputs_s, with decay_0 initial added to inputs_0.

    The products are all formed as such, so decays may be 0. The gradient of inputs_s is the same sum the other way,
    over t >= s, and that of decay_t is it times h_(t-1).
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor, initial: Tensor) -> Tensor:
        T = inputs.shape[1]
        # [B, t, s, ...]: decay_t below the diagonal, 1 on and above it, multiplied up over t.
        steps = torch.arange(T, device=inputs.device)
        trailing = (1,) * (inputs.dim() - 2)
        later = (steps.unsqueeze(1) > steps).view(T, T, *trailing)
        seen = (steps.unsqueeze(1) >= steps).view(T, T, *trailing)
        products = torch.where(later, decay.unsqueeze(2), 1.0).cumprod(1) * seen
        first = torch.addcmul(inputs[:, :1], decay[:, :1], initial.unsqueeze(1))
        h = (products * torch.cat([first, inputs[:, 1:]], 1).unsqueeze(1)).sum(2)
        ctx.save_for_backward(decay, products, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, products, initial, h = ctx.saved_tensors
        d_inputs = (products * d_h.unsqueeze(2)).sum(1)
        before = torch.cat([initial.unsqueeze(1), h[:, :-1]], 1)
        return (d_inputs * before).sum_to_size(decay.shape), d_inputs, d_inputs[:, 0] * decay[:, 0]
