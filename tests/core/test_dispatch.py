"""`apply_op`: from values of any kind to a node; what it infers and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import dispatch, opdef
from millstream.core.shape_rules import same_as

# Operations for these tests only: a list of one type, a list of types, both kinds of list outputs.
opdef.op(
    'TestMixed(first: T, values: N*T, others: Tother[], *, Tother: list(type) >= 0, mode: string{"A", "B"} = "A", '
    "sizes: list(int) = []) -> sums: N*T, kept: Tother[], count: int32",
    T="float int32",
    N=2,
    shape=lambda c: [None] * (len(c.attrs["Tother"]) + c.attrs["N"] + 1),
)(lambda xp, first, values, others, *, mode, sizes: ([first + value for value in values], others, len(values)))
opdef.op("TestDefault(x: T, y: T) -> z: T", T="float double int32 = double", shape=same_as(0))(lambda xp, x, y: x + y)
opdef.op("TestFixed(x: float, n: int64) -> z: float", shape=same_as(0))(lambda xp, x, n: x * n)
opdef.op("TestAttrs(x: T, *, i: int >= 2, f: float, b: bool, s: shape, t: type{int32, int64} = int32)", T="float")(
    lambda xp, x: None
)
MIXED, DEFAULT, FIXED, ATTRS = (opdef.REGISTRY["Test" + name] for name in ("Mixed", "Default", "Fixed", "Attrs"))


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def names_of(graph):
    return [op.name for op in graph.get_operations()]


# --- Results ----------------------------------------------------------------------------------------------------------


def test_one_output_is_a_tensor():
    result = FIXED(1.5, 2)
    assert isinstance(result, tf.Tensor) and result.dtype == tf.float32


def test_several_outputs_are_a_named_tuple():
    result = MIXED(1.0, [2.0, 3.0], ["text", 4], name="m")
    assert type(result).__name__ == "TestMixed"
    assert [tensor.name for tensor in result.sums] == ["m:0", "m:1"]
    assert [tensor.dtype for tensor in result.kept] == [tf.string, tf.int32]
    assert (result.count.name, result.count.dtype) == ("m:4", tf.int32)


def test_no_output_is_the_operation():
    result = ATTRS(1.0, i=2, f=1, b=True, s=[2, None], name="a")
    assert isinstance(result, tf.Operation) and result.name == "a"


def test_raw_operations_give_the_same():
    result = tf.raw_ops.Unpack(value=[1.0, 2.0], num=2)
    assert isinstance(result, list) and len(result) == 2
    assert tf.raw_ops.TopKV2(input=[1.0, 2.0], k=1)._fields == ("values", "indices")


# --- Inputs -----------------------------------------------------------------------------------------------------------


def test_names_of_converted_inputs(graph):
    MIXED(1.0, [2.0, 3.0], ["text", 4], name="m")
    assert names_of(graph) == ["m/first", "m/values_0", "m/values_1", "m/others_0", "m/others_1", "m"]


def test_an_attributes_default_type_is_tried_first():
    assert DEFAULT(1.0, 2.0).op.get_attr("T") == tf.float64
    assert DEFAULT(np.float32(1), 2.0).op.get_attr("T") == tf.float64
    assert DEFAULT(tf.constant(1.0), 2.0).op.get_attr("T") == tf.float32
    assert tf.invert_permutation(np.array([1, 0])).dtype == tf.int32
    assert tf.invert_permutation(tf.constant(np.array([1, 0]))).dtype == tf.int64


def test_python_numbers_take_the_type_that_is_known():
    x = tf.constant(1.0, tf.float64)
    assert tf.add(x, 1).dtype == tf.float64
    assert tf.stack([1, x]).dtype == tf.float64
    assert MIXED(tf.constant(1, tf.int32), [2, 3], []).sums[0].dtype == tf.int32


def test_numpy_arrays_keep_their_type():
    x = tf.constant(1.0, tf.float64)
    assert tf.add(x, np.ones(3)).shape.as_list() == [3]
    with pytest.raises(TypeError, match="Input 'y' of 'Add' Op has type float32 that does not match type float64 of"):
        tf.add(x, tf.constant(1.0))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: tf.matmul(tf.zeros([2, 2]), tf.zeros([2, 2], tf.int32)),
            "Input 'b' of 'MatMul' Op has type int32 that does not match type float32 of argument 'a'.",
        ),
        (
            lambda: tf.gather([1, 2], [0.5]),
            "Value passed to parameter 'indices' has DataType float32 not in list of allowed values: int32, int64",
        ),
        (
            lambda: tf.nn.relu("text"),
            "Value passed to parameter 'features' has DataType string not in list of allowed values: float32",
        ),
        (
            lambda: tf.add_n([tf.constant(1.0), tf.constant(1)]),
            "Tensors in list passed to 'inputs' of 'AddN' Op have types [float32, int32] that don't all match.",
        ),
        (
            lambda: tf.logical_and([1.0], [True]),
            "Expected bool, got 1.0 of type 'float' instead.",
        ),
        (
            lambda: tf.logical_and(tf.constant([1.0]), [True]),
            "Input 'x' of 'LogicalAnd' Op has type float32 that does not match expected type of bool.",
        ),
        (
            lambda: tf.assign(tf.constant(1.0), 2.0),
            "'Tensor' object has no attribute 'assign'",
        ),
        (
            lambda: tf.raw_ops.Pack(values=tf.constant(1.0)),
            "Expected list for 'values' argument to 'Pack' Op, not",
        ),
        (lambda: tf.reshape([1.0], "text"), "has DataType string not in list of allowed values: int32, int64"),
    ],
)
def test_refused_inputs(build, message):
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        build()
    assert message in str(caught.value)


def test_a_reference_is_needed():
    with pytest.raises(TypeError, match=r"'Assign' Op requires that input 'ref' be a mutable tensor \(e.g.: a tf.Var"):
        opdef.find("Assign")(tf.constant(1.0), 2.0)


def test_a_variable_of_another_type():
    v = tf.Variable(1.0)
    with pytest.raises(TypeError) as caught:
        opdef.find("Assign")(v._ref(), tf.constant(1.0, tf.float64))
    assert str(caught.value).startswith(
        "Input 'value' of 'Assign' Op has type float64 that does not match type float32 of argument 'ref'."
    )


@pytest.mark.parametrize(
    ("inputs", "attrs", "error", "message"),
    [
        (
            (1.0, [2.0], []),
            {},
            ValueError,
            "List argument 'values' to 'TestMixed' Op with length 1 shorter than minimum",
        ),
        ((1.0, [2.0, 3.0], []), {"N": 3}, ValueError, "with length 2 must match length 3 of argument"),
        ((1.0, [2.0, "a"], []), {}, TypeError, ""),
        ((1.0, [2.0, None], []), {}, ValueError, "None values not supported"),
        ((1.0, 2.0, []), {}, TypeError, "Expected list for 'values' argument to 'TestMixed' Op, not 2.0"),
        ((1.0, [2.0, 3.0]), {}, TypeError, "TestMixed takes 3 inputs, received 2"),
        ((1.0, [2.0, 3.0], [1, 2]), {"Tother": [tf.int32]}, ValueError, "has 1 types for 2 values"),
        (
            (1.0, [2.0, 3.0], []),
            {"mode": "C"},
            ValueError,
            "Attr 'mode' of 'TestMixed' Op passed string 'C' not in: \"A",
        ),
        ((1.0, [2.0, 3.0], []), {"mode": 3}, TypeError, "Expected string for argument 'mode' not 3"),
        ((1.0, [2.0, 3.0], []), {"sizes": 3}, TypeError, "Expected list for attr sizes"),
        ((1.0, [2.0, 3.0], []), {"sizes": [1.5]}, TypeError, "Expected int for argument 'sizes' not 1.5"),
        ((1.0, [2.0, 3.0], []), {"nope": 3}, TypeError, "got unexpected keyword arguments: nope"),
        (("a", ["b", "c"], []), {}, TypeError, "Value passed to parameter 'first' has DataType string not in list of"),
    ],
)
def test_refused_lists_and_attributes(graph, inputs, attrs, error, message):
    with pytest.raises(error) as caught:
        MIXED(*inputs, **attrs)
    assert message in str(caught.value)
    assert "TestMixed" not in [op.type for op in graph.get_operations()]


@pytest.mark.parametrize(
    ("attrs", "error", "message"),
    [
        ({"i": 1}, ValueError, "Attr 'i' of 'TestAttrs' Op passed 1 less than minimum 2."),
        ({"i": 2.0}, TypeError, "Expected int for argument 'i' not 2.0."),
        ({"i": None}, TypeError, "Expected int for argument 'i' not None."),
        ({"f": "a"}, TypeError, "Expected float for argument 'f' not 'a'."),
        ({"b": 1}, TypeError, "Expected bool for argument 'b' not 1."),
        ({"s": "a"}, TypeError, ""),
        ({"s": [-5]}, ValueError, ""),
        ({"t": "nope"}, TypeError, "Expected DataType for argument 't' not 'nope'."),
        ({"t": tf.float32}, TypeError, "DataType float32 not in list of allowed values: int32, int64"),
    ],
)
def test_refused_attributes(attrs, error, message):
    good = {"i": 2, "f": 0.5, "b": True, "s": [2, None]}
    with pytest.raises(error) as caught:
        ATTRS(1.0, **{**good, **attrs})
    assert message in str(caught.value)


def test_a_missing_attribute():
    with pytest.raises(TypeError, match="No argument for attr f of 'TestAttrs' Op"):
        ATTRS(1.0, i=2, b=True, s=[])


def test_attributes_are_kept_in_plain_form():
    op = ATTRS(1.0, i=np.int64(3), f=np.float32(0.1), b=np.bool_(True), s=tf.TensorShape([2, None]), t=np.int64)
    assert (op.attrs["i"], type(op.attrs["i"])) == (3, int)
    assert (op.attrs["b"], op.attrs["s"], op.attrs["t"]) == (True, (2, None), tf.int64)
    assert op.get_attr("f") == pytest.approx(0.1) and op.get_attr("f") != 0.1  # single precision, as in a file
    assert [(dim.size) for dim in op.get_attr("s").dim] == [2, -1]


# --- Flat inputs ------------------------------------------------------------------------------------------------------


def test_flat_inputs_are_grouped(graph):
    a, b, c = tf.constant(1.0), tf.constant(2.0), tf.constant("x")
    op = dispatch.create_flat(graph, "TestMixed", [a, b, b, c], {"N": 2, "Tother": ["string"]}, "m")
    assert [tensor.dtype for tensor in op.outputs] == [tf.float32, tf.float32, tf.string, tf.int32]
    assert dispatch.create_flat(graph, "Pack", [a, b, b], {}, None).get_attr("N") == 3
    with pytest.raises(ValueError, match="Add does not take 3 inputs"):
        dispatch.create_flat(graph, "Add", [a, b, b], {}, None)


# --- Shapes -----------------------------------------------------------------------------------------------------------


def test_a_wrong_shape_is_an_error_when_the_graph_is_built(graph):
    a, b = tf.placeholder(tf.float32, [2, 3], name="a"), tf.placeholder(tf.float32, [2, None], name="b")
    with pytest.raises(ValueError) as caught:
        tf.matmul(a, b, name="m")
    assert str(caught.value).startswith(
        "Dimensions must be equal, but are 3 and 2 for 'm' (op: 'MatMul') with input shapes: [2,3], [2,?]."
    )
    assert names_of(graph) == ["a", "b"]


def test_a_wrong_shape_shows_the_values_it_came_from():
    with pytest.raises(ValueError) as caught:
        tf.reshape(tf.placeholder(tf.float32, [5]), [2, 3], name="r")
    assert str(caught.value).startswith("Cannot reshape a tensor with 5 elements to shape [2,3] (6 elements) for 'r'")
    assert "input tensors computed as partial shapes: input[1] = [2,3]." in str(caught.value)


def test_unknown_shapes_stay_unknown():
    x = tf.placeholder(tf.float32)
    assert (x + 1.0).shape.dims is None
    assert (tf.placeholder(tf.float32, [None, 2]) + tf.zeros([3, 1])).shape.as_list() == [3, 2]


def test_a_shape_rule_must_give_a_shape_for_every_output():
    bad = opdef.op("TestBadRule(x: float) -> y: float, z: float", shape=lambda c: [()])(lambda xp, x: (x, x))
    with pytest.raises(RuntimeError, match="The shape rule of TestBadRule gave 1 shapes for 2 outputs"):
        bad(1.0)


# --- Declaring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "keywords", "message"),
    [
        ("TestA(x: T) -> y: T", {}, "does not declare 'T'"),
        ("TestB(x: float", {}, "has no closing parenthesis"),
        ("TestC(x: float) y: float", {}, "expected '->', found 'y: float'"),
        ("TestD(x: float) -> y: float", {"nope": True}, r"unknown flags \['nope'\]"),
        ("TestE(x: float) -> y: float", {"static": ("z",)}, r"\['z'\] are neither inputs nor attributes"),
        ("TestF(x: float, *, i: int[3]) -> y: float", {}, "cannot be read"),
    ],
)
def test_bad_declarations(signature, keywords, message):
    with pytest.raises(TypeError, match=message):
        opdef.op(signature, **keywords)(lambda xp, x: x)


def test_a_kernel_may_only_ask_for_what_there_is():
    with pytest.raises(TypeError, match=r"\['other'\] are neither inputs nor attributes"):
        opdef.op("TestG(x: float) -> y: float")(lambda xp, x, *, other: x)
