"""Linear algebra: values against NumPy, gradients against differences, matrices without a solution."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jaxlib
import numpy as np
import pytest
from numeric import assert_gradients

import millstream.v1 as tf
from millstream.ops.banded_linalg_ops import banded_triangular_solve, tridiagonal_solve_v2
from millstream.ops.eigen_linalg_ops import eig, eigh_tridiagonal, eigvals
from millstream.ops.lu_linalg_ops import lu_matrix_inverse, lu_reconstruct, lu_solve
from millstream.ops.matmul_ops import matmul_v2

RANDOM = np.random.RandomState(7)
SQUARE = RANDOM.uniform(-1, 1, (2, 3, 3)) + 2 * np.eye(3)
TALL = RANDOM.uniform(-1, 1, (4, 3))
WIDE = TALL.T.copy()
RHS = RANDOM.uniform(-1, 1, (2, 3, 2))


@pytest.fixture(autouse=True)
def session() -> Iterator[Any]:
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def run(fetches: Any) -> Any:
    return tf.get_default_session().run(fetches)


def positive(x: Any) -> Any:
    """Symmetric positive definite matrices."""
    return tf.matmul(x, x, transpose_b=True) + tf.eye(3, dtype=x.dtype)


def symmetric(x: Any) -> Any:
    return x + tf.linalg.transpose(x)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inverse": tf.matrix_inverse,
    "inverse_of_adjoint": lambda a: tf.matrix_inverse(a, adjoint=True),
    "determinant": tf.matrix_determinant,
    "log_determinant": lambda a: tf.linalg.slogdet(a)[1],
    "logdet": lambda a: tf.linalg.logdet(positive(a)),
    "cholesky": lambda a: tf.cholesky(positive(a)),
    "solve": lambda a, b: tf.matrix_solve(a, b),
    "solve_adjoint": lambda a, b: tf.matrix_solve(a, b, adjoint=True),
    "cholesky_solve": lambda a, b: tf.cholesky_solve(tf.cholesky(positive(a)), b),
    "eigenvalues": lambda a: tf.self_adjoint_eigvals(a),
    "eigenvectors": lambda a: tf.square(tf.self_adjoint_eig(symmetric(a))[1]),
    "expm": tf.linalg.expm,
    "sqrtm": lambda a: tf.linalg.sqrtm(positive(a)),
    "trace": tf.trace,
    "norm": lambda a: tf.norm(a, 2, [-2, -1]),
    "normalize": lambda a: tf.linalg.normalize(a, axis=-1)[0],
    "cross": lambda a: tf.cross(a, a * a),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name: str) -> None:
    function = FUNCTIONS[name]
    assert_gradients(function, *(SQUARE, RHS)[: function.__code__.co_argcount if name.find("solve") >= 0 else 1])


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_triangular_solve(lower: bool, adjoint: bool) -> None:
    triangle = np.tril(SQUARE) if lower else np.triu(SQUARE)
    wanted = np.linalg.solve(np.swapaxes(triangle, -1, -2) if adjoint else triangle, RHS)
    np.testing.assert_allclose(run(tf.matrix_triangular_solve(SQUARE, RHS, lower, adjoint)), wanted)
    assert_gradients(lambda a, b: tf.matrix_triangular_solve(a, b, lower, adjoint), SQUARE, RHS)


# --- Matrices of few diagonals ------------------------------------------------------------------------------

DIAGONALS = RANDOM.uniform(-1, 1, (2, 3, 3)) + np.array([0, 3, 0])[:, None]


def from_diagonals(diagonals: Any, highest: int) -> Any:
    """The matrices that diagonals are of, each element in the row where it stands."""
    count, size = diagonals.shape[-2:]
    dense = np.zeros((*diagonals.shape[:-2], size, size), diagonals.dtype)
    for index in range(count):
        for row in range(size):
            if 0 <= row + highest - index < size:
                dense[..., row, row + highest - index] = diagonals[..., index, row]
    return dense


@pytest.mark.parametrize("build", [tf.linalg.tridiagonal_matmul, tf.linalg.tridiagonal_solve])
def test_gradients_of_tridiagonal_matrices(build: Any) -> None:
    assert_gradients(build, DIAGONALS, RHS)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_tridiagonal_matrices(dtype: str) -> None:
    diagonals = (DIAGONALS + (0.5j if "complex" in dtype else 0)).astype(dtype)
    dense, rhs = from_diagonals(diagonals, 1), RHS.astype(dtype)
    found = run([tf.linalg.tridiagonal_matmul(diagonals, rhs), tf.linalg.tridiagonal_solve(diagonals, rhs)])
    np.testing.assert_allclose(found[0], dense @ rhs, rtol=1e-4)
    np.testing.assert_allclose(found[1], np.linalg.solve(dense, rhs), rtol=1e-4)
    assert found[1].dtype == dtype


def test_a_tridiagonal_system_that_needs_other_rows_first() -> None:
    diagonals = np.array([[1.0, 1, 9], [0, 1, 4], [9, 1, 1]])
    wanted = np.linalg.solve(from_diagonals(diagonals, 1), np.ones(3))
    np.testing.assert_allclose(run(tf.linalg.tridiagonal_solve(diagonals, np.ones(3))), wanted)


def test_a_singular_tridiagonal_system() -> None:
    diagonals, rhs = np.array([[0.0, 1, 0], [0, 1, 4], [0, 0, 1]]), np.ones(3)
    assert np.all(np.isnan(run(tf.linalg.tridiagonal_solve(diagonals, rhs))))
    if tuple(map(int, jaxlib.__version__.split(".")[:2])) >= (0, 10):
        assert np.all(np.isfinite(run(tridiagonal_solve_v2(diagonals, rhs, perturb_singular=True))))


def test_gradients_of_complex_tridiagonal_systems_are_those_of_dense_ones() -> None:
    diagonals, rhs = tf.constant(DIAGONALS + 0.5j), tf.constant(RHS - 1j * RHS[::-1])
    dense = tf.constant(from_diagonals(DIAGONALS + 0.5j, 1))
    by_diagonals = tf.gradients(tf.real(tf.linalg.tridiagonal_solve(diagonals, rhs)), [diagonals, rhs])
    by_dense = tf.gradients(tf.real(tf.matrix_solve(dense, rhs)), [dense, rhs])
    found, wanted = run([by_diagonals, by_dense])
    np.testing.assert_allclose(from_diagonals(found[0], 1), wanted[0] * (from_diagonals(DIAGONALS, 1) != 0))
    np.testing.assert_allclose(found[1], wanted[1])
    assert np.all(found[0][:, 0, -1] == 0) and np.all(found[0][:, 2, 0] == 0)  # what is not read


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_banded_triangular_solve(lower: bool, adjoint: bool, count: int) -> None:
    bands = RANDOM.uniform(-1, 1, (2, count, 4))
    bands[:, 0 if lower else -1] += 3
    rhs = RANDOM.uniform(-1, 1, (4, 3))
    dense = from_diagonals(bands, 0 if lower else count - 1)
    wanted = np.linalg.solve(np.swapaxes(dense, -1, -2) if adjoint else dense, rhs)

    def build(bands: Any, rhs: Any) -> Any:
        return banded_triangular_solve(bands, rhs, lower, adjoint)

    np.testing.assert_allclose(run(build(bands, rhs)), wanted)
    assert_gradients(build, bands, rhs)


def test_a_banded_matrix_with_a_zero_on_its_diagonal() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input matrix is not invertible."):
        run(banded_triangular_solve([[1.0, 0.0]], [[1.0], [1.0]]))


# --- Decompositions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 1])
def test_gradients_of_eigenvalues_and_eigenvectors(part: int) -> None:
    """The length of an eigenvector is 1, and its phase is free: sizes of elements are neither."""
    matrix = np.array([[1.0, 2, 0.5], [3, 5, 1], [0, 1, -2]])
    assert_gradients(lambda a: tf.abs(eig(a)[part]) ** 3, matrix)
    if part == 0:
        assert_gradients(lambda a: tf.abs(eigvals(a)) ** 3, matrix)


def test_gradients_of_complex_eigenvalues() -> None:
    """A rotation in two of three dimensions."""
    assert_gradients(lambda a: tf.abs(eig(a)[1]) ** 3, np.array([[0.0, -2, 0.5], [1, 0.3, 0], [0, 1, -2]]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_eigenvectors(dtype: str) -> None:
    values, vectors = run(eig(SQUARE.astype(dtype)))
    np.testing.assert_allclose(SQUARE @ vectors, vectors * values[:, None, :], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-2), 1, rtol=1e-5)
    assert values.dtype == vectors.dtype == ("complex64" if dtype in ("float32", "complex64") else "complex128")


def test_eigenvalues_of_what_is_not_finite() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Eigen decomposition was not successful."):
        run(eig(np.full([2, 2], np.nan)))


def test_eigenvalues_of_tridiagonal_matrices() -> None:
    alpha, beta = np.array([1.0, 2, 3, 4]), np.array([1.0, 0.5, 2])
    dense = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    values, vectors = run(eigh_tridiagonal(alpha, beta, eigvals_only=False))
    np.testing.assert_allclose(dense @ vectors, vectors * values)
    np.testing.assert_allclose(run(eigh_tridiagonal(alpha, beta, select="i", select_range=(1, 2))), values[1:3])
    between = (values[0], values[2])  # without the first, with the last
    some = eigh_tridiagonal(alpha, beta, eigvals_only=False, select="v", select_range=between)
    np.testing.assert_allclose(run(some)[0], values[1:3])
    assert_gradients(eigh_tridiagonal, alpha, beta)


@pytest.mark.parametrize(("left", "right"), [((), ()), ((2,), (2,)), ((), (2,)), ((2,), ())])
def test_lu_solves(left: Any, right: Any) -> None:
    matrix, rhs = SQUARE if left else SQUARE[0], RHS if right else RHS[0]
    lu, p = tf.linalg.lu(matrix)
    found = run([lu_solve(lu, p, rhs), lu_reconstruct(lu, p), lu_matrix_inverse(lu, p)])
    np.testing.assert_allclose(found[0], np.linalg.solve(matrix, rhs))
    np.testing.assert_allclose(found[1], matrix)
    np.testing.assert_allclose(found[2], np.linalg.inv(matrix))


@pytest.mark.parametrize("name", ["matrix_solve", "matrix_triangular_solve"])
def test_gradients_of_systems_that_share_a_matrix(name: str) -> None:
    assert_gradients(getattr(tf, name), SQUARE[0], RHS)
    assert_gradients(getattr(tf, name), SQUARE, RHS[0])


@pytest.mark.parametrize("names", [[], ["adjoint_a"], ["adjoint_b"], ["adjoint_a", "adjoint_b"]])
def test_products_in_another_type(names: list[str]) -> None:
    flips = dict.fromkeys(names, True)
    a, b = SQUARE.astype("float32"), SQUARE[0].astype("float32")
    product = matmul_v2(a, b, output_type=tf.float64, **flips)
    left = np.swapaxes(a, -1, -2) if "adjoint_a" in flips else a
    np.testing.assert_allclose(run(product), left.astype("float64") @ (b.T if "adjoint_b" in flips else b))

    def build(a: Any, b: Any) -> Any:
        return tf.real(matmul_v2(a, b, output_type=tf.complex128, **flips))

    assert_gradients(build, SQUARE, SQUARE[1])


@pytest.mark.parametrize("matrix", [TALL, WIDE], ids=["tall", "wide"])
def test_decompositions_give_the_matrix_back(matrix: Any) -> None:
    s, u, v = tf.svd(matrix)
    q, r = tf.qr(matrix)
    product = tf.matmul(u, tf.matmul(tf.matrix_diag(s), v, adjoint_b=True))
    found = run([product, tf.matmul(q, r), tf.svd(matrix, compute_uv=False)])
    np.testing.assert_allclose(found[0], matrix)
    np.testing.assert_allclose(found[1], matrix)
    np.testing.assert_allclose(found[2], np.linalg.svd(matrix, compute_uv=False))


def test_lu_gives_the_matrix_back() -> None:
    lu, p = run(tf.linalg.lu(SQUARE[0]))
    np.testing.assert_allclose((np.tril(lu, -1) + np.eye(3)) @ np.triu(lu), SQUARE[0][p])


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("matrix", [TALL, WIDE], ids=["tall", "wide"])
def test_gradients_of_singular_value_decompositions(part: int, matrix: Any) -> None:
    assert_gradients(lambda a: tf.square(tf.svd(a)[part]), matrix)


def test_gradients_of_qr() -> None:
    assert_gradients(lambda a: tf.qr(a)[0], TALL)
    assert_gradients(lambda a: tf.qr(a)[1], TALL)


@pytest.mark.parametrize("matrix", [TALL, WIDE], ids=["tall", "wide"])
def test_least_squares(matrix: Any) -> None:
    from millstream.ops.linalg_ops import matrix_solve_ls_op

    rhs = RANDOM.uniform(-1, 1, (len(matrix), 2))
    wanted = np.linalg.lstsq(matrix, rhs, rcond=None)[0]
    for fast in (True, False):
        np.testing.assert_allclose(run(tf.matrix_solve_ls(matrix, rhs, fast=fast)), wanted, rtol=1e-6)
    regularised = run([tf.matrix_solve_ls(matrix, rhs, 0.1), matrix_solve_ls_op(matrix, rhs, 0.1)])
    np.testing.assert_allclose(*regularised)
    assert_gradients(lambda a, b: tf.matrix_solve_ls(a, b, 0.1), matrix, rhs)
    assert_gradients(lambda a, b: matrix_solve_ls_op(a, b, 0.1), matrix, rhs)


def test_functions_of_matrices() -> None:
    matrix = SQUARE @ np.swapaxes(SQUARE, -1, -2) + np.eye(3)
    root = tf.linalg.sqrtm(matrix)
    logarithm = tf.linalg.logm(tf.cast(matrix, tf.complex128))
    np.testing.assert_allclose(run(tf.matmul(root, root)), matrix)
    np.testing.assert_allclose(run(tf.linalg.expm(logarithm)), matrix, atol=1e-9)


def test_pseudo_inverse_and_rank() -> None:
    low = TALL @ np.diag([1.0, 2.0, 0.0])
    np.testing.assert_allclose(run(tf.linalg.pinv(low)), np.linalg.pinv(low), atol=1e-12)
    assert run([tf.linalg.matrix_rank(low), tf.linalg.matrix_rank(TALL)]) == [2, 3]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_dtypes(dtype: str) -> None:
    matrix = tf.cast(SQUARE, dtype)
    results = [tf.matrix_inverse(matrix), tf.cholesky(positive(matrix)), tf.qr(matrix)[0], tf.svd(matrix)[1]]
    assert all(result.dtype.name == dtype and np.all(np.isfinite(run(result))) for result in results)


@pytest.mark.parametrize("name", ["double", "complex"])
@pytest.mark.parametrize(("order", "axis"), [("euclidean", None), (1, 0), (np.inf, 1), (3, 1), ("fro", [0, 1]),
                                             (1, [0, 1]), (np.inf, [0, 1]), (2, [0, 1])])  # fmt: skip
def test_norms(name: str, order: Any, axis: Any) -> None:
    matrix = TALL if name == "double" else TALL + 1j * TALL[::-1]
    if order == "euclidean":
        wanted = np.linalg.norm(matrix)
    else:
        wanted = np.linalg.norm(matrix, order, tuple(axis) if isinstance(axis, list) else axis)
    np.testing.assert_allclose(run(tf.norm(tf.constant(matrix), order, axis)), wanted)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tf.matrix_inverse(np.ones([2, 2])), "Input is not invertible."),
        (lambda: tf.matrix_solve(np.ones([2, 2]), np.ones([2, 1])), "Input matrix is not invertible."),
        (lambda: tf.matrix_triangular_solve(np.zeros([2, 2]), np.ones([2, 1])), "Input matrix is not invertible."),
        (lambda: tf.cholesky(-np.eye(2)), "Cholesky decomposition was not successful."),
    ],
)
def test_matrices_without_a_solution(build: Any, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(build())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tf.matrix_inverse(tf.zeros([2, 3])), "Dimensions must be equal, but are 2 and 3"),
        (lambda: tf.matrix_solve(tf.zeros([2, 2]), tf.zeros([2])), "Shape must be at least rank 2 but is rank 1"),
        (lambda: tf.cross(tf.zeros([2, 2]), tf.zeros([2, 2])), "Dimension must be 3 but is 2"),
        (lambda: tf.norm(tf.zeros([2, 2]), 3, [0, 1]), "'ord' must be a supported matrix norm"),
        (lambda: tf.norm(tf.zeros([2, 2]), "bad"), "'ord' must be a supported vector norm, got bad"),
        (lambda: tf.norm(tf.zeros([2, 2]), axis=[0, 1, 2]), "'axis' must be None, an integer, or a tuple of 2"),
    ],
)
def test_shapes_and_arguments_that_do_not_fit(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
