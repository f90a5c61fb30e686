"""`LinearOperatorInversion`: the inverse of an operator."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg.arguments import given
from millstream.linalg.dimensions import Dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator


@export("linalg.LinearOperatorInversion")
class LinearOperatorInversion(SizedOperator):
    """The inverse of an operator: its products are the other's solutions.

    Args:
      operator: the operator, square and non-singular.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`; default: those
        of `operator`.
      name: a name; default: the operator's with `_inv`.

    Raises:
      ValueError: `operator` is known to be singular or not square.
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
        for hint in ("is_square", "is_non_singular"):
            if getattr(operator, hint) is False or arguments[hint] is False:
                raise ValueError(
                    f"Argument `{hint}` or argument `operator` must have supplied hint `{hint}` equal to `True` or "
                    f"`None`. Found `operator.{hint}`: {getattr(operator, hint)}, `{hint}`: {arguments[hint]}."
                )
        inherited = {
            hint: getattr(operator, hint)
            for hint in ("is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square")
            if arguments[hint] is None
        }
        self._operator: LinearOperator = operator
        self._initialize(operator.dtype, arguments, **inherited, name=name or f"{operator.name}_inv")

    @property
    def operator(self) -> LinearOperator:
        """The operator that this is the inverse of."""
        return self._operator

    def _dims(self) -> Dims:
        *batch, rows, columns = dims_of(self._operator)
        return [*batch, columns, rows]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator.solve(x, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._operator.matmul(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def _determinant(self) -> Tensor:
        return 1 / self._operator.determinant()

    def _log_abs_determinant(self) -> Tensor:
        return -self._operator.log_abs_determinant()

    def _eigvals(self) -> Tensor:
        if not self._operator.is_self_adjoint:
            return super()._eigvals()
        return 1 / self._operator.eigvals()

    def _cond(self) -> Tensor:
        return self._operator.cond()

    def _assert_non_singular(self) -> Any:
        return self._operator.assert_non_singular()

    def _assert_self_adjoint(self) -> Any:
        return self._operator.assert_self_adjoint()

    def _assert_positive_definite(self) -> Any:
        return self._operator.assert_positive_definite()

    def _linop_inverse(self) -> LinearOperator:
        return self._operator
