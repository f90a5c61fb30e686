"""Calls of functions of a `GraphDef`: what is read, and what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import time
import zlib
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.core.opdef import functions_of

RECORDED = json.loads(gzip.decompress((Path(__file__).parents[1] / "data" / "functions.json.gz").read_bytes()))
CLEAR = (ValueError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError)


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def recorded_graph(name):
    return tf.GraphDef.FromString(zlib.decompress(base64.b64decode(RECORDED[name]["graph"])))


def operations(graph):
    """All operations of a graph and of the functions in it."""
    for op in graph.get_operations():
        yield op
        for function in functions_of(op):
            yield from operations(function.graph)


def names_of(message):
    return [function.signature.name for function in message.library.function]


# --- Calls of functions -----------------------------------------------------------------------------------------------


def function_def(name, inputs, outputs, *nodes, **ret):
    """The text of a function; `inputs` and `outputs` are names, all of them of floats."""
    text = f"signature {{ name: '{name}' "
    text += "".join(f"input_arg {{ name: '{item}' type: DT_FLOAT }} " for item in inputs)
    text += "".join(f"output_arg {{ name: '{item}' type: DT_FLOAT }} " for item in outputs)
    text += "} " + "".join(nodes)
    return text + "".join(f"ret {{ key: '{key}' value: '{value}' }} " for key, value in ret.items())


def node_def(name, op, *inputs, T="type: DT_FLOAT", **attrs):
    text = f"node_def {{ name: '{name}' op: '{op}' " + "".join(f"input: '{item}' " for item in inputs)
    if T:
        attrs["T"] = T
    return text + "".join(f"attr {{ key: '{key}' value {{ {value} }} }} " for key, value in attrs.items()) + "} "


def call(name, *inputs):
    return node_def(name[0], name[1], *inputs, T=None)


def read(nodes, *functions):
    text = nodes.replace("node_def {", "node {") + "library { " + "".join(f"function {{ {f} }} " for f in functions)
    return text_format.Parse(text + "}", tf.GraphDef())


X = "node_def { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } } "
SQUARE = function_def("square", ["a"], ["b"], node_def("m", "Mul", "a", "a"), b="m:z:0")


def test_nodes_call_functions_by_name(graph):
    twice = function_def("twice", ["a"], ["b", "c"], call(("s", "square"), "a"), call(("t", "square"), "s:b:0"),
                         b="t:b:0", c="a")  # fmt: skip
    tf.import_graph_def(read(X + call(("y", "twice"), "x"), SQUARE, twice), name="")
    with tf.Session() as session:
        assert session.run(["y:0", "y:1"], {"x:0": 3.0}) == [81.0, 3.0]
    assert graph.get_operation_by_name("y").type == "PartitionedCall"
    assert sorted(names_of(graph.as_graph_def())) == ["square", "twice"]


def test_functions_that_nobody_calls_do_not_matter(graph):
    broken = function_def("broken", [], [], node_def("n", "NoSuchOperation"))
    tf.import_graph_def(read(X + call(("y", "square"), "x"), SQUARE, broken), name="")
    assert names_of(graph.as_graph_def()) == ["square"]


def test_functions_of_old_branches(graph):
    """What TensorFlow 1 wrote into functions are nodes of branches without functions."""
    text = function_def(
        "absolute", ["a"], ["b"],
        node_def("zero", "Const", T=None, dtype="type: DT_FLOAT",
                 value="tensor { dtype: DT_FLOAT tensor_shape {} float_val: 0 }"),
        node_def("less", "Less", "a", "zero:output:0"),
        node_def("switch", "Switch", "a", "less:z:0"),
        node_def("neg", "Neg", "switch:output_true:0"),
        node_def("merge", "Merge", "switch:output_false:0", "neg:y:0", N="i: 2"),
        b="merge:output:0",
    )  # fmt: skip
    tf.import_graph_def(read(X + call(("y", "absolute"), "x"), text), name="")
    assert not {op.type for op in operations(graph)} & {"Switch", "Merge"}
    with tf.Session() as session:
        assert [session.run("y:0", {"x:0": value}) for value in (-2.0, 3.0)] == [2.0, 3.0]


ZERO = node_def("zero", "Const", T=None, dtype="type: DT_INT32",
                value="tensor { dtype: DT_INT32 tensor_shape {} int_val: 0 }")  # fmt: skip
def test_a_call_has_its_effects_before_its_results_are_used(graph):
    v = tf.get_variable("v", initializer=1.0, use_resource=True)

    @tf.function
    def double(x):
        v.assign_add(x)
        return x * 2.0

    y = tf.identity(double(tf.constant(3.0)))
    with tf.control_dependencies([y]):
        after = tf.identity(v.read_value())
    with tf.Session() as session:
        session.run(v.initializer)
        assert session.run(y) == 6.0
        assert session.run(v) == 4.0
        assert session.run(after) == 7.0


CALL_OF_SQUARE = call(("y", "square"), "x")
CALL_BY_ATTRIBUTE = node_def("y", "PartitionedCall", "x", T=None, f="func { name: 'square' }",
                             Tin="list { type: DT_FLOAT }", Tout="list { type: DT_FLOAT }")  # fmt: skip
MALFORMED = {
    "unknown input": (SQUARE.replace("input: 'a' input: 'a'", "input: 'a' input: 'q'"), "Unknown input node 'q'"),
    "no index": (SQUARE.replace("m:z:0", "m"), "'m' is no argument of the function"),
    "other output": (SQUARE.replace("m:z:0", "m:y:0"), "'m:y:0' is no argument"),
    "output of another index": (SQUARE.replace("m:z:0", "m:z:1"), "'m:z:1' is no argument"),
    "huge index": (SQUARE.replace("m:z:0", "m:z:99999999999999999999"), "is no argument"),
    "too many parts": (SQUARE.replace("m:z:0", "m:z:0:0"), "is no argument"),
    "empty result": (SQUARE.replace("value: 'm:z:0'", "value: ''"), "'' is no argument"),
    "control result": (SQUARE.replace("value: 'm:z:0'", "value: '^m'"), r"'\^m' is no argument"),
    "no result": (SQUARE.replace("ret {", "attr {").replace("'m:z:0'", "{ i: 1 }"), "Nothing is said about the result"),
    "result of another type": (SQUARE.replace("'b' type: DT_FLOAT", "'b' type: DT_INT32"),
                               "gives 'm' of dtype float, not int32"),
    "two arguments of one name": (SQUARE.replace("input_arg {", "input_arg { name: 'a' type: DT_FLOAT } input_arg {"),
                                  "Argument 'a' is not unique"),
    "argument like a node": (SQUARE.replace("name: 'm' op", "name: 'a' op"), "Argument 'a' is not unique"),
    "name of an argument": (SQUARE.replace("input_arg { name: 'a'", "input_arg { name: '^a'"), "invalid characters"),
    "type of an argument": (SQUARE.replace("input_arg { name: 'a' type: DT_FLOAT", "input_arg { name: 'a' type: 999"),
                            "DataType"),
    "reference": (SQUARE.replace("input_arg { name: 'a' type: DT_FLOAT", "input_arg { name: 'a' type: DT_FLOAT_REF"),
                  "reference type"),
    "variable": (SQUARE.replace("input_arg {", "input_arg { is_ref: true"), "must be a variable"),
    "type attribute": (SQUARE.replace("input_arg { name: 'a' type: DT_FLOAT", "input_arg { name: 'a' type_attr: 'T'"),
                       "depends on attributes"),
    "control output": (SQUARE + "control_ret { key: 'c' value: 'q' }", "'q' is no node"),
    "itself": (function_def("square", ["a"], ["b"], call(("m", "square"), "a"), b="m:b:0"), "calls itself"),
    "unknown operation": (SQUARE.replace("'Mul'", "'NoSuchOperation'"), "not registered"),
    "placeholder": (SQUARE.replace("input: 'a' input: 'a'", "input: 'p:output:0' input: 'a'")
                    + node_def("p", "Placeholder", T=None, dtype="type: DT_FLOAT"), "would have to be fed"),
    "cycle": (SQUARE.replace("input: 'a' input: 'a'", "input: 'm:z:0' input: 'a'"), "cycle"),
    "missing attribute": (SQUARE.replace("key: 'T'", "key: '_T'"), "missing attr 'T'"),
    "shape": (SQUARE + "arg_attr { key: 0 value { attr { key: '_output_shapes' value { "
              "list { shape { dim { size: -7 } } } } } } }", "7"),
    "python": (SQUARE + node_def("p", "PyFunc", T=None, token="s: 'f'", Tin="list {}", Tout="list {}"),
               "runs Python code"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_functions_are_refused(graph, kind):
    text, message = MALFORMED[kind]
    caller = CALL_BY_ATTRIBUTE if kind in ("two arguments of one name", "type attribute") else CALL_OF_SQUARE
    before = tf.no_op()
    with pytest.raises(CLEAR, match=message):
        tf.import_graph_def(read(X + caller, text))
    assert graph.get_operations() == [before]


def branch(then, other="square", **attrs):
    """A node that chooses between two functions."""
    types = {"Tcond": "type: DT_FLOAT", "Tin": "list { type: DT_FLOAT }", "Tout": "list { type: DT_FLOAT }", **attrs}
    return node_def("y", "StatelessIf", "x", "x", T=None, then_branch=f"func {{ name: '{then}' }}",
                    else_branch=f"func {{ name: '{other}' }}", **types)  # fmt: skip


TWO = function_def("two", ["a", "c"], ["b"], node_def("m", "Mul", "a", "c"), b="m:z:0")


@pytest.mark.parametrize(
    ("nodes", "functions", "message"),
    [
        (X + branch("missing"), [SQUARE], "Function 'missing' is not in the library"),
        (X + branch(""), [SQUARE], "Function '' is not in the library"),
        (X + branch("two"), [SQUARE, TWO], r"'two' takes \(float, float\), not \(float\)"),
        (X + branch("square", Tout="list {}"), [SQUARE], r"'square' gives \(float\), not \(\)"),
        (X + branch("square", Tout="list { type: DT_INT32 }"), [SQUARE], "gives"),
        (X + CALL_OF_SQUARE, [SQUARE, SQUARE], "'square' is not unique"),
        (X + CALL_OF_SQUARE, [SQUARE, SQUARE.replace("'square'", "'MatMul'")], "an op with the same name"),
        (X + call(("y", "square"), "x", "x"), [SQUARE], "do not match 2 inputs"),
        (X + call(("y", "square")), [SQUARE], "do not match 0 inputs"),
    ],
)
def test_calls_that_do_not_suit_are_refused(graph, nodes, functions, message):
    with pytest.raises(ValueError, match=message):
        tf.import_graph_def(read(nodes, *functions))
    assert not graph.get_operations()


def loop(**attrs):
    functions = {"cond": "func { name: 'goes_on' }", "body": "func { name: 'turn' }"}
    return node_def("y", "While", "x", T="list { type: DT_FLOAT }", **{**functions, **attrs})


GOES_ON = function_def("goes_on", ["a"], ["b"], node_def("m", "Less", "a", "a"), b="m:z:0").replace(
    "'b' type: DT_FLOAT", "'b' type: DT_BOOL"
)
TURN = SQUARE.replace("'square'", "'turn'")


@pytest.mark.parametrize(
    ("node", "functions", "message"),
    [
        (loop(), [GOES_ON.replace("DT_BOOL", "DT_FLOAT"), TURN], r"'goes_on' gives \(float\), not \(bool\)"),
        (loop(cond="func { name: 'turn' }"), [GOES_ON, TURN], r"'turn' gives \(float\), not \(bool\)"),
        (loop(output_shapes="list { shape {} shape {} }"), [GOES_ON, TURN], "2 output_shapes for 1 outputs"),
        (loop(body="func { name: 'two' }"), [GOES_ON, TWO], r"'two' takes"),
    ],
)
def test_loops_that_do_not_suit_are_refused(graph, node, functions, message):
    with pytest.raises(ValueError, match=message):
        tf.import_graph_def(read(X + node, *functions))
    assert not graph.get_operations()


def test_a_loop_whose_shapes_change(graph):
    grows = function_def("turn", ["a"], ["b"],
                         ZERO, node_def("join", "ConcatV2", "a", "a", "zero:output:0", N="i: 2", Tidx="type: DT_INT32"),
                         b="join:output:0")  # fmt: skip
    size = node_def("m", "Sum", "a", "zero:output:0", Tidx="type: DT_INT32")
    limit = node_def("limit", "Const", T=None, dtype="type: DT_FLOAT",
                     value="tensor { dtype: DT_FLOAT tensor_shape {} float_val: 9 }")  # fmt: skip
    less = node_def("less", "Less", "m:output:0", "limit:output:0")
    test = function_def("goes_on", ["a"], ["b"], ZERO, size, limit, less, b="less:z:0")
    test = test.replace("'b' type: DT_FLOAT", "'b' type: DT_BOOL")
    message = read(X + loop(), test, grows)
    message.node[0].attr["shape"].shape.dim.add(size=2)
    tf.import_graph_def(message, name="")
    assert graph.get_tensor_by_name("y:0").shape.as_list() == [None]
    with tf.Session() as session:
        assert session.run("y:0", {"x:0": [1.0, 2.0]}).tolist() == [1.0, 2.0] * 4


# --- Hostile libraries ------------------------------------------------------------------------------------------------


def chain(count, calls, last=None):
    """Functions of which each calls the one before so many times."""
    functions = [last or SQUARE.replace("'square'", "'f0'")]
    for number in range(1, count):
        nodes = [call((f"n{i}", f"f{number - 1}"), "a" if i == 0 else f"n{i - 1}:b:0") for i in range(calls)]
        functions.append(function_def(f"f{number}", ["a"], ["b"], *nodes, b=f"n{calls - 1}:b:0"))
    return read(X + call(("y", f"f{count - 1}"), "x"), *functions)


def test_functions_that_call_each_other_in_a_circle(graph):
    last = function_def("f0", ["a"], ["b"], call(("n", "f2"), "a"), b="n:b:0")
    with pytest.raises(ValueError, match="recursive functions are not supported"):
        tf.import_graph_def(chain(3, 1, last))


def test_deep_functions(graph):
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        tf.import_graph_def(chain(2000, 1))
    tf.import_graph_def(chain(40, 1), name="")
    assert len(names_of(graph.as_graph_def())) == 40


def test_many_calls_are_made_once(graph):
    started = time.perf_counter()
    tf.import_graph_def(chain(11, 3), name="")
    assert time.perf_counter() - started < 5.0
    assert len(names_of(graph.as_graph_def())) == 11


def test_calls_that_are_too_much_work_are_refused(graph):
    started = time.perf_counter()
    with pytest.raises(ValueError, match="operations with the functions that it calls; at most 1048576 are read"):
        tf.import_graph_def(chain(40, 3), name="")
    assert time.perf_counter() - started < 5.0


def test_calls_that_multiply_are_refused(graph):
    """Each function calls the one before with a longer and longer vector, which is another function each time."""
    functions = [SQUARE.replace("'square'", "'f0'")]
    for number in range(1, 17):
        functions.append(function_def(
            f"f{number}", ["a"], ["b"], ZERO,
            node_def("one", "ConcatV2", "a", "a", "zero:output:0", N="i: 2", Tidx="type: DT_INT32"),
            node_def("more", "Const", T=None, dtype="type: DT_FLOAT",
                     value="tensor { dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 0 }"),
            node_def("two", "ConcatV2", "one:output:0", "more:output:0", "zero:output:0", N="i: 2",
                     Tidx="type: DT_INT32"),
            call(("n", f"f{number - 1}"), "one:output:0"), call(("m", f"f{number - 1}"), "two:output:0"), b="m:b:0",
        ))  # fmt: skip
    message = read(X + call(("y", "f16"), "x"), *functions)
    message.node[0].attr["shape"].shape.dim.add(size=1)
    started = time.perf_counter()
    with pytest.raises(ValueError, match="call each other too often"):
        tf.import_graph_def(message)
    assert time.perf_counter() - started < 20.0
    assert not graph.get_operations()


def library_of_everything():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [3])
        y = tf.while_loop(lambda y: y[0] < 5.0, lambda y: [tf.cond(y[1] > 0.0, lambda: y * x, lambda: tf.sin(y))], [x])
        tf.gradients(y, x)
        tf.switch_case(tf.placeholder(tf.int32, []), [lambda: tf.constant(1.0), lambda: tf.constant(2.0)])
        return graph.as_graph_def()


FILES = [library_of_everything(), *map(recorded_graph, ("2.21 calls", "1.15 functions_by_name"))]
WORDS = ["", "x", "^x", "x:0", "n:output:0", "y:z:7", "a:b:c:d", ":", "^", "T", "body", "cond", "\x00", "Mul", "While"]


def try_to_import(message):
    """Reads what is damaged: it works, or fails with a clear error and adds nothing."""
    with tf.Graph().as_default() as graph:
        before = tf.no_op()
        try:
            tf.import_graph_def(message)
        except CLEAR:
            assert graph.get_operations() == [before]
        else:
            graph.as_graph_def()


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_libraries(data):
    """Well-formed libraries whose names, edges, types and attributes are exchanged."""
    message = tf.GraphDef()
    message.CopyFrom(data.draw(st.sampled_from(FILES)))
    functions = list(message.library.function)
    for _ in range(data.draw(st.integers(1, 3))):
        function, other = data.draw(st.sampled_from(functions)), data.draw(st.sampled_from(functions))
        word = data.draw(st.sampled_from([*WORDS, other.signature.name]))
        nodes = [*function.node_def, *message.node]
        target = data.draw(st.sampled_from(nodes))
        kind = data.draw(st.sampled_from("rename signature ret control input op attr arg func drop".split()))
        if kind == "rename":
            function.signature.name = word
        elif kind == "signature":
            function.signature.CopyFrom(other.signature)
        elif kind == "ret":
            for key in list(function.ret):
                function.ret[key] = word
        elif kind == "control":
            function.control_ret[word] = word
        elif kind == "input":
            target.input.append(word)
        elif kind == "op":
            target.op = word
        elif kind == "attr" and target.attr:
            del target.attr[sorted(target.attr)[0]]
        elif kind == "arg" and function.signature.input_arg:
            function.signature.input_arg[0].name = word
        elif kind == "func":
            for node in nodes:
                for value in node.attr.values():
                    if value.WhichOneof("value") == "func":
                        value.func.name = other.signature.name
        elif kind == "drop" and function.node_def:
            del function.node_def[0]
    try:
        content = message.SerializeToString()
    except (ValueError, UnicodeEncodeError):
        return
    try_to_import(tf.GraphDef.FromString(content))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_files(data):
    content = bytearray(data.draw(st.sampled_from(FILES)).SerializeToString(deterministic=True))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    try:
        message = tf.GraphDef.FromString(bytes(content))
    except DecodeError:
        return
    try_to_import(message)
