"""Variables in runs: who sees which value, what a failing run leaves behind, whose memory it is."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.runtime import compiler

BOTH_KINDS = pytest.mark.parametrize("use_resource", [False, True])


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def session(graph):
    with tf.Session() as session:
        yield session


def variable(value, **keywords):
    return tf.Variable(value, **keywords)


# --- Who sees what ----------------------------------------------------------------------------------------------------


@BOTH_KINDS
def test_readers_come_before_unordered_writers(session, use_resource):
    v = variable(1.0, use_resource=use_resource)
    read = v * 10.0
    write = v.assign_add(1.0)
    session.run(v.initializer)
    assert session.run([read, write.op]) == [10.0, None]
    assert session.run([write.op, read]) == [None, 20.0]


@BOTH_KINDS
def test_a_fetched_variable_shows_its_last_value(session, use_resource):
    v = variable(1.0, use_resource=use_resource)
    write = v.assign_add(1.0)
    session.run(v.initializer)
    assert session.run([v, write.op]) == [2.0, None]
    assert session.run([write.op, v]) == [None, 3.0]


def test_a_fetched_assignment_shows_the_last_value(session):
    """Of a reference; what is seen there is the variable after the run."""
    v = variable(1.0)
    first, second = v.assign(5.0), v.assign(7.0)
    with tf.control_dependencies([first]):
        later = v.assign_add(1.0)
    session.run(v.initializer)
    assert session.run([first, later]) == [6.0, 6.0]
    assert session.run([second]) == [7.0]


@BOTH_KINDS
def test_control_dependencies_order_reads_and_writes(session, use_resource):
    v = variable(1.0, use_resource=use_resource)
    before = v.read_value()
    with tf.control_dependencies([before]), tf.control_dependencies([v.assign(before * 2.0)]):
        between = v.read_value()
        with tf.control_dependencies([between]), tf.control_dependencies([v.assign(between * 10.0)]):
            after = v.read_value()
    values = [read + 0.0 for read in (before, between, after)]
    session.run(v.initializer)
    assert session.run(values) == [1.0, 2.0, 20.0]
    # Fetched, an identity of a reference is the variable itself, as in TensorFlow (test_reads_after_updates.py).
    fetched = [20.0, 40.0, 400.0] if use_resource else [400.0, 400.0, 400.0]
    assert session.run([before, between, after]) == fetched


@BOTH_KINDS
def test_control_dependencies_across_host_operations(session, use_resource):
    v = variable(1.0, use_resource=use_resource)
    seen = []
    with tf.control_dependencies([v.assign_add(1.0)]):
        first = tf.py_func(lambda value: seen.append(float(value)), [v.read_value()], [])
    with tf.control_dependencies([first]), tf.control_dependencies([v.assign_add(1.0)]):
        second = tf.py_func(lambda value: seen.append(float(value)), [v.read_value()], [])
    session.run(v.initializer)
    session.run(second)
    assert seen == [2.0, 3.0]


def test_updates_in_a_row(session):
    v = variable([1.0, 1.0])
    update = v
    for _ in range(5):
        update = tf.assign_add(update, [1.0, 2.0])
    session.run(v.initializer)
    assert session.run(update).tolist() == [6.0, 11.0]


@BOTH_KINDS
def test_variables_change_places(session, use_resource):
    a, b = variable([1.0, 2.0], use_resource=use_resource), variable([3.0, 4.0], use_resource=use_resource)
    old_a, old_b = a.read_value(), b.read_value()
    with tf.control_dependencies([old_a, old_b]):
        swap = tf.group(a.assign(old_b), b.assign(old_a))
    grow = a.assign_add([10.0, 10.0]).op
    session.run(tf.global_variables_initializer())
    for _ in range(4):
        session.run(swap)
    session.run(swap)
    session.run(grow)
    found = session.run([a, b])
    assert (found[0].tolist(), found[1].tolist()) == ([13.0, 14.0], [1.0, 2.0])


def test_sessions_have_variables_of_their_own():
    v = variable(1.0)
    with tf.Session() as first, tf.Session() as second:
        first.run(v.initializer)
        first.run(v.assign_add(1.0))
        with pytest.raises(tf.errors.FailedPreconditionError):
            second.run(v)
        second.run(v.initializer)
        assert (first.run(v), second.run(v)) == (2.0, 1.0)


def test_sessions_have_random_streams_of_their_own():
    x = tf.random_uniform([3], seed=1)
    with tf.Session() as first, tf.Session() as second:
        a = [first.run(x).tolist() for _ in range(3)]
        b = [second.run(x).tolist() for _ in range(3)]
    assert a == b
    assert a[0] != a[1] != a[2]


def test_random_streams_go_on_in_one_stage_and_another(session):
    """A stream belongs to the operation, whatever else runs with it."""
    x = tf.random_uniform([3], seed=1)
    doubled = x * 2.0
    with tf.Session() as other:
        wanted = [other.run(x).tolist() for _ in range(4)]
    found = [session.run(x).tolist(), (session.run(doubled) / 2.0).tolist()]
    found += [session.run([x, doubled])[0].tolist(), session.run(x).tolist()]
    assert found == wanted


# --- Uninitialized variables ----------------------------------------------------------------------------------------


def sentence(error):
    return error.value.message.splitlines()[0]


def test_reading_an_uninitialized_variable(session):
    v = variable(1.0, name="v")
    uses = [v, v + 1.0, v.assign_add(1.0), tf.py_func(lambda x: x, [v], tf.float32), v.value().op]
    for use in uses:
        with pytest.raises(tf.errors.FailedPreconditionError) as error:
            session.run(use)
        assert sentence(error) == "Attempting to use uninitialized value v"
        assert "test_state_rules.py" in str(error.value)


def test_reading_an_uninitialized_resource_variable(session):
    v = variable(1.0, name="v", use_resource=True)
    for use in (v, v + 1.0):
        with pytest.raises(tf.errors.FailedPreconditionError) as error:
            session.run(use)
        assert sentence(error).startswith("Error while reading resource variable v from Container: localhost.")
        assert "test_state_rules.py" in str(error.value)


@BOTH_KINDS
def test_an_uninitialized_variable_changes_nothing(session, use_resource):
    v = variable(np.zeros(5), use_resource=use_resource)
    w = variable(1.0, name="w", use_resource=use_resource)
    grow = v.assign_add(np.ones(5)).op
    session.run(v.initializer)
    session.run(grow)  # compiled: its memory is handed over from here on
    session.run(grow)
    for fetches in ([grow, w], [w, grow], [grow, w + 1.0], [grow, w.assign_add(1.0)], tf.group(grow, w.value())):
        with pytest.raises(tf.errors.FailedPreconditionError):
            session.run(fetches)
        assert session.run(v).tolist() == [2.0] * 5
    session.run(grow)
    assert session.run(v).tolist() == [3.0] * 5


def test_is_initialized(session):
    v, w = variable(1.0, name="v"), variable(1.0, name="w")
    report = tf.report_uninitialized_variables()
    assert sorted(session.run(report).tolist()) == [b"v", b"w"]
    session.run(v.initializer)
    assert session.run([tf.is_variable_initialized(v), tf.is_variable_initialized(w)]) == [True, False]
    assert session.run(report).tolist() == [b"w"]


def test_initial_values_of_each_other(session):
    v = variable(tf.random_uniform([3], seed=1))
    w = variable(v.initialized_value() * 2.0)
    session.run(tf.global_variables_initializer())
    found = session.run([v, w])
    assert (found[0] * 2.0).tolist() == found[1].tolist()


def test_closing_frees_the_variables():
    v = variable(1.0)
    session = tf.Session()
    session.run(v.initializer)
    session.close()
    with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
        session.run(v)


# --- Runs that fail -------------------------------------------------------------------------------------------------


def failing_runs():
    """Ways to fail after, before and beside an assignment: (name, what raises, the error)."""
    x = tf.placeholder(tf.float32, [None], name="x")

    def python_error():
        raise ValueError("refused")

    uninitialized = variable([1.0, 1.0], name="never", collections=[])
    return x, {
        "assert": (lambda: tf.Assert(tf.reduce_all(x > 0.0), [x]), tf.errors.InvalidArgumentError),
        "numerics": (lambda: tf.check_numerics(tf.log(x), "bad").op, tf.errors.InvalidArgumentError),
        "index": (lambda: tf.gather([1.0, 2.0], tf.cast(x, tf.int32)).op, tf.errors.InvalidArgumentError),
        "py_func": (lambda: tf.py_func(lambda: python_error(), [], tf.float32).op, tf.errors.InvalidArgumentError),
        "uninitialized": (lambda: uninitialized.value().op, tf.errors.FailedPreconditionError),
        "shapes": (lambda: (tf.ones([3]) + x).op, tf.errors.InvalidArgumentError),
    }


CULPRITS = "assert numerics index py_func uninitialized shapes".split()


@BOTH_KINDS
@pytest.mark.parametrize("culprit", CULPRITS)
def test_a_failing_run_changes_no_variable(session, culprit, use_resource):
    """The culprit runs beside the assignments, after them, and before them."""
    x, kinds = failing_runs()
    build, error = kinds[culprit]
    v = variable(np.ones(3, np.float32), use_resource=use_resource)
    w = variable(np.ones(2, np.float32), use_resource=use_resource)
    grow = [v.assign_add([1.0] * 3).op, w.assign(w * 2.0).op]
    beside = tf.group(build(), *grow)
    with tf.control_dependencies(grow):
        after = build()
    with tf.control_dependencies([build()]):
        before = [v.assign_add([1.0] * 3).op, w.assign(w * 2.0).op]
    session.run([v.initializer, w.initializer])
    for _ in range(3):  # interpreted, compiled, with memory handed over
        session.run(grow)
    for fetches in (beside, [after, *grow], before):
        for _ in range(2):
            with pytest.raises(error) as caught:
                session.run(fetches, {x: [-1.0, 0.0]})
            assert "test_state_rules.py" in str(caught.value)
            assert session.run(v).tolist() == [4.0] * 3
            assert session.run(w).tolist() == [8.0] * 2
    session.run(grow)
    assert session.run([v, w])[1].tolist() == [16.0] * 2


def test_a_run_that_fails_in_a_late_stage_changes_nothing(session):
    """Stage, host operation, stage, host operation that raises."""
    v, w = variable([1.0, 1.0]), variable([1.0, 1.0])
    fail = [False]

    def maybe():
        if fail[0]:
            raise RuntimeError("late")
        return np.float32(1)

    with tf.control_dependencies([v.assign_add([1.0, 1.0])]):
        middle = tf.py_func(lambda x: x * np.float32(2), [v.read_value()], tf.float32)
    middle.set_shape([2])
    with tf.control_dependencies([w.assign_add(middle)]):
        last = tf.py_func(maybe, [], tf.float32)
    session.run(tf.global_variables_initializer())
    session.run(last)
    fail[0] = True
    for _ in range(2):
        with pytest.raises(tf.errors.UnknownError, match="RuntimeError: late"):
            session.run(last)
        found = session.run([v, w])
        assert (found[0].tolist(), found[1].tolist()) == ([2.0, 2.0], [5.0, 5.0])
    fail[0] = False
    session.run(last)
    assert session.run(w).tolist() == [11.0, 11.0]


def test_a_good_run_after_a_failing_one(session):
    x = tf.placeholder(tf.float32, [2])
    v = variable([0.0, 0.0])
    with tf.control_dependencies([tf.Assert(tf.reduce_all(x > 0.0), [x])]):
        add = v.assign_add(x).op
    session.run(v.initializer)
    for number in range(6):
        if number % 2:
            with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
                session.run(add, {x: [-1.0, 1.0]})
        else:
            session.run(add, {x: [1.0, 2.0]})
    assert session.run(v).tolist() == [3.0, 6.0]


def test_a_failing_initializer_changes_nothing(session):
    v, w = variable([1.0]), variable(tf.check_numerics(tf.log([-1.0]), "bad"))
    everything = tf.global_variables_initializer()
    with pytest.raises(tf.errors.InvalidArgumentError):
        session.run(everything)
    assert session.run(tf.report_uninitialized_variables()).tolist() == [v.op.name.encode(), w.op.name.encode()]


def test_an_interrupted_run_changes_nothing(session):
    v = variable([1.0, 1.0])

    def interrupt():
        raise KeyboardInterrupt

    with tf.control_dependencies([v.assign_add([1.0, 1.0])]):
        stop = tf.py_func(interrupt, [], [])
    session.run(v.initializer)
    with pytest.raises((KeyboardInterrupt, tf.errors.OpError)):
        session.run(stop)
    assert session.run(v).tolist() == [1.0, 1.0]


# --- Updates of rows --------------------------------------------------------------------------------------------------


def add_rows(v, x):
    return v.scatter_add(tf.IndexedSlices(tf.ones([3, 2], tf.float64) * x, [1, 1, 3]))


def rows_then_check(v, x):
    with tf.control_dependencies([add_rows(v, x)]):
        return tf.group(tf.Assert(x > 0.0, [x]))


def check_then_rows(v, x):
    with tf.control_dependencies([tf.Assert(x > 0.0, [x])]):
        return tf.group(add_rows(v, x))


def rows_read_rows(v, x):
    with tf.control_dependencies([add_rows(v, x)]):
        between = v.read_value()
    with tf.control_dependencies([tf.Assert(tf.reduce_sum(between) * 0.0 + x > 0.0, [between])]):
        return tf.group(add_rows(v, x))


def all_then_rows(v, x):
    with tf.control_dependencies([v.assign_add(tf.ones([6, 2], tf.float64) * x)]):
        rows = add_rows(v, x)
    with tf.control_dependencies([rows]):
        return tf.group(tf.Assert(x > 0.0, [x]))


def rows_then_all(v, x):
    with tf.control_dependencies([add_rows(v, x)]):
        everything = v.assign_add(tf.ones([6, 2], tf.float64) * x)
    with tf.control_dependencies([everything]), tf.control_dependencies([tf.Assert(x > 0.0, [x])]):
        return tf.group(add_rows(v, x))


def rows_beside_check(v, x):
    return tf.group(add_rows(v, x), tf.Assert(x > 0.0, [x]))


@BOTH_KINDS
@pytest.mark.parametrize(
    ("build", "total"),
    [
        (rows_then_check, 6),
        (check_then_rows, 6),
        (rows_read_rows, 12),
        (all_then_rows, 18),
        (rows_then_all, 24),
        (rows_beside_check, 6),
    ],
)
def test_updates_of_rows_beside_checks(session, build, total, use_resource):
    """`total`: what a run with x = 1 adds to the sum of all elements."""
    x = tf.placeholder(tf.float64, [])
    v = variable(np.zeros((6, 2)), use_resource=use_resource)
    update = build(v, x)
    session.run(v.initializer)
    wanted = 0.0
    for value in (1.0, -1.0, 2.0, -2.0, -3.0, 3.0):
        before = session.run(v)
        if value > 0:
            session.run(update, {x: value})
            wanted += value * total
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
                session.run(update, {x: value})
            assert (session.run(v) == before).all()
        assert session.run(v).sum() == wanted


@BOTH_KINDS
def test_rows_that_are_not_there(session, use_resource):
    indices = tf.placeholder(tf.int32, [None])
    v = variable(np.zeros((6, 2)), use_resource=use_resource)
    update = v.scatter_add(tf.IndexedSlices(tf.ones([2, 2], tf.float64), indices))
    session.run(v.initializer)
    for bad in ([0, 6], [-1, 0]):
        session.run(update, {indices: [0, 5]})
        before = session.run(v)
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not in .0, 6"):
            session.run(update, {indices: bad})
        assert (session.run(v) == before).all()
    assert session.run(v).tolist() == [[2.0, 2.0], *[[0.0, 0.0]] * 4, [2.0, 2.0]]


# --- Memory ---------------------------------------------------------------------------------------------------------


@BOTH_KINDS
def test_variables_assigned_from_one_value_are_independent(session, use_resource):
    """A variable's array is handed over to the program that updates it; another variable must not share it."""
    x = tf.placeholder(tf.float64, [300])
    constant = tf.constant(np.arange(300.0))
    for source in (x, constant, x * 2.0, tf.ones([300], tf.float64), tf.identity(x)):
        a = variable(np.zeros(300), use_resource=use_resource)
        b = variable(np.zeros(300), use_resource=use_resource)
        both = tf.group(a.assign(source), b.assign(source))
        grow = a.assign_add(np.ones(300)).op
        array = np.arange(300.0)
        wanted = session.run(source, {x: array})
        for _ in range(4):
            session.run(both, {x: array})
            session.run(grow)
            session.run(grow)
            assert (session.run(a) == wanted + 2).all()
            assert (session.run(b) == wanted).all()
        assert (array == np.arange(300.0)).all()


@BOTH_KINDS
def test_a_variable_assigned_from_another_is_independent(session, use_resource):
    a = variable(np.arange(300.0), use_resource=use_resource)
    b = variable(np.zeros(300), use_resource=use_resource)
    copy = b.assign(a.read_value()).op
    grow = a.assign_add(np.ones(300)).op
    session.run(tf.global_variables_initializer())
    for step in range(4):
        session.run(copy)
        session.run(grow)
        assert (session.run(b) == np.arange(300.0) + step).all()
        assert (session.run(a) == np.arange(300.0) + step + 1).all()


def test_initial_values_stay_as_they_are(session):
    """The first initialisation may use the constant's own array; updates must not change it."""
    v = variable(np.arange(300.0))
    grow = v.assign_add(np.ones(300)).op
    for _ in range(4):
        session.run(v.initializer)
        session.run(grow)
        assert (session.run(v) == np.arange(300.0) + 1).all()
    assert (session.run(v.initial_value) == np.arange(300.0)).all()


def test_a_read_value_keeps_what_was_read(session):
    v = variable(np.arange(300.0))
    session.run(v.initializer)
    kept = [session.run(fetch) for fetch in (v, v.value(), v.read_value(), tf.reshape(v, [3, 100]))]
    for _ in range(3):
        session.run(v.assign_add(np.ones(300)).op)
    assert all((array.reshape(-1) == np.arange(300.0)).all() for array in kept)


def test_big_constants_are_not_part_of_the_program(session):
    """Over 64 KiB they are passed as arguments, and stay what they were."""
    array = np.random.RandomState(0).rand(200, 200)
    c = tf.constant(array)
    v = variable(c)
    update = v.assign_add(c * 2.0)
    session.run(v.initializer)
    array[:] = 0.0  # the constant is a copy
    wanted = session.run(c)
    assert wanted.max() > 0.5
    for step in (1, 2, 3):
        session.run(update.op)
        assert np.allclose(session.run(v), wanted * (1 + 2 * step))
    assert c.op.get_attr("value").ByteSize() > 200 * 200 * 8
    assert compiler.CONSTANT_BYTES < 200 * 200 * 8


# --- Changing shapes ------------------------------------------------------------------------------------------------


def test_a_variable_that_changes_its_shape(session):
    x = tf.placeholder(tf.float64)
    v = tf.Variable(np.zeros(3), validate_shape=False)
    put = tf.assign(v, x, validate_shape=False).op
    grown = v * 2.0
    double = tf.assign(v, grown, validate_shape=False).op
    session.run(v.initializer)
    for value in ([1.0, 2.0], [[1.0, 2.0, 3.0]], 5.0, np.zeros((0, 2)), [7.0]):
        session.run(put, {x: value})
        session.run(double)
        assert np.array_equal(session.run(v), np.array(value) * 2.0)
        assert session.run(tf.shape(v)).tolist() == list(np.shape(value))


def test_a_variable_that_changes_its_shape_in_a_run_that_checks(session):
    x = tf.placeholder(tf.float64)
    v = tf.Variable(np.zeros(3), validate_shape=False)
    with tf.control_dependencies([tf.Assert(tf.reduce_all(x > 0), [x])]):
        put = tf.assign(v, x, validate_shape=False).op
    session.run(v.initializer)
    last = np.zeros(3)
    for value in ([1.0, 2.0], [-1.0], [[1.0, 2.0, 3.0]], [-1.0, -2.0], 5.0, -5.0):
        if np.all(np.array(value) > 0):
            session.run(put, {x: value})
            last = np.array(value)
        else:
            with pytest.raises(tf.errors.InvalidArgumentError):
                session.run(put, {x: value})
        assert np.array_equal(session.run(v), last)


def test_a_wrong_shape_is_refused_when_it_runs(session):
    x = tf.placeholder(tf.float32, name="x")
    v = tf.Variable([1.0, 2.0])
    put = tf.assign(v, x, name="put")
    session.run(v.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        session.run(put, {x: [1.0, 2.0, 3.0]})
    assert sentence(error) == "Assign requires shapes of both tensors to match. lhs shape= [2] rhs shape= [3]"
    assert "put" in str(error.value) and "test_state_rules.py" in str(error.value)
    assert session.run(v).tolist() == [1.0, 2.0]


# --- Strings --------------------------------------------------------------------------------------------------------


def test_variables_of_strings(session):
    v = tf.Variable(["a", "b"])
    x = tf.placeholder(tf.string, [2])
    put = v.assign(x)
    array = np.array([b"c", b"d"], object)
    session.run(v.initializer)
    assert session.run(v).tolist() == [b"a", b"b"]
    session.run(put, {x: array})
    array[:] = b"changed"
    assert session.run(v).tolist() == [b"c", b"d"]
