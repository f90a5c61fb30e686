"""`LinearOperatorHouseholder`: reflections."""

from __future__ import annotations

from typing import Any

from millstream.core import errors
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, as_vector, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.complex_ops import conj
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.fill_ops import eye, ones, zeros
from millstream.ops.join_ops import concat
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.math_ops import cast
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims


@export("linalg.LinearOperatorHouseholder")
class LinearOperatorHouseholder(SizedOperator):
    """The reflection `I - 2 v v^H / |v|^2` at the plane through 0 that is perpendicular to an axis v.

    Args:
      reflection_axis: [..., n], floating point or complex: v, not 0.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. It is
        self-adjoint and not positive definite.
      name: a name for the operator.

    Raises:
      TypeError: `reflection_axis` is neither floating point nor complex.
      ValueError: `reflection_axis` is a scalar, or a hint is wrong.
    """

    _BATCHED = {"reflection_axis": 1}

    def __init__(
        self,
        reflection_axis: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorHouseholder",
    ) -> None:
        arguments = given(locals())
        self._reflection_axis = numeric_parameter(reflection_axis, "reflection_axis", 1)
        always = "A Householder operator is always"
        self._initialize(
            self._reflection_axis.dtype,
            arguments,
            is_self_adjoint=hints.implied(is_self_adjoint, True, f"{always} self adjoint."),
            is_positive_definite=hints.implied(is_positive_definite, False, f"{always} non-positive definite."),
            is_square=hints.implied(is_square, True, f"{always} square."),
        )

    @property
    def reflection_axis(self) -> Any:
        """The axis, as given."""
        return self._reflection_axis

    def _dims(self) -> Dims:
        dims = dims_of(self._reflection_axis)
        return [*dims, dims[-1]]

    def _unit_axis(self) -> Tensor:
        """The axis as columns of length 1, [..., n, 1]."""
        axis = to_tensor(self._reflection_axis)
        length = sqrt(reduce_sum(axis * conj(axis), axis=-1, keepdims=True))
        return expand_dims(axis / length, -1)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        x = adjoint_of(x) if adjoint_arg else x
        axis = self._unit_axis()
        return x - 2 * axis * matmul(axis, x, adjoint_a=True)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, adjoint_arg=adjoint_arg)

    def _to_dense(self) -> Tensor:
        axis = self._unit_axis()
        return eye(self._dims()[-1], dtype=self.dtype) - 2 * matmul(axis, axis, adjoint_b=True)

    def _diag_part(self) -> Tensor:
        axis = self._unit_axis()[..., 0]
        return 1 - 2 * axis * conj(axis)

    def _ones(self, *event: Any) -> Tensor:
        return ones(as_vector([*self._batch_dims, *event]), self.dtype)

    def _trace(self) -> Tensor:
        return (cast(self._dims()[-1], self.dtype) - 2) * self._ones()

    def _determinant(self) -> Tensor:
        return -self._ones()

    def _log_abs_determinant(self) -> Tensor:
        return zeros(as_vector(self._batch_dims), self.dtype)

    def _eigvals(self) -> Tensor:
        return concat([-self._ones(1), self._ones(self._dims()[-1] - 1)], axis=-1)

    def _cond(self) -> Tensor:
        return self._ones()

    def _assert_non_singular(self) -> Any:
        return checks.nothing()

    _assert_self_adjoint = _assert_non_singular

    def _assert_positive_definite(self) -> Any:
        raise errors.InvalidArgumentError(None, None, "Householder operators are always non-positive definite.")

    def _linop_inverse(self) -> LinearOperatorHouseholder:
        return self
