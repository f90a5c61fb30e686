"""`LinearOperatorToeplitz`: matrices whose diagonals are constant."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, as_vector, broadcast_batch, broadcast_dims, dims_of, static_shape
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops import check_ops
from millstream.ops.complex_ops import conj, real
from millstream.ops.fft_ops import fft, ifft
from millstream.ops.fill_ops import ones, zeros
from millstream.ops.gather_ops import gather
from millstream.ops.join_ops import concat
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.pad_ops import reverse
from millstream.ops.reshape_ops import expand_dims, matrix_transpose


@export("linalg.LinearOperatorToeplitz")
class LinearOperatorToeplitz(SizedOperator):
    """A square matrix whose element in row i and column j depends on i - j only; products take O(n log n).

    Args:
      col: [..., n], floating point or complex: the first column.
      row: [..., n] of the same dtype: the first row, whose first element is not read.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      TypeError: an argument is neither floating point nor complex.
      ValueError: `col` and `row` are of different lengths, or `is_square` is False.
    """

    _BATCHED = {"col": 1, "row": 1}

    def __init__(
        self,
        col: Any,
        row: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorToeplitz",
    ) -> None:
        arguments = given(locals())
        self._col, self._row = numeric_parameter(col, "col", 1), numeric_parameter(row, "row", 1)
        if self._col.dtype.base_dtype is not self._row.dtype.base_dtype:
            raise TypeError(f"row and col must have the same dtype. Found {self._row.dtype} and {self._col.dtype}.")
        sizes = [(static_shape(part) or (None,))[-1] for part in (self._col, self._row)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError("Expected square matrix, got row and col with mismatched dimensions.")
        message = "Only square Toeplitz operators currently supported."
        self._initialize(self._col.dtype, arguments, is_square=hints.implied(is_square, True, message))

    @property
    def col(self) -> Any:
        """The first column."""
        return self._col

    @property
    def row(self) -> Any:
        """The first row."""
        return self._row

    def _dims(self) -> Dims:
        col, row = dims_of(self._col), dims_of(self._row)
        return [*broadcast_dims(col[:-1], row[:-1]), col[-1], col[-1]]

    def _first(self, adjoint: bool = False) -> tuple[Any, Any]:
        """The first column, and the first row without its first element, with all batch dimensions."""
        col, row = (broadcast_batch(part, self._batch_dims, event=1) for part in (self._col, self._row))
        if adjoint:
            col, row = conj(concat([col[..., :1], row[..., 1:]], axis=-1)), conj(col)
        return col, row[..., 1:]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        # The upper left corner of a circulant matrix of 2n - 1 rows.
        x = x if adjoint_arg else matrix_transpose(x)
        if adjoint_arg:
            x = conj(x)
        size = self._dims()[-1]
        col, row = self._first(adjoint)
        wide = dtypes.complex128 if self.dtype in (dtypes.float64, dtypes.complex128) else dtypes.complex64
        spectrum = fft(cast(concat([col, reverse(row, [-1])], axis=-1), wide))
        padding = zeros(as_vector([*dims_of(x)[:-1], size - 1]), x.dtype)
        products = ifft(expand_dims(spectrum, -2) * fft(cast(concat([x, padding], axis=-1), wide)))[..., :size]
        products = products if self.dtype.is_complex else real(products)
        return matrix_transpose(cast(products, self.dtype))

    def _to_dense(self) -> Tensor:
        col, row = self._first()
        places = range_of(self._dims()[-1])
        differences = expand_dims(places, -1) - places
        return gather(concat([reverse(row, [-1]), col], axis=-1), differences + self._dims()[-1] - 1, axis=-1)

    def _diag_part(self) -> Tensor:
        return self._first()[0][..., :1] * ones(as_vector([self._dims()[-1]]), self.dtype)

    def _trace(self) -> Tensor:
        return self._first()[0][..., 0] * cast(self._dims()[-1], self.dtype)

    def _assert_self_adjoint(self) -> Any:
        message = "row and col are not the same, and so this operator is not self-adjoint."
        return check_ops.assert_equal_v2(conj(self._row), self._col, message)
