"""Meta graphs that TensorFlow 1.15.5 wrote, while it trained: they train on here with its numbers."""
from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import oracle, run_in

import millstream.v1 as tf

FOLDER = Path(__file__).parent / "data" / "meta_graphs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.zip"))


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with zipfile.ZipFile(FOLDER / f"{request.param}.zip") as archive:
        archive.extractall(tmp_path)
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    with tf.Graph().as_default():
        yield tmp_path / "model", numbers


def train_on(session: Any, numbers: dict[str, Any]) -> list[float]:
    graph = session.graph
    fed = {name: np.array(value, np.float32) for name, value in numbers["feeds"].items()}
    if graph.get_collection("queue_runners"):
        for _ in range(10):
            session.run("fill")
    losses = []
    for _ in range(len(numbers["losses"]) - 1):
        losses.append(float(session.run(tf.get_collection("my_loss")[0], fed)))
        session.run(tf.get_collection("train_op")[0], fed)
    return [*losses, float(session.run(numbers["loss"], fed))]


@pytest.mark.parametrize("recorded", PROGRAMS, indirect=True)
def test_training_goes_on(recorded: Any, tmp_path: Path) -> None:
    path, numbers = recorded
    saver = tf.train.import_meta_graph(f"{path}.meta")
    found = {key: len(tf.get_collection(key)) for key in tf.get_default_graph().get_all_collection_keys()}
    assert found == {key: count for key, count in numbers["collections"].items() if count}
    assert tf.get_collection("train_op")[0] is tf.get_default_graph().get_operation_by_name(numbers["train"])
    with tf.Session() as session:
        saver.restore(session, str(path))
        np.testing.assert_allclose(train_on(session, numbers), numbers["losses"], rtol=2e-5)
        # What was read can be written again.
        saver.save(session, str(tmp_path / "again"))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(f"{tmp_path}/again.meta").restore(session, str(path))
        np.testing.assert_allclose(train_on(session, numbers), numbers["losses"], rtol=2e-5)


@pytest.mark.parametrize("recorded", PROGRAMS, indirect=True)
def test_it_can_be_extended(recorded: Any) -> None:
    path, numbers = recorded
    tf.train.import_meta_graph(f"{path}.meta", clear_devices=True)
    loss = tf.get_collection("my_loss")[0]
    more = tf.train.AdamOptimizer(0.01, name="Other").minimize(loss * 2 + 1.0, name="more")
    saver = tf.train.Saver(name="new_saver")
    fed = {name: np.array(value, np.float32) for name, value in numbers["feeds"].items()}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        if tf.get_collection("queue_runners"):
            for _ in range(10):
                session.run("fill")
        before = session.run(loss, fed)
        for _ in range(4):
            session.run(more, fed)
        assert session.run(loss, fed) < before
        assert saver.save(session, f"{path}-new")


@pytest.mark.parametrize("recorded", ["sharded"], indirect=True)
def test_names_are_not_given_twice(recorded: Any) -> None:
    path, _ = recorded
    tf.train.import_meta_graph(f"{path}.meta")
    with pytest.raises(ValueError, match="Duplicate node name in graph: 'parts/table/part_0/Adam'"):
        tf.train.AdamOptimizer().minimize(tf.get_collection("my_loss")[0])


@pytest.mark.parametrize("recorded", ["momentum", "recurrent", "adam_resource"], indirect=True)
def test_below_a_scope(recorded: Any) -> None:
    path, numbers = recorded
    numbers["feeds"] = {f"copy/{name}": value for name, value in numbers["feeds"].items()}
    numbers["loss"] = f"copy/{numbers['loss']}"
    saver = tf.train.import_meta_graph(f"{path}.meta", import_scope="copy")
    assert all(v.name.startswith("copy/") for v in tf.global_variables())
    with tf.Session() as session:
        saver.restore(session, str(path))
        np.testing.assert_allclose(train_on(session, numbers), numbers["losses"], rtol=2e-5)


@pytest.mark.parametrize("recorded", sorted(set(PROGRAMS) - {"queue"}), indirect=True)
def test_a_frozen_graph(recorded: Any) -> None:
    path, numbers = recorded
    graph_def = tf.GraphDef.FromString(path.with_name("frozen.pb").read_bytes())
    fed = {name: value for name, value in numbers["feeds"].items() if name != "y:0"}
    if any(node.name == "training" for node in graph_def.node):
        fed["training:0"] = False
    (output,) = tf.import_graph_def(graph_def, name="", return_elements=["out/add:0"])
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(output, fed), numbers["output"], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("recorded", PROGRAMS, indirect=True)
def test_freezing(recorded: Any) -> None:
    """What is frozen here of TensorFlow's checkpoint gives what TensorFlow's frozen graph gives."""
    path, numbers = recorded
    saver = tf.train.import_meta_graph(f"{path}.meta")
    with tf.Session() as session:
        saver.restore(session, str(path))
        frozen = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["out/add"])
    assert not [node.name for node in frozen.node if "Var" in node.op]
    fed = {name: value for name, value in numbers["feeds"].items() if name != "y:0"}
    if any(node.name == "training" for node in frozen.node):
        fed["training:0"] = False
    with tf.Graph().as_default(), tf.Session() as session:
        (output,) = tf.import_graph_def(frozen, name="", return_elements=["out/add:0"])
        if any(node.op == "FIFOQueueV2" for node in frozen.node):
            return
        np.testing.assert_allclose(session.run(output, fed), numbers["output"], rtol=2e-5, atol=1e-6)


_TRAIN_ON = """
import json
import sys
import numpy as np
import tensorflow.compat.v1 as tf
if tf.__version__[0] == "2":
    tf.disable_v2_behavior()
path, numbers = sys.argv[1], json.load(open(sys.argv[2]))
fed = {name: np.array(value, np.float32) for name, value in numbers["feeds"].items()}
saver = tf.train.import_meta_graph(path + ".meta")
with tf.Session() as session:
    saver.restore(session, path)
    if tf.get_collection("queue_runners"):
        for _ in range(10):
            session.run("fill")
    losses = []
    for _ in range(len(numbers["losses"]) - 1):
        losses.append(float(session.run(tf.get_collection("my_loss")[0], fed)))
        session.run(tf.get_collection("train_op")[0], fed)
    losses.append(float(session.run(numbers["loss"], fed)))
frozen = tf.GraphDef.FromString(open(sys.argv[3], "rb").read())
with tf.Graph().as_default(), tf.Session() as session:
    output, = tf.import_graph_def(frozen, name="", return_elements=["out/add:0"])
    fed["training:0"] = False
    given = [node.name + ":0" for node in frozen.node]
    out = session.run(output, {name: value for name, value in fed.items() if name in given})
print(json.dumps([losses, out.tolist()]))
"""


@pytest.mark.parametrize("version", ["tf1", "tf2"])
@pytest.mark.parametrize("recorded", sorted(set(PROGRAMS) - {"queue"}), indirect=True)
def test_tensorflow_reads_what_is_written_here(recorded: Any, version: str, tmp_path: Path) -> None:
    oracle(version)
    path, numbers = recorded
    saver = tf.train.import_meta_graph(f"{path}.meta")
    with tf.Session() as session:
        saver.restore(session, str(path))
        again = saver.save(session, str(tmp_path / "again"))
        frozen = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), ["out/add"])
    tf.io.write_graph(frozen, str(tmp_path), "frozen.pb", as_text=False)
    printed = run_in(version, _TRAIN_ON, again, tmp_path / "numbers.json", tmp_path / "frozen.pb")
    losses, output = json.loads(printed.splitlines()[-1])
    np.testing.assert_allclose(losses, numbers["losses"], rtol=2e-5)
    np.testing.assert_allclose(output, numbers["output"], rtol=2e-5, atol=1e-6)
