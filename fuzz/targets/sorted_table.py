"""Sorted tables: the indices of checkpoints."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import support

from millstream.io.sorted_table import TableReader


def SEEDS() -> Iterable[bytes]:  # noqa: N802 - beside TestOneInput
    return support.seeds("tests/io/data/tensorflow/*.index", "tests/io/data/tensorflow/old*")


def TestOneInput(data: bytes) -> None:  # noqa: N802 - the name that atheris documents
    path = support.place("table", data)
    with support.ignoring_checksums(), support.refusing(naming=path), closing(TableReader(path)) as table:
        for key, value in table.items():
            found = table.get(key)
            if found is not None and found != value:
                raise AssertionError("a key has two values")
