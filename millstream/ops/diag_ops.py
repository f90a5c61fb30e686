"""Diagonals: matrices made from them, taken out of matrices, put into matrices; bands."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import conversion, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as
from millstream.core.tensor import Tensor
from millstream.ops.arguments import to_ints
from millstream.ops.fill_ops import zeros_like

_TENSOR_TYPES = "bfloat16 half float double int32 int64 complex64 complex128"

# --- Diagonals of tensors -----------------------------------------------------------------------------------


def _diag_shape(c: ShapeContext) -> Any:
    shape = shapes.with_rank_at_least(c.shape(0), 1)
    return shapes.concatenate(shape, shape)


@op("Diag(diagonal: T) -> output: T", T=_TENSOR_TYPES, shape=_diag_shape)
def diag_op(xp, diagonal):
    return xp.reshape(xp.diag(xp.reshape(diagonal, (-1,))), diagonal.shape * 2)


def _diag_part_shape(c: ShapeContext) -> Any:
    shape = c.shape(0)
    if shape is None:
        return None
    if len(shape) % 2 or not shape:
        raise ValueError(f"Input must have even and non-zero rank, input rank is {len(shape)}")
    half = len(shape) // 2
    return tuple(shapes.merge_dim(a, b) for a, b in zip(shape[:half], shape[half:], strict=True))


@op("DiagPart(input: T) -> diagonal: T", T=_TENSOR_TYPES, shape=_diag_part_shape)
def diag_part_op(xp, input):
    half = input.ndim // 2
    for axis in range(half):
        if input.shape[axis] != input.shape[half + axis]:
            shown = shapes.format_shape(input.shape)
            raise ValueError(f"Invalid shape {shown}: dimensions {axis} and {half + axis} do not match.")
    dims = input.shape[:half]
    size = int(np.prod(dims, dtype=np.int64))
    return xp.reshape(xp.diagonal(xp.reshape(input, (size, size))), dims)


@diag_op.gradient
def _(op, grad):
    return diag_part_op(grad)


@diag_part_op.gradient
def _(op, grad):
    return diag_op(grad)


@export("linalg.tensor_diag", v1=["diag"])
def tensor_diag(diagonal: Any, name: str | None = None) -> Tensor:
    """A tensor with the given elements on its diagonal: `out[i…, i…] = diagonal[i…]`, zeros elsewhere.

    Args:
      diagonal: a numeric dtype, shape [d1, …, dk].
      name: the operation's name.

    Returns:
      Shape [d1, …, dk, d1, …, dk].
    """
    return diag_op(diagonal, name=name)


@export("linalg.tensor_diag_part", v1=["diag_part"])
def tensor_diag_part(input: Any, name: str | None = None) -> Tensor:
    """The diagonal of a tensor of shape [d1, …, dk, d1, …, dk]: `out[i…] = input[i…, i…]`.

    Raises:
      ValueError: the rank is odd, or the dimensions do not match.
    """
    return diag_part_op(input, name=name)


# --- Which elements a band of diagonals holds ---------------------------------------------------------------
#
# Diagonals are numbered: 0 is the main one, positive ones lie above it. A band k = (low, high) is stored as rows of
# one length, the highest diagonal first; shorter ones are filled up on the side that `align` says.


def _band_limits(k: Any) -> tuple[int, int]:
    limits = to_ints(k)
    low, high = limits[0], limits[-1]
    if len(limits) > 2 or low > high:
        raise ValueError(f"lower_diag_index must not be larger than upper_diag_index: {low} > {high}")
    return low, high


def _longest(rows: int, columns: int, low: int, high: int) -> int:
    """The length of the longest diagonal of a band."""
    return min(rows + min(high, 0), columns - max(low, 0))


def _positions(rows: int, columns: int, low: int, high: int, align: str) -> tuple[Any, Any, Any]:
    """Row and column of each stored element, and whether there is such an element: arrays [diagonals, longest]."""
    if not (-rows < low <= high < columns or (rows and columns and low == high == 0)):
        raise ValueError(f"diagonals {low}..{high} are out of bounds for a matrix of {rows} x {columns}")
    longest = _longest(rows, columns, low, high)
    above, below = align.split("_")
    band, offset = np.arange(high, low - 1, -1)[:, None], np.arange(longest)[None, :]
    lengths = np.minimum(rows + np.minimum(band, 0), columns - np.maximum(band, 0))
    right = np.where(band >= 0, above == "RIGHT", below == "RIGHT")
    along = offset - np.where(right, longest - lengths, 0)
    inside = (along >= 0) & (along < lengths)
    along = np.where(inside, along, 0)
    return along - np.minimum(band, 0), along + np.maximum(band, 0), inside


def _extract(xp: Any, matrix: Any, k: Any, padding: Any, align: str) -> Any:
    low, high = _band_limits(k)
    row, column, inside = _positions(*matrix.shape[-2:], low, high, align)
    found = xp.where(inside, matrix[..., row, column], xp.asarray(padding, matrix.dtype))
    return found[..., 0, :] if low == high else found


def _insert(xp: Any, matrix: Any, diagonal: Any, k: Any, align: str) -> Any:
    """`matrix` with its band replaced, by looking up for each element which one of the band it is."""
    low, high = _band_limits(k)
    rows, columns = matrix.shape[-2:]
    row, column, inside = _positions(rows, columns, low, high, align)
    if low == high:
        diagonal = diagonal[..., None, :]
    if tuple(diagonal.shape[-2:]) != row.shape:
        raise ValueError(
            f"diagonal must have inner dimensions {row.shape}, but has shape {shapes.format_shape(diagonal.shape)}"
        )
    band, place = np.zeros((2, rows, columns), np.int64)
    taken = np.zeros((rows, columns), bool)
    which = np.broadcast_to(np.arange(row.shape[0])[:, None], row.shape)
    where = np.broadcast_to(np.arange(row.shape[1])[None, :], row.shape)
    taken[row[inside], column[inside]] = True
    band[row[inside], column[inside]] = which[inside]
    place[row[inside], column[inside]] = where[inside]
    return xp.where(taken, diagonal[..., band, place], matrix)


def _matrix_size(diagonal: Any, low: int, high: int, rows: int, columns: int) -> tuple[int, int]:
    """The size of the matrix that a band belongs to; -1 stands for the smallest that fits."""
    longest = diagonal.shape[-1]
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        return max(least_rows, least_columns), max(least_rows, least_columns)
    if rows == -1:
        rows = least_rows
    if columns == -1:
        columns = least_columns
    if rows < least_rows or columns < least_columns:
        raise ValueError(f"num_rows and num_cols are too small: {rows} x {columns} for diagonals of {longest}")
    return rows, columns


# --- Matrices from diagonals --------------------------------------------------------------------------------


def _matrix_diag_shape(c: ShapeContext) -> Any:
    shape = shapes.with_rank_at_least(c.shape(0), 1)
    return None if shape is None else (*shape, shape[-1])


@op("MatrixDiag(diagonal: T) -> output: T", T=ANY, shape=_matrix_diag_shape)
def matrix_diag_op(xp, diagonal):
    size = diagonal.shape[-1]
    return xp.where(np.eye(size, dtype=bool), diagonal[..., None], xp.zeros((), diagonal.dtype))


@matrix_diag_op.gradient
def _(op, grad):
    return matrix_diag_part_op(grad)


def _banded_diag_shape(c: ShapeContext) -> Any:
    shape, k, rows, columns = c.shape(0), c.constant(1), c.constant(2), c.constant(3)
    if shape is None:
        return None
    if k is None or rows is None or columns is None or shape[-1] is None:
        return None
    low, high = _band_limits(k)
    batch = shape[:-1] if low == high else shape[:-2]
    return (*batch, *_matrix_size(np.empty(shape[-1:]), low, high, int(rows), int(columns)))


def _matrix_diag_kernel(xp: Any, diagonal: Any, k: Any, rows: Any, columns: Any, padding: Any, align: str) -> Any:
    low, high = _band_limits(k)
    size = _matrix_size(diagonal, low, high, int(rows), int(columns))
    batch = diagonal.shape[:-1] if low == high else diagonal.shape[:-2]
    empty = xp.broadcast_to(xp.asarray(padding, diagonal.dtype), (*batch, *size))
    return _insert(xp, empty, diagonal, k, align)


_BANDED: dict[str, Any] = {"T": ANY, "shape": _banded_diag_shape, "static": ("k", "num_rows", "num_cols")}
_DIAG_INPUTS = "diagonal: T, k: int32, num_rows: int32, num_cols: int32, padding_value: T"
_ALIGN = 'align: string{"LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"} = "RIGHT_LEFT"'


@op(f"MatrixDiagV2({_DIAG_INPUTS}) -> output: T", **_BANDED)
def matrix_diag_v2_op(xp, diagonal, k, num_rows, num_cols, padding_value):
    return _matrix_diag_kernel(xp, diagonal, k, num_rows, num_cols, padding_value, "LEFT_LEFT")


@op(f"MatrixDiagV3({_DIAG_INPUTS}, *, {_ALIGN}) -> output: T", **_BANDED)
def matrix_diag_v3_op(xp, diagonal, k, num_rows, num_cols, padding_value, *, align):
    return _matrix_diag_kernel(xp, diagonal, k, num_rows, num_cols, padding_value, align)


@matrix_diag_v2_op.gradient
def _(op, grad):
    return matrix_diag_part_v2_op(grad, op.inputs[1], _zero(grad)), None, None, None, None


@matrix_diag_v3_op.gradient
def _(op, grad):
    part = matrix_diag_part_v3_op(grad, op.inputs[1], _zero(grad), align=op.attrs["align"])
    return part, None, None, None, None


def _zero(like: Any) -> Tensor:
    return conversion.to_tensor(0, dtype=like.dtype.base_dtype)


@export(v1=["linalg.diag", "matrix_diag"])
def matrix_diag(
    diagonal: Any, name: str = "diag", k: Any = 0, num_rows: Any = -1, num_cols: Any = -1, padding_value: Any = 0
) -> Tensor:
    """A matrix, or a batch of matrices, with given diagonals.

    Args:
      diagonal: any dtype, [..., n]: the diagonal; for a band of m diagonals [..., m, n], the highest first.
      name: the operation's name.
      k: which diagonal: 0 the main one, positive above it; a pair (low, high) for a band.
      num_rows, num_cols: the size of the matrices; default: the smallest that fits.
      padding_value: what stands elsewhere, a scalar.

    Example:
      >>> tf.matrix_diag([1, 2])     # [[1, 0], [0, 2]]
    """
    if all(_is_int(value, default) for value, default in ((k, 0), (num_rows, -1), (num_cols, -1), (padding_value, 0))):
        return matrix_diag_op(diagonal, name=name)
    return matrix_diag_v2_op(diagonal, k, num_rows, num_cols, padding_value, name=name)


def _is_int(value: Any, wanted: int) -> bool:
    return isinstance(value, (int, float)) and value == wanted


@export(v2=["linalg.diag"])
def matrix_diag_v2(
    diagonal: Any,
    name: str = "diag",
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:
    """A matrix, or a batch of matrices, with given diagonals.

    As in 1.x; `align` says on which side short diagonals above (first word) and below the main one are filled up.
    """
    return matrix_diag_v3_op(diagonal, k, num_rows, num_cols, padding_value, align=align, name=name)


# --- Diagonals of matrices ----------------------------------------------------------------------------------


def _matrix_diag_part_shape(c: ShapeContext) -> Any:
    shape = shapes.with_rank_at_least(c.shape(0), 2)
    if shape is None:
        return None
    rows, columns = shape[-2:]
    return (*shape[:-2], None if rows is None or columns is None else min(rows, columns))


@op("MatrixDiagPart(input: T) -> diagonal: T", T=ANY, shape=_matrix_diag_part_shape)
def matrix_diag_part_op(xp, input):
    return xp.diagonal(input, axis1=-2, axis2=-1)


@matrix_diag_part_op.gradient
def _(op, grad):
    shape = op.inputs[0]._shape
    if shape is not None and shape[-1] is not None and shape[-1] == shape[-2]:
        return matrix_diag_op(grad)
    return matrix_set_diag_op(zeros_like(op.inputs[0]), grad)


def _banded_part_shape(c: ShapeContext) -> Any:
    shape, k = shapes.with_rank_at_least(c.shape(0), 2), c.constant(1)
    if shape is None or k is None:
        return None
    low, high = _band_limits(k)
    band = () if low == high else (high - low + 1,)
    rows, columns = shape[-2:]
    return (*shape[:-2], *band, None if rows is None or columns is None else _longest(rows, columns, low, high))


_PART: dict[str, Any] = {"T": ANY, "shape": _banded_part_shape, "static": ("k",)}


@op("MatrixDiagPartV2(input: T, k: int32, padding_value: T) -> diagonal: T", **_PART)
def matrix_diag_part_v2_op(xp, input, k, padding_value):
    return _extract(xp, input, k, padding_value, "LEFT_LEFT")


@op(f"MatrixDiagPartV3(input: T, k: int32, padding_value: T, *, {_ALIGN}) -> diagonal: T", **_PART)
def matrix_diag_part_v3_op(xp, input, k, padding_value, *, align):
    return _extract(xp, input, k, padding_value, align)


@matrix_diag_part_v2_op.gradient
def _(op, grad):
    return matrix_set_diag_v2_op(zeros_like(op.inputs[0]), grad, op.inputs[1]), None, None


@matrix_diag_part_v3_op.gradient
def _(op, grad):
    zeros = zeros_like(op.inputs[0])
    return matrix_set_diag_v3_op(zeros, grad, op.inputs[1], align=op.attrs["align"]), None, None


@export(v1=["linalg.diag_part", "matrix_diag_part"])
def matrix_diag_part(input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0) -> Tensor:
    """The diagonals of a matrix, or of each matrix of a batch.

    Args:
      input: any dtype, [..., m, n].
      name: the operation's name.
      k: which diagonal: 0 the main one, positive above it; a pair (low, high) for a band.
      padding_value: fills up the shorter diagonals of a band.

    Returns:
      [..., length], for a band [..., high - low + 1, longest], the highest first.
    """
    if _is_int(k, 0) and _is_int(padding_value, 0):
        return matrix_diag_part_op(input, name=name)
    return matrix_diag_part_v2_op(input, k, padding_value, name=name)


@export(v2=["linalg.diag_part"])
def matrix_diag_part_v2(
    input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The diagonals of a matrix, or of each matrix of a batch.

    As in 1.x; `align` says on which side short diagonals above (first word) and below the main one are filled up.
    """
    return matrix_diag_part_v3_op(input, k, padding_value, align=align, name=name)


# --- Matrices with other diagonals --------------------------------------------------------------------------


def _matrix_set_diag_shape(c: ShapeContext) -> Any:
    shape, diagonal = shapes.with_rank_at_least(c.shape(0), 2), shapes.with_rank_at_least(c.shape(1), 1)
    if shape is None:
        return None if diagonal is None else (*diagonal[:-1], None, None)
    if None not in shape[-2:]:
        diagonal = shapes.with_rank(diagonal, len(shape) - 1)
        shapes.merge_dim(min(shape[-2:]), diagonal[-1])
    if diagonal is None:
        return shape
    return (*(shapes.merge(shape[:-2], diagonal[:-1]) or ()), *shape[-2:])


@op("MatrixSetDiag(input: T, diagonal: T) -> output: T", T=ANY, shape=_matrix_set_diag_shape)
def matrix_set_diag_op(xp, input, diagonal):
    return _insert(xp, input, diagonal, 0, "LEFT_LEFT")


_SET: dict[str, Any] = {"T": ANY, "shape": same_as(0), "static": ("k",)}


@op("MatrixSetDiagV2(input: T, diagonal: T, k: int32) -> output: T", **_SET)
def matrix_set_diag_v2_op(xp, input, diagonal, k):
    return _insert(xp, input, diagonal, k, "LEFT_LEFT")


@op(f"MatrixSetDiagV3(input: T, diagonal: T, k: int32, *, {_ALIGN}) -> output: T", **_SET)
def matrix_set_diag_v3_op(xp, input, diagonal, k, *, align):
    return _insert(xp, input, diagonal, k, align)


@matrix_set_diag_op.gradient
def _(op, grad):
    part = matrix_diag_part_op(grad)
    return matrix_set_diag_op(grad, zeros_like(part)), part


@matrix_set_diag_v2_op.gradient
def _(op, grad):
    k = op.inputs[2]
    part = matrix_diag_part_v2_op(grad, k, _zero(grad))
    return matrix_set_diag_v2_op(grad, zeros_like(part), k), part, None


@matrix_set_diag_v3_op.gradient
def _(op, grad):
    k, align = op.inputs[2], op.attrs["align"]
    part = matrix_diag_part_v3_op(grad, k, _zero(grad), align=align)
    return matrix_set_diag_v3_op(grad, zeros_like(part), k, align=align), part, None


@export(v1=["linalg.set_diag", "matrix_set_diag"])
def matrix_set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0) -> Tensor:
    """The same matrices with other diagonals.

    Args:
      input: any dtype, [..., m, n].
      diagonal: the same dtype, [..., length]; for a band [..., high - low + 1, longest], the highest first.
      name: the operation's name.
      k: which diagonal: 0 the main one, positive above it; a pair (low, high) for a band.

    Raises:
      ValueError: the diagonal is of another length.
    """
    if _is_int(k, 0):
        return matrix_set_diag_op(input, diagonal, name=name)
    return matrix_set_diag_v2_op(input, diagonal, k, name=name)


@export(v2=["linalg.set_diag"])
def matrix_set_diag_v2(
    input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The same matrices with other diagonals.

    As in 1.x; `align` says on which side short diagonals above (first word) and below the main one are filled up.
    """
    return matrix_set_diag_v3_op(input, diagonal, k, align=align, name=name)


# --- Bands --------------------------------------------------------------------------------------------------


@op(
    "MatrixBandPart(input: T, num_lower: Tindex, num_upper: Tindex) -> band: T",
    T=ANY,
    Tindex="int32 int64 = int64",
    shape=same_as(0),
)
def matrix_band_part_op(xp, input, num_lower, num_upper):
    rows, columns = input.shape[-2:]
    distance = xp.asarray(np.arange(columns)[None, :] - np.arange(rows)[:, None])
    kept = ((num_lower < 0) | (-distance <= num_lower)) & ((num_upper < 0) | (distance <= num_upper))
    return xp.where(kept, input, xp.zeros((), input.dtype))


@matrix_band_part_op.gradient
def _(op, grad):
    return matrix_band_part_op(grad, op.inputs[1], op.inputs[2]), None, None


@export("linalg.band_part", v1=["matrix_band_part"])
def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """The same matrices with zeros outside of a band around the main diagonal.

    Args:
      input: any dtype, [..., m, n].
      num_lower, num_upper: int32 or int64 scalars: how many diagonals below and above are kept; negative: all.
      name: the operation's name.

    Example:
      >>> tf.linalg.band_part(x, -1, 0)     # the lower triangle
    """
    return matrix_band_part_op(input, num_lower, num_upper, name=name)
