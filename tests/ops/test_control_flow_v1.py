"""Conditions and loops in 1.x graphs and sessions."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.fixture
def session() -> Any:
    with tf.Session() as session:
        yield session


def initialised(session: Any) -> Any:
    session.run(tf.global_variables_initializer())
    return session


def test_cond(session) -> None:
    x = tf.placeholder(tf.float32, [])
    y = tf.cond(x > 0, lambda: x * 2.0, lambda: x - 1.0)
    assert y.name == "cond/Merge:0"
    assert session.run([y, y + 1.0], {x: 3.0}) == [6.0, 7.0]
    assert session.run(y, {x: -3.0}) == -4.0


def test_names_stay_in_their_scopes() -> None:
    with tf.name_scope("outer"):
        y = tf.cond(tf.constant(True), lambda: 1.0, lambda: 2.0, name="choice")
        z = tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0])
    assert y.op.name == "outer/choice/Merge"
    assert z.op.name == "outer/while/Exit"


def test_single_results_are_unpacked(session) -> None:
    x = tf.placeholder(tf.bool, [])
    assert isinstance(tf.cond(x, lambda: [1], lambda: [2]), tf.Tensor)
    assert isinstance(tf.cond(x, lambda: [1], lambda: [2], strict=True), list)
    assert isinstance(tf.while_loop(lambda i: i < 3, lambda i: [i + 1], [0]), tf.Tensor)
    assert isinstance(tf.while_loop(lambda i: i < 3, lambda i: [i + 1], [0], return_same_structure=True), list)


def test_only_what_the_results_need_runs(session) -> None:
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    x = tf.placeholder(tf.bool, [])

    def forgotten() -> Any:
        tf.assign_add(v, 10.0)
        return tf.constant(0.0)

    y = tf.cond(x, forgotten, lambda: tf.constant(1.0))
    initialised(session).run(y, {x: True})
    assert session.run(v) == 1.0


@pytest.mark.parametrize("use_resource", [False, True])
def test_branches_change_variables(session, use_resource) -> None:
    v = tf.get_variable("v", initializer=1.0, use_resource=use_resource)
    x = tf.placeholder(tf.bool, [])
    y = tf.cond(x, lambda: tf.assign_add(v, 10.0), lambda: tf.assign(v, 0.0))
    initialised(session)
    assert session.run(y, {x: True}) == 11.0
    assert session.run(v) == 11.0
    assert session.run([y, v], {x: False}) == [0.0, 0.0]


def test_branches_that_are_operations(session) -> None:
    v = tf.Variable(1.0)
    x = tf.placeholder(tf.bool, [])
    done = tf.cond(x, lambda: tf.group(tf.assign(v, 5.0)), lambda: tf.no_op())
    initialised(session)
    assert session.run(done, {x: False}) == np.False_
    assert session.run(v) == 1.0
    session.run(done, {x: True})
    assert session.run(v) == 5.0


def test_an_uninitialised_variable_on_the_other_branch(session) -> None:
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    y = tf.cond(tf.is_variable_initialized(v), lambda: v.read_value(), lambda: tf.constant(-1.0))
    assert session.run(y) == -1.0
    assert initialised(session).run(y) == 1.0


def test_control_dependencies_reach_into_branches(session) -> None:
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    with tf.control_dependencies([tf.assign_add(v, 1.0)]):
        y = tf.cond(tf.constant(True), lambda: v.read_value(), lambda: tf.constant(0.0))
    assert initialised(session).run(y) == 2.0


def test_random_numbers_in_a_branch(session) -> None:
    x = tf.placeholder(tf.bool, [])
    y = tf.cond(x, lambda: tf.random_uniform([2], seed=1), lambda: tf.zeros([2]))
    first, second = session.run(y, {x: True}), session.run(y, {x: True})
    assert first.tolist() != second.tolist()
    assert session.run(y, {x: False}).tolist() == [0, 0]


def test_while_loop_with_fed_values(session) -> None:
    n, x = tf.placeholder(tf.int32, []), tf.placeholder(tf.float32, [None])
    _, y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2.0 + x), [0, x])
    assert session.run(y, {n: 2, x: [1.0, 2.0]}).tolist() == [7.0, 14.0]
    assert session.run(y, {n: 0, x: [1.0]}).tolist() == [1.0]


def test_py_func_in_a_loop(session) -> None:
    seen: list[int] = []

    def body(i: Any) -> Any:
        new = tf.py_func(lambda value: seen.append(int(value)) or value + 1, [i], tf.int64, stateful=True)
        new.set_shape([])
        return new

    assert session.run(tf.while_loop(lambda i: i < 3, body, [tf.constant(0, tf.int64)])) == 3
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("x", [0.7, -0.6])
def test_gradients(session, x) -> None:
    at = tf.placeholder(tf.float64, [])
    chosen = tf.cond(at > 0, lambda: at * tf.sin(at), lambda: tf.exp(at))
    repeated = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y * tf.sin(at) + at), [0, at])[1]
    for y in (chosen, repeated):
        (first,) = tf.gradients(y, at)
        (second,) = tf.gradients(first, at)
        for function, derivative in ((y, first), (first, second)):
            high, low = session.run(function, {at: x + 1e-5}), session.run(function, {at: x - 1e-5})
            np.testing.assert_allclose(session.run(derivative, {at: x}), (high - low) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize("use_resource", [False, True])
def test_training_through_a_loop(session, use_resource) -> None:
    w = tf.get_variable("w", [2], initializer=tf.ones_initializer(), use_resource=use_resource)
    y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y * w)), [0, tf.ones([2])])[1]
    loss = tf.reduce_sum(y)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    before = initialised(session).run(loss)
    session.run(train)
    assert session.run(loss) < before


# --- One graph --------------------------------------------------------------------------------------------------------


def test_what_is_inside_is_found_by_name_and_not_fetched(session) -> None:
    x = tf.constant(2.0)
    tf.cond(x > 0, lambda: x * 2.0, lambda: x)
    graph = tf.get_default_graph()
    inner = graph.get_tensor_by_name("cond/mul:0")
    assert graph.get_operation_by_name("cond/mul").type == "Mul"
    for fetch in (inner, "cond/mul:0", inner.op):
        with pytest.raises(ValueError, match="Operation 'cond/mul' has been marked as not fetchable"):
            session.run(fetch)
    with pytest.raises(ValueError, match="may not be fed"):
        session.run(x, {inner: 1.0})


@pytest.mark.parametrize(("outer", "inner"), [(True, True), (True, False), (False, True)])
def test_a_tensor_of_a_nested_branch_is_used_outside(session, outer, inner) -> None:
    p, q, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.bool, []), tf.constant([2.0, 3.0])
    kept: list[Any] = []

    def branch() -> Any:
        chosen = tf.cond(q, lambda: kept.append(x * 2.0) or kept[0], lambda: x)
        return chosen + 1.0

    y = tf.cond(p, branch, lambda: x)
    z = kept[0] + 10.0
    (gradient,) = tf.gradients(z, x)
    feed = {p: outer, q: inner}
    if outer and inner:
        assert [value.tolist() for value in session.run([y, z, gradient], feed)] == [[5, 7], [14, 16], [2, 2]]
    else:
        session.run(y, feed)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"Retval\[0\] does not have value"):
            session.run(z, feed)


def test_a_tensor_of_a_branch_is_used_in_the_branch_around(session) -> None:
    x = tf.constant(2.0)
    kept: list[Any] = []

    def branch() -> Any:
        tf.cond(x > 1, lambda: kept.append(x * 2.0) or kept[0], lambda: x)
        return kept[0] + 1.0

    assert session.run(tf.cond(x > 0, branch, lambda: x)) == 5.0


def test_an_operation_of_a_nested_branch_runs_before_one_outside(session) -> None:
    v = tf.get_variable("v", initializer=0.0)
    p = tf.placeholder(tf.bool, [])
    kept: list[Any] = []

    def branch() -> Any:
        return tf.cond(p, lambda: kept.append(v.assign_add(1.0).op) or 1.0, lambda: 2.0)

    y = tf.cond(tf.constant(True), branch, lambda: 3.0)
    with tf.control_dependencies(kept):
        z = tf.identity(y)
    initialised(session)
    assert session.run([z], {p: True}) == [1.0] and session.run(v) == 1.0
    assert session.run([z], {p: False}) == [2.0] and session.run(v) == 1.0


def test_a_tensor_of_a_loop_is_not_used_outside() -> None:
    kept: list[Any] = []
    tf.while_loop(lambda i: i < 3, lambda i: kept.append(i * 2) or i + 1, [0])
    with pytest.raises(ValueError, match="Cannot use 'while/mul' as input to 'add' because 'while/mul' is in a while"):
        kept[0] + 1
    with pytest.raises(ValueError, match="is in a while loop"), tf.control_dependencies(kept):
        pass


@pytest.mark.parametrize("use_resource", [False, True])
def test_a_variable_is_not_made_of_a_tensor_inside(use_resource) -> None:
    message = "Initializer for variable while/Variable/ is from inside a control-flow construct"
    with pytest.raises(ValueError, match=message):
        tf.while_loop(lambda i: i < 3, lambda i: tf.Variable(i, use_resource=use_resource) + i, [0])


def test_the_seed_of_a_branch_is_the_graphs(session) -> None:
    def branch() -> Any:
        tf.set_random_seed(7)
        return tf.zeros([])

    tf.cond(tf.constant(True), branch, lambda: tf.ones([]))
    assert tf.get_default_graph().seed == 7


def test_layers_of_both_branches_have_variables(session) -> None:
    x, p = tf.ones([2, 3]), tf.placeholder(tf.bool, [])
    y = tf.cond(
        p, lambda: tf.layers.dense(x, 4, name="a", kernel_regularizer=tf.nn.l2_loss),
        lambda: tf.layers.dense(x, 4, name="b"),
    )  # fmt: skip
    loss = tf.reduce_sum(y) + tf.losses.get_regularization_loss()
    train = tf.train.AdamOptimizer(0.01).minimize(loss)
    assert [v.name for v in tf.trainable_variables()] == ["a/kernel:0", "a/bias:0", "b/kernel:0", "b/bias:0"]
    before = initialised(session).run(loss, {p: True})
    session.run(train, {p: True})
    assert session.run(loss, {p: True}) < before


def test_a_graph_with_leaked_tensors_is_written() -> None:
    x = tf.constant(2.0)
    kept: list[Any] = []
    tf.cond(x > 0, lambda: kept.append(x * 2.0) or x, lambda: x)
    kept[0] + 1.0
    assert "TakenValue" in {node.op for node in tf.get_default_graph().as_graph_def().node}


def test_errors() -> None:
    x = tf.constant(1)
    with pytest.raises(TypeError, match="pred must not be a Python bool"):
        tf.cond(True, lambda: x, lambda: x)
    with pytest.raises(TypeError, match="may not be set simultaneously"):
        tf.cond(x > 0, lambda: x, lambda: x, fn1=lambda: x)
    with pytest.raises(ValueError, match="No loop variables provided"):
        tf.while_loop(lambda: True, lambda: None, [])


def test_a_graph_with_branches_is_written() -> None:
    tf.cond(tf.constant(True), lambda: 1.0, lambda: 2.0)
    (node,) = [node for node in tf.get_default_graph().as_graph_def().node if node.op == "StatelessIf"]
    assert node.attr["then_branch"].func.name != node.attr["else_branch"].func.name


def test_a_loop_takes_from_a_queue(session) -> None:
    queue = tf.FIFOQueue(10, tf.int32, shapes=[[]])
    total = tf.while_loop(lambda i, _: i < 3, lambda i, total: (i + 1, total * 10 + queue.dequeue()), (0, 0))[1]
    session.run(queue.enqueue_many([[7, 1, 2, 5]]))
    assert session.run(total) == 712
    assert session.run(queue.size()) == 1


def test_gradients_of_a_loop_beside_an_array_of_various_shapes(session) -> None:
    x = tf.placeholder(tf.float32, [None])
    array = tf.TensorArray(tf.int32, size=0, dynamic_size=True, infer_shape=False)

    def body(i: Any, total: Any, array: Any) -> Any:
        return i + 1, total * x[i], array.write(i, tf.range(i))

    total = tf.while_loop(lambda i, *_: i < tf.size(x), body, (0, 1.0, array))[1]
    np.testing.assert_allclose(session.run(tf.gradients(total, x)[0], {x: [2.0, 3.0, 4.0]}), [12.0, 8.0, 6.0])
