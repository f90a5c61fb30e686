"""`tf.summary` of 2.x: writers, steps, conditions, and what is written; eager and in functions."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream as tf
from millstream.io import proto, tensor_proto
from millstream.io.records import RecordReader
from millstream.summary.recording import current


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    current.writer = current.step = current.condition = None
    tf.summary.trace_off()


def events_in(folder: Path) -> list[Any]:
    found = []
    for path in sorted(folder.iterdir()):
        with RecordReader(path) as records:
            found += [proto.Event.FromString(record) for record in records][1:]
    return found


def tags(folder: Path) -> list[tuple[str, int]]:
    return [(value.tag, event.step) for event in events_in(folder) for value in event.summary.value]


def values(folder: Path) -> list[Any]:
    return [tensor_proto.make_ndarray(v.tensor).tolist() for event in events_in(folder) for v in event.summary.value]


# --- Writers ----------------------------------------------------------------------------------------------------------


def test_without_a_writer_nothing_happens() -> None:
    assert not tf.summary.scalar("a", 1.0)  # and no step is needed
    assert not tf.summary.should_record_summaries()
    assert tf.summary.flush() is None
    with tf.summary.create_noop_writer().as_default() as writer:
        assert not tf.summary.scalar("a", 1.0, step=1)
        assert (writer.flush(), writer.close(), writer.init()) == (None, None, None)


def test_the_file(tmp_path: Path) -> None:
    first = tf.summary.create_file_writer(tmp_path / "a")
    second = tf.summary.create_file_writer(str(tmp_path / "a"), filename_suffix="x")
    names = sorted(name.split(".")[5:] for name in os.listdir(tmp_path / "a"))
    assert [name[0] for name in names] == [str(os.getpid())] * 2
    assert int(names[1][1]) == int(names[0][1]) + 1
    assert [name[2:] for name in names] == [["v2"], ["x"]]
    first.close()
    second.close()
    with pytest.raises(ValueError, match="Argument `logdir` cannot be None"):
        tf.summary.create_file_writer(None)
    with pytest.raises(tf.errors.OpError):
        tf.summary.create_file_writer("/proc/none/such")


def test_the_default_writer(tmp_path: Path) -> None:
    outer, inner = (tf.summary.create_file_writer(str(tmp_path / name)) for name in "ab")
    outer.set_as_default(step=1)
    with inner.as_default(step=2):
        tf.summary.scalar("x", 0.0)
        assert tf.summary.experimental.get_step() == 2
    assert tags(tmp_path / "b") == [("x", 2)]  # written when the block ends
    tf.summary.scalar("y", 0.0)
    outer.flush()
    assert tags(tmp_path / "a") == [("y", 1)]
    with inner.as_default():
        tf.summary.scalar("z", 0.0)
    assert tags(tmp_path / "b")[1:] == [("z", 1)]
    inner.close()
    outer.close()


def test_a_closed_writer(tmp_path: Path) -> None:
    writer = tf.summary.create_file_writer(str(tmp_path))
    writer.set_as_default(step=1)
    writer.close()
    assert (writer.close(), writer.flush()) == (None, None)
    for use in (writer.init, writer.set_as_default, lambda: writer.as_default().__enter__()):
        with pytest.raises(RuntimeError, match="is already closed"):
            use()
    with pytest.raises(tf.errors.NotFoundError, match="does not exist"):
        tf.summary.scalar("x", 1.0)


def test_flushing(tmp_path: Path) -> None:
    writer = tf.summary.create_file_writer(str(tmp_path), max_queue=100, flush_millis=100000)
    with writer.as_default():
        tf.summary.scalar("x", 1.0, step=1)
        tf.summary.flush()
        assert len(events_in(tmp_path)) == 1
        tf.summary.scalar("x", 1.0, step=2)
    assert len(events_in(tmp_path)) == 2
    tf.summary.flush(writer)
    with pytest.raises(ValueError, match=r"Invalid argument to flush\(\): 5"):
        tf.summary.flush(5)
    writer.close()


def test_a_writer_that_nobody_uses_is_closed(tmp_path: Path) -> None:
    writer = tf.summary.create_file_writer(str(tmp_path))
    writer.set_as_default(step=1)
    tf.summary.scalar("x", 1.0)
    del writer
    current.writer = None
    assert tags(tmp_path) == [("x", 1)]


# --- Steps and conditions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [3, np.int64(3), np.int32(3), tf.constant(3, tf.int64), lambda: tf.Variable(3, dtype=tf.int64)]
)
def test_kinds_of_steps(tmp_path: Path, step: Any) -> None:
    step = step() if callable(step) else step
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        assert tf.summary.scalar("given", 1.0, step=step)
        tf.summary.experimental.set_step(step)
        assert tf.summary.experimental.get_step() is step
        assert tf.summary.scalar("set", 1.0)
    assert tags(tmp_path) == [("given", 3), ("set", 3)]


def test_without_a_step(tmp_path: Path) -> None:
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        with pytest.raises(ValueError, match="No step set"):
            tf.summary.scalar("x", 1.0)
        with pytest.raises(ValueError, match="No step set"):
            tf.summary.experimental.write_raw_pb(b"")
        with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
            tf.summary.scalar("x", 1.0, step=1.5)


def test_conditions(tmp_path: Path) -> None:
    asked = []

    def odd() -> Any:
        asked.append(True)
        return len(asked) % 2 == 1

    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=0):
        assert tf.summary.should_record_summaries()
        with tf.summary.record_if(False):
            assert not tf.summary.scalar("no", 1.0)
            assert not tf.summary.write("no", lambda: pytest.fail("nobody asked"))
            with tf.summary.record_if(tf.constant(True)):
                assert tf.summary.scalar("yes", 1.0)
        with tf.summary.record_if(odd):
            assert [bool(tf.summary.scalar(str(n), 1.0)) for n in range(4)] == [True, False, True, False]
    assert [tag for tag, _ in tags(tmp_path)] == ["yes", "0", "2"]


def test_threads_have_settings_of_their_own(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1), ThreadPoolExecutor(1) as pool:
        assert not pool.submit(tf.summary.scalar, "x", 1.0).result()


# --- Functions --------------------------------------------------------------------------------------------------------


def test_in_functions(tmp_path: Path) -> None:
    writer = tf.summary.create_file_writer(str(tmp_path))
    weight = tf.Variable(1.0)
    traces = []

    @tf.function
    def step_of_training(step: Any) -> Any:
        traces.append(step)
        with writer.as_default(), tf.name_scope("scope"):
            weight.assign_add(1.0)
            tf.summary.scalar("before", weight, step=step)
            with tf.summary.record_if(step % 2 == 0):
                written = tf.summary.histogram("even", [weight, 2.0], step=step, buckets=2)
            weight.assign_add(1.0)
            tf.summary.scalar("after", weight, step=step)
        return written

    assert [bool(step_of_training(tf.constant(step, tf.int64))) for step in range(3)] == [True, False, True]
    assert len(traces) == 1
    assert tags(tmp_path) == [
        ("scope/before", 0), ("scope/even", 0), ("scope/after", 0), ("scope/before", 1), ("scope/after", 1),
        ("scope/before", 2), ("scope/even", 2), ("scope/after", 2),
    ]  # fmt: skip
    found = values(tmp_path)
    assert [found[index] for index in (0, 2, 3, 4, 5, 7)] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert found[1] == [[2.0, 2.0, 0.0], [2.0, 2.0, 2.0]]
    assert found[6] == [[2.0, 4.0, 1.0], [4.0, 6.0, 1.0]]
    writer.close()


def test_steps_and_conditions_of_functions(tmp_path: Path) -> None:
    step = tf.Variable(5, dtype=tf.int64)
    wanted = tf.Variable(True)

    @tf.function
    def write() -> None:
        with tf.summary.record_if(wanted):
            tf.summary.scalar("x", 1.0)
        with tf.summary.record_if(lambda: tf.not_equal(step, 6)):
            tf.summary.text("t", "text")
        tf.summary.scalar("constant", 1.0, step=3)

    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=step):
        write()
        step.assign(6)
        write()
        step.assign(7)
        wanted.assign(False)
        write()
    assert tags(tmp_path) == [
        ("x", 5), ("t", 5), ("constant", 3), ("x", 6), ("constant", 3), ("t", 7), ("constant", 3)
    ]  # fmt: skip


def test_a_writer_made_in_a_function(tmp_path: Path) -> None:
    made: list[Any] = []

    @tf.function
    def write(step: Any) -> None:
        if not made:
            made.append(tf.summary.create_file_writer(str(tmp_path)))
        with made[0].as_default():
            tf.summary.scalar("x", 1.0, step=step)

    for step in range(3):
        write(tf.constant(step, tf.int64))
    assert tags(tmp_path) == [("x", 0), ("x", 1), ("x", 2)]
    made[0].close()


def test_every_kind_in_a_function(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, None, 1])])
    def write(images: Any, clips: Any) -> None:
        tf.summary.image("image", images, max_outputs=2)
        tf.summary.audio("audio", clips, 8000)
        tf.summary.histogram("histogram", images)
        tf.summary.write("whole", images)
        tf.summary.experimental.write_raw_pb(proto.Summary(value=[proto.Summary.Value(tag="raw")]).SerializeToString())

    images, clips = np.linspace(0, 1, 36).reshape(3, 2, 2, 3).astype(np.float32), np.zeros([1, 5, 1], np.float32)
    with tf.summary.create_file_writer(str(tmp_path / "a")).as_default(step=1):
        write(images, clips)
    with tf.summary.create_file_writer(str(tmp_path / "b")).as_default(step=1):
        write.python_function(images, clips)
    ours, eager = ([list(event.summary.value) for event in events_in(tmp_path / name)] for name in "ab")
    assert len(ours) == 5 and ours == eager


def test_in_loops(tmp_path: Path) -> None:
    @tf.function
    def write(count: Any) -> None:
        for number in tf.range(count):
            tf.summary.scalar("x", tf.cast(number, tf.float32), step=tf.cast(number, tf.int64))

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        write(tf.constant(4))
    assert tags(tmp_path) == [("while/x", step) for step in range(4)]


def test_scopes_of_branches_and_loops(tmp_path: Path) -> None:
    def scalar(name: str) -> None:
        tf.summary.scalar(name, 1.0, step=0)

    @tf.function
    def write(count: Any) -> None:
        with tf.name_scope("o"):
            for _ in tf.range(count):
                scalar("a")
                if count > 0:
                    scalar("b")
            if count > 5:
                scalar("no")
            else:
                scalar("c")
        tf.map_fn(lambda x: (scalar("d"), x)[1], tf.zeros([1]))
        tf.switch_case(count, [lambda: (scalar("e"), 1)[1]] * 2, name="which")

    with tf.summary.create_file_writer(str(tmp_path)).as_default(), tf.name_scope("outside"):
        write(tf.constant(1))
        tf.cond(tf.constant(True), lambda: scalar("eager"), lambda: None)
    names = ["o/while/a", "o/while/cond/b", "o/cond/c", "map/while/d", "which/indexed_case/e", "outside/eager"]
    assert [tag for tag, _ in tags(tmp_path)] == names


# --- What is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tf.summary.scalar("x", [1.0]), ValueError, r"Expected scalar shape, saw shape: \(1,\)"),
        (lambda: tf.summary.image("x", np.zeros([2, 2, 3])), ValueError, "must have rank 4.  Received rank 3"),
        (lambda: tf.summary.image("x", np.zeros([1, 2, 2, 3]), max_outputs=-1), tf.errors.InvalidArgumentError, "-1"),
        (lambda: tf.summary.audio("x", np.zeros([2, 3]), 8000), ValueError, "must have rank 3.  Received rank 2"),
        (lambda: tf.summary.audio("x", np.zeros([1, 2, 3]), 8000, encoding="mp3"), ValueError, "encoding: 'mp3'"),
        (lambda: tf.summary.text("x", 5), TypeError, "tensor must be of type tf.string; got tf.int32"),
        (lambda: tf.summary.graph(5), ValueError, "is not tf.Graph or tf.compat.v1.GraphDef"),
        (lambda: tf.summary.experimental.write_raw_pb(b"\xff"), tf.errors.InvalidArgumentError, "Bad tf.*Summary"),
    ],
)
def test_wrong_arguments(tmp_path: Path, call: Any, error: Any, message: str) -> None:
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1):
        with pytest.raises(error, match=message):
            call()


def test_names_and_scopes(tmp_path: Path) -> None:
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1), tf.name_scope("o"):
        tf.summary.scalar("a b!/c", 1.0)
        tf.summary.scalar("", 1.0)
        with tf.summary.experimental.summary_scope("in") as (tag, scope):
            assert (tag, scope) == ("o/in", "o/in/")
        with tf.summary.experimental.summary_scope(None) as (tag, scope):
            assert (tag, scope) == ("o/summary", "o/summary/")
    assert tags(tmp_path) == [("o/a b!/c", 1), ("o/scalar_summary", 1)]


def test_pixels(tmp_path: Path) -> None:
    from summary.png import decode_png

    cases = {
        "uint8": (np.array([0, 7, 255]), [0, 7, 255]),
        "int8": (np.array([-5, 3, 127]), [0, 6, 254]),
        "uint16": (np.array([0, 256, 65535]), [0, 1, 255]),
        "int32": (np.array([-9, 1 << 23, (1 << 31) - 1]), [0, 1, 255]),
        "float16": (np.array([-1.0, 0.5, 2.0]), [0, 127, 255]),
        "float64": (np.array([0.0, 0.99, 1.0]), [0, 252, 255]),
    }
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1):
        for dtype, (pixels, _) in cases.items():
            tf.summary.image(dtype, pixels.astype(dtype).reshape(1, 1, 3, 1))
    for event, (_, wanted) in zip(events_in(tmp_path), cases.values(), strict=True):
        width, height, picture = event.summary.value[0].tensor.string_val
        assert (width, height) == (b"3", b"1")
        assert decode_png(picture).reshape(-1).tolist() == wanted


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1):
        tf.summary.histogram("x", [np.nan, 1.0], buckets=2)
        tf.summary.histogram("x", [np.inf, 1.0], buckets=2)
        tf.summary.scalar("x", np.nan)
    assert np.shape(values(tmp_path)[0]) == np.shape(values(tmp_path)[1]) == (2, 3)
    assert np.isnan(values(tmp_path)[2])


def test_graphs_and_traces(tmp_path: Path) -> None:
    @tf.function
    def inner(x: Any) -> Any:
        return x * 2.0

    @tf.function
    def outer(x: Any) -> Any:
        with tf.name_scope("scope"):
            return inner(x) + 1.0

    graph = outer.get_concrete_function(tf.constant(1.0)).graph
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=2):
        assert tf.summary.graph(graph)
        tf.summary.trace_on(graph=True)
        outer(tf.constant(1.0))
        outer(tf.constant(2.0))
        inner(tf.constant(3.0))
        tf.summary.trace_export("trace")
        outer(tf.constant(1.0))
        with pytest.raises(ValueError, match="Must enable trace before export"):
            tf.summary.trace_export("trace")
    drawn, traced = events_in(tmp_path)
    names = [node.name for node in proto.GraphDef.FromString(drawn.graph_def).node]
    assert "scope/add" in names
    (value,) = traced.summary.value
    assert (value.tag, traced.step) == ("trace", 2)
    assert value.metadata.plugin_data.plugin_name == "graph_run_metadata_graph"
    metadata = proto.RunMetadata.FromString(value.tensor.string_val[0])
    first, second = (part.pre_optimization_graph for part in metadata.function_graphs)
    assert [node.name for node in first.node] == names
    assert len(first.library.function) == 1 and [node.name for node in second.node][-1] == "mul"


def test_traces_that_are_not_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tf.summary.trace_on()
    tf.summary.trace_on()
    assert "Trace already enabled" in caplog.text
    tf.summary.trace_export("nobody reads it")  # there is no writer
    tf.summary.trace_on(graph=False, profiler=True)
    assert "Profiler won't be enabled" in caplog.text
    tf.summary.trace_off()
    tf.summary.trace_off()

    @tf.function(autograph=False)
    def function() -> Any:
        tf.summary.trace_on()
        tf.summary.trace_export("inside")
        return tf.constant(1)

    function()
    assert "Cannot enable trace inside a tf.function." in caplog.text
    assert "Cannot export trace inside a tf.function." in caplog.text


def test_profiles(tmp_path: Path) -> None:
    tf.summary.trace_on(graph=False, profiler=True, profiler_outdir=str(tmp_path))
    tf.function(lambda x: x * 2.0)(tf.ones([100, 200]))
    tf.summary.trace_export("profile", step=0)
    assert list(tmp_path.glob("plugins/profile/*/*"))
