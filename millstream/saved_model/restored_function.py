"""Functions of a SavedModel: traces without the Python function that they were made of."""
from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from millstream.core import errors, nest
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.function import Function
from millstream.core.shapes import TensorShape, is_compatible
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.trace_type import (
    LITERALS,
    Arguments,
    Literal,
    TensorType,
    VariableType,
    is_variable,
    leaves_up_to,
)
from millstream.core.trackable import Trackable


class RestoredFunction(Function):
    """A `tf.function` that was loaded: it has the traces that were saved, and makes no others.

    Args:
      name: the name of the Python function.
      signature: its signature.
      input_signature: the specs that fix the types of its arguments, or None.
      traces: its traces.
      jit_compile: as the saved function had it.
      problems: why traces are missing that the file has.
    """

    def __init__(
        self,
        name: str,
        signature: inspect.Signature,
        input_signature: tuple[Any, ...] | None,
        traces: Sequence[ConcreteFunction],
        jit_compile: bool | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            arguments = self._bind(args, kwargs)
            return self._concrete(arguments).call_leaves(arguments.leaves)

        stand_in.__name__ = stand_in.__qualname__ = name
        stand_in.__signature__ = signature  # type: ignore[attr-defined]
        super().__init__(stand_in, autograph=False, jit_compile=jit_compile)
        self._specs = input_signature if len(traces) == 1 else None
        self._problems = list(problems)
        self._traces = {(index,): trace for index, trace in enumerate(traces)}

    @property
    def concrete_functions(self) -> list[ConcreteFunction]:
        """The traces."""
        return list(self._traces.values())

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("A function of a SavedModel cannot be copied or pickled; load the model once more.")

    def _concrete(self, arguments: Arguments) -> ConcreteFunction:
        """The trace for arguments, which become what the trace takes: numbers become tensors.

        Raises:
          ValueError: there is none.
        """
        if self._specs is not None:  # the arguments suit it; for other parameters the trace has values
            trace = self.concrete_functions[0]
            leaves = nest.flatten(trace._structure, expand_composites=True)
            arguments.leaves.extend(leaves[len(arguments.leaves) :])
            return trace
        for converts in (False, True):
            for trace in self.concrete_functions:
                taken = _taken(trace, arguments.structure, converts)
                if taken is not None:
                    arguments.leaves[:] = taken
                    return trace
        raise self._no_match(*arguments.structure)

    def _no_match(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ValueError:
        if not (self.concrete_functions or self._problems):
            return ValueError("Found zero restored functions for caller function.")
        options = [
            f"Option {index}:\n{_listed(*trace._structure)}" for index, trace in enumerate(self.concrete_functions, 1)
        ]
        return ValueError(
            f"Could not find matching concrete function to call loaded from the SavedModel. Got:\n"
            f"{_listed(args, kwargs)}\n\n Expected these arguments to match one of the following {len(options)} "
            "option(s):\n\n" + "\n\n".join([*options, *self._problems])
        )


class UnusableFunction(Trackable):
    """A trace of a SavedModel that cannot be used here.

    Args:
      problem: why.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise errors.UnimplementedError(None, None, self.problem)


def _listed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    args, kwargs = nest.map_structure(_shown, (list(args), dict(kwargs)))
    lines = [f"  Positional arguments ({len(args)} total):", *(f"    * {arg}" for arg in args)]
    return "\n".join([*lines, f"  Keyword arguments: {kwargs}"])


def _shown(leaf: Any) -> Any:
    """A tensor without its values."""
    return _Text(f"<tf.Tensor shape={leaf.shape} dtype={leaf.dtype.name}>") if isinstance(leaf, Tensor) else leaf


class _Text(str):
    """A text that is shown without quotes in lists too."""

    __repr__ = str.__str__


# --- Matching --------------------------------------------------------------------------------------------------------


def _taken(trace: ConcreteFunction, structure: Any, converts: bool) -> list[Any] | None:
    """The leaves of arguments as a trace takes them; None if it does not.

    Args:
      trace: the trace.
      structure: the arguments.
      converts: whether numbers, lists and variables become tensors, and numbers of different types may be equal.
    """
    try:
        leaves = list(leaves_up_to(trace._structure, structure))
    except ValueError:
        return None
    found = []
    variables: dict[int, Any] = {}
    for kind, leaf in zip(trace._types, leaves, strict=True):
        if isinstance(kind, TensorType):
            leaf = _as_tensor(leaf, kind) if converts or isinstance(leaf, (np.ndarray, np.generic)) else leaf
            if not _is_tensor_of(leaf, kind):
                return None
        elif isinstance(kind, VariableType):
            if not _is_variable_of(leaf, kind) or variables.setdefault(kind.alias, leaf) is not leaf:
                return None
        elif not _is_literal(leaf, kind, converts):
            return None
        found.append(leaf)
    return found


def _as_tensor(leaf: Any, kind: TensorType) -> Any:
    """A leaf as a tensor, where it becomes one of this dtype."""
    if isinstance(leaf, (Tensor, TensorSpec)):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic)):
        return None if leaf.dtype == object else to_tensor(leaf)
    try:
        return leaf.value() if is_variable(leaf) else to_tensor(leaf, kind.dtype)
    except (TypeError, ValueError, NotImplementedError):
        return None


def _is_tensor_of(leaf: Any, kind: TensorType) -> bool:
    if not isinstance(leaf, (Tensor, TensorSpec)) or leaf.dtype.base_dtype is not kind.dtype:
        return False
    return is_compatible(kind.shape, leaf._shape)


def _is_variable_of(leaf: Any, kind: VariableType) -> bool:
    return is_variable(leaf) and leaf.dtype is kind.dtype and is_compatible(kind.shape, leaf._shape)


def _is_literal(leaf: Any, kind: Any, converts: bool) -> bool:
    if not isinstance(kind, Literal) or not isinstance(leaf, (*LITERALS, DType, TensorShape)):
        return False
    return bool(leaf == kind.value) and (converts or type(leaf) is kind.kind)
