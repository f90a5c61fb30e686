"""What the checkpoint workloads share: 100 variables of 10 MB each, and a checkpoint of them in a folder of its own.

    python checkpoints.py SYSTEM PREFIX

writes the checkpoint, in a process of its own: whoever reads it afterwards has not written it.
"""
import os
import subprocess
import sys
import tempfile

VARIABLES = 100
SHAPE = [2500, 1000]  # 10 MB of float32
MIB = 1 << 20


def add_variables(tf):
    """Makes the variables, each of another value, and a step of 4 bytes."""
    for i in range(VARIABLES):
        tf.get_variable(f"v{i}", initializer=tf.fill(SHAPE, 0.5 + i))
    tf.get_variable("step", initializer=7)


def initialized_session(tf):
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session


def library(system):
    if system == "millstream":
        import millstream.v1 as tf
    else:
        import tensorflow as tf
    return tf


class Folder:
    """A temporary folder, where TMPDIR says; `with` removes it, for the process is killed when it has answered."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="checkpoints-")
        self.prefix = os.path.join(self._folder.name, "model")

    def sync(self):
        """Brings the files to the disk: nothing is left to do where `Saver.save` has done so."""
        for entry in os.scandir(self._folder.name):
            descriptor = os.open(entry.path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._folder.cleanup()


def written_folder(tf):
    """Returns a folder with a checkpoint that another process of the same system has written."""
    folder = Folder()
    system = "millstream" if tf.__name__.startswith("millstream") else "tf1"
    subprocess.run([sys.executable, os.path.abspath(__file__), system, folder.prefix], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.sync()  # not all systems bring their files to the disk: it would have to do that beside what is measured
    return folder


def memory(field):
    """Returns a field of /proc/self/status in MiB."""
    with open("/proc/self/status") as f:
        kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
    return kibibytes[field] / 1024


def restart_peak():
    """Makes the peak of resident memory, VmHWM, what is resident now."""
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def main():
    system, prefix = sys.argv[1:]
    tf = library(system)
    add_variables(tf)
    tf.train.Saver().save(initialized_session(tf), prefix, write_meta_graph=False)


if __name__ == "__main__":
    main()
