"""Signatures: the functions of a model that other programs call by the names of their inputs and outputs."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from millstream.core import nest
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.function import Function
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.trace_type import TensorType
from millstream.core.trackable import Trackable
from millstream.saved_model.constants import DEFAULT_SERVING_SIGNATURE_DEF_KEY
from millstream.saved_model.function_spec import input_signature_of, signature_of_trace


class SignatureMap(Trackable, Mapping[str, Any]):
    """The signatures of a model by name; it does not change."""

    def __init__(self, signatures: Mapping[str, ConcreteFunction] | None = None) -> None:
        self._signatures: dict[str, ConcreteFunction] = dict(signatures or {})

    def update_from(self, signatures: Mapping[str, ConcreteFunction]) -> None:
        """Takes the signatures of a model that is being loaded."""
        self._signatures.update(signatures)

    def __getitem__(self, key: str) -> ConcreteFunction:
        return self._signatures[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._signatures)

    def __len__(self) -> int:
        return len(self._signatures)

    def __repr__(self) -> str:
        return f"_SignatureMap({self._signatures!r})"

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        return dict(self._signatures) if save_type == "savedmodel" else {}


def named_signatures(signatures: Any, children: Mapping[str, Any]) -> dict[str, ConcreteFunction]:
    """The signatures of a model that is to be saved: functions of arguments by name that give dicts.

    Args:
      signatures: what the user gave: a function, a dict of functions, or None: the only function among the children of
        the saved object that can be a signature.
      children: those children, by name.

    Raises:
      ValueError: something is no function of tensors.
    """
    if signatures is None:
        found = [item for item in map(_as_trace, children.values()) if item is not None and _suits(item)]
        signatures = found[0] if len(found) == 1 else {}
    if not isinstance(signatures, Mapping):
        signatures = {DEFAULT_SERVING_SIGNATURE_DEF_KEY: signatures}
    wrapped = {}
    for key, function in signatures.items():
        concrete = _as_trace(function)
        if concrete is None:
            raise ValueError(
                f"Expected a TensorFlow function for which to generate a signature, but got {function}. Only "
                "`tf.functions` with an input signature or concrete functions can be used as a signature."
            )
        if not isinstance(key, str):
            raise ValueError(f"The name of a signature must be a string, not {key!r}.")
        wrapped[key] = _wrapped(concrete, key)
    return wrapped


def _as_trace(function: Any) -> ConcreteFunction | None:
    """The one trace of a function; None for what is none, or has no input signature."""
    if isinstance(function, ConcreteFunction):
        return function
    if isinstance(function, Function) and input_signature_of(function) is not None:
        return function.get_concrete_function()
    return None


def _suits(concrete: ConcreteFunction) -> bool:
    try:
        _named_outputs(concrete, concrete._result, "")
    except ValueError:
        return False
    return True


def _wrapped(concrete: ConcreteFunction, key: str) -> ConcreteFunction:
    """A function that takes the tensors of another one by name, and gives a dict."""
    kinds = [kind for kind, tensor in zip(concrete._types, concrete._arguments, strict=True) if tensor is not None]
    keywords = signature_of_trace(concrete).keywords
    if not all(isinstance(kind, TensorType) for kind in kinds):
        raise ValueError(f"The function {concrete.name} cannot be the signature '{key}': it takes variables.")

    def signature_wrapper(**inputs: Tensor) -> dict[str, Tensor]:
        leaves = nest.flatten(concrete._structure, expand_composites=True)
        places = [index for index, tensor in enumerate(concrete._arguments) if tensor is not None]
        for place, name in zip(places, keywords, strict=True):
            leaves[place] = inputs[name]
        return _named_outputs(concrete, concrete.call_leaves(leaves), key)

    specs = {
        name: TensorSpec(kind.shape, kind.dtype, name)
        for name, kind in zip(keywords, kinds, strict=True)
        if isinstance(kind, TensorType)
    }
    return Function(signature_wrapper, autograph=False).get_concrete_function(**specs)


def _named_outputs(concrete: ConcreteFunction, outputs: Any, key: str) -> dict[str, Tensor]:
    """The outputs of a function by name: those of a dict have names, others are counted.

    Raises:
      ValueError: they are nested, or no tensors.
    """
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        several = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        named = {f"output_{index}": value for index, value in enumerate(several)}
    for name, value in named.items():
        if not isinstance(name, str):
            raise ValueError(
                f"Got a dictionary with a non-string key {name!r} in the output of the function {concrete.name} used "
                f"to generate the SavedModel signature {key!r}."
            )
        if not isinstance(value, Tensor):
            raise ValueError(
                f"Got a non-Tensor value {value!r} for key {name!r} in the output of the function {concrete.name} used "
                f"to generate the SavedModel signature {key!r}. Outputs for functions used as signatures must be a "
                "single Tensor, a sequence of Tensors, or a dictionary from string to Tensor."
            )
    return named
