"""Checkpoints of `tf.train.Saver` and of `tf.train.Checkpoint`. For Python 3.7 and newer."""
import os

import numpy as np
from round_trips.artefact import Artefact
from train import object_programs

VALUES = {
    "v": np.array([[1.0, -2.5], [3.0, 4e-3]], np.float32),
    "scope/whole": np.array([5, -(2 ** 40)], np.int64),
    "scope/flags": np.array([True, False, True]),
    "small": np.array([0.5, -1.0], np.float16),
    "text": np.array([b"a", b"", b"longer \xc3\xa4"], object),
}
TABLE = np.arange(10 * 2, dtype=np.float32).reshape(10, 2)


def _nothing_like(value):
    return np.full_like(value, b"") if value.dtype == object else np.zeros_like(value)


def _restored(tf, saver, folder, variables):
    """The variables' values after the newest checkpoint was restored, and what the checkpoint says of itself."""
    path = tf.train.latest_checkpoint(folder)
    with tf.Session() as session:
        saver.restore(session, path)
        values = {variable.op.name: session.run(variable) for variable in variables}
    stored = tf.train.NewCheckpointReader(path).get_variable_to_shape_map()
    return {"name": os.path.basename(path), "values": values, "stored": stored}


class Saver(Artefact):
    """Variables of both kinds and several dtypes, with a step in the name."""

    name = "saver"
    title = "checkpoints of `tf.train.Saver`"
    same = ("tf1", "tf2")
    skipped = ()
    options = {}

    def _variables(self, tf, values):
        return [
            tf.get_variable(name, initializer=value, use_resource=name.startswith("scope"))
            for name, value in values.items()
            if name not in self.skipped
        ]

    def write(self, tf, folder):
        self._variables(tf, VALUES)
        step = tf.train.get_or_create_global_step()
        saver = tf.train.Saver(save_relative_paths=True, **self.options)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for _ in range(2):
                session.run(tf.assign_add(step, 3))
                saver.save(session, os.path.join(folder, "model"), global_step=step, write_meta_graph=False)

    def read(self, tf, folder):
        variables = self._variables(tf, {name: _nothing_like(value) for name, value in VALUES.items()})
        variables.append(tf.train.get_or_create_global_step())
        return _restored(tf, tf.train.Saver(), folder, variables)


class OldSaver(Saver):
    """The format before TensorFlow 1.0, which has no strings and no halves."""

    name = "saver_v1"
    title = "the same in the old format, V1"
    skipped = ("small", "text")
    options = {"write_version": 1}


class ShardedSaver(Artefact):
    """A file for each device."""

    name = "saver_sharded"
    title = "sharded ones"
    same = ("tf1", "tf2")

    def write(self, tf, folder):
        for number in range(2):
            with tf.device(f"/cpu:{number}"):
                tf.get_variable(f"v{number}", initializer=np.float32([number, 7.5]), use_resource=False)
        config = tf.ConfigProto(device_count={"CPU": 2}, allow_soft_placement=True)
        with tf.Session(config=config) as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(sharded=True, save_relative_paths=True)
            saver.save(session, os.path.join(folder, "model"), write_meta_graph=False)

    def read(self, tf, folder):
        variables = [tf.get_variable(f"v{number}", [2], use_resource=False) for number in range(2)]
        return _restored(tf, tf.train.Saver(), folder, variables)


class PartitionedVariable(Artefact):
    """Tables in parts, by rows and by columns; they are read whole, and in other parts."""

    name = "saver_partitioned"
    title = "partitioned variables in checkpoints"
    same = ("tf1", "tf2")

    def _variables(self, tf, table, row_parts, column_parts):
        """The tables; no number of parts: a whole one."""
        for name, parts, axis, resource in (("rows", row_parts, 0, False), ("columns", column_parts, 1, True)):
            partitioner = None if parts is None else tf.fixed_size_partitioner(parts, axis=axis)
            value = tf.constant(table if axis == 0 else table.T)
            yield tf.get_variable(name, initializer=value, use_resource=resource, partitioner=partitioner)

    def write(self, tf, folder):
        list(self._variables(tf, TABLE, 3, 4))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(save_relative_paths=True)
            saver.save(session, os.path.join(folder, "model"), write_meta_graph=False)

    def read(self, tf, folder):
        seen = {}
        for label, parts in {"whole": (None, None), "one": (1, 1), "other": (4, 3), "many": (10, 10)}.items():
            with tf.Graph().as_default():
                list(self._variables(tf, TABLE * 0, *parts))
                seen[label] = _restored(tf, tf.train.Saver(), folder, tf.global_variables())
        return seen


class Objects(Artefact):
    """A linear model, its optimizer with slots, and a counter: training goes on."""

    name = "objects"
    title = "`tf.train.Checkpoint` with an optimizer"
    version = 2
    same = ("tf2",)
    golden = {"tf1": "train/data/objects/tf1", "tf2": "train/data/objects/tf2"}

    def write(self, tf, v1, folder):
        objects, train = object_programs.training(tf, v1)
        for _ in range(3):
            train()
        tf.train.Checkpoint(**objects).save(os.path.join(folder, "training"))

    def read(self, tf, v1, folder):
        objects, train = object_programs.training(tf, v1)
        tf.train.Checkpoint(**objects).restore(os.path.join(folder, "training-1"))
        before = [objects[name].numpy() for name in ("w", "b", "step")]
        for _ in range(3):
            train()
        return {"before": before, "after": [objects[name].numpy() for name in ("w", "b", "step")]}


class Structure(Artefact):
    """Lists, dicts, aliases, cycles, and names that must be escaped."""

    name = "structure"
    title = "containers in `tf.train.Checkpoint`"
    version = 2
    same = ("tf2",)
    golden = Objects.golden

    def write(self, tf, v1, folder):
        tf.train.Checkpoint(**object_programs.structure(tf, v1)).write(os.path.join(folder, "structure"))

    def read(self, tf, v1, folder):
        objects = object_programs.structure(tf, v1)
        module = objects["module"]
        variables = [module.first, module.layers[0], *module.layers[1].values(), objects["alias"]]
        for variable in variables:
            variable.assign(_nothing_like(variable.numpy()))
        path = os.path.join(folder, "structure")
        tf.train.Checkpoint(**objects).restore(path)
        names = [name for name, _ in tf.train.list_variables(path)]
        return {"values": [variable.numpy() for variable in variables], "names": names}


ARTEFACTS = (Saver(), OldSaver(), ShardedSaver(), PartitionedVariable(), Objects(), Structure())
