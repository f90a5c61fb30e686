"""`tf.linalg.experimental.conjugate_gradient`."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linalg.operators import POSITIVE, SURE, full

import millstream as tf

solve = tf.linalg.experimental.conjugate_gradient


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_finds_the_solution_in_as_many_steps_as_there_are_rows(traced: bool, preconditioned: bool) -> None:
    rhs = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])  # the second one is solved from the beginning
    inverse = tf.linalg.LinearOperatorDiag(1 / np.diagonal(POSITIVE)) if preconditioned else None

    def compute() -> Any:
        return solve(full(POSITIVE, **SURE), rhs, preconditioner=inverse, tol=1e-10)

    state = (tf.function(compute) if traced else compute)()
    np.testing.assert_allclose(state.x, np.linalg.solve(POSITIVE, rhs[..., None])[..., 0], rtol=1e-7, atol=1e-12)
    assert int(state.i) == 3
    np.testing.assert_allclose(state.r, rhs - state.x.numpy() @ POSITIVE, atol=1e-9)


def test_goes_on_from_a_guess() -> None:
    rhs = np.array([1.0, 2.0, 3.0])
    wanted = np.linalg.solve(POSITIVE, rhs)
    assert int(solve(full(POSITIVE, **SURE), rhs, x=wanted).i) == 0
    assert int(solve(full(POSITIVE, **SURE), rhs, max_iter=1).i) == 1


def test_complex_systems() -> None:
    matrix = np.array([[4.0, 1j], [-1j, 3.0]])
    rhs = np.array([1.0, 2j])
    np.testing.assert_allclose(solve(full(matrix, **SURE), rhs, tol=1e-12).x, np.linalg.solve(matrix, rhs))


@pytest.mark.parametrize("traced", [False, True])
def test_gradients(traced: bool) -> None:
    rhs = tf.constant([1.0, 2.0, 3.0], tf.float64)

    def gradient(rhs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(rhs)
            x = solve(full(POSITIVE, **SURE), rhs, tol=1e-12).x
        return tape.gradient(x, rhs)

    found = (tf.function(gradient) if traced else gradient)(rhs)
    np.testing.assert_allclose(found, np.linalg.solve(POSITIVE, np.ones(3)), rtol=1e-6)


def test_an_operator_that_is_not_known_to_be_positive_definite() -> None:
    with pytest.raises(ValueError, match="Expected a self-adjoint, positive definite operator."):
        solve(full(POSITIVE), np.ones(3))
