"""Graphs from `MetaGraphDef`s: collections, scopes, inputs from outside, savers."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

import millstream.v1 as tf
from millstream.train.collection_defs import _FORMS, register_proto_function
from millstream.train.meta_graph_import import import_with_elements
from millstream.train.meta_graph_scopes import copy_scoped_meta_graph, export_scoped_meta_graph


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def names() -> list[str]:
    return [op.name for op in tf.get_default_graph().get_operations()]


def small(**collections: list[Any]) -> Any:
    """A message with a node `c`, and collections."""
    with tf.Graph().as_default():
        tf.no_op(name="c")
        for key, values in collections.items():
            for value in values:
                tf.add_to_collection(key, value)
        return tf.train.export_meta_graph()


def test_there_and_back(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", [2, 1], initializer=tf.ones_initializer())
        r = tf.get_variable("r", initializer=2.0, use_resource=True, trainable=False)
        tf.get_variable("local", initializer=1.0, collections=[tf.GraphKeys.LOCAL_VARIABLES], trainable=False)
        y = tf.matmul(x, w) * r
        step = tf.train.get_or_create_global_step()
        loss = tf.reduce_mean(tf.square(y), name="loss")
        train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, global_step=step)
        queue = tf.FIFOQueue(3, tf.float32, name="queue")
        tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(1.0)]))
        average = tf.train.ExponentialMovingAverage(0.9)
        average.apply([w])
        saver = tf.train.Saver(max_to_keep=3)
        tf.add_to_collection("savers", saver)
        tf.add_to_collection("mine", y)
        tf.add_to_collection("mine", train)
        tf.add_to_collection("mine", w)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            path = saver.save(session, str(tmp_path / "model"))
            session.run(train, {x: [[1.0, 2.0]]})
            expected = session.run([loss, w, step], {x: [[1.0, 2.0]]})
        collected = {key: len(tf.get_collection(key)) for key in tf.get_default_graph().collections}
    saver = tf.train.import_meta_graph(f"{path}.meta")
    found = {key: len(tf.get_collection(key)) for key in tf.get_default_graph().collections}
    assert {key: found[key] for key in collected if isinstance(key, str) and not key.startswith("__")} == {
        key: count for key, count in collected.items() if isinstance(key, str) and not key.startswith("__")
    }
    assert saver.saver_def.max_to_keep == 3
    kinds = {v.name: type(v).__name__ for v in tf.global_variables()}
    assert kinds["w:0"] == "RefVariable" and kinds["r:0"] == "ResourceVariable"
    assert tf.get_collection("trainable_variables")[0] is tf.get_collection("variables")[0]
    assert [item.name for item in tf.get_collection("mine")] == ["mul:0", "Momentum", "w:0"]
    assert tf.train.get_global_step() is tf.get_collection("global_step")[0]
    assert type(tf.get_collection("queue_runners")[0]).__name__ == "QueueRunner"
    with tf.Session() as session:
        saver.restore(session, path)
        session.run("Momentum", {"x:0": [[1.0, 2.0]]})
        found = session.run(["loss:0", "w:0", "global_step:0"], {"x:0": [[1.0, 2.0]]})
        np.testing.assert_allclose(found[1], expected[1])
        more = tf.train.GradientDescentOptimizer(0.1).minimize(tf.get_default_graph().get_tensor_by_name("loss:0"))
        session.run(more, {"x:0": [[1.0, 2.0]]})


def test_plain_collections(caplog: pytest.LogCaptureFixture) -> None:
    message = small(numbers=[7], texts=["a", b"\xff"], flags=[True])
    message.collection_def["floats"].float_list.value.append(0.1)
    message.collection_def["operations"].node_list.value.append("c")
    message.collection_def["any"].any_list.value.add(type_url="x.y/z", value=b"1")
    message.collection_def["hparams"].bytes_list.value.append(b"unknown")
    message.collection_def["empty"].SetInParent()
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    assert tf.train.import_meta_graph(message) is None
    logger.removeHandler(caplog.handler)
    graph = tf.get_default_graph()
    assert {key: tf.get_collection(key) for key in graph.get_all_collection_keys() if key != "any"} == {
        "numbers": [7],
        "texts": [b"a", b"\xff"],
        "flags": [1],
        "floats": [pytest.approx(0.1)],
        "operations": [graph.get_operation_by_name("c")],
        "hparams": [b"unknown"],
    }
    assert tf.get_collection("any")[0].value == b"1"
    assert "Cannot identify data type for collection empty. Skipping." in caplog.text
    again = tf.train.export_meta_graph()
    assert again.collection_def["any"].any_list.value[0].type_url == "x.y/z"


def test_contexts_of_tensorflow_1_stay_readable() -> None:
    from millstream.io import proto

    message = small()
    context = proto.WhileContextDef(context_name="turns/while_context")
    message.collection_def["while_context"].bytes_list.value.append(context.SerializeToString())
    tf.train.import_meta_graph(message, import_scope="s")
    (found,) = tf.get_collection("while_context")
    assert found.name == "s/turns/while_context" and found.to_proto() is None
    assert list(tf.train.export_meta_graph().collection_def["while_context"].bytes_list.value) == []


def test_predicate() -> None:
    message = small(a=[1], b=[2])
    tf.train.import_meta_graph(message, restore_collections_predicate=lambda key: key == "a")
    assert tf.get_collection("a") == [1] and tf.get_collection("b") == []


def test_a_registered_collection() -> None:
    from millstream.io import proto

    class Range:
        def __init__(self, low: int) -> None:
            self.low = low

    register_proto_function(
        "ranges",
        proto_type=proto.CollectionDef,
        to_proto=lambda item, export_scope=None: proto.CollectionDef(
            int64_list=proto.CollectionDef.Int64List(value=[item.low])
        ),
        from_proto=lambda message, import_scope=None: Range(message.int64_list.value[0]),
    )
    try:
        message = small(ranges=[Range(5)])
        tf.train.import_meta_graph(message)
        assert tf.get_collection("ranges")[0].low == 5
    finally:
        del _FORMS["ranges"]
    with pytest.raises(TypeError, match="to_proto must be callable"):
        register_proto_function("ranges", to_proto=3)  # type: ignore[arg-type]


def test_scopes() -> None:
    message = small()
    for scope in (None, None, "s/t", "s/t", "s/t/"):
        tf.train.import_meta_graph(message, import_scope=scope)
    with tf.name_scope("outer"):
        tf.train.import_meta_graph(message, import_scope="s/t")
        tf.train.import_meta_graph(message)
    assert names() == ["c", "c_1", "s/t/c", "s/t_1/c", "s/t/c_1", "outer/s/t/c", "outer/c"]


def scoped() -> Any:
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        with tf.name_scope("hidden"):
            w = tf.Variable([[1.0], [2.0]], name="w")
            y = tf.matmul(x, w, name="y")
            with tf.control_dependencies([x.op]):
                tf.identity(y, name="z")
        tf.add_to_collection("ys", y)
        return tf.train.export_meta_graph(export_scope="hidden")


def test_inputs_from_outside() -> None:
    message = scoped()
    given = tf.placeholder(tf.float32, [None, 2], name="given")
    with pytest.raises(ValueError, match=r"Graph contains unbound inputs: \$unbound_inputs_x\. Must provide these"):
        tf.train.import_meta_graph(message, import_scope="new")
    saver = tf.train.import_meta_graph(message, import_scope="new", input_map={"$unbound_inputs_x": given})
    y = tf.get_collection("ys")[0]
    assert y.name == "new/y:0" and y.op.inputs[0] is given
    assert tf.get_default_graph().get_operation_by_name("new/z").control_inputs == [given.op]
    assert [v.name for v in tf.global_variables()] == ["new/w:0"]
    assert saver.saver_def.filename_tensor_name == "save/Const:0"
    assert tf.get_collection("unbound_inputs") == []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(y, {given: [[3.0, 4.0]]}).tolist() == [[11.0]]


def test_devices() -> None:
    with tf.Graph().as_default():
        with tf.device("/job:worker/task:3/device:GPU:1"):
            tf.constant(1.0, name="c")
        message = tf.train.export_meta_graph()
    tf.train.import_meta_graph(message, clear_devices=True)
    assert tf.get_default_graph().get_operation_by_name("c").device == ""
    assert message.graph_def.node[0].device  # the message stays as it is
    tf.train.import_meta_graph(message, import_scope="s")
    assert tf.get_default_graph().get_operation_by_name("s/c").device == "/job:worker/task:3/device:GPU:1"


def test_savers() -> None:
    assert tf.train.import_meta_graph(small()) is None
    with tf.Graph().as_default():
        tf.Variable(1.0, name="v")
        without = tf.train.export_meta_graph()
        message = tf.train.Saver().export_meta_graph()
    assert tf.train.import_meta_graph(without).saver_def.save_tensor_name == "save/control_dependency:0"
    saver = tf.train.import_meta_graph(message, import_scope="s")
    assert saver.saver_def.restore_op_name == "s/save/restore_all"
    assert tf.train.Saver(saver_def=saver.saver_def).saver_def == saver.saver_def
    assert tf.train.Saver.from_proto(message.saver_def, "s").saver_def == saver.saver_def


def test_elements_and_another_graph() -> None:
    other = tf.Graph()
    saver, found = import_with_elements(small(numbers=[1]), return_elements=["c"], graph=other)
    assert saver is None and found == [other.get_operation_by_name("c")]
    assert other.get_collection("numbers") == [1] and names() == []


def test_copies_of_scopes() -> None:
    with tf.name_scope("a"):
        v = tf.Variable(2.0, name="v")
        tf.multiply(v, 3.0, name="y")
    message, variables = export_scoped_meta_graph(export_scope="a")
    assert variables == {"v": v}
    copied = copy_scoped_meta_graph("a", "b")
    assert [item.name for item in copied.values()] == ["b/v:0"] and "b/y" in names()
    with pytest.raises(ValueError, match="need to be different"):
        copy_scoped_meta_graph("a", "a")


def test_the_producers_defaults() -> None:
    message = small()
    message.graph_def.node[0].attr["new"].i = 3
    definition = message.meta_info_def.stripped_op_list.op[0]
    definition.attr.add(name="new", type="int").default_value.i = 3
    tf.train.import_meta_graph(message)
    message.graph_def.node[0].attr["new"].i = 4
    with pytest.raises(ValueError, match="NodeDef mentions attr 'new' not in Op<name=NoOp"):
        tf.train.import_meta_graph(message)


def test_stripped_defaults() -> None:
    with tf.Graph().as_default():
        v = tf.Variable([1.0], name="v")
        tf.matmul([[1.0]], [v], name="y")
        message = tf.train.Saver().export_meta_graph(strip_default_attrs=True)
    saver = tf.train.import_meta_graph(message)
    assert tf.get_default_graph().get_operation_by_name("y").get_attr("transpose_a") is False
    assert saver is not None


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File /nowhere does not exist"):
        tf.train.import_meta_graph("/nowhere")
    for content in (b"\xff\xfe rubbish", b"graph_def { x", b"asset_file_def { tensor_info { dtype: 4294967294 } }"):
        (tmp_path / "bad.meta").write_bytes(content)
        with pytest.raises(ValueError, match="bad.meta: Error parsing message of type MetaGraphDef"):
            tf.train.import_meta_graph(str(tmp_path / "bad.meta"))
    message = small()
    message.collection_def["bad"].node_list.value.append("nowhere:0")
    with pytest.raises(tf.errors.InvalidArgumentError, match="^The name 'nowhere:0' refers to a Tensor"):
        tf.train.import_meta_graph(message)
    (tmp_path / "graph.meta").write_bytes(message.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError, match="/graph.meta: The name 'nowhere:0' refers to a Tensor"):
        tf.train.import_meta_graph(tmp_path / "graph.meta")
    message = small()
    message.collection_def["variables"].bytes_list.value.append(b"\xff\xff")
    with pytest.raises(ValueError, match="The collection 'variables' has an item that cannot be read"):
        tf.train.import_meta_graph(message)
    with pytest.raises(TypeError, match="unexpected keyword argument 'bogus'"):
        tf.train.import_meta_graph(small(), bogus=1)
    message = small()
    message.graph_def.versions.min_consumer = 1000
    with pytest.raises(ValueError, match="GraphDef min consumer version 1000 above current version"):
        tf.train.import_meta_graph(message)


def test_a_collection_of_the_wrong_things(tmp_path: Path) -> None:
    """Errors of all kinds name the file."""
    for key, value in (("variables", ["c"]), ("trainable_variables", ["c:0"]), ("savers", ["c:7"])):
        message = small()
        message.collection_def[key].node_list.value.extend(value)
        message.graph_def.node.add(name="none", op="NoSuchOperation" if key == "trainable_variables" else "NoOp")
        path = tmp_path / f"{key}.meta"
        path.write_bytes(message.SerializeToString())
        with pytest.raises(tf.errors.OpError, match=f"^{path}: "), tf.Graph().as_default():
            tf.train.import_meta_graph(path)


def test_text_files(tmp_path: Path) -> None:
    path = tmp_path / "graph.meta.txt"
    path.write_text(text_format.MessageToString(small(numbers=[3])))
    tf.train.import_meta_graph(path)
    assert tf.get_collection("numbers") == [3]


def test_what_is_inside_of_a_loop_is_in_no_collection() -> None:
    """TensorFlow 1 puts tensors of branches into collections; they are parts of functions here."""
    from millstream.io import proto

    message = proto.MetaGraphDef()
    text = """
    node { name: "p" op: "Placeholder" attr { key: "dtype" value { type: DT_BOOL } } }
    node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "s" op: "Switch" input: "x" input: "p" attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "n" op: "Neg" input: "s:1" attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "m" op: "Merge" input: "s" input: "n" attr { key: "T" value { type: DT_FLOAT } }
           attr { key: "N" value { i: 2 } } }
    """
    text_format.Parse(text, message.graph_def)
    message.collection_def["mine"].node_list.value.extend(["n:0", "m:0"])
    tf.train.import_meta_graph(message)
    assert [item.name for item in tf.get_collection("mine")] == ["m:0"]
