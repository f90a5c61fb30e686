"""`install_as_tensorflow`: makes `import tensorflow` give Millstream in this process."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from millstream.compat import modules
from millstream.public import available, names
from millstream.public.missing import CHECK_HINT, MissingModuleError, not_yet

ROOT = "tensorflow"


def install_as_tensorflow(api: int = 1) -> None:
    """Makes `import tensorflow` and its sub-modules resolve to Millstream, for this process only.

    Call it before the first import of TensorFlow. A second call with the same `api` does nothing.

    Args:
      api: 1 for TensorFlow 1.x's names and graphs by default, 2 for 2.x's names and eager execution.

    Raises:
      ValueError: `api` is neither 1 nor 2.
      RuntimeError: TensorFlow itself has been imported, or Millstream stands for the other version already.

    Example:
      >>> import millstream
      >>> millstream.install_as_tensorflow(api=1)
      >>> import tensorflow as tf
    """
    if api not in (1, 2):
        raise ValueError(f"api must be 1 or 2; received: {api!r}")
    for finder in sys.meta_path:
        if isinstance(finder, TensorFlowFinder):
            if finder.api == api:
                return
            raise RuntimeError(
                f"Millstream stands for TensorFlow {finder.api}.x in this process already; "
                f"api={api} needs a new one."
            )
    if ROOT in sys.modules:
        place = getattr(sys.modules[ROOT], "__file__", "unknown place")
        raise RuntimeError(
            f"tensorflow has been imported already (from {place}). Call install_as_tensorflow before that."
        )
    sys.meta_path.insert(0, TensorFlowFinder(api))
    from millstream.runtime import behavior

    behavior.use(api)


class TensorFlowFinder:
    """Finds `tensorflow` and everything below it in Millstream."""

    def __init__(self, api: int) -> None:
        self.api = api

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != ROOT and not fullname.startswith(ROOT + "."):
            return None
        below = fullname.removeprefix(ROOT).removeprefix(".")
        if modules.sources(self.api, below) is not None:
            return ModuleSpec(fullname, _Loader(self.api), origin="millstream", is_package=True)  # type: ignore[arg-type]
        if names.kind(*names.locate(self.api, below)) and not available.has(self.api, below):
            raise MissingModuleError(f"{not_yet(self.api, f'tf.{below}')}. {CHECK_HINT}", name=fullname)
        if below.partition(".")[0] in ("python", "core", "contrib", "examples", "tools"):
            raise MissingModuleError(f"{not_yet(self.api, fullname)}. {CHECK_HINT}", name=fullname)
        return None


class _Loader:
    """Not an `importlib.abc.Loader`: importing that takes longer than all the rest."""

    def __init__(self, api: int) -> None:
        self.api = api

    def create_module(self, spec: ModuleSpec) -> None:
        """None: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        modules.fill(module, self.api)
