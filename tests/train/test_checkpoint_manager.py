"""`tf.train.CheckpointManager`: keeping, deleting and going on."""
from __future__ import annotations

import os

import pytest

import millstream as tf
from millstream.train import checkpoint_manager
from millstream.train.checkpoint_manager import CheckpointManagerV1

v1 = tf.compat.v1


@pytest.fixture
def checkpoint():
    return tf.train.Checkpoint(v=tf.Variable(1.0))


@pytest.fixture
def clock(monkeypatch):
    """Time that goes on by a second with every look at it."""

    class Clock:
        now = 1_000_000.0

        def time(self):
            self.now += 1.0
            return self.now

    clock = Clock()
    monkeypatch.setattr(checkpoint_manager, "time", clock)
    return clock


def indexes(folder):
    return sorted(name.removesuffix(".index") for name in os.listdir(folder) if name.endswith(".index"))


def state(folder):
    return tf.train.get_checkpoint_state(str(folder))


def test_the_newest_are_kept(tmp_path, checkpoint, clock):
    manager = tf.train.CheckpointManager(checkpoint, tmp_path / "a" / "b", max_to_keep=2)
    assert manager.checkpoints == [] and manager.latest_checkpoint is None and not (tmp_path / "a").exists()
    folder = tmp_path / "a" / "b"
    paths = [manager.save() for _ in range(4)]
    assert paths == [str(folder / f"ckpt-{number}") for number in range(1, 5)]
    assert manager.checkpoints == paths[2:] and manager.latest_checkpoint == paths[3]
    assert sorted(os.listdir(folder)) == [
        "checkpoint", "ckpt-3.data-00000-of-00001", "ckpt-3.index", "ckpt-4.data-00000-of-00001", "ckpt-4.index",
    ]  # fmt: skip
    message = state(folder)
    assert list(message.all_model_checkpoint_paths) == paths[2:] and message.model_checkpoint_path == paths[3]
    first, second = message.all_model_checkpoint_timestamps
    assert first < second and message.last_preserved_timestamp == 1_000_000.0
    assert 'model_checkpoint_path: "ckpt-4"' in (folder / "checkpoint").read_text()


def test_a_program_that_starts_again_goes_on(tmp_path, checkpoint):
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=3)
    paths = [manager.save() for _ in range(3)]
    again = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    assert again.checkpoints == paths and again.latest_checkpoint == paths[-1]
    paths.append(again.save())
    assert again.checkpoints == paths[2:] and indexes(tmp_path) == ["ckpt-3", "ckpt-4"]


def test_some_are_kept_for_good(tmp_path, checkpoint, clock):
    def make():
        return tf.train.CheckpointManager(
            checkpoint, str(tmp_path), max_to_keep=1, keep_checkpoint_every_n_hours=10 / 3600
        )

    manager = make()
    for _ in range(3):
        manager.save()
    assert indexes(tmp_path) == ["ckpt-3"]  # less than ten seconds old
    clock.now += 10
    manager.save()
    manager.save()
    assert indexes(tmp_path) == ["ckpt-4", "ckpt-5"] and manager.checkpoints == [str(tmp_path / "ckpt-5")]
    kept = state(tmp_path).last_preserved_timestamp
    assert kept > 1_000_010
    again = make()
    assert again.checkpoints == [str(tmp_path / "ckpt-5")]
    again.save()
    assert indexes(tmp_path) == ["ckpt-4", "ckpt-6"] and state(tmp_path).last_preserved_timestamp == kept


def test_all_are_kept(tmp_path, checkpoint):
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=None, checkpoint_name="all")
    for _ in range(3):
        manager.save()
    assert indexes(tmp_path) == ["all-1", "all-2", "all-3"] and len(manager.checkpoints) == 3


def test_time_that_goes_back(tmp_path, checkpoint, clock, caplog):
    tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1).save()
    clock.now -= 100
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1)
    assert "seconds behind the last preserved checkpoint timestamp" in caplog.text
    manager.save()
    assert manager.latest_checkpoint == str(tmp_path / "ckpt-2")


def test_numbers(tmp_path, checkpoint):
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    manager.save()
    assert manager.save(checkpoint_number=99) == manager.save(99) == str(tmp_path / "ckpt-99")
    assert manager.save(checkpoint_number=tf.Variable(7)) == str(tmp_path / "ckpt-7")
    assert [os.path.basename(path) for path in manager.checkpoints] == ["ckpt-99", "ckpt-7"]
    assert checkpoint.save_counter.numpy() == 4


def test_relative_paths(tmp_path, checkpoint, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manager = tf.train.CheckpointManager(checkpoint, "here", max_to_keep=2)
    assert manager.save() == "here/ckpt-1" == tf.train.latest_checkpoint("here")
    assert tf.train.CheckpointManager(checkpoint, "here", max_to_keep=2).checkpoints == ["here/ckpt-1"]


def test_files_that_have_gone(tmp_path, checkpoint):
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1)
    os.remove(f"{manager.save()}.index")
    assert manager.save() == str(tmp_path / "ckpt-2") and manager.checkpoints == [str(tmp_path / "ckpt-2")]


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_is_kept(tmp_path, checkpoint, count):
    with pytest.raises(ValueError, match="Expected a positive integer or `None`"):
        tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=count)


# --- Since 2.x -------------------------------------------------------------------------------------------------------


def test_intervals(tmp_path, checkpoint):
    step = tf.Variable(0, dtype=tf.int64)

    def make(**settings):
        return tf.train.CheckpointManager(
            checkpoint, str(tmp_path), max_to_keep=3, step_counter=step, checkpoint_interval=5, **settings
        )

    manager, saved = make(), []
    assert manager.directory == str(tmp_path) and manager.checkpoint is checkpoint and manager.checkpoint_interval == 5
    for number in range(12):
        if manager.save():
            saved.append(number)
        step.assign_add(1)
    assert saved == [0, 5, 10]
    assert manager.save(check_interval=False) and manager.save() is None
    assert make().save() and make(last_checkpoint_step=10).save() is None
    manager = make()
    assert manager.restore_or_initialize() and manager.save() is None
    manager.sync()
    with pytest.raises(ValueError, match="`step_counter` should be passed"):
        tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1, checkpoint_interval=2)


def test_restore_or_initialize(tmp_path, checkpoint):
    called = []
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), 1, init_fn=lambda: called.append("init"))
    assert manager.restore_or_initialize() is None and called == ["init"]
    checkpoint.v.assign(5.0)
    path = manager.save(options=tf.train.CheckpointOptions())
    checkpoint.v.assign(0.0)
    assert manager.restore_or_initialize() == path and checkpoint.v.numpy() == 5.0 and called == ["init"]


# --- 1.x -------------------------------------------------------------------------------------------------------------


def test_in_a_session(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        v = v1.get_variable("v", initializer=1.0)
        step = v1.get_variable("step", initializer=40)
        session.run(v1.global_variables_initializer())
        checkpoint = v1.train.Checkpoint(v=v)
        manager = CheckpointManagerV1(checkpoint, str(tmp_path), max_to_keep=2)
        assert manager.save() == str(tmp_path / "ckpt-1") and manager.save() == str(tmp_path / "ckpt-2")
        assert manager.save(checkpoint_number=step) == str(tmp_path / "ckpt-40")
        assert indexes(tmp_path) == ["ckpt-2", "ckpt-40"]
        session.run(v.assign(9.0))
        checkpoint.restore(manager.latest_checkpoint).assert_consumed().run_restore_ops()
        assert session.run(v) == 1.0 and session.run(checkpoint.save_counter) == 3
