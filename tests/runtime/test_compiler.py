"""Stages: interpreted, compiled, specialised, cut; whatever way is taken, the numbers are the same."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.ops.control_flow_ops import merge_op, switch_op
from millstream.runtime import backend, compiler


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def session(graph):
    with tf.Session() as session:
        yield session


def stages(session):
    """The compiled stages of a session."""
    steps = [step for runner in session._compiled.values() for step in runner._steps]
    return [step for step in steps if isinstance(step, compiler.CompiledStage)]


def traces(session):
    """How many programs have been traced in a session."""
    return sum(stage._traces for stage in stages(session))


# --- Compiling once -------------------------------------------------------------------------------------------------


def test_a_stage_is_compiled_once_for_a_shape(session):
    x = tf.placeholder(tf.float32, [None])
    y = tf.exp(x)
    for length in (3, 3, 4, 3, 4, 4):
        session.run(y, {x: np.zeros(length)})
    assert traces(session) == 2


def test_the_kind_of_what_is_fed_does_not_matter(session):
    x = tf.placeholder(tf.float32, [2])
    y = tf.exp(x)
    for value in ([1, 2], [1.0, 2.0], np.zeros(2), np.zeros(2, np.float32), np.zeros(2, np.int8)):
        session.run(y, {x: value})
    assert traces(session) == 1


def test_a_training_loop_is_compiled_once(session):
    x = tf.placeholder(tf.float32, [4, 3])
    w = tf.Variable(tf.ones([3, 2]))
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w)))
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    losses = [session.run([step, loss], {x: np.ones((4, 3))})[1] for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert traces(session) == 1


def test_a_graph_that_grows_is_not_compiled_anew(session):
    """A program that adds operations in its loop, by mistake or not, still runs at its speed."""
    x = tf.placeholder(tf.float32, [3])
    v = tf.Variable(tf.zeros([3]))
    update = v.assign_add(tf.exp(x)).op
    session.run(v.initializer)
    for _ in range(4):
        session.run(update, {x: np.zeros(3)})
        session.run(v.value())
        tf.constant(1.0)
    assert traces(session) == 1
    assert session.run(v).tolist() == [4.0] * 3


def test_a_graph_that_is_rewired_is_planned_anew(session):
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    z = tf.exp(x)
    assert session.run(z, {x: 0.0, y: 1.0}) == 1.0
    z.op._update_input(0, y)
    assert session.run(z, {x: 1.0, y: 0.0}) == 1.0
    product = tf.matmul(tf.constant([[1.0, 2.0]]), tf.ones([2, 1]) * x)
    with pytest.raises(tf.errors.InvalidArgumentError):
        product.op._set_attr("transpose_b", True)
        session.run(product, {x: 1.0})
    product.op._set_attr("transpose_b", False)
    assert session.run(product, {x: 1.0}).tolist() == [[3.0]]


def test_constants_are_computed_without_compiling():
    """A small program never loads JAX."""
    program = (
        "import sys, millstream.v1 as tf\n"
        "v = tf.Variable(tf.zeros([3]) + 1)\n"
        "with tf.Session() as session:\n"
        "    print(session.run(tf.constant(1) + 2))\n"
        "    session.run(tf.global_variables_initializer())\n"
        "    print(session.run([v, tf.shape(v)]))\n"
        "print('jax' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[0] == "3" and done.stdout.split("\n")[-2] == "False", done


def test_what_only_moves_data_is_not_compiled(session):
    x = tf.placeholder(tf.float32, [None, 2])
    for length in (1, 2, 3):
        found = session.run(tf.transpose(tf.concat([x, x[:1]], 0)), {x: np.ones((length, 2))})
        assert found.shape == (2, length + 1)
    assert traces(session) == 0


def test_first_runs_and_later_ones_agree():
    """Initialisers are interpreted at first, and compiled when they run often."""
    build = [tf.random_normal([5, 4], seed=1), tf.truncated_normal([7], seed=2), tf.random_uniform([3], seed=3)]
    variables = [tf.Variable(value) for value in build]
    everything = tf.global_variables_initializer()
    with tf.Session() as session, tf.Session() as other:
        for _ in range(4):
            session.run(everything)
            wanted = other.run([value + 0.0 for value in build])
            for found, value in zip(session.run(variables), wanted, strict=False):
                np.testing.assert_array_max_ulp(found, value, 2)


# --- Specialising ---------------------------------------------------------------------------------------------------


def test_shapes_that_are_fed(session, monkeypatch):
    """A program for each, until there are too many; then operation by operation."""
    monkeypatch.setattr(compiler, "MAX_SPECIALISATIONS", 3)
    x, shape = tf.placeholder(tf.float32, [12]), tf.placeholder(tf.int32, [None])
    y = tf.exp(tf.reshape(x, shape)) + tf.zeros(shape)
    value = np.arange(12.0) / 12
    for dims in ([12], [3, 4], [4, 3], [2, 6], [3, 4], [2, 2, 3]):
        found = session.run(y, {x: value, shape: dims})
        np.testing.assert_allclose(found, np.exp(value).reshape(dims), rtol=1e-6)
    (stage,) = stages(session)
    assert len(stage._programs) == 3


def test_running_operation_by_operation_keeps_memory_apart(session, monkeypatch):
    monkeypatch.setattr(compiler, "MAX_SPECIALISATIONS", 1)
    x, shape = tf.placeholder(tf.float64), tf.placeholder(tf.int32, [None])
    v, w = tf.Variable(np.zeros(()), validate_shape=False), tf.Variable(np.zeros(()), validate_shape=False)
    dims = tf.Variable([0], validate_shape=False)
    reshaped = tf.reshape(x, shape)
    puts = [tf.assign(target, reshaped, validate_shape=False).op for target in (v, w)]
    puts.append(tf.assign(dims, shape, validate_shape=False).op)
    for rows in range(1, 6):
        array, fed_shape = np.ones((rows, 1000)), np.array([1000, rows], np.int32)
        session.run(puts, {x: array, shape: fed_shape})
        array[:], fed_shape[:] = 5.0, 0
        session.run(tf.assign(v, v * 2.0).op)
        assert (session.run(v) == 2.0).all() and (session.run(w) == 1.0).all()
        assert session.run(dims).tolist() == [1000, rows]


def test_operation_by_operation_checks_too(session, monkeypatch):
    monkeypatch.setattr(compiler, "MAX_SPECIALISATIONS", 0)
    x, shape = tf.placeholder(tf.float32, [4]), tf.placeholder(tf.int32, [None])
    v = tf.Variable(np.zeros((2, 2), np.float32))
    reshaped = tf.check_numerics(tf.log(tf.reshape(x, shape)), "bad")
    put = v.assign_add(reshaped).op
    session.run(v.initializer)
    session.run(put, {x: [1.0] * 4, shape: [2, 2]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad : Tensor had"):
        session.run(put, {x: [-1.0] * 4, shape: [2, 2]})
    assert session.run(v).tolist() == [[0.0, 0.0]] * 2


def test_axes_that_are_fed(session):
    x, axis = tf.placeholder(tf.float32, [2, 3]), tf.placeholder(tf.int32, [])
    y = tf.reduce_sum(x * 2.0, axis)
    assert session.run(y, {x: np.ones((2, 3)), axis: 0}).tolist() == [4.0] * 3
    assert session.run(y, {x: np.ones((2, 3)), axis: 1}).tolist() == [6.0] * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid reduction dimension"):
        session.run(y, {x: np.ones((2, 3)), axis: 5})


def test_shapes_that_are_computed(session):
    x = tf.placeholder(tf.float32, [None])
    count = tf.cast(tf.reduce_max(x), tf.int32)
    y = tf.reduce_sum(tf.ones(tf.stack([count, 2])) * 3.0)
    for largest in (1, 4, 2, 4):
        assert session.run(y, {x: [0.0, largest]}) == 6.0 * largest


def test_shapes_that_depend_on_data(session):
    x = tf.placeholder(tf.int32, [None])
    positive = tf.gather_nd(x, tf.where(x > 0))
    values, places = tf.unique(positive * 2)
    total = tf.reduce_sum(tf.cast(values, tf.float32) * 0.5)
    for value in ([1, -1, 1, 3], [2], [-1], [5, 5, 5, 6, 7, -8]):
        kept = [item for item in value if item > 0]
        found = session.run([positive, total, places], {x: value})
        assert found[0].tolist() == kept
        assert found[1] == sum(set(kept))
        assert len(found[2]) == len(kept)


def test_gradients_through_shapes_that_depend_on_data(session):
    x = tf.placeholder(tf.float32, [None])
    kept = tf.boolean_mask(x, x > 0.0)
    with pytest.warns(UserWarning, match="Converting sparse IndexedSlices to a dense Tensor of unknown shape"):
        (grad,) = tf.gradients(tf.reduce_sum(kept * kept), x)
    assert session.run(grad, {x: [1.0, -2.0, 3.0]}).tolist() == [2.0, 0.0, 6.0]
    assert session.run(grad, {x: [-1.0]}).tolist() == [0.0]


# --- What is said on the log ----------------------------------------------------------------------------------------


def test_many_shapes_are_said_once(session, monkeypatch, caplog):
    monkeypatch.setattr(compiler, "_STORM", 4)
    x = tf.placeholder(tf.float32, [None])
    y = tf.exp(x, name="storming")
    with caplog.at_level(logging.WARNING, "millstream"):
        for length in range(1, 9):
            session.run(y, {x: np.zeros(length)})
    (record,) = [record for record in caplog.records if "has been compiled" in record.getMessage()]
    assert "storming" in record.getMessage() and "4 times" in record.getMessage()


def test_few_shapes_are_not_worth_a_word(session, caplog):
    x = tf.placeholder(tf.float32, [None])
    with caplog.at_level(logging.INFO, "millstream"):
        for length in range(1, 5):
            session.run(tf.exp(x), {x: np.zeros(length)})
    assert caplog.records == []


def test_a_long_compilation_is_said(session, monkeypatch, caplog):
    monkeypatch.setattr(compiler, "_SLOW_COMPILATION_SECONDS", 0.0)
    x = tf.placeholder(tf.float32, [None, 3])
    y = tf.nn.softmax(tf.matmul(tf.exp(x), tf.ones([3, 4])))
    with caplog.at_level(logging.WARNING, "millstream"):
        session.run(y, {x: np.zeros((2, 3))})
    assert "is taking long" in caplog.text


# --- Long stages ----------------------------------------------------------------------------------------------------


@pytest.fixture
def short_programs(monkeypatch):
    monkeypatch.setattr(compiler, "MAX_EQUATIONS", 20)
    monkeypatch.setattr(compiler, "_MANY_OPERATIONS", 10)


def test_long_stages_are_cut(session, short_programs):
    x = tf.placeholder(tf.float64, [3])
    y = x
    for _ in range(20):
        y = tf.sin(y) + tf.cast(tf.shape(y)[0], tf.float64) * 0.1
    value = np.array([0.1, 0.2, 0.3])
    wanted = value
    for _ in range(20):
        wanted = np.sin(wanted) + 0.3
    for _ in range(2):
        np.testing.assert_allclose(session.run(y, {x: value}), wanted, rtol=1e-12)
    (stage,) = stages(session)
    assert len(stage._parts) > 1


def test_variables_in_long_stages(session, short_programs):
    x = tf.placeholder(tf.float64, [3])
    v = tf.Variable(np.ones(3))
    y = v.read_value()
    for _ in range(12):
        y = tf.sin(y) + x
    with tf.control_dependencies([v.assign(y)]):
        z = v.read_value()
        for _ in range(12):
            z = tf.cos(z) * 0.5
    with tf.control_dependencies([tf.Assert(tf.reduce_all(x < 1.0), [x])]):
        done = v.assign_add(z)
    value = np.array([0.1, 0.2, 0.3])
    wanted = np.ones(3)
    session.run(v.initializer)
    for _ in range(3):
        for _ in range(12):
            wanted = np.sin(wanted) + value
        step = wanted
        for _ in range(12):
            step = np.cos(step) * 0.5
        wanted = wanted + step
        np.testing.assert_allclose(session.run(done, {x: value}), wanted, rtol=1e-12)
        with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
            session.run(done, {x: [0.0, 2.0, 0.0]})
        np.testing.assert_allclose(session.run(v), wanted, rtol=1e-12)


# --- Branches -------------------------------------------------------------------------------------------------------


def test_a_branch_that_is_not_taken_does_not_run(session):
    called = []
    predicate, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [])
    no, yes = switch_op(x, predicate)

    def note(name):
        return lambda value: called.append(name) or value

    first = tf.py_func(note("no"), [no], tf.float32) * 2.0
    second = tf.py_func(note("yes"), [yes], tf.float32) * 3.0
    merged = merge_op([first, second])[0] + 1.0
    assert session.run(merged, {predicate: True, x: 1.0}) == 4.0
    assert session.run(merged, {predicate: False, x: 1.0}) == 3.0
    assert called == ["yes", "no"]


def test_a_branch_that_is_not_taken_reads_no_variable(session):
    predicate = tf.placeholder(tf.bool, [])
    v = tf.Variable(1.0)
    no, yes = switch_op(tf.constant(5.0), predicate)
    with tf.control_dependencies([no]):
        read = v.read_value()
    del read
    merged = merge_op([no * 2.0, yes * 3.0])[0]
    assert session.run(merged, {predicate: True}) == 15.0


def test_fetching_a_branch_that_is_not_taken(session):
    predicate = tf.placeholder(tf.bool, [])
    no, yes = switch_op(tf.constant(5.0), predicate)
    assert session.run(yes, {predicate: True}) == 5.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="Retval.0. does not have value"):
        session.run(no, {predicate: True})


# --- Any graph ------------------------------------------------------------------------------------------------------

UNARY = {
    "negative": (tf.negative, np.negative),
    "tanh": (tf.tanh, np.tanh),
    "transpose": (tf.transpose, np.transpose),
    "sum": (lambda x: x + tf.reduce_sum(x), lambda x: x + x.sum()),
    "reshape": (lambda x: tf.reshape(tf.reshape(x, [-1]), tf.shape(x)), lambda x: x),
    "python": (lambda x: tf.ensure_shape(tf.py_func(np.square, [x], tf.float64), [2, 2]), np.square),
    "where": (lambda x: tf.where(x > 0.0, x, x * 0.5), lambda x: np.where(x > 0, x, x * 0.5)),
    "compress": (
        lambda x: x + tf.reduce_sum(tf.boolean_mask(x, x > 0.0)),
        lambda x: x + x[x > 0].sum(),
    ),
}
BINARY = {
    "add": (tf.add, np.add),
    "multiply": (tf.multiply, np.multiply),
    "matmul": (tf.matmul, np.matmul),
    "maximum": (tf.maximum, np.maximum),
}
NUMBERS = st.integers(0, 99)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from([*UNARY, *BINARY]), NUMBERS, NUMBERS), min_size=1, max_size=10))
def test_any_graph_computes_what_numpy_does(steps):
    value = np.array([[0.5, -0.25], [0.75, 0.125]])
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float64, [2, 2])
        tensors, arrays = [x, tf.constant([[1.0, 0.5], [-0.5, 0.25]], tf.float64)], [value]
        arrays.append(np.array([[1.0, 0.5], [-0.5, 0.25]]))
        for kind, first, second in steps:
            i, j = first % len(tensors), second % len(tensors)
            if kind in UNARY:
                ours, theirs = UNARY[kind]
                tensors.append(ours(tensors[i]))
                arrays.append(theirs(arrays[i]))
            else:
                ours, theirs = BINARY[kind]
                tensors.append(ours(tensors[i], tensors[j]))
                arrays.append(theirs(arrays[i], arrays[j]))
        for found, wanted in zip(session.run(tensors, {x: value}), arrays, strict=False):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


# --- The cache of compiled programs ---------------------------------------------------------------------------------


def test_where_compiled_programs_are_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("MILLSTREAM_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert backend.cache_directory() == tmp_path / "millstream" / "xla"
    monkeypatch.setenv("MILLSTREAM_CACHE_DIR", str(tmp_path / "mine"))
    assert backend.cache_directory() == tmp_path / "mine"
    for value in ("", "off", "0"):
        monkeypatch.setenv("MILLSTREAM_CACHE_DIR", value)
        assert backend.cache_directory() is None


def test_the_cache_is_bounded(tmp_path):
    for index in range(10):
        path = tmp_path / f"entry{index}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000.0 + index, 1000.0 + index))
    backend._prune_cache(tmp_path, 450)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entry6", "entry7", "entry8", "entry9"]
    backend._prune_cache(tmp_path, 450)
    backend._prune_cache(tmp_path / "not there", 450)
    assert len(list(tmp_path.iterdir())) == 4
