"""`tf.graph_util` and what freezing and preparing graphs for inference do."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.graph_util import inference
from millstream.graph_util.fold_batch_norms import fold_batch_norms
from millstream.graph_util.fold_constants import fold_constants
from millstream.graph_util.freeze_files import freeze_graph, freeze_graph_with_def_protos

util = tf.graph_util


@pytest.fixture(autouse=True)
def _fresh_graph() -> Any:
    with tf.Graph().as_default():
        yield


def graph_def() -> Any:
    return tf.get_default_graph().as_graph_def()


def nodes(message: Any) -> dict[str, tuple[str, list[str]]]:
    return {node.name: (node.op, list(node.input)) for node in message.node}


def value_of(message: Any, output: str, feeds: dict[str, Any]) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        (tensor,) = tf.import_graph_def(message, name="", return_elements=[output])
        return session.run(tensor, feeds)


# --- Parts -----------------------------------------------------------------------------------------------------------


def identities() -> Any:
    a = tf.constant(1.0, name="a")
    b = tf.identity(a, name="b")
    c = tf.identity(b, name="c")
    with tf.control_dependencies([b]):
        d = tf.identity(a, name="d")
    e = tf.identity(d, name="e")
    g = tf.add(tf.check_numerics(e, "m", name="f"), c, name="g")
    with tf.control_dependencies([c]):
        tf.add(g, g, name="h")
    with tf.colocate_with(e):
        k = tf.add(g, b, name="k")
    tf.identity(tf.identity(k, name="out"), name="q")
    return graph_def()


def test_extract_sub_graph() -> None:
    message = identities()
    assert list(nodes(util.extract_sub_graph(message, ["c"]))) == ["a", "b", "c"]
    assert list(nodes(util.extract_sub_graph(message, ["e", "c"]))) == ["a", "b", "c", "d", "e"]
    assert util.extract_sub_graph(message, ["c"]).versions == message.versions
    with pytest.raises(TypeError, match="dest_nodes must be a list"):
        util.extract_sub_graph(message, "c")
    with pytest.raises(AssertionError, match="zz is not in graph"):
        util.extract_sub_graph(message, ["zz"])
    with pytest.raises(TypeError, match=r"graph_def must be a graph_pb2\.GraphDef proto"):
        util.extract_sub_graph(3, ["c"])


def test_a_part_has_the_functions_that_it_needs() -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    tf.cond(x > 0, lambda: tf.while_loop(lambda v: v < 10, lambda v: [v * 2], [x]), lambda: -x)
    tf.while_loop(lambda v: v < 10, lambda v: [v + 2], [x], name="other")
    message = graph_def()
    branch = next(node.name for node in message.node if node.op.endswith("If"))
    part = util.extract_sub_graph(message, [branch])
    assert len(message.library.function) == 6 and len(part.library.function) == 4
    assert value_of(part, f"{branch}:0", {"x:0": 3.0}) == 12.0


def test_remove_training_nodes() -> None:
    message = identities()
    found = nodes(util.remove_training_nodes(message))
    assert found == {
        "a": ("Const", []),
        "b": ("Identity", ["a"]),
        "c": ("Identity", ["b"]),
        "d": ("Identity", ["a", "^b"]),
        "g": ("Add", ["d", "c"]),
        "h": ("Add", ["g", "g", "^c"]),
        "k": ("Add", ["g", "b"]),
    }
    assert nodes(util.remove_training_nodes(message, ["q", "f"]))["q"] == ("Identity", ["k"])
    tf.import_graph_def(util.remove_training_nodes(message))  # no node is placed beside one that is gone


def test_a_cycle_of_identities() -> None:
    message = tf.GraphDef()
    for name, other in (("a", "b"), ("b", "a"), ("c", "a")):
        message.node.add(name=name, op="Identity", input=[other])
    assert [node.op for node in util.remove_training_nodes(message, ["c"]).node] == ["Identity"]


@pytest.mark.parametrize(
    ("op_type", "attrs", "expected"),
    [
        ("Const", {"dtype": 3}, True),
        ("Const", {"dtype": 7}, True),
        ("Const", {"dtype": 1}, False),
        ("DynamicStitch", {"T": 3}, True),
        ("DynamicStitch", {"T": 9}, False),
        ("Cast", {"SrcT": 3, "DstT": 1}, True),
        ("Cast", {"SrcT": 1, "DstT": 3}, False),
        ("MatMul", {"T": 3}, False),
    ],
)
def test_must_run_on_cpu(op_type: str, attrs: dict[str, int], expected: bool) -> None:
    node = tf.NodeDef(name="x", op=op_type)
    for key, number in attrs.items():
        node.attr[key].type = number
    assert util.must_run_on_cpu(node) is expected


def test_variables_on_the_cpu() -> None:
    node = tf.NodeDef(name="x", op="VariableV2")
    assert not util.must_run_on_cpu(node) and util.must_run_on_cpu(node, pin_variables_on_cpu=True)
    assert util.must_run_on_cpu(tf.constant(1).op)


def test_tensor_shape() -> None:
    tf.placeholder(tf.float32, [2, None], name="p")
    graph = tf.get_default_graph()
    for name in ("p", "p:0"):
        assert util.tensor_shape_from_node_def_name(graph, name).as_list() == [2, None]


# --- Freezing --------------------------------------------------------------------------------------------------------


def model(resource: bool) -> Any:
    tf.get_variable_scope().set_use_resource(resource)
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0]])
    b = tf.get_variable("b", initializer=[0.5, 1.5])
    table = tf.get_variable("table", initializer=np.arange(8.0, dtype=np.float32).reshape(4, 2))
    y = tf.add(tf.matmul(x, w), b, name="y")
    return tf.add(y, tf.nn.embedding_lookup(table, [1, 3]), name="z")


def session_of() -> Any:
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session


FEEDS = {"x:0": [[1.0, 2.0], [3.0, 4.0]]}


@pytest.mark.parametrize("resource", [False, True])
def test_convert_variables_to_constants(resource: bool, caplog: pytest.LogCaptureFixture) -> None:
    z = model(resource)
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    with session_of() as session:
        frozen = util.convert_variables_to_constants(session, graph_def(), ["z"])
        expected = session.run(z, FEEDS)
    logger.removeHandler(caplog.handler)
    logger.setLevel(level)
    messages = dict.fromkeys(record.getMessage() for record in caplog.records)
    assert list(messages) == ["Froze 3 variables.", "Converted 3 variables to const ops."]
    found = nodes(frozen)
    assert found["w"] == ("Const", []) and not any(op.startswith(("Var", "Read", "Assign")) for op, _ in found.values())
    node = next(node for node in frozen.node if node.name == "w")
    assert sorted(node.attr) == ["dtype", "value"]
    np.testing.assert_array_equal(value_of(frozen, "z:0", FEEDS), expected)


@pytest.mark.parametrize("resource", [False, True])
def test_some_variables(resource: bool) -> None:
    model(resource)
    with session_of() as session:
        only = nodes(util.convert_variables_to_constants(session, graph_def(), ["z"], variable_names_whitelist=["w"]))
        but = nodes(util.convert_variables_to_constants(session, graph_def(), ["z"], variable_names_blacklist=["w"]))
    variable = "VarHandleOp" if resource else "VariableV2"
    names = ("w", "b", "table")
    assert [only[name][0] for name in names] == ["Const", variable, variable]
    assert [but[name][0] for name in names] == [variable, "Const", "Const"]
    if resource:
        kinds = [op for op, _ in only.values()]
        assert kinds.count("ReadVariableOp") == 1 and kinds.count("ResourceGather") == 1


def test_freezing_errors() -> None:
    model(False)
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError):
            util.convert_variables_to_constants(session, graph_def(), ["z"])
        with pytest.raises(AssertionError, match="nope is not in graph"):
            util.convert_variables_to_constants(session, graph_def(), ["nope"])
        with pytest.raises(TypeError, match="dest_nodes must be a list"):
            util.convert_variables_to_constants(session, graph_def(), "z")


def test_what_writes_cannot_be_frozen() -> None:
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    done = v.assign_add(1.0, read_value=False)
    with session_of() as session, pytest.raises(ValueError, match="takes the handle 'v' of a variable that is to"):
        util.convert_variables_to_constants(session, graph_def(), [done.name])


@pytest.mark.parametrize("resource", [False, True])
def test_variables_in_branches_and_loops(resource: bool) -> None:
    tf.get_variable_scope().set_use_resource(resource)
    x = tf.placeholder(tf.float32, [2], name="x")
    v = tf.get_variable("v", initializer=[1.0, 2.0])
    u = tf.get_variable("u", initializer=[[1.0, 2.0], [3.0, 4.0]])

    def turn(i: Any, value: Any) -> Any:
        inner = tf.cond(i > 1, lambda: value * v, lambda: value + tf.gather(u, 1))
        return i + 1, inner

    _, y = tf.while_loop(lambda i, _: i < tf.cast(v[0], tf.int32) + 2, turn, [0, x])
    y = tf.identity(y + tf.cast(tf.shape(v), tf.float32), name="y")
    with session_of() as session:
        frozen = util.convert_variables_to_constants(session, graph_def(), ["y"])
        expected = session.run(y, {x: [1.0, 1.0]})
    every = [*frozen.node, *(node for function in frozen.library.function for node in function.node_def)]
    assert not any(node.op.startswith(("Var", "Read", "Resource")) for node in every)
    assert not any(arg.is_ref for function in frozen.library.function for arg in function.signature.input_arg)
    np.testing.assert_array_equal(value_of(frozen, "y:0", {"x:0": [1.0, 1.0]}), expected)


def test_freezing_no_variables() -> None:
    tf.constant(1.0, name="c")
    with tf.Session() as session:
        assert list(nodes(util.convert_variables_to_constants(session, graph_def(), ["c"]))) == ["c"]


def saved(folder: Path, resource: bool = False) -> Any:
    """A graph, its meta graph and a checkpoint in files; gives its result."""
    z = model(resource)
    saver = tf.train.Saver()
    with session_of() as session:
        saver.save(session, str(folder / "model"))
        expected = session.run(z, FEEDS)
    tf.io.write_graph(graph_def(), str(folder), "graph.pbtxt")
    tf.io.write_graph(saver.as_saver_def(), str(folder), "saver.pb", as_text=False)
    tf.io.write_graph(graph_def(), str(folder), "graph.pb", as_text=False)
    return expected


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("source", ["graph", "text", "saver", "meta"])
def test_freeze_graph(source: str, resource: bool, tmp_path: Path) -> None:
    expected = saved(tmp_path, resource)
    frozen = freeze_graph(
        None if source == "meta" else str(tmp_path / ("graph.pbtxt" if source == "text" else "graph.pb")),
        str(tmp_path / "saver.pb") if source == "saver" else "",
        source != "text",
        str(tmp_path / "model"),
        "z",
        None,
        None,
        str(tmp_path / "frozen.pb"),
        True,
        "",
        input_meta_graph=str(tmp_path / "model.meta") if source == "meta" else None,
    )
    np.testing.assert_array_equal(value_of(frozen, "z:0", FEEDS), expected)
    assert tf.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes()) == frozen


def test_freeze_graph_without_files(tmp_path: Path) -> None:
    saved(tmp_path)
    common: tuple[Any, ...] = (None, None, "", True, "")
    graph, model = str(tmp_path / "graph.pb"), str(tmp_path / "model")
    with pytest.raises(OSError, match=r"Input graph file 'nowhere\.pb' does not exist!"):
        freeze_graph("nowhere.pb", "", True, model, "z", *common)
    with pytest.raises(ValueError, match="Input checkpoint 'nowhere' doesn't exist!"):
        freeze_graph(graph, "", True, "nowhere", "z", *common)
    with pytest.raises(ValueError, match="You need to supply the name of a node to --output_node_names"):
        freeze_graph(graph, "", True, model, "", *common)


def test_another_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path)
    with tf.Graph().as_default():
        tf.get_variable("other", initializer=1.0)
        message = graph_def()
    with pytest.raises(tf.errors.NotFoundError, match="Key other not found in checkpoint"):
        freeze_graph_with_def_protos(message, None, str(tmp_path / "model"), "other", None, None, "", True, "")


# --- Inference -------------------------------------------------------------------------------------------------------


def test_strip_unused() -> None:
    identities()
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    tf.square(tf.exp(x, name="exp"), name="square")
    message = graph_def()
    stripped = inference.strip_unused(message, ["exp"], ["square"], tf.float32.as_datatype_enum)
    assert nodes(stripped) == {"exp": ("Placeholder", []), "square": ("Square", ["exp"])}
    assert nodes(inference.strip_unused(message, ["x"], ["square"], [1])) == {
        "x": ("Placeholder", []), "exp": ("Exp", ["x"]), "square": ("Square", ["exp"]),
    }  # fmt: skip
    with pytest.raises(KeyError, match="The following input nodes were not found: {'nope'}"):
        inference.strip_unused(message, ["nope"], ["square"], 1)
    with pytest.raises(AssertionError, match="nope is not in graph"):
        inference.strip_unused(message, ["x"], ["nope"], 1)


def test_strip_unused_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tf.exp(tf.placeholder(tf.float32, name="x"), name="y")
    tf.io.write_graph(graph_def(), str(tmp_path), "in.pb", as_text=False)
    inference.strip_unused_from_files(str(tmp_path / "in.pb"), True, str(tmp_path / "out.pbtxt"), False, "x", "y", 1)
    assert 'op: "Exp"' in (tmp_path / "out.pbtxt").read_text()
    assert inference.strip_unused_from_files("nowhere", True, "", False, "x", "y", 1) == -1
    assert "2 ops in the final graph.\nInput graph file 'nowhere' does not exist!" in capsys.readouterr().out


def test_ensure_graph_is_valid() -> None:
    message = tf.GraphDef()
    message.node.add(name="a", op="NoOp", input=["q"])
    with pytest.raises(ValueError, match="Input for 'a' not found: 'q'"):
        inference.ensure_graph_is_valid(message)
    message.node.add(name="a", op="NoOp")
    with pytest.raises(ValueError, match="Duplicate node names detected for 'a'"):
        inference.ensure_graph_is_valid(message)


def test_fold_constants() -> None:
    x = tf.placeholder(tf.float32, [2], name="x")
    a = tf.constant([1.0, 2.0], name="a")
    b = tf.exp(a * 2.0, name="b")
    tf.add(x, b, name="y")
    tf.random_uniform([2], name="random")
    tf.placeholder_with_default(3.0, [], name="default")
    message = graph_def()
    folded = fold_constants(message)
    found = nodes(folded)
    assert found["b"] == ("Const", []) and "a" not in found and found["y"] == ("Add", ["x", "b"])
    assert found["default"][0] == "PlaceholderWithDefault"
    feeds = {"x:0": [1.0, 2.0]}
    np.testing.assert_array_equal(value_of(folded, "y:0", feeds), value_of(message, "y:0", feeds))


def test_large_results_are_not_folded() -> None:
    tf.fill([10**5, 10**4], 1.0, name="large")
    tf.negative(tf.fill([2000, 2000], 1.0, name="medium"), name="negative")
    found = nodes(fold_constants(graph_def(), ["large"]))
    assert found["large"][0] == "Fill" and found["negative"][0] == "Neg"


def test_unknown_operations_are_left_alone() -> None:
    message = tf.GraphDef()
    message.node.add(name="a", op="NoSuchOperation")
    message.node.add(name="b", op="Identity", input=["a"])
    assert nodes(fold_constants(message)) == nodes(message)


def convolutions(fused: bool, bias: bool, depthwise: bool) -> Any:
    x = tf.placeholder(tf.float32, [1, 5, 5, 2], name="x")
    random = np.random.RandomState(0)

    def parameter(*shape: int) -> Any:
        return tf.constant(random.uniform(0.5, 1.5, shape).astype(np.float32))

    if depthwise:
        net = tf.nn.depthwise_conv2d_native(x, parameter(3, 3, 2, 2), [1, 1, 1, 1], "SAME", name="conv")
    else:
        net = tf.nn.conv2d(x, parameter(3, 3, 2, 4), [1, 1, 1, 1], "SAME", name="conv")
    if bias:
        net = tf.nn.bias_add(net, parameter(4), name="bias")
    scale, offset, mean, variance = (parameter(4) for _ in range(4))
    if fused:
        net = tf.nn.fused_batch_norm(net, scale, offset, mean, variance, is_training=False, name="bn")[0]
    else:
        net = tf.nn.batch_normalization(net, mean, variance, offset, scale, 1e-3)
    tf.nn.relu(net, name="y")
    return graph_def()


@pytest.mark.parametrize(
    ("fused", "bias", "depthwise"),
    [(True, False, False), (True, True, False), (True, False, True), (False, False, False), (False, False, True)],
)
def test_batch_norms_become_part_of_convolutions(fused: bool, bias: bool, depthwise: bool) -> None:
    message = convolutions(fused, bias, depthwise)
    optimized = inference.optimize_for_inference(message, ["x"], ["y"], 1)
    kinds = [op for op, _ in nodes(optimized).values()]
    assert "FusedBatchNormV3" not in kinds and "Mul" not in kinds and "Rsqrt" not in kinds
    assert kinds.count("BiasAdd") + kinds.count("AddV2") == 1 and len(kinds) <= 7
    feeds = {"x:0": np.random.RandomState(1).uniform(-1, 1, [1, 5, 5, 2])}
    np.testing.assert_allclose(value_of(optimized, "y:0", feeds), value_of(message, "y:0", feeds), rtol=2e-5, atol=1e-5)


def test_convolutions_that_are_needed_stay() -> None:
    message = convolutions(True, False, False)
    kept = nodes(fold_batch_norms(message, protected_nodes=["conv"]))
    assert kept["bn"][0] == "FusedBatchNormV3" and kept["conv"] == nodes(message)["conv"]
    training = tf.GraphDef.FromString(message.SerializeToString())
    next(node for node in training.node if node.name == "bn").attr["is_training"].b = True
    assert nodes(fold_batch_norms(training)) == nodes(training)


def test_placeholders_become_constants() -> None:
    training = tf.placeholder(tf.bool, [], name="training")
    x = tf.placeholder(tf.float32, [], name="x")
    tf.where(training, x, -x, name="y")
    optimized = inference.optimize_for_inference(
        graph_def(), ["x"], ["y"], 1, placeholder_to_const_names=["training=False"]
    )
    assert value_of(optimized, "y:0", {"x:0": 2.0}) == -2.0
