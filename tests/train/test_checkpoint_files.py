"""Checkpoints of objects, written by TensorFlow and read here, and the other way; and files that lie."""
from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import millstream as tf
from millstream.core import context
from millstream.io import proto
from millstream.io.bundle_reader import BundleReader
from millstream.io.bundle_writer import BundleWriter
from millstream.runtime import behavior
from millstream.train.object_graph import GRAPH_KEY, Names
from tests.oracles import run_in
from tests.train import object_programs as programs

v1 = tf.compat.v1
RECORDED = Path(__file__).parent / "data" / "objects"
VALUES = {version: json.loads((RECORDED / version / "values.json").read_text()) for version in ("tf1", "tf2")}
STEPS = 3


@pytest.fixture
def one(request):
    """1.x, executing eagerly."""
    behavior.use(1)
    with context.mode(True):
        yield


def checkpoint_of(version, objects):
    return (v1.train.Checkpoint if version == "tf1" else tf.train.Checkpoint)(**objects)


def contents(prefix):
    """The bytes of a checkpoint's files by the ends of their names."""
    return {path.name[len(prefix.name) :]: path.read_bytes() for path in prefix.parent.glob(f"{prefix.name}.*")}


def graph_of(prefix):
    """The object graph, without the names of variables, which depend on what a process has made before."""
    with BundleReader(str(prefix)) as reader:
        message = proto.TrackableObjectGraph.FromString(reader.read(GRAPH_KEY).item())
    for node in message.nodes:
        for attribute in node.attributes:
            attribute.full_name = ""
    return message


# --- Files of TensorFlow ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["tf1", "tf2"])
class TestBothVersions:
    @pytest.fixture(autouse=True)
    def _behaviour(self, version):
        behavior.use(1 if version == "tf1" else 2)
        with context.mode(True):
            yield

    def test_the_bytes_are_those_of_tensorflow(self, version, tmp_path):
        checkpoint_of(version, programs.structure(tf, v1)).write(str(tmp_path / "structure"))
        assert contents(tmp_path / "structure") == contents(RECORDED / version / "structure")

    def test_objects_of_tensorflow_are_restored(self, version):
        objects = programs.structure(tf, v1)
        module = objects["module"]
        for variable in module.variables:
            variable.assign(tf.zeros_like(variable))
        status = checkpoint_of(version, objects)._restore(str(RECORDED / version / "structure"))
        status.assert_consumed()
        assert module.first.numpy() == 1.5 and module.layers[0].numpy().tolist() == [1, 2, 3]
        assert module.layers[1]["a/b"].numpy() and module.layers[1]["c.d"].numpy().tolist() == [[2.0]]
        assert objects["alias"].numpy().tolist() == [b"some", b"strings"]

    def test_training_goes_on_with_the_same_numbers(self, version):
        objects, train = programs.training(tf, v1)
        status = checkpoint_of(version, objects).restore(str(RECORDED / version / "training-1"))
        self.check(version, "saved", objects)
        for _ in range(STEPS):
            train()
        status.assert_consumed()
        self.check(version, "after", objects)
        assert objects["step"].numpy() == 2 * STEPS

    def check(self, version, when, objects):
        for name, value in VALUES[version][when].items():
            np.testing.assert_allclose(objects[name].numpy(), value, rtol=1e-6)

    def test_the_object_graph_of_an_optimiser_is_that_of_tensorflow(self, version, tmp_path):
        objects, train = programs.training(tf, v1)
        train()
        path = checkpoint_of(version, objects).save(str(tmp_path / "training"))
        assert graph_of(path) == graph_of(RECORDED / version / "training-1")
        assert contents(Path(path)).keys() == contents(RECORDED / version / "training-1").keys()

    def test_python_state_of_tensorflow(self, version):
        state = programs.python_state(tf, "")
        number = tf.Variable(0, name="number")
        checkpoint_of(version, {"number": number, "state": state})._restore(
            str(RECORDED / version / "state")
        ).assert_consumed()
        assert state.text == "read so far: 12" and number.numpy() == 3

    def test_checkpoints_by_names_of_tensorflow(self, version):
        objects, _ = programs.training(tf, v1)
        del objects["optimizer"]
        checkpoint_of(version, objects).restore(str(RECORDED / version / "names")).assert_consumed()
        self.check(version, "after", objects)

    def test_a_saver_reads_the_objects_of_tensorflow(self, version):
        objects, _ = programs.training(tf, v1)
        v1.train.Saver([objects["w"], objects["b"]]).restore(None, str(RECORDED / version / "training-1"))
        self.check(version, "saved", objects)


def test_files_with_state_of_python_are_those_of_tensorflow_2(tmp_path):
    objects = {"number": tf.Variable(3, name="number"), "state": programs.python_state(tf, "read so far: 12")}
    tf.train.Checkpoint(**objects).write(str(tmp_path / "state"))
    assert contents(tmp_path / "state") == contents(RECORDED / "tf2" / "state")


def test_layers_of_tensorflow_1(one, tmp_path):
    objects, variables = programs.layers(v1)
    v1.train.Checkpoint(**objects).write(str(tmp_path / "layers"))
    assert graph_of(tmp_path / "layers") == graph_of(RECORDED / "tf1" / "layers")
    for variable in variables:
        variable.assign(tf.zeros_like(variable) - 1.0)
    v1.train.Checkpoint(**objects).restore(str(RECORDED / "tf1" / "layers"))
    assert [variable.numpy().max() for variable in variables] == list(range(len(variables)))


def test_arrays_of_tensorflow_1(one):
    arrays = v1.contrib.checkpoint.NumpyState()
    v1.train.Checkpoint(arrays=arrays).restore(str(RECORDED / "tf1" / "arrays"))
    assert arrays.matrix.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and arrays.number == 4


def test_a_graph_of_tensorflow_1_trains_on():
    with tf.Graph().as_default(), v1.Session() as session:
        objects, step = programs.graph_training(v1)
        checkpoint = v1.train.Checkpoint(**objects)
        status = checkpoint.restore(str(RECORDED / "tf1" / "graph-1")).assert_consumed()
        status.run_restore_ops()
        for when in ("graph_saved", "graph_after"):
            for name, value in VALUES["tf1"][when].items():
                np.testing.assert_allclose(session.run(objects[name]), value, rtol=1e-6)
            for _ in range(STEPS):
                session.run(step)


def test_the_files_of_a_graph_are_those_of_tensorflow_1(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        objects, _ = programs.graph_training(v1)
        checkpoint = v1.train.Checkpoint(**objects)
        checkpoint.restore(str(RECORDED / "tf1" / "graph-1")).initialize_or_restore()
        session.run(checkpoint.save_counter.assign(0))
        checkpoint.save(str(tmp_path / "graph"))
        assert session.run(objects["step"]) == STEPS
    assert contents(tmp_path / "graph-1") == contents(RECORDED / "tf1" / "graph-1")


# --- TensorFlow reads ours -------------------------------------------------------------------------------------------

_READ = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
import object_programs as programs
v1 = tf.compat.v1
if tf.__version__.startswith("1."):
    v1.enable_eager_execution()
objects, train = programs.training(tf, v1)
status = tf.train.Checkpoint(**objects).restore(sys.argv[2])
for _ in range(3):
    train()
status.assert_consumed()
print(json.dumps({name: objects[name].numpy().tolist() for name in "wb"}))
"""


@pytest.mark.parametrize("version", ["tf1", "tf2"])
def test_tensorflow_trains_on_with_our_files(version, tmp_path):
    behavior.use(1 if version == "tf1" else 2)
    with context.mode(True):
        objects, train = programs.training(tf, v1)
        for _ in range(STEPS):
            train()
        path = checkpoint_of(version, objects).save(str(tmp_path / "training"))
        for _ in range(STEPS):
            train()
        got = json.loads(run_in(version, _READ, Path(__file__).parent, path).splitlines()[-1])
        for name, value in got.items():
            np.testing.assert_allclose(objects[name].numpy(), value, rtol=1e-6)


# --- Files that lie --------------------------------------------------------------------------------------------------


def write(prefix, message, tensors=()):
    """A checkpoint with an object graph as it is given: a message or bytes."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    with BundleWriter(str(prefix)) as writer:
        for name, value in tensors:
            writer.add(name, np.asarray(value), tf.as_dtype(np.asarray(value).dtype))
        writer.add(GRAPH_KEY, np.array(data, object), tf.string)
        writer.finish()
    return str(prefix)


def graph(*nodes):
    """An object graph: for each object its children by name, or a key."""
    message = proto.TrackableObjectGraph()
    for item in nodes:
        node = message.nodes.add()
        if isinstance(item, str):
            node.attributes.add(name="VARIABLE_VALUE", checkpoint_key=item)
        else:
            for name, number in item.items():
                node.children.add(local_name=name, node_id=number)
    return message


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff", graph(), graph({"v": 1}), graph({"v": -1}), graph({"v": 1}, {"x": 1 << 30}),
    ],
)  # fmt: skip
def test_object_graphs_that_cannot_be(tmp_path, message):
    path = write(tmp_path / "ckpt", message)
    for read in (tf.train.Checkpoint(v=tf.Variable(1.0)).read, tf.train.CheckpointView):
        with pytest.raises(tf.errors.DataLossError, match=f"{path}: the object graph"):
            read(path)


def test_a_slot_of_no_object(tmp_path):
    message = graph({"v": 1}, "v")
    message.nodes[0].slot_variables.add(original_variable_node_id=1, slot_name="m", slot_variable_node_id=7)
    with pytest.raises(tf.errors.DataLossError, match="refers to objects that it does not have"):
        tf.train.Checkpoint(v=tf.Variable(1.0)).read(write(tmp_path / "ckpt", message))


def test_a_key_that_is_not_there(tmp_path):
    path = write(tmp_path / "ckpt", graph({"v": 1}, "v"))
    with pytest.raises(tf.errors.NotFoundError, match="Key v not found in checkpoint"):
        tf.train.Checkpoint(v=tf.Variable(1.0)).read(path)


def test_the_object_graph_as_a_variable(tmp_path):
    path = write(tmp_path / "ckpt", graph({"v": 1}, GRAPH_KEY))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected dtype float does not equal original dtype str"):
        tf.train.Checkpoint(v=tf.Variable(1.0)).read(path)


def test_an_object_graph_that_is_no_string(tmp_path):
    with BundleWriter(str(tmp_path / "ckpt")) as writer:
        writer.add(GRAPH_KEY, np.zeros([2], np.float32), tf.float32)
        writer.finish()
    with pytest.raises(tf.errors.DataLossError, match="the object graph is no string"):
        tf.train.Checkpoint(v=tf.Variable(1.0)).read(str(tmp_path / "ckpt"))


def test_cycles_and_objects_that_are_their_own_slots(tmp_path):
    message = graph({"a": 0, "b": 1}, {"c": 0, "d": 1})
    message.nodes[1].slot_variables.add(original_variable_node_id=1, slot_name="m", slot_variable_node_id=1)
    path = write(tmp_path / "ckpt", message)
    module = tf.Module()
    module.c = module.d = module
    checkpoint = tf.train.Checkpoint(b=module)
    checkpoint.a = checkpoint
    checkpoint.read(path).expect_partial().assert_existing_objects_matched()
    assert Names(message)[1] == "(root).b"
    assert tf.train.CheckpointView(path).descendants() == [0, 1]


def test_one_tensor_for_two_objects(tmp_path):
    path = write(tmp_path / "ckpt", graph({"a": 1, "b": 2}, "x", "x"), [("x", np.float32(5))])
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    tf.train.Checkpoint(a=a, b=b).read(path).assert_consumed()
    assert a.numpy() == b.numpy() == 5.0


def test_a_long_chain_of_objects_is_no_burden(tmp_path):
    count = 20_000
    message = graph(*({"a-name-that-is-rather-long": number + 1} for number in range(count - 1)), "v")
    status = tf.train.Checkpoint().read(write(tmp_path / "ckpt", message))
    with pytest.raises(AssertionError, match="Unresolved object"):
        status.assert_consumed()
    status.expect_partial()
    assert Names(message)[3] == "(root)" + ".a-name-that-is-rather-long" * 3


def test_a_deep_graph_of_objects_is_saved_and_restored(tmp_path):
    root = node = tf.Module()
    for _ in range(2 * sys.getrecursionlimit()):
        node.next = tf.Module()
        node = node.next
    node.v = tf.Variable(5.0)
    checkpoint = tf.train.Checkpoint(root=root)
    path = checkpoint.write(tmp_path / "ckpt")
    node.v.assign(0.0)
    checkpoint.read(path).assert_consumed()
    assert node.v.numpy() == 5.0
    while root is not node:  # taken apart from the top, which needs no recursion
        root, below = root.next, root
        del below.next
    checkpoint.root = None


def test_arrays_of_python_objects_are_refused(tmp_path, one):
    import io

    file = io.BytesIO()
    np.save(file, np.array([print], object), allow_pickle=True)
    message = graph({"arrays": 1}, {"x": 2}, "x")
    message.nodes[2].attributes[0].name = "py_state"
    with BundleWriter(str(tmp_path / "ckpt")) as writer:
        writer.add(GRAPH_KEY, np.array(message.SerializeToString(), object), tf.string)
        writer.add("x", np.array(file.getvalue(), object), tf.string)
        writer.finish()
    with pytest.raises(ValueError, match="allow_pickle"):
        v1.train.Checkpoint(arrays=v1.contrib.checkpoint.NumpyState()).restore(str(tmp_path / "ckpt"))


def test_every_damaged_byte_is_noticed(tmp_path):
    v = tf.Variable([1.0, 2.0], name="v")
    checkpoint = tf.train.Checkpoint(v=v, more=[v])
    prefix = Path(checkpoint.write(tmp_path / "ckpt"))
    for name in ("ckpt.index", "ckpt.data-00000-of-00001"):
        data = (tmp_path / name).read_bytes()
        damaged = tmp_path / "damaged"
        for place in range(len(data)):
            shutil.rmtree(damaged, ignore_errors=True)
            shutil.copytree(tmp_path, damaged, ignore=lambda *_: ["damaged"])
            (damaged / name).write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            try:
                checkpoint.read(damaged / prefix.name).expect_partial()
            except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
                continue
            except tf.errors.UnimplementedError:
                continue
            assert v.numpy().tolist() == [1.0, 2.0]  # a byte that nothing depends on
