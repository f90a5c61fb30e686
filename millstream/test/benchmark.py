"""`tf.test.Benchmark`: measurements that `tf.test.main` runs on demand."""
from __future__ import annotations

import re
import sys
import time
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.test import evaluation

_classes: list[type[Benchmark]] = []


@export("test.Benchmark")
class Benchmark:
    """Base of measurements: methods whose names begin with `benchmark`.

    `tf.test.main` runs them if the command line has `--benchmarks=REGEX`.

    Example:
      >>> class MatMulBenchmark(tf.test.Benchmark):
      ...   def benchmark_small(self):
      ...     start = time.perf_counter()
      ...     self.evaluate(tf.ones([10, 10]) @ tf.ones([10, 10]))
      ...     self.report_benchmark(iters=1, wall_time=time.perf_counter() - start)
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _classes.append(cls)

    @classmethod
    def is_abstract(cls) -> bool:
        """Whether this is a base class without measurements."""
        return cls.__name__ in ("Benchmark", "TensorFlowBenchmark")

    def evaluate(self, tensors: Any) -> Any:
        """The values of a structure of tensors; in graph mode in the default session."""
        from millstream.core.session_stack import get_default_session

        return evaluation.values(tensors) if context.executing_eagerly() else get_default_session().run(tensors)

    def report_benchmark(
        self,
        iters: int | None = None,
        cpu_time: float | None = None,
        wall_time: float | None = None,
        throughput: float | None = None,
        extras: dict[str, Any] | None = None,
        name: str | None = None,
        metrics: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Prints the given figures as one line, and returns them.

        Args:
          iters: how many runs there were.
          cpu_time, wall_time: seconds a run.
          throughput: megabytes a second.
          extras: further figures by name.
          name: default: the names of the class and of the benchmark method that calls this.
          metrics: dicts with a `name` and a `value`.
        """
        figures = {"iters": iters, "cpu_time": cpu_time, "wall_time": wall_time, "throughput": throughput}
        figures |= {item["name"]: item["value"] for item in metrics or ()} | (extras or {})
        known = {key: value for key, value in figures.items() if value is not None}
        result = {"name": name or f"{type(self).__name__}.{_calling_benchmark()}", **known}
        print(", ".join(f"{key}: {value}" for key, value in result.items()))
        return result

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


def _calling_benchmark() -> str:
    """The name of the benchmark method among the callers."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_name.startswith("benchmark"):
        frame = frame.f_back  # type: ignore[assignment]
    return "benchmark" if frame is None else frame.f_code.co_name


def run_benchmarks(pattern: str) -> None:
    """Runs the benchmarks, `Class.method`, in whose names a regular expression is found."""
    for kind in _classes:
        for method in sorted(name for name in dir(kind) if name.startswith("benchmark")):
            if not kind.is_abstract() and re.search(pattern, f"{kind.__name__}.{method}"):
                getattr(kind(), method)()
