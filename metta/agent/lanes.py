"""Sixteen float32 numbers as one value in compiled kernels, so that a kernel is vectorised as written and not by luck.

    @kernel                              compile a function that uses these
    a = load(array, offset)              sixteen numbers from a C-contiguous float32 array, from element `offset` on
    store(array, offset, a)              the way back
    splat(x)                             sixteen times x
    a + b, a - b, a * b, greater(a, b)   lane by lane
    where_positive(a, b)             b where a > 0, else 0
    exp2_nonpositive(a)                  2^a for a <= 0
    total(a)                             sum of the lanes

Offsets are not checked. Numba compiles these for the machine it runs on: one register of AVX-512, two of AVX2, four of
NEON. Two registers at a time share what loops and constants cost.
"""

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import numba
from llvmlite import ir
from numba.core import types
from numba.core.datamodel.models import PrimitiveModel
from numba.core.extending import intrinsic as numba_intrinsic
from numba.core.extending import lower_builtin, register_model
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature

WIDTH = 16

intrinsic: Any = numba_intrinsic  # called without the typing context that its functions take first

_FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
_INTS = ir.VectorType(ir.IntType(32), WIDTH)
_ONE_LANE_OFF = [ir.Constant(ir.IntType(32), lane) for lane in range(WIDTH)]
_FLAGS = ("contract", "reassoc", "nsz")  # products may be fused and sums reordered; NaN and infinity keep their meaning


def kernel(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock, cached on disk where a cache can be written."""
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder for its cache: compile in every process
        return numba.njit(nogil=True, error_model="numpy")(function)


class LanesType(types.Type):
    """The type of sixteen float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


lanes = LanesType()


@register_model(LanesType)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, declared: LanesType) -> None:
        super().__init__(manager, declared, _FLOATS)


def _vector(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [value] * WIDTH)


def _integers(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [value] * WIDTH)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _FLOATS.as_pointer())


@intrinsic
def load(_: Any, array: Any, offset: Any) -> Any:
    """Sixteen numbers of a C-contiguous float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    if array.dtype == types.float32 and array.layout == "C":
        return lanes(array, types.intp), code
    return None


@intrinsic
def store(_: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write sixteen numbers to a C-contiguous float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    if array.dtype == types.float32 and array.layout == "C":
        return types.void(array, types.intp, lanes), code
    return None


@intrinsic
def splat(_: Any, value: Any) -> Any:
    """Sixteen times one number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), arguments[0], _ONE_LANE_OFF[0])
        return builder.shuffle_vector(first, ir.Constant(_FLOATS, ir.Undefined), _integers(0))

    return lanes(types.float32), code


@intrinsic
def total(_: Any, value: Any) -> Any:
    """Sum of the lanes, pairwise."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = [builder.extract_element(arguments[0], lane) for lane in _ONE_LANE_OFF]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[i], parts[i + half]) for i in range(half)]
        return parts[0]

    return types.float32(lanes), code


@intrinsic
def greater(_: Any, a: Any, b: Any) -> Any:
    """The greater of two, lane by lane; b where a is not a number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return lanes(lanes, lanes), code


@intrinsic
def where_positive(_: Any, condition: Any, value: Any) -> Any:
    """The value where the condition is positive, else 0, lane by lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", arguments[0], _vector(0.0)), arguments[1], _vector(0.0))

    return lanes(lanes, lanes), code


@intrinsic
def exp2_nonpositive(_: Any, a: Any) -> Any:
    """2^a with a relative error below 2e-7 for a <= 0; below -125 it stays at 2^-125, about 2e-38.

    2^(n + r) with whole n and |r| <= 1/2, by a polynomial fitted to have the least greatest relative error. To round to
    whole numbers a number is added whose last bit is worth 1, so that the sum's low bits are n.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = arguments[0]
        # In this order a NaN stays a NaN.
        x = builder.select(builder.fcmp_ordered("<", x, _vector(-125.0)), _vector(-125.0), x)
        sum_ = builder.fadd(x, _vector(_LAST_BIT_IS_ONE))
        r = builder.fsub(x, builder.fsub(sum_, _vector(_LAST_BIT_IS_ONE)))
        p = _vector(_as_float32(_EXP2_COEFFICIENTS[-1]))
        for coefficient in _EXP2_COEFFICIENTS[-2::-1]:
            p = builder.fadd(builder.fmul(p, r, flags=_FLAGS), _vector(_as_float32(coefficient)), flags=_FLAGS)
        # p lies in [0.7, 1.5]: adding n to its exponent multiplies it by 2^n.
        exponent = builder.shl(builder.bitcast(sum_, _INTS), _integers(23))
        return builder.bitcast(builder.add(builder.bitcast(p, _INTS), exponent), _FLOATS)

    return lanes(lanes), code


_LAST_BIT_IS_ONE = 1.5 * 2.0**23
_EXP2_COEFFICIENTS = (
    1.0,
    0.69314718246,
    0.24022646248,
    0.055503286421,
    0.0096184890717,
    0.0013399930904,
    0.00015345812426,
)


def _as_float32(value: float) -> float:
    """The nearest float32: llvmlite writes constants of float type only if they are exact."""
    import numpy as np

    return float(np.float32(value))


def _lane_by_lane(python_operator: Callable[..., Any], instruction: str) -> None:
    """Give a Python operator its meaning for two lanes."""

    @infer_global(python_operator)
    class _Signature(ConcreteTemplate):
        cases: ClassVar = [signature(lanes, lanes, lanes)]

    @lower_builtin(python_operator, LanesType, LanesType)
    def _code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=_FLAGS)


_lane_by_lane(operator.add, "fadd")
_lane_by_lane(operator.sub, "fsub")
_lane_by_lane(operator.mul, "fmul")
