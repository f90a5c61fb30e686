"""Nodes of every operation with odd attributes and inputs: a file may hold them, and must not do harm.

For each operation some nodes are drawn whose inputs and attributes are of the right types and otherwise arbitrary.
Reading them works, or fails with a clear error.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import random

import numpy as np
import pytest

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
