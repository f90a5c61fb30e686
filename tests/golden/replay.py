"""Runs one case eagerly, or in traced functions, and compares with the recording of TensorFlow's graph.

What a case gives does not depend on the mode. As each run is a call of its own, a case whose runs change variables says
that it is for graphs only.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modes import eager_by_default

from millstream.core.function import Function

from . import calls, compare
from .calls import Call, Result
from .spec import Case

# What eager execution raises where a graph is refused while it is built: there it is the kernel that refuses.
# And the reverse, where Python code of TensorFlow sees what a graph hides from it until it runs.
EAGER_CLASSES = {
    "ValueError": ("ValueError", "InvalidArgumentError"),
    "TypeError": ("TypeError", "ValueError", "InvalidArgumentError"),
    "InvalidArgumentError": ("InvalidArgumentError", "ValueError"),
    "OperatorNotAllowedInGraphError": ("TypeError",),
}


def differences_eagerly(case: Case, expected: dict[str, Any], tf: Any) -> list[str]:
    """What differs from the recording when the case runs eagerly."""
    with eager_by_default():
        seen = calls.observed(case, tf, calls.taped(case, tf, calls.plain(case, tf)), _restart(tf))
    if "error" in expected:
        return _compare_error(expected["error"], seen["error"])
    return compare.compare_calls(case, expected, seen)


def differences_in_function(case: Case, expected: dict[str, Any], tf: Any) -> list[str]:
    """What differs when a traced function runs the case.

    Once with gradients that the function computes itself; and once with a function of unknown dimensions that is
    called, and differentiated, in another one.
    """
    known = [i.static_shape() for i in case.inputs]
    plain = calls.plain(case, tf)
    with eager_by_default():
        if "error" in expected:
            seen = calls.observed(case, tf, traced(case, tf, plain, known), _restart(tf))
            return compare.compare_errors(case, expected["error"][:2], seen["error"])
        runs = expected["runs"]
        taped = calls.taped(case, tf, plain, runs[0]) if runs else plain
        seen = calls.observed(case, tf, traced(case, tf, taped, known), _restart(tf))
        found = compare.compare_calls(case, expected, seen)
        if case.inputs and len(runs) == 1:
            inner = traced(case, tf, plain, _unknown(case, expected, known))
            outer = constants_in_function(case, tf, calls.taped(case, tf, inner, runs[0]))
            seen = calls.observed(case, tf, outer, _restart(tf))
            found += [f"differentiated from outside: {text}"
                      for text in compare.compare_calls(case, _without_texts(expected), _without_texts(seen))]
    return found


def _restart(tf: Any) -> Callable[[], None]:
    """Empties the collections, and makes random streams begin anew."""

    def restart() -> None:
        tf.reset_default_graph()
        tf.set_random_seed(None)

    return restart


def _unknown(case: Case, expected: dict[str, Any], known: list) -> list:
    """The shapes without dimensions, for a case that can be built so."""
    if not (case.unknown and isinstance(expected.get("unknown_dims"), dict)):
        return known
    return [None if shape is None else [None] * len(shape) for shape in known]


def _without_texts(seen: dict[str, Any]) -> dict[str, Any]:
    """The observation without plain Python values, such as static shapes, which may be less known."""
    runs = [{path: value for path, value in run.items() if isinstance(value, list)} for run in seen["runs"]]
    return {**seen, "runs": runs}


def _compare_error(expected: list, actual: list | None) -> list[str]:
    """Eager messages are those of TensorFlow 2; the class must be TensorFlow's, or the kernel's for it."""
    allowed = EAGER_CLASSES.get(expected[0], (expected[0],))
    return [] if actual is not None and actual[0] in allowed else [f"expected the error {expected}, got {actual}"]


# Functions.


def traced(case: Case, tf: Any, call: Call, shapes: list) -> Call:
    """Calls a function traced for these shapes of the inputs."""
    specs = [tf.TensorSpec(shape, i.dtype, name)
             for shape, i, name in zip(shapes, case.inputs, case.input_names(), strict=True)]
    return _function(tf, keeping_variables(tf, call), specs)


def constants_in_function(case: Case, tf: Any, call: Call) -> Call:
    """Calls a function that has the inputs as constants."""
    function = _function(tf, lambda: call(*calls.inputs_of(case, tf)), [])
    return lambda *inputs: function()


def keeping_variables(tf: Any, call: Call) -> Call:
    """Makes variables at the first call only; each later one gets the same variables, in the same order.

    A function that makes variables is traced twice, and the second trace must make none.
    """
    variables: list[Any] = []

    def call_again(*inputs: Any) -> Result:
        rest = iter(list(variables))

        def kept_or_made(next_creator: Callable[..., Any], **settings: Any) -> Any:
            variable = next(rest, None)
            if variable is None:
                variable = next_creator(**settings)
                variables.append(variable)
            return variable

        with tf.variable_creator_scope(kept_or_made):
            return call(*inputs)

    return call_again


def _function(tf: Any, call: Call, specs: list) -> Call:
    results: list[Result] = []  # of the trace: what is no tensor, and where the tensors stand

    def body(*inputs: Any) -> tuple:
        results[:] = [call(*inputs)]
        steps, gradients = results[0]
        return ([calls.tensors_among(tf, step.leaves) if step else {} for step in steps],
                calls.tensors_among(tf, gradients))

    function = Function(body, specs, autograph=False)

    def run(*inputs: Any) -> Result:
        outputs, slopes = function(*inputs)
        steps, gradients = results[0]
        steps = [step and step._replace(leaves={**step.leaves, **tensors})
                 for step, tensors in zip(steps, outputs, strict=True)]
        return Result(steps, {**gradients, **slopes} if isinstance(gradients, dict) else gradients)

    return run
