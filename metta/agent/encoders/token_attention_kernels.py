"""Compiled kernels of the perceiver's token attention: one observation after the other, tables instead of products.

A token's vector is embedding(feature) | fourier(row) | fourier(column) | value, so its product with a query is a sum
of four table entries: tables of a query against every feature, row, column and the value cost less than the products
with all tokens. The same holds for the attention-weighted sum of tokens: weights are summed per feature, row and
column first. All inner loops run over Q queries (latents x heads), contiguous.

Axes: n observations, M tokens, Q queries, K token width (E embedding, P per coordinate, 1 value), Z table entries
(F features, then rows, then columns, then 1 for the value).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

# Products may be fused and sums reordered, so that loops vectorise; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "nsz", "arcp"}
_jit = numba.njit(nogil=True, fastmath=_FAST, cache=True, error_model="numpy")
_inline = numba.njit(nogil=True, fastmath=_FAST, error_model="numpy", inline="always")


class Kernels(NamedTuple):
    """The compiled functions for one set of sizes."""

    forward: Callable[..., None]
    backward: Callable[..., None]


@intrinsic
def _float_of_bits(_: Any, bits: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code


@numba.njit(nogil=True, fastmath=_FAST, error_model="numpy", inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """e^x for float32 x <= 0, to 2 units in the last place; below -87 it is e^-87, about 1e-38."""
    x = max(x, np.float32(-87.0))
    n = np.int32(x * np.float32(1.44269504) - np.float32(0.5))
    nf = np.float32(n)
    r = (x - nf * np.float32(0.693359375)) + nf * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))


@cache
def kernels(num_queries: int, embedding_width: int, coordinate_width: int) -> Kernels:
    """Compile for sizes that the inner loops need to know."""
    Q, E, P = num_queries, embedding_width, coordinate_width
    K = E + 2 * P + 1

    @_jit
    def fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ):  # type: ignore[no-untyped-def]
        """Products of the vectors u with every possible part of a token."""
        z = 0
        for f in range(embedding_FE.shape[0]):
            for q in range(Q):
                total = np.float32(0.0)
                for e in range(E):
                    total += embedding_FE[f, e] * u_KQ[e, q]
                tables_ZQ[z, q] = total
            z += 1
        for r in range(rows_RP.shape[0]):
            for q in range(Q):
                total = np.float32(0.0)
                for p in range(P):
                    total += rows_RP[r, p] * u_KQ[E + p, q]
                tables_ZQ[z, q] = total
            z += 1
        for c in range(columns_CP.shape[0]):
            for q in range(Q):
                total = np.float32(0.0)
                for p in range(P):
                    total += columns_CP[c, p] * u_KQ[E + P + p, q]
                tables_ZQ[z, q] = total
            z += 1
        for q in range(Q):
            tables_ZQ[z, q] = u_KQ[K - 1, q]

    @_jit
    def sum_bins(bins_ZQ, embedding_FE, rows_RP, columns_CP, z_KQ):  # type: ignore[no-untyped-def]
        """The transpose of `fill_tables`: sums per table entry -> sums of token vectors."""
        F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
        for e in range(E):
            for q in range(Q):
                z_KQ[e, q] = np.float32(0.0)
            for f in range(F):
                for q in range(Q):
                    z_KQ[e, q] += embedding_FE[f, e] * bins_ZQ[f, q]
        for p in range(P):
            for q in range(Q):
                z_KQ[E + p, q] = np.float32(0.0)
                z_KQ[E + P + p, q] = np.float32(0.0)
            for r in range(R):
                for q in range(Q):
                    z_KQ[E + p, q] += rows_RP[r, p] * bins_ZQ[F + r, q]
            for c in range(C):
                for q in range(Q):
                    z_KQ[E + P + p, q] += columns_CP[c, p] * bins_ZQ[F + R + c, q]
        for q in range(Q):
            z_KQ[K - 1, q] = bins_ZQ[F + R + C, q]

    @_jit
    def read_tokens(tokens_M3, F, R, C, reciprocals_F, entries_M3, values_M):  # type: ignore[no-untyped-def]
        """Table entries and scaled values of the tokens that count; returns how many they are."""
        m = 0
        for t in range(tokens_M3.shape[0]):
            location, feature = tokens_M3[t, 0], tokens_M3[t, 1]
            row, column = location >> 4, location & 15
            if feature < F and row < R and column < C:
                entries_M3[m, 0] = feature
                entries_M3[m, 1] = F + row
                entries_M3[m, 2] = F + R + column
                values_M[m] = np.float32(tokens_M3[t, 2]) * reciprocals_F[feature]
                m += 1
        return m

    @_jit
    def forward(  # type: ignore[no-untyped-def]
        tokens_nM3, u_nKQ, embedding_FE, rows_RP, columns_CP, reciprocals_F, z_nKQ, logsum_nQ
    ):
        """Write the attention-weighted sums of token vectors (0 without tokens) and each query's log of summed exps."""
        n_obs, M = tokens_nM3.shape[0], tokens_nM3.shape[1]
        F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
        Z = F + R + C + 1
        tables_ZQ = np.empty((Z, Q), np.float32)
        bins_ZQ = np.empty((Z, Q), np.float32)
        scores_MQ = np.empty((M, Q), np.float32)
        top_Q = np.empty(Q, np.float32)
        sum_Q = np.empty(Q, np.float32)
        entries_M3 = np.empty((M, 3), np.int64)
        values_M = np.empty(M, np.float32)
        for n in range(n_obs):
            if n < u_nKQ.shape[0]:
                fill_tables(u_nKQ[n], embedding_FE, rows_RP, columns_CP, tables_ZQ)
            m = read_tokens(tokens_nM3[n], F, R, C, reciprocals_F, entries_M3, values_M)
            top_Q[:] = -np.inf
            for t in range(m):
                f, r, c, x = entries_M3[t, 0], entries_M3[t, 1], entries_M3[t, 2], values_M[t]
                for q in range(Q):
                    s = tables_ZQ[f, q] + tables_ZQ[r, q] + tables_ZQ[c, q] + x * tables_ZQ[Z - 1, q]
                    scores_MQ[t, q] = s
                    top_Q[q] = max(top_Q[q], s)
            bins_ZQ[:] = 0.0
            sum_Q[:] = 0.0
            for t in range(m):
                f, r, c, x = entries_M3[t, 0], entries_M3[t, 1], entries_M3[t, 2], values_M[t]
                for q in range(Q):
                    scores_MQ[t, q] = _exp(scores_MQ[t, q] - top_Q[q])
                for q in range(Q):
                    w = scores_MQ[t, q]
                    sum_Q[q] += w
                    bins_ZQ[f, q] += w
                    bins_ZQ[r, q] += w
                    bins_ZQ[c, q] += w
                    bins_ZQ[Z - 1, q] += x * w
            sum_bins(bins_ZQ, embedding_FE, rows_RP, columns_CP, z_nKQ[n])
            for q in range(Q):
                logsum_nQ[n, q] = top_Q[q] + np.log(sum_Q[q]) if m else np.float32(0.0)
                sum_Q[q] = np.float32(1.0) / sum_Q[q] if m else np.float32(0.0)
            for k in range(K):
                for q in range(Q):
                    z_nKQ[n, k, q] *= sum_Q[q]

    @_jit
    def backward(  # type: ignore[no-untyped-def]
        tokens_nM3,
        u_nKQ,
        embedding_FE,
        rows_RP,
        columns_CP,
        reciprocals_F,
        z_nKQ,
        logsum_nQ,
        dz_nKQ,
        du_nKQ,
        dembedding_FE,
    ):
        """Write the gradients of u and add those of the embedding; the weights are computed again."""
        n_obs, M = tokens_nM3.shape[0], tokens_nM3.shape[1]
        F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
        Z = F + R + C + 1
        shared = u_nKQ.shape[0] < n_obs
        tables_ZQ = np.empty((Z, Q), np.float32)
        dtables_ZQ = np.empty((Z, Q), np.float32)
        dbins_ZQ = np.zeros((Z, Q), np.float32)
        bins_FQ = np.empty((F, Q), np.float32)
        scores_MQ = np.empty((M, Q), np.float32)
        inner_Q = np.empty(Q, np.float32)
        entries_M3 = np.empty((M, 3), np.int64)
        values_M = np.empty(M, np.float32)
        for n in range(n_obs):
            if n < u_nKQ.shape[0]:
                fill_tables(u_nKQ[n], embedding_FE, rows_RP, columns_CP, tables_ZQ)
            fill_tables(dz_nKQ[n], embedding_FE, rows_RP, columns_CP, dtables_ZQ)
            m = read_tokens(tokens_nM3[n], F, R, C, reciprocals_F, entries_M3, values_M)
            inner_Q[:] = 0.0
            for k in range(K):
                for q in range(Q):
                    inner_Q[q] += dz_nKQ[n, k, q] * z_nKQ[n, k, q]
            if not shared:
                dbins_ZQ[:] = 0.0
            bins_FQ[:] = 0.0
            for t in range(m):
                f, r, c, x = entries_M3[t, 0], entries_M3[t, 1], entries_M3[t, 2], values_M[t]
                for q in range(Q):
                    s = tables_ZQ[f, q] + tables_ZQ[r, q] + tables_ZQ[c, q] + x * tables_ZQ[Z - 1, q]
                    scores_MQ[t, q] = _exp(min(s - logsum_nQ[n, q], np.float32(0.0)))
                for q in range(Q):
                    w = scores_MQ[t, q]
                    dw = dtables_ZQ[f, q] + dtables_ZQ[r, q] + dtables_ZQ[c, q] + x * dtables_ZQ[Z - 1, q]
                    ds = w * (dw - inner_Q[q])
                    bins_FQ[f, q] += w
                    dbins_ZQ[f, q] += ds
                    dbins_ZQ[r, q] += ds
                    dbins_ZQ[c, q] += ds
                    dbins_ZQ[Z - 1, q] += x * ds
            if not shared:
                sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, du_nKQ[n])
                for f in range(F):
                    for e in range(E):
                        total = np.float32(0.0)
                        for q in range(Q):
                            total += bins_FQ[f, q] * dz_nKQ[n, e, q] + dbins_ZQ[f, q] * u_nKQ[n, e, q]
                        dembedding_FE[f, e] += total
            else:
                for f in range(F):
                    for e in range(E):
                        total = np.float32(0.0)
                        for q in range(Q):
                            total += bins_FQ[f, q] * dz_nKQ[n, e, q]
                        dembedding_FE[f, e] += total
        if shared:
            sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, du_nKQ[0])
            for f in range(F):
                for e in range(E):
                    total = np.float32(0.0)
                    for q in range(Q):
                        total += dbins_ZQ[f, q] * u_nKQ[0, e, q]
                    dembedding_FE[f, e] += total

    return Kernels(forward, backward)
