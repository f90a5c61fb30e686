"""`LinearOperatorFullMatrix`: a matrix with all its elements."""

from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dims, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.matmul_ops import matmul


@export("linalg.LinearOperatorFullMatrix")
class LinearOperatorFullMatrix(SizedOperator):
    """A matrix with all its elements.

    Args:
      matrix: [..., m, n], floating point or complex.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      TypeError: `matrix` is neither floating point nor complex.
      ValueError: `matrix` has fewer than 2 dimensions.

    Example:
      >>> tf.linalg.LinearOperatorFullMatrix([[1., 2.], [3., 4.]]).matvec([1., 1.])     # [3., 7.]
    """

    _BATCHED = {"matrix": 2}

    def __init__(
        self,
        matrix: Any,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorFullMatrix",
    ) -> None:
        arguments = given(locals())
        self._matrix = numeric_parameter(matrix, "matrix", 2)
        self._initialize(self._matrix.dtype, arguments)

    @property
    def matrix(self) -> Any:
        """The matrix."""
        return self._matrix

    def _dims(self) -> Dims:
        return dims_of(self._matrix)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return matmul(self._matrix, x, adjoint_a=adjoint, adjoint_b=adjoint_arg)

    def _to_dense(self) -> Tensor:
        return to_tensor(self._matrix)
