"""Matrix functions."""
from __future__ import annotations

from ..spec import Family, c64, f32, f64, noise

FAMILY = Family("linalg", ulps=256, near="max")
case, table = FAMILY.case, FAMILY.table

SQUARES = noise(2, 3, 3, seed=4) + [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
SYMMETRIC = (SQUARES + SQUARES.transpose(0, 2, 1)) / 2
RIGHT = noise(2, 3, 2, seed=5)

table({
    "inverse": lambda tf, a, b: [tf.matrix_inverse(a), tf.linalg.inv(a[0])],
    "determinant": lambda tf, a, b: [tf.matrix_determinant(a), tf.linalg.det(a[1])],
    "solve": lambda tf, a, b: [tf.matrix_solve(a, b), tf.linalg.solve(a[0], b[0], adjoint=True)],
    "triangular_solve": lambda tf, a, b: [tf.matrix_triangular_solve(a, b),
                                          tf.matrix_triangular_solve(a, b, lower=False),
                                          tf.linalg.triangular_solve(a, b, adjoint=True)],
    "inverse_times": lambda tf, a, b: tf.matmul(tf.matrix_inverse(a), b),
    "trace": lambda tf, a, b: tf.trace(tf.matmul(a, a, transpose_b=True)),
    "adjoint": lambda tf, a, b: tf.linalg.adjoint(b),
    "norm": lambda tf, a, b: [tf.linalg.norm(b), tf.norm(b, axis=[1, 2]), tf.norm(b, 1, axis=-1),
                              tf.norm(b, "fro", axis=[0, 1])],
}, f64(SQUARES), f64(RIGHT))
table({
    "cholesky": lambda tf, a, b: [tf.cholesky(a), tf.linalg.cholesky(a[0])],
    "cholesky_solve": lambda tf, a, b: tf.cholesky_solve(tf.cholesky(a), b),
    "log_det": lambda tf, a, b: [tf.linalg.logdet(a), tf.linalg.slogdet(a)],
    "self_adjoint_eigenvalues": lambda tf, a, b: tf.self_adjoint_eigvals(a),
    "eigh_reconstructs": lambda tf, a, b: _from_eigenvectors(tf, a),
    "band_part": lambda tf, a, b: tf.linalg.band_part(a, 1, 0),
}, f64(SYMMETRIC), f64(RIGHT))
# 1.15's gradient of the adjoint inverse forgets the adjoint.
case("inverse/adjoint", lambda tf, a: tf.stop_gradient(tf.matrix_inverse(a, adjoint=True)), f64(SYMMETRIC))
case("lstsq", lambda tf, a, b: tf.matrix_solve_ls(a, b, l2_regularizer=0.1, fast=True), f64(SYMMETRIC),
     f64(RIGHT), nodes="the regularised identity is made of one slice of the shape, not of two")
table({
    "qr/reconstructs": lambda tf, b: _from_qr(tf, b),
    "qr/shapes": lambda tf, b: [tf.shape(t) for t in tf.qr(b) + tf.qr(b, full_matrices=True)],
    "svd/values": lambda tf, b: [tf.svd(b, compute_uv=False), tf.shape(tf.svd(b)[1])],
    "svd/reconstructs": lambda tf, b: _from_svd(tf, b),
}, f64(RIGHT), gradient=False)
case("float32",
     lambda tf, a: [tf.matrix_inverse(a), tf.matrix_determinant(a),
                    tf.cholesky(tf.matmul(a, a, transpose_b=True))],
     f32(SQUARES[0]), ulps=64)
case("complex", lambda tf, a: [tf.matrix_inverse(a), tf.linalg.adjoint(a)],
     c64([[1 + 1j, 0.5], [0.0, 2 - 1j]]))
case("empty", lambda tf, a: [tf.matrix_inverse(a), tf.matrix_determinant(a)], f32(noise(0, 2, 2)))


def _from_eigenvectors(tf, a):
    """The factors' signs are free; their product is not."""
    values, vectors = tf.self_adjoint_eig(a)
    return tf.matmul(vectors * tf.expand_dims(values, -2), vectors, transpose_b=True)


def _from_qr(tf, b):
    q, r = tf.qr(b)
    return [tf.matmul(q, r), tf.matmul(q, q, transpose_a=True), tf.abs(r)]


def _from_svd(tf, b):
    s, u, v = tf.svd(b)
    return tf.matmul(u * tf.expand_dims(s, -2), v, transpose_b=True)
