"""Fingerprints of rows."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops.arguments import invalid
from millstream.ops.farm_hash import fingerprint64


def _fingerprint_shape(c: ShapeContext) -> Any:
    data = shapes.with_rank_at_least(c.shape(0), 1)
    return (None if data is None else data[0], 8)


def _bytes_of(row: Any) -> bytes:
    """The bytes that stand for a row: its own, or those of the hashes of several strings."""
    if row.dtype != object:
        return row.tobytes()
    strings = row.tolist()
    if len(strings) == 1:
        return strings[0]
    return b"".join(fingerprint64(string).to_bytes(8, "little") for string in strings)


@op("Fingerprint(data: T, method: string) -> fingerprint: uint8", T=ANY, shape=_fingerprint_shape, host=True)
def fingerprint_op(xp, data, method):
    if np.asarray(method).item() != b"farmhash64":
        raise invalid(f"Unsupported fingerprint method: {np.asarray(method).item().decode()}")
    if not data.ndim:
        raise invalid("`data` should have at least one dimension: []")
    hashes = [fingerprint64(_bytes_of(row)) for row in np.ascontiguousarray(data).reshape(len(data), -1)]
    return np.array(hashes, "<u8").reshape(-1, 1).view(np.uint8)


fingerprint_op.no_gradient("hashes")


@export("fingerprint")
def fingerprint(data: Any, method: Any = "farmhash64", name: str | None = None) -> Tensor:
    """A fingerprint of each row of `data`, the same at all times and on all machines.

    Args:
      data: [n, ...] of any dtype.
      method: "farmhash64", the only one there is.
      name: the operation's name.

    Returns:
      uint8 [n, 8]: the FarmHash64 of each row's bytes, or of its strings' hashes, with the lowest byte first.
    """
    return fingerprint_op(data, method, name=name)
