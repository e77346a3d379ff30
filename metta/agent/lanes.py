"""Eight float32 numbers as one value in compiled kernels, so that a kernel is vectorised as written and not by luck.

    @kernel                              compile a function that uses these
    a = load(array, offset)              eight numbers from a C-contiguous float32 array, from element `offset` on
    store(array, offset, a)              the way back
    splat(x)                             eight times x
    a + b, a - b, a * b, greater(a, b)   lane by lane
    where_positive(a, b)             b where a > 0, else 0
    exp_nonpositive(a)                   e^a for a <= 0
    total(a)                             sum of the lanes

Offsets are not checked. Numba compiles these for the machine it runs on (one AVX register, or two NEON registers).
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

WIDTH = 8

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
    """The type of eight float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="float32x8")


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
    """Eight numbers of a C-contiguous float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    if array.dtype == types.float32 and array.layout == "C":
        return lanes(array, types.intp), code
    return None


@intrinsic
def store(_: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write eight numbers to a C-contiguous float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    if array.dtype == types.float32 and array.layout == "C":
        return types.void(array, types.intp, lanes), code
    return None


@intrinsic
def splat(_: Any, value: Any) -> Any:
    """Eight times one number."""

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
def exp_nonpositive(_: Any, a: Any) -> Any:
    """e^a to about 2 units in the last place for a <= 0; below -87 it stays at e^-87, about 1e-38.

    Cody-Waite reduction to |r| <= ln(2) / 2 and the polynomial of the Cephes library (S. Moshier, expf).
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def multiply_add(x: Any, y: Any, z: Any) -> Any:
            return builder.fadd(builder.fmul(x, y, flags=_FLAGS), z, flags=_FLAGS)

        x = arguments[0]
        # In this order a NaN stays a NaN.
        x = builder.select(builder.fcmp_ordered("<", x, _vector(-87.0)), _vector(-87.0), x)
        shifted = multiply_add(x, _vector(1.4426950216293335), _vector(-0.5))
        n = builder.fptosi(shifted, _INTS)
        whole = builder.sitofp(n, _FLOATS)
        r = multiply_add(whole, _vector(-0.693359375), x)
        r = multiply_add(whole, _vector(2.1219444170128554e-4), r)
        p = _vector(1.98756915006e-4)
        for coefficient in (
            1.39819995240e-3,
            8.33345191390e-3,
            4.16657961912e-2,
            1.66666654602e-1,
            5.00000012e-1,
        ):
            p = multiply_add(p, r, _vector(_as_float32(coefficient)))
        p = builder.fadd(multiply_add(builder.fmul(p, r), r, r), _vector(1.0))
        power = builder.shl(builder.add(n, _integers(127)), _integers(23))
        return builder.fmul(p, builder.bitcast(power, _FLOATS))

    return lanes(lanes), code


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
