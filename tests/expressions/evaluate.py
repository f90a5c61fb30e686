"""Evaluates an expression of `tf` and `np` in either system, and writes what comes out as text.

A tensor is written as its dtype, its shape and its elements in order, `float32[2] 1.5 -0.25`; several results stand on
lines of their own; Python values stand as Python writes them; an exception as its class and message.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

# What eager TensorFlow puts around the message of a kernel.
AROUND = re.compile(r"\{\{function_node [^}]*\}\} | \[Op:.*$")


class Case(NamedTuple):
    """One line of a file: the expression, the remark after it, and the lines recorded for it."""

    expression: str
    remark: str
    result: tuple[str, ...]

    @property
    def ulps(self) -> float:
        """How far floats may be off, in units of the dtype's epsilon."""
        found = re.search(r"(\d+) ulps", self.remark)
        return float(found[1]) if found else 4.0


def read(path: Any) -> list[Case]:
    """The cases of a file: `>>> expression  # remark`, and lines that hold its result."""
    cases: list[Case] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(">>> "):
            expression, _, remark = line[4:].partition("  # ")
            cases.append(Case(expression.strip(), remark, ()))
        elif line.strip() and cases and not line.startswith("#"):
            cases[-1] = cases[-1]._replace(result=(*cases[-1].result, line))
    return cases


def evaluate(tf: Any, expression: str, call: Any = lambda compute: compute()) -> tuple[str, ...]:
    """The lines that describe the value of an expression.

    Args:
      tf: either system.
      expression: Python; besides `tf` and `np` it may use `grad(f, x, ...)`.
      call: what calls the function without arguments that computes the value.
    """
    scope = {"tf": tf, "np": np, "grad": lambda function, *x: gradient(tf, function, *x)}
    try:
        value = call(lambda: eval(expression, scope))  # the files of this folder
        return tuple(map(as_text, leaves(value))) or (repr(value),)
    except Exception as error:  # the class is what is being recorded
        message = str(getattr(error, "message", None) or error)
        lines = [line for line in AROUND.sub("", message).splitlines() if line.strip()]
        return (f"{type(error).__name__}: {lines[0] if lines else ''}",)


def gradient(tf: Any, function: Any, *inputs: Any) -> Any:
    """The gradients of the sum of what `function` gives by each of `inputs`; Python numbers are taken as float64."""
    values = [x if hasattr(x, "dtype") else np.array(x, np.float64) for x in inputs]
    if not tf.executing_eagerly():
        tensors = [tf.convert_to_tensor(x) for x in values]
        return dense(tf, tf.gradients(function(*tensors), tensors))
    with tf.GradientTape() as tape:
        tensors = [tf.convert_to_tensor(x) for x in values]
        tape.watch(tensors)
        result = function(*tensors)
    return dense(tf, tape.gradient(result, tensors))


def dense(tf: Any, gradients: Any) -> list:
    return [g if g is None else tf.convert_to_tensor(g) for g in gradients]


def leaves(value: Any) -> Iterator[Any]:
    """Results one by one; a sparse tensor is its three parts."""
    if hasattr(value, "dense_shape"):
        value = [value.indices, value.values, value.dense_shape]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def as_text(leaf: Any) -> str:
    """One result as text."""
    if hasattr(leaf, "dtype") and hasattr(leaf, "shape") and not isinstance(leaf, (np.ndarray, np.generic)):
        name = leaf.dtype.name
        leaf = np.asarray(leaf.read_value() if hasattr(leaf, "read_value") else leaf)
    elif isinstance(leaf, (np.ndarray, np.generic)):
        name, leaf = f"np.{leaf.dtype}", np.asarray(leaf)
    else:
        return repr(leaf)
    shape = ",".join(map(str, leaf.shape))
    return f"{name}[{shape}] {' '.join(map(element_text, leaf.reshape(-1)))}".rstrip()


def element_text(x: Any) -> str:
    """The shortest decimal number that is `x` in its own precision; strings as Python writes them."""
    if isinstance(x, (bytes, str)):
        return repr(x).replace(" ", "\\x20")
    return str(x).strip("()") if np.iscomplexobj(x) else str(x)


def differences(case: Case, seen: tuple[str, ...]) -> Iterator[str]:
    """Says where `seen` is not what was recorded."""
    if len(seen) != len(case.result):
        yield f"{seen} is not {case.result}"
        return
    for ours, theirs in zip(seen, case.result, strict=True):
        if not agree(ours, theirs, case):
            yield f"{ours}\n  is not\n{theirs}"


def agree(ours: str, theirs: str, case: Case) -> bool:
    if ours == theirs:
        return True
    if re.match(r"\w+(Error|Exception): ", theirs):
        class_ours, _, message = ours.partition(": ")
        class_theirs, _, text = theirs.partition(": ")
        return class_ours == class_theirs and ("any message" in case.remark or message.startswith(first_sentence(text)))
    head, *numbers = ours.split(" ")
    head_theirs, *numbers_theirs = theirs.split(" ")
    floating = re.match(r"(np\.)?(bfloat16|float\d+|complex\d+)", head)
    if not floating or head != head_theirs or len(numbers) != len(numbers_theirs):
        return False
    epsilon = {"bfloat16": 2**-7, "float16": 2**-10, "float32": 2**-23, "complex64": 2**-23}.get(floating[2], 2**-52)
    found, wanted = ([complex(number) for number in part] for part in (numbers, numbers_theirs))
    return bool(np.allclose(found, wanted, rtol=case.ulps * epsilon, atol=case.ulps * epsilon * 1e-6, equal_nan=True))


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?]) |; ", text)[0].rstrip(".")
