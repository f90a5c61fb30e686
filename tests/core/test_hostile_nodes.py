"""Nodes of every operation with odd attributes and inputs: a file may hold them, and must not do harm.

For each operation some nodes are drawn whose inputs and attributes are of the right types and otherwise arbitrary.
Reading them works, or fails with a clear error.
"""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
import random
import time
import tracemalloc

import numpy as np
import pytest
from google.protobuf.message import DecodeError

import millstream.ops
import millstream.v1 as tf
from millstream.core import opdef
from millstream.core.dtypes import as_dtype, resource, variant

NODES_PER_OPERATION = 3
SIZES = [-1, 0, 1, 2, 3, 10**6, 2**62]
SHAPES = [(), (0,), (1,), (2,), (3,), (2, 3), (2, 2), (4,), (1, 4, 4, 1), (2, 2, 2)]
VALUES = [-(2**31), -1, 0, 1, 2, 3, 5, 2**31 - 1]
NUMBERS = [-(2**63), -1, 0, 1, 2, 3, 100, 2**31, 2**63 - 1]
CLEAR = (ValueError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError)


class Draw:
    """Draws one node and its inputs."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.message = tf.GraphDef()

    def node(self, definition):
        node = tf.NodeDef(name="x", op=definition.name)
        counts = {spec.number_attr for spec in definition.inputs}
        for spec in definition.attrs.values():
            if spec.name in counts:
                node.attr[spec.name].i = (spec.minimum or 0) + self.random.randrange(2)
            elif spec.default is opdef.REQUIRED or self.random.random() < 0.9:
                self.fill(node.attr[spec.name], spec)
        for arg in definition.inputs:
            for dtype in self.dtypes(definition, arg, node):
                node.input.append(self.input(dtype, arg.is_ref))
        self.message.node.append(node)
        return self.message

    def dtypes(self, definition, arg, node):
        if arg.list_attr:
            return [as_dtype(number) for number in node.attr[arg.list_attr].list.type]
        if arg.dtype is not None:
            dtype = arg.dtype
        elif arg.type_attr in node.attr:
            dtype = as_dtype(node.attr[arg.type_attr].type)
        else:
            dtype = definition.attrs[arg.type_attr].default
        return [dtype] * (node.attr[arg.number_attr].i if arg.number_attr else 1)

    def fill(self, value, spec):
        if not spec.kind.startswith("list("):
            self.put(spec.kind, spec, lambda field, item: assign(value, field, item))
            return
        value.list.SetInParent()
        for _ in range(self.random.choice([spec.minimum or 0, (spec.minimum or 0) + 1, 4])):
            self.put(spec.kind[5:-1], spec, lambda field, item: getattr(value.list, field).append(item))

    def put(self, kind, spec, store):
        choice = self.random.choice
        if kind == "int":
            store("i", choice(NUMBERS))
        elif kind == "float":
            store("f", choice([0.0, 1.0, -1.0, math.nan, math.inf]))
        elif kind == "bool":
            store("b", choice([True, False]))
        elif kind == "string":
            store("s", choice([item.encode() for item in spec.allowed or ("", "x", "NHWC")]))
        elif kind == "type":
            store("type", choice(spec.allowed or (tf.float32, tf.int32, tf.string)).as_datatype_enum)
        elif kind == "shape":
            store("shape", self.shape())
        elif kind == "tensor":
            store("tensor", tf.make_tensor_proto(self.array(tf.int32)))

    def shape(self):
        if self.random.random() < 0.2:
            return tf.TensorShape(None).as_proto()
        dims = [self.random.choice(SIZES) for _ in range(self.random.randrange(5))]
        return tf.TensorShape([None if dim == -1 else dim for dim in dims]).as_proto()

    def array(self, dtype):
        shape = self.random.choice(SHAPES)
        values = np.array([self.random.choice(VALUES) for _ in range(math.prod(shape))], np.int64).reshape(shape)
        with np.errstate(over="ignore"):
            return values.astype(str).astype(object) if dtype == tf.string else values.astype(dtype.as_numpy_dtype)

    def input(self, dtype, is_ref):
        node = self.message.node.add(name=f"i{len(self.message.node)}", op="Placeholder")
        node.attr["dtype"].type = dtype.as_datatype_enum
        if is_ref or dtype == resource:
            node.op = "VariableV2" if is_ref else "VarHandleOp"
            node.attr["dtype"].type = (dtype if is_ref else tf.float32).as_datatype_enum
            node.attr["shape"].shape.CopyFrom(self.shape())
        elif self.random.random() < 0.5 and not dtype.is_quantized and dtype != variant:
            node.op = "Const"
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(self.array(dtype), dtype))
        else:
            node.attr["shape"].shape.CopyFrom(self.shape())
        return node.name


def assign(value, field, item):
    if hasattr(item, "CopyFrom"):
        getattr(value, field).CopyFrom(item)
    else:
        setattr(value, field, item)


@pytest.fixture(scope="module")
def registry():
    for info in pkgutil.iter_modules(millstream.ops.__path__):
        importlib.import_module(f"millstream.ops.{info.name}")
    return [item for item in opdef.REGISTRY.values() if item.kernel.__module__.startswith("millstream.")]


def test_nodes_of_every_operation(registry):
    read, problems = 0, []
    for definition in registry:
        for number in range(NODES_PER_OPERATION):
            message = Draw(f"{definition.name} {number}").node(definition)
            with tf.Graph().as_default() as graph:
                try:
                    tf.import_graph_def(message, name="")
                except CLEAR:
                    if graph.get_operations():
                        problems.append(f"{definition.name} leaves operations behind")
                except Exception as error:  # anything else is a bug, to be listed
                    problems.append(f"{definition.name}: {type(error).__name__}: {error}")
                else:
                    read += 1
                    graph.as_graph_def()
    assert problems == []
    assert read > len(registry)  # a good part of the nodes is possible


# --- Whole files -----------------------------------------------------------------------------------------------------


def imported_quickly(message, seconds=5.0, megabytes=200):
    """What an import raises; it must not take long nor much memory."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(message, name="")
            error = None
            graph.get_operations()
    except CLEAR as found:
        error = found
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < seconds
    assert peak < megabytes * 1e6
    return error


@pytest.mark.parametrize("shape", [[2**31], [2**62, 2**62], [1 << 20, 1 << 20], [0, 2**62], [-5]])
def test_small_messages_of_giant_constants(shape):
    message = tf.GraphDef()
    node = message.node.add(name="c", op="Const")
    node.attr["dtype"].type = 1
    tensor = node.attr["value"].tensor
    tensor.dtype = 1
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.append(1.0)
    assert isinstance(imported_quickly(message), ValueError)


def test_a_repeated_value_takes_no_memory():
    """A constant of 400 MB that is one number stays one until somebody needs it."""
    message = tf.GraphDef()
    node = message.node.add(name="c", op="Const")
    node.attr["dtype"].type = 1
    tensor = node.attr["value"].tensor
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=100_000_000)
    tensor.float_val.append(1.0)
    assert imported_quickly(message, megabytes=2) is None
    tensor.float_val.append(2.0)  # two values would have to be laid out
    assert isinstance(imported_quickly(message, megabytes=2), ValueError)


def test_a_long_chain_and_a_wide_graph():
    message = tf.GraphDef()
    message.node.add(name="n0", op="NoOp")
    for index in range(1, 3000):
        message.node.add(name=f"n{index}", op="NoOp", input=[f"^n{index - 1}"])
    message.node.add(name="all", op="NoOp", input=[f"^n{index}" for index in range(3000)])
    assert imported_quickly(message) is None
    message.node[0].input.append("^all")
    assert "nodes in a cycle" in str(imported_quickly(message))


def test_a_node_with_as_many_edges_as_a_file_holds():
    message = tf.GraphDef()
    message.node.add(name="a", op="NoOp")
    message.node.add(name="b", op="NoOp", input=["^a"] * 200_000)
    assert imported_quickly(message) is None


def calling(names, op_type="PartitionedCall"):
    """Functions without arguments, each of which calls others."""
    message = tf.GraphDef()
    for name, called in names.items():
        function = message.library.function.add()
        function.signature.name = name
        for index, other in enumerate(called):
            node = function.node_def.add(name=f"call_{index}", op=op_type)
            node.attr["f"].func.name = other
            node.attr["Tin"].list.SetInParent()
            node.attr["Tout"].list.SetInParent()
            function.control_ret[f"call_{index}"] = f"call_{index}"
            function.signature.control_output.append(f"call_{index}")
    node = message.node.add(name="start", op="StatefulPartitionedCall")
    node.attr["f"].func.name = next(iter(names))
    node.attr["Tin"].list.SetInParent()
    node.attr["Tout"].list.SetInParent()
    return message


def test_functions_that_call_each_other_twice():
    """Forty functions, each of which calls the next one twice, would be a billion calls."""
    names = {f"f{index}": [f"f{index + 1}"] * 2 for index in range(40)} | {"f40": []}
    message = calling(names, "StatefulPartitionedCall")
    assert "operations with the functions that it calls" in str(imported_quickly(message))


@pytest.mark.parametrize("names", [{"f": ["f"]}, {"f": ["g"], "g": ["h"], "h": ["f"]}])
def test_functions_that_call_themselves(names):
    assert "calls itself" in str(imported_quickly(calling(names)))


def test_functions_that_are_nested_deep():
    names = {f"f{index}": [f"f{index + 1}"] for index in range(2000)} | {"f2000": []}
    assert "functions are nested more than" in str(imported_quickly(calling(names)))


def test_long_names():
    """Names of a million characters are no trouble."""
    message = tf.GraphDef()
    message.node.add(name="a" * 1_000_000, op="NoOp")
    message.node.add(name="b", op="NoOp", input=["^" + "a" * 1_000_000])
    assert imported_quickly(message) is None
    message.node.add(name="c", op="NoOp", input=["^" + "x" * 1_000_000])
    assert isinstance(imported_quickly(message), ValueError)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files(seed):
    """A graph with a loop, a branch and functions, with some bytes changed."""
    damage = random.Random(seed)
    content = bytearray(_example())
    for _ in range(damage.randrange(1, 6)):
        content[damage.randrange(len(content))] = damage.randrange(256)
    if damage.random() < 0.3:
        content = content[: damage.randrange(len(content))]
    message = tf.GraphDef()
    try:
        message.ParseFromString(bytes(content))
    except DecodeError:
        return
    imported_quickly(message)


@functools.cache
def _example():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", [2, 2])
        y = tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, tf.tanh(tf.matmul(v, w))), [0, x])[1]
        tf.cond(tf.reduce_sum(y) > 0, lambda: y * 2, lambda: y + 1)
        tf.train.Saver()
        return graph.as_graph_def().SerializeToString(deterministic=True)
