"""The hooks of `tf.train`. Messages, files and errors are those of TensorFlow 1.15.5."""
from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
from training import Recorder, counting_model, events, files, messages

import millstream.v1 as tf
from millstream.platform import tf_logging


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield
    tf.summary.FileWriterCache.clear()


def train_with(*hooks: Any, runs: int = 100) -> None:
    """Trains the counting model until a hook stops it."""
    _, _, train = counting_model()
    with tf.train.MonitoredSession(hooks=list(hooks)) as session:
        for _ in range(runs):
            if session.should_stop():
                break
            session.run(train)


def own_messages(caplog: Any, folder: Any = "DIR") -> list[str]:
    """What was logged after the session was made."""
    return [text for text in messages(caplog, folder) if "local_init_op" not in text and text != "Graph was finalized."]


# --- The protocol ----------------------------------------------------------------------------------------------------


def test_the_base_classes_do_nothing():
    hook, listener = tf.train.SessionRunHook(), tf.train.CheckpointSaverListener()
    assert [hook.begin(), hook.after_create_session(None, None), hook.before_run(None), hook.end(None)] == [None] * 4
    assert hook.after_run(None, None) is None
    assert [listener.begin(), listener.before_save(None, 1), listener.end(None, 1)] == [None] * 3
    assert listener.after_save(None, 1) is None


def test_what_hooks_are_given():
    assert tf.train.SessionRunArgs("a") == ("a", None, None)
    assert tf.train.SessionRunValues(1, 2, 3)._fields == ("results", "options", "run_metadata")
    context = tf.train.SessionRunContext(tf.train.SessionRunArgs(1), "session")
    assert context.original_args.fetches == 1 and context.session == "session" and not context.stop_requested
    context.request_stop()
    assert context.stop_requested


def test_the_names_of_estimators_are_the_same_objects():
    for name in ("SessionRunHook", "CheckpointSaverHook", "StopAtStepHook", "VocabInfo", "SecondOrStepTimer"):
        assert getattr(tf.estimator, name) is getattr(tf.train, name)


# --- Timers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"every_steps": 3},
            [(0, (None, None)), (0, None), (1, None), (2, None), (3, (3.0, 3)), (3, None), (4, None), (7, (2.25, 4))],
        ),
        (
            {"every_secs": 2.0},
            [(0, (None, None)), (0, None), (1, None), (2, (2.25, 2)), (3, None), (3, None), (4, (2.25, 2)), (7, None)],
        ),
    ],
)
def test_timer(arguments, expected, monkeypatch):
    timer, now = tf.train.SecondOrStepTimer(**arguments), [100.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    found = []
    for step, _ in expected:
        now[0] += 0.75
        found.append((step, timer.update_last_triggered_step(step) if timer.should_trigger_for_step(step) else None))
    assert found == expected
    assert timer.last_triggered_step() is not None
    timer.reset()
    assert timer.last_triggered_step() is None and timer.should_trigger_for_step(4)


# --- Wrong arguments -------------------------------------------------------------------------------------------------

BOTH, NONE = "Can not provide both every_secs and every_steps.", "Either every_secs or every_steps should be provided."
EVERY_N = "either at_end and/or exactly one of every_n_iter and every_n_secs must be provided."


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tf.train.SecondOrStepTimer(), NONE),
        (lambda: tf.train.SecondOrStepTimer(1, 2), BOTH),
        (lambda: tf.train.StopAtStepHook(), "One of num_steps or last_step must be specified."),
        (lambda: tf.train.StopAtStepHook(1, 2), "Only one of num_steps or last_step can be specified."),
        (lambda: tf.train.LoggingTensorHook({}), EVERY_N),
        (lambda: tf.train.LoggingTensorHook({}, every_n_iter=1, every_n_secs=1), EVERY_N),
        (lambda: tf.train.LoggingTensorHook({}, every_n_iter=0), "invalid every_n_iter=0."),
        (lambda: tf.train.CheckpointSaverHook("d"), NONE),
        (lambda: tf.train.CheckpointSaverHook("d", 1, 2), BOTH),
        (lambda: tf.train.CheckpointSaverHook("d", 1, saver=1, scaffold=1), "You cannot provide both saver and scaf"),
        (lambda: tf.train.SummarySaverHook(1), "Exactly one of scaffold or summary_op must be provided."),
        (lambda: tf.train.SummarySaverHook(1, scaffold=1, summary_op=1), "Exactly one of scaffold or summary_op"),
        (lambda: tf.train.SummarySaverHook(1, 2, summary_op=1), BOTH),
        (lambda: tf.train.StepCounterHook(1, 2), "exactly one of every_n_steps and every_n_secs should be provided."),
        (lambda: tf.train.StepCounterHook(None), "exactly one of every_n_steps and every_n_secs should be provided."),
        (lambda: tf.train.ProfilerHook(), NONE),
        (lambda: tf.train.ProfilerHook(1, 2), BOTH),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda folder: tf.train.StopAtStepHook(1), "StopAtStepHook"),
        (lambda folder: tf.train.CheckpointSaverHook(folder, 1), "CheckpointSaverHook"),
        (lambda folder: tf.train.SummarySaverHook(1, output_dir=folder, summary_op=1), "SummarySaverHook"),
        (lambda folder: tf.train.StepCounterHook(1, output_dir=folder), "StepCounterHook"),
        (lambda folder: tf.train.ProfilerHook(1, output_dir=folder), "ProfilerHook"),
        (lambda folder: tf.train.GlobalStepWaiterHook(1), "_GlobalStepWaiterHook"),
    ],
)
def test_hooks_that_need_the_global_step(make, name, tmp_path):
    with pytest.raises(RuntimeError) as caught:
        make(str(tmp_path)).begin()
    assert str(caught.value) == f"Global step should be created to use {name}."


def test_all_hooks_share_one_read_of_the_global_step():
    tf.train.get_or_create_global_step()
    nodes = tf.get_default_graph().version
    for _ in range(2):
        tf.train.StopAtStepHook(1).begin()
    (read,) = tf.get_collection("global_step_read_op_cache")
    assert read.name == "global_step/add:0" and tf.get_default_graph().version - nodes == 11


# --- Stopping and waiting --------------------------------------------------------------------------------------------


def test_stop_after_a_number_of_steps():
    calls: list[str] = []
    recorder = Recorder(calls)
    train_with(tf.train.StopAtStepHook(num_steps=3), recorder)
    assert recorder.runs == 3


def test_stop_when_others_increase_the_step():
    _, v, train = counting_model()
    with tf.train.MonitoredSession(hooks=[tf.train.StopAtStepHook(last_step=4)]) as session:
        session.run(train)
        for _ in range(3):
            session._tf_sess().run(train)
        assert not session.should_stop()
        session.run(v)
        assert session.should_stop()


def test_waiting_for_a_step(caplog, monkeypatch):
    step, v, _ = counting_model()
    jump = tf.assign_add(step, 402)
    sleeps = []
    with tf.train.MonitoredSession(hooks=[tf.train.GlobalStepWaiterHook(2100)]) as session:

        def sleep(seconds):
            sleeps.append(seconds)
            session._tf_sess().run(jump)

        monkeypatch.setattr("time.sleep", sleep)
        session.run(v)
        session.run(v)
    assert sleeps == [0.5] * 6
    waiting = "Waiting for global step 2100 before starting training."
    assert own_messages(caplog) == [waiting, f"{waiting} Current step is 1206."]


def test_not_waiting():
    _, v, _ = counting_model()
    with tf.train.MonitoredSession(hooks=[tf.train.GlobalStepWaiterHook(0)]) as session:
        assert session.run(v) == 1.0


# --- Logging ---------------------------------------------------------------------------------------------------------


def test_logging_tensors(caplog):
    step, v, train = counting_model()
    tf.constant([[1.5, 1e-9], [2, 3]], name="w")
    variable = "<tf.Variable 'v:0' shape=() dtype=float32_ref>"
    hooks = [
        tf.train.StopAtStepHook(last_step=5),
        tf.train.LoggingTensorHook({"b": v, "a": step}, every_n_iter=2),
        tf.train.LoggingTensorHook([v, "w"], every_n_iter=4, at_end=True),
        tf.train.LoggingTensorHook(["v:0"], at_end=True),
        tf.train.LoggingTensorHook([v], every_n_secs=1000, formatter=lambda values: f"value {values[v]}"),
    ]
    with tf.train.MonitoredSession(hooks=hooks) as session:
        while not session.should_stop():
            session.run(train)
    matrix = "[[1.5 0. ]\n [2.  3. ]]"
    assert own_messages(caplog) == [
        "a = 1, b = 2.0",
        f"{variable} = 2.0, w = {matrix}",
        "value 2.0",
        "a = 3, b = 4.0 (T sec)",
        "a = 5, b = 6.0 (T sec)",
        f"{variable} = 6.0, w = {matrix} (T sec)",
        f"{variable} = 6.0, w = {matrix} (T sec)",
        "v:0 = 6.0",
    ]


def test_a_percent_sign_in_a_line_is_no_format(caplog):
    _, v, _ = counting_model()
    hook = tf.train.LoggingTensorHook({"rate %d": v}, every_n_iter=1)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        session.run(v)
    assert own_messages(caplog) == ["rate %d = 1.0"]


def test_tensors_that_cannot_be_logged():
    tf.split(tf.constant([1.0, 2.0]), 2, name="two")
    other = tf.Graph()
    with other.as_default():
        foreign = tf.constant(1.0)
    for tensor, kind, message in [
        ("none", KeyError, "The name 'none:0' refers to a Tensor which does not exist"),
        ("two", ValueError, "Name two is ambiguous, as this `Operation` has multiple outputs (at least 2)."),
        (3, ValueError, "Passed 3 should have graph attribute that is equal to current graph"),
        (foreign, ValueError, 'Passed Tensor("Const:0", shape=(), dtype=float32) should have graph attribute'),
    ]:
        with pytest.raises(kind) as caught:
            tf.train.LoggingTensorHook([tensor], every_n_iter=1).begin()
        assert message in str(caught.value)
    tf.train.LoggingTensorHook(["two:1"], every_n_iter=1).begin()


def test_steps_a_second(caplog, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    step, _, train = counting_model()
    with tf.train.MonitoredSession(hooks=[tf.train.StepCounterHook(2, output_dir=str(tmp_path))]) as session:
        for _ in range(6):
            session.run(train)
            now[0] += 0.25
    assert [record.getMessage() for record in caplog.records][-2:] == ["global_step/sec: 4"] * 2
    tf.summary.FileWriterCache.clear()
    rate = "summary", [("global_step/sec", "RATE")]
    assert events(tmp_path)[-2:] == [(3, *rate), (5, *rate)]


def test_a_step_that_stands_still(caplog, monkeypatch):
    monkeypatch.setattr(tf_logging, "_counts", {})
    _, v, _ = counting_model()
    with tf.train.MonitoredSession(hooks=[tf.train.StepCounterHook(2)]) as session:
        for _ in range(8):
            session.run(v)
    warning = (
        "It seems that global step (tf.train.get_global_step) has not been increased. Current value (could be stable): "
        "0 vs previous value: 0. You could increase the global step by passing tf.train.get_global_step() to "
        "Optimizer.apply_gradients or Optimizer.minimize."
    )
    assert own_messages(caplog) == [warning] * 5


@pytest.mark.parametrize("fail", [True, False])
def test_a_loss_that_is_no_number(fail, caplog):
    loss = tf.placeholder_with_default(float("nan"), [])
    tf.Variable(1.0)
    session = tf.train.MonitoredSession(hooks=[tf.train.NanTensorHook(loss, fail)])
    assert session.run(loss, {loss: 1.0}) == 1.0 and not session.should_stop()
    if fail:
        with pytest.raises(tf.train.NanLossDuringTrainingError, match="NaN loss during training."):
            session.run(loss)
    else:
        assert np.isnan(session.run(loss)) and session.should_stop()
    session.close()
    assert caplog.records[-1].levelname == ("ERROR" if fail else "WARNING")
    assert own_messages(caplog) == ["Model diverged with loss = NaN."]


# --- Checkpoints -----------------------------------------------------------------------------------------------------


class Listener(tf.train.CheckpointSaverListener):
    """Notes its calls, and ends the training at a step."""

    def __init__(self, calls: list[Any], stop_at: int | None = None) -> None:
        self.calls, self.stop_at = calls, stop_at

    def begin(self):
        self.calls.append("begin")

    def before_save(self, session, global_step_value):
        self.calls.append(("before", global_step_value))

    def after_save(self, session, global_step_value):
        self.calls.append(("after", global_step_value))
        return global_step_value == self.stop_at

    def end(self, session, global_step_value):
        self.calls.append(("end", global_step_value))


def test_a_listener_can_end_the_training(tmp_path, caplog):
    calls: list[Any] = []
    _, _, train = counting_model()
    listener = Listener(calls, stop_at=4)
    hook = tf.train.CheckpointSaverHook(str(tmp_path), save_steps=2, saver=tf.train.Saver(), listeners=[listener])
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        while not session.should_stop():
            session.run(train)
    saved = [(when, step) for step in (0, 2, 4) for when in ("before", "after")]
    assert calls == ["begin", *saved, ("end", 4)]
    assert own_messages(caplog, tmp_path) == [
        "Create CheckpointSaverHook.",
        *(f"Saving checkpoints for {step} into DIR/model.ckpt." for step in (0, 2, 4)),
        f"A CheckpointSaverListener requested that training be stopped. listener: {listener}",
    ]


def test_a_listener_does_not_hear_of_an_error(tmp_path):
    calls: list[Any] = []
    counting_model()
    hook = tf.train.CheckpointSaverHook(str(tmp_path), 100, saver=tf.train.Saver(), listeners=[Listener(calls)])
    with pytest.raises(ValueError), tf.train.MonitoredSession(hooks=[hook]):
        raise ValueError
    assert calls == ["begin", ("before", 0), ("after", 0)]


def test_checkpoints_by_time(tmp_path, monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    _, _, train = counting_model()
    hook = tf.train.CheckpointSaverHook(str(tmp_path), save_secs=10, saver=tf.train.Saver(), checkpoint_basename="m")
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(6):
            now[0] += 4
            session.run(train)
    assert own_messages(caplog, tmp_path)[1:] == [f"Saving checkpoints for {step} into DIR/m." for step in (0, 3, 6)]


def test_which_saver_is_taken(tmp_path):
    hook = tf.train.CheckpointSaverHook(str(tmp_path), 1)
    with pytest.raises(RuntimeError, match="No items in collection savers. Please add a saver to the collection or"):
        hook._get_saver()
    for saver in ("first", "second"):
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)
    with pytest.raises(RuntimeError, match="More than one item in collection savers. Please indicate which one to use"):
        hook._get_saver()
    scaffold = tf.train.Scaffold(saver="mine")
    assert tf.train.CheckpointSaverHook(str(tmp_path), 1, scaffold=scaffold)._get_saver() == "mine"


# --- Summaries and traces --------------------------------------------------------------------------------------------


def test_summaries(tmp_path):
    _, v, train = counting_model()
    summaries = [tf.summary.scalar("one", v), tf.summary.scalar("two", v * 2)]
    hooks = [
        tf.train.SummarySaverHook(save_steps=2, output_dir=str(tmp_path), summary_op=summaries),
        tf.train.StopAtStepHook(5),
    ]
    with tf.train.MonitoredSession(hooks=hooks) as session:
        while not session.should_stop():
            session.run(train)
    written = [(step, "summary", [(tag, step * n)]) for step in (1, 3, 5) for n, tag in ((1.0, "one"), (2.0, "two"))]
    assert [event for event in events(tmp_path) if event[1] in ("session_log", "summary")] == [
        (1, "session_log", ("START", "")),
        *written,
    ]


def test_summaries_without_a_writer_or_an_operation():
    train_with(tf.train.SummarySaverHook(1, scaffold=tf.train.Scaffold()), tf.train.StopAtStepHook(2))


def test_timelines(tmp_path, caplog):
    train_with(tf.train.ProfilerHook(save_steps=2, output_dir=str(tmp_path)), tf.train.StopAtStepHook(6))
    names = [f"timeline-{step}.json" for step in (2, 4, 6)]
    assert own_messages(caplog, tmp_path) == [
        f"Saving timeline for {step} into 'DIR/{name}'." for step, name in zip((2, 4, 6), names, strict=True)
    ]
    assert [name for name in files(tmp_path) if name.endswith("json")] == names
    assert json.loads((tmp_path / names[0]).read_text())["traceEvents"]
    tf.summary.FileWriterCache.clear()
    traces = [contents for _, kind, contents in events(tmp_path) if kind == "tagged_run_metadata"]
    assert traces == ["step_2", "step_4", "step_6"]


# --- Values in and out -----------------------------------------------------------------------------------------------


def test_feeding_each_run():
    p = tf.placeholder(tf.float32, [])
    doubled, numbers = p * 2, iter([1.0, 2.0])
    with tf.train.MonitoredSession(hooks=[tf.train.FeedFnHook(lambda: {p: next(numbers)})]) as session:
        assert [session.run(doubled), session.run(doubled)] == [2.0, 4.0]


def test_final_values():
    step, v, train = counting_model()
    p = tf.placeholder(tf.float32, [])
    hooks = [
        tf.train.FinalOpsHook({"v": v, "step": step}),
        tf.train.FinalOpsHook(p * 2, {p: 4.0}),
        tf.train.FinalOpsHook(None),
    ]
    assert hooks[0].final_ops_values is None
    with tf.train.MonitoredSession(hooks=hooks) as session:
        session.run(train)
    assert [hook.final_ops_values for hook in hooks] == [{"v": 2.0, "step": 1}, 8.0, None]


def test_final_values_must_not_read_the_input(caplog):
    counting_model()
    queue = tf.FIFOQueue(1, tf.float32, shapes=[()])
    close, hook = queue.close(), tf.train.FinalOpsHook(queue.dequeue())
    with pytest.raises(tf.errors.OutOfRangeError), tf.train.MonitoredSession(hooks=[hook]) as session:
        session.run(close)
    (warning,) = own_messages(caplog)
    assert warning.startswith("An OutOfRangeError or StopIteration exception is raised by the code in FinalOpsHook.")
    assert warning.endswith("which ends OutOfRangeError/StopIteration. Please fix that.")
