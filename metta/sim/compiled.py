"""How the simulator's plain Python functions are compiled: `inner` for the parts, `entry` for what Python calls.

The parts are compiled into the entries. Numba's cache on disk notices a changed entry but not a changed part, so an
entry also depends on a digest of all simulator sources: after any edit everything is compiled anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic, overload


def inner(function: Callable[..., Any]) -> Any:
    """A compiled part of a kernel. Python never calls it, so it gets no wrappers, which halves the compile time."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return numba.njit(nogil=True, error_model="numpy", _nrt=False, **options)(function)


def entry(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls: releases the interpreter lock, cached on disk where a cache can be written."""
    try:
        return numba.njit(nogil=True, error_model="numpy", _nrt=False, cache=True)(function)
    except RuntimeError:  # numba found no folder for its cache: compile in every process
        return numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)


def source_digest() -> int:
    """31 bits of a hash over the sources of this package; an `entry` closes over it to name its cache."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
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
        return _count_trailing_zeros(word)

    return compiled
