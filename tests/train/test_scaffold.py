"""`tf.train.Scaffold`. The operations are those that TensorFlow 1.15.5 makes."""
from __future__ import annotations

from typing import Any

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    with tf.Graph().as_default():
        yield


def test_defaults_are_made_and_collected():
    tf.Variable(1.0, name="v")
    tf.Variable(2.0, name="local", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    tf.train.get_or_create_global_step()
    summary = tf.summary.scalar("s", 1.0)
    before = len(tf.get_default_graph().get_operations())
    scaffold = tf.train.Scaffold()
    assert scaffold.finalize() is scaffold and tf.get_default_graph().finalized
    names = {op.name.partition("/")[0] for op in tf.get_default_graph().get_operations()[before:]}
    report = {f"report_uninitialized_{what}{end}" for what in ("variables", "resources") for end in ("", "_1")}
    assert names == report | {
        "init", "init_1", "init_2", "init_3", "init_all_tables", "group_deps", "group_deps_1", "concat", "concat_1",
        "Merge", "save",
    }  # fmt: skip
    assert scaffold.init_op.name == "group_deps" and scaffold.local_init_op.name == "group_deps_1"
    assert scaffold.ready_op.name == "concat:0" and scaffold.ready_for_local_init_op.name == "concat_1:0"
    assert scaffold.summary_op.name == "Merge/MergeSummary:0" and scaffold.summary_op.op.inputs[0] is summary
    assert scaffold.init_feed_dict is None and scaffold.init_fn is None
    for key, value in {
        "init_op": scaffold.init_op,
        "local_init_op": scaffold.local_init_op,
        "ready_op": scaffold.ready_op,
        "ready_for_local_init_op": scaffold.ready_for_local_init_op,
        "summary_op": scaffold.summary_op,
        "savers": scaffold.saver,
    }.items():
        assert tf.get_collection(key) == [value], key


def test_ready_operations():
    v = tf.Variable(1.0, name="v")
    local = tf.Variable(2.0, name="local", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    scaffold = tf.train.Scaffold().finalize()
    with tf.Session() as session:
        assert session.run(scaffold.ready_op).tolist() == [b"v", b"local"]
        session.run(scaffold.init_op)
        assert session.run(scaffold.ready_for_local_init_op).size == 0
        assert session.run(scaffold.ready_op).tolist() == [b"local"]
        session.run(scaffold.local_init_op)
        assert session.run(scaffold.ready_op).size == 0 and session.run([v, local]) == [1.0, 2.0]


def test_what_is_in_a_collection_is_taken():
    tf.Variable(1.0)
    mine, saver = tf.no_op("mine"), tf.train.Saver()
    tf.add_to_collection(tf.GraphKeys.INIT_OP, mine)
    tf.add_to_collection(tf.GraphKeys.SAVERS, saver)
    scaffold = tf.train.Scaffold().finalize()
    assert scaffold.init_op is mine and scaffold.saver is saver


def test_two_in_a_collection_are_an_error():
    tf.Variable(1.0)
    for _ in range(2):
        tf.add_to_collection(tf.GraphKeys.INIT_OP, tf.no_op())
    with pytest.raises(RuntimeError) as caught:
        tf.train.Scaffold().finalize()
    assert str(caught.value) == (
        'More than one item in the collection "init_op". Please indicate which one to use by passing it to the '
        "tf.Scaffold constructor as:  tf.Scaffold(init_op=item to use)"
    )
    for _ in range(2):
        tf.add_to_collection(tf.GraphKeys.SAVERS, "saver")
    with pytest.raises(RuntimeError, match="More than one item in collection savers."):
        tf.train.Scaffold(init_op=tf.no_op()).finalize()


def test_get_or_default():
    made = tf.constant(1.0)
    assert tf.train.Scaffold.get_or_default("x", "key", lambda: made) is made
    assert tf.get_collection("key") == [made]
    assert tf.train.Scaffold.get_or_default("x", "key", lambda: None) is made
    assert tf.train.Scaffold.get_or_default("x", "other", lambda: None) is None and tf.get_collection("other") == []


def test_a_model_without_variables():
    tf.constant(1.0)
    scaffold = tf.train.Scaffold().finalize()
    assert scaffold.summary_op is None
    with tf.Session() as session:
        assert session.run(scaffold.ready_op).size == 0


def test_init_fn_is_given_the_scaffold():
    v = tf.Variable(1.0)
    seen = []
    scaffold = tf.train.Scaffold(init_fn=lambda *args: seen.append(args), init_op=v.assign(5.0).op)
    with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(scaffold)) as session:
        assert session.run(v) == 5.0
        assert seen == [(scaffold, session._tf_sess())]


def test_init_feed_dict():
    p = tf.placeholder(tf.float32, [])
    v = tf.Variable(0.0)
    scaffold = tf.train.Scaffold(init_op=v.assign(p).op, init_feed_dict={p: 7.0})
    with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(scaffold)) as session:
        assert session.run(v) == 7.0


def test_copying():
    tf.Variable(1.0)
    first = tf.train.Scaffold(init_op="init", init_fn=lambda scaffold, session: scaffold, saver="saver")
    second = tf.train.Scaffold(init_op="mine", copy_from_scaffold=first)
    assert (second.init_op, second.saver) == ("mine", "saver") and second.init_fn(None) is second
    with pytest.raises(TypeError, match="copy_from_scaffold is not a Scaffold instance."):
        tf.train.Scaffold(copy_from_scaffold=1)
