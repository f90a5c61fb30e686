"""Printing a checkpoint in the manner of TensorFlow's tool `inspect_checkpoint`.

    python -m millstream.cli.inspect_checkpoint --file_name=model/model.ckpt-1000 --all_tensors

`millstream checkpoint` shows more.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

import numpy as np

from millstream.core import errors
from millstream.train.checkpoint_reader import CheckpointReader, NewCheckpointReader


def print_tensors_in_checkpoint_file(
    file_name: str,
    tensor_name: str | None,
    all_tensors: bool,
    all_tensor_names: bool = False,
    count_exclude_pattern: str = "",
) -> None:
    """Prints tensors of a checkpoint; what is wrong is printed too.

    Args:
      file_name: the checkpoint's prefix.
      tensor_name: the tensor to print; empty, and without the others: names, dtypes and shapes of all.
      all_tensors: prints the values of all tensors.
      all_tensor_names: prints the names of all tensors.
      count_exclude_pattern: a regular expression; tensors whose name begins with a match are not counted.
    """
    try:
        reader = NewCheckpointReader(file_name)
        if all_tensors or all_tensor_names:
            for name in sorted(reader.get_variable_to_shape_map()):
                print("tensor_name: ", name)
                if all_tensors:
                    print(reader.get_tensor(name))
        elif not tensor_name:
            print(reader.debug_string().decode("utf-8", "backslashreplace"))
        else:
            print("tensor_name: ", tensor_name)
            print(reader.get_tensor(tensor_name))
        _print_count(reader, count_exclude_pattern)
    except errors.OpError as error:
        print(error.message)
        if re.search(r"\.(index|meta|data-\d+-of-\d+)$", file_name):
            print(f"\nThis is a file of a checkpoint; try its prefix: --file_name={file_name.rpartition('.')[0]}")


def _print_count(reader: CheckpointReader, exclude: str) -> None:
    sizes = {name: int(np.prod(shape)) for name, shape in reader.get_variable_to_shape_map().items()}
    left_out = [size for name, size in sizes.items() if exclude and re.match(exclude, name)]
    if left_out:
        counted = f"{len(left_out)} tensors ({sum(left_out)} params)"
        print(f"# Excluding {counted} that match {exclude} when counting.")
    print(f"# Total number of params: {sum(sizes.values()) - sum(left_out)}")


def parse_numpy_printoption(kv_str: str) -> None:
    """Sets one of NumPy's options of printing, from a text such as `threshold=100`.

    Raises:
      ArgumentTypeError: there is no such option, or it has another type.
    """
    key, separator, text = kv_str.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"'{kv_str}' is not in the form k=v.")
    options = np.get_printoptions()
    if key not in options:
        raise argparse.ArgumentTypeError(f"'{key}' is not a valid printoption.")
    kind = type(options[key])
    if kind is type(None):
        raise argparse.ArgumentTypeError(f"Setting '{key}' from the command line is not supported.")
    try:
        value = text.lower() in ("true", "1") if kind is bool else kind(text)
        np.set_printoptions(**{key: value})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    parser = argparse.ArgumentParser("inspect_checkpoint")
    flag = {"nargs": "?", "const": True, "default": False, "type": lambda text: text.lower() in ("true", "t", "1")}
    parser.add_argument("--file_name", default="", help="the checkpoint's prefix")
    parser.add_argument("--tensor_name", default="", help="the tensor to print")
    parser.add_argument("--count_exclude_pattern", default="", help="tensors that are not counted")
    parser.add_argument("--all_tensors", **flag, help="print all values")  # type: ignore[arg-type]
    parser.add_argument("--all_tensor_names", **flag, help="print all names")  # type: ignore[arg-type]
    parser.add_argument("--printoptions", nargs="*", type=parse_numpy_printoption, metavar="K=V",
                        help="for numpy.set_printoptions")  # fmt: skip
    found = parser.parse_args(arguments)
    if not found.file_name:
        parser.print_usage(sys.stderr)
        return 1
    print_tensors_in_checkpoint_file(
        found.file_name, found.tensor_name, found.all_tensors, found.all_tensor_names, found.count_exclude_pattern
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
