"""The LU decomposition of matrices, and what it is good for: solving, inverting, getting the matrices back."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.diag_ops import matrix_band_part, matrix_set_diag
from millstream.ops.fill_ops import eye, ones
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import concat
from millstream.ops.linalg_ops import matrix_triangular_solve_op, square_input, square_shape
from millstream.ops.matmul_ops import matmul
from millstream.ops.reshape_ops import broadcast_to
from millstream.ops.shape_ops import broadcast_dynamic_shape, shape
from millstream.ops.sort_ops import argsort

_TYPES = "double float half complex64 complex128"


def _lu_shape(c: ShapeContext) -> Any:
    found = square_shape(c)
    return [found, None if found is None else found[:-1]]


@op(
    "Lu(input: T, *, output_idx_type: type{int32,int64} = int32) -> lu: T, p: output_idx_type",
    T=_TYPES, shape=_lu_shape, traced_only=True,
)  # fmt: skip
def lu_op(xp, input):
    from jax.lax import linalg

    lu, _, permutation = linalg.lu(square_input(input))
    return lu, permutation


@export("linalg.lu")
def lu(input: Any, output_idx_type: Any = dtypes.int32, name: str | None = None) -> Any:
    """The decomposition P A = L U of square matrices, with partial pivoting.

    Args:
      input: [..., n, n], floating point or complex: A.
      output_idx_type: int32 or int64.
      name: the operation's name.

    Returns:
      `lu` [..., n, n], L (whose diagonal is 1) below the diagonal and U on and above it, and the permutation
      of rows `p` [..., n].
    """
    return lu_op(input, output_idx_type=output_idx_type, name=name)


# --- With a decomposition -----------------------------------------------------------------------------------


@export(v2=["linalg.lu_solve"])
def lu_solve(lower_upper: Any, perm: Any, rhs: Any, validate_args: bool = False, name: str | None = None) -> Tensor:
    """Solves A X = B with the LU decomposition of A.

    Args:
      lower_upper: [..., n, n], floating point or complex: what `lu(A)` gave first.
      perm: int32 or int64, [..., n], what it gave second.
      rhs: [..., n, k], B; its leading dimensions broadcast with those of A.
      validate_args: accepted for compatibility: shapes are always checked.
      name: the scope of the operations.

    Returns:
      [..., n, k], X.

    Raises:
      ValueError: the shapes do not fit.

    Example:
      >>> tf.linalg.lu_solve(*tf.linalg.lu(a), rhs=b)
    """
    with name_scope(name or "lu_solve"):
        lower_upper, perm = _decomposition(lower_upper, perm)
        rhs = to_tensor(rhs, lower_upper.dtype.base_dtype, name="rhs")
        if rhs._shape is not None and len(rhs._shape) < 2:
            raise ValueError("Input `rhs` must have at least 2 dimensions.")
        sizes = [dims[axis] for dims, axis in ((lower_upper._shape, -1), (rhs._shape, -2)) if dims is not None]
        if None not in sizes and len(set(sizes)) > 1:
            raise ValueError("`lower_upper.shape[-1]` must equal `rhs.shape[-1]`.")
        half = matrix_triangular_solve_op(_unit_lower(lower_upper), permuted_rows(rhs, perm))
        return matrix_triangular_solve_op(lower_upper, half, lower=False)


@export(v2=["linalg.lu_matrix_inverse"])
def lu_matrix_inverse(lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The inverse of matrices, from their LU decomposition.

    Args:
      lower_upper: [..., n, n], floating point or complex: what `lu(A)` gave first.
      perm: int32 or int64, [..., n], what it gave second.
      validate_args: accepted for compatibility: shapes are always checked.
      name: the scope of the operations.

    Returns:
      [..., n, n].
    """
    with name_scope(name or "lu_matrix_inverse"):
        lower_upper, perm = _decomposition(lower_upper, perm)
        dims = shape(lower_upper)
        identity = eye(dims[-1], batch_shape=dims[:-2], dtype=lower_upper.dtype.base_dtype)
        return lu_solve(lower_upper, perm, identity)


@export(v2=["linalg.lu_reconstruct"])
def lu_reconstruct(lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The matrices A which an LU decomposition is of.

    Args:
      lower_upper: [..., n, n], floating point or complex: what `lu(A)` gave first.
      perm: int32 or int64, [..., n], what it gave second.
      validate_args: accepted for compatibility: shapes are always checked.
      name: the scope of the operations.

    Returns:
      [..., n, n].
    """
    with name_scope(name or "lu_reconstruct"):
        lower_upper, perm = _decomposition(lower_upper, perm)
        product = matmul(_unit_lower(lower_upper), matrix_band_part(lower_upper, 0, -1))
        return permuted_rows(product, argsort(perm))


def _decomposition(lower_upper: Any, perm: Any) -> tuple[Tensor, Tensor]:
    """The arguments as tensors.

    Raises:
      ValueError: they cannot be an LU decomposition.
    """
    lower_upper = to_tensor(lower_upper, preferred=dtypes.float32, name="lower_upper")
    perm = to_tensor(perm, preferred=dtypes.int32, name="perm")
    dims = lower_upper._shape
    if dims is not None:
        if len(dims) < 2:
            raise ValueError("Input `lower_upper` must have at least 2 dimensions.")
        if None not in dims[-2:] and dims[-1] != dims[-2]:
            raise ValueError("`lower_upper` must be square.")
        if not shapes.is_compatible(perm._shape, dims[:-1]):
            raise ValueError(f"`perm` of shape {perm._shape} does not fit `lower_upper` of shape {dims}.")
    return lower_upper, perm


def _unit_lower(lower_upper: Tensor) -> Tensor:
    """L, whose diagonal is 1."""
    lower = matrix_band_part(lower_upper, -1, 0)
    return matrix_set_diag(lower, ones(shape(lower_upper)[:-1], lower_upper.dtype.base_dtype))


def permuted_rows(matrix: Tensor, perm: Tensor) -> Tensor:
    """The rows of matrices in another order, [..., n, k]; leading dimensions broadcast with those of `perm`."""
    if perm._shape is None or matrix._shape is None:
        raise ValueError("The ranks of `perm` and of `rhs` must be known.")
    if len(perm._shape) == 1:
        return gather(matrix, perm, axis=-2)
    batch = broadcast_dynamic_shape(shape(perm)[:-1], shape(matrix)[:-2])
    rank = max(len(perm._shape) - 1, len(matrix._shape) - 2)
    perm = broadcast_to(perm, concat([batch, shape(perm)[-1:]], 0))
    matrix = broadcast_to(matrix, concat([batch, shape(matrix)[-2:]], 0))
    return gather(matrix, perm, axis=rank, batch_dims=rank)
