"""`millstream graph`: shows graphs in files, freezes trained ones, and prepares frozen ones for inference."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from millstream.cli.subcommands import add_subcommand, run_subcommand

if TYPE_CHECKING:
    from millstream.graph_util.facts import Facts, Value

_SHOW = """Prints what a graph has: operations, inputs, outputs, variables, constants, functions, devices.

  millstream graph show model/frozen.pb        a GraphDef, binary or text
  millstream graph show model/model-1000.meta  a MetaGraphDef
  millstream graph show exported_model         a SavedModel
"""
_FREEZE = """Makes a graph whose variables are constants, with the flags of TensorFlow's freeze_graph.

  millstream graph freeze --input_meta_graph model-1000.meta --input_checkpoint model-1000 \\
      --output_node_names probabilities --output_graph frozen.pb
"""
_OPTIMIZE = """Prepares a frozen graph for inference.

Nodes that the outputs do not need are left out, also those that only training needs; what is constant is computed; and
batch normalisations become a part of the convolutions before them.

  millstream graph optimize --input frozen.pb --output small.pb --input_names images --output_names probabilities
"""


def add_commands(command: argparse.ArgumentParser) -> None:
    """Declares the commands and their flags."""
    command.description = __doc__
    commands = command.add_subparsers(dest="graph_command", required=True, metavar="{show,freeze,optimize}")
    show = add_subcommand(commands, "show", "print what a graph has", _SHOW)
    show.add_argument("path", help="a .pb, .pbtxt or .meta file, or the folder of a SavedModel")
    show.add_argument("--ops", action="store_true", help="all types of operations, not only the most frequent ones")
    show.add_argument("--json", action="store_true", help="print JSON")
    _add_freeze(add_subcommand(commands, "freeze", "make a graph whose variables are constants", _FREEZE))
    _add_optimize(add_subcommand(commands, "optimize", "prepare a frozen graph for inference", _OPTIMIZE))


def _add_freeze(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--input_graph", default="", help="a file with a GraphDef")
    add("--input_meta_graph", default="", help="a file with a MetaGraphDef")
    add("--input_saved_model_dir", default="", help="the folder of a SavedModel")
    add("--saved_model_tags", default="serve", help="the tags of its graph, separated by commas (default: serve)")
    add("--input_saver", default="", help="a file with a SaverDef")
    add("--input_checkpoint", default="", help="the checkpoint's prefix")
    add("--checkpoint_version", type=int, default=2, help="accepted for compatibility")
    _add_bool(command, "--input_binary", "--input_graph and --input_saver are binary, else text")
    add("--output_node_names", default="", help="the nodes whose values are wanted, separated by commas")
    add("--output_graph", default="", help="the file to write")
    _add_bool(command, "--clear_devices", "forget on which devices operations are to run (default: true)", True)
    add("--initializer_nodes", default="", help="operations to run first, separated by commas")
    add("--variable_names_whitelist", default="", help="only these variables, separated by commas")
    add("--variable_names_blacklist", "--variable_names_denylist", default="", help="not these variables")
    add("--restore_op_name", default="save/restore_all", help="accepted for compatibility")
    add("--filename_tensor_name", default="save/Const:0", help="accepted for compatibility")


def _add_optimize(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--input", required=True, help="a file with a GraphDef, binary or text")
    add("--output", required=True, help="the file to write; text where its name ends with .pbtxt")
    add("--input_names", required=True, help="the nodes that will be fed, separated by commas")
    add("--output_names", required=True, help="the nodes whose values are wanted, separated by commas")
    _add_bool(command, "--frozen_graph", "accepted for compatibility", True)
    add("--placeholder_type_enum", default="", metavar="TYPES", help="the data types of the inputs, numbers or names "
        "separated by commas (default: those of the nodes, or float32)")  # fmt: skip


def _add_bool(command: argparse.ArgumentParser, flag: str, text: str, default: bool = False) -> None:
    """A flag that may stand alone or with a value, as those of TensorFlow's tools."""
    command.add_argument(flag, nargs="?", const=True, default=default, type=_bool, metavar="BOOL", help=text)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "t", "1", "false", "f", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false; received: {text!r}")
    return text.lower() in ("true", "t", "1")


def graph(arguments: argparse.Namespace) -> int:
    """Runs one of the commands. Returns the exit code."""
    name = arguments.graph_command
    return run_subcommand(f"millstream graph {name}", _COMMANDS[name], arguments)


# --- show ------------------------------------------------------------------------------------------------------------

_FEW = 12


def show(arguments: argparse.Namespace) -> int:
    """`millstream graph show`."""
    from millstream.graph_util.facts import facts_of
    from millstream.graph_util.files import read_graphs

    graphs = [(item, facts_of(item.graph_def)) for item in read_graphs(arguments.path)]
    if arguments.json:
        import json

        print(json.dumps([_as_json(item.kind, item.label, facts) for item, facts in graphs], indent=2))
        return 0
    for item, facts in graphs:
        print(f"{item.kind}{f' ({item.label})' if item.label else ''}: {arguments.path}")
        if item.meta_graph_def is not None:
            info = item.meta_graph_def.meta_info_def
            print(f"  written by:   TensorFlow {info.tensorflow_version or '?'}")
        print("\n".join(_lines(facts, None if arguments.ops else _FEW)))
        if item.meta_graph_def is not None and item.meta_graph_def.collection_def:
            print(f"  collections:  {', '.join(sorted(item.meta_graph_def.collection_def))}")
    return 0


def _as_json(kind: str, label: str, facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": kind, "tags": label, **facts._asdict()}
    for key in ("inputs", "outputs", "variables", "constants"):
        found[key] = [value._asdict() for value in found[key]]
    return found


def _lines(facts: Facts, most: int | None) -> list[str]:
    functions = f", {len(facts.functions)} functions with {sum(facts.functions.values())}" if facts.functions else ""
    weights = [value.elements for value in facts.variables]
    total = f", {sum(filter(None, weights)):,} elements" if weights else ""
    lines = [
        f"  versions:     producer {facts.producer}, min_consumer {facts.min_consumer}",
        f"  nodes:        {facts.nodes:,}{functions}",
        f"  operations:   {_counts(facts.ops, most)}",
        f"  devices:      {_counts(facts.devices, most)}",
        f"  variables:    {len(facts.variables)}{total}",
        f"  constants:    {len(facts.constants)}, {_size(facts.constant_bytes)}",
    ]
    lines += [f"    {_described(value)}, {_size(value.stored)}" for value in facts.constants[:3] if value.stored > 1024]
    for title, values in (("inputs", facts.inputs), ("outputs", facts.outputs)):
        lines.append(f"  {title + ':':<13} {len(values)}")
        lines += [f"    {_described(value)}" for value in values[:most]]
        if most is not None and len(values) > most:
            lines.append(f"    and {len(values) - most} more")
    if facts.functions:
        lines.append(f"  functions:    {_counts(facts.functions, most)}")
    return lines


def _counts(counts: dict[str, int], most: int | None) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    rest = len(counts) - len(shown)
    return ", ".join(shown) + (f", {rest} more" if rest else "") or "none"


def _described(value: Value) -> str:
    return f"{value.name} ({value.op}, {value.dtype} {value.shape})"


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


# --- freeze, optimize ------------------------------------------------------------------------------------------------


def freeze(arguments: argparse.Namespace) -> int:
    """`millstream graph freeze`."""
    from millstream.graph_util.freeze_files import freeze_graph

    options = {key: value for key, value in vars(arguments).items() if key not in ("command", "graph_command")}
    if not arguments.output_graph:
        raise ValueError("--output_graph is missing.")
    print(f"{len(freeze_graph(**options).node)} nodes in the final graph.")
    return 0


def optimize(arguments: argparse.Namespace) -> int:
    """`millstream graph optimize`."""
    import os

    from millstream.core.graph_io import write_graph
    from millstream.graph_util.inference import optimize_for_inference
    from millstream.io import proto
    from millstream.io.message_files import read_message

    message = read_message(arguments.input, proto.GraphDef)
    inputs, outputs = arguments.input_names.split(","), arguments.output_names.split(",")
    types = _types(message, inputs, arguments.placeholder_type_enum)
    optimized = optimize_for_inference(message, inputs, outputs, types)
    folder, name = os.path.split(arguments.output)
    write_graph(optimized, folder or ".", name, as_text=name.endswith(".pbtxt"))
    print(f"{len(message.node)} nodes, {_size(message.ByteSize())} -> "
          f"{len(optimized.node)} nodes, {_size(optimized.ByteSize())}")  # fmt: skip
    return 0


def _types(graph_def: Any, inputs: list[str], given: str) -> list[int]:
    """The data types of the inputs: as given, or those of the nodes."""
    from millstream.core.dtypes import as_dtype

    if given:
        named = [as_dtype(int(text) if text.isdigit() else text).as_datatype_enum for text in given.split(",")]
        if len(named) not in (1, len(inputs)):
            raise ValueError(f"--placeholder_type_enum has {len(named)} types for {len(inputs)} inputs.")
        return named * len(inputs) if len(named) == 1 else named
    nodes = {node.name: node for node in graph_def.node}
    attrs = [nodes[name].attr if name in nodes else {} for name in inputs]
    return [next((attr[key].type for key in ("dtype", "T") if key in attr), 1) for attr in attrs]


_COMMANDS = {"show": show, "freeze": freeze, "optimize": optimize}
