"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradients import is_wanted
from millstream.core.opdef import OpDef, op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import Shape
from millstream.core.tensor import Tensor
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import greater_equal
from millstream.ops.complex_ops import conj
from millstream.ops.elementwise import SIGNED, broadcast_gradient_args_op
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import concat, stack
from millstream.ops.math_ops import range as range_of
from millstream.ops.reduction_ops import reduce_prod, reduce_sum
from millstream.ops.reshape_ops import expand_dims, reshape, squeeze, transpose
from millstream.ops.search_ops import setdiff1d
from millstream.ops.select_ops import where
from millstream.ops.shape_ops import rank, shape

# --- Operations ---------------------------------------------------------------------------------------------


def _product_dims(a: tuple[Any, Any], b: tuple[Any, Any], flip_a: bool, flip_b: bool) -> tuple[Any, Any]:
    """The dimensions of the product of two matrices; ValueError if they do not fit."""
    rows, inner = reversed(a) if flip_a else a
    inner_b, columns = reversed(b) if flip_b else b
    shapes.merge_dim(inner, inner_b)
    return rows, columns


def _matmul_shape(c: ShapeContext) -> Any:
    a, b = c.require_rank(0, 2), c.require_rank(1, 2)
    return _product_dims(a, b, c.attrs["transpose_a"], c.attrs["transpose_b"])


def _batch_matmul_shape(c: ShapeContext) -> Any:
    x, y = (shapes.with_rank_at_least(c.shape(index), 2) for index in (0, 1))
    if x is None or y is None:
        return None
    batch = shapes.broadcast(x[:-2], y[:-2])
    return batch + _product_dims(x[-2:], y[-2:], c.attrs["adj_x"], c.attrs["adj_y"])


def _check_matrices(a: Any, b: Any, flip_a: bool, flip_b: bool) -> None:
    """Demands of the shapes of two arrays that they are matrices which can be multiplied."""
    for index, dims in enumerate((a, b)):
        if len(dims) != 2:
            raise ValueError(f"In[{index}] is not a matrix. Instead it has shape {shapes.format_shape(dims)}")
    if a[0 if flip_a else 1] != b[1 if flip_b else 0]:
        shown = f"In[0]: {shapes.format_shape(a)}, In[1]: {shapes.format_shape(b)}"
        raise ValueError(f"Matrix size-incompatible: {shown}")


def _check_batches(x: Any, y: Any, flip_x: bool, flip_y: bool) -> None:
    """Demands of the shapes of two arrays that their matrices can be multiplied pair by pair."""
    for index, dims in enumerate((x, y)):
        if len(dims) < 2:
            raise ValueError(f"In[{index}] ndims must be >= 2: {len(dims)}")
    shown = shapes.format_shape(x), shapes.format_shape(y)
    try:
        shapes.broadcast(x[:-2], y[:-2])
    except ValueError:
        raise ValueError(
            f"In[0] and In[1] must have compatible batch dimensions: {shown[0]} vs. {shown[1]}"
        ) from None
    inner, inner_y = x[-2 if flip_x else -1], y[-1 if flip_y else -2]
    if inner != inner_y:
        flips = f"{int(flip_x)} {int(flip_y)}"
        raise ValueError(f"In[0] mismatch In[1] shape: {inner} vs. {inner_y}: {shown[0]} {shown[1]} {flips}")


def _flip(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


@op(
    "MatMul(a: T, b: T, *, transpose_a: bool = false, transpose_b: bool = false) -> product: T",
    T=SIGNED, shape=_matmul_shape,
)  # fmt: skip
def matmul_op(xp, a, b, *, transpose_a, transpose_b):
    _check_matrices(a.shape, b.shape, transpose_a, transpose_b)
    return xp.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


@matmul_op.gradient
def _(op, grad):
    return _matmul_gradient(matmul_op, op, grad)


def _matmul_gradient(product: OpDef, op: Any, grad: Any) -> Any:
    """The gradients of a product of matrices, by the same kind of product."""
    flip_a, flip_b = op.attrs["transpose_a"], op.attrs["transpose_b"]
    a, b = conj(op.inputs[0]), conj(op.inputs[1])

    def times(left: Any, right: Any, flip_left: bool, flip_right: bool) -> Any:
        return product(left, right, transpose_a=flip_left, transpose_b=flip_right)

    grad_a = grad_b = None
    if is_wanted(op, 0):
        grad_a = times(b, grad, flip_b, True) if flip_a else times(grad, b, False, not flip_b)
    if is_wanted(op, 1):
        grad_b = times(grad, a, True, flip_a) if flip_b else times(a, grad, not flip_a, False)
    return grad_a, grad_b


def _batch_matmul(xp, x, y, *, adj_x, adj_y):
    _check_batches(x.shape, y.shape, adj_x, adj_y)
    return xp.matmul(_flip(xp, xp.conj(x)) if adj_x else x, _flip(xp, xp.conj(y)) if adj_y else y)


batch_matmul_op, batch_matmul_v2_op = (
    op(
        f"{op_type}(x: T, y: T, *, adj_x: bool = false, adj_y: bool = false) -> output: T",
        T=SIGNED, shape=_batch_matmul_shape,
    )(_batch_matmul)
    for op_type in ("BatchMatMul", "BatchMatMulV2")
)  # fmt: skip


@batch_matmul_op.gradient
@batch_matmul_v2_op.gradient
def _(op, grad):
    return _batch_matmul_gradient(op, *op.inputs, grad)


def _batch_matmul_gradient(op: Any, x: Any, y: Any, grad: Any) -> Any:
    adj_x, adj_y = op.attrs["adj_x"], op.attrs["adj_y"]

    def times(left: Any, right: Any, flip_left: bool, flip_right: bool) -> Any:
        return batch_matmul_v2_op(left, right, adj_x=flip_left, adj_y=flip_right)

    grad_x = grad_y = None
    if is_wanted(op, 0):
        grad_x = times(y, grad, adj_y, True) if adj_x else times(grad, y, False, not adj_y)
        grad_x = sum_batches(grad_x, x, y)
    if is_wanted(op, 1):
        grad_y = times(grad, x, True, adj_x) if adj_y else times(x, grad, not adj_x, False)
        grad_y = sum_batches(grad_y, y, x)
    return grad_x, grad_y


_NARROW_TOO = "bfloat16 half float double uint8 int8 int16 int32 int64 complex64 complex128"


@op(
    "BatchMatMulV3(x: Ta, y: Tb, *, Tout: type{bfloat16,half,float,double,int16,int32,int64,complex64,complex128}, "
    "adj_x: bool = false, adj_y: bool = false, grad_x: bool = false, grad_y: bool = false) -> output: Tout",
    Ta=_NARROW_TOO, Tb=_NARROW_TOO, shape=_batch_matmul_shape,
)  # fmt: skip
def batch_matmul_v3_op(xp, x, y, *, Tout, adj_x, adj_y):  # noqa: N803 - the attribute's name
    wide = Tout.as_numpy_dtype
    return _batch_matmul(xp, x.astype(wide), y.astype(wide), adj_x=adj_x, adj_y=adj_y)


@batch_matmul_v3_op.gradient
def _(op, grad):
    # That of the product of the inputs in the output's type.
    inputs = [cast(x, grad.dtype) for x in op.inputs]
    return _as_inputs(op, _batch_matmul_gradient(op, *inputs, grad))


def _as_inputs(op: Any, grads: Any) -> list[Any]:
    """Gradients in the types of the inputs."""
    return [None if grad is None else cast(grad, x.dtype) for grad, x in zip(grads, op.inputs, strict=True)]


def sum_batches(grad: Any, operand: Any, other: Any) -> Any:
    """Sums a gradient over the batch dimensions along which broadcasting had stretched an operand."""
    first, second = operand._shape, other._shape
    if first is not None and second is not None and first[:-2] == second[:-2] and None not in first[:-2]:
        return grad
    axes, _ = broadcast_gradient_args_op(shape(operand)[:-2], shape(other)[:-2])
    return reshape(reduce_sum(grad, axes), shape(operand))


@op(
    "SparseMatMul(a: Ta, b: Tb, *, transpose_a: bool = false, transpose_b: bool = false, "
    "a_is_sparse: bool = false, b_is_sparse: bool = false) -> product: float",
    Ta="float bfloat16 = float", Tb="float bfloat16 = float", shape=_matmul_shape,
)  # fmt: skip
def sparse_matmul_op(xp, a, b, *, transpose_a, transpose_b):
    _check_matrices(a.shape, b.shape, transpose_a, transpose_b)
    a, b = a.astype(np.float32), b.astype(np.float32)
    return xp.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


@sparse_matmul_op.gradient
def _(op, grad):
    return _as_inputs(op, _matmul_gradient(sparse_matmul_op, op, grad))


# --- Public functions ---------------------------------------------------------------------------------------

_SPARSE_TYPES = (dtypes.bfloat16, dtypes.float32)


@export(v1=["linalg.matmul", "matmul"])
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices: of each pair in the last two dimensions, where there are more.

    Args:
      a: [..., m, k]; floating point, complex, int32 or int64.
      b: [..., k, n] of the same dtype; the leading dimensions broadcast with those of `a`.
      transpose_a, transpose_b: transposes the matrices of `a` (or `b`) first.
      adjoint_a, adjoint_b: transposes and conjugates them first.
      a_is_sparse, b_is_sparse: a hint that most elements are zero.
      name: the operation's name.

    Returns:
      [..., m, n].

    Raises:
      ValueError: the shapes do not fit, or both transpose and adjoint are asked for.

    Example:
      >>> tf.matmul([[1., 2.]], [[3.], [4.]])        # [[11.]]
    """
    with name_scope(name, "MatMul", [a, b]) as scope:
        if transpose_a and adjoint_a:
            raise ValueError("Only one of transpose_a and adjoint_a can be True.")
        if transpose_b and adjoint_b:
            raise ValueError("Only one of transpose_b and adjoint_b can be True.")
        a = to_tensor(a, name="a")
        b = to_tensor(b, name="b")
        hinted = a_is_sparse or b_is_sparse
        if not hinted and _may_have_batches(a._shape, b._shape):
            if transpose_a:
                a, adjoint_a = conj(a), True
            if transpose_b:
                b, adjoint_b = conj(b), True
            return batch_matmul_v2_op(a, b, adj_x=adjoint_a, adj_y=adjoint_b, name=scope)
        if adjoint_a:
            a, transpose_a = conj(a), True
        if adjoint_b:
            b, transpose_b = conj(b), True
        flips = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        if not _wants_sparse(a.dtype.base_dtype, b.dtype.base_dtype, hinted):
            return matmul_op(a, b, **flips, name=scope)
        return _sparse_product(a, b, flips, a_is_sparse, b_is_sparse, scope)


def _may_have_batches(a: Shape, b: Shape) -> bool:
    return any(shape is None or len(shape) > 2 for shape in (a, b))


def _wants_sparse(a: Any, b: Any, hinted: bool) -> bool:
    if hinted:
        return a in _SPARSE_TYPES and b in _SPARSE_TYPES
    return dtypes.bfloat16 in (a, b) and a is not b


def _sparse_product(
    a: Tensor, b: Tensor, flips: dict[str, bool], a_is_sparse: bool, b_is_sparse: bool, scope: str
) -> Tensor:

    product = sparse_matmul_op(a, b, **flips, a_is_sparse=a_is_sparse, b_is_sparse=b_is_sparse, name=scope)
    both_half = a.dtype.base_dtype is b.dtype.base_dtype is dtypes.bfloat16
    return cast(product, dtypes.bfloat16) if both_half else product


@export(v2=["linalg.matmul", "matmul"])
def matmul_v2(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices: of each pair in the last two dimensions, where there are more.

    Args:
      a: [..., m, k]; floating point, complex, int32 or int64; with `output_type` uint8, int8 and int16 too.
      b: [..., k, n] of the same dtype; the leading dimensions broadcast with those of `a`.
      transpose_a, transpose_b: transposes the matrices of `a` (or `b`) first.
      adjoint_a, adjoint_b: transposes and conjugates them first.
      a_is_sparse, b_is_sparse: a hint that most elements are zero.
      output_type: the dtype of the result, in which it is computed; default: that of `a`.
      grad_a, grad_b: accepted for compatibility.
      name: the operation's name.

    Returns:
      [..., m, n].
    """
    with name_scope(name, "MatMul", [a, b]) as scope:
        a = to_tensor(a, name="a")
        b = to_tensor(b, preferred=a.dtype.base_dtype, name="b")
        out = None if output_type is None else dtypes.as_dtype(output_type)
        if out is not None and (out is not a.dtype.base_dtype or out is not b.dtype.base_dtype):
            a, b = (conj(x) if flip else x for x, flip in ((a, transpose_a), (b, transpose_b)))
            flips = {"adj_x": adjoint_a or transpose_a, "adj_y": adjoint_b or transpose_b}
            return batch_matmul_v3_op(a, b, Tout=out, **flips, name=scope)
        flags = (transpose_a, transpose_b, adjoint_a, adjoint_b, a_is_sparse, b_is_sparse)
        return matmul(a, b, *flags, name=scope)


@export("linalg.matvec")
def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices and vectors.

    Args:
      a: [..., m, k]; floating point, complex, int32 or int64.
      b: [..., k] of the same dtype; the leading dimensions broadcast with those of `a`.
      transpose_a, adjoint_a: transposes the matrices first, or transposes and conjugates them.
      a_is_sparse, b_is_sparse: a hint that most elements are zero.
      name: the scope of the operations.

    Returns:
      [..., m].
    """
    with name_scope(name, "MatVec", [a, b]):
        column = expand_dims(b, axis=-1)
        product = matmul(a, column, transpose_a, adjoint_a=adjoint_a, a_is_sparse=a_is_sparse, b_is_sparse=b_is_sparse)
        return squeeze(product, axis=-1)


@export(v1=["sparse_matmul"])
def sparse_matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The float32 product of two matrices of which most elements are zero.

    Args:
      a: [m, k], float32 or bfloat16.
      b: [k, n], float32 or bfloat16.
      transpose_a, transpose_b: transposes the matrix first.
      a_is_sparse, b_is_sparse: which one has many zeros; a hint.
      name: the operation's name.
    """
    return sparse_matmul_op(
        a, b, transpose_a=transpose_a, transpose_b=transpose_b,
        a_is_sparse=a_is_sparse, b_is_sparse=b_is_sparse, name=name,
    )  # fmt: skip


# --- Tensordot ----------------------------------------------------------------------------------------------


@export("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products over some axes of two tensors, as `numpy.tensordot`.

    Args:
      a: a floating point, complex, int32 or int64 tensor.
      b: a tensor of the same dtype.
      axes: a number N: the last N axes of `a` and the first N of `b`; or a pair of lists of their axes.
      name: the scope of the operations.

    Returns:
      a tensor with the other axes of `a`, then those of `b`.

    Raises:
      ValueError: `axes` is not of one of these forms, or has more axes than a tensor.

    Example:
      >>> tf.tensordot(a, b, 1)                      # the product of matrices a and b
    """
    with name_scope(name, "Tensordot", [a, b, axes]) as scope:
        a, b = to_tensor(a, name="a"), to_tensor(b, name="b")
        a_axes, b_axes = _contracted_axes(a, axes)
        matrix_a, a_dims, a_static = _as_matrix(a, a_axes, contracted_first=False)
        matrix_b, b_dims, b_static = _as_matrix(b, b_axes, contracted_first=True)
        product = matmul(matrix_a, matrix_b)
        if isinstance(a_dims, list) and isinstance(b_dims, list):
            return reshape(product, a_dims + b_dims, name=scope)

        dims = concat([to_tensor(a_dims, dtypes.int32), to_tensor(b_dims, dtypes.int32)], 0)
        result = reshape(product, dims, name=scope)
        if a_static is not None and b_static is not None:
            result.set_shape(a_static + b_static)
        return result


def _contracted_axes(a: Tensor, axes: Any) -> Any:
    """The axes of each tensor to sum over: lists of integers where they are known, else tensors."""

    if isinstance(axes, (int, np.integer)):
        if axes < 0:
            raise ValueError("'axes' must be at least 0.")
        if a._shape is None:
            count = rank(a)
            return range_of(count - axes, count, dtype=dtypes.int32), range_of(axes, dtype=dtypes.int32)
        if axes > len(a._shape):
            raise ValueError(f"'axes' must not be larger than the number of dimensions of tensor {a}.")
        return list(range(len(a._shape) - axes, len(a._shape))), list(range(axes))
    if not isinstance(axes, (list, tuple)):
        axes = to_tensor(axes, dtypes.int32, name="axes")
        return axes[0], axes[1]
    if len(axes) != 2:
        raise ValueError("'axes' must be an integer or have length 2.")
    pair = [[part] if isinstance(part, (int, np.integer)) else part for part in axes]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"Different number of contraction axes 'a' and 'b', {len(pair[0])} != {len(pair[1])}.")
    return pair


def _as_matrix(a: Tensor, axes: Any, contracted_first: bool) -> tuple[Tensor, Any, list[Any] | None]:
    """Moves the contracted axes to one side and makes a matrix of free and contracted elements.

    Returns:
      the matrix, the sizes of the free axes (a list or a tensor), and what is statically known of them.
    """
    order = (lambda free, summed: [summed, free]) if contracted_first else (lambda free, summed: [free, summed])
    if a._shape is None or not isinstance(axes, (list, tuple)):
        return *_as_matrix_at_run_time(a, axes, None, order), None
    shape = a._shape
    summed = [int(axis) % len(shape) for axis in axes]
    free = [axis for axis in range(len(shape)) if axis not in summed]
    dims = [shape[axis] for axis in free]
    if None in shape:
        return *_as_matrix_at_run_time(a, summed, free, order), dims
    sizes = order(int(np.prod(dims, dtype=np.int64)), int(np.prod([shape[axis] for axis in summed], dtype=np.int64)))
    return reshape(transpose(a, sum(order(free, summed), [])), sizes), dims, dims


def _as_matrix_at_run_time(a: Tensor, axes: Any, free: list[int] | None, order: Any) -> tuple[Tensor, Tensor]:
    """`_as_matrix` where the shape, or even the rank, is known only when the graph runs."""

    if free is not None:
        axes, free = to_tensor(axes, dtypes.int32, name="axes"), to_tensor(free, dtypes.int32, name="free")
        shape_a = shape(a)
    else:
        shape_a = shape(a)
        axes, free = _axes_at_run_time(a, axes)
    free_dims, summed_dims = gather(shape_a, free), gather(shape_a, axes)
    sizes = order(reduce_prod(free_dims), reduce_prod(summed_dims))
    perm = concat(order(free, axes), 0)
    sizes = stack(sizes)
    return reshape(transpose(a, perm), sizes), free_dims


def _axes_at_run_time(a: Tensor, axes: Any) -> tuple[Tensor, Tensor]:
    """The contracted axes, counted from the front, and the others."""

    count = rank(a)
    axes = to_tensor(axes, dtypes.int32, name="axes")
    axes = where(greater_equal(axes, 0), axes, axes + count)
    free, _ = setdiff1d(range_of(count), axes)
    return axes, free
