"""`tf.TensorArray` eagerly and in functions, and the forms that its list has; golden family row_loops has the rest."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf
from millstream.ops import list_values
from millstream.ops.list_values import ArrayList, ElementList
from millstream.runtime import region_plan


def rows(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


# --- Eagerly ----------------------------------------------------------------------------------------------------------


def test_an_eager_array_is_changed_in_place():
    array = tf.TensorArray(tf.float32, size=2)
    assert array.write(1, [1.0, 2.0]) is array
    array.write(0, [3.0, 4.0])
    np.testing.assert_array_equal(array.stack(), [[3, 4], [1, 2]])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda array: array.read(3), "Tried to read from index 3 but array size is: 3"),
        (lambda array: array.read(-1), r"Reading from negative indices \(index -1\) is not allowed."),
        (lambda array: array.write(3, 1.0), "Tried to write to index 3 but array is not resizeable and size is: 3"),
        (lambda array: array.write(-2, 1.0), r"Writing to negative indices \(index -2\) is not allowed."),
    ],
)
def test_places_that_are_not_there(act, message):
    array = tf.TensorArray(tf.float32, size=3).unstack([1.0, 2.0, 3.0])
    with pytest.raises(tf.errors.OutOfRangeError, match=message):
        act(array)
    np.testing.assert_array_equal(array.stack(), [1, 2, 3])  # nothing has happened


def test_bad_calls():
    with pytest.raises(ValueError, match="Size must be declared"):
        tf.TensorArray(tf.float32)
    with pytest.raises(ValueError, match="Cannot provide both a handle and size"):
        tf.TensorArray(tf.float32, size=1, handle=tf.constant(1))
    with pytest.raises(ValueError, match=r"Inconsistent shapes: saw \(1,\) but expected \(2,\)"):
        tf.TensorArray(tf.float32, 3, element_shape=[2]).write(0, [1.0])
    with pytest.raises(ValueError, match="Cannot unstack 5 tensors into a TensorArray of static size 2"):
        tf.TensorArray(tf.float32, 2).unstack(tf.ones([5]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected sum of lengths to be equal to values.shape"):
        tf.TensorArray(tf.float32, 2).split(tf.ones([4]), [1, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not fully defined"):
        tf.TensorArray(tf.float32, 2).stack()
    with pytest.raises(NotImplementedError):
        tf.TensorArray(tf.float32, 2).grad("gradients")
    with pytest.raises((TypeError, ValueError)):
        tf.TensorArray(tf.float32, 2).write(0, "text")


def test_without_elements():
    assert tf.TensorArray(tf.float32, 0).stack().shape == [0]
    assert tf.TensorArray(tf.float32, 0, element_shape=[2]).stack().shape == [0, 2]


def test_eager_gradients():
    x = tf.constant(rows(5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        source = tf.TensorArray(tf.float32, 5).unstack(x)
        result = tf.TensorArray(tf.float32, 3)
        for i in range(3):
            result = result.write(i, source.read(i) * source.read(i + 1))
        last = tf.TensorArray(tf.float32, 2, infer_shape=False).split(x, [2, 3]).read(1)
        total = tf.reduce_sum(result.stack()) + tf.reduce_sum(result.gather([1, 1])) + tf.reduce_sum(last**2)
    np.testing.assert_array_equal(tape.gradient(total, x), [1, 6, 10, 8, 8])


def test_eager_derivatives_where_not_all_elements_are_used():
    x = tf.constant([3.0, 5.0, 7.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            array = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False)
            for i in range(3):
                array = array.write(i, x[i] ** 3)
            y = array.read(0) * array.read(1)
        slope = inner.gradient(y, x)
        first = slope[0]
    np.testing.assert_array_equal(slope, [3 * 9 * 125, 27 * 3 * 25, 0])
    np.testing.assert_array_equal(outer.gradient(first, x), [6 * 3 * 125, 27 * 75, 0])


# --- In functions -----------------------------------------------------------------------------------------------------


def test_arrays_pass_into_and_out_of_functions():
    @tf.function
    def first_and_rest(array, value):
        return array.write(0, value), array

    array = tf.TensorArray(tf.float32, 2, element_shape=[])
    new, old = first_and_rest(array, 5.0)
    np.testing.assert_array_equal(new.stack(), [5, 0])
    np.testing.assert_array_equal(old.stack(), [0, 0])
    assert new.dtype is tf.float32 and new.element_shape == []


def test_autograph_loops_compile_with_arrays():
    traces = []

    @tf.function
    def fibonacci(n):
        traces.append(n)
        array = tf.TensorArray(tf.int64, n, clear_after_read=False, element_shape=[])
        array = array.write(0, 0).write(1, 1)
        for i in tf.range(2, n):
            array = array.write(i, array.read(i - 1) + array.read(i - 2))
        return array.stack()

    np.testing.assert_array_equal(fibonacci(tf.constant(9)), [0, 1, 1, 2, 3, 5, 8, 13, 21])
    np.testing.assert_array_equal(fibonacci(tf.constant(4)), [0, 1, 1, 2])
    assert len(traces) == 1


def test_second_derivatives_through_a_loop():
    @tf.function
    def cumulated(x):
        array = tf.TensorArray(tf.float64, 4, clear_after_read=False)
        total = tf.zeros([], tf.float64)
        for i in tf.range(4):
            total = total + x[i] ** 3
            array = array.write(i, total * x[0])
        return array.stack(), array.read(2)

    x = tf.constant([0.5, -1.0, 2.0, 1.5], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            stacked, one = cumulated(x)
            total = tf.reduce_sum(stacked**2) + one
        slope = inner.gradient(total, x)
    second = outer.gradient(slope, x)

    def value(x):
        sums = np.cumsum(x**3) * x[0]
        return np.sum(sums**2) + sums[2]

    def numerical(function, x, step=1e-4):
        return np.array([(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(4)])

    np.testing.assert_allclose(slope, numerical(value, x.numpy()), rtol=1e-6)
    np.testing.assert_allclose(second, numerical(lambda v: numerical(value, v).sum(), x.numpy()), rtol=1e-4)


def test_an_overwritten_element_has_no_gradient():
    @tf.function
    def overwritten(x):
        array = tf.TensorArray(tf.float32, 3).unstack(x)
        for i in tf.range(2):
            array = array.write(i, 10.0)
        return tf.reduce_sum(array.stack() ** 2)

    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = overwritten(x)
    assert y.numpy() == 209
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 0, 6])


def test_a_place_that_is_not_there_fails_in_a_compiled_loop():
    @tf.function
    def run(n):
        array = tf.TensorArray(tf.float32, 3, element_shape=[])
        for i in tf.range(n):
            array = array.write(i, 1.0)
        return array.stack()

    np.testing.assert_array_equal(run(tf.constant(3)), [1, 1, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Tried to write to index 3 .*size is: 3"):
        run(tf.constant(5))


def test_specs():
    spec = tf.TensorArraySpec([2, None], tf.int32, dynamic_size=True)
    assert repr(spec) == "TensorArraySpec(TensorShape([2, None]), tf.int32, True, True)"
    assert spec.value_type is tf.TensorArray
    assert spec.is_compatible_with(tf.TensorArraySpec([2, 3], tf.int32, True))
    assert not spec.is_compatible_with(tf.TensorArraySpec([2, 3], tf.int32))
    assert tf.TensorArraySpec.from_value(tf.TensorArray(tf.float32, 1)).is_compatible_with(tf.TensorArraySpec())
    with pytest.raises(TypeError, match="to be a TensorArray"):
        tf.TensorArraySpec.from_value(3)


# --- The forms of a list ----------------------------------------------------------------------------------------------


def test_lists_that_share_memory_do_not_see_each_other():
    first = ElementList().push(1).push(2)
    left, right = first.push(3), first.push(4)
    assert (first.elements, left.elements, right.elements) == ([1, 2], [1, 2, 3], [1, 2, 4])
    shorter, last = left.pop()
    assert (last, shorter.push(9).elements, left.elements) == (3, [1, 2, 9], [1, 2, 3])
    assert first.set(0, 7).elements == [7, 2] and first.elements == [1, 2]
    assert ElementList((), 3).set(2, 5).elements == [None, None, 5]


def test_sums_of_lists_of_different_lengths():
    short = ElementList((), 0).set(1, np.float32(2))
    total = ElementList([np.float32(1), None, np.float32(5)]) + short
    assert [value if value is None else float(value) for value in total.elements] == [1, 2, 5]
    single = list_values.PartialList([(np.int32(1), np.float32(2))], 0)
    np.testing.assert_array_equal((ArrayList(np.ones(3, np.float32)) + single).buffer, [1, 3, 1])


@pytest.fixture
def on_host(monkeypatch):
    """The operations that the host has to drive."""
    found = []
    monkeypatch.setattr(region_plan, "put_on_host", lambda op, put=region_plan.put_on_host: (found.append(op), put(op)))
    return found


@pytest.mark.parametrize("as_tensor", [False, True])
def test_arrays_that_grow_in_a_loop(on_host, as_tensor):
    """Where the number of turns is known, the loop compiles."""

    @tf.function
    def squares(n):
        array = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[])
        for i in tf.range(n):
            array = array.write(i, tf.cast(i, tf.float32) ** 2)
        return array.stack()

    count = tf.constant if as_tensor else int
    np.testing.assert_array_equal(squares(count(4)), [0, 1, 4, 9])
    np.testing.assert_array_equal(squares(count(2)), [0, 1])
    assert squares(count(0)).shape == [0]
    assert bool(on_host) == as_tensor


def test_gradients_of_an_array_of_which_one_element_is_used():
    @tf.function
    def one(x, place):
        array = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False)
        for i in tf.range(4):
            array = array.write(i, x[i] * x[0])
        return array.read(place)

    x = tf.constant([3.0, 5.0, 7.0, 11.0])
    for place, slope in ((0, [6, 0, 0, 0]), (1, [5, 3, 0, 0]), (3, [11, 0, 0, 3])):
        for index in (place, tf.constant(place)):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = one(x, index)
            np.testing.assert_array_equal(tape.gradient(y, x), slope)


def test_gradients_of_an_element_written_at_a_computed_place():
    @tf.function
    def written(x, place, read):
        return tf.TensorArray(tf.float32, 4).unstack(x).write(place, 10.0 * x[0]).read(read)

    x = tf.constant([3.0, 5.0, 7.0, 11.0])
    for place, read, slope in ((3, 1, [0, 1, 0, 0]), (1, 1, [10, 0, 0, 0]), (0, 3, [0, 0, 0, 1])):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = written(x, tf.constant(place), read)
        np.testing.assert_array_equal(tape.gradient(y, x), slope)


def test_arrays_in_branches_compile(on_host):
    @tf.function
    def chosen(x, flag):
        array = tf.TensorArray(tf.float32, 3).unstack(x)
        if flag:
            array = array.write(1, x[0] * x[2])
        else:
            array = tf.TensorArray(tf.float32, 3).write(0, x[2]).write(2, array.read(1) ** 2)
        return array.stack()

    x = tf.constant([2.0, 3.0, 5.0])
    for flag, values, slope in ((True, [2, 10, 5], [6, 0, 3]), (False, [5, 0, 9], [0, 6, 1])):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = chosen(x, tf.constant(flag))
        np.testing.assert_array_equal(y, values)
        np.testing.assert_array_equal(tape.gradient(y, x), slope)
    assert not on_host


# --- Gradients of arrays of which only some elements are used ---------------------------------------------------------


def loop(count, turn, *variables):
    return tf.while_loop(lambda i, *_: i < count, lambda i, *rest: (i + 1, *turn(i, *rest)), (0, *variables))[1:]


def array_of(x):
    return tf.TensorArray(tf.float64, 4, clear_after_read=False, element_shape=[]).unstack(x)


def rewritten(x, one):
    (array,) = loop(4, lambda i, a: [a.write(0, a.read(0) + a.read(i) ** 2)], array_of(x))
    return array.read(0)


def computed_from_the_last_two(x, one):
    array = array_of(x)
    (array,) = loop(2, lambda i, a: [a.write(i + 2, a.read(i + 1) * a.read(i) + x[2])], array)
    return array.read(3)


def at_computed_places(x, one):
    array = array_of(x)
    product = array.read(one) * array.read(one - 1)
    return array.write(one, array.read(one + 2) ** 2).read(1) * product


def in_a_branch(x, one):
    array = array_of(x)
    changed = lambda: array.write(one, array.read(one + 2) ** 2)  # noqa: E731
    return tf.cond(x[0] > 0.0, changed, lambda: array).read(1)


def within_a_turn(x, one):
    def turn(i, total):
        array = array_of(x * total)
        array = array.write(i % 2, array.read(3 - i) ** 2)
        return [array.read(0) + array.read(i)]

    return loop(3, turn, x[3])[0]


def with_python(x, one):
    def turn(i, array):
        factor = tf.cast(tf.py_function(lambda i: i + 1, [i], tf.int32), tf.float64)
        return [array.write(0, array.read(0) * factor + array.read(i) * array.read(tf.maximum(i - 1, 0)) ** 2)]

    return loop(4, turn, array_of(x))[0].read(0)


@pytest.mark.parametrize(
    "compute",
    [rewritten, computed_from_the_last_two, at_computed_places, in_a_branch, within_a_turn, with_python],
    ids=lambda compute: compute.__name__,
)
def test_derivatives_are_the_same_eagerly_and_in_functions(compute):
    x, one = tf.constant([0.5, 1.5, -2.0, 3.0], tf.float64), tf.constant(1)

    def derivatives(x, one):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = compute(x, one)
            slope = inner.gradient(y, x)
            total = tf.reduce_sum(slope * tf.constant([1.0, 2.0, 3.0, 4.0], tf.float64))
        return y, slope, outer.gradient(total, x, unconnected_gradients="zero")

    for ours, eager in zip(tf.function(derivatives)(x, one), derivatives(x, one), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=1e-12)


def test_the_gradient_of_a_loop_that_changes_an_element_of_an_array():
    x = tf.constant([0.5, 1.5, -2.0, 3.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.function(rewritten)(x, 1)
    np.testing.assert_array_equal(tape.gradient(y, x), [2, 3, -4, 6])


@pytest.mark.parametrize("wrap", [tf.function, lambda function: function], ids=["function", "eager"])
def test_infinite_elements_do_not_spoil_the_gradients_of_others(wrap):
    @wrap
    def doubled(x):
        (array,) = loop(2, lambda i, a: [a.write(i, 2.0 * tf.sqrt(a.read(i)))], array_of(x))
        return tf.reduce_sum(array.stack()), array.read(2) ** 2

    for first, slopes in ((0.0, [np.inf, 0.5, 1, 1]), (1.0, [0, 0, 6, 0])):
        x = tf.constant([first, 4.0, 3.0, np.inf], tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total, square = doubled(x)
            y = total if first == 0 else square
        np.testing.assert_array_equal(tape.gradient(y, x), slopes)


@pytest.mark.parametrize("wrap", [tf.function, lambda function: function], ids=["function", "eager"])
def test_elements_of_several_shapes_at_computed_places(wrap):
    @wrap
    def squares(x):
        array = tf.TensorArray(tf.float64, 3, infer_shape=False, clear_after_read=False)
        array = array.write(0, x[:2]).write(1, x).write(2, x[:1])
        return loop(3, lambda i, s: [s + tf.reduce_sum(array.read(i) ** 2)], tf.constant(0.0, tf.float64))[0]

    x = tf.constant([0.5, 1.5, -2.0, 3.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = squares(x)
    assert y == 3 * 0.25 + 2 * 2.25 + 4 + 9
    np.testing.assert_array_equal(tape.gradient(y, x), [3, 6, -4, 6])


def test_an_array_that_grows_to_a_computed_place():
    @tf.function
    def grown(x, place):
        array = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False, element_shape=[])
        array = array.write(place, tf.reduce_sum(tf.sin(x)))
        return array.size(), array.read(place), array.stack()

    x = np.ones(100_000, np.float32)
    size, element, stacked = grown(x, tf.constant(2))
    assert size == 3
    np.testing.assert_allclose(element, np.sin(x).sum(), rtol=1e-4)
    np.testing.assert_array_equal(stacked, [0, 0, element])


@pytest.mark.parametrize("in_python", [False, True])
def test_gradients_of_an_element_that_each_turn_overwrites(in_python):
    """As Keras keeps the last output of a recurrent layer; the number of rows is not known when it is traced."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def last(x):
        array = tf.TensorArray(tf.float32, 1, element_shape=[None, 2], clear_after_read=False)
        power = x
        for _ in tf.range(3):
            power *= x
            if in_python:  # such a loop is driven by the host
                tf.py_function(lambda: None, [], [])
            array = array.write(0, power)
        return tf.reduce_sum(array.stack()[-1])

    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = last(x)
    np.testing.assert_array_equal(tape.gradient(y, x), 4 * x**3)
