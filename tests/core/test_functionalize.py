"""Graphs of TensorFlow 1 with Switch, Merge, Enter and Exit: they become branches and loops when they are imported."""

from __future__ import annotations

import base64
import gzip
import json
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import millstream.v1 as tf
from millstream.core.opdef import functions_of

RECORDED = json.loads(gzip.decompress((Path(__file__).parents[1] / "data" / "tf1_control_flow.json.gz").read_bytes()))
CONTROL_FLOW = set("Switch Merge Enter Exit NextIteration LoopCond RefSwitch RefMerge RefEnter RefExit".split())


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def recorded_graph(name):
    return tf.GraphDef.FromString(zlib.decompress(base64.b64decode(RECORDED[name]["graph"])))


def as_array(recorded):
    if recorded["dtype"] == "string":
        return np.array([text.encode() for text in recorded["value"]], object).reshape(recorded["shape"])
    return np.array(recorded["value"], recorded["dtype"]).reshape(recorded["shape"])


def feeds_of(run):
    return {key: as_array(value) for key, value in run["feeds"].items()}


def operations(graph):
    """All operations of a graph and of the functions in it."""
    for op in graph.get_operations():
        yield op
        for function in functions_of(op):
            yield from operations(function.graph)


# --- Graphs that TensorFlow wrote -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_graphs_of_tensorflow_compute_what_they_computed_there(name, graph):
    tf.import_graph_def(recorded_graph(name), name="")
    with tf.Session() as session:
        for run in RECORDED[name]["runs"]:
            found = session.run(run["fetches"], feeds_of(run))
            for fetch, ours, theirs in zip(run["fetches"], found, run["values"], strict=True):
                if theirs is None:
                    continue
                wanted = as_array(theirs)
                assert np.shape(ours) == wanted.shape, fetch
                if wanted.dtype == object:
                    assert np.asarray(ours, object).tolist() == wanted.tolist(), fetch
                else:
                    np.testing.assert_allclose(ours, wanted, rtol=2e-4, atol=1e-5, err_msg=fetch)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_no_control_flow_is_left(name, graph):
    tf.import_graph_def(recorded_graph(name), name="")
    left = {op.type for op in operations(graph)} & CONTROL_FLOW
    assert not left


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_static_shapes_are_at_least_as_good(name, graph):
    tf.import_graph_def(recorded_graph(name), name="")
    for tensor, theirs in RECORDED[name]["shapes"].items():
        ours = graph.get_tensor_by_name(tensor).shape
        if theirs is None:
            continue
        assert ours.rank == len(theirs), tensor
        assert all(b is None or a == b for a, b in zip(ours.as_list(), theirs, strict=True)), tensor


@pytest.mark.parametrize("name", ["dynamic_rnn", "dynamic_rnn_lengths", "bidirectional", "functional", "train_rnn",
                                  "train_rnn_lengths", "while_nested", "cond_in_while_in_cond"])  # fmt: skip
def test_loops_are_compiled(name, monkeypatch):
    from millstream.runtime.bodies import HostRegion

    def refuse(*_):
        raise AssertionError("a loop is driven from the host")

    monkeypatch.setattr(HostRegion, "loop", refuse)
    tf.import_graph_def(recorded_graph(name), name="")
    with tf.Session() as session:
        for run in RECORDED[name]["runs"]:
            session.run(run["fetches"], feeds_of(run))


def test_results_keep_their_names(graph):
    result, op = tf.import_graph_def(recorded_graph("while_loop"), return_elements=["while/Exit_1:0", "while/Exit"])
    assert result.name == "import/while/Exit_1:0"
    assert op.name == "import/while/Exit"
    assert graph.get_tensor_by_name("import/while/Exit_1:0") is result
    merge, index = tf.import_graph_def(
        recorded_graph("cond"), return_elements=["cond/Merge:0", "cond/Merge:1"], name="again"
    )
    assert merge.name == "again/cond/Merge:0"
    with tf.Session() as session:
        assert session.run(index, {"again/p:0": True, "again/x:0": [1, 2, 3]}) == 1
        assert session.run(index, {"again/p:0": False, "again/x:0": [1, 2, 3]}) == 0


def test_what_is_within_a_branch_can_be_asked_for():
    (inner,) = tf.import_graph_def(recorded_graph("cond"), return_elements=["cond/mul:0"], name="")
    with tf.Session() as session:
        assert session.run(inner, {"p:0": True, "x:0": [1, 2, 3]}).tolist() == [2, 4, 6]


def test_what_is_within_a_loop_cannot_be_asked_for():
    with pytest.raises(ValueError, match=r"'while/MatMul' is inside of a loop or branch"):
        tf.import_graph_def(recorded_graph("while_loop"), return_elements=["while/MatMul:0"])


def test_tensors_can_be_put_in_place(graph):
    limit = tf.constant(3)
    i, _ = tf.import_graph_def(
        recorded_graph("while_loop"), input_map={"n:0": limit}, return_elements=["while/Exit:0", "y:0"]
    )
    with tf.Session() as session:
        assert session.run(i) == 3


def test_imports_twice_side_by_side(graph):
    first, second = (tf.import_graph_def(recorded_graph("while_loop"), return_elements=["y:0"])[0] for _ in range(2))
    assert first.name != second.name
    with tf.Session() as session:
        a, b = session.run([first, second], {"import/n:0": 4, "import_1/n:0": 4})
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["grad_while", "grad_cond", "grad_cond_in_while", "grad_while_nested"])
def test_imported_loops_and_branches_have_gradients(name, graph):
    tf.import_graph_def(recorded_graph(name), name="")
    y, x = graph.get_tensor_by_name("y_0:0"), graph.get_tensor_by_name("x:0")
    ours = tf.gradients(y, x)[0]
    run = RECORDED[name]["runs"][0]
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(ours, feeds_of(run)), as_array(run["values"][1]), rtol=1e-4)


def test_imports_into_a_function():
    message = recorded_graph("while_loop")

    def function(n):
        return tf.import_graph_def(message, input_map={"n:0": n}, return_elements=["while/Exit:0"])[0]

    result = tf.function(function)(tf.constant(4))
    with tf.Session() as session:
        assert session.run(result) == 4


# --- Graphs by hand ---------------------------------------------------------------------------------------------------

FLOAT, INT, BOOL = "type: DT_FLOAT", "type: DT_INT32", "type: DT_BOOL"


def node(name, op, *inputs, **attrs):
    """A node's text form."""
    edges = " ".join(f'input: "{edge}"' for edge in inputs)
    values = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attrs.items())
    return f'node {{ name: "{name}" op: "{op}" {edges} {values} }}\n'


def number(name, value, *controls):
    tensor = f"tensor {{ dtype: DT_INT32 tensor_shape {{ }} int_val: {value} }}"
    return node(name, "Const", *controls, dtype=INT, value=tensor)


def enter(name, source, frame="f", constant=False, dtype=INT):
    return node(name, "Enter", source, T=dtype, frame_name=f's: "{frame}"', is_constant=f"b: {str(constant).lower()}")


def loop(prefix="", start="zero", frame="f", body=""):
    """The text of `while i < 3: i += 1`; `body` comes between the turn's variable and its next value."""
    p = prefix
    return "".join([
        enter(f"{p}enter", start, frame),
        node(f"{p}merge", "Merge", f"{p}enter", f"{p}next", T=INT, N="i: 2"),
        number(f"{p}three", 3, f"^{p}merge"),
        node(f"{p}less", "Less", f"{p}merge", f"{p}three", T=INT),
        node(f"{p}condition", "LoopCond", f"{p}less"),
        node(f"{p}switch", "Switch", f"{p}merge", f"{p}condition", T=INT),
        number(f"{p}one", 1, f"^{p}switch"),
        body,
        node(f"{p}add", "Add", f"{p}switch:1", f"{p}one", T=INT),
        node(f"{p}next", "NextIteration", f"{p}add", T=INT),
        node(f"{p}exit", "Exit", f"{p}switch", T=INT),
    ])  # fmt: skip


ZERO = number("zero", 0)


def read(text, **keywords):
    return tf.import_graph_def(text_format.Parse(text, tf.GraphDef()), name="", **keywords)


def without(text, *names):
    return "".join(line + "\n" for line in text.splitlines() if not any(f'name: "{name}"' in line for name in names))


def test_a_loop_by_hand():
    (result,) = read(ZERO + loop(), return_elements=["exit:0"])
    with tf.Session() as session:
        assert session.run(result) == 3


MALFORMED = {
    "no_loop_cond": (
        without(ZERO + loop(), "condition", "switch", "exit", "add", "next", "merge", "less", "one", "three"),
        "'enter' enters the loop 'f', which has no LoopCond",
    ),
    "no_exit": (without(ZERO + loop(), "exit"), "'condition' is never left: it has no Exit"),
    "no_merge": (
        without(ZERO, "")
        + enter("e", "zero")
        + node("n", "NextIteration", "a", T=INT)
        + node("a", "Add", "e", "n", T=INT),
        "nodes in a cycle: n, a",
    ),
    "next_iteration_outside": (
        ZERO + node("n", "NextIteration", "zero", T=INT),
        "'n' .op: 'NextIteration'. is in no loop",
    ),
    "exit_outside": (ZERO + node("x", "Exit", "zero", T=INT), "'x' .op: 'Exit'. leaves a loop, but is in none"),
    "loop_cond_outside": (
        node("p", "Placeholder", dtype=BOOL) + node("c", "LoopCond", "p"),
        "'c' is the condition of a loop, but is in none",
    ),
    "different_frames": (
        ZERO + loop(body=node("bad", "Add", "switch:1", "zero", T=INT)),
        "The node 'bad' has inputs from different frames. The input 'switch:1' is in frame 'f'. The "
        "input 'zero' is in frame ''",
    ),
    "merge_of_next_iterations": (
        ZERO + loop().replace('input: "enter" input: "next"', 'input: "next" input: "next"'),
        "'exit' .op: 'Exit'. leaves a loop, but is in none",
    ),
    "constant_variable": (
        ZERO + loop().replace("b: false", "b: true"),
        "'merge' .op: 'Merge'. must merge what an Enter",
    ),
    "variable_without_merge": (
        ZERO + loop(body=enter("e", "zero")).replace('"Add" input: "switch:1"', '"Add" input: "e"'),
        "'e' .op: 'Enter'. lets a variable into a loop, which a Merge must take",
    ),
    "exit_of_the_body": (
        ZERO + loop().replace('"Exit" input: "switch"', '"Exit" input: "add"'),
        "'switch:1' leads for the next turn|must take the first output|leads",
    ),
    "body_of_the_exit": (
        ZERO + loop().replace('"Add" input: "switch:1"', '"Add" input: "switch"'),
        "'switch' leads out of",
    ),
    "cycle": (
        ZERO + node("a", "Add", "zero", "b", T=INT) + node("b", "Add", "a", "zero", T=INT),
        "2 nodes in a cycle: a, b",
    ),
    "cycle_through_a_loop": (
        ZERO + loop(start="after") + node("after", "Add", "zero", "exit", T=INT),
        "nodes in a cycle",
    ),
    "next_of_another_loop": (
        ZERO + loop("a/", frame="a") + loop("b/", frame="b").replace('"b/next"', '"a/next"', 1),
        "The node 'b/merge' has inputs from different frames",
    ),
    "next_of_a_later_loop": (
        ZERO + loop("a/", frame="a").replace('"a/next"', '"b/next"', 1) + loop("b/", frame="b"),
        "'a/merge': 'b/next' is in another loop",
    ),
    "stack_of_nobody": (
        node("h", "Placeholder", dtype="type: DT_RESOURCE") + node("pop", "StackPopV2", "h", elem_type=INT),
        "'pop' .op: 'StackPopV2'.: it is not known which",
    ),
    "handle_as_a_value": (
        ZERO
        + node("s", "StackV2", "zero", elem_type=INT)
        + node("packed", "Pack", "s", T="type: DT_RESOURCE", N="i: 1"),
        "'packed' .op: 'Pack'. cannot take",
    ),
    "handle_on_a_stack": (
        ZERO
        + node("s", "StackV2", "zero", elem_type="type: DT_RESOURCE")
        + node("t", "StackV2", "zero", elem_type=INT)
        + node("push", "StackPushV2", "s", "t", T="type: DT_RESOURCE"),
        "'push' .op: 'StackPushV2'.: handles of stacks and arrays cannot be elements",
    ),
    "elements_of_another_type": (
        ZERO + node("s", "StackV2", "zero", elem_type=FLOAT) + node("push", "StackPushV2", "s", "zero", T=INT),
        "'push' .op: 'StackPushV2'.: the elements are float32, not int32",
    ),
    "predicate_of_another_type": (
        ZERO
        + node("s", "Switch", "zero", "zero", T=INT)
        + node("a", "Neg", "s", T=INT)
        + node("m", "Merge", "a", "s:1", T=INT, N="i: 2"),
        "Input 1 of node s was passed int32 from zero:0 incompatible with expected bool",
    ),
    "variable_of_another_type": (
        ZERO + loop().replace("type: DT_INT32", "type: DT_FLOAT", 2).replace("DT_FLOAT", "DT_INT32", 1),
        "incompatible with expected",
    ),
    "third_output_of_a_switch": (
        node("p", "Placeholder", dtype=BOOL)
        + node("s", "Switch", "p", "p", T=BOOL)
        + node("i", "Identity", "s:2", T=BOOL),
        "invalid output 2 of source node s",
    ),
}


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_malformed_graphs_are_refused(name, graph):
    text, message = MALFORMED[name]
    with pytest.raises(ValueError, match=message):
        read(text)
    assert not graph.get_operations()


def nested_loops(depth):
    text, start = ZERO, "zero"
    for level in range(depth):
        text += enter(f"e{level}", start, f"f{level}", constant=True)
        start = f"e{level}"
    return text


def nested_branches(depth):
    text = node("p", "Placeholder", dtype=BOOL)
    value = predicate = "p"
    for level in range(depth):
        text += node(f"s{level}", "Switch", value, predicate, T=BOOL)
        text += node(f"i{level}", "LogicalNot", f"s{level}:1")
        value = predicate = f"i{level}"
    for level in reversed(range(depth)):
        text += node(f"m{level}", "Merge", f"s{level}", value, T=BOOL, N="i: 2")
        value = f"m{level}"
    return text


def test_nesting_has_a_limit():
    with pytest.raises(ValueError, match="'e50': loops are nested more than 50 deep"):
        read(nested_loops(2000))
    with pytest.raises(ValueError, match="'i50': branches are nested more than 50 deep"):
        read(nested_branches(2000))


def test_deep_nesting_runs():
    (result,) = read(nested_branches(20), return_elements=["m0:0"])
    with tf.Session() as session:
        assert session.run(result, {"p:0": False}) == np.False_


def chained_branches(count):
    text, value = node("p", "Placeholder", dtype=BOOL) + node("x", "Placeholder", dtype=FLOAT), "x"
    for index in range(count):
        text += node(f"s{index}", "Switch", value, "p", T=FLOAT) + node(f"a{index}", "Neg", f"s{index}", T=FLOAT)
        text += node(f"b{index}", "Abs", f"s{index}:1", T=FLOAT)
        text += node(f"m{index}", "Merge", f"a{index}", f"b{index}", T=FLOAT, N="i: 2")
        value = f"m{index}"
    return text


def long_loop(count):
    body = "".join(node(f"b{i}", "Neg", f"b{i - 1}" if i else "switch:1", T=INT) for i in range(count))
    return ZERO + loop(body=body).replace('"Add" input: "switch:1"', f'"Add" input: "b{count - 1}"')


@pytest.mark.parametrize("make", [chained_branches, long_loop])
def test_time_grows_with_the_size(make):
    times = []
    for count in (100, 800):
        message = text_format.Parse(make(count), tf.GraphDef())
        best = np.inf
        for _ in range(2):
            with tf.Graph().as_default():
                start = time.perf_counter()
                tf.import_graph_def(message)
                best = min(best, time.perf_counter() - start)
        times.append(best)
    assert times[1] < 8 * 4 * times[0]


def test_branches_that_pair_nothing_stay_operations(graph):
    """A merge of what is in a branch with what is in none takes whichever is there."""
    text = node("p", "Placeholder", dtype=BOOL) + node("x", "Placeholder", dtype=FLOAT)
    text += node("s", "Switch", "x", "p", T=FLOAT) + node("n", "Neg", "s:1", T=FLOAT)
    text += node("m", "Merge", "n", "x", T=FLOAT, N="i: 2")
    (result,) = read(text, return_elements=["m:0"])
    assert {"Switch", "Merge"} <= {op.type for op in graph.get_operations()}
    with tf.Session() as session:
        assert session.run(result, {"p:0": True, "x:0": 2.0}) == -2.0
        assert session.run(result, {"p:0": False, "x:0": 2.0}) == 2.0


def test_operations_without_a_merge_run_where_their_branch_is_taken(graph):
    """An assignment in a branch that is run by its name."""
    v = tf.Variable(1.0, name="v")
    text = node("p", "Placeholder", dtype=BOOL) + node("x", "Placeholder", dtype=FLOAT)
    text += (
        node("r", "Placeholder", dtype=FLOAT)
        .replace("Placeholder", "VariableV2")
        .replace("} } }", '} } attr { key: "shape" value { shape { } } } }', 1)
    )
    text += node("vs", "RefSwitch", "r", "p", T=FLOAT) + node("s", "Switch", "x", "p", T=FLOAT)
    text += node("change", "Assign", "vs:1", "s:1", T=FLOAT)
    read(text, input_map={"r:0": v._ref()})
    with tf.Session() as session:
        session.run(v.initializer)
        session.run("change", {"p:0": False, "x:0": 5.0})
        assert session.run(v) == 1.0
        session.run("change", {"p:0": True, "x:0": 5.0})
        assert session.run(v) == 5.0


def test_two_choices_of_one_predicate_hand_on_values(graph):
    """As in gradients: what lies between two branches needs the first one and is needed for the second."""
    text = node("p", "Placeholder", dtype=BOOL) + node("x", "Placeholder", dtype=FLOAT)
    text += node("s", "Switch", "x", "p", T=FLOAT) + node("a", "Exp", "s:1", T=FLOAT)
    text += node("m", "Merge", "s", "a", T=FLOAT, N="i: 2") + node("between", "Square", "m", T=FLOAT)
    text += node("t", "Switch", "between", "p", T=FLOAT) + node("b", "Mul", "t:1", "a", T=FLOAT)
    text += node("y", "Merge", "t", "b", T=FLOAT, N="i: 2")
    (result,) = read(text, return_elements=["y:0"])
    assert sum(op.type == "StatelessIf" for op in graph.get_operations()) == 2
    with tf.Session() as session:
        assert session.run(result, {"p:0": True, "x:0": 1.0}) == pytest.approx(np.exp(3.0))
        assert session.run(result, {"p:0": False, "x:0": 3.0}) == 9.0


def test_a_run_has_the_choices_that_it_needs(graph):
    """Many conditions have one predicate, such as whether the program is training."""
    node = """
      node { name: "p" op: "Placeholder" attr { key: "dtype" value { type: DT_BOOL } } }
      node { name: "v" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } }
             attr { key: "shape" value { shape { } } } }
      node { name: "one" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
             attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { } float_val: 1 } } } }
      node { name: "start" op: "Assign" input: "v" input: "one" attr { key: "T" value { type: DT_FLOAT } } }
    """
    for name in "ab":
        node += f"""
          node {{ name: "{name}" op: "Placeholder" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }} }}
          node {{ name: "{name}/Switch" op: "Switch" input: "{name}" input: "p"
                  attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}
          node {{ name: "{name}/ref" op: "RefSwitch" input: "v" input: "p"
                  attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}
          node {{ name: "{name}/add" op: "AssignAdd" input: "{name}/ref:1" input: "{name}/Switch:1"
                  attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}
          node {{ name: "{name}/Merge" op: "Merge" input: "{name}/Switch" input: "{name}/add"
                  attr {{ key: "T" value {{ type: DT_FLOAT }} }} attr {{ key: "N" value {{ i: 2 }} }} }}
        """
    tf.import_graph_def(text_format.Parse(node, tf.GraphDef()), name="")
    assert not CONTROL_FLOW & {op.type for op in operations(graph)}
    with tf.Session() as session:
        session.run("start")
        assert session.run("a/Merge:0", {"p:0": True, "a:0": 2.0}) == session.run("v:0") == 3.0
        assert session.run("b/Merge:0", {"p:0": False, "b:0": 5.0}) == 5.0
        assert session.run("v:0") == 3.0


@pytest.mark.parametrize("name", ["grad_while", "train_rnn_resource"])
def test_nothing_is_placed_beside_what_went_into_functions(name, graph):
    tf.import_graph_def(recorded_graph(name), name="")
    groups = {group.decode() for op in graph.get_operations() for group in op.colocation_groups()}
    assert groups <= {f"loc:@{op.name}" for op in graph.get_operations()}
