"""Restoring variables by their names from a checkpoint of objects: how a `tf.train.Saver` reads one of `Checkpoint`."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from millstream.core import errors
from millstream.io.checkpoint_reader import open_checkpoint
from millstream.train.object_graph import keys_by_full_name, read_graph
from millstream.train.saveables import SaveableObject


def object_keys(path: str) -> dict[str, str] | None:
    """The keys of the variables of a checkpoint of objects by their names; None for another checkpoint."""
    with open_checkpoint(path) as reader:
        message = read_graph(reader, path)
    return None if message is None else keys_by_full_name(message)


def rename(saveables: Sequence[SaveableObject], keys: Mapping[str, str]) -> None:
    """Gives saveable objects the keys under which a checkpoint of objects has them.

    Raises:
      NotFoundError: it lacks some.
    """
    names = {spec.name for saveable in saveables for spec in saveable.specs}
    missing = names - keys.keys()
    if missing:
        raise errors.NotFoundError(None, None, _explained(names, keys.keys() - {""}))
    for saveable in saveables:
        for spec in saveable.specs:
            spec.name = keys[spec.name]


def _explained(wanted: set[str], stored: Any) -> str:
    return (
        f"\n\nExisting variables not in the checkpoint: {', '.join(sorted(wanted - stored))}\n\n"
        "Variables names when this checkpoint was written which don't exist now: "
        f"{', '.join(sorted(stored - wanted))}\n\n"
        f"({len(wanted & stored)} variable name(s) did match)\n\n"
        "Could not find some variables in the checkpoint (see names above). Saver was attempting to load an "
        "object-based checkpoint (saved using tf.train.Checkpoint or tf.keras.Model.save_weights) using variable "
        "names. If the checkpoint was written with eager execution enabled, it's possible that variable names have "
        "changed (for example missing a '_1' suffix). It's also possible that there are new variables which did not "
        "exist when the checkpoint was written. You can construct a Saver(var_list=...) with only the variables which "
        "previously existed, and if variable names have changed you may need to make this a dictionary with the old "
        "names as keys. If you're using an Estimator, you'll need to return a tf.train.Saver inside a "
        "tf.train.Scaffold from your model_fn."
    )
