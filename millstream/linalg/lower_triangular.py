"""`LinearOperatorLowerTriangular`: lower triangular matrices."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.diag_ops import matrix_band_part, matrix_diag_part
from millstream.ops.elementwise_ops import abs, log
from millstream.ops.linalg_ops import adjoint_of, matrix_triangular_solve
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_prod, reduce_sum


@export("linalg.LinearOperatorLowerTriangular")
class LinearOperatorLowerTriangular(SizedOperator):
    """A square matrix with zeros above its diagonal.

    Args:
      tril: [..., n, n], floating point or complex; what is above the diagonal is not read.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      TypeError: `tril` is neither floating point nor complex.
      ValueError: `tril` has fewer than 2 dimensions, or `is_square` is False.
    """

    _BATCHED = {"tril": 2}

    def __init__(
        self,
        tril: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorLowerTriangular",
    ) -> None:
        arguments = given(locals())
        message = "Only square lower triangular operators supported at this time."
        self._tril = numeric_parameter(tril, "tril", 2)
        self._initialize(self._tril.dtype, arguments, is_square=hints.implied(is_square, True, message))

    @property
    def tril(self) -> Any:
        """The matrix, as given."""
        return self._tril

    def _dims(self) -> Dims:
        return dims_of(self._tril)

    def _to_dense(self) -> Tensor:
        return matrix_band_part(self._tril, -1, 0)

    def _diag_part(self) -> Tensor:
        return matrix_diag_part(self._tril)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return matmul(self._to_dense(), x, adjoint_a=adjoint, adjoint_b=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = adjoint_of(rhs) if adjoint_arg else rhs
        return matrix_triangular_solve(self._tril, rhs, lower=True, adjoint=adjoint)

    def _determinant(self) -> Tensor:
        return reduce_prod(self._diag_part(), axis=[-1])

    def _log_abs_determinant(self) -> Tensor:
        return reduce_sum(log(abs(self._diag_part())), axis=[-1])

    def _eigvals(self) -> Tensor:
        return self._diag_part()

    def _assert_non_singular(self) -> Any:
        return checks.no_zeros(self._diag_part(), "Singular operator:  Diagonal contained zero values.")
