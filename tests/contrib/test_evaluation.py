"""`tf.contrib.training`'s evaluation of checkpoints. Messages and files are those of TensorFlow 1.15.5."""
from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from training import Recorder, counting_model, events, messages

import millstream.v1 as tf

training = tf.contrib.training
STARTED = ["Graph was finalized.", "Running local_init_op.", "Done running local_init_op."]


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield
    tf.summary.FileWriterCache.clear()


@pytest.fixture
def checkpoint(tmp_path) -> str:
    """A checkpoint at step 3."""
    with tf.Graph().as_default(), tf.Session() as session:
        step, _, train = counting_model()
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(train)
        return saver.save(session, str(tmp_path / "m"), global_step=step)


def without_times(texts: list[str]) -> list[str]:
    return [re.sub(r"\d{4}-\d\d-\d\d[-T]\d\d:\d\d:\d\d", "TIME", text) for text in texts]


def test_the_eval_step():
    step = training.get_or_create_eval_step()
    assert training.get_or_create_eval_step() is step and tf.local_variables() == [step]
    assert step.name == "eval_step:0" and step.dtype.base_dtype is tf.int64 and not step.trainable
    tf.add_to_collection(tf.GraphKeys.EVAL_STEP, step)
    with pytest.raises(ValueError, match="Multiple"):
        training.get_or_create_eval_step()


@pytest.mark.parametrize(
    ("arguments", "runs", "expected"),
    [
        ((3,), 3, ["Evaluation [1/3]", "Evaluation [2/3]", "Evaluation [3/3]"]),
        ((25,), 25, [*(f"Evaluation [{done}/25]" for done in range(2, 25, 2)), "Evaluation [25/25]"]),
        ((None,), 2, ["Evaluation [1]", "Evaluation [2]"]),
        ((2, False), 2, []),
    ],
)
def test_stopping_after_a_number_of_batches(arguments, runs, expected, caplog):
    increased = tf.assign_add(training.get_or_create_eval_step(), 1)
    hook = training.StopAfterNEvalsHook(*arguments)
    hook._set_evals_completed_tensor(increased)
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(runs):
            assert not session.should_stop()
            session.run(increased)
        assert session.should_stop() == (arguments[0] is not None)
    assert messages(caplog)[3:] == expected


def test_evaluating_once(checkpoint, tmp_path, caplog):
    step, v, _ = counting_model()
    tf.summary.scalar("value", v)
    folder = tmp_path / "summaries"
    hooks = [training.StopAfterNEvalsHook(2), training.SummaryAtEndHook(str(folder))]
    values = training.evaluate_once(checkpoint, eval_ops=v, final_ops={"v": v, "step": step}, hooks=hooks)
    assert values == {"v": 4.0, "step": 3}
    assert without_times(messages(caplog, tmp_path)) == [
        "Starting evaluation at TIMEZ",
        STARTED[0],
        "Restoring parameters from DIR/m-3",
        *STARTED[1:],
        "Evaluation [1/2]",
        "Evaluation [2/2]",
        "Finished evaluation at TIME",
    ]
    assert events(folder)[3:] == [(3, "summary", [("value", 4.0)])]


@pytest.mark.parametrize("make", [lambda v: {"v": v}, lambda v: [v], lambda v: (v,)])
def test_structures_of_operations(make, checkpoint):
    _, v, _ = counting_model()
    recorder = Recorder([])
    training.evaluate_once(checkpoint, eval_ops=make(v), hooks=[training.StopAfterNEvalsHook(3), recorder])
    assert recorder.runs == 3


def test_only_final_values(checkpoint):
    _, v, _ = counting_model()
    p = tf.placeholder(tf.float32, [])
    assert training.evaluate_once(checkpoint, final_ops=v * p, final_ops_feed_dict={p: 2.0}) == 8.0


def test_evaluating_repeatedly(checkpoint, tmp_path, caplog):
    _, v, _ = counting_model()
    calls: list[str] = []
    value = training.evaluate_repeatedly(
        str(tmp_path), final_ops=v, eval_interval_secs=0, timeout=0, hooks=[Recorder(calls)]
    )
    assert value == 4.0 and calls == ["hook begin", "hook after_create_session", "hook end"]
    assert without_times(messages(caplog, tmp_path)) == [
        "Waiting for new checkpoint at DIR",
        "Found new checkpoint at DIR/m-3",
        STARTED[0],
        "Restoring parameters from DIR/m-3",
        *STARTED[1:],
        "Starting evaluation at TIME",
        "Finished evaluation at TIME",
        "Waiting for new checkpoint at DIR",
        "Timed-out waiting for a checkpoint.",
    ]
    assert training.evaluate_repeatedly(str(tmp_path), final_ops=v, max_number_of_evaluations=1) == 4.0


def test_summaries_at_the_end(tmp_path):
    _, _, train = counting_model()
    p = tf.placeholder(tf.float32, [])
    hook = training.SummaryAtEndHook(str(tmp_path), summary_op=tf.summary.scalar("q", p), feed_dict={p: 3.0})
    with tf.train.MonitoredSession(hooks=[hook]) as session:
        session.run(train)
    assert events(tmp_path)[-1] == (1, "summary", [("q", 3.0)])
    with pytest.raises(ValueError, match="One of log_dir or summary_writer should be used."):
        training.SummaryAtEndHook()


def test_waiting_for_a_checkpoint(checkpoint, tmp_path, monkeypatch):
    assert training.wait_for_new_checkpoint(str(tmp_path)) == checkpoint
    sleeps: list[float] = []
    monkeypatch.setattr("time.monotonic", lambda: sum(sleeps))
    monkeypatch.setattr("time.sleep", sleeps.append)
    assert training.wait_for_new_checkpoint(str(tmp_path), checkpoint, seconds_to_sleep=2, timeout=5) is None
    assert sleeps == [2, 2, 1]
    assert list(training.checkpoints_iterator(str(tmp_path), timeout=0)) == [checkpoint]
