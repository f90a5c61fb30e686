"""Operators of tf.linalg: their values. Which operations compute these is not compared."""
from __future__ import annotations

import numpy as np

from ..spec import Family, c128, f64, noise

FAMILY = Family("linear_operators", ulps=1024, near="max", unknown=False,
                nodes="the operations that operators are composed of are not TensorFlow's")
case, table = FAMILY.case, FAMILY.table

MATRIX = noise(3, 3, seed=4) + 4 * np.eye(3)
POSITIVE = MATRIX @ MATRIX.T
X = noise(2, 3, 2, seed=5)
SURE = {"is_self_adjoint": True, "is_positive_definite": True}


def values(operator, x):
    """What every square operator can tell."""
    return {
        "dense": operator.to_dense(),
        "products": [operator.matmul(x), operator.matmul(x, adjoint=True), operator.matvec(x[0, :, 0])],
        "transposed": operator.matmul(x[:, :2], adjoint_arg=True) if x.shape[1] == 2 else operator.H.matmul(x),
        "solutions": [operator.solve(x), operator.solve(x, adjoint=True), operator.solvevec(x[0, :, 0])],
        "sizes": [operator.determinant(), operator.log_abs_determinant(), operator.trace()],
        "parts": [operator.diag_part(), operator.add_to_tensor(operator.to_dense())],
        "shapes": [str(operator.shape), str(operator.batch_shape), operator.shape_tensor(), operator.name,
                   str(operator.dtype.name), operator.is_square],
    }


table({
    "full_matrix": lambda tf, a, x: values(tf.linalg.LinearOperatorFullMatrix(a), x),
    "lower_triangular": lambda tf, a, x: values(tf.linalg.LinearOperatorLowerTriangular(a), x),
    "inversion": lambda tf, a, x: values(
        tf.linalg.LinearOperatorInversion(tf.linalg.LinearOperatorFullMatrix(a)), x),
    "adjoint": lambda tf, a, x: values(tf.linalg.LinearOperatorAdjoint(tf.linalg.LinearOperatorFullMatrix(a)), x),
    "composition": lambda tf, a, x: values(tf.linalg.LinearOperatorComposition(
        [tf.linalg.LinearOperatorFullMatrix(a), tf.linalg.LinearOperatorDiag(a[0])]), x),
    "low_rank_update": lambda tf, a, x: values(tf.linalg.LinearOperatorLowRankUpdate(
        tf.linalg.LinearOperatorFullMatrix(a), x[0], tf.ones([2], tf.float64), x[1]), x),
    "toeplitz": lambda tf, a, x: values(tf.linalg.LinearOperatorToeplitz(a[0], a[0] + [0.0, 1.0, -1.0]), x),
}, f64(MATRIX), f64(X))
case("positive_definite", lambda tf, a, x: [
    values(tf.linalg.LinearOperatorFullMatrix(a, **SURE), x),
    tf.linalg.LinearOperatorFullMatrix(a, **SURE).cholesky().to_dense(),
], f64(POSITIVE), f64(X), gradient=False)
table({
    "diag": lambda tf, d, x: values(tf.linalg.LinearOperatorDiag(d), x),
    "scaled_identity": lambda tf, d, x: values(tf.linalg.LinearOperatorScaledIdentity(3, d[0]), x),
    "householder": lambda tf, d, x: values(tf.linalg.LinearOperatorHouseholder(d), x),
    "low_rank_update/positive": lambda tf, d, x: values(tf.linalg.LinearOperatorLowRankUpdate(
        tf.linalg.LinearOperatorDiag(d, is_positive_definite=True), x[0]), x),
    "circulant": lambda tf, d, x: values(tf.linalg.LinearOperatorCirculant(
        tf.cast(d, tf.complex128), input_output_dtype=tf.float64, is_self_adjoint=True), x),
    "block_diag": lambda tf, d, x: values(tf.linalg.LinearOperatorBlockDiag(
        [tf.linalg.LinearOperatorDiag(d[:2]), tf.linalg.LinearOperatorScaledIdentity(1, d[2])]), x),
    "identity": lambda tf, d, x: values(tf.linalg.LinearOperatorIdentity(3, dtype=tf.float64), x),
}, f64([1.5, 2.5, 0.5]), f64(X))
case("kronecker", lambda tf, a, x: values(tf.linalg.LinearOperatorKronecker(
    [tf.linalg.LinearOperatorFullMatrix(a[:2, :2]), tf.linalg.LinearOperatorFullMatrix(a)]), x),
     f64(MATRIX), f64(noise(2, 6, 2, seed=6)))
table({
    "circulant_2d": lambda tf, s, x: values(tf.linalg.LinearOperatorCirculant2D(
        tf.reshape(s, [2, 3]), input_output_dtype=tf.complex128), x),
    "circulant_3d": lambda tf, s, x: values(tf.linalg.LinearOperatorCirculant3D(
        tf.reshape(s, [1, 2, 3]), input_output_dtype=tf.complex128), x),
    "diag/complex": lambda tf, s, x: values(tf.linalg.LinearOperatorDiag(s), x),
}, c128(noise(6, seed=7) + 1j), c128(noise(2, 6, 2, seed=8) - 1j))


def zeros(tf, x):
    operator = tf.linalg.LinearOperatorZeros(3, dtype=tf.float64)
    return [operator.to_dense(), operator.matmul(x), operator.trace(), operator.determinant(), str(operator.shape)]


def algebra(tf, a, d):
    """What kinds of operators come from products, adjoints and inverses."""
    diag, full = tf.linalg.LinearOperatorDiag(d), tf.linalg.LinearOperatorFullMatrix(a)
    results = [diag.matmul(diag), diag.adjoint(), diag.inverse(), full.adjoint(), full.inverse(), full.matmul(diag)]
    return [[type(result).__name__, result.name, result.to_dense()] for result in results]


case("zeros", zeros, f64(X), gradient=False)
case("algebra", algebra, f64(MATRIX), f64([1.0, 2.0, 3.0]))
table({
    "full_matrix/not_square": lambda tf, x: tf.linalg.LinearOperatorFullMatrix(x).solve(x),
    "full_matrix/bad_argument": lambda tf, x: tf.linalg.LinearOperatorFullMatrix(x).matmul(x),
    "determinant/not_square": lambda tf, x: tf.linalg.LinearOperatorFullMatrix(x).determinant(),
    "inverse/singular": lambda tf, x: tf.linalg.LinearOperatorZeros(3).inverse(),
    "diag/not_self_adjoint": lambda tf, x: tf.linalg.LinearOperatorDiag(x, is_self_adjoint=False),
    "hints/contradiction": lambda tf, x: tf.linalg.LinearOperatorFullMatrix(
        x, is_positive_definite=True, is_non_singular=False),
    "identity/negative": lambda tf, x: tf.linalg.LinearOperatorIdentity(-1),
    "composition/empty": lambda tf, x: tf.linalg.LinearOperatorComposition([]),
}, f64(X), raises=True)
