"""What `millstream checkpoint` finds out: the checkpoints of a folder, the tensors of a checkpoint, their values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import string
from millstream.io import bundle, gfile
from millstream.io.bundle import Entry
from millstream.io.checkpoint_reader import Reader, open_checkpoint
from millstream.train.checkpoint_management import get_checkpoint_state
from millstream.train.checkpoint_reader import checkpoint_prefix

_SLAB = 1 << 20  # elements that are converted at the same time
_DEEPEST = 40  # objects further down are not indented further


class Checkpoint(NamedTuple):
    """A checkpoint in a folder; `note`: what the state file says of it, or what is wrong with it."""

    prefix: str
    step: int | None
    shards: int
    bytes: int
    written: float  # seconds since 1970; 0 where there is none
    note: str


class Tensor(NamedTuple):
    """A tensor in a checkpoint."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    slices: int


class Statistics(NamedTuple):
    """The values of a tensor in short, over those that are finite; for strings and complex numbers there are none."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    nans: int
    infinities: int


# --- Folders ---------------------------------------------------------------------------------------------------------


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder, rather than the prefix of a checkpoint."""
    return gfile.isdir(path) and not gfile.exists(bundle.index_path(path))


def checkpoints(folder: str) -> list[Checkpoint]:
    """The checkpoints of a folder, the oldest first; also those that its state file lists and that are not there."""
    state = get_checkpoint_state(folder)
    listed = [] if state is None else [*state.all_model_checkpoint_paths, state.model_checkpoint_path]
    names = [name.removesuffix(".index") for name in os.listdir(folder) if name.endswith(".index")]
    prefixes = {os.path.abspath(path): path for path in (*listed, *(os.path.join(folder, name) for name in names))}
    notes = dict.fromkeys(map(os.path.abspath, listed), "")
    if state is not None:
        notes[os.path.abspath(state.model_checkpoint_path)] = "newest"
    rows = [_checkpoint(prefix, notes.get(path, "not listed")) for path, prefix in prefixes.items()]
    return sorted(rows, key=lambda row: (row.written, row.step or 0, row.prefix))


def _checkpoint(prefix: str, note: str) -> Checkpoint:
    files = [bundle.index_path(prefix), *bundle.data_files(prefix), f"{prefix}.meta"]
    there = [os.stat(path) for path in files if os.path.exists(path)]
    if not os.path.exists(files[0]):
        there = [os.stat(path) for path in gfile.glob(prefix)]  # the old format
    step = re.search(r"-(\d+)(-\?+-of-\d+)?$", prefix)
    shards = 0
    try:
        with open_checkpoint(prefix) as reader:
            shards = reader.num_shards
    except errors.NotFoundError:
        note = "missing"
    except errors.OpError as error:
        note = f"damaged: {error.message}"
    size, written = sum(stat.st_size for stat in there), max((stat.st_mtime for stat in there), default=0.0)
    return Checkpoint(prefix, int(step[1]) if step else None, shards, size, written, note)


# --- Tensors ---------------------------------------------------------------------------------------------------------


def opened(path: str) -> Reader:
    """The checkpoint of a prefix, of one of its files, or the newest one of a folder.

    Raises:
      ValueError: the folder has none.
      NotFoundError: there is none.
      DataLossError: it is damaged.
    """
    prefix = re.sub(r"\.(index|meta|data-\d{5,}-of-\d{5,})$", "", path)
    return open_checkpoint(prefix if gfile.exists(bundle.index_path(prefix)) else checkpoint_prefix(path))


def tensors(reader: Reader, pattern: str | None = None) -> list[Tensor]:
    """The tensors whose names have the regular expression `pattern` in them, sorted by name."""
    wanted = re.compile(pattern or "")
    return [
        Tensor(entry.name, entry.dtype.name, entry.shape, _stored_bytes(entry), len(entry.slices) or 1)
        for entry in reader.entries()
        if wanted.search(entry.name)
    ]


def _stored_bytes(entry: Entry) -> int:
    return entry.place.size if entry.dtype is string else entry.bytes


def parameters(found: list[Tensor]) -> int:
    """How many elements tensors have together."""
    return sum(math.prod(tensor.shape) for tensor in found)


def statistics(value: np.ndarray[Any, Any]) -> Statistics | None:
    """The values in short; None where numbers cannot say it."""
    if value.dtype == object or value.dtype.kind == "c":
        return None
    low, high, total, count, nans, infinities = math.inf, -math.inf, 0.0, 0, 0, 0
    flat = value.reshape(-1)
    for start in range(0, flat.size, _SLAB):
        part = flat[start : start + _SLAB].astype(np.float64)
        finite = part[np.isfinite(part)]
        nans += int(np.isnan(part).sum())
        infinities += int(np.isinf(part).sum())
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            total, count = total + float(finite.sum()), count + finite.size
    known = (low, high, total / count) if count else (None, None, None)
    return Statistics(*known, nans, infinities)


def verify(reader: Reader) -> Iterator[tuple[str, str | None]]:
    """Reads all tensors; gives the name of each, and what is wrong with it, or None."""
    names = [entry.name for entry in reader.entries()]
    for name in names:
        try:
            reader.read(name)
        except errors.OpError as error:
            yield name, error.message
        else:
            yield name, None


def export_array(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A value in a dtype that `.npy` files have: bfloat16 becomes float32.

    Raises:
      ValueError: it is of strings.
    """
    if value.dtype == object:
        raise ValueError("Strings cannot be written to a .npy file.")
    return value.astype(np.float32) if value.dtype.kind == "V" else value


# --- Objects ---------------------------------------------------------------------------------------------------------


def object_tree(reader: Reader) -> Iterator[str]:
    """The objects of an object-based checkpoint, a line each, below those that they belong to; none for others.

    An object that has several owners is spelled out below the first one.
    """
    from millstream.train import object_graph

    graph = object_graph.read_graph(reader, reader.prefix)
    seen: set[int] = set()
    stack = [] if graph is None else [(0, "root", 0)]
    while stack:
        number, name, depth = stack.pop()
        line = f"{'  ' * min(depth, _DEEPEST)}{name} (object {number}"
        if number in seen:
            yield f"{line}, above)"
            continue
        seen.add(number)
        node = graph.nodes[number]
        yield ": ".join([f"{line})", *(attribute.checkpoint_key for attribute in node.attributes)])
        children = [(child.node_id, child.local_name) for child in node.children]
        for slot in node.slot_variables:
            name = f"{slot.slot_name} of object {slot.original_variable_node_id}"
            children.append((slot.slot_variable_node_id, name))
        stack.extend((child, called, depth + 1) for child, called in reversed(children))
