"""The loss of connectionist temporal classification against an enumeration of all alignments."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

import millstream.v1 as tf

from ..numeric import assert_gradients

LOGITS = np.random.RandomState(0).uniform(-2, 2, (4, 2, 3))


def enumerated_loss(logits, labels, merge):
    """Minus the logarithm of the summed probabilities of all alignments; the last class is the blank."""
    time, classes = logits.shape
    log_probability = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    total = 0.0
    for path in itertools.product(range(classes), repeat=time):
        groups = [key for key, _ in itertools.groupby(path)] if merge else list(path)
        if [label for label in groups if label != classes - 1] == list(labels):
            total += np.exp(sum(log_probability[step, label] for step, label in enumerate(path)))
    return -np.log(total)


def loss(x, labels, **options):
    indices = [[row, column] for row, sequence in enumerate(labels) for column in range(len(sequence))]
    sparse = tf.SparseTensor(indices, tf.constant(np.concatenate(labels), tf.int32), [len(labels), 4])
    return tf.nn.ctc_loss(sparse, x, [int(x.shape[0])] * len(labels), **options)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("labels", [[[0], [1]], [[0, 1], [1, 1]], [[0, 0], [1]], [[1, 0, 1], [0]], [[2, 2], [0, 2]]])
def test_loss_is_that_of_all_alignments(labels, merge):
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(loss(tf.constant(LOGITS), labels, ctc_merge_repeated=merge))
    real = [[label for label in sequence if label != 2] for sequence in labels]
    wanted = [enumerated_loss(LOGITS[:, row], sequence, merge) for row, sequence in enumerate(real)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"ctc_merge_repeated": False}, {"preprocess_collapse_repeated": True}])
def test_gradients(options):
    assert_gradients(lambda x: loss(x, [[0, 0], [1]], **options), LOGITS)


def test_dense_labels_are_the_sparse_ones():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(LOGITS)
        dense = tf.nn.ctc_loss_v2([[1, 2], [2, 0]], x, [2, 1], [4, 3])
        shifted = tf.gather(x, [1, 2, 0], axis=2)
        sparse = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([0, 1, 1], tf.int32), [2, 2])
        wanted = tf.nn.ctc_loss(sparse, shifted, [4, 3])
        np.testing.assert_allclose(*session.run([dense, wanted]), rtol=1e-12)


def test_dense_labels_that_cannot_be_aligned_get_a_finite_loss_and_no_gradient():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(LOGITS)
        total = tf.nn.ctc_loss_v2([[1, 1, 2], [2, 0, 0]], x, [3, 1], [3, 4])
        gradient = tf.gradients(total, x)[0]
        values, slopes = session.run([total, gradient])
    assert values[0] == 707 and not slopes[:, 0].any()
    assert values[1] < 10 and slopes[:, 1].all()


def test_second_derivatives_are_refused():
    with tf.Graph().as_default():
        x = tf.constant(LOGITS)
        first = tf.gradients(loss(x, [[0], [1]]), x)[0]
        with pytest.raises(LookupError, match="second derivative of ctc_loss"):
            tf.gradients(first, x)


def test_beam_search_finds_the_most_probable_labels():
    with tf.Graph().as_default(), tf.Session() as session:
        (best, *_), log_probability = tf.nn.ctc_beam_search_decoder(LOGITS, [4, 4], 1000, 3, merge_repeated=False)
        found, scores = session.run([best, log_probability])
    for row in range(2):
        sequences = [seq for length in range(4) for seq in itertools.product(range(2), repeat=length)]
        with np.errstate(divide="ignore"):
            losses = {seq: enumerated_loss(LOGITS[:, row], seq, True) for seq in sequences}
        wanted = sorted(losses, key=losses.get)[:3]
        assert tuple(found.values[found.indices[:, 0] == row]) == wanted[0]
        np.testing.assert_allclose(scores[row], [-losses[seq] for seq in wanted], rtol=1e-6)
