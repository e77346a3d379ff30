"""How the simulator's plain Python functions are compiled: `inner` for the parts, `entry` for what Python calls.

The parts are compiled into the entries. Numba's cache on disk notices a changed entry but not a changed part, so an
entry also depends on a digest of all kernel sources: after any edit everything is compiled anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic, overload

# Kernels allocate nothing, so reference counting (`_nrt`) is off: it would only cost time to compile and to run.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}


def inner(function: Callable[..., Any]) -> Any:
    """A compiled part of a kernel. Python never calls it, so it gets no wrappers, which halves the compile time."""
    return numba.njit(**_INNER, **_OPTIONS)(function)


def entry(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls: releases the interpreter lock, cached on disk where a cache can be written."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba found no folder for its cache: compile in every process
        return numba.njit(**_OPTIONS)(function)


KERNEL_MODULES = (
    "actions",
    "combat",
    "compiled",
    "constants",
    "converters",
    "episode_start",
    "episodes",
    "faces",
    "inventory",
    "map_generation",
    "observations",
    "occupancy",
    "randomness",
    "rewards",
    "rounds",
    "step",
    "variants",
    "window",
    "world_arrays",
)
"""Modules of this package that a kernel depends on (a test compares them with what `step` imports)."""


def source_digest() -> int:
    """31 bits of a hash over the sources of the kernels; an `entry` closes over it to name its cache."""
    digest = hashlib.blake2b(digest_size=8)
    for name in KERNEL_MODULES:
        digest.update(name.encode())
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return int.from_bytes(digest.digest(), "little") >> 33


def trailing_zeros(word: Any) -> int:
    """Index of the lowest set bit of a non-zero unsigned 64-bit word."""
    value = int(word)
    return (value & -value).bit_length() - 1


@intrinsic
def _count_trailing_zeros(typing_context: Any, word: Any) -> Any:
    """The processor's instruction for `trailing_zeros`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero_is_undefined = context.get_constant(types.boolean, True)
        return builder.cttz(arguments[0], zero_is_undefined)

    return types.uint64(types.uint64), build


@overload(trailing_zeros)
def _compiled_trailing_zeros(word: Any) -> Any:
    def compiled(word: Any) -> Any:
        return _count_trailing_zeros(word)  # type: ignore[call-arg]

    return compiled
