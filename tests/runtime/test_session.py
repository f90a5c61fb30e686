"""`Session` and its relatives: life and death, defaults, callables, options, graphs that grow."""

from __future__ import annotations

import collections
import logging
import threading

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


# --- Opening and closing ----------------------------------------------------------------------------------------------


def test_a_session_runs_the_default_graph(graph):
    session = tf.Session()
    assert session.graph is graph
    with tf.Graph().as_default() as other:
        assert tf.Session().graph is other
        assert tf.Session(graph=graph).graph is graph
    assert session.sess_str == b""
    session.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"graph": 3}, "graph must be a tf.Graph, but got <class 'int'>"),
        ({"target": 3}, "target must be a string, but got <class 'int'>"),
        ({"config": 3}, "config must be a tf.ConfigProto, but got <class 'int'>"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(TypeError, match=message):
        tf.Session(**arguments)


def test_a_remote_target():
    with pytest.raises(tf.errors.UnimplementedError, match="Sessions on a remote target .'grpc://host:1'. are not"):
        tf.Session("grpc://host:1")


def test_a_closed_session_does_not_run():
    x = tf.constant(1.0)
    session = tf.Session()
    call = session.make_callable(x)
    assert session.run(x) == call() == 1.0
    session.close()
    session.close()
    for run in (lambda: session.run(x), lambda: session.run(x + 1.0), call, lambda: x.eval(session=session)):
        with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
            run()


def test_an_empty_graph():
    with tf.Session() as session:
        with pytest.raises(RuntimeError, match="The Session graph is empty"):
            session.run("x")


def test_sessions_are_closed_at_the_end_of_their_block():
    x = tf.constant(1.0)
    with pytest.raises(KeyError):
        with tf.Session() as session:
            raise KeyError
    with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
        session.run(x)


def test_blocks_of_one_session_do_not_nest():
    tf.constant(1.0)
    session = tf.Session()
    with session:
        with pytest.raises(RuntimeError, match="Session context managers are not re-entrant"):
            with session:
                pass
        assert tf.get_default_session() is session
    assert tf.get_default_session() is None


# --- Default sessions -------------------------------------------------------------------------------------------------


def test_default_sessions_nest(graph):
    x = tf.constant(1.0)
    assert tf.get_default_session() is None
    with tf.Session() as outer:
        assert tf.get_default_session() is outer
        with tf.Session() as inner:
            assert tf.get_default_session() is inner
            with outer.as_default():
                assert tf.get_default_session() is outer
            assert x.eval() == 1.0
        assert tf.get_default_session() is outer
    assert tf.get_default_session() is None


def test_as_default_does_not_close():
    x = tf.constant(1.0)
    session = tf.Session()
    for _ in range(2):
        with session.as_default() as entered:
            assert entered is session
            assert x.eval() == 1.0
    session.close()


def test_a_session_enters_its_graph(graph):
    with tf.Graph().as_default() as other:
        tf.constant(1.0)
        session = tf.Session()
    assert tf.get_default_graph() is graph
    with session.as_default():
        assert tf.get_default_graph() is graph
    with session:
        assert tf.get_default_graph() is other
    assert tf.get_default_graph() is graph


def test_threads_have_default_sessions_of_their_own():
    seen = []
    with tf.Session():
        thread = threading.Thread(target=lambda: seen.append(tf.get_default_session()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_interactive_session(graph):
    x = tf.constant(3.0)
    session = tf.InteractiveSession()
    try:
        assert tf.get_default_session() is session
        assert x.eval() == 3.0
        v = tf.Variable(2.0)
        v.initializer.run()
        assert (v * x).eval() == 6.0
    finally:
        session.close()
    assert tf.get_default_session() is None
    assert tf.get_default_graph() is graph


def test_interactive_session_of_another_graph(graph):
    with tf.Graph().as_default() as other:
        x = tf.constant(3.0)
    session = tf.InteractiveSession(graph=other)
    try:
        assert tf.get_default_graph() is other
        assert x.eval() == 3.0
    finally:
        session.close()
    assert tf.get_default_graph() is graph


def test_a_second_interactive_session_warns(caplog):
    first = tf.InteractiveSession()
    with caplog.at_level(logging.WARNING):
        second = tf.InteractiveSession()
    second.close()
    first.close()
    assert "An interactive session is already active" in caplog.text


# --- Feeds ------------------------------------------------------------------------------------------------------------


def test_structures_of_tensors_are_fed_with_structures_of_values():
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    pair = collections.namedtuple("Pair", "x y")
    with tf.Session() as session:
        for feed in ({(x, y): [1.0, 2.0]}, {pair(x, y): pair(1.0, 2.0)}, {((x, y),): ((1.0, 2.0),)}):
            for _ in range(2):
                assert session.run(x - y, feed) == -1.0
        with pytest.raises(ValueError, match="Key had 2 elements, but value had 3 elements"):
            session.run(x, {(x, y): (1.0, 2.0, 3.0)})
        with pytest.raises(ValueError, match="is not unique"):
            session.run(x, {(x, y): (1.0, 2.0), x: 3.0})


# --- Callables --------------------------------------------------------------------------------------------------------


def test_make_callable():
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    with tf.Session() as session:
        call = session.make_callable({"sum": x + y, "list": [x]}, [x, y])
        assert call(1.0, 2.0) == {"sum": 3.0, "list": [1.0]}
        assert session.make_callable(x * y, feed_list=["Placeholder:0", y])(3.0, 4.0) == 12.0
        assert session.make_callable(tf.no_op())() is None
        for bad in ((), (1.0,), (1.0, 2.0, 3.0)):
            with pytest.raises((TypeError, ValueError)):
                call(*bad)
        with pytest.raises(TypeError, match="`feed_list` must be a list or tuple"):
            session.make_callable(x, feed_list=3)


def test_a_callable_keeps_working_while_the_graph_grows():
    v = tf.Variable(0.0)
    with tf.Session() as session:
        session.run(v.initializer)
        call = session.make_callable(v.assign_add(1.0).op)
        for _ in range(4):
            call()
            tf.constant(1.0)
        assert session.run(v) == 4.0


def test_a_callable_with_options():
    x = tf.placeholder(tf.float32, [])
    with tf.Session() as session:
        call = session.make_callable(x * 2.0, [x], accept_options=True)
        metadata = tf.RunMetadata()
        assert call(2.0, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=metadata) == 4.0
        assert metadata.step_stats.dev_stats


# --- Options ----------------------------------------------------------------------------------------------------------


def test_traces():
    x = tf.placeholder(tf.float32, [2])
    y = tf.py_func(np.sin, [x * 2.0], tf.float32) + 1.0
    metadata = tf.RunMetadata()
    with tf.Session() as session:
        for _ in range(2):  # the second does not add to the first
            session.run(
                y,
                {x: [1.0, 2.0]},
                options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
                run_metadata=metadata,
            )
            every = [node for device in metadata.step_stats.dev_stats for node in device.node_stats]
            nodes = [node for node in every if "part of" not in node.timeline_label]  # one stands for each step
            assert {node.node_name for node in every} >= {"mul", "PyFunc", "add"}
            assert len(nodes) == 3
            assert "PyFunc = PyFunc" in nodes[1].timeline_label
            assert all(node.all_start_micros > 0 and node.all_end_rel_micros > 0 for node in nodes)
        session.run(y, {x: [1.0, 2.0]}, run_metadata=metadata)
        assert not metadata.step_stats.dev_stats


def test_a_failing_run_is_traced_too():
    x = tf.placeholder(tf.float32, [2])
    y = tf.py_func(lambda value: 1 / 0, [x], tf.float32)
    metadata = tf.RunMetadata()
    with tf.Session() as session, pytest.raises(tf.errors.UnknownError):
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        session.run(y, {x: [1.0, 2.0]}, options=options, run_metadata=metadata)
    assert metadata.step_stats.dev_stats


def test_configurations_are_accepted():
    config = tf.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        device_count={"CPU": 1, "GPU": 0},
        gpu_options=tf.GPUOptions(allow_growth=True, per_process_gpu_memory_fraction=0.5),
        graph_options=tf.GraphOptions(),
    )
    x = tf.constant(1.0) + 1.0
    with tf.Session(config=config) as session:
        assert session.run(x) == 2.0
    session = tf.InteractiveSession(config=config)
    assert x.eval() == 2.0
    session.close()


def test_partial_runs_are_not_there():
    x = tf.placeholder(tf.float32)
    with tf.Session() as session:
        with pytest.raises(NotImplementedError, match="Session.partial_run is not supported"):
            session.partial_run_setup([x], [x])


# --- Graphs that grow -------------------------------------------------------------------------------------------------


def test_a_graph_may_grow_between_runs():
    x = tf.placeholder(tf.float32, [])
    y = x
    with tf.Session() as session:
        for number in range(1, 5):
            y = y + 1.0
            assert session.run(y, {x: 0.0}) == number
            assert session.run(y, {x: 1.0}) == number + 1


def test_a_finalized_graph_runs(graph):
    v = tf.Variable(1.0)
    update = v.assign_add(1.0)
    with tf.Session() as session:
        graph.finalize()
        session.run(v.initializer)
        assert session.run(update) == 2.0


def test_graph_def_of_a_session():
    tf.constant(1.0, name="c")
    with tf.Session() as session:
        assert [node.name for node in session.graph_def.node] == ["c"]


# --- What does not run ------------------------------------------------------------------------------------------------


def test_unneeded_operations_do_not_run():
    called = []
    x = tf.placeholder(tf.float32, [])
    tf.py_func(lambda: called.append(1), [], [])
    bad = tf.check_numerics(tf.log(-1.0), "bad")
    never = tf.Variable(1.0) + bad
    with tf.Session() as session:
        assert session.run(x + 1.0, {x: 1.0}) == 2.0
        assert session.run(never * 2.0, {never: 3.0}) == 6.0
    assert called == []


def test_side_effects_happen_in_order_and_once():
    called = []

    def note(name):
        return tf.py_func(lambda: called.append(name), [], [])

    a = note("a")
    with tf.control_dependencies([a]):
        b = note("b")
        with tf.control_dependencies([b]):
            c = note("c")
    with tf.control_dependencies([c]):
        done = tf.no_op()
    with tf.Session() as session:
        session.run([done, c, a, b])
        assert called == ["a", "b", "c"]
        session.run(done)
        assert called == ["a", "b", "c"] * 2
        session.run(b)
        assert called[6:] == ["a", "b"]


# --- Errors -----------------------------------------------------------------------------------------------------------


def test_an_error_names_the_operation_and_the_users_line():
    x = tf.placeholder(tf.int32, [], name="x")
    y = tf.gather([1.0, 2.0], x, name="pick")
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(y + 1.0, {x: 7})
    error = caught.value
    assert error.message.startswith("indices = 7 is not in [0, 2)")
    assert (error.op, error.error_code) == (y.op, tf.errors.INVALID_ARGUMENT)
    assert error.node_def.name == "pick"
    assert "node pick (op: GatherV2)" in error.message
    assert "Defined at: test_session.py" in error.message
    assert 'y = tf.gather([1.0, 2.0], x, name="pick")' in str(error)


def test_an_error_of_a_gradient_names_the_forward_operation():
    x = tf.placeholder(tf.float32, [None])
    with tf.name_scope("forward"):
        y = tf.reshape(x, [-1, 2])
    (grad,) = tf.gradients(y, x, grad_ys=tf.placeholder_with_default(np.zeros((7, 7), np.float32), None))
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(grad, {x: [1.0, 2.0]})
    assert "...which was originally created as op 'forward/Reshape'" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ValueError("no"), tf.errors.InvalidArgumentError),
        (TypeError("no"), tf.errors.InvalidArgumentError),
        (NotImplementedError("no"), tf.errors.UnimplementedError),
        (StopIteration("no"), tf.errors.OutOfRangeError),
        (MemoryError("no"), tf.errors.ResourceExhaustedError),
        (ZeroDivisionError("no"), tf.errors.UnknownError),
        (OSError("no"), tf.errors.UnknownError),
    ],
)
def test_what_a_python_function_raises(raised, error):
    def function():
        raise raised

    y = tf.py_func(function, [], tf.float32, name="call")
    with tf.Session() as session, pytest.raises(error) as caught:
        session.run(y)
    assert f"{type(raised).__name__}: no" in caught.value.message
    assert caught.value.op is y.op


def test_printing(capfd):
    x = tf.placeholder(tf.float32, [2])
    y = tf.Print(x * 2.0, [x, tf.shape(x)], "values: ", first_n=2)
    with tf.Session() as session:
        for _ in range(3):
            session.run(y, {x: [1.0, 2.0]})
    assert capfd.readouterr().err == "values: [1 2][2]\n" * 2


def test_a_handle_has_no_value_to_fetch():
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    with tf.Session() as session:
        session.run(v.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Cannot fetch v:0: it is a handle, not a value"):
            session.run("v:0")
