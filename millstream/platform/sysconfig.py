"""`tf.sysconfig`: what a program would need to compile TensorFlow operations in C++. Millstream has none to offer."""
from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from millstream.core.export import export, export_value

CXX_VERSION = 201703
export_value(__name__, "CXX_VERSION", v2=["sysconfig.CXX_VERSION"])

_PACKAGE = Path(__file__).parent.parent


@export("sysconfig.get_include")
def get_include() -> str:
    """The folder in which C++ headers would be."""
    return str(_PACKAGE / "include")


@export("sysconfig.get_lib")
def get_lib() -> str:
    """The folder in which libraries would be."""
    return str(_PACKAGE)


@export("sysconfig.get_compile_flags")
def get_compile_flags() -> list[str]:
    """The compiler's flags for extensions."""
    return [f"-I{get_include()}", "-D_GLIBCXX_USE_CXX11_ABI=1", "--std=c++17"]


@export("sysconfig.get_link_flags")
def get_link_flags() -> list[str]:
    """The linker's flags for extensions."""
    return [f"-L{get_lib()}"]


@export(v2=["sysconfig.get_build_info"])
def get_build_info() -> OrderedDict[str, Any]:
    """What this is built for: `is_cuda_build`, `is_rocm_build` and `is_tensorrt_build`, and versions where they hold.

    The accelerators are JAX's affair: a build for CUDA is one whose JAX has its CUDA plugin.
    """
    version = _cuda_plugin()
    info: dict[str, Any] = {"cpu_compiler": "XLA", "is_cuda_build": version is not None}
    if version is not None:
        info["cuda_version"] = version
    return OrderedDict(sorted({**info, "is_rocm_build": False, "is_tensorrt_build": False}.items()))


def _cuda_plugin() -> str | None:
    """The version of CUDA that JAX's installed plugin is for, "12"; None without a plugin."""
    from importlib.metadata import entry_points

    names = (point.name for point in entry_points(group="jax_plugins"))
    return next((name.removeprefix("xla_cuda") for name in names if name.startswith("xla_cuda")), None)
