"""Compiled kernels of the perceiver's token attention: one observation after the other, tables instead of products.

A token's vector is embedding(feature) | fourier(row) | fourier(column) | value, so its product with a query is a sum
of four table entries: tables of a query against every feature, row, column and the value cost less than the products
with all tokens. The same holds for the attention-weighted sum of tokens: weights are summed per feature, row and
column first. All inner loops run over Q queries, sixteen at a time. Scores are kept in units of ln 2, because powers of
2 are cheaper than powers of e.

Axes: n observations, M tokens, L latents, H heads, Q = L * H queries (a multiple of 16), K token width (E embedding,
P per coordinate, 1 value), Z table entries (F features, then R rows, then C columns, then 1 for the value).
"""

import numpy as np

from metta.agent.lanes import WIDTH, exp2_nonpositive, greater, kernel, load, splat, store, total
from metta.agent.memory.logistic import LOG2_E


@kernel
def read_tokens(tokens_nM3, n, Q, F, R, C, reciprocals_F, features_M, values_M, runs_M3):  # type: ignore[no-untyped-def]
    """List the tokens of observation n that count, and the runs of consecutive ones that lie in the same cell.

    Per token the offset of its feature's table entry and its scaled value; per run the offsets of its row's and
    column's entries and the token that it begins with. Returns how many tokens there are, and how many runs.
    """
    m, runs, last = 0, 0, np.int64(-1)
    for t in range(tokens_nM3.shape[1]):
        location, feature = np.int64(tokens_nM3[n, t, 0]), np.int64(tokens_nM3[n, t, 1])
        row, column = location >> 4, location & 15
        if feature < F and row < R and column < C:
            if location != last:
                runs_M3[runs, 0] = (F + row) * Q
                runs_M3[runs, 1] = (F + R + column) * Q
                runs_M3[runs, 2] = m
                runs, last = runs + 1, location
            features_M[m] = feature * Q
            values_M[m] = np.float32(tokens_nM3[n, t, 2]) * reciprocals_F[feature]
            m += 1
    runs_M3[runs, 2] = m
    return m, runs


@kernel
def queries_last(u_nLKH, n, factor, u_KQ):  # type: ignore[no-untyped-def]
    """Vectors of observation n, times a factor, in the order that the inner loops read."""
    L, K, H = u_nLKH.shape[1], u_nLKH.shape[2], u_nLKH.shape[3]
    for latent in range(L):
        for k in range(K):
            for h in range(H):
                u_KQ[k, latent * H + h] = factor * u_nLKH[n, latent, k, h]


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
def score_tokens(tables_ZQ, q, features_M, values_M, runs_M3, runs, V, scores_ML):  # type: ignore[no-untyped-def]
    """Write the scores of every token for the sixteen queries from q on; returns the greatest of each."""
    top = splat(np.float32(-np.inf))
    of_value = load(tables_ZQ, V + q)
    for run in range(runs):
        of_cell = load(tables_ZQ, runs_M3[run, 0] + q) + load(tables_ZQ, runs_M3[run, 1] + q)
        for t in range(runs_M3[run, 2], runs_M3[run + 1, 2]):
            s = of_cell + load(tables_ZQ, features_M[t] + q) + splat(values_M[t]) * of_value
            store(scores_ML, t * WIDTH, s)
            top = greater(s, top)
    return top


@kernel
def sum_weights(scores_ML, top, bins_ZQ, q, features_M, values_M, runs_M3, runs, V):  # type: ignore[no-untyped-def]
    """Add every token's weight, 2^(score - top), to its bins; returns the sums of the weights of sixteen queries."""
    summed = splat(np.float32(0.0))
    valued = summed
    for run in range(runs):
        r, c = runs_M3[run, 0] + q, runs_M3[run, 1] + q
        in_cell = splat(np.float32(0.0))
        for t in range(runs_M3[run, 2], runs_M3[run + 1, 2]):
            w = exp2_nonpositive(load(scores_ML, t * WIDTH) - top)
            f = features_M[t] + q
            store(bins_ZQ, f, load(bins_ZQ, f) + w)
            in_cell = in_cell + w
            valued = valued + splat(values_M[t]) * w
        store(bins_ZQ, r, load(bins_ZQ, r) + in_cell)
        store(bins_ZQ, c, load(bins_ZQ, c) + in_cell)
        summed = summed + in_cell
    store(bins_ZQ, V + q, valued)
    return summed


@kernel
def forward(  # type: ignore[no-untyped-def]
    tokens_nM3, u_nLKH, embedding_FE, rows_RP, columns_CP, reciprocals_F, z_nLKH, logsum_nQ
):
    """Write the attention-weighted sums of token vectors (0 without tokens) and each query's log2 of summed powers."""
    M, K, Q = tokens_nM3.shape[1], u_nLKH.shape[2], logsum_nQ.shape[1]
    F, R, C = embedding_FE.shape[0], rows_RP.shape[0], columns_CP.shape[0]
    V = (F + R + C) * Q
    tables_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    bins_ZQ = np.empty((F + R + C + 1, Q), np.float32)
    scores_ML = np.empty((M, WIDTH), np.float32)
    u_KQ = np.empty((K, Q), np.float32)
    z_KQ = np.empty((K, Q), np.float32)
    top_Q = np.empty(Q, np.float32)
    sum_Q = np.empty(Q, np.float32)
    features_M = np.empty(M, np.int64)
    values_M = np.empty(M, np.float32)
    runs_M3 = np.empty((M + 1, 3), np.int64)
    for n in range(tokens_nM3.shape[0]):
        if n < u_nLKH.shape[0]:
            queries_last(u_nLKH, n, LOG2_E, u_KQ)
            fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ)
        m, runs = read_tokens(tokens_nM3, n, Q, F, R, C, reciprocals_F, features_M, values_M, runs_M3)
        if m == 0:
            z_nLKH[n] = 0.0
            logsum_nQ[n] = 0.0
            continue
        bins_ZQ[:] = 0.0
        for q in range(0, Q, WIDTH):
            top = score_tokens(tables_ZQ, q, features_M, values_M, runs_M3, runs, V, scores_ML)
            summed = sum_weights(scores_ML, top, bins_ZQ, q, features_M, values_M, runs_M3, runs, V)
            store(top_Q, q, top)
            store(sum_Q, q, summed)
        for q in range(Q):
            logsum_nQ[n, q] = top_Q[q] + np.log2(sum_Q[q])
            sum_Q[q] = np.float32(1.0) / sum_Q[q]
        sum_bins(bins_ZQ, embedding_FE, rows_RP, columns_CP, sum_Q, z_KQ)
        latents_first(z_KQ, n, z_nLKH)


@kernel
def add_embedding_gradient(bins_FQ, v_KQ, factor, dembedding_FE):  # type: ignore[no-untyped-def]
    """Add the products of each feature's bins with the first E vectors v, times a factor."""
    E, Q = dembedding_FE.shape[1], v_KQ.shape[1]
    for f in range(dembedding_FE.shape[0]):
        for e in range(E):
            s = splat(np.float32(0.0))
            for q in range(0, Q, WIDTH):
                s = s + load(bins_FQ, f * Q + q) * load(v_KQ, e * Q + q)
            dembedding_FE[f, e] += factor * total(s)


@kernel
def differentiate_tokens(  # type: ignore[no-untyped-def]
    tables_ZQ, dtables_ZQ, q, logsum, inner, features_M, values_M, runs_M3, runs, V, bins_FQ, dbins_ZQ
):
    """Add every token's weight to its feature's bin, and the gradient of its score to its bins, for sixteen queries."""
    of_value, dof_value = load(tables_ZQ, V + q), load(dtables_ZQ, V + q)
    dvalued = load(dbins_ZQ, V + q)
    for run in range(runs):
        r, c = runs_M3[run, 0] + q, runs_M3[run, 1] + q
        of_cell = load(tables_ZQ, r) + load(tables_ZQ, c) - logsum
        dof_cell = load(dtables_ZQ, r) + load(dtables_ZQ, c) - inner
        din_cell = splat(np.float32(0.0))
        for t in range(runs_M3[run, 2], runs_M3[run + 1, 2]):
            f, x = features_M[t] + q, splat(values_M[t])
            w = exp2_nonpositive(of_cell + load(tables_ZQ, f) + x * of_value)
            d = w * (dof_cell + load(dtables_ZQ, f) + x * dof_value)
            store(bins_FQ, f, load(bins_FQ, f) + w)
            store(dbins_ZQ, f, load(dbins_ZQ, f) + d)
            din_cell = din_cell + d
            dvalued = dvalued + x * d
        store(dbins_ZQ, r, load(dbins_ZQ, r) + din_cell)
        store(dbins_ZQ, c, load(dbins_ZQ, c) + din_cell)
    store(dbins_ZQ, V + q, dvalued)


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
    features_M = np.empty(M, np.int64)
    values_M = np.empty(M, np.float32)
    runs_M3 = np.empty((M + 1, 3), np.int64)
    shared = u_nLKH.shape[0] < tokens_nM3.shape[0]
    for n in range(tokens_nM3.shape[0]):
        if n < u_nLKH.shape[0]:
            queries_last(u_nLKH, n, LOG2_E, u_KQ)
            fill_tables(u_KQ, embedding_FE, rows_RP, columns_CP, tables_ZQ)
        queries_last(z_nLKH, n, np.float32(1.0), z_KQ)
        queries_last(dz_nLKH, n, np.float32(1.0), dz_KQ)
        fill_tables(dz_KQ, embedding_FE, rows_RP, columns_CP, dtables_ZQ)
        _, runs = read_tokens(tokens_nM3, n, Q, F, R, C, reciprocals_F, features_M, values_M, runs_M3)
        for q in range(0, Q, WIDTH):
            s = splat(np.float32(0.0))
            for k in range(K):
                s = s + load(dz_KQ, k * Q + q) * load(z_KQ, k * Q + q)
            store(inner_Q, q, s)
        bins_FQ[:] = 0.0
        for q in range(0, Q, WIDTH):
            differentiate_tokens(
                tables_ZQ,
                dtables_ZQ,
                q,
                load(logsum_nQ, n * Q + q),
                load(inner_Q, q),
                features_M,
                values_M,
                runs_M3,
                runs,
                V,
                bins_FQ,
                dbins_ZQ,
            )
        add_embedding_gradient(bins_FQ, dz_KQ, np.float32(1.0), dembedding_FE)
        if not shared:
            sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, one_Q, du_KQ)
            latents_first(du_KQ, n, du_nLKH)
            add_embedding_gradient(dbins_ZQ, u_KQ, 1 / LOG2_E, dembedding_FE)
            dbins_ZQ[:] = 0.0
    if shared:
        sum_bins(dbins_ZQ, embedding_FE, rows_RP, columns_CP, one_Q, du_KQ)
        latents_first(du_KQ, 0, du_nLKH)
        add_embedding_gradient(dbins_ZQ, u_KQ, 1 / LOG2_E, dembedding_FE)
