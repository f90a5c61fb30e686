"""Choosing between values, and picking out elements by a condition or a partition."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, opdef, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.gradients import is_wanted
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.fill_ops import sequence_mask, zeros_like
from millstream.ops.gather_ops import check_range, gather
from millstream.ops.join_ops import concat
from millstream.ops.pad_ops import tile
from millstream.ops.reshape_ops import expand_dims, reshape, squeeze
from millstream.ops.shape_ops import shape

# --- Select -------------------------------------------------------------------------------------------------


def _select_shape(c: ShapeContext) -> Any:
    condition, data = c.shape(0), shapes.merge(c.shape(1), c.shape(2))
    if condition is None or data is None or condition == ():
        return data
    if len(condition) == 1 and len(data) != 1:
        if data:
            shapes.merge(condition, data[:1])
        return data
    return shapes.merge(condition, data)


@op("Select(condition: bool, t: T, e: T) -> output: T", T=ANY, shape=_select_shape)
def select_op(xp, condition, t, e):
    shape = condition.shape
    for index, wanted, got in ((2, t.shape, e.shape), (1, shape, t.shape[:1] if len(shape) == 1 else t.shape)):
        if wanted and wanted != got:
            raise ValueError(
                "Inputs to operation Select of type Select must have the same size and shape.  "
                f"Input 0: {shapes.format_shape(wanted)} != input {index}: {shapes.format_shape(got)}"
            )
    if condition.ndim == 1 and t.ndim > 1:
        condition = xp.reshape(condition, (-1,) + (1,) * (t.ndim - 1))
    return xp.where(condition, t, e)


def _select_v2_shape(c: ShapeContext) -> Any:
    return shapes.broadcast(c.shape(0), shapes.broadcast(c.shape(1), c.shape(2)))


@op("SelectV2(condition: bool, t: T, e: T) -> output: T", T=ANY, shape=_select_v2_shape)
def select_v2_op(xp, condition, t, e):
    try:
        return xp.where(condition, t, e)
    except ValueError:
        found = (shapes.format_shape(part.shape) for part in (condition, t, e))
        raise ValueError("condition {}, then {}, and else {} must be broadcastable".format(*found)) from None


@select_op.gradient
def _(op, grad):
    condition, x, _ = op.inputs
    zeros = zeros_like(x)
    return (
        None,
        select_op(condition, grad, zeros) if is_wanted(op, 1) else None,
        select_op(condition, zeros, grad) if is_wanted(op, 2) else None,
    )


@select_v2_op.gradient
def _(op, grad):
    condition, x, y = op.inputs
    zeros = zeros_like(grad)
    return (
        None,
        _summed_to(select_v2_op(condition, grad, zeros), x) if is_wanted(op, 1) else None,
        _summed_to(select_v2_op(condition, zeros, grad), y) if is_wanted(op, 2) else None,
    )


def _summed_to(grad: Any, value: Any) -> Any:
    """The gradient of a value that was broadcast: summed over the dimensions that were repeated."""
    from millstream.ops.reduction_ops import reduce_sum

    if grad._shape == value._shape and shapes.is_fully_defined(value._shape):
        return grad
    target = shape(value)
    axes = opdef.find("BroadcastGradientArgs")(target, shape(grad))[0]
    return reshape(reduce_sum(grad, axes), target)


@op(
    "Where(input: T) -> index: int64",
    T="float double int32 uint8 int16 int8 complex64 int64 qint8 quint8 qint32 bfloat16 uint16 complex128 half "
    "uint32 uint64 bool = bool",
    shape=lambda c: (None, None if c.shape(0) is None else len(c.shape(0))),
    host=True,
)
def where_op(xp, input):
    return np.argwhere(input != 0)


where_op.no_gradient("positions do not vary smoothly")


@export(v1=["where"])
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Elements of `x` where a condition holds and of `y` elsewhere; or, without these, the places where it holds.

    Args:
      condition: bool, of the shape of `x`; a vector chooses whole rows, a scalar everything.
      x, y: any dtype, of one shape; both or none.
      name: the operation's name.

    Returns:
      Shape of `x`; without `x` and `y` the indices of the true elements, int64 [count, rank of condition].

    Raises:
      ValueError: only one of `x` and `y`, or shapes that do not fit.

    Example:
      >>> tf.where([True, False], [1, 2], [3, 4])     # [1, 4]
    """
    if x is None and y is None:
        with name_scope(name, "Where", [condition]) as scope:
            condition = conversion.to_tensor(condition, name="condition")
            return where_op(condition, name=scope)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return select_op(condition, x, y, name=name)


@export(v1=["where_v2"], v2=["where"])
def where_v2(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Like `where` of 1.x, but `condition`, `x` and `y` broadcast against each other.

    Raises:
      ValueError: only one of `x` and `y`, or shapes that do not broadcast.
    """
    if x is None and y is None:
        with name_scope(name, "Where", [condition]) as scope:
            condition = conversion.to_tensor(condition, name="condition")
            return where_op(condition, name=scope)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return select_v2_op(condition, x, y, name=name)


# --- Boolean masks ------------------------------------------------------------------------------------------


@export(v1=["boolean_mask"])
def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: Any = None) -> Tensor:
    """The elements where a mask is true: `tensor[mask]` of NumPy.

    Args:
      tensor: any dtype, rank n.
      mask: bool of known rank k ≤ n, at least 1, that matches k dimensions of `tensor`.
      name: the name scope.
      axis: the first of these dimensions; default 0.

    Returns:
      The k dimensions replaced by one, as long as the mask has true elements.

    Raises:
      ValueError: the mask is a scalar or of unknown rank, or its shape does not match.

    Example:
      >>> tf.boolean_mask([0, 1, 2, 3], [True, False, True, False])     # [0, 2]
    """
    from millstream.ops.reduction_ops import reduce_prod

    with name_scope(name, values=[tensor, mask]):
        tensor = conversion.to_tensor(tensor, name="tensor")
        mask = conversion.to_tensor(mask, name="mask")
        if mask._shape == ():
            raise ValueError("mask cannot be scalar.")
        if mask._shape is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None.  "
                "E.g. shape=[None] is ok, but shape=None is not."
            )
        known = constant_value(axis) if isinstance(axis, Tensor) else axis or 0
        first = axis if known is None else int(known)
        last = first + len(mask._shape)
        if isinstance(first, int):
            covered = shapes.TensorShape(None if tensor._shape is None else tensor._shape[first:last])
            covered.assert_is_compatible_with(mask.shape)
        count = reduce_prod(shape(tensor)[first:last], [0])
        whole = concat([shape(tensor)[:first], [count], shape(tensor)[last:]], 0)
        tensor = reshape(tensor, whole)
        if isinstance(first, int) and tensor._shape is not None:
            size = shapes.num_elements(covered._plain)
            tensor.set_shape((*tensor._shape[:first], size, *tensor._shape[first + 1 :]))
        places = squeeze(where(reshape(mask, [-1])), axis=[1])
        return gather(tensor, places, axis=first)


@export(v2=["boolean_mask"])
def boolean_mask_v2(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Tensor:
    """The elements where a mask is true: `tensor[mask]` of NumPy (see `tf.boolean_mask` of 1.x)."""
    return boolean_mask(tensor, mask, name, axis)


# --- Repeating elements -------------------------------------------------------------------------------------


@export("repeat")
def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element, or each slice along a dimension, several times in a row.

    Args:
      input: any dtype and shape.
      repeats: integers: how often, a scalar, or a vector with a count for each slice.
      axis: the dimension; default: the tensor is flattened.
      name: the name scope.

    Raises:
      ValueError: the rank is not known, or `repeats` has a rank above 1.

    Example:
      >>> tf.repeat([[1, 2], [3, 4]], [1, 2], axis=0)     # [[1, 2], [3, 4], [3, 4]]
    """
    if axis is None:
        input, axis = reshape(input, [-1]), 0
    with name_scope(name, "Repeat", [input, repeats]):
        data = conversion.to_tensor(input, name="input")
        counts = conversion.to_tensor(repeats, name="repeats")
        counts = opdef.find("Cast")(counts, DstT=dtypes.int32)
        if data._shape is None or counts._shape is None or len(counts._shape) > 1:
            raise ValueError("repeat needs data of known rank and repeats of rank 0 or 1")
        rank = len(data._shape)
        axis %= max(rank, 1)
        whole = shape(data)
        if not counts._shape:
            tiled = tile(expand_dims(data, axis + 1), [1] * (axis + 1) + [counts] + [1] * (rank - axis - 1))
            return reshape(tiled, concat([whole[:axis], [-1], whole[axis + 1 :]], 0))
        return _repeat_each(data, counts, axis, rank)


def _repeat_each(data: Tensor, counts: Tensor, axis: int, rank: int) -> Tensor:
    """All slices as often as the most frequent one, less those that are too many."""
    from millstream.ops.arithmetic_ops import maximum
    from millstream.ops.reduction_ops import reduce_max

    most = maximum(0, reduce_max(counts, constant_op.constant([0])))
    mask = sequence_mask(counts, most)
    tiled = tile(expand_dims(data, axis + 1), [1] * (axis + 1) + [most] + [1] * (rank - axis - 1))
    return boolean_mask(tiled, mask, axis=axis)


# --- Partitions ---------------------------------------------------------------------------------------------


def _partition_shape(c: ShapeContext) -> Any:
    data, partitions = c.shape(0), c.shape(1)
    rest = None
    if data is not None and partitions is not None:
        shapes.merge(data[: len(partitions)], partitions)
        rest = (None, *data[len(partitions) :])
    return [rest] * c.attrs["num_partitions"]


@op(
    "DynamicPartition(data: T, partitions: int32, *, num_partitions: int >= 1) -> outputs: num_partitions*T",
    T=ANY,
    shape=_partition_shape,
    host=True,
)
def dynamic_partition_op(xp, data, partitions, *, num_partitions, check):
    check_range(check, xp, "partitions", partitions, num_partitions)
    return [data[partitions == number] for number in range(num_partitions)]


@dynamic_partition_op.gradient
def _(op, *grads):
    from millstream.ops.reduction_ops import reduce_prod

    data, partitions = op.inputs
    outer = shape(partitions)
    numbers = reshape(opdef.find("Range")(0, reduce_prod(outer), 1), outer)
    places = dynamic_partition_op(numbers, partitions, num_partitions=op.get_attr("num_partitions"))
    return reshape(dynamic_stitch(places, list(grads)), shape(data)), None


@export("dynamic_partition")
def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Tensor]:
    """Shares out the rows of a tensor over several.

    Args:
      data: any dtype, of shape `partitions.shape + R`.
      partitions: int32, any shape: the number, in [0, num_partitions), of the tensor that gets this row.
      num_partitions: how many tensors there are.
      name: the operation's name.

    Returns:
      `num_partitions` tensors of shape [count, *R].

    Raises:
      InvalidArgumentError: a number out of range.
    """
    return dynamic_partition_op(data, partitions, num_partitions=num_partitions, name=name)


def _stitch_shape(c: ShapeContext) -> Any:
    half = c.num_inputs // 2
    rest: opdef.Shape = None
    sizes: list[int | None] = []
    for index in range(half):
        places, data, known = c.shape(index), c.shape(half + index), c.constant(index)
        sizes.append(None if known is None else int(known.max(initial=-1)) + 1)
        if places is not None and data is not None:
            shapes.merge(data[: len(places)], places)
            rest = shapes.merge(rest, data[len(places) :])
    if rest is None:
        return None
    known_sizes = [size for size in sizes if size is not None]
    return (max(known_sizes) if len(known_sizes) == half else None, *rest)


def _stitch(indices: list[Any], data: list[Any]) -> Any:
    size = max((int(part.max(initial=-1)) + 1 for part in indices), default=0)
    rest = data[0].shape[indices[0].ndim :]
    merged = np.zeros((size, *rest), data[0].dtype)
    for places, values in zip(indices, data, strict=True):
        if values.shape != (*places.shape, *rest):
            raise ValueError(
                f"data must have the shape of indices and then {shapes.format_shape(rest)}, but has "
                f"{shapes.format_shape(values.shape)} for indices {shapes.format_shape(places.shape)}"
            )
        if places.size and places.min() < 0:
            raise ValueError(f"indices must be non-negative, but one is {places.min()}")
        merged[places.reshape(-1)] = values.reshape(-1, *rest)
    return merged


@op("DynamicStitch(indices: N*int32, data: N*T) -> merged: T", T=ANY, shape=_stitch_shape, host=True)
def dynamic_stitch_op(xp, indices, data):
    return _stitch(indices, data)


@op("ParallelDynamicStitch(indices: N*int32, data: N*T) -> merged: T", T=ANY, shape=_stitch_shape, host=True)
def parallel_dynamic_stitch_op(xp, indices, data):
    return _stitch(indices, data)


@dynamic_stitch_op.gradient
@parallel_dynamic_stitch_op.gradient
def _stitch_gradient(op, grad):
    places = op.inputs[: len(op.inputs) // 2]
    return [*([None] * len(places)), *(gather(grad, part) for part in places)]


@export("dynamic_stitch")
def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """Puts the rows of several tensors together; the inverse of `dynamic_partition`.

    Args:
      indices: a list of int32 tensors, any shapes: `merged[indices[m][i…]] = data[m][i…]`.
      data: a list of tensors of one dtype, of shapes `indices[m].shape + R`.
      name: the operation's name.

    Returns:
      [1 + the greatest index, *R]. Where an index repeats the last one counts.
    """
    return dynamic_stitch_op(indices, data, name=name)
