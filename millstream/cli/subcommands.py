"""What the groups of commands share: `millstream checkpoint`, `millstream graph` and `millstream saved_model`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import Any

# What wrong arguments and files lead to.
_WRONG = (
    OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError, re.error, argparse.ArgumentTypeError
)  # fmt: skip


def add_subcommand(commands: Any, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Adds a command to a group; its description is printed as it stands."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return command


def run_subcommand(
    name: str,
    command: Callable[[argparse.Namespace], int],
    arguments: argparse.Namespace,
    failed: int = 1,
    damaged: int = 1,
) -> int:
    """Runs a command; what is wrong with its files or arguments is said in one line on stderr.

    Args:
      name: its full name, which the line begins with.
      command: takes `arguments` and returns the exit code.
      failed: the exit code when something is wrong.
      damaged: the exit code when a file is damaged.
    """
    from millstream.core.errors import DataLossError, OpError

    try:
        return command(arguments)
    except OpError as error:
        text, code = error.message, damaged if isinstance(error, DataLossError) else failed
    except _WRONG as error:
        text, code = str(error.args[0] if isinstance(error, KeyError) and error.args else error), failed
    print(f"{name}: {text}", file=sys.stderr)
    return code
