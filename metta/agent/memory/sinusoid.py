"""Sinusoidal positions, absolute or relative: the one table that every attention memory uses."""

from functools import lru_cache

import torch
from torch import Tensor

from metta.agent.table import Table


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
    angles = positions.unsqueeze(-1) * _frequencies(width, exact).on(positions.device, exact)
    return torch.cat([angles.sin(), angles.cos()], -1).to(dtype)


def backwards(steps: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`sinusoid` of the positions steps, ..., 1, 0: a constant [steps + 1, width], not to be written to."""
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    return _backwards(steps, width, exact).on(device, dtype)


@lru_cache(maxsize=64)
def _frequencies(width: int, exact: torch.dtype) -> Table:
    exponents = torch.arange(0, width, 2, dtype=exact) / width
    return Table(torch.pow(10000.0, -exponents).numpy())


@lru_cache(maxsize=64)
def _backwards(steps: int, width: int, exact: torch.dtype) -> Table:
    return Table(sinusoid(torch.arange(steps, -1, -1), width, exact).numpy())
