"""`tf.contrib.framework`: what golden cases do not show."""
from __future__ import annotations

import logging

import pytest

import millstream.v1 as tf
from millstream.contrib.framework.arg_scope import arg_scope_func_key

framework = tf.contrib.framework


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


@framework.add_arg_scope
def block(inputs, depth=1, *, rate=2):
    """Documented."""
    return inputs, depth, rate


def test_a_decorated_function_stays_itself():
    import inspect

    assert block.__name__ == "block" and block.__doc__ == "Documented."
    assert list(inspect.signature(block).parameters) == ["inputs", "depth", "rate"]
    assert arg_scope_func_key(block) == arg_scope_func_key(block.__wrapped__)
    assert framework.arg_scoped_arguments(block) == ("depth",)


def test_a_scope_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), framework.arg_scope([block], depth=5):
        assert block(0) == (0, 5, 2)
        raise ZeroDivisionError
    assert block(0) == (0, 1, 2)
    assert framework.current_arg_scope() == {}


def test_a_scope_is_not_changed_by_those_inside():
    with framework.arg_scope([block], depth=5) as scope:
        with framework.arg_scope([block], depth=6, rate=7):
            assert block(0) == (0, 6, 7)
        with framework.arg_scope(scope):
            assert block(0) == (0, 5, 2)
        assert block(0, rate=0) == (0, 5, 0)


def test_asking_for_arguments_of_a_plain_function():
    with pytest.raises(ValueError, match="is not decorated with @add_arg_scope"):
        framework.arg_scoped_arguments(len)


def test_warnings_of_deprecation(caplog):
    @framework.deprecated("2020-01-01", "Use g.")
    def f():
        return 1

    @framework.deprecated_args("2020-01-01", "Use b.", "a")
    def g(a=None, b=None):
        return a, b

    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        logging.getLogger("tensorflow").addHandler(caplog.handler)
        try:
            assert [f(), f(), g(b=1), g(2)] == [1, 1, (None, 1), (2, None)]
        finally:
            logging.getLogger("tensorflow").removeHandler(caplog.handler)
    texts = list(dict.fromkeys(caplog.messages))
    assert len(texts) == 2
    assert "deprecated and will be removed after 2020-01-01.\nInstructions for updating:\nUse g." in texts[0]
    assert "with the argument a=2 is deprecated" in texts[1]
    assert "Use g." in f.__doc__


def test_a_shape_that_does_not_fit_when_run():
    x = tf.placeholder(tf.float32, name="x")
    checked = framework.with_shape([2, -1], x)
    assert checked.shape.as_list() == [2, None]
    with tf.Session() as session:
        assert session.run(checked, {x: [[1.0], [2.0]]}).tolist() == [[1.0], [2.0]]
        with pytest.raises(tf.errors.InvalidArgumentError, match="Wrong shape for x:0"):
            session.run(checked, {x: [[1.0]]})
        with pytest.raises(tf.errors.InvalidArgumentError, match="Wrong shape for x:0"):
            session.run(checked, {x: [1.0, 2.0]})


def test_graphs_of_inputs():
    other = tf.Graph()
    with other.as_default():
        x = tf.constant(1.0)
    assert framework.get_graph_from_inputs([2.0, x]) is other
    with pytest.raises(ValueError, match="is not from the passed-in graph"):
        framework.get_graph_from_inputs([x], tf.get_default_graph())
    with pytest.raises(ValueError, match="must be from the same graph"):
        framework.get_graph_from_inputs([x, tf.constant(1.0)])


def test_smart_case_of_tensors():
    p = tf.placeholder(tf.bool, [])
    pairs = [(False, lambda: tf.constant(1)), (p, lambda: tf.constant(2))]
    chosen = framework.smart_case(pairs, lambda: tf.constant(3))
    with tf.Session() as session:
        assert [session.run(chosen, {p: value}) for value in (True, False)] == [2, 3]
    with pytest.raises(ValueError, match="no default"):
        framework.smart_case([(False, lambda: 1)])


def test_structures():
    nest = framework.nest
    assert nest.flatten({"b": [1, 2], "a": (3,)}) == [3, 1, 2]
    assert nest.is_sequence([1]) and not nest.is_sequence("text")
    assert nest.map_structure_up_to([0, 0], lambda x: x, [[1, 2], 3]) == [[1, 2], 3]
