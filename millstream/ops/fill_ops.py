"""Tensors made from a shape: fills, zeros and ones, identity matrices, masks, grids."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import context, conversion, dtypes, opdef, shapes
from millstream.core.dtypes import ANY, DType
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor
from millstream.ops import constant_op, list_values
from millstream.ops.arguments import to_shape
from millstream.ops.cast_ops import cast, cast_op
from millstream.ops.conversions import shape_vector
from millstream.ops.join_ops import concat, stack
from millstream.ops.reshape_ops import expand_dims_op, reshape
from millstream.ops.shape_ops import rank_internal, shape_internal, size

# Fills of fewer elements become constants.
_SMALL = 1000

# --- Fill ---------------------------------------------------------------------------------------------------


def _fill_shape(c: ShapeContext) -> Any:
    dims = c.constant(0)
    if dims is not None and dims.size and dims.min() < 0:
        raise ValueError("Fill dimensions must be >= 0")
    return c.constant_shape(0)


@op(
    "Fill(dims: index_type, value: T) -> output: T",
    T=ANY,
    index_type="int32 int64 = int32",
    shape=_fill_shape,
    static=("dims",),
    moves_data=True,
)
def fill_op(xp, dims, value):
    if value.ndim:
        raise ValueError(f"value must represent a scalar, got shape {shapes.format_shape(value.shape)}")
    return xp.full(to_shape(dims), value, dtype=value.dtype)


@fill_op.gradient
def _(op, grad):
    from millstream.ops.reduction_ops import reduce_sum

    return None, reduce_sum(grad)


@export(v1=["fill"])
def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """A tensor with one value everywhere.

    Args:
      dims: the shape, an int32 or int64 vector.
      value: a scalar of any dtype.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: a dimension is negative.

    Example:
      >>> tf.fill([2, 3], 9)     # [[9, 9, 9], [9, 9, 9]]
    """
    dims = conversion.to_tensor(dims, name="dims") if isinstance(dims, Tensor) else dims
    return fill_op(dims, value, name=name)


@export(v2=["fill"])
def fill_v2(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of shape `dims` (an int vector) with the scalar `value` everywhere; `layout` must be None."""
    return fill(dims, value, name)


@op("ZerosLike(x: T) -> y: T", T=ANY, shape=same_as(0))
def zeros_like_op(xp, x):
    if isinstance(x, list_values.LISTS):
        return list_values.zeros_like(x)
    return xp.full(x.shape, b"", object) if x.dtype == object else xp.zeros(x.shape, x.dtype)


@op(
    "OnesLike(x: T) -> y: T",
    T="bfloat16 half float double int8 uint8 int16 uint16 int32 int64 complex64 complex128 bool uint32 uint64",
    shape=same_as(0),
)
def ones_like_op(xp, x):
    return xp.ones(x.shape, x.dtype)


zeros_like_op.no_gradient("its value is constant")
ones_like_op.no_gradient("its value is constant")

# --- Zeros and ones -----------------------------------------------------------------------------------------


def _filled(shape: Any, value: Any, dtype: DType, scope: str) -> Tensor:
    """A tensor of `value`: a constant where it is small and its shape known, else a `Fill`."""
    if not isinstance(shape, Tensor):
        small = _small_constant(shape, value, dtype, scope)
        if small is not None:
            return small
        try:
            shape = shape_vector(shapes.TensorShape(shape))
        except (TypeError, ValueError, NotImplementedError):  # it holds tensors, or variables
            shape = conversion.to_tensor(shape, dtype=dtypes.int32)
    if not shape._shape:
        shape = reshape(shape, [-1])
    return fill_op(shape, constant_op.constant(value, dtype), name=scope)


def _small_constant(shape: Any, value: Any, dtype: DType, scope: str) -> Tensor | None:
    """The constant, or None where it is large or the number of elements is not known.

    As in TensorFlow, a shape that holds tensors is multiplied out and compared, in operations that nothing
    uses: the number of operations in a graph decides the seeds of those that follow.
    """
    try:
        if _product(shape) < _SMALL:
            return constant_op.constant(value, dtype, shape, name=scope)
    except (TypeError, NotImplementedError):
        pass
    except ValueError:
        if not _has_negative(shape):
            raise
    return None


def _product(shape: Any) -> Any:
    if isinstance(shape, shapes.TensorShape):
        shape = [shapes.Dimension(dim) for dim in shape._plain or (None,)]
    if not isinstance(shape, Sequence):
        if not isinstance(shape, np.ndarray) or shape.ndim == 0:
            raise TypeError("a scalar is no shape of a constant")
        return np.prod(shape)
    product: Any = None
    for dim in shape:
        product = dim if product is None else product * dim
    return 1 if product is None else product


def _has_negative(shape: Any) -> bool:
    return any(isinstance(dim, int) and dim < 0 for dim in shape) if isinstance(shape, Sequence) else False


@export(v1=["zeros"])
def zeros(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of zeros (of False, of empty strings).

    Args:
      shape: a list of ints, a `TensorShape` or an int32 vector; lists may hold scalar tensors.
      dtype: the dtype.
      name: the operation's name.

    Example:
      >>> tf.zeros([2, 2], tf.int32)     # [[0, 0], [0, 0]]
    """
    dtype = dtypes.as_dtype(dtype).base_dtype
    with name_scope(name, "zeros", [shape]) as scope:
        return _filled(shape, _zero(dtype), dtype, scope)


def _zero(dtype: DType) -> Any:
    if dtype is dtypes.bool_:
        return False
    return "" if dtype is dtypes.string else 0


@export(v2=["zeros"])
def zeros_v2(shape: Any, dtype: Any = dtypes.float32, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of zeros (of False, of empty strings) of the given shape and dtype; `layout` must be None."""
    return zeros(shape, dtype, name)


@export(v1=["ones"])
def ones(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of ones (of True).

    Args:
      shape: a list of ints, a `TensorShape` or an int32 vector; lists may hold scalar tensors.
      dtype: the dtype, not string.
      name: the operation's name.
    """
    dtype = dtypes.as_dtype(dtype).base_dtype
    with name_scope(name, "ones", [shape]) as scope:
        return _filled(shape, dtype is dtypes.bool_ or 1, dtype, scope)


@export(v2=["ones"])
def ones_v2(shape: Any, dtype: Any = dtypes.float32, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of ones (of True) of the given shape and dtype; `layout` must be None."""
    return ones(shape, dtype, name)


@export(v1=["zeros_like"])
def zeros_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """A tensor of zeros with the shape and dtype of another.

    Args:
      tensor: any dtype and shape.
      dtype: another dtype for the result.
      name: the operation's name.
      optimize: lets a tensor whose static shape is known give a constant.
    """
    with name_scope(name, "zeros_like", [tensor]) as scope:
        tensor = conversion.to_tensor(tensor, name="tensor")
        own = tensor.dtype.base_dtype
        wanted = own if dtype is None else dtypes.as_dtype(dtype).base_dtype
        if optimize and shapes.is_fully_defined(tensor._shape) and own is not dtypes.variant:
            return zeros(tensor._shape, wanted, name=scope)
        if wanted is not own and wanted is not dtypes.variant:
            return zeros(shape_internal(tensor, optimize=optimize), wanted, name=scope)
        return zeros_like_op(tensor, name=scope)


@export(v2=["zeros_like"])
def zeros_like_v2(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of zeros with the shape of `input`, and its dtype or the one given; `layout` must be None."""
    return zeros_like(input, dtype, name)


@export(v1=["ones_like"])
def ones_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """A tensor of ones with the shape and dtype of another.

    Args:
      tensor: any dtype and shape.
      dtype: another dtype for the result.
      name: the operation's name.
      optimize: lets a tensor whose static shape is known give a constant shape.
    """
    with name_scope(name, "ones_like", [tensor]) as scope:
        tensor = conversion.to_tensor(tensor, name="tensor")
        result = ones(shape_internal(tensor, optimize=optimize), dtype or tensor.dtype, name=scope)
        if not context.executing_eagerly():
            result.set_shape(tensor._shape)
        return result


@export(v2=["ones_like"])
def ones_like_v2(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of ones with the shape of `input`, and its dtype or the one given; `layout` must be None."""
    return ones_like(input, dtype, name)


# --- Matrices, masks, grids ---------------------------------------------------------------------------------


@export("eye", "linalg.eye")
def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """An identity matrix, or a batch of them.

    Args:
      num_rows: m, an int or int32 scalar.
      num_columns: n; default: m.
      batch_shape: a list of ints or an int32 vector; the result has shape `batch_shape + [m, n]`.
      dtype: the dtype.
      name: the name scope.

    Example:
      >>> tf.eye(2)     # [[1., 0.], [0., 1.]]
    """
    from millstream.ops import diag_ops
    from millstream.ops.arithmetic_ops import minimum

    with name_scope(name, "eye", [num_rows, num_columns, batch_shape]):
        square = num_columns is None
        columns = num_rows if square else num_columns
        batch = [] if batch_shape is None else batch_shape
        if isinstance(num_rows, Tensor) or isinstance(columns, Tensor):
            diagonal: Any = minimum(num_rows, columns)
        else:
            diagonal = min(num_rows, columns)
            square = num_rows == columns
        if isinstance(batch, Tensor) or isinstance(diagonal, Tensor):
            batch = conversion.to_tensor(batch, name="shape", dtype=dtypes.int32)
            diagonal_shape: Any = concat((batch, [diagonal]), axis=0)
            whole = None if square else concat((batch, [num_rows, columns]), axis=0)
        else:
            diagonal_shape = [*batch, diagonal]
            whole = [*batch, num_rows, columns]
        entries = ones(diagonal_shape, dtype)
        if square:
            return diag_ops.matrix_diag(entries)
        return diag_ops.matrix_set_diag(zeros(whole, dtype), entries)


@export("sequence_mask")
def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dtypes.bool_, name: str | None = None
) -> Tensor:
    """Masks the first elements of sequences: `mask[..., j] = j < lengths[...]`.

    Args:
      lengths: integers of any shape.
      maxlen: the size of the new last dimension, a scalar; default: the greatest length.
      dtype: the dtype of the result.
      name: the name scope.

    Raises:
      ValueError: `maxlen` is not a scalar.

    Example:
      >>> tf.sequence_mask([1, 3], 3)     # [[True, False, False], [True, True, True]]
    """
    from millstream.ops.arithmetic_ops import maximum
    from millstream.ops.comparison_ops import less
    from millstream.ops.reduction_ops import reduce_max

    with name_scope(name, "SequenceMask", [lengths, maxlen]):
        lengths = conversion.to_tensor(lengths)
        if maxlen is None:
            maxlen = reduce_max(lengths, _all_axes(lengths))
            maxlen = maximum(constant_op.constant(0, maxlen.dtype), maxlen)
        else:
            maxlen = conversion.to_tensor(maxlen)
        if maxlen._shape:
            raise ValueError("maxlen must be scalar for sequence_mask")
        first, step = constant_op.constant(0, maxlen.dtype), constant_op.constant(1, maxlen.dtype)
        row = opdef.find("Range")(first, maxlen, step)
        mask = less(row, cast_op(expand_dims_op(lengths, -1), DstT=maxlen.dtype))
        return mask if mask.dtype.is_compatible_with(dtype) else cast(mask, dtype)


def _all_axes(tensor: Tensor) -> Tensor:
    if tensor._shape is None:
        return opdef.find("Range")(0, rank_internal(tensor), 1)
    return constant_op.constant(list(range(len(tensor._shape))), dtypes.int32)


@export("meshgrid")
def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Tensor]:
    """The coordinates of the points of a grid.

    Args:
      *args: n vectors of one numeric dtype, of sizes s1 … sn.
      indexing: "xy": the results have shape [s2, s1, s3, …], as in plots; "ij": [s1, s2, s3, …].
      name: the name scope.

    Returns:
      n tensors; the i-th holds the i-th coordinate of each point.

    Raises:
      ValueError: another `indexing`.

    Example:
      >>> x, y = tf.meshgrid([1, 2, 3], [4, 5])     # x = [[1, 2, 3], [1, 2, 3]], y = [[4, 4, 4], [5, 5, 5]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError("indexing parameter must be either 'xy' or 'ij'")
    with name_scope(name, "meshgrid", args):
        count = len(args)
        ones_before = (1,) * count
        grids = [
            reshape(stack(vector), ones_before[:index] + (-1,) + ones_before[index + 1 :])
            for index, vector in enumerate(args)
        ]
        sizes = [size(vector) for vector in args]
        dtype = conversion.to_tensor(args[0]).dtype.base_dtype if args else dtypes.float32
        if indexing == "xy" and count > 1:
            grids[0] = reshape(grids[0], (1, -1) + (1,) * (count - 2))
            grids[1] = reshape(grids[1], (-1, 1) + (1,) * (count - 2))
            sizes[0], sizes[1] = sizes[1], sizes[0]
        whole = ones(sizes, dtype)
        return [grid * whole for grid in grids]
