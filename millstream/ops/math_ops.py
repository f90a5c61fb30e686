"""Saturating casts, number ranges, running sums and products, positions of extremes, sums of several tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import convert_to_tensor_or_indexed_slices, to_tensor
from millstream.core.dtypes import NUMERIC, DType
from millstream.core.export import export
from millstream.core.opdef import OpDef, find, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import merged, same_as
from millstream.core.tensor import Tensor
from millstream.ops import complex_ops, fill_ops, identity_ops, reshape_ops, shape_ops
from millstream.ops.arguments import axis_in_range, invalid, renamed
from millstream.ops.arithmetic_ops import div_no_nan, maximum, minimum
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater, less
from millstream.ops.elementwise_ops import exp, log
from millstream.ops.select_ops import where

# --- Saturation -------------------------------------------------------------------------------------------


@export(v2=["dtypes.saturate_cast", "saturate_cast"])
def saturate_cast_v2(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Converts the elements to another dtype; what it cannot represent becomes its least or greatest value.

    Args:
      value: a numeric tensor; of complex numbers that are to be real the real part is taken.
      dtype: the dtype wanted.
      name: the scope of the operations.

    Example:
      >>> tf.saturate_cast([300., -5., 3.7], tf.uint8)   # [255, 0, 3]
    """
    with name_scope(name, "saturate_cast", [value]) as scope:
        value = to_tensor(value, name="value")
        target = dtypes.as_dtype(dtype).base_dtype
        if value.dtype.is_complex and not target.is_complex:
            value = complex_ops.real(value)
        least, greatest = _common_range(value.dtype.base_dtype, target)
        if least is not None:
            value = maximum(value, to_tensor(least, value.dtype.base_dtype, name="min"))
        if greatest is not None:
            value = minimum(value, to_tensor(greatest, value.dtype.base_dtype, name="max"))
        return cast(value, target, name=scope)


def _common_range(source: DType, target: DType) -> tuple[Any, Any]:
    """The least and the greatest number of `source` that `target` holds; None where it holds all."""
    if source.is_complex or target.is_complex or source is dtypes.bool_ or target is dtypes.bool_:
        return None, None
    least = _inside(source, target.min) if source.min < target.min else None
    greatest = _inside(source, target.max) if source.max > target.max else None
    return least, greatest


def _inside(dtype: DType, end: Any) -> Any:
    """A limit as a number of `dtype`, rounded towards zero."""
    kind = dtype.as_numpy_dtype
    found = kind(end)
    return np.nextafter(found, kind(0)) if abs(int(found)) > abs(int(end)) else found


@export(v1=["dtypes.saturate_cast", "saturate_cast"])
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Converts the elements to another dtype; what it cannot represent becomes its least or greatest value.

    Args:
      value: a tensor of real numbers.
      dtype: the dtype wanted.
      name: the scope of the operations.

    Example:
      >>> tf.saturate_cast([300., -5., 3.7], tf.uint8)   # [255, 0, 3]
    """
    with name_scope(name, "saturate_cast", [value]) as scope:
        value = to_tensor(value, name="value")
        source, target = value.dtype.base_dtype, dtypes.as_dtype(dtype).base_dtype
        if source.min < target.min:
            value = maximum(value, to_tensor(target.min, source, name="min"))
        if source.max > target.max:
            value = minimum(value, to_tensor(target.max, source, name="max"))
        return cast(value, target, name=scope)


@export(v2=["math.angle"])
def angle_v2(input: Any, name: str | None = None) -> Tensor:
    """The argument of each number, atan2(imaginary part, real part), in radians.

    Args:
      input: a complex tensor, or a real one: then it is 0, and pi for negative numbers.
      name: the operation's name.
    """
    input = to_tensor(input, name="input")
    if input.dtype.is_complex:
        return complex_ops.angle(input, name)
    with name_scope(name, "Angle", [input]):
        pi = np.pi * fill_ops.ones_like(input)
        return where(less(input, 0), pi, fill_ops.zeros_like(input))


# --- Ranges of numbers --------------------------------------------------------------------------------------


def _range_size(start: Any, limit: Any, delta: Any) -> int:
    """The number of elements of a range; ValueError if there is no such range."""
    if delta == 0:
        raise ValueError("Requires delta != 0: 0")
    if delta > 0 and start > limit:
        raise ValueError(f"Requires start <= limit when delta > 0: {start}/{limit}")
    if delta < 0 and start < limit:
        raise ValueError(f"Requires start >= limit when delta < 0: {start}/{limit}")
    if start.dtype.kind in "iu":
        return -(-abs(int(limit) - int(start)) // abs(int(delta)))
    return int(np.ceil(np.abs((limit - start) / delta)))


def _range_shape(c: ShapeContext) -> Any:
    for index, name in enumerate(("start", "limit", "delta")):
        shape = c.shape(index)
        if shape:
            raise ValueError(f"Shape must be rank 0 but is rank {len(shape)}\n\t for '{name}'")
    start, limit, delta = c.constant(0), c.constant(1), c.constant(2)
    if start is None or limit is None or delta is None:
        return (None,)
    return (_range_size(start, limit, delta),)


@op(
    "Range(start: Tidx, limit: Tidx, delta: Tidx) -> output: Tidx",
    Tidx="bfloat16 float double int32 int64 half int8 int16 uint16 uint32 uint64 = int32",
    static=("start", "limit", "delta"),
    shape=_range_shape,
)
def range_op(xp, start, limit, delta):
    start, limit, delta = (np.asarray(part).reshape(()) for part in (start, limit, delta))
    steps = np.full(_range_size(start, limit, delta), delta, start.dtype)
    steps[:1] = start
    return np.add.accumulate(steps, dtype=start.dtype)  # one step after the other, as TensorFlow counts


range_op.no_gradient("its size depends on the inputs")

_RANGE_ORDER = (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)


@export("range")
def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """Numbers from `start` on, up to but without `limit`, in steps of `delta`.

    Args:
      start: the first number, a scalar; with one argument, the limit, and the first number is 0.
      limit: the end, not included.
      delta: the step, which may be negative.
      dtype: the dtype of the result; default: the widest of the arguments' (int32, int64, float32, float64).
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: `delta` is 0 or leads away from `limit`.

    Example:
      >>> tf.range(3, 18, 3)                         # [3, 6, 9, 12, 15]
    """
    if limit is None:
        start, limit = 0, start
    with name_scope(name, "Range", [start, limit, delta]) as scope:
        parts = [
            to_tensor(value, dtype, name=part) for value, part in ((start, "start"), (limit, "limit"), (delta, "delta"))
        ]
        if dtype is None:
            found = [part.dtype.base_dtype for part in parts]
            for item in found:
                if item not in _RANGE_ORDER:
                    raise TypeError(f"A range holds int32, int64, float32 or float64 numbers, not {item.name}.")
            widest = max(found, key=_RANGE_ORDER.index)
            parts = [cast(part, widest) for part in parts]
        return range_op(*parts, name=scope)


def _lin_space_shape(c: ShapeContext) -> Any:
    for index, name in enumerate(("start", "stop", "num")):
        shape = c.shape(index)
        if shape:
            raise ValueError(f"Shape must be rank 0 but is rank {len(shape)}\n\t for '{name}'")
    num = c.constant(2)
    if num is not None and num <= 0:
        raise ValueError(f"Requires num > 0: {num}")
    return (None if num is None else int(num),)


@op(
    "LinSpace(start: T, stop: T, num: Tidx) -> output: T",
    T="bfloat16 float double half", Tidx="int32 int64 = int32", static=("num",), shape=_lin_space_shape,
)  # fmt: skip
def lin_space_op(xp, start, stop, num):
    count = int(num)
    if count <= 0:
        raise invalid(f"Requires num > 0: {count}")
    step = (stop - start) / max(count - 1, 1)
    return start + step * xp.arange(count).astype(start.dtype)


lin_space_op.no_gradient("as in TensorFlow")


@export(v1=["linspace", "lin_space"])
def lin_space(start: Any, stop: Any, num: Any, name: str | None = None) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, both included.

    Args:
      start: a floating point scalar.
      stop: a scalar of the same dtype.
      num: how many, at least 1; int32 or int64.
      name: the operation's name.

    Example:
      >>> tf.linspace(10.0, 12.0, 3)                 # [10., 11., 12.]
    """
    return lin_space_op(start, stop, num, name=name)


@export(v2=["linspace"])
def linspace_v2(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, both included, along a new axis.

    Args:
      start: a tensor of any shape; integers give float64.
      stop: a tensor of the same dtype, whose shape broadcasts with that of `start`.
      num: how many; an integer scalar.
      name: the scope of the operations.
      axis: where the new axis stands in the result.
    """
    with name_scope(name, "linspace", [start, stop]):
        start = to_tensor(start, name="start")
        stop = to_tensor(stop, start.dtype.base_dtype, name="stop")
        if start.dtype.is_integer:
            start, stop = cast(start, dtypes.float64), cast(stop, dtypes.float64)
        num = cast(num, dtypes.int32)
        steps = maximum(num - 1, 1)
        shape = shape_ops.broadcast_dynamic_shape(shape_ops.shape(start), shape_ops.shape(stop))
        first = reshape_ops.expand_dims(reshape_ops.broadcast_to(start, shape), axis)
        last = reshape_ops.expand_dims(reshape_ops.broadcast_to(stop, shape), axis)
        rank = len(first._shape)
        axis %= rank
        between = cast(range(1, steps), first.dtype)
        between = reshape_ops.reshape(between, [-1 if index == axis else 1 for index in np.arange(rank)])
        step = (last - first) / cast(steps, first.dtype)
        numbers = find("ConcatV2")([first, first + step * between, last], axis)  # the last one exactly
        return find("Slice")(numbers, [0] * rank, [num if index == axis else -1 for index in np.arange(rank)])


# --- Running sums and products ------------------------------------------------------------------------------


def _scan_op(op_type: str, types: Any, accumulate: Any, identity: Any) -> OpDef:
    """An operation that combines each element with those before it along an axis.

    Args:
      op_type: the operation's type.
      types: the dtypes.
      accumulate: `accumulate(xp, x, axis)`.
      identity: what an exclusive scan begins with.
    """

    def kernel(xp: Any, x: Any, axis: Any, *, exclusive: bool, reverse: bool) -> Any:
        if not -x.ndim <= axis < x.ndim:
            raise invalid(f"ScanOp: Expected scan axis in the range [{-x.ndim}, {x.ndim}), but got {axis}")
        along = int(axis) % x.ndim
        x = xp.flip(x, along) if reverse else x
        result = accumulate(xp, x, along)
        if exclusive:
            begin, end = [slice(None)] * x.ndim, [slice(None)] * x.ndim
            begin[along], end[along] = slice(0, 1), slice(0, -1)
            first = xp.full_like(x[tuple(begin)], identity)
            result = xp.concatenate([first, result[tuple(end)]], along)
        return xp.flip(result, along) if reverse else result

    return op(
        f"{op_type}(x: T, axis: Tidx, *, exclusive: bool = false, reverse: bool = false) -> out: T",
        T=types, Tidx="int32 int64 = int32", static=("axis",), shape=same_as(0),
    )(kernel)  # fmt: skip


def _cumulative_logsumexp(xp: Any, x: Any, axis: int) -> Any:
    if xp is np:
        return np.logaddexp.accumulate(x, axis)
    from jax import lax

    return lax.cumlogsumexp(x, axis)


cumsum_op = _scan_op("Cumsum", NUMERIC, lambda xp, x, axis: xp.cumsum(x, axis, dtype=x.dtype), 0)
cumprod_op = _scan_op("Cumprod", NUMERIC, lambda xp, x, axis: xp.cumprod(x, axis, dtype=x.dtype), 1)
cumulative_logsumexp_op = _scan_op("CumulativeLogsumexp", "half float double bfloat16", _cumulative_logsumexp, -np.inf)


def _flags(op: Any) -> tuple[bool, bool]:
    return op.attrs["exclusive"], op.attrs["reverse"]


@cumsum_op.gradient
def _(op, grad):
    exclusive, reverse = _flags(op)
    return cumsum(grad, op.inputs[1], exclusive, not reverse), None


@cumprod_op.gradient
def _(op, grad):
    (x, axis), (exclusive, reverse) = op.inputs, _flags(op)
    return div_no_nan(cumsum(op.outputs[0] * grad, axis, exclusive, not reverse), x), None


@cumulative_logsumexp_op.gradient
def _(op, grad):
    # In logarithms, positive and negative gradients each on their own, since only positive numbers have one.
    (x, axis), (exclusive, reverse) = op.inputs, _flags(op)
    lowest = fill_ops.zeros_like(grad) + to_tensor(-np.inf, grad.dtype.base_dtype)
    parts = []
    for chosen, size in ((greater(grad, 0), grad), (less(grad, 0), -grad)):
        log_size = where(chosen, log(where(chosen, size, fill_ops.ones_like(grad))), lowest)
        sums = cumulative_logsumexp(log_size - op.outputs[0], axis, exclusive, not reverse)
        parts.append(exp(sums + x))
    return parts[0] - parts[1], None


@export("math.cumsum", "cumsum")
def cumsum(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """The running sum along an axis.

    Args:
      x: a numeric tensor.
      axis: the axis, a scalar.
      exclusive: leaves each element itself out of its sum, so that the first one is 0.
      reverse: sums from the other end.
      name: the operation's name.

    Example:
      >>> tf.cumsum([1, 2, 3])                       # [1, 3, 6]
      >>> tf.cumsum([1, 2, 3], exclusive=True)       # [0, 1, 3]
    """
    with name_scope(name, "Cumsum", [x]) as scope:
        return cumsum_op(to_tensor(x, name="x"), axis, exclusive=exclusive, reverse=reverse, name=scope)


@export("math.cumprod", v1=["cumprod"])
def cumprod(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """The running product along an axis.

    Args:
      x: a numeric tensor.
      axis: the axis, a scalar.
      exclusive: leaves each element itself out of its product, so that the first one is 1.
      reverse: multiplies from the other end.
      name: the operation's name.
    """
    with name_scope(name, "Cumprod", [x]) as scope:
        return cumprod_op(to_tensor(x, name="x"), axis, exclusive=exclusive, reverse=reverse, name=scope)


@export("math.cumulative_logsumexp")
def cumulative_logsumexp(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """The running log(sum(exp(x))) along an axis, without overflow.

    Args:
      x: a float16, float32 or float64 tensor.
      axis: the axis, a scalar.
      exclusive: leaves each element itself out of its sum, so that the first one is -inf.
      reverse: sums from the other end.
      name: the operation's name.
    """
    with name_scope(name, "CumulativeLogsumexp", [x]) as scope:
        x = to_tensor(x, name="x")
        return cumulative_logsumexp_op(x, axis, exclusive=exclusive, reverse=reverse, name=scope)


# --- Positions of extremes ----------------------------------------------------------------------------------


def _without_axis(c: ShapeContext) -> Any:
    shape, axis = c.shape(0), c.constant(1)
    if shape is None:
        return None
    rank = len(shape)
    if axis is None:
        return (None,) * max(rank - 1, 0)
    if not -rank <= axis < rank:
        raise ValueError(
            f"Dimension ({axis}) must be in the range [{-rank}, {rank}), "
            f"where {rank} is the number of dimensions in the input."
        )
    return shape[: axis % rank] + shape[axis % rank + 1 :]


def _position_op(op_type: str, find: Any) -> OpDef:
    def kernel(xp: Any, input: Any, dimension: Any) -> Any:
        axis = axis_in_range(int(dimension), input.ndim)
        if not input.shape[axis]:
            raise invalid(f"Reduction axis {axis} is empty in shape {list(input.shape)}")
        return find(xp, input, axis)

    definition = op(
        f"{op_type}(input: T, dimension: Tidx, *, output_type: type{{int32,int64}} = int64)"
        " -> output: output_type",
        T=NUMERIC, Tidx="int32 int64 = int32", static=("dimension",), shape=_without_axis,
    )(kernel)  # fmt: skip
    definition.no_gradient("a position")
    return definition


arg_max_op = _position_op("ArgMax", lambda xp, x, axis: xp.argmax(x, axis))
arg_min_op = _position_op("ArgMin", lambda xp, x, axis: xp.argmin(x, axis))


def _publish_position(name: str, definition: OpDef, extreme: str) -> Any:
    """The 1.x, the 2.x and the oldest function that find the position of an extreme."""

    def find(
        input: Any,
        axis: Any = None,
        name: str | None = None,
        dimension: Any = None,
        output_type: Any = dtypes.int64,
    ) -> Tensor:
        axis = renamed("axis", axis, "dimension", dimension)
        return definition(input, 0 if axis is None else axis, output_type=output_type, name=name)

    def find_v2(input: Any, axis: Any = None, output_type: Any = dtypes.int64, name: str | None = None) -> Tensor:
        input, wanted = to_tensor(input, name="input"), dtypes.as_dtype(output_type)
        if input.dtype.base_dtype is dtypes.bool_:
            input = cast(input, dtypes.uint8)
        found = dtypes.int32 if wanted in (dtypes.int16, dtypes.uint16) else wanted
        place = definition(input, 0 if axis is None else axis, output_type=found, name=name)
        return place if found is wanted else cast(place, wanted)

    def find_old(input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None) -> Tensor:
        return definition(input, dimension, output_type=output_type, name=name)

    doc = f"""The position of the {extreme} number along an axis; the first one of equal ones.

Args:
  input: a numeric tensor.
  axis: the axis, a scalar; default: 0. (Its old name is `dimension`.)
  output_type: int32 or int64; in 2.x int16 and uint16 too.
  name: the operation's name.
"""
    old_name = f"{name[:3]}_{name[3:]}"
    for function, attribute in ((find, name), (find_v2, f"{name}_v2"), (find_old, old_name)):
        function.__name__ = function.__qualname__ = attribute
        function.__doc__ = doc
    export(v1=[f"math.{name}", name])(find)
    export(v2=[f"math.{name}", name])(find_v2)
    export(v1=[old_name])(find_old)
    return find, find_v2, find_old


argmax, argmax_v2, arg_max = _publish_position("argmax", arg_max_op, "greatest")
argmin, argmin_v2, arg_min = _publish_position("argmin", arg_min_op, "least")

# --- Sums of several tensors --------------------------------------------------------------------------------


def _total(xp: Any, inputs: list[Any], node: Any) -> Any:
    total = inputs[0]
    found = [getattr(value, "shape", ()) for value in inputs]  # a variant has none
    for index, value in enumerate(inputs[1:], 1):
        if found[index] != found[0]:
            raise ValueError(
                f"Inputs to operation {node.name} of type {node.type} must have the same size and shape.  Input 0: "
                f"{shapes.format_shape(found[0])} != input {index}: {shapes.format_shape(found[index])}"
            )
        total = total + value
    return total


def _same_for_all(op: Any, grad: Any) -> list[Any]:
    return [grad] * len(op.inputs)


add_n_op = op(
    "AddN(inputs: N*T) -> sum: T",
    T=(*NUMERIC, dtypes.variant),
    shape=merged,
    commutative=True,
    aggregate=True,
)(lambda xp, inputs, *, node: _total(xp, inputs, node))
add_n_op.gradient(_same_for_all)
accumulate_n_op = op(
    "AccumulateNV2(inputs: N*T, *, shape: shape) -> sum: T",
    T=NUMERIC, shape=lambda c: c.attrs["shape"], commutative=True, aggregate=True,
)(lambda xp, inputs, *, node: _total(xp, inputs, node))  # fmt: skip
accumulate_n_op.gradient(_same_for_all)


@export("math.add_n", "add_n")
def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """The sum of several tensors of one shape.

    Args:
      inputs: a list of tensors (or `IndexedSlices`) of one dtype and shape; a single one is returned itself.
      name: the operation's name.

    Raises:
      ValueError: the list is empty, or the shapes differ.
    """
    message = "inputs must be a list of at least one Tensor/IndexedSlices with the same dtype and shape"
    inputs = list(inputs) if inputs is not None else []
    if not inputs:
        raise ValueError(message)
    tensors = [convert_to_tensor_or_indexed_slices(value) for value in inputs]
    if len(tensors) > 1:
        return add_n_op(tensors, name=name)
    only = to_tensor(tensors[0])
    return identity_ops.identity(only, name=name) if name else only


@export("math.accumulate_n", v1=["accumulate_n"])
def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Tensor:
    """The sum of several tensors of one shape, like `add_n`.

    Args:
      inputs: a list of tensors of one dtype and shape; a single one is returned as it is.
      shape: the shape expected of the elements.
      tensor_dtype: the dtype expected of the elements.
      name: the operation's name.

    Raises:
      ValueError: the list is empty, or dtypes or shapes differ.
      TypeError: the dtype is not `tensor_dtype`.
    """
    message = "inputs must be a list of at least one Tensor with the same dtype and shape"
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(message)
    tensors = [to_tensor(value) for value in inputs]
    if any(tensor.dtype.base_dtype is not tensors[0].dtype.base_dtype for tensor in tensors):
        raise ValueError(message)
    merged_shape = shapes.as_plain(shape)
    for tensor in tensors:
        merged_shape = shapes.merge(merged_shape, tensor._shape)
    if tensor_dtype is not None and dtypes.as_dtype(tensor_dtype) is not tensors[0].dtype.base_dtype:
        raise TypeError(f"tensor_dtype is {tensor_dtype}, but input is of type {tensors[0].dtype}")
    if len(tensors) > 1:
        return accumulate_n_op(tensors, shape=merged_shape, name=name)
    return identity_ops.identity(tensors[0], name=name) if name else tensors[0]
