"""LSTM memory, plain (memory runs on across episodes) or with exact resets, fast on one CPU thread and on a GPU.

Axes: B batch, T time, D input width, H hidden width, L layers. Inside a layer time comes first, so that the rows of
one step lie together.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from metta.agent.init import initialise_lstm
from metta.agent.memory.lstm_kernels import step_backward, step_forward
from metta.agent.memory.lstm_steps import lstm_by_steps
from metta.agent.path import at_hand

if TYPE_CHECKING:
    from metta.agent.memory.config import LSTMConfig

LSTMState = tuple[Tensor, Tensor]


class LSTM(nn.Module):
    """Stacked LSTM layers over segments, the state of each layer carried from call to call.

    Parameters, for layer k = 0..L-1, of nn.LSTM's names and layout (gates in the order input, forget, cell, output):
    `weight_ih_l{k}` [4H, D or H], `weight_hh_l{k}` [4H, H], `bias_ih_l{k}` [4H], `bias_hh_l{k}` [4H]. A state
    dictionary of nn.LSTM, or of PufferLib's `lstm`, loads as it is.

    State: (hidden [B, L, H], cell [B, L, H]).

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, as torch.nn.LSTM computes it.
    Differs in: batch first in the state; with `honour_resets` hidden and cell are zeroed in front of a step whose
    reset flag is set.
    """

    extra_inputs = 0

    def __init__(self, config: "LSTMConfig", input_width: int) -> None:
        super().__init__()
        self.input_width = input_width
        self.output_width = config.width
        self.num_layers = config.num_layers
        self.honour_resets = config.honour_resets
        for layer in range(config.num_layers):
            incoming = input_width if layer == 0 else config.width
            for name, width in (("ih", incoming), ("hh", config.width)):
                self.register_parameter(f"weight_{name}_l{layer}", nn.Parameter(torch.empty(4 * config.width, width)))
                self.register_parameter(f"bias_{name}_l{layer}", nn.Parameter(torch.empty(4 * config.width)))
        initialise_lstm(self, config.input_gain)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> LSTMState:
        """Zeros: (hidden [batch, L, H], cell [batch, L, H]); device and dtype default to the parameters'."""
        zeros = next(self.parameters()).new_zeros(batch, self.num_layers, self.output_width, device=device, dtype=dtype)
        return zeros, zeros.clone()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """After a move to a GPU the weights lie as cuDNN reads them; it would copy them at every call otherwise."""
        super()._apply(fn, recurse)
        weights = self.weights()
        if not self.honour_resets and weights[0].is_cuda and torch.backends.cudnn.is_acceptable(weights[0]):
            mode = torch.backends.cudnn.rnn.get_cudnn_mode("LSTM")
            sizes = self.output_width, 0, self.num_layers
            with torch.no_grad():
                torch._cudnn_rnn_flatten_weight(weights, 4, self.input_width, mode, *sizes, True, False)
        return self

    def weights(self) -> list[Tensor]:
        """`layer_parameters` of all layers in turn."""
        return [part for layer in range(self.num_layers) for part in self.layer_parameters(layer)]

    def layer_parameters(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """weight_ih, weight_hh, bias_ih, bias_hh of a layer."""
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(self, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return weight_ih, weight_hh, bias_ih, bias_hh

    def forward(self, x: Tensor, resets: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """x [B, T, D], resets bool [B, T], state -> outputs of the last layer [B, T, H], new state."""
        hidden, cell = state
        if not (at_hand(x) and x.dtype in (torch.float32, torch.float64)):
            if self.honour_resets or x.shape[1] == 1:
                return lstm_by_steps(x, resets if self.honour_resets else None, hidden, cell, self.weights())
            return _library_lstm(x, hidden, cell, self.weights())
        cuts = resets if self.honour_resets and bool(resets.any()) else None
        keep_TB = None if cuts is None else (~cuts).t().to(x.dtype).contiguous()
        stream = x.transpose(0, 1).contiguous()
        last_hidden, last_cell = [], []
        for layer in range(self.num_layers):
            weight_ih, weight_hh, bias_ih, bias_hh = self.layer_parameters(layer)
            stream, final_cell = _Layer.apply(
                stream, hidden[:, layer], cell[:, layer], keep_TB, weight_ih, weight_hh, bias_ih + bias_hh
            )
            last_hidden.append(stream[-1])
            last_cell.append(final_cell)
        return stream.transpose(0, 1), (torch.stack(last_hidden, 1), torch.stack(last_cell, 1))


def _library_lstm(x: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor]) -> tuple[Tensor, LSTMState]:
    """A stacked LSTM without resets by torch's own kernel for all steps (cuDNN on a GPU)."""
    hidden_LBH, cell_LBH = (part.to(x.dtype).transpose(0, 1).contiguous() for part in (hidden, cell))
    options = (True, len(hidden_LBH), 0.0, torch.is_grad_enabled(), False, True)
    output, *last = torch._VF.lstm(x, (hidden_LBH, cell_LBH), weights, *options)
    return output, (last[0].transpose(0, 1), last[1].transpose(0, 1))


class _Layer(torch.autograd.Function):
    """One layer over a segment: one product for all input projections, one per step for the recurrence.

    The backward pass runs the steps in reverse and leaves the weight gradients to one product over all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        hidden_BH: Tensor,
        cell_BH: Tensor,
        keep_TB: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        T, B, D = x_TBD.shape
        H = weight_hh.shape[1]
        gates = torch.addmm(bias, x_TBD.view(T * B, D), weight_ih.t()).view(T, B, 4 * H)
        # Slot t is the state in front of step t, as the step before left it (not yet zeroed by a reset at t).
        hiddens, cells = x_TBD.new_empty(T + 1, B, H), x_TBD.new_empty(T + 1, B, H)
        hiddens[0], cells[0] = hidden_BH, cell_BH
        tanh_cells = x_TBD.new_empty(T, B, H)
        cut = _steps_with_a_reset(keep_TB)
        recurrent = weight_hh.t()
        gates_np, cells_np, tanh_np, hiddens_np = (a.numpy() for a in (gates, cells, tanh_cells, hiddens))
        for t in range(T):
            if t in cut:
                before, cell_before = hiddens[t] * cut[t], (cells[t] * cut[t]).numpy()
            else:
                before, cell_before = hiddens[t], cells_np[t]
            torch.addmm(gates[t], before, recurrent, out=gates[t])
            step_forward(gates_np[t], cell_before, cells_np[t + 1], tanh_np[t], hiddens_np[t + 1])
        ctx.save_for_backward(x_TBD, keep_TB, weight_ih, weight_hh, gates, hiddens, cells, tanh_cells)
        return hiddens[1:], cells[T]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_last_cell: Tensor) -> tuple[Tensor | None, ...]:
        x_TBD, keep_TB, weight_ih, weight_hh, gates, hiddens, cells, tanh_cells = ctx.saved_tensors
        T, B, D = x_TBD.shape
        H = weight_hh.shape[1]
        cut = _steps_with_a_reset(keep_TB)
        d_gates = torch.empty_like(gates)
        d_hidden = torch.zeros_like(hiddens[0])
        d_cell = d_last_cell.clone(memory_format=torch.contiguous_format)
        arrays = (gates, cells, tanh_cells, d_out.contiguous(), d_hidden, d_cell, d_gates)
        gates_np, cells_np, tanh_np, d_out_np, d_hidden_np, d_cell_np, d_gates_np = (a.numpy() for a in arrays)
        for t in reversed(range(T)):
            cell_before = (cells[t] * cut[t]).numpy() if t in cut else cells_np[t]
            step_backward(gates_np[t], cell_before, tanh_np[t], d_out_np[t], d_hidden_np, d_cell_np, d_gates_np[t])
            torch.mm(d_gates[t], weight_hh, out=d_hidden)
            if t in cut:
                d_hidden.mul_(cut[t])
                d_cell.mul_(cut[t])
        flat = d_gates.view(T * B, 4 * H)
        before = hiddens[:T] if keep_TB is None else hiddens[:T] * keep_TB.unsqueeze(2)
        d_x = (flat @ weight_ih).view(T, B, D) if ctx.needs_input_grad[0] else None
        d_weight_ih = flat.t() @ x_TBD.view(T * B, D)
        d_weight_hh = flat.t() @ before.view(T * B, H)
        return d_x, d_hidden, d_cell, None, d_weight_ih, d_weight_hh, flat.sum(0)


def _steps_with_a_reset(keep_TB: Tensor | None) -> dict[int, Tensor]:
    """For the steps at which some row starts afresh: what rows keep of their state, 1 or 0, [B, 1]."""
    if keep_TB is None:
        return {}
    steps = (keep_TB == 0).any(1).nonzero().flatten().tolist()
    return {t: keep_TB[t].unsqueeze(1) for t in steps}
