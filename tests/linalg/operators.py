"""One operator of each kind, and the dense matrix that it stands for."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import millstream as tf

RANDOM = np.random.RandomState(3)
MATRIX = np.round(RANDOM.uniform(-1, 1, (3, 3)), 2) + 3 * np.eye(3)
BATCH = np.round(RANDOM.uniform(-1, 1, (2, 3, 3)), 2) + 3 * np.eye(3)
SMALL = np.array([[2.0, 1.0], [-0.5, 3.0]])
TALL = np.round(RANDOM.uniform(-1, 1, (3, 2)), 2)
VECTOR = np.array([1.5, 2.5, 0.5])
VECTORS = np.array([[1.5, 2.5, 0.5], [3.0, 1.0, 2.0]])
POSITIVE = MATRIX @ MATRIX.T
SURE = {"is_self_adjoint": True, "is_positive_definite": True}


class Kind(NamedTuple):
    """How an operator is made of parameters, the parameters, and the dense matrix as a function of them."""

    build: Callable[..., Any]
    dense: Callable[..., Any]
    parameters: tuple[Any, ...] = ()


def full(matrix: Any, **hints: Any) -> Any:
    return tf.linalg.LinearOperatorFullMatrix(matrix, **hints)


def transpose(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def each(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of vectors or matrices applied to batches of them."""
    return np.stack([function(*parts) for parts in zip(*arrays, strict=True)])


def of_spectrum(spectrum: Any) -> Any:
    """The matrix of the convolution that multiplies Fourier transforms of arrays of this shape."""
    size = spectrum.size
    columns = np.eye(size).reshape(size, *spectrum.shape)
    axes = tuple(range(1, columns.ndim))
    return np.fft.ifftn(spectrum * np.fft.fftn(columns, axes=axes), axes=axes).reshape(size, size).T


def reflection(axis: Any) -> Any:
    return np.eye(len(axis)) - 2 * np.outer(axis, axis) / (axis @ axis)


def toeplitz(col: Any, row: Any) -> Any:
    size = len(col)
    return np.array([[col[i - j] if i >= j else row[j - i] for j in range(size)] for i in range(size)])


def tridiagonal(diagonals: Any) -> Any:
    upper, main, lower = diagonals
    return np.diag(upper[:-1], 1) + np.diag(main) + np.diag(lower[1:], -1)


def block_diagonal(a: Any, b: Any) -> Any:
    return np.block([[a, np.zeros((len(a), b.shape[-1]))], [np.zeros((len(b), a.shape[-1])), b]])


def block_lower(a: Any, b: Any, c: Any) -> Any:
    return np.block([[a, np.zeros((len(a), c.shape[-1]))], [b, c]])


LINEAR = tf.linalg
DIAGONALS = np.array([[1.0, 2.0, 9.0], [4.0, 5.0, 6.0], [9.0, 1.0, -1.0]])

KINDS: dict[str, Kind] = {
    "full_matrix": Kind(full, lambda a: a, (MATRIX,)),
    "full_matrix/batch": Kind(full, lambda a: a, (BATCH,)),
    "full_matrix/tall": Kind(full, lambda a: a, (TALL,)),
    "full_matrix/positive": Kind(lambda a: full(a, **SURE), lambda a: a, (POSITIVE,)),
    "diag": Kind(LINEAR.LinearOperatorDiag, np.diag, (VECTOR,)),
    "diag/batch": Kind(LINEAR.LinearOperatorDiag, lambda d: each(np.diag, d), (VECTORS,)),
    "identity": Kind(lambda: LINEAR.LinearOperatorIdentity(3, dtype=tf.float64), lambda: np.eye(3)),
    "identity/batch": Kind(
        lambda: LINEAR.LinearOperatorIdentity(3, [2], dtype=tf.float64), lambda: np.stack([np.eye(3)] * 2)
    ),
    "scaled_identity": Kind(
        lambda m: LINEAR.LinearOperatorScaledIdentity(3, m), lambda m: m * np.eye(3), (np.array(2.5),)
    ),
    "scaled_identity/batch": Kind(
        lambda m: LINEAR.LinearOperatorScaledIdentity(3, m), lambda m: m[:, None, None] * np.eye(3), (VECTOR[:2],)
    ),
    "zeros": Kind(lambda: LINEAR.LinearOperatorZeros(3, dtype=tf.float64), lambda: np.zeros([3, 3])),
    "zeros/tall": Kind(
        lambda: LINEAR.LinearOperatorZeros(3, 2, is_square=False, is_self_adjoint=False, dtype=tf.float64),
        lambda: np.zeros([3, 2]),
    ),
    "lower_triangular": Kind(LINEAR.LinearOperatorLowerTriangular, np.tril, (MATRIX,)),
    "lower_triangular/batch": Kind(LINEAR.LinearOperatorLowerTriangular, np.tril, (BATCH,)),
    "permutation": Kind(
        lambda: LINEAR.LinearOperatorPermutation([2, 0, 1], dtype=tf.float64), lambda: np.eye(3)[[2, 0, 1]]
    ),
    "householder": Kind(LINEAR.LinearOperatorHouseholder, reflection, (VECTOR,)),
    "householder/batch": Kind(LINEAR.LinearOperatorHouseholder, lambda v: each(reflection, v), (VECTORS,)),
    "toeplitz": Kind(LINEAR.LinearOperatorToeplitz, toeplitz, (VECTOR, VECTOR + [0, 1, -1])),
    "toeplitz/batch": Kind(
        LINEAR.LinearOperatorToeplitz, lambda c, r: each(lambda col: toeplitz(col, r), c), (VECTORS, VECTOR)
    ),
    "tridiag": Kind(LINEAR.LinearOperatorTridiag, tridiagonal, (DIAGONALS,)),
    "tridiag/matrix": Kind(lambda a: LINEAR.LinearOperatorTridiag(a, "matrix"),
                           lambda a: np.triu(np.tril(a, 1), -1), (MATRIX,)),  # fmt: skip
    "tridiag/sequence": Kind(
        lambda a, b, c: LINEAR.LinearOperatorTridiag([a, b, c], "sequence"),
        lambda a, b, c: each(lambda main: tridiagonal([a, main, c]), b),
        (VECTOR, VECTORS + 3, VECTOR),
    ),
    "circulant": Kind(
        lambda s: LINEAR.LinearOperatorCirculant(s, tf.float64),
        lambda s: of_spectrum(s).real, (np.array([3.0, 2.0, 2.0]),),
    ),
    "circulant/complex": Kind(
        lambda s: LINEAR.LinearOperatorCirculant(s, tf.complex128), of_spectrum, (VECTOR + 1j,)
    ),
    "circulant_2d": Kind(
        lambda s: LINEAR.LinearOperatorCirculant2D(s, tf.complex128), of_spectrum, (VECTORS,)
    ),
    "circulant_3d": Kind(
        lambda s: LINEAR.LinearOperatorCirculant3D(s, tf.complex128), of_spectrum, (VECTORS[None] + 1j,)
    ),
    "block_diag": Kind(
        lambda a, d: LINEAR.LinearOperatorBlockDiag([full(a), LINEAR.LinearOperatorDiag(d)]),
        lambda a, d: block_diagonal(a, np.diag(d)), (SMALL, VECTOR),
    ),
    "block_diag/batch": Kind(
        lambda a, d: LINEAR.LinearOperatorBlockDiag([full(a), LINEAR.LinearOperatorDiag(d)]),
        lambda a, d: each(lambda part: block_diagonal(a, np.diag(part)), d), (SMALL, VECTORS),
    ),
    "block_diag/not_square": Kind(
        lambda a, b: LINEAR.LinearOperatorBlockDiag([full(a), full(b)]), block_diagonal, (SMALL, TALL)
    ),
    "block_lower_triangular": Kind(
        lambda a, b, c: LINEAR.LinearOperatorBlockLowerTriangular([[full(a)], [full(b), full(c)]]),
        block_lower, (SMALL, TALL, MATRIX),
    ),
    "kronecker": Kind(lambda a, b: LINEAR.LinearOperatorKronecker([full(a), full(b)]), np.kron, (SMALL, MATRIX)),
    "kronecker/three": Kind(
        lambda a, d: LINEAR.LinearOperatorKronecker([full(a), LINEAR.LinearOperatorDiag(d), full(a)]),
        lambda a, d: np.kron(np.kron(a, np.diag(d)), a), (SMALL, VECTOR[:2]),
    ),
    "kronecker/batch": Kind(
        lambda a, b: LINEAR.LinearOperatorKronecker([full(a), full(b)]),
        lambda a, b: each(lambda part: np.kron(a, part), b), (SMALL, BATCH),
    ),
    "kronecker/tall": Kind(
        lambda a, b: LINEAR.LinearOperatorKronecker([full(a), full(b)]), np.kron, (TALL, SMALL)
    ),
    "low_rank_update": Kind(
        lambda d, u, k, v: LINEAR.LinearOperatorLowRankUpdate(LINEAR.LinearOperatorDiag(d), u, k, v),
        lambda d, u, k, v: np.diag(d) + u @ np.diag(k) @ v.T, (VECTOR, TALL, VECTOR[:2], TALL[::-1].copy()),
    ),
    "low_rank_update/positive": Kind(
        lambda d, u: LINEAR.LinearOperatorLowRankUpdate(LINEAR.LinearOperatorDiag(d, is_positive_definite=True), u),
        lambda d, u: each(np.diag, d) + u @ u.T, (VECTORS, TALL),
    ),
    "composition": Kind(
        lambda a, d: LINEAR.LinearOperatorComposition([full(a), LINEAR.LinearOperatorDiag(d)]),
        lambda a, d: a @ each(np.diag, d), (MATRIX, VECTORS),
    ),
    "composition/tall": Kind(
        lambda a, b: LINEAR.LinearOperatorComposition([full(a), full(b)]), lambda a, b: a @ b, (MATRIX, TALL)
    ),
    "inversion": Kind(lambda a: LINEAR.LinearOperatorInversion(full(a)), np.linalg.inv, (BATCH,)),
    "adjoint": Kind(lambda a: LINEAR.LinearOperatorAdjoint(full(a)), transpose, (BATCH,)),
    "adjoint/tall": Kind(lambda a: LINEAR.LinearOperatorAdjoint(full(a)), transpose, (TALL,)),
}  # fmt: skip

SQUARE = [name for name in KINDS if not name.endswith(("tall", "not_square"))]
INVERTIBLE = [name for name in SQUARE if name != "zeros"]


def make(name: str) -> tuple[Any, Any]:
    """The operator of a kind, and its dense matrix."""
    kind = KINDS[name]
    return kind.build(*[tf.constant(p) for p in kind.parameters]), kind.dense(*kind.parameters)
