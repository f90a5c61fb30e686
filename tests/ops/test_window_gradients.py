"""Gradients of morphology, fractional pooling, isotonic regression and sparse embeddings against differences."""
from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.ops.isotonic_ops import isotonic_regression

from ..numeric import assert_gradients

RANDOM = np.random.RandomState(1)
IMAGES = RANDOM.uniform(-1, 1, (1, 5, 6, 2))
KERNEL = RANDOM.uniform(-1, 1, (2, 3, 2))
SEEDS = {"deterministic": True, "seed": 3, "seed2": 4}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("function", ["dilation2d", "erosion2d"])
def test_morphology(function, padding):
    function = getattr(tf.nn, function)
    assert_gradients(lambda x, k: function(x, k, [1, 2, 1, 1], [1, 1, 2, 1], padding), IMAGES, KERNEL)


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("function", ["fractional_max_pool", "fractional_avg_pool"])
def test_fractional_pooling(function, overlapping):
    function = getattr(tf.nn, function)
    assert_gradients(lambda x: function(x, [1, 1.4, 1.7, 1], overlapping=overlapping, **SEEDS)[0], IMAGES)


def test_fractional_pooling_without_seeds_draws_new_windows():
    with tf.Graph().as_default(), tf.Session() as session:
        rows = tf.nn.fractional_max_pool(tf.zeros([1, 40, 40, 1]), [1, 1.3, 1.3, 1])[1]
        found = [session.run(rows) for _ in range(3)]
    assert any((found[0] != other).any() for other in found[1:])
    for sequence in found:
        assert sequence[0] == 0 and sequence[-1] == 40 and set(np.diff(sequence)) == {1, 2}


@pytest.mark.parametrize("decreasing", [True, False])
def test_isotonic_regression(decreasing):
    rows = RANDOM.uniform(-1, 1, (3, 7))
    assert_gradients(lambda x: isotonic_regression(x, decreasing)[0] ** 2, rows)


def test_isotonic_regression_is_monotone_and_keeps_the_sum():
    rows = RANDOM.uniform(-1, 1, (4, 30))
    with tf.Graph().as_default(), tf.Session() as session:
        found, segments = session.run(isotonic_regression(rows))
    assert (np.diff(found) <= 0).all()
    np.testing.assert_allclose(found.sum(1), rows.sum(1))
    assert (np.diff(segments) == (np.diff(found) != 0)).all()


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.filterwarnings("ignore:Converting sparse IndexedSlices")
def test_sparse_embeddings(combiner):
    places = [[0, 0], [0, 1], [1, 1], [2, 0]]

    def lookup(table, weights):
        ids = tf.SparseTensor(places, tf.constant([1, 3, 0, 1], tf.int64), [3, 2])
        weights = tf.SparseTensor(places, weights, [3, 2])
        return tf.nn.embedding_lookup_sparse(table * 1.0, ids, weights, combiner=combiner)

    assert_gradients(lookup, RANDOM.uniform(-1, 1, (4, 3)), RANDOM.uniform(1, 2, 4))
