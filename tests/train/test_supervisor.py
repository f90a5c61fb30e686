"""`tf.train.Supervisor`. Operations, messages and files are those of TensorFlow 1.15.5."""
from __future__ import annotations

import logging
from typing import Any

import pytest
from training import counting_model, events, files, messages

import millstream.v1 as tf
from millstream.train import supervisor_threads

RUNNING = ["Running local_init_op.", "Done running local_init_op."]


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield


def test_defaults(tmp_path):
    step, v, _ = counting_model()
    tf.summary.scalar("value", v)
    sv = tf.train.Supervisor(logdir=str(tmp_path))
    assert tf.get_default_graph().finalized
    assert (sv.is_chief, sv.save_model_secs, sv.save_summaries_secs) == (True, 600, 120)
    assert sv.save_path == str(tmp_path / "model.ckpt") and sv.global_step is step
    assert (sv.init_op.name, sv.ready_op.op.type, sv.summary_op.name) == ("init", "GatherV2", "Merge/MergeSummary:0")
    assert sv.ready_for_local_init_op is None and sv.init_feed_dict is None
    assert isinstance(sv.coord, tf.train.Coordinator) and isinstance(sv.session_manager, tf.train.SessionManager)
    assert isinstance(sv.summary_writer, tf.summary.FileWriter)
    for key, value in {
        "init_op": sv.init_op,
        "ready_op": sv.ready_op,
        "summary_op": sv.summary_op,
        "savers": sv.saver,
        "global_step": step,
    }.items():
        assert tf.get_collection(key) == [value], key
    assert [op.name for op in tf.get_collection("local_init_op")] == ["group_deps"]
    sv.summary_writer.close()


def test_a_training(tmp_path, caplog):
    step, v, train = counting_model()
    tf.summary.scalar("value", v)
    sv = tf.train.Supervisor(logdir=str(tmp_path), save_summaries_secs=0, save_model_secs=0)
    with sv.managed_session() as session:
        assert isinstance(session, tf.Session) and not sv.should_stop()
        for _ in range(3):
            session.run(train)
        sv.summary_computed(session, session.run(sv.summary_op))
        sv.summary_computed(session, session.run(sv.summary_op), global_step=77)
        sv.saver.save(session, sv.save_path, global_step=sv.global_step)
    assert sv.should_stop()
    assert messages(caplog) == [*RUNNING, "Starting standard services.", "Starting queue runners."]
    saved = [f"model.ckpt-3.{end}" for end in ("data-00000-of-00001", "index", "meta")]
    assert files(tmp_path) == ["checkpoint", "events.out.tfevents", "graph.pbtxt", *saved]
    assert events(tmp_path) == [
        (0, "file_version", None),
        (0, "graph_def", None),
        (0, "meta_graph_def", None),
        (0, "session_log", ("START", "")),
        (3, "summary", [("value", 4.0)]),
        (77, "summary", [("value", 4.0)]),
        (0, "session_log", ("STOP", "")),
    ]
    with tf.Graph().as_default():
        step, _, _ = counting_model()
        sv = tf.train.Supervisor(logdir=str(tmp_path), save_model_secs=0, summary_writer=None)
        with sv.managed_session() as session:
            assert session.run(step) == 3


def test_the_services(tmp_path, caplog):
    """Each thread's work, done once."""
    _, v, train = counting_model()
    tf.summary.scalar("value", v)
    sv = tf.train.Supervisor(logdir=str(tmp_path))
    session = sv.prepare_or_wait_for_session(start_standard_services=False)
    session.run(train)
    kinds = "SVSummaryThread", "SVTimerCheckpointThread", "SVStepCounterThread"
    summary, checkpoint, counter = (getattr(supervisor_threads, kind)(sv, session) for kind in kinds)
    assert [thread._timer_interval_secs for thread in (summary, checkpoint, counter)] == [120, 600, 120]
    summary.run_loop()
    checkpoint.run_loop()
    counter.start_loop()
    session.run(train)
    counter.run_loop()
    session.close()
    sv.coord.request_stop()
    sv._summary_writer.close()
    assert messages(caplog, tmp_path)[2:] == [
        "Recording summary at step 1.",
        "Saving checkpoint to path DIR/model.ckpt",
        "global_step/sec: RATE",
    ]
    assert events(tmp_path)[3:] == [
        (1, "summary", [("value", 2.0)]),
        (1, "session_log", ("CHECKPOINT", "DIR/model.ckpt")),
        (2, "summary", [("global_step/sec", "RATE")]),
    ]


def test_the_services_run_in_threads(tmp_path):
    _, v, _ = counting_model()
    tf.summary.scalar("value", v)
    sv = tf.train.Supervisor(logdir=str(tmp_path))
    session = sv.prepare_or_wait_for_session(start_standard_services=False)
    threads = sv.start_standard_services(session)
    assert [type(thread).__name__ for thread in threads] == [
        "SVSummaryThread", "SVStepCounterThread", "SVTimerCheckpointThread",
    ]  # fmt: skip
    sv.stop(threads)
    assert not any(thread.is_alive() for thread in threads)


def test_without_a_folder(caplog):
    counting_model()
    sv = tf.train.Supervisor()
    with sv.managed_session() as session:
        assert sv.save_path is None and sv.summary_writer is None
        with pytest.raises(RuntimeError, match="Writing a summary requires a summary writer."):
            sv.summary_computed(session, b"")
    assert messages(caplog)[2:] == [
        "Starting standard services.",
        "Standard services need a 'logdir' passed to the SessionManager",
        "Starting queue runners.",
    ]


def test_what_is_switched_off(tmp_path):
    _, _, train = counting_model()
    init = tf.global_variables_initializer()
    off = dict.fromkeys(("saver", "summary_op", "global_step", "local_init_op", "ready_op", "summary_writer"))
    sv = tf.train.Supervisor(logdir=str(tmp_path), init_op=init, **off)
    assert [sv.saver, sv.summary_op, sv.global_step, sv.ready_op, sv.summary_writer] == [None] * 5
    with sv.managed_session() as session:
        session.run(train)
    assert files(tmp_path) == ["graph.pbtxt"]


@pytest.mark.parametrize(
    ("error", "is_normal"),
    [(ValueError("bad"), False), (tf.errors.OutOfRangeError(None, None, "end"), True), (StopIteration("x"), False)],
)
def test_errors_leave_the_block(error, is_normal, caplog):
    counting_model()
    sv = tf.train.Supervisor()
    try:
        with sv.managed_session():
            raise error
    except Exception as caught:
        assert caught is error or isinstance(caught.__cause__, StopIteration)
        assert messages(caplog)[-1].startswith(f"Error reported to Coordinator: {type(error)}, ")
        assert not is_normal
    else:
        assert is_normal


def test_initialising():
    step, v, _ = counting_model()
    p = tf.placeholder(tf.float32, [])
    seen = []
    sv = tf.train.Supervisor(
        init_op=tf.group(v.assign(p), step.initializer),
        init_feed_dict={p: 5.0},
        init_fn=lambda session: seen.append(session.run(v)),
    )
    with sv.managed_session() as session:
        assert session.run(v) == 5.0
    assert seen == [5.0]


def test_a_model_that_does_not_get_ready():
    step, _, _ = counting_model()
    sv = tf.train.Supervisor(init_op=step.initializer)
    with pytest.raises(RuntimeError, match="Init operations did not make model ready.  Init op: global_step/Assign"):
        with sv.managed_session():
            pass


def test_others_than_the_chief(monkeypatch):
    with tf.device("/cpu:0"):
        counting_model()
    sv = tf.train.Supervisor(is_chief=False, logdir="unused", recovery_wait_secs=1)
    assert (sv.save_path, sv.summary_writer, sv.save_model_secs, sv.is_chief) == (None, None, None, False)
    with pytest.raises(RuntimeError, match="Only chief supervisor can start standard services. Because only chief"):
        sv.start_standard_services(None)
    with pytest.raises(tf.errors.DeadlineExceededError):
        sv.prepare_or_wait_for_session(max_wait_secs=0)
    with tf.Graph().as_default():
        counting_model()
        with pytest.raises(ValueError, match="When using replicas, all Variables must have their device set: "):
            tf.train.Supervisor(is_chief=False)


def test_a_graph_without_anything():
    with tf.train.Supervisor(graph=tf.Graph()).managed_session() as session:
        assert isinstance(session, tf.Session)


def test_loops():
    counting_model()
    sv = tf.train.Supervisor()
    sv.prepare_or_wait_for_session()
    total = []

    def add(a, b=0):
        total.append(a + b)
        if len(total) == 3:
            sv.request_stop()

    thread = sv.loop(None, add, args=(1,), kwargs={"b": 2})
    sv.wait_for_stop()
    sv.stop([thread])
    assert total == [3, 3, 3] and isinstance(thread, tf.train.LooperThread) and sv.should_stop()


def test_the_error_of_a_loop(caplog):
    counting_model()
    sv = tf.train.Supervisor()

    def fail():
        raise ValueError("thread")

    thread = sv.Loop(None, fail)
    sv.WaitForStop()
    with pytest.raises(ValueError, match="thread"):
        sv.Stop([thread])
    assert messages(caplog) == ["Error reported to Coordinator: thread"]


def test_stop_on_exception():
    counting_model()
    sv = tf.train.Supervisor()
    with sv.stop_on_exception():
        raise ValueError("inside")
    with pytest.raises(ValueError, match="inside"):
        sv.stop()


def test_basic_train_loop():
    step, _, train = counting_model()
    sv = tf.train.Supervisor()
    calls = []

    def one(session, a, k=None):
        calls.append((a, k, int(session.run(step))))
        session.run(train)
        if session.run(step) == 3:
            sv.request_stop()

    tf.train.basic_train_loop(sv, one, args=("a",), kwargs={"k": 1})
    assert calls == [("a", 1, 0), ("a", 1, 1), ("a", 1, 2)]
