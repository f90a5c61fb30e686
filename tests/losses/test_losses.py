"""Losses as far as the golden tests do not go: shapes of weights that are known only when the graph runs."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
    with tf.Session() as session:
        return session.run(fetches, feed)


@pytest.mark.parametrize("static", [None, [None, None], [None, 2]])
def test_weights_whose_shape_is_fed(static: list[int | None] | None) -> None:
    labels, predictions, weights = (tf.placeholder(tf.float32, shape) for shape in ([None, 2], [3, 2], static))
    loss = tf.losses.mean_squared_error(labels, predictions, weights=weights)
    feed = {labels: np.zeros([3, 2]), predictions: [[1, 2], [3, 4], [5, 6]]}
    fitting = [np.ones([3, 2]), np.array([[1, 0], [0, 0], [2, 1]])]
    if static != [None, 2]:
        fitting.append(np.array([[1], [0], [2]]))
    if static is None:
        fitting.append(np.array(0.5))
    squares = np.array([[1, 4], [9, 16], [25, 36]])
    for value in fitting:
        whole = np.broadcast_to(value, [3, 2])
        wanted = (whole * squares).sum() / (whole != 0).sum()
        np.testing.assert_allclose(run(loss, {**feed, weights: value}), wanted, rtol=1e-6)
    for value in [np.ones([2, 2])] + ([np.ones([3]), np.ones([2])] if static is None else []):
        with pytest.raises(tf.errors.InvalidArgumentError, match="weights can not be broadcast to values"):
            run(loss, {**feed, weights: value})


def test_all_weights_zero() -> None:
    for reduction in tf.losses.Reduction.all():
        loss = tf.losses.absolute_difference([1.0, 2.0], [3.0, 5.0], weights=0.0, reduction=reduction)
        assert not np.any(run(loss))


def test_labels_of_unknown_rank() -> None:
    labels, logits = tf.placeholder(tf.int32), tf.placeholder(tf.float32, [None, 3])
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    for value in ([1, 0], [[1], [0]]):
        np.testing.assert_allclose(run(loss, {labels: value, logits: np.zeros([2, 3])}), np.log(3), rtol=1e-6)


def test_no_collection() -> None:
    tf.losses.hinge_loss([1.0], [0.5], loss_collection=None)
    assert tf.losses.get_losses() == []
    assert run(tf.losses.get_regularization_loss()) == 0
    with pytest.raises(ValueError, match="at least one Tensor"):
        tf.losses.get_total_loss()


def test_integer_losses_keep_their_dtype() -> None:
    loss = tf.losses.compute_weighted_loss(tf.constant([4, 8]), weights=[1, 1])
    assert loss.dtype == tf.int32
    assert run(loss) == 6
