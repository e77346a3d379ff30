"""The simulator's compiled functions once more, for a GPU: the same Python source, not a second copy of the rules.

A compiled function finds the others that it calls by their names. Its device form is the same byte code with those
names bound to device forms. Numba's CUDA target compiles it; with NUMBA_ENABLE_CUDASIM=1 in the environment numba
interprets it instead, on the CPU and slowly, which is how it is tested where there is no GPU.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import config, cuda
from numba.core.dispatcher import Dispatcher

from metta.sim.compiled import trailing_zeros

SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
"""Kernels are interpreted on the CPU, and arrays of the device are those of the CPU."""


def _trailing_zeros(word: Any) -> Any:
    """`trailing_zeros` by the GPU's own instruction."""
    return np.uint64(cuda.ffs(word) - 1)  # type: ignore[call-arg, operator]


# Interpreted, the plain Python of `trailing_zeros` is right as it is.
_forms: dict[Any, Any] = {} if SIMULATED else {trailing_zeros: cuda.jit(device=True)(_trailing_zeros)}


def device_form(function: Any) -> Any:
    """The device form of a function that `compiled.inner` made; one and the same for each."""
    if function not in _forms:
        _forms[function] = cuda.jit(device=True)(bound_to_device(function.py_func))
    return _forms[function]


def kernel(function: Callable[..., None]) -> Any:
    """A kernel from a plain function that calls compiled ones; launched as kernel[blocks, threads, stream](...)."""
    return cuda.jit(bound_to_device(function))


def bound_to_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same byte code whose names of compiled functions mean their device forms."""
    assert isinstance(function, FunctionType)
    names = {"__name__": function.__module__}
    for name in function.__code__.co_names:
        if name in function.__globals__:
            value = function.__globals__[name]
            names[name] = device_form(value) if isinstance(value, Dispatcher) or _has_form(value) else value
    bound = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    bound.__qualname__ = function.__qualname__
    bound.__doc__ = function.__doc__
    return bound


def _has_form(value: Any) -> bool:
    return isinstance(value, FunctionType) and value in _forms
