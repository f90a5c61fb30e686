"""Checkpoint bundles: an index and a shard of data."""
from __future__ import annotations

import os
from collections.abc import Iterable

import support

from millstream.io.bundle_reader import BundleReader


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    names = ("mixed", "trained-1")
    folder = support.ROOT / "tests" / "io" / "data" / "tensorflow"
    endings = (".index", ".data-00000-of-00001")
    return [support.joined(*((folder / (name + ending)).read_bytes() for ending in endings)) for name in names]


def TestOneInput(data: bytes) -> None:  # noqa: N802
    index, shard = support.split(data, 2)
    prefix = os.path.splitext(support.place("bundle/m.index", index))[0]
    support.place("bundle/m.data-00000-of-00001", shard)
    with support.ignoring_checksums():
        with support.refusing(naming=prefix), BundleReader(prefix) as reader:
            for name in [entry.name for entry in reader.entries()]:
                with support.refusing(naming=prefix):
                    reader.read(name)
