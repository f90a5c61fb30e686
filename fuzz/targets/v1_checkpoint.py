"""Checkpoints of the old format."""
from __future__ import annotations

from collections.abc import Iterable

import support

from millstream.io.v1_reader import V1Reader


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    return support.seeds("tests/io/data/tensorflow/old*")


def TestOneInput(data: bytes) -> None:  # noqa: N802
    path = support.place("old/m", data)
    with support.ignoring_checksums():
        with support.refusing(naming=path), V1Reader(path) as reader:
            for name in [entry.name for entry in reader.entries()]:
                with support.refusing(naming=path):
                    reader.read(name)
