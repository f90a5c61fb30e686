"""Restoring 1 GB of float32 in 100 variables, into a session that has no values yet."""
import time

from peers import checkpoints

UNIT = "s"


def graph(tf):
    checkpoints.add_variables(tf)
    session, saver, folder = tf.Session(), tf.train.Saver(), checkpoints.written_folder(tf)
    session.run(tf.constant(0))
    return folder, lambda: saver.restore(session, folder.prefix)


def figures(prepared):
    folder, restore = prepared
    with folder:
        start = time.perf_counter()
        restore()
        return {"": time.perf_counter() - start}
