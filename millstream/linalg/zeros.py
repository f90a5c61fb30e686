"""`LinearOperatorZeros`: matrices of zeros."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes, errors
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import count_parameter, given, shape_parameter
from millstream.linalg.dimensions import Dims, as_vector, broadcast_batch, broadcast_dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.linalg.slicing import sliced_dims
from millstream.ops.arithmetic_ops import minimum
from millstream.ops.elementwise_ops import log
from millstream.ops.fill_ops import fill, zeros


@export("linalg.LinearOperatorZeros")
class LinearOperatorZeros(SizedOperator):
    """A matrix of zeros.

    Args:
      num_rows: an integer scalar.
      num_columns: an integer scalar; default: as many as rows.
      batch_shape: int32 or int64 vector: how many of them; default: one.
      dtype: the dtype; default float32.
      is_non_singular, is_positive_definite: False.
      is_self_adjoint: True, or False for matrices that are not square.
      is_square: whether there are as many rows as columns.
      assert_proper_shapes: accepted for compatibility: shapes are always checked.
      name: a name for the operator.

    Raises:
      TypeError: a number of rows or columns, or the batch, is not an integer.
      ValueError: these are negative or of another rank, or a hint is wrong.
    """

    def __init__(
        self,
        num_rows: Any,
        num_columns: Any = None,
        batch_shape: Any = None,
        dtype: Any = None,
        is_non_singular: Hint = False,
        is_self_adjoint: Hint = True,
        is_positive_definite: Hint = False,
        is_square: Hint = True,
        assert_proper_shapes: bool = False,
        name: str = "LinearOperatorZeros",
    ) -> None:
        arguments = given(locals())
        hints.implied(is_non_singular, False, "A zero operator is always singular.")
        hints.implied(is_positive_definite, False, "A zero operator is always not positive-definite.")
        self._rows = count_parameter(num_rows, "num_rows")
        self._columns = self._rows if num_columns is None else count_parameter(num_columns, "num_columns")
        both_known = isinstance(self._rows, int) and isinstance(self._columns, int)
        if is_square and both_known and self._rows != self._columns:
            raise ValueError(
                "LinearOperatorZeros initialized as is_square=True, "
                f"but got num_rows({self._rows}) != num_columns({self._columns})"
            )
        self._batch = [] if batch_shape is None else shape_parameter(batch_shape, "batch_shape")
        self._initialize(dtypes.float32 if dtype is None else dtype, arguments)

    def _dims(self) -> Dims:
        return [*self._batch, self._rows, self._columns]

    def __getitem__(self, slices: Any) -> LinearOperatorZeros:
        batch = as_vector(sliced_dims(self._batch, slices))
        return LinearOperatorZeros(**{**self.parameters, "batch_shape": batch})

    def _zeros(self, dims: Dims) -> Tensor:
        return zeros(as_vector(dims), self.dtype)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        dims = dims_of(x)
        rows = self._columns if adjoint else self._rows
        return self._zeros([*broadcast_dims(self._batch, dims[:-2]), rows, dims[-2 if adjoint_arg else -1]])

    def _to_dense(self) -> Tensor:
        return self._zeros(self._dims())

    def _diag_part(self) -> Tensor:
        both_known = isinstance(self._rows, int) and isinstance(self._columns, int)
        return self._zeros([*self._batch, (min if both_known else minimum)(self._rows, self._columns)])

    def _eigvals(self) -> Tensor:
        return self._diag_part()

    def _trace(self) -> Tensor:
        return self._zeros(self._batch)

    def _determinant(self) -> Tensor:
        return self._zeros(self._batch)

    def _log_abs_determinant(self) -> Tensor:
        return log(self._zeros(self._batch))

    def _cond(self) -> Tensor:
        return fill(as_vector(self._batch), self.dtype.real_dtype.as_numpy_dtype("nan"))

    def add_to_tensor(self, mat: Any, name: str = "add_to_tensor") -> Tensor:
        """The matrix plus `mat`, [..., rows, columns] of the operator's dtype."""
        return super().add_to_tensor(mat, name)

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        return broadcast_batch(x, self._batch)

    def _assert_non_singular(self) -> Any:
        raise errors.InvalidArgumentError(None, None, "Zero operators are always non-invertible.")

    def _assert_positive_definite(self) -> Any:
        raise errors.InvalidArgumentError(None, None, "Zero operators are always non-positive definite.")

    def _assert_self_adjoint(self) -> Any:
        return checks.nothing()

    def _linop_adjoint(self) -> LinearOperatorZeros:
        return LinearOperatorZeros(
            self._columns,
            self._rows,
            as_vector(self._batch),
            self.dtype,
            is_self_adjoint=self.is_self_adjoint,
            is_square=self.is_square,
        )
