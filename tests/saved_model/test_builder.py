"""Writing SavedModels as in 1.x: `SavedModelBuilder`, `simple_save`, assets."""
from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from oracles import oracle, run_in

import millstream.v1 as tf
from millstream.io import proto
from millstream.saved_model import builder as builders
from millstream.saved_model import folders, loader
from millstream.saved_model.method_names import MethodNameUpdater

sm = tf.saved_model
DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def _fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def linear() -> tuple[tf.Tensor, tf.Tensor]:
    """y = x w with w = [[1], [2]]."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", initializer=np.array([[1], [2]], np.float32), use_resource=False)
    return x, tf.identity(tf.matmul(x, w), name="y")


def save(folder: Path, *tags: str, **arguments: Any) -> Any:
    """Builds a model of one variable; gives the builder."""
    v = tf.Variable(3.0, name="v")
    builder = sm.Builder(str(folder))
    with tf.Session() as session:
        session.run(v.initializer)
        builder.add_meta_graph_and_variables(session, tags or ("serve",), **arguments)
    return builder


def content(folder: Path) -> Any:
    return folders.parse_saved_model(folder)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- One graph -------------------------------------------------------------------------------------------------------


def test_simple_save_writes_what_tensorflow_writes(tmp_path: Path) -> None:
    with tf.device("/cpu:0"):
        x, y = linear()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        sm.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    theirs = DATA / "tensorflow1" / "simple"
    assert files(tmp_path / "m") == files(theirs)
    for name in files(theirs):
        if name.startswith("variables"):
            assert (tmp_path / "m" / name).read_bytes() == (theirs / name).read_bytes()
    ours, expected = (comparable(content(folder)) for folder in (tmp_path / "m", theirs))
    assert ours == expected


def comparable(message: Any) -> Any:
    """A `SavedModel` without what differs from run to run, and orders that mean nothing."""
    for graph in message.meta_graphs:
        graph.meta_info_def.tensorflow_git_version = ""
        graph.graph_def.ClearField("library")  # TensorFlow writes an empty one
        for op in graph.meta_info_def.stripped_op_list.op:
            attrs = sorted(op.attr, key=lambda attr: attr.name)
            del op.attr[:]
            op.attr.extend(attrs)
        for node in graph.graph_def.node:
            inputs = [name for name in node.input if not name.startswith("^")]
            node.input[:] = inputs + sorted(set(node.input) - set(inputs))
            if node.name.endswith("StringJoin/inputs_1"):
                value = node.attr["value"].tensor.string_val
                value[0] = re.sub(rb"_temp_\w{32}/", b"_temp/", value[0])
    return message


def test_text(tmp_path: Path) -> None:
    builder = save(tmp_path / "m")
    assert builder.save(as_text=True) == os.fsencode(tmp_path / "m" / "saved_model.pbtxt")
    read = proto.SavedModel()
    text_format.Parse((tmp_path / "m" / "saved_model.pbtxt").read_text(), read)
    assert read.saved_model_schema_version == 1 and list(read.meta_graphs[0].meta_info_def.tags) == ["serve"]
    assert builder.save() == os.fsencode(tmp_path / "m" / "saved_model.pb")
    assert content(tmp_path / "m") == read


def test_devices_and_defaults(tmp_path: Path) -> None:
    with tf.device("/cpu:0"):
        tf.constant(1.0, name="c")
    save(tmp_path / "m", clear_devices=True, strip_default_attrs=True).save()
    graph = content(tmp_path / "m").meta_graphs[0]
    nodes = {node.name: node for node in graph.graph_def.node}
    assert not any(node.device for node in nodes.values())
    assert "container" not in nodes["v"].attr and graph.meta_info_def.stripped_default_attrs


def test_no_variables(tmp_path: Path) -> None:
    tf.constant(1.0, name="c")
    builder = sm.Builder(tmp_path / "m")
    with tf.Session() as session:
        builder.add_meta_graph_and_variables(session, [])
    builder.save()
    assert files(tmp_path / "m") == ["saved_model.pb"] and (tmp_path / "m" / "variables").is_dir()
    assert not content(tmp_path / "m").meta_graphs[0].HasField("saver_def")


def test_session_of_another_graph(tmp_path: Path) -> None:
    other = tf.Graph()
    with other.as_default():
        linear()
    builder = sm.Builder(tmp_path / "m")
    session = tf.Session(graph=other)
    session.run(other.get_operation_by_name("w/Assign"))
    builder.add_meta_graph_and_variables(session, ["serve"])
    builder.save()
    assert len(files(tmp_path / "m")) == 3 and not tf.get_default_graph().get_operations()


def test_own_saver(tmp_path: Path) -> None:
    tf.Variable(1.0, name="unsaved")
    w = tf.Variable(2.0, name="w")
    builder = sm.Builder(tmp_path / "m")
    with tf.Session() as session:
        session.run(w.initializer)
        builder.add_meta_graph_and_variables(session, ["serve"], saver=tf.train.Saver([w]))
    builder.save()
    assert [name for name, _ in tf.train.list_variables(folders.variables_prefix(tmp_path / "m"))] == ["w"]
    assert not content(tmp_path / "m").meta_graphs[0].saver_def.sharded


# --- Several graphs --------------------------------------------------------------------------------------------------


def test_several_graphs_share_variables(tmp_path: Path) -> None:
    builder = save(tmp_path / "m", "serve")
    with tf.Graph().as_default():
        v = tf.Variable(0.0, name="v")
        tf.multiply(v, 2.0, name="double")
        builder.add_meta_graph(["train", "gpu"], main_op=tf.assign_add(v, 1.0).op)
    builder.save()
    assert folders.tag_sets(content(tmp_path / "m")) == [["serve"], ["train", "gpu"]]
    with tf.Graph().as_default(), tf.Session() as session:
        sm.load(session, ["gpu", "train"], tmp_path / "m")
        assert session.run(["v:0", "double:0"]) == [4.0, 8.0]


def test_order_of_calls(tmp_path: Path) -> None:
    builder = sm.Builder(tmp_path / "m")
    with pytest.raises(AssertionError, match="has not been saved yet. Please invoke `add_meta_graph_and_variables"):
        builder.add_meta_graph(["serve"])
    builder = save(tmp_path / "n")
    with pytest.raises(AssertionError, match="has already been saved. Please invoke `add_meta_graph"):
        builder.add_meta_graph_and_variables(tf.Session(), ["serve"])


# --- First operations ------------------------------------------------------------------------------------------------


def test_main_operations(tmp_path: Path) -> None:
    op = tf.no_op("first")
    save(tmp_path / "m", legacy_init_op=op).save()
    graph = content(tmp_path / "m").meta_graphs[0]
    assert list(graph.collection_def["saved_model_main_op"].node_list.value) == ["first"]
    with pytest.raises(ValueError, match="Graph already contains one or more main ops under the collection saved_mod"):
        save(tmp_path / "n", main_op=op)
    with tf.Graph().as_default():
        for value in ("op", tf.constant(1.0)):
            with pytest.raises(TypeError, match="main_op needs to be an Operation: "):
                save(tmp_path / f"{type(value).__name__}", main_op=value)


def test_builder_with_operations_in_signatures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    v = tf.Variable(1.0, name="v")
    path = tf.constant(str(tmp_path / "a.txt"), name="a")
    noted = tf.Variable("", name="p")
    ops = {"init_op": tf.assign(noted, path).op, "train_op": tf.assign_add(v, 1.0).op}
    builder = builders._SavedModelBuilder(tmp_path / "m")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, ["serve"], assets_list=[path], **ops)
    builder.add_meta_graph(["train"], {"s": sm.build_signature_def()}, assets_list=[path], train_op=ops["train_op"])
    builder.save()
    first, second = content(tmp_path / "m").meta_graphs
    assert first.asset_file_def[0].filename == "a.txt" and first.asset_file_def[0].tensor_info.name == "a:0"
    assert sorted(first.signature_def) == ["__saved_model_init_op", "__saved_model_train_op"]
    assert sorted(second.signature_def) == ["__saved_model_train_op", "s"]
    with tf.Graph().as_default(), tf.Session() as session:
        message = sm.load(session, ["serve"], tmp_path / "m", import_scope="scope")
        assert session.run("scope/p:0") == os.fsencode(tmp_path / "m" / "assets" / "a.txt")
        session.run(loader.get_train_op(message, "scope"))
        assert session.run("scope/v:0") == 2.0


# --- Assets ----------------------------------------------------------------------------------------------------------


def test_assets(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [tmp_path / name for name in ("words.txt", "other/words.txt", "words.txt")]
    for path in paths:
        path.write_text(path.parent.name)
    tensors = [tf.constant(str(path), name=f"a{number}") for number, path in enumerate(paths)]
    builder = save(tmp_path / "m", assets_collection=tensors)
    paths[0].unlink()
    with tf.Graph().as_default():
        (tmp_path / "third").mkdir()
        (tmp_path / "third" / "words.txt").write_text("third")
        tf.Variable(0.0, name="v")
        builder.add_meta_graph(["b"], assets_collection=[tf.constant(str(tmp_path / "third" / "words.txt"))])
    builder.save()
    written = {name: (tmp_path / "m" / "assets" / name).read_text() for name in os.listdir(tmp_path / "m" / "assets")}
    assert written == {"words.txt": tmp_path.name, "words.txt_1": "other", "words.txt_2": "third"}
    graph = content(tmp_path / "m").meta_graphs[0]
    packed = graph.collection_def["saved_model_assets"].any_list.value
    found = [proto.AssetFileDef.FromString(item.value) for item in packed]
    assert [(item.tensor_info.name, item.filename) for item in found] == [
        ("a0:0", "words.txt"), ("a1:0", "words.txt_1"), ("a2:0", "words.txt"),
    ]  # fmt: skip
    assert {item.type_url for item in packed} == {"type.googleapis.com/tensorflow.AssetFileDef"}


def test_what_is_no_asset(tmp_path: Path) -> None:
    for number, (make, error, message) in enumerate((
        (lambda: "path", TypeError, "Asset path tensor must be a Tensor"),
        (lambda: tf.constant(3), TypeError, "Asset path tensor must be of dtype string"),
        (lambda: tf.placeholder(tf.string), TypeError, "Asset path tensor must be of type constant"),
        (lambda: tf.constant(["a", "b"]), TypeError, "Asset path tensor must be a scalar"),
        (lambda: tf.constant(""), ValueError, "Invalid asset filepath tensor"),
        (lambda: tf.constant(str(tmp_path / "none")), tf.errors.NotFoundError, "none; No such file or directory"),
        (lambda: tf.constant(str(tmp_path)), tf.errors.FailedPreconditionError, "Is a directory"),
    )):  # fmt: skip
        with tf.Graph().as_default(), pytest.raises(error, match=message):
            save(tmp_path / str(number), assets_collection=[make()])
        assert not list((tmp_path / str(number)).rglob("*.tempstate*"))


# --- Errors ----------------------------------------------------------------------------------------------------------


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sm.Builder(str(tmp_path / "empty"))
    sm.Builder(os.fsencode(tmp_path / "new" / "inner"))
    assert (tmp_path / "new" / "inner").is_dir()
    with pytest.raises(AssertionError, match="Export directory already exists, and isn't empty. .*: .*/new$"):
        sm.Builder(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(tf.errors.NotFoundError, match="Could not find directory .*/file$"):
        sm.Builder(tmp_path / "file")


def test_malformed_signatures(tmp_path: Path) -> None:
    for number, (given, message) in enumerate((
        (proto.TensorInfo(dtype=1), "must have one of the 'encoding' fields .* set: dtype: DT_FLOAT"),
        (proto.TensorInfo(name="v:0"), "must have the dtype field set: name: \"v:0\""),
    )):  # fmt: skip
        for arguments in ({"inputs": {"a": given}}, {"outputs": {"a": given}}):
            signature = sm.build_signature_def(**arguments)
            with tf.Graph().as_default(), pytest.raises(AssertionError, match=message):
                save(tmp_path / f"{number}{sorted(arguments)}", signature_def_map={"s": signature})
    composite = proto.TensorInfo()
    composite.composite_tensor.SetInParent()
    save(tmp_path / "m", signature_def_map={"s": sm.build_signature_def({"a": composite})})


def test_uninitialised_variables_leave_no_model(tmp_path: Path) -> None:
    tf.Variable(1.0, name="lost")
    builder = sm.Builder(tmp_path / "m")
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value lost"):
            builder.add_meta_graph_and_variables(session, ["serve"])
        assert not sm.contains_saved_model(tmp_path / "m") and not files(tmp_path / "m")
        session.run(tf.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, ["serve"])
    builder.save()
    assert len(content(tmp_path / "m").meta_graphs) == 1


def test_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "tensorflow"):
        save(tmp_path / "m").save()
    logger.removeHandler(caplog.handler)
    assert list(dict.fromkeys(record.getMessage() for record in caplog.records)) == [
        "No assets to save.", "No assets to write.", f"SavedModel written to: {tmp_path}/m/saved_model.pb",
    ]  # fmt: skip


# --- Changing method names -------------------------------------------------------------------------------------------


def test_method_names(tmp_path: Path) -> None:
    x, y = linear()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        sm.simple_save(session, tmp_path / "m", {"x": x}, {"y": y})
    updater = MethodNameUpdater(tmp_path / "m")
    updater.replace_method_name("serving_default", "own/method", tags="serve")
    updater.save()
    assert content(tmp_path / "m").meta_graphs[0].signature_def["serving_default"].method_name == "own/method"
    updater.replace_method_name("serving_default", "other")
    updater.save(tmp_path / "n")
    assert files(tmp_path / "n") == ["saved_model.pb"]
    for arguments, message in (
        (("", "m"), "`signature_key` must be defined"),
        (("k", ""), "`method_name` must be defined"),
        (("k", "m"), "with tags None does not have a signature_def with key: 'k'"),
        (("serving_default", "m", ["a", "b"]), r"with tags \['a', 'b'\] could not be found in SavedModel"),
    ):
        with pytest.raises(ValueError, match=message):
            updater.replace_method_name(*arguments)


# --- Real TensorFlow -------------------------------------------------------------------------------------------------

LOAD = """
import sys, tensorflow.compat.v1 as tf
tf.disable_eager_execution()
for tags in (["serve"], ["train"]):
    with tf.Graph().as_default(), tf.Session() as session:
        signature = tf.saved_model.load(session, tags, sys.argv[1]).signature_def.get("serving_default")
        print(session.run("v:0"))
        if signature:
            feeds = {signature.inputs["x"].name: 3.0}
            print(sorted(session.run([signature.outputs[key].name for key in signature.outputs], feeds), key=str))
"""


@pytest.mark.parametrize("name", ["tf1", "tf2"])
def test_tensorflow_loads_it(tmp_path: Path, name: str) -> None:
    oracle(name)
    (tmp_path / "a.txt").write_text("a")
    x, path = tf.placeholder(tf.float32, [], name="x"), tf.constant(str(tmp_path / "a.txt"))
    v, noted = tf.Variable(2.0, name="v"), tf.Variable("", name="p")
    signature = sm.predict_signature_def({"x": x}, {"y": x * v, "p": noted})
    main_op = tf.group(tf.assign(noted, path), tf.assign_add(v, 10.0))
    builder = sm.Builder(tmp_path / "m")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, [path], main_op=main_op, strip_default_attrs=True
        )
    with tf.Graph().as_default():
        tf.Variable(0.0, name="v")
        builder.add_meta_graph(["train"])
    builder.save(as_text=name == "tf2")
    (tmp_path / "a.txt").unlink()
    lines = run_in(name, LOAD, tmp_path / "m").splitlines()
    assert (lines[0], lines[2]) == ("12.0", "2.0") and "36.0" in lines[1]
    assert f"b'{tmp_path}/m/assets/a.txt'" in lines[1]


LOAD_2 = """
import sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
print(model.signatures["serving_default"](x=tf.constant([[1.0, 2.0]]))["y"].numpy().tolist())
"""


def test_tensorflow_2_loads_it_as_an_object(tmp_path: Path) -> None:
    x, y = linear()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        sm.simple_save(session, tmp_path / "m", {"x": x}, {"y": y})
    assert run_in("tf2", LOAD_2, tmp_path / "m").strip() == "[[5.0]]"
