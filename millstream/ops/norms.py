"""Norms of vectors and matrices, traces, cross products, adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import REAL_NUMERIC
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import renamed
from millstream.ops.arithmetic_ops import pow
from millstream.ops.complex_ops import conj
from millstream.ops.decomposition_ops import svd
from millstream.ops.diag_ops import matrix_diag_part
from millstream.ops.elementwise_ops import abs, sqrt
from millstream.ops.reduction_ops import reduce_max, reduce_sum
from millstream.ops.reshape_ops import expand_dims, matrix_transpose, squeeze, transpose

_EUCLIDEAN = ("fro", "euclidean", 2, 2.0)

# --- Norms --------------------------------------------------------------------------------------------------


@export(v2=["norm", "linalg.norm"])
def norm_v2(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
) -> Tensor:
    """The norm of vectors or of matrices.

    Args:
      tensor: floating point or complex.
      ord: "euclidean" (for matrices the same as "fro"), or the p of the p-norm, a positive number or
        `np.inf`; for matrices 1, 2 (the greatest singular value) or `np.inf`.
      axis: None: the tensor is one long vector; an integer: the axis of vectors; a pair: those of matrices.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.

    Raises:
      ValueError: `ord` or `axis` is none of these.

    Example:
      >>> tf.norm([3., 4.])                          # 5.
    """
    is_matrix = isinstance(axis, (list, tuple)) and len(axis) == 2
    axes = _norm_axes(ord, axis, is_matrix)
    with name_scope(name, "norm", [tensor]):
        tensor = to_tensor(tensor)
        if ord in _EUCLIDEAN:
            if is_matrix and ord in (2, 2.0):
                result = _greatest_singular_value(tensor, axes)
            else:
                result = sqrt(reduce_sum(tensor * conj(tensor), axes, keepdims=True))
        else:
            result = _p_norm(abs(tensor), ord, axes, is_matrix)
        return result if keepdims else squeeze(result, axes)


def _norm_axes(ord: Any, axis: Any, is_matrix: bool) -> Any:
    """The axes as a tuple, or None; checks them and `ord`."""
    integers = (int, np.integer)
    if is_matrix:
        if not all(isinstance(item, integers) for item in axis) or axis[0] == axis[1]:
            raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
        supported = ["euclidean", "fro", 1, 2, np.inf]
        if ord not in supported:
            raise ValueError(f"'ord' must be a supported matrix norm in {supported}, got {ord}")
        return tuple(axis)
    if axis is not None and not isinstance(axis, integers):
        raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
    if ord != "euclidean" and not (np.isreal(ord) and not isinstance(ord, str) and ord > 0):
        raise ValueError(f"'ord' must be a supported vector norm, got {ord}")
    return None if axis is None else (axis,)


def _p_norm(size: Tensor, ord: Any, axes: Any, is_matrix: bool) -> Tensor:
    """The norm from the absolute values of the elements."""
    first = None if axes is None else axes[0]
    if ord == 1:
        result = reduce_sum(size, first, keepdims=True)
        return reduce_max(result, axes[-1], keepdims=True) if is_matrix else result
    if ord == np.inf:
        result = reduce_sum(size, axes[1], keepdims=True) if is_matrix else size
        return reduce_max(result, first, keepdims=True)
    return pow(reduce_sum(pow(size, ord), axes, keepdims=True), 1.0 / ord)


def _greatest_singular_value(tensor: Tensor, axes: tuple[int, int]) -> Tensor:

    if tensor._shape is None:
        raise ValueError("The matrix 2-norm needs a tensor of known rank.")
    rank = len(tensor._shape)
    last = [axis % rank for axis in axes]
    order = [axis for axis in range(rank) if axis not in last] + last
    greatest = reduce_max(svd(transpose(tensor, order), compute_uv=False), axis=-1, keepdims=True)
    back = np.argsort(order).tolist()
    return transpose(expand_dims(greatest, -1), back)


@export(v1=["norm", "linalg.norm"])
def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """The norm of vectors or of matrices.

    Args:
      tensor: floating point or complex.
      ord: "euclidean" (for matrices the same as "fro"), or the p of the p-norm, a positive number or
        `np.inf`; for matrices 1, 2 (the greatest singular value) or `np.inf`.
      axis: None: the tensor is one long vector; an integer: the axis of vectors; a pair: those of matrices.
      keepdims: keeps the reduced axes, with size 1.
      name: the scope of the operations.
      keep_dims: the old name of `keepdims`.

    Raises:
      ValueError: `ord` or `axis` is none of these.

    Example:
      >>> tf.norm([3., 4.])                          # 5.
    """
    return norm_v2(tensor, ord, axis, renamed("keepdims", keepdims, "keep_dims", keep_dims), name)


@export("linalg.normalize")
def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Vectors or matrices divided by their norms.

    Args:
      tensor: floating point or complex.
      ord: which norm, see `tf.norm`.
      axis: the axes of vectors or matrices, see `tf.norm`.
      name: the scope of the operations.

    Returns:
      the tensor of norm 1, and the norms, with the reduced axes kept.
    """
    with name_scope(name, "normalize", [tensor]):
        tensor = to_tensor(tensor)
        size = norm_v2(tensor, ord, axis, keepdims=True)
        return tensor / size, size


# --- Traces, adjoints, cross products -----------------------------------------------------------------------


@export("linalg.trace", v1=["trace"])
def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the diagonals of matrices.

    Args:
      x: [..., m, n], numeric.
      name: the operation's name.

    Returns:
      [...].
    """
    with name_scope(name, "Trace", [x]) as scope:
        return reduce_sum(matrix_diag_part(to_tensor(x, name="x")), [-1], name=scope)


@export("linalg.adjoint")
def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """The conjugate transposes of matrices.

    Args:
      matrix: [..., m, n].
      name: the scope of the operations.

    Returns:
      [..., n, m].
    """
    with name_scope(name, "adjoint", [matrix]):
        return matrix_transpose(to_tensor(matrix, name="matrix"), conjugate=True)


def _cross_shape(c: ShapeContext) -> Any:
    shape = shapes.merge(c.shape(0), c.shape(1))
    if shape is not None:
        shapes.with_rank_at_least(shape, 1)
        if shape[-1] not in (None, 3):
            raise ValueError(f"Dimension must be 3 but is {shape[-1]}")
    return shape


@op("Cross(a: T, b: T) -> product: T", T=REAL_NUMERIC, shape=_cross_shape)
def cross_op(xp, a, b):
    if a.ndim < 1 or a.shape[-1] != 3:
        raise errors.FailedPreconditionError(None, None, "Cross-products are only defined for 3-element vectors.")
    return xp.roll(a, -1, -1) * xp.roll(b, 1, -1) - xp.roll(a, 1, -1) * xp.roll(b, -1, -1)


@cross_op.gradient
def _(op, grad):
    a, b = op.inputs
    return cross(b, grad), cross(grad, a)


@export("linalg.cross", v1=["cross"])
def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The cross products of vectors in three dimensions.

    Args:
      a: [..., 3], real.
      b: [..., 3] of the same dtype and shape.
      name: the operation's name.
    """
    return cross_op(a, b, name=name)
