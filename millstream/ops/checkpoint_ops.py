"""Saving tensors in checkpoints, and restoring them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs, scalar, unknown
from millstream.io import bundle, fail_points
from millstream.io.bundle_writer import BundleWriter, merge_bundles
from millstream.io.checkpoint_reader import Reader, open_checkpoint
from millstream.io.gfile import reporting
from millstream.io.tensor_slice import TensorSlice, parse_shape_and_slice
from millstream.io.v1_reader import V1Reader
from millstream.io.v1_writer import V1Writer

_MANY_BYTES = 1 << 24  # are read by several threads
_MOST_THREADS = 8


@op(
    "SaveV2(prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes[])",
    shape=no_outputs,
    stateful=True,
    host=True,
)
def save_v2_op(xp, prefix, tensor_names, shape_and_slices, tensors, *, node):
    with BundleWriter(_path(prefix)) as writer:
        _add_all(writer, tensor_names, shape_and_slices, tensors, node.inputs[3:])
        writer.finish()


def _add_all(writer: BundleWriter | V1Writer, names: Any, slices: Any, values: Sequence[Any], tensors: Any) -> None:
    """Adds tensors to a checkpoint."""
    names, slices = _texts(names), _texts(slices)
    if not len(names) == len(slices) == len(values):
        raise ValueError(
            f"Expected {len(values)} elements for the tensor names and the slices, but got {len(names)} and "
            f"{len(slices)}"
        )
    for name, text, value, tensor in zip(names, slices, values, tensors, strict=True):
        if text:
            writer.add_slice(name, *parse_shape_and_slice(text), value, tensor.dtype.base_dtype)
        else:
            writer.add(name, value, tensor.dtype.base_dtype)


def _restored_shapes(c: ShapeContext) -> list[Any]:
    """A slice has its own shape; that of a whole tensor is known when it is read."""
    slices = c.constant(2)
    count = len(c.attrs["dtypes"])
    texts = [""] * count if slices is None else _texts(slices)
    if len(texts) != count:
        raise ValueError("The number of shape_and_slice doesn't match tensor outputs.")
    return [_parse(text)[1].lengths if text else None for text in texts]


def _parse(text: str) -> tuple[Any, TensorSlice]:
    """The shape of a tensor and the slice of it that an operation is to read."""
    shape, extents = parse_shape_and_slice(text)
    return shape, TensorSlice.of(extents, shape)


@op(
    "RestoreV2(prefix: string, tensor_names: string, shape_and_slices: string, *, dtypes: list(type) >= 1)"
    " -> tensors: dtypes[]",
    shape=_restored_shapes,
    stateful=True,
    host=True,
    new_arrays=True,
)
def restore_v2_op(xp, prefix, tensor_names, shape_and_slices, *, dtypes):
    names, slices = _texts(tensor_names), _texts(shape_and_slices)
    if not len(names) == len(slices) == len(dtypes):
        raise ValueError(
            f"Got {len(names)} tensor names and {len(slices)} slices, but expected {len(dtypes)} expected dtypes."
        )
    with open_checkpoint(_path(prefix)) as reader:
        for name, dtype in zip(names, dtypes, strict=True):
            _check_dtype(reader, name, dtype)
        return _in_threads(partial(_restored, reader), names, slices, sum(reader.found(name).bytes for name in names))


def _in_threads(read: Callable[..., Any], names: Sequence[str], slices: Sequence[str], size: int) -> list[Any]:
    """What `read` gives for each tensor; several are read at once where there are many bytes."""
    if size < _MANY_BYTES:
        return list(map(read, names, slices))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "restore") as pool:
        return list(pool.map(read, names, slices))


def _check_dtype(reader: Reader, name: str, dtype: Any) -> None:
    entry = reader.found(name)
    if entry.dtype is not dtype.base_dtype:
        stored, wanted = entry.dtype.short_name, dtype.base_dtype.short_name
        message = f"tensor_name = {name}; expected dtype {wanted} does not equal original dtype {stored}"
        raise errors.InvalidArgumentError(None, None, message)


def _restored(reader: Reader, name: str, text: str) -> np.ndarray[Any, Any]:
    if not text:
        return reader.read(name)
    shape, part = _parse(text)
    stored = list(reader.found(name).shape)
    if stored != list(shape):
        message = f"tensor_name = {name}; shape in shape_and_slice spec {list(shape)} does not match the shape stored"
        raise errors.InvalidArgumentError(None, None, f"{message} in checkpoint: {stored}")
    return reader.read_slice(name, part)


@op(
    "MergeV2Checkpoints(checkpoint_prefixes: string, destination_prefix: string, *, delete_old_dirs: bool = True)",
    shape=no_outputs,
    stateful=True,
    host=True,
)
def merge_v2_checkpoints_op(xp, checkpoint_prefixes, destination_prefix, *, delete_old_dirs):
    prefixes, destination = _texts(checkpoint_prefixes), _path(destination_prefix)
    merge_bundles(prefixes, destination)
    if delete_old_dirs:
        for folder in {os.path.dirname(prefix) for prefix in prefixes} - {os.path.dirname(destination)}:
            with reporting(folder):
                if os.path.isdir(folder) and not os.listdir(folder):
                    fail_points.reached()
                    os.rmdir(folder)


# --- The old format --------------------------------------------------------------------------------------------------


@op("Save(filename: string, tensor_names: string, data: T[])", shape=no_outputs, stateful=True, host=True)
def save_op(xp, filename, tensor_names, data, *, node):
    writer = V1Writer(_path(filename))
    _add_all(writer, tensor_names, np.full(len(data), b"", object), data, node.inputs[2:])
    writer.finish()


@op(
    "SaveSlices(filename: string, tensor_names: string, shapes_and_slices: string, data: T[])",
    shape=no_outputs,
    stateful=True,
    host=True,
)
def save_slices_op(xp, filename, tensor_names, shapes_and_slices, data, *, node):
    writer = V1Writer(_path(filename))
    _add_all(writer, tensor_names, shapes_and_slices, data, node.inputs[3:])
    writer.finish()


@op(
    "Restore(file_pattern: string, tensor_name: string, *, dt: type, preferred_shard: int = -1) -> tensor: dt",
    shape=unknown,
    stateful=True,
    host=True,
    new_arrays=True,
)
def restore_op(xp, file_pattern, tensor_name, *, dt):
    return _restored_from_v1(file_pattern, tensor_name, "", dt)


@op(
    "RestoreSlice(file_pattern: string, tensor_name: string, shape_and_slice: string, *, dt: type,"
    " preferred_shard: int = -1) -> tensor: dt",
    shape=lambda c: _restored_shape(c.constant(2)),
    stateful=True,
    host=True,
    new_arrays=True,
)
def restore_slice_op(xp, file_pattern, tensor_name, shape_and_slice, *, dt):
    return _restored_from_v1(file_pattern, tensor_name, bundle.name_of(shape_and_slice.item()), dt)


def _restored_shape(text: Any) -> Any:
    return None if text is None or not text.item() else _parse(bundle.name_of(text.item()))[1].lengths


def _restored_from_v1(pattern: Any, name: Any, text: str, dtype: Any) -> np.ndarray[Any, Any]:
    with V1Reader(_path(pattern)) as reader:
        name = bundle.name_of(name.item())
        _check_dtype(reader, name, dtype)
        return _restored(reader, name, text)


# --- Names of files --------------------------------------------------------------------------------------------------


@op("ShardedFilename(basename: string, shard: int32, num_shards: int32) -> filename: string", shape=scalar, host=True)
def sharded_filename_op(xp, basename, shard, num_shards):
    return np.array(b"%s-%05d-of-%05d" % (basename.item(), shard, num_shards), object)


@op("ShardedFilespec(basename: string, num_shards: int32) -> filename: string", shape=scalar, host=True)
def sharded_filespec_op(xp, basename, num_shards):
    return np.array(b"%s-?????-of-%05d" % (basename.item(), num_shards), object)


def _path(value: np.ndarray[Any, Any]) -> str:
    return bundle.name_of(value.item())


def _texts(value: np.ndarray[Any, Any]) -> list[str]:
    return [bundle.name_of(item) for item in value.reshape(-1).tolist()]


for _definition in (
    save_v2_op, restore_v2_op, merge_v2_checkpoints_op, save_op, save_slices_op, restore_op, restore_slice_op,
    sharded_filename_op, sharded_filespec_op,
):  # fmt: skip
    _definition.no_gradient("files have no derivative")
