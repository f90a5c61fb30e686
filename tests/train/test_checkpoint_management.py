"""The file `checkpoint`, and finding and deleting checkpoints."""
from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

import millstream.v1 as tf
from millstream.io import proto


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_generated_state() -> None:
    state = tf.train.generate_checkpoint_state_proto("/d", "/d/m-2", ["/d/m-1"])
    assert state.model_checkpoint_path == "/d/m-2" and list(state.all_model_checkpoint_paths) == ["/d/m-1", "/d/m-2"]
    assert not state.all_model_checkpoint_timestamps and not state.last_preserved_timestamp
    state = tf.train.generate_checkpoint_state_proto("d", "d/m-2", ["d/m-1", "/a", "d/m-2"], [1, 2, 3], 0.5)
    assert state.model_checkpoint_path == "m-2" and list(state.all_model_checkpoint_paths) == ["m-1", "/a", "m-2"]
    assert list(state.all_model_checkpoint_timestamps) == [1, 2, 3] and state.last_preserved_timestamp == 0.5
    with pytest.raises(ValueError, match="Checkpoint timestamps, if provided, must match checkpoint paths"):
        tf.train.generate_checkpoint_state_proto("d", "d/m", None, [1, 2])


def test_state_file(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert tf.train.get_checkpoint_state(folder) is None and tf.train.latest_checkpoint(folder) is None
    tf.train.update_checkpoint_state(folder, "m-2", ["m-1", "m-2"])
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "m-2"\nall_model_checkpoint_paths: "m-1"\nall_model_checkpoint_paths: "m-2"\n'
    )
    state = tf.train.get_checkpoint_state(folder)
    assert isinstance(state, proto.CheckpointState)
    assert state.model_checkpoint_path == f"{folder}/m-2"
    assert list(state.all_model_checkpoint_paths) == [f"{folder}/m-1", f"{folder}/m-2"]
    assert tf.train.get_checkpoint_state(os.fsencode(folder)) == state
    tf.train.update_checkpoint_state(folder, "/x/n", latest_filename="other")
    assert tf.train.get_checkpoint_state(folder, "other").model_checkpoint_path == "/x/n"
    with pytest.raises(RuntimeError, match="conflicts with path used for checkpoint state"):
        tf.train.update_checkpoint_state(folder, f"{folder}/checkpoint")


@pytest.mark.parametrize("content", ["model_checkpoint_path: ", "nonsense { 3", "\udcff"])
def test_state_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    (tmp_path / "checkpoint").write_bytes(content.encode("utf-8", "surrogateescape"))
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    assert tf.train.get_checkpoint_state(str(tmp_path)) is None
    logger.removeHandler(caplog.handler)
    assert "Checkpoint ignored" in caplog.text


def test_state_of_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "checkpoint")
    with pytest.raises(ValueError, match="Invalid checkpoint state loaded from"):
        tf.train.get_checkpoint_state(str(tmp_path))


def test_latest_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tf.train.update_checkpoint_state(str(tmp_path), "m")
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    assert tf.train.latest_checkpoint(str(tmp_path)) is None
    logger.removeHandler(caplog.handler)
    assert "Couldn't match files for checkpoint" in caplog.text
    touch(tmp_path, "m.index")
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "m")


def test_existence(tmp_path: Path) -> None:
    touch(tmp_path, "new.index", "old", "part-00000-of-00002")
    names = ["new", "old", "part-?????-of-00002", "none", "new.index"]
    assert [tf.train.checkpoint_exists(str(tmp_path / name)) for name in names] == [True, True, True, False, True]
    os.utime(tmp_path / "new.index", (1.5, 1.5))
    os.utime(tmp_path / "old", (3, 3))
    assert tf.train.get_checkpoint_mtimes([str(tmp_path / name) for name in ("new", "none", "old")]) == [1.5, 3]


def test_removal(tmp_path: Path) -> None:
    touch(tmp_path, "m.index", "m.data-00000-of-00002", "m.data-00001-of-00002", "m.meta", "m.other", "mm.index", "old")
    tf.train.remove_checkpoint(str(tmp_path / "m"))
    assert sorted(os.listdir(tmp_path)) == ["m.other", "mm.index", "old"]
    tf.train.remove_checkpoint(str(tmp_path / "old"), tf.train.SaverDef.V1)
    tf.train.remove_checkpoint(str(tmp_path / "none"))
    assert sorted(os.listdir(tmp_path)) == ["m.other", "mm.index"]


def test_waiting_for_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, found, slept = str(tmp_path), [], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) in (2, 5):
            touch(tmp_path, f"m-{len(slept)}.index")
            tf.train.update_checkpoint_state(folder, f"m-{len(slept)}")

    monkeypatch.setattr("time.sleep", sleep)
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock) / 10)
    timeouts: list[Any] = []
    give_up = lambda: timeouts.append(0) or len(timeouts) > 1  # noqa: E731
    for prefix in tf.train.checkpoints_iterator(folder, timeout=1.0, timeout_fn=give_up):
        found.append(os.path.basename(prefix))
    assert found == ["m-2", "m-5"] and len(timeouts) == 2
