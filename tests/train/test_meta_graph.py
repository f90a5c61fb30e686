"""Graphs with collections and savers, as messages and files."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

import millstream.v1 as tf
from millstream.io import proto


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def collections(message: Any) -> dict[str, Any]:
    return {key: (value.WhichOneof("kind"), list(getattr(value, value.WhichOneof("kind")).value))
            for key, value in message.collection_def.items()}  # fmt: skip


def test_collections(caplog: pytest.LogCaptureFixture) -> None:
    v = tf.Variable(1.0, name="v")
    tf.get_variable("r", initializer=2.0, use_resource=True)
    for key, value in [
        ("numbers", 3), ("numbers", 4), ("floats", 1.5), ("texts", "x"), ("tensors", v + 1), ("tensors", v),
        ("operations", v.op), ("savers", tf.train.Saver()), ("objects", object()), ("mixed", 1), ("mixed", "x"),
        ("__own", 1), (("no", "text"), 1),
    ]:  # fmt: skip
        tf.add_to_collection(key, value)
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    message = tf.train.export_meta_graph()
    logger.removeHandler(caplog.handler)
    found = collections(message)
    kept = {key: found.pop(key) for key in ("variables", "trainable_variables", "savers")}
    assert found == {
        "numbers": ("int64_list", [3, 4]),
        "floats": ("float_list", [1.5]),
        "texts": ("bytes_list", [b"x"]),
        "tensors": ("node_list", ["add:0", "v:0"]),
        "operations": ("node_list", ["v"]),
    }
    assert kept["variables"] == kept["trainable_variables"] and len(kept["variables"][1]) == 2
    assert kept["savers"][1] == [tf.get_collection("savers")[0].saver_def.SerializeToString()]
    assert {record.args[0] for record in caplog.records} == {"objects", "mixed"}
    assert list(collections(tf.train.export_meta_graph(collection_list=["texts"]))) == ["texts"]


def test_the_rest_of_the_message() -> None:
    with tf.device("/cpu:0"):
        v = tf.Variable([1.0], name="v")
    saver = tf.train.Saver()
    message = saver.export_meta_graph(clear_devices=True)
    assert message.meta_info_def.tensorflow_version == tf.__version__
    assert {op.name for op in message.meta_info_def.stripped_op_list.op} == {node.op for node in message.graph_def.node}
    assert message.saver_def == saver.as_saver_def()
    nodes = {node.name: node for node in message.graph_def.node}
    assert nodes["v"].attr["_output_shapes"].list.shape[0].dim[0].size == 1
    assert not any(node.device for node in nodes.values()) and v.device
    assert "container" in nodes["v"].attr
    stripped = saver.export_meta_graph(strip_default_attrs=True)
    nodes = {node.name: node for node in stripped.graph_def.node}
    assert "container" not in nodes["v"].attr and "shape" in nodes["v"].attr
    assert stripped.meta_info_def.stripped_default_attrs and not message.meta_info_def.stripped_default_attrs


def test_files(tmp_path: Path) -> None:
    tf.Variable(1.0)
    for as_text in (False, True):
        path = tmp_path / "new" / "graph.meta"
        message = tf.train.export_meta_graph(str(path), as_text=as_text)
        read = tf.MetaGraphDef()
        if as_text:
            text_format.Parse(path.read_text(), read)
        else:
            read.ParseFromString(path.read_bytes())
        assert read == message


def test_an_empty_list_of_collections() -> None:
    tf.add_to_collection("texts", "x")
    assert not tf.train.export_meta_graph(collection_list=[]).collection_def


def test_graph_def_and_graph() -> None:
    """The operations are those of one argument, the collections those of the other."""
    tf.constant(1.0, name="here")
    tf.add_to_collection("texts", "x")
    graph_def = tf.GraphDef()
    graph_def.node.add(name="there", op="NoOp")
    message = tf.train.export_meta_graph(graph_def=graph_def)
    assert [node.name for node in message.graph_def.node] == ["there"]
    assert collections(message) == {"texts": ("bytes_list", [b"x"])}
    assert [op.name for op in message.meta_info_def.stripped_op_list.op] == ["NoOp"]
    assert not tf.train.export_meta_graph(graph_def=graph_def, graph=tf.Graph()).collection_def


def part() -> Any:
    """A graph whose scope `hidden` takes `x` from outside, as data and as what to wait for."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.name_scope("hidden"):
        w = tf.Variable([[1.0], [2.0]], name="w")
        y = tf.matmul(x, w, name="y")
        with tf.control_dependencies([x.op]):
            tf.identity(y, name="z")
    tf.Variable(3.0, name="outer")
    tf.add_to_collection("ys", y)
    tf.add_to_collection("ys", x)
    return x


def test_export_scope() -> None:
    part()
    tf.add_to_collection("savers", tf.train.Saver())
    message = tf.train.export_meta_graph(export_scope="hidden")
    nodes = {node.name: list(node.input) for node in message.graph_def.node}
    assert nodes == {
        "w/initial_value": [],
        "w": [],
        "w/Assign": ["w", "w/initial_value"],
        "w/read": ["w"],
        "y": ["$unbound_inputs_x", "w/read"],
        "z": ["y", "^$unbound_inputs_x"],
    }
    assert [n.attr["_class"].list.s for n in message.graph_def.node if n.name == "w/read"] == [[b"loc:@w"]]
    found = collections(message)
    assert found["unbound_inputs"] == ("bytes_list", [b"$unbound_inputs_x"])
    assert found["ys"] == ("node_list", ["y:0"]) and "savers" not in found
    (variable,) = found["variables"][1]
    assert variable == found["trainable_variables"][1][0]
    assert proto.VariableDef.FromString(variable).initializer_name == "w/Assign"
    assert tf.get_collection("unbound_inputs") == ["$unbound_inputs_x"]


def test_a_scope_leaves_nothing_behind_in_the_next_export() -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    tf.add_to_collection("inputs", x)
    with tf.name_scope("part"):
        tf.identity(x, name="y")
    assert set(tf.train.export_meta_graph(export_scope="part").collection_def) == {"unbound_inputs"}
    whole = tf.train.export_meta_graph()
    assert set(whole.collection_def) == {"inputs"}
    with tf.Graph().as_default():
        tf.train.import_meta_graph(whole)


def test_clear_extraneous_savers() -> None:
    part()
    first, second = tf.train.Saver(), tf.train.Saver()
    tf.add_to_collection("savers", second)
    message = first.export_meta_graph(clear_extraneous_savers=True)
    scopes = {node.name.partition("/")[0] for node in message.graph_def.node}
    assert "save" in scopes and "save_1" not in scopes
    assert "savers" not in collections(message)
    message = tf.train.export_meta_graph(clear_extraneous_savers=True)
    assert not any(node.name.startswith("save") for node in message.graph_def.node)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"graph_def": 3}, "graph_def must be of type GraphDef, not <class 'int'>"),
        ({"meta_info_def": 3}, "meta_info_def must be of type MetaInfoDef, not <class 'int'>"),
        ({"saver_def": 3}, "saver_def must be of type SaverDef, not <class 'int'>"),
        ({"bogus": 3}, "got an unexpected keyword argument 'bogus'"),
    ],
)
def test_wrong_arguments(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tf.train.export_meta_graph(**keywords)
