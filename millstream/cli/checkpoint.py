"""`millstream checkpoint`: lists checkpoints and their tensors, shows values, and verifies checksums."""

from __future__ import annotations

import argparse

from millstream.cli.subcommands import add_subcommand, run_subcommand

_LS = """Lists the checkpoints of a folder, or the tensors of a checkpoint.

  millstream checkpoint ls model                  the checkpoints of the folder, the oldest first
  millstream checkpoint ls model/model.ckpt-1000  the tensors of one of them
  millstream checkpoint ls model/model.ckpt-1000 --filter '^conv' --sort size
"""
_SHOW = """Shows the values of tensors: in short for all of them, or in full.

PATH is the prefix of a checkpoint, one of its files, or a folder, of which the newest checkpoint is taken.

  millstream checkpoint show model                               smallest, largest and mean value of each tensor
  millstream checkpoint show model --tensor conv/weights         the values of one
  millstream checkpoint show model --tensor conv/weights --npy weights.npy
  millstream checkpoint show model --verify                      reads everything; exit code 1: something is damaged
  millstream checkpoint show model --objects                     the objects of a tf.train.Checkpoint
"""


def add_commands(command: argparse.ArgumentParser) -> None:
    """Declares the commands and their flags."""
    command.description = __doc__
    commands = command.add_subparsers(dest="checkpoint_command", required=True, metavar="{ls,show}")
    listing = add_subcommand(commands, "ls", "list checkpoints, or tensors", _LS)
    listing.add_argument("path", help="a folder, or the prefix of a checkpoint")
    listing.add_argument("--filter", metavar="REGEX", help="only tensors whose name has a match")
    listing.add_argument("--sort", choices=("name", "size"), default="name", help="the order of tensors")
    listing.add_argument("--json", action="store_true", help="print JSON")
    show = add_subcommand(commands, "show", "show values, verify checksums", _SHOW)
    show.add_argument("path", help="the prefix of a checkpoint, or a folder with checkpoints")
    show.add_argument("--tensor", action="append", default=[], metavar="NAME", help="a tensor to show in full")
    show.add_argument("--all", action="store_true", help="show all tensors in full")
    show.add_argument("--filter", metavar="REGEX", help="only tensors whose name has a match")
    show.add_argument("--npy", metavar="FILE", help="write the value of the one --tensor to a NumPy file")
    show.add_argument("--verify", action="store_true", help="read everything and compare all checksums")
    show.add_argument("--objects", action="store_true", help="show the objects of an object-based checkpoint")
    show.add_argument("--printoptions", nargs="*", default=[], metavar="K=V", help="for numpy.set_printoptions")
    show.add_argument("--json", action="store_true", help="print JSON: the tensors with their values in short")


def checkpoint(arguments: argparse.Namespace) -> int:
    """Runs one of the commands. Returns the exit code."""
    from millstream.cli import checkpoint_text as text

    name = arguments.checkpoint_command
    command = text.ls if name == "ls" else text.show
    return run_subcommand(f"millstream checkpoint {name}", command, arguments, text.NOT_THERE, text.DAMAGED)
