"""Indexing, shapes and joining as far as the golden tests do not go: any index against NumPy, partly known shapes."""
from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.core.static_values import constant_value


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def shape_of(tensor: tf.Tensor) -> list[int | None] | None:
    return None if tensor.shape.ndims is None else tensor.shape.as_list()


# --- Python's indexing ------------------------------------------------------------------------------------------

DIMS = (3, 1, 4)
VALUES = np.arange(12).reshape(DIMS)


def _bound() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(-6, 6)


@st.composite
def indices(draw: Any) -> tuple[Any, ...]:
    """Any index of basic kind for an array of shape DIMS."""
    entries: list[Any] = []
    for dim in DIMS[: draw(st.integers(0, len(DIMS)))]:
        if draw(st.booleans()):
            entries.append(draw(st.integers(-dim, dim - 1)))
        else:
            entries.append(slice(draw(_bound()), draw(_bound()), draw(st.sampled_from((None, 1, 2, 3, -1, -2)))))
    for _ in range(draw(st.integers(0, 2))):
        entries.insert(draw(st.integers(0, len(entries))), tf.newaxis)
    taken = sum(entry is not None for entry in entries)
    if draw(st.booleans()) and taken == len(DIMS):
        entries.insert(draw(st.integers(0, len(entries))), Ellipsis)
    elif draw(st.booleans()) and taken < len(DIMS):
        entries.append(Ellipsis)
    return tuple(entries)


@settings(max_examples=150, deadline=None)
@given(indices())
def test_any_index_is_numpys(index: tuple[Any, ...]) -> None:
    with tf.Graph().as_default():
        wanted = VALUES[index]
        found = tf.constant(VALUES)[index]
        assert shape_of(found) == list(wanted.shape)
        np.testing.assert_array_equal(constant_value(found), wanted)
        assert constant_value(found).shape == wanted.shape


@settings(max_examples=50, deadline=None)
@given(indices(), st.lists(st.booleans(), min_size=3, max_size=3))
def test_static_shape_of_an_index_of_a_partly_known_shape(index: tuple[Any, ...], known: list[bool]) -> None:
    with tf.Graph().as_default():
        dims = [dim if sure else None for dim, sure in zip(DIMS, known, strict=True)]
        found = shape_of(tf.placeholder(tf.float32, dims)[index])
        wanted = VALUES[index].shape
        assert found is not None and len(found) == len(wanted)
        assert all(a in (None, b) for a, b in zip(found, wanted, strict=True))


@settings(max_examples=40, deadline=None)
@given(indices())
def test_gradient_of_an_index_puts_the_gradient_back(index: tuple[Any, ...]) -> None:
    with tf.Graph().as_default():
        x = tf.constant(VALUES, tf.float64)
        part = x[index]
        weights = np.arange(1, 1 + VALUES[index].size, dtype=np.float64).reshape(VALUES[index].shape)
        gradient = constant_value(tf.gradients(part, x, grad_ys=tf.constant(weights))[0])
        wanted = np.zeros(DIMS)
        wanted[index] = weights
        np.testing.assert_array_equal(gradient, wanted)


def test_indices_that_are_tensors() -> None:
    i = tf.placeholder(tf.int32, [])
    x = tf.constant(VALUES)
    with tf.Session() as session:
        parts = session.run([x[i], x[i:, 0, i], x[..., i - 1], x[tf.newaxis, i]], {i: 1})
    for found, wanted in zip(parts, (VALUES[1], VALUES[1:, 0, 1], VALUES[..., 0], VALUES[None, 1]), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_index_that_is_a_tensor_is_no_reason_to_compile_again() -> None:
    from millstream.runtime.plan import static_inputs

    i, x = tf.placeholder(tf.int32, []), tf.constant(VALUES)
    for part in (x[i], x[i, ..., tf.newaxis], x[:, i], tf.slice(x, [i, 0, 0], [1, 1, 2])):
        assert part.op.inputs[1] not in static_inputs(part.op)
    for part in (x[i:], x[i, 0:i], tf.slice(x, [i, 0, 0], [-1, 1, 2])):
        assert part.op.inputs[1] in static_inputs(part.op)


@pytest.mark.parametrize("index", ["a", 1.5, np.array([0, 1])])
def test_other_indices_are_refused(index: Any) -> None:
    with pytest.raises(TypeError, match=r"Only integers, slices \(`:`\), ellipsis"):
        tf.constant(VALUES)[index]


def test_assigning_to_a_slice_of_a_variable() -> None:
    v = tf.Variable(np.zeros((3, 4), np.float32))
    update = tf.strided_slice(v, [1, 0], [2, 3], [1, 2], var=v).assign([[1.0, 2.0]])
    with tf.Session() as session:
        session.run(v.initializer)
        session.run(update)
        np.testing.assert_array_equal(session.run(v), [[0] * 4, [1, 0, 2, 0], [0] * 4])


# --- Partly known shapes ----------------------------------------------------------------------------------------


def test_shapes_made_of_partly_known_shapes() -> None:
    x = tf.placeholder(tf.float32, [None, 3, 4])
    dims = tf.shape(x)
    assert shape_of(tf.zeros(dims)) == [None, 3, 4]
    assert shape_of(tf.zeros(dims[1:])) == [3, 4]
    assert shape_of(tf.reshape(x, tf.concat([dims[:1], [12]], 0))) == [None, 12]
    assert shape_of(tf.reshape(x, tf.stack([dims[0], -1]))) == [None, None]
    assert shape_of(tf.fill(tf.stack([2, dims[0]]), 1.0)) == [2, None]
    assert shape_of(tf.broadcast_to(x, tf.concat([[2], dims], 0))) == [2, None, 3, 4]
    assert shape_of(tf.tile(x, tf.stack([1, 2, dims[0]]))) == [None, 6, None]
    assert shape_of(tf.slice(x, tf.stack([dims[0], 1, 0]), [-1, -1, 2])) == [None, 2, 2]
    assert shape_of(tf.pad(x, [[0, 0], [1, 1], [0, dims[0]]])) == [None, 5, None]


def test_an_unknown_index_is_not_taken_for_a_negative_one() -> None:
    x, i = tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.int32, [])
    assert shape_of(tf.zeros(tf.stack([tf.shape(x)[i], 2]))) == [None, 2]
    assert shape_of(tf.zeros([2, tf.gather(tf.shape(x), i)])) == [2, None]


def test_a_default_that_may_be_fed_decides_no_shape() -> None:
    n = tf.placeholder_with_default(2, [])
    assert shape_of(tf.zeros([n, 3])) == [None, 3]
    with tf.Session() as session:
        assert session.run(tf.zeros([n, 3])).shape == (2, 3)
        assert session.run(tf.zeros([n, 3]), {n: 5}).shape == (5, 3)


def test_shapes_that_only_the_run_knows() -> None:
    n = tf.placeholder(tf.int32, [])
    x = tf.placeholder(tf.float32, [None])
    fetches = [tf.reshape(x, [n, -1]), tf.tile(x, [n]), tf.zeros([n, n]), tf.one_hot([0], n)]
    with tf.Session() as session:
        for size in (1, 2, 4):
            parts = session.run(fetches, {n: size, x: np.arange(4.0)})
            assert [part.shape for part in parts] == [(size, 4 // size), (4 * size,), (size, size), (1, size)]


# --- Joining and converting -------------------------------------------------------------------------------------


def test_lists_that_hold_tensors_are_stacked_at_any_depth() -> None:
    a = tf.constant(1.0)
    found = tf.convert_to_tensor([[a, 2], [3, a]])
    assert found.op.type == "Pack" and found.dtype is tf.float32
    np.testing.assert_array_equal(constant_value(found), [[1, 2], [3, 1]])
    assert shape_of(tf.concat([[a, a], [a]], 0)) == [3]
    with pytest.raises(TypeError):
        tf.convert_to_tensor([a, tf.constant(1)])


def test_shapes_and_dimensions_become_tensors() -> None:
    x = tf.placeholder(tf.float32, [2, None])
    assert constant_value(tf.convert_to_tensor(x.shape[:1])).tolist() == [2]
    assert constant_value(tf.convert_to_tensor(x.shape[0])) == 2
    assert tf.convert_to_tensor(tf.TensorShape([2**40])).dtype is tf.int64
    with pytest.raises(ValueError, match="partially known TensorShape"):
        tf.convert_to_tensor(x.shape)
    with pytest.raises(ValueError, match="unknown Dimension"):
        tf.convert_to_tensor(x.shape[1])


def test_rows_become_a_dense_tensor_with_a_warning() -> None:
    rows = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([2, 0]), tf.placeholder(tf.int32, [2]))
    with pytest.warns(UserWarning, match="Converting sparse IndexedSlices to a dense Tensor of unknown shape"):
        tf.convert_to_tensor(rows)
    known = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([2, 0]), tf.constant([3, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dense = tf.convert_to_tensor(known)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(dense), [[2], [0], [1]])


def test_strings_are_moved_like_numbers() -> None:
    words = tf.constant([["a", "b"], ["c", "d"]])
    fetches = [
        tf.concat([words, words], 1), tf.transpose(words), words[::-1, 0], tf.gather(words, [1]), tf.zeros_like(words),
        tf.where([True, False], words, tf.fill([2, 2], "x")), tf.unique(tf.reshape(words[:, :1], [-1]))[0],
    ]  # fmt: skip
    with tf.Session() as session:
        found = [part.tolist() for part in session.run(fetches)]
    assert found == [
        [[b"a", b"b", b"a", b"b"], [b"c", b"d", b"c", b"d"]], [[b"a", b"c"], [b"b", b"d"]], [b"c", b"a"],
        [[b"c", b"d"]], [[b"", b""], [b"", b""]], [[b"a", b"b"], [b"x", b"x"]], [b"a", b"c"],
    ]  # fmt: skip


# --- Checks at run time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build, feed, message",
    [
        (lambda i: tf.gather(tf.zeros([3, 2]), i), [0, 5], r"indices\[1\] = 5 is not in \[0, 3\)"),
        (lambda i: tf.gather(tf.zeros([3, 2]), [i]), [0, -1], r"indices\[0,1\] = -1 is not in \[0, 3\)"),
        (lambda i: tf.gather_nd(tf.zeros([3, 2]), [i]), [2, 2], r"indices\[0\] = \[2, 2\] does not index into"),
        (lambda i: tf.scatter_nd([i], [1.0], [3, 3]), [0, 4], r"indices\[0\] = \[0, 4\] does not index into"),
        (lambda i: tf.invert_permutation(i), [1, 1], r"1 is duplicated in the input."),
        (lambda i: tf.dynamic_partition([1.0, 2.0], i, 2), [0, 2], r"partitions\[1\] = 2 is not in \[0, 2\)"),
        (lambda i: tf.reshape(tf.zeros([3]), i), [2, 2], r"a tensor with 3 values, but the requested shape has 4"),
        (lambda i: tf.reshape(tf.zeros([3]), i), [2, -1], r"requires a multiple of 2"),
        (lambda i: tf.check_numerics(1.0 / tf.cast(i, tf.float32), "bad"), [0, 1], r"bad : Tensor had Inf values"),
    ],
)
def test_errors_name_the_value(build: Any, feed: list[int], message: str) -> None:
    i = tf.placeholder(tf.int32, [None])
    result = build(i)
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match=message) as caught:
        session.run(result, {i: feed})
    assert caught.value.op is not None and "test_array_ops.py" in str(caught.value)


def test_prevent_gradient() -> None:
    from millstream.ops.identity_ops import prevent_gradient

    x = tf.constant(1.0)
    with pytest.raises(LookupError, match="Gradient explicitly disabled. Reason: not yet"):
        tf.gradients(prevent_gradient(x, "not yet"), x)
