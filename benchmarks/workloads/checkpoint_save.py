"""Saving 1 GB of float32 in 100 variables with tf.train.Saver, and until the disk has all of it."""
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
        saved = time.perf_counter() - start
        folder.sync()
        return {"": saved, "on disk": time.perf_counter() - start}
