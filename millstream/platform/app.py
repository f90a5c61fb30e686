"""`tf.app.run`: the entry point of programs with flags."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from millstream.core.export import export


@export(v1=["app.run"])
def run(main: Callable[[Sequence[str]], Any] | None = None, argv: Sequence[str] | None = None) -> None:
    """Parses the flags, calls `main` with the arguments that are left, and ends the program with its result.

    Flags that nobody has defined are left for `main`.

    Args:
      main: a function of the list of arguments, the first of which is the program; default: `main` of the program.
      argv: the command line; default: `sys.argv`.

    Example:
      >>> if __name__ == "__main__":
      ...   tf.app.run()
    """
    import absl.app

    from millstream.core.log import tensorflow_logger

    tensorflow_logger()  # configured before absl puts a handler of its own on the root logger
    absl.app.run(main=main or sys.modules["__main__"].main, argv=argv, flags_parser=_parse_known_flags)


def _parse_known_flags(argv: Sequence[str]) -> Any:
    from absl import flags

    return flags.FLAGS(argv, known_only=True)
