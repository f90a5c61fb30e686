"""The helpers of the global step."""

from __future__ import annotations

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_it_is_made_once():
    assert tf.train.get_global_step() is None
    with tf.name_scope("n"):
        step = tf.train.create_global_step()
    assert repr(step) == "<tf.Variable 'global_step:0' shape=() dtype=int64_ref>"
    assert not step.trainable and tf.get_collection(tf.GraphKeys.GLOBAL_STEP) == [step]
    assert tf.train.get_global_step() is step is tf.train.get_or_create_global_step()
    with pytest.raises(ValueError, match='"global_step" already exists.'):
        tf.train.create_global_step()


def test_it_is_found_by_name():
    tf.Variable(1, name="global_step")
    assert tf.train.get_global_step().name == "global_step:0"


def test_several_are_none(caplog):
    for name in "ab":
        tf.add_to_collection(tf.GraphKeys.GLOBAL_STEP, tf.Variable(1, name=name))
    assert tf.train.get_global_step() is None
    assert "Multiple tensors in global_step collection." in caplog.text


def test_another_graph():
    other = tf.Graph()
    assert tf.train.get_or_create_global_step(other).graph is other
    assert tf.train.get_global_step() is None


def test_checks():
    tf.train.assert_global_step(tf.placeholder(tf.int32))
    with pytest.raises(TypeError, match="must be a Variable or Tensor: 3."):
        tf.train.assert_global_step(3)
    with pytest.raises(TypeError, match="does not have integer type: <dtype: 'float32'>"):
        tf.train.assert_global_step(tf.constant(1.0))
    with pytest.raises(TypeError, match=r"is not scalar: \(1,\)"):
        tf.train.assert_global_step(tf.constant([1]))


def test_value():
    step = tf.train.get_or_create_global_step()
    with tf.Session() as session:
        session.run(step.initializer)
        session.run(tf.assign_add(step, 5))
        assert tf.train.global_step(session, step) == tf.train.global_step(session, "global_step:0") == 5
