"""`tf.custom_gradient`: a function that says itself how it is differentiated."""
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from millstream.core import dispatch, gradients, opdef
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys

_counter = itertools.count()


@export("custom_gradient")
def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that gives `(result, grad_fn)`.

    Args:
      f: `f(*tensors)` gives a tensor (or a list of them) and a function of the results' gradients which gives one
        gradient an argument. Where `f` uses variables, `grad_fn` takes a keyword argument `variables`, a list, and
        gives a pair: gradients of the arguments, gradients of these variables.

    Raises:
      ValueError: keyword arguments in graph mode.
      TypeError: `f` uses variables and `grad_fn` does not take `variables`.

    Example:
      >>> @tf.custom_gradient
      ... def log1pexp(x):
      ...   e = tf.exp(x)
      ...   return tf.log(1 + e), lambda dy: dy * (1 - 1 / (1 + e))
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise ValueError("The custom_gradient decorator currently supports keywords arguments only when eager.")
        return _apply(f, [to_tensor(arg) for arg in args])

    return decorated


def _apply(f: Callable[..., Any], args: list[Any]) -> Any:
    identity = opdef.find("Identity")
    args = [identity(arg) for arg in args]
    before = _trainable()
    result, grad_fn = f(*args)
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    results = [to_tensor(item) for item in results]
    used = _used_variables(results, args, before)
    if used and not _takes_variables(grad_fn):
        raise TypeError("If using @custom_gradient with a function that uses variables, then grad_fn must accept a "
                        "keyword argument 'variables'.")  # fmt: skip
    sources = [variable._ref() if hasattr(variable, "_ref") else variable.handle for variable in used]
    name = f"CustomGradient-{next(_counter)}"

    @gradients.RegisterGradient(name)
    def _(op: Any, *grads: Any) -> list[Any]:
        outer = grads[: len(results)]
        if not used:
            found = grad_fn(*outer)
            inner = list(found) if isinstance(found, (list, tuple)) else [found]
            variable_grads: list[Any] = []
        else:
            inner, variable_grads = grad_fn(*outer, variables=used)
            inner = list(inner) if isinstance(inner, (list, tuple)) else [inner]
        return [None] * len(results) + inner + list(variable_grads)

    graph = get_default_graph()
    flat = [*results, *args, *sources]
    with graph.gradient_override_map({"IdentityN": name}):
        tensors = dispatch.apply_op(opdef.find("IdentityN"), [flat], {}, None)
    made = tensors[: len(results)]
    return made if isinstance(result, (list, tuple)) else made[0]


def _takes_variables(function: Callable[..., Any]) -> bool:
    """Whether a gradient function has a parameter `variables`, or takes any keyword."""
    import inspect

    parameters = inspect.signature(function).parameters
    return "variables" in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def _trainable() -> set[Any]:
    return set(get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES))


def _used_variables(results: list[Any], args: list[Any], before: set[Any]) -> list[Any]:
    """The trainable variables that the results depend on other than through the arguments."""
    stop = {arg.op for arg in args}
    stack, seen = [item.op for item in results], set()
    while stack:
        op = stack.pop()
        if op not in seen and op not in stop:
            seen.add(op)
            stack.extend(tensor.op for tensor in op.inputs)
    variables = get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES)
    return [variable for variable in variables if variable.op in seen]
