"""The `millstream` command: runs TensorFlow programs unmodified, says what they would miss and what they run on."""
from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from millstream import __version__
from millstream.cli import checkpoint, graph, saved_model

EPILOG = """examples:
  millstream run train.py --steps 1000    runs a program that says `import tensorflow as tf`
  millstream run -v -m package.train      a module, and says for which TensorFlow it was written
  millstream check train.py               lists the tf.* names that it uses and those that are missing
  millstream info                         versions, devices, native kernels
  millstream checkpoint ls model          the checkpoints of a folder, or the tensors of one
  millstream saved_model show --all --dir model    signatures and functions of a SavedModel
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    with _ended_by_closed_pipes():
        arguments = parser().parse_args(argv)
        if arguments.command != "run":
            return _run_command(arguments)
    from millstream.cli.run import run

    return run(arguments.program, arguments.arguments, arguments.api, arguments.module, arguments.verbose)


@contextmanager
def _ended_by_closed_pipes() -> Iterator[None]:
    """Lets the process end without a word, as others do, when nobody reads its output any more: `... | head -1`."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        sys.stdout.flush()
        signal.signal(signal.SIGPIPE, before)


def _run_command(arguments: argparse.Namespace) -> int:
    if arguments.command == "check":
        from millstream.cli.check import check

        return check(arguments.programs, arguments.api, arguments.lacking)
    if arguments.command == "info":
        from millstream.cli.info import info

        return info(arguments.json)
    if arguments.command == "checkpoint":
        return checkpoint.checkpoint(arguments)
    if arguments.command == "graph":
        return graph.graph(arguments)
    return saved_model.saved_model(arguments)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        "millstream", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"millstream {__version__}")
    names = "{run,check,info,checkpoint,graph,saved_model}"
    commands = top.add_subparsers(dest="command", required=True, metavar=names)
    _add_run(commands.add_parser("run", help="run a TensorFlow program unmodified"))
    _add_check(commands.add_parser("check", help="list the tf.* names that programs use and those missing"))
    _add_info(commands.add_parser("info", help="show versions, devices and whether there are native kernels"))
    checkpoint.add_commands(commands.add_parser("checkpoint", help="list checkpoints and their tensors, show values"))
    graph.add_commands(commands.add_parser("graph", help="show, freeze and optimize graphs in files"))
    saved_model.add_commands(commands.add_parser("saved_model", help="show, run and scan SavedModels"))
    return top


def _add_run(command: argparse.ArgumentParser) -> None:
    command.description = "Runs a program written with `import tensorflow as tf`, unmodified."
    _add_api(command)
    command.add_argument("-v", "--verbose", action="store_true", help="say the chosen version and the reason")
    command.add_argument("-m", dest="module", action="store_true", help="PROGRAM is the name of a module")
    command.add_argument("program", help="a Python file, or a folder or zip file with a __main__.py")
    command.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="the program's own arguments"
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Lists the tf.* names that programs use and which of them Millstream lacks, without running "
        "anything. Exit code 1: some are lacking; 2: a file cannot be read."
    )
    _add_api(command)
    command.add_argument("--lacking", action="store_true", help="list only the names that are lacking")
    command.add_argument("programs", nargs="+", metavar="program", help="a Python file")


def _add_info(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Shows the versions of Millstream and of what it stands on, the devices, whether convolutions and their like "
        "run on native kernels (and if not, why), and where compiled programs are kept."
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_api(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--api",
        choices=("auto", "1", "2"),
        default="auto",
        help="the TensorFlow that the program was written for (default: auto, by the names that it uses)",
    )
