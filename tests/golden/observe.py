"""Runs one case in either system and describes what can be seen of it, as JSON data.

The recorder writes such observations of TensorFlow; the tests compare them with ours.

    nodes            [name, type, inputs, attributes] of what the case built, inputs left out
    tensors          path -> [dtype, static shape, name], a path leading into the returned structure
    runs             one dict a `session.run`: path -> value (see `encode`) or plain Python data
    unknown_dims     path -> static shape (or [class, message]) when only the inputs' ranks are known
    unknown_rank     the same when not even these are; both leave out what does not differ from `tensors`
    gradients        input -> value or None, of the outputs weighted with `weights`
    error            [class, first line of the message, "build" or "run"]
    stderr           what the runs wrote to standard error
"""
from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import zlib
from typing import Any, Iterator

import numpy as np

from .spec import FRESH_SESSION, Case, Run, Script

LONGEST = 40  # longer arrays are recorded by their ends and sums
ENDS = 6
# What differs from machine to machine in a message, and what is recorded instead.
ACCIDENTS = {r"/\S*/site-packages/": ".../", r"0x[0-9a-f]+": "0x...", r"pyfunc_\d+": "pyfunc_N",
             r"\{\{function_node [^}]*\}\} ": "", r" \[Op:\w+\].*": ""}
COMPOSITES = ("IndexedSlices", "SparseTensor")
PLAIN = (str, int, float, type(None))


def observe(case: Case, tf: Any, config: Any = None) -> dict[str, Any]:
    """Builds and runs `case` with the module `tf`; exceptions pass unless the case is to raise one."""
    seen: dict[str, Any] = {}
    if not case.raises:
        _observe(case, tf, config, seen)
        return seen
    try:
        _observe(case, tf, config, seen)
    except Exception as error:  # the class is what is being recorded
        return {"error": describe_error(error) + ["run" if "nodes" in seen else "build"]}
    return {"error": None}


def _observe(case: Case, tf: Any, config: Any, seen: dict[str, Any]) -> None:
    static = [i.static_shape() for i in case.inputs]
    graph, inputs, result = build(case, tf, static)
    plan = result if isinstance(result, Script) else Script([Run(result)])
    seen["nodes"] = describe_nodes(graph, skip=len(inputs))
    if not case.raises:
        seen["tensors"] = describe_tensors(tf, plan)
        if case.inputs and case.unknown:
            _observe_unknown_shapes(case, tf, static, seen)
    feed = {inputs[i]: case.inputs[i].value for i in range(len(inputs))}
    with captured_stderr() if case.stderr else contextlib.nullcontext() as written:
        runs, differentiated = run_script(case, tf, graph, plan, feed, config)
    seen["runs"] = runs
    if differentiated is not None:
        seen["gradients"] = differentiated
    if case.stderr:
        seen["stderr"] = written[0]


def build(case: Case, tf: Any, shapes: list) -> tuple[Any, list, Any]:
    """The case's graph, placeholders and result, with these static shapes for its inputs."""
    graph = tf.Graph()
    with graph.as_default():
        names = case.input_names()
        inputs = [tf.placeholder(case.inputs[i].dtype, shapes[i], name=names[i]) for i in range(len(shapes))]
        return graph, inputs, case.build(tf, *inputs)


def _observe_unknown_shapes(case: Case, tf: Any, static: list, seen: dict[str, Any]) -> None:
    """Adds the static shapes under less knowledge, where they differ from those under full knowledge."""
    known = {path: facts[1] for path, facts in seen["tensors"].items()}
    unknown_dims = [None if s is None else [None] * len(s) for s in static]
    for key, shapes in (("unknown_dims", unknown_dims), ("unknown_rank", [None] * len(static))):
        try:
            result = build(case, tf, shapes)[2]
            plan = result if isinstance(result, Script) else Script([Run(result)])
            found = {path: facts[1] for path, facts in describe_tensors(tf, plan).items()}
            seen[key] = {path: shape for path, shape in found.items() if known.get(path) != shape}
        except ValueError as error:
            seen[key] = describe_error(error)
        except TypeError:  # TensorFlow's accidents, such as None + 1; not recorded
            seen[key] = None


# Running.


def run_script(case: Case, tf: Any, graph: Any, plan: Script, feed: dict, config: Any) -> tuple[list, Any]:
    """What each run returned, and the gradients of a case that is a single run."""
    runs: list[dict[str, Any]] = []
    with graph.as_default():
        initializers = _initializers(tf) if plan.initialize else []
        differentiated = None
        session = None
        try:
            for step in plan.steps:
                if session is None or step == FRESH_SESSION:
                    if session is not None:
                        session.close()
                    session = tf.Session(graph=graph, config=config)
                    if initializers:
                        session.run(initializers)
                if step == FRESH_SESSION:
                    continue
                leaves = flatten(tf, step.fetch)
                for _ in range(step.times):
                    values = run_leaves(tf, session, leaves, {**feed, **(step.feed or {})})
                    runs.append({path: encode(value) for path, value in values.items()})
            if case.gradient and len(plan.steps) == 1 and step.times == 1:
                differentiated = gradients(case, tf, session, leaves, values, feed)
        finally:
            if session is not None:
                session.close()
    return [run for run in runs if any(value is not None for value in run.values())], differentiated


def _initializers(tf: Any) -> list:
    keys = tf.GraphKeys
    if not (tf.get_collection(keys.GLOBAL_VARIABLES) or tf.get_collection(keys.LOCAL_VARIABLES)):
        return []
    return [tf.global_variables_initializer(), tf.local_variables_initializer()]


def run_leaves(tf: Any, session: Any, leaves: dict[str, Any], feed: dict) -> dict[str, Any]:
    """Runs the tensors and operations among `leaves`; the others stand for themselves."""
    fetches = {path: leaf for path, leaf in leaves.items() if is_graph_element(tf, leaf)}
    values = session.run(fetches, feed) if fetches else {}
    return {path: values[path] if path in fetches else plain(leaf) for path, leaf in leaves.items()}


def gradients(case: Case, tf: Any, session: Any, leaves: dict, values: dict, feed: dict) -> Any:
    """Gradients of the sum of (output * weights) by the inputs to differentiate by; None without such inputs."""
    graph = session.graph
    names = case.input_names()
    by = [names[i] for i in case.differentiated()]
    outputs = [path for path, leaf in leaves.items()
               if is_graph_element(tf, leaf) and isinstance(values[path], (np.ndarray, np.generic))
               and values[path].dtype.kind in "fc"]
    if not by or not outputs:
        return None
    inputs = [graph.get_tensor_by_name(name + ":0") for name in by]
    grad_ys = [tf.constant(weights(values[path])) for path in outputs]
    try:
        found = tf.gradients([leaves[path] for path in outputs], inputs, grad_ys)
    except LookupError as error:
        return describe_error(error)
    fetches = {path: part for i in range(len(by)) for path, part in flatten(tf, found[i], by[i]).items()}
    return {path: encode(value) for path, value in run_leaves(tf, session, fetches, feed).items()}


def weights(value: np.ndarray) -> np.ndarray:
    """Fixed weights of the outputs, different for neighbours: 0.5, -0.75, 1.25, ..."""
    index = np.arange(value.size)
    flat = ((index * 7) % 11 - 4.5) / 4 * np.where(index % 2, -1, 1)
    return flat.reshape(value.shape).astype(value.dtype)


@contextlib.contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Collects what Python and the C library write to standard error, in the list's only element."""
    written: list[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        python_stderr, saved = sys.stderr, os.dup(2)
        sys.stderr = file
        os.dup2(file.fileno(), 2)
        try:
            yield written
        finally:
            file.flush()
            os.dup2(saved, 2)
            os.close(saved)
            sys.stderr = python_stderr
            file.seek(0)
            written.append(file.read())


# Describing.


def describe_nodes(graph: Any, skip: int) -> list[list]:
    return [describe_node(op) for op in graph.get_operations()[skip:]]


def describe_node(op: Any) -> list:
    inputs = [short(t.name) for t in op.inputs] + ["^" + c.name for c in op.control_inputs]
    attributes = {}
    for key, attr in sorted(op.node_def.attr.items()):
        value = describe_attr(attr)
        if value is not None and not key.startswith("_") and key != "token":  # a count of py_funcs made
            attributes[key] = value
    return [op.name, op.type, inputs, attributes]


def short(tensor_name: str) -> str:
    return tensor_name[:-2] if tensor_name.endswith(":0") else tensor_name


def describe_attr(attr: Any) -> Any:
    """An attribute as JSON data; None for tensors and functions."""
    kind = attr.WhichOneof("value")
    if kind in ("b", "i", "f", "type"):
        return getattr(attr, kind)
    if kind == "s":
        return attr.s.decode("latin-1")
    if kind == "shape":
        return describe_shape_proto(attr.shape)
    if kind == "list":
        numbers = [list(getattr(attr.list, field)) for field in ("i", "f", "b", "type")]
        strings = [s.decode("latin-1") for s in attr.list.s]
        shapes = [describe_shape_proto(s) for s in attr.list.shape]
        return sum(numbers, []) + strings + shapes
    return None


def describe_shape_proto(proto: Any) -> list | None:
    return None if proto.unknown_rank else [d.size for d in proto.dim]


def describe_tensors(tf: Any, plan: Script) -> dict[str, list]:
    tensors: dict[str, list] = {}
    for i, step in enumerate(plan.steps):
        if step != FRESH_SESSION:
            root = "value" if len(plan.steps) == 1 else f"step{i}"
            for path, leaf in flatten(tf, step.fetch, root).items():
                if isinstance(leaf, (tf.Tensor, tf.Variable)):
                    tensors[path] = [leaf.dtype.name, describe_shape(leaf.shape), leaf.name]
    return tensors


def describe_shape(shape: Any) -> list | None:
    return None if shape.ndims is None else shape.as_list()


def describe_error(error: BaseException) -> list[str]:
    message = error.args[0] if isinstance(error, KeyError) else getattr(error, "message", None) or error
    lines = str(message).split("\n")
    first = next((line for line in lines if line.strip()), "")
    for accident, text in ACCIDENTS.items():
        first = re.sub(accident, text, first)
    return [type(error).__name__, first]


def is_graph_element(tf: Any, leaf: Any) -> bool:
    return isinstance(leaf, (tf.Tensor, tf.Variable, tf.Operation))


def flatten(tf: Any, structure: Any, path: str = "value") -> dict[str, Any]:
    """The leaves of lists, tuples, dicts and tensor composites, by their paths (`value/0/indices`)."""
    composites = tuple(getattr(tf, name) for name in COMPOSITES if hasattr(tf, name))
    if isinstance(structure, composites):
        parts = {part: getattr(structure, part) for part in ("indices", "values", "dense_shape")}
        structure = {part: value for part, value in parts.items() if value is not None}
    if isinstance(structure, dict):
        parts = structure
    elif isinstance(structure, (list, tuple)):
        parts = {str(i): value for i, value in enumerate(structure)}
    else:
        return {path: structure}
    leaves: dict[str, Any] = {}
    for key in sorted(parts) if isinstance(structure, dict) else parts:
        leaves.update(flatten(tf, parts[key], f"{path}/{key}"))
    return leaves


def plain(leaf: Any) -> Any:
    """A Python value that is no tensor: as it is where JSON has it, else its text."""
    return leaf if isinstance(leaf, PLAIN) or isinstance(leaf, (np.ndarray, np.generic)) else str(leaf)


def encode(value: Any) -> Any:
    """[dtype, shape, elements]; a long array's elements are {first, last, crc32, sums}."""
    if isinstance(value, bytes):
        value = np.array(value, dtype=object)
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    value = np.asarray(value)
    dtype = "string" if value.dtype.kind in "OSU" else value.dtype.name
    flat = value.reshape(-1)
    if flat.size <= LONGEST:
        return [dtype, list(value.shape), elements(flat)]
    raw = b"\0".join(flat) if dtype == "string" else np.ascontiguousarray(flat).tobytes()
    digest: dict[str, Any] = {"first": elements(flat[:ENDS]), "last": elements(flat[-ENDS:]),
                              "crc32": zlib.crc32(raw)}
    if flat.dtype.kind == "f":
        wide = flat.astype(np.float64)
        waves = np.cos(np.arange(flat.size) * 1.7)
        digest["sums"] = [float(np.sum(part)) for part in (wide, np.abs(wide), wide * waves)]
    return [dtype, list(value.shape), digest]


def elements(flat: np.ndarray) -> list:
    """The elements as JSON data that gives them back exactly."""
    if flat.dtype.name == "bfloat16":
        flat = flat.astype(np.float32)
    if flat.dtype.kind == "c":
        return [[number(x.real), number(x.imag)] for x in flat]
    if flat.dtype.kind in "OSU":
        return [x.decode("latin-1") if isinstance(x, bytes) else str(x) for x in flat]
    return [number(x) for x in flat] if flat.dtype.kind == "f" else flat.tolist()


def number(x: Any) -> float:
    """The shortest decimal number that is `x` in its own precision."""
    return float(str(x))
