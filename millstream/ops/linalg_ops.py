"""Linear algebra: inverse and determinant, Cholesky decomposition, systems of equations.

All of them work on the last two dimensions and treat the others as a batch. Kernels are those of JAX.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.complex_ops import real
from millstream.ops.diag_ops import matrix_band_part, matrix_diag_part, matrix_set_diag
from millstream.ops.elementwise import conjugate
from millstream.ops.elementwise_ops import log
from millstream.ops.fill_ops import eye
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul, sum_batches
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims, matrix_transpose
from millstream.ops.shape_ops import shape

_TYPES = "double float half complex64 complex128"

# --- Shapes and kernels -------------------------------------------------------------------------------------


def matrices(c: ShapeContext, index: int) -> Any:
    """The shape of an input that must be a batch of matrices."""
    return shapes.with_rank_at_least(c.shape(index), 2)


def square_shape(c: ShapeContext) -> Any:
    """The shape of square matrices."""
    found = matrices(c, 0)
    if found is None:
        return None
    size = shapes.merge_dim(found[-2], found[-1])
    return (*found[:-2], size, size)


def _solved(c: ShapeContext) -> Any:
    """The shape of X in A X = B, of square matrices A and of B."""
    matrix, rhs = square_shape(c), matrices(c, 1)
    if matrix is None or rhs is None:
        return None if rhs is None else (*((None,) * (len(rhs) - 1)), rhs[-1])
    batch = shapes.broadcast(matrix[:-2], rhs[:-2])
    return None if batch is None else (*batch, shapes.merge_dim(matrix[-1], rhs[-2]), rhs[-1])


def widened(x: Any) -> Any:
    """Half precision numbers as float32, in which they are computed."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def square_input(x: Any) -> Any:
    """A kernel's input that must hold square matrices, widened.

    Raises:
      ValueError: it does not.
    """
    if matrices_input(x).shape[-1] != x.shape[-2]:
        raise ValueError("Input matrix must be square.")
    return widened(x)


def matrices_input(x: Any) -> Any:
    """A kernel's input that must hold matrices, widened.

    Raises:
      ValueError: it has fewer than two dimensions.
    """
    if x.ndim < 2:
        raise ValueError(f"Input tensor 0 must have rank >= 2, got {x.ndim}")
    return widened(x)


def check_systems(rows: int, rhs: Any, lower: bool, adjoint: bool, shown: Any) -> None:
    """Demands of the inputs of a kernel that there are as many equations as numbers on the right.

    Raises:
      ValueError: there are not; `shown` is the shape of the matrices.
    """
    if rhs.ndim < 2:
        raise ValueError(f"In[1] ndims must be >= 2: {rhs.ndim}")
    if rhs.shape[-2] != rows:
        both = f"{shapes.format_shape(shown)} {shapes.format_shape(rhs.shape)}"
        flags = f"{int(lower)} {int(adjoint)}"
        raise ValueError(f"In[0] mismatch In[1] shape: {rows} vs. {rhs.shape[-2]}: {both} {flags}")


def conjugate_transpose(xp: Any, x: Any) -> Any:
    return xp.swapaxes(xp.conj(x), -1, -2)


def _check_finite(check: Any, xp: Any, result: Any, source: Any, message: str) -> None:
    """Fails where finite matrices gave a result that is not: they were singular."""
    ok = xp.all(xp.isfinite(result)) | ~xp.all(xp.isfinite(source))
    check(ok, errors.InvalidArgumentError, message)


def adjoint_of(matrix: Any) -> Tensor:
    return matrix_transpose(matrix, conjugate=matrix.dtype.is_complex)


# --- Inverse and determinant --------------------------------------------------------------------------------


@op(
    "MatrixInverse(input: T, *, adjoint: bool = false) -> output: T",
    T=_TYPES, shape=square_shape, traced_only=True,
)  # fmt: skip
def matrix_inverse_op(xp, input, *, adjoint, check):
    x = square_input(input)
    result = xp.linalg.inv(conjugate_transpose(xp, x) if adjoint else x)
    _check_finite(check, xp, result, x, "Input is not invertible.")
    return result


@matrix_inverse_op.gradient
def _(op, grad):
    inverse = op.outputs[0]
    if op.attrs["adjoint"]:
        return -matmul(matmul(inverse, grad, adjoint_b=True), inverse)
    return -matmul(inverse, matmul(grad, inverse, adjoint_b=True), adjoint_a=True)


def _batch_of_square(c: ShapeContext) -> Any:
    found = square_shape(c)
    return None if found is None else found[:-2]


@op(
    "MatrixDeterminant(input: T) -> output: T",
    T="half float double complex64 complex128", shape=_batch_of_square, traced_only=True,
)  # fmt: skip
def matrix_determinant_op(xp, input):
    return xp.linalg.det(square_input(input))


@matrix_determinant_op.gradient
def _(op, grad):
    scale = grad * conjugate(op.outputs[0])
    return _times_inverse(scale, op.inputs[0])


def _times_inverse(scale: Any, matrix: Any) -> Tensor:
    """A number for each matrix times the adjoint of the matrix's inverse."""
    return expand_dims(expand_dims(scale, -1), -1) * matrix_inverse_op(matrix, adjoint=True)


@op(
    "LogMatrixDeterminant(input: T) -> sign: T, log_abs_determinant: T",
    T="half float double complex64 complex128", shape=lambda c: [_batch_of_square(c)] * 2, traced_only=True,
)  # fmt: skip
def log_matrix_determinant_op(xp, input):
    return tuple(xp.linalg.slogdet(square_input(input)))


@log_matrix_determinant_op.gradient
def _(op, _, grad):
    return _times_inverse(grad, op.inputs[0])


@export("linalg.inv", v1=["matrix_inverse"])
def matrix_inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of square matrices.

    Args:
      input: [..., n, n], floating point or complex.
      adjoint: inverts the adjoint (the conjugate transpose) of each matrix.
      name: the operation's name.

    Raises:
      InvalidArgumentError: a matrix is singular.
    """
    return matrix_inverse_op(input, adjoint=adjoint, name=name)


@export("linalg.det", v1=["matrix_determinant"])
def matrix_determinant(input: Any, name: str | None = None) -> Tensor:
    """The determinant of square matrices.

    Args:
      input: [..., n, n], floating point or complex.
      name: the operation's name.

    Returns:
      [...].
    """
    return matrix_determinant_op(input, name=name)


@export("linalg.slogdet")
def slogdet(input: Any, name: str | None = None) -> Any:
    """Sign and logarithm of the absolute value of the determinant of square matrices.

    Args:
      input: [..., n, n], floating point or complex.
      name: the operation's name.

    Returns:
      `sign` [...] and `log_abs_determinant` [...].
    """
    return log_matrix_determinant_op(input, name=name)


@export("linalg.logdet")
def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of Hermitian positive definite matrices.

    Args:
      matrix: [..., n, n], floating point or complex.
      name: the scope of the operations.

    Returns:
      [...].
    """
    with name_scope(name, "logdet", [matrix]):
        diagonal = real(matrix_diag_part(cholesky_op(matrix)))
        return 2.0 * reduce_sum(log(diagonal), axis=[-1])


# --- Cholesky decomposition ---------------------------------------------------------------------------------


@op("Cholesky(input: T) -> output: T", T=_TYPES, shape=square_shape, traced_only=True)
def cholesky_op(xp, input, *, check):
    x = square_input(input)
    lower = xp.linalg.cholesky(xp.tril(x) + conjugate_transpose(xp, xp.tril(x, -1)))
    _check_finite(check, xp, lower, x, "Cholesky decomposition was not successful. The input might not be valid.")
    return lower


@cholesky_op.gradient
def _(op, grad):
    # Murray, "Differentiation of the Cholesky decomposition", 2016, equations 8 to 10.
    lower = op.outputs[0]
    size = lower._shape[-1] if lower._shape and lower._shape[-1] is not None else shape(lower)[-1]
    batch = shape(lower)[:-2]
    inverse = matrix_triangular_solve_op(lower, eye(size, batch_shape=batch, dtype=lower.dtype))
    middle = matmul(lower, grad, adjoint_a=True)
    middle = matrix_set_diag(middle, 0.5 * matrix_diag_part(middle))
    middle = matrix_band_part(middle, -1, 0)
    half = matmul(matmul(inverse, middle, adjoint_a=True), inverse)
    return 0.5 * (half + adjoint_of(half))


@export("linalg.cholesky", v1=["cholesky"])
def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular matrix L with L L^H = A, of Hermitian positive definite matrices A.

    Args:
      input: [..., n, n], floating point or complex; only the lower triangle is read.
      name: the operation's name.

    Raises:
      InvalidArgumentError: a matrix is not positive definite.
    """
    return cholesky_op(input, name=name)


@export("linalg.cholesky_solve", v1=["cholesky_solve"])
def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """Solves A X = B with the Cholesky decomposition of A.

    Args:
      chol: [..., n, n], what `cholesky(A)` gave.
      rhs: [..., n, k], B.
      name: the scope of the operations.

    Returns:
      [..., n, k], X.
    """
    with name_scope(name, "cholesky_solve", [chol, rhs]):
        half = matrix_triangular_solve_op(chol, rhs, adjoint=False, lower=True)
        return matrix_triangular_solve_op(chol, half, adjoint=True, lower=True)


# --- Solving linear equations -------------------------------------------------------------------------------


@op(
    "MatrixSolve(matrix: T, rhs: T, *, adjoint: bool = false) -> output: T",
    T=_TYPES, shape=_solved, traced_only=True,
)  # fmt: skip
def matrix_solve_op(xp, matrix, rhs, *, adjoint, check):
    if matrix.ndim < 2 or rhs.ndim < 2:
        raise ValueError("All input tensors must have the same rank.")
    if matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError("First input (lhs) must be a square matrix.")
    if matrix.shape[-1] != rhs.shape[-2]:
        raise ValueError("Input matrix and rhs are incompatible.")
    x = widened(matrix)
    result = xp.linalg.solve(conjugate_transpose(xp, x) if adjoint else x, widened(rhs))
    _check_finite(check, xp, result, x, "Input matrix is not invertible.")
    return result


@matrix_solve_op.gradient
def _(op, grad):
    (matrix, rhs), solution, adjoint = op.inputs, op.outputs[0], op.attrs["adjoint"]
    grad_rhs = matrix_solve_op(matrix, grad, adjoint=not adjoint)
    first, second = (solution, grad_rhs) if adjoint else (grad_rhs, solution)
    grad_matrix = -matmul(first, second, adjoint_b=True)
    return sum_batches(grad_matrix, matrix, rhs), sum_batches(grad_rhs, rhs, matrix)


@op(
    "MatrixTriangularSolve(matrix: T, rhs: T, *, lower: bool = true, adjoint: bool = false) -> output: T",
    T=_TYPES, shape=_solved, traced_only=True,
)  # fmt: skip
def matrix_triangular_solve_op(xp, matrix, rhs, *, lower, adjoint, check):
    from jax.lax import linalg

    rows, columns = matrices_input(matrix).shape[-2:]
    if rows != columns:
        raise ValueError(f"In[0] matrices in the last dimensions must be square ({columns} =/= {rows})")
    check_systems(columns, rhs, lower, adjoint, matrix.shape)
    matrix, rhs = widened(matrix), widened(rhs)
    batch = np.broadcast_shapes(matrix.shape[:-2], rhs.shape[:-2])
    matrix, rhs = (xp.broadcast_to(part, batch + part.shape[-2:]) for part in (matrix, rhs))
    result = linalg.triangular_solve(matrix, rhs, left_side=True, lower=lower, transpose_a=adjoint, conjugate_a=adjoint)
    _check_finite(check, xp, result, rhs, "Input matrix is not invertible.")
    return result


@matrix_triangular_solve_op.gradient
def _(op, grad):
    (matrix, rhs), solution = op.inputs, op.outputs[0]
    lower, adjoint = op.attrs["lower"], op.attrs["adjoint"]
    grad_rhs = matrix_triangular_solve_op(matrix, grad, lower=lower, adjoint=not adjoint)
    first, second = (solution, grad_rhs) if adjoint else (grad_rhs, solution)
    grad_matrix = matrix_band_part(-matmul(first, second, adjoint_b=True), *((-1, 0) if lower else (0, -1)))
    return sum_batches(grad_matrix, matrix, rhs), sum_batches(grad_rhs, rhs, matrix)


@export("linalg.solve", v1=["matrix_solve"])
def matrix_solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """Solves A X = B.

    Args:
      matrix: [..., n, n], floating point or complex: A.
      rhs: [..., n, k], B.
      adjoint: solves A^H X = B.
      name: the operation's name.

    Returns:
      [..., n, k], X.

    Raises:
      InvalidArgumentError: a matrix is singular.
    """
    return matrix_solve_op(matrix, rhs, adjoint=adjoint, name=name)


@export("linalg.triangular_solve", v1=["matrix_triangular_solve"])
def matrix_triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """Solves A X = B with triangular matrices A.

    Args:
      matrix: [..., n, n], floating point or complex; the other triangle is not read.
      rhs: [..., n, k], B.
      lower: whether A is lower or upper triangular.
      adjoint: solves A^H X = B.
      name: the operation's name.

    Returns:
      [..., n, k], X.
    """
    return matrix_triangular_solve_op(matrix, rhs, lower=lower, adjoint=adjoint, name=name)


def _least_squares_shape(c: ShapeContext) -> Any:
    matrix, rhs = matrices(c, 0), matrices(c, 1)
    if matrix is None or rhs is None:
        return None
    shapes.merge_dim(matrix[-2], rhs[-2])
    return (*(shapes.merge(matrix[:-2], rhs[:-2]) or ()), matrix[-1], rhs[-1])


@op(
    "MatrixSolveLs(matrix: T, rhs: T, l2_regularizer: double, *, fast: bool = true) -> output: T",
    T=_TYPES, shape=_least_squares_shape, traced_only=True,
)  # fmt: skip
def matrix_solve_ls_op(xp, matrix, rhs, l2_regularizer, *, fast):
    matrix, rhs = widened(matrix), widened(rhs)
    if not fast:
        return xp.matmul(xp.linalg.pinv(matrix), rhs)
    small = conjugate_transpose(xp, matrix) if matrix.shape[-2] < matrix.shape[-1] else matrix
    square = xp.matmul(conjugate_transpose(xp, small), small) + l2_regularizer.astype(matrix.dtype) * xp.eye(
        small.shape[-1], dtype=matrix.dtype
    )
    if small is matrix:
        return xp.linalg.solve(square, xp.matmul(conjugate_transpose(xp, matrix), rhs))
    return xp.matmul(small, xp.linalg.solve(square, rhs))


@matrix_solve_ls_op.gradient
def _(op, grad):
    (matrix, rhs, l2), solution = op.inputs, op.outputs[0]
    dims = (matrix._shape or (None, None))[-2:]
    if None in dims or not op.attrs["fast"]:
        raise NotImplementedError(f"The gradient of least squares needs known dimensions and fast=True ({op.name}).")
    overdetermined = dims[0] >= dims[1]
    chol = _gram_cholesky(matrix, cast(l2, matrix.dtype), overdetermined)
    if overdetermined:
        z = cholesky_solve(chol, grad)
        xz = matmul(solution, z, adjoint_b=True)
        grad_matrix = matmul(rhs, z, adjoint_b=True) - matmul(matrix, xz + adjoint_of(xz))
        return grad_matrix, matmul(matrix, z), None
    grad_rhs = cholesky_solve(chol, matmul(matrix, grad))
    inner = cholesky_solve(chol, rhs)
    rest = grad - matmul(matrix, grad_rhs, adjoint_a=True)
    grad_matrix = matmul(inner, rest, adjoint_b=True) - matmul(grad_rhs, matmul(inner, matrix, adjoint_a=True))
    return grad_matrix, grad_rhs, None


@export("linalg.lstsq", v1=["matrix_solve_ls"])
def matrix_solve_ls(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """The least squares solutions of A X = B: of the least norm where there are many.

    Args:
      matrix: [..., m, n], floating point or complex: A.
      rhs: [..., m, k], B.
      l2_regularizer: adds this times the squared norm of X to what is minimised.
      fast: solves the normal equations, which is quick and less accurate; else by the pseudo-inverse.
      name: the scope of the operations.

    Returns:
      [..., n, k], X.
    """
    if not fast and l2_regularizer != 0:
        raise ValueError("l2_regularizer must be zero if fast=False")
    if not fast:
        return matrix_solve_ls_op(matrix, rhs, l2_regularizer, fast=fast, name=name)
    with name_scope(name, "matrix_solve_ls", [matrix, rhs, l2_regularizer]):
        matrix = to_tensor(matrix, name="matrix")
        dims = (matrix._shape or (None, None))[-2:]
        if None in dims:
            return matrix_solve_ls_op(matrix, rhs, l2_regularizer)
        if dims[0] >= dims[1]:  # more equations than unknowns: (A^H A + c I) X = A^H B
            chol = _gram_cholesky(matrix, l2_regularizer, first=True)
            return cholesky_solve(chol, matmul(matrix, rhs, adjoint_a=True))
        chol = _gram_cholesky(matrix, l2_regularizer, first=False)  # X = A^H (A A^H + c I)^-1 B
        return matmul(matrix, cholesky_solve(chol, rhs), adjoint_a=True)


def _gram_cholesky(matrix: Tensor, l2_regularizer: Any, first: bool) -> Tensor:
    """The Cholesky decomposition of A^H A (or A A^H) plus a multiple of the identity."""
    gram = matmul(matrix, matrix, adjoint_a=first, adjoint_b=not first)
    if isinstance(l2_regularizer, Tensor) or l2_regularizer != 0:
        size = matrix._shape[-1 if first else -2]  # type: ignore[index]
        batch = shape(matrix)[:-2]
        gram += eye(size, batch_shape=batch, dtype=matrix.dtype) * l2_regularizer
    return cholesky_op(gram)
