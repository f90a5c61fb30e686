"""`tf.contrib.checkpoint`: containers, arrays, dependencies that are saved together, drawings."""
from __future__ import annotations

import copy

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import context

contrib = tf.contrib.checkpoint


@pytest.fixture(autouse=True)
def _eager():
    with context.mode(True):
        yield


@pytest.fixture
def v():
    return tf.Variable(1.0, name="v")


@pytest.fixture
def w():
    return tf.Variable(2.0, name="w", trainable=False)


def names(item):
    return list(item._trackable_children())


# --- Containers ------------------------------------------------------------------------------------------------------


def test_a_list_only_grows(v, w):
    made = contrib.List([v])
    made.append(w)
    made.extend([[v]])
    made += [w]
    assert len(made) == 4 and made[0] is v and made[1:2] == [w] and list(made)[3] is w and names(made) == list("0123")
    assert isinstance(made[2], list) and names(made[2]) == ["0"]
    with pytest.raises(ValueError, match="Only trackable objects .* may be stored in a List object. Got 3"):
        made.append(3)
    with pytest.raises(TypeError):
        made[0] = w
    assert type(made + [v]) is type([v] + made) is type(made * 2) is type(made.copy()) is contrib.List
    assert len(made * 2) == 8 and len(copy.copy(made)) == 4
    made *= 2
    assert len(made) == 8
    with pytest.raises(ValueError, match="only supports append"):
        made *= 0
    assert made == made and made != contrib.List([v]) and made in {made} and repr(contrib.List()) == "List([])"
    copied = copy.deepcopy(contrib.List([v, v]))
    assert copied[0] is copied[1] is not v


def test_containers_collect_what_layers_have(v, w):
    layer = tf.layers.Dense(2, kernel_regularizer=tf.nn.l2_loss)
    layer(tf.ones([1, 3]))
    made = contrib.List([contrib.Mapping(layer=layer), v, w])
    assert made.layers == [layer] and len(made.losses) == 1 and made.updates == []
    assert made.trainable_weights == made.trainable_variables == [layer.kernel, layer.bias, v]
    assert made.non_trainable_weights == made.non_trainable_variables == [w]
    assert made.weights == made.variables and len(made.weights) == 4
    made.trainable = False
    assert not layer.trainable and made.trainable_weights == [] and len(made.non_trainable_weights) == 4


def test_a_mapping_only_grows(v, w):
    made = contrib.Mapping(a=v)
    made["b"] = w
    made.update({"c": v})
    made["a"] = v
    assert dict(made) == {"a": v, "b": w, "c": v} and names(made) == ["a", "b", "c"] and len(made) == 3
    with pytest.raises(ValueError, match="Mappings are an append-only data structure"):
        made["a"] = w
    with pytest.raises(TypeError, match="Mapping accepts only string keys, but got a key 1."):
        made[1] = v
    with pytest.raises(ValueError, match="Only trackable objects"):
        made["n"] = 3
    assert copy.copy(made)["a"] is v and copy.deepcopy(made)["a"] is not v and made != dict(made)


def test_names_are_made_unique(v, w):
    tracker = contrib.UniqueNameTracker()
    assert tracker.track(v, "x") is v and tracker.track(w, "x") is w
    tracker.track(v, "y")
    tracker.track(w, "x_1")
    assert names(tracker) == ["x", "x_1", "y", "x_1_1"] and tracker.variables == [v, v, w, w]
    with pytest.raises(ValueError, match="Expected a trackable value, got 3"):
        tracker.track(3, "x")


# --- Objects ---------------------------------------------------------------------------------------------------------


def test_checkpointable_objects(v):
    class Thing(contrib.Checkpointable):
        pass

    class Bare(contrib.CheckpointableBase):
        def __init__(self):
            self.hidden = v
            self._track_trackable(v, name="shown")

    thing = Thing()
    thing.v, thing.hidden = v, contrib.NoDependency([v])
    assert names(thing) == ["v"] and type(thing.hidden) is list and names(Bare()) == ["shown"]
    assert issubclass(contrib.PythonStateWrapper, contrib.CheckpointableBase)
    assert contrib.CheckpointManager is tf.train.CheckpointManager


def test_arrays(tmp_path):
    arrays = contrib.NumpyState()
    checkpoint = tf.train.Checkpoint(arrays=arrays)
    arrays.x, arrays.n = np.array([1.0, 2.0]), np.float32(3)
    path = checkpoint.save(str(tmp_path / "ckpt"))
    arrays.x[1] = 5.0
    arrays.n = np.float32(0)
    checkpoint.restore(path).assert_consumed()
    assert arrays.x.tolist() == [1.0, 2.0] and arrays.n == 3
    fresh = contrib.NumpyState()
    status = tf.train.Checkpoint(arrays=fresh).restore(path)
    assert fresh.x.tolist() == [1.0, 2.0]
    status.assert_consumed()
    for value in (3.5, "text", tf.constant(1.0)):
        with pytest.raises(NotImplementedError, match="which is not a NumPy array"):
            arrays.y = value
    with pytest.raises(AttributeError):
        arrays.nothing  # noqa: B018 - reading it fails


def test_templates_own_their_variables(tmp_path):
    def inner(x):
        return x * tf.get_variable("factor", initializer=2.0)

    with context.mode(False), tf.Graph().as_default(), tf.Session() as session:
        nested = tf.make_template("inner", inner)
        outer = tf.make_template("outer", lambda x: nested(x) + tf.get_variable("term", initializer=1.0))
        result = outer(3.0)
        outer(4.0)
        assert names(outer) == ["inner", "term"] and names(nested) == ["factor"]
        checkpoint = tf.train.Checkpoint(outer=outer)
        session.run(tf.global_variables_initializer())
        path = checkpoint.save(str(tmp_path / "ckpt"))
        session.run([v.assign(0.0) for v in tf.global_variables()[:2]])
        checkpoint.restore(path).assert_consumed().run_restore_ops()
        assert session.run(result) == 7.0


# --- Tensors that are saved together ---------------------------------------------------------------------------------


def pair(total, got):
    """Two objects for the halves of a variable."""

    def fill(buffer):
        buffer["low"], buffer["high"] = total[:1], total[1:]

    def consume(buffer):
        got.append(sorted(buffer))
        return total.assign(tf.concat([buffer["low"], buffer["high"]], 0))

    return contrib.split_dependency(["low", "high"], [tf.float32] * 2, fill, consume, "/cpu:0")


def test_dependencies_that_are_saved_together(tmp_path):
    total, got = tf.Variable([1.0, 2.0]), []
    checkpoint = tf.train.Checkpoint(**pair(total, got))
    path = checkpoint.save(str(tmp_path / "ckpt"))
    assert tf.train.load_variable(path, "high/.ATTRIBUTES/VARIABLE_VALUE").tolist() == [2.0]
    total.assign([0.0, 0.0])
    checkpoint.restore(path).assert_consumed()
    assert total.numpy().tolist() == [1.0, 2.0] and got == [["high", "low"]]


def test_dependencies_that_are_saved_together_in_a_graph(tmp_path):
    with context.mode(False), tf.Graph().as_default(), tf.Session() as session:
        total, got = tf.get_variable("total", initializer=[1.0, 2.0]), []
        checkpoint = tf.train.Checkpoint(**pair(total, got))
        session.run(total.initializer)
        path = checkpoint.save(str(tmp_path / "ckpt"))
        session.run(total.assign([0.0, 0.0]))
        checkpoint.restore(path).assert_consumed().run_restore_ops()
        assert session.run(total).tolist() == [1.0, 2.0]


# --- Looking at checkpoints ------------------------------------------------------------------------------------------


def test_objects_are_listed(v, w):
    checkpoint = tf.train.Checkpoint(v=v, w=w)
    assert contrib.list_objects(checkpoint) == [checkpoint, v, w]


def test_drawings(tmp_path, v):
    optimizer = tf.train.MomentumOptimizer(0.1, 0.9)
    optimizer.apply_gradients([(tf.constant(1.0), v)])
    path = tf.train.Checkpoint(**{"v": v, 'o"': optimizer}).write(str(tmp_path / "ckpt"))
    message = contrib.object_metadata(path)
    assert isinstance(message, contrib.CheckpointableObjectGraph) and len(message.nodes) == 4
    slot = message.nodes[3].attributes[0].full_name
    assert contrib.dot_graph_from_checkpoint(path).splitlines() == [
        "digraph {",
        'N_0 [shape=point label="" width=.25]',
        'N_0 -> N_1 [label="o\\""]',
        'N_0 -> N_2 [label="v"]',
        'N_1 [shape=point label="" width=.25 color=red,tooltip="Optimizer"]',
        'N_1 -> N_3 [label="momentum" style=dotted]',
        "N_2 -> N_3 [style=dotted]",
        'N_2 [shape=point label="" color=blue width=.25 tooltip="Variable v shape=[] float32"]',
        f'N_3 [shape=point label="" color=orange width=.25 tooltip="Slot variable {slot} shape=[] float32"]',
        "}",
    ]


def test_checkpoints_by_names_have_no_objects(tmp_path, v):
    path = tf.train.Saver([v]).save(None, str(tmp_path / "ckpt"))
    with pytest.raises(ValueError, match="does not appear to be object-based"):
        contrib.object_metadata(path)
    with pytest.raises(tf.errors.NotFoundError):
        contrib.object_metadata(str(tmp_path / "none"))


def test_the_eager_saver(tmp_path, v):
    saver = tf.contrib.eager.Saver([v])
    path = saver.save(str(tmp_path / "ckpt"), global_step=3)
    v.assign(0.0)
    saver.restore(path)
    assert path.endswith("ckpt-3") and v.numpy() == 1.0
    optimizer = tf.train.MomentumOptimizer(0.1, 0.9)
    optimizer.apply_gradients([(tf.constant(1.0), v)])
    assert len(tf.contrib.eager.get_optimizer_variables(optimizer)) == 1
    with context.mode(False), pytest.raises(RuntimeError, match="only be used when eager execution is enabled"):
        tf.contrib.eager.Saver([v])
