"""What operators that are made of others have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.tensor import Tensor
from millstream.core.variables import Variable
from millstream.linalg.dimensions import Dim, broadcast_batch, broadcast_dims, dims_of
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.control_flow_ops import group
from millstream.ops.join_ops import concat, split


def checked(operators: Any) -> list[LinearOperator]:
    """The operators that one is made of, as a list.

    Raises:
      TypeError: they are of different dtypes, or one is no operator.
      ValueError: there are none.
    """
    operators = list(operators)
    if not operators:
        raise ValueError(f"Expected a non-empty list of operators. Found: {operators}")
    strangers = [operator for operator in operators if not isinstance(operator, LinearOperator)]
    if strangers:
        raise TypeError(f"Expected a list of operators. Found: {strangers[0]!r}")
    if any(operator.dtype is not operators[0].dtype for operator in operators):
        found = "   ".join(f"('{operator.name}', tf.{operator.dtype.name})" for operator in operators)
        raise TypeError(f"Expected all operators to have the same dtype.  Found {found}")
    return operators


def all_pass(operators: Sequence[LinearOperator], check: Callable[[LinearOperator], Any]) -> Any:
    """An operation that fails where a check of one of the operators does."""
    checks = [check(operator) for operator in operators]
    return group(*[each for each in checks if each is not None])


def joined(blocks: Sequence[Tensor], axis: int, event: int = 2) -> Tensor:
    """Blocks behind each other along an axis, stretched to the same batch dimensions."""
    batch = broadcast_dims(*[dims_of(block)[: len(dims_of(block)) - event] for block in blocks])
    return concat([broadcast_batch(block, batch, event) for block in blocks], axis=axis)


class BlockOperator(SizedOperator):
    """An operator on vectors that consist of blocks: takes and gives them as one tensor, or as a list of blocks."""

    def _row_dims(self) -> list[Dim]:
        """How many rows the blocks have."""
        raise NotImplementedError

    def _column_dims(self) -> list[Dim]:
        """How many columns the blocks have."""
        raise NotImplementedError

    def _multiply(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        """The product with matrices, block by block."""
        raise NotImplementedError

    def _divide(self, blocks: list[Tensor], adjoint: bool, adjoint_arg: bool) -> list[Tensor]:
        """The solutions for matrices, block by block."""
        raise NotImplementedError

    def matmul(self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul") -> Any:
        """The product A X, as in `LinearOperator.matmul`; if `x` is a list of blocks, then so is the result."""
        if not _is_blockwise(x):
            return super().matmul(x, adjoint, adjoint_arg, name)
        with self._scope(name):
            blocks = self._blocks(x, adjoint, -1 if adjoint_arg else -2)
            return self._multiply(blocks, adjoint, adjoint_arg)

    def matvec(self, x: Any, adjoint: bool = False, name: str = "matvec") -> Any:
        """The product with vectors, as in `LinearOperator.matvec`; a list of blocks for a list of blocks."""
        if not _is_blockwise(x):
            return super().matvec(x, adjoint, name)
        with self._scope(name):
            columns = [block[..., None] for block in self._blocks(x, adjoint, -1)]
            return [block[..., 0] for block in self._multiply(columns, adjoint, False)]

    def solve(self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "solve") -> Any:
        """Solves A X = B, as in `LinearOperator.solve`; if `rhs` is a list of blocks, then so is the result."""
        if not _is_blockwise(rhs):
            return super().solve(rhs, adjoint, adjoint_arg, name)
        self._check_solvable()
        with self._scope(name):
            blocks = self._blocks(rhs, not adjoint, -1 if adjoint_arg else -2)
            return self._divide(blocks, adjoint, adjoint_arg)

    def solvevec(self, rhs: Any, adjoint: bool = False, name: str = "solve") -> Any:
        """Solves A X = B for vectors, as in `LinearOperator.solvevec`; a list of blocks for a list of blocks."""
        if not _is_blockwise(rhs):
            return super().solvevec(rhs, adjoint, name)
        self._check_solvable()
        with self._scope(name):
            columns = [block[..., None] for block in self._blocks(rhs, not adjoint, -1)]
            return [block[..., 0] for block in self._divide(columns, adjoint, False)]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        blocks = _cut(x, self._row_dims() if adjoint else self._column_dims(), -1 if adjoint_arg else -2)
        return joined(self._multiply(blocks, adjoint, adjoint_arg), axis=-2)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        blocks = _cut(rhs, self._column_dims() if adjoint else self._row_dims(), -1 if adjoint_arg else -2)
        return joined(self._divide(blocks, adjoint, adjoint_arg), axis=-2)

    def _blocks(self, x: Sequence[Any], by_rows: bool, axis: int) -> list[Tensor]:
        """A list of blocks as tensors.

        Raises:
          ValueError: they are not as large as those of the operator.
        """
        wanted = self._row_dims() if by_rows else self._column_dims()
        if len(x) != len(wanted):
            raise ValueError(f"Expected {len(wanted)} blocks, received: {len(x)}")
        blocks = [self._argument(block, "x") for block in x]
        for dim, block in zip(wanted, blocks, strict=True):
            found = dims_of(block)[axis]
            if isinstance(dim, int) and isinstance(found, int) and dim != found:
                raise ValueError(f"Dimensions {dim} and {found} are not compatible")
        return blocks


def _is_blockwise(x: Any) -> bool:
    """Whether an argument is a list of blocks, rather than a tensor or the numbers of one."""
    return (
        isinstance(x, (list, tuple))
        and len(x) > 0
        and all(isinstance(block, (Tensor, Variable)) or getattr(block, "ndim", 0) > 0 for block in x)
    )


def _cut(x: Tensor, sizes: list[Dim], axis: int) -> list[Tensor]:
    """A tensor cut into blocks of these sizes along an axis."""
    if len(sizes) == 1:
        return [x]
    return split(x, sizes if all(isinstance(size, int) for size in sizes) else to_tensor(sizes), axis=axis)
