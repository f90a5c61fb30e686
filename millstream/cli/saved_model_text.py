"""What `millstream saved_model show` and `scan` print: the text of TensorFlow's `saved_model_cli`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from millstream.core.tensor_spec import TensorSpec
from millstream.saved_model import folders, inspection
from millstream.saved_model.structure_codec import decode


def tag_sets(saved_model: Any) -> list[str]:
    """The tags of all graphs."""
    names = [", ".join(sorted(tags)) for tags in sorted(folders.tag_sets(saved_model))]
    return ["The given SavedModel contains the following tag-sets:", *(f"'{name}'" for name in names)]


def signature_keys(meta_graph_def: Any) -> list[str]:
    """The names of a graph's signatures."""
    keys = [f'SignatureDef key: "{key}"' for key in sorted(meta_graph_def.signature_def)]
    return ["The given SavedModel MetaGraphDef contains SignatureDefs with the following keys:", *keys]


def operations(meta_graph_def: Any) -> list[str]:
    """The types of a graph's operations."""
    tags, types = list(meta_graph_def.meta_info_def.tags), inspection.op_types(meta_graph_def)
    return [f"The MetaGraph with tag set {tags} contains the following ops: {_set(types)}"]


def _set(names: Iterable[str]) -> str:
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"


def scanned(meta_graph_def: Any, denied: Iterable[str]) -> str:
    """Which of some types of operations a graph has."""
    denied = set(denied)
    found, tags = inspection.denied_ops(meta_graph_def, denied), list(meta_graph_def.meta_info_def.tags)
    if found:
        return f"MetaGraph with tag set {tags} contains the following denylisted ops: {_set(found)}"
    return f"MetaGraph with tag set {tags} does not contain the default denylisted ops: {_set(denied)}"


# --- Signatures ------------------------------------------------------------------------------------------------------


def signature(signature_def: Any, indent: str = "") -> list[str]:
    """The inputs and outputs of a signature."""
    lines = ["The given SavedModel SignatureDef contains the following input(s):"]
    lines += _tensor_infos("inputs", signature_def.inputs)
    lines += ["The given SavedModel SignatureDef contains the following output(s):"]
    lines += _tensor_infos("outputs", signature_def.outputs)
    lines += [f"Method name is: {signature_def.method_name}"]
    return [indent + line for line in lines]


def _tensor_infos(kind: str, infos: Mapping[str, Any]) -> Iterator[str]:
    for key, info in sorted(infos.items()):
        yield f"  {kind}['{key}'] tensor_info:"
        yield f"      dtype: {_dtype(info.dtype)}"
        yield f"      shape: {_shape(info.tensor_shape)}"
        yield f"      name: {info.name}"


def _dtype(number: int) -> str:
    from millstream.io import proto

    names = {value: name for name, value in proto.DataType.items()}
    return names.get(number, str(number))


def _shape(message: Any) -> str:
    return "unknown_rank" if message.unknown_rank else f"({', '.join(str(dim.size) for dim in message.dim)})"


# --- Everything ------------------------------------------------------------------------------------------------------


def everything(saved_model: Any) -> list[str]:
    """Graphs, signatures, operations and functions."""
    lines = []
    for meta_graph in sorted(saved_model.meta_graphs, key=lambda item: list(item.meta_info_def.tags)):
        tags = ", ".join(meta_graph.meta_info_def.tags)
        lines += ["", f"MetaGraphDef with tag-set: '{tags}' contains the following SignatureDefs:"]
        for key, signature_def in sorted(meta_graph.signature_def.items()):
            lines += ["", f"signature_def['{key}']:", *signature(signature_def, "  ")]
        lines += operations(meta_graph)
    for meta_graph in saved_model.meta_graphs[:1]:
        lines += _functions(meta_graph.object_graph_def)
    return lines


def _functions(object_graph: Any) -> list[str]:
    """The functions that are attributes of the saved object, with the arguments of each trace."""
    found = [("", "Concrete Functions:")]
    lines: list[str] = []
    for name, traces in _named_functions(object_graph):
        lines += ["", f"  Function Name: '{name}'"]
        for number, trace in enumerate(traces, start=1):
            arguments = _arguments(object_graph.concrete_functions[trace].canonicalized_input_signature)
            lines += [f"    Option #{number}", "      Callable with:", *arguments] if arguments else []
    return [*found[0], *lines[1:]] if lines else []


def _named_functions(object_graph: Any) -> list[tuple[str, list[str]]]:
    """The names of the functions, and for each the names of its traces."""
    found = []
    for child in object_graph.nodes[0].children if object_graph.nodes else ():
        if not 0 <= child.node_id < len(object_graph.nodes):
            continue
        node = object_graph.nodes[child.node_id]
        if node.HasField("function"):
            traces = list(node.function.concrete_functions)
        elif node.HasField("bare_concrete_function"):
            traces = [node.bare_concrete_function.concrete_function_name]
        else:
            continue
        found.append((child.local_name, [name for name in traces if name in object_graph.concrete_functions]))
    return sorted(found)


def _arguments(message: Any) -> list[str]:
    """The arguments of a trace: those by position, then the names of those by keyword."""
    lines: list[str] = []
    parts = message.tuple_value.values
    if len(parts) != 2:
        return lines
    for number, argument in enumerate(parts[0].tuple_value.values, start=1):
        lines += [f"        Argument #{number}", *_argument(argument)]
    for number, name in enumerate(sorted(parts[1].dict_value.fields), start=1):
        lines += [f"        Named Argument #{number}", f"          {name}"]
    return lines


def _argument(message: Any) -> list[str]:
    try:
        value = decode(message)
    except ValueError as error:
        return _unknown_argument(message, error)
    if isinstance(value, TensorSpec):
        return [f"          {value.name}: {value!r}"]
    if isinstance(value, str):
        return [f"          {value}"]
    return [f"          DType: {type(value).__name__}", f"          Value: {_value(value)}"]


def _unknown_argument(message: Any, error: ValueError) -> list[str]:
    """An argument of a type that Millstream lacks: its name and what the file says of it."""
    spec = message.type_spec_value
    try:
        state = decode(spec.type_state)
    except ValueError:
        return [f"          {error}"]
    name = spec.type_spec_class_name
    return [f"          DType: {name}", f"          Value: {name}{state!r}"]


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(repr, value))}]"
    return repr(value)
