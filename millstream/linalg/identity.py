"""`LinearOperatorIdentity` and `LinearOperatorScaledIdentity`: identity matrices and their multiples."""

from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import count_parameter, given, numeric_parameter, shape_parameter
from millstream.linalg.dimensions import Dims, as_vector, broadcast_batch, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.linalg.slicing import sliced_dims
from millstream.ops.arithmetic_ops import pow
from millstream.ops.comparison_ops import equal
from millstream.ops.complex_ops import conj
from millstream.ops.diag_ops import matrix_diag_part, matrix_set_diag
from millstream.ops.elementwise_ops import abs, log, sqrt
from millstream.ops.fill_ops import eye, ones, zeros
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.math_ops import cast
from millstream.ops.reshape_ops import expand_dims
from millstream.ops.select_ops import where_v2


@export("linalg.LinearOperatorIdentity")
class LinearOperatorIdentity(SizedOperator):
    """The identity matrix.

    Args:
      num_rows: how many rows and columns, an integer scalar.
      batch_shape: int32 or int64 vector: how many of them; default: one.
      dtype: the dtype; default float32.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: True.
      assert_proper_shapes: accepted for compatibility: shapes are always checked.
      name: a name for the operator.

    Raises:
      TypeError: `num_rows` or `batch_shape` is not an integer.
      ValueError: `num_rows` or `batch_shape` is negative or of another rank, or a hint is not True.
    """

    def __init__(
        self,
        num_rows: Any,
        batch_shape: Any = None,
        dtype: Any = None,
        is_non_singular: Hint = True,
        is_self_adjoint: Hint = True,
        is_positive_definite: Hint = True,
        is_square: Hint = True,
        assert_proper_shapes: bool = False,
        name: str = "LinearOperatorIdentity",
    ) -> None:
        arguments = given(locals())
        always = "An identity operator is always"
        hints.implied(is_self_adjoint, True, f"{always} self adjoint.")
        hints.implied(is_non_singular, True, f"{always} non-singular.")
        hints.implied(is_positive_definite, True, f"{always} positive-definite.")
        hints.implied(is_square, True, f"{always} square.")
        self._num_rows = count_parameter(num_rows, "num_rows")
        self._batch = [] if batch_shape is None else shape_parameter(batch_shape, "batch_shape")
        self._initialize(dtypes.float32 if dtype is None else dtype, arguments)

    def _dims(self) -> Dims:
        return [*self._batch, self._num_rows, self._num_rows]

    def __getitem__(self, slices: Any) -> LinearOperatorIdentity:
        batch = as_vector(sliced_dims(self._batch, slices))
        return LinearOperatorIdentity(**{**self.parameters, "batch_shape": batch})

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return broadcast_batch(adjoint_of(x) if adjoint_arg else x, self._batch)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, adjoint_arg=adjoint_arg)

    def _to_dense(self) -> Tensor:
        return eye(self._num_rows, batch_shape=as_vector(self._batch), dtype=self.dtype)

    def _ones(self, dims: Dims) -> Tensor:
        return ones(as_vector(dims), self.dtype)

    def _diag_part(self) -> Tensor:
        return self._ones([*self._batch, self._num_rows])

    def _eigvals(self) -> Tensor:
        return self._diag_part()

    def _trace(self) -> Tensor:
        return cast(self._num_rows, self.dtype) * self._ones(self._batch)

    def _determinant(self) -> Tensor:
        return self._ones(self._batch)

    def _log_abs_determinant(self) -> Tensor:
        return zeros(as_vector(self._batch), self.dtype)

    def _cond(self) -> Tensor:
        return self._ones(self._batch)

    def add_to_tensor(self, mat: Any, name: str = "add_to_tensor") -> Tensor:
        """The matrix plus `mat`, [..., n, n] of the operator's dtype."""
        return super().add_to_tensor(mat, name)

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        x = broadcast_batch(x, self._batch)
        return matrix_set_diag(x, matrix_diag_part(x) + to_tensor(1, self.dtype))

    def _assert_non_singular(self) -> Any:
        return checks.nothing()

    _assert_self_adjoint = _assert_positive_definite = _assert_non_singular

    def _linop_inverse(self) -> LinearOperatorIdentity:
        return self

    def _linop_cholesky(self) -> LinearOperatorIdentity:
        return self


@export("linalg.LinearOperatorScaledIdentity")
class LinearOperatorScaledIdentity(SizedOperator):
    """A multiple of the identity matrix.

    Args:
      num_rows: how many rows and columns, an integer scalar.
      multiplier: [...], floating point or complex: the factor of each matrix of the batch.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. Real ones are
        self-adjoint.
      assert_proper_shapes: accepted for compatibility: shapes are always checked.
      name: a name for the operator.

    Raises:
      TypeError: `num_rows` is not an integer, or `multiplier` neither floating point nor complex.
      ValueError: `num_rows` is negative or no scalar, or a hint is wrong.
    """

    def __init__(
        self,
        num_rows: Any,
        multiplier: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = True,
        assert_proper_shapes: bool = False,
        name: str = "LinearOperatorScaledIdentity",
    ) -> None:
        arguments = given(locals())
        hints.implied(is_square, True, "A ScaledIdentity operator is always square.")
        self._num_rows = count_parameter(num_rows, "num_rows")
        self._multiplier = numeric_parameter(multiplier, "multiplier", 0)
        real_hint = None if self._multiplier.dtype.is_complex else True
        message = "A real diagonal operator is always self adjoint."
        is_self_adjoint = hints.implied(is_self_adjoint, real_hint, message)
        self._initialize(self._multiplier.dtype, arguments, is_self_adjoint=is_self_adjoint, is_square=True)

    _BATCHED = {"multiplier": 0}

    @property
    def multiplier(self) -> Any:
        """The factor of the identity, [...]."""
        return self._multiplier

    def _dims(self) -> Dims:
        return [*dims_of(self._multiplier), self._num_rows, self._num_rows]

    def _factor(self, adjoint: bool = False) -> Tensor:
        """The factor of matrices, [..., 1, 1]."""
        return expand_dims(self._factor_of_vectors(adjoint), -1)

    def _factor_of_vectors(self, adjoint: bool = False) -> Tensor:
        return expand_dims(conj(self._multiplier) if adjoint else self._multiplier, -1)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return (adjoint_of(x) if adjoint_arg else x) * self._factor(adjoint)

    def _matvec(self, x: Tensor, adjoint: bool = False) -> Tensor:
        return x * self._factor_of_vectors(adjoint)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return (adjoint_of(rhs) if adjoint_arg else rhs) / self._factor(adjoint)

    def _to_dense(self) -> Tensor:
        return eye(self._num_rows, dtype=self.dtype) * self._factor()

    def _diag_part(self) -> Tensor:
        return self._factor_of_vectors() * ones(as_vector([self._num_rows]), self.dtype)

    def _eigvals(self) -> Tensor:
        return self._diag_part()

    def _trace(self) -> Tensor:
        return self._multiplier * self._count(self.dtype)

    def _count(self, dtype: Any) -> Tensor:
        return cast(self._num_rows, dtype)

    def _determinant(self) -> Tensor:
        return pow(self._multiplier, self._count(self.dtype))

    def _log_abs_determinant(self) -> Tensor:
        size = abs(self._multiplier)
        return self._count(size.dtype) * log(size)

    def _cond(self) -> Tensor:
        is_zero = equal(self._multiplier, to_tensor(0, self.dtype))
        return where_v2(is_zero, to_tensor(float("nan"), self.dtype), to_tensor(1, self.dtype))

    def add_to_tensor(self, mat: Any, name: str = "add_to_tensor") -> Tensor:
        """The matrix plus `mat`, [..., n, n] of the operator's dtype."""
        return super().add_to_tensor(mat, name)

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        x = broadcast_batch(x, self._batch_dims)
        return matrix_set_diag(x, matrix_diag_part(x) + self._factor_of_vectors())

    def _assert_non_singular(self) -> Any:
        return checks.positive_real_parts(abs(self._multiplier), "LinearOperator was singular.")

    def _assert_self_adjoint(self) -> Any:
        return checks.no_imaginary_parts(self._multiplier, "LinearOperator was not self-adjoint")

    def _assert_positive_definite(self) -> Any:
        return checks.positive_real_parts(self._multiplier, "LinearOperator was not positive definite.")

    def _scaled(self, multiplier: Any) -> LinearOperatorScaledIdentity:
        return LinearOperatorScaledIdentity(self._num_rows, multiplier, **hints.of(self))

    def _linop_adjoint(self) -> LinearOperatorScaledIdentity:
        return self._scaled(conj(self._multiplier))

    def _linop_inverse(self) -> LinearOperatorScaledIdentity:
        return self._scaled(1 / to_tensor(self._multiplier))

    def _linop_cholesky(self) -> LinearOperatorScaledIdentity:
        return self._scaled(sqrt(self._multiplier))
