"""`tf.linalg.experimental.conjugate_gradient`: solving a system by products with its matrix alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.linalg.dimensions import broadcast_batch, dims_of
from millstream.ops.arithmetic_ops import div_no_nan
from millstream.ops.comparison_ops import greater
from millstream.ops.complex_ops import conj, real
from millstream.ops.elementwise_ops import sqrt
from millstream.ops.fill_ops import zeros_like
from millstream.ops.reduction_ops import reduce_any, reduce_sum
from millstream.ops.reshape_ops import expand_dims
from millstream.ops.while_loop import while_loop_v2


class CGState(NamedTuple):
    """What `conjugate_gradient` knows in the end.

    Attributes:
      i: int32 scalar: how many steps were made.
      x: [..., n], the solution.
      r: [..., n], the residual `rhs - A x`.
      p: [..., n], the direction of the next step.
      gamma: [...], `r^H M r` with the preconditioner M.
    """

    i: Any
    x: Any
    r: Any
    p: Any
    gamma: Any


@export(v2=["linalg.experimental.conjugate_gradient"])
def conjugate_gradient(
    operator: Any,
    rhs: Any,
    preconditioner: Any = None,
    x: Any = None,
    tol: float = 1e-5,
    max_iter: int = 20,
    name: str = "conjugate_gradient",
) -> CGState:
    """Solves A x = rhs by conjugate gradients (Hestenes and Stiefel 1952), with products A p alone.

    Args:
      operator: A, an operator that is self-adjoint and positive definite.
      rhs: [..., n] of the operator's dtype.
      preconditioner: an operator close to the inverse of A, for fewer steps; default: none.
      x: [..., n], where to begin; default: zeros.
      tol: stops when the norm of the residual is below this times that of `rhs`.
      max_iter: the most steps.
      name: the scope of the operations.

    Returns:
      a named tuple with `i`, the number of steps, `x`, the solution, and `r`, `p` and `gamma`, the last
      residual, direction and squared size.

    Raises:
      ValueError: `operator` is not known to be self-adjoint and positive definite.
    """
    if not (operator.is_self_adjoint and operator.is_positive_definite):
        raise ValueError("Expected a self-adjoint, positive definite operator.")

    with name_scope(name):
        rhs = broadcast_batch(to_tensor(rhs, operator.dtype, name="rhs"), dims_of(operator)[:-2], event=1)
        if x is None:
            x, r = zeros_like(rhs), rhs
        else:
            x = broadcast_batch(to_tensor(x, operator.dtype, name="x"), dims_of(rhs)[:-1], event=1)
            r = rhs - operator.matvec(x)
        z = r if preconditioner is None else preconditioner.matvec(r)
        limit = tol * _norm(rhs)
        start = CGState(to_tensor(0, dtypes.int32), x, r, z, _dot(r, z))

        def goes_on(state: CGState) -> Tensor:
            return reduce_any(greater(_norm(state.r), limit))

        def step(state: CGState) -> tuple[CGState]:
            return (_step(operator, preconditioner, state),)

        return while_loop_v2(goes_on, step, (start,), maximum_iterations=max_iter)[0]


def _step(operator: Any, preconditioner: Any, state: CGState) -> CGState:
    """Goes along the direction as far as it gets better; the next direction is conjugate to all before."""
    i, x, r, p, gamma = state
    product = operator.matvec(p)
    alpha = expand_dims(div_no_nan(gamma, _dot(p, product)), -1)
    x, r = x + alpha * p, r - alpha * product
    z = r if preconditioner is None else preconditioner.matvec(r)
    new_gamma = _dot(r, z)
    beta = expand_dims(div_no_nan(new_gamma, gamma), -1)
    return CGState(i + 1, x, r, z + beta * p, new_gamma)


def _norm(x: Tensor) -> Tensor:
    """The lengths of vectors, [...], real."""
    return sqrt(real(_dot(x, x)))


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """The inner products of vectors, [...]."""
    return reduce_sum(conj(x) * y, axis=-1)
