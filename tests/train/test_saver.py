"""`tf.train.Saver`: saving, restoring, keeping and deleting checkpoints, and what happens when something goes wrong."""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.train import saveables

RECORDED = Path(__file__).parent.parent / "io" / "data" / "tensorflow"


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def model() -> tuple[Any, Any, Any]:
    """Two kinds of variables, and a step."""
    v = tf.Variable([1.0, 2.0], name="v")
    with tf.variable_scope("scope", use_resource=True):
        r = tf.get_variable("r", initializer=np.float32([[3.0]]))
    return v, r, tf.train.get_or_create_global_step()


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def of(*prefixes: str) -> list[str]:
    """The files of checkpoints, with the list of them."""
    endings = (".data-00000-of-00001", ".index", ".meta")
    return sorted(["checkpoint", *(prefix + ending for prefix in prefixes for ending in endings)])


# --- Saving and restoring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True])
def test_round_trip(tmp_path: Path, sharded: bool) -> None:
    v, r, step = model()
    saver = tf.train.Saver(sharded=sharded)
    prefix = str(tmp_path / "m")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([v.assign([5.0, 6.0]), r.assign([[7.0]]), step.assign(8)])
        assert saver.save(session, prefix) == prefix
    assert files(tmp_path) == of("m")
    with tf.Session() as session:
        saver.restore(session, prefix)
        assert [value.tolist() for value in session.run([v, r, step])] == [[5, 6], [[7]], 8]


def test_one_file_for_each_device(tmp_path: Path) -> None:
    with tf.device("/cpu:0"):
        a = tf.Variable(1.0, name="a")
    b = tf.Variable(2.0, name="b")
    saver = tf.train.Saver(sharded=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "m"), write_meta_graph=False)
    assert files(tmp_path) == ["checkpoint", "m.data-00000-of-00002", "m.data-00001-of-00002", "m.index"]
    with tf.Session() as session:
        saver.restore(session, str(tmp_path / "m"))
        assert session.run([a, b]) == [1, 2]


def test_reads_what_tensorflow_wrote() -> None:
    v, r, step = model()
    with tf.Session() as session:
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(str(RECORDED)))
        assert [value.tolist() for value in session.run([v, r, step])] == [[1, 2], [[3]], 2]


def test_renaming_and_subsets(tmp_path: Path) -> None:
    v, r, _ = model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver({"x": v, "y/z": r}).save(session, str(tmp_path / "m"))
    with tf.Graph().as_default(), tf.Session() as session:
        other = tf.Variable([0.0, 0.0], name="other")
        tf.train.Saver({"x": other}).restore(session, str(tmp_path / "m"))
        assert session.run(other).tolist() == [1, 2]
    assert tf.train.list_variables(str(tmp_path)) == [("x", [2]), ("y/z", [1, 1])]


def test_reshape(tmp_path: Path) -> None:
    v, r, _ = model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver([v, r]).save(session, str(tmp_path / "m"))
    with tf.Graph().as_default(), tf.Session() as session:
        wide, flat = tf.Variable([[0.0], [0.0]]), tf.get_variable("flat", initializer=[0.0], use_resource=True)
        names = {"v": wide, "scope/r": flat}
        tf.train.Saver(names, reshape=True).restore(session, str(tmp_path / "m"))
        assert session.run(wide).tolist() == [[1], [2]] and session.run(flat).tolist() == [3]
        for name, variable in names.items():
            with pytest.raises(tf.errors.InvalidArgumentError, match="mismatch between the current graph"):
                tf.train.Saver({name: variable}).restore(session, str(tmp_path / "m"))


def test_parts_of_a_variable(tmp_path: Path) -> None:
    def parts(*lengths: int) -> list[Any]:
        made, start = [], 0
        for length in lengths:
            part = tf.Variable(np.arange(start, start + length)[:, None] * np.ones(2), name=f"part_{start}")
            part._set_save_slice_info(tf.Variable.SaveSliceInfo("whole", [6, 2], [start, 0], [length, 2]))
            made.append(part)
            start += length
        return made

    with tf.Session() as session:
        saver = tf.train.Saver(parts(2, 4))
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "m"))
    whole = tf.train.load_variable(str(tmp_path), "whole")
    assert whole[:, 1].tolist() == [0, 1, 2, 3, 4, 5]
    with tf.Graph().as_default(), tf.Session() as session:
        other = parts(3, 3)
        tf.train.Saver({"whole": other}).restore(session, str(tmp_path / "m"))
        assert np.array_equal(np.concatenate(session.run(other)), whole)


def test_objects_of_ones_own(tmp_path: Path) -> None:
    class Negated(saveables.SaveableObject):
        def __init__(self, variable: Any) -> None:
            super().__init__(variable, [saveables.SaveSpec(-variable.value(), "", "negated")], "negated")

        def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
            return self.op.assign(-restored_tensors[0])

    v = tf.Variable([1.0, -2.0], collections=[])
    tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, Negated(v))
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(v.initializer)
        saver.save(session, str(tmp_path / "m"))
        session.run(v.assign([0.0, 0.0]))
        saver.restore(session, str(tmp_path / "m"))
        assert session.run(v).tolist() == [1, -2]
    assert tf.train.load_variable(str(tmp_path), "negated").tolist() == [-1, 2]


def test_eager_execution(tmp_path: Path) -> None:
    from millstream.core import context

    with context.mode(True):
        v = tf.Variable([1.0, 2.0], name="v", use_resource=True)
        saver = tf.train.Saver([v])
        prefix = saver.save(None, str(tmp_path / "m"), global_step=3)
        v.assign([0.0, 0.0])
        saver.restore(None, prefix)
        assert v.numpy().tolist() == [1, 2] and files(tmp_path) == sorted(set(of("m-3")) - {"m-3.meta"})
        with pytest.raises(RuntimeError, match="must specify a list or dict"):
            tf.train.Saver()
        with pytest.raises(RuntimeError, match="instead of build"):
            saver.build()


# --- Errors ----------------------------------------------------------------------------------------------------------


def test_errors_of_save(tmp_path: Path) -> None:
    model()
    saver = tf.train.Saver()
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized"):
            saver.save(session, str(tmp_path / "m"))
        assert files(tmp_path) == []
        with pytest.raises(ValueError, match="must not contain path components"):
            saver.save(session, str(tmp_path / "m"), latest_filename="a/b")
        with pytest.raises(ValueError, match="'latest_filename' collides with 'save_path'"):
            saver.save(session, str(tmp_path / "checkpoint"))
        with pytest.raises(TypeError, match="'sess' must be a Session"):
            saver.save(None, str(tmp_path / "m"))
    with pytest.raises(RuntimeError, match="should be called before save"):
        tf.train.Saver(defer_build=True).save(None, str(tmp_path / "m"))


def test_missing_folders(tmp_path: Path) -> None:
    """One folder is made; where the one above is missing, that is an error."""
    model()
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "new" / "m"))
        assert files(tmp_path / "new") == of("m")
        (tmp_path / "file").touch()
        for name in ("file/m", "none/at/all/m"):
            with pytest.raises(ValueError, match="Parent directory of .* doesn't exist, can't save."):
                saver.save(session, str(tmp_path / name))


def test_errors_of_restore(tmp_path: Path) -> None:
    v, _, _ = model()
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        prefix = saver.save(session, str(tmp_path / "m"))
        with pytest.raises(ValueError, match="Can't load save_path when it is None."):
            saver.restore(session, None)
        with pytest.raises(ValueError, match="The passed save_path is not a valid checkpoint: .*none"):
            saver.restore(session, str(tmp_path / "none"))
        with pytest.raises(tf.errors.NotFoundError) as missing:
            tf.train.Saver({"w": v}).restore(session, prefix)
        beginning = "Restoring from checkpoint failed. This is most likely due to a Variable name or other graph key"
        assert str(missing.value).startswith(beginning)
        assert "Key w not found in checkpoint" in str(missing.value)
        with pytest.raises(tf.errors.InvalidArgumentError, match="dtype float does not equal original dtype int64"):
            tf.train.Saver({"global_step": v}).restore(session, prefix)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"lhs shape= \[2\] rhs shape= \[1,1\]"):
            tf.train.Saver({"scope/r": v}).restore(session, prefix)
        path = tmp_path / "m.data-00000-of-00001"
        path.write_bytes(bytes(len(path.read_bytes())))
        with pytest.raises(tf.errors.DataLossError, match="Checksum does not match"):
            saver.restore(session, prefix)
        assert session.run(v).tolist() == [1, 2]  # what fails changes nothing


def test_unknown_formats() -> None:
    model()
    with pytest.raises(RuntimeError, match="Unexpected write_version: 7"):
        tf.train.Saver(write_version=7)


def test_nothing_to_save(tmp_path: Path) -> None:
    saver = tf.train.Saver(allow_empty=True)
    with tf.Session() as session:
        assert saver.save(session, str(tmp_path / "m")) is None
        saver.restore(session, str(tmp_path / "none"))
    assert files(tmp_path) == ["m.meta"]


@pytest.mark.parametrize("sharded", [False, True])
def test_the_old_format(tmp_path: Path, sharded: bool, caplog: pytest.LogCaptureFixture) -> None:
    v, r, step = model()
    saver = tf.train.Saver(write_version=tf.train.SaverDef.V1, sharded=sharded, max_to_keep=2)
    ending = "-?????-of-00001" if sharded else ""
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([v.assign([5.0, 6.0]), r.assign([[7.0]]), step.assign(8)])
        for number in range(4):
            assert saver.save(session, str(tmp_path / "m"), number) == f"{tmp_path}/m-{number}{ending}"
    assert "V1 checkpoint format has been deprecated" in caplog.text
    kept = [f"m-{number}{ending}".replace("?????", "00000") for number in (2, 3)]
    assert files(tmp_path) == sorted(["checkpoint", *kept, "m-2.meta", "m-3.meta"])
    newest = tf.train.latest_checkpoint(str(tmp_path))
    assert newest == f"{tmp_path}/m-3{ending}" and tf.train.checkpoint_exists(newest)
    assert len(tf.train.get_checkpoint_mtimes([newest])) == 1
    assert tf.train.list_variables(newest) == [("global_step", []), ("scope/r", [1, 1]), ("v", [2])]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(f"{tmp_path}/m-3.meta").restore(session, newest)
        assert session.run("v:0").tolist() == [5, 6]
    with tf.Session() as session:
        tf.train.Saver().restore(session, newest)
        assert [value.tolist() for value in session.run([v, r, step])] == [[5, 6], [[7]], 8]
        with pytest.raises(tf.errors.NotFoundError, match='Tensor name "other" not found in checkpoint files'):
            tf.train.Saver({"other": v}).restore(session, newest)


def test_operations_of_the_old_format(tmp_path: Path) -> None:
    path = str(RECORDED / "old")
    with tf.Session() as session:
        assert session.run(tf.raw_ops.Restore(file_pattern=path, tensor_name="int", dt=tf.int32))[1] == 2**31 - 1
        part = tf.raw_ops.RestoreSlice(
            file_pattern=path, tensor_name="part", shape_and_slice="10 4 2,5:0,2", dt=tf.float32
        )
        assert part.shape == [5, 2] and session.run(part)[0].tolist() == [8, 9]
        other = str(tmp_path / "m")
        session.run(tf.raw_ops.Save(filename=other, tensor_names=["a", "b"], data=[tf.constant(1.0), tf.constant("x")]))
        assert session.run(tf.raw_ops.Restore(file_pattern=other, tensor_name="b", dt=tf.string)) == b"x"
        for arguments, message in [
            ({"tensor_name": "int", "dt": tf.int64}, "expected dtype int64 does not equal original dtype int32"),
            ({"tensor_name": "none", "dt": tf.int64}, 'Tensor name "none" not found'),
        ]:
            with pytest.raises(tf.errors.OpError, match=message):
                session.run(tf.raw_ops.Restore(file_pattern=path, **arguments))


# --- Which checkpoints there are -------------------------------------------------------------------------------------


def saved(folder: Path, count: int, before: Callable[[int], None] = lambda number: None, **settings: Any) -> Any:
    """A saver that has saved so many times."""
    step = tf.train.get_global_step() or model()[2]
    saver = tf.train.Saver(**settings)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for number in range(1, count + 1):
            before(number)
            session.run(step.assign(number))
            saver.save(session, str(folder / "m"), global_step=step, write_meta_graph=number != 2)
    return saver


def test_old_checkpoints_are_deleted(tmp_path: Path) -> None:
    saver = saved(tmp_path, 5, max_to_keep=2)
    assert saver.last_checkpoints == [str(tmp_path / "m-4"), str(tmp_path / "m-5")]
    assert files(tmp_path) == of("m-4", "m-5")
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert list(state.all_model_checkpoint_paths) == saver.last_checkpoints
    assert not state.all_model_checkpoint_timestamps


@pytest.mark.parametrize("limit", [None, 0])
def test_all_are_kept(tmp_path: Path, limit: int | None) -> None:
    saver = saved(tmp_path, 7, max_to_keep=limit)
    assert saver.last_checkpoints == [] and len(files(tmp_path)) == 3 * 7 - 1 + 1
    assert list(tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths) == [str(tmp_path / "m-7")]


@pytest.mark.parametrize("from_message", [False, True])
def test_some_are_kept_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_message: bool) -> None:
    """So they are where the saver is that of a graph from a file, whose message says how often."""
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + minutes)
    minutes = 0.0

    def pass_time(number: int) -> None:
        nonlocal minutes
        minutes = 60.0 * 40 * (number - 1)

    settings = {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    if from_message:
        model()
        settings = {"saver_def": tf.train.Saver(**settings).saver_def}
    saved(tmp_path, 7, pass_time, **settings)
    kept = {name.partition(".")[0] for name in files(tmp_path)} - {"checkpoint"}
    assert kept == {"m-3", "m-5", "m-6", "m-7"}  # made after 80, 160, 200 minutes, and the newest


def test_saving_under_the_same_name(tmp_path: Path) -> None:
    v, _, _ = model()
    saver = tf.train.Saver(max_to_keep=1)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for number in range(3):
            session.run(v.assign([number, 0.0]))
            saver.save(session, str(tmp_path / "m"))
        assert files(tmp_path) == of("m") and saver.last_checkpoints == [str(tmp_path / "m")]
        assert tf.train.load_variable(str(tmp_path / "m"), "v:0").tolist() == [2, 0]


def test_a_later_run_takes_over(tmp_path: Path) -> None:
    saved(tmp_path, 3)
    with tf.Graph().as_default():
        _, _, step = model()
        saver = tf.train.Saver(max_to_keep=2)
        earlier = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
        saver.recover_last_checkpoints([*earlier, "none"])
        assert [os.path.basename(path) for path in saver.last_checkpoints] == ["m-1", "m-2", "m-3"]
        with tf.Session() as session:
            saver.restore(session, saver.last_checkpoints[-1])
            session.run(step.assign_add(1))
            saver.save(session, str(tmp_path / "m"), step)
        assert files(tmp_path) == sorted(set(of("m-2", "m-3", "m-4")) - {"m-2.meta"})
        saver.set_last_checkpoints(["a"])
        assert saver.last_checkpoints == ["a"]
        saver.set_last_checkpoints_with_time([("b", 1.0)])
        assert saver.last_checkpoints == ["b"]


def test_names_of_checkpoints(tmp_path: Path) -> None:
    _, _, step = model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        save = tf.train.Saver(pad_step_number=True).save
        assert save(session, str(tmp_path / "p"), np.int64(7)) == str(tmp_path / "p-00000007")
        save = tf.train.Saver().save
        assert save(session, str(tmp_path / "m"), step) == str(tmp_path / "m-0")
        assert save(session, str(tmp_path / "m"), "global_step:0") == str(tmp_path / "m-0")
        save(session, str(tmp_path / "q"), 3, latest_filename="latest", meta_graph_suffix="graph", write_state=False)
        assert (tmp_path / "q-3.graph").exists() and not (tmp_path / "latest").exists()
        save(session, str(tmp_path / "q"), 4, latest_filename="latest")
        assert tf.train.latest_checkpoint(str(tmp_path), "latest") == str(tmp_path / "q-4")


@pytest.mark.parametrize("kind", [os.fsencode, Path])
def test_kinds_of_paths(tmp_path: Path, kind: Callable[[str], Any]) -> None:
    v, _, _ = model()
    saver, path = tf.train.Saver(), str(tmp_path / "m")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(v).tolist()
        assert saver.save(session, kind(path)) == path and saver.save(session, kind(path), 1) == f"{path}-1"
        session.run(v.assign([5.0, 6.0]))
        saver.restore(session, kind(path))
        assert session.run(v).tolist() == before
    assert tf.train.latest_checkpoint(os.fsencode(tmp_path)) == f"{path}-1"


def test_relative_paths(tmp_path: Path) -> None:
    saved(tmp_path / "a", 2, save_relative_paths=True)
    assert 'all_model_checkpoint_paths: "m-1"' in (tmp_path / "a" / "checkpoint").read_text()
    (tmp_path / "a").rename(tmp_path / "b")
    assert tf.train.latest_checkpoint(str(tmp_path / "b")) == str(tmp_path / "b" / "m-2")


def test_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert saved(Path("x"), 1).last_checkpoints == ["x/m-1"]
    assert 'model_checkpoint_path: "m-1"' in Path("x/checkpoint").read_text()
    assert tf.train.latest_checkpoint("x") == "x/m-1"
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert tf.train.Saver().save(session, "here") == "here"
    assert tf.train.latest_checkpoint("") == "here"


# --- The end of the process at any step ------------------------------------------------------------------------------


class Crash(BaseException):
    """Stands for the end of the process."""


def test_crash_at_every_step_of_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest checkpoint is whole: the one before, or the new one."""
    v, _, step = model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver(max_to_keep=1).save(session, str(tmp_path / "m"), 0)
        outcomes, number = [], 0
        while not outcomes or outcomes[-1] != "done":
            number += 1
            session.run([v.assign([float(number)] * 2), step.assign(number)])
            saver = tf.train.Saver(max_to_keep=1)
            saver.recover_last_checkpoints([tf.train.latest_checkpoint(str(tmp_path))])
            count = iter(range(1000))

            def guarded(real: Callable[..., Any], count: Any = count, last: int = number) -> Callable[..., Any]:
                def call(*args: Any) -> Any:
                    if next(count) == last:
                        raise Crash
                    return real(*args)

                return call

            with monkeypatch.context() as patch:
                for name in ("fsync", "replace", "unlink", "remove"):
                    patch.setattr(os, name, guarded(getattr(os, name)))
                try:
                    saver.save(session, str(tmp_path / "m"), number)
                    outcomes.append("done")
                except Crash:
                    outcomes.append("crash")
            prefix = tf.train.latest_checkpoint(str(tmp_path))
            found = tf.train.load_checkpoint(prefix)
            assert found.get_tensor("v").tolist() == [found.get_tensor("global_step")] * 2 or prefix.endswith("m-0")
            assert found.get_tensor("global_step") == int(prefix.rpartition("-")[2])
        assert number > 8
