"""Records event files of real TensorFlow in `tests/summary/data/`.

    python tools/record_events.py       with the Python of an environment that has TensorFlow 1.15.5, or 2.21.0 with
                                        TensorBoard

`tests/summary/test_tensorflow_events.py` reads them, and holds Millstream's own files to them.
"""

import glob
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "summary"))

import event_program  # noqa: E402 - found by the line above
import tensorflow as tf  # noqa: E402

FOLDER = os.path.join(ROOT, "tests", "summary", "data")


def record(name, write):
    folder = tempfile.mkdtemp()
    write(tf, folder)
    (path,) = glob.glob(os.path.join(folder, "*"))
    shutil.copy(path, os.path.join(FOLDER, name + ".events"))
    shutil.rmtree(folder)
    print(name, os.path.getsize(os.path.join(FOLDER, name + ".events")), "bytes")


if tf.__version__.startswith("1."):
    record("v1", event_program.write_v1)
    record("contrib", event_program.write_contrib)
else:
    record("v2", event_program.write_v2)
