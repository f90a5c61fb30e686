"""Matrices of few diagonals: products and systems of tridiagonal and of banded triangular matrices.

A matrix is given by its diagonals, the highest one first, each as long as the matrix has rows: an element
stands where its row does. Places for which the matrix has no element are not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.complex_ops import conj
from millstream.ops.diag_ops import matrix_diag_part
from millstream.ops.fill_ops import zeros_like
from millstream.ops.gather_ops import gather_nd
from millstream.ops.join_ops import concat, stack
from millstream.ops.linalg_ops import check_systems, matrices, widened
from millstream.ops.matmul_ops import sum_batches
from millstream.ops.pad_ops import pad, roll
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims, matrix_transpose, squeeze, transpose

_TYPES = "double float complex64 complex128"


def _diagonal_of_product(a: Any, b: Any, offset: int) -> Tensor:
    """The diagonal number `offset` of A B^H, [..., rows]; zero where that matrix has no element."""
    if offset == 0:
        return reduce_sum(a * conj(b), axis=-1)
    if offset > 0:
        product = reduce_sum(a[..., :-offset, :] * conj(b[..., offset:, :]), axis=-1)
        return concat([product, zeros_like(a[..., :offset, 0])], axis=-1)
    product = reduce_sum(a[..., -offset:, :] * conj(b[..., :offset, :]), axis=-1)
    return concat([zeros_like(a[..., :-offset, 0]), product], axis=-1)


# --- Products of tridiagonal matrices -----------------------------------------------------------------------


def _product_shape(c: ShapeContext) -> Any:
    rhs = matrices(c, 3)
    for index in range(3):
        diagonal = matrices(c, index)
        if diagonal is not None and rhs is not None:
            shapes.merge_dim(diagonal[-1], rhs[-2])
    return rhs


@op(
    "TridiagonalMatMul(superdiag: T, maindiag: T, subdiag: T, rhs: T) -> output: T",
    T=_TYPES, shape=_product_shape,
)  # fmt: skip
def tridiagonal_matmul_op(xp, superdiag, maindiag, subdiag, rhs):
    for name, diagonal in (("superdiagonal", superdiag), ("main diagonal", maindiag), ("subdiagonal", subdiag)):
        if diagonal.shape != (*rhs.shape[:-2], 1, rhs.shape[-2]):
            raise ValueError(f"Invalid {name} shape.")
    upper, main, lower = (xp.swapaxes(diagonal, -1, -2) for diagonal in (superdiag, maindiag, subdiag))
    none = xp.zeros_like(rhs[..., :1, :])
    from_above = xp.concatenate([none, lower[..., 1:, :] * rhs[..., :-1, :]], axis=-2)
    from_below = xp.concatenate([upper[..., :-1, :] * rhs[..., 1:, :], none], axis=-2)
    return from_above + main * rhs + from_below


@tridiagonal_matmul_op.gradient
def _(op, grad):
    upper, main, lower, rhs = op.inputs
    by_diagonals = [expand_dims(_diagonal_of_product(grad, rhs, offset), -2) for offset in (1, 0, -1)]
    # The lower diagonal is the transpose's upper one, a row higher; what `roll` carries around is not read.
    adjoint = roll(conj(lower), -1, axis=-1), conj(main), roll(conj(upper), 1, axis=-1)
    return *by_diagonals, tridiagonal_matmul_op(*adjoint, grad)


@export("linalg.tridiagonal_matmul")
def tridiagonal_matmul(diagonals: Any, rhs: Any, diagonals_format: str = "compact", name: str | None = None) -> Tensor:
    """The products of tridiagonal matrices and matrices.

    Args:
      diagonals: float32, float64, complex64 or complex128. "compact": [..., 3, m], the upper, the main and the lower
        diagonal; the last element of the upper and the first of the lower one are not read. "sequence": these
        three as a tuple of tensors [..., m]. "matrix": [..., m, m], of which other diagonals are not read; m must
        be known.
      rhs: [..., m, n], of the same batch dimensions.
      diagonals_format: "compact", "sequence" or "matrix".
      name: the operation's name.

    Returns:
      [..., m, n].

    Raises:
      ValueError: `diagonals_format` is none of these, or the shapes do not fit.
    """
    if diagonals_format == "compact":
        parts = [diagonals[..., 0, :], diagonals[..., 1, :], diagonals[..., 2, :]]
    elif diagonals_format == "sequence":
        parts = list(diagonals)
    elif diagonals_format == "matrix":
        matrix = to_tensor(diagonals)
        size = _matrix_size(matrix)
        main, flipped = matrix_diag_part(matrix), transpose(matrix)
        upper, lower = (transpose(gather_nd(flipped, _places(size, offset))) for offset in (1, -1))
        parts = [upper, main, lower]
    else:
        raise ValueError(f"Unrecognized diagonals_format: {diagonals_format}")
    return tridiagonal_matmul_op(*[expand_dims(part, -2) for part in parts], rhs, name=name)


def _matrix_size(matrix: Any) -> int:
    """The number of rows of square matrices, which must be known."""
    rows, columns = (shapes.with_rank_at_least(matrix._shape, 2) or (None, None))[-2:]
    if rows is None and columns is None:
        raise ValueError('The size of the matrix needs to be known for diagonals_format="matrix"')
    if rows is not None and columns is not None and rows != columns:
        raise ValueError(f"Expected last two dimensions of diagonals to be same, got {columns} and {rows}")
    return int(columns if rows is None else rows)


def _places(size: int, offset: int) -> Any:
    """Column and row of each element of a diagonal; (0, 0) where there is none."""
    rows = np.arange(size, dtype=np.int32)
    columns = rows + offset
    inside = (columns >= 0) & (columns < size)
    return np.stack([columns, rows], axis=-1) * inside[:, None]


# --- Systems of tridiagonal matrices ------------------------------------------------------------------------


def _solution_shape(c: ShapeContext) -> Any:
    diagonals, rhs = matrices(c, 0), matrices(c, 1)
    if diagonals is not None and diagonals[-2] not in (None, 3):
        raise ValueError(f"Dimension must be 3 but is {diagonals[-2]}")
    if diagonals is not None and rhs is not None:
        shapes.merge_dim(diagonals[-1], rhs[-2])
    return rhs


@op(
    "TridiagonalSolve(diagonals: T, rhs: T, *, partial_pivoting: bool = true, perturb_singular: bool = false) "
    "-> output: T",
    T=_TYPES, shape=_solution_shape, traced_only=True,
)  # fmt: skip
def tridiagonal_solve_op(xp, diagonals, rhs, *, perturb_singular):
    from jax.lax import linalg

    upper, main, lower = (diagonals[..., index, :] for index in range(3))
    none = xp.zeros_like(main[..., :1])
    lower = xp.concatenate([none, lower[..., 1:]], axis=-1)
    upper = xp.concatenate([upper[..., :-1], none], axis=-1)
    system = lower, xp.asarray(main), upper, xp.asarray(rhs)
    if not perturb_singular:
        return linalg.tridiagonal_solve(*system)
    try:
        return linalg.tridiagonal_solve(*system, perturb_singular=True)
    except (TypeError, RuntimeError):
        raise errors.UnimplementedError(None, None, "perturb_singular needs JAX 0.10 or later.") from None


@tridiagonal_solve_op.gradient
def _(op, grad):
    upper, main, lower = (conj(op.inputs[0][..., index, :]) for index in range(3))
    adjoint = stack([roll(lower, -1, axis=-1), main, roll(upper, 1, axis=-1)], axis=-2)
    attrs = {name: op.attrs[name] for name in ("partial_pivoting", "perturb_singular")}
    grad_rhs = tridiagonal_solve_op(adjoint, grad, **attrs)
    by_diagonals = [_diagonal_of_product(grad_rhs, op.outputs[0], offset) for offset in (1, 0, -1)]
    return -stack(by_diagonals, axis=-2), grad_rhs


@export(v2=["linalg.tridiagonal_solve"])
def tridiagonal_solve_v2(
    diagonals: Any,
    rhs: Any,
    diagonals_format: str = "compact",
    transpose_rhs: bool = False,
    conjugate_rhs: bool = False,
    name: str | None = None,
    partial_pivoting: bool = True,
    perturb_singular: bool = False,
) -> Tensor:
    """Solves A X = B with tridiagonal matrices A, in time proportional to their number of rows.

    Args:
      diagonals: float32, float64, complex64 or complex128. "compact": [..., 3, m], the upper, the main and the lower
        diagonal of A; the last element of the upper and the first of the lower one are not read. "sequence": these
        three as a tuple of tensors [..., m], or [..., m - 1] without the elements that are not read. "matrix":
        [..., m, m], of which other diagonals are not read; m must be known.
      rhs: [..., m, k], or [..., m]: B.
      diagonals_format: "compact", "sequence" or "matrix".
      transpose_rhs: `rhs` is [..., k, m]; for vectors it means nothing.
      conjugate_rhs: B is the conjugate of `rhs`.
      name: the operation's name.
      partial_pivoting: accepted for compatibility: rows are always exchanged where that is more accurate.
      perturb_singular: replaces pivots near 0, so that the result is finite where A is singular; needs JAX 0.10.

    Returns:
      X, [..., m, k] or [..., m]; not-a-number where A is singular.

    Raises:
      ValueError: `diagonals_format` is none of these, or the shapes do not fit.

    Example:
      >>> tf.linalg.tridiagonal_solve([[1., 1., 0.], [4., 4., 4.], [0., 1., 1.]], [1., 2., 3.])
    """
    if perturb_singular and not partial_pivoting:
        raise ValueError("partial_pivoting must be True if perturb_singular is.")
    compact, rhs = _compact(diagonals, diagonals_format), to_tensor(rhs)
    attrs = {"partial_pivoting": partial_pivoting, "perturb_singular": perturb_singular, "name": name}
    if _are_vectors(compact, rhs):
        _check_systems(compact._shape, (*rhs._shape, 1), transposed=False)
        rhs = expand_dims(conj(rhs) if conjugate_rhs else rhs, -1)
        return squeeze(tridiagonal_solve_op(compact, rhs, **attrs), -1)
    _check_systems(compact._shape, rhs._shape, transpose_rhs)
    if transpose_rhs:
        rhs = matrix_transpose(rhs, conjugate=conjugate_rhs)
    elif conjugate_rhs:
        rhs = conj(rhs)
    return tridiagonal_solve_op(compact, rhs, **attrs)


def _are_vectors(diagonals: Any, rhs: Any) -> bool:
    """Whether `rhs` has one vector for each matrix, rather than several as columns."""
    return None not in (diagonals._shape, rhs._shape) and len(rhs._shape) == len(diagonals._shape) - 1


def _compact(diagonals: Any, diagonals_format: str) -> Tensor:
    """The diagonals as one tensor, [..., 3, m]."""
    if diagonals_format == "compact":
        compact = to_tensor(diagonals)
    elif diagonals_format == "sequence":
        compact = _stacked(diagonals)
    elif diagonals_format == "matrix":
        matrix = to_tensor(diagonals)
        places = [_places(_matrix_size(matrix), offset) for offset in (1, 0, -1)]
        compact = transpose(gather_nd(transpose(matrix), np.stack(places, axis=1)))
    else:
        raise ValueError(f"Unrecognized diagonals_format: {diagonals_format}")
    if compact._shape is not None and len(compact._shape) < 2:
        raise ValueError(f"Expected diagonals to have rank at least 2, got {len(compact._shape)}")
    return compact


def _stacked(diagonals: Any) -> Tensor:
    """Three diagonals in one tensor; the outer ones are filled up where they are shorter."""
    if not isinstance(diagonals, (list, tuple)) or len(diagonals) != 3:
        raise ValueError("Expected diagonals to be a sequence of length 3.")
    upper, main, lower = (to_tensor(part) for part in diagonals)
    length = shapes.with_rank_at_least(main._shape, 1)

    def filled(part: Tensor, where: tuple[int, int]) -> Tensor:
        if part._shape is None or length is None or None in (part._shape[-1], length[-1]):
            return part
        if part._shape[-1] == length[-1]:
            return part
        return pad(part, [(0, 0)] * (len(part._shape) - 1) + [where])

    lower, upper = filled(lower, (1, 0)), filled(upper, (0, 1))
    return stack([upper, main, lower], axis=-2)


def _check_systems(diagonals: Any, rhs: Any, transposed: bool) -> None:
    """Demands that static shapes fit, in TensorFlow's words."""
    if diagonals is None or rhs is None:
        return
    if len(rhs) != len(diagonals) or not shapes.is_compatible(rhs[:-2], diagonals[:-2]):
        shown = shapes.format_tuple(diagonals[:-2]), shapes.format_tuple(rhs[:-2])
        raise ValueError(f"Batch shapes {shown[0]} and {shown[1]} are incompatible")
    if diagonals[-2] not in (None, 3):
        raise ValueError(f"Expected 3 diagonals got {diagonals[-2]}")
    rows = rhs[-1 if transposed else -2]
    if None not in (diagonals[-1], rows) and diagonals[-1] != rows:
        raise ValueError(
            f"Expected number of left-hand sided and right-hand sides to be equal, got {diagonals[-1]} and {rows}"
        )


@export(v1=["linalg.tridiagonal_solve"])
def tridiagonal_solve(
    diagonals: Any,
    rhs: Any,
    diagonals_format: str = "compact",
    transpose_rhs: bool = False,
    conjugate_rhs: bool = False,
    name: str | None = None,
    partial_pivoting: bool = True,
) -> Tensor:
    """Solves A X = B with tridiagonal matrices A, in time proportional to their number of rows.

    As in 2.x; but with `transpose_rhs` the result is transposed too, [..., k, m].
    """
    compact, rhs = _compact(diagonals, diagonals_format), to_tensor(rhs)
    solution = tridiagonal_solve_v2(compact, rhs, "compact", transpose_rhs, conjugate_rhs, name, partial_pivoting)
    return matrix_transpose(solution) if transpose_rhs and not _are_vectors(compact, rhs) else solution


# --- Systems of banded triangular matrices ------------------------------------------------------------------


def _banded_shape(c: ShapeContext) -> Any:
    bands, rhs = matrices(c, 0), matrices(c, 1)
    if bands is None or rhs is None:
        return None
    batch = shapes.broadcast(bands[:-2], rhs[:-2])
    return None if batch is None else (*batch, shapes.merge_dim(bands[-1], rhs[-2]), rhs[-1])


@op(
    "BandedTriangularSolve(matrix: T, rhs: T, *, lower: bool = true, adjoint: bool = false) -> output: T",
    T="double float half complex64 complex128", shape=_banded_shape, traced_only=True,
)  # fmt: skip
def banded_triangular_solve_op(xp, matrix, rhs, *, lower, adjoint, check):
    if matrix.ndim < 2:
        raise ValueError(f"In[0] ndims must be >= 2: {matrix.ndim}")
    check_systems(matrix.shape[-1], rhs, lower, adjoint, matrix.shape)
    bands, rhs = widened(matrix), widened(rhs)
    if not lower:
        bands = bands[..., ::-1, :]  # as those of lower triangles: the diagonal first, then away from it
    if adjoint:
        step = -1 if lower else 1
        moved = [xp.roll(bands[..., index, :], step * index, axis=-1) for index in range(bands.shape[-2])]
        bands, lower = xp.conj(xp.stack(moved, axis=-2)), not lower
    if lower:
        result = _forward_substitution(xp, bands, rhs)
    else:  # read backwards, an upper triangle is a lower one
        result = _forward_substitution(xp, bands[..., ::-1], rhs[..., ::-1, :])[..., ::-1, :]
    check(xp.all(bands[..., 0, :] != 0), errors.InvalidArgumentError, "Input matrix is not invertible.")
    return result


def _forward_substitution(xp: Any, bands: Any, rhs: Any) -> Any:
    """Solves lower triangular systems from the first row on: each row needs the last few of the solution."""
    from jax import lax

    count, size = bands.shape[-2:]
    batch = np.broadcast_shapes(bands.shape[:-2], rhs.shape[:-2])
    bands = xp.where(np.arange(size) >= np.arange(count)[:, None], bands, 0)
    rows = xp.moveaxis(xp.broadcast_to(bands, (*batch, count, size)), -1, 0)  # [size, ..., count]
    rhs = xp.moveaxis(xp.broadcast_to(rhs, (*batch, *rhs.shape[-2:])), -2, 0)  # [size, ..., n]

    def solve_row(known: Any, inputs: Any) -> tuple[Any, Any]:
        """`known` has the last rows of the solution, the latest one first: [..., count - 1, n]."""
        row, wanted = inputs
        found = (wanted - xp.einsum("...i,...in->...n", row[..., 1:], known)) / row[..., :1]
        return xp.concatenate([found[..., None, :], known], axis=-2)[..., : count - 1, :], found

    nothing = xp.zeros((*batch, count - 1, rhs.shape[-1]), rhs.dtype)
    return xp.moveaxis(lax.scan(solve_row, nothing, (rows, rhs))[1], 0, -2)


@banded_triangular_solve_op.gradient
def _(op, grad):
    bands, rhs, solution = *op.inputs, op.outputs[0]
    lower, adjoint = op.attrs["lower"], op.attrs["adjoint"]
    count = None if bands._shape is None else bands._shape[-2]
    if count is None:
        raise NotImplementedError(f"The gradient of a banded solve with an unknown number of bands ({op.name}).")
    grad_rhs = banded_triangular_solve_op(bands, grad, lower=lower, adjoint=not adjoint)
    first, second = (solution, grad_rhs) if adjoint else (grad_rhs, solution)
    offsets = range(0, -count, -1) if lower else range(count - 1, -1, -1)
    grad_bands = -stack([_diagonal_of_product(first, second, offset) for offset in offsets], axis=-2)
    return sum_batches(grad_bands, bands, rhs), sum_batches(grad_rhs, rhs, bands)


@export(v2=["linalg.banded_triangular_solve"])
def banded_triangular_solve(
    bands: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """Solves A X = B with triangular matrices A that have few diagonals, in time proportional to their number of rows.

    Args:
      bands: [..., k, m], floating point or complex: the diagonals of A, the highest first. For a lower triangle these
        are the main diagonal and those below it, and the first i elements of diagonal i are not read; for an
        upper triangle the last i elements of a diagonal i above the main one.
      rhs: [..., m, n], B; the leading dimensions broadcast with those of `bands`.
      lower: whether A is lower or upper triangular.
      adjoint: solves A^H X = B.
      name: the operation's name.

    Returns:
      [..., m, n], X.

    Raises:
      InvalidArgumentError: a matrix is singular: it has 0 on its main diagonal.

    Example:
      >>> tf.linalg.banded_triangular_solve([[4., 4., 4.], [0., 1., 2.]], [[4.], [5.], [6.]])  # [[1.], [1.], [1.]]
    """
    return banded_triangular_solve_op(bands, rhs, lower=lower, adjoint=adjoint, name=name)
