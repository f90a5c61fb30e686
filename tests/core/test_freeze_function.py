"""Functions whose variables become constants."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import run_in

import millstream as tf
from millstream.graph_util.freeze_function import (
    convert_variables_to_constants_v2,
    convert_variables_to_constants_v2_as_graph,
)


def function() -> Any:
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    b = tf.Variable([1.0, 1.0])
    table = tf.Variable(np.arange(8.0, dtype=np.float32).reshape(4, 2))
    large = tf.constant(np.ones(300, np.float32))

    @tf.function
    def inner(x: Any) -> Any:
        return tf.nn.relu(x @ w + b)

    @tf.function
    def outer(x: Any, n: Any) -> Any:
        for _ in tf.range(n):
            x = inner(x)
        x = x + tf.gather(table, [1, 2]) if tf.reduce_sum(x) > 0 else x - b
        return {"y": x, "z": tf.reduce_sum(large)}

    return outer.get_concrete_function(tf.TensorSpec([None, 2]), tf.TensorSpec([], tf.int32)), w


def test_what_is_frozen() -> None:
    concrete, w = function()
    frozen = convert_variables_to_constants_v2(concrete)
    x, n = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant(2)
    expected = concrete(x, n)
    w.assign(w * 0.0)
    y, z = frozen(x, n)
    np.testing.assert_array_equal(y, expected["y"])
    np.testing.assert_array_equal(z, expected["z"])
    assert [tensor.name for tensor in frozen.inputs] == ["x:0", "n:0"] and frozen.captured_inputs == []
    assert frozen.inputs[0].shape.as_list() == [None, 2]
    message = frozen.graph.as_graph_def()
    every = [*message.node, *(node for f in message.library.function for node in f.node_def)]
    assert not any("Variable" in node.op or "VarHandle" in node.op for node in every)
    assert not any(arg.type == 20 for f in message.library.function for arg in f.signature.input_arg)


def test_as_graph() -> None:
    concrete, _ = function()
    frozen, message = convert_variables_to_constants_v2_as_graph(concrete)
    assert {node.name for node in message.node} == {op.name for op in frozen.graph.get_operations()}


def test_what_cannot_be_frozen() -> None:
    v = tf.Variable(1.0)

    @tf.function
    def count() -> Any:
        return v.assign_add(1.0)

    with pytest.raises(ValueError, match="of a variable that is to become a constant"):
        convert_variables_to_constants_v2(count.get_concrete_function())
    with pytest.raises(TypeError, match="func must be a ConcreteFunction"):
        convert_variables_to_constants_v2(count)  # type: ignore[arg-type]


_RUN = """
import sys
import tensorflow as tf
message = tf.compat.v1.GraphDef.FromString(open(sys.argv[1], "rb").read())
wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(message, name=""), [])
found = wrapped.prune(["x:0", "n:0"], sys.argv[2:])(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant(2))
print([tensor.numpy().tolist() for tensor in found])
"""


def test_tensorflow_runs_it(tmp_path: Path) -> None:
    concrete, _ = function()
    frozen = convert_variables_to_constants_v2(concrete)
    tf.io.write_graph(frozen.graph, str(tmp_path), "frozen.pb", as_text=False)
    printed = run_in("tf2", _RUN, tmp_path / "frozen.pb", *(tensor.name for tensor in frozen.outputs))
    expected = frozen(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant(2))
    assert printed.strip() == str([tensor.numpy().tolist() for tensor in expected])
