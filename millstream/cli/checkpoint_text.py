"""What `millstream checkpoint` prints: lists of checkpoints and tensors, values, what is damaged."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from millstream.cli import checkpoint_facts as facts
from millstream.cli.inspect_checkpoint import parse_numpy_printoption
from millstream.io.checkpoint_reader import Reader

DAMAGED, NOT_THERE = 1, 2  # exit codes; 2 is also that of wrong arguments
_HEADS = ("tensor", "dtype", "shape", "min", "max", "mean", "NaN", "infinite")

# --- ls --------------------------------------------------------------------------------------------------------------


def ls(arguments: argparse.Namespace) -> int:
    """Lists a folder or a checkpoint."""
    if facts.is_folder(arguments.path):
        return _ls_folder(arguments)
    with facts.opened(arguments.path) as reader:
        found = facts.tensors(reader, arguments.filter)
    if arguments.sort == "size":
        found.sort(key=lambda tensor: -tensor.bytes)
    if arguments.json:
        print(json.dumps([tensor._asdict() for tensor in found], indent=2))
        return 0
    rows = [(item.name, item.dtype, _shape(item), f"{item.bytes:,}") for item in found]
    print(table(("tensor", "dtype", "shape", "bytes"), rows, right=(3,)))
    size = sum(item.bytes for item in found)
    print(f"{len(found):,} tensors, {facts.parameters(found):,} elements, {size:,} bytes")
    return 0


def _ls_folder(arguments: argparse.Namespace) -> int:
    found = facts.checkpoints(arguments.path)
    if arguments.json:
        print(json.dumps([row._asdict() for row in found], indent=2))
        return 0
    heads = ("checkpoint", "step", "shards", "bytes", "written", "")
    print(table(heads, [_folder_row(row) for row in found], right=(1, 2, 3)))
    return 0


def _folder_row(row: Any) -> tuple[str, ...]:
    written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.written)) if row.written else ""
    return row.prefix, "" if row.step is None else str(row.step), str(row.shards), f"{row.bytes:,}", written, row.note


def _shape(tensor: Any) -> str:
    slices = f" in {tensor.slices} slices" if tensor.slices > 1 else ""
    return f"[{','.join(map(str, tensor.shape))}]{slices}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows below their heads; the columns `right` are flush right."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


# --- show ------------------------------------------------------------------------------------------------------------


def show(arguments: argparse.Namespace) -> int:
    """Shows a checkpoint."""
    for option in arguments.printoptions:
        parse_numpy_printoption(option)
    with facts.opened(arguments.path) as reader:
        if arguments.verify:
            return _verify(reader)
        if arguments.objects:
            return _objects(reader)
        if arguments.npy:
            if len(arguments.tensor) != 1:
                raise ValueError("--npy needs one --tensor")
            value = facts.export_array(reader.read(arguments.tensor[0]))
            with open(arguments.npy, "wb") as file:
                np.save(file, value, allow_pickle=False)
            print(f"{arguments.npy}: {value.dtype} {list(value.shape)}")
            return 0
        names = arguments.tensor or [item.name for item in facts.tensors(reader, arguments.filter)]
        if arguments.json:
            print(json.dumps([_as_json(reader, name) for name in names], indent=2))
        elif arguments.tensor or arguments.all:
            for name in names:
                _show_value(reader, name)
        else:
            _show_statistics(reader, names)
    return 0


def _verify(reader: Reader) -> int:
    count = 0
    wrong = []
    for name, problem in facts.verify(reader):
        count += 1
        if problem is not None:
            wrong.append(name)
            print(f"{name}: {problem}")
    size = sum(item.bytes for item in facts.tensors(reader))
    print(f"{count - len(wrong):,} of {count:,} tensors are whole, of {size:,} bytes in all")
    return DAMAGED if wrong else 0


def _objects(reader: Reader) -> int:
    lines = list(facts.object_tree(reader))
    print("\n".join(lines) if lines else "This checkpoint has no objects: it is not one of tf.train.Checkpoint.")
    return 0


def _show_value(reader: Reader, name: str) -> None:
    value, entry = reader.read(name), reader.found(name)
    found = facts.statistics(value)
    print(f"{name} ({entry.dtype.name}) [{','.join(map(str, entry.shape))}]")
    if found is not None:
        print("  " + ", ".join(f"{key} {cell}" for key, cell in zip(_HEADS[3:], _cells(found), strict=True) if cell))
    print(value)


def _show_statistics(reader: Reader, names: Sequence[str]) -> None:
    rows = []
    for name in names:
        entry, found = reader.found(name), facts.statistics(reader.read(name))
        shape = f"[{','.join(map(str, entry.shape))}]"
        rows.append((name, entry.dtype.name, shape, *(_cells(found) if found is not None else [""] * 5)))
    print(table(_HEADS, rows, right=(3, 4, 5, 6, 7)))


def _cells(found: Any) -> list[str]:
    return ["" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in found]


def _as_json(reader: Reader, name: str) -> dict[str, Any]:
    entry, found = reader.found(name), facts.statistics(reader.read(name))
    facts_of = {"name": name, "dtype": entry.dtype.name, "shape": entry.shape}
    return facts_of | (found._asdict() if found is not None else {})
