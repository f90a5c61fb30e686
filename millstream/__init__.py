"""Millstream: TensorFlow's programming model, built on XLA.

`import millstream as tf` is the 2.x namespace, `import millstream.v1 as tf` the 1.x namespace.
`millstream.install_as_tensorflow()` makes `import tensorflow` give Millstream in this process, and
`millstream run program.py` does so for an unmodified program.
"""
from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from millstream._api.v2 import *  # noqa: F403
    from millstream.compat import install_as_tensorflow as install_as_tensorflow
else:
    _NAMESPACES = os.path.join(os.path.dirname(__file__), "_api", "v2")

    class _Namespace(ModuleType):
        """The type of this module."""

        def __setattr__(self, name: str, value: Any) -> None:
            # The import system binds each subpackage to its parent. Where TensorFlow has a namespace of that name
            # (`train`, `io`), the name stands for that; the subpackage is imported by its full name all the same.
            if isinstance(value, ModuleType) and value.__name__ == f"{__name__}.{name}":
                if os.path.isdir(os.path.join(_NAMESPACES, name)):
                    return
            super().__setattr__(name, value)

    sys.modules[__name__].__class__ = _Namespace

    def __getattr__(name: str) -> Any:
        if name == "install_as_tensorflow":
            from millstream.compat import install_as_tensorflow

            return install_as_tensorflow
        if name.startswith("__"):  # what the import system and tools probe for
            raise AttributeError(f"module 'millstream' has no attribute {name!r}")
        from millstream._api import v2
        from millstream.runtime import behavior

        behavior.choose(2)
        value = globals()[name] = getattr(v2, name)
        return value

    def __dir__() -> list[str]:
        from millstream._api import v2

        return sorted({*globals(), *v2.__all__, "install_as_tensorflow"})
