"""Reading checkpoints of TensorFlow's old format "V1": a sorted table that holds the values of tensors themselves.

The entry under the empty key says which tensors there are, and in which slices; each slice has an entry of its own. A
sharded checkpoint is several such files, which a pattern names together: `P-?????-of-00002`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.io import bundle, gfile, tensor_proto
from millstream.io.bundle import Entry
from millstream.io.coding import slice_key
from millstream.io.sorted_table import TableReader
from millstream.io.tensor_slice import Extents, Piece, TensorSlice, assemble, fill_proto, from_proto

META_KEY = b""
VERSION = 1  # of the format


class _Stored(NamedTuple):
    """A tensor: what the files say about it, and the files of its slices."""

    entry: Entry
    tables: dict[Extents, TableReader]


class V1Reader:
    """Reads tensors of a checkpoint of the old format.

    Args:
      pattern: the path of its file, or a pattern for its files' paths.

    Raises:
      NotFoundError: there is no such file.
      DataLossError: one is damaged; methods raise it too.
    """

    def __init__(self, pattern: str) -> None:
        self.prefix = pattern
        self._tensors: dict[str, _Stored] = {}
        self._files = ExitStack()
        self.close = weakref.finalize(self, self._files.close)  # closes the files, at the latest when this is gone
        self._bytes = 0  # of all files
        paths = sorted(gfile.glob(pattern))
        self.num_shards = len(paths)
        if not paths:
            raise bundle.no_files(pattern)
        try:
            for path in paths:
                self._add_file(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> V1Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- What there is ------------------------------------------------------------------------------------------

    def _add_file(self, path: str) -> None:
        table = bundle.open_table(path)
        self._files.callback(table.close)
        self._bytes += os.path.getsize(gfile.local_path(path))
        header = self._parsed(table, META_KEY, "the tensors")
        if not header.HasField("meta"):  # the index of a checkpoint of the present format, perhaps
            raise table.damaged(0, "Failed to find the saved tensor slices at the beginning of the checkpoint file")
        meta = header.meta
        if meta.versions.min_consumer > VERSION:
            message = f"Checkpoint min consumer version {meta.versions.min_consumer} above current version {VERSION}"
            raise errors.InvalidArgumentError(None, None, f"{message} ({path})")
        for item in meta.tensor:
            sizes = None if item.shape.unknown_rank else [dim.size for dim in item.shape.dim]
            slices = dict.fromkeys(map(from_proto, item.slice), table)
            entry = bundle.checked_entry(item.name, item.type, sizes, tuple(slices), path)
            known = self._tensors.get(item.name)
            if known is not None:
                if (entry.dtype, entry.shape) != (known.entry.dtype, known.entry.shape):
                    raise bundle.bad_entry(item.name, path, "another file has it in another shape or dtype")
                slices = {**known.tables, **slices}
            self._tensors[item.name] = _Stored(entry._replace(slices=tuple(slices)), slices)

    def _parsed(self, table: TableReader, key: bytes, what: str) -> Any:
        from google.protobuf.message import DecodeError

        from millstream.io import proto

        value = table.get(key)
        if value is None:
            raise table.damaged(0, f"the file has no entry of {what}")
        try:
            return proto.SavedTensorSlices.FromString(value)
        except DecodeError:
            raise table.damaged(0, f"the entry of {what} cannot be read") from None

    def entries(self) -> Iterator[Entry]:
        """The tensors, sorted by name."""
        for name in sorted(self._tensors):
            yield self._tensors[name].entry

    def entry(self, name: str) -> Entry | None:
        """What the files say about a tensor; None where they have no such tensor."""
        found = self._tensors.get(name)
        return None if found is None else found.entry

    def found(self, name: str) -> Entry:
        """What the files say about a tensor that must be there.

        Raises:
          NotFoundError: it is not.
        """
        return self._stored(name).entry

    # --- Values -------------------------------------------------------------------------------------------------

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor; quantised ones as plain integers, strings as an array of bytes objects.

        Raises:
          NotFoundError: there is none of this name.
          DataLossError: its data is damaged.
        """
        return self.read_slice(name, TensorSlice.whole(self.found(name).shape))

    def read_slice(self, name: str, part: TensorSlice) -> np.ndarray[Any, Any]:
        """A part of a tensor, which may be stored whole or in other slices.

        Raises:
          NotFoundError: there is no tensor of this name.
          InvalidArgumentError: it has not got this part.
          DataLossError: its data is damaged.
        """
        entry, tables = self._stored(name)
        bundle.check_part(entry, part, self.prefix)
        if part.elements > self._bytes:  # an element takes a byte at least
            raise bundle.bad_entry(name, self.prefix, f"{part.elements} elements are more than the files can hold")
        pieces = []
        for extents, table in tables.items():
            try:
                stored = TensorSlice.of(extents, entry.shape)
            except ValueError as error:
                raise bundle.bad_entry(name, table.path, str(error)) from None
            if stored == part:
                return self._read_stored(table, entry, extents, stored)
            if stored.intersection(part) is not None:
                pieces.append(Piece(stored, partial(self._read_stored, table, entry, extents, stored)))
        try:
            return assemble(pieces, part, lambda shape: np.empty(shape, bundle.stored_dtype(entry.dtype)))
        except ValueError as error:
            raise errors.InvalidArgumentError(None, None, f"Tensor {name}: {error} ({self.prefix})") from None

    def _stored(self, name: str) -> _Stored:
        found = self._tensors.get(name)
        if found is None:
            message = f'Tensor name "{name}" not found in checkpoint files {self.prefix}'
            raise errors.NotFoundError(None, None, message)
        return found

    def _read_stored(
        self, table: TableReader, entry: Entry, extents: Extents, part: TensorSlice
    ) -> np.ndarray[Any, Any]:
        from millstream.io import proto

        data = self._parsed(table, slice_key(bundle.key_of(entry.name), extents), f"tensor '{entry.name}'").data
        expected = proto.TensorSliceProto()
        fill_proto(expected, extents)
        if data.name != entry.name or data.slice != expected:
            raise bundle.bad_entry(entry.name, table.path, f"another tensor's values are in the place of slice {part}")
        try:
            value = tensor_proto.decode_values(data.data, entry.dtype, part.lengths)
        except (TypeError, ValueError) as error:
            raise bundle.bad_entry(entry.name, table.path, str(error)) from None
        return value.view(bundle.stored_dtype(entry.dtype))
