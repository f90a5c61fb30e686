"""`EagerTensor`: what it is as a value, as an array, as a Python object."""
from __future__ import annotations

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import millstream as tf


def test_a_tensor_holds_its_value():
    t = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert t.numpy().tolist() == [[1, 2], [3, 4]]
    assert (t.shape, t.dtype, t.ndim, len(t)) == ((2, 2), tf.float32, 2, 2)
    assert t.device == t.backing_device == "/job:localhost/replica:0/task:0/device:CPU:0"
    assert isinstance(t, tf.Tensor) and tf.is_tensor(t) and tf.executing_eagerly()
    assert t.nbytes == 16 and t.itemsize == 4


def test_arrays_given_and_taken_are_the_callers_own():
    array = np.zeros(3, np.float32)
    t = tf.constant(array)
    array[0] = 7
    assert t.numpy().tolist() == [0, 0, 0]
    taken = t.numpy()
    taken[1] = 8
    np.asarray(t)[2:] = 9
    assert t.numpy().tolist() == [0, 0, 0]
    view = tf.reshape(t, [3, 1])
    view.numpy()[0] = 5
    assert t.numpy().tolist() == [0, 0, 0]


def test_scalars_are_numpy_scalars():
    assert isinstance(tf.constant(1.5).numpy(), np.float32)
    assert tf.constant("text").numpy() == b"text"
    assert tf.constant(True).numpy() is np.True_


def test_python_numbers():
    t = tf.constant(2.75)
    assert (float(t), int(t), bool(t), complex(t)) == (2.75, 2, True, 2.75 + 0j)
    assert f"{t:.1f}" == "2.8" and round(t) == 3
    assert list(range(3))[tf.constant(1)] == 1 and "abc"[tf.constant(2)] == "c"
    with pytest.raises(ValueError, match="truth value of an array with more than one element is ambiguous"):
        bool(tf.constant([1, 2]))
    with pytest.raises(TypeError):
        int(tf.constant([1, 2]))


def test_as_a_sequence():
    assert [int(row[0]) for row in tf.constant([[1], [2]])] == [1, 2]
    a, b = tf.constant([3, 4])
    assert (a.numpy(), b.numpy()) == (3, 4)
    with pytest.raises(TypeError, match="Cannot iterate over a scalar tensor"):
        list(tf.constant(1))
    with pytest.raises(TypeError, match="Scalar tensor has no `len"):
        len(tf.constant(1))


@pytest.mark.parametrize("name", ["op", "graph", "name", "value_index"])
def test_what_only_tensors_of_graphs_have(name):
    t = tf.constant(1)
    with pytest.raises(AttributeError, match=f"Tensor.{name} is undefined when eager execution is enabled"):
        getattr(t, name)
    assert not hasattr(t, name)
    with pytest.raises(NotImplementedError, match="is .numpy.. what you're looking for"):
        t.eval()


def test_attributes_of_arrays_give_a_hint():
    with pytest.raises(AttributeError, match="tensor.numpy..*astype"):
        tf.constant(1).astype("float32")


def test_equality_and_hash():
    t = tf.constant([1, 2])
    assert (t == tf.constant([1, 3])).numpy().tolist() == [True, False]
    assert (t != 2).numpy().tolist() == [True, False]
    assert (t == None) is False and (t != None) is True  # noqa: E711
    with pytest.raises(TypeError, match="Tensor is unhashable. Instead, use tensor.ref.. as the key"):
        hash(t)
    assert t.ref() == t.ref() and t.ref().deref() is t
    assert len({t.ref(), t.ref(), tf.constant([1, 2]).ref()}) == 2


def test_set_shape_checks():
    tf.constant([1, 2]).set_shape([None])
    with pytest.raises(ValueError, match="Tensor's shape .2,. is not compatible with supplied shape .3,."):
        tf.constant([1, 2]).set_shape([3])


@pytest.mark.parametrize("value", [1.5, [1, 2], [[True]], "text", [1 + 2j]])
def test_copies_and_pickles(value):
    t = tf.constant(value)
    for again in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        assert again.dtype == t.dtype and again.shape == t.shape
        assert np.array_equal(again.numpy(), t.numpy())
    assert copy.copy(t) is t


def test_bfloat16():
    t = tf.constant([1.5, 2.5], tf.bfloat16)
    assert (t + t).dtype is tf.bfloat16 and repr(tf.constant(1.0, tf.bfloat16)).endswith("numpy=1.0>")
    assert pickle.loads(pickle.dumps(t)).dtype is tf.bfloat16


def test_numpy_functions_take_tensors():
    t = tf.constant([1.0, 2.0])
    assert isinstance(np.add(t, np.ones(2)), np.ndarray)
    assert np.square(t).tolist() == [1, 4]
    assert isinstance(np.ones(2, np.float32) * t, tf.Tensor)
    assert isinstance(t + np.ones(2), tf.Tensor) and (t + np.ones(2)).dtype is tf.float32


def test_large_tensors_run_compiled_and_agree():
    x = np.random.RandomState(0).rand(300, 200).astype(np.float32)
    large, small = tf.constant(x), tf.constant(x[:5, :5])
    for function in (tf.exp, tf.nn.softmax, lambda t: tf.reduce_sum(t, 1), lambda t: t @ tf.transpose(t)):
        np.testing.assert_allclose(function(large).numpy()[:1, ...].shape[0], 1)
        reference = function(tf.cast(large, tf.float64))
        np.testing.assert_allclose(function(large), reference, rtol=1e-4)
        function(small)


def test_views_of_large_tensors_keep_their_values():
    large = tf.ones([300, 300]) * 2.0
    row, turned = large[7], tf.transpose(large)
    del large
    gc.collect()
    assert row.numpy().sum() == 600 and turned.numpy().sum() == 180000


def test_many_static_values_do_not_compile_forever():
    large = tf.random.uniform([200, 200])
    for shift in range(80):
        assert tf.roll(large, shift, 0).shape == (200, 200)


def test_eager_mode_belongs_to_the_thread():
    seen = []

    def work():
        seen.append(tf.executing_eagerly())
        seen.append((tf.constant(1) + 1).numpy())

    with tf.Graph().as_default():
        assert not tf.executing_eagerly()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [True, 2]


def test_graphs_still_work():
    with tf.Graph().as_default() as graph:
        y = tf.constant(2) + 3
        with tf.compat.v1.Session() as session:
            assert session.run(y) == 5
    assert y.graph is graph and y.name == "add:0"


def test_control_dependencies_do_nothing():
    with tf.control_dependencies([tf.constant(1)]):
        assert (tf.constant(1) + 1).numpy() == 2


def test_errors_name_the_operation_and_the_users_line():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.constant([1.0, 2.0]) + tf.constant([1.0, 2.0, 3.0])
    text = str(caught.value)
    assert text.startswith("Incompatible shapes: [2] vs. [3] [Op:AddV2]")
    assert "float32[2], float32[3]" in text and "test_eager_tensor.py" in text
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot compute AddV2 as input #1.zero-based. was"):
        tf.constant(1) + tf.constant(1.0)
