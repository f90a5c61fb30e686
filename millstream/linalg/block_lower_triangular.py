"""`LinearOperatorBlockLowerTriangular`: operators on and below a diagonal."""

from __future__ import annotations

from functools import reduce
from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given
from millstream.linalg.composites import BlockOperator, all_pass, checked, joined
from millstream.linalg.dimensions import Dim, Dims, as_vector, broadcast_dims, dims_of, static_shape
from millstream.linalg.full_matrix import LinearOperatorFullMatrix
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.ops.fill_ops import zeros
from millstream.ops.linalg_ops import adjoint_of


@export(v2=["linalg.LinearOperatorBlockLowerTriangular"])
class LinearOperatorBlockLowerTriangular(BlockOperator):
    """A matrix of blocks with operators on and below its diagonal, and zeros above.

    Arguments of `matmul` and `solve` may be lists of blocks; so are the results then.

    Args:
      operators: rows of operators of one dtype, `[[A_00], [A_10, A_11], ...]`; those at the end of a row are square.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. It is
        non-singular if and only if all operators on the diagonal are.
      name: a name for the operator.

    Raises:
      TypeError: the dtypes differ.
      ValueError: the shapes or the numbers of operators do not fit, or a hint is wrong.
    """

    def __init__(
        self,
        operators: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorBlockLowerTriangular",
    ) -> None:
        arguments = given(locals())
        self._operators = [list(row) for row in operators]
        checked([operator for row in self._operators for operator in row])
        self._check_layout()
        self._initialize(
            self._operators[0][0].dtype,
            arguments,
            is_non_singular=self._non_singular_hint(is_non_singular),
            is_square=hints.implied(
                is_square, True, "A blockwise lower-triangular operator with square diagonal blocks is always square."
            ),
        )

    def _check_layout(self) -> None:
        for number, row in enumerate(self._operators):
            if len(row) != number + 1:
                raise ValueError(
                    f"Argument `operators[{number}]` must contain `{number + 1}` blocks. Received: {len(row)} blocks."
                )
            if row[-1].is_square is False:
                raise ValueError(
                    "Matrices on the diagonal (the final elements of each row-partition in the `operators` list) must "
                    f"be square. Expected argument `operators[{number}][-1].is_square` to be True. Received: False."
                )
            for column, operator in enumerate(row):
                self._check_same_dim(number, column, operator, -1, (column, column), "domain")
                self._check_same_dim(number, column, operator, -2, (number, number), "range")

    def _check_same_dim(
        self, row: int, column: int, operator: LinearOperator, axis: int, model: tuple[int, int], kind: str
    ) -> None:
        """Demands that a block is as wide, or as high, as the one on the diagonal."""
        found, wanted = (
            (static_shape(each) or (None, None))[axis] for each in (operator, self._operators[model[0]][model[1]])
        )
        if None not in (found, wanted) and found != wanted:
            raise ValueError(
                f"Argument `operators[{row}][{column}].{kind}_dimension` ({found}) must be the same as "
                f"`operators[{model[0]}][{model[1]}].{kind}_dimension` ({wanted})."
            )

    def _non_singular_hint(self, hint: Hint) -> Hint:
        found = [operator.is_non_singular for operator in self._diagonal]
        if all(found):
            message = "A blockwise lower-triangular operator with non-singular operators on the main diagonal "
            return hints.implied(hint, True, message + "is always non-singular.")
        if False in found:
            message = "A blockwise lower-triangular operator with a singular operator on the main diagonal "
            return hints.implied(hint, False, f"{message}is always singular. Received: is_non_singular={hint}.")
        return hint

    @property
    def operators(self) -> list[list[LinearOperator]]:
        """The rows of operators."""
        return self._operators

    @property
    def _diagonal(self) -> list[LinearOperator]:
        return [row[-1] for row in self._operators]

    def _row_dims(self) -> list[Dim]:
        return [dims_of(operator)[-2] for operator in self._diagonal]

    _column_dims = _row_dims

    def _dims(self) -> Dims:
        batch = broadcast_dims(*[dims_of(operator)[:-2] for row in self._operators for operator in row])
        size = sum(self._row_dims())
        return [*batch, size, size]

    def __getitem__(self, slices: Any) -> LinearOperatorBlockLowerTriangular:
        rows = [[operator[slices] for operator in row] for row in self._operators]
        return LinearOperatorBlockLowerTriangular(**{**self.parameters, "operators": rows})

    def _multiply(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        blocks = [adjoint_of(block) for block in blocks] if adjoint_arg else blocks
        count = len(blocks)
        if adjoint:
            places = [[(row, column) for row in range(column, count)] for column in range(count)]
            parts = [[self._operators[i][j].matmul(blocks[i], adjoint=True) for i, j in terms] for terms in places]
        else:
            parts = [[operator.matmul(x) for operator, x in zip(row, blocks, strict=False)] for row in self._operators]
        return [reduce(lambda a, b: a + b, terms) for terms in parts]

    def _divide(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        """Substitution from the first row on; for the adjoint, which is upper triangular, from the last one."""
        blocks = [adjoint_of(block) for block in blocks] if adjoint_arg else blocks
        count = len(blocks)
        solved: dict[int, Tensor] = {}
        for number in reversed(range(count)) if adjoint else range(count):
            rest = blocks[number]
            for other, known in solved.items():
                row, column = (other, number) if adjoint else (number, other)
                rest = rest - self._operators[row][column].matmul(known, adjoint=adjoint)
            solved[number] = self._operators[number][number].solve(rest, adjoint=adjoint)
        return [solved[number] for number in range(count)]

    def _determinant(self) -> Tensor:
        return reduce(lambda a, b: a * b, [operator.determinant() for operator in self._diagonal])

    def _log_abs_determinant(self) -> Tensor:
        return reduce(lambda a, b: a + b, [operator.log_abs_determinant() for operator in self._diagonal])

    def _trace(self) -> Tensor:
        return reduce(lambda a, b: a + b, [operator.trace() for operator in self._diagonal])

    def _diag_part(self) -> Tensor:
        return joined([operator.diag_part() for operator in self._diagonal], axis=-1, event=1)

    def _eigvals(self) -> Tensor:
        return joined([operator.eigvals() for operator in self._diagonal], axis=-1, event=1)

    def _to_dense(self) -> Tensor:
        rows = []
        for number, row in enumerate(self._operators):
            blocks = [operator.to_dense() for operator in row]
            height, width = dims_of(blocks[-1])[-2], sum(self._row_dims()[number + 1 :])
            rows.append(joined([*blocks, zeros(as_vector([height, width]), self.dtype)], axis=-1))
        return joined(rows, axis=-2)

    def _assert_non_singular(self) -> Any:
        return all_pass(self._diagonal, lambda operator: operator.assert_non_singular())

    def _linop_inverse(self) -> LinearOperatorBlockLowerTriangular:
        """Column by column: block row i of A times the inverse is zero left of the diagonal."""
        rows: list[list[LinearOperator]] = []
        for number, row in enumerate(self._operators):
            inverse = row[-1].inverse()
            inverted: list[LinearOperator] = []
            for column in range(number):
                terms = [row[middle].matmul(rows[middle][column].to_dense()) for middle in range(column, number)]
                total = reduce(lambda a, b: a + b, terms)
                inverted.append(LinearOperatorFullMatrix(-inverse.matmul(total)))
            rows.append([*inverted, inverse])
        return LinearOperatorBlockLowerTriangular(
            rows, is_non_singular=True, is_self_adjoint=self.is_self_adjoint, is_square=True
        )
