"""SavedModels: graphs with functions, objects and signatures."""
from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterable

import support

import millstream
import millstream.v1 as tf
from millstream.core import context
from millstream.core.errors import FailedPreconditionError
from millstream.io import proto

MESSAGE = proto.SavedModel
DATA = "tests/saved_model/data"
# What TensorFlow says too: of files that cannot be parsed, and of models that lack what the caller asks for.
TENSORFLOWS = (
    "OSError: Cannot parse file |RuntimeError: MetaGraphDef associated with tags .* could not be found in SavedModel"
    "|RuntimeError: Expected exactly one SavedModel init op|RuntimeError: The Session graph is empty"
    "|ValueError: Importing a SavedModel with `tf.saved_model.load` requires a `tags=` argument"
)


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    return support.seeds(f"{DATA}/*/*/saved_model.pb", most_bytes=1 << 14)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    load(support.place("model/saved_model.pb", data))


def load(path: str) -> None:
    """Loads a model in all ways."""
    folder = os.path.dirname(path)
    variables = support.ROOT / DATA / "tensorflow2" / "simple" / "variables"
    if not os.path.exists(f"{folder}/variables"):
        shutil.copytree(variables, f"{folder}/variables")
    kinds = ValueError, FailedPreconditionError  # the latter: what is run first reads a variable without a value
    refusing = functools.partial(support.refusing, *kinds, naming=folder, saying=TENSORFLOWS)
    for tags in (None, ["serve"]):
        # The checkpoint suits one of the models.
        options = millstream.saved_model.LoadOptions(experimental_skip_checkpoint=tags is not None)
        with context.mode(True), refusing():
            millstream.saved_model.load(folder, tags, options)
    with tf.Graph().as_default(), tf.Session() as session, refusing():
        tf.saved_model.load(session, ["serve"], folder)
