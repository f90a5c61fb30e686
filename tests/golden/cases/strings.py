"""Functions of string tensors."""
from __future__ import annotations

from ..spec import Family, string

FAMILY = Family("strings")

FAMILY.table({
    "join": lambda tf, x: [tf.string_join([x, "-", x]), tf.strings.join([x, x], separator=", ")],
    "as_string": lambda tf, x: [tf.as_string([1, -2]), tf.as_string([1.5, 2.25]), tf.as_string([True]),
                                       tf.as_string([3.14159], precision=2),
                                       tf.as_string([7], width=4, fill="0")],
    "to_number": lambda tf, x: [tf.string_to_number(["1.5", "-2"]), tf.string_to_number("12", tf.int32)],
    "add": lambda tf, x: [x + "!", tf.add("<", x)],
}, string([b"abc", b"xa b", b"aB "]))
