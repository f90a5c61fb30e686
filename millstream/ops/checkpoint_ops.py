"""Saving tensors in checkpoints, and restoring them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs, scalar
from millstream.io import bundle
from millstream.io.bundle_reader import BundleReader
from millstream.io.bundle_writer import BundleWriter, merge_bundles
from millstream.io.tensor_slice import TensorSlice, parse_shape_and_slice


@op(
    "SaveV2(prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes[])",
    shape=no_outputs,
    stateful=True,
    host=True,
)
def save_v2_op(xp, prefix, tensor_names, shape_and_slices, tensors, *, node):
    names, slices = _texts(tensor_names), _texts(shape_and_slices)
    if not len(names) == len(slices) == len(tensors):
        raise ValueError(
            f"Expected {len(tensors)} elements for the tensor names and the slices, but got {len(names)} and "
            f"{len(slices)}"
        )
    dtypes = [tensor.dtype.base_dtype for tensor in node.inputs[3:]]
    with BundleWriter(_path(prefix)) as writer:
        for name, text, value, dtype in zip(names, slices, tensors, dtypes, strict=True):
            if text:
                writer.add_slice(name, *parse_shape_and_slice(text), value, dtype)
            else:
                writer.add(name, value, dtype)
        writer.finish()


def _restored_shapes(c: ShapeContext) -> list[Any]:
    """A slice has its own shape; that of a whole tensor is known when it is read."""
    slices = c.constant(2)
    count = len(c.attrs["dtypes"])
    texts = [""] * count if slices is None else _texts(slices)
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
)
def restore_v2_op(xp, prefix, tensor_names, shape_and_slices, *, dtypes):
    names, slices = _texts(tensor_names), _texts(shape_and_slices)
    if not len(names) == len(slices) == len(dtypes):
        raise ValueError(
            f"Got {len(names)} tensor names and {len(slices)} slices, but expected {len(dtypes)} expected dtypes."
        )
    with BundleReader(_path(prefix)) as reader:
        for name, dtype in zip(names, dtypes, strict=True):
            _check_dtype(reader, name, dtype)
        return [_restored(reader, name, text) for name, text in zip(names, slices, strict=True)]


def _check_dtype(reader: BundleReader, name: str, dtype: Any) -> None:
    entry = reader.entry(name)
    if entry is None:
        raise errors.NotFoundError(None, None, f"Key {name} not found in checkpoint")
    if entry.dtype is not dtype.base_dtype:
        stored, wanted = entry.dtype.short_name, dtype.base_dtype.short_name
        message = f"tensor_name = {name}; expected dtype {wanted} does not equal original dtype {stored}"
        raise errors.InvalidArgumentError(None, None, message)


def _restored(reader: BundleReader, name: str, text: str) -> np.ndarray[Any, Any]:
    if not text:
        return reader.read(name)
    shape, part = _parse(text)
    entry = reader.entry(name)
    if entry is not None and entry.shape != shape:
        stored = list(entry.shape)
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
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)


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


for _definition in (save_v2_op, restore_v2_op, merge_v2_checkpoints_op, sharded_filename_op, sharded_filespec_op):
    _definition.no_gradient("files have no derivative")
