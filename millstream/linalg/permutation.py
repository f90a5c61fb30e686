"""`LinearOperatorPermutation`: matrices that put rows into another order."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import given, parameter, require_rank
from millstream.linalg.dimensions import Dims, as_vector, dims_of
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.comparison_ops import equal
from millstream.ops.fill_ops import ones, zeros
from millstream.ops.linalg_ops import adjoint_of
from millstream.ops.lu_linalg_ops import permuted_rows
from millstream.ops.math_ops import cast
from millstream.ops.math_ops import range as range_of
from millstream.ops.reshape_ops import expand_dims
from millstream.ops.sort_ops import argsort


@export(v2=["linalg.LinearOperatorPermutation"])
class LinearOperatorPermutation(SizedOperator):
    """A permutation matrix: row `i` of the product with X is row `perm[i]` of X.

    Args:
      perm: [..., n], an integer dtype: the numbers from 0 to n - 1 in some order.
      dtype: the dtype of the matrix.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      TypeError: `perm` is not of an integer dtype.
      ValueError: `perm` is a scalar or no permutation, or a hint is wrong.

    Example:
      >>> tf.linalg.LinearOperatorPermutation([2, 0, 1]).matvec([1., 2., 3.])     # [3., 1., 2.]
    """

    _BATCHED = {"perm": 1}

    def __init__(
        self,
        perm: Any,
        dtype: Any = dtypes.float32,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorPermutation",
    ) -> None:
        arguments = given(locals())
        self._perm = parameter(perm, "perm")
        if not self._perm.dtype.is_integer:
            raise TypeError(f"Argument `perm` must be integer dtype. Received: {perm}.")
        require_rank(self._perm, "perm", 1)
        known = constant_value(self._perm) if isinstance(self._perm, Tensor) else None
        if known is not None and np.any(np.sort(known) != np.arange(known.shape[-1])):
            last = known.shape[-1] - 1
            raise ValueError(f"Argument `perm` must be a vector of unique integers from 0 to {last}.")
        message = "A Permutation operator is always square."
        self._initialize(dtype, arguments, is_square=hints.implied(is_square, True, message))

    @property
    def perm(self) -> Any:
        """The permutation."""
        return self._perm

    def _dims(self) -> Dims:
        dims = dims_of(self._perm)
        return [*dims, dims[-1]]

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        perm = argsort(self._perm) if adjoint else self._perm
        return permuted_rows(adjoint_of(x) if adjoint_arg else x, perm)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._matmul(rhs, not adjoint, adjoint_arg)

    def _columns(self) -> Tensor:
        return range_of(0, cast(self._dims()[-1], self._perm.dtype))

    def _to_dense(self) -> Tensor:
        return cast(equal(expand_dims(self._perm, -1), self._columns()), self.dtype)

    def _diag_part(self) -> Tensor:
        return cast(equal(self._perm, self._columns()), self.dtype)

    def _log_abs_determinant(self) -> Tensor:
        return zeros(as_vector(self._batch_dims), self.dtype)

    def _cond(self) -> Tensor:
        return ones(as_vector(self._batch_dims), self.dtype)

    def _assert_non_singular(self) -> Any:
        return checks.nothing()
