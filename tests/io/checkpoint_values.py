"""What the recorded checkpoints hold, for the test and for `tools/record_checkpoints.py`. Runs under Python 3.7 too."""

import numpy as np

# Names, dtypes by TensorFlow's names, and values; bfloat16 and half from float32.
TENSORS = [
    ("w", "float32", np.arange(6).reshape(2, 3) / 4.0),
    ("scalar", "float64", np.array(-1.5)),
    ("half", "float16", np.array([0.5, 65504.0, -2.0])),
    ("brain", "bfloat16", np.array([[1.0], [-3.0]])),
    ("tiny", "int8", np.array([-128, 127])),
    ("short", "int16", np.array([-32768, 32767])),
    ("int", "int32", np.array([-(2**31), 2**31 - 1])),
    ("long", "int64", np.array([-(2**63), 2**63 - 1])),
    ("byte", "uint8", np.array([0, 255])),
    ("word", "uint16", np.array([0, 65535])),
    ("truth", "bool", np.array([True, False, True])),
    ("complex", "complex64", np.array([1 + 2j, -0.5j])),
    ("wide/complex", "complex128", np.array([[1e300 - 1e-300j]])),
    ("empty", "float32", np.zeros([0, 7])),
    ("text", "string", np.array([b"hello", b"", b"x" * 200, b"\x00\xff"], object)),
    ("line", "string", np.array(b"one", object)),
    ("no text", "string", np.array([], object)),
]

# Parts of one tensor: (shape and slice, start, end in the first dimension).
SLICED = "part"
WHOLE = np.arange(40, dtype=np.float32).reshape(10, 4)
SLICES = [("10 4 0,4:-", 0, 4), ("10 4 4,3:0,4", 4, 7), ("10 4 7,3:-", 7, 10)]

# The dtypes that TensorFlow does not write in the old format.
NOT_OLD_DTYPES = ["bfloat16"]

# Long tables have several blocks: so many tensors of one element, under names that share much.
MANY = 6000


def name_of(number):
    return f"some/deep/scope_{number % 7}/with/a/variable_{number:05d}/of/which/the/name/is/long"
