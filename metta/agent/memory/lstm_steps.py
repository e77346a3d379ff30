"""LSTM layers in torch operations whose number and shapes depend on no value, for GPUs: resets are multiplications.

One product makes the input projections of all steps, one per step the recurrence, with the pointwise part in one kernel
on a GPU; the gradients of weights are one product over all steps.

Axes: T time, B batch, D input width, H hidden width, L layers. Gates lie in torch's order: input, forget, cell, output.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def lstm_by_steps(
    x: Tensor, resets: Tensor | None, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Outputs [B, T, H] and the new state of a stacked LSTM.

    Args:
        x: inputs [B, T, D].
        resets: bool [B, T], true where a row starts afresh; None when resets do not count.
        hidden, cell: state in front of the segment, [B, L, H] each.
        weights: weight_ih, weight_hh, bias_ih, bias_hh of each layer in turn.
    """
    resets_TB1 = None if resets is None else resets.t().unsqueeze(2)
    keep_TB1 = None if resets_TB1 is None else (~resets_TB1).to(x.dtype)
    stream = x.transpose(0, 1)
    hiddens, cells = [], []
    for layer, (before, cell_before) in enumerate(zip(hidden.unbind(1), cell.unbind(1), strict=True)):
        weight_ih, weight_hh, bias_ih, bias_hh = weights[4 * layer : 4 * layer + 4]
        state = before.to(x.dtype), cell_before.to(x.dtype)
        stream, after = _Layer.apply(stream, *state, resets_TB1, keep_TB1, weight_ih, weight_hh, bias_ih + bias_hh)
        hiddens.append(stream[-1])
        cells.append(after)
    return stream.transpose(0, 1), (torch.stack(hiddens, 1), torch.stack(cells, 1))


@torch.library.custom_op("metta::lstm_cell", mutates_args=())
def lstm_cell(gates: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden [B, H], cell [B, H] and the gates' values [B, 4H] from two sums of gates [B, 4H] and the cell before."""
    into, forget, new, out = (gates + recurrent).chunk(4, 1)
    into, forget, new, out = into.sigmoid(), forget.sigmoid(), new.tanh(), out.sigmoid()
    after = forget * cell + into * new
    return out * after.tanh(), after, torch.cat([into, forget, new, out], 1)


@lstm_cell.register_kernel("cuda")
def _(gates: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.aten._thnn_fused_lstm_cell(gates, recurrent, cell)
    return result


@lstm_cell.register_fake
def _(gates: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(cell), torch.empty_like(cell), torch.empty_like(gates)


@torch.library.custom_op("metta::lstm_cell_backward", mutates_args=())
def lstm_cell_backward(
    d_hidden: Tensor, d_after: Tensor, cell: Tensor, after: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the sum of gates [B, 4H] and of the cell before [B, H] from those of hidden and cell."""
    into, forget, new, out = values.chunk(4, 1)
    tanh = after.tanh()
    d_after = d_after + d_hidden * out * (1 - tanh * tanh)
    d_gates = [
        d_after * new * into * (1 - into),
        d_after * cell * forget * (1 - forget),
        d_after * into * (1 - new * new),
        d_hidden * tanh * out * (1 - out),
    ]
    return torch.cat(d_gates, 1), d_after * forget


@lstm_cell_backward.register_kernel("cuda")
def _(d_hidden: Tensor, d_after: Tensor, cell: Tensor, after: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    backward = torch.ops.aten._thnn_fused_lstm_cell_backward_impl
    d_gates, d_cell, _ = backward(d_hidden, d_after, cell, after, values, False)
    return d_gates, d_cell


@lstm_cell_backward.register_fake
def _(d_hidden: Tensor, d_after: Tensor, cell: Tensor, after: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(values), torch.empty_like(cell)


class _Layer(torch.autograd.Function):
    """One layer over a segment.

    A reset multiplies the hidden state by 0, and closes the forget gate (sum minus infinity): the cell is multiplied by
    0 inside the kernel, and so is its gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        hidden_BH: Tensor,
        cell_BH: Tensor,
        resets_TB1: Tensor | None,
        keep_TB1: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        T, B, D = x_TBD.shape
        H = weight_hh.shape[1]
        gates_TBG = torch.addmm(bias, x_TBD.reshape(T * B, D), weight_ih.t()).view(T, B, 4 * H)
        if resets_TB1 is not None:
            gates_TBG[:, :, H : 2 * H].masked_fill_(resets_TB1, float("-inf"))
        recurrent = weight_hh.t()
        befores, hiddens, cells, values = [], [], [cell_BH], []
        hidden = hidden_BH
        for t in range(T):
            befores.append(hidden if keep_TB1 is None else hidden * keep_TB1[t])
            hidden, cell, value = lstm_cell(gates_TBG[t], befores[t] @ recurrent, cells[t])
            hiddens.append(hidden)
            cells.append(cell)
            values.append(value)
        ctx.steps = T
        ctx.save_for_backward(x_TBD, keep_TB1, weight_ih, weight_hh, *befores, *cells, *values)
        return torch.stack(hiddens), cells[T]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out_TBH: Tensor, d_cell: Tensor) -> tuple[Tensor | None, ...]:
        T: int = ctx.steps
        x_TBD, keep_TB1, weight_ih, weight_hh, *steps = ctx.saved_tensors
        befores, cells, values = steps[:T], steps[T : 2 * T + 1], steps[2 * T + 1 :]
        B, D = x_TBD.shape[1:]
        d_gates: list[Tensor] = []
        d_hidden = d_out_TBH[T - 1]
        d_cell = d_cell.contiguous()
        for t in reversed(range(T)):
            d_gate, d_cell = lstm_cell_backward(d_hidden, d_cell, cells[t], cells[t + 1], values[t])
            d_gates.append(d_gate)
            above = d_out_TBH[t - 1] if t else torch.zeros_like(d_hidden)
            if keep_TB1 is None:
                d_hidden = torch.addmm(above, d_gate, weight_hh)
            else:
                d_hidden = torch.addcmul(above, d_gate @ weight_hh, keep_TB1[t])
        flat = torch.stack(d_gates[::-1]).flatten(0, 1)
        d_x = (flat @ weight_ih).view(T, B, D) if ctx.needs_input_grad[0] else None
        d_weight_ih = flat.t() @ x_TBD.reshape(T * B, D)
        d_weight_hh = flat.t() @ torch.cat(befores)
        return d_x, d_hidden, d_cell, None, None, d_weight_ih, d_weight_hh, flat.sum(0)
