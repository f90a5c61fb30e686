"""Graphs as protocol buffers: what is written, what is read, and what is refused."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.io import proto

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "tf1_graphs.json").read_text())


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def read(text):
    """A `GraphDef` from its text form."""
    return text_format.Parse(text, tf.GraphDef())


def node(name, op, *inputs, **attrs):
    """A node's text form; attributes are given in text form too."""
    edges = " ".join(f'input: "{edge}"' for edge in inputs)
    values = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attrs.items())
    return f'node {{ name: "{name}" op: "{op}" {edges} {values} }}\n'


FLOAT = "type: DT_FLOAT"
P = node("p", "Placeholder", dtype=FLOAT)
A = node("a", "Identity", "p", T=FLOAT)


def describe(graph):
    """`name = type(inputs)` of each operation."""
    lines = []
    for op in graph.get_operations():
        edges = [tensor.name.removesuffix(":0") for tensor in op.inputs] + [f"^{c.name}" for c in op.control_inputs]
        lines.append(f"{op.name} = {op.type}({', '.join(edges)})")
    return lines


# --- Round trips ------------------------------------------------------------------------------------------------------


def build_everything():
    """One attribute of each kind, all sorts of edges, devices, colocation, private attributes."""
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    with tf.device("/job:a/cpu:0"), tf.name_scope("scope"):
        a, b = tf.split(x, 2, 1)
        c = tf.nn.leaky_relu(a - b, 0.3)
    with tf.control_dependencies([c, tf.no_op()]):
        d = tf.constant([[1.5, -2.5]], name="d")
    v = tf.Variable([[1.0, 2.0]], name="v")
    update = tf.assign_add(v, c[:1] * d)
    text = tf.constant([b"text", b"\xff\x00"], name="text")
    pooled = tf.nn.max_pool(tf.zeros([1, 4, 4, 1]), [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    with tf.get_default_graph().gradient_override_map({"Square": "Other"}), tf.colocate_with(v.op):
        squared = tf.square(pooled)
    unknown = tf.placeholder(tf.int64, name="unknown")
    return [update, text, squared, unknown + 1]


def test_binary_round_trip(graph):
    build_everything()
    message = graph.as_graph_def()
    with tf.Graph().as_default() as other:
        tf.import_graph_def(tf.GraphDef.FromString(message.SerializeToString()), name="")
    assert describe(other) == describe(graph)
    assert other.as_graph_def() == message
    for op, copy in zip(graph.get_operations(), other.get_operations(), strict=True):
        assert (op.device, op.colocation_groups()) == (copy.device, copy.colocation_groups())
        assert [str(tensor.shape) for tensor in op.outputs] == [str(tensor.shape) for tensor in copy.outputs]


def test_text_round_trip(graph):
    build_everything()
    message = graph.as_graph_def()
    assert read(text_format.MessageToString(message)) == message
    with tf.Graph().as_default() as other:
        tf.import_graph_def(read(str(message)), name="")
        assert other.as_graph_def() == message


def test_a_graph_that_was_read_runs(graph):
    x = tf.placeholder(tf.float32, [2], name="x")
    v = tf.Variable([1.0, 2.0], name="v")
    tf.assign_add(v, x * 2.0, name="update")
    message = graph.as_graph_def()
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(message, name="")
        session.run("v/Assign")
        assert session.run("update:0", {"x:0": [1.0, 1.0]}).tolist() == [3.0, 4.0]


def test_strings_are_bytes(graph):
    tf.constant([b"\xff\x00", "ä".encode()], name="text")
    message = graph.as_graph_def()
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(message, name="")
        assert session.run("text:0").tolist() == [b"\xff\x00", "ä".encode()]


def test_versions_and_parts(graph):
    tf.constant(1.0, name="a")
    version = graph.version
    tf.constant([1.0, 2.0], name="b")
    assert graph.as_graph_def().versions.producer == graph.graph_def_versions.producer == 134
    assert [item.name for item in graph.as_graph_def(from_version=version).node] == ["b"]
    shapes = graph.as_graph_def(add_shapes=True).node[1].attr["_output_shapes"].list.shape
    assert [dim.size for dim in shapes[0].dim] == [2]
    assert "_output_shapes" not in graph.as_graph_def().node[1].attr


def test_output_shapes_are_kept_when_read(graph):
    tf.placeholder(tf.float32, [2, None], name="x")
    message = graph.as_graph_def(add_shapes=True)
    with tf.Graph().as_default() as other:
        tf.import_graph_def(message, name="")
        assert other.get_tensor_by_name("x:0").shape.as_list() == [2, None]


# --- Graphs of TensorFlow 1.15 ----------------------------------------------------------------------------------------


def recorded_graph(name):
    return tf.GraphDef.FromString(zlib.decompress(base64.b64decode(RECORDED[name]["graph"])))


def recorded_array(item):
    if item is None:
        return None
    if item["dtype"] == "string":
        return np.array([text.encode() for text in item["value"]], object).reshape(item["shape"])
    return np.array(item["value"], item["dtype"]).reshape(item["shape"])


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_graphs_that_tensorflow_wrote_run(name):
    tf.import_graph_def(recorded_graph(name), name="")
    check_runs(name)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_graphs_that_were_read_and_written_run(name):
    """Those with branches, which become functions, too."""
    with tf.Graph().as_default() as first:
        tf.import_graph_def(recorded_graph(name), name="")
        message = first.as_graph_def()
    tf.import_graph_def(message, name="")
    check_runs(name)


def check_runs(name):
    with tf.Session() as session:
        for run in RECORDED[name]["runs"]:
            feeds = {key: recorded_array(value) for key, value in run["feeds"].items()}
            for found, item in zip(session.run(run["fetches"], feeds), run["values"], strict=True):
                wanted = recorded_array(item)
                if wanted is None or wanted.dtype == object:
                    assert found is None or found.tolist() == wanted.tolist()
                else:
                    assert found.dtype == wanted.dtype
                    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(RECORDED.keys() - {"conditional", "control_dependencies"}))
def test_graphs_that_tensorflow_wrote_are_written_alike(name, graph):
    """Node by node: names, types, inputs, devices, attributes; but for graphs with branches, which become functions."""
    message = recorded_graph(name)
    tf.import_graph_def(message, name="")
    found = graph.as_graph_def()
    for ours, theirs in zip(found.node, ordered_as(found, message), strict=True):
        assert (ours.name, ours.op, list(ours.input), ours.device) == (
            theirs.name,
            theirs.op,
            list(theirs.input),
            theirs.device,
        )
        assert sorted(ours.attr) == sorted(theirs.attr)
        for key, value in theirs.attr.items():
            if value.WhichOneof("value") == "tensor":  # one value may be written in two ways
                assert np.array_equal(tf.make_ndarray(ours.attr[key].tensor), tf.make_ndarray(value.tensor))
            else:
                assert ours.attr[key] == value


def ordered_as(found, message):
    by_name = {item.name: item for item in message.node}
    return [by_name[item.name] for item in found.node]


# --- Names ------------------------------------------------------------------------------------------------------------


def test_names_of_what_is_read(graph):
    message = read(P)
    tf.import_graph_def(message)
    tf.import_graph_def(message)
    tf.import_graph_def(message, name="a/b")
    tf.import_graph_def(message, name="a/b")
    tf.import_graph_def(message, name="a/b/")
    with tf.name_scope("q"):
        tf.import_graph_def(message)
        tf.import_graph_def(message, name="")
    names = [op.name for op in graph.get_operations()]
    assert names == ["import/p", "import_1/p", "a/b/p", "a/b_1/p", "a/b/p_1", "q/import/p", "p"]


def test_names_that_are_taken_get_a_suffix(graph):
    tf.constant(1.0, name="p")
    tf.import_graph_def(read(P + A + node("p_1", "Placeholder", dtype=FLOAT)), name="")
    assert describe(graph)[1:] == ["p_2 = Placeholder()", "a = Identity(p_2)", "p_1 = Placeholder()"]
    assert tf.constant(2.0, name="p").op.name == "p_3"


def test_names_that_differ_in_case(graph):
    tf.constant(1.0, name="P")
    tf.import_graph_def(read(P), name="")
    assert describe(graph)[1] == "p = Placeholder()"
    assert tf.constant(2.0, name="p").op.name == "p_1"


def test_a_bad_name():
    with pytest.raises(ValueError, match="'a b' is not a valid scope name"):
        tf.import_graph_def(read(P), name="a b")


def test_colocation_is_renamed(graph):
    tf.import_graph_def(read(P + node("b", "NoOp", _class='list { s: "loc:@p" }')))
    op = graph.get_operation_by_name("import/b")
    assert op.colocation_groups() == [b"loc:@import/p"]
    assert list(op.node_def.attr["_class"].list.s) == [b"loc:@import/p"]


def test_device_scopes_hold(graph):
    with tf.device("/cpu:0"):
        tf.import_graph_def(read(P + 'node { name: "n" op: "NoOp" device: "/job:foo" }'), name="")
    assert [op.device for op in graph.get_operations()] == ["/device:CPU:0", "/job:foo/device:CPU:0"]


def test_control_dependencies_hold(graph):
    with tf.control_dependencies([tf.no_op(name="first")]):
        tf.import_graph_def(read(P), name="")
    assert describe(graph)[1] == "p = Placeholder(^first)"


def test_order_of_the_file_does_not_matter(graph):
    tf.import_graph_def(read(A + P), name="")
    assert describe(graph) == ["p = Placeholder()", "a = Identity(p)"]


def test_defaults_are_filled_in(graph):
    tf.import_graph_def(read(P + node("m", "MatMul", "p", "p", T=FLOAT)), name="")
    assert graph.get_operation_by_name("m").get_attr("transpose_a") is False
    assert "transpose_a" in graph.as_graph_def().node[1].attr


def test_unknown_attributes_with_the_writers_default(graph):
    """A newer program may have written an attribute that is not known here."""
    message = read(node("n", "NoOp", new="i: 3"))
    ops = proto.OpList()
    with pytest.raises(ValueError, match="NodeDef mentions attr 'new' not in Op<name=NoOp>"):
        tf.import_graph_def(message)
    attr = ops.op.add(name="NoOp").attr.add(name="new", type="int")
    attr.default_value.i = 4
    with pytest.raises(ValueError, match="NodeDef mentions attr 'new' not in Op<name=NoOp>"):
        tf.import_graph_def(message, producer_op_list=ops)
    attr.default_value.i = 3
    tf.import_graph_def(message, producer_op_list=ops, name="")
    assert describe(graph) == ["n = NoOp()"]


# --- Putting a graph into another -------------------------------------------------------------------------------------


def test_return_elements():
    op, a, p = tf.import_graph_def(read(P + A), return_elements=["a", "a:0", "p:0"])
    assert (op.name, a.name, p.name) == ("import/a", "import/a:0", "import/p:0")
    assert tf.import_graph_def(read(P)) is None
    assert tf.import_graph_def(read(P), return_elements=[]) == []


def test_input_map(graph):
    c = tf.constant(2.0, name="c")
    a, p = tf.import_graph_def(read(P + A), {"p": c}, ["a:0", "p:0"])
    assert (a.op.inputs[0], p) == (c, c)
    (b,) = tf.import_graph_def(read(A), {"p:0": c}, ["a:0"])  # `p` itself may be missing
    (d,) = tf.import_graph_def(read(P + A), {"p": 7.0}, ["a:0"])
    assert d.op.inputs[0].name == "import_2/_inputs/Const:0"
    with tf.Session() as session:
        assert session.run([a, b, d]) == [2.0, 2.0, 7.0]


def test_input_map_of_control_inputs(graph):
    first = tf.no_op(name="first")
    message = read(P + node("b", "NoOp", "^p"))
    tf.import_graph_def(message, {"^p": first})
    assert graph.get_operation_by_name("import/b").control_inputs == [first]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"return_elements": ["zz"]}, ValueError, "Requested return node 'zz' not found in graph def"),
        ({"return_elements": ["zz:0"]}, ValueError, "Requested return node 'zz:0' not found in graph def"),
        ({"return_elements": ["a:1"]}, ValueError, "Invalid return output 1 of node 'a', which has 1 output"),
        ({"return_elements": ["a:x"]}, ValueError, "Requested return node 'a:x' not found in graph def"),
        ({"return_elements": [3]}, TypeError, "return_elements must be a list of strings."),
        ({"input_map": {3: 4}}, TypeError, "input_map must be a dictionary mapping strings to Tensor objects."),
        ({"input_map": [3]}, TypeError, "input_map must be a dictionary mapping strings to Tensor objects."),
        ({"input_map": {"zz": 1.0}}, ValueError, "Attempted to map inputs that were not found in graph_def: [zz:0]"),
        ({"input_map": {"p": 3.0}, "name": ""}, ValueError, "requires a non-empty `name` if `input_map` contains non-"),
        ({"graph_def": "text"}, TypeError, "graph_def must be a GraphDef proto."),
        ({"graph_def": None}, TypeError, "graph_def must be a GraphDef proto."),
    ],
)
def test_arguments_that_do_not_suit(graph, arguments, error, message):
    with pytest.raises(error) as caught:
        tf.import_graph_def(**{"graph_def": read(P + A), **arguments})
    assert message in str(caught.value)
    assert [op for op in graph.get_operations() if op.type != "Const"] == []


def test_mapped_inputs_of_another_type(graph):
    c = tf.constant(1, name="c")
    with pytest.raises(
        ValueError, match="Input 0 of node import/a was passed int32 from c:0 incompatible with expected"
    ):
        tf.import_graph_def(read(P + A), {"p": c})
    assert describe(graph) == ["c = Const()"]
    with tf.Graph().as_default(), pytest.raises(ValueError, match="is not an element of this graph"):
        tf.import_graph_def(read(P + A), {"p": c})


# --- Hostile files ----------------------------------------------------------------------------------------------------

SPLAT = "tensor {{ dtype: DT_FLOAT tensor_shape {{ {dims} }} float_val: 1 }}"


def constant(name, dims, **attrs):
    return node(name, "Const", **{"dtype": FLOAT, "value": SPLAT.format(dims=dims), **attrs})


HOSTILE = {
    "twice": (P + P, "Node 'p' is not unique"),
    "cycle": (node("a", "NoOp", "^b") + node("b", "NoOp", "^a"), "2 nodes in a cycle"),
    "own input": (node("a", "Identity", "a", T=FLOAT), "1 nodes in a cycle"),
    "no attributes": (node("a", "Const"), "NodeDef missing attrs 'value', 'dtype' from Op<name=Const>"),
    "no dtype": (node("a", "Placeholder"), "NodeDef missing attr 'dtype' from Op<name=Placeholder"),
    "no type": (P + node("a", "Identity", "p"), "NodeDef missing attr 'T' from Op<name=Identity"),
    "kind": (node("a", "Placeholder", dtype="i: 3"), "AttrValue had value with type 'int' when 'type' expected"),
    "no value": (node("a", "Placeholder", dtype=""), "AttrValue missing value with expected type 'type'"),
    "enum": (node("a", "Placeholder", dtype="type: 77"), "AttrValue has invalid DataType enum: 77"),
    "invalid": (node("a", "Placeholder", dtype="type: DT_INVALID"), "AttrValue has invalid DataType enum: 0"),
    "reference": (
        node("a", "Placeholder", dtype="type: DT_FLOAT_REF"),
        "AttrValue must not have reference type value of float_ref",
    ),
    "type": (
        P + node("a", "Relu", "p", T="type: DT_STRING"),
        "Value for attr 'T' of string is not in the list of allowed values: float, double",
    ),
    "mode": (
        P + node("a", "MirrorPad", "p", "p", T=FLOAT, Tpaddings="type: DT_INT32", mode='s: "X"'),
        'Value for attr \'mode\' of "X" is not in the list of allowed values: "REFLECT", "SYMMETRIC"',
    ),
    "list": (
        P + node("a", "Squeeze", "p", T=FLOAT, squeeze_dims='list { s: "x" }'),
        "AttrValue had value with type 'list(string)' when 'list(int)' expected",
    ),
    "mixed list": (
        P + node("a", "Squeeze", "p", T=FLOAT, squeeze_dims='list { s: "x" i: 3 }'),
        "AttrValue had value with type 'list(mixed)' when 'list(int)' expected",
    ),
    "unknown attribute": (node("a", "NoOp", zz="i: 3"), "NodeDef mentions attr 'zz' not in Op<name=NoOp"),
    "name": (node("a b", "NoOp"), "Node 'a b': Node name contains invalid characters"),
    "line break": (node("a\\n", "NoOp"), "Node name contains invalid characters"),
    "no name": (node("", "NoOp"), "Node '': Node name contains invalid characters"),
    "private name": (node("_a", "NoOp"), "Node '_a': Node name contains invalid characters"),
    "dangling": (A, "Node 'a': Unknown input node 'p'"),
    "dangling control": (node("a", "NoOp", "^b"), "Node 'a': Unknown input node '^b'"),
    "edge": (P + node("a", "Identity", "p:x", T=FLOAT), "Node 'a': Unknown input node 'p:x'"),
    "edge of two": (P + node("a", "Identity", "p:0:0", T=FLOAT), "Node 'a': Unknown input node 'p:0:0'"),
    "digits": (P + node("a", "Identity", "p:" + "9" * 99, T=FLOAT), "Node 'a': Unknown input node 'p:9"),
    "negative output": (P + node("a", "Identity", "p:-1", T=FLOAT), "Node 'a': Unknown input node 'p:-1'"),
    "output": (P + node("a", "Identity", "p:3", T=FLOAT), "Node 'a': Connecting to invalid output 3 of source node p"),
    "order": (P + node("a", "Identity", "^p", "p", T=FLOAT), "Node 'a': Control dependencies must come after regular"),
    "types": (
        P + node("a", "Identity", "p", T="type: DT_INT32"),
        "Input 0 of node a was passed float from p:0 incompatible with expected int32.",
    ),
    "no reference": (
        P + node("a", "Assign", "p", "p", T=FLOAT),
        "Input 0 of node a was passed float from p:0 incompatible with expected float_ref.",
    ),
    "few inputs": (node("a", "Identity", T=FLOAT), "NodeDef expected inputs 'float' do not match 0 inputs specified"),
    "many inputs": (P + node("a", "Identity", "p", "p", T=FLOAT), "expected inputs 'float' do not match 2 inputs"),
    "count": (P + node("a", "AddN", "p", T=FLOAT, N="i: 1000000000"), "do not match 1 inputs specified"),
    "negative count": (
        P + node("a", "AddN", "p", T=FLOAT, N="i: -3"),
        "Value for attr 'N' of -3 must be at least mini",
    ),
    "outputs": (P + node("a", "Unpack", "p", T=FLOAT, num="i: 1000000000"), "have 1000000000 outputs; at most"),
    "negative outputs": (P + node("a", "Unpack", "p", T=FLOAT, num="i: -1"), "must be at least minimum 0"),
    "device": ('node { name: "a" op: "NoOp" device: "/foo:bar:baz" }', "Unknown attribute: 'foo' in '/foo:bar:baz'"),
    "task": ('node { name: "a" op: "NoOp" device: "/job:a/task:x" }', ""),
    "class": (node("a", "NoOp", _class='s: "x"'), "AttrValue had value with type 'string' when 'list(string)' expect"),
    "unknown class": (
        node("a", "NoOp", _class='list { s: "loc:@zz" }'),
        "Node 'a' expects to be colocated with unknown",
    ),
    "constant's type": (constant("a", "", dtype="type: DT_INT32"), "The value has dtype float32, not int32"),
    "constant's rank": (constant("a", "dim { size: 1 } " * 300), "A tensor cannot have rank 300"),
    "constant's size": (constant("a", "dim { size: 1099511627776 }"), "is larger than 2 GB"),
    "constant's sign": (constant("a", "dim { size: -5 }"), "needs a known shape"),
    "constant's values": (
        node("a", "Const", dtype=FLOAT, value="tensor { dtype: DT_FLOAT tensor_shape { } float_val: 1 float_val: 2 }"),
        "holds 1 values, but float_val has 2",
    ),
    "constant's content": (
        node(
            "a",
            "Const",
            dtype=FLOAT,
            value='tensor { dtype: DT_FLOAT tensor_shape { dim { size: 9 } } tensor_content: "abc" }',
        ),
        "should have 36 bytes; received: 3",
    ),
    "negative shape": (node("a", "Placeholder", dtype=FLOAT, shape="shape { dim { size: -5 } }"), "must be >= 0"),
    "huge shape": (
        node("a", "Placeholder", dtype=FLOAT, shape="shape { " + "dim { size: 4611686018427387904 } " * 2 + "}"),
        "is too large (more than 2**63 - 1 entries)",
    ),
    "shapes": (
        node("p", "Placeholder", dtype=FLOAT, shape="shape { dim { size: 2 } }")
        + node("q", "Placeholder", dtype=FLOAT, shape="shape { dim { size: 3 } }")
        + node("a", "Add", "p", "q", T=FLOAT),
        "Dimensions must be equal, but are 2 and 3 for 'a' (op: 'Add') with input shapes: [2], [3].",
    ),
    "consumer": (P + "versions { min_consumer: 99999 }", "GraphDef min consumer version 99999 above current version"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_malformed_graphs_are_refused(graph, kind):
    text, sentence = HOSTILE[kind]
    before = tf.constant(1.0, name="before")
    with pytest.raises(ValueError) as caught:
        tf.import_graph_def(read(node("fine", "NoOp") + text), name="")
    assert sentence in str(caught.value)
    assert graph.get_operations() == [before.op]
    assert before.consumers() == []
    with pytest.raises(KeyError):
        graph.get_operation_by_name("fine")
    assert tf.no_op(name="fine").name == "fine"  # the name is free again
    with tf.Session() as session:
        assert session.run(before) == 1.0


def test_an_unknown_operation(graph):
    with pytest.raises(tf.errors.NotFoundError, match="Op type not registered 'NoSuchOp'"):
        tf.import_graph_def(read(node("fine", "NoOp") + node("a", "NoSuchOp")))
    assert graph.get_operations() == []


def test_a_late_error_takes_everything_back(graph):
    """Consumers of tensors that were there before are forgotten too."""
    c = tf.constant(1.0, name="c")
    text = P + A + node("b", "Neg", "a", T=FLOAT) + node("z", "Identity", "b:7", T=FLOAT)
    with pytest.raises(ValueError, match="Connecting to invalid output 7"):
        tf.import_graph_def(read(text), {"p": c}, name="")
    assert (describe(graph), c.consumers()) == (["c = Const()"], [])
    with tf.Session() as session:
        assert session.run(tf.gradients(c * 2.0, c)) == [2.0]


def test_files_cannot_run_python(graph):
    text = node("f", "PyFunc", token='s: "pyfunc_0"', Tin="list { }", Tout="list { type: DT_FLOAT }")
    with pytest.raises(tf.errors.PermissionDeniedError, match=r"Node 'f' \(op: 'PyFunc'\) runs Python code"):
        tf.import_graph_def(read(text))
    assert graph.get_operations() == []


def test_files_can_run_python_where_that_is_allowed(graph):
    tf.py_func(lambda: np.float32(5), [], tf.float32, name="f")
    message = graph.as_graph_def()
    tf.import_graph_def(message, allow_python=True)  # into the same graph, which knows the function
    with tf.Session() as session:
        assert session.run("import/f:0") == 5.0


def test_files_cannot_write_files(graph, tmp_path):
    text = constant("c", "").replace("DT_FLOAT", "DT_STRING").replace("float_val: 1", 'string_val: "x"')
    text += node("p", "PrintV2", "c", output_stream=f's: "file://{tmp_path}/out"')
    with pytest.raises(tf.errors.PermissionDeniedError, match=r"Node 'p' \(op: 'PrintV2'\) writes to file://"):
        tf.import_graph_def(read(text))
    assert graph.get_operations() == []


# --- Sizes ------------------------------------------------------------------------------------------------------------


def imported_within(text, megabytes):
    """Imports a graph; the memory that this takes at most is bounded."""
    message = read(text)
    tracemalloc.start()
    try:
        tf.import_graph_def(message, name="")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes << 20


def test_large_shapes_cost_nothing(graph):
    dims = constant("dims", "dim { size: 2 }", dtype="type: DT_INT32", value="").replace(
        "value {  }", "value { tensor { dtype: DT_INT32 tensor_shape { dim { size: 2 } } int_val: 1000000 } }"
    )
    text = constant("one", "") + dims
    text += node("filled", "Fill", "dims", "one", T=FLOAT, index_type="type: DT_INT32")
    text += node("sum", "AddV2", "filled", "filled", T=FLOAT)
    text += node("v", "VariableV2", dtype=FLOAT, shape="shape { " + "dim { size: 1000000 } " * 3 + "}")
    text += constant("splat", "dim { size: 500000000 }")
    text += node("negative", "Neg", "splat", T=FLOAT)
    imported_within(text, 20)
    assert graph.get_tensor_by_name("sum:0").shape.as_list() == [1000000, 1000000]
    assert graph.get_tensor_by_name("negative:0").shape.as_list() == [500000000]


def test_large_vectors_are_no_shapes(graph):
    """What is read as a shape, as axes or as sizes could be gigabytes of one repeated value."""
    big = node(
        "big",
        "Const",
        dtype="type: DT_INT32",
        value="tensor { dtype: DT_INT32 tensor_shape { dim { size: 400000000 } } int_val: 1 }",
    )
    int32 = "type: DT_INT32"
    text = P + big + constant("one", "")
    text += node("reshape", "Reshape", "p", "big", T=FLOAT, Tshape=int32)
    text += node("fill", "Fill", "big", "one", T=FLOAT, index_type=int32)
    text += node("sum", "Sum", "p", "big", T=FLOAT, Tidx=int32, keep_dims="b: false")
    text += node("tile", "Tile", "p", "big", T=FLOAT, Tmultiples=int32)
    imported_within(text, 20)
    assert graph.get_tensor_by_name("fill:0").shape.dims is None
    for bad in (
        node("x", "Transpose", "p", "big", T=FLOAT, Tperm=int32),
        node("x", "Slice", "p", "big", "big", T=FLOAT, Index=int32),
        node("x", "Pad", "p", "big", T=FLOAT, Tpaddings=int32),
        node("x", "Range", "big", "big", "big", Tidx=int32),
    ):
        with pytest.raises(ValueError) as caught:
            imported_within(P + big + bad, 20)
        assert len(str(caught.value)) < 10000


def test_long_graphs(graph):
    """Chains and fans of many nodes take no recursion, and no time that grows with their square."""
    count = 3000
    text = "".join(node(f"n{i}", "NoOp", f"^n{i - 1}") for i in range(1, count)) + node("n0", "NoOp")
    text += node("fan", "NoOp", *(f"^n{i}" for i in range(count)))
    tf.import_graph_def(read(text), name="")
    assert len(graph.get_operations()) == count + 1
    with tf.Session() as session:
        session.run("fan")


def test_many_equal_names():
    text = "".join(node(f"n{i}", "NoOp") for i in range(3000)) + node("n2999", "NoOp")
    with pytest.raises(ValueError, match="Node 'n2999' is not unique"):
        tf.import_graph_def(read(text))


# --- Damage -----------------------------------------------------------------------------------------------------------

# What a broken file may raise: a clear error, of these kinds.
CLEAR = (ValueError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError)


def try_to_import(content):
    """Imports a damaged file: it works, or fails with a clear error and adds nothing."""
    with tf.Graph().as_default() as graph:
        try:
            message = tf.GraphDef.FromString(content)
        except DecodeError:
            return
        before = tf.no_op()
        try:
            tf.import_graph_def(message)
        except CLEAR:
            assert graph.get_operations() == [before]
        else:
            graph.as_graph_def()


def file_of_everything():
    with tf.Graph().as_default() as graph:
        build_everything()
        return graph.as_graph_def().SerializeToString(deterministic=True)


def test_truncated_files():
    content = file_of_everything()
    for length in random.Random(0).sample(range(len(content)), 60):
        try_to_import(content[:length])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_files(data):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["set", "flip", "insert", "delete"]))
        byte = data.draw(st.integers(0, 255))
        if kind == "set":
            content[position] = byte
        elif kind == "flip":
            content[position] ^= 1 << byte % 8
        elif kind == "insert":
            content.insert(position, byte)
        elif len(content) > 1:
            del content[position]
    try_to_import(bytes(content))


FILES = [file_of_everything(), *(recorded_graph(name).SerializeToString() for name in ("arithmetic", "conditional"))]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_messages_with_strange_contents(data):
    """Well-formed messages whose names, edges, types and attributes are exchanged."""
    message = tf.GraphDef.FromString(FILES[0])
    words = [
        "",
        "x",
        "d",
        "scope/split:1",
        "^v",
        "v:0",
        "v:7",
        "loc:@v",
        "\x00",
        "a/",
        "T",
        "N",
        "dtype",
        "Placeholder",
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(list(message.node)))
        kind = data.draw(st.sampled_from(["name", "op", "device", "add", "remove", "drop", "swap", "grow"]))
        word = data.draw(st.sampled_from(words))
        other = data.draw(st.sampled_from(list(message.node)))
        if kind in ("name", "device"):
            setattr(target, kind, word)
        elif kind == "op":
            target.op = other.op
        elif kind == "add":
            target.input.append(word)
        elif kind == "remove" and target.input:
            del target.input[0]
        elif kind == "drop" and target.attr:
            del target.attr[sorted(target.attr)[0]]
        elif kind == "swap":
            for key in other.attr:
                target.attr[key].CopyFrom(other.attr[key])
        elif kind == "grow":
            for value in target.attr.values():
                if value.WhichOneof("value") == "i":
                    value.i = data.draw(st.sampled_from([-(2**63), -1, 0, 10**6, 2**40, 2**63 - 1]))
    try_to_import(message.SerializeToString())
