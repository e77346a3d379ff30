"""The pointwise mathematics of one LSTM time step, forward and backward, each in one pass over the numbers (CPU).

Axes: B batch, H hidden width. Gates lie in torch's order, input, forget, cell, output, as columns [B, 4H]. All arrays
are C-contiguous and of one type, float32 or float64. The kernels hold no state and release the interpreter lock.
"""

import numpy as np
from numba import njit

from metta.agent.memory.logistic import logistic


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
def step_forward(
    gates: np.ndarray, previous_cell: np.ndarray, cell: np.ndarray, tanh_cell: np.ndarray, hidden: np.ndarray
) -> None:
    """From gate sums [B, 4H] (replaced by the gates' values) and the previous cell [B, H]: cell, its tanh, hidden."""
    width = cell.shape[1]
    one = cell.dtype.type(1)
    two = cell.dtype.type(2)
    for b in range(cell.shape[0]):
        row = gates[b]
        into, forget, new, out = row[:width], row[width : 2 * width], row[2 * width : 3 * width], row[3 * width :]
        before, now, now_tanh, result = previous_cell[b], cell[b], tanh_cell[b], hidden[b]
        for j in range(2 * width):
            row[j] = logistic(row[j])
        for j in range(width):
            new[j] = two * logistic(two * new[j]) - one
        for j in range(width):
            out[j] = logistic(out[j])
        for j in range(width):
            now[j] = forget[j] * before[j] + into[j] * new[j]
            now_tanh[j] = two * logistic(two * now[j]) - one
            result[j] = out[j] * now_tanh[j]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
def step_backward(
    gates: np.ndarray,
    previous_cell: np.ndarray,
    tanh_cell: np.ndarray,
    output_gradient: np.ndarray,
    hidden_gradient: np.ndarray,
    cell_gradient: np.ndarray,
    gate_gradient: np.ndarray,
) -> None:
    """Gradients with respect to the gate sums [B, 4H] and, in place, with respect to the previous cell [B, H].

    The gradient of this step's hidden state is `output_gradient` (from above) + `hidden_gradient` (from the next
    step); `cell_gradient` comes in as that of this step's cell from the next step.
    """
    width = tanh_cell.shape[1]
    one = tanh_cell.dtype.type(1)
    for b in range(tanh_cell.shape[0]):
        row, gradient = gates[b], gate_gradient[b]
        into, forget, new, out = row[:width], row[width : 2 * width], row[2 * width : 3 * width], row[3 * width :]
        d_into, d_forget = gradient[:width], gradient[width : 2 * width]
        d_new, d_out = gradient[2 * width : 3 * width], gradient[3 * width :]
        before, now_tanh = previous_cell[b], tanh_cell[b]
        from_above, from_next, d_cell = output_gradient[b], hidden_gradient[b], cell_gradient[b]
        for j in range(width):
            d_hidden = from_above[j] + from_next[j]
            d_out[j] = d_hidden * now_tanh[j] * out[j] * (one - out[j])
            d_now = d_cell[j] + d_hidden * out[j] * (one - now_tanh[j] * now_tanh[j])
            d_into[j] = d_now * new[j] * into[j] * (one - into[j])
            d_new[j] = d_now * into[j] * (one - new[j] * new[j])
            d_forget[j] = d_now * before[j] * forget[j] * (one - forget[j])
            d_cell[j] = d_now * forget[j]
