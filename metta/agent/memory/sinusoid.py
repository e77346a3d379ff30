"""Sinusoidal positions, absolute or relative: the one table that every attention memory uses."""

import torch
from torch import Tensor


def sinusoid(positions: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """All sines of n f_i, then all cosines, f_i = 10000^(-2i / width), for integer positions n.

    Args:
        positions: integers [...].
        width: even number of columns.
        dtype: of the result; computed in float64 for float64 and in float32 otherwise.

    Returns:
        [..., width].

    Source: Vaswani et al. 2017, section 3.5, in the column order of Dai et al. 2019's code
    (https://github.com/kimiyoung/transformer-xl, pytorch/mem_transformer.py).
    """
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=exact) / width
    angles = positions.to(exact).unsqueeze(-1) * torch.pow(10000.0, -exponents)
    return torch.cat([angles.sin(), angles.cos()], -1).to(dtype)
