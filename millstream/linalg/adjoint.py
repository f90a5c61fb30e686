"""`LinearOperatorAdjoint`: the conjugate transpose of an operator."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given
from millstream.linalg.dimensions import Dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.complex_ops import conj
from millstream.ops.linalg_ops import adjoint_of


@export("linalg.LinearOperatorAdjoint")
class LinearOperatorAdjoint(SizedOperator):
    """The conjugate transpose of an operator.

    Args:
      operator: the operator.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`; default: those
        of `operator`.
      name: a name; default: the operator's with `_adjoint`.

    Raises:
      ValueError: a hint is another one than that of `operator`.
    """

    _BATCHED = {"operator": 0}

    def __init__(
        self,
        operator: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str | None = None,
    ) -> None:
        arguments = given(locals())
        found = {
            hint: hints.implied(
                arguments[hint],
                getattr(operator, hint),
                f"An operator is {what} if and only if its adjoint is {what}.",
            )
            for hint, what in (
                ("is_non_singular", "non-singular"),
                ("is_self_adjoint", "self-adjoint"),
                ("is_positive_definite", "positive-definite"),
                ("is_square", "square"),
            )
        }
        self._operator: LinearOperator = operator
        self._initialize(operator.dtype, arguments, **found, name=name or f"{operator.name}_adjoint")

    @property
    def operator(self) -> LinearOperator:
        """The operator that this is the adjoint of."""
        return self._operator

    def _dims(self) -> Dims:
        *batch, rows, columns = dims_of(self._operator)
        return [*batch, columns, rows]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator.matmul(x, adjoint=not adjoint, adjoint_arg=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator.solve(rhs, adjoint=not adjoint, adjoint_arg=adjoint_arg)

    def _to_dense(self) -> Tensor:
        return adjoint_of(self._operator.to_dense())

    def _diag_part(self) -> Tensor:
        return conj(self._operator.diag_part())

    def _trace(self) -> Tensor:
        return conj(self._operator.trace())

    def _determinant(self) -> Tensor:
        return conj(self._operator.determinant())

    def _log_abs_determinant(self) -> Tensor:
        return self._operator.log_abs_determinant()

    def _cond(self) -> Tensor:
        return self._operator.cond()

    def _assert_non_singular(self) -> Any:
        return self._operator.assert_non_singular()

    def _assert_self_adjoint(self) -> Any:
        return self._operator.assert_self_adjoint()

    def _assert_positive_definite(self) -> Any:
        return self._operator.assert_positive_definite()

    def _linop_adjoint(self) -> LinearOperator:
        return self._operator
