"""What XLA itself gets wrong, and how it is asked not to."""
from __future__ import annotations

import numpy as np
import pytest

import millstream as tf


@pytest.mark.parametrize("traced", [False, True])
def test_the_sum_of_a_product_with_ones(traced):
    """XLA of JAX 0.10.2 gives garbage where it computes both at once."""

    def total(x):
        return tf.reduce_sum(tf.matmul(x, tf.ones([200, 200])))

    x = tf.constant(np.ones((200, 200), np.float32))
    assert (tf.function(total) if traced else total)(x).numpy() == 8e6
