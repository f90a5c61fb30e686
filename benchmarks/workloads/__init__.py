"""What is measured: one module a workload, the text for each system in it.

A workload is one of three kinds:

* repeated: `graph(tf)` (the 1.x text, shared by TensorFlow 1.15 and Millstream) or `modern(tf)` (the 2.x text, shared
  by TensorFlow 2 and Millstream), `in_tf2()`, `in_torch()` and `in_jax()`, as far as they apply, prepare the job and
  return a function without arguments that does it once.
  `REPEAT` of these calls are timed together; the figure is the time of one call over `PER`.
* fresh process: such functions, and `figures(job)`, which takes figures of the prepared job. Each sample is
  taken in a new process. `figures` returns a dict from a figure's label to its value in `UNIT`.
* command: `PROGRAMS`, a dict from system to Python source. The figure is the time of the whole process.

All have `UNIT`. A workload with `RUNS = ("cold", "warm")` is sampled twice with one compilation cache, empty
at first. The modules run under every system's Python, so they import nothing but NumPy at the top and keep to
Python 3.7; so does `peers/`, which has what the convolutional and the recurrent workloads share.
"""
import importlib

NAMES = tuple(
    "mlp_step run_latency graph_build import_graph import_time hello_world first_step init60 memory "
    "eager_add eager_mlp function_mlp function_call first_ops function_first_step "
    "lenet_step resnet20_step vgg_batch1 vgg_batch32 separable_step resnet56_compile truncated_normal "
    "sine_lstm_step language_model_step while_loop host_loop scalar_summaries merged_summaries eager_summaries "
    "checkpoint_save checkpoint_restore checkpoint_read_one checkpoint_memory".split()
)


def load(name):
    """Returns the module of the workload of that name."""
    return importlib.import_module("workloads." + name)


def participants(workload):
    """Returns the names of the systems that a workload is written for."""
    if hasattr(workload, "PROGRAMS"):
        return set(workload.PROGRAMS)
    others = {name[len("in_"):] for name in vars(workload) if name.startswith("in_")}
    if hasattr(workload, "modern"):
        return others | {"millstream", "tf2"}
    return others | ({"millstream", "tf1"} if hasattr(workload, "graph") else set())


def prepare(workload, system):
    """Prepares a workload's job in this process and returns the function that does it once."""
    if hasattr(workload, "modern") and system in ("millstream", "tf2"):
        if system == "millstream":
            import millstream as tf
        else:
            import tensorflow as tf
        return workload.modern(tf)
    if system == "millstream":
        import millstream.v1 as tf
        return workload.graph(tf)
    if system == "tf1":
        import tensorflow as tf
        return workload.graph(tf)
    return getattr(workload, "in_" + system)()
