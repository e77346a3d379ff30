"""AGaLiTe's gated linear recurrence and its read-out: compiled kernels on a CPU, a parallel scan elsewhere.

Axes: B batch, T time, H heads, d head width, E eta, X = E * d expanded width (eta the slow index), F frequencies.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from metta.agent.memory.agalite_kernels import EPSILON, segment_backward, segment_forward
from metta.agent.memory.scan import linear_scan
from metta.agent.path import at_hand
from metta.agent.table import Table

LayerState = tuple[Tensor, Tensor]


def distinct_frequencies(oscillations: int) -> tuple[list[int], list[float]]:
    """The 2i - n of the frequencies omega_i = pi (2i - n) / n, n = r - 1, that differ in their cosine, and how often.

    omega_i and omega_(n-i) are opposite, so their cosines, and with them K and V, are the same numbers.
    """
    n = oscillations - 1
    return [2 * i - n for i in range((n + 2) // 2)], [1.0 if 2 * i == n else 2.0 for i in range((n + 2) // 2)]


@cache
def frequency_tables(oscillations: int) -> tuple[Table, Table, Table]:
    """`distinct_frequencies` as tables, and the counts once more with 2 r behind them."""
    multiples, counts = distinct_frequencies(oscillations)
    return (
        Table(np.asarray(multiples, np.int64)),
        Table(np.asarray(counts)),
        Table(np.asarray([*counts, 2.0 * oscillations])),
    )


def cosines_at(ticks: Tensor, oscillations: int, dtype: torch.dtype) -> Tensor:
    """cos(omega t) of the distinct frequencies at integer ticks [B, T], [B, T, F]; the period is taken on integers."""
    n = oscillations - 1
    multiples = frequency_tables(oscillations)[0]
    phase = (ticks.unsqueeze(2) * multiples.on(ticks.device, ticks.dtype)).remainder(2 * n)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    return torch.cos(phase.to(exact) * (torch.pi / n)).to(dtype)


def recurrence(
    main: Tensor, expansion: Tensor, cosines: Tensor, keep: Tensor, oscillations: int, state: LayerState
) -> tuple[Tensor, LayerState]:
    """Run the recurrence over a segment.

    Args:
        main: keys, queries, values, beta, gamma before their activation, [B, T, H, 5d].
        expansion: p1, p2, p3 before their activation, [B, T, H, 3E].
        cosines: [B, T, F].
        keep: [B, T], 0 where the state is zeroed in front of the step, else 1; of the type of `main`.
        oscillations: r.
        state: (K of each frequency and last S [B, H, F + 1, X], V [B, H, F, d]).

    Returns:
        read-out [B, T, H, d], new state.
    """
    if at_hand(main) and main.dtype in (torch.float32, torch.float64):
        weights = frequency_tables(oscillations)[1].on(main.device, main.dtype)
        read, keys, values = _Recurrence.apply(main, expansion, cosines, keep, weights, *state)
        return read, (keys, values)
    return scanned_recurrence(main, expansion, cosines, keep, oscillations, *state)


def scanned_recurrence(
    main: Tensor,
    expansion: Tensor,
    cosines: Tensor,
    keep: Tensor,
    oscillations: int,
    keys_state: Tensor,
    values_state: Tensor,
) -> tuple[Tensor, LayerState]:
    """`recurrence` by a parallel scan over T, on any device."""
    d = values_state.shape[3]
    kq, v, beta_gamma = main.split([2 * d, d, 2 * d], 3)
    p12, p3 = expansion.unflatten(3, (3, -1)).split([2, 1], 3)
    psi, phi = (p12.relu().unsqueeze(5) * kq.relu().unflatten(3, (2, 1, d))).flatten(4).unbind(3)
    beta, gamma = beta_gamma.sigmoid().unflatten(3, (2, 1, d)).unbind(3)
    G = (p3.squeeze(3).sigmoid().unsqueeze(4) * gamma).flatten(3).unsqueeze(3)
    keep = keep[:, :, None, None, None]
    with_one = functional.pad(cosines, (0, 1), value=1.0)[:, :, None, :, None]
    kept = torch.addcmul(keep, keep, G, value=-1.0)
    keys = linear_scan(kept, with_one * (G * psi.unsqueeze(3)), keys_state)
    values_kept = torch.addcmul(keep, keep, beta, value=-1.0)
    values = linear_scan(values_kept, with_one[:, :, :, :-1] * (beta * v.unsqueeze(3)), values_state)
    # The last of the meetings is that of S: the denominator, where all r cosines count.
    meeting = (keys @ phi.unsqueeze(4)).squeeze(4) * frequency_tables(oscillations)[2].on(main.device, main.dtype)
    strength = meeting[..., :-1] / (meeting[..., -1:] + EPSILON)
    return (strength.unsqueeze(3) @ values).squeeze(3), (keys[:, -1], values[:, -1])


class _Recurrence(torch.autograd.Function):
    """`recurrence` on compiled kernels; the backward pass goes through the stored states in reverse."""

    @staticmethod
    def forward(
        ctx: Any,
        main: Tensor,
        expansion: Tensor,
        cosines: Tensor,
        keep: Tensor,
        weights: Tensor,
        keys_state: Tensor,
        values_state: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        B, T, H, _ = main.shape
        F, d = values_state.shape[2:]
        history = main.new_empty(B, H, T + 1, F + 1, keys_state.shape[3])
        value_history = main.new_empty(B, H, T + 1, F, d)
        history[:, :, 0], value_history[:, :, 0] = keys_state, values_state
        out = main.new_empty(B, T, H, d)
        inputs = (main.contiguous(), expansion.contiguous(), cosines.contiguous(), keep.contiguous(), weights)
        tensors = (*inputs, history, value_history, out)
        segment_forward(*(tensor.detach().numpy() for tensor in tensors))
        ctx.save_for_backward(*tensors)
        return out, history[:, :, T].clone(), value_history[:, :, T].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_keys: Tensor, d_values: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        d_keys, d_values = (d.clone(memory_format=torch.contiguous_format) for d in (d_keys, d_values))
        d_main, d_expansion = torch.empty_like(tensors[0]), torch.empty_like(tensors[1])
        gradients = (d_out.contiguous(), d_keys, d_values, d_main, d_expansion)
        segment_backward(*(tensor.numpy() for tensor in (*tensors, *gradients)))
        return d_main, d_expansion, None, None, None, d_keys, d_values
