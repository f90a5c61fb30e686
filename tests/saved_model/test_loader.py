"""Loading SavedModels as in 1.x: into a session, whole or step by step; models of TensorFlow, and hostile ones."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import run_in

import millstream.v1 as tf
from millstream.io import proto
from millstream.saved_model import assets, folders, inspection, loader

sm = tf.saved_model
DATA = Path(__file__).parent / "data"
VERSIONS = ("tensorflow1", "tensorflow2")


@pytest.fixture(autouse=True)
def _fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def run(message: Any, session: tf.Session, scope: str = "", **inputs: Any) -> dict[str, Any]:
    """Runs the signature "serving_default"."""
    signature = message.signature_def["serving_default"]
    feeds = {scope + signature.inputs[key].name: value for key, value in inputs.items()}
    return session.run({key: scope + info.name for key, info in signature.outputs.items()}, feeds)


def model(folder: Path, **arguments: Any) -> Path:
    """A model of one variable, v = 3, with operations that add 1 and 2 to it."""
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(3.0, name="v")
        for name, value in (("one", 1.0), ("two", 2.0)):
            with tf.name_scope(name):
                tf.group(tf.assign_add(v, value), name="add")
        for key, names in arguments.items():
            for name in names:
                tf.add_to_collection(key, session.graph.get_operation_by_name(name))
        session.run(v.initializer)
        builder = sm.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    return folder


def load(folder: Path, *tags: str, **arguments: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        sm.load(session, tags or ["serve"], folder, **arguments)
        return session.run("v:0")


# --- Models of TensorFlow --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_simple(version: str) -> None:
    with tf.Session() as session:
        message = sm.loader.load(session, ["serve"], str(DATA / version / "simple"))
        assert run(message, session, x=[[1.0, 2.0], [0.0, 1.0]])["y"].tolist() == [[5.0], [2.0]]
        assert [v.name for v in tf.trainable_variables()] == ["w:0"]
        gradient = tf.gradients(session.graph.get_tensor_by_name("y:0"), tf.trainable_variables())[0]
        assert session.run(gradient, {"x:0": [[3.0, 4.0]]}).tolist() == [[3.0], [4.0]]


@pytest.mark.parametrize("scope", [None, "scope"])
@pytest.mark.parametrize("version", VERSIONS)
def test_assets(version: str, scope: str | None) -> None:
    folder, prefix = DATA / version / "assets", f"{scope}/" if scope else ""
    with tf.Session() as session:
        message = sm.load(session, ["serve"], folder, import_scope=scope)
        found = run(message, session, prefix, x=3.0)
        paths = [os.fsencode(folder / "assets" / name) for name in ("words.txt", "words.txt_1")]
        assert found == {"y": 36.0, "p": paths[0], "q": paths[1]}
        assert session.run(f"{prefix}a:0") == b"words.txt"  # outside of the first operation it is the constant
        assert len(tf.get_collection(sm.ASSETS_KEY)) == 2
    with tf.Graph().as_default(), tf.Session() as session:
        sm.load(session, {"gpu", "train"}, folder)
        assert session.run("y:0", {"x:0": 0.0}) == -3.0


@pytest.mark.parametrize("version", VERSIONS)
def test_signatures(version: str) -> None:
    with tf.Session() as session:
        message = sm.load(session, ["serve"], DATA / version / "signatures")
        found = {key: sm.is_valid_signature(signature) for key, signature in message.signature_def.items()}
        assert found == {"regress": True, "classify": True, "sparse": True, "rows": True, "empty": False}
        sparse = sm.get_tensor_from_tensor_info(message.signature_def["sparse"].inputs["sparse"])
        rows = sm.get_tensor_from_tensor_info(message.signature_def["rows"].inputs["rows"])
        assert isinstance(sparse, tf.SparseTensor) and isinstance(rows, tf.IndexedSlices)
        fed = tf.SparseTensorValue(np.array([[0, 1]]), np.array([2.0], np.float32), np.array([1, 2]))
        assert session.run(sparse.values * 2.0, {sparse: fed}).tolist() == [4.0]


def test_a_model_of_functions() -> None:
    with tf.Session() as session:
        message = sm.load(session, ["serve"], DATA / "tensorflow2" / "functions")
        assert run(message, session, x=[[1.0, 2.0]])["y"].tolist() == [[7.0, 10.0]]


# --- Step by step ----------------------------------------------------------------------------------------------------


def test_loader(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", saved_model_main_op=["one/add"], saved_model_train_op=["two/add"])
    steps = loader.SavedModelLoader(str(folder))
    assert steps.export_dir == str(folder) and steps.variables_path == f"{folder}/variables/variables"
    assert steps.saved_model.saved_model_schema_version == 1
    graph = tf.Graph()
    saver, elements = steps.load_graph(graph, ["serve"], import_scope="s", return_elements=["v:0"])
    assert isinstance(saver, tf.train.Saver) and [item.name for item in elements] == ["s/v:0"]
    with tf.Session(graph=graph) as session:
        steps.restore_variables(session, saver, "s")
        assert session.run("s/v:0") == 3.0
        steps.run_init_ops(session, ["serve"], "s")
        assert session.run("s/v:0") == 4.0
        message = steps.get_meta_graph_def_from_tags(["serve"])
        with graph.as_default():
            assert loader.get_train_op(message, "s").name == "s/two/add"
        for value in (None, "saver"):
            with pytest.raises(ValueError, match="No tf.train.Saver object was passed"):
                steps.restore_variables(session, value, "s")
    with tf.Session(graph=tf.Graph()) as session:
        steps.restore_variables(session, None)


def test_first_operations(tmp_path: Path) -> None:
    assert load(model(tmp_path / "none")) == 3.0
    assert load(model(tmp_path / "main", saved_model_main_op=["one/add"])) == 4.0
    assert load(model(tmp_path / "legacy", legacy_init_op=["two/add"])) == 5.0
    assert load(model(tmp_path / "both", saved_model_main_op=["one/add"], legacy_init_op=["two/add"])) == 4.0
    for key in ("saved_model_main_op", "legacy_init_op"):
        folder = model(tmp_path / key, **{key: ["one/add", "two/add"]})
        with pytest.raises(RuntimeError, match="Expected exactly one SavedModel init op. Found: .'one/add', 'two/add'"):
            load(folder)


def test_arguments_of_the_import(tmp_path: Path) -> None:
    with tf.Session() as session:
        with tf.device("/cpu:0"):
            x = tf.placeholder(tf.float32, [None, 2], name="fed")
        message = sm.load(session, ["serve"], DATA / "tensorflow1" / "simple", input_map={"x:0": x}, clear_devices=True)
        y = session.graph.get_tensor_by_name(message.signature_def["serving_default"].outputs["y"].name)
        assert session.run(y, {x: [[1.0, 1.0]]}).tolist() == [[3.0]] and not y.device


def test_beside_other_variables(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    with tf.Session() as session:
        w = tf.Variable(1.0, name="w")
        sm.load(session, ["serve"], folder, import_scope="loaded")
        session.run(w.initializer)
        assert session.run([w, "loaded/v:0"]) == [1.0, 3.0]


# --- What is not there -----------------------------------------------------------------------------------------------


def test_folders(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    for path in (folder, str(folder), os.fsencode(folder)):
        assert sm.contains_saved_model(path) and sm.maybe_saved_model_directory(path)
    assert not sm.loader.maybe_saved_model_directory(tmp_path) and not sm.contains_saved_model(tmp_path / "none")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=r"SavedModel file does not exist at: .*/\{saved_model.pbtxt\|saved_model.pb"):
            load(path)


def test_tags(tmp_path: Path) -> None:
    folder = DATA / "tensorflow1" / "assets"
    with pytest.raises(RuntimeError, match="MetaGraphDef associated with tags 'x', 'y' could not be found") as error:
        loader.SavedModelLoader(folder).get_meta_graph_def_from_tags(["x", "y"])
    assert eval(str(error.value).partition("available_tags: ")[2]) == [{"serve"}, {"train", "gpu"}]
    for tags in ("serve", [], ["serve", "gpu"], ["gpu"]):
        with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
            sm.load(tf.Session(), tags, folder)
    assert inspection.get_saved_model_tag_sets(folder) == [["serve"], ["train", "gpu"]]
    assert inspection.get_meta_graph_def(folder, "gpu,train").meta_info_def.tags == ["train", "gpu"]
    with pytest.raises(RuntimeError, match="Please use one of the following tag-sets: .'serve', 'train,gpu'"):
        inspection.get_meta_graph_def(folder, "gpu")


def test_missing_variables(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    index = Path(folders.variables_prefix(folder) + ".index")
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(tf.errors.DataLossError, match="variables.index"):
        load(folder)
    shutil.rmtree(folder / "variables")
    with pytest.raises(ValueError, match="The passed save_path is not a valid checkpoint: .*/variables/variables"):
        load(folder)


# --- Hostile files ---------------------------------------------------------------------------------------------------


def edited(folder: Path, edit: Any) -> Path:
    """A model whose graph is changed."""
    model(folder, saved_model_main_op=["one/add"])
    message = folders.parse_saved_model(folder)
    edit(message.meta_graphs[0])
    folders.write_saved_model(folder, message)
    return folder


def test_damaged_files(tmp_path: Path) -> None:
    whole = (model(tmp_path / "m") / "saved_model.pb").read_bytes()
    for number, content in enumerate((whole[:100], b"\xff" * 100, whole + b"\x12", b"\x12\xff\xff\xff\xff\x0f")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(content)
        with pytest.raises(OSError, match="Cannot parse file .*/saved_model.pb"):
            load(folder)
    (folder / "saved_model.pb").write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"available_tags: \[\]"):
        load(folder)
    (folder / "saved_model.pb").unlink()
    for text in (b"hello {", b"\xff", b"meta_graphs { graph_def {" * 2000):
        (folder / "saved_model.pbtxt").write_bytes(text)
        with pytest.raises(OSError, match="Cannot parse file .*/saved_model.pbtxt"):
            load(folder)


def test_every_byte_matters_or_not_but_nothing_crashes(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(DATA / "tensorflow1" / "signatures", folder)
    whole = (folder / "saved_model.pb").read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (folder / "saved_model.pb").write_bytes(damaged)
        try:
            with tf.Graph().as_default() as graph:
                loader.SavedModelLoader(folder).load_graph(graph, ["serve"])
        except (OSError, ValueError, tf.errors.OpError) as error:
            assert str(folder) in str(error)
        except RuntimeError as error:
            assert "could not be found in SavedModel" in str(error)  # the tags are others


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "", "a\0b"])
def test_assets_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    def in_message(graph: Any) -> None:
        graph.asset_file_def.add(filename=name).tensor_info.name = "v/initial_value:0"

    def in_collection(graph: Any) -> None:
        message = proto.AssetFileDef(filename=name)
        packed = graph.collection_def["saved_model_assets"].any_list.value.add()
        packed.type_url, packed.value = "type.googleapis.com/tensorflow.AssetFileDef", message.SerializeToString()

    for number, edit in enumerate((in_message, in_collection)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not in its folder .*/assets"):
            load(edited(tmp_path / str(number), edit))
    assert assets.asset_path("assets", "inner/..words") == "assets/inner/..words"


def test_malformed_graphs(tmp_path: Path) -> None:
    def missing_operation(graph: Any) -> None:
        graph.collection_def["saved_model_main_op"].node_list.value[:] = ["none"]

    def missing_signature_operation(graph: Any) -> None:
        graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "none"

    def missing_asset_tensor(graph: Any) -> None:
        graph.asset_file_def.add(filename="a").tensor_info.name = "none:0"

    def broken_asset(graph: Any) -> None:
        packed = graph.collection_def["saved_model_assets"].any_list.value.add()
        packed.type_url, packed.value = "x/tensorflow.AssetFileDef", b"\xff"

    def python(graph: Any) -> None:
        node = graph.graph_def.node.add(name="python", op="PyFunc")
        node.attr["token"].s = b"pyfunc_0"
        node.attr["Tin"].list.SetInParent()
        node.attr["Tout"].list.SetInParent()

    for edit, error, message in (
        (missing_operation, tf.errors.InvalidArgumentError, "missing_operation: The name 'none' refers to"),
        (missing_signature_operation, tf.errors.NotFoundError, "__saved_model_init_op could not be found in the graph"),
        (missing_asset_tensor, tf.errors.InvalidArgumentError, "/m.*: Cannot interpret feed_dict key as .*none:0"),
        (broken_asset, tf.errors.InvalidArgumentError, "collection saved_model_assets cannot be parsed"),
        (python, tf.errors.PermissionDeniedError, "runs Python code"),
    ):
        with pytest.raises(error, match=message):
            load(edited(tmp_path / edit.__name__, edit))


def test_the_first_operation_writes_nowhere_by_itself(tmp_path: Path) -> None:
    v = tf.Variable(3.0, name="v")
    op = tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "stolen"), tensor_names=["v"], shape_and_slices=[""], tensors=[v.read_value()]
    )
    builder = sm.Builder(tmp_path / "m")
    with tf.Session() as session:
        session.run(v.initializer)
        builder.add_meta_graph_and_variables(session, ["serve"], main_op=op)
    builder.save()
    with pytest.raises(tf.errors.PermissionDeniedError):
        load(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]


def test_other_things_among_the_assets_are_left_alone(tmp_path: Path) -> None:
    def edit(graph: Any) -> None:
        graph.collection_def["saved_model_assets"].any_list.value.add(type_url="x/tensorflow.Other", value=b"\xff")
        graph.ClearField("saver_def")

    assert load(edited(tmp_path / "m", edit)) == 4.0


# --- Predictors ------------------------------------------------------------------------------------------------------


def test_predictor() -> None:
    folder = str(DATA / "tensorflow1" / "simple")
    load = tf.contrib.predictor.from_saved_model
    predict = load(folder)
    assert predict({"x": [[1.0, 2.0]]})["y"].tolist() == [[5.0]]
    assert predict.graph is predict.session.graph is not tf.get_default_graph()
    assert (predict.feed_tensors["x"].name, predict.fetch_tensors["y"].name) == ("x:0", "y:0")
    assert repr(predict).startswith("SavedModelPredictor with feed tensors {'x': <tf.Tensor 'x:0'")
    with pytest.raises(ValueError, match="Got unexpected keys in input_dict: {'z'}\nexpected: {'x'}"):
        predict({"z": 1.0})
    graph = tf.Graph()
    by_names = load(folder, input_names={"a": "x:0"}, output_names={"b": "MatMul:0"}, tags="serve", graph=graph)
    assert by_names({"a": [[1.0, 1.0]]})["b"].tolist() == [[3.0]] and by_names.graph is graph
    signature = sm.build_signature_def({"q": proto.TensorInfo(name="x:0")}, {"r": proto.TensorInfo(name="y:0")})
    assert load(folder, signature_def=signature)({"q": [[0.0, 1.0]]})["r"].tolist() == [[2.0]]
    assert load(folder, signature_def_key="none").feed_tensors == {}
    with pytest.raises(ValueError, match="You must specify at most one of signature_def_key OR"):
        load(folder, signature_def_key="k", signature_def=signature)
    with pytest.raises(ValueError, match="input_names and output_names must both be specified"):
        load(folder, input_names={"a": "x:0"})


# --- Real TensorFlow -------------------------------------------------------------------------------------------------

SAVE = """
import sys, tensorflow.compat.v1 as tf
tf.disable_eager_execution()
x = tf.placeholder(tf.float32, [None, 3], name="x")
h = tf.layers.dense(x, 4, tf.nn.relu) if hasattr(tf, "layers") and tf.__version__.startswith("1.") else tf.nn.relu(
    tf.matmul(x, tf.get_variable("k", [3, 4])))
y = tf.nn.softmax(tf.matmul(h, tf.get_variable("last", [4, 2], use_resource=True)))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    tf.saved_model.simple_save(session, sys.argv[1], {"x": x}, {"y": y})
    print(session.run(y, {x: [[1.0, -2.0, 3.0]]}).tolist())
"""


@pytest.mark.parametrize("name", ["tf1", "tf2"])
def test_a_fresh_model_of_tensorflow(tmp_path: Path, name: str) -> None:
    expected = eval(run_in(name, SAVE, tmp_path / "m").splitlines()[-1])
    with tf.Session() as session:
        message = sm.load(session, ["serve"], tmp_path / "m")
        np.testing.assert_allclose(run(message, session, x=[[1.0, -2.0, 3.0]])["y"], expected, rtol=1e-6)
