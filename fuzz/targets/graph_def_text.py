"""Graphs in text form, `.pbtxt`."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf import text_format
from targets import graph_def

from millstream.io import proto
from millstream.io.message_files import read_message

MESSAGE, TEXT = graph_def.MESSAGE, True


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    return [text_format.MessageToString(MESSAGE.FromString(seed)).encode() for seed in graph_def.SEEDS()]


def TestOneInput(data: bytes) -> None:  # noqa: N802
    path, message = support.place("graph.pbtxt", data), None
    with support.refusing(ValueError, naming=path):
        message = read_message(path, proto.GraphDef, binary=False)
    if message is not None:
        graph_def.import_graph(message)
