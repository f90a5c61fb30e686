"""The three systems of the round trips, and how to run an artefact in each: also the program that runs in TensorFlow.

    python systems.py write|read FOLDER ARTEFACT...

Each artefact is written to, or read from, the folder of its name in FOLDER. Prints a JSON object of what was
read. For Python 3.7 and newer.
"""
import json
import os
import sys

TENSORFLOW = ("tf1", "tf2")
TITLES = {"tf1": "TensorFlow 1.15.5", "tf2": "TensorFlow 2.21"}


def tensorflow():
    """TensorFlow's 2.x and 1.x namespaces. Operations run at once unless a graph is the default one."""
    import tensorflow as tf

    if tf.__version__.startswith("1."):
        tf.enable_eager_execution()
        return tf.compat.v2, tf
    return tf, tf.compat.v1


def write(artefact, tf, v1, folder):
    """Writes the files of an artefact to a folder of its name."""
    folder = os.path.join(folder, artefact.name)
    os.makedirs(folder)
    if artefact.version == 2:
        return artefact.write(tf, v1, folder)
    with v1.Graph().as_default():
        return artefact.write(v1, folder)


def read(artefact, tf, v1, folder):
    """What an artefact's `read` finds in such a folder, as a JSON value; the error, where there is one."""
    try:
        return plain(_read(artefact, tf, v1, os.path.join(folder, artefact.files_of or artefact.name)))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:1000]}"}


def _read(artefact, tf, v1, folder):
    if artefact.version == 2:
        return artefact.read(tf, v1, folder)
    with v1.Graph().as_default():
        return artefact.read(v1, folder)


def plain(value):
    """A value as JSON has it: lists for tuples and arrays, text for bytes, six digits of a number."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main(action, folder, *names):
    from round_trips import table

    tf, v1 = tensorflow()
    run = {"write": write, "read": read}[action]
    print(json.dumps({name: run(table.ARTEFACTS[name], tf, v1, folder) for name in names}))


if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main(*sys.argv[1:])
