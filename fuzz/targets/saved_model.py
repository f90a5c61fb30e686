"""SavedModels: graphs with functions, objects and signatures."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

import support

import millstream
import millstream.v1 as tf
from millstream.core import context

DATA = "tests/saved_model/data"


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    return support.seeds(f"{DATA}/*/*/saved_model.pb", most_bytes=1 << 14)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    folder = os.path.dirname(support.place("model/saved_model.pb", data))
    variables = support.ROOT / DATA / "tensorflow2" / "simple" / "variables"
    if not os.path.exists(f"{folder}/variables"):
        shutil.copytree(variables, f"{folder}/variables")
    refusals = (ValueError, TypeError, KeyError, RuntimeError, OSError, *support.REFUSALS)
    try:
        with context.mode(True):
            millstream.saved_model.load(folder)
    except refusals:
        pass
    with tf.Graph().as_default(), tf.Session() as session:
        try:
            tf.saved_model.load(session, ["serve"], folder)
        except refusals:
            pass
