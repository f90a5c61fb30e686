"""The functions of a `GraphDef`: written with the nodes that call them, and read again."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

import millstream.v1 as tf

# Graphs of TensorFlow 1.15 and 2.21, by tools/record_functions.py.
RECORDED = json.loads(gzip.decompress((Path(__file__).parents[1] / "data" / "functions.json.gz").read_bytes()))


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


# --- Graphs that TensorFlow wrote -------------------------------------------------------------------------------------


def recorded_graph(name):
    return tf.GraphDef.FromString(zlib.decompress(base64.b64decode(RECORDED[name]["graph"])))


def as_array(item):
    if item["dtype"] == "string":
        return np.array([text.encode() for text in item["value"]], object).reshape(item["shape"])
    return np.array(item["value"], item["dtype"]).reshape(item["shape"])


def check_runs(item, message, folder):
    """Reads a graph, runs it as it was run where it was recorded, compares; gives what is written of it."""
    for name, content in item.get("files", {}).items():
        (folder / name).write_bytes(base64.b64decode(content))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
        with tf.Session() as session:
            for run in item["runs"]:
                # What is fed without a value is the name of a checkpoint.
                feeds = {name: str(folder / "variables") if value is None else as_array(value)
                         for name, value in run["feeds"].items()}  # fmt: skip
                for found, value in zip(session.run(run["fetches"], feeds), run["values"], strict=True):
                    if value is not None:
                        check_value(found, as_array(value))
        return graph.as_graph_def()


def check_value(found, wanted):
    assert np.shape(found) == wanted.shape
    if wanted.dtype == object:
        assert np.asarray(found, object).tolist() == wanted.tolist()
    else:
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_graphs_of_tensorflow_compute_what_they_computed_there(name, tmp_path):
    item = RECORDED[name]
    written = check_runs(item, recorded_graph(name), tmp_path)
    again = check_runs(item, written, tmp_path)
    assert in_order(again) == in_order(written)


def in_order(message):
    """The parts of a graph, by name: readers put each node after what it uses."""
    nodes = {node.name: node for node in message.node}
    functions = {}
    for function in message.library.function:
        functions[function.signature.name] = function, {node.name: node for node in function.node_def}
        del function.node_def[:]
    return nodes, functions


@pytest.mark.parametrize(
    "name", ["1.15 cond", "1.15 while_nested", "1.15 cond_in_while_in_cond", "2.21 loops", "2.21 calls"]
)
def test_functions_keep_their_names(name, graph):
    message = recorded_graph(name)
    tf.import_graph_def(message, name="")
    found = {function.signature.name for function in graph.as_graph_def().library.function}
    assert found == {function.signature.name for function in message.library.function}


@pytest.mark.parametrize(
    "name", ["1.15 while_nested", "1.15 functional", "1.15 cond_in_while_in_cond", "2.21 loops"]
)
def test_loops_are_compiled(name, monkeypatch, tmp_path):
    from millstream.runtime.bodies import HostRegion

    def refuse(*_):
        raise AssertionError("a loop is driven from the host")

    monkeypatch.setattr(HostRegion, "loop", refuse)
    check_runs(RECORDED[name], recorded_graph(name), tmp_path)


def test_gradients_of_what_was_read(graph):
    """They are those that TensorFlow's own graph computes."""
    message = recorded_graph("1.15 grad_while")
    tf.import_graph_def(message, name="")
    y, x = graph.get_tensor_by_name("y_0:0"), graph.get_tensor_by_name("x:0")
    theirs, ours = graph.get_tensor_by_name("grad_0:0"), tf.gradients(y, x)[0]
    with tf.Session() as session:
        feeds = {name: as_array(value) for name, value in RECORDED["1.15 grad_while"]["runs"][2]["feeds"].items()}
        wanted, found = session.run([theirs, ours], feeds)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


# --- Graphs that Millstream writes ------------------------------------------------------------------------------------


def nested():
    x = tf.placeholder(tf.float32, [3], name="x")
    n = tf.placeholder(tf.int32, [], name="n")

    def body(i, y):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: tf.sin(y) * x, lambda: y * y - x)

    return tf.identity(tf.while_loop(lambda i, _: i < n, body, (0, x))[1], name="y")


def names_of(message):
    return [function.signature.name for function in message.library.function]


def test_a_library_holds_what_nodes_call(graph):
    nested()
    message = graph.as_graph_def()
    names = names_of(message)
    assert [name.rstrip("0123456789") for name in names] == [
        "while_cond_", "while_body_", "while_cond_true_", "while_cond_false_"
    ]  # fmt: skip
    loop = next(node for node in message.node if node.op == "StatelessWhile")
    assert loop.attr["cond"].func.name == names[0]
    assert loop.attr["body"].func.name == names[1]
    assert loop == graph.get_operation_by_name(loop.name).node_def
    body = message.library.function[1]
    assert [arg.type for arg in body.signature.input_arg] == list(loop.attr["T"].list.type)
    assert [arg.type for arg in body.signature.output_arg] == list(loop.attr["T"].list.type)
    assert len(loop.attr["output_shapes"].list.shape) == len(loop.attr["T"].list.type)
    choice = next(node for node in body.node_def if node.op == "StatelessIf")
    assert {choice.attr["then_branch"].func.name, choice.attr["else_branch"].func.name} == set(names[2:])
    assert message == graph.as_graph_def()


def test_a_graph_without_functions_has_no_library(graph):
    tf.constant(1.0)
    assert not graph.as_graph_def().HasField("library")


def test_edges_of_functions(graph):
    p = tf.placeholder(tf.bool, [])
    x = tf.placeholder(tf.float32, [4], name="x")
    tf.cond(p, lambda: tf.split(x, 2)[1], lambda: x[:2])
    function = graph.as_graph_def().library.function[0]
    split = next(node for node in function.node_def if node.op == "Split")
    arg = function.signature.input_arg[0].name
    axis = next(node for node in function.node_def if node.op == "Const")
    assert list(split.input) == [f"{axis.name}:output:0", arg]
    assert dict(function.ret) == {function.signature.output_arg[0].name: f"{split.name}:output:1"}
    assert [dim.size for dim in function.arg_attr[0].attr["_output_shapes"].list.shape[0].dim] == [4]


def test_names_of_arguments_and_nodes_are_distinct(graph):
    nested()
    for function in graph.as_graph_def().library.function:
        signature = function.signature
        names = [item.name for item in (*signature.input_arg, *signature.output_arg, *function.node_def)]
        assert len(names) == len(set(names))
        assert all(arg.name == arg.name.lower() and "/" not in arg.name for arg in signature.input_arg)


def test_what_must_run_is_written(graph):
    v = tf.get_variable("v", [], use_resource=True)
    tf.cond(tf.placeholder(tf.bool, []), lambda: v.assign_add(1.0).op, tf.no_op)
    function = graph.as_graph_def().library.function[0]
    assert function.signature.is_stateful
    assert dict(function.control_ret) == {name: name for name in function.signature.control_output}
    assert len(function.control_ret) >= 1


def test_each_function_is_written_once(graph):
    @tf.function
    def double(x):
        return x * 2.0

    tf.add(double(tf.constant(1.0)), double(tf.constant(3.0)))
    assert len(names_of(graph.as_graph_def())) == 1


def test_functions_of_a_function_are_named_as_in_tensorflow(graph):
    @tf.function
    def double(x):
        return tf.while_loop(lambda y: y < 10.0, lambda y: [y * 2.0], [x])

    double(tf.constant(1.0))
    names = [name.rstrip("0123456789") for name in names_of(graph.as_graph_def())]
    assert names == ["__inference_double_", "while_cond_", "while_body_"]


def test_only_functions_of_the_nodes_that_are_written(graph):
    nested()
    version = graph.version
    tf.constant(1.0)
    assert not names_of(graph.as_graph_def(from_version=version))
    assert len(names_of(graph.as_graph_def())) == 4


def test_shapes_are_added_in_functions_too(graph):
    nested()
    function = graph.as_graph_def(add_shapes=True).library.function[1]
    assert all("_output_shapes" in node.attr for node in function.node_def if node.op != "NoOp")


def test_functions_as_attributes(graph):
    y = nested()
    loop = y.op.inputs[0].op.inputs[0].op
    assert loop.get_attr("body").name == loop.node_def.attr["body"].func.name


def test_attributes_that_are_newer_than_tensorflow_1(graph):
    array = tf.TensorArray(tf.float32, 2).write(0, 1.0)
    growing = tf.TensorArray(tf.float32, 0, dynamic_size=True).write(0, 1.0)
    del array, growing
    first, second = (node for node in graph.as_graph_def().node if node.op == "TensorListSetItem")
    assert "resize_if_index_out_of_bounds" not in first.attr
    assert second.attr["resize_if_index_out_of_bounds"].b


def with_variable(use_resource):
    v = tf.get_variable("v", initializer=np.float32([1.0, 2.0]), use_resource=use_resource)
    p = tf.placeholder(tf.bool, [], name="p")
    tf.group(tf.global_variables_initializer(), name="init")
    tf.identity(tf.cond(p, lambda: tf.assign_add(v, [1.0, 1.0]) * 2.0, lambda: v + 5.0), name="y")
    return [("init", {})] + [("y:0", {"p:0": np.array(side)}) for side in (True, False, True)]


def loops():
    nested()
    return [("y:0", {"x:0": np.float32([1, 2, 3]), "n:0": np.int32(n)}) for n in (0, 3)]


def gradient():
    tf.identity(tf.gradients(nested(), tf.get_default_graph().get_tensor_by_name("x:0"))[0], name="grad")
    return [("grad:0", {"x:0": np.float32([1, 2, 3]), "n:0": np.int32(n)}) for n in (1, 3)]


def functional():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    rows = tf.map_fn(lambda row: tf.map_fn(tf.sin, row) * row, x)
    tf.identity(tf.gradients(tf.scan(lambda a, row: a * row + row, rows), x)[0], name="grad")
    return [("grad:0", {"x:0": np.arange(6, dtype=np.float32).reshape(2, 3)})]


def cases():
    index = tf.placeholder(tf.int32, [], name="index")
    x = tf.constant([1.0, 2.0])
    tf.identity(tf.switch_case(index, [lambda: x, lambda: x * 2.0, lambda: x - 3.0]), name="y")
    return [("y:0", {"index:0": np.int32(number)}) for number in (0, 1, 5)]


def called():
    @tf.function
    def double(x):
        tf.get_variable_scope()
        return x * 2.0, tf.reduce_sum(x)

    y, total = double(tf.placeholder(tf.float32, [2], name="x"))
    tf.identity(double(y * total)[0], name="y")
    tf.identity(tf.gradients(total * y, y.op.inputs[0])[0], name="grad")
    feeds = {"x:0": np.float32([1.0, 2.0])}
    return [("y:0", feeds), ("grad:0", feeds)]


def test_a_branch_that_changes_a_reference_has_effects(graph):
    """Else TensorFlow leaves out what only other operations wait for."""
    with_variable(use_resource=False)
    message = graph.as_graph_def()
    assert [node.op for node in message.node if node.op.endswith("If")] == ["If"]
    refs = [arg.is_ref for arg in message.library.function[0].signature.input_arg]
    assert True in refs


def test_loops_get_a_counter(graph):
    """TensorFlow differentiates a loop by its first two variables."""

    @tf.function
    def double(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0), [0, x])

    y = double(tf.placeholder(tf.float32, [], name="x"))[1]
    library = {item.signature.name: item for item in graph.as_graph_def().library.function}
    (loop,) = (node for item in library.values() for node in item.node_def if node.op.endswith("While"))
    assert list(loop.attr["T"].list.type) == [tf.int32.as_datatype_enum] * 3 + [tf.float32.as_datatype_enum]
    assert [name.partition(":")[0] for name in loop.input[:2]] == [
        f"{loop.name}/loop_counter", f"{loop.name}/maximum_iterations",
    ]  # fmt: skip
    body = library[loop.attr["body"].func.name]
    assert [arg.type for arg in body.signature.input_arg] == [arg.type for arg in body.signature.output_arg]
    with tf.Session() as session:
        assert session.run(y, {"x:0": 1.0}) == 8


@pytest.mark.parametrize(
    "build",
    [lambda: with_variable(True), lambda: with_variable(False), loops, gradient, functional, cases, called],
    ids=["resource", "reference", "loops", "gradient", "functional", "cases", "called"],
)
def test_round_trip(build):
    with tf.Graph().as_default() as graph:
        runs = build()
        message = graph.as_graph_def()
        with tf.Session() as session:
            wanted = [session.run(fetch, feeds) for fetch, feeds in runs]
    with tf.Graph().as_default() as other:
        tf.import_graph_def(tf.GraphDef.FromString(message.SerializeToString()), name="")
        assert in_order(other.as_graph_def()) == in_order(tf.GraphDef.FromString(message.SerializeToString()))
        with tf.Session() as session:
            for (fetch, feeds), value in zip(runs, wanted, strict=True):
                if value is not None:
                    np.testing.assert_allclose(session.run(fetch, feeds), value, rtol=1e-6)
                else:
                    session.run(fetch, feeds)


def test_static_shapes_of_what_was_read(graph):
    nested()
    message = graph.as_graph_def()
    with tf.Graph().as_default() as other:
        tf.import_graph_def(message, name="")
        assert other.get_tensor_by_name("y:0").shape.as_list() == [3]


def test_a_graph_may_be_read_twice(graph):
    nested()
    message = graph.as_graph_def()
    with tf.Graph().as_default() as other:
        tf.import_graph_def(message, name="a")
        tf.import_graph_def(message, name="b")
        names = names_of(other.as_graph_def())
        assert len(set(names)) == len(names) == 8
        feeds = {f"{name}/{key}:0": value for name in "ab" for key, value in
                 (("x", np.float32([1, 2, 3])), ("n", np.int32(2)))}  # fmt: skip
        with tf.Session() as session:
            first, second = session.run(["a/y:0", "b/y:0"], feeds)
        np.testing.assert_array_equal(first, second)


def test_meta_graphs_know_the_operations_of_functions(graph):
    nested()
    message = tf.train.export_meta_graph()
    known = {definition.name for definition in message.meta_info_def.stripped_op_list.op}
    assert {"StatelessWhile", "StatelessIf", "Sin"} <= known
    assert names_of(message.graph_def)


def test_stripped_defaults_in_functions(graph):
    tf.cond(tf.placeholder(tf.bool, []), lambda: tf.matmul([[1.0]], [[2.0]]), lambda: tf.constant([[1.0]]))
    message = tf.train.export_meta_graph(strip_default_attrs=True).graph_def
    nodes = [node for function in message.library.function for node in function.node_def]
    product = next(node for node in nodes if node.op == "MatMul")
    assert sorted(product.attr) == ["T", "_output_shapes"]
