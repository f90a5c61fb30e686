"""Exponential, logarithm and square root of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.tensor import Tensor
from millstream.ops.fill_ops import eye
from millstream.ops.join_ops import concat
from millstream.ops.linalg_ops import adjoint_of, matrix_solve_op, square_input, square_shape
from millstream.ops.reshape_ops import expand_dims, matrix_transpose, reshape
from millstream.ops.shape_ops import shape

_TYPES = "double float half complex64 complex128"


def _each(xp: Any, function: Any, x: Any) -> Any:
    """Applies a function of one matrix to each matrix of a batch."""
    matrices = x.reshape((-1, *x.shape[-2:]))
    return xp.stack([function(matrix) for matrix in matrices]).reshape(x.shape) if len(matrices) else x


# --- Exponential --------------------------------------------------------------------------------------------


@op("MatrixExponential(input: T) -> output: T", T=_TYPES, shape=square_shape, traced_only=True)
def matrix_exponential_op(xp, input):
    from jax.scipy.linalg import expm as exponential

    return exponential(square_input(input))


@matrix_exponential_op.gradient
def _(op, grad):
    # exp([[A, E], [0, A]]) has the derivative of exp at A in the direction E in its upper right corner; the
    # gradient is this derivative at A^H in the direction of `grad`. Higham, "Functions of Matrices", 2008.
    adjoint = adjoint_of(op.inputs[0])
    upper = concat([adjoint, grad], -1)
    lower = concat([adjoint - adjoint, adjoint], -1)
    size = adjoint._shape[-1]
    return matrix_exponential_op(concat([upper, lower], -2))[..., :size, size:]


@export("linalg.expm")
def expm(input: Any, name: str | None = None) -> Tensor:
    """The exponential of square matrices, by scaling and squaring.

    Higham, "The scaling and squaring method for the matrix exponential revisited", 2005.

    Args:
      input: [..., n, n], floating point or complex.
      name: the operation's name.
    """
    return matrix_exponential_op(input, name=name or "matrix_exponential")


# --- Logarithm ----------------------------------------------------------------------------------------------


def _logarithm(x: Any) -> Any:
    values, vectors = np.linalg.eig(x)
    return (vectors * np.log(values)) @ np.linalg.inv(vectors)


@op("MatrixLogarithm(input: T) -> output: T", T="complex64 complex128", shape=square_shape, host=True)
def matrix_logarithm_op(xp, input):
    return _each(np, _logarithm, square_input(input))


@export("linalg.logm")
def logm(input: Any, name: str | None = None) -> Tensor:
    """The principal logarithm of square matrices that have a full set of eigenvectors.

    Args:
      input: [..., n, n], complex64 or complex128, without eigenvalues on the negative real axis.
      name: the operation's name.
    """
    return matrix_logarithm_op(input, name=name)


# --- Square root --------------------------------------------------------------------------------------------


def _square_root(x: Any) -> Any:
    """By Denman and Beavers' iteration, "The matrix sign function and computations in systems", 1976."""
    root, inverse = x, np.eye(len(x), dtype=x.dtype)
    for _ in range(100):
        previous = root
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
        if np.allclose(root, previous, rtol=4 * np.finfo(x.dtype).eps, atol=0):
            break
    return root


@op("MatrixSquareRoot(input: T) -> output: T", T=_TYPES, shape=square_shape, host=True)
def matrix_square_root_op(xp, input):
    return _each(np, _square_root, square_input(input))


@matrix_square_root_op.gradient
def _(op, grad):
    # With R the root, R dR + dR R = dA: the gradient X solves Sylvester's equation R^H X + X R^H = grad,
    # which is a linear system (I (x) R^H + conj(R) (x) I) vec(X) = vec(grad), where vec puts columns below
    # each other.
    root = op.outputs[0]
    if root._shape is None or root._shape[-1] is None:
        raise NotImplementedError(f"The gradient of a square root of matrices of unknown size ({op.name}).")
    size = root._shape[-1]
    adjoint, identity = adjoint_of(root), eye(size, dtype=root.dtype)
    system = _kronecker(identity, adjoint, size) + _kronecker(matrix_transpose(adjoint), identity, size)
    columns = reshape(matrix_transpose(grad), [*_batch(grad), size * size, 1])
    solution = matrix_solve_op(system, columns)
    return matrix_transpose(reshape(solution, [*_batch(grad), size, size]))


def _batch(matrices: Any) -> list[Any]:
    known = matrices._shape[:-2]
    return list(known) if None not in known else [shape(matrices)[index] for index in range(len(known))]


def _kronecker(a: Tensor, b: Tensor, size: int) -> Tensor:
    """The Kronecker product of square matrices of one size."""
    product = expand_dims(expand_dims(a, -2), -1) * expand_dims(expand_dims(b, -3), -2)
    batch = product._shape[:-4]
    return reshape(product, [*batch, size * size, size * size])


@export("linalg.sqrtm", "matrix_square_root")
def matrix_square_root(input: Any, name: str | None = None) -> Tensor:
    """The principal square root of invertible square matrices.

    Args:
      input: [..., n, n], floating point or complex, without eigenvalues on the negative real axis.
      name: the operation's name.
    """
    return matrix_square_root_op(input, name=name)
