"""Matrix functions."""
from __future__ import annotations

import numpy as np

from ..spec import Family, c64, c128, f32, f64, noise

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
     f64(RIGHT), nodes="the regularised identity is made of one slice of the shape, not of two",
     function="its gradient needs known dimensions")
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

TRIDIAGONAL = noise(2, 3, 4, seed=6) + [[0.0], [5.0], [0.0]]
RIGHT_4 = noise(2, 4, 3, seed=7)
table({
    "tridiagonal_matmul/compact": lambda tf, d, b: tf.linalg.tridiagonal_matmul(d, b),
    "tridiagonal_matmul/named": lambda tf, d, b: tf.linalg.tridiagonal_matmul(d[0], b[0], name="product"),
    "tridiagonal_matmul/sequence": lambda tf, d, b: tf.linalg.tridiagonal_matmul(
        (d[:, 0], d[:, 1], d[:, 2]), b, diagonals_format="sequence"),
}, f64(TRIDIAGONAL), f64(RIGHT_4))
table({
    "tridiagonal_solve/compact": lambda tf, d, b: [tf.linalg.tridiagonal_solve(d, b),
                                                   tf.linalg.tridiagonal_solve(d, b, partial_pivoting=False)],
    "tridiagonal_solve/sequence": lambda tf, d, b: tf.linalg.tridiagonal_solve(
        (d[:, 0], d[:, 1], d[:, 2]), b, diagonals_format="sequence"),
    "tridiagonal_solve/short_sequence": lambda tf, d, b: tf.linalg.tridiagonal_solve(
        (d[:, 0, :-1], d[:, 1], d[:, 2, 1:]), b, diagonals_format="sequence"),
    "tridiagonal_solve/transposed": lambda tf, d, b: tf.linalg.tridiagonal_solve(
        d, tf.matrix_transpose(b), transpose_rhs=True),
    "tridiagonal_solve/vectors": lambda tf, d, b: [tf.linalg.tridiagonal_solve(d, b[..., 0], name="x"),
                                                   tf.linalg.tridiagonal_solve(d[0], b[0, :, 1])],
}, f64(TRIDIAGONAL), f64(RIGHT_4), unknown=False)
table({
    "tridiagonal_matmul/matrix": lambda tf, a, b: tf.linalg.tridiagonal_matmul(a, b, "matrix"),
    "tridiagonal_solve/matrix": lambda tf, a, b: tf.linalg.tridiagonal_solve(a, b, "matrix"),
}, f64(noise(2, 4, 4, seed=8) + 5 * np.eye(4)), f64(RIGHT_4), unknown=False)
# TensorFlow's gradients of complex systems lack a conjugate: they are not those of the dense matrices.
table({
    "tridiagonal_solve/conjugate": lambda tf, d, b: [
        tf.linalg.tridiagonal_solve(d, b, conjugate_rhs=True),
        tf.linalg.tridiagonal_solve(d, tf.matrix_transpose(b), transpose_rhs=True, conjugate_rhs=True),
        tf.linalg.tridiagonal_solve(d, b[..., 0], conjugate_rhs=True)],
    "tridiagonal_matmul/complex": lambda tf, d, b: tf.linalg.tridiagonal_matmul(d, b),
}, c128(TRIDIAGONAL + 0.5j), c128(RIGHT_4 - 1j * RIGHT_4[::-1]), unknown=False, gradient=False)
table({
    "tridiagonal_solve/bad_format": lambda tf, d, b: tf.linalg.tridiagonal_solve(d, b, "other"),
    "tridiagonal_solve/bad_size": lambda tf, d, b: tf.linalg.tridiagonal_solve(d, b[:, :3]),
    "tridiagonal_solve/bad_batch": lambda tf, d, b: tf.linalg.tridiagonal_solve(d, b[0]),
    "tridiagonal_solve/bad_count": lambda tf, d, b: tf.linalg.tridiagonal_solve(d[:, :2], b),
    "tridiagonal_solve/bad_sequence": lambda tf, d, b: tf.linalg.tridiagonal_solve(d, b, "sequence"),
    "tridiagonal_solve/bad_matrix": lambda tf, d, b: tf.linalg.tridiagonal_solve(d, b, "matrix"),
    "tridiagonal_matmul/bad_format": lambda tf, d, b: tf.linalg.tridiagonal_matmul(d, b, "other"),
    "tridiagonal_matmul/bad_size": lambda tf, d, b: tf.linalg.tridiagonal_matmul(d, b[:, :3]),
}, f64(TRIDIAGONAL), f64(RIGHT_4), raises=True)
table({
    "fft": lambda tf, x: [tf.signal.fft(x), tf.ifft(x), tf.spectral.fft(x, name="spectrum")],
    "fft2d": lambda tf, x: [tf.signal.fft2d(x), tf.ifft2d(x)],
    "fft3d": lambda tf, x: [tf.signal.fft3d(x), tf.ifft3d(x)],
}, c128(noise(2, 3, 4, seed=9) + 1j * noise(2, 3, 4, seed=10)))
case("fft/single", lambda tf, x: [tf.fft(x), tf.ifft2d(x)], c64(noise(3, 4, seed=9) + 1j))
case("fft/bad_rank", lambda tf, x: tf.fft2d(x), c64([1.0, 2.0]), raises=True)


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
