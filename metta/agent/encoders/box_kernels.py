"""Compiled kernels of the first convolution: kernel slices summed over the tokens of a nearly empty box.

Axes: n observations, M tokens, F features, O output channels (a multiple of 16), kernel rows and columns k k,
grid rows and columns G g of the output.
"""

import numpy as np

from metta.agent.lanes import WIDTH, greater, kernel, load, splat, store, where_positive


@kernel
def convolve(  # type: ignore[no-untyped-def]
    tokens_nM3, weight_FkkO, bias_O, reciprocals_F, num_rows, num_columns, stride, output_nGgO
):
    """Write relu(convolution): every token adds its scaled value times the kernel slices that reach its cell."""
    F, size, O = weight_FkkO.shape[0], weight_FkkO.shape[1], weight_FkkO.shape[3]  # noqa: E741
    G, g = output_nGgO.shape[1], output_nGgO.shape[2]
    zero = splat(np.float32(0.0))
    for n in range(tokens_nM3.shape[0]):
        start = n * G * g * O
        for cell in range(G * g):
            for o in range(0, O, WIDTH):
                store(output_nGgO, start + cell * O + o, load(bias_O, o))
        for t in range(tokens_nM3.shape[1]):
            row, column = tokens_nM3[n, t, 0] >> 4, tokens_nM3[n, t, 0] & 15
            feature, value = tokens_nM3[n, t, 1], tokens_nM3[n, t, 2]
            if feature >= F or row >= num_rows or column >= num_columns or value == 0:
                continue
            x = splat(np.float32(value) * reciprocals_F[feature])
            for i in range(max(0, (row - size + stride) // stride), min(G, row // stride + 1)):
                for j in range(max(0, (column - size + stride) // stride), min(g, column // stride + 1)):
                    into = start + (i * g + j) * O
                    piece = ((feature * size + row - i * stride) * size + column - j * stride) * O
                    for o in range(0, O, WIDTH):
                        store(output_nGgO, into + o, load(output_nGgO, into + o) + x * load(weight_FkkO, piece + o))
        for o in range(start, start + G * g * O, WIDTH):
            store(output_nGgO, o, greater(load(output_nGgO, o), zero))


@kernel
def convolve_backward(  # type: ignore[no-untyped-def]
    tokens_nM3, output_nGgO, doutput_nGgO, reciprocals_F, num_rows, num_columns, stride, dweight_FkkO, dbias_O
):
    """Add the gradients of weight and bias."""
    F, size, O = dweight_FkkO.shape[0], dweight_FkkO.shape[1], dweight_FkkO.shape[3]  # noqa: E741
    G, g = output_nGgO.shape[1], output_nGgO.shape[2]
    d_GgO = np.empty(G * g * O, np.float32)
    for n in range(tokens_nM3.shape[0]):
        start = n * G * g * O
        for cell in range(G * g):
            for o in range(0, O, WIDTH):
                at = cell * O + o
                d = where_positive(load(output_nGgO, start + at), load(doutput_nGgO, start + at))
                store(d_GgO, at, d)
                store(dbias_O, o, load(dbias_O, o) + d)
        for t in range(tokens_nM3.shape[1]):
            row, column = tokens_nM3[n, t, 0] >> 4, tokens_nM3[n, t, 0] & 15
            feature, value = tokens_nM3[n, t, 1], tokens_nM3[n, t, 2]
            if feature >= F or row >= num_rows or column >= num_columns or value == 0:
                continue
            x = splat(np.float32(value) * reciprocals_F[feature])
            for i in range(max(0, (row - size + stride) // stride), min(G, row // stride + 1)):
                for j in range(max(0, (column - size + stride) // stride), min(g, column // stride + 1)):
                    out_of = (i * g + j) * O
                    piece = ((feature * size + row - i * stride) * size + column - j * stride) * O
                    for o in range(0, O, WIDTH):
                        store(dweight_FkkO, piece + o, load(dweight_FkkO, piece + o) + x * load(d_GgO, out_of + o))
