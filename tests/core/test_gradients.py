"""`tf.gradients`: the walk from targets to sources. What single operations give is tested with them."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run(tensors, feed_dict=None):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tensors, feed_dict)


# --- Paths ------------------------------------------------------------------------------------------------------------


def test_a_chain():
    x = tf.constant(3.0)
    y = x
    for _ in range(3):
        y = y * 2.0
    assert run(tf.gradients(y, x)) == [8.0]


def test_a_deep_chain_needs_no_recursion():
    x = tf.constant(1.0)
    y = x
    for _ in range(1500):
        y = tf.identity(y)
    (found,) = tf.gradients(y, x)
    assert found.shape.as_list() == []


def test_several_paths_are_added():
    x = tf.constant(3.0)
    y = x * x + 2.0 * x
    assert run(tf.gradients(y * y, x)) == [2 * 15 * 8.0]


def test_a_diamond_is_walked_once(graph):
    x = tf.constant(1.0)
    y = x
    for _ in range(20):
        y = y + y
    assert run(tf.gradients(y, x)) == [2.0**20]
    assert len(graph.get_operations()) < 200


def test_several_targets():
    x = tf.constant(3.0)
    assert run(tf.gradients([x * x, 2.0 * x], x)) == [8.0]


def test_a_target_on_the_way_to_another():
    x = tf.constant(3.0)
    a = x * x
    b = a * 5.0
    assert run(tf.gradients([b, a], x)) == [36.0]
    assert run(tf.gradients([a, b], [x, a])) == [36.0, 6.0]


def test_a_target_twice():
    x = tf.constant(3.0)
    y = x * x
    assert run(tf.gradients([y, y], x)) == [12.0]


def test_a_target_that_is_the_source():
    x = tf.constant([3.0, 4.0])
    (found,) = tf.gradients(x, x)
    assert run(found).tolist() == [1.0, 1.0]
    assert run(tf.gradients([x, x * 2.0], x))[0].tolist() == [3.0, 3.0]


def test_a_source_on_the_way_to_another():
    x = tf.constant(3.0)
    y = x * x
    z = y * y
    assert run(tf.gradients(z, [x, y])) == [4 * 27.0, 18.0]


def test_sources_twice():
    x = tf.constant(3.0)
    assert run(tf.gradients(x * x, [x, x])) == [6.0, 6.0]


def test_one_output_of_several():
    x = tf.constant([1.0, 2.0, 3.0, 4.0])
    a, b = tf.split(x, 2)
    assert run(tf.gradients(b, x))[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert run(tf.gradients(b, [a, b])[1:])[0].tolist() == [1.0, 1.0]
    assert tf.gradients(b, a) == [None]


def test_unconnected():
    x, y = tf.constant([1.0, 2.0]), tf.constant(1.0)
    assert tf.gradients(y * 2.0, x) == [None]
    (zeros,) = tf.gradients(y * 2.0, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert run(zeros).tolist() == [0.0, 0.0]
    assert tf.gradients(y, [], unconnected_gradients="zero") == []
    with pytest.raises(ValueError):
        tf.gradients(y, x, unconnected_gradients="nonsense")


def test_integers_carry_no_gradient():
    x = tf.constant([1.0, 2.0])
    assert tf.gradients(tf.cast(tf.cast(x, tf.int32), tf.float32), x) == [None]
    assert tf.gradients(tf.cast(tf.argmax(x), tf.float32), x) == [None]
    assert tf.gradients(tf.stop_gradient(x) * 2.0, x) == [None]


def test_variables(graph):
    v = tf.Variable([1.0, 2.0])
    r = tf.Variable([3.0, 4.0], use_resource=True)
    y = v * v + 3.0 * r
    found = run(tf.gradients(y, [v, r]))
    assert found[0].tolist() == [2.0, 4.0] and found[1].tolist() == [3.0, 3.0]


def test_a_variable_read_several_times():
    v = tf.Variable(3.0)
    y = v.read_value() * v.value() * tf.identity(v)
    assert run(tf.gradients(y, v)) == [27.0]


# --- What flows in ----------------------------------------------------------------------------------------------------


def test_given_gradients():
    x = tf.constant([1.0, 2.0])
    assert run(tf.gradients(x * 2.0, x, grad_ys=[[10.0, 20.0]]))[0].tolist() == [20.0, 40.0]
    assert run(tf.gradients([x * 2.0, x], x, grad_ys=[None, tf.constant([1.0, 0.0])]))[0].tolist() == [3.0, 2.0]


def test_given_gradients_that_do_not_suit():
    x = tf.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="Passed 2 grad_ys for 1 ys"):
        tf.gradients(x * 2.0, x, grad_ys=[None, None])
    with pytest.raises(TypeError, match="Gradient type int32 generated for"):
        tf.gradients(x * 2.0, x, grad_ys=tf.constant([1, 2]))
    with pytest.raises(ValueError):
        run(tf.gradients(x * 2.0, x, grad_ys=tf.constant([1.0, 2.0, 3.0])))


def test_complex_targets_need_gradients():
    x = tf.constant([1.0 + 2.0j])
    with pytest.raises(TypeError, match=r"Gradients of complex tensors must set grad_ys \(y.dtype = tf.complex128\)"):
        tf.gradients(x * x, x)
    found = run(tf.gradients(x * x, x, grad_ys=tf.constant([1.0 + 0.0j])))
    assert np.allclose(found[0], [2.0 - 4.0j])


def test_targets_of_unknown_shape():
    x = tf.placeholder(tf.float32)
    assert run(tf.gradients(x * x, x), {x: [[1.0, 2.0]]})[0].tolist() == [[2.0, 4.0]]


# --- What is held constant --------------------------------------------------------------------------------------------


def test_stop_gradients():
    a = tf.constant(3.0)
    b = 2.0 * a
    assert run(tf.gradients(a + b, [a, b])) == [3.0, 1.0]
    assert run(tf.gradients(a + b, [a, b], stop_gradients=[a, b])) == [1.0, 1.0]
    assert run(tf.gradients(a * b, a, stop_gradients=b)) == [6.0]


# --- IndexedSlices ----------------------------------------------------------------------------------------------------


def test_rows_stay_rows():
    table = tf.Variable(np.ones((4, 2), np.float32))
    (found,) = tf.gradients(tf.gather(table, [3, 1, 3]) * 2.0, table)
    assert isinstance(found, tf.IndexedSlices)
    values, indices, shape = run([found.values, found.indices, found.dense_shape])
    assert (values.tolist(), indices.tolist(), shape.tolist()) == ([[2.0, 2.0]] * 3, [3, 1, 3], [4, 2])


def test_rows_of_several_uses_are_joined():
    table = tf.Variable(np.ones((4, 2), np.float32))
    y = tf.reduce_sum(tf.gather(table, [3])) + tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 0]))
    (found,) = tf.gradients(y, table)
    assert isinstance(found, tf.IndexedSlices)
    assert sorted(run(found.indices).tolist()) == [0, 1, 3]


def test_rows_and_a_dense_gradient_are_added_up():
    table = tf.Variable(np.ones((3, 2), np.float32))
    y = tf.reduce_sum(tf.gather(table, [2, 2])) + tf.reduce_sum(table * 5.0)
    (found,) = tf.gradients(y, table)
    assert isinstance(found, tf.Tensor)
    assert run(found).tolist() == [[5.0, 5.0], [5.0, 5.0], [7.0, 7.0]]


def test_indices_of_different_types():
    table = tf.Variable(np.ones((4, 2), np.float32))
    y = tf.reduce_sum(tf.gather(table, [3])) + tf.reduce_sum(tf.gather(table, tf.constant([1], tf.int64)))
    (found,) = tf.gradients(y, table)
    assert sorted(run(found.indices).tolist()) == [1, 3]
    assert run(tf.convert_to_tensor(found)).tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]


def test_rows_flow_through_operations_as_tensors():
    x = tf.constant(np.ones((3, 2), np.float32))
    y = tf.gather(x * 4.0, [1])
    assert run(tf.gradients(y, x))[0].tolist() == [[0, 0], [4, 4], [0, 0]]


# --- Higher orders ----------------------------------------------------------------------------------------------------


def test_gradients_of_gradients():
    x = tf.constant(2.0)
    y = x**4
    for wanted in (32.0, 48.0, 48.0, 24.0):
        (y,) = tf.gradients(y, x)
        assert abs(run(y) - wanted) < 1e-3


def test_hessians():
    x = tf.constant([1.0, 2.0])
    w = tf.constant([[3.0]])
    y = tf.reduce_sum(x * x * x) * tf.reduce_sum(w)
    first, second = run(tf.hessians(y, [x, w]))
    assert first.tolist() == [[18.0, 0.0], [0.0, 36.0]]
    assert second.tolist() == [[[[0.0]]]]


def test_hessian_of_an_unknown_shape():
    x = tf.placeholder(tf.float32, [None])
    with pytest.raises((ValueError, TypeError)):
        run(tf.hessians(tf.reduce_sum(x * x), x))


# --- Registered gradients ---------------------------------------------------------------------------------------------


@tf.RegisterGradient("TestTimesTen")
def _times_ten(op, grad):
    return grad * 10.0


@tf.RegisterGradient("TestTooMany")
def _too_many(op, grad):
    return grad, grad


@tf.RegisterGradient("TestWrongShape")
def _wrong_shape(op, grad):
    return tf.zeros([7])


def test_overridden_gradients(graph):
    x = tf.constant(3.0)
    with graph.gradient_override_map({"Square": "TestTimesTen"}):
        y = tf.square(x)
    assert run(tf.gradients([y, tf.square(x)], x)) == [16.0]


def test_an_override_that_is_not_registered(graph):
    x = tf.constant(3.0)
    with graph.gradient_override_map({"Square": "TestNotThere"}):
        y = tf.square(x, name="sq")
    with pytest.raises(
        LookupError, match="(No gradient defined for operation 'sq'|gradient registry has no entry for)"
    ):
        tf.gradients(y, x)


def test_too_many_gradients(graph):
    x = tf.constant(3.0)
    with graph.gradient_override_map({"Square": "TestTooMany"}):
        y = tf.square(x, name="sq")
    with pytest.raises(ValueError, match="Num gradients 2 generated for op .*sq.* do not match num inputs 1"):
        tf.gradients(y, x)


def test_a_gradient_of_the_wrong_shape(graph):
    x = tf.constant([3.0])
    with graph.gradient_override_map({"Square": "TestWrongShape"}):
        y = tf.square(x)
    with pytest.raises(ValueError, match="Incompatible shapes between op input and calculated input gradient"):
        tf.gradients(y, x)


def test_registering_twice():
    with pytest.raises(KeyError, match="Registering two gradient with name 'TestTimesTen'"):
        tf.RegisterGradient("TestTimesTen")(_times_ten)
    with pytest.raises(KeyError, match="Registering two gradient with name 'Square'"):
        tf.RegisterGradient("Square")(_times_ten)
    with pytest.raises(TypeError):
        tf.RegisterGradient(3)
    with pytest.raises(TypeError):
        tf.NoGradient(3)


def test_no_gradient(graph):
    tf.NoGradient("TestNothing")
    x = tf.constant(3.0)
    with graph.gradient_override_map({"Square": "TestNothing"}):
        y = tf.square(x)
    assert tf.gradients(y, x) == [None]
    assert run(tf.gradients(y + 5.0 * x, x)) == [5.0]


def test_an_operation_without_gradient():
    x = tf.constant([3.0, 4.0])
    y = tf.segment_prod(x, [0, 0])
    with pytest.raises(LookupError, match=r"No gradient defined for operation 'SegmentProd' \(op type: SegmentProd\)"):
        tf.gradients(y, x)


# --- Custom gradients -------------------------------------------------------------------------------------------------


def test_custom_gradient():
    @tf.custom_gradient
    def triple(x):
        return x * 3.0, lambda grad: grad * 100.0

    x = tf.constant(2.0)
    y = triple(x)
    assert run([y, tf.gradients(y * 2.0, x)[0]]) == [6.0, 200.0]


def test_custom_gradient_of_several_tensors():
    @tf.custom_gradient
    def swap(a, b):
        return [b * 1.0, a * 1.0], lambda grad_b, grad_a: [grad_a * 10.0, grad_b * 100.0]

    a, b = tf.constant(1.0), tf.constant(2.0)
    first, second = swap(a, b)
    assert run([first, second]) == [2.0, 1.0]
    assert run(tf.gradients(first, [a, b])) == [0.0, 100.0]
    assert run(tf.gradients([first, second], [a, b])) == [10.0, 100.0]


def test_custom_gradient_with_variables():
    with tf.variable_scope("s", use_resource=True):
        w = tf.get_variable("w", initializer=3.0)

    @tf.custom_gradient
    def scale(x):
        def gradient(grad, variables=None):
            assert [v.name for v in variables] == ["s/w:0"]
            return grad * w, [grad * 1000.0]

        return x * w, gradient

    x = tf.constant(2.0)
    y = scale(x)
    assert run([y, *tf.gradients(y, [x, w])]) == [6.0, 3.0, 1000.0]


def test_custom_gradient_that_cannot_take_variables():
    with tf.variable_scope("s", use_resource=True):
        w = tf.get_variable("w", initializer=3.0)
    with pytest.raises(TypeError, match="grad_fn must accept keyword argument 'variables'"):
        tf.custom_gradient(lambda x: (x * w, lambda grad: grad))(tf.constant(1.0))


def test_custom_gradient_takes_no_keywords():
    with pytest.raises(ValueError, match="currently supports keywords arguments only when"):
        tf.custom_gradient(lambda x: (x, lambda grad: grad))(x=tf.constant(1.0))


def test_custom_gradients_nest():
    @tf.custom_gradient
    def inner(x):
        return x * 1.0, lambda grad: grad * 2.0

    @tf.custom_gradient
    def outer(x):
        return inner(x) * 1.0, lambda grad: inner(grad) * 3.0

    x = tf.constant(1.0)
    assert run(tf.gradients(outer(inner(x)), x)) == [6.0]


# --- Where the operations go ------------------------------------------------------------------------------------------


def test_names_of_gradients(graph):
    x = tf.constant(3.0, name="x")
    y = tf.square(x, name="y")
    count = len(graph.get_operations())
    tf.gradients(y, x)
    made = [op.name for op in graph.get_operations()[count:]]
    assert all(name.startswith("gradients/") for name in made)
    assert any(name.startswith("gradients/y_grad/") for name in made)
    tf.gradients(y, x, name="again")
    assert graph.get_operations()[-1].name.startswith("again/y_grad/")


def test_gradients_are_placed_beside_their_operations():
    x = tf.constant(3.0)
    with tf.device("/cpu:0"):
        y = tf.square(x)
    (plain,) = tf.gradients(y, x)
    (placed,) = tf.gradients(y, x, colocate_gradients_with_ops=True)
    assert (plain.device, placed.device) == ("", "/device:CPU:0")


def test_an_error_names_the_forward_operation():
    x = tf.constant(3.0)
    y = tf.square(x, name="forward")
    (grad,) = tf.gradients(y, x)
    assert grad.op._original_op is y.op or grad.op._original_op.name == "forward"


def test_gated_gradients():
    a, b = tf.constant(3.0), tf.constant(4.0)
    found = tf.gradients(a * b, [a, b], gate_gradients=True)
    assert run(found) == [4.0, 3.0]


def test_bad_sources():
    x = tf.constant(3.0)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        tf.gradients(x * x, [None])


# --- Tapes ------------------------------------------------------------------------------------------------------------


def test_a_tape_in_a_graph():
    x = tf.placeholder(tf.float32, [2])
    v = tf.Variable([1.0, 2.0])
    w = tf.get_variable("w", initializer=[3.0, 4.0], use_resource=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, v])  # 2.x variables are watched when they are read
        y = x * v * w
    found = run([*tape.gradient(y, [x, v, w]), tape.jacobian(y, w)], {x: [5.0, 6.0]})
    for got, wanted in zip(found, [[3, 8], [15, 24], [5, 12], [[5, 0], [0, 12]]], strict=True):
        np.testing.assert_allclose(got, wanted)
