"""Compiled kernels of the perceiver's token attention: one observation after the other, tables instead of products.

A token's vector is embedding(feature) | fourier(row) | fourier(column) | value, so its product with a query is a sum
of four table entries: tables of a query against every feature, row, column and the value cost less than the products
with all tokens. The same holds for the attention-weighted sum of tokens: weights are summed per feature, row and
column first. All inner loops run over Q queries, eight at a time.

Axes: n observations, M tokens, L latents, H heads, Q = L * H queries (a multiple of 8), K token width (E embedding,
P per coordinate, 1 value), Z table entries (F features, then R rows, then C columns, then 1 for the value).
"""

import numpy as np

from metta.agent.lanes import WIDTH, exp_nonpositive, greater, kernel, load, splat, store, total


@kernel
def read_tokens(tokens_nM3, n, F, R, C, reciprocals_F, entries_M3, values_M):  # type: ignore[no-untyped-def]
    """Table entries and scaled values of those tokens of observation n that count; returns how many they are."""
    m = 0
    for t in range(tokens_nM3.shape[1]):
        location, feature = tokens_nM3[n, t, 0], tokens_nM3[n, t, 1]
        row, column = location >> 4, location & 15
        if feature < F and row < R and column < C:
            entries_M3[m, 0] = feature
            entries_M3[m, 1] = F + row
            entries_M3[m, 2] = F + R + column
            values_M[m] = np.float32(tokens_nM3[n, t, 2]) * reciprocals_F[feature]
            m += 1
    return m


@kernel
def queries_last(u_nLKH, n, u_KQ):  # type: ignore[no-untyped-def]
    """Vectors of observation n in the order that the inner loops read."""
    L, K, H = u_nLKH.shape[1], u_nLKH.shape[2], u_nLKH.shape[3]
    for latent in range(L):
        for k in range(K):
            for h in range(H):
                u_KQ[k, latent * H + h] = u_nLKH[n, latent, k, h]


@kernel
def latents_first(u_KQ, n, u_nLKH):  # type: ignore[no-untyped-def]
    """The way back."""
    L, K, H = u_nLKH.shape[1], u_nLKH.shape[2], u_nLKH.shape[3]
    for latent in range(L):
        for k in range(K):
            for h in range(H):
                u_nLKH[n, latent, k, h] = u_KQ[k, latent * H + h]


@kernel
def products(matrix_RP, u_KQ, k, tables_ZQ, z):  # type: ignore[no-untyped-def]
    """tables[z + r] = sum over p of matrix[r, p] * u[k + p]; four rows at a time, so that no sum waits for itself."""
    R, P, Q = matrix_RP.shape[0], matrix_RP.shape[1], u_KQ.shape[1]
    for r in range(0, R, 4):
        # The last four rows overlap the ones before.
        r = max(0, min(r, R - 4))
        r1, r2, r3 = min(r + 1, R - 1), min(r + 2, R - 1), min(r + 3, R - 1)
        for q in range(0, Q, WIDTH):
            s = splat(np.float32(0.0))
            s1, s2, s3 = s, s, s
            for p in range(P):
                u = load(u_KQ, (k + p) * Q + q)
                s = s + splat(matrix_RP[r, p]) * u
                s1 = s1 + splat(matrix_RP[r1, p]) * u
                s2 = s2 + splat(matrix_RP[r2, p]) * u
                s3 = s3 + splat(matrix_RP[r3, p]) * u
            store(tables_ZQ, (z + r) * Q + q, s)
            store(tables_ZQ, (z + r1) * Q + q, s1)
            store(tables_ZQ, (z + r2) * Q + q, s2)
            store(tables_ZQ, (z + r3) * Q + q, s3)


@kernel
def transposed_products(matrix_RP, bins_ZQ, z, factor_Q, u_KQ, k):  # type: ignore[no-untyped-def]
    """u[k + p] = factor * sum over r of matrix[r, p] * bins[z + r]; two columns at a time."""
    R, P, Q = matrix_RP.shape[0], matrix_RP.shape[1], u_KQ.shape[1]
    for p in range(0, P, 2):
        p1 = min(p + 1, P - 1)
        for q in range(0, Q, WIDTH):
            s = splat(np.float32(0.0))
            s1 = s
            for r in range(R):
                b = load(bins_ZQ, (z + r) * Q + q)
                s = s + splat(matrix_RP[r, p]) * b
                s1 = s1 + splat(matrix_RP[r, p1]) * b
            store(u_KQ, (k + p) * Q + q, s * load(factor_Q, q))
            store(u_KQ, (k + p1) * Q + q, s1 * load(factor_Q, q))


@kernel
def fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ):  # type: ignore[no-untyped-def]
    """Products of the vectors u with every possible part of a token."""
    F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
    E, P = embedding_FE.shape[1], rows_RP.shape[1]
    products(embedding_FE, u_KQ, 0, tables_ZQ, 0)
    products(rows_RP, u_KQ, E, tables_ZQ, F)
    products(columns_CP, u_KQ, E + P, tables_ZQ, F + R)
    tables_ZQ[F + R + C] = u_KQ[E + 2 * P]


@kernel
def sum_bins(bins_ZQ, embedding_FE, rows_RP, columns_CP, factor_Q, z_KQ):  # type: ignore[no-untyped-def]
    """The transpose of `fill_tables`: sums per table entry -> sums of token vectors, times a factor per query."""
    F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
    E, P = embedding_FE.shape[1], rows_RP.shape[1]
    transposed_products(embedding_FE, bins_ZQ, 0, factor_Q, z_KQ, 0)
    transposed_products(rows_RP, bins_ZQ, F, factor_Q, z_KQ, E)
    transposed_products(columns_CP, bins_ZQ, F + R, factor_Q, z_KQ, E + P)
    for q in range(factor_Q.shape[0]):
        z_KQ[E + 2 * P, q] = bins_ZQ[F + R + C, q] * factor_Q[q]


@kernel
def forward(  # type: ignore[no-untyped-def]
    tokens_nM3, u_nLKH, embedding_FE, rows_RP, columns_CP, reciprocals_F, z_nLKH, logsum_nQ
):
    """Write the attention-weighted sums of token vectors (0 without tokens) and each query's log of summed exps."""
    M, K, Q = tokens_nM3.shape[1], u_nLKH.shape[2], logsum_nQ.shape[1]
    F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
    V = (F + R + C) * Q
    tables_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    bins_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    scores_MQ = np.empty((M, Q), np.float32)
    u_KQ = np.empty((K, Q), np.float32)
    z_KQ = np.empty((K, Q), np.float32)
    top_Q = np.empty(Q, np.float32)
    sum_Q = np.empty(Q, np.float32)
    entries_M3 = np.empty((M, 3), np.int64)
    values_M = np.empty(M, np.float32)
    for n in range(tokens_nM3.shape[0]):
        if n < u_nLKH.shape[0]:
            queries_last(u_nLKH, n, u_KQ)
            fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ)
        m = read_tokens(tokens_nM3, n, F, R, C, reciprocals_F, entries_M3, values_M)
        if m == 0:
            z_nLKH[n] = 0.0
            logsum_nQ[n] = 0.0
            continue
        top_Q[:] = -np.inf
        sum_Q[:] = 0.0
        bins_ZQ[:] = 0.0
        for t in range(m):
            f, r, c = entries_M3[t, 0] * Q, entries_M3[t, 1] * Q, entries_M3[t, 2] * Q
            x = splat(values_M[t])
            for q in range(0, Q, WIDTH):
                s = load(tables_ZQ, f + q) + load(tables_ZQ, r + q) + load(tables_ZQ, c + q)
                s = s + x * load(tables_ZQ, V + q)
                store(scores_MQ, t * Q + q, s)
                store(top_Q, q, greater(s, load(top_Q, q)))
        for t in range(m):
            f, r, c = entries_M3[t, 0] * Q, entries_M3[t, 1] * Q, entries_M3[t, 2] * Q
            x = splat(values_M[t])
            for q in range(0, Q, WIDTH):
                w = exp_nonpositive(load(scores_MQ, t * Q + q) - load(top_Q, q))
                store(sum_Q, q, load(sum_Q, q) + w)
                store(bins_ZQ, f + q, load(bins_ZQ, f + q) + w)
                store(bins_ZQ, r + q, load(bins_ZQ, r + q) + w)
                store(bins_ZQ, c + q, load(bins_ZQ, c + q) + w)
                store(bins_ZQ, V + q, load(bins_ZQ, V + q) + x * w)
        for q in range(Q):
            logsum_nQ[n, q] = top_Q[q] + np.log(sum_Q[q])
            sum_Q[q] = np.float32(1.0) / sum_Q[q]
        sum_bins(bins_ZQ, embedding_FE, rows_RP, columns_CP, sum_Q, z_KQ)
        latents_first(z_KQ, n, z_nLKH)


@kernel
def add_embedding_gradient(bins_FQ, v_KQ, dembedding_FE):  # type: ignore[no-untyped-def]
    """Add the products of each feature's bins with the first E vectors v."""
    E, Q = dembedding_FE.shape[1], v_KQ.shape[1]
    for f in range(dembedding_FE.shape[0]):
        for e in range(E):
            s = splat(np.float32(0.0))
            for q in range(0, Q, WIDTH):
                s = s + load(bins_FQ, f * Q + q) * load(v_KQ, e * Q + q)
            dembedding_FE[f, e] += total(s)


@kernel
def backward(  # type: ignore[no-untyped-def]
    tokens_nM3,
    u_nLKH,
    embedding_FE,
    rows_RP,
    columns_CP,
    reciprocals_F,
    z_nLKH,
    logsum_nQ,
    dz_nLKH,
    du_nLKH,
    dembedding_FE,
):
    """Write the gradients of u and add those of the embedding; the weights are computed again."""
    M, K, Q = tokens_nM3.shape[1], u_nLKH.shape[2], logsum_nQ.shape[1]
    F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
    V = (F + R + C) * Q
    tables_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    dtables_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    dbins_ZQ = np.zeros((F + R + C + 1, Q), np.float32)
    bins_FQ = np.empty((F, Q), np.float32)
    u_KQ = np.empty((K, Q), np.float32)
    du_KQ = np.empty((K, Q), np.float32)
    z_KQ = np.empty((K, Q), np.float32)
    dz_KQ = np.empty((K, Q), np.float32)
    inner_Q = np.empty(Q, np.float32)
    one_Q = np.ones(Q, np.float32)
    entries_M3 = np.empty((M, 3), np.int64)
    values_M = np.empty(M, np.float32)
    shared = u_nLKH.shape[0] < tokens_nM3.shape[0]
    for n in range(tokens_nM3.shape[0]):
        if n < u_nLKH.shape[0]:
            queries_last(u_nLKH, n, u_KQ)
            fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ)
        queries_last(z_nLKH, n, z_KQ)
        queries_last(dz_nLKH, n, dz_KQ)
        fill_tables(dz_KQ, embedding_FE, rows_RP, columns_CP, dtables_ZQ)
        m = read_tokens(tokens_nM3, n, F, R, C, reciprocals_F, entries_M3, values_M)
        for q in range(0, Q, WIDTH):
            s = splat(np.float32(0.0))
            for k in range(K):
                s = s + load(dz_KQ, k * Q + q) * load(z_KQ, k * Q + q)
            store(inner_Q, q, s)
        bins_FQ[:] = 0.0
        for t in range(m):
            f, r, c = entries_M3[t, 0] * Q, entries_M3[t, 1] * Q, entries_M3[t, 2] * Q
            x = splat(values_M[t])
            for q in range(0, Q, WIDTH):
                s = load(tables_ZQ, f + q) + load(tables_ZQ, r + q) + load(tables_ZQ, c + q)
                s = s + x * load(tables_ZQ, V + q)
                w = exp_nonpositive(s - load(logsum_nQ, n * Q + q))
                d = load(dtables_ZQ, f + q) + load(dtables_ZQ, r + q) + load(dtables_ZQ, c + q)
                d = w * (d + x * load(dtables_ZQ, V + q) - load(inner_Q, q))
                store(bins_FQ, f + q, load(bins_FQ, f + q) + w)
                store(dbins_ZQ, f + q, load(dbins_ZQ, f + q) + d)
                store(dbins_ZQ, r + q, load(dbins_ZQ, r + q) + d)
                store(dbins_ZQ, c + q, load(dbins_ZQ, c + q) + d)
                store(dbins_ZQ, V + q, load(dbins_ZQ, V + q) + x * d)
        add_embedding_gradient(bins_FQ, dz_KQ, dembedding_FE)
        if not shared:
            sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, one_Q, du_KQ)
            latents_first(du_KQ, n, du_nLKH)
            add_embedding_gradient(dbins_ZQ, u_KQ, dembedding_FE)
            dbins_ZQ[:] = 0.0
    if shared:
        sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, one_Q, du_KQ)
        latents_first(du_KQ, 0, du_nLKH)
        add_embedding_gradient(dbins_ZQ, u_KQ, dembedding_FE)
