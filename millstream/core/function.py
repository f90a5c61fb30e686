"""`tf.function`: a Python function that is traced into graphs, one for each kind of arguments."""
from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import config_state, context, log, nest
from millstream.core.concrete_function import ConcreteFunction, trace
from millstream.core.conversion import to_tensor
from millstream.core.eager import EagerTensor
from millstream.core.export import export
from millstream.core.func_graph import FuncGraph
from millstream.core.graph import get_default_graph
from millstream.core.provided import Provided
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.trace_type import (
    LITERALS,
    Arguments,
    Leaf,
    Reference,
    TensorType,
    VariableType,
    is_variable,
    leaves_up_to,
    relaxed,
    take_apart,
)
from millstream.core.trackable import Trackable
from millstream.core.type_spec import TypeSpec
from millstream.core.variable_handle import handle_data

_SINGLETON_VARIABLES = (
    "tf.function only supports singleton tf.Variables created on the first call. Make sure the tf.Variable is only "
    "created once or created outside tf.function. See "
    "https://www.tensorflow.org/guide/function#creating_tfvariables for more information."
)
# So many traces among so many calls are worth a warning, as in TensorFlow.
_FREQUENT_TRACES, _CALLS_WATCHED = 5, 6
# For so many types of arguments the trace is kept at hand.
_MOST_FAST = 1024

# function -> the function with its Python control flow over tensors converted.
_converted = Provided("millstream.autograph.api:convert")


class Function(Trackable):
    """What `tf.function` gives: traces the Python function once for each kind of arguments, and runs the trace.

    Args:
      python_function: the function.
      input_signature: a sequence of specs that fixes the types of the arguments.
      autograph: whether `if`, `while` and `for` over tensors become operations.
      reduce_retracing: whether arguments of new shapes give a trace that takes any size of what differed.
      jit_compile: accepted; functions are always compiled.
      name: the name in graphs; default: the function's own.
      autograph_options: features of AutoGraph to use besides, of `tf.autograph.experimental.Feature`.
    """

    def __init__(
        self,
        python_function: Callable[..., Any],
        input_signature: Any = None,
        autograph: bool = True,
        reduce_retracing: bool = False,
        jit_compile: bool | None = None,
        name: str | None = None,
        autograph_options: Any = None,
    ) -> None:
        self._autograph_options = autograph_options
        self._python_function = python_function
        self._autograph = autograph
        self._reduce_retracing = reduce_retracing
        self._jit_compile = jit_compile
        own_name = getattr(python_function, "__name__", type(python_function).__name__)
        self._name = name or own_name.replace("<lambda>", "lambda")
        self._signature = _signature_of(python_function)
        self._specs = None if input_signature is None else _check_specs(input_signature, self._signature)
        self._lock = threading.RLock()
        self._traces: dict[Any, ConcreteFunction] = {}
        self._fast: dict[Any, ConcreteFunction] = {}  # by the types of positional tensors
        self._may_create_variables = True
        self._created: list[Any] = []
        self._bound: dict[int, tuple[Any, Function]] = {}
        self._recent = 0
        self._warned = False
        functools.update_wrapper(self, python_function, updated=())

    # --- Facts --------------------------------------------------------------------------------------------------

    @property
    def python_function(self) -> Callable[..., Any]:
        """The function that was decorated."""
        return self._python_function

    @property
    def name(self) -> str:
        """The name of the Python function."""
        return self._name

    @property
    def input_signature(self) -> Any:
        """The specs that fix the types of the arguments, or None."""
        return self._specs

    @property
    def function_spec(self) -> inspect.Signature:
        """The signature of the Python function."""
        return self._signature

    def experimental_get_tracing_count(self) -> int:
        """How often the Python function has been traced."""
        return len(self._traces)

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """The signatures of all traces, as text."""
        return "\n\n".join(item.pretty_printed_signature(verbose) for item in self._traces.values())

    def __reduce__(self) -> Any:
        """A copy traces anew."""
        return Function, (self._python_function, self._specs, *self._settings)

    @property
    def _settings(self) -> tuple[Any, ...]:
        return self._autograph, self._reduce_retracing, self._jit_compile, self._name, self._autograph_options

    def __repr__(self) -> str:
        return f"<millstream.core.function.Function object at 0x{id(self):x} ({self._name})>"

    # --- Methods ------------------------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A function of an object: traced for each object on its own."""
        if instance is None:
            return self
        known = self._bound.get(id(instance))
        if known is not None and known[0]() is instance:
            return known[1]
        key = id(instance)
        try:
            reference: Any = weakref.ref(instance, lambda _: self._bound.pop(key, None))
        except TypeError:
            reference = lambda: instance  # noqa: E731 - an object without room for a weak reference is kept
        method = _weak_method(self._python_function, reference)
        bound = Function(method, None, *self._settings)
        bound._specs = self._specs
        self._bound[key] = reference, bound
        return bound

    # --- Calls --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function; traces it first for arguments of a new kind."""
        if config_state.functions_eagerly:
            return self._python_function(*args, **kwargs)
        if not kwargs:
            key = _fast_key(args)
            if key is not None:
                found = self._fast.get(key)
                if found is not None:
                    if self._recent:
                        self._recent -= 1
                    return found.call_leaves(args)
        arguments = self._bind(args, kwargs)
        concrete = self._concrete(arguments)
        if not kwargs and key is not None and len(arguments.leaves) == len(args):
            if len(self._fast) >= _MOST_FAST:  # shapes that always change, for one trace
                self._fast.clear()
            self._fast[key] = concrete
        return concrete.call_leaves(arguments.leaves)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for arguments of these types; a `tf.TensorSpec` stands for a tensor.

        Raises:
          TypeError, ValueError: the arguments do not suit the function.
        """
        if self._specs is not None and not args and not kwargs:
            args = tuple(self._specs)
        return self._concrete(self._bind(args, kwargs))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments in the order of the parameters, defaults filled in, taken apart."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"Binding inputs to tf.function failed due to `{error}`. Received args: {args} and kwargs: {kwargs} "
                f"for signature: {self._signature}."
            ) from None
        bound.apply_defaults()
        if self._specs is not None:
            leaves = self._cast_to_specs(self._specs, bound, args, kwargs)
            _check_rest(bound, len(self._specs), args, kwargs)
            return Arguments((self._specs, {}), self._key_of_specs, leaves)
        return take_apart((bound.args, bound.kwargs))

    @functools.cached_property
    def _key_of_specs(self) -> Any:
        return take_apart((self._specs, {})).key

    def _cast_to_specs(
        self, specs: tuple[Any, ...], bound: inspect.BoundArguments, args: Any, kwargs: Any
    ) -> list[Any]:
        """The leaves of the arguments as tensors that the input signature allows."""
        flat = nest.flatten(specs, expand_composites=True)
        try:
            given = leaves_up_to(specs, bound.args[: len(specs)])
            return [_cast(value, spec) for value, spec in zip(given, flat, strict=True)]
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Binding inputs to tf.function failed due to `{error}`. Received args: {args} and kwargs: {kwargs} "
                f"for signature: {self._signature}, input_signature={specs}."
            ) from None

    def _concrete(self, arguments: Any) -> ConcreteFunction:
        key = self._key(arguments.key)
        found = self._traces.get(key)
        if found is not None:
            self._recent = max(0, self._recent - 1)
            return found
        with self._lock:
            found = self._traces.get(key) or self._covering(key)
            if found is None:
                found = self._trace_for(key, arguments)
            return found

    def _key(self, key: Any) -> Any:
        """The key of a call; functions inside of graphs, and those under other devices, are traced on their own."""
        outside = None if context.executing_eagerly() else _root(get_default_graph())
        return key, None if outside is None or outside.building_function else outside, context.current.devices

    def _covering(self, key: Any) -> ConcreteFunction | None:
        """An earlier trace for tensors of less known shapes that takes these too."""
        (structure, types), *rest = key
        for ((other_structure, others), *other_rest), concrete in self._traces.items():
            if structure == other_structure and rest == other_rest and all(map(_takes, others, types)):
                return concrete
        return None

    def _trace_for(self, key: Any, arguments: Any) -> ConcreteFunction:
        (structure, types), *rest = key
        if self._reduce_retracing:
            for (other_structure, others), *other_rest in reversed(self._traces):
                wider = relaxed(others, types) if (structure, rest) == (other_structure, other_rest) else None
                if wider is not None:
                    types = wider
                    break
        self._warn_when_frequent()
        concrete = self._trace(types, arguments)
        self._traces[(structure, types), *rest] = concrete
        return concrete

    def _warn_when_frequent(self) -> None:
        self._recent += 1 if self._traces else 0
        if self._recent >= _FREQUENT_TRACES and not self._warned:
            self._warned = True
            log.tensorflow_logger().warning(
                "%d out of the last %d calls to %r triggered tf.function retracing. Tracing is expensive and the "
                "excessive number of tracings could be due to (1) creating @tf.function repeatedly in a loop, "
                "(2) passing tensors with different shapes, (3) passing Python objects instead of tensors. "
                "For (2), @tf.function has reduce_retracing=True option that can avoid unnecessary retracing.",
                _FREQUENT_TRACES, _CALLS_WATCHED, self._python_function,
            )  # fmt: skip

    # --- Tracing ------------------------------------------------------------------------------------------------

    def _trace(self, types: Sequence[Leaf], arguments: Any) -> ConcreteFunction:
        """Traces the Python function; once more if it created variables, which happens only once."""
        if self._may_create_variables:
            created: list[Any] = []
            concrete = self._trace_once(types, arguments, created)
            self._may_create_variables = False
            if not created:
                return concrete
            self._created = created
        return self._trace_once(types, arguments, None)

    def _trace_once(self, types: Sequence[Leaf], arguments: Any, created: list[Any] | None) -> ConcreteFunction:
        graph = FuncGraph(self._name)
        if not (graph.outer_graph is not None and graph.outer_graph.building_function):
            graph.extensions["lifted_variables"] = _Lifting(created)
        names = leaf_names(self._signature, arguments.structure)
        specs = arguments.leaves if self._specs is None else nest.flatten(self._specs, expand_composites=True)
        labels = [
            isinstance(spec, TensorSpec) and spec.name or name for spec, name in zip(specs, names, strict=True)
        ]
        placeholders, leaves = _placeholders(graph, types, arguments.leaves, labels)
        lifting = graph.extensions.get("lifted_variables")
        if created is not None and lifting is not None:
            known = _known_values(placeholders, arguments.leaves)
            lifting.values.update(known)
        with graph.as_default():  # composite tensors are made of placeholders
            args, kwargs = nest.pack_sequence_as(arguments.structure, leaves, expand_composites=True)
            # The trace outlives its first arguments.
            lasting = [kind if isinstance(kind, Reference) else leaf for kind, leaf in zip(types, leaves, strict=True)]
            structure = _with_leaves(arguments.structure, lasting)
        function = self._python_function
        if self._autograph:
            function = _converted(function, self._autograph_options)
        result = trace(self._name, graph, lambda: function(*args, **kwargs))
        if created is not None and lifting is not None:
            for key in known:
                del lifting.values[key]
        return ConcreteFunction(self._name, graph, placeholders, types, structure, result, names, labels)


def _with_leaves(structure: Any, leaves: Sequence[Any]) -> Any:
    """A structure with other leaves; but specs of composites stay, which know more of shapes than their parts."""
    parts = iter(leaves)

    def changed(item: Any) -> Any:
        own = [next(parts) for _ in nest.flatten(item, expand_composites=True)]
        if isinstance(item, TypeSpec) and not isinstance(item, TensorSpec):
            return item
        return nest.pack_sequence_as(item, own, expand_composites=True)

    return nest.map_structure(changed, structure)


def _known_values(placeholders: Sequence[Tensor | None], leaves: Sequence[Any]) -> dict[int, Any]:
    return {
        id(tensor): leaf for tensor, leaf in zip(placeholders, leaves, strict=True)
        if tensor is not None and isinstance(leaf, Tensor)
    }  # fmt: skip


class _Lifting:
    """Makes the variables that a function creates on its first call, outside of its graph.

    Args:
      created: takes the variables; None where none may be created.
    """

    def __init__(self, created: list[Any] | None) -> None:
        self._created = created
        self.values: dict[int, Any] = {}  # of the placeholders of arguments, for initial values that depend on them

    def create(self, make: Callable[..., Any], initial_value: Any = None, **keywords: Any) -> Any:
        """Makes a variable. An initial value that the function computed is computed now.

        Raises:
          ValueError: it is not the function's first call.
        """
        if self._created is None:
            raise ValueError(_SINGLETON_VARIABLES)
        if isinstance(initial_value, Tensor):
            initial_value = self._evaluate(initial_value)
        variable = make(initial_value=initial_value, **keywords)
        self._created.append(variable)
        return variable

    def _evaluate(self, tensor: Tensor) -> Any:
        """The value of a tensor of the function, or of one inside of it whose arguments are tensors of this one."""
        from millstream.core.graph_function import RUN, GraphFunction

        if tensor.is_eager:
            return tensor
        graph: Any = tensor.graph
        given = {**{id(inner): outer for outer, inner in graph.captures}, **self.values}
        needed = [placeholder for placeholder in _inputs_of(tensor, graph.inputs) if id(placeholder) in given]
        values = [self._evaluate(given[id(placeholder)]) for placeholder in needed]
        return RUN[0](GraphFunction(graph, needed, [tensor]), values)[0]


def _inputs_of(tensor: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Those inputs of a graph that a tensor is computed from."""
    found = {tensor.op}
    rest = [tensor.op]
    while rest:
        op = rest.pop()
        new = {*(source.op for source in op.inputs), *op._control_inputs} - found
        found |= new
        rest.extend(new)
    return [placeholder for placeholder in inputs if placeholder.op in found]


def _placeholders(
    graph: FuncGraph, types: Sequence[Leaf], leaves: Sequence[Any], names: Sequence[str]
) -> tuple[list[Tensor | None], list[Any]]:
    """The inputs of a trace: a placeholder or None for each leaf, and what the Python function gets in its place."""
    placeholders: list[Tensor | None] = []
    given: list[Any] = []
    shadows: dict[int, Any] = {}
    for kind, leaf, name in zip(types, leaves, names, strict=True):
        if isinstance(kind, TensorType):
            tensor = graph.add_input(kind.dtype, kind.shape, name, _handle(leaf))
            placeholders.append(tensor)
            given.append(tensor)
        elif isinstance(kind, VariableType):
            if kind.alias not in shadows:
                handle = graph.add_input(leaf.handle.dtype, (), name, handle_data(leaf.handle))
                shadows[kind.alias] = leaf.bound_to(handle)
            placeholders.append(shadows[kind.alias].handle)
            given.append(shadows[kind.alias])
        else:
            placeholders.append(None)
            given.append(leaf)
    return placeholders, given


def _handle(leaf: Any) -> Any:
    return handle_data(leaf) if isinstance(leaf, Tensor) else None


def _root(graph: Any) -> Any:
    """The graph around all functions that `graph` is in, or the outermost function's."""
    while graph.is_body and graph.outer_graph is not None:
        graph = graph.outer_graph
    return graph


def _takes(kind: Leaf, other: Leaf) -> bool:
    return kind.takes(other) if isinstance(kind, TensorType) else kind == other


def _fast_key(args: tuple[Any, ...]) -> Any:
    """The types of arguments that are all eager tensors; None for others."""
    if context.current.devices:
        return None
    key: list[Any] = []
    for value in args:
        if type(value) is not EagerTensor:
            return None
        key.append(value.dtype)
        key.append(value._shape)
    return tuple(key)


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # a builtin
        any_number = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
        return inspect.Signature([any_number])


def leaf_names(signature: inspect.Signature, structure: Any) -> list[str]:
    """The name of the parameter that each leaf belongs to."""
    args, kwargs = structure
    names: list[str] = []
    parameters = list(signature.parameters.values())
    for index, value in enumerate(args):
        parameter = parameters[min(index, len(parameters) - 1)] if parameters else None
        name = parameter.name if parameter is not None else f"arg_{index}"
        names.extend([name] * len(nest.flatten(value, expand_composites=True)))
    for key in sorted(kwargs):
        names.extend([key] * len(nest.flatten(kwargs[key], expand_composites=True)))
    return names


def _check_specs(input_signature: Any, signature: inspect.Signature) -> tuple[Any, ...]:
    if not isinstance(input_signature, (list, tuple)):
        raise TypeError(
            "input_signature must be either a tuple or a list, received " + str(type(input_signature))
        )
    for spec in nest.flatten(tuple(input_signature), expand_composites=True):
        if not isinstance(spec, TensorSpec):
            raise TypeError(f"Invalid input_signature {input_signature}; input_signature must be a possibly nested "
                            f"sequence of TensorSpec objects, got {spec!r}.")  # fmt: skip
    positional = [
        item for item in signature.parameters.values()
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    variadic = any(item.kind is item.VAR_POSITIONAL for item in signature.parameters.values())
    is_method = bool(positional) and positional[0].name == "self"
    for item in positional[len(input_signature) + is_method :]:
        if item.default is item.empty:
            raise TypeError(f"input_signature missing type constraint for {item.name}")
    for item in signature.parameters.values():
        if item.kind is item.KEYWORD_ONLY and item.default is item.empty:
            raise TypeError(
                f"Since input_signature is defined, keyword-only parameter `{item.name}` must have a default value"
            )
    if len(input_signature) > len(positional) and not variadic:
        raise TypeError(
            f"input_signature has {len(input_signature)} specs for a function with {len(positional)} parameters: "
            f"{signature}."
        )
    return tuple(input_signature)


def _check_rest(bound: inspect.BoundArguments, constrained: int, args: Any, kwargs: Any) -> None:
    """Demands that parameters which the input signature does not name have their default values.

    Raises:
      TypeError: one has not.
    """
    problem = ""
    for index, (name, parameter) in enumerate(bound.signature.parameters.items()):
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            problem = "too many positional arguments" if index + len(value) > constrained else problem
        elif parameter.kind is parameter.VAR_KEYWORD:
            problem = f"got an unexpected keyword argument {next(iter(value))!r}" if value else problem
        elif index >= constrained and value is not parameter.default and not _is_same_literal(value, parameter.default):
            problem = f"Can not cast {value!r} to {parameter.default!r}"
    if problem:
        raise TypeError(
            f"Binding inputs to tf.function failed due to `{problem}`. Received args: {args} and kwargs: {kwargs} "
            f"for signature: {bound.signature}: what is not in the input signature keeps its default value."
        )


def _is_same_literal(value: Any, default: Any) -> bool:
    return isinstance(default, LITERALS) and type(value) is type(default) and value == default


def _cast(value: Any, spec: TensorSpec) -> Any:
    if isinstance(value, TensorSpec):
        return value
    if is_variable(value):
        value = value.value()
    tensor = value if isinstance(value, Tensor) else to_tensor(value, spec.dtype)
    kind = TensorType(spec.dtype, spec._shape)
    if not kind.takes(TensorType(tensor.dtype.base_dtype, tensor._shape)):
        raise TypeError(f"Can not cast {TensorSpec.from_tensor(tensor)!r} to {spec!r}")
    return tensor


def _weak_method(function: Callable[..., Any], reference: Callable[[], Any]) -> Callable[..., Any]:
    """A method of an object that it does not keep."""

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(reference(), *args, **kwargs)

    signature = _signature_of(function)
    method.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    method.bound_method = (function, reference)  # type: ignore[attr-defined]
    return method


@export(v2=["function"])
def function(
    func: Callable[..., Any] | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements: Any = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
) -> Any:
    """Compiles a Python function into graphs.

    The function is traced once for each kind of arguments: dtypes and shapes of tensors, values of Python numbers and
    strings, identities of other objects. Python code runs while it is traced, and only then; operations run at each
    call, in the order of the program where they have effects. Variables must be created on the first call, or outside.

    Args:
      func: the function; without it, gives a decorator.
      input_signature: a nested sequence of `tf.TensorSpec`, which fixes the types: there is one trace then.
      autograph: whether Python's `if`, `while` and `for` over tensors become operations.
      jit_compile: accepted; functions are always compiled.
      reduce_retracing: whether a call with new shapes gives a trace that takes any size of what differed.
      experimental_autograph_options: features of AutoGraph to use besides, of `tf.autograph.experimental.Feature`.
      experimental_implements, experimental_attributes, experimental_compile, experimental_follow_type_hints: accepted
        for compatibility.
      experimental_relax_shapes: old name of `reduce_retracing`.

    Raises:
      TypeError: the input signature does not suit the function; or, when called, the arguments do not.
      ValueError: when called: the function creates variables and it is not the first call.

    Example:
      >>> @tf.function
      ... def square(x):
      ...   return x * x
      >>> square(tf.constant(3.)).numpy()
      9.0
    """
    relax = bool(reduce_retracing or experimental_relax_shapes)

    def decorate(inner: Callable[..., Any]) -> Function:
        if not callable(inner):
            raise TypeError(f"tf.function decorates a callable, not {inner!r}.")
        return Function(
            inner, input_signature, autograph, relax, jit_compile, autograph_options=experimental_autograph_options
        )

    return decorate if func is None else decorate(func)


@export(v1=["function"])
def function_v1(
    func: Callable[..., Any] | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    experimental_autograph_options: Any = None,
    experimental_relax_shapes: bool = False,
    experimental_compile: bool | None = None,
) -> Any:
    """Compiles a Python function into graphs; see `tf.function` of 2.x.

    Args:
      func: the function; without it, gives a decorator.
      input_signature: a nested sequence of `tf.TensorSpec`, which fixes the types of the arguments.
      autograph: whether Python's `if`, `while` and `for` over tensors become operations.
      experimental_relax_shapes: whether a call with new shapes gives a trace that takes any size of what differed.
      experimental_autograph_options: features of AutoGraph to use besides.
      experimental_compile: accepted for compatibility.
    """
    return function(
        func, input_signature, autograph, reduce_retracing=experimental_relax_shapes,
        experimental_autograph_options=experimental_autograph_options,
    )  # fmt: skip
