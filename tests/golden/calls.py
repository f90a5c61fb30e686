"""Runs a case by calling it, and describes what is seen as `observe` does of a graph.

A way to call a case is a function of its inputs. `plain` and `taped` make such functions for either system; `replay`
puts them into traced functions. Each run of a script is a call of its own.
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import observe
from .spec import FRESH_SESSION, Case, Run, Script


class Step(NamedTuple):
    """One run of a script: its leaves by path, how often it runs, and the inputs that it replaces by their index."""

    leaves: dict[str, Any]
    times: int
    fed: dict[int, Any]


class Result(NamedTuple):
    """What a call gives: the steps, None for a fresh session; and the gradients by path, or an error."""

    steps: list[Step | None]
    gradients: Any = None

    def is_one_run(self) -> bool:
        return len(self.steps) == 1 and self.steps[0].times == 1


Call = Callable[..., Result]  # of the inputs


def plain(case: Case, tf: Any) -> Call:
    """Calls the case as its function is written."""

    def call(*inputs: Any) -> Result:
        result = case.build(tf, *inputs)
        plan = result if isinstance(result, Script) else Script([Run(result)])
        positions = {id(tensor): i for i, tensor in enumerate(inputs)}
        return Result([
            None if step is FRESH_SESSION else Step(
                observe.flatten(tf, step.fetch), step.times,
                {positions[id(tensor)]: value for tensor, value in (step.feed or {}).items()})
            for step in plan.steps])

    return call


def taped(case: Case, tf: Any, call: Call, run: dict[str, Any] | None = None) -> Call:
    """Adds the gradients of a single run, of the outputs times fixed weights.

    `run` has the recorded values, which tell the shapes of the weights; by default the outputs themselves do.
    """
    names = case.input_names()
    by = case.differentiated()

    def differentiated(*inputs: Any) -> Result:
        sources = [inputs[i] for i in by]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            result = call(*inputs)
        if not result.is_one_run():
            return result
        leaves = result.steps[0].leaves
        weights = _weights(tf, leaves, values_of(tf, leaves) if run is None else run)
        if not weights:
            return result
        try:
            found = tape.gradient([leaves[path] for path in weights], sources, list(weights.values()))
        except LookupError as error:
            return result._replace(gradients=observe.describe_error(error))
        parts = [observe.flatten(tf, grad, names[i]) for i, grad in zip(by, found, strict=True)]
        return result._replace(gradients={path: part for leaves in parts for path, part in leaves.items()})

    return differentiated if by else call


def _weights(tf: Any, leaves: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """The weights of the outputs through which gradients flow."""
    return {path: tf.constant(observe.weights(np.zeros(run[path][1], run[path][0])))
            for path in tensors_among(tf, leaves) if run[path][0].startswith(("float", "complex"))}


def tensors_among(tf: Any, leaves: Any) -> dict[str, Any]:
    """The leaves that are tensors or variables; none if `leaves` is no dict."""
    leaves = leaves if isinstance(leaves, dict) else {}
    return {path: leaf for path, leaf in leaves.items() if isinstance(leaf, (tf.Tensor, tf.Variable))}


def inputs_of(case: Case, tf: Any) -> list:
    return [tf.constant(i.value, i.dtype) for i in case.inputs]


# Observing.


def observed(case: Case, tf: Any, call: Call, restart: Callable[[], Any]) -> dict[str, Any]:
    """The runs and gradients of a case; its error, if it is to raise one.

    `restart` makes random streams begin anew.
    """
    if not case.raises:
        return _observed(case, tf, call, restart)
    try:
        _observed(case, tf, call, restart)
    except Exception as error:  # the class is what is compared
        return {"error": observe.describe_error(error)}
    return {"error": None}


def _observed(case: Case, tf: Any, call: Call, restart: Callable[[], Any]) -> dict[str, Any]:
    with observe.captured_stderr() if case.stderr else contextlib.nullcontext() as written:
        restart()
        inputs = inputs_of(case, tf)
        result = call(*inputs)
        if result.is_one_run():
            runs = [values_of(tf, result.steps[0].leaves)]
        else:
            runs = list(_runs(tf, call, inputs, result.steps, restart))
        gradients = result.gradients
        if isinstance(gradients, dict):
            gradients = values_of(tf, gradients)
    return {"runs": [run for run in runs if any(value is not None for value in run.values())],
            "gradients": gradients, "stderr": written[0] if case.stderr else None}


def _runs(
    tf: Any, call: Call, inputs: Sequence[Any], steps: list[Step | None], restart: Callable[[], Any]
) -> Iterator[dict[str, Any]]:
    """The values of each run, from a call for each."""
    restart()
    for index, step in enumerate(steps):
        if step is None:
            restart()
            continue
        fed = [tf.constant(step.fed[i], x.dtype) if i in step.fed else x for i, x in enumerate(inputs)]
        for _ in range(step.times):
            yield values_of(tf, call(*fed).steps[index].leaves)


def values_of(tf: Any, leaves: dict[str, Any]) -> dict[str, Any]:
    """The leaves as `observe.encode` describes them."""
    return {path: observe.encode(_value(tf, leaf)) for path, leaf in leaves.items()}


def _value(tf: Any, leaf: Any) -> Any:
    if isinstance(leaf, tf.Operation):
        return None
    return leaf.numpy() if isinstance(leaf, (tf.Tensor, tf.Variable)) else observe.plain(leaf)
