"""`ConcreteFunction`: one trace of a Python function."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from millstream.core import context, errors, nest, tape
from millstream.core.conversion import to_tensor
from millstream.core.export import export_value
from millstream.core.func_graph import FuncGraph
from millstream.core.graph import get_default_graph
from millstream.core.graph_function import GraphFunction, call
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.trace_type import Leaf, TensorType, VariableType, is_variable
from millstream.core.trackable import Trackable


class _Slot(NamedTuple):
    """An argument that tensors are in: the places of its leaves, and whether it is itself a tensor."""

    places: list[int]
    is_tensor: bool


class ConcreteFunction(Trackable):
    """A function traced for arguments of certain types: a graph with inputs and outputs. Calling it runs the graph.

    Args:
      name: the Python function's name.
      graph: the graph of the body.
      arguments: for each leaf of the arguments its placeholder, or None where it is no tensor.
      types: the types of the leaves.
      structure: the arguments, (positional, keyword), as they were when the function was traced.
      result: what the Python function gave, a structure whose tensors are those of the graph.
      parameters: the names of the leaves' parameters.
      labels: the names of the leaves' specs, or else of their parameters.
    """

    def __init__(
        self,
        name: str,
        graph: FuncGraph,
        arguments: Sequence[Tensor | None],
        types: Sequence[Leaf],
        structure: Any,
        result: Any,
        parameters: Sequence[str],
        labels: Sequence[str],
    ) -> None:
        self._python_name = name
        self.graph = graph
        self._arguments = list(arguments)
        self._types = list(types)
        self._structure = structure
        self._result = result
        self._parameters = list(parameters)
        self._labels = list(labels)
        self._flat = nest.flatten(result, expand_composites=True)
        graph.outputs = [leaf for leaf in self._flat if isinstance(leaf, Tensor)]
        # An argument that stands at several places is one input; of its places, the last counts.
        places = {id(tensor): index for index, tensor in enumerate(arguments) if tensor is not None}
        self._places = list(places.values())
        self._inputs: list[Any] = [self._arguments[place] for place in self._places]
        self._is_plain_tuple = type(result) is tuple and list(map(id, result)) == list(map(id, graph.outputs))
        self.function = GraphFunction(
            graph, [*self._inputs, *graph.internal_captures], graph.outputs, graph.control_outputs
        )

    # --- Facts --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the function in graphs."""
        return self.function.name

    @property
    def inputs(self) -> list[Tensor]:
        """The placeholders of the arguments, then those of the captures."""
        return list(self.function.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors of the graph that the function gives."""
        return list(self.function.outputs)

    @property
    def captured_inputs(self) -> list[Tensor]:
        """The tensors and handles outside of the function that it uses."""
        return self.graph.external_captures

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables that the function uses."""
        return tuple(self.graph.variables)

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The trainable variables that the function uses."""
        return tuple(variable for variable in self.graph.variables if variable.trainable)

    @property
    def structured_outputs(self) -> Any:
        """The outputs as the Python function gave them, with a `TensorSpec` for each tensor."""
        return nest.map_structure(_spec_of, self._result)

    @property
    def structured_input_signature(self) -> tuple[Any, Any]:
        """The positional and keyword arguments, with a `TensorSpec` for each tensor."""
        places = itertools.count()

        def spec_of(leaf: Any) -> Any:
            own = [next(places) for _ in nest.flatten(leaf, expand_composites=True)]
            if len(own) != 1 or not isinstance(self._types[own[0]], TensorType):
                return _spec_of(leaf)
            kind: Any = self._types[own[0]]
            return TensorSpec(kind.shape, kind.dtype, self._labels[own[0]])

        return nest.map_structure(spec_of, self._structure)

    @property
    def output_dtypes(self) -> Any:
        """The dtypes of the outputs, in their structure."""
        return nest.map_structure(lambda leaf: leaf.dtype if isinstance(leaf, Tensor) else None, self._result)

    @property
    def output_shapes(self) -> Any:
        """The static shapes of the outputs, in their structure."""
        return nest.map_structure(lambda leaf: leaf.shape if isinstance(leaf, Tensor) else None, self._result)

    # --- Calls --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function with its tensor arguments, in order or by name.

        Raises:
          TypeError: arguments are missing, too many, or of another dtype or shape than the trace was made for.
        """
        return self.call_leaves(self._bind(args, kwargs))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The leaves of the arguments of a direct call."""
        positional = self._leaves_of(args)
        if positional is None:
            positional = nest.flatten(args, expand_composites=True)
            if len(positional) == len(self._arguments) and not kwargs:
                return [self._checked(index, leaf) for index, leaf in enumerate(positional)]
        leaves = list(nest.flatten(self._structure, expand_composites=True))
        places = [index for index, tensor in enumerate(self._arguments) if tensor is not None]
        if len(positional) > len(places):
            raise TypeError(
                f"{self._python_name}() takes {len(places)} tensor arguments but {len(positional)} were given. "
                f"Its signature is {self._signature_text()}."
            )
        given = dict(zip(places, positional, strict=False))
        for name, value in kwargs.items():
            names = zip(self._parameters, self._labels, strict=True)
            matching = [index for index, own in enumerate(names) if name in own]
            is_tensor = any(slot.places == matching and slot.is_tensor for slot in self._slots)
            flat = [value] if is_tensor else nest.flatten(value, expand_composites=True)
            if len(matching) != len(flat):
                raise TypeError(f"{self._python_name}() got an unexpected keyword argument {name!r}.")
            given.update(zip(matching, flat, strict=True))
        for index in places:
            if index not in given:
                raise TypeError(
                    f"{self._python_name}() is missing the argument {self._parameters[index]!r}. "
                    f"Its signature is {self._signature_text()}."
                )
            leaves[index] = self._checked(index, given[index])
        return leaves

    @cached_property
    def _slots(self) -> list[_Slot]:
        """The arguments that tensors are in."""
        found: dict[Any, _Slot] = {}
        for index, (path, _) in enumerate(nest.flatten_with_paths(self._structure, expand_composites=True)):
            if self._arguments[index] is not None:
                found.setdefault(path[:2], _Slot([], len(path) == 2)).places.append(index)
        return list(found.values())

    def _leaves_of(self, args: tuple[Any, ...]) -> list[Any] | None:
        """The leaves of positional arguments, where these are of the form of the first that tensors are in.

        A list may stand for a tensor.
        """
        slots = self._slots[: len(args)]
        if len(slots) < len(args):
            return None
        parts = [
            [value] if slot.is_tensor else nest.flatten(value, expand_composites=True)
            for slot, value in zip(slots, args, strict=True)
        ]
        if any(len(part) != len(slot.places) for slot, part in zip(slots, parts, strict=True)):
            return None
        return [leaf for part in parts for leaf in part]

    def _checked(self, index: int, leaf: Any) -> Any:
        kind = self._types[index]
        if isinstance(kind, TensorType):
            tensor = to_tensor(leaf, kind.dtype if not isinstance(leaf, Tensor) else None)
            if tensor.dtype.base_dtype is not kind.dtype or not _fits(kind, tensor):
                raise TypeError(
                    f"Binding inputs to tf.function failed due to `Can not cast {TensorSpec.from_tensor(tensor)!r} to "
                    f"{kind}`. Received {leaf!r} for the argument {self._parameters[index]!r} of "
                    f"{self._signature_text()}."
                )
            return tensor
        return leaf

    def call_leaves(self, leaves: Sequence[Any]) -> Any:
        """Calls the function with the leaves of its arguments."""
        inputs = [_as_input(leaves[place]) for place in self._places]
        if tape.current.tapes:
            self._watch(leaves)
        if not context.executing_eagerly():
            self._note_use(get_default_graph())
        outputs = call(self.function, [*inputs, *self.captured_inputs])
        return self._packed(outputs)

    def _watch(self, leaves: Sequence[Any]) -> None:
        """Has the tapes watch the trainable variables that the function reads."""
        for variable in self.graph.variables:
            if variable.trainable and not variable.is_argument:
                tape.variable_accessed(variable)
        for kind, leaf in zip(self._types, leaves, strict=True):
            if isinstance(kind, VariableType) and leaf.trainable:
                tape.variable_accessed(leaf)

    def _note_use(self, graph: Any) -> None:
        """Tells a function that is being traced that it uses the variables of this one."""
        if graph.building_function:
            for variable in self.graph.variables:
                if not variable.is_argument:
                    graph.add_variable(variable)

    def _packed(self, outputs: list[Tensor]) -> Any:
        if self._is_plain_tuple:
            return tuple(outputs)
        if self._result is self._flat[0] if len(self._flat) == 1 else False:
            return outputs[0] if outputs else self._flat[0]
        rest = iter(outputs)
        flat = [next(rest) if isinstance(leaf, Tensor) else leaf for leaf in self._flat]
        return nest.pack_sequence_as(self._result, flat, expand_composites=True)

    # --- As text ------------------------------------------------------------------------------------------------

    def _signature_text(self) -> str:
        named: dict[str, list[str]] = {}
        for name, kind in zip(self._parameters, self._types, strict=True):
            named.setdefault(name, []).append(str(kind))
        parts = [f"{name}: {_joined(items, '[')}" for name, items in named.items()]
        return f"({', '.join(parts)})"

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """The parameters with their types, the type of the result, and the captures, as text."""
        if not verbose:
            return f"{self._python_name}{self._signature_text()}"
        lines = ["Input Parameters:"]
        named: dict[str, list[str]] = {}
        for name, kind in zip(self._parameters, self._types, strict=True):
            named.setdefault(name, []).append(str(kind))
        for name, items in named.items():
            lines.append(f"  {name} (POSITIONAL_OR_KEYWORD): {_joined(items, 'List[')}")
        lines += ["Output Type:", f"  {self._output_text()}", "Captures:"]
        captured = [f"  {id(outer)}: {TensorSpec(outer.shape, outer.dtype)!r}" for outer in self.captured_inputs]
        return "\n".join([*lines, *(captured or ["  None"])])

    def _output_text(self) -> str:
        specs = [
            repr(TensorSpec(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf) for leaf in self._flat
        ]
        if not nest.is_nested(self._result):
            return specs[0]
        return f"{type(self._result).__name__.capitalize()}[{', '.join(specs)}]"

    def __str__(self) -> str:
        return f"ConcreteFunction {self.pretty_printed_signature()}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self.pretty_printed_signature(verbose=False)} at 0x{id(self):X}>"


export_value(__name__, "ConcreteFunction", v2=["types.experimental.ConcreteFunction"])


def _spec_of(leaf: Any) -> Any:
    """The spec of a tensor, or of what is made of tensors; another leaf as it is."""
    if isinstance(leaf, nest.Composite):
        return leaf._part_spec()
    return TensorSpec.from_tensor(leaf) if isinstance(leaf, Tensor) else leaf


def _joined(items: list[str], opening: str) -> str:
    """One item as it is, several as a list."""
    return items[0] if len(items) == 1 else f"{opening}{', '.join(items)}]"


def _fits(kind: TensorType, tensor: Tensor) -> bool:
    wanted, found = kind.shape, tensor._shape
    if wanted is None or found is None:
        return True
    return len(wanted) == len(found) and all(
        a is None or b is None or a == b for a, b in zip(wanted, found, strict=True)
    )


def _as_input(leaf: Any) -> Tensor:
    if isinstance(leaf, Tensor):
        return leaf
    return leaf.handle if is_variable(leaf) else to_tensor(leaf)


def as_outputs(graph: FuncGraph, result: Any, name: str) -> Any:
    """What a Python function gave, with tensors of the graph for all that is, or becomes, a tensor.

    Raises:
      TypeError: something in it is no tensor and does not become one.
    """

    def convert(leaf: Any) -> Any:
        if leaf is None or isinstance(leaf, Operation):
            return None
        if isinstance(leaf, IndexedSlices):
            return leaf
        if is_variable(leaf):
            leaf = leaf.value()
        try:
            return graph.capture(to_tensor(leaf))
        except errors.InaccessibleTensorError:
            raise
        except (TypeError, ValueError):
            raise TypeError(
                "To be compatible with tf.function, Python functions must return zero or more Tensors or "
                f"ExtensionTypes or None values; in compilation of {name}, found return value of type "
                f"{type(leaf).__name__}, which is not a Tensor or ExtensionType."
            ) from None

    return nest.map_structure(convert, result, expand_composites=True)


def trace(name: str, graph: FuncGraph, function: Callable[[], Any]) -> Any:
    """Runs a Python function that builds `graph`; gives what it gave, as tensors of the graph."""
    with graph.as_default(), context.scope(""):
        return as_outputs(graph, function(), name)
