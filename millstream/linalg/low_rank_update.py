"""`LinearOperatorLowRankUpdate`: an operator plus a matrix of low rank."""

from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.linalg import hints
from millstream.linalg.arguments import given, numeric_parameter, parameter, require_rank
from millstream.linalg.dimensions import Dims, as_vector, broadcast_dims, dims_of, static_shape
from millstream.linalg.hints import Hint
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops.complex_ops import conj
from millstream.ops.elementwise_ops import exp
from millstream.ops.linalg_ops import adjoint_of, cholesky, cholesky_solve, matrix_determinant, matrix_solve, slogdet
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import expand_dims


@export("linalg.LinearOperatorLowRankUpdate")
class LinearOperatorLowRankUpdate(SizedOperator):
    """The matrix A = L + U D V^H, with an operator L [m, n], U [m, k], a diagonal D [k, k] and V [n, k].

    For a small k systems are solved by the Woodbury formula and determinants by the matrix determinant lemma,
    which need those of L and of the capacitance, the k by k matrix D^-1 + V^H L^-1 U.

    Args:
      base_operator: L, an operator.
      u: [..., m, k] of the operator's dtype: U.
      diag_update: [..., k], the diagonal of D; default: ones.
      v: [..., n, k], V; default: U.
      is_diag_update_positive: whether all of `diag_update` is greater than 0.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`.
      name: a name for the operator.

    Raises:
      ValueError: the shapes do not fit, or a hint is wrong.
    """

    _BATCHED = {"base_operator": 0, "u": 2, "diag_update": 1, "v": 2}

    def __init__(
        self,
        base_operator: Any,
        u: Any,
        diag_update: Any = None,
        v: Any = None,
        is_diag_update_positive: Hint = None,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str = "LinearOperatorLowRankUpdate",
    ) -> None:
        arguments = given(locals())
        if diag_update is None:
            if is_diag_update_positive is False:
                raise ValueError(
                    "Default diagonal is the identity, which is positive.  "
                    "However, user set 'is_diag_update_positive' to False."
                )
            is_diag_update_positive = True
        self._base_operator: LinearOperator = base_operator
        self._u = numeric_parameter(u, "u", 2)
        self._v = self._u if v is None else numeric_parameter(v, "v", 2)
        self._diag_update = None if diag_update is None else parameter(diag_update, "diag_update")
        self._is_diag_update_positive = is_diag_update_positive
        self._check_shapes()
        self._initialize(base_operator.dtype, arguments, **self._found_hints(arguments))
        self._use_cholesky = bool(base_operator._can_use_cholesky() and is_diag_update_positive and self._v is self._u)

    def _check_shapes(self) -> None:
        if self._diag_update is not None:
            require_rank(self._diag_update, "diag_update", 1)
        base = static_shape(self._base_operator) or (None, None)
        u, v = (static_shape(part) or (None, None) for part in (self._u, self._v))
        diag = (None,) if self._diag_update is None else static_shape(self._diag_update) or (None,)
        for a, b in ((base[-2], u[-2]), (base[-1], v[-2]), (u[-1], v[-1]), (diag[-1], u[-1])):
            if None not in (a, b) and a != b:
                raise ValueError(f"Dimensions {a} and {b} are not compatible")

    def _found_hints(self, arguments: dict[str, Any]) -> dict[str, Hint]:
        """U D U^H is self-adjoint for a real D, and adds nothing negative for a positive one."""
        found = {hint: arguments[hint] for hint in ("is_self_adjoint", "is_positive_definite")}
        base = self._base_operator
        real_diag = self._is_diag_update_positive or not self._diag_update.dtype.is_complex
        if not (base.is_self_adjoint and self._v is self._u and real_diag):
            return found
        found["is_self_adjoint"] = hints.implied(
            found["is_self_adjoint"], True, "A self-adjoint base and update of real diagonal are always self-adjoint."
        )
        if base.is_positive_definite and self._is_diag_update_positive:
            found["is_positive_definite"] = hints.implied(
                found["is_positive_definite"], True, "A positive definite base and update are always positive definite."
            )
        return found

    @property
    def base_operator(self) -> LinearOperator:
        """L."""
        return self._base_operator

    @property
    def u(self) -> Any:
        """U."""
        return self._u

    @property
    def v(self) -> Any:
        """V."""
        return self._v

    @property
    def diag_update(self) -> Any:
        """The diagonal of D, None for ones."""
        return self._diag_update

    @property
    def is_diag_update_positive(self) -> Hint:
        """Whether the diagonal of D is positive; None: not known."""
        return self._is_diag_update_positive

    @property
    def diag_operator(self) -> LinearOperator:
        """D."""
        from millstream.linalg.diag import LinearOperatorDiag
        from millstream.linalg.identity import LinearOperatorIdentity

        if self._diag_update is None:
            dims = dims_of(self._u)
            return LinearOperatorIdentity(dims[-1], batch_shape=as_vector(dims[:-2]), dtype=self.dtype)
        return LinearOperatorDiag(self._diag_update, is_positive_definite=self._is_diag_update_positive)

    def _dims(self) -> Dims:
        base = dims_of(self._base_operator)
        batches = [base[:-2], dims_of(self._u)[:-2], dims_of(self._v)[:-2]]
        if self._diag_update is not None:
            batches.append(dims_of(self._diag_update)[:-1])
        return [*broadcast_dims(*batches), *base[-2:]]

    def _scaled(self, x: Tensor, adjoint: bool = False) -> Tensor:
        """D X, or D^H X."""
        if self._diag_update is None:
            return x
        return expand_dims(conj(self._diag_update) if adjoint else self._diag_update, -1) * x

    def _factors(self, adjoint: bool) -> tuple[Any, Any]:
        """The left and the right factor of the update, or of its adjoint."""
        return (self._v, self._u) if adjoint else (self._u, self._v)

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        left, right = self._factors(adjoint)
        base = self._base_operator.matmul(x, adjoint=adjoint, adjoint_arg=adjoint_arg)
        inner = self._scaled(matmul(right, x, adjoint_a=True, adjoint_b=adjoint_arg), adjoint)
        return base + matmul(left, inner)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        # Woodbury: (L + U D V^H)^-1 = L^-1 - L^-1 U C^-1 V^H L^-1.
        left, right = self._factors(adjoint)
        first = self._base_operator.solve(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)
        inner = matmul(right, first, adjoint_a=True)
        capacitance = self._capacitance()
        if self._use_cholesky:
            inner = cholesky_solve(cholesky(capacitance), inner)
        else:
            inner = matrix_solve(capacitance, inner, adjoint=adjoint)
        return first - self._base_operator.solve(matmul(left, inner), adjoint=adjoint)

    def _capacitance(self) -> Tensor:
        """C = D^-1 + V^H L^-1 U."""
        product = matmul(self._v, self._base_operator.solve(to_tensor(self._u)), adjoint_a=True)
        return self.diag_operator.inverse().add_to_tensor(product)

    def _determinant(self) -> Tensor:
        if self._can_use_cholesky():
            return exp(self._log_abs_determinant())
        if not self._base_operator.is_square:
            return super()._determinant()
        inner = matrix_determinant(self._capacitance()) * self.diag_operator.determinant()
        return inner * self._base_operator.determinant()

    def _log_abs_determinant(self) -> Tensor:
        if not self._base_operator.is_square:
            return super()._log_abs_determinant()
        inner = slogdet(self._capacitance())[1] + self.diag_operator.log_abs_determinant()
        return inner + self._base_operator.log_abs_determinant()

    def _diag_part(self) -> Tensor:
        if not self._base_operator.is_square:
            return super()._diag_part()
        weighted = conj(self._v) if self._diag_update is None else conj(self._v) * expand_dims(self._diag_update, -2)
        return reduce_sum(self._u * weighted, axis=-1) + self._base_operator.diag_part()

    def _to_dense(self) -> Tensor:
        update = matmul(self._u, self._scaled(adjoint_of(to_tensor(self._v))))
        return update + self._base_operator.to_dense()

    def _linop_adjoint(self) -> LinearOperatorLowRankUpdate:
        return LinearOperatorLowRankUpdate(
            self._base_operator.adjoint(),
            self._v,
            None if self._diag_update is None else conj(self._diag_update),
            self._u,
            self._is_diag_update_positive,
            **hints.of(self),
        )
