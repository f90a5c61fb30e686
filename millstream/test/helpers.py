"""The functions of `tf.test`, and its tools for stubs and measurements."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from millstream.core.export import export


@export("test.main")
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the unit tests of the program and ends it: `if __name__ == "__main__": tf.test.main()`."""
    from absl.testing import absltest

    absltest.main(argv=list(sys.argv if argv is None else argv))


@export(v1=["test.get_temp_dir"])
@cache
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
    """Whether there is a GPU of NVIDIA's: the accelerator is JAX's affair."""
    return is_gpu_available()


@export("test.is_built_with_rocm")
def is_built_with_rocm() -> bool:
    """False: see `is_built_with_cuda`."""
    return False


@export("test.is_built_with_gpu_support")
def is_built_with_gpu_support() -> bool:
    """Whether there is a GPU."""
    return is_gpu_available()


@export("test.is_gpu_available")
def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU that operations can run on; the arguments are accepted for compatibility."""
    return bool(gpu_device_name())


@export("test.gpu_device_name")
def gpu_device_name() -> str:
    """The name of a GPU, `"/device:GPU:0"`, or the empty string."""
    from millstream.runtime.devices import jax_devices

    return next((f"/device:{name}" for name in jax_devices() if name.startswith("GPU")), "")


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


@export("test.Benchmark")
class Benchmark:
    """Base of measurements."""

    @classmethod
    def is_abstract(cls) -> bool:
        """Whether this is a base class without measurements."""
        return cls.__name__ in ("Benchmark", "TensorFlowBenchmark")

    def evaluate(self, tensors: Any) -> Any:
        """The values of a structure of tensors in the default session."""
        from millstream.core.session_stack import get_default_session

        return get_default_session().run(tensors)

    def report_benchmark(
        self,
        iters: int | None = None,
        cpu_time: float | None = None,
        wall_time: float | None = None,
        throughput: float | None = None,
        extras: dict[str, Any] | None = None,
        name: str | None = None,
        metrics: Any = None,
    ) -> dict[str, Any]:
        """Prints the given figures as one line, and returns them."""
        figures = {"name": name or type(self).__name__, "iters": iters, "cpu_time": cpu_time, "wall_time": wall_time,
                   "throughput": throughput, **(extras or {})}  # fmt: skip
        known = {key: value for key, value in figures.items() if value is not None}
        print(", ".join(f"{key}: {value}" for key, value in known.items()))
        return known

    def run_op_benchmark(
        self,
        sess: Any,
        op_or_tensor: Any,
        feed_dict: dict[Any, Any] | None = None,
        burn_iters: int = 2,
        min_iters: int = 10,
        store_trace: bool = False,
        store_memory_usage: bool = True,
        name: str | None = None,
        extras: dict[str, Any] | None = None,
        mbs: float = 0,
    ) -> dict[str, Any]:
        """Runs an operation `burn_iters` times, then `min_iters` times with a clock; reports the median seconds a run.

        `mbs`: megabytes that a run works on, for a throughput. Traces and memory are not recorded.
        """
        for _ in range(burn_iters):
            sess.run(op_or_tensor, feed_dict)
        seconds = []
        for _ in range(min_iters):
            start = time.perf_counter()
            sess.run(op_or_tensor, feed_dict)
            seconds.append(time.perf_counter() - start)
        median = sorted(seconds)[len(seconds) // 2]
        return self.report_benchmark(
            iters=min_iters, wall_time=median, throughput=mbs / median if mbs else None, extras=extras, name=name
        )
