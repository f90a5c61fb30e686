"""`LinearOperatorKronecker`: Kronecker products."""

from __future__ import annotations

from functools import reduce
from typing import Any

from millstream.core import errors
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given
from millstream.linalg.composites import all_pass, checked
from millstream.linalg.dimensions import Dims, as_vector, broadcast_batch, broadcast_dims, dims_of, product
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.arithmetic_ops import pow
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.math_ops import cast
from millstream.ops.reshape_ops import expand_dims, matrix_transpose, reshape


@export("linalg.LinearOperatorKronecker")
class LinearOperatorKronecker(SizedOperator):
    """The Kronecker product of operators: the blocks of the whole are the last ones times elements of the first ones.

    Args:
      operators: a list of operators of one dtype; their batch shapes broadcast.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. What all
        operators are the whole is too.
      name: a name for the operator; default: the operators' names with `_x_` between them.

    Raises:
      TypeError: the dtypes differ.
      ValueError: there are no operators, or a hint is wrong.
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

        def inherited(hint: str, what: str) -> Hint:
            return hints.implied(
                arguments[hint],
                hints.all_of(getattr(operator, hint) for operator in self._operators),
                f"The Kronecker product of {what} operators is always {what}. Expected argument `{hint}` to be True. "
                f"Received: {arguments[hint]}.",
            )

        self._initialize(
            self._operators[0].dtype,
            arguments,
            is_non_singular=inherited("is_non_singular", "non-singular"),
            is_self_adjoint=inherited("is_self_adjoint", "self-adjoint"),
            is_positive_definite=inherited("is_positive_definite", "positive-definite"),
            is_square=inherited("is_square", "square"),
            name=name or "_x_".join(operator.name for operator in self._operators),
        )

    @property
    def operators(self) -> list[LinearOperator]:
        """The factors."""
        return self._operators

    def _dims(self) -> Dims:
        dims = [dims_of(operator) for operator in self._operators]
        batch = broadcast_dims(*[each[:-2] for each in dims])
        return [*batch, product(each[-2] for each in dims), product(each[-1] for each in dims)]

    def _apply(self, x: Tensor, inputs: Dims, method: str, adjoint: bool) -> Tensor:
        """Applies each factor along its own dimension of the rows of `x`.

        The rows of `x`, [..., n1 n2 ... nk, r], are seen as [..., n1, n2 ... nk r]. A factor is applied to the
        first of these dimensions, which is put behind the others; after all of them the columns of `x` are in front.
        """
        x = broadcast_batch(x, self._batch_dims)
        *batch, _, columns = dims_of(x)
        for size, operator in zip(inputs, self._operators, strict=True):
            x = reshape(x, as_vector([*batch, size, -1]))
            x = matrix_transpose(getattr(operator, method)(x, adjoint=adjoint))
        return matrix_transpose(reshape(x, as_vector([*batch, columns, -1])))

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        inputs = [dims_of(operator)[-2 if adjoint else -1] for operator in self._operators]
        return self._apply(adjoint_of(x) if adjoint_arg else x, inputs, "matmul", adjoint)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        inputs = [dims_of(operator)[-1 if adjoint else -2] for operator in self._operators]
        return self._apply(adjoint_of(rhs) if adjoint_arg else rhs, inputs, "solve", adjoint)

    def _powers(self, dtype: Any) -> list[tuple[LinearOperator, Tensor]]:
        """Each factor, and how often its determinant is one of the whole's."""
        size = cast(self._dims()[-1], dtype)
        return [(operator, size / cast(dims_of(operator)[-1], dtype)) for operator in self._operators]

    def _determinant(self) -> Tensor:
        if not all(operator.is_square for operator in self._operators):
            return super()._determinant()
        powers = self._powers(self.dtype)
        return reduce(lambda a, b: a * b, [pow(operator.determinant(), power) for operator, power in powers])

    def _log_abs_determinant(self) -> Tensor:
        if not all(operator.is_square for operator in self._operators):
            return super()._log_abs_determinant()
        powers = self._powers(self.dtype)
        return reduce(lambda a, b: a + b, [operator.log_abs_determinant() * power for operator, power in powers])

    def _trace(self) -> Tensor:
        if not all(operator.is_square for operator in self._operators):
            return super()._trace()
        return reduce(lambda a, b: a * b, [operator.trace() for operator in self._operators])

    def _diag_part(self) -> Tensor:
        if not all(operator.is_square for operator in self._operators):
            return super()._diag_part()
        return reduce(_outer, [operator.diag_part() for operator in self._operators])

    def _eigvals(self) -> Tensor:
        if not all(operator.is_self_adjoint for operator in self._operators):
            return super()._eigvals()
        return reduce(_outer, [operator.eigvals() for operator in self._operators])

    def _to_dense(self) -> Tensor:
        return reduce(_kronecker, [operator.to_dense() for operator in self._operators])

    def _assert_non_singular(self) -> Any:
        if not all(operator.is_square for operator in self._operators):
            message = "All Kronecker factors must be square for the product to be invertible."
            raise errors.InvalidArgumentError(None, None, message)
        return all_pass(self._operators, lambda operator: operator.assert_non_singular())

    def _assert_self_adjoint(self) -> Any:
        return all_pass(self._operators, lambda operator: operator.assert_self_adjoint())

    def _linop_adjoint(self) -> LinearOperatorKronecker:
        return LinearOperatorKronecker([operator.adjoint() for operator in self._operators], **hints.of(self))

    def _linop_inverse(self) -> LinearOperator:
        if not all(operator.is_square for operator in self._operators):
            return super()._linop_inverse()
        return LinearOperatorKronecker([operator.inverse() for operator in self._operators], **hints.of(self))

    def _linop_cholesky(self) -> LinearOperator:
        if not all(operator._can_use_cholesky() for operator in self._operators):
            return super()._linop_cholesky()
        factors = [operator.cholesky() for operator in self._operators]
        return LinearOperatorKronecker(factors, is_non_singular=True, is_square=True)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """All products of numbers of two vectors, those with the first number of `a` first."""
    products = expand_dims(a, -1) * expand_dims(b, -2)
    *batch, rows, columns = dims_of(products)
    return reshape(products, as_vector([*batch, rows * columns]))


def _kronecker(a: Tensor, b: Tensor) -> Tensor:
    """The Kronecker product of dense matrices."""
    products = expand_dims(expand_dims(a, -2), -1) * expand_dims(expand_dims(b, -3), -2)
    *batch, rows, inner_rows, columns, inner_columns = dims_of(products)
    return reshape(products, as_vector([*batch, rows * inner_rows, columns * inner_columns]))
