"""Slices of eager tensors: those that are taken directly are those of the operation."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)
INDICES = [
    0, -1, (1, 2), slice(1), slice(1, None), slice(-2, 9), (slice(None), 3), (slice(5, 2), 1), (), ..., (0, ..., 1),
    (None, 1), slice(None, None, -1),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_all_ways_agree(index):
    tensor = tf.constant(ARRAY)
    wanted = ARRAY[index]
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        recorded = tensor[index]
    for found in (tensor[index], recorded, tf.function(lambda: tensor[index])()):
        assert isinstance(found, tf.Tensor) and found.dtype is tf.float32
        assert found.shape == wanted.shape and np.array_equal(found.numpy(), wanted)
    expected = np.zeros_like(ARRAY)
    expected[index] = 1
    assert np.array_equal(tape.gradient(recorded, tensor).numpy(), expected)


def test_strings():
    found = tf.constant(["a", "b"])[1]
    assert found.dtype is tf.string and found.shape == () and found.numpy() == b"b"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, "slice index 3 of dimension 0 out of bounds"),
        (-4, "slice index -1 of dimension 0 out of bounds"),
        ((0, 0, 0), "Index out of range using input dim 2; input has only 2 dims"),
        ((..., ...), "Multiple ellipses in slice spec not allowed"),
    ],
    ids=str,
)
def test_errors_are_those_of_the_operation(index, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.constant(ARRAY)[index]


def test_what_is_no_index():
    with pytest.raises(TypeError, match="Only integers, slices"):
        tf.constant(ARRAY)[1.5]


def test_a_scalar_mask():
    with pytest.raises(ValueError, match="mask cannot be scalar"):
        tf.constant(ARRAY)[True]
