"""Resident memory at its peak while 1 GB (954 MiB) in 100 variables is restored, then saved, that GB included."""
from peers import checkpoints

UNIT = "MiB"


def graph(tf):
    checkpoints.add_variables(tf)
    return checkpoints.written_folder(tf), tf.Session(), tf.train.Saver()


def figures(prepared):
    folder, session, saver = prepared
    with folder:
        start = checkpoints.memory("VmRSS")
        saver.restore(session, folder.prefix)
        found = {"restore": checkpoints.memory("VmHWM") - start}
        checkpoints.restart_peak()
        saver.save(session, folder.prefix + "-again", write_meta_graph=False)
        found["save"] = checkpoints.memory("VmHWM") - start
    return found
