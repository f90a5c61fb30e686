"""`LinearOperatorTridiag`: tridiagonal matrices."""

from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, broadcast_batch, broadcast_dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops import check_ops
from millstream.ops.banded_linalg_ops import tridiagonal_matmul, tridiagonal_solve
from millstream.ops.complex_ops import conj
from millstream.ops.diag_ops import matrix_diag_part_v2, matrix_diag_v2
from millstream.ops.join_ops import stack
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.pad_ops import roll

_FORMATS = ("compact", "matrix", "sequence")


@export(v2=["linalg.LinearOperatorTridiag"])
class LinearOperatorTridiag(SizedOperator):
    """A square matrix with zeros but on its diagonal and beside it.

    Args:
      diagonals: floating point or complex, in one of the formats of `tf.linalg.tridiagonal_matmul`.
      diagonals_format: "compact", "sequence" or "matrix".
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      TypeError: `diagonals` are neither floating point nor complex.
      ValueError: `diagonals_format` is none of these, or the shapes do not fit it.
    """

    _BATCHED = {"diagonals": 2}

    def __init__(
        self,
        diagonals: Any,
        diagonals_format: str = "compact",
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorTridiag",
    ) -> None:
        arguments = given(locals())
        if diagonals_format not in _FORMATS:
            formats = "compact, matrix, or sequence"
            raise ValueError(f"Argument `diagonals_format` must be one of {formats}. Received : {diagonals_format}.")
        if diagonals_format == "sequence":
            self._diagonals: Any = [numeric_parameter(part, "diagonals", 1) for part in diagonals]
            dtype = self._diagonals[0].dtype
        else:
            self._diagonals = numeric_parameter(diagonals, "diagonals", 2)
            dtype = self._diagonals.dtype
        self._diagonals_format = diagonals_format
        message = "Only square tridiagonal operators currently supported."
        self._initialize(dtype, arguments, is_square=hints.implied(is_square, True, message))

    @property
    def diagonals(self) -> Any:
        """The diagonals, as given."""
        return self._diagonals

    @property
    def diagonals_format(self) -> str:
        """The format of the diagonals."""
        return self._diagonals_format

    def _dims(self) -> Dims:
        if self._diagonals_format == "sequence":
            parts = [dims_of(part) for part in self._diagonals]
            return [*broadcast_dims(*[part[:-1] for part in parts]), parts[1][-1], parts[1][-1]]
        dims = dims_of(self._diagonals)
        return [*dims[:-2], dims[-1], dims[-1]]

    def _compact(self, adjoint: bool = False) -> Tensor:
        """The diagonals in the compact format, [..., 3, n]."""
        if self._diagonals_format == "matrix":
            compact = matrix_diag_part_v2(self._diagonals, k=(-1, 1), align="LEFT_RIGHT")
        elif self._diagonals_format == "sequence":
            parts = [broadcast_batch(part, self._batch_dims, event=1) for part in self._diagonals]
            compact = stack(parts, axis=-2)
        else:
            compact = self._diagonals
        if not adjoint:
            return compact
        upper, main, lower = (conj(compact[..., index, :]) for index in range(3))
        return stack([roll(lower, -1, axis=-1), main, roll(upper, 1, axis=-1)], axis=-2)

    def _with_batch(self, x: Tensor, adjoint: bool, adjoint_arg: bool) -> tuple[Tensor, Tensor]:
        """The diagonals and an argument, stretched to the same batch dimensions."""
        x = broadcast_batch(adjoint_of(x) if adjoint_arg else x, self._batch_dims)
        return broadcast_batch(self._compact(adjoint), dims_of(x)[:-2]), x

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return tridiagonal_matmul(*self._with_batch(x, adjoint, adjoint_arg))

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return tridiagonal_solve(*self._with_batch(rhs, adjoint, adjoint_arg))

    def _to_dense(self) -> Tensor:
        return matrix_diag_v2(self._compact(), k=(-1, 1), align="LEFT_RIGHT")

    def _diag_part(self) -> Tensor:
        return self._compact()[..., 1, :]

    def _assert_self_adjoint(self) -> Any:
        compact = self._compact()
        message = "This tridiagonal operator has non-conjugate subdiagonal and superdiagonal."
        return check_ops.assert_equal_v2(compact[..., 0, :-1], conj(compact[..., 2, 1:]), message)
