"""The logistic function for numba kernels: vectorised in float32, exact in float64."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
ROUNDING = np.float32(1.5 * 2**23)
"""Adding and subtracting this rounds a small float32 to the nearest integer (so never compile with `reassoc`)."""


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)); the plain form, for float64."""
    return 1.0 / (1.0 + math.exp(-x))


def _logistic_float32(x: Any) -> Any:
    """1 / (1 + exp(-x)) to 2e-7 in float32, without a call, so that the loop around it is vectorised.

    exp(y) = 2^n exp(r) with |r| <= ln(2) / 2, where exp(r) is its Taylor polynomial of degree 6 (error r^7 / 5040) and
    2^n is put together from its bits. NaN gives NaN.
    """
    y = min(max(-x, np.float32(-87.0)), np.float32(87.0))
    n = (y * LOG2_E + ROUNDING) - ROUNDING
    r = y - n * LN2_HIGH - n * LN2_LOW
    tail = np.float32(1 / 120) + r * np.float32(1 / 720)
    tail = np.float32(1 / 6) + r * (np.float32(1 / 24) + r * tail)
    polynomial = np.float32(1.0) + r * (np.float32(1.0) + r * (np.float32(0.5) + r * tail))
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(1.0) / (np.float32(1.0) + polynomial * power)


@overload(logistic)
def _logistic_by_type(x: Any) -> Callable[[Any], Any]:
    return _logistic_float32 if x == types.float32 else logistic
