"""Reading one variable of 4 bytes out of a checkpoint of 1 GB: the first time in a process, and later."""
import sys
import time

from peers import checkpoints

UNIT = "ms"


def graph(tf):
    folder = checkpoints.written_folder(tf)
    return folder, lambda: tf.train.NewCheckpointReader(folder.prefix).get_tensor("step")


def figures(prepared):
    folder, read = prepared
    seconds = []
    with folder:
        for _ in range(10):
            start = time.perf_counter()
            if read() != 7:
                raise ValueError("the step should be 7")
            seconds.append(time.perf_counter() - start)
    if "jax" in sys.modules:
        raise ImportError("reading a checkpoint has imported JAX")
    return {"first": seconds[0], "later": min(seconds[1:])}
