"""The functions of a SavedModel's library as `ConcreteFunction`s."""
from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from millstream.core import errors, nest
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.dtypes import resource
from millstream.core.func_graph import FuncGraph
from millstream.core.function import leaf_names
from millstream.core.function_library import FunctionLibrary
from millstream.core.function_reader import Function, FunctionReader, signatures_of
from millstream.core.graph import Graph
from millstream.core.graph_function import Argument, GraphFunction
from millstream.core.node_attributes import UnknownAttributeError
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec, VariableSpec
from millstream.core.trace_type import Leaf, Literal, TensorType, VariableType
from millstream.core.type_spec import TypeSpec
from millstream.core.variable_handle import VariableHandle
from millstream.saved_model.structure_codec import decode

# What functions may be about that is not known here.
_UNKNOWN = (errors.NotFoundError, UnknownAttributeError)
_SAVED_NAME = re.compile(r"__inference_(.*)_\d+")


class Capture(NamedTuple):
    """What a function uses from outside: a tensor or handle, and the variable that it belongs to."""

    tensor: Tensor
    variable: Any = None


class ArgumentNames(NamedTuple):
    """What the arguments of a function are called.

    Attributes:
      signature: the signature of the Python function, or None.
      keywords: names by which its arguments that are tensors may be passed; may be too few.
    """

    signature: inspect.Signature | None = None
    keywords: Sequence[str] = ()

    def of(self, structure: Any, leaves: Sequence[Any]) -> tuple[list[str], list[str]]:
        """For each leaf of the arguments the name of its parameter, and its own."""
        if self.signature is not None:
            parameters = leaf_names(self.signature, structure)
        else:
            parameters = [f"arg_{index}" for index in range(len(leaves))]
        keywords = iter(self.keywords)
        labels = []
        for leaf, parameter in zip(leaves, parameters, strict=True):
            keyword = next(keywords, None) if isinstance(leaf, TypeSpec) else None
            labels.append(keyword or getattr(leaf, "name", None) or parameter)
        return parameters, labels


class _SavedFunction(ConcreteFunction):
    """A function of a file, which says what it takes and gives."""

    saved_outputs: Any = None

    @property
    def structured_input_signature(self) -> tuple[Any, Any]:
        return self._structure[0], self._structure[1]

    @property
    def structured_outputs(self) -> Any:
        return self.saved_outputs


class FunctionLoader:
    """Makes the functions of a file.

    Args:
      graph_def: holds the library.
      producer_op_list: the operations of the program that wrote the file.
      names: the functions to read; those that they call are read too.

    Raises:
      ValueError: something is malformed.
      PermissionDeniedError: a function runs Python code or uses files of its own choice.

    Attributes:
      problems: why functions cannot be used, by name: they have operations that are not known, or attributes of
        operations.
    """

    def __init__(self, graph_def: Any, producer_op_list: Any, names: Sequence[str]) -> None:
        library = graph_def.library
        reader = FunctionReader(library, producer_op_list, False, signatures_of(library))
        self.problems: dict[str, str] = {}
        try:
            self._functions = reader.read_for((), names)
        except _UNKNOWN:
            self._functions = self._readable(reader, names)
        self._library = FunctionLibrary(Graph(), self._functions)

    def _readable(self, reader: FunctionReader, names: Sequence[str]) -> dict[str, Function]:
        """The functions whose operations are all known."""
        found: dict[str, Function] = {}
        for name in names:
            try:
                found.update(reader.read_for((), [name]))
            except _UNKNOWN as error:
                self.problems[name] = getattr(error, "message", str(error))
        return found

    def function(self, name: str, inputs: Sequence[Tensor]) -> GraphFunction:
        """A function for such inputs.

        Raises:
          ValueError: the function takes others.
        """
        return self._library.function(name, [Argument.like(tensor) for tensor in inputs])

    def count_of_inputs(self, name: str) -> int:
        """How many inputs a function has, captures among them."""
        return len(self._functions[name].parameters)

    def made(self) -> list[GraphFunction]:
        """The functions that were made, in the order in which they were."""
        return self._library.made()

    def concrete(
        self, name: str, saved: Any, captures: Sequence[Capture], arguments: ArgumentNames
    ) -> ConcreteFunction:
        """A function with what it captures.

        Args:
          name: its name in the library.
          saved: the `SavedConcreteFunction`.
          captures: what it uses from outside.
          arguments: what its arguments are called.

        Raises:
          ValueError: the function does not suit its signature.
        """
        structure, outputs = decode(saved.canonicalized_input_signature), decode(saved.output_signature)
        if not (isinstance(structure, tuple) and list(map(type, structure)) == [tuple, dict]):
            raise ValueError(f"{structure!r} are no arguments of function '{name}'.")
        leaves = nest.flatten(structure, expand_composites=True)
        given = [_argument(leaf) for leaf in leaves if isinstance(leaf, TypeSpec)]
        function = self._library.function(name, [*given, *(Argument.like(item.tensor) for item in captures)])
        graph = function.graph
        set_captures(graph, list(zip(captures, function.inputs[len(given) :], strict=True)))
        graph.control_outputs = function.control_outputs
        tensors = iter(function.inputs)
        placeholders = [next(tensors) if isinstance(leaf, TypeSpec) else None for leaf in leaves]
        concrete = _SavedFunction(
            python_name(name), graph, placeholders, [_type_of(leaf) for leaf in leaves], structure,
            _result(name, graph, outputs, function), *arguments.of(structure, leaves),
        )  # fmt: skip
        concrete.function.saved_name = name
        concrete.saved_outputs = outputs
        return concrete


def python_name(name: str) -> str:
    """The name of the Python function that a function of a file was made of."""
    found = _SAVED_NAME.fullmatch(name)
    return found.group(1) if found else name


def _argument(spec: Any) -> Argument:
    if isinstance(spec, VariableSpec):
        return Argument(resource, (), VariableHandle("", "", spec.dtype, spec._shape))
    return Argument(spec.dtype, spec._shape)


def _type_of(leaf: Any) -> Leaf:
    if isinstance(leaf, TensorSpec):
        return TensorType(leaf.dtype, leaf._shape)
    if isinstance(leaf, VariableSpec):
        return VariableType(leaf.dtype, leaf._shape, leaf.trainable, leaf.alias_id or 0)
    return Literal(type(leaf), leaf)


def set_captures(graph: FuncGraph, captures: Sequence[tuple[Capture, Tensor]]) -> None:
    """Says what stands outside for the inputs of a function that are no arguments."""
    for index, (capture, inner) in enumerate(captures):
        key = id(capture.tensor)
        graph._captures[-1 - index if key in graph._captures else key] = capture.tensor, inner
        if capture.variable is not None:
            graph.add_variable(capture.variable)


def _result(name: str, graph: FuncGraph, structure: Any, function: GraphFunction) -> Any:
    """The structure of a function's results, with the tensors of its graph."""
    specs = nest.flatten(structure)
    tensors = [spec for leaf in specs if isinstance(leaf, TypeSpec) for spec in leaf.flatten()]
    given = [tensor.dtype.base_dtype for tensor in function.outputs]
    if [spec.dtype for spec in tensors] != given:
        raise ValueError(f"Function '{name}' gives {len(given)} tensors of other dtypes than its signature says.")
    outputs = iter(function.outputs)
    with graph.as_default():
        values = [leaf.from_tensors(outputs) if isinstance(leaf, TypeSpec) else leaf for leaf in specs]
    return nest.pack_sequence_as(structure, values)
