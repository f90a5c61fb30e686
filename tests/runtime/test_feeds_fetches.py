"""What `Session.run` takes and gives: feeds, fetches, their structures, and what happens to the arrays."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import millstream.v1 as tf

Pair = collections.namedtuple("Pair", "first second")


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run(fetches, feed_dict=None):
    with tf.Session() as session:
        return session.run(fetches, feed_dict)


# --- Structures of fetches ------------------------------------------------------------------------------------------


def test_structures_come_back_in_their_own_shape():
    a, b, n = tf.constant(1.0, name="a"), tf.constant(2.0), tf.no_op()
    assert run(a) == 1.0
    assert run([a, b]) == [1.0, 2.0]
    assert run((a, b)) == (1.0, 2.0)
    assert run({"x": a, "y": [b, a]}) == {"x": 1.0, "y": [2.0, 1.0]}
    found = run(Pair(a, (b, n)))
    assert found == Pair(1.0, (2.0, None)) and type(found) is Pair
    ordered = run(collections.OrderedDict([("z", a), ("a", b)]))
    assert type(ordered) is collections.OrderedDict and list(ordered.items()) == [("z", 1.0), ("a", 2.0)]
    assert run(n) is None
    assert run([n, [a], {}]) == [None, [1.0], {}]
    assert run(["a:0", "a", a.op]) == [1.0, None, None]
    assert run([]) == []


def test_the_same_structure_twice_with_other_elements():
    """Structures are cached by their elements, not by their form."""
    a, b = tf.constant(1.0), tf.constant(2.0)
    with tf.Session() as session:
        for _ in range(2):
            assert session.run([a, b]) == [1.0, 2.0]
            assert session.run((a, b)) == (1.0, 2.0)
            assert session.run([b, a]) == [2.0, 1.0]
            assert session.run({"a": a}) == {"a": 1.0}
            assert session.run({"b": a}) == {"b": 1.0}
            assert session.run([[a], b]) == [[1.0], 2.0]
            assert session.run([a, [b]]) == [1.0, [2.0]]


def test_a_list_that_changes_between_runs():
    a, b = tf.constant(1.0), tf.constant(2.0)
    fetches = [a]
    with tf.Session() as session:
        assert session.run(fetches) == [1.0]
        fetches[0] = b
        assert session.run(fetches) == [2.0]
        fetches.append(a)
        assert session.run(fetches) == [2.0, 1.0]


def test_duplicates():
    x = tf.random_uniform([3])
    first, second, both = run([x, x, {"again": x}])
    assert (first == second).all() and (both["again"] == first).all()


def test_variables():
    v = tf.Variable([1.0, 2.0], name="v")
    r = tf.Variable(3.0, name="r", use_resource=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run([v, r, "v:0"])[1] == 3.0
        assert session.run({"v": v})["v"].tolist() == [1.0, 2.0]


def test_indexed_slices():
    slices = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([3, 0]), tf.constant([4, 1]))
    found, plain = run([slices, tf.IndexedSlices(tf.constant([1.0]), tf.constant([0]))])
    assert (found.values.tolist(), found.indices.tolist()) == ([[1.0], [2.0]], [3, 0])
    assert found.dense_shape.tolist() == [4, 1]
    assert plain.dense_shape is None


@pytest.mark.parametrize(
    ("fetch", "error", "message"),
    [
        (None, TypeError, "Fetch argument None has invalid type <class 'NoneType'>"),
        ([None], TypeError, "Fetch argument None has invalid type <class 'NoneType'>"),
        (3, TypeError, "Fetch argument 3 has invalid type <class 'int'>, must be a string or Tensor"),
        ({"a": 1.5}, TypeError, "Fetch argument 1.5 has invalid type <class 'float'>"),
        ("nope:0", ValueError, "Fetch argument 'nope:0' cannot be interpreted as a Tensor"),
        ("nope", ValueError, "Fetch argument 'nope' cannot be interpreted as a Tensor"),
        ("a:5", ValueError, "exists but only has 1 outputs"),
        (np.zeros(2), TypeError, "has invalid type <class 'numpy.ndarray'>"),
    ],
)
def test_what_cannot_be_fetched(fetch, error, message):
    tf.constant(1.0, name="a")
    with pytest.raises(error) as caught:
        run(fetch)
    assert message in str(caught.value)


def test_fetching_from_another_graph():
    tf.constant(1.0)
    with tf.Graph().as_default():
        other = tf.constant(1.0)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        run(other)


def test_fetching_what_must_not_be_fetched(graph):
    x = tf.constant(1.0, name="x")
    graph.prevent_fetching(x.op)
    with pytest.raises(ValueError, match="x.*has been marked as not fetchable"):
        run(x.op)


# --- Values that come back --------------------------------------------------------------------------------------------


def test_scalars_are_numpy_scalars():
    x = tf.placeholder(tf.float32, [])
    with tf.Session() as session:
        for found, kind in (
            (session.run(tf.constant(1.5) + 1.0), np.float32),
            (session.run(x * 2.0, {x: 3.0}), np.float32),
            (session.run(tf.constant(2**40, tf.int64)), np.int64),
            (session.run(tf.constant(True)), np.bool_),
            (session.run(tf.constant("text")), bytes),
        ):
            assert type(found) is kind


def test_numbers_of_64_bits_are_real():
    x, n = tf.placeholder(tf.float64, []), tf.placeholder(tf.int64, [])
    found, large = run([x / 3.0, n + 1], {x: 1.0, n: 2**40})
    assert (found, large) == (1.0 / 3.0, 2**40 + 1)


def test_fetched_arrays_are_the_callers_own():
    """A writable array each time, whatever it comes from."""
    x = tf.placeholder(tf.float32, [2], name="x")
    v = tf.Variable([1.0, 1.0])
    r = tf.Variable([1.0, 1.0], use_resource=True)
    constant = tf.constant([1.0, 1.0])
    fed = np.ones(2, np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for fetch in (x, tf.identity(x), x * 1.0, constant, constant * 1.0, v, v.value(), r, r.value(), tf.ones([2])):
            for _ in range(3):
                found = session.run(fetch, {x: fed})
                assert found.tolist() == [1.0, 1.0]
                assert found.flags.writeable and found.flags.owndata
                found[:] = 7.0
        assert fed.tolist() == [1.0, 1.0]
        assert session.run(v).tolist() == [1.0, 1.0]


def test_fetched_strings_are_the_callers_own():
    v = tf.Variable(["a", "b"])
    with tf.Session() as session:
        session.run(v.initializer)
        found = session.run(v)
        found[0] = b"changed"
        assert session.run(v).tolist() == [b"a", b"b"]


def test_empty_arrays():
    x = tf.placeholder(tf.float32, [0, 3])
    total, doubled = run([tf.reduce_sum(x), x * 2.0], {x: np.zeros((0, 3))})
    assert total == 0.0 and doubled.shape == (0, 3)


# --- Feeds ------------------------------------------------------------------------------------------------------------


def test_what_may_be_fed():
    x = tf.placeholder(tf.float32, [None], name="x")
    y = x * 2.0
    with tf.Session() as session:
        for value in ([1.0, 2.0], (1, 2), np.array([1, 2]), np.float64([1, 2]), range(1, 3), [True, 2]):
            assert session.run(y, {x: value}).tolist() == [2.0, 4.0]
        assert session.run(y, {"x:0": [3.0]}).tolist() == [6.0]
        assert session.run(y, feed_dict={y: [8.0]}).tolist() == [8.0]
        assert session.run(tf.identity(y), {y: [9.0]}).tolist() == [9.0]


def test_arrays_in_any_layout():
    x = tf.placeholder(tf.float32, [2, 3])
    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    with tf.Session() as session:
        for fetch in (x, tf.exp(x) * 0.0 + x):
            for array in (
                np.asfortranarray(plain),
                plain[::-1][::-1],
                np.repeat(plain, 2, axis=1)[:, ::2],
                plain.astype(">f4"),
                np.broadcast_to(plain, (4, 2, 3))[2],
                np.ma.masked_array(plain),
            ):
                assert session.run(fetch, {x: array}).tolist() == plain.tolist()


def test_scalars_of_every_kind():
    for dtype, value in (
        (tf.float32, 1.5),
        (tf.int32, 3),
        (tf.bool, True),
        (tf.complex64, 1 + 2j),
        (tf.uint8, 255),
        (tf.float16, 0.5),
        (tf.bfloat16, 0.5),
    ):
        x = tf.placeholder(dtype, [])
        assert run(tf.identity(x), {x: value}) == value
    s = tf.placeholder(tf.string)
    assert run(s, {s: "text"}) == b"text"
    assert run(s, {s: ["a", b"b"]}).tolist() == [b"a", b"b"]
    assert run(s, {s: np.array(["a", "b"])}).tolist() == [b"a", b"b"]


def test_an_intermediate_tensor_may_be_fed():
    x = tf.placeholder(tf.float32, [], name="x")
    y = x + 1.0
    z = y * 10.0
    assert run([z, y], {y: 5.0}) == [50.0, 5.0]  # and x need not be fed


def test_one_output_of_several_is_fed():
    a, b = tf.split(tf.constant([1.0, 2.0]), 2)
    found = run([a + 1.0, b + 1.0, a, b], {a: [10.0]})
    assert [item.tolist() for item in found] == [[11.0], [3.0], [10.0], [2.0]]


def test_an_operation_whose_result_is_fed_runs_all_the_same_when_asked():
    called = []
    x = tf.py_func(lambda: called.append(1) or np.float32(1), [], tf.float32)
    with tf.control_dependencies([x]):
        y = tf.identity(x * 2.0)
    assert run(y, {x: 5.0}) == 10.0
    assert called == [1]
    assert run([x.op, x], {x: 6.0}) == [None, 6.0]


def test_a_constant_may_be_fed():
    c = tf.constant(np.zeros((200, 200)))  # large enough to be an argument of the program
    with tf.control_dependencies([c]):
        y = tf.reduce_sum(tf.identity(c)) * 2.0
    assert run(y, {c: np.ones((200, 200))}) == 80000.0
    assert run(y) == 0.0


def test_a_variable_may_be_fed():
    v = tf.Variable(1.0, name="v")
    doubled = v * 2.0
    with tf.Session() as session:
        assert session.run(doubled, {v: 5.0}) == 10.0  # its own value is not needed
        session.run(v.initializer)
        assert session.run([doubled, v, v.read_value()], {v: 5.0}) == [10.0, 5.0, 5.0]
        assert session.run(doubled, {v.value(): 7.0}) == 14.0
        with pytest.raises(tf.errors.InvalidArgumentError, match="Input 0 of node add was passed float from"):
            session.run(tf.assign_add(v, 1.0, name="add"), {v: 5.0})
        assert session.run(v) == 1.0


def test_indexed_slices_may_be_fed():
    slices = tf.IndexedSlices(tf.placeholder(tf.float32), tf.placeholder(tf.int32), tf.placeholder(tf.int64))
    found = run(slices, {slices: ([[1.0]], [2], [3, 1])})
    assert (found.values.tolist(), found.indices.tolist(), found.dense_shape.tolist()) == ([[1.0]], [2], [3, 1])


def test_a_default_may_be_replaced():
    x = tf.placeholder_with_default([1.0, 2.0], [None])
    y = x * 2.0
    assert run(y).tolist() == [2.0, 4.0]
    assert run(y, {x: [5.0]}).tolist() == [10.0]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1.0, 2.0, 3.0], ValueError, "Cannot feed value of shape (3,) for Tensor 'x:0', which has shape '(?, 2)'"),
        (np.zeros((4, 3)), ValueError, "Cannot feed value of shape (4, 3) for Tensor 'x:0', which has shape '(?, 2)'"),
        (1.0, ValueError, "Cannot feed value of shape () for Tensor 'x:0', which has shape '(?, 2)'"),
        ("text", ValueError, "could not convert string to float: 'text'"),
        ([[1.0, 2.0], [3.0]], ValueError, "setting an array element with a sequence."),
        ([[1.0, "a"]], ValueError, "could not convert string to float: 'a'"),
        (object(), TypeError, "float() argument must be"),
    ],
)
def test_values_that_do_not_suit(value, error, message):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with pytest.raises(error) as caught:
        run(x, {x: value})
    assert message in str(caught.value)
    assert "x:0" in str(caught.value), "the message should say which tensor was fed"


def test_numbers_that_are_too_large():
    x = tf.placeholder(tf.int32, name="x")
    with pytest.raises(TypeError) as caught:
        run(x, {x: 2**40})
    assert str(caught.value).startswith(
        "Type of feed value 1099511627776 with type <class 'int'> is not compatible with "
        "Tensor type <class 'numpy.int32'>."
    )


def test_a_tensor_is_no_value():
    x = tf.placeholder(tf.float32, [], name="x")
    with pytest.raises(TypeError, match="The value of a feed cannot be a tf.Tensor object"):
        run(x, {x: tf.constant(1.0)})


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("n", TypeError, "Cannot interpret feed_dict key as Tensor: "),
        (
            "nope:0",
            TypeError,
            "Cannot interpret feed_dict key as Tensor: The name 'nope:0' refers to a Tensor which does",
        ),
        (3, TypeError, "Cannot interpret feed_dict key as Tensor: Can not convert a int into a Tensor"),
        (None, TypeError, "Cannot interpret feed_dict key as Tensor: Can not convert a NoneType into a Tensor"),
    ],
)
def test_what_cannot_be_fed(key, error, message):
    x = tf.constant(1.0)
    tf.no_op(name="n")
    with pytest.raises(error) as caught:
        run(x, {key: 1.0})
    assert message in str(caught.value)


def test_feeding_a_tensor_of_another_graph():
    x = tf.constant(1.0)
    with tf.Graph().as_default():
        other = tf.placeholder(tf.float32)
    with pytest.raises(TypeError, match="Cannot interpret feed_dict key as Tensor: .* is not an element of this graph"):
        run(x, {other: 1.0})


def test_feeding_what_must_not_be_fed(graph):
    x = tf.constant(1.0, name="x")
    graph.prevent_feeding(x)
    with pytest.raises(ValueError, match="Tensor .*x.* may not be fed"):
        run(x, {x: 2.0})


def test_a_feed_dict_must_be_a_dictionary():
    x = tf.placeholder(tf.float32)
    with tf.Session() as session:
        session.run(x, {x: 1.0})
        for bad in ([1.0], [x], [(x, 1.0)], "x", 3):
            with pytest.raises((TypeError, ValueError)):
                session.run(x, bad)


@pytest.mark.parametrize("shape", [None, [], [2], [None, 3]])
def test_a_placeholder_that_is_not_fed(shape):
    x = tf.placeholder(tf.float32, shape, name="x")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        run(x + 1.0)
    message = caught.value.message
    assert message.startswith("You must feed a value for placeholder tensor 'x' with dtype float")
    assert "test_feeds_fetches.py" in message
    assert caught.value.op is x.op
    assert ("and shape" in message) == (shape is not None)


def test_an_unneeded_placeholder_need_not_be_fed():
    tf.placeholder(tf.float32) + 1.0
    assert run(tf.constant(2.0)) == 2.0


# --- Aliasing -------------------------------------------------------------------------------------------------------


def aligned(shape, dtype=np.float32):
    """An array that JAX could use without copying it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def aliases(x):
    """Ways from a fed array to a result that could keep its memory."""
    shape = tf.placeholder_with_default([-1], [None])
    return [
        x,
        tf.identity(x),
        tf.reshape(x, [-1]),
        tf.reshape(x, shape),
        tf.expand_dims(x, 0),
        tf.transpose(x),
        x[:10],
        tf.stop_gradient(x) * 1.0,
        tf.Print(x, [], ""),
        tf.py_func(lambda array: array, [x], tf.float32),
    ]


def test_a_fed_array_may_be_overwritten_after_run():
    x = tf.placeholder(tf.float32, [400, 50])
    with tf.Session() as session:
        for fetch in aliases(x):
            for _ in range(3):
                array = aligned([400, 50])
                array[:] = 1.0
                found = session.run(fetch, {x: array})
                array[:] = 5.0
                assert (found == 1.0).all()
                found[:] = 7.0
                assert (array == 5.0).all()


def test_a_fed_array_may_be_overwritten_after_it_was_assigned():
    """And updating the variable in place does not change the array."""
    x = tf.placeholder(tf.float32, [400, 50])
    with tf.Session() as session:
        for value in aliases(x):
            v = tf.Variable(tf.zeros([]), validate_shape=False)
            assign = tf.assign(v, value, validate_shape=False).op
            double = tf.assign(v, v.value() * 2.0).op
            for _ in range(3):
                array = aligned([400, 50])
                array[:] = 1.0
                session.run(assign, {x: array})
                array[:] = 5.0
                session.run(double)
                session.run(double)
                assert (session.run(v) == 4.0).all()
                assert (array == 5.0).all()


def test_a_python_function_may_keep_its_buffer():
    buffer = np.zeros(1000, np.float32)
    value = tf.py_func(lambda: buffer, [], tf.float32)
    value.set_shape([1000])
    v = tf.Variable(tf.zeros([1000]))
    assign = v.assign(value)
    with tf.Session() as session:
        buffer[:] = 1.0
        found, _ = session.run([value, assign.op])
        buffer[:] = 2.0
        assert (found == 1.0).all() and (session.run(v) == 1.0).all()


def test_a_python_function_may_write_to_its_arguments():
    def spoil(array):
        array[:] = 9.0
        return array

    v = tf.Variable([1.0, 2.0])
    c = tf.constant([1.0, 2.0])
    x = tf.placeholder(tf.float32, [2])
    fed = np.array([1.0, 2.0], np.float32)
    with tf.Session() as session:
        session.run(v.initializer)
        for source in (v, c, x):
            assert session.run(tf.py_func(spoil, [source], tf.float32), {x: fed}).tolist() == [9.0, 9.0]
            assert session.run(source, {x: fed}).tolist() == [1.0, 2.0]
    assert fed.tolist() == [1.0, 2.0]
