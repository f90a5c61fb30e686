"""`Operation` and `Tensor`: what users can ask of them; as TensorFlow 1.15.5 answers."""

from __future__ import annotations

import copy
import os

import numpy as np
import pytest

import millstream.v1 as tf

HERE = os.path.basename(__file__)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


# --- Operations -------------------------------------------------------------------------------------------------------


def test_properties_of_an_operation(graph):
    x = tf.constant([[1.0, 2.0]], name="x")
    with tf.control_dependencies([tf.no_op(name="first")]), tf.device("/cpu:0"):
        op = tf.matmul(x, x, transpose_b=True, name="m").op
    assert (op.name, op.type, op.device, op.graph) == ("m", "MatMul", "/device:CPU:0", graph)
    assert list(op.inputs) == [x, x]
    assert [tensor.name for tensor in op.outputs] == ["m:0"]
    assert [other.name for other in op.control_inputs] == ["first"]
    assert list(op.values()) == op.outputs
    assert op.colocation_groups() == [b"loc:@m"]
    assert repr(op) == "<tf.Operation 'm' type=MatMul>"


def test_node_def():
    x = tf.placeholder(tf.float32, [2, None], name="x")
    a, b = tf.split(x, 2, name="s")
    with tf.control_dependencies([tf.no_op(name="first")]):
        c = tf.identity(x, name="c")
    node = tf.add(b, 1.0, name="sum").op.node_def
    assert list(node.input) == ["s:1", "sum/y"]
    assert list(c.op.node_def.input) == ["x", "^first"]
    assert (node.name, node.op) == ("sum", "Add")
    assert node.attr["T"].type == tf.float32.as_datatype_enum
    assert [dim.size for dim in x.op.node_def.attr["shape"].shape.dim] == [2, -1]
    assert 'name: "sum"' in str(b.consumers()[0])


def test_op_def():
    definition = tf.add_n([1.0, 2.0]).op.op_def
    assert definition.name == "AddN"
    assert [(arg.name, arg.number_attr, arg.type_attr) for arg in definition.input_arg] == [("inputs", "N", "T")]
    assert sorted(attr.name for attr in definition.attr) == ["N", "T"]
    assert definition.is_commutative and definition.is_aggregate and not definition.is_stateful
    (minimum,) = [attr.minimum for attr in definition.attr if attr.name == "N"]
    assert minimum == 1


def test_get_attr_of_every_kind():
    x = tf.placeholder(tf.float32, [1, 4, 4, 3])
    pool = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 1, 1, 1], "SAME").op
    assert pool.get_attr("padding") == b"SAME"
    assert pool.get_attr("ksize") == [1, 2, 2, 1]
    assert pool.get_attr("T") == tf.float32
    assert tf.matmul([[1.0]], [[1.0]], transpose_a=True).op.get_attr("transpose_a") is True
    assert tf.stack([x, x]).op.get_attr("N") == 2
    assert tf.nn.leaky_relu(x, 0.5).op.get_attr("alpha") == 0.5
    assert [dim.size for dim in x.op.get_attr("shape").dim] == [1, 4, 4, 3]
    assert tf.constant([1.0, 2.0]).op.get_attr("value").tensor_shape.dim[0].size == 2
    assert tf.py_func(lambda: [1, 2.0], [], [tf.int32, tf.float32])[0].op.get_attr("Tout") == [tf.int32, tf.float32]
    assert tf.Print(x, [x], "message").op.get_attr("message") == b"message"


def test_get_attr_that_is_not_there():
    with pytest.raises(ValueError, match="Operation 'x' has no attr named 'nope'"):
        tf.constant(1.0, name="x").op.get_attr("nope")


def test_traceback_is_the_users():
    x = make_something()
    entries = x.op.traceback
    assert [os.path.basename(entry[0]) for entry in entries if entry[2] == "make_something"] == [HERE]
    assert [entry[3] for entry in entries if entry[2] == "make_something"] == ['return tf.constant(1.0, name="thing")']
    assert [os.path.basename(entry[0]) for entry in entries if entry[2] == "test_traceback_is_the_users"] == [HERE]


def make_something():
    return tf.constant(1.0, name="thing")


def test_run():
    v = tf.Variable(1.0)
    x = tf.placeholder(tf.float32)
    with pytest.raises(ValueError, match="Cannot execute operation using `run..`: No default session is registered"):
        v.initializer.run()
    with tf.Session() as session:
        v.initializer.run()
        assert v.assign(x).op.run({x: 3.0}) is None
        v.assign_add(x).op.run(feed_dict={x: 4.0}, session=session)
        assert v.eval() == 7.0


def test_changing_an_operation(graph):
    a, b = tf.constant(1.0, name="a"), tf.constant(2.0, name="b")
    op = tf.identity(a).op
    with tf.Session() as session:
        assert session.run(op.outputs[0]) == 1.0
        op._update_input(0, b)
        assert (op.inputs[0], a.consumers(), b.consumers()) == (b, [], [op])
        assert session.run(op.outputs[0]) == 2.0
        first = tf.no_op(name="first")
        op._add_control_input(first)
        assert op.control_inputs == [first]
        op._add_control_inputs([first, a.op])
        assert op.control_inputs == [first, a.op]
        op._set_device("/cpu:0")
        assert session.run(op.outputs[0]) == 2.0
    with tf.Graph().as_default():
        c = tf.constant(3.0)
    with pytest.raises(ValueError, match="must be from the same graph"):
        op._update_input(0, c)


def test_changing_one_of_two_equal_inputs():
    a, b = tf.constant(1.0), tf.constant(2.0)
    op = tf.subtract(a, a).op
    op._update_input(1, b)
    assert (list(op.inputs), a.consumers(), b.consumers()) == ([a, b], [op], [op])
    op._update_input(0, b)
    assert (a.consumers(), b.consumers()) == ([], [op, op])


# --- Tensors ----------------------------------------------------------------------------------------------------------


def test_properties_of_a_tensor(graph):
    x = tf.placeholder(tf.int64, [2, None], name="x")
    assert (x.name, x.dtype, x.op.name, x.value_index, x.graph, x.device) == ("x:0", tf.int64, "x", 0, graph, "")
    assert x.shape.as_list() == x.get_shape().as_list() == [2, None]
    y = x + x
    assert x.consumers() == [y.op, y.op]
    assert str(x) == 'Tensor("x:0", shape=(2, ?), dtype=int64)'
    assert repr(x) == "<tf.Tensor 'x:0' shape=(2, ?) dtype=int64>"
    assert tf.split(x, 2)[1].value_index == 1


def test_text_of_a_tensor():
    assert str(tf.placeholder(tf.float32, name="a")) == 'Tensor("a:0", dtype=float32)'
    with tf.device("/cpu:0"):
        assert str(tf.zeros([], name="b")) == 'Tensor("b:0", shape=(), dtype=float32, device=/device:CPU:0)'
    assert repr(tf.placeholder(tf.float32, name="c")) == "<tf.Tensor 'c:0' shape=<unknown> dtype=float32>"


def test_set_shape():
    x = tf.placeholder(tf.float32, [None, 3])
    x.set_shape([2, None])
    assert x.shape.as_list() == [2, 3]
    x.set_shape(tf.TensorShape(None))
    assert x.shape.as_list() == [2, 3]
    with pytest.raises(ValueError):
        x.set_shape([2, 4])
    with pytest.raises(ValueError):
        x.set_shape([2, 3, 1])
    y = tf.placeholder(tf.float32)
    y.set_shape([5])
    assert y.shape.as_list() == [5]


def test_eval():
    x = tf.placeholder(tf.float32)
    with pytest.raises(ValueError, match="Cannot evaluate tensor using `eval..`: No default session is registered"):
        x.eval()
    with tf.Session() as session:
        assert x.eval({x: 2.0}) == 2.0
        assert (x + 1).eval(session=session, feed_dict={x: 2.0}) == 3.0
        with tf.Graph().as_default():
            y = tf.constant(1.0)
        with pytest.raises(ValueError, match="the tensor's graph is different from the session's graph"):
            y.eval()
        with pytest.raises(ValueError, match="the tensor's graph is different from the session's graph"):
            y.eval(session=session)


def test_a_tensor_has_no_value_while_the_graph_is_built():
    x = tf.constant([1.0, 2.0], name="x")
    with pytest.raises(TypeError, match="using a `tf.Tensor` as a Python `bool` is not allowed"):
        bool(x)
    with pytest.raises(TypeError, match="using a `tf.Tensor` as a Python `bool` is not allowed"):
        if x:
            pass
    with pytest.raises(TypeError, match="(not iterable|iterating over `tf.Tensor` is not allowed)"):
        list(tf.placeholder(tf.float32))
    with pytest.raises(TypeError, match=r"len is not well defined for symbolic Tensors. \(x:0\)"):
        len(x)
    with pytest.raises((NotImplementedError, TypeError)):
        float(x)
    for convert in (int, lambda tensor: range(tensor)):
        with pytest.raises(TypeError):
            convert(x)


def test_tensors_are_compared_by_identity():
    x, y = tf.constant(1.0), tf.constant(1.0)
    assert x == x and x != y
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1
    assert copy.copy(x) is x


def test_references():
    x, y = tf.constant(1.0), tf.constant(1.0)
    assert x.experimental_ref() == x.experimental_ref() != y.experimental_ref()
    assert len({x.experimental_ref(), x.experimental_ref(), y.experimental_ref()}) == 2
    assert x.experimental_ref().deref() is x


def test_arrays_leave_operators_to_tensors():
    x = tf.constant([1.0, 2.0])
    left = np.array([3.0, 4.0], np.float32)
    for result in (left + x, left * x, left - x, left / x):
        assert isinstance(result, tf.Tensor) and result.shape.as_list() == [2]


def test_operators_take_python_numbers_of_the_tensors_type():
    x = tf.constant([1, 2], tf.int64)
    assert [(x + 1).dtype, (1 - x).dtype, (2 * x).dtype, (x // 2).dtype] == [tf.int64] * 4
    assert (x / 2).dtype == tf.float64
    assert (x > 1).dtype == tf.bool
    with pytest.raises(TypeError):
        x + 1.5
