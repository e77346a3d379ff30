"""How the planner's plain Python functions are compiled: `inner` for the parts, `entry` for what Python calls.

Differs from metta/sim/compiled.py in that kernels may make arrays of their own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from metta.sim import constants, world_arrays


def inner(function: Callable[..., Any]) -> Any:
    """A compiled part of a kernel."""
    return numba.njit(nogil=True, error_model="numpy")(function)


def entry(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls: releases the interpreter lock, cached on disk where a cache can be written."""
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba found no folder for its cache: compile in every process
        return inner(function)


def sources_digest() -> int:
    """31 bits of a hash over all that the planner is compiled from; an `entry` closes over it to name its cache."""
    digest = hashlib.blake2b(digest_size=8)
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(constants.__file__), Path(world_arrays.__file__)]:
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest(), "little") >> 33


@inner
def whole(value: Any) -> Any:
    """A number as a signed 64-bit integer: compiled sums of unsigned and signed integers would be floats."""
    return np.int64(value)
