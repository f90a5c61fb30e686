"""Writing checkpoint bundles, and merging several into one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import DType
from millstream.io import bundle, crc32c, fail_points
from millstream.io.atomic_files import StagedFiles
from millstream.io.bundle_reader import BundleReader
from millstream.io.coding import slice_key
from millstream.io.gfile import local_path, reporting
from millstream.io.sorted_table import TableWriter
from millstream.io.tensor_slice import Extents, TensorSlice, fill_proto, format_extents


class BundleWriter:
    """Writes a bundle of one shard, tensor by tensor; it appears when `finish` is called.

    It appears whole or not at all, also where it takes the place of a bundle of the same prefix.

    Args:
      prefix: what its files' names begin with; their folder is made where it is missing.

    Example:
      >>> with BundleWriter("model.ckpt") as writer:
      ...   writer.add("w", np.ones(3, np.float32), tf.float32)
      ...   writer.finish()
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._entries: dict[bytes, Any] = {}
        self._offset = 0
        _make_folder(prefix)
        self._files = StagedFiles()
        self._data = self._files.open(bundle.data_path(prefix, 0, 1))

    def add(self, name: str, value: np.ndarray[Any, Any], dtype: DType) -> None:
        """Adds a tensor.

        Raises:
          InvalidArgumentError: the name is empty, or taken.
        """
        key = bundle.key_of(name)
        if not key or key.startswith(bundle.SLICE_MARK):
            raise errors.InvalidArgumentError(None, None, f"A tensor cannot be saved under the name {name!r}.")
        self._append(key, name, value, dtype)

    def add_slice(
        self, name: str, shape: Sequence[int], extents: Extents, value: np.ndarray[Any, Any], dtype: DType
    ) -> None:
        """Adds a part of a tensor of shape `shape`.

        Raises:
          InvalidArgumentError: it does not fit what was added under this name.
        """
        if tuple(value.shape) != TensorSlice.of(extents, shape).lengths:
            message = f"Tensor {name} has shape {list(value.shape)}, but its slice is {format_extents(extents)}"
            raise errors.InvalidArgumentError(None, None, message)
        whole = bundle.entry(dtype, shape)
        fill_proto(whole.slices.add(), extents)
        _add_whole(self._entries, bundle.key_of(name), whole)
        self._append(slice_key(bundle.key_of(name), extents), name, value, dtype)

    def finish(self) -> None:
        """Writes the index and gives the files their names."""
        with reporting(self._prefix):
            _finish(self._files, self._prefix, 1, self._entries)

    def _append(self, key: bytes, name: str, value: np.ndarray[Any, Any], dtype: DType) -> None:
        bundle.check_storable(name, dtype)
        if key in self._entries:
            raise errors.InvalidArgumentError(None, None, f"Adding duplicate key: {name}")
        entry = bundle.entry(dtype, value.shape)
        with reporting(self._prefix):
            fail_points.reached()
            size, entry.crc32c = self._write(value)
        entry.offset, entry.size = self._offset, size
        self._offset += size
        self._entries[key] = entry

    def _write(self, value: np.ndarray[Any, Any]) -> tuple[int, int]:
        """Writes a tensor's bytes; gives their number and checksum."""
        if value.dtype == object:
            parts, checksum = bundle.encode_strings(value)
            return sum(map(self._data.write, parts)), checksum
        data, crc = bundle.as_bytes(value), 0
        for chunk in crc32c.chunks(data):
            crc = crc32c.extend(crc, chunk)
            self._files.wrote(self._data, self._data.write(chunk))
        return len(data), crc32c.masked(crc)

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.__exit__(*error)


def _make_folder(prefix: str) -> None:
    """Makes the folder of a bundle; the one above must be there."""
    folder = os.path.dirname(local_path(prefix))
    if folder and not os.path.exists(folder):
        with reporting(folder), suppress(FileExistsError):
            os.mkdir(folder)


def _add_whole(entries: dict[bytes, Any], key: bytes, added: Any) -> None:
    """Adds the entry of a tensor of which there are slices, or its slices to the entry that is there."""
    known = entries.get(key)
    if known is None:
        entries[key] = added
        return
    if not known.slices or not added.slices:
        raise errors.InvalidArgumentError(None, None, f"Adding duplicate key: {bundle.name_of(key)}")
    if known.shape != added.shape or known.dtype != added.dtype:
        name = bundle.name_of(key)
        message = f"The slices of tensor {name} say different things about its shape or dtype"
        raise errors.InvalidArgumentError(None, None, message)
    known.slices.extend(part for part in added.slices if part not in known.slices)


def _finish(files: StagedFiles, prefix: str, num_shards: int, entries: dict[bytes, Any]) -> None:
    """Adds the index to a bundle's data files, and lets them appear at once, in place of the bundle that is there.

    That one counts until the index has its name. So the data files must not take the names of those that it has: they
    get the names of a bundle that has one shard more, an empty one, and their usual names when nobody needs these.
    """
    replaced, interim = _num_shards(prefix), num_shards + 1
    if replaced == num_shards:
        usual, others = ([bundle.data_path(prefix, i, n) for i in range(num_shards)] for n in (num_shards, interim))
        files.rename(dict(zip(map(local_path, usual), map(local_path, others), strict=True)))
        files.open(bundle.data_path(prefix, num_shards, interim))
        _write_index(files, prefix, interim, entries)
        files.commit()
        with suppress(OSError, errors.OpError), StagedFiles() as again:  # without links it is whole all the same
            for other, name in zip(others, usual, strict=True):
                again.link(other, name)
            _write_index(again, prefix, num_shards, entries)
            again.commit()
    else:
        _write_index(files, prefix, num_shards, entries)
        files.commit()
    if current := _num_shards(prefix):
        _remove_shards(prefix, {replaced, interim, num_shards} - {current})


def _num_shards(prefix: str) -> int:
    """Of how many shards a bundle is; 0: there is none that could be read."""
    try:
        with BundleReader(prefix) as reader:
            return reader.num_shards
    except errors.OpError:
        return 0


def _remove_shards(prefix: str, counts: set[int]) -> None:
    """Deletes the data files of bundles of so many shards, which count no more."""
    for path in bundle.data_files(local_path(prefix)):
        if int(path.rpartition("-")[2]) in counts:
            with suppress(OSError):
                fail_points.reached()
                os.unlink(path)


def _write_index(files: StagedFiles, prefix: str, num_shards: int, entries: dict[bytes, Any]) -> None:
    """Adds a bundle's index to files that are about to appear."""
    table = TableWriter(files.open(bundle.index_path(prefix)))
    table.add(bundle.HEADER_KEY, bundle.header(num_shards).SerializeToString())
    for key in sorted(entries):
        table.add(key, entries[key].SerializeToString())
    table.finish()


def merge_bundles(prefixes: Sequence[str], destination: str) -> None:
    """Makes one bundle of several, whose data files it takes over.

    Args:
      prefixes: bundles with different tensors, or different slices of the same ones.
      destination: the prefix of the new bundle.

    Raises:
      InvalidArgumentError: two of them have the same tensor.
    """
    from millstream.io import proto

    entries: dict[bytes, Any] = {}
    shards: list[str] = []
    for prefix in dict.fromkeys(prefixes):
        with BundleReader(prefix) as reader:
            for key, value in reader.raw_entries():
                entry = proto.BundleEntryProto.FromString(value)
                if not entry.slices:
                    entry.shard_id += len(shards)
                    if key in entries:
                        name = bundle.name_of(key)
                        raise errors.InvalidArgumentError(None, None, f"Adding duplicate key: {name}")
                    entries[key] = entry
                else:
                    _add_whole(entries, key, entry)
            shards += [bundle.data_path(prefix, shard, reader.num_shards) for shard in range(reader.num_shards)]
    _make_folder(destination)
    with StagedFiles() as files, reporting(destination):
        for number, path in enumerate(shards):
            files.adopt(path, bundle.data_path(destination, number, len(shards)))
        _finish(files, destination, len(shards), entries)
        for prefix in dict.fromkeys(prefixes):
            if prefix != destination:
                fail_points.reached()
                os.unlink(local_path(bundle.index_path(prefix)))


def remove_bundle(prefix: str) -> None:
    """Deletes the files of a bundle, the index first: what has none counts as no bundle."""
    path = local_path(prefix)
    with reporting(prefix):
        fail_points.reached()
        os.unlink(bundle.index_path(path))
        for file in bundle.data_files(path):
            fail_points.reached()
            os.unlink(file)
