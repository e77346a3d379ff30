"""LSTM with resets by torch's kernels (cuDNN on a GPU): segments in one call, rows cut at resets and packed; one step.

Axes: B batch, T time, D input width, H hidden width, L layers, P pieces (runs of steps of one row without a reset).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def packed_lstm(
    x: Tensor, cuts: Tensor | None, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Outputs [B, T, H] and the new state of a stacked LSTM.

    Args:
        x: inputs [B, T, D].
        cuts: bool [B, T], true where a row starts afresh; None when no row does.
        hidden, cell: state in front of the segment, [B, L, H] each.
        weights: weight_ih, weight_hh, bias_ih, bias_hh of each layer in turn.
    """
    hidden_LBH, cell_LBH = (part.to(x.dtype).transpose(0, 1).contiguous() for part in (hidden, cell))
    layers = hidden_LBH.shape[0]
    options = (True, layers, 0.0, torch.is_grad_enabled(), False)
    if cuts is None:
        output, *last = torch._VF.lstm(x, (hidden_LBH, cell_LBH), list(weights), *options, True)
        return output, (last[0].transpose(0, 1), last[1].transpose(0, 1))

    B, T, _ = x.shape
    starts = cuts.clone()
    starts[:, 0] = True
    piece_row, piece_start = starts.nonzero(as_tuple=True)
    ends = torch.cat([piece_start[1:], piece_start.new_full((1,), T)])
    lengths = torch.where(ends > piece_start, ends, T) - piece_start
    steps = (piece_start.unsqueeze(1) + torch.arange(int(lengths.max()), device=x.device)).clamp(max=T - 1)
    packed = pack_padded_sequence(x[piece_row.unsqueeze(1), steps], lengths.cpu(), True, enforce_sorted=False)

    goes_on = ~cuts[piece_row, piece_start]
    state = [part[:, piece_row] * goes_on.view(1, -1, 1).to(part.dtype) for part in (hidden_LBH, cell_LBH)]
    ordered = [part[:, packed.sorted_indices] for part in state]
    result, *last = torch._VF.lstm(packed.data, packed.batch_sizes, tuple(ordered), list(weights), *options)
    padded, _ = pad_packed_sequence(
        PackedSequence(result, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), True
    )
    piece = starts.flatten().cumsum(0).view(B, T) - 1
    within = torch.arange(T, device=x.device) - piece_start[piece]
    final = piece[:, -1]
    last_hidden, last_cell = (part[:, packed.unsorted_indices][:, final].transpose(0, 1) for part in last)
    return padded[piece, within], (last_hidden, last_cell)


def one_step(
    x: Tensor, cuts: Tensor | None, hidden: Tensor, cell: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What `packed_lstm` returns for T = 1, without asking the device which rows are cut: nothing waits for a GPU."""
    keep = 1.0 if cuts is None else (~cuts).to(x.dtype)
    stream = x[:, 0]
    hiddens, cells = [], []
    for layer in range(hidden.shape[1]):
        before = [part[:, layer].to(x.dtype) * keep for part in (hidden, cell)]
        stream, after = torch.lstm_cell(stream, before, *weights[4 * layer : 4 * layer + 4])
        hiddens.append(stream)
        cells.append(after)
    return stream.unsqueeze(1), (torch.stack(hiddens, 1), torch.stack(cells, 1))
