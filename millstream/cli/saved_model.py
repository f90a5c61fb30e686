"""`millstream saved_model`: shows, runs and scans SavedModels, with the flags of TensorFlow's `saved_model_cli`."""

from __future__ import annotations

import argparse
from typing import Any

from millstream.cli.subcommands import add_subcommand, run_subcommand

_DIR = "the folder of the SavedModel"
_TAGS = "the tags of the graph, separated by commas"
_SIGNATURE = "the signature"

_SHOW = """Prints what a SavedModel has.

  millstream saved_model show --dir model                     the tags of its graphs
  millstream saved_model show --dir model --tag_set serve     the signatures of one of them
  millstream saved_model show --dir model --tag_set serve --signature_def serving_default
                                                              the inputs and outputs of one of these
  millstream saved_model show --dir model --all               everything
"""
_RUN = """Runs a signature of a SavedModel and prints its outputs.

  millstream saved_model run --dir model --tag_set serve --signature_def serving_default \\
      --inputs 'x=images.npy;y=more.npz[labels]' --input_exprs 'z=np.ones((2, 3))' --outdir results

Files hold arrays in the formats .npy and .npz. Nothing is ever unpickled. Expressions are Python literals, arithmetic,
and calls of functions of np that make arrays, such as np.array, np.zeros and np.random.rand; no other code is run.
"""
_SCAN = """Looks for operations that use files or print in the graphs of a SavedModel.

  millstream saved_model scan --dir model --tag_set serve
"""
_EXAMPLES = "tf.train.Examples: KEY=[{feature: [value, ...], ...}, ...] as a Python literal, separated by ';'"


def add_commands(command: argparse.ArgumentParser) -> None:
    """Declares the commands and their flags."""
    command.description = __doc__
    commands = command.add_subparsers(dest="saved_model_command", required=True, metavar="{show,run,scan}")
    show = _add(commands, "show", "print tags, signatures, inputs and outputs", _SHOW)
    show.add_argument("--all", action="store_true", help="everything there is")
    show.add_argument("--tag_set", help=_TAGS)
    show.add_argument("--signature_def", metavar="KEY", help=_SIGNATURE)
    show.add_argument("--list_ops", action="store_true", help="also the types of operations of the graph")
    _add_run(_add(commands, "run", "run a signature", _RUN))
    scan = _add(commands, "scan", "look for operations that use files or print", _SCAN)
    scan.add_argument("--tag_set", help=f"{_TAGS}; default: all graphs")
    scan.add_argument("--op_denylist", metavar="TYPES", help="what to look for instead, separated by commas")


def _add(commands: Any, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    command = add_subcommand(commands, name, summary, description)
    command.add_argument("--dir", required=True, help=_DIR)
    return command


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tag_set", required=True, help=_TAGS)
    command.add_argument("--signature_def", required=True, metavar="KEY", help=_SIGNATURE)
    command.add_argument("--inputs", default="", help="arrays in files: KEY=FILE or KEY=FILE[NAME], separated by ';'")
    command.add_argument("--input_exprs", default="", help="expressions: KEY=EXPRESSION, separated by ';'")
    command.add_argument("--input_examples", default="", help=_EXAMPLES)
    command.add_argument("--outdir", help="also save each output there, as KEY.npy")
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    for flag in ("--tf_debug", "--init_tpu", "--use_tfrt"):
        command.add_argument(flag, action="store_true", help="not supported")
    command.add_argument("--worker", help="not supported: models run in this process")


def saved_model(arguments: argparse.Namespace) -> int:
    """Runs one of the commands. Returns the exit code."""
    name = arguments.saved_model_command
    return run_subcommand(f"millstream saved_model {name}", _COMMANDS[name], arguments)


def show(arguments: argparse.Namespace) -> int:
    """`millstream saved_model show`."""
    from millstream.cli import saved_model_text as text
    from millstream.core import shapes
    from millstream.saved_model import inspection

    shapes.enable_v2_tensorshape()  # which is how they are printed
    found = inspection.read_saved_model(arguments.dir)
    if arguments.all:
        lines = text.everything(found)
    elif arguments.tag_set is None:
        lines = text.tag_sets(found)
    else:
        meta_graph = inspection.find_by_tag_set(found, arguments.tag_set)
        if arguments.signature_def is None:
            lines = text.signature_keys(meta_graph)
        else:
            lines = text.signature(inspection.get_signature_def(meta_graph, arguments.signature_def))
        if arguments.list_ops:
            ops = text.operations(meta_graph)
            lines = [*lines, *ops] if arguments.signature_def is None else [*ops, *lines]
    print("\n".join(lines))
    return 0


def scan(arguments: argparse.Namespace) -> int:
    """`millstream saved_model scan`."""
    from millstream.cli import saved_model_text as text
    from millstream.saved_model import inspection

    found = inspection.read_saved_model(arguments.dir)
    graphs = found.meta_graphs
    if arguments.tag_set is not None:
        graphs = [inspection.find_by_tag_set(found, arguments.tag_set)]
    denied = arguments.op_denylist.split(",") if arguments.op_denylist else inspection.DENIED_OPS
    for meta_graph in graphs:
        print(text.scanned(meta_graph, denied))
    return 0


def run(arguments: argparse.Namespace) -> int:
    """`millstream saved_model run`."""
    for flag in ("tf_debug", "init_tpu", "use_tfrt", "worker"):
        if getattr(arguments, flag):
            raise ValueError(f"--{flag} is not supported.")
    from millstream.cli.saved_model_run import run_signature

    return run_signature(arguments)


_COMMANDS = {"show": show, "run": run, "scan": scan}
