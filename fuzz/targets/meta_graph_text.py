"""Graphs with their collections in text form."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf import text_format
from targets import meta_graph

MESSAGE, TEXT = meta_graph.MESSAGE, True


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    return [text_format.MessageToString(MESSAGE.FromString(seed)).encode() for seed in meta_graph.SEEDS()]


def TestOneInput(data: bytes) -> None:  # noqa: N802
    meta_graph.import_file(support.place("graph.meta.pbtxt", data))
