"""The functions of `tf.test`, and its tool for stubs."""

from __future__ import annotations

import functools
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from millstream.core.export import export
from millstream.platform import sysconfig
from millstream.runtime import backend, config, devices
from millstream.test import benchmark

Test = TypeVar("Test", bound=Callable[..., Any])


@export("test.main")
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the unit tests of the program and ends it: `if __name__ == "__main__": tf.test.main()`.

    With the option `--benchmarks=REGEX` on the command line it runs the program's benchmarks with such names instead.
    """
    arguments = list(sys.argv if argv is None else argv)
    wanted = [word for word in arguments if word.startswith("--benchmarks")]
    if wanted:
        benchmark.run_benchmarks(wanted[-1].partition("=")[2] or ".")
        return
    from absl.testing import absltest

    absltest.main(argv=arguments)


@export(v1=["test.get_temp_dir"])
@functools.cache
def get_temp_dir() -> str:
    """A folder for files of tests: the same one during the life of the process."""
    return os.environ.get("TEST_TMPDIR") or tempfile.mkdtemp(prefix="millstream_test_")


@export(v1=["test.test_src_dir_path"])
def test_src_dir_path(relative_path: str) -> str:
    """The path of a file of the package."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(os.environ.get("TEST_SRCDIR", package), relative_path)


test_src_dir_path.__test__ = False  # type: ignore[attr-defined]  # its name makes test runners take it for a test


@export("test.is_built_with_cuda")
def is_built_with_cuda() -> bool:
    """Whether JAX has its plugin for NVIDIA's GPUs: the accelerator is JAX's affair."""
    return bool(sysconfig.get_build_info()["is_cuda_build"])


@export("test.is_built_with_rocm")
def is_built_with_rocm() -> bool:
    """False: see `is_built_with_cuda`."""
    return False


@export("test.is_built_with_gpu_support")
def is_built_with_gpu_support() -> bool:
    """Whether JAX has a plugin for GPUs."""
    return is_built_with_cuda() or is_built_with_rocm()


@export(v2=["test.is_built_with_xla"])
def is_built_with_xla() -> bool:
    """Whether programs are compiled by XLA: always."""
    return True


@export(v2=["test.is_cpu_target_available"])
def is_cpu_target_available(target: str) -> bool:
    """Whether programs are compiled for a kind of CPU: the machine's own.

    Args:
      target: `"aarch64"`, `"arm"`, `"powerpc"`, `"systemz"` or `"x86_64"`.

    Raises:
      AssertionError: it is none of these.
    """
    machines = {"aarch64": "aarch64 arm64", "arm": "arm", "powerpc": "ppc", "systemz": "s390", "x86_64": "x86_64 amd64"}
    if target not in machines:
        raise AssertionError(f"Unknown CPU target: {target}. Known are {', '.join(machines)}.")
    return platform.machine().lower().startswith(tuple(machines[target].split()))


@export("test.is_gpu_available")
def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU that operations can run on.

    Args:
      cuda_only: accepted; without effect.
      min_cuda_compute_capability: the least compute capability, a pair of numbers.
    """
    capabilities = [
        config.get_device_details(gpu).get("compute_capability") for gpu in config.list_physical_devices("GPU")
    ]
    wanted = min_cuda_compute_capability
    return any(wanted is None or found is None or tuple(found) >= tuple(wanted) for found in capabilities)


@export("test.gpu_device_name")
def gpu_device_name() -> str:
    """The name of a GPU, `"/device:GPU:0"`, or the empty string."""
    return "/device:GPU:0" if config.list_physical_devices("GPU") else ""


@export(v2=["test.experimental.sync_devices"])
def sync_devices() -> None:
    """Waits until the devices have done what was asked of them: for measurements."""
    if not backend.is_loaded():
        return
    for device in devices.jax_devices().values():
        (backend.jax().device_put(0.0, device) + 0).block_until_ready()


@export(v2=["test.disable_with_predicate"])
def disable_with_predicate(pred: Callable[[], bool], skip_message: str) -> Callable[[Test], Test]:
    """Decorates a test method to be skipped, with a message, where `pred()` is true."""

    def decorate(method: Test) -> Test:
        @functools.wraps(method)
        def test(self: Any, *args: Any, **kwargs: Any) -> Any:
            if pred():
                self.skipTest(skip_message)
            return method(self, *args, **kwargs)

        return test  # type: ignore[return-value]

    return decorate


@export(v2=["test.with_eager_op_as_function"])
def with_eager_op_as_function(cls: Any = None, only_as_function: bool = False) -> Any:
    """Accepted for compatibility: a class of tests stays as it is."""
    return (lambda decorated: decorated) if cls is None else cls


@export(v2=["test.assert_equal_graph_def"])
def assert_equal_graph_def_v2(expected: Any, actual: Any) -> None:
    """Checks that two `GraphDef`s have the same nodes, in whatever order.

    Raises:
      AssertionError: they differ.
      TypeError: an argument is no `GraphDef`.
    """
    assert_equal_graph_def(actual, expected)


@export(v1=["test.assert_equal_graph_def"])
def assert_equal_graph_def(
    actual: Any, expected: Any, checkpoint_v2: bool = False, hash_table_shared_name: bool = False
) -> None:
    """Checks that two `GraphDef`s have the same nodes, in whatever order.

    Raises:
      AssertionError: they differ.
      TypeError: an argument is no `GraphDef`.
    """
    for name, value in (("actual", actual), ("expected", expected)):
        if not hasattr(value, "node"):
            raise TypeError(f"Expected tf.GraphDef for {name}, got {type(value).__name__}")
    found, wanted = ({node.name: node for node in value.node} for value in (actual, expected))
    different = [name for name in wanted if name in found and str(found[name]) != str(wanted[name])]
    lines = [f"only in actual: {name}" for name in found if name not in wanted]
    lines += [f"only in expected: {name}" for name in wanted if name not in found]
    lines += [f"{name}:\n{found[name]}is not\n{wanted[name]}" for name in different]
    if lines:
        raise AssertionError("The graphs differ.\n" + "\n".join(lines))


@export("test.benchmark_config")
def benchmark_config() -> Any:
    """A session's `ConfigProto` for measurements."""
    from millstream.io import proto

    return proto.ConfigProto()


@export("test.create_local_cluster")
def create_local_cluster(
    num_workers: int, num_ps: int, protocol: str = "grpc", worker_config: Any = None, ps_config: Any = None
) -> Any:
    """Not available: Millstream runs in one process.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError("Millstream runs in one process: there are no clusters of servers.")


@export(v1=["test.StubOutForTesting"])
class StubOutForTesting:
    """Replaces attributes for the time of a test.

    Example:
      >>> with tf.test.StubOutForTesting() as stubs:
      ...   stubs.Set(os.path, "exists", lambda path: True)
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def Set(self, parent: Any, child_name: str, new_child: Any) -> None:  # noqa: N802 - the public name
        """Replaces an attribute that `parent` has."""
        old = vars(parent).get(child_name, getattr(parent, child_name))  # keeps static and class methods as they are
        self._replaced.append((parent, child_name, old))
        setattr(parent, child_name, new_child)

    def SmartSet(self, obj: Any, attr_name: str, new_attr: Any) -> None:  # noqa: N802 - the public name
        """Replaces an attribute of an object, or where it comes from a base class, of that class."""
        owner = obj
        if attr_name not in vars(obj):
            bases = obj.__mro__ if isinstance(obj, type) else type(obj).__mro__
            owner = next((base for base in bases if attr_name in vars(base)), None)
            if owner is None:
                raise AttributeError(attr_name)
        self.Set(owner, attr_name, new_attr)

    def UnsetAll(self) -> None:  # noqa: N802 - the public name
        """Puts everything back."""
        while self._replaced:
            parent, name, old = self._replaced.pop()
            setattr(parent, name, old)

    SmartUnsetAll = CleanUp = UnsetAll

    def __enter__(self) -> StubOutForTesting:
        return self

    def __exit__(self, *error: object) -> None:
        self.UnsetAll()
