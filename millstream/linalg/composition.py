"""`LinearOperatorComposition`: products of operators."""

from __future__ import annotations

from functools import reduce
from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.adjoint import LinearOperatorAdjoint
from millstream.linalg.arguments import given
from millstream.linalg.composites import all_pass, checked
from millstream.linalg.dimensions import Dims, broadcast_dims, dims_of, static_shape
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.linalg_ops import adjoint_of


@export("linalg.LinearOperatorComposition")
class LinearOperatorComposition(SizedOperator):
    """The product of operators: the last one is applied first.

    Args:
      operators: a list of operators of one dtype; their batch shapes broadcast.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. A product of
        non-singular operators is non-singular, and A A^H is self-adjoint.
      name: a name for the operator; default: the operators' names with `_o_` between them.

    Raises:
      TypeError: the dtypes differ.
      ValueError: there are no operators, the dimensions do not fit, or a hint is wrong.
    """

    _BATCHED = {"operators": 0}

    def __init__(
        self,
        operators: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str | None = None,
    ) -> None:
        arguments = given(locals())
        self._operators = checked(operators)
        self._check_dimensions()
        found = {"is_non_singular": self._implied(arguments, "is_non_singular", self._all("is_non_singular"))}
        if _is_symmetric(self._operators):
            found["is_self_adjoint"] = self._implied(arguments, "is_self_adjoint", True)
            if found["is_non_singular"]:
                found["is_positive_definite"] = self._implied(arguments, "is_positive_definite", True)
        name = name or "_o_".join(operator.name for operator in self._operators)
        self._initialize(self._operators[0].dtype, arguments, **found, name=name)

    def _check_dimensions(self) -> None:
        for left, right in zip(self._operators, self._operators[1:], strict=False):
            columns, rows = (static_shape(left) or (None,))[-1], (static_shape(right) or (None, None))[-2]
            if None not in (columns, rows) and columns != rows:
                raise ValueError(f"Dimensions {columns} and {rows} are not compatible")

    def _all(self, hint: str) -> Hint:
        return hints.all_of(getattr(operator, hint) for operator in self._operators)

    def _implied(self, arguments: dict[str, Any], hint: str, found: Hint) -> Hint:
        message = f"The operators imply that `{hint}` is {found}. Received: {arguments[hint]}."
        return hints.implied(arguments[hint], found, message)

    @property
    def operators(self) -> list[LinearOperator]:
        """The factors, the one that is applied last first."""
        return self._operators

    def _dims(self) -> Dims:
        dims = [dims_of(operator) for operator in self._operators]
        return [*broadcast_dims(*[each[:-2] for each in dims]), dims[0][-2], dims[-1][-1]]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        result = adjoint_of(x) if adjoint_arg else x
        for operator in self._operators if adjoint else reversed(self._operators):
            result = operator.matmul(result, adjoint=adjoint)
        return result

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        result = adjoint_of(rhs) if adjoint_arg else rhs
        for operator in reversed(self._operators) if adjoint else self._operators:
            result = operator.solve(result, adjoint=adjoint)
        return result

    def _to_dense(self) -> Tensor:
        result = self._operators[-1].to_dense()
        for operator in reversed(self._operators[:-1]):
            result = operator.matmul(result)
        return result

    def _determinant(self) -> Tensor:
        if not self._all("is_square"):
            return super()._determinant()
        return reduce(lambda a, b: a * b, [operator.determinant() for operator in self._operators])

    def _log_abs_determinant(self) -> Tensor:
        if not self._all("is_square"):
            return super()._log_abs_determinant()
        return reduce(lambda a, b: a + b, [operator.log_abs_determinant() for operator in self._operators])

    def _assert_non_singular(self) -> Any:
        if not self._all("is_square"):
            return super()._assert_non_singular()
        return all_pass(self._operators, lambda operator: operator.assert_non_singular())


def _is_symmetric(operators: list[LinearOperator]) -> bool:
    """Whether the second half has the adjoints of the first half, in reverse order: A B B^H A^H."""
    half, odd = divmod(len(operators), 2)
    return not odd and all(map(_are_adjoint, operators[:half], reversed(operators[half:])))


def _are_adjoint(a: LinearOperator, b: LinearOperator) -> bool:
    if isinstance(a, LinearOperatorAdjoint) and a.operator is b:
        return True
    if isinstance(b, LinearOperatorAdjoint) and b.operator is a:
        return True
    return a is b and bool(a.is_self_adjoint)
