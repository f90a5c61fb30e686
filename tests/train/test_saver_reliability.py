"""Processes that are killed while they save, full disks, and programs that read while another one saves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import millstream.v1 as tf
from millstream.train.checkpoint_management import write_state

PROGRAM = Path(__file__).with_name("saving_process.py")
KILLED, REFUSED = -9, 3
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
    """It is the old one, the new one, or refused; never a mixture."""
    tries = outcome("same_name kill", tmp_path, kind)
    found = [[value for value in item["values"] if value != "DataLossError"] for item in tries]
    for item, good in zip(tries, found, strict=True):
        assert len(good) <= 1 and set(good) <= {item["old"], item["new"]}
    kinds = {("old", "new")[good[0] == item["new"]] if len(item["values"]) == 1 and good else "refused"
             for item, good in zip(tries, found, strict=True)}  # fmt: skip
    assert kinds == {"old", "new", "refused"}


@pytest.mark.parametrize("action", ["full", "broken"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_at_every_step(tmp_path: Path, kind: str, action: str) -> None:
    tries = outcome(f"numbered {action}", tmp_path, kind)
    assert all(item["left"] == [] for item in tries)
    for item in tries:
        assert item["values"] == [int(item["newest"].rpartition("-")[2])]
    assert {item["ended"] for item in tries} == {REFUSED if action == "full" else 1, 0}


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
    from millstream.io.bundle_reader import BundleReader

    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [2])
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "m"))
        real = BundleReader.found

        def found(self: Any, name: str) -> Any:
            tf.train.remove_checkpoint(str(tmp_path / "m"))
            return real(self, name)

        monkeypatch.setattr(BundleReader, "found", found)
        with pytest.raises(ValueError, match="not a valid checkpoint: .*deleted while it was restored"):
            saver.restore(session, str(tmp_path / "m"))


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
