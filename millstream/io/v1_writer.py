"""Writing checkpoints of TensorFlow's old format "V1" (`v1_reader`), for programs that still read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.dtypes import DType
from millstream.io import bundle, tensor_proto
from millstream.io.atomic_files import StagedFiles
from millstream.io.coding import slice_key
from millstream.io.gfile import reporting
from millstream.io.sorted_table import TableWriter
from millstream.io.tensor_slice import WHOLE, Extents, TensorSlice, fill_proto, format_extents
from millstream.io.v1_reader import META_KEY, VERSION

_LACKING = {dtypes.bfloat16, dtypes.uint32, dtypes.uint64, dtypes.qint16, dtypes.quint16}  # in the format


class V1Writer:
    """Writes a file of the old format; it appears when `finish` is called. All tensors are held in memory until then.

    Args:
      path: the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._tensors: dict[str, Any] = {}  # the messages that list their slices
        self._values: dict[bytes, bytes] = {}

    def add(self, name: str, value: np.ndarray[Any, Any], dtype: DType) -> None:
        """Adds a tensor.

        Raises:
          InvalidArgumentError: the name is taken.
          UnimplementedError: the format has not got this dtype.
        """
        self.add_slice(name, value.shape, (WHOLE,) * value.ndim, value, dtype)

    def add_slice(
        self, name: str, shape: Sequence[int], extents: Extents, value: np.ndarray[Any, Any], dtype: DType
    ) -> None:
        """Adds a part of a tensor of shape `shape`.

        Raises:
          InvalidArgumentError: it does not fit what was added under this name.
          UnimplementedError: the format has not got this dtype.
        """
        from millstream.io import proto

        bundle.check_storable(name, dtype)
        if dtype in _LACKING:
            message = f"Saving data type {dtype.name} not yet supported (tensor '{name}'). SaverDef.V2 has it."
            raise errors.UnimplementedError(None, None, message)
        if tuple(value.shape) != TensorSlice.of(extents, shape).lengths:
            message = f"Tensor {name} has shape {list(value.shape)}, but its slice is {format_extents(extents)}"
            raise errors.InvalidArgumentError(None, None, message)
        key = slice_key(bundle.key_of(name), extents)
        if key in self._values:
            raise errors.InvalidArgumentError(None, None, f"Adding duplicate key: {name}")
        fill_proto(self._tensor(name, shape, dtype).slice.add(), extents)
        entry = proto.SavedTensorSlices()
        entry.data.name = name
        entry.data.slice.SetInParent()
        fill_proto(entry.data.slice, extents)
        entry.data.data.SetInParent()
        tensor_proto.encode_values(entry.data.data, value, dtype)
        self._values[key] = entry.SerializeToString()

    def _tensor(self, name: str, shape: Sequence[int], dtype: DType) -> Any:
        """The message that lists the slices of a tensor."""
        from millstream.io import proto

        found = self._tensors.get(name)
        if found is None:
            found = self._tensors[name] = proto.SavedSliceMeta(name=name, type=dtype.as_datatype_enum)
            found.shape.SetInParent()
            for size in shape:
                found.shape.dim.add(size=size)
        elif found.type != dtype.as_datatype_enum or [dim.size for dim in found.shape.dim] != list(shape):
            message = f"The slices of tensor {name} say different things about its shape or dtype"
            raise errors.InvalidArgumentError(None, None, message)
        return found

    def finish(self) -> None:
        """Writes the file."""
        from millstream.io import proto

        header = proto.SavedTensorSlices()
        header.meta.versions.producer = VERSION
        header.meta.tensor.extend(self._tensors[name] for name in sorted(self._tensors))
        with StagedFiles() as files:
            file = files.open(self._path)
            with reporting(self._path):
                table = TableWriter(file)
                table.add(META_KEY, header.SerializeToString())
                for key in sorted(self._values):
                    table.add(key, self._values[key])
                table.finish()
            files.commit()
