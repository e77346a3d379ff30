"""Linear recurrences over time in a logarithmic number of whole-tensor steps, for GPUs and as the kernels' twin.

Axes: B batch, T time.
"""

import torch
from torch import Tensor


def linear_scan(decay: Tensor, inputs: Tensor, initial: Tensor) -> Tensor:
    """h_t = decay_t h_(t-1) + inputs_t for t = 0..T-1, h_(-1) = initial; differentiable.

    Args:
        decay, inputs: [B, T, ...], broadcastable to one shape.
        initial: [B, ...].

    Returns:
        h_0 ... h_(T-1), [B, T, ...].

    Source: Hillis & Steele 1986, data parallel algorithms: after s doublings slot t holds the composition of the
    last 2^s affine maps.
    """
    decay, inputs = torch.broadcast_tensors(decay, inputs)
    T = inputs.shape[1]
    first = inputs[:, :1] + decay[:, :1] * initial.unsqueeze(1)
    value = torch.cat([first, inputs[:, 1:]], 1)
    reach = 1
    while reach < T:
        value = torch.cat([value[:, :reach], value[:, reach:] + decay[:, reach:] * value[:, :-reach]], 1)
        decay = torch.cat([decay[:, :reach], decay[:, reach:] * decay[:, :-reach]], 1)
        reach *= 2
    return value
