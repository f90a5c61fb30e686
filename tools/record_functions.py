"""Records graphs of TensorFlow whose nodes call functions, in `tests/data/functions.json.gz`.

    python tools/record_functions.py         once with TensorFlow 1.15.5, and once with TensorFlow 2.21

Each of the two writes its own graphs and leaves those of the other one: those of 1.15 have control flow as functions
(`tf.enable_control_flow_v2`) or call functions by their names, those of 2.21 are graphs of `tf.function`.
`tests/core/test_function_library.py` loads the graphs with Millstream and runs them. The form is that of
`record_graphs.py`; besides, `files` has the files of a checkpoint that a graph restores.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
import zlib

import numpy as np
import tensorflow as tf
from record_graphs import PATH, as_json

TARGET = PATH.replace("tf1_graphs.json", "functions.json.gz")
NOISE = np.random.RandomState(2)
IS_1 = tf.__version__.startswith("1.")


def noise(*shape):
    return NOISE.randn(*shape).astype(np.float32)


# --- TensorFlow 1.15 --------------------------------------------------------------------------------------------------

# Graphs of `record_control_flow.py`.
CONTROL_FLOW = (
    "cond cond_constants cond_effects_resource cond_nested cond_assert while_loop while_growing while_nested "
    "cond_in_while_in_cond while_in_cond loop_condition_with_cond arrays functional grad_cond grad_cond_nested "
    "grad_while grad_while_any_shape grad_while_nested grad_cond_in_while grad_while_in_cond grad_functional "
    "train_while_resource train_rnn_resource"
)


def functions_by_name():
    from tensorflow.python.framework import function

    @function.Defun(tf.float32, tf.float32)
    def inner(a, b):
        return a * b, tf.reduce_sum(a)

    @function.Defun(tf.float32)
    def outer(x):
        y, total = inner(x, x + 1.0)
        parts = tf.split(y, 2)
        return parts[1] * total, tf.cond(total > 0.0, lambda: x, lambda: -x)

    x = tf.placeholder(tf.float32, [4], name="x")
    fetches = [tf.identity(item, name=f"result_{i}") for i, item in enumerate(outer(x))]
    return [({"x:0": sign * np.arange(4, dtype=np.float32)}, fetches) for sign in (1, -1)]


def effects_by_name():
    """A function that changes a variable, of which nothing in its signature tells."""
    from tensorflow.python.framework import function

    v = tf.get_variable("v", initializer=np.float32(1.0), use_resource=True)

    @function.Defun(tf.float32)
    def double(x):
        v.assign_add(x)
        return x * 2.0

    y = tf.identity(double(tf.placeholder(tf.float32, [], name="x")), name="y")
    with tf.control_dependencies([y]):
        after = tf.identity(v.read_value(), name="after")
    init = tf.group(tf.global_variables_initializer(), name="init")
    feeds = {"x:0": np.float32(3.0)}
    return [({}, [init]), (feeds, [y]), ({}, [tf.identity(v, name="last")]), (feeds, [after])]


def graphs_of_1():
    import record_control_flow
    from record_graphs import record
    from tensorflow.python.ops import control_flow_util

    control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
    for name in CONTROL_FLOW.split():
        tf.reset_default_graph()
        yield name, record(record_control_flow.GRAPHS[name])
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = False
    yield "functions_by_name", record(functions_by_name)
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
    yield "effects_by_name", record(effects_by_name)


# --- TensorFlow 2.21 --------------------------------------------------------------------------------------------------


def loops():
    w = noise(4, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([], tf.int32)])
    def function(x, n):
        i, y = 0, tf.matmul(x, w)
        while i < n:
            if tf.reduce_sum(y) > 0.0:
                y = tf.tanh(y) - 1.0
            else:
                y = y * y + tf.cast(i, tf.float32)
            i += 1
        return y, tf.map_fn(tf.reduce_sum, y)

    return function, [(noise(5, 4), np.int32(n)) for n in (0, 3)]


def gradients():
    @tf.function(input_signature=[tf.TensorSpec([3]), tf.TensorSpec([], tf.int32)])
    def function(x, n):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for i in tf.range(n):
                y = tf.cond(tf.equal(i % 2, 0), lambda y=y: tf.sin(y) * x, lambda y=y: y * y + x)
        return y, tape.gradient(y, x)

    return function, [(noise(3), np.int32(n)) for n in (0, 4)]


def calls():
    @tf.function
    def scaled(x, factor):
        return {"y": x * factor, "rows": tf.split(x, 2)}

    @tf.function
    def twice(x):
        first = scaled(x, 2.0)
        return scaled(first["y"], tf.reduce_sum(first["rows"][1]))["y"]

    @tf.function(input_signature=[tf.TensorSpec([4]), tf.TensorSpec([], tf.int32)])
    def function(x, n):
        return tf.switch_case(n, [lambda: twice(x), lambda: x, lambda: twice(x) + scaled(x, 3.0)["y"]])

    return function, [(noise(4), np.int32(n)) for n in (0, 1, 2, 9)]


def arrays():
    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def function(x):
        array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        for row in x:
            if row[0] > 0.0:
                array = array.write(array.size(), row)
        return array.stack(), tf.scan(lambda a, row: a * 0.5 + row, x)

    return function, [(noise(6, 2),)]


def graph_of(build):
    """The graph of a function, and what it computes."""
    function, calls = build()
    graph = function.get_concrete_function().graph
    names = [tensor.name for tensor in graph.inputs]
    runs = []
    for args in calls:
        values = tf.nest.flatten(function(*args))
        runs.append({"feeds": {name: as_json(value) for name, value in zip(names, args, strict=True)},
                     "fetches": [tensor.name for tensor in graph.outputs],
                     "values": [as_json(value.numpy()) for value in values]})  # fmt: skip
    return recorded(graph.as_graph_def(), runs)


def recorded(message, runs):
    return {"graph": base64.b64encode(zlib.compress(message.SerializeToString(), 9)).decode(), "runs": runs}


def saved_model():
    """The graph of a SavedModel, which restores its variables by a function."""
    from tensorflow.core.protobuf import saved_model_pb2

    class Counting(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(noise(4, 3), name="weights")
            self.count = tf.Variable(5, name="count")

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def __call__(self, x):
            self.count.assign_add(1)
            return tf.nn.relu(tf.matmul(x, self.weights)), self.count + 0

    module = Counting()
    x = noise(2, 4)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        with open(os.path.join(folder, "saved_model.pb"), "rb") as file:
            model = saved_model_pb2.SavedModel.FromString(file.read())
        files = {}
        for name in ("variables.index", "variables.data-00000-of-00001"):
            with open(os.path.join(folder, "variables", name), "rb") as file:
                files[name] = base64.b64encode(file.read()).decode()
    message = model.meta_graphs[0]
    signature = message.signature_def["serving_default"]
    fetches = [signature.outputs[name].name for name in sorted(signature.outputs)]
    saver = message.saver_def
    runs = [{"feeds": {saver.filename_tensor_name: None}, "fetches": [saver.restore_op_name], "values": [None]}]
    for _ in range(2):
        values = [as_json(value.numpy()) for value in module(x)]
        runs.append({"feeds": {signature.inputs["x"].name: as_json(x)}, "fetches": fetches, "values": values})
    return dict(recorded(message.graph_def, runs), files=files)


def frozen():
    """The graph of a function with constants in place of its variables."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    v = tf.Variable(noise(3))

    @tf.function(input_signature=[tf.TensorSpec([3])])
    def function(x):
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * y + tf.abs(v),), (x,))

    x = noise(3)
    graph = convert_variables_to_constants_v2(function.get_concrete_function(), lower_control_flow=False).graph
    values = [as_json(value.numpy()) for value in function(x)]
    fetches = [tensor.name for tensor in graph.outputs]
    return recorded(graph.as_graph_def(), [{"feeds": {"x:0": as_json(x)}, "fetches": fetches, "values": values}])


def graphs_of_2():
    for build in (loops, gradients, calls, arrays):
        yield build.__name__, graph_of(build)
    yield "saved_model", saved_model()
    yield "frozen", frozen()


def main():
    version = "1.15" if IS_1 else "2.21"
    found = {}
    if os.path.exists(TARGET):
        with gzip.open(TARGET) as file:
            found = {name: item for name, item in json.loads(file.read()).items() if not name.startswith(version)}
    found.update((f"{version} {name}", item) for name, item in (graphs_of_1() if IS_1 else graphs_of_2()))
    lines = [json.dumps(name) + ": " + json.dumps(found[name]) for name in sorted(found)]
    with open(TARGET, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


if __name__ == "__main__":
    main()
