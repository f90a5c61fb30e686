"""Eigenvalues of matrices that need not be Hermitian, and of Hermitian tridiagonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import reciprocal_no_nan
from millstream.ops.comparison_ops import less_equal
from millstream.ops.complex_ops import conj, real
from millstream.ops.decomposition_ops import self_adjoint_eig, self_adjoint_eigvals
from millstream.ops.diag_ops import matrix_diag, matrix_diag_part, matrix_diag_v2
from millstream.ops.linalg_ops import adjoint_of, matrix_solve_op, square_input, square_shape
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims

# --- General matrices ---------------------------------------------------------------------------------------


def _eigen_shape(c: ShapeContext) -> Any:
    found = square_shape(c)
    vectors = found if c.attrs["compute_v"] else (0,)
    return [None if found is None else found[:-1], vectors]


@op(
    "Eig(input: T, *, compute_v: bool = true, Tout: type{complex64,complex128}) -> e: Tout, v: Tout",
    T="float double complex64 complex128", shape=_eigen_shape, host=True,
)  # fmt: skip
def eig_op(xp, input, *, compute_v, check):
    input = square_input(input)
    valid = np.all(np.isfinite(input))
    message = "Eigen decomposition was not successful. The input might not be valid."
    check(valid, errors.InvalidArgumentError, message)
    matrix = input if valid else np.zeros_like(input)
    if not compute_v:
        return np.linalg.eigvals(matrix), np.zeros(0, np.complex64)
    return tuple(np.linalg.eig(matrix))


@eig_op.gradient
def _(op, grad_e, grad_v):
    # Boeddeker et al., "On the computation of complex-valued gradients", 2017, equation 4.77; it holds for eigenvectors
    # of length 1.
    e, v = op.outputs
    matrix = op.inputs[0]
    if not op.attrs["compute_v"]:
        e, v = eig_op(matrix, Tout=e.dtype.base_dtype)
        inner = matrix_diag(grad_e)
    else:
        gaps = expand_dims(e, -2) - expand_dims(e, -1)  # gaps[i, j] = e[j] - e[i], 0 on the diagonal
        along = matmul(v, grad_v, adjoint_a=True)
        lengths = expand_dims(cast(real(matrix_diag_part(along)), e.dtype.base_dtype), -2)
        outside = along - matmul(v, v, adjoint_a=True) * lengths
        inner = matrix_diag(grad_e) + conj(reciprocal_no_nan(gaps)) * outside
    adjoint = adjoint_of(v)
    grad = matrix_solve_op(adjoint, matmul(inner, adjoint))
    return grad if matrix.dtype.is_complex else cast(real(grad), matrix.dtype.base_dtype)


@export(v2=["linalg.eig", "eig"])
def eig(tensor: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of square matrices.

    Args:
      tensor: [..., n, n], float32, float64, complex64 or complex128.
      name: the operation's name.

    Returns:
      the eigenvalues [..., n], complex and in no particular order, and [..., n, n] with the eigenvectors, of
      length 1, as columns.

    Raises:
      InvalidArgumentError: a matrix has elements that are not finite.
    """
    values, vectors = _eig(tensor, True, name)
    return values, vectors


@export(v2=["linalg.eigvals", "eigvals"])
def eigvals(tensor: Any, name: str | None = None) -> Tensor:
    """Eigenvalues of square matrices.

    Args:
      tensor: [..., n, n], float32, float64, complex64 or complex128.
      name: the operation's name.

    Returns:
      [..., n], complex and in no particular order.

    Raises:
      InvalidArgumentError: a matrix has elements that are not finite.
    """
    return _eig(tensor, False, name)[0]


def _eig(tensor: Any, compute_v: bool, name: str | None) -> Any:
    tensor = to_tensor(tensor, name="input")
    wide = tensor.dtype.base_dtype in (dtypes.float64, dtypes.complex128)
    return eig_op(tensor, compute_v=compute_v, Tout=dtypes.complex128 if wide else dtypes.complex64, name=name)


# --- Hermitian tridiagonal matrices -------------------------------------------------------------------------


@export(v2=["linalg.eigh_tridiagonal"])
def eigh_tridiagonal(
    alpha: Any,
    beta: Any,
    eigvals_only: bool = True,
    select: str = "a",
    select_range: Any = None,
    tol: Any = None,
    name: str | None = None,
) -> Any:
    """Eigenvalues, and eigenvectors, of a Hermitian tridiagonal matrix.

    They are those of the dense matrix, so gradients exist, and memory grows with the square of n.

    Args:
      alpha: [n], floating point or complex: the main diagonal; only its real part is read.
      beta: [n - 1] of the same dtype: the diagonal above it. The one below is its conjugate.
      eigvals_only: leaves the eigenvectors out.
      select: "a": all of them; "i": those from number `select_range[0]` to number `select_range[1]`, in ascending
        order and counted from 0; "v": those in the interval `(select_range[0], select_range[1]]`.
      select_range: a pair of integers, or of numbers; see `select`.
      tol: accepted for compatibility: the result is always as exact as the dtype allows.
      name: the scope of the operations.

    Returns:
      the eigenvalues in ascending order, real; and unless `eigvals_only` also [n, their number] with the
      eigenvectors as columns.

    Raises:
      ValueError: `select` is none of these, or the range of indices is empty.
    """
    if select not in ("a", "i", "v"):
        raise ValueError("'select must have a value in {'a', 'i', 'v'}.")
    if select != "a" and (select_range is None or len(select_range) != 2):
        raise ValueError(f"select={select!r} needs a select_range of two numbers, received: {select_range!r}")
    with name_scope(name or "eigh_tridiagonal"):
        alpha = to_tensor(alpha, name="alpha")
        beta = to_tensor(beta, alpha.dtype.base_dtype, name="beta")
        matrix = matrix_diag(alpha) + matrix_diag_v2(conj(beta), k=-1)
        if eigvals_only:
            values = _real(self_adjoint_eigvals(matrix))
            return values[_selected(values, select, select_range)]
        values, vectors = self_adjoint_eig(matrix)
        values = _real(values)
        kept = _selected(values, select, select_range)
        return values[kept], vectors[:, kept]


def _real(values: Tensor) -> Tensor:
    return real(values) if values.dtype.is_complex else values


def _selected(values: Tensor, select: str, limits: Any) -> slice:
    """Which ones of the ascending eigenvalues are asked for."""
    if select == "a":
        return slice(None)
    if select == "i":
        first, last = limits
        if isinstance(first, (int, np.integer)) and isinstance(last, (int, np.integer)) and first > last:
            raise ValueError(f"Got empty index range in select_range: {first} > {last}.")
        return slice(first, last + 1)
    low, high = (to_tensor(limit, values.dtype, name="limit") for limit in limits)
    begin = reduce_sum(cast(less_equal(values, low), dtypes.int32))
    end = reduce_sum(cast(less_equal(values, high), dtypes.int32))
    return slice(begin, end)
