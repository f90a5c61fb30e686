"""Saving 1 GB of float32 in 100 variables with tf.train.Saver."""
import time

from peers import checkpoints

UNIT = "s"


def graph(tf):
    checkpoints.add_variables(tf)
    session, saver, folder = checkpoints.initialized_session(tf), tf.train.Saver(), checkpoints.Folder()
    return folder, lambda: saver.save(session, folder.prefix, write_meta_graph=False)


def figures(prepared):
    folder, save = prepared
    with folder:
        start = time.perf_counter()
        save()
        return {"": time.perf_counter() - start}
