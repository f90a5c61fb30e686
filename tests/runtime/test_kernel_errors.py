"""Shapes and values that turn out wrong only when the graph runs: TensorFlow's class and first sentence."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def fed(shape: list[int], dtype: Any = np.float32) -> tf.Tensor:
    """Ones, of a shape that is not known when the graph is built."""
    return tf.placeholder_with_default(tf.constant(np.ones(shape, dtype)), None)


def first_line(fetch: Any, initialize: bool = False) -> str:
    with tf.Session() as session:
        if initialize:
            session.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(fetch)
    return caught.value.message.splitlines()[0]


@pytest.mark.parametrize("compute", [tf.add, tf.less, tf.equal, tf.squared_difference, tf.atan2, tf.igamma])
def test_shapes_that_do_not_broadcast(compute: Callable[..., Any]) -> None:
    assert first_line(compute(fed([2]), fed([1, 3]))) == "Incompatible shapes: [2] vs. [1,3]"


def test_shapes_that_do_not_broadcast_in_a_compiled_stage() -> None:
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(tf.exp(x) * y, {x: [1.0, 2.0], y: [1.0, 2.0, 3.0]})
    assert caught.value.message.startswith("Incompatible shapes: [2] vs. [3]")
    assert caught.value.op.type == "Mul"


def test_a_variable_that_does_not_broadcast() -> None:
    variable = tf.Variable(fed([2]), validate_shape=False)
    assert first_line(fed([3]) + variable, initialize=True).startswith("Incompatible shapes")


@pytest.mark.parametrize(
    "a, b, options, message",
    [
        ([1, 2], [1, 2], {}, "In[0] mismatch In[1] shape: 2 vs. 1: [1,2] [1,2] 0 0"),
        ([1, 2], [2, 1], {"adjoint_b": True}, "In[0] mismatch In[1] shape: 2 vs. 1: [1,2] [2,1] 0 1"),
        ([1], [2, 1], {}, "In[0] ndims must be >= 2: 1"),
        ([2, 1], [], {}, "In[1] ndims must be >= 2: 0"),
        ([2, 2, 3], [3, 3, 2], {}, "In[0] and In[1] must have compatible batch dimensions: [2,2,3] vs. [3,3,2]"),
    ],
)
def test_batches_of_matrices(a: list[int], b: list[int], options: dict[str, Any], message: str) -> None:
    assert first_line(tf.matmul(fed(a), fed(b), **options)) == message


@pytest.mark.parametrize(
    "a, b, transpose_b, message",
    [
        ([1, 2], [1, 2], False, "Matrix size-incompatible: In[0]: [1,2], In[1]: [1,2]"),
        ([1, 2], [2, 1], True, "Matrix size-incompatible: In[0]: [1,2], In[1]: [2,1]"),
        ([1], [1, 1], False, "In[0] is not a matrix. Instead it has shape [1]"),
    ],
)
def test_matrices(a: list[int], b: list[int], transpose_b: bool, message: str) -> None:
    assert first_line(tf.raw_ops.MatMul(a=fed(a), b=fed(b), transpose_b=transpose_b)) == message


@pytest.mark.parametrize("use_resource", [False, True])
def test_updates_of_rows(use_resource: bool) -> None:
    v = tf.Variable([[1.0], [2.0]], use_resource=use_resource)
    indices = tf.placeholder_with_default(tf.constant([[0, 1], [0, 5]]), None)
    assert first_line(tf.scatter_update(v, indices, 1.0), initialize=True) == "indices[1,1] = 5 is not in [0, 2)"
    wrong = tf.scatter_update(v, fed([2], np.int32), fed([1, 1]))
    assert first_line(wrong, initialize=True) == (
        "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got "
        "updates.shape [1,1], indices.shape [2], params.shape [2,1]"
    )


@pytest.mark.parametrize(
    "use_resource, message",
    [
        (False, "Parameters and update must be the same size"),
        (True, "Cannot update variable with shape [2] using a Tensor with shape [1], shapes must be equal."),
    ],
)
def test_additions_to_a_variable(use_resource: bool, message: str) -> None:
    v = tf.Variable([1.0, 2.0], use_resource=use_resource)
    assert first_line(tf.assign_add(v, fed([1])), initialize=True) == message


@pytest.mark.parametrize(
    "draw",
    [
        tf.random_uniform,
        tf.random_normal,
        lambda shape: tf.random_uniform(shape, 0, 5, tf.int32),
        lambda shape: tf.random_gamma(shape, 1.0),
        lambda shape: tf.random.stateless_uniform(shape, [1, 2]),
    ],
)
def test_random_shapes(draw: Callable[..., Any]) -> None:
    assert first_line(draw(-fed([1], np.int32))) == "Dimension -1 must be >= 0"


def test_uninitialized_resource_variable() -> None:
    v = tf.Variable(1.0, use_resource=True, name="v")
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="Error while reading resource variable v from"):
            session.run(v + 1.0)


def test_a_run_that_fails_changes_nothing() -> None:
    v = tf.Variable([1.0, 2.0])
    bad = tf.gather([1.0, 2.0], 9 * fed([1], np.int32))
    with tf.control_dependencies([v.assign_add([1.0, 1.0])]):
        fails = tf.identity(bad)
    with tf.control_dependencies([bad]):
        after = v.assign([7.0, 7.0])
    with tf.Session() as session:
        session.run(v.initializer)
        for fetch in (fails, after):
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[0\] = 9 is not in \[0, 2\)"):
                session.run(fetch)
            assert session.run(v).tolist() == [1.0, 2.0]
