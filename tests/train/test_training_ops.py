"""The update operations: all forms of a rule agree, on NumPy and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core.opdef import REGISTRY
from millstream.ops import training_ops  # noqa: F401 - defines the operations

ROWS = [2, 0]
RULES = sorted(name.removeprefix("ResourceApply") for name in REGISTRY if name.startswith("ResourceApply"))
SPARSE_RULES = sorted(
    name.removeprefix("ResourceSparseApply") for name in REGISTRY if name.startswith("ResourceSparseApply")
)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def update(op_type, fed):
    """The states after an update of variables [3, 2]; `fed`: the other inputs are placeholders, so it is compiled."""
    definition = REGISTRY[op_type]
    numbers = np.random.RandomState(0)
    variables, inputs, feeds = [], [], {}
    for spec in definition.inputs:
        if spec.is_ref or spec.dtype is tf.resource:
            initial = numbers.uniform(0.5, 1.0, [3, 2])
            variable = tf.Variable(initial, use_resource=not spec.is_ref)
            variables.append(variable)
            inputs.append(variable if spec.is_ref else variable.handle)
            continue
        if spec.name in ("grad", "delta"):
            value = np.array([[0.3, -0.2], [0.1, 0.0], [-0.5, 0.7]])
            value = value[ROWS] if "Sparse" in op_type else value
        elif spec.name == "indices":
            value = np.array(ROWS, np.int32)
        else:
            value = np.int64(3) if spec.name == "global_step" else numbers.uniform(0.1, 0.5)
        if fed:
            tensor = tf.placeholder(np.asarray(value).dtype)
            feeds[tensor] = value
        inputs.append(tensor if fed else tf.constant(np.asarray(value)))
    op = definition(*inputs)
    op = op if isinstance(op, tf.Operation) else op.op
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(op, feeds)
        return np.array(session.run(variables))


def before(op_type):
    numbers = np.random.RandomState(0)
    states = [spec for spec in REGISTRY[op_type].inputs if spec.is_ref or spec.dtype is tf.resource]
    return np.array([numbers.uniform(0.5, 1.0, [3, 2]) for _ in states])


@pytest.mark.parametrize("rule", RULES)
def test_forms_agree(rule):
    resource = update("ResourceApply" + rule, fed=True)
    assert not np.array_equal(resource[0], before("ResourceApply" + rule)[0])
    np.testing.assert_allclose(update("ResourceApply" + rule, fed=False), resource, rtol=1e-12)
    if "Apply" + rule in REGISTRY:
        np.testing.assert_allclose(update("Apply" + rule, fed=True), resource, rtol=1e-12)


@pytest.mark.parametrize("rule", SPARSE_RULES)
def test_rows_are_updated_as_the_whole_is(rule):
    dense, sparse = update("ResourceApply" + rule, fed=True), update("ResourceSparseApply" + rule, fed=True)
    np.testing.assert_allclose(sparse[:, ROWS], dense[:, ROWS], rtol=1e-12)
    np.testing.assert_array_equal(sparse[:, 1], before("ResourceApply" + rule)[:, 1])
    if "SparseApply" + rule in REGISTRY:
        np.testing.assert_allclose(update("SparseApply" + rule, fed=True), sparse, rtol=1e-12)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
def test_dtypes(dtype):
    v, m = tf.Variable(tf.ones([2], dtype)), tf.Variable(tf.zeros([2], dtype))
    scalar = tf.constant(0.5, dtype)
    step = tf.raw_ops.ApplyMomentum(var=v, accum=m, lr=scalar, grad=tf.ones([2], dtype), momentum=scalar)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = session.run(step)
        assert found.dtype == dtype.as_numpy_dtype
        np.testing.assert_array_equal(found.astype(float), [0.5, 0.5])


def test_adagrad_may_leave_its_sum():
    v, accum = tf.Variable([1.0]), tf.Variable([4.0])
    step = tf.raw_ops.ApplyAdagrad(var=v, accum=accum, lr=1.0, grad=[1.0], update_slots=False)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(step) == [0.5] and session.run(accum) == [4.0]


@pytest.mark.parametrize(
    ("lr", "grad", "message"),
    [
        ([1.0], [1.0, 2.0], "Shape must be rank 0 but is rank 1"),
        (1.0, [1.0, 2.0, 3.0], "Dimension 0 in both shapes must be equal, but are 2 and 3"),
    ],
)
def test_shapes_are_checked(lr, grad, message):
    with pytest.raises(ValueError, match=message):
        tf.raw_ops.ApplyGradientDescent(var=tf.Variable([1.0, 2.0]), alpha=lr, delta=grad)


def test_shapes_are_checked_when_it_runs():
    v, grad = tf.Variable([1.0, 2.0]), tf.placeholder(tf.float32)
    step = tf.raw_ops.ApplyGradientDescent(var=v, alpha=1.0, delta=grad)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"var and delta do not have the same shape\[2\] \[3\]"
        ):
            session.run(step, {grad: [1.0, 2.0, 3.0]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"var and delta do not have the same shape\[2\] \[\]"):
            session.run(step, {grad: 1.0})


def test_slots_must_be_initialized():
    v, accum = tf.Variable([1.0]), tf.Variable([1.0], name="slot")
    step = tf.raw_ops.ApplyAdagrad(var=v, accum=accum, lr=1.0, grad=[1.0])
    with tf.Session() as session:
        session.run(v.initializer)
        with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value slot"):
            session.run(step)
        assert session.run(v) == [1.0]


@pytest.mark.parametrize("fed", [False, True])
def test_rows_that_share_an_index_are_summed(fed):
    v, accum = tf.Variable([[1.0], [1.0]]), tf.Variable([[0.0], [0.0]])
    indices = np.array([1, 1, 1], np.int32)
    given = tf.placeholder(tf.int32, [None]) if fed else tf.constant(indices)
    step = tf.raw_ops.SparseApplyMomentum(
        var=v, accum=accum, lr=0.5, grad=[[1.0], [2.0], [4.0]], indices=given, momentum=0.5
    )
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(2):
            session.run(step.op, {given: indices} if fed else {})
        assert session.run([v, accum])[0].tolist() == [[1.0], [1.0 - 0.5 * 7.0 - 0.5 * 10.5]]
        assert session.run(accum).tolist() == [[0.0], [10.5]]
