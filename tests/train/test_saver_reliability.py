"""Processes that are killed while they save, full disks, and programs that read while another one saves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import millstream.v1 as tf
from millstream.io.bundle_reader import BundleReader
from millstream.train.checkpoint_management import write_state

PROGRAM = Path(__file__).with_name("saving_process.py")
KILLED, REFUSED, TOLERATED = -9, 3, 4
KINDS = ["whole", "sharded"]


def outcome(task: str, folder: Path, kind: str) -> Any:
    command = [sys.executable, str(PROGRAM), task, str(folder), kind]
    return json.loads(subprocess.check_output(command, text=True, timeout=120))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_every_step_of_a_save(tmp_path: Path, kind: str) -> None:
    """The newest checkpoint is whole, the one before or the new one."""
    tries = outcome("numbered kill", tmp_path, kind)
    steps = [int(item["newest"].rpartition("-")[2]) for item in tries]
    assert [item["values"] for item in tries] == [[step] for step in steps]
    assert [item["ended"] for item in tries] == [KILLED] * (len(tries) - 1) + [0]
    assert len(tries) > (25 if kind == "sharded" else 15)
    newer = [step == number for number, step in enumerate(steps, 1)]
    assert not newer[0] and newer[-1] and len(set(newer)) == 2
    assert all(step >= before for before, step in zip(steps, steps[1:], strict=False))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_while_a_checkpoint_is_overwritten(tmp_path: Path, kind: str) -> None:
    """It is the old one until it is the new one; and its files have their usual names at the end."""
    tries = outcome("same_name kill", tmp_path, kind)
    assert all(item["values"] in ([item["old"]], [item["new"]]) for item in tries)
    newer = [item["values"] == [item["new"]] for item in tries]
    assert newer == sorted(newer) and set(newer) == {False, True} and newer.count(True) > 5
    count = 2 if kind == "sharded" else 1
    data = [f"model.data-{shard:05d}-of-{count:05d}" for shard in range(count)]
    assert [name for name in tries[-1]["files"] if ".data" in name or ".index" in name] == [*data, "model.index"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_while_a_checkpoint_is_overwritten(tmp_path: Path, kind: str) -> None:
    """The old one stays where the save says that it failed."""
    tries = outcome("same_name full", tmp_path, kind)
    ended = [item["ended"] for item in tries]
    assert set(ended) == {REFUSED, TOLERATED, 0}
    newer = [item["values"] == [item["new"]] for item in tries]
    assert all(item["values"] == [item["old"]] for item, new in zip(tries, newer, strict=True) if not new)
    assert newer == sorted(newer) and newer[ended.index(TOLERATED)]
    assert not any("temp" in name for item in tries for name in item["files"])


@pytest.mark.parametrize("action", ["full", "broken"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_at_every_step(tmp_path: Path, kind: str, action: str) -> None:
    tries = outcome(f"numbered {action}", tmp_path, kind)
    assert all(item["left"] == [] for item in tries)
    for item in tries:
        assert item["values"] == [int(item["newest"].rpartition("-")[2])]
    assert {item["ended"] for item in tries} == {REFUSED if action == "full" else 1, TOLERATED, 0}


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_cannot_grow(tmp_path: Path, kind: str) -> None:
    found = outcome("small_disk", tmp_path, kind)
    assert found["ended"] == REFUSED and found["values"] == [0] and found["newest"] == f"{tmp_path}/model-0"
    assert not any("temp" in name or "model-1" in name for name in found["files"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kill_leaves_is_cleared_away(tmp_path: Path, kind: str) -> None:
    before, after = outcome("leftovers", tmp_path, kind)
    assert any("temp" in name for name in before) and not any("temp" in name for name in after)


def test_an_evaluation_while_another_process_trains(tmp_path: Path) -> None:
    """The loop of a program that evaluates: it always finds a checkpoint that is whole."""
    variables = [tf.get_variable(name, [3000]) for name in ("a", "b", "c/d")]
    saver, seen = tf.train.Saver(), []
    command = [sys.executable, str(PROGRAM), "train60", str(tmp_path), "whole"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trainer, tf.Session() as session:
        assert trainer.stdout is not None and trainer.stdout.readline() == "1\n"
        while trainer.poll() is None:
            newest = tf.train.latest_checkpoint(str(tmp_path))
            assert newest is not None
            try:
                saver.restore(session, newest)
            except ValueError as error:  # five newer ones have come since
                assert "not a valid checkpoint" in str(error)
                continue
            step = int(newest.rpartition("-")[2])
            assert all(set(value.tolist()) == {step} for value in session.run(variables))
            seen.append(step)
        assert trainer.wait() == 0
    assert seen == sorted(seen) and len(set(seen)) > 3
    assert len(list(tmp_path.glob("*.index"))) == 5


def test_a_checkpoint_that_is_deleted_while_it_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its files are open, it is there to the end; before, the error says what has happened."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [2])
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        for step in ("found", "_read_header"):
            saver.save(session, str(tmp_path / "m"))
            real = getattr(BundleReader, step)

            def deleting(*arguments: Any, real: Any = real) -> Any:
                tf.train.remove_checkpoint(str(tmp_path / "m"))
                return real(*arguments)

            with monkeypatch.context() as patch:
                patch.setattr(BundleReader, step, deleting)
                if step == "found":
                    saver.restore(session, str(tmp_path / "m"))
                    continue
                with pytest.raises(ValueError, match="not a valid checkpoint: .*deleted while it was restored"):
                    saver.restore(session, str(tmp_path / "m"))


def test_a_reader_while_another_process_overwrites(tmp_path: Path) -> None:
    """What it opens is whole, and stays."""
    command = [sys.executable, str(PROGRAM), "overwrite60", str(tmp_path), "whole"]
    seen: set[float] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None and trainer.stdout.readline() == "1\n"
        while trainer.poll() is None:
            with BundleReader(str(tmp_path / "model")) as reader:
                values = [set(reader.read(name).tolist()) for name in ("a", "b", "c/d")]
            assert values[0] == values[1] == values[2] and len(values[0]) == 1
            seen |= values[0]
        assert trainer.wait() == 0
    assert len(seen) > 3


def test_a_damaged_state_file(tmp_path: Path) -> None:
    """A changed or shortened file names a checkpoint that is there, or none; nothing else is read of it."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [2])
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        for step in (1, 2):
            saver.save(session, str(tmp_path / "m"), step, write_meta_graph=False)
    write_state(str(tmp_path), "m-2", ["m-1", "m-2"])
    state = tmp_path / "checkpoint"
    content = state.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        for damaged in (bytes(changed), content[:position]):
            state.write_bytes(damaged)
            try:
                assert tf.train.latest_checkpoint(str(tmp_path)) in (None, f"{tmp_path}/m-1", f"{tmp_path}/m-2")
            except ValueError as error:
                assert "Invalid checkpoint state" in str(error)
