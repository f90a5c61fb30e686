"""Functions as protocol buffers: the `FunctionDef`s of those that the nodes of a `GraphDef` call."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from millstream.core import list_sums, loop_counters, opdef
from millstream.core.graph_function import GraphFunction
from millstream.core.graph_io import NodeWriter, encode_attr, saved_name
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor


class LibraryWriter:
    """Writes each function that operations call once, and so the functions that it calls.

    Args:
      library: the `FunctionDefLibrary` to fill.
      add_shapes: whether nodes get an attribute `_output_shapes`.
    """

    def __init__(self, library: Any, add_shapes: bool) -> None:
        self._library = library
        self._add_shapes = add_shapes
        self._names: dict[GraphFunction, str] = {}
        self._messages: dict[GraphFunction, Any] = {}
        self._kept: dict[GraphFunction, list[Tensor]] = {}
        self._taken: dict[str, int] = {}

    def name_of(self, op: Operation, function: GraphFunction, counted: bool = False) -> str:
        """The name of a function that an operation calls; writes the function if it is new.

        Args:
          op: the operation.
          function: the function.
          counted: whether it is a part of a loop that gets a counter (`loop_counters`).
        """
        if function not in self._names:
            writer = self._write(function, saved_name(op, function), _ref_arguments(op))
            if counted:
                writer.add_counter(self._messages[function], op.attrs["body"] is function)
        return self._names[function]

    def keep(self, function: GraphFunction, tensors: Iterable[Tensor]) -> None:
        """Has tensors of a function, which is still to be written, written although its results do not need them."""
        self._kept.setdefault(function, []).extend(tensors)

    def argument_name(self, function: GraphFunction, index: int) -> str:
        """The name of an argument of a function that has been written."""
        return str(self._messages[function].signature.input_arg[index].name)

    def add(self, function: GraphFunction) -> str:
        """Writes a function, whether or not an operation calls it; gives its name."""
        if function not in self._names:
            self._write(function, function.saved_name or function.name, frozenset())
        return self._names[function]

    def _write(self, function: GraphFunction, wanted_name: str, references: frozenset[int]) -> _FunctionWriter:
        name = self._names[function] = _unique(wanted_name, self._taken)
        message = self._messages[function] = self._library.function.add()
        writer = _FunctionWriter(function, references, self, self._kept.get(function, ()))
        writer.write(message, name, self._add_shapes)
        return writer


def _unique(name: str, taken: dict[str, int]) -> str:
    """The name, with a suffix `_1`, `_2`, … where it is taken."""
    found = name
    while found in taken:
        found = f"{name}_{taken[name]}"
        taken[name] += 1
    taken[found] = 1
    return found


def _needed(function: GraphFunction, kept: Iterable[Tensor] = ()) -> list[Operation]:
    """The operations that outputs, control outputs and other tensors need, in the order in which they were made."""
    given = {tensor.op for tensor in function.inputs}
    found: set[Operation] = set()
    waiting = [*(tensor.op for tensor in (*function.outputs, *kept)), *function.control_outputs]
    while waiting:
        op = waiting.pop()
        if op not in found and op not in given:
            found.add(op)
            waiting.extend(tensor.op for tensor in op.inputs)
            waiting.extend(op._control_inputs)
    return [op for op in function.graph.get_operations() if op in found]


def _ref_arguments(op: Operation) -> frozenset[int]:
    """The arguments of the functions that an operation calls which one of these takes as references to variables."""
    functions = opdef.functions_of(op)
    if not any(tensor.dtype.is_ref for function in functions for tensor in function.inputs):
        return frozenset()
    return frozenset().union(*map(_taken_as_ref, functions))


def _taken_as_ref(function: GraphFunction) -> frozenset[int]:
    places = {tensor: index for index, tensor in enumerate(function.inputs) if tensor.dtype.is_ref}
    found = set()
    for op in _needed(function) if places else ():
        for index, tensor in enumerate(op.inputs):
            if tensor in places and _takes_ref(op, index):
                found.add(places[tensor])
    return frozenset(found)


def _takes_ref(op: Operation, index: int) -> bool:
    if op.definition.calls_function:
        return index - len(op.inputs) + len(opdef.functions_of(op)[0].inputs) in _ref_arguments(op)
    for spec, place in zip(op.definition.inputs, opdef.input_slices(op.definition, op.attrs), strict=True):
        if place == index if isinstance(place, int) else place.start <= index < place.stop:
            return spec.is_ref
    return False


class _FunctionWriter:
    """Writes one function: its inputs have names, and other tensors are called `node:output:index`."""

    def __init__(
        self, function: GraphFunction, references: frozenset[int], library: LibraryWriter, kept: Iterable[Tensor]
    ) -> None:
        self._function = function
        self._references = references
        self._library = library
        self._ops = _needed(function, kept)
        # One namespace for nodes, arguments and results.
        self._taken = dict.fromkeys((op.name for op in self._ops), 1)
        self._arguments = self._named(function.inputs)
        self._names = dict(zip(function.inputs, self._arguments, strict=True))

    def _named(self, tensors: Iterable[Tensor]) -> list[str]:
        return [_unique(_argument_name(tensor), self._taken) for tensor in tensors]

    def write(self, message: Any, name: str, add_shapes: bool) -> None:
        """Fills a `FunctionDef`."""
        function = self._function
        signature = message.signature
        signature.name = name
        signature.is_stateful = any(op.definition.stateful for op in self._ops) or bool(function.written_inputs)
        for index, (argument, tensor) in enumerate(zip(self._arguments, function.inputs, strict=True)):
            arg = signature.input_arg.add(name=argument, type=tensor.dtype.base_dtype.as_datatype_enum)
            arg.is_ref = index in self._references
            if tensor._shape is not None:
                encode_attr(message.arg_attr[index].attr["_output_shapes"], "list(shape)", [tensor._shape])
        for result, tensor in zip(self._named(function.outputs), function.outputs, strict=True):
            signature.output_arg.add(name=result, type=tensor.dtype.base_dtype.as_datatype_enum)
            message.ret[result] = self._reference(tensor)
        for op in dict.fromkeys(function.control_outputs):
            signature.control_output.append(op.name)
            message.control_ret[op.name] = op.name
        self._write_nodes(message, add_shapes)

    def _write_nodes(self, message: Any, add_shapes: bool) -> None:
        writer = NodeWriter(self._name_of, self._reference)
        here = {op.name for op in self._ops}
        for op in self._ops:
            first = []
            for wanted_name, value in loop_counters.FIRST if loop_counters.is_without(op) else ():
                first.append(_unique(f"{op.name}/{wanted_name}", self._taken))
                loop_counters.fill_constant(message.node_def.add(), first[-1], value)
            node = message.node_def.add()
            writer.write(op, node, add_shapes)
            if first:
                loop_counters.add_to_node(node, first)
            controls = [other for other in op._control_inputs if other.name not in here]
            for other in controls:  # arguments are there before anything runs
                node.input.remove(f"^{other.name}")
            _keep_colocation(node, here)
        list_sums.write_in_place(message.node_def, in_function=True, results=message.ret.values())

    def add_counter(self, message: Any, is_body: bool) -> None:
        """Lets the function, which is the condition or body of a loop, take the loop's counter."""
        loop_counters.add_to_function(message, is_body, lambda name: _unique(name, self._taken))

    def _name_of(self, op: Operation, function: GraphFunction) -> str:
        return self._library.name_of(op, function, loop_counters.is_without(op))

    def _reference(self, tensor: Tensor) -> str:
        name = self._names.get(tensor)
        if name is None:
            label, index = _place(tensor)
            index += loop_counters.COUNT if loop_counters.is_without(tensor.op) else 0
            name = self._names[tensor] = f"{tensor.op.name}:{label}:{index}"
        return name


def _argument_name(tensor: Tensor) -> str:
    """A tensor's name as names of arguments are written: small letters, digits and underscores."""
    name = re.sub("[^a-z0-9]", "_", tensor.op.name.lower())
    return name if name[:1].isalpha() else f"x{name}"


def _place(tensor: Tensor) -> tuple[str, int]:
    """Which output of the signature a tensor is, and which tensor of that output."""
    specs: Sequence[Any] = tensor.op.definition.outputs
    index = tensor.value_index
    for spec, place in zip(specs, opdef.argument_slices(tensor.op.definition.outputs, tensor.op.attrs), strict=True):
        start, stop = (place, place + 1) if isinstance(place, int) else (place.start, place.stop)
        if start <= index < stop:
            return spec.name, index - start
    raise ValueError(f"{tensor} is no output of its operation's signature.")


def _keep_colocation(node: Any, here: set[str]) -> None:
    """Leaves out beside which operations outside of the function a node is placed."""
    if "_class" not in node.attr:
        return
    groups = [group for group in node.attr["_class"].list.s if group.decode().removeprefix("loc:@") in here]
    del node.attr["_class"]
    if groups:
        node.attr["_class"].list.s.extend(groups)
