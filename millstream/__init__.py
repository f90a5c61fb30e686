"""Millstream: TensorFlow's programming model, built on XLA.

`import millstream.v1 as tf` is the 1.x namespace. `millstream.install_as_tensorflow()` makes `import tensorflow`
give Millstream in this process, and `millstream run program.py` does so for an unmodified program.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.compat import install_as_tensorflow as install_as_tensorflow

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "install_as_tensorflow":
        from millstream.compat import install_as_tensorflow

        return install_as_tensorflow
    if name.startswith("__"):  # what the import system and tools probe for
        raise AttributeError(f"module 'millstream' has no attribute {name!r}")
    from millstream._api import v2

    return getattr(v2, name)
