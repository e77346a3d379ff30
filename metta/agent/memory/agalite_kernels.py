"""AGaLiTe's recurrence over a segment, forward and backward, one row and head at a time, on a CPU.

Axes: B batch, T time, H heads, d head width, E eta, X = E * d expanded width (eta the slow index), F frequencies.

Inputs, per step and head: `main` [B, T, H, 5d] = keys, queries, values, beta, gamma and `expansion` [B, T, H, 3E] =
p1, p2, p3, all in front of their relu or logistic function; `cosines` [B, T, F]; `keep` [B, T], 0 where the state is
zeroed in front of the step, else 1. `weights` [F] is how often a frequency counts; their sum is r.
History slot t + 1 is the state after step t, slot 0 the state in front of the segment: `history`
[B, H, T + 1, F + 1, X] holds K of each frequency and last S, `value_history` [B, H, T + 1, F, d] holds V. All arrays
are C-contiguous, of one type, float32 or float64. No state is kept between calls and the interpreter lock is released.
"""

import numpy as np
from numba import njit

from metta.agent.memory.logistic import logistic

EPSILON = 1e-5
"""Added to the normaliser, which is zero while queries and keys do not meet."""


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", inline="never")
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of products, in any order of summation."""
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _factors(main: np.ndarray, expansion: np.ndarray, d: int, E: int) -> None:
    """Apply relu to k, q, p1, p2 and the logistic function to beta, gamma, p3, in place."""
    zero = main.dtype.type(0)
    for j in range(2 * d):
        main[j] = max(main[j], zero)
    for j in range(3 * d, 5 * d):
        main[j] = logistic(main[j])
    for i in range(2 * E):
        expansion[i] = max(expansion[i], zero)
    for i in range(2 * E, 3 * E):
        expansion[i] = logistic(expansion[i])


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _outer(slow: np.ndarray, fast: np.ndarray, out: np.ndarray) -> None:
    """Flattened outer product, `slow` the slow index."""
    d = fast.size
    for i in range(slow.size):
        for j in range(d):
            out[i * d + j] = slow[i] * fast[j]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def segment_forward(
    main: np.ndarray,
    expansion: np.ndarray,
    cosines: np.ndarray,
    keep: np.ndarray,
    weights: np.ndarray,
    history: np.ndarray,
    value_history: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill the histories from slot 0 on, and `out` [B, T, H, d]."""
    B, T, H, d = out.shape
    E = expansion.shape[3] // 3
    F = weights.size
    X = E * d
    dtype = out.dtype
    one, two = dtype.type(1), dtype.type(2)
    epsilon, r = dtype.type(EPSILON), weights.sum()
    m, p = np.empty(5 * d, dtype), np.empty(3 * E, dtype)
    psi, phi, G = np.empty(X, dtype), np.empty(X, dtype), np.empty(X, dtype)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                m[:] = main[b, t, h]
                p[:] = expansion[b, t, h]
                _factors(m, p, d, E)
                v, beta = m[2 * d : 3 * d], m[3 * d : 4 * d]
                _outer(p[:E], m[:d], psi)
                _outer(p[E : 2 * E], m[d : 2 * d], phi)
                _outer(p[2 * E :], m[4 * d :], G)
                stay = keep[b, t]
                before, after = history[b, h, t], history[b, h, t + 1]
                for f in range(F + 1):
                    c = cosines[b, t, f] if f < F else one
                    old, new = before[f], after[f]
                    for x in range(X):
                        new[x] = (one - G[x]) * stay * old[x] + c * G[x] * psi[x]
                scale = one / (two * r * _dot(after[F], phi) + epsilon)
                result = out[b, t, h]
                result[:] = 0
                for f in range(F):
                    c = cosines[b, t, f]
                    old, new = value_history[b, h, t, f], value_history[b, h, t + 1, f]
                    strength = weights[f] * _dot(after[f], phi) * scale
                    for j in range(d):
                        new[j] = (one - beta[j]) * stay * old[j] + c * beta[j] * v[j]
                        result[j] += strength * new[j]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")
def segment_backward(
    main: np.ndarray,
    expansion: np.ndarray,
    cosines: np.ndarray,
    keep: np.ndarray,
    weights: np.ndarray,
    history: np.ndarray,
    value_history: np.ndarray,
    out: np.ndarray,
    d_out: np.ndarray,
    d_state: np.ndarray,
    d_value_state: np.ndarray,
    d_main: np.ndarray,
    d_expansion: np.ndarray,
) -> None:
    """Fill `d_main` and `d_expansion`.

    `d_state` [B, H, F + 1, X] and `d_value_state` [B, H, F, d] come in as gradients with respect to the state after the
    segment and go out as those with respect to the state in front of it.
    """
    B, T, H, d = out.shape
    E = expansion.shape[3] // 3
    F = weights.size
    X = E * d
    dtype = out.dtype
    zero, one, two = dtype.type(0), dtype.type(1), dtype.type(2)
    epsilon, r = dtype.type(EPSILON), weights.sum()
    m, p = np.empty(5 * d, dtype), np.empty(3 * E, dtype)
    psi, phi, G = np.empty(X, dtype), np.empty(X, dtype), np.empty(X, dtype)
    d_psi, d_phi, d_G, total = np.empty(X, dtype), np.empty(X, dtype), np.empty(X, dtype), np.empty(X, dtype)
    for b in range(B):
        for h in range(H):
            dS = d_state[b, h]
            dV = d_value_state[b, h]
            for t in range(T - 1, -1, -1):
                m[:] = main[b, t, h]
                p[:] = expansion[b, t, h]
                _factors(m, p, d, E)
                v, beta = m[2 * d : 3 * d], m[3 * d : 4 * d]
                _outer(p[:E], m[:d], psi)
                _outer(p[E : 2 * E], m[d : 2 * d], phi)
                _outer(p[2 * E :], m[4 * d :], G)
                stay = keep[b, t]
                before, after = history[b, h, t], history[b, h, t + 1]
                dy = d_out[b, t, h]
                scale = one / (two * r * _dot(after[F], phi) + epsilon)
                dm, dp = d_main[b, t, h], d_expansion[b, t, h]
                d_values, d_beta = dm[2 * d : 3 * d], dm[3 * d : 4 * d]
                d_values[:] = 0
                d_beta[:] = 0
                d_psi[:] = 0
                d_phi[:] = 0
                d_G[:] = 0
                for f in range(F):
                    c = cosines[b, t, f]
                    old, new, dv = value_history[b, h, t, f], value_history[b, h, t + 1, f], dV[f]
                    strength = weights[f] * _dot(after[f], phi) * scale
                    for j in range(d):
                        dv[j] += strength * dy[j]
                    for j in range(d):
                        d_values[j] += dv[j] * beta[j] * c
                    for j in range(d):
                        d_beta[j] += dv[j] * (c * v[j] - stay * old[j])
                    for j in range(d):
                        dv[j] *= (one - beta[j]) * stay
                for f in range(F + 1):
                    if f < F:
                        c = cosines[b, t, f]
                        d_strength = weights[f] * _dot(dy, value_history[b, h, t + 1, f]) * scale
                    else:
                        c = one
                        d_strength = -two * r * scale * _dot(dy, out[b, t, h])
                    old, new, ds = before[f], after[f], dS[f]
                    # One array is written per loop: with more, the compiler cannot rule out overlaps and gives up
                    # vectorising.
                    for x in range(X):
                        d_phi[x] += d_strength * new[x]
                    for x in range(X):
                        total[x] = ds[x] + d_strength * phi[x]
                    for x in range(X):
                        d_psi[x] += total[x] * (c * G[x])
                    for x in range(X):
                        d_G[x] += total[x] * (c * psi[x] - stay * old[x])
                    for x in range(X):
                        ds[x] = total[x] * (one - G[x]) * stay
                for j in range(d):
                    d_beta[j] *= beta[j] * (one - beta[j])
                    dm[j] = zero
                    dm[d + j] = zero
                    dm[4 * d + j] = zero
                for i in range(E):
                    first, last = i * d, (i + 1) * d
                    own, query, gate = d_psi[first:last], d_phi[first:last], d_G[first:last]
                    for j in range(d):
                        dm[j] += own[j] * p[i]
                        dm[d + j] += query[j] * p[E + i]
                        dm[4 * d + j] += gate[j] * p[2 * E + i]
                    dp[i] = _dot(own, m[:d]) if p[i] > zero else zero
                    dp[E + i] = _dot(query, m[d : 2 * d]) if p[E + i] > zero else zero
                    dp[2 * E + i] = _dot(gate, m[4 * d :]) * p[2 * E + i] * (one - p[2 * E + i])
                for j in range(2 * d):
                    dm[j] = dm[j] if m[j] > zero else zero
                for j in range(4 * d, 5 * d):
                    dm[j] *= m[j] * (one - m[j])
