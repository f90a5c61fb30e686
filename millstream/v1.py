"""TensorFlow 1.x's namespace; operations build a graph, sessions run it.

    import millstream.v1 as tf
"""
import typing as _typing

from millstream.core.versions import VERSION_1 as __version__  # noqa: F401 - programs ask which TensorFlow this is

if _typing.TYPE_CHECKING:
    from millstream._api.v1 import *  # noqa: F403
else:
    # Not imported with a star, which would load every name that is to load on first use.
    from millstream._api import v1 as _namespace
    from millstream.runtime import behavior as _behavior

    _behavior.choose(1)

    __all__ = _namespace.__all__
    __dir__ = _namespace.__dir__

    def __getattr__(name: str) -> object:
        value = globals()[name] = getattr(_namespace, name)
        return value
