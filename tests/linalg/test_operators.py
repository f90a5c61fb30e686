"""Every kind of operator: what it says is what its dense matrix says."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linalg.operators import INVERTIBLE, KINDS, SQUARE, make, transpose

import millstream as tf


def adjoint(x: Any) -> Any:
    return transpose(np.conj(x))


def argument(dense: Any, rows: int, *batch: int) -> Any:
    """Some matrices of two columns, of the dtype of `dense`."""
    return np.cos(np.arange(np.prod([*batch, rows, 2], dtype=int))).reshape(*batch, rows, 2).astype(dense.dtype)


def solve(matrix: Any, rhs: Any) -> Any:
    return np.linalg.inv(matrix) @ rhs


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    assert found.shape == np.shape(wanted)


@pytest.mark.parametrize("name", KINDS)
def test_dense_matrix_and_shapes(name: str) -> None:
    operator, dense = make(name)
    close(operator.to_dense(), dense)
    close(operator.diag_part(), np.diagonal(dense, axis1=-2, axis2=-1))
    assert operator.dtype.as_numpy_dtype == dense.dtype
    assert tuple(operator.shape) == tuple(operator.shape_tensor().numpy()) == dense.shape
    assert tuple(operator.batch_shape) == tuple(operator.batch_shape_tensor().numpy()) == dense.shape[:-2]
    assert operator.tensor_rank == operator.tensor_rank_tensor().numpy() == dense.ndim
    assert operator.domain_dimension == operator.domain_dimension_tensor().numpy() == dense.shape[-1]
    assert operator.range_dimension == operator.range_dimension_tensor().numpy() == dense.shape[-2]
    assert bool(operator.is_square) == (dense.shape[-1] == dense.shape[-2])


@pytest.mark.parametrize("name", KINDS)
def test_products(name: str) -> None:
    operator, dense = make(name)
    rows, columns = dense.shape[-2:]
    for batch in ((), (2,)):
        x, y = argument(dense, columns, *batch), argument(dense, rows, *batch)
        close(operator.matmul(x), dense @ x)
        close(operator @ x, dense @ x)
        close(operator.matmul(adjoint(x), adjoint_arg=True), dense @ x)
        close(operator.matmul(y, adjoint=True), adjoint(dense) @ y)
        close(operator.matmul(adjoint(y), adjoint=True, adjoint_arg=True), adjoint(dense) @ y)
    close(operator.matvec(x[..., 0]), (dense @ x)[..., 0])
    close(operator.matvec(y[..., 0], adjoint=True), (adjoint(dense) @ y)[..., 0])


@pytest.mark.parametrize("name", INVERTIBLE)
def test_solutions(name: str) -> None:
    operator, dense = make(name)
    for batch in ((), (2,)):
        x = argument(dense, dense.shape[-1], *batch)
        close(operator.solve(x), solve(dense, x))
        close(operator.solve(adjoint(x), adjoint_arg=True), solve(dense, x))
        close(operator.solve(x, adjoint=True), solve(adjoint(dense), x))
    close(operator.solvevec(x[..., 0]), solve(dense, x)[..., 0])
    close(operator.solvevec(x[..., 0], adjoint=True), solve(adjoint(dense), x)[..., 0])
    close(operator.inverse().to_dense(), np.linalg.inv(dense))


@pytest.mark.parametrize("name", SQUARE)
def test_determinants_and_traces(name: str) -> None:
    operator, dense = make(name)
    close(operator.determinant(), np.linalg.det(dense))
    close(operator.log_abs_determinant(), np.linalg.slogdet(dense)[1])
    close(operator.trace(), np.trace(dense, axis1=-2, axis2=-1))


@pytest.mark.parametrize("name", KINDS)
def test_adjoints_sums_and_condition_numbers(name: str) -> None:
    operator, dense = make(name)
    close(operator.adjoint().to_dense(), adjoint(dense))
    close(operator.H.to_dense(), adjoint(dense))
    x = np.ones(dense.shape[-2:], dense.dtype)
    close(operator.add_to_tensor(x), dense + x)
    if not name.startswith("zeros"):
        sizes = np.linalg.svd(dense, compute_uv=False)
        close(operator.cond(), sizes[..., 0] / sizes[..., -1])


@pytest.mark.parametrize("name", SQUARE)
def test_eigenvalues(name: str) -> None:
    operator, dense = make(name)
    if operator.is_self_adjoint:
        close(np.sort(operator.eigvals(), axis=-1), np.linalg.eigvalsh(dense))
    else:
        with pytest.raises(NotImplementedError, match="Only self-adjoint matrices are supported."):
            operator.eigvals()


@pytest.mark.parametrize("name", KINDS)
def test_checks_agree_with_the_dense_matrix(name: str) -> None:
    operator, dense = make(name)
    square = dense.shape[-1] == dense.shape[-2]
    if square and np.all(np.linalg.matrix_rank(dense) == len(dense[..., 0, :].T)):
        operator.assert_non_singular()
    if operator.is_self_adjoint:
        operator.assert_self_adjoint()
    if operator.is_positive_definite:
        operator.assert_positive_definite()
        close(operator.cholesky().to_dense(), np.linalg.cholesky(dense))


@pytest.mark.parametrize("name", [name for name in KINDS if "batch" in name and not name.startswith("zeros")])
def test_slices_of_batches(name: str) -> None:
    operator, dense = make(name)
    close(operator[1].to_dense(), dense[1])
    close(operator[::-1].to_dense(), dense[::-1])
    close(operator[..., tf.newaxis, :1].to_dense(), dense[None, :1])
    with pytest.raises(IndexError, match="too many indices"):
        operator[0, 0]


# A Cholesky decomposition reads one triangle, and its gradient counts both.
HALF_READ = ("full_matrix/positive",)


@pytest.mark.parametrize("name", [name for name in INVERTIBLE if KINDS[name].parameters and name not in HALF_READ])
def test_gradients_are_those_of_the_dense_matrix(name: str) -> None:
    """Through the dense matrix on the one side, through products and solutions on the other."""
    kind = KINDS[name]
    if np.iscomplexobj(kind.parameters[0]):
        pytest.skip("gradients by real parameters tell as much")
    x = argument(make(name)[1], make(name)[1].shape[-1])

    def gradients(with_dense: bool) -> list[Any]:
        parameters = [tf.constant(p) for p in kind.parameters]
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            operator = kind.build(*parameters)
            if with_dense:
                dense = operator.to_dense()
                result = tf.linalg.solve(dense, tf.linalg.matmul(dense, x) ** 2)
                logarithm = tf.linalg.slogdet(dense)[1]
            else:
                result = operator.solve(operator.matmul(x) ** 2)
                logarithm = operator.log_abs_determinant()
            loss = tf.reduce_sum(tf.math.real(result)) + tf.reduce_sum(tf.math.real(logarithm))
        return tape.gradient(loss, parameters)

    for found, wanted in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", KINDS)
def test_in_a_function_with_variables(name: str) -> None:
    """Operators see what is assigned to their variables."""
    kind = KINDS[name]
    variables = [tf.Variable(2 * p) for p in kind.parameters]
    operator = kind.build(*variables)
    x = argument(make(name)[1], make(name)[1].shape[-1])
    product = tf.function(lambda: operator.matmul(x))
    product()
    for variable, parameter in zip(variables, kind.parameters, strict=True):
        variable.assign(parameter)
    close(product(), make(name)[1] @ x)
    assert len(operator.trainable_variables) == len(variables)
