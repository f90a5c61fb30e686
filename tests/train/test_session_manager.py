"""`tf.train.SessionManager`. Messages are those of TensorFlow 1.15.5."""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from training import messages

import millstream.v1 as tf

RUNNING = ["Running local_init_op.", "Done running local_init_op."]


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes only while somebody sleeps; the times of sleeping."""
    sleeps: list[float] = []
    monkeypatch.setattr("time.time", lambda: sum(sleeps))
    monkeypatch.setattr("time.sleep", sleeps.append)
    return sleeps


def variables() -> tuple[Any, Any, Any]:
    """Two variables, and what says which of them are not initialised."""
    v, w = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="w")
    return v, w, tf.report_uninitialized_variables()


@pytest.fixture
def checkpoints(tmp_path) -> Any:
    """A folder with checkpoints m-3 and m-4 of the variables."""
    with tf.Graph().as_default(), tf.Session() as session:
        v, _, _ = variables()
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        for step in (3, 4):
            session.run(v.assign(step + 6.0))
            saver.save(session, str(tmp_path / "m"), global_step=step)
    return tmp_path


# --- prepare_session -------------------------------------------------------------------------------------------------


def test_nothing_to_initialise_with():
    variables()
    with pytest.raises(RuntimeError) as caught:
        tf.train.SessionManager().prepare_session("")
    assert str(caught.value) == "Model is not initialized and no init_op or init_fn or local_init_op was given"


def test_init_op_feed_and_fn():
    v, w, ready = variables()
    p = tf.placeholder(tf.float32, [])
    seen = []
    session = tf.train.SessionManager(ready_op=ready).prepare_session(
        "",
        init_op=tf.group(v.assign(p), w.assign(p)),
        init_feed_dict={p: 7.0},
        init_fn=lambda session: seen.append(session.run(v)),
    )
    assert session.run([v, w]) == [7.0, 7.0] and seen == [7.0]


def test_init_fn_alone():
    v, w, ready = variables()
    both = tf.global_variables_initializer()
    session = tf.train.SessionManager(ready_op=ready).prepare_session("", init_fn=lambda session: session.run(both))
    assert session.run([v, w]) == [1.0, 2.0]


def test_local_init_op_runs_when_it_can(caplog):
    v, w, ready = variables()
    ready_for_local = tf.report_uninitialized_variables([v])
    manager = tf.train.SessionManager(w.initializer, ready, ready_for_local)
    assert manager.prepare_session("", init_op=v.initializer).run(w) == 2.0
    assert messages(caplog) == RUNNING


def test_what_is_not_ready_is_named():
    v, w, ready = variables()
    with pytest.raises(RuntimeError) as caught:
        tf.train.SessionManager(ready_op=ready).prepare_session("", init_op=v.initializer)
    assert str(caught.value) == (
        "Init operations did not make model ready.  Init op: v/Assign, init fn: None, local_init_op: None, error: "
        "Variables not initialized: w"
    )
    with pytest.raises(RuntimeError, match="Init op: <no name for <class 'list'>>, init fn: None"):
        tf.train.SessionManager(ready_op=ready).prepare_session("", init_op=[v.initializer])
    with pytest.raises(RuntimeError) as caught:
        tf.train.SessionManager(tf.no_op(), None, ready).prepare_session("", init_op=v.initializer)
    assert str(caught.value) == (
        "Init operations did not make model ready for local_init.  Init op: v/Assign, init fn: None, error: Variables "
        "not initialized: w"
    )


def test_other_kinds_of_ready_operations():
    """Operations that fail, and int32 tensors, as older programs have them."""
    v, w, _ = variables()
    init = tf.global_variables_initializer()
    for ready in (tf.identity(w), tf.assert_variables_initialized()):
        with pytest.raises(RuntimeError, match="error: Attempting to use uninitialized value w"):
            tf.train.SessionManager(ready_op=ready).prepare_session("", init_op=v.initializer)
    for ready in (tf.assert_variables_initialized(), tf.no_op(), tf.constant([], tf.string)):
        assert tf.train.SessionManager(ready_op=ready).prepare_session("", init_op=init).run(w) == 2.0
    with pytest.raises(tf.errors.InvalidArgumentError):
        wrong = tf.Assert(tf.equal(1, 2), ["wrong"])
        tf.train.SessionManager(ready_op=wrong).prepare_session("", init_op=init)


def test_local_init_op_is_needed():
    ready = tf.constant(1.0)
    with pytest.raises(ValueError) as caught:
        tf.train.SessionManager(ready_for_local_init_op=ready)
    assert str(caught.value).startswith(
        "If you pass a ready_for_local_init_op you must also pass a local_init_op , ready_for_local_init_op [Tensor("
    )


# --- Checkpoints -----------------------------------------------------------------------------------------------------


def test_the_newest_checkpoint_is_restored(checkpoints, caplog):
    v, w, ready = variables()
    saver = tf.train.Saver()
    session = tf.train.SessionManager(ready_op=ready).prepare_session(
        "", saver=saver, checkpoint_dir=str(checkpoints), init_op=tf.no_op()
    )
    assert session.run([v, w]) == [10.0, 2.0]
    assert saver.last_checkpoints == [str(checkpoints / name) for name in ("m-3", "m-4")]
    assert messages(caplog, checkpoints) == ["Restoring parameters from DIR/m-4"]


def test_a_checkpoint_by_name(checkpoints):
    v, _, ready = variables()
    path, saver = str(checkpoints / "m-3"), tf.train.Saver()
    manager = tf.train.SessionManager(ready_op=ready)
    assert manager.prepare_session("", saver=saver, checkpoint_filename_with_path=path).run(v) == 9.0
    assert saver.last_checkpoints == []
    with pytest.raises(ValueError, match="Can not provide both checkpoint_dir and checkpoint_filename_with_path."):
        manager.prepare_session(
            "", saver=saver, checkpoint_filename_with_path=path, checkpoint_dir=str(checkpoints)
        )
    with pytest.raises(ValueError, match="The passed save_path is not a valid checkpoint"):
        manager.recover_session("", saver=saver, checkpoint_filename_with_path=path + "0")


def whole(v: Any, w: Any, ready: Any) -> Any:
    return tf.train.Saver(), tf.train.SessionManager(ready_op=ready)


def part(v: Any, w: Any, ready: Any) -> Any:
    return tf.train.Saver([v]), tf.train.SessionManager(ready_op=ready)


def part_and_local(v: Any, w: Any, ready: Any) -> Any:
    return tf.train.Saver([v]), tf.train.SessionManager(w.initializer, ready)


def part_and_waiting(v: Any, w: Any, ready: Any) -> Any:
    return tf.train.Saver([v]), tf.train.SessionManager(tf.no_op(), ready, ready)


@pytest.mark.parametrize(
    ("make", "is_ready", "expected"),
    [
        (whole, True, ["Restored model from DIR"]),
        (part, False, ["Restoring model from DIR did not make model ready: Variables not initialized: w"]),
        (part_and_local, True, [*RUNNING, "Restored model from DIR"]),
        (
            part_and_waiting,
            False,
            ["Restoring model from DIR did not make model ready for local init: Variables not initialized: w"],
        ),
    ],
)
def test_recover_session(make: Callable[..., Any], is_ready, expected, checkpoints, caplog):
    saver, manager = make(*variables())
    session, recovered = manager.recover_session("", saver=saver, checkpoint_dir=str(checkpoints))
    assert isinstance(session, tf.Session) and recovered is is_ready
    assert messages(caplog, checkpoints) == ["Restoring parameters from DIR/m-4", *expected]


def test_nothing_to_recover(tmp_path):
    _, _, ready = variables()
    manager, saver = tf.train.SessionManager(ready_op=ready), tf.train.Saver()
    assert manager.recover_session("", saver=saver)[1] is False
    assert manager.recover_session("", saver=saver, checkpoint_dir=str(tmp_path))[1] is False
    assert manager.recover_session("", checkpoint_dir=str(tmp_path))[1] is False


def test_waiting_for_a_checkpoint(checkpoints, tmp_path, clock, caplog, monkeypatch):
    v, _, ready = variables()
    manager = tf.train.SessionManager(ready_op=ready, recovery_wait_secs=5)
    _, recovered = manager.recover_session(
        "", tf.train.Saver(), str(tmp_path / "none"), wait_for_checkpoint=True, max_wait_secs=12
    )
    waiting = "Waiting for checkpoint to be available."
    assert not recovered and clock == [5, 5, 5] and messages(caplog) == [waiting] * 3

    def copied(seconds):
        clock.append(seconds)
        (tmp_path / "late").symlink_to(checkpoints)

    monkeypatch.setattr("time.sleep", copied)
    session, recovered = manager.recover_session(
        "", tf.train.Saver(), str(tmp_path / "late"), wait_for_checkpoint=True, max_wait_secs=12
    )
    assert recovered and session.run(v) == 10.0 and len(clock) == 4


# --- wait_for_session ------------------------------------------------------------------------------------------------


def test_waiting_for_a_model(clock, caplog):
    v, w, ready = variables()
    manager = tf.train.SessionManager(ready_op=ready, recovery_wait_secs=5)
    with pytest.raises(tf.errors.DeadlineExceededError, match="Session was not ready after waiting 12 secs."):
        manager.wait_for_session("", max_wait_secs=12)
    waiting = "Waiting for model to be ready.  Ready_for_local_init_op:  "
    assert clock == [5, 5]
    assert messages(caplog) == [f"{waiting}None, ready: Variables not initialized: v, w"] * 2
    caplog.clear()
    manager = tf.train.SessionManager(
        w.initializer, ready, tf.report_uninitialized_variables([v]), recovery_wait_secs=5
    )
    with pytest.raises(tf.errors.DeadlineExceededError):
        manager.wait_for_session("", max_wait_secs=6)
    assert messages(caplog) == [f"{waiting}Variables not initialized: v, ready: None"]


def test_a_model_that_is_ready(clock):
    nothing = tf.constant([], tf.string)
    manager = tf.train.SessionManager(ready_op=nothing)
    assert isinstance(manager.wait_for_session("", max_wait_secs=0), tf.Session) and clock == []
    assert isinstance(manager.wait_for_session("", max_wait_secs=None), tf.Session)
