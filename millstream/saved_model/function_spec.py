"""The Python signatures of functions in a SavedModel, and the types that their traces take and give."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from millstream.core import nest
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.function import Function
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec, VariableSpec
from millstream.core.trace_type import VariableType
from millstream.core.type_spec import CompositeTensor, TypeSpec
from millstream.saved_model.structure_codec import NotEncodableError, decode, encode

_FIELDS = ("args", "varargs", "varkw", "defaults", "kwonlyargs", "kwonlydefaults", "annotations")


class FullArgSpec(NamedTuple):
    """A Python signature as files have it: that of `inspect.getfullargspec`."""

    args: list[str]
    varargs: str | None
    varkw: str | None
    defaults: tuple[Any, ...] | None
    kwonlyargs: list[str]
    kwonlydefaults: dict[str, Any] | None
    annotations: dict[str, Any]

    @classmethod
    def of(cls, signature: inspect.Signature, with_defaults: bool = True) -> FullArgSpec:
        """The form of a signature."""
        by_kind: dict[Any, list[inspect.Parameter]] = {}
        for item in signature.parameters.values():
            by_kind.setdefault(item.kind, []).append(item)
        args = [*by_kind.get(_POSITIONAL_ONLY, ()), *by_kind.get(_POSITIONAL, ())]
        keywords = by_kind.get(_KEYWORD_ONLY, [])
        defaults = tuple(item.default for item in args if item.default is not item.empty)
        of_keywords = {item.name: item.default for item in keywords if item.default is not item.empty}
        return cls(
            [item.name for item in args],
            next((item.name for item in by_kind.get(_ANY_ARGS, ())), None),
            next((item.name for item in by_kind.get(_ANY_KEYWORDS, ())), None),
            defaults or None if with_defaults else None,
            [item.name for item in keywords],
            of_keywords or None if with_defaults else None,
            {},
        )

    def signature(self, is_method: bool) -> inspect.Signature:
        """The signature, without `self` of a method.

        Raises:
          ValueError: it is malformed.
        """
        given = self.defaults or ()
        defaults = [_EMPTY] * (len(self.args) - len(given)) + list(given)
        parameters = [
            inspect.Parameter(name, _POSITIONAL, default=default)
            for name, default in zip(self.args, defaults, strict=True)
        ]
        parameters = parameters[1:] if is_method else parameters
        if self.varargs is not None:
            parameters.append(inspect.Parameter(self.varargs, _ANY_ARGS))
        of_keywords = self.kwonlydefaults or {}
        for name in self.kwonlyargs:
            parameters.append(inspect.Parameter(name, _KEYWORD_ONLY, default=of_keywords.get(name, _EMPTY)))
        if self.varkw is not None:
            parameters.append(inspect.Parameter(self.varkw, _ANY_KEYWORDS))
        return inspect.Signature(parameters)


_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_ANY_ARGS = inspect.Parameter.VAR_POSITIONAL
_ANY_KEYWORDS = inspect.Parameter.VAR_KEYWORD
_EMPTY = inspect.Parameter.empty


# --- Python signatures -----------------------------------------------------------------------------------------------


def encode_function_spec(message: Any, function: Function) -> None:
    """Fills the `FunctionSpec` of a `tf.function`.

    Raises:
      NotEncodableError: a default value has no form in files.
    """
    message.fullargspec.CopyFrom(encode(FullArgSpec.of(function.function_spec)))
    message.input_signature.CopyFrom(encode(input_signature_of(function)))
    if function._jit_compile is not None:
        message.jit_compile = message.ON if function._jit_compile else message.OFF


def encode_bare_spec(message: Any, signature: inspect.Signature) -> None:
    """Fills the `FunctionSpec` of a trace, which has a value for each parameter."""
    message.fullargspec.CopyFrom(encode(FullArgSpec.of(signature, with_defaults=False)))
    message.input_signature.none_value.SetInParent()


def decode_function_spec(message: Any) -> tuple[inspect.Signature, Any]:
    """The signature that a `FunctionSpec` describes, and the input signature: a tuple of specs, or None.

    Raises:
      ValueError: the message is malformed.
    """
    full = decode(message.fullargspec)
    if getattr(full, "_fields", None) != _FIELDS or not _is_sane(full):
        raise ValueError(f"{full!r} is no signature of a Python function.")
    input_signature = decode(message.input_signature) if message.HasField("input_signature") else None
    if not isinstance(input_signature, (tuple, list, type(None))):
        raise ValueError(f"{input_signature!r} is no input signature of a function.")
    signature = FullArgSpec(*full).signature(message.is_method)
    return signature, None if input_signature is None else tuple(input_signature)


def _is_sane(full: Any) -> bool:
    """Whether what stands for a signature in a file is of the right types."""
    lists = (full.args, full.kwonlyargs)
    return (
        all(isinstance(item, list) and all(isinstance(name, str) for name in item) for item in lists)
        and all(isinstance(item, (str, type(None))) for item in (full.varargs, full.varkw))
        and isinstance(full.defaults or (), (tuple, list))
        and len(full.defaults or ()) <= len(full.args)
        and isinstance(full.kwonlydefaults or {}, Mapping)
    )


def input_signature_of(function: Function) -> tuple[Any, ...] | None:
    """The specs that fix the types of a function's arguments; there are none to fix where it has no parameters."""
    if function.input_signature is None and not function.function_spec.parameters:
        return ()
    return function.input_signature


# --- Traces ----------------------------------------------------------------------------------------------------------


class TraceSignature(NamedTuple):
    """What a trace takes and gives.

    Attributes:
      inputs: the positional arguments (a tuple) and those by keyword (a dict), with specs for tensors and variables.
      outputs: the structure of the results, with specs for tensors.
      keywords: for each tensor among the arguments a name, all different.
    """

    inputs: tuple[Any, Any]
    outputs: Any
    keywords: list[str]


def signature_of_trace(concrete: ConcreteFunction, signature: inspect.Signature | None = None) -> TraceSignature:
    """What a trace takes and gives.

    Args:
      concrete: the trace.
      signature: of the Python function: where the trace's arguments end, its default values stand.
    """
    arguments = {id(item.leaf): item for item in _named_arguments(concrete)}
    args, kwargs = _map_to_specs(concrete._structure, lambda path, leaf: _argument_spec(leaf, arguments.get(id(leaf))))
    if signature is not None:
        args, kwargs = _with_defaults(signature, args, kwargs)
    outputs = _map_to_specs(concrete._result, lambda path, leaf: _spec_of(leaf, _output_name(path)))
    return TraceSignature((args, kwargs), outputs, [item.keyword for item in arguments.values()])


class _Argument(NamedTuple):
    """An argument that is a tensor or a variable."""

    leaf: Any
    name: str  # of its spec: with its place in a nested argument
    keyword: str  # by which it is passed
    kind: Any


def signature_of_bare_trace(concrete: ConcreteFunction) -> inspect.Signature:
    """A Python signature for a trace of which only the arguments are known."""
    args, kwargs = concrete._structure
    names = iter(concrete._parameters)
    parameters: dict[str, inspect.Parameter] = {}
    for index, value in enumerate(args):
        own = [next(names) for _ in nest.flatten(value, expand_composites=True)]
        name = own[0] if own and own[0] not in parameters else f"arg_{index}"
        parameters[name] = inspect.Parameter(name, _POSITIONAL)
    for name in sorted(kwargs):
        parameters[name] = inspect.Parameter(name, _KEYWORD_ONLY)
    return inspect.Signature(list(parameters.values()))


def _named_arguments(concrete: ConcreteFunction) -> list[_Argument]:
    found: list[_Argument] = []
    names: set[str] = set()
    keywords: set[str] = set()
    index = 0
    for path, value in nest.flatten_with_paths(concrete._structure):
        leaves = nest.flatten(value, expand_composites=True)
        is_leaf = len(leaves) == 1 and leaves[0] is value  # else a sparse tensor or its like
        inner = list(map(str, path[2:])) if is_leaf else []
        for leaf in leaves:
            if concrete._arguments[index] is not None:
                parameter, label = concrete._parameters[index], concrete._labels[index]
                name = _unique(label if label != parameter else "_".join([parameter, *inner]), names)
                found.append(_Argument(leaf, name, _unique(label, keywords), concrete._types[index]))
            index += 1
    return found


def _unique(wanted: str, taken: set[str]) -> str:
    """The name, with a suffix `_1`, `_2`, … where it is taken."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _argument_spec(leaf: Any, argument: _Argument | None) -> Any:
    if argument is None:
        return leaf
    kind = argument.kind
    if isinstance(kind, VariableType):
        return VariableSpec(kind.shape, kind.dtype, kind.trainable, kind.alias)
    return _spec_of(leaf, argument.name)


def _output_name(path: tuple[Any, ...]) -> str:
    if not path:
        return "unknown"
    return "_".join(map(str, path if isinstance(path[0], str) else ("tensor", *path)))


def _spec_of(leaf: Any, name: str | None) -> Any:
    """The spec of a tensor; other leaves as they are."""
    if isinstance(leaf, TensorSpec):
        return TensorSpec(leaf._shape, leaf.dtype, leaf.name or name)
    return TensorSpec(leaf._shape, leaf.dtype.base_dtype, name) if isinstance(leaf, Tensor) else leaf


def _map_to_specs(value: Any, change: Callable[[tuple[Any, ...], Any], Any], path: tuple[Any, ...] = ()) -> Any:
    """A structure with specs in place of composites, and changed leaves."""
    if isinstance(value, CompositeTensor):
        return value._type_spec
    if isinstance(value, TypeSpec):
        return change(path, value)
    items = nest.items(value)
    if items is None:
        return change(path, value)
    children = [(key, _map_to_specs(child, change, (*path, key))) for key, child in items]
    if isinstance(value, Mapping):
        return dict(children)
    if isinstance(value, tuple):
        found = [child for _, child in children]
        return type(value)(*found) if hasattr(value, "_fields") else tuple(found)
    if isinstance(value, list):
        return [child for _, child in children]
    raise NotEncodableError(f"No encoder for object {value!r} of type {type(value)}.")


def _with_defaults(signature: inspect.Signature, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments with default values for the parameters that an input signature does not name."""
    bound = signature.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs

