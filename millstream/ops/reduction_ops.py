"""Reductions: sums, means, extremes and the like over some axes of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import NUMERIC, DType
from millstream.core.export import export, export_value
from millstream.core.opdef import OpDef, find, op
from millstream.core.scopes import name_scope
from millstream.core.shape_rules import reduction
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, fill_ops, identity_ops, reshape_ops, shape_ops
from millstream.ops.arguments import invalid, renamed
from millstream.ops.arithmetic_ops import add, div_no_nan, maximum, multiply, subtract
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import equal, is_finite, not_equal
from millstream.ops.elementwise import conjugate
from millstream.ops.elementwise_ops import exp, log, sqrt, square
from millstream.ops.math_ops import cumprod
from millstream.ops.math_ops import range as range_of
from millstream.ops.select_ops import where

# --- Operations ---------------------------------------------------------------------------------------------


def _reduction_op(op_type: str, reduce: Callable[..., Any], element: str = "T") -> OpDef:
    """An operation that reduces input 0 over the axes in input 1, by `reduce(xp, x, axes, keepdims)`."""

    def kernel(xp: Any, input: Any, reduction_indices: Any, *, keep_dims: bool) -> Any:
        return reduce(xp, input, _as_axes(reduction_indices, input.ndim), keep_dims)

    types = {"T": NUMERIC} if element == "T" else {}
    return op(
        f"{op_type}(input: {element}, reduction_indices: Tidx, *, keep_dims: bool = false)"
        f" -> output: {element}",
        **types, Tidx="int32 int64 = int32", shape=reduction, static=("reduction_indices",),
    )(kernel)  # fmt: skip


def _as_axes(indices: Any, rank: int) -> tuple[int, ...]:
    axes = []
    for axis in np.asarray(indices).reshape(-1).tolist():
        if not -rank <= axis < rank:
            raise invalid(f"Invalid reduction dimension ({axis} for input with {rank} dimension(s)")
        if axis % rank in axes:
            raise invalid(f"Invalid reduction arguments: Axes contains duplicate dimension: {axis % rank}")
        axes.append(axis % rank)
    return tuple(axes)


def _sum(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return xp.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype)


def _mean(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    count = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
    if x.dtype.kind in "iu":  # integers are divided towards zero
        total, count = _sum(xp, x, axes, keepdims), max(count, 1)
        return xp.where(total < 0, -(-total // count), total // count)
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x  # the sum of half precision numbers might overflow
    return _sum(xp, wide, axes, keepdims) / np.asarray(count, wide.dtype)


def _max(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return xp.max(x, axis=axes, keepdims=keepdims, **_initial(x, least=True))


def _min(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return xp.min(x, axis=axes, keepdims=keepdims, **_initial(x, least=False))


def _initial(x: Any, least: bool) -> dict[str, Any]:
    """What the extreme of no numbers is."""
    if x.size:
        return {}
    if x.dtype.kind in "iu":
        return {"initial": np.iinfo(x.dtype).min if least else np.iinfo(x.dtype).max}
    return {"initial": -np.inf if least else np.inf}


def _norm(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return xp.sqrt(_sum(xp, xp.real(x * xp.conj(x)), axes, keepdims))


sum_op = _reduction_op("Sum", _sum)
mean_op = _reduction_op("Mean", _mean)
prod_op = _reduction_op("Prod", lambda xp, x, axes, keepdims: xp.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype))
max_op = _reduction_op("Max", _max)
min_op = _reduction_op("Min", _min)
euclidean_norm_op = _reduction_op("EuclideanNorm", _norm)
any_op = _reduction_op("Any", lambda xp, x, axes, keepdims: xp.any(x, axis=axes, keepdims=keepdims), "bool")
all_op = _reduction_op("All", lambda xp, x, axes, keepdims: xp.all(x, axis=axes, keepdims=keepdims), "bool")
any_op.no_gradient("a truth value")
all_op.no_gradient("a truth value")

# --- Gradients ----------------------------------------------------------------------------------------------


def _reduced_axes(op: Any) -> list[int] | None:
    """The axes, counted from the front, that an operation reduces, where they and the rank are known."""
    shape, axes = op.inputs[0]._shape, constant_value(op.inputs[1])
    if shape is None or axes is None:
        return None
    return sorted(axis % len(shape) for axis in axes.reshape(-1).tolist())


def _with_reduced_axes(op: Any, tensor: Any) -> Any:
    """A tensor of the result's shape in a form that broadcasts with the input: reduced axes have size 1 again."""
    if op.attrs["keep_dims"]:
        return tensor
    axes = _reduced_axes(op)
    if axes is None:
        return reshape_ops.reshape(tensor, kept_shape(op.inputs[0], op.inputs[1]))
    if axes == list(range(len(axes))):  # broadcasting adds leading dimensions
        return tensor
    for axis in axes:
        tensor = reshape_ops.expand_dims(tensor, axis)
    return tensor


def kept_shape(x: Any, axes: Any) -> Tensor:
    """The shape of `x` with 1 in place of the dimensions `axes`, both known only when the graph runs.

    Args:
      x: a tensor.
      axes: a scalar or vector of int32 or int64.
    """

    shape = shape_ops.shape(x)
    rank = shape_ops.size(shape)
    wanted = reshape_ops.reshape(cast(axes, dtypes.int32), [-1, 1])
    reduced = reduce_any(equal((wanted + rank) % rank, range_of(rank)), 0)
    return where(reduced, fill_ops.ones_like(shape), shape)


@sum_op.gradient
def _(op, grad):
    return reshape_ops.broadcast_to(_with_reduced_axes(op, grad), shape_ops.shape(op.inputs[0])), None


@mean_op.gradient
def _(op, grad):
    each = grad / _reduced_count(op, grad.dtype.base_dtype)
    return reshape_ops.broadcast_to(_with_reduced_axes(op, each), shape_ops.shape(op.inputs[0])), None


def _reduced_count(op: Any, dtype: DType) -> Any:
    """How many numbers went into each one of the result; 1 where there were none."""

    x, y = op.inputs[0], op.outputs[0]
    axes = _reduced_axes(op)
    dims = [None] if axes is None else [x._shape[axis] for axis in axes]
    if None not in dims:
        return to_tensor(max(int(np.prod(dims, dtype=np.int64)), 1), dtype)
    count = shape_ops.size(x) // maximum(shape_ops.size(y), 1)
    return cast(maximum(count, 1), dtype)


@max_op.gradient
@min_op.gradient
def _(op, grad):

    x = op.inputs[0]
    chosen = cast(equal(_with_reduced_axes(op, op.outputs[0]), x), grad.dtype)
    ties = _with_reduced_axes(op, reduce_sum(chosen, op.inputs[1], op.attrs["keep_dims"]))
    return chosen / ties * _with_reduced_axes(op, grad), None


@prod_op.gradient
def _(op, grad):
    axes = _reduced_axes(op)
    if axes is None:
        raise NotImplementedError(
            f"The gradient of a product over axes that are known only when the graph runs ({op.name})."
        )

    # d product / d x is the product of all others, of those before times those after; one axis after another.
    partial, result = conjugate(op.inputs[0]), _with_reduced_axes(op, grad)
    for axis in axes:
        before = cumprod(partial, axis, exclusive=True)
        after = cumprod(partial, axis, exclusive=True, reverse=True)
        result, partial = result * before * after, reduce_prod(partial, axis, keepdims=True)
    return result if axes else reshape_ops.broadcast_to(result, shape_ops.shape(op.inputs[0])), None


@euclidean_norm_op.gradient
def _(op, grad):
    norm = _with_reduced_axes(op, op.outputs[0])
    return _with_reduced_axes(op, grad) * div_no_nan(op.inputs[0], norm), None


# --- Public functions ---------------------------------------------------------------------------------------

_ARGUMENTS = """
Args:
  input_tensor: {types}.
  axis: the axes to reduce, an integer or a list, negative ones counted from the back; default: all.
  keepdims: keeps the reduced axes, with size 1.
  name: the operation's name.
"""


def _all_axes(x: Any) -> Any:

    if isinstance(x, Tensor) and x._shape is not None:
        return constant_op.constant(np.arange(len(x._shape), dtype=np.int32))
    return range_of(0, shape_ops.rank(x))


def _reduce(definition: OpDef, x: Any, axis: Any, keepdims: Any, name: str | None) -> Tensor:
    keepdims = bool(keepdims)
    result = definition(x, _all_axes(x) if axis is None else axis, keep_dims=keepdims, name=name)
    if axis is None and not keepdims and result._shape is None:
        result.set_shape(())
    return result


def _publish(name: str, definition: OpDef, types: str, doc: str) -> Any:
    """The 1.x and the 2.x function of a reduction."""

    def reduce_v1(
        input_tensor: Any,
        axis: Any = None,
        keepdims: bool | None = None,
        name: str | None = None,
        reduction_indices: Any = None,
        keep_dims: bool | None = None,
    ) -> Tensor:
        axis = renamed("axis", axis, "reduction_indices", reduction_indices)
        return _reduce(definition, input_tensor, axis, renamed("keepdims", keepdims, "keep_dims", keep_dims), name)

    def reduce_v2(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
        return _reduce(definition, input_tensor, axis, keepdims, name)

    arguments = _ARGUMENTS.format(types=types)
    old = "  reduction_indices, keep_dims: old names of `axis` and `keepdims`.\n"
    for function, attribute, more in ((reduce_v1, name, old), (reduce_v2, f"{name}_v2", "")):
        function.__name__ = function.__qualname__ = attribute
        function.__doc__ = f"{doc}\n{arguments}{more}"
    export_value(__name__, name, v1=[f"math.{name}", name])
    export_value(__name__, f"{name}_v2", v2=[f"math.{name}", name])
    return reduce_v1, reduce_v2


reduce_sum, reduce_sum_v2 = _publish(
    "reduce_sum", sum_op, "a numeric tensor", "The sum over some axes; 0 for no numbers."
)
reduce_mean, reduce_mean_v2 = _publish(
    "reduce_mean",
    mean_op,
    "a numeric tensor; the mean of integers is rounded towards zero",
    "The mean over some axes.",
)
reduce_prod, reduce_prod_v2 = _publish(
    "reduce_prod", prod_op, "a numeric tensor", "The product over some axes; 1 for no numbers."
)
reduce_max, reduce_max_v2 = _publish("reduce_max", max_op, "a real tensor", "The greatest number over some axes.")
reduce_min, reduce_min_v2 = _publish("reduce_min", min_op, "a real tensor", "The least number over some axes.")
reduce_any, reduce_any_v2 = _publish(
    "reduce_any", any_op, "a bool tensor", "Whether any element over some axes is true."
)
reduce_all, reduce_all_v2 = _publish(
    "reduce_all", all_op, "a bool tensor", "Whether all elements over some axes are true."
)


@export("math.reduce_euclidean_norm")
def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The Euclidean norm over some axes: the square root of the sum of squares.

    Args:
      input_tensor: a numeric tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the operation's name.
    """
    return _reduce(euclidean_norm_op, input_tensor, axis, keepdims, name)


@export(v2=["math.reduce_variance"])
def reduce_variance_v2(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The variance over some axes: the mean of the squared distances from the mean, which is real.

    Args:
      input_tensor: a floating point or complex tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.

    Raises:
      TypeError: it holds integers.
    """
    with name_scope(name or "reduce_variance"):
        x = to_tensor(input_tensor)
        if x.dtype.is_integer:
            raise TypeError(f"Input must be either real or complex. Received integer type {x.dtype}.")
        distances = subtract(x, reduce_mean(x, axis, keepdims=True), name="sub")
        if x.dtype.is_complex:
            squares = find("Real")(multiply(find("Conj")(distances), distances), Tout=x.dtype.real_dtype)
        else:
            squares = square(distances)
        return reduce_mean(squares, axis, keepdims=keepdims)


@export(v1=["math.reduce_variance"])
def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The variance over some axes: the mean of the squared distances from the mean.

    Args:
      input_tensor: a numeric tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.
    """
    with name_scope(name or "reduce_variance"):
        means = reduce_mean(input_tensor, axis, keepdims=True)
        return reduce_mean(square(subtract(input_tensor, means, name="sub")), axis, keepdims=keepdims)


@export(v2=["math.reduce_std"])
def reduce_std_v2(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The standard deviation over some axes: the square root of `reduce_variance`, which see."""
    with name_scope(name or "reduce_std"):
        return sqrt(reduce_variance_v2(input_tensor, axis, keepdims))


@export(v1=["math.reduce_std"])
def reduce_std(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The standard deviation over some axes: the square root of `reduce_variance`.

    Args:
      input_tensor: a floating point tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.
    """
    with name_scope(name or "reduce_std"):
        return sqrt(reduce_variance(input_tensor, axis, keepdims))


@export(v2=["math.reduce_logsumexp", "reduce_logsumexp"])
def reduce_logsumexp_v2(
    input_tensor: Any, axis: Any = None, keepdims: bool | None = False, name: str | None = None
) -> Tensor:
    """log(sum(exp(x))) over some axes, without overflow: the greatest number is taken out of the exponents.

    Args:
      input_tensor: a floating point tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.
    """
    x = to_tensor(input_tensor)
    with name_scope(name, "ReduceLogSumExp", [x]):
        greatest = reduce_max(x, axis, keepdims=True)
        finite = where(is_finite(greatest), greatest, fill_ops.zeros_like(greatest))
        offset = identity_ops.stop_gradient(finite)
        result = log(reduce_sum(exp(subtract(x, offset)), axis, keepdims))
        if not keepdims:
            offset = reshape_ops.reshape(offset, shape_ops.shape(result))
        return add(result, offset)


@export(v1=["math.reduce_logsumexp", "reduce_logsumexp"])
def reduce_logsumexp(
    input_tensor: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """log(sum(exp(x))) over some axes, without overflow: the greatest number is taken out of the exponents.

    Args:
      input_tensor: a floating point tensor.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.
      reduction_indices, keep_dims: old names of `axis` and `keepdims`.
    """
    axis = renamed("axis", axis, "reduction_indices", reduction_indices)
    keepdims = renamed("keepdims", keepdims, "keep_dims", keep_dims)
    return reduce_logsumexp_v2(input_tensor, axis, keepdims, name)


@export(v2=["math.count_nonzero"])
def count_nonzero_v2(
    input: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Tensor:
    """The number of elements over some axes that are not zero (empty, for strings).

    Args:
      input: a tensor of numbers, truth values or strings.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      dtype: the dtype of the result.
      name: the scope of the operations.
    """

    with name_scope(name, "count_nonzero", [input]):
        input = to_tensor(input, name="input")
        zero = fill_ops.zeros([], input.dtype.base_dtype)
        counted = reduce_sum(cast(not_equal(input, zero), dtypes.int64), axis, bool(keepdims))
        return cast(counted, dtype)


@export(v1=["math.count_nonzero", "count_nonzero"])
def count_nonzero(
    input_tensor: Any = None,
    axis: Any = None,
    keepdims: bool | None = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: bool | None = None,
    input: Any = None,
) -> Tensor:
    """The number of elements over some axes that are not zero (empty, for strings).

    Args:
      input_tensor: a tensor of numbers, truth values or strings.
      axis: the axes to reduce, an integer or a list; default: all.
      keepdims: keeps the reduced axes, with size 1.
      dtype: the dtype of the result.
      name: the scope of the operations.
      reduction_indices, keep_dims, input: old and new names of `axis`, `keepdims` and `input_tensor`.
    """
    input = renamed("input", input, "input_tensor", input_tensor)
    axis = renamed("axis", axis, "reduction_indices", reduction_indices)
    keepdims = renamed("keepdims", keepdims, "keep_dims", keep_dims)
    return count_nonzero_v2(input, axis, keepdims, dtype, name)
