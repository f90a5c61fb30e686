"""Graphs with collections and savers, as messages and files."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

import millstream.v1 as tf


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


def test_what_is_not_there_yet() -> None:
    with pytest.raises(NotImplementedError, match="does not take export_scope, unbound_inputs_col_name yet"):
        tf.train.export_meta_graph(export_scope="s", unbound_inputs_col_name="u")
