"""The file that says which checkpoints a folder has."""
from __future__ import annotations

import os
from collections.abc import Iterable

import support

import millstream.v1 as tf
from millstream.io import proto

MESSAGE, TEXT = proto.CheckpointState, True


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    yield from support.seeds("tests/io/data/tensorflow/checkpoint")
    yield b'model_checkpoint_path: "/a/m-1"\nall_model_checkpoint_timestamps: 1.5\nlast_preserved_timestamp: 1e300\n'


def TestOneInput(data: bytes) -> None:  # noqa: N802
    folder = os.path.dirname(support.place("state/checkpoint", data))
    # A checkpoint may be anywhere, for instance where nobody knows how to read.
    with support.refusing(ValueError, naming=folder, saying="UnimplementedError: File system scheme "):
        tf.train.get_checkpoint_state(folder)
        tf.train.latest_checkpoint(folder)
