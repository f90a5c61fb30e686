"""Matrix decompositions: eigenvalues, singular values, QR; functions of matrices that need them."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import reciprocal_no_nan
from millstream.ops.comparison_ops import greater
from millstream.ops.diag_ops import matrix_band_part, matrix_diag, matrix_diag_part, matrix_set_diag
from millstream.ops.elementwise_ops import square
from millstream.ops.linalg_ops import (
    adjoint_of,
    conjugate_transpose,
    matrices_input,
    matrix_triangular_solve_op,
    square_input,
    square_shape,
)
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_max, reduce_sum
from millstream.ops.reshape_ops import expand_dims
from millstream.ops.select_ops import where_v2
from millstream.ops.shape_ops import shape

_TYPES = "double float half complex64 complex128"

# --- Eigenvalues of Hermitian matrices ----------------------------------------------------------------------


def _eigen_shape(c: ShapeContext) -> Any:
    found = square_shape(c)
    vectors = found if c.attrs["compute_v"] else (0,)
    return [None if found is None else found[:-1], vectors]


@op(
    "SelfAdjointEigV2(input: T, *, compute_v: bool = true) -> e: T, v: T",
    T=_TYPES, shape=_eigen_shape, traced_only=True,
)  # fmt: skip
def self_adjoint_eig_op(xp, input, *, compute_v):
    x = xp.tril(square_input(input))
    x = x + conjugate_transpose(xp, xp.tril(x, -1))
    if not compute_v:
        return xp.linalg.eigvalsh(x), np.zeros(0, x.dtype)
    return tuple(xp.linalg.eigh(x))


@self_adjoint_eig_op.gradient
def _(op, grad_e, grad_v):
    # Giles, "An extended collection of matrix derivative results", 2008, section 3.1.
    e, v = op.outputs
    if not op.attrs["compute_v"]:
        e, v = self_adjoint_eig_op(op.inputs[0])
        inner = matrix_diag(grad_e)
    else:
        gaps = expand_dims(e, -2) - expand_dims(e, -1)  # gaps[i, j] = e[j] - e[i], 0 on the diagonal
        inner = matrix_diag(grad_e) + reciprocal_no_nan(gaps) * matmul(v, grad_v, adjoint_a=True)
    grad = matmul(v, matmul(inner, v, adjoint_b=True))
    # Only the lower triangle of the input was read.
    grad = matrix_band_part(grad + adjoint_of(grad), -1, 0)
    return with_half_diagonal(grad)


def with_half_diagonal(matrix: Tensor) -> Tensor:
    """Matrices with their diagonal halved."""
    return matrix_set_diag(matrix, 0.5 * matrix_diag_part(matrix))


@export("linalg.eigh", v1=["self_adjoint_eig"])
def self_adjoint_eig(tensor: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of Hermitian matrices.

    Args:
      tensor: [..., n, n], floating point or complex; only the lower triangle is read.
      name: the operation's name.

    Returns:
      the eigenvalues [..., n] in ascending order, and [..., n, n] with the eigenvectors as columns.
    """
    values, vectors = self_adjoint_eig_op(tensor, compute_v=True, name=name)
    return values, vectors


@export("linalg.eigvalsh", v1=["self_adjoint_eigvals"])
def self_adjoint_eigvals(tensor: Any, name: str | None = None) -> Tensor:
    """Eigenvalues of Hermitian matrices, in ascending order.

    Args:
      tensor: [..., n, n], floating point or complex; only the lower triangle is read.
      name: the operation's name.

    Returns:
      [..., n].
    """
    return self_adjoint_eig_op(tensor, compute_v=False, name=name)[0]


# --- Singular values ----------------------------------------------------------------------------------------


def _least(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else min(a, b)


def _svd_shape(c: ShapeContext) -> Any:
    found = shapes.with_rank_at_least(c.shape(0), 2)
    compute_uv, full = c.attrs["compute_uv"], c.attrs["full_matrices"]
    if found is None:
        return [None, None, None] if compute_uv else [None, (0,), (0,)]
    *batch, m, n = found
    p = _least(m, n)
    if not compute_uv:
        return [(*batch, p), (0,), (0,)]
    return [(*batch, p), (*batch, m, m if full else p), (*batch, n, n if full else p)]


@op(
    "Svd(input: T, *, compute_uv: bool = true, full_matrices: bool = false) -> s: T, u: T, v: T",
    T=_TYPES, shape=_svd_shape, traced_only=True,
)  # fmt: skip
def svd_op(xp, input, *, compute_uv, full_matrices):
    x = matrices_input(input)
    if not compute_uv:
        return xp.linalg.svd(x, compute_uv=False), np.zeros(0, x.dtype), np.zeros(0, x.dtype)
    u, s, v = xp.linalg.svd(x, full_matrices=full_matrices)
    return s, u, conjugate_transpose(xp, v)


@svd_op.gradient
def _(op, grad_s, grad_u, grad_v):
    # Townsend, "Differentiating the singular value decomposition", 2016.
    matrix = op.inputs[0]
    if op.attrs["full_matrices"]:
        raise NotImplementedError(f"The gradient of a full singular value decomposition ({op.name}).")
    if not op.attrs["compute_uv"]:
        _, u, v = svd_op(matrix)
        return matmul(u, matmul(matrix_diag(grad_s), v, adjoint_b=True))
    s, u, v = op.outputs
    squares = square(s)
    f = reciprocal_no_nan(expand_dims(squares, -2) - expand_dims(squares, -1))  # f[i, j] = 1 / (s[j]^2 - s[i]^2)
    s_diag, s_inverse = matrix_diag(s), matrix_diag(reciprocal_no_nan(s))
    from_u = f * _skew(matmul(u, grad_u, adjoint_a=True))
    from_v = f * _skew(matmul(v, grad_v, adjoint_a=True))
    inner = matrix_diag(grad_s) + matmul(from_u, s_diag) + matmul(s_diag, from_v)
    grad = matmul(u, matmul(inner, v, adjoint_b=True))
    rest_u = grad_u - matmul(u, matmul(u, grad_u, adjoint_a=True))
    rest_v = grad_v - matmul(v, matmul(v, grad_v, adjoint_a=True))
    grad += matmul(rest_u, matmul(s_inverse, v, adjoint_b=True))
    return grad + matmul(matmul(u, s_inverse), rest_v, adjoint_b=True)


def _skew(x: Tensor) -> Tensor:
    return x - adjoint_of(x)


@export("linalg.svd", v1=["svd"])
def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None) -> Any:
    """The singular value decomposition A = U diag(s) V^H.

    Args:
      tensor: [..., m, n], floating point or complex: A.
      full_matrices: gives square U and V, instead of the first min(m, n) columns.
      compute_uv: gives U and V at all.
      name: the operation's name.

    Returns:
      s [..., p] with p = min(m, n) in descending order, U [..., m, p] and V [..., n, p]; or s alone.
    """
    s, u, v = svd_op(tensor, compute_uv=compute_uv, full_matrices=full_matrices, name=name)
    return (s, u, v) if compute_uv else s


# --- QR -----------------------------------------------------------------------------------------------------


def _qr_shape(c: ShapeContext) -> Any:
    found = shapes.with_rank_at_least(c.shape(0), 2)
    if found is None:
        return [None, None]
    *batch, m, n = found
    inner = m if c.attrs["full_matrices"] else _least(m, n)
    return [(*batch, m, inner), (*batch, inner, n)]


@op("Qr(input: T, *, full_matrices: bool = false) -> q: T, r: T", T=_TYPES, shape=_qr_shape, traced_only=True)
def qr_op(xp, input, *, full_matrices):
    return tuple(xp.linalg.qr(matrices_input(input), mode="complete" if full_matrices else "reduced"))


@qr_op.gradient
def _(op, grad_q, grad_r):
    # Walter and Lehmann, "Algorithmic differentiation of linear algebra functions", 2018; for m >= n.
    (q, r), (rows, columns) = op.outputs, (op.inputs[0]._shape or (None, None))[-2:]
    if rows is None or columns is None or rows < columns or (op.attrs["full_matrices"] and rows != columns):
        raise NotImplementedError(f"The gradient of a QR decomposition of more columns than rows ({op.name}).")
    if q.dtype.is_complex:
        raise NotImplementedError(f"The gradient of a QR decomposition of complex matrices ({op.name}).")
    middle = matmul(r, grad_r, adjoint_b=True) - matmul(grad_q, q, adjoint_a=True)
    half = with_half_diagonal(matrix_band_part(middle, -1, 0))
    right = grad_q + matmul(q, half + adjoint_of(half))
    return adjoint_of(matrix_triangular_solve_op(r, adjoint_of(right), lower=False, adjoint=False))


@export("linalg.qr", v1=["qr"])
def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """The decomposition A = Q R into orthonormal columns and an upper triangular matrix.

    Args:
      input: [..., m, n], floating point or complex: A.
      full_matrices: gives a square Q, instead of the first min(m, n) columns.
      name: the operation's name.

    Returns:
      `q` [..., m, p] and `r` [..., p, n] with p = min(m, n).
    """
    return qr_op(input, full_matrices=full_matrices, name=name)


# --- Pseudo-inverse and rank --------------------------------------------------------------------------------


def _largest_size(a: Tensor) -> Any:
    """The greater one of the two dimensions of matrices, a number or a scalar tensor."""
    dims = (a._shape or (None, None))[-2:]
    return max(dims) if None not in dims else cast(reduce_max(shape(a)[-2:]), a.dtype.real_dtype)


@export("linalg.pinv")
def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The Moore-Penrose pseudo-inverse.

    Args:
      a: [..., m, n], floating point.
      rcond: singular values below this times the greatest one count as zero; default: 10 max(m, n) epsilon.
      validate_args: accepted for compatibility.
      name: the scope of the operations.

    Returns:
      [..., n, m].

    Raises:
      TypeError: `a` is not floating point.
    """

    with name_scope(name or "pinv"):
        a = to_tensor(a, name="a")
        if not a.dtype.is_floating:
            raise TypeError(f"Input `a` must have `float`-like `dtype` (saw {a.dtype.name}).")
        if rcond is None:
            epsilon = np.finfo(a.dtype.as_numpy_dtype).eps
            rcond = 10.0 * float(epsilon) * _largest_size(a)
        rcond = to_tensor(rcond, a.dtype.base_dtype, name="rcond")
        s, u, v = svd(a)
        cutoff = rcond * reduce_max(s, axis=-1)
        s = where_v2(greater(s, expand_dims(cutoff, -1)), s, np.array(np.inf, a.dtype.as_numpy_dtype))
        return matmul(v / expand_dims(s, -2), u, adjoint_b=True)


@export("linalg.matrix_rank")
def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The rank: the number of singular values above a tolerance.

    Args:
      a: [..., m, n], floating point.
      tol: the tolerance; default: the greatest singular value times max(m, n) epsilon.
      validate_args: accepted for compatibility.
      name: the scope of the operations.

    Returns:
      int32, [...].
    """
    with name_scope(name or "matrix_rank"):
        a = to_tensor(a, name="a")
        s = svd(a, compute_uv=False)
        if tol is None:
            epsilon = float(np.finfo(a.dtype.real_dtype.as_numpy_dtype).eps)
            tol = epsilon * cast(_largest_size(a), a.dtype.real_dtype) * reduce_max(s, axis=-1, keepdims=True)
        return reduce_sum(cast(greater(s, tol), dtypes.int32), axis=-1)
