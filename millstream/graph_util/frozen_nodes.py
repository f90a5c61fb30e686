"""Puts constants in the place of variables in a `GraphDef`, also where functions, branches and loops read them.

A handle of a resource variable wanders: through identities, into loops and branches, and as an argument into functions.
Where it is one of a variable that becomes a constant, all of them pass on the value instead of the handle, and reads
become identities. A function is copied where only some of its callers pass constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from millstream.core import dtypes, shapes
from millstream.graph_util.nodes import copy_of, node_name, output_index

REF_VARIABLES = frozenset(("Variable", "VariableV2"))
RESOURCE_VARIABLES = frozenset(("VarHandleOp", "_VarHandlesOp"))
_RESOURCE = dtypes.resource.as_datatype_enum
_PASSES = frozenset(("Identity", "Enter", "Exit", "Switch", "Merge", "NextIteration"))
_BRANCHES = frozenset(("If", "StatelessIf", "Case", "StatelessCase"))
_LOOPS = frozenset(("While", "StatelessWhile"))
# Reads of a variable, with the names of the output before and after.
_READS = {"ReadVariableOp": ("value", "output")}


class Value(NamedTuple):
    """What is known of the value that stands in a handle's place."""

    dtype: int  # a DataType
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.ndarray[Any, Any]) -> Value:
        """The dtype and shape of an array."""
        return cls(dtypes.from_numpy(array.dtype).as_datatype_enum, array.shape)


_Known = dict[tuple[str, int], Value]  # by node and output


def freeze_nodes(graph_def: Any, values: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """A graph with constants in the place of variables.

    Args:
      graph_def: a `GraphDef`.
      values: the values, by the name of the variable's node, or of a placeholder that stands for it or its handle.

    Returns:
      A new `GraphDef`.

    Raises:
      ValueError: something writes to a variable that becomes a constant, or takes its handle in a way that a constant
        cannot replace.
    """
    frozen = copy_of(graph_def)
    known: _Known = {}
    for index, source in enumerate(graph_def.node):
        if source.name in values:
            value = values[source.name]
            frozen.node[index].CopyFrom(constant_node(source.name, value))
            if source.op in RESOURCE_VARIABLES or source.attr["dtype"].type == _RESOURCE:
                known[source.name, 0] = Value.of(value)
    if known:
        _Freezer(frozen).nodes(frozen.node, known)
    _forget_references(frozen, values)
    return frozen


def constant_node(name: str, value: np.ndarray[Any, Any]) -> Any:
    """A `NodeDef` of a constant."""
    from millstream.io import proto
    from millstream.io.tensor_proto import to_proto

    node = proto.NodeDef(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(to_proto(value))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return node


def _forget_references(graph_def: Any, values: Mapping[str, Any]) -> None:
    """Has functions take values where they took references to variables that are constants now."""
    by_name = {function.signature.name: function for function in graph_def.library.function}
    if not any(arg.is_ref for function in by_name.values() for arg in function.signature.input_arg):
        return
    for node in graph_def.node:
        first = 1 if node.op in _BRANCHES else 0
        inputs = [text for text in node.input if not text.startswith("^")][first:]
        for attr in node.attr.values():
            names = [attr.func.name] if attr.WhichOneof("value") == "func" else [f.name for f in attr.list.func]
            for name in names:
                arguments = by_name[name].signature.input_arg if name in by_name else ()
                for text, arg in zip(inputs, arguments, strict=False):
                    arg.is_ref = arg.is_ref and node_name(text) not in values


class _Freezer:
    """Rewrites nodes, and the functions that they call."""

    def __init__(self, graph_def: Any) -> None:
        self._library = graph_def.library
        self._functions = {function.signature.name: function for function in graph_def.library.function}
        self._made: dict[tuple[str, tuple[Value | None, ...]], tuple[str, list[Value | None]]] = {}

    # --- Nodes --------------------------------------------------------------------------------------------------

    def nodes(self, nodes: Any, known: _Known, in_function: bool = False) -> dict[str, tuple[str, str]]:
        """Rewrites nodes to which values come.

        Args:
          nodes: the nodes.
          known: what values there are in the place of handles; completed.
          in_function: whether the names of inputs are those of a function's body.

        Returns:
          The outputs that are called otherwise now, by node: the old and the new name.
        """
        self._spread(nodes, known, in_function)
        renamed: dict[str, tuple[str, str]] = {}
        for index in reversed(range(len(nodes))):
            node = nodes[index]
            if node.op in _READS and self._input(node, 0, known, in_function) is not None:
                renamed[node.name] = _READS[node.op]
            extra = self._rewrite(node, known, in_function)
            if extra is not None:
                nodes.insert(index, extra)
        return renamed

    def _spread(self, nodes: Any, known: _Known, in_function: bool) -> None:
        """Finds all outputs that are values now instead of handles."""
        users: dict[str, list[Any]] = {}
        for node in nodes:
            for text in node.input:
                users.setdefault(node_name(text), []).append(node)
        waiting = [name for name, _ in known]
        while waiting:
            for user in users.get(waiting.pop(), ()):
                found = {place: value for place, value in self._results(user, known, in_function) if place not in known}
                if found:
                    known.update(found)
                    waiting.append(user.name)

    def _results(self, node: Any, known: _Known, in_function: bool) -> list[tuple[tuple[str, int], Value]]:
        """The outputs of a node that are values in the place of handles."""
        if node.op in _PASSES:
            count = 1 if node.op == "Switch" else len(node.input)
            values = [self._input(node, index, known, in_function) for index in range(count)]
            value = next((item for item in values if item is not None), None)
            if value is None:
                return []
            return [((node.name, index), value) for index in range(2 if node.op == "Switch" else 1)]
        given = self._arguments(node, known, in_function)
        if given is None or not any(given):
            return []
        if node.op in _LOOPS:
            results: Sequence[Value | None] = given
        else:
            results = self._specialised(_called(node, self._functions)[0], given)[1]
        return [((node.name, index), value) for index, value in enumerate(results) if value is not None]

    def _arguments(self, node: Any, known: _Known, in_function: bool) -> list[Value | None] | None:
        """The values that a call passes in the place of handles; None where the node calls nothing."""
        if not _called(node, self._functions):
            return None
        first = 1 if node.op in _BRANCHES else 0
        count = sum(not text.startswith("^") for text in node.input)
        return [self._input(node, index, known, in_function) for index in range(first, count)]

    @staticmethod
    def _input(node: Any, index: int, known: _Known, in_function: bool) -> Value | None:
        if index >= len(node.input) or node.input[index].startswith("^"):
            return None
        text = node.input[index]
        place = int(text.split(":")[2]) if in_function and text.count(":") == 2 else output_index(text)
        return known.get((node_name(text), place))

    def _rewrite(self, node: Any, known: _Known, in_function: bool) -> Any:
        """Has a node take values in the place of handles; gives a node that has to be added before it, or None."""
        given = self._arguments(node, known, in_function)
        if given is not None:
            if any(given):
                self._rewrite_call(node, given)
            return None
        taken = {index: value for index in range(len(node.input))
                 if (value := self._input(node, index, known, in_function)) is not None}  # fmt: skip
        if not taken:
            return None
        value = next(iter(taken.values()))
        if node.op in _PASSES:
            node.attr["T"].type = value.dtype
        elif node.op in _READS:
            _become(node, "Identity", T=value.dtype)
        elif node.op == "VariableShape":
            _become(node, "Shape", T=value.dtype, out_type=node.attr["out_type"].type or dtypes.int32.as_datatype_enum)
        elif node.op == "ResourceGatherNd":
            _become(node, "GatherNd", Tparams=value.dtype, Tindices=node.attr["Tindices"].type)
        elif node.op == "ResourceGather":
            return _become_gather(node, value, in_function)
        elif node.op == "VarIsInitializedOp":
            node.CopyFrom(constant_node(node.name, np.array(True)))
        else:
            raise ValueError(
                f"Node '{node.name}' (op: '{node.op}') takes the handle '{node.input[min(taken)]}' of a variable that "
                "is to become a constant: only reads can be replaced. Leave it out of the outputs, or put the "
                "variable on the blacklist."
            )
        node.attr.pop("_output_shapes", None)
        return None

    # --- Calls --------------------------------------------------------------------------------------------------

    def _rewrite_call(self, node: Any, given: list[Value | None]) -> None:
        called = {name: self._specialised(name, given) for name in _called(node, self._functions)}
        if node.op in called:
            node.op = called[node.op][0]
        for attr in node.attr.values():
            if attr.WhichOneof("value") == "func" and attr.func.name in called:
                attr.func.name = called[attr.func.name][0]
            for item in attr.list.func if attr.WhichOneof("value") == "list" else ():
                item.name = called[item.name][0] if item.name in called else item.name
        results = given if node.op in _LOOPS else next(iter(called.values()))[1]
        for name, values in (("T", given), ("Tin", given), ("Tout", results)):
            if name in node.attr and node.attr[name].WhichOneof("value") == "list":
                _set_types(node.attr[name].list.type, values)
        declared = node.attr["output_shapes"].list.shape if "output_shapes" in node.attr else ()
        for shape, value in zip(declared, results, strict=False):
            if value is not None:
                shape.CopyFrom(shapes.as_proto(value.shape))
        node.attr.pop("_output_shapes", None)

    def _specialised(self, name: str, given: list[Value | None]) -> tuple[str, list[Value | None]]:
        """The copy of a function for such arguments: its name, and which of its results are values."""
        key = name, tuple(given)
        if key not in self._made:
            function = self._functions[name]
            if not any(given):
                self._made[key] = name, [None] * len(function.signature.output_arg)
            else:
                self._made[key] = name, [None] * len(function.signature.output_arg)  # where it calls itself
                self._made[key] = self._make(function, given)
        return self._made[key]

    def _make(self, function: Any, given: list[Value | None]) -> tuple[str, list[Value | None]]:
        new = self._library.function.add()
        new.CopyFrom(function)
        signature = new.signature
        signature.name = self._new_name(f"{signature.name}_frozen")
        self._functions[signature.name] = new
        known: _Known = {}
        for index, (arg, value) in enumerate(zip(signature.input_arg, given, strict=True)):
            if value is not None:
                arg.type, arg.is_ref = value.dtype, False
                known[arg.name, 0] = value
                if index in new.arg_attr:
                    new.arg_attr[index].Clear()
        renamed = self.nodes(new.node_def, known, in_function=True)
        for node in new.node_def:
            for index, text in enumerate(node.input):
                node.input[index] = _renamed(text, renamed)
        results: list[Value | None] = []
        for arg in signature.output_arg:
            text = new.ret[arg.name] = _renamed(new.ret[arg.name], renamed)
            place = int(text.split(":")[2]) if text.count(":") == 2 else 0
            value = known.get((node_name(text), place)) if arg.type == _RESOURCE else None
            results.append(value)
            if value is not None:
                arg.type = value.dtype
        return signature.name, results

    def _new_name(self, name: str) -> str:
        found, count = name, 0
        while found in self._functions:
            count += 1
            found = f"{name}_{count}"
        return found


def _called(node: Any, functions: Mapping[str, Any]) -> list[str]:
    """The functions that a node calls."""
    if node.op in functions:
        return [node.op]
    found = []
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            found.append(value.func.name)
        elif kind == "list":
            found.extend(item.name for item in value.list.func)
    return [name for name in dict.fromkeys(found) if name in functions]


def _set_types(types: Any, values: Sequence[Value | None]) -> None:
    for index, value in enumerate(values):
        if value is not None and index < len(types):
            types[index] = value.dtype


def _renamed(text: str, outputs: Mapping[str, tuple[str, str]]) -> str:
    """An input within a function, of a node whose output is called otherwise now."""
    name, _, rest = text.partition(":")
    if name in outputs and rest.partition(":")[0] == outputs[name][0]:
        return f"{name}:{outputs[name][1]}{rest.removeprefix(outputs[name][0])}"
    return text


def _become(node: Any, op_type: str, **types: int) -> None:
    """Makes a node one of another type with the same inputs."""
    kept = {key: copy_of(value) for key, value in node.attr.items() if key == "_class"}
    node.op = op_type
    node.attr.clear()
    for key, value in kept.items():
        node.attr[key].CopyFrom(value)
    for key, number in types.items():
        node.attr[key].type = number


def _become_gather(node: Any, value: Value, in_function: bool) -> Any:
    """Makes a `ResourceGather` a `GatherV2`; gives the constant of its axis."""
    batch_dims = node.attr["batch_dims"].i
    indices = node.attr["Tindices"].type
    axis = constant_node(f"{node.name}/axis", np.array(batch_dims, np.int32))
    _become(node, "GatherV2", Tparams=value.dtype, Tindices=indices, Taxis=dtypes.int32.as_datatype_enum)
    node.attr["batch_dims"].i = batch_dims
    controls = node.input[2:]
    del node.input[2:]
    node.input.append(f"{axis.name}:output:0" if in_function else axis.name)
    node.input.extend(controls)
    return axis
