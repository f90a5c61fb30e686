"""The object graph of an object-based checkpoint."""
from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import support

import millstream as tf
from millstream.cli.checkpoint_facts import object_tree
from millstream.core import context, dtypes
from millstream.io import proto
from millstream.io.bundle_reader import BundleReader
from millstream.io.bundle_writer import BundleWriter
from millstream.train.object_graph import GRAPH_KEY

MESSAGE = proto.TrackableObjectGraph
KEY = "v/.ATTRIBUTES/VARIABLE_VALUE"


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    folder = support.ROOT / "tests" / "train" / "data" / "objects"
    for path in sorted(folder.glob("*/*.index")):
        with BundleReader(os.fspath(path)[: -len(".index")]) as reader:
            if reader.entry(GRAPH_KEY) is not None:
                yield reader.read(GRAPH_KEY).item()


def TestOneInput(data: bytes) -> None:  # noqa: N802
    prefix = support.place("objects/m", b"")
    graph = np.empty((), object)
    graph[()] = data
    with BundleWriter(prefix) as writer:
        writer.add(GRAPH_KEY, graph, dtypes.string)
        writer.add(KEY, np.float32([1.0]), dtypes.float32)
        writer.finish()
    with support.refusing(ValueError, naming=prefix), BundleReader(prefix) as reader:
        for _ in object_tree(reader):
            pass
    missing = "NotFoundError: Key "  # … not found in checkpoint, as TensorFlow says it
    with support.refusing(ValueError, naming=prefix, saying=missing), context.mode(True):
        tf.train.Checkpoint(v=tf.Variable([0.0])).restore(prefix).expect_partial()
