"""`tf.contrib.summary`, and the older summaries of `tf.contrib.deprecated`, `slim` and `training`."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import context

summary = tf.contrib.summary


@pytest.fixture(autouse=True)
def _fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def nodes() -> list[str]:
    """The operations of the graph, one a line: type, name, inputs."""
    operations = tf.get_default_graph().as_graph_def().node
    return [" ".join([node.op, node.name, *node.input]) for node in operations]


def tags(folder: Path) -> list[tuple[str, int]]:
    return [
        (value.tag, event.step)
        for path in sorted(folder.iterdir())
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
    ]


def test_the_nodes_of_tensorflow(tmp_path: Path) -> None:
    tf.train.create_global_step()
    before = len(nodes())
    writer = summary.create_file_writer(str(tmp_path), flush_millis=1000)
    assert summary.scalar("no writer", 1.0).type == "NoOp"
    with writer.as_default(), summary.always_record_summaries(), tf.name_scope("ns"):
        summary.scalar("b", 2.0, family="fam")
        summary.image("i", np.zeros([1, 2, 2, 3], np.float32))
        summary.generic("g", 3, step=5)
    assert nodes()[before:] == """Const Const
Const Const_1
SummaryWriter SummaryWriter
Const CreateSummaryFileWriter/logdir
Const CreateSummaryFileWriter/flush_millis
CreateSummaryFileWriter CreateSummaryFileWriter SummaryWriter CreateSummaryFileWriter/logdir Const \
CreateSummaryFileWriter/flush_millis Const_1
NoOp NoOp
Const ns/LogicalAnd/x
Const ns/LogicalAnd/y
LogicalAnd ns/LogicalAnd ns/LogicalAnd/x ns/LogicalAnd/y
Const ns/fam/b/Identity/input
Identity ns/fam/b/Identity ns/fam/b/Identity/input
Const ns/fam/b/tag
WriteScalarSummary ns/fam/b SummaryWriter global_step/read ns/fam/b/tag ns/fam/b/Identity
Const ns/fam/b/Const ^ns/fam/b
Const ns/LogicalAnd_1/x
Const ns/LogicalAnd_1/y
LogicalAnd ns/LogicalAnd_1 ns/LogicalAnd_1/x ns/LogicalAnd_1/y
Const ns/i/Const
Const ns/i/Identity/input
Identity ns/i/Identity ns/i/Identity/input
Const ns/i/tag
WriteImageSummary ns/i SummaryWriter global_step/read ns/i/tag ns/i/Identity ns/i/Const
Const ns/i/Const_1 ^ns/i
Const ns/LogicalAnd_2/x
Const ns/LogicalAnd_2/y
LogicalAnd ns/LogicalAnd_2 ns/LogicalAnd_2/x ns/LogicalAnd_2/y
Const ns/g/Const
Const ns/g/Const_1
Const ns/g/Identity/input
Identity ns/g/Identity ns/g/Identity/input
Const ns/g/tag
WriteSummary ns/g SummaryWriter ns/g/Const_1 ns/g/Identity ns/g/tag ns/g/Const
Const ns/g/Const_2 ^ns/g
FlushSummaryWriter FlushSummaryWriter SummaryWriter""".splitlines()


def test_a_run(tmp_path: Path) -> None:
    step = tf.train.create_global_step()
    writer = summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        summary.scalar("by default nothing", 1.0)
        with summary.never_record_summaries():
            assert summary.should_record_summaries().op.type == "LogicalAnd"
            summary.scalar("never", 1.0)
        with summary.record_summaries_every_n_global_steps(2), tf.name_scope("ns"):
            summary.scalar("every two", tf.cast(step, tf.float32))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            with pytest.raises(tf.errors.NotFoundError, match="SummaryWriterInterface does not exist"):
                session.run(summary.all_summary_ops())
            assert os.listdir(tmp_path) == []
            summary.initialize(graph=session.graph)
            found = []
            for _ in range(4):
                found.append([bool(value) for value in session.run(summary.all_summary_ops())])
                session.run(tf.assign_add(step, 1))
            assert found == [[False, False, True], [False, False, False]] * 2
            session.run(summary.flush())
            assert tags(tmp_path) == [("ns/every_two", 0), ("ns/every_two", 2)]
            session.run(writer.close())
            with pytest.raises(tf.errors.NotFoundError):
                session.run(writer.flush())
            session.run(writer.init())  # another file
            session.run(writer.flush())
    assert len(os.listdir(tmp_path)) == 2
    assert tf.summary.all_v2_summary_ops() == summary.all_summary_ops()


def test_a_session_that_ends_writes_what_waits(tmp_path: Path) -> None:
    writer = summary.create_file_writer(str(tmp_path))
    with writer.as_default(), summary.always_record_summaries(), tf.Session() as session:
        made = summary.scalar("x", 1.0, step=3)
        summary.initialize()
        session.run(made)
    session.close()
    assert tags(tmp_path) == [("x", 3)]


def test_graphs_and_events(tmp_path: Path) -> None:
    with summary.create_file_writer(str(tmp_path)).as_default(), tf.Session() as session:
        text = tf.placeholder(tf.string, [])
        drawn, event = summary.graph(text, step=4), summary.import_event(text)
        summary.initialize()
        session.run(drawn, {text: tf.get_default_graph().as_graph_def().SerializeToString()})
        session.run(event, {text: tf.Event(step=7, wall_time=2.0).SerializeToString()})
        for operation, kind in ((drawn, "GraphDef"), (event, "Event")):
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"Bad tf.*{kind} binary proto"):
                session.run(operation, {text: b"\xff"})
        with pytest.raises(TypeError, match=r"graph\(\) needs a tf.Tensor"):
            summary.graph(tf.get_default_graph())
        session.run(summary.flush())
    (path,) = tmp_path.iterdir()
    _, first, second = tf.train.summary_iterator(str(path))
    assert first.step == 4 and first.graph_def
    assert (second.step, second.wall_time) == (7, 2.0)


def test_2x_summaries_in_a_graph(tmp_path: Path) -> None:
    import millstream

    v2 = millstream.summary
    condition = tf.placeholder(tf.bool, [])
    with v2.create_file_writer(str(tmp_path)).as_default(step=2), tf.Session() as session:
        with v2.record_if(condition):
            v2.scalar("x", tf.constant(1.5))
            v2.histogram("h", tf.constant([1.0, 2.0]), buckets=2)
        summary.initialize()
        assert [bool(v) for v in session.run(tf.summary.all_v2_summary_ops(), {condition: True})] == [True, True]
        assert [bool(v) for v in session.run(tf.summary.all_v2_summary_ops(), {condition: False})] == [False, False]
        session.run(v2.flush())
    assert sorted(tags(tmp_path)) == [("h", 2), ("x", 2)]


def test_without_a_writer() -> None:
    assert isinstance(summary.create_file_writer(None), summary.SummaryWriter)
    with summary.create_file_writer(None).as_default(), summary.always_record_summaries():
        assert summary.scalar("x", 1.0, step=1).type == "NoOp"
        assert summary.flush().type == "NoOp"
    with pytest.raises(RuntimeError, match="No default tf.contrib.summary.SummaryWriter found"):
        summary.initialize()


def test_in_eager_execution(tmp_path: Path) -> None:
    with context.mode(True):
        writer = summary.create_file_writer(str(tmp_path))
        with writer.as_default(), summary.always_record_summaries():
            assert summary.scalar("x", 2.5, step=3)
            assert summary.histogram("h", [1.0, 2.0], step=4, family="f")
            assert summary.all_summary_ops() is None
            summary.initialize()
            step = tf.train.get_or_create_global_step()
            with summary.record_summaries_every_n_global_steps(2, step):
                assert summary.scalar("two", 1.0, step=step)
                step.assign_add(1)
                assert not summary.scalar("two", 1.0, step=step)
        writer.close()
    assert tags(tmp_path) == [("x", 3), ("f/f/h", 4), ("two", 0)]


def test_folders_of_evaluations() -> None:
    assert summary.eval_dir("/a/b") == "/a/b/eval"
    assert summary.eval_dir("/a/b", "test") == "/a/b/eval_test"


# --- Older forms ------------------------------------------------------------------------------------------------------


def test_deprecated_summaries() -> None:
    deprecated = tf.contrib.deprecated
    with tf.name_scope("sc"):
        scalar = deprecated.scalar_summary("a b/c", 1.0)
        both = deprecated.scalar_summary(["x", "y"], [1.0, 2.0], name="both", collections=["own"])
        histogram = deprecated.histogram_summary("h", [1.0, 2.0])
        image = deprecated.image_summary("im", np.zeros([1, 2, 2, 1], np.float32))
        audio = deprecated.audio_summary("au", np.zeros([1, 4], np.float32), 8000.0)
    merged = deprecated.merge_all_summaries()
    names = [tensor.op.name for tensor in (scalar, both, histogram, image, audio, merged)]
    assert names == ["sc/ScalarSummary", "sc/both", "sc/HistogramSummary", "sc/ImageSummary", "sc/AudioSummary",
                     "MergeSummary/MergeSummary"]  # fmt: skip
    assert deprecated.merge_all_summaries("none") is None
    with tf.Session() as session:
        found = [tf.Summary.FromString(item).value for item in session.run([merged, both])]
    assert [value.tag for value in found[0]] == ["a b/c", "h", "im/image/0", "au/audio/0"]
    assert [(value.tag, value.simple_value) for value in found[1]] == [("x", 1.0), ("y", 2.0)]


def test_summaries_of_slim_and_training() -> None:
    slim = tf.contrib.slim.summaries
    numbers, scalar = tf.constant([0.0, 1.0], name="t"), tf.constant(1.0, name="t0")
    slim.add_histogram_summaries([numbers])
    slim.add_histogram_summary(numbers, name="nn", prefix="pp")
    slim.add_image_summaries([tf.zeros([1, 2, 2, 1], name="im")])
    slim.add_scalar_summary(scalar, print_summary=True, prefix="pp")
    slim.add_scalar_summaries([scalar], prefix="z")
    slim.add_zero_fraction_summaries([numbers])
    variable = tf.get_variable("v", [2])
    gradients = [(numbers, variable), (None, variable), (tf.IndexedSlices(numbers, [0, 1]), variable)]
    assert len(tf.contrib.training.add_gradients_summaries(gradients)) == 4
    assert [tensor.op.name for tensor in tf.get_collection("summaries")] == [
        "t_1", "pp/nn", "im_1", "Print", "z/t0", "t/Fraction_of_Zero_Values", "v_gradient", "v_gradient_norm",
        "v_gradient_1", "v_gradient_norm_1",
    ]  # fmt: skip
    with tf.Session() as session:
        found = tf.Summary.FromString(session.run(tf.summary.merge_all(scope="t/|v_gradient_norm:"))).value
    assert [(value.tag, value.simple_value) for value in found] == [
        ("t/Fraction_of_Zero_Values", 0.5), ("v_gradient_norm", 1.0)
    ]  # fmt: skip
    assert tf.contrib.slim.summarize_tensor is tf.contrib.layers.summarize_tensor
