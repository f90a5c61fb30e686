"""Records checkpoints of real TensorFlow in `tests/io/data/`; of a long one only the checksum of its index.

    python tools/record_checkpoints.py       with the Python of an environment that has TensorFlow 1.15.5, or 2.21.0

Both versions write the same bytes. `tests/io/test_tensorflow_checkpoints.py` reads them, and holds Millstream's own
files to them.
"""

import hashlib
import os
import shutil
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "io"))

import checkpoint_values as values  # noqa: E402 - found by the line above
import tensorflow  # noqa: E402

tf = tensorflow.compat.v1
FOLDER = os.path.join(ROOT, "tests", "io", "data", "tensorflow")


def tensor(value, dtype):
    if dtype == "bfloat16":
        return tf.cast(tf.constant(value, tf.float32), tf.bfloat16)
    return tf.constant(value, tf.as_dtype(dtype), value.shape)


def save(prefix, tensors, slices):
    """The operation that saves (name, tensor) pairs, some with slices."""
    names = [name for name, _ in tensors]
    return tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=slices, tensors=[value for _, value in tensors]
    )


def mixed(prefix):
    """All dtypes, and a tensor in slices, in one file."""
    tensors = [(name, tensor(value, dtype)) for name, dtype, value in values.TENSORS]
    slices = [""] * len(tensors)
    for text, start, end in values.SLICES:
        tensors.append((values.SLICED, tf.constant(values.WHOLE[start:end])))
        slices.append(text)
    return save(prefix, tensors, slices)


def sharded(prefix):
    """Two files, each with a part of a tensor."""
    parts = [f"{prefix}_temp/part-{number:05d}-of-00002" for number in range(2)]
    saved = [
        save(parts[0], [("a", tf.constant([1.0, 2.0])), ("p", tf.constant(values.WHOLE[:4]))], ["", "10 4 0,4:-"]),
        save(parts[1], [("p", tf.constant(values.WHOLE[4:])), ("b", tf.constant(7))], ["10 4 4,6:-", ""]),
    ]
    with tf.control_dependencies(saved):
        return tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix)


def many(prefix):
    """An index of several blocks."""
    names = [values.name_of(number) for number in range(values.MANY)]
    tensors = [(name, tf.constant(np.float32(number))) for number, name in enumerate(names)]
    return save(prefix, tensors, [""] * len(names))


def old(prefix):
    """The old format: what it has of `mixed`, in one file."""
    known = [item for item in values.TENSORS if item[1] not in values.NOT_OLD_DTYPES]
    tensors = [(name, tensor(value, dtype)) for name, dtype, value in known]
    slices = [""] * len(tensors)
    for text, start, end in values.SLICES:
        tensors.append((values.SLICED, tf.constant(values.WHOLE[start:end])))
        slices.append(text)
    return save_old(prefix, tensors, slices)


def old_sharded(prefix):
    """The old format: two files, each with a part of a tensor."""
    first = [("a", tf.constant([1.0, 2.0])), ("p", tf.constant(values.WHOLE[:4]))]
    second = [("p", tf.constant(values.WHOLE[4:])), ("b", tf.constant(7))]
    return [
        save_old(f"{prefix}-00000-of-00002", first, ["", "10 4 0,4:-"]),
        save_old(f"{prefix}-00001-of-00002", second, ["10 4 4,6:-", ""]),
    ]


def save_old(path, tensors, slices):
    names, data = [name for name, _ in tensors], [value for _, value in tensors]
    return tf.raw_ops.SaveSlices(filename=path, tensor_names=names, shapes_and_slices=slices, data=data)


def trained(prefix):
    """What a Saver writes, with the file `checkpoint`."""
    tf.get_variable("v", initializer=np.float32([1.0, 2.0]))
    tf.get_variable("scope/r", initializer=np.float32([[3.0]]), use_resource=True)
    step = tf.train.get_or_create_global_step()
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(2):
            session.run(tf.assign_add(step, 1))
            saver.save(session, prefix, global_step=step, write_meta_graph=False)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    for build in (mixed, sharded, many, old, old_sharded, trained):
        with tf.Graph().as_default(), tf.device("/cpu:0"):
            saved = build(os.path.join(FOLDER, build.__name__))
            if saved is not None:
                with tf.Session() as session:
                    session.run(saved)
    shorten()


def shorten():
    """Leaves nothing that is long, or tells of this machine."""
    path = os.path.join(FOLDER, "many")
    with open(path + ".index", "rb") as file, open(path + ".sha256", "w") as digest:
        digest.write(hashlib.sha256(file.read()).hexdigest() + "\n")
    for suffix in (".index", ".data-00000-of-00001"):
        os.remove(path + suffix)
    path = os.path.join(FOLDER, "checkpoint")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace(FOLDER + os.sep, ""))


if __name__ == "__main__":
    main()
