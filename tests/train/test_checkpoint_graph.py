"""`tf.train.Checkpoint` of 1.x in graphs, where sessions save and restore."""
from __future__ import annotations

import os

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph():
    with tf.Graph().as_default():
        yield


def model():
    """Variables of both kinds, an optimiser, and the operation of a step."""
    v = tf.get_variable("v", initializer=[1.0, 2.0])
    w = tf.get_variable("w", initializer=3.0, use_resource=True)
    optimizer = tf.train.AdamOptimizer(0.1)
    step = optimizer.minimize(tf.reduce_sum(v * w))
    return {"v": v, "w": w, "opt": optimizer}, step


def new_nodes(since):
    return [node.name for node in tf.get_default_graph().as_graph_def().node[since:]]


def count():
    return len(tf.get_default_graph().as_graph_def().node)


def saved(tmp_path):
    """A checkpoint of the model after a step, and the values in it."""
    with tf.Graph().as_default(), tf.Session() as session:
        objects, step = model()
        session.run(tf.global_variables_initializer())
        session.run(step)
        path = tf.train.Checkpoint(**objects).save(str(tmp_path / "ckpt"))
        return path, session.run([objects["v"], objects["w"], *objects["opt"].variables()])


def test_a_session_saves_and_restores(tmp_path):
    objects, step = model()
    checkpoint = tf.train.Checkpoint(**objects)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(step)
        before = session.run([objects["v"], objects["w"]])
        path = checkpoint.save(str(tmp_path / "ckpt"))
        assert path == str(tmp_path / "ckpt-1") and session.run(checkpoint.save_counter) == 1
        session.run(step)
        status = checkpoint.restore(path).assert_consumed()
        assert not np.array_equal(session.run(objects["v"]), before[0])
        status.run_restore_ops()
        assert np.array_equal(session.run(objects["v"]), before[0]) and session.run(objects["w"]) == before[1]
        assert checkpoint.save(str(tmp_path / "ckpt")) == str(tmp_path / "ckpt-2")
        assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-2")


def test_the_nodes_are_those_of_tensorflow(tmp_path):
    objects, _ = model()
    since = count()
    checkpoint = tf.train.Checkpoint(**objects)
    assert not new_nodes(since)
    checkpoint.restore(None)
    assert new_nodes(since) == [
        "save_counter/Initializer/initial_value", "save_counter", "save_counter/IsInitialized/VarIsInitializedOp",
        "save_counter/Assign", "save_counter/Read/ReadVariableOp",
    ]  # fmt: skip
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        since = count()
        path = checkpoint.save(str(tmp_path / "ckpt"))
        assert new_nodes(since) == [
            "Const_1", "AssignAddVariableOp", "ReadVariableOp", "Const_2", "Const_3", "StringJoin/inputs_1",
            "StringJoin", "num_shards", "ShardedFilename/shard", "ShardedFilename", "SaveV2/tensor_names",
            "SaveV2/shape_and_slices", "SaveV2", "ShardedFilename_1/shard", "ShardedFilename_1",
            "SaveV2_1/tensor_names", "SaveV2_1/shape_and_slices", "SaveV2_1", "MergeV2Checkpoints/checkpoint_prefixes",
            "MergeV2Checkpoints", "Identity",
        ]  # fmt: skip
        since = count()
        checkpoint.save(str(tmp_path / "ckpt"))
        checkpoint.write(str(tmp_path / "other"))
        assert not new_nodes(since)
        checkpoint.restore(path)
        # The slots one by one, then what each device has: v, w and the powers, and the counter.
        names = new_nodes(since)
        assert names[0] == "Const_4" and names[-1] == "AssignVariableOp_3"
        assert len([name for name in names if name.startswith("RestoreV2") and "/" not in name]) == 6
        since = count()
        checkpoint.restore(path).run_restore_ops()
        assert not new_nodes(since)


def test_restoring_initialises(tmp_path):
    path, values = saved(tmp_path)
    objects, _ = model()
    extra = tf.get_variable("extra", initializer=9.0)
    status = tf.train.Checkpoint(extra=extra, **objects).restore(path)
    with tf.Session() as session:
        status.initialize_or_restore(session)
        got = session.run([objects["v"], objects["w"], *objects["opt"].variables(), extra])
    for one, other in zip(got, [*values, 9.0], strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(AssertionError, match="Some Python objects were not bound to checkpointed values.*extra"):
        status.assert_consumed()


def test_restoring_nothing_initialises():
    objects, _ = model()
    status = tf.train.Checkpoint(**objects).restore(None)
    with tf.Session() as session:
        status.initialize_or_restore(session)
        assert session.run(objects["w"]) == 3.0
    with pytest.raises(AssertionError, match="No checkpoint specified"):
        status.assert_consumed()


def test_values_wait_for_the_objects(tmp_path):
    path, values = saved(tmp_path)
    checkpoint = tf.train.Checkpoint()
    status = checkpoint.restore(path)
    checkpoint.v = tf.get_variable("v", initializer=[0.0, 0.0])
    checkpoint.opt = tf.train.AdamOptimizer(0.1)
    checkpoint.w = tf.get_variable("w", initializer=0.0)
    with pytest.raises(AssertionError, match=r"Unresolved object in checkpoint \(root\).opt.beta1_power"):
        status.assert_consumed()
    checkpoint.opt.minimize(tf.reduce_sum(checkpoint.v * checkpoint.w))
    status.assert_consumed()
    with tf.Session() as session:
        status.initialize_or_restore(session)
        got = session.run([checkpoint.v, checkpoint.w, *checkpoint.opt.variables()])
    for one, other in zip(got, values, strict=True):
        assert np.array_equal(one, other)


def test_python_state_and_layers(tmp_path):
    class State(tf.train.experimental.PythonState):
        text = "first"

        def serialize(self):
            return self.text

        def deserialize(self, string_value):
            self.text = string_value.decode()

    state, layer = State(), tf.layers.Dense(2)
    layer(tf.ones([1, 3]))
    checkpoint = tf.train.Checkpoint(state=state, layer=layer)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        checkpoint.save(str(tmp_path / "ckpt"), session=session)
        state.text = "second"
        path = checkpoint.save(str(tmp_path / "ckpt"), session=session)
        kernel = session.run(layer.kernel)
    with tf.Graph().as_default(), tf.Session() as session:
        state, layer = State(), tf.layers.Dense(2)
        status = tf.train.Checkpoint(state=state, layer=layer).restore(path)
        assert state.text == "second"
        layer(tf.ones([1, 3]))
        status.assert_consumed().initialize_or_restore()
        assert np.array_equal(session.run(layer.kernel), kernel)


def test_a_session_is_needed(tmp_path):
    checkpoint = tf.train.Checkpoint(**model()[0])
    with pytest.raises(ValueError, match="give one, or use `with tf.Session"):
        checkpoint.save(str(tmp_path / "ckpt"))
    with tf.Session() as session, pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized"):
        checkpoint.save(str(tmp_path / "ckpt"), session=session)
    assert not os.path.exists(tmp_path / "checkpoint")


def test_a_finalized_graph_can_still_be_saved(tmp_path):
    objects, _ = model()
    checkpoint = tf.train.Checkpoint(**objects)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = checkpoint.save(str(tmp_path / "ckpt"))
        checkpoint.restore(path)
        tf.get_default_graph().finalize()
        path = checkpoint.save(str(tmp_path / "ckpt"))
        checkpoint.restore(path).run_restore_ops()
        assert session.run(checkpoint.save_counter) == 2


def test_only_trackable_objects_are_saved():
    with pytest.raises(ValueError, match=r"was expecting a trackable object \(an object derived from `TrackableBase`"):
        tf.train.Checkpoint(x=3)
    with pytest.raises(TypeError):
        tf.train.Checkpoint(3)


def test_functions_and_tuples_are_no_objects_of_1_x(tmp_path):
    with tf.Session() as session:
        module = tf.Module()
        module.f, module.pair, module.v = tf.function(lambda: 1), (tf.Variable(1.0), 2), tf.Variable(2.0)
        session.run(tf.global_variables_initializer())
        path = tf.train.Checkpoint(m=module).write(str(tmp_path / "ckpt"))
    assert [len(node.children) for node in tf.contrib.checkpoint.object_metadata(path).nodes] == [1, 1, 0]


# --- Checkpoints of a Saver ------------------------------------------------------------------------------------------


def test_a_checkpoint_of_a_saver_is_restored_by_names(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        objects, step = model()
        session.run(tf.global_variables_initializer())
        session.run(step)
        path = tf.train.Saver().save(session, str(tmp_path / "ckpt"))
        value = session.run(objects["v"])
    objects, _ = model()
    extra = tf.get_variable("extra", initializer=9.0)
    status = tf.train.Checkpoint(extra=extra, **objects).restore(path)
    with pytest.raises(AssertionError, match="attributes which were not restored"):
        status.assert_consumed()
    with tf.Session() as session:
        status.initialize_or_restore(session)
        assert np.array_equal(session.run(objects["v"]), value) and session.run(extra) == 9.0
    other = tf.train.Checkpoint(v=objects["v"]).restore(path).assert_consumed()
    with tf.Session() as session:
        other.run_restore_ops()
        assert np.array_equal(session.run(objects["v"]), value)


def test_a_saver_restores_objects_by_names(tmp_path):
    path, values = saved(tmp_path)
    objects, _ = model()
    saver = tf.train.Saver()
    tf.get_variable("other", initializer=1.0)
    with tf.Session() as session:
        saver.restore(session, path)
        got = session.run([objects["v"], objects["w"], *objects["opt"].variables()])
        for one, other in zip(got, values, strict=True):
            assert np.array_equal(one, other)
        with pytest.raises(tf.errors.NotFoundError, match="Existing variables not in the checkpoint: other"):
            tf.train.Saver().restore(session, path)
