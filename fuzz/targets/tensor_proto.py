"""Tensor values as messages."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import support
from google.protobuf.message import DecodeError

from millstream.io import proto
from millstream.io.tensor_proto import from_proto, make_ndarray, make_tensor_proto

MESSAGE = proto.TensorProto


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    values = [
        np.arange(6, dtype=np.float32).reshape(2, 3), np.float64(1.5), np.array([b"ab", b""], object),
        np.array([True, False]), np.complex64([1j, 2]), np.zeros([0, 3], np.int8), np.float16([1, 2]),
    ]  # fmt: skip
    return [make_tensor_proto(value).SerializeToString(deterministic=True) for value in values]


def TestOneInput(data: bytes) -> None:  # noqa: N802
    try:
        message = MESSAGE.FromString(data)
    except DecodeError:
        return
    with support.refusing(ValueError, saying="TypeError: Unsupported tensor type"):
        value = from_proto(message)
        if value.size <= 1 << 16:
            again = make_ndarray(make_tensor_proto(make_ndarray(message)))
            if again.tobytes() != value.tobytes() and value.dtype != object:
                raise AssertionError("the value does not come back")
