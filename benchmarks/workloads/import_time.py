"""A process that only imports the library."""

UNIT = "s"
PROGRAMS = {
    "millstream": "import millstream.v1",
    "tf1": "import tensorflow",
    "tf2": "import tensorflow",
    "torch": "import torch",
    "jax": "import jax",
    "numpy": "import numpy",
}
