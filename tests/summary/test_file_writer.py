"""`tf.summary.FileWriter`, its cache, and reading event files."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield
    tf.summary.FileWriterCache.clear()


def events_in(folder: Path) -> list[Any]:
    """The events of all files of a folder, without their versions."""
    return [
        event
        for path in sorted(folder.iterdir())
        for event in tf.train.summary_iterator(str(path))
        if not event.file_version
    ]


def kinds(folder: Path) -> list[tuple[str | None, int]]:
    return [(event.WhichOneof("what"), event.step) for event in events_in(folder)]


def summary(value: float, tag: str = "a") -> Any:
    return tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value)])


def test_the_graph_is_written_first(tmp_path: Path) -> None:
    with tf.name_scope("scope"):
        tf.get_variable("v", [2])
        tf.summary.scalar("s", tf.placeholder(tf.float32, [], name="x"))
    graph = tf.get_default_graph()
    with tf.summary.FileWriter(tmp_path, graph) as writer:
        writer.add_graph(graph, 3)
    assert kinds(tmp_path) == [("graph_def", 0), ("meta_graph_def", 0), ("graph_def", 3)]
    first, meta, _ = events_in(tmp_path)
    written = tf.GraphDef.FromString(first.graph_def)
    assert [node.name for node in written.node] == [op.name for op in graph.get_operations()]
    assert all("_output_shapes" in node.attr for node in written.node if node.op != "Assign" and node.op != "NoOp")
    meta_graph = tf.MetaGraphDef.FromString(meta.meta_graph_def)
    assert set(meta_graph.collection_def) == {"variables", "trainable_variables", "summaries"}
    assert len(meta_graph.graph_def.node) == len(written.node)


@pytest.mark.parametrize("name", ["graph", "graph_def"])
def test_a_graph_def(tmp_path: Path, name: str) -> None:
    tf.constant(1.0, name="c")
    message = tf.get_default_graph().as_graph_def()
    tf.summary.FileWriter(str(tmp_path), **{name: message}).close()
    assert kinds(tmp_path) == [("graph_def", 0), ("meta_graph_def", 0)]
    assert events_in(tmp_path)[0].graph_def == message.SerializeToString()


def test_everything_that_is_added(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(str(tmp_path), filename_suffix=".end")
    assert writer.get_logdir() == str(tmp_path)
    writer.add_summary(summary(1.0), 1)
    writer.add_summary(summary(2.0).SerializeToString(), tf.constant(2).shape.ndims)
    writer.add_event(tf.Event(wall_time=7.5, step=3, summary=summary(3.0)))
    writer.add_meta_graph(tf.MetaGraphDef(), 4)
    writer.add_run_metadata(tf.RunMetadata(), "run", 5)
    writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 6)
    writer.flush()
    assert kinds(tmp_path) == [
        ("summary", 1), ("summary", 0), ("summary", 3), ("meta_graph_def", 4), ("tagged_run_metadata", 5),
        ("session_log", 6),
    ]  # fmt: skip
    found = events_in(tmp_path)
    assert found[2].wall_time == 7.5 and found[4].tagged_run_metadata.tag == "run"
    (name,) = os.listdir(tmp_path)
    assert name.startswith("events.out.tfevents.") and name.endswith(".end")
    writer.close()


def test_metadata_are_written_once_a_tag(tmp_path: Path) -> None:
    message = tf.Summary()
    message.value.add(tag="a", simple_value=1).metadata.plugin_data.plugin_name = "mine"
    message.value.add(tag="b", simple_value=1)
    copy = message.SerializeToString()
    with tf.summary.FileWriter(str(tmp_path)) as writer:
        writer.add_summary(copy, 1)
        writer.add_summary(message, 2)
        message.value[0].tag = "c"
        writer.add_summary(message, 3)
    named = [[value.HasField("metadata") for value in event.summary.value] for event in events_in(tmp_path)]
    assert named == [[True, False], [False, False], [True, False]]
    assert message.value[0].HasField("metadata")  # the caller's message stays as it is


def test_what_a_session_gives(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [])
    tf.summary.scalar("x", x)
    merged = tf.summary.merge_all()
    with tf.Session() as session, tf.summary.FileWriter(str(tmp_path)) as writer:
        for step in range(3):
            writer.add_summary(session.run(merged, {x: step / 2}), step)
    found = [(event.step, event.summary.value[0].simple_value) for event in events_in(tmp_path)]
    assert found == [(0, 0.0), (1, 0.5), (2, 1.0)]


def test_closing_and_reopening(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(str(tmp_path))
    writer.add_summary(summary(1.0), 1)
    writer.close()
    writer.close()
    for call in (lambda: writer.add_summary(summary(2.0), 2), writer.flush):
        with pytest.warns(UserWarning, match="Attempting to use a closed FileWriter."):
            call()
    writer.reopen()
    writer.reopen()
    writer.add_summary(summary(3.0), 3)
    writer.close()
    assert kinds(tmp_path) == [("summary", 1), ("summary", 3)]
    assert len(os.listdir(tmp_path)) == 2


def test_wrong_arguments(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(str(tmp_path))
    graph = tf.get_default_graph()
    writer.add_run_metadata(tf.RunMetadata(), "run")
    with pytest.raises(ValueError, match="The provided tag was already used for this event type"):
        writer.add_run_metadata(tf.RunMetadata(), "run")
    with pytest.raises(ValueError, match="Please pass only graph, or graph_def"):
        writer.add_graph(graph, graph_def=graph.as_graph_def())
    with pytest.raises(TypeError, match="The passed graph must be an instance of `Graph`"):
        writer.add_graph(5)
    with pytest.raises(TypeError, match="meta_graph_def must be type MetaGraphDef, saw type: <class 'int'>"):
        writer.add_meta_graph(5)
    with pytest.raises(TypeError, match="Expected an Event"):
        writer.add_event(5)
    with pytest.raises(TypeError, match="Expected a SessionLog"):
        writer.add_session_log(summary(1.0))
    with pytest.raises(Exception, match="Error parsing message"):
        writer.add_summary(b"\xff")
    writer.close()
    with pytest.raises(tf.errors.OpError):
        tf.summary.FileWriter("/proc/none/such")


def test_in_eager_execution(tmp_path: Path) -> None:
    from millstream.core import context

    with context.mode(True), pytest.raises(RuntimeError, match="not compatible with eager execution"):
        tf.summary.FileWriter(str(tmp_path))


def test_the_cache(tmp_path: Path) -> None:
    tf.constant(1.0)
    writer = tf.summary.FileWriterCache.get(str(tmp_path))
    assert writer is tf.summary.FileWriterCache.get(str(tmp_path))
    tf.summary.FileWriterCache.clear()
    assert kinds(tmp_path) == [("graph_def", 0), ("meta_graph_def", 0)]  # it was closed
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is not writer


def test_a_session_writes(tmp_path: Path) -> None:
    with tf.Session() as session:
        writer = tf.summary.FileWriter(str(tmp_path), session=session)
        shared = tf.contrib.summary.create_file_writer(str(tmp_path))
        with shared.as_default(), tf.contrib.summary.always_record_summaries():
            made = tf.contrib.summary.scalar("b", 2.0, step=2)
        writer.add_summary(summary(1.0), 1)
        session.run(made)
        writer.add_summary(summary(3.0), 3)
        writer.close()
        writer.reopen()
        writer.add_summary(summary(4.0), 4)
        writer.close()
    assert kinds(tmp_path) == [("summary", step) for step in (1, 2, 3, 4)]
    assert len(os.listdir(tmp_path)) == 2


def test_run_metadata_name_the_operations(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [2], name="x")
    y = tf.identity(tf.py_func(lambda value: value, [x * 2.0], tf.float32), name="y")
    metadata = tf.RunMetadata()
    with tf.Session() as session, tf.summary.FileWriter(str(tmp_path), session.graph) as writer:
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        session.run(y, {x: [1.0, 2.0]}, options, metadata)
        writer.add_run_metadata(metadata, "run", 1)
    tagged = tf.RunMetadata.FromString(events_in(tmp_path)[-1].tagged_run_metadata.run_metadata)
    nodes = {node.node_name: node for device in tagged.step_stats.dev_stats for node in device.node_stats}
    assert {"mul", "PyFunc", "y"} <= set(nodes) <= {op.name for op in tf.get_default_graph().get_operations()}
    assert all(node.all_end_rel_micros > 0 for node in nodes.values())  # else TensorBoard shows them as not run


def test_reading(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(str(tmp_path))
    writer.add_summary(summary(1.0), 1)
    writer.close()
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    events = tf.train.summary_iterator(str(path))
    assert next(events).file_version == "brain.Event:2"
    with pytest.raises(tf.errors.DataLossError, match="truncated record at 40"):
        next(events)
    with pytest.raises(tf.errors.NotFoundError):
        next(tf.train.summary_iterator(str(tmp_path / "none")))


def test_descriptions_of_nodes() -> None:
    node = tf.NodeDef(op="TensorSummary")
    node.attr["description"].s = b'{"type_hint": "x"}'
    assert tf.summary.get_summary_description(node) == tf.summary.SummaryDescription(type_hint="x")
    with pytest.raises(ValueError, match="Can't get_summary_description on Add"):
        tf.summary.get_summary_description(tf.NodeDef(op="Add"))
