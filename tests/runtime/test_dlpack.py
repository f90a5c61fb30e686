"""Tensors that share memory with other libraries."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf


def test_numpy_reads_a_tensors_memory():
    tensor = tf.constant(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert np.from_dlpack(tensor).tolist() == [[0, 1, 2], [3, 4, 5]]
    large = tf.ones([200, 200]) + 1.0
    shared = np.from_dlpack(large)
    assert shared.ctypes.data == np.from_dlpack(large).ctypes.data
    assert shared.sum() == 80000


def test_arrays_become_tensors_without_a_copy():
    array = np.arange(100_000, dtype=np.float32)
    tensor = tf.experimental.dlpack.from_dlpack(array)
    assert tensor.dtype is tf.float32 and tensor.shape == (100_000,)
    assert np.from_dlpack(tensor).tolist() == array.tolist()


def test_capsules():
    again = tf.experimental.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(tf.constant([1, 2, 3])))
    assert again.numpy().tolist() == [1, 2, 3] and again.dtype is tf.int32


def test_jax():
    import jax.numpy as jnp

    array = jnp.arange(3.0)
    assert tf.constant(array).numpy().tolist() == [0, 1, 2]
    assert jnp.asarray(tf.constant([1.0, 2.0])).tolist() == [1, 2]
    assert tf.experimental.dlpack.from_dlpack(array).numpy().tolist() == [0, 1, 2]


def test_tensors_of_graphs_have_no_memory():
    with pytest.raises(TypeError, match="must be a TF tensor"):
        tf.function(lambda x: tf.experimental.dlpack.to_dlpack(x))(tf.constant(1))
