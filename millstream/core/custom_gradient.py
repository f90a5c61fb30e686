"""`tf.custom_gradient`: a function that says itself how it is differentiated."""
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context, dispatch, nest, opdef, tape
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradients import UnconnectedGradients
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.tape import EagerOperation, VariableWatcher
from millstream.core.tensor import Tensor

_counter = itertools.count()


@export(v1=["custom_gradient"])
def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that gives `(result, grad_fn)`: see `tf.custom_gradient` of 2.x.

    Args:
      f: gives a tensor, or a nested structure of them, and a function of their gradients which gives one gradient for
        each tensor among the arguments; and a list of those of variables, where it has a parameter `variables`.

    Raises:
      ValueError: keyword arguments where a graph is built; `grad_fn` gives too few or too many gradients.
      TypeError: `f` uses variables and `grad_fn` does not take `variables`.
    """
    return _Differentiated(f, _as_given)


@export(v2=["custom_gradient"])
def custom_gradient_v2(f: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Decorates a function that gives `(result, grad_fn)`, with or without parentheses.

    Args:
      f: `f(*args)` takes tensors, or nested structures of them, and gives a tensor or a nested structure, and a
        function of the gradients of all results which gives one gradient for each tensor among the arguments. Where `f`
        uses variables that are no arguments, `grad_fn` takes a keyword argument `variables`, a list, and gives a pair:
        gradients of the arguments, gradients of these variables.

    The operations of `grad_fn` are differentiated for derivatives of higher order; it may itself be decorated.
    `tf.autodiff.ForwardAccumulator` follows it too.

    Raises:
      ValueError: keyword arguments where a graph is built; `grad_fn` gives too few or too many gradients.
      TypeError: `f` uses variables and `grad_fn` does not take `variables`.

    Example:
      >>> @tf.custom_gradient
      ... def log1pexp(x):
      ...   e = tf.exp(x)
      ...   return tf.math.log(1 + e), lambda dy: dy * (1 - 1 / (1 + e))
    """
    return custom_gradient if f is None else custom_gradient(f)


class _Differentiated:
    """A function with a gradient of its own; as an attribute of a class, a method.

    Args:
      function: the function that was decorated.
      rule: of the function, its arguments and its keyword arguments: gives the result and its gradient function.
    """

    def __init__(self, function: Callable[..., Any], rule: Callable[..., Any]) -> None:
        self._function = function
        self._rule = rule
        functools.update_wrapper(self, function)

    def __get__(self, instance: Any, owner: type | None = None) -> _Differentiated:
        return self if instance is None else _Differentiated(self._function.__get__(instance, owner), self._rule)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        apply = _run if context.executing_eagerly() else _build
        return apply(lambda *inner: self._rule(self._function, inner, kwargs), args, kwargs, self._function)


def _as_given(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs and not context.executing_eagerly():
        raise ValueError(
            "The custom_gradient decorator currently supports keywords arguments only when eager execution is enabled."
        )
    return f(*args, **kwargs)


class _Gradient:
    """The gradient function of one call.

    Args:
      function: the user's `grad_fn`.
      result: what the call gave, a structure.
      arguments: how many tensors are among the arguments.
      variables: those that the call used.

    Raises:
      TypeError: variables were used and the function does not take them.
    """

    def __init__(self, function: Callable[..., Any], result: Any, arguments: int, variables: Sequence[Any]) -> None:
        if variables and not _takes_variables(function):
            raise TypeError(
                "@tf.custom_gradient grad_fn must accept keyword argument 'variables', since function uses variables: "
                f"{list(variables)}"
            )
        self._function = function
        self._results = len(nest.flatten(result, expand_composites=True))
        self._arguments = arguments
        self._variables = list(variables)

    def __call__(self, op: Any, *grads: Any) -> list[Any]:
        """The gradients of the operation's inputs: in graphs these are the results, then arguments and variables."""
        upstream = grads[: self._results]
        if self._variables:
            inner, of_variables = self._function(*upstream, variables=self._variables)
        else:
            inner, of_variables = self._function(*upstream), []
        found = nest.flatten(inner)
        if len(found) != self._arguments:
            raise ValueError(
                f"custom_gradient function expected to return {self._arguments} gradients, but returned {len(found)} "
                "instead."
            )
        if len(of_variables) != len(self._variables):
            raise ValueError("Must return gradient for each variable from @custom_gradient grad_fn.")
        flat = [*found, *of_variables]
        return [None] * (len(op.inputs) - len(flat)) + [_as_gradient(grad) for grad in flat]


def _as_gradient(grad: Any) -> Any:
    return grad if grad is None or hasattr(grad, "dense_shape") else to_tensor(grad)


def _takes_variables(function: Callable[..., Any]) -> bool:
    """Whether a gradient function has a parameter `variables`, or takes any keyword."""
    import inspect

    parameters = inspect.signature(function).parameters
    return "variables" in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def _flat(structure: Any) -> list[Any]:
    return nest.flatten(structure, expand_composites=True)


# --- At once ----------------------------------------------------------------------------------------------------------


def _run(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], decorated: Any) -> Any:
    """Calls the function, and shows the call to the tapes as one operation."""
    watcher = VariableWatcher()
    with tape.watched_by(watcher):
        result, grad_fn = f(*args)
    given = _flat((args, kwargs))
    variables = [item for item in watcher.variables.values() if not any(item is other for other in given)]
    inputs = [to_tensor(arg) for arg in _flat(args)]
    gradient = _Gradient(grad_fn, result, len(inputs), variables)
    # The results get names of their own: one may be an argument.
    outputs = [opdef.find("Identity")(item) for item in _flat(result)]
    if tape.current.tapes:
        for variable in variables:  # the function may have hidden from the tapes that it read them
            tape.variable_accessed(variable)
        inputs += [variable.handle for variable in variables]
        name = getattr(decorated, "__name__", "custom_gradient")
        op = EagerOperation(opdef.find("IdentityN"), inputs, {}, outputs, name)
        op.own_gradient = gradient  # type: ignore[attr-defined]
        tape.record(op, None)
    return nest.pack_sequence_as(result, outputs, expand_composites=True) if nest.is_nested(result) else outputs[0]


# --- In a graph -------------------------------------------------------------------------------------------------------


def _build(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], decorated: Any) -> Any:
    """Calls the function; its results go through an `IdentityN` with the arguments and variables as further inputs."""
    identity, graph = opdef.find("Identity"), get_default_graph()
    flat = [identity(to_tensor(arg)) for arg in _flat(args)]
    args = nest.pack_sequence_as(args, flat, expand_composites=True)
    watcher = VariableWatcher()
    with tape.watched_by(watcher):
        result, grad_fn = f(*args)
    results = [to_tensor(item) for item in _flat(result)]
    variables = _used_variables(graph, results, flat, watcher)
    gradient = _Gradient(grad_fn, result, len(flat), variables)
    sources = [item._source if item._source.dtype.is_ref else to_tensor(item) for item in variables]
    name = f"CustomGradient-{next(_counter)}"  # tells in a GraphDef that the gradient is not that of `IdentityN`
    with graph.gradient_override_map({"IdentityN": name}), tape.recorded_by(()):
        made = dispatch.apply_op(opdef.find("IdentityN"), [[*results, *flat, *sources]], {}, None)
    op = made[0].op
    op.own_gradient = gradient
    tape.record(op, graph)
    outputs = made[: len(results)]
    return nest.pack_sequence_as(result, outputs, expand_composites=True) if nest.is_nested(result) else outputs[0]


def _used_variables(graph: Any, results: list[Tensor], args: list[Tensor], watcher: VariableWatcher) -> list[Any]:
    """The trainable variables that the results depend on other than through the arguments, and those that were read."""
    found = dict(watcher.variables)
    if not graph.building_function:
        stop = {arg.op for arg in args}
        stack, seen = [item.op for item in results], set()
        while stack:
            op = stack.pop()
            if op not in seen and op not in stop:
                seen.add(op)
                stack.extend(tensor.op for tensor in op.inputs)
        for variable in graph.get_collection(GraphKeys.TRAINABLE_VARIABLES):
            if variable._source.op in seen:
                found.setdefault(id(variable), variable)
    return sorted(found.values(), key=lambda variable: variable.name)


# --- Ready-made gradients ---------------------------------------------------------------------------------------------


@export("recompute_grad")
def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that computes its intermediate results once more when it is differentiated, rather than keep them.

    It trades time for memory ("gradient checkpointing": Chen et al., "Training Deep Nets with Sublinear Memory Cost",
    2016). Variables that the function uses get gradients too.

    Args:
      f: takes tensors and gives a tensor or a nested structure of tensors; it should give the same each time.

    Example:
      >>> block = tf.recompute_grad(lambda x: tf.nn.relu(tf.matmul(x, w)))
    """

    return _Differentiated(f, _recomputing)


def _recomputing(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from millstream.core.gradient_tape import GradientTape

    with tape.recorded_by(tuple(item for item in tape.current.tapes if isinstance(item, VariableWatcher))):
        result = f(*args, **kwargs)

    def grad_fn(*upstream: Any, variables: Sequence[Any] = ()) -> Any:
        flat = [to_tensor(arg) for arg in _flat(args)]
        # Compiled, the same computation would otherwise be shared with the first one.
        copied = opdef.find("IdentityN" if context.executing_eagerly() else "XlaOptimizationBarrier")
        kept = copied([*flat, *upstream])
        again, flowing = kept[: len(flat)], kept[len(flat) :]
        with GradientTape() as recorder:
            recorder.watch([tensor for tensor in again if tape.carries_gradient(tensor)])
            outputs = f(*nest.pack_sequence_as(args, again, expand_composites=True), **kwargs)
        grads = recorder.gradient(
            _flat(outputs), [*again, *variables], flowing, unconnected_gradients=UnconnectedGradients.ZERO
        )
        inner, of_variables = grads[: len(again)], grads[len(again) :]
        return (inner, of_variables) if variables else inner

    return result, grad_fn


@export("grad_pass_through")
def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose gradient is that of the identity: what flows into its result flows on to its argument.

    Args:
      f: takes one tensor and gives one of the same shape; variables that it uses get no gradient.

    Example:
      >>> straight_through = tf.grad_pass_through(tf.round)
    """

    return _Differentiated(f, _passing)


def _passing(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def grad_fn(*upstream: Any, variables: Sequence[Any] = ()) -> Any:
        return (upstream, [None] * len(variables)) if variables else upstream

    return f(*args, **kwargs), grad_fn
