"""`LinearOperatorBlockDiag`: operators along a diagonal."""

from __future__ import annotations

from functools import reduce
from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given
from millstream.linalg.composites import BlockOperator, all_pass, checked, joined
from millstream.linalg.dimensions import Dim, Dims, as_vector, broadcast_dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.ops.fill_ops import zeros


@export("linalg.LinearOperatorBlockDiag")
class LinearOperatorBlockDiag(BlockOperator):
    """A matrix with operators along its diagonal and zeros elsewhere.

    Arguments of `matmul` and `solve` may be lists of blocks; so are the results then.

    Args:
      operators: a list of operators of one dtype; their batch shapes broadcast.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. What all
        operators are the whole is too.
      name: a name for the operator; default: the operators' names with `_ds_` between them.

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
        is_square: Hint = True,
        name: str | None = None,
    ) -> None:
        arguments = given(locals())
        self._operators = checked(operators)
        self._initialize(
            self._operators[0].dtype,
            arguments,
            is_non_singular=hints.implied(
                is_non_singular,
                hints.all_of(operator.is_non_singular for operator in self._operators),
                "The direct sum of non-singular operators is always non-singular.",
            ),
            is_self_adjoint=hints.implied(
                is_self_adjoint,
                hints.all_of(operator.is_self_adjoint for operator in self._operators),
                "The direct sum of self-adjoint operators is always self-adjoint.",
            ),
            is_positive_definite=hints.implied(
                is_positive_definite,
                hints.all_of(operator.is_positive_definite for operator in self._operators),
                "The direct sum of positive definite operators is always positive definite.",
            ),
            is_square=self._whole_is_square(is_square),
            name=name or "_ds_".join(operator.name for operator in self._operators),
        )

    def _whole_is_square(self, hint: Hint) -> Hint:
        """The default hint, True, is for square operators."""
        rows, columns = (sum(dims) if all(isinstance(dim, int) for dim in dims) else None
                         for dims in (self._row_dims(), self._column_dims()))  # fmt: skip
        return hint if rows is None or columns is None else rows == columns

    @property
    def operators(self) -> list[LinearOperator]:
        """The operators along the diagonal."""
        return self._operators

    def _row_dims(self) -> list[Dim]:
        return [dims_of(operator)[-2] for operator in self._operators]

    def _column_dims(self) -> list[Dim]:
        return [dims_of(operator)[-1] for operator in self._operators]

    def _dims(self) -> Dims:
        batch = broadcast_dims(*[dims_of(operator)[:-2] for operator in self._operators])
        return [*batch, sum(self._row_dims()), sum(self._column_dims())]

    def _multiply(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        pairs = zip(self._operators, blocks, strict=True)
        return [operator.matmul(block, adjoint=adjoint, adjoint_arg=adjoint_arg) for operator, block in pairs]

    def _divide(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        pairs = zip(self._operators, blocks, strict=True)
        return [operator.solve(block, adjoint=adjoint, adjoint_arg=adjoint_arg) for operator, block in pairs]

    def _blocks_are_square(self) -> bool:
        return all(operator.is_square for operator in self._operators)

    def _determinant(self) -> Tensor:
        if not self._blocks_are_square():
            return super()._determinant()
        return reduce(lambda a, b: a * b, [operator.determinant() for operator in self._operators])

    def _log_abs_determinant(self) -> Tensor:
        if not self._blocks_are_square():
            return super()._log_abs_determinant()
        return reduce(lambda a, b: a + b, [operator.log_abs_determinant() for operator in self._operators])

    def _trace(self) -> Tensor:
        if not self._blocks_are_square():
            return super()._trace()
        return reduce(lambda a, b: a + b, [operator.trace() for operator in self._operators])

    def _diag_part(self) -> Tensor:
        if not self._blocks_are_square():
            return super()._diag_part()
        return joined([operator.diag_part() for operator in self._operators], axis=-1, event=1)

    def _eigvals(self) -> Tensor:
        if not all(operator.is_self_adjoint for operator in self._operators):
            return super()._eigvals()
        return joined([operator.eigvals() for operator in self._operators], axis=-1, event=1)

    def _to_dense(self) -> Tensor:
        columns, before = sum(self._column_dims()), 0
        rows = []
        for operator in self._operators:
            dense = operator.to_dense()
            *batch, height, width = dims_of(dense)
            left = zeros(as_vector([*batch, height, before]), self.dtype)
            right = zeros(as_vector([*batch, height, columns - before - width]), self.dtype)
            rows.append(joined([left, dense, right], axis=-1))
            before += width
        return joined(rows, axis=-2)

    def _assert_non_singular(self) -> Any:
        return all_pass(self._operators, lambda operator: operator.assert_non_singular())

    def _assert_self_adjoint(self) -> Any:
        return all_pass(self._operators, lambda operator: operator.assert_self_adjoint())

    def _assert_positive_definite(self) -> Any:
        return all_pass(self._operators, lambda operator: operator.assert_positive_definite())

    def _linop_adjoint(self) -> LinearOperatorBlockDiag:
        return LinearOperatorBlockDiag([operator.adjoint() for operator in self._operators], **hints.of(self))

    def _linop_inverse(self) -> LinearOperatorBlockDiag:
        return LinearOperatorBlockDiag([operator.inverse() for operator in self._operators], **hints.of(self))

    def _linop_cholesky(self) -> LinearOperatorBlockDiag:
        factors = [operator.cholesky() for operator in self._operators]
        return LinearOperatorBlockDiag(factors, is_non_singular=True, is_square=True)
