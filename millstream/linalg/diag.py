"""`LinearOperatorDiag`: diagonal matrices."""

from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, broadcast_batch, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.complex_ops import conj
from millstream.ops.diag_ops import matrix_diag, matrix_diag_part, matrix_set_diag
from millstream.ops.elementwise_ops import abs, log, sqrt
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_max, reduce_min, reduce_prod, reduce_sum
from millstream.ops.reshape_ops import expand_dims


@export("linalg.LinearOperatorDiag")
class LinearOperatorDiag(SizedOperator):
    """A square matrix with zeros outside of its diagonal.

    Args:
      diag: [..., n], floating point or complex.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. Real ones are
        self-adjoint.
      name: a name for the operator.

    Raises:
      TypeError: `diag` is neither floating point nor complex.
      ValueError: `diag` is a scalar, or a hint is wrong.
    """

    _BATCHED = {"diag": 1}

    def __init__(
        self,
        diag: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorDiag",
    ) -> None:
        arguments = given(locals())
        self._diag = numeric_parameter(diag, "diag", 1)
        real_hint = None if self._diag.dtype.is_complex else True
        message = "A real diagonal operator is always self adjoint."
        self._initialize(
            self._diag.dtype,
            arguments,
            is_self_adjoint=hints.implied(is_self_adjoint, real_hint, message),
            is_square=hints.implied(is_square, True, "Only square diagonal operators currently supported."),
        )

    @property
    def diag(self) -> Any:
        """The diagonal."""
        return self._diag

    def _dims(self) -> Dims:
        dims = dims_of(self._diag)
        return [*dims, dims[-1]]

    def _factors(self, adjoint: bool) -> Any:
        return conj(self._diag) if adjoint else self._diag

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return expand_dims(self._factors(adjoint), -1) * (adjoint_of(x) if adjoint_arg else x)

    def _matvec(self, x: Tensor, adjoint: bool = False) -> Tensor:
        return self._factors(adjoint) * x

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return (adjoint_of(rhs) if adjoint_arg else rhs) / expand_dims(self._factors(adjoint), -1)

    def _solvevec(self, rhs: Tensor, adjoint: bool = False) -> Tensor:
        return rhs / self._factors(adjoint)

    def _to_dense(self) -> Tensor:
        return matrix_diag(self._diag)

    def _diag_part(self) -> Tensor:
        return to_tensor(self._diag)

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        x = broadcast_batch(x, self._batch_dims)
        return matrix_set_diag(x, matrix_diag_part(x) + self._diag)

    def _determinant(self) -> Tensor:
        return reduce_prod(self._diag, axis=[-1])

    def _log_abs_determinant(self) -> Tensor:
        return cast(reduce_sum(log(abs(self._diag)), axis=[-1]), self.dtype)

    def _eigvals(self) -> Tensor:
        return to_tensor(self._diag)

    def _cond(self) -> Tensor:
        sizes = abs(self._diag)
        return reduce_max(sizes, axis=-1) / reduce_min(sizes, axis=-1)

    def _assert_non_singular(self) -> Any:
        return checks.no_zeros(self._diag, "Singular operator:  Diagonal contained zero values.")

    def _assert_self_adjoint(self) -> Any:
        message = "This diagonal operator contained non-zero imaginary values.   Thus it was not self-adjoint."
        return checks.no_imaginary_parts(self._diag, message)

    def _assert_positive_definite(self) -> Any:
        kind, entries = "Real diagonal operator", "non-positive diagonal entries"
        if self.dtype.is_complex:
            kind, entries = "Diagonal operator", "diagonal entries with non-positive real part"
        message = f"{kind} had {entries}, thus was not positive definite."
        return checks.positive_real_parts(self._diag, message)

    def _linop_adjoint(self) -> LinearOperatorDiag:
        return LinearOperatorDiag(conj(self._diag), **hints.of(self))

    def _linop_inverse(self) -> LinearOperatorDiag:
        return LinearOperatorDiag(1 / to_tensor(self._diag), **hints.of(self))

    def _linop_cholesky(self) -> LinearOperatorDiag:
        return LinearOperatorDiag(sqrt(self._diag), **hints.of(self))
