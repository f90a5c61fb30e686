"""Monitored sessions. The sequences of calls, messages and files are those of TensorFlow 1.15.5."""
from __future__ import annotations

import logging
from typing import Any

import pytest
from training import Recorder, counting_model, events, files, messages

import millstream.v1 as tf

FINALIZED = ["Graph was finalized.", "Running local_init_op.", "Done running local_init_op."]
RUN = ["a before_run", "b before_run", "a after_run", "b after_run"]


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield
    tf.summary.FileWriterCache.clear()


# --- The order of things ---------------------------------------------------------------------------------------------


def test_hooks_are_called_in_order(caplog):
    step, v, _ = counting_model()
    calls: list[str] = []
    hooks = [Recorder(calls, "a"), Recorder(calls, "b", tf.train.SessionRunArgs([v, step]), stop_at=2)]
    session = tf.train.MonitoredSession(hooks=hooks)
    assert session.graph is tf.get_default_graph() and session.graph.finalized
    assert messages(caplog) == FINALIZED
    assert not session.should_stop()
    assert session.run([step]) == [0] and session.run(v) == 1.0
    assert session.should_stop()
    with pytest.raises(RuntimeError, match="Run called even after should_stop requested."):
        session.run(v)
    session.close()
    begin = ["a begin", "b begin", "a after_create_session", "b after_create_session"]
    assert calls == [*begin, *RUN, *RUN, "a end", "b end"]
    assert hooks[0].results == [None, None] and hooks[1].results == [[1.0, 0], [1.0, 0]]
    assert session.should_stop() and session.graph is None and not tf.get_default_graph().finalized
    for act in (session.close, lambda: session.run(v)):
        with pytest.raises(RuntimeError, match="Session is already closed."):
            act()


def test_a_graph_that_was_final_stays_so():
    counting_model()
    tf.train.Scaffold().finalize()
    tf.train.MonitoredSession().close()
    assert tf.get_default_graph().finalized


@pytest.mark.parametrize("error", [tf.errors.OutOfRangeError(None, None, "end"), StopIteration("end")])
def test_the_end_of_the_input_is_a_normal_end(error):
    counting_model()
    calls: list[str] = []
    with tf.train.MonitoredSession(hooks=[Recorder(calls)]):
        raise error
    assert calls == ["hook begin", "hook after_create_session", "hook end"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), tf.errors.AbortedError(None, None, "lost")])
def test_no_hook_hears_of_other_errors(error):
    counting_model()
    calls: list[str] = []
    with pytest.raises(type(error)), tf.train.MonitoredSession(hooks=[Recorder(calls)]):
        raise error
    assert calls == ["hook begin", "hook after_create_session"]
    assert not tf.get_default_graph().finalized


def test_an_error_of_a_hook_ends_the_run():
    _, _, train = counting_model()
    calls: list[str] = []
    hooks = [Recorder(calls, "a", fail=(1, ValueError("bad"))), Recorder(calls, "b")]
    with pytest.raises(ValueError, match="bad"), tf.train.MonitoredSession(hooks=hooks) as session:
        session.run(train)
    assert calls[-3:] == ["a before_run", "b before_run", "a after_run"]


# --- Recovery --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tf.errors.AbortedError, tf.errors.UnavailableError])
def test_a_lost_session_is_made_anew(kind, caplog):
    step, v, train = counting_model()
    calls: list[str] = []
    hooks = [Recorder(calls, "a", fail=(2, kind(None, None, "lost"))), Recorder(calls, "b", stop_at=4)]
    values = []
    with tf.train.MonitoredSession(hooks=hooks) as session:
        while not session.should_stop():
            values.append(session.run([train, v])[1])
    assert values == [2, 2, 3, 4]  # there was no checkpoint: it begins again
    created = ["a after_create_session", "b after_create_session"]
    assert calls == ["a begin", "b begin", *created, *RUN, *RUN[:3], *created, *RUN * 3, "a end", "b end"]
    lost = (
        "An error was raised. This may be due to a preemption in a connected worker or parameter server. The current "
        "session will be closed and a new session will be created. This error may also occur due to a gRPC failure "
        "caused by high memory or network bandwidth usage in the parameter servers. If this error occurs repeatedly, "
        "try increasing the number of parameter servers assigned to the job. Error: lost"
    )
    assert messages(caplog) == [*FINALIZED, lost, *FINALIZED]


def test_recovery_restores_the_newest_checkpoint(tmp_path, caplog):
    step, v, train = counting_model()
    fail = Recorder([], fail=(4, tf.errors.AbortedError(None, None, "lost")))
    stop = tf.train.StopAtStepHook(last_step=5)
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=str(tmp_path), save_checkpoint_steps=3, hooks=[stop, fail]
    ) as session:
        values = []
        while not session.should_stop():
            values.append(session.run([train, v])[1])
    assert values == [2, 3, 4, 5, 6]  # step 4 was repeated
    assert "Restoring parameters from DIR/model.ckpt-3" in messages(caplog, tmp_path)


def test_a_session_that_is_lost_while_it_is_made_is_made_again(caplog):
    counting_model()
    failures = [tf.errors.UnavailableError(None, None, "not yet")]

    class Failing(Recorder):
        def after_create_session(self, session, coord):
            if failures:
                raise failures.pop()

    tf.train.MonitoredSession(hooks=[Failing([])]).close()
    assert messages(caplog)[3].startswith("An error was raised while a session was being created.")


def test_a_lost_session_is_closed_with_its_threads():
    _, v, train = counting_model()
    queue = tf.FIFOQueue(2, tf.float32, shapes=[()])
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(1.0)]))
    made: list[tuple[Any, Any, list[Any]]] = []

    class Keeping(Recorder):
        def after_create_session(self, session, coord):
            made.append((session, coord, list(coord._registered)))

    fail = Recorder([], fail=(1, tf.errors.AbortedError(None, None, "lost")))
    with tf.train.MonitoredSession(hooks=[Keeping([]), fail]) as session:
        session.run(train)
        (lost, coord, threads), (new, other, _) = made
        assert session._tf_sess() is new and not other.should_stop()
        assert coord.should_stop() and coord.joined
        assert len(threads) == 2 and not any(thread.is_alive() for thread in threads)
        with pytest.raises(RuntimeError, match="Attempted to use a closed Session."):
            lost.run(v)


def test_an_error_while_asking_whether_to_stop(caplog):
    counting_model()
    with tf.train.MonitoredSession() as session:
        first = session._tf_sess()
        session._coordinated_creator.coord.request_stop(tf.errors.AbortedError(None, None, "lost"))
        assert not session.should_stop() and session._tf_sess() is not first
    found = messages(caplog)
    assert found[4].startswith("An error was raised while considering whether the session is complete.")
    assert found[5].startswith("An error occurred when attempting to close the session.")


def test_a_singular_session_does_not_recover():
    _, v, train = counting_model()
    hook = Recorder([], fail=(2, tf.errors.AbortedError(None, None, "lost")))
    with pytest.raises(tf.errors.AbortedError), tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        assert isinstance(session.raw_session(), tf.Session)
        assert session.run([train, v])[1] == 2
        session.run(train)


# --- Runs ------------------------------------------------------------------------------------------------------------


def test_feeds_and_options_are_merged():
    p, q = tf.placeholder(tf.float32, [], "p"), tf.placeholder(tf.float32, [], "q")
    total = p + q
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, timeout_in_ms=7000)
    calls: list[str] = []
    first = Recorder(calls, "a", tf.train.SessionRunArgs(None, {p: 1.0}))
    second = Recorder(calls, "b", tf.train.SessionRunArgs({"total": total}, {q: 2.0}, options))
    with tf.train.MonitoredSession(hooks=[first, second]) as session:
        assert session.run(total) == 3.0
        assert first.results == [None] and second.results == [{"total": 3.0}]
        mine, metadata = tf.RunOptions(timeout_in_ms=9000), tf.RunMetadata()
        session.run(total, options=mine, run_metadata=metadata)
        assert mine.timeout_in_ms == 9000 and mine.trace_level == tf.RunOptions.FULL_TRACE
        assert metadata.step_stats.dev_stats
        with pytest.raises(RuntimeError) as caught:
            session.run(total, {p: 3.0})
    assert str(caught.value) == (
        "Same tensor is fed by a SessionRunHook and user. Conflict(s): [<tf.Tensor 'p:0' shape=() dtype=float32>]"
    )


def test_two_hooks_must_not_feed_one_tensor():
    p = tf.placeholder(tf.float32, [], "p")
    hooks = [tf.train.FeedFnHook(lambda: {p: 1.0}), tf.train.FeedFnHook(lambda: {p: 2.0})]
    with tf.train.MonitoredSession(hooks=hooks) as session, pytest.raises(RuntimeError) as caught:
        session.run(p)
    assert str(caught.value) == (
        "Same tensor is fed by two hooks. Conflict(s): [<tf.Tensor 'p:0' shape=() dtype=float32>]"
    )


def test_run_step_fn():
    step, v, train = counting_model()
    calls: list[str] = []

    class Trainer:
        def one(self, step_context):
            return step_context.run_with_hooks(fetches=train)

    def read(step_context):
        assert isinstance(step_context.session, tf.Session) and step_context.session.run(step) == 0
        return step_context.run_with_hooks(v)

    with tf.train.MonitoredSession(hooks=[Recorder(calls)]) as session:
        assert isinstance(session, tf.train.MonitoredSession)
        assert session.run_step_fn(read) == 1.0
        assert session.run_step_fn(Trainer().one) is None
        assert calls.count("hook before_run") == 2
        for wrong, names in [(lambda x: 1, "('x',)"), (lambda: 1, "()"), (lambda step_context, y: 1, "('step_cont")]:
            with pytest.raises(ValueError) as caught:
                session.run_step_fn(wrong)
            assert str(caught.value).startswith(
                "`step_fn` may either have one `step_context` argument, or `self` and `step_context` arguments if it's "
                f"an instance method. Got {names}"
            )
        with pytest.raises(StopIteration, match="step_fn has requested the iterations to stop."):
            session.run_step_fn(lambda step_context: step_context.request_stop())


def test_a_step_fn_is_repeated_in_the_new_session():
    _, v, train = counting_model()
    sessions = []

    def act(step_context):
        sessions.append(step_context.session)
        if len(sessions) == 1:
            raise tf.errors.AbortedError(None, None, "lost")
        step_context.run_with_hooks(train)
        return step_context.session.run(v)

    with tf.train.MonitoredSession() as session:
        assert session.run_step_fn(act) == 2.0
    assert sessions[0] is not sessions[1]


def test_programs_find_the_session_inside():
    """As many programs do: layer by layer, until there is one."""
    counting_model()
    with tf.train.MonitoredSession() as session:
        inside = session
        while type(inside).__name__ != "Session":
            inside = inside._sess
        assert inside is session._tf_sess()


# --- Threads ---------------------------------------------------------------------------------------------------------


def test_queue_runners_run_until_their_input_ends():
    counting_model()
    queue = tf.FIFOQueue(10, tf.int64, shapes=[()])
    count = tf.count_up_to(tf.Variable(0, dtype=tf.int64, collections=["local_variables"]), 3)
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(count)]))
    taken, values, calls = queue.dequeue(), [], []
    with tf.train.MonitoredSession(hooks=[Recorder(calls)]) as session:
        while not session.should_stop():
            values.append(session.run(taken))
    assert values == [0, 1, 2] and calls[-1] == "hook end"


def test_the_error_of_a_thread_is_reported(caplog):
    counting_model()
    queue = tf.FIFOQueue(10, tf.float32, shapes=[()])
    with tf.control_dependencies([tf.Assert(tf.equal(1, 2), ["no"])]):
        enqueue = queue.enqueue(1.0)
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [enqueue]))
    taken = queue.dequeue()
    with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
        with tf.train.MonitoredSession() as session:
            session.run(taken)
    assert "Error reported to Coordinator: <class 'millstream.core.errors.InvalidArgumentError'>, assertion" in (
        messages(caplog)[3]
    )


# --- MonitoredTrainingSession ----------------------------------------------------------------------------------------


def test_a_training_writes_checkpoints_and_summaries(tmp_path, caplog):
    _, v, train = counting_model()
    tf.summary.scalar("value", v)
    hooks = [tf.train.StopAtStepHook(num_steps=3)]
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=str(tmp_path),
        hooks=hooks,
        save_checkpoint_steps=2,
        save_summaries_steps=2,
        log_step_count_steps=2,
    ) as session:
        while not session.should_stop():
            session.run(train)
    assert messages(caplog, tmp_path) == [
        "Create CheckpointSaverHook.",
        *FINALIZED,
        "Saving checkpoints for 0 into DIR/model.ckpt.",
        "Saving checkpoints for 2 into DIR/model.ckpt.",
        "global_step/sec: RATE",
        "Saving checkpoints for 3 into DIR/model.ckpt.",
    ]
    checkpoints = [
        f"model.ckpt-{step}.{end}" for step in (0, 2, 3) for end in ("data-00000-of-00001", "index", "meta")
    ]
    assert files(tmp_path) == ["checkpoint", "events.out.tfevents", "graph.pbtxt", *checkpoints]
    tf.summary.FileWriterCache.clear()
    saved = "CHECKPOINT", "DIR/model.ckpt"
    assert events(tmp_path) == [
        (0, "file_version", None),
        (0, "graph_def", None),
        (0, "meta_graph_def", None),
        (0, "graph_def", None),
        (0, "meta_graph_def", None),
        (0, "session_log", saved),
        (1, "session_log", ("START", "")),
        (1, "summary", [("value", 1.0)]),
        (2, "session_log", saved),
        (3, "summary", [("global_step/sec", "RATE")]),
        (3, "summary", [("value", 3.0)]),
        (3, "session_log", saved),
    ]


def test_a_training_goes_on_where_it_was(tmp_path, caplog):
    for last in (3, 7):
        with tf.Graph().as_default():
            step, v, train = counting_model()
            hooks = [tf.train.StopAtStepHook(last_step=last)]
            with tf.train.MonitoredTrainingSession(checkpoint_dir=str(tmp_path), hooks=hooks) as session:
                while not session.should_stop():
                    value = session.run([train, v])[1]
            assert value == last + 1
    assert messages(caplog, tmp_path)[6:] == [
        "Create CheckpointSaverHook.",
        "Graph was finalized.",
        "Restoring parameters from DIR/model.ckpt-3",
        *FINALIZED[1:],
        "Saving checkpoints for 3 into DIR/model.ckpt.",
        "Saving checkpoints for 7 into DIR/model.ckpt.",
    ]
    kept = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert [path.rpartition("-")[2] for path in kept] == ["0", "3", "7"]


COUNTER = "StepCounterHook", 100, None
SUMMARY = "SummarySaverHook", 100, None
SAVER = "CheckpointSaverHook", None, 600


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, []),
        ({"save_checkpoint_secs": 0}, []),
        ({"checkpoint_dir": "a"}, [COUNTER, SUMMARY, SAVER]),
        ({"checkpoint_dir": "a", "save_checkpoint_secs": None}, [COUNTER, SUMMARY]),
        ({"checkpoint_dir": "a", "save_checkpoint_secs": None, "save_checkpoint_steps": None}, [COUNTER, SUMMARY]),
        ({"checkpoint_dir": "a", "save_checkpoint_secs": 3}, [COUNTER, SUMMARY, ("CheckpointSaverHook", None, 3)]),
        ({"checkpoint_dir": "a", "save_checkpoint_steps": 3}, [COUNTER, SUMMARY, ("CheckpointSaverHook", 3, None)]),
        ({"checkpoint_dir": "a", "save_summaries_steps": 0}, [COUNTER, SAVER]),
        ({"checkpoint_dir": "a", "save_summaries_secs": 5}, [COUNTER, ("SummarySaverHook", None, 5), SAVER]),
        ({"checkpoint_dir": "a", "save_summaries_steps": None, "save_summaries_secs": None}, [COUNTER, SAVER]),
        ({"checkpoint_dir": "a", "log_step_count_steps": None}, [SUMMARY, SAVER]),
        ({"summary_dir": "b"}, [COUNTER, SUMMARY]),
        ({"checkpoint_dir": "a", "summary_dir": "b"}, [COUNTER, SUMMARY, SAVER]),
    ],
)
def test_the_hooks_of_a_training_session(arguments, expected, tmp_path):
    counting_model()
    first, last = Recorder([]), Recorder([])
    arguments = {key: str(tmp_path / value) if key.endswith("dir") else value for key, value in arguments.items()}
    with tf.train.MonitoredTrainingSession(chief_only_hooks=[first], hooks=[last], **arguments) as session:
        assert session._hooks[0] is first and session._hooks[-1] is last
        found = [
            (type(hook).__name__, hook._timer._every_steps, hook._timer._every_secs) for hook in session._hooks[1:-1]
        ]
    assert found == expected


def test_both_intervals_are_an_error(tmp_path):
    counting_model()
    with pytest.raises(ValueError, match="Can not provide both every_secs and every_steps."):
        tf.train.MonitoredTrainingSession(
            checkpoint_dir=str(tmp_path), save_checkpoint_secs=3, save_checkpoint_steps=3
        )


def test_others_than_the_chief_wait(monkeypatch):
    counting_model()
    calls: list[str] = []
    now = [0.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with pytest.raises(tf.errors.DeadlineExceededError, match="Session was not ready after waiting 31 secs."):
        tf.train.MonitoredTrainingSession(
            is_chief=False, max_wait_secs=31, hooks=[Recorder(calls, "a")], chief_only_hooks=[Recorder(calls, "b")]
        )
    assert calls == ["a begin"] and now == [30.0]


def test_the_session_of_a_checkpoint_by_name(tmp_path):
    _, v, _ = counting_model()
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(v.assign(8.0))
        path = saver.save(session, str(tmp_path / "m"))
    with tf.train.SingularMonitoredSession(checkpoint_filename_with_path=path) as session:
        assert session.run(v) == 8.0


def test_a_session_creator_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        tf.train.SessionCreator()
